"""Counter-based randomness."""

import subprocess
import sys

import numpy as np

from tasks.retrieval.hashing import keys, splitmix64, text_keys, uniform


def reference_splitmix64(state: int, count: int) -> list[int]:
    """Return the first outputs of splitmix64 in plain integers, as published."""
    outputs = []
    for _ in range(count):
        state = (state + 0x9E3779B97F4A7C15) % 2**64
        z = state
        z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9 % 2**64
        z = (z ^ (z >> 27)) * 0x94D049BB133111EB % 2**64
        outputs.append(z ^ (z >> 31))
    return outputs


def test_splitmix64_gives_the_published_outputs():
    """From state 0 the generator is known to start with these three numbers."""
    states = (np.arange(3, dtype=np.uint64) * np.uint64(0x9E3779B97F4A7C15)).astype(np.uint64)

    assert [hex(value) for value in splitmix64(states).tolist()] == [
        "0xe220a8397b1dcdaf",
        "0x6e789e6aa1b965f4",
        "0x6c45d188009454f",
    ]


def test_splitmix64_equals_plain_integer_arithmetic_at_any_state():
    """Large states wrap around 2^64 as they must."""
    states = [1, 1234567, 2**63, 2**64 - 1]

    assert splitmix64(np.array(states, dtype=np.uint64)).tolist() == [reference_splitmix64(s, 1)[0] for s in states]


def test_keys_differ_by_seed_purpose_and_every_counter():
    """One changed argument changes every key."""
    rows = np.arange(100)
    base = keys(1, "shuffle", rows, 0)

    for other in (keys(2, "shuffle", rows, 0), keys(1, "split", rows, 0), keys(1, "shuffle", rows, 1)):
        assert not np.intersect1d(base, other).size
    assert len(np.unique(base)) == 100


def test_the_order_of_counters_matters():
    """Row 1 of epoch 2 is not row 2 of epoch 1."""
    assert keys(1, "negatives", 1, 2) != keys(1, "negatives", 2, 1)


def test_a_key_does_not_depend_on_who_else_asks():
    """A row alone has the key it has among others."""
    assert keys(7, "shuffle", np.arange(50))[31] == keys(7, "shuffle", np.array([31]))[0]


def test_uniform_lies_in_the_half_open_unit_interval_and_is_flat():
    """The ends are exact, and a hundred bins of 100,000 draws deviate as chance does (chi-square, 99 degrees)."""
    ends = uniform(np.array([0, 2**64 - 1], dtype=np.uint64))
    assert ends.tolist() == [0.0, 1 - 2.0**-53]

    values = uniform(keys(3, "any", np.arange(100_000)))
    observed = np.histogram(values, bins=100, range=(0, 1))[0]
    chi = ((observed - 1000) ** 2 / 1000).sum()
    assert 50 < chi < 170  # mean 99, deviation 14


def test_text_keys_depend_on_the_text_alone():
    """Equal texts meet, others do not, and another process (another hash seed) agrees."""
    texts = ["退票", "退票 ", "refund", "退票"]
    here = text_keys(texts).tolist()
    script = f"from tasks.retrieval.hashing import text_keys; print(text_keys({texts!r}).tolist())"

    assert here[0] == here[3]
    assert len(set(here)) == 3
    there = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert there.stdout.strip() == str(here)
