"""Some thirty statistics of an ingested corpus, and the rows behind each, in one streaming pass.

Thresholds are applied in `verdict`, not here.
Memory is bounded by about 100 bytes per row (1.1 GB at 10 million) and the texts of the standard questions.
"""

from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from numpy.typing import NDArray

from schemas.language import Language, Words, read_words
from schemas.outputs import IngestOutput
from schemas.settings import Validation
from schemas.tables import QUARANTINE, QUESTIONS, STANDARD_QUESTIONS
from tasks.retrieval.normalise import normalise, twin_key
from tasks.validate.boilerplate import find_boilerplate
from tasks.validate.damage import repair, suspects
from tasks.validate.ordering import order_z

OFFENDERS_KEPT = 10_000  # per rule; counts are always complete
_BATCH_ROWS = 131_072
_SAMPLED = 20_000  # queries looked at for boilerplate, at least, where there are so many
_CATCHES = 10  # times the mean rows of a standard question: no business has so much of one
_CATCH_ALLS = frozenset(
    "其他 其它 其他问题 其它问题 其他类 其它类 其他咨询 未分类 未知 杂项 闲聊 无意图 other others misc "
    "miscellaneous unknown uncategorized uncategorised oos out_of_scope".split()
)
_PLACEHOLDERS = frozenset(["nan", "null", "none", "n/a", "na", "#n/a", "nil", "undefined", "-", "--", "/", "无", "空"])
Rows = NDArray[np.int64]


class Offender(NamedTuple):
    """One row or standard question that a finding is about."""

    row_id: int | None  # None: it is no row of questions.parquet
    source: str | None
    line: int | None
    text: str


class Offenders(NamedTuple):
    """Everything that breaks one rule; `kept` holds the first 10,000."""

    total: int
    kept: list[Offender]


class Profile(NamedTuple):
    """Facts about a corpus; a statistic is None where it does not apply."""

    statistics: dict[str, float | None]
    class_sizes: dict[str, int]  # standard questions with rows, largest first
    offenders: dict[str, Offenders]  # by rule


class BrokenContractError(ValueError):
    """The files are not as ingest promises; the message says what, where and how many."""


class _Marks(NamedTuple):
    total: int
    rows: Rows  # row numbers; -1: no row
    texts: list[str] | None = None  # None: the row's own text, by rule


class _Scan(NamedTuple):
    classes: list[str]
    norms: list[str]
    codes: NDArray[np.int32]  # (rows,) number of the row's class
    hashes: NDArray[np.uint64]  # (rows,) of the normalised query
    query_is_class: int  # rows whose query is their standard question
    characters: int
    longest: int
    long: Rows
    damaged: Rows
    sample: list[str]  # normalised queries, evenly spread
    every: int  # one of so many


def profile_corpus(ingested: Path, settings: Validation, language: Language = "en") -> Profile:
    """Return statistics, class sizes and offenders of the corpus in the folder `ingested`.

    Args:
        ingested: folder of ingest.
        settings: which classes are small, and which queries long.
        language: of the offenders' texts.

    Raises:
        BrokenContractError: a column is missing, of another type, empty or not valid text.
    """
    files, words = IngestOutput(ingested), read_words(language)
    scan = _scan(files, settings.max_query_characters)
    sizes = np.bincount(scan.codes, minlength=len(scan.classes)).astype(np.int64)
    quarantined, reasons, quarantine_offenders = _quarantine(files.quarantine, words)
    statistics: dict[str, float | None] = {"rows": float(scan.codes.size)}
    marks: dict[str, _Marks] = {}
    for part, found in (
        _class_statistics(scan, sizes, settings, words),
        _text_statistics(scan),
        _boilerplate_statistics(scan, words),
        _repeat_statistics(scan),
        _order_statistics(scan, words),
    ):
        statistics |= part
        marks |= found
    distinct = statistics["distinct_queries"] or 0
    statistics["classes_per_query"] = _share(statistics["classes"] or 0, distinct)
    marks["swapped"] = marks["classes"]
    statistics["quarantined_rows"] = float(quarantined)
    statistics["quarantined_share"] = _share(quarantined, quarantined + scan.codes.size)
    statistics |= {f"quarantined: {reason}": float(count) for reason, count in sorted(reasons.items())}
    by_size = np.argsort(-sizes, kind="stable")
    class_sizes = {scan.classes[code]: int(sizes[code]) for code in by_size if sizes[code]}
    offenders = _locate(files.questions, marks, words)
    offenders["quarantined"] = Offenders(quarantined, quarantine_offenders)
    return Profile(statistics, class_sizes, offenders)


def _class_statistics(
    scan: _Scan, sizes: Rows, settings: Validation, words: Words
) -> tuple[dict[str, float | None], dict[str, _Marks]]:
    used = sizes[sizes > 0]
    first = np.full(len(scan.classes), -1, np.int64)
    first[scan.codes[::-1]] = np.arange(scan.codes.size - 1, -1, -1)  # the last write, the first row, stays

    def mark(codes: NDArray[np.integer]) -> _Marks:
        kept = codes[:OFFENDERS_KEPT]
        return _Marks(
            codes.size,
            first[kept],
            [words("example.class", text=shorten(scan.classes[c]), rows=sizes[c]) for c in kept],
        )

    ascending = np.argsort(sizes, kind="stable")
    ascending = ascending[sizes[ascending] > 0]
    small = ascending[sizes[ascending] <= settings.small_class_rows]
    below = max(settings.min_class_rows.warn or 0, settings.min_class_rows.stop or 0)
    twins = _twins(scan.norms)
    median = float(np.median(used)) if used.size else None
    norms = [normalise(norm) for norm in scan.norms]
    placeholders = np.array([code for code in ascending[::-1] if norms[code] in _PLACEHOLDERS], np.int64)
    by_name = np.array([norm in _CATCH_ALLS for norm in norms], bool)
    caught = np.flatnonzero((by_name & (sizes > 0)) | (sizes > _CATCHES * scan.codes.size / max(1, used.size)))
    caught = np.setdiff1d(caught, placeholders)
    catch_all = caught[np.argsort(-sizes[caught], kind="stable")][:1]
    characters = sum(len(scan.classes[code]) for code in ascending)
    statistics: dict[str, float | None] = {
        "classes": float(used.size),
        "classes_without_rows": float(sizes.size - used.size),
        "min_class_rows": float(used.min()) if used.size else None,
        "median_class_rows": median,
        "max_class_rows": float(used.max()) if used.size else None,
        "one_row_classes": float((used == 1).sum()),
        "small_classes": float(small.size),
        "small_class_share": _share(small.size, used.size),
        "imbalance": float(used.max()) / median if median else None,
        "largest_class_share": _share(int(used.max(initial=0)), scan.codes.size),
        "catch_all_rows": float(sizes[catch_all].sum()),
        "catch_all_share": _share(int(sizes[catch_all].sum()), scan.codes.size),
        "placeholder_rows": float(sizes[placeholders].sum()),
        "placeholder_share": _share(int(sizes[placeholders].sum()), scan.codes.size),
        "mean_class_characters": _share(characters, used.size),
        "twin_classes": float(twins.size),
    }
    return statistics, {
        "classes": mark(ascending[::-1]),
        "smallest_class": mark(ascending[sizes[ascending] < below]),
        "small_classes": mark(small),
        "imbalance": mark(ascending[-1:]),
        "catch_all": mark(catch_all),
        "placeholder": mark(placeholders),
        "twin_classes": mark(twins),
    }


def _text_statistics(scan: _Scan) -> tuple[dict[str, float | None], dict[str, _Marks]]:
    rows = scan.codes.size
    bad_classes = np.array([repair(text) is not None for text in scan.classes], bool)
    damaged = np.union1d(scan.damaged, np.flatnonzero(bad_classes[scan.codes])) if bad_classes.any() else scan.damaged
    statistics: dict[str, float | None] = {
        "mean_query_characters": _share(scan.characters, rows),
        "max_query_characters": float(scan.longest) if rows else None,
        "long_rows": float(scan.long.size),
        "long_share": _share(scan.long.size, rows),
        "damaged_rows": float(damaged.size),
        "damaged_share": _share(damaged.size, rows),
        "damaged_classes": float(bad_classes.sum()),
        "query_is_class_share": _share(scan.query_is_class, rows),
    }
    return statistics, {"long": _Marks(scan.long.size, scan.long), "damaged": _Marks(damaged.size, damaged)}


def _boilerplate_statistics(scan: _Scan, words: Words) -> tuple[dict[str, float | None], dict[str, _Marks]]:
    shared = find_boilerplate(scan.sample, scan.codes[:: scan.every].tolist())
    rows = min(scan.codes.size, shared.queries * scan.every)
    texts = [
        words(f"example.{'begins' if at_start else 'ends'}", text=shorten(text), rows=count * scan.every)
        for text, count, at_start in shared.texts
    ]
    nowhere = np.full(len(texts), -1, np.int64)
    statistics: dict[str, float | None] = {
        "boilerplate_rows": float(rows),
        "boilerplate_share": _share(rows, scan.codes.size),
    }
    return statistics, {"boilerplate": _Marks(rows, nowhere, texts)}


def _repeat_statistics(scan: _Scan) -> tuple[dict[str, float | None], dict[str, _Marks]]:
    rows = scan.codes.size
    distinct, duplicates, conflicts = find_repeats(scan.hashes, scan.codes)
    statistics: dict[str, float | None] = {
        "distinct_queries": float(distinct),
        "duplicate_rows": float(duplicates.size),
        "duplicate_share": _share(duplicates.size, rows),
        "conflict_rows": float(conflicts.size),
        "conflict_share": _share(conflicts.size, rows),
    }
    return statistics, {
        "duplicates": _Marks(duplicates.size, duplicates),
        "conflicts": _Marks(conflicts.size, conflicts),
    }


def _order_statistics(scan: _Scan, words: Words) -> tuple[dict[str, float | None], dict[str, _Marks]]:
    order = order_z(scan.codes)
    statistics: dict[str, float | None] = {
        "order_z": order.z,
        "order_z_adjacent": order.z_adj,
        "order_z_position": order.z_pos,
        "adjacent_equal": float(order.adjacent),
        "expected_adjacent_equal": order.expected_adjacent,
        "batch_distinct": order.batch_distinct,
        "expected_batch_distinct": order.expected_batch_distinct,
        "batch_diversity": order.batch_diversity,
    }
    starts = np.flatnonzero(np.diff(scan.codes, prepend=-1))
    lengths = np.diff(starts, append=scan.codes.size)
    longest = np.argsort(-lengths, kind="stable")[:3]
    texts = [
        words("example.in_a_row", rows=lengths[i], text=shorten(scan.classes[scan.codes[starts[i]]])) for i in longest
    ]
    return statistics, {"ordering": _Marks(order.adjacent, starts[longest], texts)}


def find_repeats(hashes: NDArray[np.uint64], codes: NDArray[np.integer]) -> tuple[int, Rows, Rows]:
    """Return the number of distinct queries, the rows that repeat an earlier one, and the rows in conflict.

    A row repeats an earlier one of the same query and class. Rows are in conflict when their query stands under several
    classes; they come query by query, so that the contradiction can be read.

    Args:
        hashes: (rows,) of the queries.
        codes: (rows,) classes.
    """
    order = np.argsort(hashes, kind="stable")
    ranked = hashes[order]
    first = np.ones(hashes.size, bool)
    first[1:] = ranked[1:] != ranked[:-1]
    repeated = ~first
    repeated[:-1] |= ~first[1:]
    members = order[repeated].astype(np.int64)  # by query, then by row
    del order, ranked  # 16 bytes a row
    starts = np.flatnonzero(first[repeated])
    if not starts.size:
        return int(first.sum()), members, members
    lengths = np.diff(starts, append=members.size)
    classes = codes[members]
    disputed = np.minimum.reduceat(classes, starts) != np.maximum.reduceat(classes, starts)
    first_row = np.repeat(members[starts], lengths)  # names the query
    in_conflict = np.repeat(disputed, lengths)
    conflicts = members[in_conflict][np.lexsort((members[in_conflict], first_row[in_conflict]))]
    by_class = np.lexsort((members, classes, first_row))
    same = (np.diff(first_row[by_class]) == 0) & (np.diff(classes[by_class]) == 0)
    return int(first.sum()), np.sort(members[by_class][1:][same]), conflicts


def _twins(norms: list[str]) -> NDArray[np.int64]:
    keys = list(map(twin_key, norms))
    counts = Counter(keys)
    twins = [code for code, key in enumerate(keys) if counts[key] > 1]
    return np.array(sorted(twins, key=lambda code: (keys[code], code)), np.int64)


def _share(part: float, whole: float) -> float | None:
    return part / whole if whole else None


def _scan(files: IngestOutput, max_characters: int) -> _Scan:
    # A buffer would keep every row that was read.
    questions = pq.ParquetFile(files.questions, pre_buffer=False)
    classes = pq.read_table(files.standard_questions)
    _check_columns(files.questions, questions.schema_arrow, QUESTIONS)
    _check_columns(files.standard_questions, classes.schema, STANDARD_QUESTIONS)
    rows = questions.metadata.num_rows
    codes, hashes = np.empty(rows, np.int32), np.empty(rows, np.uint64)
    long, damaged = [np.empty(0, np.int64)], [np.empty(0, np.int64)]
    class_hashes = _hash(classes["standard_question"])
    by_hash = np.argsort(class_hashes)
    norm_hashes = _hash(classes["standard_norm"])
    start = characters = longest = query_is_class = 0
    every, sample = max(1, rows // _SAMPLED), list[str]()
    for batch in _checked_batches(questions):
        here = slice(start, start + len(batch))
        encoded = batch["standard_question"].dictionary_encode()
        found = _look_up(_hash(encoded.dictionary), class_hashes, by_hash, encoded.dictionary)
        codes[here] = found[encoded.indices.to_numpy()]
        hashes[here] = _hash(batch["query_norm"])
        query_is_class += int((hashes[here] == norm_hashes[codes[here]]).sum())
        lengths = pc.utf8_length(batch["query"]).to_numpy()
        characters, longest = characters + int(lengths.sum()), max(longest, int(lengths.max()))
        long.append(start + np.flatnonzero(lengths > max_characters))
        damaged.append(start + _damaged_rows(batch["query"]))
        sample += batch["query_norm"][-start % every :: every].to_pylist()
        start += len(batch)
    return _Scan(
        classes["standard_question"].to_pylist(),
        classes["standard_norm"].to_pylist(),
        codes,
        hashes,
        query_is_class,
        characters,
        longest,
        np.concatenate(long),
        np.concatenate(damaged),
        sample,
        every,
    )


def _hash(texts: pa.Array | pa.ChunkedArray) -> NDArray[np.uint64]:
    return pd.util.hash_array(texts.to_numpy(zero_copy_only=False).astype(object), categorize=False)


def _look_up(
    wanted: NDArray[np.uint64], class_hashes: NDArray[np.uint64], by_hash: NDArray[np.int64], texts: pa.Array
) -> NDArray[np.int64]:
    places = np.searchsorted(class_hashes, wanted, sorter=by_hash)
    found = by_hash[np.minimum(places, by_hash.size - 1)] if by_hash.size else np.full(wanted.size, -1)
    unknown = np.flatnonzero(class_hashes[found] != wanted) if by_hash.size else np.arange(wanted.size)
    if unknown.size:
        raise BrokenContractError(
            f"questions.parquet holds {unknown.size:,} standard question(s) that standard_questions.parquet "
            f"does not list, e.g. “{texts[int(unknown[0])].as_py()}”"
        )
    return found


def _damaged_rows(queries: pa.Array) -> Rows:
    rows: Rows = np.flatnonzero(suspects(queries).to_numpy(zero_copy_only=False))
    texts = queries.take(pa.array(rows)).to_pylist()
    damaged: Rows = rows[np.array([repair(text) is not None for text in texts], bool)]
    return damaged


def _check_columns(file: Path, schema: pa.Schema, contract: pa.Schema) -> None:
    for field in contract:
        if field.name not in schema.names:
            raise BrokenContractError(
                f"{file.name} has no column {field.name!r}; it has {', '.join(schema.names) or 'none'}"
            )
        actual = schema.field(field.name).type
        plain = actual.value_type if pa.types.is_dictionary(actual) else actual
        if not plain.equals(field.type.value_type if pa.types.is_dictionary(field.type) else field.type):
            raise BrokenContractError(f"column {field.name!r} of {file.name} is {actual}, not {field.type}")


def _checked_batches(questions: pq.ParquetFile) -> Iterator[pa.RecordBatch]:
    """Yield batches of valid texts: surrogates and nulls would break a kernel far from here."""
    texts = ["query", "query_norm", "standard_question"]
    start = 0
    for batch in questions.iter_batches(_BATCH_ROWS, columns=["row_id", *texts]):
        try:
            batch.validate(full=True)
        except pa.ArrowInvalid as error:
            raise BrokenContractError(
                f"rows {start:,} to {start + len(batch) - 1:,} of questions.parquet hold text that is no valid "
                f"UTF-8 (lone surrogates, for one): {error}"
            ) from error
        for name in ["row_id", *texts]:
            if nulls := batch[name].null_count:
                row = start + int(np.flatnonzero(batch[name].is_null().to_numpy(zero_copy_only=False))[0])
                raise BrokenContractError(f"column {name!r} is missing in {nulls:,} row(s), e.g. row {row:,}")
        for name in texts:
            blank = pc.equal(pc.utf8_trim_whitespace(batch[name]), "").to_numpy(zero_copy_only=False)
            if blank.any():
                row = start + int(np.flatnonzero(blank)[0])
                raise BrokenContractError(f"column {name!r} is blank in {int(blank.sum()):,} row(s), e.g. row {row:,}")
        if not np.array_equal(batch["row_id"].to_numpy(), np.arange(start, start + len(batch))):
            raise BrokenContractError(f"row_id does not count 0, 1, 2, ... from row {start:,} on")
        start += len(batch)
        yield batch


def _quarantine(file: Path, words: Words) -> tuple[int, Counter[str], list[Offender]]:
    quarantine = pq.ParquetFile(file, pre_buffer=False)
    _check_columns(file, quarantine.schema_arrow, QUARANTINE)
    reasons: Counter[str] = Counter()
    kept: list[Offender] = []
    for batch in quarantine.iter_batches(_BATCH_ROWS):
        train = batch.filter(pc.equal(batch["role"], "train"))  # a bad test file says nothing about the corpus
        for pair in train["reason"].value_counts().to_pylist():
            reasons[pair["values"]] += pair["counts"]
        for row in train.slice(0, OFFENDERS_KEPT - len(kept)).to_pylist():
            text = " | ".join(shorten(text) for text in (row["query"], row["standard_question"]) if text)
            reason = words.name("reason", row["reason"])
            kept.append(Offender(None, row["source"], row["line"], f"{reason}{text and ': '}{text}"))
    return reasons.total(), reasons, kept


def _locate(file: Path, marks: dict[str, _Marks], words: Words) -> dict[str, Offenders]:
    """Read source, line and text of the marked rows; row groups without one are not read."""
    kept = {rule: mark.rows[:OFFENDERS_KEPT] for rule, mark in marks.items()}
    wanted = np.unique(np.concatenate(list(kept.values())))
    wanted = wanted[wanted >= 0]
    found = dict(zip(wanted.tolist(), read_rows(file, wanted).to_pylist(), strict=True))

    def offender(rule: str, row: int, text: str | None) -> Offender:
        return offending_row(rule, found[row], words, text) if row >= 0 else Offender(None, None, None, text or "")

    return {
        rule: Offenders(
            mark.total,
            [offender(rule, row, mark.texts[i] if mark.texts else None) for i, row in enumerate(kept[rule].tolist())],
        )
        for rule, mark in marks.items()
    }


def read_rows(file: Path, wanted: Rows) -> pa.Table:
    """Return the rows of QUESTIONS whose numbers stand in `wanted` (increasing), in that order."""
    questions = pq.ParquetFile(file, pre_buffer=False)
    parts = []
    ends = np.cumsum([questions.metadata.row_group(i).num_rows for i in range(questions.num_row_groups)], dtype=int)
    groups = np.unique(np.searchsorted(ends, wanted, side="right"))
    for group in groups.tolist():
        start = int(ends[group - 1]) if group else 0
        for batch in questions.iter_batches(_BATCH_ROWS, row_groups=[group], columns=QUESTIONS.names):
            here = wanted[np.searchsorted(wanted, start) : np.searchsorted(wanted, start + len(batch))] - start
            start += len(batch)
            if here.size:
                parts.append(pa.table(batch.take(pa.array(here)).to_pydict(), schema=QUESTIONS))
    return pa.concat_tables(parts) if parts else QUESTIONS.empty_table()


def offending_row(rule: str, row: dict[str, Any], words: Words, text: str | None = None) -> Offender:
    """Return a row of QUESTIONS as an offender, with the text that the rule is about."""
    query, standard = row["query"], row["standard_question"]
    if text is None and rule == "damaged":
        bad = query if repair(query) is not None else standard
        fixed = repair(bad) or bad
        key = "example.repaired" if fixed != bad else "example.lost"
        text = words(key, text=shorten(bad), repaired=shorten(fixed))
    elif text is None and rule == "long":
        text = words("example.long", text=shorten(query, 30), characters=len(query))
    elif text is None:
        text = words("example.under", query=shorten(query), standard=shorten(standard))
    return Offender(row["row_id"], row["source"], row["line"], text)


def shorten(text: str, characters: int = 60) -> str:
    """Return `text` in one line of at most so many characters, safe to print: control characters become dots."""
    line = "".join(c if c.isprintable() else "·" for c in " ".join(text[: 4 * characters].split()))
    return line if len(line) <= characters else line[: characters - 1] + "…"
