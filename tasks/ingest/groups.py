"""Standard questions that have the same answer, as the owner of the corpus accepted them: groups beside the rows."""

import json
from collections.abc import Sequence

from schemas.manifest import write_atomically
from schemas.outputs import IngestOutput


def write_groups(output: IngestOutput, groups: Sequence[Sequence[str]]) -> None:
    """Write groups of standard questions, at least two each; no file where there are none."""
    output.groups.unlink(missing_ok=True)
    if groups:
        write_atomically(output.groups, json.dumps(groups, ensure_ascii=False, indent=1).encode())


def read_groups(output: IngestOutput) -> list[list[str]]:
    """Return the groups; none without a file."""
    found: list[list[str]] = json.loads(output.groups.read_bytes()) if output.groups.exists() else []
    return found
