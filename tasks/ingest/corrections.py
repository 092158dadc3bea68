"""Lay the owner's corrections over the rows of a source, batch by batch. Pure."""

from collections.abc import Container, Sequence
from dataclasses import dataclass, field, replace
from typing import get_args

from schemas.corrections import Correction, Do
from tasks.ingest.quarantine import Separated
from tasks.ingest.tables import Pairs
from tasks.retrieval.normalise import normalise_all

DRAFTED = " (drafted)"  # behind the name of the source of such rows
_EXAMPLES = 3


@dataclass
class Overlay:
    """The corrections of one corpus, in their order, and which of them have found what they correct."""

    corrections: Sequence[Correction]
    name: str  # of their file, as the report has it
    _rows: dict[tuple[str, str], list[int]] = field(default_factory=dict)  # by normalised query and standard question
    _classes: dict[str, list[int]] = field(default_factory=dict)  # by standard question
    _added: dict[tuple[str, str], int] = field(default_factory=dict)
    _used: set[int] = field(default_factory=set)
    _there: set[tuple[str, str]] = field(default_factory=set)  # rows to be added that the source has by now

    def __post_init__(self) -> None:
        norms = normalise_all([one.query or "" for one in self.corrections])
        for number, one in enumerate(self.corrections):
            if one.do == "rename":
                self._classes.setdefault(one.standard_question, []).append(number)
            elif one.do not in ("add", "group"):
                self._rows.setdefault((norms[number], one.standard_question), []).append(number)
        for number, one in enumerate(self.corrections):
            if one.do == "add" and (right := self._follow(norms[number], one.standard_question, number)) is not None:
                self._added.setdefault((norms[number], right), number)

    def rename(self, standard_question: str) -> str:
        """Return what a standard question is called now."""
        return self._follow(None, standard_question) or standard_question

    def rename_all(self, pairs: Pairs) -> Pairs:
        """Return a batch whose standard questions are called what they are called now; its rows stay."""
        if not self._classes:
            return pairs
        return replace(pairs, questions=[self.rename(text.strip()) for text in pairs.questions])

    def apply(self, separated: Separated) -> Separated:
        """Return the usable rows of a batch as they are meant: under the right standard question, or gone."""
        if not (self._rows or self._classes or self._added):
            return separated
        kept = Separated([], [], [], [], separated.bad)
        columns = zip(separated.lines, separated.queries, separated.normalised, separated.classes, strict=True)
        for line, query, norm, label in columns:
            right = self._follow(norm, label)
            if right is None:
                continue
            if (norm, right) in self._added:
                self._there.add((norm, right))
            kept.lines.append(line)
            kept.queries.append(query)
            kept.normalised.append(norm)
            kept.classes.append(right)
        return kept

    def additions(self, drafted: bool) -> Separated:
        """Return the rows that are added and that the source does not have; their lines are those of the corrections.

        Args:
            drafted: those that a language model wrote, or the others.
        """
        rows = Separated([], [], [], [], [])
        for (norm, right), number in self._added.items():
            one = self.corrections[number]
            if (norm, right) in self._there or one.drafted != drafted or not norm:
                continue
            self._used.add(number)
            rows.lines.append(number + 1)
            rows.queries.append(one.query or "")
            rows.normalised.append(norm)
            rows.classes.append(right)
        return rows

    def groups(self, known: Container[str]) -> list[list[str]]:
        """Return the standard questions that have the same answer, as they are called now: each group, sorted.

        Args:
            known: the standard questions that there are.
        """
        found: dict[str, set[str]] = {}
        for number, one in enumerate(self.corrections):
            pair = {self._follow(None, text, number) for text in (one.standard_question, one.to or "")}
            names = {name for name in pair if name is not None and name in known}
            if one.do != "group" or len(names) < 2:  # one is gone, or they are one by now
                continue
            self._used.add(number)
            joined = names.union(*(found.get(name, ()) for name in names))
            found |= dict.fromkeys(joined, joined)
        return sorted({tuple(sorted(group)): sorted(group) for group in found.values()}.values())

    def count(self) -> dict[str, int]:
        """Return how many corrections there are ("all"), and how many of each kind found what they correct."""
        if not self.corrections:
            return {}
        done = [self.corrections[number].do for number in self._used]
        return {"all": len(self.corrections)} | {do: done.count(do) for do in get_args(Do)}

    def warnings(self) -> list[str]:
        """Return a warning that names corrections which the source has caught up with, or no longer fits."""
        idle = [one for n, one in enumerate(self.corrections) if n not in self._used]
        if not idle:
            return []
        examples = ", ".join(repr(one.query or one.standard_question) for one in idle[:_EXAMPLES])
        return [
            f"{len(idle)} of {len(self.corrections)} corrections of {self.name} have nothing to do ({examples}): the "
            "source holds them already, or no longer has what they correct. Nothing is to be done; --undo and a new "
            "to-do list clear them"
        ]

    def _follow(self, norm: str | None, label: str, after: int = -1) -> str | None:
        """Return the standard question of a row once all corrections after a number are made; None: it is removed."""
        while True:
            numbers = self._classes.get(label, [])
            numbers = numbers + (self._rows.get((norm, label), []) if norm is not None else [])
            number = min((one for one in numbers if one > after), default=None)
            if number is None:
                return label
            self._used.add(number)
            if self.corrections[number].do == "remove":
                return None
            label, after = self.corrections[number].to or label, number
