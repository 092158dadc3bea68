"""What a person changed of a corpus's standard questions since its last export: kept until an export says so, too."""

from collections.abc import Container, Sequence
from typing import Literal, Self

from pydantic import BaseModel, ConfigDict

from schemas.errors import EditError

Action = Literal["add", "edit", "remove"]
Value = str | int | float | bool | None | list[str]  # of a field; None: it has none any more


class Edit(BaseModel):
    """One standard question as it is to be."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    action: Action
    standard_question: str  # as the export has it; of an added one, as it will
    text: str | None = None  # edit: what it is called now; None: as it was
    id: str | None = None  # add
    similar_queries: list[str] = []
    payload: dict[str, Value] = {}
    at: str = ""  # ISO 8601, UTC

    @property
    def name(self) -> str:
        """What it is called in the model that has it."""
        return self.text or self.standard_question

    def describe(self) -> str:
        """Return a few words for a person."""
        count = len(self.similar_queries)
        parts = [f"called {self.text!r}"] if self.text else []
        parts += [f"{count} similar {'query' if count == 1 else 'queries'}"] if count else []
        parts += self.payload
        return f"{self.action} {self.standard_question!r}" + (f" ({', '.join(parts)})" if parts else "")


class Expected(BaseModel):
    """How often standard questions of about as many queries were found, when the version was measured."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    recall_at_10: float
    rows: str  # of training, such as "1-3"
    test_rows: int

    def describe(self) -> str:
        """Return a sentence for a person."""
        return (
            f"expect it among the first ten for about {self.recall_at_10:.0%} of its queries: so many were found of "
            f"standard questions with {self.rows} training rows ({self.test_rows:,} test rows)"
        )


class Overlay(BaseModel):
    """All edits that no export has yet, at most one of each standard question; overlay.json of a version."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    schema_version: Literal[1] = 1
    edits: list[Edit] = []

    def find(self, name: str) -> Edit | None:
        """Return the edit of what is, or was, called so; None: there is none."""
        return next((edit for edit in self.edits if name in (edit.name, edit.standard_question)), None)

    def without(self, edit: Edit) -> Self:
        """Return the others."""
        return self.model_copy(update={"edits": [one for one in self.edits if one != edit]})

    def followed_by(self, edit: Edit) -> Self:
        """Return what holds when one more edit is made: it joins an earlier one of the same standard question."""
        before = next((one for one in self.edits if one.name == edit.standard_question), None)
        if before is None:
            return self.model_copy(update={"edits": [*self.edits, edit]})
        rest, joined = self.without(before), _join(before, edit)
        return rest if joined is None else rest.model_copy(update={"edits": [*rest.edits, joined]})


class Taken(BaseModel):
    """What ingest did with an overlay; edits.json."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    edits: list[Edit] = []  # that there were
    left: list[Edit] = []  # of them, those that the export does not have

    def renamed(self, known: Container[str]) -> dict[str, str]:
        """Return what standard questions are called now, by their earlier texts, which are kept as similar queries.

        Args:
            known: the standard questions that there are; no text of theirs is an earlier one.
        """
        return {
            old: edit.name
            for edit in self.edits
            for old in (edit.standard_question, *edit.similar_queries)
            if edit.name in known and old not in known
        }


def read_fields(pairs: Sequence[str]) -> dict[str, Value]:
    """Return the values that words such as `category=loans` mean; `category=`: none; one name twice: a list.

    Raises:
        EditError: one has no name.
    """
    found = dict[str, Value]()
    for pair in pairs:
        name, sign, value = (part.strip() for part in pair.partition("="))
        if not sign or not name:
            raise EditError(f"{pair!r} is no field; write NAME=VALUE")
        before = found.get(name)
        found[name] = value or None
        if before is not None and value:
            found[name] = [*(before if isinstance(before, list) else [str(before)]), value]
    return found


def _join(before: Edit, edit: Edit) -> Edit | None:
    """Return two edits of one standard question as one; None: they come to nothing."""
    if edit.action == "remove":
        if before.action == "add":
            return None
        return Edit(action="remove", standard_question=before.standard_question, at=edit.at)
    if before.action == "remove":  # it is wanted again
        return edit.model_copy(update={"action": "edit", "standard_question": before.standard_question})
    queries = [*dict.fromkeys([*before.similar_queries, *edit.similar_queries])]
    queries = [query for query in queries if query != edit.name]  # it has its first text again
    joined = {"similar_queries": queries, "payload": before.payload | edit.payload, "at": edit.at}
    if before.action == "add":
        return before.model_copy(update=joined | {"standard_question": edit.name})
    return before.model_copy(update=joined | {"text": edit.text or before.text})
