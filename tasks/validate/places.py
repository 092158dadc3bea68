"""Where a row stands, as people read it: the file by its name, its folder once. Pure."""

import posixpath
from collections.abc import Iterable


def shorten_paths(sources: Iterable[str]) -> dict[str, str]:
    """Return each of some files or addresses by the shortest end of it that no other has."""
    left, short = set(sources), dict[str, str]()
    depth = 1
    while left:
        ends = {source: "/".join(source.split("/")[-depth:]) for source in left}
        taken = list(ends.values())
        short |= {source: end for source, end in ends.items() if taken.count(end) == 1 or end == source}
        left -= set(short)
        depth += 1
    return short


def name_folders(sources: Iterable[str]) -> list[str]:
    """Return the folders that files or addresses lie in, each once, sorted."""
    return sorted({posixpath.dirname(source) for source in sources} - {""})
