"""How a corpus differs from the one that the live version was trained on, by the profiles of both.

A standard question that keeps its id and changes its text is renamed. Without ids, a removed and an added one are the
same if they share half of their queries in the profiles, or if their texts are hardly different.
"""

from collections import defaultdict
from collections.abc import Callable, Hashable, Iterable, Iterator, Mapping
from itertools import chain, pairwise
from pathlib import Path
from types import MappingProxyType
from typing import Any, NamedTuple

import pyarrow as pa
import pyarrow.parquet as pq

from schemas.errors import CorpusRejected
from schemas.language import Language, Words, read_words
from schemas.outputs import DriftOutput
from schemas.settings import DriftBounds
from schemas.validation import Drift
from tasks.validate.expectations import check_profile
from tasks.validate.near_duplicates import near_duplicates
from tasks.validate.profile import OFFENDERS_KEPT, Offender, Offenders, shorten
from tasks.validate.verdict import BoundRule, bound_rules, describe_broken, describe_rejection

_SHARED = 0.5  # of the queries in the profiles of two standard questions that are one
_ALIKE = 0.8  # Jaccard of character pairs of two texts that are one
_COMMON = 100  # a query of more standard questions than these does not show that two are one
_EXAMPLES = 10

DRIFT_RULES = (
    BoundRule("max_rows_lost", "rows_lost", "rows_lost_share"),
    BoundRule("max_rows_gained", "rows_gained", "rows_gained_share"),
    BoundRule("max_classes_removed", "classes_removed", "classes_removed_share"),
    BoundRule("max_classes_added", "classes_added", "classes_added_share"),
    BoundRule("max_classes_renamed", "classes_renamed", "classes_renamed_share"),
    BoundRule("max_class_shift", "class_shift", "class_shift_share"),
    BoundRule("max_new_words", "new_words", "new_word_share"),
    BoundRule("max_fields_gone", "fields_gone", "fields_gone"),
    BoundRule("max_field_share_lost", "fields_emptied", "fields_emptied_share"),
    BoundRule("max_ids_changed", "ids_changed", "ids_changed_share"),
)
_CHANGES = pa.schema(
    [
        pa.field("change", pa.string(), nullable=False),  # "added", "removed", "renamed", "resized", "new word", ...
        pa.field("text", pa.string(), nullable=False),
        pa.field("was", pa.string()),  # text before it was renamed; id before it changed
        pa.field("rows_before", pa.int64()),
        pa.field("rows_now", pa.int64()),  # of a word: how often it is in the queries; of a field: how many have it
    ],
    metadata={"grain": "one change since the live version; of each kind the largest first"},
)


class Kept(NamedTuple):
    """One standard question in a profile."""

    id: str
    text: str
    rows: int
    queries: frozenset[int]


class Corpus(NamedTuple):
    """The profile of one corpus."""

    classes: list[Kept]
    words: dict[str, int]
    fields: Mapping[str, int] = MappingProxyType(
        {}
    )  # how many standard questions have each; a profile of before knows of none

    @classmethod
    def of(cls, profile: pa.Table) -> "Corpus":
        """Read a CORPUS_PROFILE."""
        rows = profile.to_pylist()
        classes = [Kept(r["id"], r["text"], r["count"], frozenset(r["queries"])) for r in rows if r["kind"] == "class"]
        words, fields = ({r["text"]: r["count"] for r in rows if r["kind"] == kind} for kind in ("word", "field"))
        return cls(classes, words, fields)


class Changes(NamedTuple):
    """The standard questions and fields that have changed, and the words that are new, the largest first."""

    added: list[Kept]
    removed: list[Kept]
    renamed: list[tuple[Kept, Kept]]
    same: list[tuple[Kept, Kept]]  # in both, renamed or not; in no order
    resized: list[tuple[Kept, Kept]]  # those of `same` with another number of rows
    new_words: list[tuple[str, int]]
    ids: list[tuple[Kept, Kept]]  # those of `same` that have their text and another id
    fields: list[tuple[str, int, int, float]]  # name, how many have it before and now, the share of them all lost


def check_drift(
    before: Path,
    now: Path,
    folder: Path,
    version: str,
    bounds: DriftBounds,
    corpus: str,
    language: Language = "en",
) -> Drift:
    """Compare two profiles, check the difference against the bounds, and write drift.json and drift.parquet.

    Args:
        before: corpus_profile.parquet of the live version.
        now: of this corpus.
        folder: where to.
        version: the live one.
        bounds: of the settings.
        corpus: its name.
        language: of the findings.

    Raises:
        CorpusRejected: a bound's stop is broken.
    """
    old, new = (Corpus.of(pq.read_table(file)) for file in (before, now))
    changes, words = find_changes(old, new), read_words(language)
    statistics = measure_drift(old, new, changes)
    outcomes, _ = check_profile(statistics, bound_rules(bounds, words, DRIFT_RULES, "validate.drift"), "drift")
    facts = {**statistics, "version": version}
    broken = describe_broken(outcomes, DRIFT_RULES, _offenders(changes, words), facts, words)
    drift = Drift(
        version=version,
        statistics=statistics,
        added=[shorten(each.text) for each in changes.added[:_EXAMPLES]],
        removed=[shorten(each.text) for each in changes.removed[:_EXAMPLES]],
        renamed=[f"{shorten(was.text)} → {shorten(is_now.text)}" for was, is_now in changes.renamed[:_EXAMPLES]],
        new_words=[word for word, _ in changes.new_words[:_EXAMPLES]],
        findings=[each.finding for each in broken],
    )
    pq.write_table(pa.Table.from_pylist(_list(changes), _CHANGES), DriftOutput(folder).changes)
    DriftOutput(folder).drift.write_text(drift.model_dump_json(indent=1) + "\n", encoding="utf-8")
    if any(finding.severity == "critical" for finding in drift.findings):
        why = describe_rejection(corpus, drift.findings, DriftOutput(folder).changes.name, language)
        raise CorpusRejected(f"{why}\n{drift.summary(language)}")
    return drift


def find_changes(old: Corpus, new: Corpus) -> Changes:
    """Return the changes from one corpus to another."""
    before, now = old.classes, new.classes
    pairs = _match(before, now, lambda one: one.id)
    pairs += _match(*_rest(before, now, pairs), lambda one: one.text)
    pairs += _match_alike(*_rest(before, now, pairs))
    removed, added = _rest(before, now, pairs)
    new_words = [(word, count) for word, count in new.words.items() if word not in old.words]
    return Changes(
        added=sorted(added, key=lambda one: (-one.rows, one.text)),
        removed=sorted(removed, key=lambda one: (-one.rows, one.text)),
        renamed=sorted(((a, b) for a, b in pairs if a.text != b.text), key=lambda pair: (-pair[1].rows, pair[1].text)),
        same=pairs,
        resized=sorted((pair for pair in pairs if pair[0].rows != pair[1].rows), key=_by_how_much),
        new_words=sorted(new_words, key=lambda pair: (-pair[1], pair[0])),
        ids=sorted((pair for pair in pairs if _has_new_id(*pair)), key=lambda pair: (-pair[1].rows, pair[1].text)),
        fields=_find_emptied(old, new),
    )


def measure_drift(old: Corpus, new: Corpus, changes: Changes) -> dict[str, float | None]:
    """Return the statistics that the bounds are about; None where there is nothing to share."""
    classes_before, classes_now = len(changes.same) + len(changes.removed), len(changes.same) + len(changes.added)
    rows_before, rows_now = (sum(one.rows for one in corpus.classes) for corpus in (old, new))
    return {
        "rows_before": float(rows_before),
        "rows_now": float(rows_now),
        "rows_lost_share": _share(max(0, rows_before - rows_now), rows_before),
        "rows_gained_share": _share(max(0, rows_now - rows_before), rows_before),
        "classes_before": float(classes_before),
        "classes_now": float(classes_now),
        "classes_added": float(len(changes.added)),
        "classes_removed": float(len(changes.removed)),
        "classes_renamed": float(len(changes.renamed)),
        "classes_added_share": _share(len(changes.added), classes_now),
        "classes_removed_share": _share(len(changes.removed), classes_before),
        "classes_renamed_share": _share(len(changes.renamed), classes_before),
        "class_shift_share": total_variation([(a.rows, b.rows) for a, b in changes.same]),
        "new_word_share": _share(sum(count for _, count in changes.new_words), sum(new.words.values())),
        "fields_before": float(len(old.fields)),
        "fields_gone": float(sum(not now for _, _, now, _ in changes.fields)),
        "fields_emptied_share": max((lost for _, _, now, lost in changes.fields if now), default=0.0),
        "ids_changed": float(len(changes.ids)),
        "ids_changed_share": _share(len(changes.ids), len(changes.same)),
    }


def total_variation(counts: Iterable[tuple[int, int]]) -> float | None:
    """Return the total variation between two distributions, half of sum |p - q|; None where one has no mass.

    It is the share of the mass that must move to turn one into the other. Unlike the population stability index, it
    stays finite and small where a small class comes or goes.
    """
    pairs = list(counts)
    left, right = sum(a for a, _ in pairs), sum(b for _, b in pairs)
    if not left or not right:
        return None
    return sum(abs(a / left - b / right) for a, b in pairs) / 2


def _match(before: list[Kept], now: list[Kept], key: Callable[[Kept], Hashable]) -> list[tuple[Kept, Kept]]:
    found = {key(one): one for one in now}
    return [(one, found[key(one)]) for one in before if key(one) in found]


def _match_alike(before: list[Kept], now: list[Kept]) -> list[tuple[Kept, Kept]]:
    """Pair those that share queries or have hardly different texts, the likeliest first, each once."""
    candidates = [*_sharing_queries(before, now), *_of_similar_text(before, now)]
    pairs, gone, taken = [], set[int](), set[int]()
    for _, left, right in sorted(candidates):
        if left not in gone and right not in taken:
            pairs.append((before[left], now[right]))
            gone.add(left)
            taken.add(right)
    return pairs


def _sharing_queries(before: list[Kept], now: list[Kept]) -> Iterator[tuple[float, int, int]]:
    """Yield those that share enough of their queries, each as (minus the share, number before, number now)."""
    holders: defaultdict[int, list[int]] = defaultdict(list)
    for number, one in enumerate(now):
        for query in one.queries:
            holders[query].append(number)
    for left, one in enumerate(before):
        found = [holders[query] for query in one.queries if query in holders]
        for right in {number for numbers in found if len(numbers) <= _COMMON for number in numbers}:
            other = now[right].queries
            share = len(one.queries & other) / min(len(one.queries), len(other))
            if share >= _SHARED:
                yield -share, left, right


def _of_similar_text(before: list[Kept], now: list[Kept]) -> Iterator[tuple[float, int, int]]:
    """Yield those whose texts are hardly different, likewise."""
    near = near_duplicates([one.text for one in chain(before, now)], _ALIKE)
    for left, one in enumerate(before):
        for right in (number - len(before) for number in near[left] if number >= len(before)):
            a, b = _pairs_of(one.text), _pairs_of(now[right].text)
            yield -len(a & b) / len(a | b), left, right


def _pairs_of(text: str) -> frozenset[str]:
    return frozenset(a + b for a, b in pairwise(text)) or frozenset(text)


def _has_new_id(before: Kept, now: Kept) -> bool:
    return before.text == now.text and before.id != now.id


def _find_emptied(old: Corpus, new: Corpus) -> list[tuple[str, int, int, float]]:
    """Return the fields that a smaller share of the standard questions has now, the largest loss first."""
    lost = []
    for name, count in old.fields.items():
        now = new.fields.get(name, 0)
        share = count / len(old.classes) - now / len(new.classes)
        if share > 0:
            lost.append((name, count, now, share))
    return sorted(lost, key=lambda one: (-one[3], one[0]))


def _by_how_much(pair: tuple[Kept, Kept]) -> tuple[int, str]:
    return -abs(pair[0].rows - pair[1].rows), pair[1].text


def _rest(before: list[Kept], now: list[Kept], pairs: list[tuple[Kept, Kept]]) -> tuple[list[Kept], list[Kept]]:
    """Return those of either side that are in no pair."""
    left, right = {a.text for a, _ in pairs}, {b.text for _, b in pairs}
    return [one for one in before if one.text not in left], [one for one in now if one.text not in right]


def _share(part: float, whole: float) -> float | None:
    return part / whole if whole else None


def _list(changes: Changes) -> list[dict[str, Any]]:
    """Return the rows of drift.parquet."""
    rows = [_row("added", one.text, None, None, one.rows) for one in changes.added]
    rows += [_row("removed", one.text, None, one.rows, None) for one in changes.removed]
    rows += [_row("renamed", new.text, old.text, old.rows, new.rows) for old, new in changes.renamed]
    rows += [_row("resized", new.text, None, old.rows, new.rows) for old, new in changes.resized]
    rows += [_row("new word", word, None, None, count) for word, count in changes.new_words[:OFFENDERS_KEPT]]
    rows += [_row("field", name, None, before, now) for name, before, now, _ in changes.fields]
    rows += [_row("new id", new.text, old.id, old.rows, new.rows) for old, new in changes.ids]
    return rows


def _row(change: str, text: str, was: str | None, before: int | None, now: int | None) -> dict[str, Any]:
    return dict(zip(_CHANGES.names, (change, text, was, before, now), strict=True))


def _offenders(changes: Changes, words: Words) -> dict[str, Offenders]:
    """Return what stands behind each finding, by its name."""
    texts_of = {
        "classes_added": [words("example.class", text=shorten(one.text), rows=one.rows) for one in changes.added],
        "classes_removed": [
            words("example.had_rows", text=shorten(one.text), rows=one.rows) for one in changes.removed
        ],
        "classes_renamed": [
            words("example.renamed", old=shorten(old.text), new=shorten(new.text)) for old, new in changes.renamed
        ],
        "class_shift": [
            words("example.resized", text=shorten(new.text), before=old.rows, now=new.rows)
            for old, new in changes.resized
        ],
        "new_words": [words("example.new_word", text=shorten(word), count=count) for word, count in changes.new_words],
        "fields_gone": [
            words("example.field", name=n, before=b, now=now) for n, b, now, _ in changes.fields if not now
        ],
        "fields_emptied": [words("example.field", name=n, before=b, now=now) for n, b, now, _ in changes.fields if now],
        "ids_changed": [
            words("example.new_id", text=shorten(new.text), old=shorten(old.id), new=shorten(new.id))
            for old, new in changes.ids
        ],
    }
    texts_of["rows_lost"] = texts_of["classes_removed"] + texts_of["class_shift"]
    texts_of["rows_gained"] = texts_of["classes_added"] + texts_of["class_shift"]
    return {
        name: Offenders(len(texts), [Offender(None, None, None, text) for text in texts[:OFFENDERS_KEPT]])
        for name, texts in texts_of.items()
    }
