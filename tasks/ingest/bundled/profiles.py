"""How large the bundled corpora are, and how their rows spread over the standard questions."""

from random import Random
from typing import NamedTuple

SMALL = 3  # a class with this many rows or fewer counts as small
SMALL_SIZES = (1, 1, 1, 1, 2, 2, 2, 3, 3)  # how often small classes have one, two or three rows
HEAD = 14.0  # flattens the head: the larger, the smaller the largest class


class Profile(NamedTuple):
    """The shape of one corpus, as the article gives it."""

    rows: int
    classes: int
    small_classes: int  # with at most `SMALL` rows


PROFILES: dict[str, Profile] = {
    "a": Profile(rows=54_844, classes=396, small_classes=32),  # hotels
    "b": Profile(rows=56_014, classes=983, small_classes=128),  # trains and what is sold beside them
    "c": Profile(rows=10_005, classes=1_035, small_classes=787),  # flights
}


def draw_sizes(profile: Profile, rng: Random) -> list[int]:
    """Rows per class, largest first, small classes last; sums to `profile.rows` exactly.

    The large classes follow a Zipf-Mandelbrot law that ends just above `SMALL`. Only divisions are used,
    no powers or logarithms, so that every machine rounds alike.
    """
    small = sorted((rng.choice(SMALL_SIZES) for _ in range(profile.small_classes)), reverse=True)
    large = profile.classes - profile.small_classes
    weights = [1 / (rank + HEAD) - 1 / (large + HEAD) for rank in range(large)]
    spare = profile.rows - sum(small) - large * (SMALL + 1)
    scale = spare / sum(weights)
    extra = [int(weight * scale) for weight in weights]
    for rank in range(spare - sum(extra)):  # what rounding down left over
        extra[rank % large] += 1
    return [SMALL + 1 + more for more in extra] + small
