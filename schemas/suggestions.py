"""The nearest of the names that are known, for a message about one that is not."""

import difflib
import unicodedata
from collections.abc import Iterable

from schemas.display import in_one_line, printable


def nearest(given: str, known: Iterable[str], most: int = 1, cutoff: float = 0.6) -> list[str]:
    """Return the names nearest to one that is not known, best first, never that name itself."""
    others = [name for name in known if name != given]
    return difflib.get_close_matches(given, others, n=most, cutoff=cutoff)


def did_you_mean(given: str, near: Iterable[str]) -> str:
    """Return the question; empty where nothing is near."""
    names = [tell_apart(given, name) for name in near if name != given]
    if any(name.endswith(("?", "？")) for name in names):  # a standard question is one, and asks for itself
        return f"; did you mean {' or '.join(f'“{name}”' for name in names)}"
    return f"; did you mean {' or '.join(names)}?" if names else ""


def tell_apart(given: str, name: str) -> str:
    """Return a name written so that it differs from the given one, even where both look the same."""
    alike = _look_of(given) == _look_of(name)
    return f"{in_one_line(name)} (as code points {name!a}, not {given!a})" if alike else printable(name)


def _look_of(name: str) -> str:
    folded = unicodedata.normalize("NFKC", name)
    return "".join(letter for letter in folded if letter.isprintable() and not letter.isspace())
