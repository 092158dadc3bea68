"""The bundled corpora have the article's shape, are reproducible, and get harder when told to."""

import hashlib
import os
import subprocess
import sys
import unicodedata
from pathlib import Path

import pyarrow as pa
import pytest

from tasks.ingest.bundled import DIFFICULTY, PROFILES, generate

CORPORA = ("a", "b", "c")


@pytest.fixture(scope="module")
def tables() -> dict[str, pa.Table]:
    """Every corpus once, with the default seed and difficulty."""
    return {corpus: generate(corpus) for corpus in CORPORA}


def read(table: pa.Table) -> tuple[list[str], list[str]]:
    """The two columns as lists."""
    return table.column("query").to_pylist(), table.column("standard_question").to_pylist()


def count_rows(standards: list[str]) -> dict[str, int]:
    """Rows per standard question."""
    sizes: dict[str, int] = {}
    for standard in standards:
        sizes[standard] = sizes.get(standard, 0) + 1
    return sizes


@pytest.mark.parametrize(
    ("corpus", "rows", "classes", "small"),
    [("a", 54_844, 396, 32), ("b", 56_014, 983, 128), ("c", 10_005, 1_035, 787)],
)
def test_a_corpus_has_exactly_the_articles_profile(tables, corpus, rows, classes, small):
    """Rows, classes and classes with at most three rows, as the article counts them."""
    sizes = count_rows(read(tables[corpus])[1])

    assert PROFILES[corpus] == (rows, classes, small)
    assert (sum(sizes.values()), len(sizes)) == (rows, classes)
    assert sum(size <= 3 for size in sizes.values()) == small
    assert {size for size in sizes.values() if size <= 3} == {1, 2, 3}


@pytest.mark.parametrize("corpus", CORPORA)
def test_the_largest_class_has_a_few_percent_of_the_rows(tables, corpus):
    """Heavy-tailed, but no class swallows the corpus."""
    sizes = count_rows(read(tables[corpus])[1])

    assert 0.015 < max(sizes.values()) / sum(sizes.values()) < 0.08


@pytest.mark.parametrize("corpus", CORPORA)
def test_rows_stand_ordered_by_standard_question(tables, corpus):
    """As the article's data did, which is what the shuffle has to cure."""
    standards = read(tables[corpus])[1]

    assert standards == sorted(standards)


@pytest.mark.parametrize("corpus", CORPORA)
def test_no_text_is_empty_or_keeps_grammar_marks(tables, corpus):
    """Every template was resolved to the end, and trimmed."""
    queries, standards = read(tables[corpus])

    for text in [*queries, *set(standards)]:
        assert text
        assert text == text.strip()
        assert not set("{}()|") & set(text)


@pytest.mark.parametrize("corpus", CORPORA)
def test_standard_questions_stay_distinct_after_normalising(tables, corpus):
    """No class is another one in full-width letters, capitals or spaces."""
    standards = set(read(tables[corpus])[1])

    assert len({unicodedata.normalize("NFKC", text).lower().strip() for text in standards}) == len(standards)


@pytest.mark.parametrize("corpus", CORPORA)
def test_few_queries_repeat_an_earlier_one(tables, corpus):
    """Some do, as in real logs; a tenth would make the held-out rows too easy."""
    queries, _ = read(tables[corpus])

    assert 0 < 1 - len(set(queries)) / len(queries) < 0.1


def test_the_same_seed_makes_the_same_corpus(tables):
    """Equal in this process; the next test looks at other processes."""
    assert generate("c").equals(tables["c"])


@pytest.mark.parametrize(
    ("corpus", "digest"), [("a", "7ea5e330578f04f1"), ("b", "14d142248f7e140f"), ("c", "b66a0a58b1de1964")]
)
def test_a_corpus_keeps_its_bytes(tables, corpus, digest):
    """Measured figures are about these rows: a change of words or code that alters them is made on purpose."""
    assert hashlib.sha256(repr(tables[corpus].to_pydict()).encode()).hexdigest()[:16] == digest


def test_the_hash_seed_of_the_process_does_not_matter():
    """Nothing depends on the order of a set or on `hash`."""
    script = (
        "import hashlib; from tasks.ingest.bundled import generate; t = generate('c');"
        "print(hashlib.sha256(repr(t.to_pydict()).encode()).hexdigest())"
    )
    root = Path(__file__).resolve().parents[3]
    digests = {
        subprocess.run(
            [sys.executable, "-c", script],
            cwd=root,
            env=os.environ | {"PYTHONHASHSEED": hash_seed},
            capture_output=True,
            check=True,
        ).stdout
        for hash_seed in ("1", "2")
    }

    assert len(digests) == 1


def test_another_seed_changes_the_queries_but_not_the_standard_questions(tables):
    """The bot stays, the customers and what they ask most change."""
    queries, standards = read(tables["c"])
    others, other_standards = read(generate("c", seed=14))

    assert set(standards) == set(other_standards)
    assert count_rows(standards) != count_rows(other_standards)
    assert len(set(queries) & set(others)) < len(set(queries)) / 3


@pytest.mark.parametrize("corpus", CORPORA)
def test_a_greater_difficulty_makes_queries_less_like_their_standard_question(corpus):
    """Measured as the share of a standard question's characters that its query repeats."""

    def measure_overlap(difficulty: float) -> float:
        pairs = zip(*read(generate(corpus, difficulty=difficulty)), strict=True)
        shares = [len(set(query) & set(standard)) / len(set(standard)) for query, standard in pairs]
        return sum(shares) / len(shares)

    overlaps = [measure_overlap(difficulty) for difficulty in (0, 0.25, 0.5, 0.75, 1)]

    assert overlaps == sorted(overlaps, reverse=True)
    assert overlaps[0] - overlaps[-1] > 0.1


def test_the_default_difficulty_is_the_documented_constant(tables):
    """Tuning the constant tunes what `generate` makes."""
    assert generate("c", difficulty=DIFFICULTY).equals(tables["c"])


def test_an_unknown_corpus_is_refused_by_naming_the_known_ones():
    """A typo in a source should cost one look."""
    with pytest.raises(ValueError, match=r"'d'; expected one of a, b, c"):
        generate("d")


@pytest.mark.parametrize("difficulty", [-0.1, 1.1])
def test_a_difficulty_outside_its_range_is_refused(difficulty):
    """Shares above one or below zero mean nothing."""
    with pytest.raises(ValueError, match="between 0 and 1"):
        generate("c", difficulty=difficulty)
