"""Rows of a table as pairs of a query and a standard question: lists in cells and wide rows melt into several.

What was noticed is complete once all rows have been read. Pure.
"""

import json
import re
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from operator import ne

from schemas.settings import Source
from tasks.ingest.columns import BY_ANSWER, BY_COLUMN, MARKED, is_name, is_state, says_no, says_yes, tells_part
from tasks.ingest.furniture import (
    OTHER_TABLE,
    find_doubtful_rows,
    find_furniture,
    find_other_table,
    find_table_of_another_kind,
    has_names,
)
from tasks.ingest.layout import Layout
from tasks.ingest.oddities import DITTO, HTML, NULL_WORDS, ODDITIES, describe_garbled, strip_markup
from tasks.ingest.parts import is_test
from tasks.ingest.splitting import AUTO, LINES, Lists, find_lists
from tasks.ingest.tables import SIGN, BadRow, Batch, Pairs, Table, unquote_formula

_EXAMPLES = 3
_NULL_WORD = "null word"
_SAMPLED = 200  # queries by which a wrong encoding is known
_FEWEST_SUSPECTS = 2  # cells that look like lists, and their share
_SUSPECT_SHARE = 0.005
_FEWEST_BLANKS = 2
_BLANK_SHARE = 0.2  # of the rows below a standard question that stands once, as merged cells leave them
_OFF = frozenset(
    "停用 已停用 禁用 已禁用 失效 已失效 下线 已下线 关闭 已关闭 删除 已删除 作废 已作废 未启用 无效 过期 已过期 "
    "草稿 待审核 审核中 未审核 未通过 不通过 驳回 已驳回 拒绝 已拒绝 未发布 待发布 未上线 未上架 下架 已下架 未生效 "
    "暂停 已暂停 冻结 归档 已归档 隐藏 废弃 已废弃 不可用 "
    "disabled inactive off deleted deprecated retired archived expired obsolete draft pending unpublished rejected "
    "paused suspended hidden offline".split()
)
_LINK = re.compile(r" ?\(https://(?:[\w-]+\.)?notion\.(?:so|site)/[^()\s]+\)(?=\s*(?:,|$))")  # behind a page's name
_NOTE = re.compile(r"[（(：:].*", re.S)  # 停用（2025）
_YES = frozenset("是 1 true yes y 真 √ ✓ ✔".split())
_NO = frozenset("否 0 false no n 假 × ✗ ✘".split())


@dataclass
class Melting:
    """Reads one table, and remembers what a person should know of it."""

    name: str  # of the table in messages
    table: Table
    layout: Layout
    source: Source
    notes: list[str] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)
    unasked: list[str] = field(default_factory=list)  # standard questions that a column names and no row

    def __post_init__(self) -> None:
        self._lists: Lists | None = None
        self._fills = False
        self._garbled = ""  # what the queries meant before they were read in a wrong encoding
        self._below = False  # another table has begun below the first
        self._above = ""  # the standard question of the row before
        self._counts = Counter[str]()
        self._examples: dict[str, list[str]] = {}
        self._off = Counter[tuple[str, str]]()

    def pairs(self) -> Iterator[Pairs]:
        """Yield the rows in bounded memory."""
        first, layout = True, self.layout
        self.unasked += [layout.name(at) for at in layout.columns.marks if not is_name(layout.name(at))]
        for batch in self.table.read(layout.selection):
            yield self._melt(self._fold_marks(batch), first)
            first = first and not batch.lines
        self._report()

    def _melt(self, batch: Batch, first: bool) -> Pairs:
        count = len(self.layout.columns.queries)
        batch = self._set_furniture_aside(batch, count, first)
        columns = batch.columns
        questions = columns[count]
        if self._lists is None and count:
            self._look(columns[:count], questions)
        if self._fills or (self.source.fill_down == "auto" and not DITTO.isdisjoint(questions)):
            questions = self._fill(questions, columns[:count])
        elif questions:
            self._above = questions[-1]
        if self.source.markup == "strip":
            questions = self._stripped(questions)
        payload = {
            self.layout.name(at): cells for at, cells in zip(self.layout.payload, columns[count + 1 :], strict=True)
        }
        self._count_states(payload)
        payload = {name: cells for name, cells in payload.items() if not tells_part(name)}
        if count == 0:
            return Pairs(batch.lines, [""] * len(questions), questions, batch.bad, payload)
        splitter = self._lists.splitter if self._lists else None
        pairs = Pairs(batch.lines, columns[0], questions, batch.bad, payload)
        if plain := _find_plain(questions, pairs.all_questions):
            pairs, questions = replace(pairs, questions=plain), plain
        if "(https://" in pairs.all_questions:
            bare = [_LINK.sub("", text) for text in questions]
            self._counts["links"] += sum(map(ne, bare, questions))
            pairs, questions = replace(pairs, questions=bare), bare
        queries = [self._clean(pairs.queries, pairs.all_queries, batch.lines)]
        queries += [self._clean(cells, SIGN.join(cells), batch.lines) for cells in columns[1:count]]
        if count == 1 and batch.tails is None and splitter is None:
            return pairs if queries[0] is pairs.queries else replace(pairs, queries=queries[0])
        return self._melt_wide(replace(batch, columns=queries), questions, payload)

    def _fold_marks(self, batch: Batch) -> Batch:
        """Return a batch with one column of standard questions for those that mark queries; several become a list."""
        layout = self.layout
        first, count = len(layout.columns.queries), len(layout.columns.marks)
        if not count:
            return batch
        names = [layout.name(at) for at in layout.columns.marks]
        rows = zip(*batch.columns[first : first + count], strict=True)
        if layout.columns.why_question == BY_COLUMN:
            found = [
                (line, cell, name)
                for line, row in zip(batch.lines, rows, strict=True)
                for name, cell in zip(names, row, strict=True)
                if cell.strip()
            ]
            pairs = [[query for _, query, _ in found], [label for _, _, label in found]]
            return Batch([line for line, _, _ in found], pairs, batch.bad)
        marked = [
            [name for name, cell in zip(names, row, strict=True) if cell.strip().lower() in MARKED] for row in rows
        ]
        labels = ["".join(found) if len(found) < 2 else json.dumps(found, ensure_ascii=False) for found in marked]
        return replace(batch, columns=[*batch.columns[:first], labels, *batch.columns[first + count :]])

    def _melt_wide(self, batch: Batch, questions: list[str], payload: dict[str, list[str]]) -> Pairs:
        """Return a pair per similar question; a row without any gives one pair with an empty query."""
        lines, queries, repeated, places = list[int](), list[str](), list[str](), list[int]()
        tails = batch.tails or [[]] * len(batch.lines)
        splitter = self._lists.splitter if self._lists else None
        for at, (line, question, tail, *cells) in enumerate(
            zip(batch.lines, questions, tails, *batch.columns, strict=True)
        ):
            found = [cell for cell in (*cells, *tail) if cell.strip()]
            if splitter:
                parts = [splitter.split(cell) for cell in found]
                self._counts["split"] += sum(len(part) > 1 for part in parts)
                self._counts["parts"] += sum(len(part) for part in parts if len(part) > 1)
                found = [part for whole in parts for part in whole]
            found = found or [""]
            lines += [line] * len(found)
            queries += found
            repeated += [question] * len(found)
            places += [at] * len(found)
        kept = {name: [cells[at] for at in places] for name, cells in payload.items()}
        return Pairs(lines, queries, repeated, batch.bad, kept)

    def _set_furniture_aside(self, batch: Batch, count: int, first: bool) -> Batch:
        questions, names, layout = batch.columns[count], self.layout.names, self.layout
        beside = [*layout.columns.queries, *layout.payload][:1]  # of a list of texts alone, its first other column
        queries = batch.columns[0 if count else 1] if beside else [""] * len(questions)
        header = None
        if layout.header and layout.columns.why_question != BY_COLUMN:
            header = (names[beside[0]] if beside else "", names[layout.columns.question])
        named = header is not None and has_names(questions, header)
        odd = find_furniture(
            batch.lines, queries, questions, header, named=named, first=first, listed=layout.columns.listed
        )
        begin = self._find_below(batch.lines, queries, questions, odd, header if named else None)
        if begin is not None:
            self._below = True
            places = range(begin, len(questions))
            odd |= {at: BadRow(batch.lines[at], OTHER_TABLE, queries[at], questions[at]) for at in places}
        if not odd:
            return batch
        keep = [at for at in range(len(questions)) if at not in odd]
        return Batch(
            [batch.lines[at] for at in keep],
            [[cells[at] for at in keep] for cells in batch.columns],
            [*batch.bad, *odd.values()],
            None if batch.tails is None else [batch.tails[at] for at in keep],
        )

    def _find_below(
        self,
        lines: Sequence[int],
        queries: list[str],
        questions: list[str],
        aside: Mapping[int, BadRow],
        header: tuple[str, str] | None,
    ) -> int | None:
        """Return the place where another table begins below the first; `header` is given where it comes again."""
        if self._below:
            return 0
        begin = find_other_table(lines, queries, questions, header) if header else None
        if begin is not None or not (self.layout.header and self.layout.header.line):
            return begin
        rows = [at for at in range(len(lines)) if at not in aside]
        if aside:
            lines, queries, questions = (
                [lines[at] for at in rows],
                [queries[at] for at in rows],
                [questions[at] for at in rows],
            )
        found = find_table_of_another_kind(lines, queries, questions, listed=self.layout.columns.listed)
        if found is None and (at := find_doubtful_rows(lines, questions)) is not None:
            shown = zip(queries[at : at + _EXAMPLES], questions[at : at + _EXAMPLES], strict=True)
            examples = ", ".join(f"{shorten(query)} | {shorten(text)}" for query, text in shown)
            self.warnings.append(
                f"{self.name}: each of the {len(lines) - at} rows from line {lines[at]} on, below a blank line, has a "
                f"standard question that no other has ({examples}). They were read; if they are another table, give it "
                "a file or a sheet of its own"
            )
        return None if found is None else rows[found]

    def _look(self, columns: list[list[str]], questions: list[str]) -> None:
        """Decide by the first batch whether cells hold lists, and whether blanks stand for the cell above."""
        self._garbled = describe_garbled(columns[0][:_SAMPLED])
        cells = [cell for column in columns for cell in self._stripped(column)]
        self._fills = self.source.fill_down == "auto" and _are_merged(columns, questions)
        filled = self._fill(questions, columns) if self._fills else questions
        if self.layout.columns.why_question == BY_ANSWER:
            filled = [str(at) for at in range(len(filled))]  # a row is a class, whatever its answer
        self._above, self._counts["filled"] = "", 0
        by_lines = self.layout.columns.line_by_line and self.source.split == AUTO
        if len(columns) > 1:  # each has one cell a row
            filled = [f"{at} {label}" for at in range(len(columns)) for label in filled]
        self._lists = find_lists(cells, filled, LINES if by_lines else self.source.split)

    def _fill(self, questions: list[str], columns: list[list[str]]) -> list[str]:
        filled = []
        for question, *cells in zip(questions, *columns, strict=True):
            if question not in DITTO and (question.strip() or not self._fills):
                self._above = question
            elif any(cell.strip() for cell in cells):
                question = self._above
                self._counts["filled"] += 1
            filled.append(question)
        return filled

    def _count_states(self, payload: dict[str, list[str]]) -> None:
        """Count the rows that are out of use, or of a test part."""
        for name, cells in payload.items():
            if is_state(name):
                words = _OFF | (_YES if says_no(name) else _NO if says_yes(name) else frozenset())
                off = {cell for cell in {*cells} if _NOTE.sub("", cell).strip().lower() in words}
            elif tells_part(name):
                off = {cell for cell in {*cells} if is_test(cell)}
            else:
                continue
            self._off.update((name, cell) for cell in cells if cell in off)

    def _clean(self, cells: list[str], joined: str, lines: Sequence[int]) -> list[str]:
        """Return the cells without markup if it is to be stripped; count what looks odd."""
        self._counts["cells"] += len(cells)
        cells = _find_plain(cells, joined) or cells
        for oddity in ODDITIES:
            if oddity.is_in(joined):
                self._count(oddity.said, cells, lines, oddity.is_in)
        if self._counts[HTML.said]:
            cells = self._stripped(cells)
        first = self._counts["cells"] == len(cells)  # of a large table, only these are looked through for nothing
        if (first or self._counts[_NULL_WORD]) and not NULL_WORDS.isdisjoint(cells):
            self._count(_NULL_WORD, cells, lines, NULL_WORDS.__contains__)
        for one in self._lists.suspects if self._lists else ():
            if any(mark in joined for mark in one.marks):
                self._count(one.name, cells, lines, one.separates)
        return cells

    def _stripped(self, cells: list[str]) -> list[str]:
        if self.source.markup != "strip":
            return cells
        return [strip_markup(cell) if HTML.is_in(cell) else cell for cell in cells]

    def _count(self, what: str, cells: list[str], lines: Sequence[int], is_odd: Callable[[str], bool]) -> None:
        examples = self._examples.setdefault(what, [])
        for line, cell in zip(lines, cells, strict=True):
            if is_odd(cell):
                self._counts[what] += 1
                if len(examples) < _EXAMPLES:
                    examples.append(f"{shorten(cell)!r} in line {line}")

    def _report(self) -> None:
        """Turn the counts into sentences."""
        name, counts, lists = self.name, self._counts, self._lists
        header = self.layout.header
        if header and self.table.head[0] is not header:
            self.notes.append(f"the header stands in line {header.line}; what is above it was not read")
        if lists and lists.splitter:
            self.notes.append(
                f"{counts['split']} cells hold {counts['parts']} similar questions; "
                f"they were split at {lists.splitter.describe()} (source.split)"
            )
        for one in lists.suspects if lists else ():
            if counts[one.name] >= max(_FEWEST_SUSPECTS, _SUSPECT_SHARE * counts["cells"]):
                self.warnings.append(
                    f"{name}: {counts[one.name]} of {counts['cells']} queries hold several parts at {one.name} "
                    f"({', '.join(self._examples[one.name])}); each was read as one query. If the parts are similar "
                    f"questions of their own, split them: --set 'source.split={one.setting}'; "
                    "if not, --set source.split=none ends this warning"
                )
        for oddity in ODDITIES:
            if counts[oddity.said] and not (oddity is HTML and self.source.markup == "strip"):
                said = oddity.said.format(", ".join(self._examples[oddity.said]))
                self.warnings.append(f"{name}: {counts[oddity.said]} of {counts['cells']} queries {said}")
        if counts["links"]:
            self.notes.append(f"links to Notion were taken off {counts['links']} standard questions")
        if counts[HTML.said] and self.source.markup == "strip":
            self.notes.append(f"HTML was stripped from {counts[HTML.said]} queries (source.markup)")
        if counts[_NULL_WORD]:
            self.warnings.append(
                f"{name}: {counts[_NULL_WORD]} of {counts['cells']} queries are words for nothing "
                f"({', '.join(self._examples[_NULL_WORD])}), and were read as they stand; export these cells empty"
            )
        if self._garbled:
            self.warnings.append(f"{name}: the queries seem to be garbled: {self._garbled}")
        if counts["filled"]:
            self.warnings.append(
                f"{name}: {counts['filled']} rows without a standard question took the one above them, as the cells "
                "of a merged sheet do when exported, and 同上; if they should not, --set source.fill_down=none"
            )
        for (column, cell), rows in self._off.most_common(_EXAMPLES):
            then = (
                "To measure by them, export them to a file for --test-source, and leave them out here"
                if tells_part(column)
                else "Export without them, if they are not to be trained on"
            )
            self.warnings.append(
                f"{name}: {rows} rows are marked {cell!r} in the column {column!r}; they were read all the same. {then}"
            )


def _find_plain(cells: list[str], joined: str) -> list[str] | None:
    """Return the cells as people see them: without marks of an encoding inside, 007 for ="007"; None: they are so."""
    if "\ufeff" not in joined and not ("=" in joined and '="' in joined):
        return None
    bare = [cell.lstrip("\ufeff") for cell in cells]
    found = [unquote_formula(cell) for cell in bare]
    return None if found == cells else found


def _are_merged(columns: list[list[str]], questions: list[str]) -> bool:
    """Whether blanks below a standard question mean the same one: each stands once, and many rows have none."""
    if all(map(str.strip, questions)):
        return False
    filled = [text.strip() for text in questions if text.strip()]
    blanks = sum(
        not text.strip() and any(cell.strip() for cell in cells)
        for text, *cells in zip(questions, *columns, strict=True)
    )
    first_is_filled = bool(questions and questions[0].strip())
    return (
        first_is_filled
        and blanks >= max(_FEWEST_BLANKS, _BLANK_SHARE * len(questions))
        and len(filled) >= _FEWEST_BLANKS
        and len({*filled}) == len(filled)
    )


def shorten(text: str) -> str:
    """Return a text for a message, cut to 40 characters."""
    return text if len(text) <= 40 else text[:39] + "…"
