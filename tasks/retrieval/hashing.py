"""Counter-based randomness: a number depends on (seed, what it is for, row), never on who asks first.

That makes shuffles, splits and negatives equal on one process, on many, and on a run that was
killed and resumed. Splitmix64: Steele, Lea, Flood 2014, "Fast Splittable Pseudorandom Number
Generators" (OOPSLA), section 4, with the finaliser of Stafford's variant 13.
"""

import hashlib
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

_GOLDEN = np.uint64(0x9E3779B97F4A7C15)
_MIX_1 = np.uint64(0xBF58476D1CE4E5B9)
_MIX_2 = np.uint64(0x94D049BB133111EB)


def splitmix64(values: NDArray[np.uint64]) -> NDArray[np.uint64]:
    """Return the splitmix64 output of each 64-bit state; a bijection."""
    with np.errstate(over="ignore"):
        mixed = values + _GOLDEN
        mixed = (mixed ^ (mixed >> np.uint64(30))) * _MIX_1
        mixed = (mixed ^ (mixed >> np.uint64(27))) * _MIX_2
        return mixed ^ (mixed >> np.uint64(31))


def keys(seed: int, purpose: str, *counters: NDArray[np.integer] | int) -> NDArray[np.uint64]:
    """Return one 64-bit key per broadcast element of `counters`.

    Args:
        seed: the corpus's seed.
        purpose: keeps the keys of different uses apart, e.g. "shuffle".
        counters: what the key is for, e.g. row ids and an epoch.
    """
    digest = hashlib.sha256(f"{seed}/{purpose}".encode()).digest()
    state = np.atleast_1d(np.frombuffer(digest[:8], dtype=np.uint64)[0])
    for counter in counters:
        state = splitmix64(state ^ splitmix64(np.asarray(counter).astype(np.uint64)))
    return state


def uniform(random: NDArray[np.uint64]) -> NDArray[np.float64]:
    """Map 64-bit keys to [0, 1) with 53 bits."""
    return (random >> np.uint64(11)).astype(np.float64) * 2.0**-53


def text_keys(texts: Sequence[str]) -> NDArray[np.uint64]:
    """Return a 64-bit key per text that depends on its UTF-8 bytes alone (unlike hash())."""
    digests = b"".join(hashlib.blake2b(text.encode(), digest_size=8).digest() for text in texts)
    return np.frombuffer(digests, dtype="<u8").astype(np.uint64)
