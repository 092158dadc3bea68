"""Groups of standard questions that have the same answer, by class. Pure, but for their file.

They never oppose each other in training, and evaluation tells, beside recall, what any of a group finds.
"""

import json
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from schemas.manifest import write_atomically
from schemas.outputs import PrepareOutput


def number_groups(groups: Sequence[Sequence[str]], texts: Sequence[str]) -> list[list[int]]:
    """Return groups of texts as groups of class ids."""
    numbers = {text: number for number, text in enumerate(texts)}
    return [sorted(numbers[text] for text in group) for group in groups]


def write_groups(output: PrepareOutput, groups: Sequence[Sequence[int]]) -> None:
    """Write the groups; no file where there are none."""
    if groups:
        write_atomically(output.groups, json.dumps(groups).encode())


def read_groups(output: PrepareOutput) -> list[list[int]]:
    """Return the groups; none without a file."""
    found: list[list[int]] = json.loads(output.groups.read_bytes()) if output.groups.exists() else []
    return found


def group_of(groups: Sequence[Sequence[int]], classes: int) -> NDArray[np.int64]:
    """Return (classes + 1,) the group of each class: its first member; the last, -1, is that of a row without a class.

    A class in no group is one by itself.
    """
    found = np.append(np.arange(classes), -1)
    for group in groups:
        found[group] = group[0]
    return found


def bar_groups(duplicates: Sequence[Sequence[int]], groups: Sequence[Sequence[int]]) -> list[list[int]]:
    """Return, per class, which others it never opposes: near-duplicates, and those of its group."""
    barred = [list(others) for others in duplicates]
    for group in groups:
        for one in group:
            barred[one] = sorted({*barred[one], *group} - {one})
    return barred
