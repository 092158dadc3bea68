"""Forecast beside outcome: what came of the actions that were applied, on held-out rows that both runs have. Pure."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from schemas.corrections import Correction
from schemas.doctor import Kept, Outcome, Promise, Receipt
from tasks.doctor.case import Case


def open_receipt(batch: str, run: str, corrections: Sequence[Correction], trust: float = 1.0) -> Receipt:
    """Return the receipt of one application: a promise for each action, which its first correction carries."""
    promises = [
        Promise(kind=one.action, standard_question=one.standard_question, to=one.to or "", gain=one.gain)
        for one in corrections
        if one.gain is not None and one.action is not None
    ]
    return Receipt(batch=batch, run=run, promises=promises, trust=trust)


def settle(receipt: Receipt, run: str, before: Case, after: Case) -> Receipt:
    """Return a receipt with what came of it.

    Args:
        receipt: of an application between the two.
        run: the later one.
        before: the run that the list was made from.
        after: the first run with the corrections.
    """
    rows = _common(before, after)
    then, now = _hits(before, rows[:, 0]), _hits(after, rows[:, 1])
    labels = [after.texts[c] if c >= 0 else "" for c in after.truth[rows[:, 1]].tolist()]
    kept = []
    for promise in receipt.promises:
        mine = np.array([label in (promise.standard_question, promise.to) for label in labels], dtype=bool)
        won = float(now[mine].sum() - then[mine].sum())
        kept.append(
            Kept(
                rows=int(mine.sum()),
                before=_mean(then[mine]),
                after=_mean(now[mine]),
                points=100 * won / max(1, len(rows)),
            )
        )
    outcome = Outcome(run=run, rows=len(rows), before=_mean(then), after=_mean(now), kept=kept)
    return receipt.model_copy(update={"outcome": outcome})


def _common(before: Case, after: Case) -> NDArray[np.int64]:
    """Return (m, 2) numbers of the held-out rows that both have, repeats in their order."""
    places: dict[str, list[int]] = {}
    for number, query in enumerate(before.asked):
        places.setdefault(query, []).append(number)
    pairs = [(places[query].pop(0), number) for number, query in enumerate(after.asked) if places.get(query)]
    return np.array(pairs, dtype=np.int64).reshape(-1, 2)


def _hits(case: Case, rows: NDArray[np.int64]) -> NDArray[np.bool_]:
    hits: NDArray[np.bool_] = (case.ranks[rows] >= 0) & (case.ranks[rows] < 10)
    return hits


def _mean(hits: NDArray[np.bool_]) -> float:
    return float(hits.mean()) if len(hits) else 0.0
