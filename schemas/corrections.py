"""What the owner has corrected of a corpus: an overlay beside it, that every night applies; her files stay as they are.

One JSON object a line, in the order in which they were made, in DSSM_HOME/corrections/<corpus>.jsonl, or in the store.
"""

from typing import Literal

from pydantic import BaseModel, ConfigDict, ValidationError

from schemas.doctor import ActionKind
from schemas.errors import SourceError

CORRECTIONS = "corrections"  # below DSSM_HOME

# a row, a row, a row, a standard question with all its rows, and two that have the same answer
Do = Literal["add", "move", "remove", "rename", "group"]


class Correction(BaseModel):
    """One change of the rows, or of a standard question."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    batch: str  # of one application; --undo takes the last one back
    do: Do
    standard_question: str  # as the source, and the corrections before this one, have it
    query: str | None = None  # of a row
    # another standard question: of "move", of "rename", which merges where it is there, and of "group" the other one
    to: str | None = None
    drafted: bool = False  # of "add": a language model wrote it, so that it is never tested on
    action: ActionKind | None = None  # of the to-do list
    gain: float | None = None  # points of recall@10 that the action was forecast to win, on its first correction


def corrections_path(corpus: str) -> str:
    """Return where the corrections of a corpus lie below DSSM_HOME, or in the store, whether there are any or not."""
    return f"{CORRECTIONS}/{corpus}.jsonl"


def parse_corrections(content: bytes | None, where: str) -> list[Correction]:
    """Return the corrections of a file, in their order; none where there is no file.

    Args:
        content: of the file; None: there is none.
        where: it lies, for the message.

    Raises:
        SourceError: a line is none; the message names it.
    """
    found = []
    for number, line in enumerate((content or b"").decode("utf-8", "replace").splitlines(), 1):
        try:
            found.append(Correction.model_validate_json(line))
        except ValidationError as error:
            why = error.errors(include_url=False, include_input=False)[0]
            raise SourceError(
                f"{where}:{number} is no correction ({'.'.join(map(str, why['loc'])) or 'JSON'}: {why['msg']}); it is "
                "written by dssm check --apply. Delete the line, or the file to do without corrections"
            ) from error
    return found


def write_lines(corrections: list[Correction]) -> bytes:
    """Return the content of a file of corrections."""
    return "".join(one.model_dump_json(exclude_defaults=True) + "\n" for one in corrections).encode()
