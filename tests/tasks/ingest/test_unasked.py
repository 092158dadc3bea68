"""Standard questions that a file names without a query: none is lost, for each is retrievable by its text."""

import json

import pytest

REPAY, LIMIT, BARE = "如何提前还款", "如何提高额度", "如何注销卡片"
QUERIES = {
    REPAY: ["怎么提前还款", "提前还款怎么办", "可以提前还款吗"],
    LIMIT: ["额度怎么提高", "想提高额度", "额度太低了"],
}
PAIRS = {(query, question) for question, queries in QUERIES.items() for query in queries}
THIRD = {**QUERIES, "如何查询账单": ["账单在哪查询", "怎么查账单", "查询账单"]}


def as_yaml(bare):
    return (
        "".join(f"{question}:\n" + "".join(f"  - {one}\n" for one in found) for question, found in QUERIES.items())
        + bare
    )


def as_nlu(bare):
    blocks = [f"- intent: {one}\n  examples: |\n" + "".join(f"    - {q}\n" for q in QUERIES[one]) for one in QUERIES]
    return 'version: "3.1"\nnlu:\n' + "".join(blocks) + bare


def as_markdown(intents):
    return "".join(f"## intent:{one}\n" + "".join(f"- {query}\n" for query in found) for one, found in intents.items())


def as_columns(columns):
    return "\n".join(",".join(cells) for cells in zip(*([one, *found] for one, found in columns.items()), strict=True))


def as_matrix(blank):
    rows = [
        f"{query},{','.join('1' if one == label else blank for one in (*THIRD, BARE))}"
        for label, found in THIRD.items()
        for query in found
    ]
    return "\n".join([f"query,{','.join(THIRD)},{BARE}", *rows])


FILES = {
    "a list": ("t.json", json.dumps(QUERIES | {BARE: []})),
    "null": ("t.json", json.dumps(QUERIES | {BARE: None})),
    "a list of null": ("t.json", json.dumps(QUERIES | {BARE: [None]})),
    "below a key": ("t.json", json.dumps({"version": 1, "faq": {**THIRD, BARE: []}, "synonyms": {}, "entities": []})),
    "objects": ("t.json", json.dumps({one: {"questions": found} for one, found in {**QUERIES, BARE: []}.items()})),
    "an empty object": ("t.json", json.dumps({one: {"queries": found} for one, found in QUERIES.items()} | {BARE: {}})),
    "YAML": ("t.yml", as_yaml(f"{BARE}:\n")),
    "YAML null": ("t.yml", as_yaml(f"{BARE}: null\n")),
    "YAML list": ("t.yml", as_yaml(f"{BARE}: []\n")),
    "Rasa": ("nlu.yml", as_nlu(f"- intent: {BARE}\n- lookup: cities\n  examples: |\n    - 北京\n")),
    "Rasa, examples": ("nlu.yml", as_nlu(f"- intent: {BARE}\n  examples: |\n")),
    "Rasa, Markdown": ("nlu.md", as_markdown({**QUERIES, BARE: []})),
    "a matrix of blanks": ("t.csv", as_matrix("")),
    "a matrix": ("t.csv", as_matrix("0")),
    "columns": ("t.csv", as_columns({**THIRD, BARE: [""] * 3})),
}  # fmt: skip


@pytest.mark.parametrize("name", FILES)
def test_a_standard_question_without_queries_is_kept_and_told(name, write, ingest):
    """An empty list, a column without a mark, an intent without examples: as a row without a query is."""
    file, content = FILES[name]
    write(content, file)
    result = ingest(file)
    assert set(result.pairs) in (PAIRS, {(query, label) for label, found in THIRD.items() for query in found})
    assert (result.facts.without_query, result.facts.quarantined) == (1, 0)
    assert BARE in {text for (text,) in result.rows("standard_questions", "standard_question")}
    assert f"1 standard questions have no similar question ('{BARE}')" in " ".join(result.facts.warnings)
    write("query,label\na,x\nb,y\n", "rows.csv")
    tested = ingest("rows.csv", test_path=file)
    assert (tested.facts.quarantined_test, tested.facts.without_query) == (name == "a list of null", 0)


def test_an_empty_file_of_a_folder_of_files_is_a_standard_question(write, ingest):
    """But not where another file of its folder holds queries."""
    for label, queries in {**QUERIES, BARE: []}.items():
        write("\n".join(queries), f"bank/{label}.txt")
        write("\n".join(queries), f"nested/{label}/1.txt")
        write("", f"nested/{label}/2.txt")
    for folder in ("bank", "nested"):
        facts = ingest(folder).facts
        assert (facts.rows, facts.classes, facts.without_query, facts.quarantined) == (6, 3, 1, 0)


def test_what_is_beside_the_standard_questions_is_none(write, ingest):
    """Empty lists of entities, answers and the like."""
    write(
        json.dumps({"intents": QUERIES | {"如何查询账单": ["查账单"]}, "description": None, "regex": [], "slots": {}}),
        "t.json",
    )
    assert ingest("t.json").facts.classes == 3


def test_a_file_of_bare_standard_questions_is_refused(write, ingest):
    """It says how many, and of which file."""
    write('version: "3.1"\nnlu:\n- intent: a\n- intent: b\n', "nlu.yml")
    with pytest.raises(
        Exception, match=r"none of the 2 train rows is usable. 2 × empty query \(nlu.yml 'a', nlu.yml 'b'\)"
    ):
        ingest("nlu.yml")
