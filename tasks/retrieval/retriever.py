"""Answers a query with the nearest standard questions: what `dssm query` calls, and what evaluate measures.

    from tasks.retrieval import Retriever
    retriever = Retriever.live("bank")
    retriever.search(["怎么提前还款"], top=10)

Imports neither Prefect nor (for the bag tower) torch, and asks nobody over a network, but for a store (DSSM_STORE): a
copy of its live version is loaded, and a thread beside the queries looks for a new one every few seconds.

A `Retriever` may be used from several threads. It can be pickled: it loads what is live where it is unpickled. A
process that forks should load it after the fork, in each worker: one forked while another thread searches may hang in
the BLAS library that numpy uses, which no Python code can prevent.
"""

import logging
import operator
import os
import threading
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, Self

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from schemas.decisions import MOST_OFFERED, Decision
from schemas.errors import NothingLive, StaleFile
from schemas.filters import Filters, ValidAt
from tasks.registry import Follower, ModelRegistry
from tasks.retrieval.decisions import Signals, decide
from tasks.retrieval.encoders import JoinedEncoder, Read, make_encoder, to_unit
from tasks.retrieval.exemplars import Exemplars, Keep, Nearness
from tasks.retrieval.model_files import EXEMPLARS_FILE, read_arrays, read_card, read_decisions, read_table, reading
from tasks.retrieval.nearest import Nearest
from tasks.retrieval.normalise import normalise
from tasks.retrieval.payload import PAYLOAD_FILE, Payload, refuse_field
from tasks.retrieval.ranking import ranking
from tasks.retrieval.shared_arrays import SharedArrays

_LOGGER = logging.getLogger("dssm.retriever")
_BLOCK = 1024  # queries scored at once
_LONGEST = 4.0  # of vectors, whose length is 1
_MANY = 20_000  # standard questions; above, a product with all of them costs more than ruling most of them out
_TRIES = 20  # of loading what is live, while retention deletes what was
_RETRY_SECONDS = 1.0  # until what could not be loaded is tried again


@dataclass(frozen=True)
class Hit:
    """One standard question found, with its score, at most 1.

    The mean cosine over the towers, mixed with how near the training queries kept of it lie.
    """

    standard_question: str
    score: float
    id: str
    payload: Mapping[str, Any] = field(default_factory=dict, hash=False)  # by field; what is missing is left out


@dataclass(frozen=True)
class Answer:
    """What was found for one query, and what to do with it."""

    hits: list[Hit]  # best first
    decision: Decision | None = None  # None: the version stores nothing to decide by
    probability: float | None = None  # that the first is right
    offers: Sequence[Hit] = ()  # where the customer is to choose: 2 to 4 of the first


class Model:
    """One version in memory, immutable."""

    def __init__(self, folder: Path, shared: Path | None = None) -> None:
        """Load a candidate or a published version from `folder`.

        Args:
            folder: its files.
            shared: a folder through which several processes hold its large arrays once.

        Raises:
            StaleFile: it was made by another tokeniser, normaliser or format than this code has, or is damaged.
            SettingsError: it needs an extra that is not installed.
        """
        self.version, self._folder = folder.name, folder
        self.card = read_card(folder)
        self.decisions = read_decisions(folder)
        arrays = read_arrays(folder)
        self._read_questions(folder)
        sharing = SharedArrays(shared, folder) if shared else None
        with reading(folder):  # of files that are whole, but do not belong together
            self._take(arrays, folder, sharing.keep if sharing else lambda _, make: make())
            with reading(folder / PAYLOAD_FILE):
                self.payload = Payload.read(folder, len(self.ids))
            self.scores(["a"])
        if sharing:
            sharing.sweep()

    def _read_questions(self, folder: Path) -> None:
        with reading(folder / "standard_questions.parquet") as file:
            table = read_table(file, columns=["id", "standard_question", "rows"])
            for name, is_type in {"id": _is_text, "standard_question": _is_text, "rows": pa.types.is_integer}.items():
                if not is_type(table[name].type) or table[name].null_count:
                    raise ValueError(f"column {name} is {table[name].type}, with {table[name].null_count} empty cells")
            self.standard_questions: list[str] = table["standard_question"].to_pylist()
            self.ids: list[str] = table["id"].to_pylist()
            self.rows: NDArray[np.int64] = np.from_dlpack(table["rows"].combine_chunks()).astype(np.int64)

    def _take(self, arrays: dict[str, NDArray[Any]], folder: Path, keep: Keep) -> None:
        classes: NDArray[np.float32] = arrays["classes"]
        self.shape = classes.shape[1:]  # towers, and numbers of a vector: (S, o)
        if not len(classes) == len(self.ids) == self.card.classes:
            raise ValueError(f"{len(classes)} vectors, {len(self.ids)} texts, {self.card.classes} in model.json")
        _require_cosines("classes", classes)
        self.class_vectors: NDArray[np.float32] = classes.reshape(len(classes), -1) / np.float32(classes.shape[1])
        if (halved := arrays.get("embeddings")) is not None:  # which no product takes
            arrays["embeddings"] = keep("embeddings", lambda: halved.astype(np.float32))
        self.encoder = make_encoder(self.card, arrays, folder)
        self._exemplars: Exemplars | None = None
        if self.card.exemplar_weight:
            _require_cosines("exemplars", arrays["exemplars"])
            self._exemplars = Exemplars.of(arrays["exemplars"], arrays["exemplar_starts"], keep)
        many = len(classes) > _MANY and self._exemplars is None
        self._nearest = Nearest(self.class_vectors) if many else None
        self._classes = self.class_vectors.T
        if not many:
            self._classes = keep("classes", lambda: np.ascontiguousarray(self.class_vectors.T))

    @cached_property
    def kept_texts(self) -> list[dict[str, Any]]:
        """Text, file and line of each kept query, contract EXEMPLARS; none where the model keeps none.

        Read when they are first asked for: answering needs none.
        """
        if not (self._folder / EXEMPLARS_FILE).exists():
            return []
        with reading(self._folder / EXEMPLARS_FILE) as file:
            return list(read_table(file).to_pylist())

    @property
    def kept_owners(self) -> list[int]:
        """Number of the standard question of each of `kept_texts`; none where the model does not go by them."""
        starts = (
            self._exemplars.starts if self._exemplars and self.kept_texts else np.zeros(len(self.ids) + 1, np.int64)
        )
        owners: list[int] = np.repeat(np.arange(len(self.ids)), np.diff(starts)).tolist()
        return owners

    def scores(self, queries: Sequence[str]) -> NDArray[np.float32]:
        """Return (n, K) scores of all standard questions: what a search goes by."""
        return self._scores(self.vectors_of(self.encoder.read([normalise(query) for query in queries])))

    def signals(self, queries: Sequence[str]) -> tuple[Signals, NDArray[np.int64], NDArray[np.float64]]:
        """Return what is decided by, and the first standard questions and their scores, (n, up to `MOST_OFFERED`)."""
        top = min(MOST_OFFERED, len(self.ids))
        ids, scores, known = np.empty((len(queries), top), np.int64), np.empty((len(queries), top)), [np.zeros(0)]
        for start in range(0, len(queries), _BLOCK):
            block = [normalise(query) for query in queries[start : start + _BLOCK]]
            read = self.encoder.read(block)
            known.append(_known(read, len(block)))
            for place, (best, their) in enumerate(self._best(read, top), start):
                ids[place], scores[place] = best, their
        margin = scores[:, 0] - scores[:, 1] if top > 1 else np.zeros(len(queries))
        return Signals(scores[:, 0], margin, np.concatenate(known)), ids, scores

    def _scores(self, vectors: NDArray[np.float32], chosen: NDArray[np.int64] | None = None) -> NDArray[np.float32]:
        cosines: NDArray[np.float32] = vectors @ self._classes
        if chosen is not None:
            cosines = cosines[:, chosen]
        if self._exemplars is None or not cosines.shape[1]:
            return cosines
        return self._exemplars.mix(cosines, vectors, self.card.exemplar_weight, chosen)

    def cosines_of(self, read: Read) -> NDArray[np.float32]:
        """Return (n, K) cosines of what the encoder has read, whatever queries are kept: they may be these."""
        cosines: NDArray[np.float32] = self.vectors_of(read) @ self._classes
        return cosines

    def vectors_of(self, read: Read) -> NDArray[np.float32]:
        """Return (n, S * o) vectors, of unit length per tower; beside an encoder both have their shares already."""
        found = self.encoder.vectors(read)
        unit = found if isinstance(self.encoder, JoinedEncoder) else to_unit(found)
        return unit.reshape(len(unit), -1)

    def to_unit(self, vectors: NDArray[np.float32]) -> NDArray[np.float32]:
        """Return (n, S, o) sums of vectors in the form of those of texts, which are of unit length per tower."""
        return self.encoder.to_unit(vectors) if isinstance(self.encoder, JoinedEncoder) else to_unit(vectors)

    def remember(self, cache: Path, threads: int) -> None:
        """Encode so many texts at a time; keep a frozen encoder's vectors in a folder, for who asks the same again."""
        if isinstance(self.encoder, JoinedEncoder):
            self.encoder.texts.remember(None if self.card.model.fine_tune else cache, threads)

    def search(
        self, queries: Iterable[str], top: int = 10, filters: Filters | None = None, valid_at: ValidAt = "now"
    ) -> list[list[Hit]]:
        """Return the `top` standard questions of each query, best first; none for an empty query.

        Args:
            queries: texts.
            top: how many, at most.
            filters: what must hold of fields of the standard questions; they are chosen before anything is ranked.
            valid_at: when they have to be valid; a moment without a time zone is one of the model's own.

        Raises:
            TypeError: `queries` is a bare text or holds what is none, or `top` is no whole number.
            ValueError: `top` is below 1.
            FilterError: there is no such field, or it cannot hold such a value.
        """
        return [answer.hits for answer in self.answer(queries, top, filters, valid_at)]

    def answer(
        self, queries: Iterable[str], top: int = 10, filters: Filters | None = None, valid_at: ValidAt = "now"
    ) -> list[Answer]:
        """Return what `search` does, with what to do: answer with the first, offer a choice, or hand over to a person.

        Raises:
            TypeError: as `search`.
            ValueError: as `search`.
        """
        queries, top = _as_texts(queries), _as_count(top)
        chosen = self.choose(filters, valid_at)
        found: list[Answer] = []
        for start in range(0, len(queries), _BLOCK):
            block = [normalise(query) for query in queries[start : start + _BLOCK]]
            read = self.encoder.read(block)
            shares = _known(read, len(block)).tolist()
            most = max(top, MOST_OFFERED) if top > 0 else top
            for query, known, (ids, scores) in zip(block, shares, self._best(read, most, chosen), strict=True):
                found.append(self._answer(ids.tolist() if query else [], scores.tolist(), known, top))
        return found

    def _answer(self, ids: list[int], scores: list[float], known: float, top: int) -> Answer:
        hits = [self.hit(n, score) for n, score in zip(ids, scores, strict=False)]
        if self.decisions is None:
            return Answer(hits[:top])
        decision, probability, offered = decide(self.decisions, scores if ids else [], known)
        return Answer(hits[:top], decision, probability, hits[:offered])

    def explain(
        self, text: str, top: int, chosen: NDArray[np.int64] | None
    ) -> tuple[NDArray[np.int64], NDArray[np.float32], list[Nearness | None]]:
        """Return the first standard questions of a normalised text, their scores, and how near their kept queries lie.

        None of the latter: they had no part in the score.
        """
        read = self.encoder.read([text])
        vector = self.vectors_of(read)
        ((numbers, scores),) = self._best(read, top, chosen)
        near: dict[int, Nearness] = {}
        if self._exemplars and self.card.exemplar_weight and vector.any() and len(numbers):
            cosines = (vector @ self._classes)[0]
            near = self._exemplars.explain(cosines if chosen is None else cosines[chosen], vector[0], chosen)
        return numbers, scores, [near.get(number) for number in numbers.tolist()]

    def scores_of(self, read: Read, chosen: NDArray[np.int64] | None = None) -> NDArray[np.float32]:
        """Return (n, K) scores, of the chosen standard questions, of what the encoder has read."""
        return self._scores(self.vectors_of(read), chosen)

    def choose(self, filters: Filters | None, valid_at: ValidAt) -> NDArray[np.int64] | None:
        """Return the numbers of the standard questions that may be found; None: all. Errors as of `search`."""
        if self.payload:
            return self.payload.choose(filters, valid_at)
        for name in filters or {}:
            refuse_field(name, {})
        return None

    def hit(self, number: int, score: float) -> Hit:
        """Return a standard question that was found, by its number."""
        payload = self.payload[number] if self.payload else {}
        return Hit(self.standard_questions[number], score, self.ids[number], payload)

    def _best(
        self, read: Read, top: int, chosen: NDArray[np.int64] | None = None
    ) -> Iterator[tuple[NDArray[np.int64], NDArray[np.float32]]]:
        """Yield the ids of the `top` (chosen) standard questions of each query, best first, and their scores."""
        vectors = self.vectors_of(read)
        if self._nearest and chosen is None:
            yield from (self._nearest.search(vector, top) for vector in vectors)
            return
        scores = self._scores(vectors, chosen)
        for row, places in zip(scores, ranking(scores, top), strict=True):
            yield places if chosen is None else chosen[places], row[places]


class Retriever:
    """The live version of a corpus; takes up a new live version without a gap."""

    def __init__(self, models: Path | ModelRegistry, shared: Path | None = None) -> None:
        """Load what is live below a folder of versions, the one that holds live.json, or of a registry.

        Args:
            models: the folder or the registry.
            shared: as `Model` takes it.

        Raises:
            NothingLive: no version of the corpus is live.
            StaleFile: what is live is damaged; the message names the file.
        """
        self._registry = models if isinstance(models, ModelRegistry) else ModelRegistry(Path(models))
        self._pointer, self._shared = str(self._registry.pointer), shared
        self._registry.follow()
        self._begin()
        self._seen, self._model = self._load()
        self._retry_at, self._warned = float("inf"), ""

    @classmethod
    def live(cls, corpus: str, home: Path | str | None = None) -> Self:
        """Return the retriever of a corpus below `home`, by default $DSSM_HOME or data/ of the checkout."""
        return cls(ModelRegistry.of(corpus, home))

    def __reduce__(self) -> tuple[Any, ...]:
        """Pickle the place, not the model: where it is unpickled, what is live there is loaded."""
        return type(self), (self._registry, self._shared)

    @property
    def model(self) -> Model:
        """The live version, after a `refresh`."""
        self.refresh()
        return self._model

    @property
    def loaded(self) -> Model:
        """The version in memory, whatever has gone live since: for who calls `refresh` elsewhere, and never waits."""
        return self._model

    def refresh(self) -> bool:
        """Ask the file system whether another version has gone live since, and take it up.

        Where that cannot be loaded or the pointer cannot be read, the one in memory goes on answering: that is warned
        about once, and tried again every second.

        Returns:
            Whether nothing has failed just now.
        """
        if self._process != os.getpid():  # whoever had the lock is not here
            self._begin()
        if self._follower:
            self._follower.poll()
        stamp = self._stamp()
        due = stamp != self._seen or time.monotonic() > self._retry_at
        if due and self._lock.acquire(blocking=False):  # others answer from the old one
            try:
                return self._take_up(stamp)
            finally:
                self._lock.release()
        return True

    @property
    def version(self) -> str:
        """Name of the version in memory."""
        return self._model.version

    def search(
        self, queries: Iterable[str], top: int = 10, filters: Filters | None = None, valid_at: ValidAt = "now"
    ) -> list[list[Hit]]:
        """Return the `top` standard questions of each query, best first; none for an empty query.

        Arguments and errors are those of `Model.search`.
        """
        return self.model.search(queries, top, filters, valid_at)

    def answer(
        self, queries: Iterable[str], top: int = 10, filters: Filters | None = None, valid_at: ValidAt = "now"
    ) -> list[Answer]:
        """Return what `search` does, with what to do: answer with the first, offer a choice, or hand over to a person.

        Raises:
            TypeError: as `search`.
            ValueError: as `search`.
        """
        return self.model.answer(queries, top, filters, valid_at)

    def _begin(self) -> None:
        """Make what a process has of its own."""
        self._process, self._lock = os.getpid(), threading.Lock()
        self._follower = Follower(self._registry) if self._registry.has_store else None

    def _take_up(self, stamp: tuple[int, int] | None) -> bool:
        try:
            self._seen, self._model = self._load(self._model)
            self._retry_at, self._warned = float("inf"), ""
            return True
        except Exception as error:  # a service answers on, whatever its disk does
            self._seen, self._retry_at = stamp, time.monotonic() + _RETRY_SECONDS
            if str(error) != self._warned:
                _LOGGER.warning(
                    "%s: what is live cannot be loaded, %s answers on: %s", self._registry.folder, self.version, error
                )
            self._warned = str(error)
            return False

    def _load(self, known: Model | None = None) -> tuple[tuple[int, int] | None, Model]:
        """Load what is live, unless it is `known`; again where retention has deleted it just now."""
        registry, failure = self._registry, None
        for _ in range(_TRIES):
            stamp, version = self._stamp(), registry.cached_live().version
            if version is None:
                raise NothingLive(
                    f"nothing is live for corpus {registry.corpus!r} (no {registry.pointer}); "
                    f"publish a model first: dssm run {registry.corpus}"
                )
            if known and known.version == version:
                return stamp, known
            try:
                return stamp, Model(registry.fetch(version), self._shared)
            except StaleFile as error:
                failure = error
                if self._stamp() == stamp:
                    break
        raise failure or RuntimeError("what is live was never tried")

    def _stamp(self) -> tuple[int, int] | None:
        try:
            status = os.stat(self._pointer)
        except OSError:
            return None
        return status.st_mtime_ns, status.st_ino


def _known(read: Read, count: int) -> NDArray[np.float64]:
    """Return (count,) the shares of known features; of an encoder that does not count them, 1."""
    return np.ones(count) if read.known is None else np.asarray(read.known, np.float64)


def _is_text(kind: pa.DataType) -> bool:
    return kind in (pa.string(), pa.large_string())


def _as_texts(queries: Any) -> list[str]:  # noqa: ANN401 - whatever a caller gives
    if isinstance(queries, str | bytes) or not isinstance(queries, Iterable):
        raise TypeError(f"search takes a list of queries, got {queries!r}; write search([text])")
    texts = list(queries)
    for place, text in enumerate(texts):
        if not isinstance(text, str):
            raise TypeError(f"search takes a list of texts, but query {place} is {text!r}; leave it out or make it one")
    return texts


def _as_count(top: Any) -> int:  # noqa: ANN401 - whatever a caller gives
    try:
        return operator.index(top)
    except TypeError as error:
        raise TypeError(f"top is the number of standard questions per query, got {top!r}") from error


def _require_cosines(name: str, vectors: NDArray[np.floating]) -> None:
    """Refuse (n, S, o) vectors whose products are far from cosines: the softened maximum over them would overflow."""
    longest = float(np.square(vectors, dtype=np.float32).sum(axis=(1, 2)).max(initial=0)) / vectors.shape[1]
    if not longest < _LONGEST**2:
        raise ValueError(f"{name} holds a vector of length {longest**0.5:.3g}, where 1 is meant")
