"""Why a standard question was found: n-grams of the query and kept training queries, with their shares of the score.

Without hidden layers a score is a sum over the n-grams of the query, so that their shares are exact. The vector of a
query is u = sum over f of w_f L(e_f) + b, with L what output layers do and b their bias, hence its cosine with a unit
vector c is the sum of w_f L(e_f) c / |u|, plus b c / |u|. That of a softened maximum over kept queries is split by its
identity with the softmax p of b c_i: log sum e^(b c_i) = b sum p_i c_i + H(p), H the entropy.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from schemas.explanations import Explanation, KeptShare, NgramShare
from schemas.filters import Filters, ValidAt
from tasks.retrieval.encoders import BagEncoder, Read
from tasks.retrieval.exemplars import Nearness
from tasks.retrieval.features import Tokeniser
from tasks.retrieval.normalise import normalise
from tasks.retrieval.retriever import Hit, Model
from tasks.retrieval.rows import Rows

_NGRAMS, _KEPT = 10, 3  # shown for each standard question
_NOTHING = {"text": None, "source": None, "line": None}
_Kind = Literal["word", "pair", "characters"]
_Name = tuple[_Kind, str]
_KINDS: dict[str, _Kind] = {"w": "word", "b": "pair", "p": "pair", "c": "characters", "l": "characters"}


@dataclass(frozen=True)
class Explained:
    """A standard question that was found, and why."""

    hit: Hit
    why: Explanation


@dataclass(frozen=True)
class _Shares:
    """What each n-gram of a query contributes to its vector."""

    names: list[_Name]  # kind, text
    parts: NDArray[np.float32]  # (F, S * o) of the unit vector
    bias: NDArray[np.float32]  # (S * o,)


def explain(
    model: Model, query: str, top: int = 3, filters: Filters | None = None, valid_at: ValidAt = "now"
) -> list[Explained]:
    """Return the first standard questions of a query, as `Model.search` finds them, each with why.

    Args:
        model: loaded.
        query: a text; of an empty one nothing is found.
        top: how many, at most.
        filters: as `Model.search` takes them.
        valid_at: likewise.
    """
    text = normalise(query)
    if not text:
        return []
    chosen = model.choose(filters, valid_at)
    numbers, scores, near = model.explain(text, top, chosen)
    exact = isinstance(model.encoder, BagEncoder) and not model.card.model.hidden_dims
    shares = _share(model, text) if exact else None
    left_out = None if exact else _leave_out(model, text, numbers, chosen)
    found = []
    for place, (number, score) in enumerate(zip(numbers.tolist(), scores.tolist(), strict=True)):
        if shares:
            ngrams, rest = _sum_up(model, shares, number, score, near[place])
        else:
            names, losses = left_out  # type: ignore[misc]  # one of the two is there
            ngrams, rest = list(zip(names, (score - losses[:, place]).tolist(), strict=True)), None
        found.append(Explained(model.hit(number, score), _explanation(model, ngrams, rest, near[place])))
    return found


def _share(model: Model, text: str) -> _Shares:
    """Return the parts of the query's unit vector, one of each known n-gram."""
    encoder: BagEncoder = model.encoder  # type: ignore[assignment]  # as the caller has seen
    numbers, parts, bias = encoder.parts(text)
    whole = parts.sum(axis=0) + bias  # (S, o)
    lengths = np.maximum(np.sqrt(np.einsum("so,so->s", whole, whole)), np.float32(1e-9))[:, None]
    names = [_name(feature) for feature in encoder.names(numbers)]
    return _Shares(names, (parts / lengths).reshape(len(parts), bias.size), (bias / lengths).reshape(-1))


def _name(feature: str) -> _Name:
    kind, _, text = feature.partition(":")
    return _KINDS[kind], text.replace("_", " ") if kind in "bp" else text


def _sum_up(
    model: Model, shares: _Shares, number: int, score: float, near: Nearness | None
) -> tuple[list[tuple[_Name, float]], float]:
    """Return the share of each n-gram in a score, and what comes from none."""
    weight = model.card.exemplar_weight if near else 0.0
    direction = (1 - weight) * model.class_vectors[number]  # what all parts are multiplied with
    rest = 0.0 if near else score - float((shares.parts.sum(axis=0) + shares.bias) @ direction)
    if near:
        direction = direction + weight * (near.softmax @ near.vectors)
        rest = weight * near.constant
    ngrams = list(zip(shares.names, (shares.parts @ direction).tolist(), strict=True))
    return ngrams, rest + float(shares.bias @ direction)


def _leave_out(
    model: Model, text: str, numbers: NDArray[np.int64], chosen: NDArray[np.int64] | None
) -> tuple[list[_Name], NDArray[np.float32]]:
    """Return what is left out of a query, one thing at a time, and the (F, top) scores without it."""
    names: list[_Name]
    if isinstance(model.encoder, BagEncoder):
        row: Rows = model.encoder.read([text]).form
        columns, values = row.columns, row.values
        names = [_name(feature) for feature in model.encoder.names(columns)]
        grid = np.broadcast_to(values, (len(values), len(values))) * (1 - np.eye(len(values), dtype=np.float32))
        offsets = np.arange(0, len(values) ** 2 + 1, max(1, len(values)))
        read = Read(Rows(grid.ravel(), np.tile(columns, len(values)), offsets, row.width))
    else:
        words = Tokeniser(model.card.text).words(text)
        names = [("word", word) for word in words]
        read = model.encoder.read([_without(text, words, place) for place in range(len(words))])
    if not names:
        return [], np.zeros((0, len(numbers)), np.float32)
    scores = model.scores_of(read, chosen)
    places = numbers if chosen is None else np.searchsorted(chosen, numbers)
    return names, scores[:, places]


def _without(text: str, words: Sequence[str], place: int) -> str:
    """Return a text without one of its words."""
    start = 0
    for word in words[:place]:
        start = text.index(word, start) + len(word)
    start = text.index(words[place], start)
    return normalise(text[:start] + text[start + len(words[place]) :])


def _explanation(
    model: Model, ngrams: list[tuple[_Name, float]], rest: float | None, near: Nearness | None
) -> Explanation:
    """Return the largest shares in the form of an answer."""
    ordered = sorted(ngrams, key=lambda one: -abs(one[1]))
    shares = [NgramShare(ngram=name[1], kind=name[0], share=round(share, 6)) for name, share in ordered[:_NGRAMS]]
    return Explanation(
        method="left out" if rest is None else "exact",
        ngrams=shares,
        other_ngrams=round(sum(share for _, share in ordered[_NGRAMS:]), 6),
        rest=None if rest is None else round(rest, 6),
        kept=_kept_shares(model, near) if near else [],
    )


def _kept_shares(model: Model, near: Nearness) -> list[KeptShare]:
    shares = model.card.exemplar_weight * near.softmax * near.cosines
    largest = []
    for place in np.argsort(-shares, kind="stable")[:_KEPT].tolist():
        row = model.kept_texts[near.start + place] if model.kept_texts else _NOTHING
        largest.append(
            KeptShare(
                query=row["text"],
                source=row["source"],
                line=row["line"],
                cosine=round(float(near.cosines[place]), 6),
                share=round(float(shares[place]), 6),
            )
        )
    return largest
