"""Which labels are wrong, from the scores that a model gives a row's own standard question. Pure.

A row's label is either what the model makes likely or was given by chance (Northcutt, Jiang, Chuang 2021; class noise
as in Rolnick et al. 2017): with a share s of labels by chance among K standard questions, the label y of x has the
probability (1 - s) p(y | x) + s / K, where p is the softmax of the scores, as sharp as the labels themselves make
likeliest. A hard query looks like a wrong label to a weak model, and makes p flat: then s = 0 explains the labels
nearly as well, and nothing is said of any of them.
"""

import numpy as np
from numpy.typing import NDArray

_FLATTEST, _DOUBLED, _STEPS = 4.0, 4, 4  # what scores are multiplied by: at least, how often doubled, in what steps
SHARPNESSES = _DOUBLED * _STEPS
_SHARES = np.concatenate([[0.0], np.geomspace(1e-3, 0.5, 40)])
_TINY = 1e-300
_SURE = 10.83  # twice the logarithm of the likelihood ratio that chance exceeds once in 1,000 (chi-squared, 1 degree)
_WITHIN = 2.71  # the same, once in 10: shares that are as likely as this lie in the interval


def own_probabilities(scores: NDArray[np.floating], labels: NDArray[np.integer]) -> NDArray[np.float32]:
    """Return (n, sharpnesses) the softmax of a row's own standard question, from the flattest to the sharpest.

    Args:
        scores: (n, K), between -1 and 1.
        labels: (n,) the standard question of each row.
    """
    at, away = np.arange(len(labels)), scores - scores.max(axis=1, keepdims=True)
    own = np.empty((len(labels), SHARPNESSES), np.float32)
    for step in range(_STEPS):
        powers = np.exp(np.float32(_FLATTEST * 2 ** (step / _STEPS)) * away)
        for doubled in range(_DOUBLED):
            own[:, doubled * _STEPS + step] = powers[at, labels] / powers.sum(axis=1)
            np.square(powers, out=powers)  # twice as sharp
    return own


def estimate_chances(own: NDArray[np.float32], classes: int) -> NDArray[np.float64]:
    """Return (n,) with what probability each label is wrong: 0 where no share of wrong labels is sure to be above 0.

    Args:
        own: (n, sharpnesses) of `own_probabilities`, of a model that has not seen the rows.
        classes: standard questions.
    """
    share, sharpness = estimate_share(own, classes)
    by_chance = share / max(1, classes)
    chances: NDArray[np.float64] = by_chance / ((1 - share) * own[:, sharpness].astype(np.float64) + by_chance + _TINY)
    return chances


def estimate_share(own: NDArray[np.float32], classes: int) -> tuple[float, int]:
    """Return what share of labels is wrong at least, 0 where that is not sure, and the sharpness that goes with it.

    Args:
        own: as above.
        classes: standard questions.
    """
    likely = np.array([[_fit(one, share, 1 / max(1, classes)) for one in own.T] for share in _SHARES])
    best = np.array([_peak(one) for one in likely])  # by share
    sure = 2 * (best.max() - best[0]) >= _SURE
    least = int(np.flatnonzero(2 * (best.max() - best) < _WITHIN)[0]) if sure else 0  # lower end of 95 %
    return float(_SHARES[least]), int(likely[least].argmax())


def _fit(own: NDArray[np.float32], share: float, by_chance: float) -> float:
    """Return the logarithm of the likelihood of all labels."""
    return float(np.log((1 - share) * own.astype(np.float64) + share * by_chance + _TINY).sum())


def _peak(likely: NDArray[np.float64]) -> float:
    """Return the height of the parabola through the highest value and those beside it: between two sharpnesses."""
    top = int(likely.argmax())
    if top in (0, len(likely) - 1):
        return float(likely[top])
    left, middle, right = likely[top - 1 : top + 2]
    return float(middle + (left - right) ** 2 / (8 * max(2 * middle - left - right, 1e-12)))
