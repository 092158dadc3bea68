"""Exports of other platforms: each in its format, damaged, and beside what only looks like it."""

import json
import textwrap
import zipfile
from typing import Any

import pytest

from schemas.errors import SourceError


def as_json(value: Any, indent: int | None = None) -> str:
    return json.dumps(value, ensure_ascii=False, indent=indent)


def yaml(text: str) -> str:
    return textwrap.dedent(text).lstrip()


RASA = yaml(
    """
    version: "3.1"
    nlu:
    - intent: refund
      examples: |
        - give me my money back
        - refund the [ticket](product:item) to [Berlin]{"entity": "city", "role": "to"}
    - intent: faq/opening
      examples: |
        - are you open on [sunday][{"entity": "day"}, {"entity": "time"}]?
    - synonym: ticket
      examples: |
        - pass
    - lookup: city
      examples: |
        - Berlin
    - regex: zip
      examples: |
        - \\d{5}
    - intent: yes
      examples:
      - text: |
          - that is right
        metadata: {sentiment: good}
    responses:
      utter_faq/opening:
      - text: From nine to five.
    """
)
RASA_ROWS = [
    ("give me my money back", "refund"),
    ("refund the ticket to Berlin", "refund"),
    ("are you open on sunday?", "faq/opening"),
    ("that is right", "yes"),
]
RASA_MD = yaml(
    """
    <!-- exported -->
    ## intent:refund
    - give me my money back
    - refund the [ticket](product)

    ## synonym:ticket
    - pass

    ##intent: faq/opening
    * are you open on sunday?
    """
)
LUIS = {
    "intents": [{"name": "Refund"}, {"name": "None"}],
    "entities": [{"name": "Product", "roles": []}],
    "patterns": [{"pattern": "refund my {Product}", "intent": "Refund"}],
    "utterances": [
        {"text": "money back", "intent": "Refund", "entities": []},
        {"text": "nice weather", "intent": "None", "entities": [{"entity": "x", "startPos": 0, "endPos": 3}]},
    ],
    "luis_schema_version": "7.0.0",
    "name": "shop",
}
LUIS_ROWS = [("money back", "Refund"), ("nice weather", "None")]
CLU = {
    "projectFileVersion": "2022-10-01-preview",
    "assets": {
        "projectKind": "Conversation",
        "intents": [{"category": "Refund"}],
        "utterances": [
            {"text": "money back", "language": "en-us", "intent": "Refund", "entities": [], "dataset": "Train"},
            {"text": "kept for tests", "language": "en-us", "intent": "Refund", "entities": [], "dataset": "Test"},
        ],
    },
}
WATSON = {
    "name": "shop",
    "intents": [
        {"intent": "refund", "examples": [{"text": "money back"}, {"text": "refund"}], "description": ""},
        {"intent": "hours", "examples": [{"text": "when do you open"}]},
    ],
    "entities": [{"entity": "product", "values": [{"value": "ticket", "synonyms": ["pass"]}]}],
    "dialog_nodes": [{"title": "Welcome", "output": {"generic": [{"values": [{"text": "Hello"}]}]}}],
}
WATSON_ROWS = [("money back", "refund"), ("refund", "refund"), ("when do you open", "hours")]
TAGS = {"intents": [{"tag": "refund", "patterns": ["money back", "refund"], "responses": ["Sure."]}]}
ALEXA = {
    "interactionModel": {
        "languageModel": {
            "invocationName": "shop",
            "intents": [
                {"name": "AMAZON.StopIntent", "samples": []},
                {"name": "Refund", "slots": [{"name": "item"}], "samples": ["refund {item}", "money back"]},
            ],
        }
    }
}
SNIPS = {
    "language": "en",
    "entities": {"city": {"data": [], "use_synonyms": True}},
    "intents": {
        "book": {
            "utterances": [{"data": [{"text": "fly to "}, {"text": "Berlin", "entity": "city", "slot_name": "to"}]}]
        },
        "refund": {"utterances": [{"data": [{"text": "money back"}]}]},
    },
}
SNIPS_YAML = yaml(
    """
    ---
    type: intent
    name: book
    slots:
    - name: to
      entity: city
    utterances:
    - fly to [to:city](Berlin)
    ---
    type: entity
    name: city
    values:
    - [Paris, Lutetia]
    ---
    type: intent
    name: refund
    utterances:
    - money back
    """
)
SNIPS_ROWS = [("fly to Berlin", "book"), ("money back", "refund")]
CLINC = {
    "oos_val": [["what is love", "oos"]],
    "val": [["my money back", "refund"]],
    "train": [["refund it", "refund"], ["when do you open", "hours"]],
    "oos_test": [["sing", "oos"]],
    "test": [["refund now", "refund"]],
    "oos_train": [["dance", "oos"]],
}
CHATTERBOT = yaml(
    """
    categories:
    - shop
    conversations:
    - - When do you open?
      - At nine.
    - - Can I have my money back?
      - Yes.
      - Thank you.
    - - Nobody replied
    """
)
LABEL_STUDIO = [
    {
        "id": 1,
        "data": {"text": "money back"},
        "annotations": [{"result": [{"type": "choices", "value": {"choices": ["refund"]}}], "was_cancelled": False}],
        "predictions": [{"result": [{"value": {"choices": ["hours"]}}]}],
    },
    {"id": 2, "data": {"text": "both"}, "annotations": [{"result": [{"value": {"choices": ["refund", "hours"]}}]}]},
    {"id": 3, "data": {"text": "nobody looked"}, "annotations": []},
    {"id": 4, "data": {"text": "skipped"}, "annotations": [{"was_cancelled": True, "result": []}]},
]
PRODIGY = [
    {
        "text": "money back",
        "options": [{"id": 1, "text": "refund"}, {"id": 2, "text": "hours"}],
        "accept": [1],
        "answer": "accept",
    },
    {"text": "both", "options": [{"id": 1, "text": "refund"}, {"id": 2}], "accept": [1, 2], "answer": "accept"},
    {"text": "no", "options": [{"id": 1, "text": "refund"}], "accept": [1], "answer": "reject"},
    {"text": "unsure", "options": [{"id": 1, "text": "refund"}], "accept": [], "answer": "ignore"},
]
PRODIGY_LABELS = [
    {"text": "money back", "label": "refund", "answer": "accept"},
    {"text": "no", "label": "refund", "answer": "reject"},
]
QNA = {"qnaDocuments": [{"id": 1, "answer": "Sure.", "questions": ["Can I have a refund?", "money back"]}]}
CUSTOM_QNA = {
    "Metadata": {"Version": "1"},
    "Assets": {"Qnas": [{"Id": 1, "Answer": "Sure.", "Questions": ["Can I have a refund?", "money back"]}]},
}
HWU = (
    "userid;answerid;scenario;intent;status;answer_annotation;notes;suggested_entities;answer_normalised;answer;question\n"
    "1;1;alarm;set;;x;;;wake me up;wake me up at [time : nine];Write what you would tell your PDA\n"
    "1;2;calendar;set;;x;;;book a table;book a table;Write what you would tell your PDA\n"
    "1;3;calendar;set;IRR;x;;;no idea;no idea;Write what you would tell your PDA\n"
)
LINES = "".join(as_json(row) + "\n" for row in PRODIGY)


@pytest.mark.parametrize(
    ("kind", "name", "content", "rows", "reasons"),
    [
        ("Rasa NLU (YAML)", "nlu.yml", RASA, RASA_ROWS, []),
        ("Rasa NLU (Markdown)", "nlu.md", RASA_MD, [*RASA_ROWS[:1], ("refund the ticket", "refund"), RASA_ROWS[2]], []),
        (
            "Rasa NLU (JSON)",
            "nlu.json",
            as_json({"rasa_nlu_data": {"common_examples": [{"text": "money back", "intent": "refund"}]}}),
            [("money back", "refund")],
            [],
        ),
        ("Microsoft LUIS", "shop.json", as_json(LUIS, 2), LUIS_ROWS, []),
        ("Microsoft LUIS", "shop.txt", as_json(LUIS), LUIS_ROWS, []),
        ("Microsoft CLU", "shop.json", as_json(CLU, 2), LUIS_ROWS[:1], ["row of a test part"]),
        ("IBM Watson Assistant", "skill.json", as_json(WATSON), WATSON_ROWS, []),
        ("intents.json (tag, patterns)", "intents.json", as_json(TAGS, 2), WATSON_ROWS[:2], []),
        ("Amazon Alexa", "en.json", as_json(ALEXA), [("refund {item}", "Refund"), ("money back", "Refund")], None),
        ("Snips NLU", "dataset.json", as_json(SNIPS), SNIPS_ROWS, []),
        ("Snips NLU", "shop.yaml", SNIPS_YAML, SNIPS_ROWS, []),
        ("Snips NLU", "one.yaml", SNIPS_YAML.split("---\n")[1], SNIPS_ROWS[:1], []),
        ("Snips NLU", "train.json", as_json({"book": SNIPS["intents"]["book"]["utterances"]}), SNIPS_ROWS[:1], []),
        (
            "CLINC150",
            "data_full.json",
            as_json(CLINC, 1),
            [("my money back", "refund"), ("refund it", "refund"), ("when do you open", "hours")],
            ["out of scope", "row of a test part", "row of a test part", "out of scope"],
        ),
        (
            "ChatterBot corpus",
            "shop.yml",
            CHATTERBOT,
            [("When do you open?", "At nine."), ("Can I have my money back?", "Yes.")],
            ["empty standard question"],
        ),
        (
            "Label Studio",
            "export.json",
            as_json(LABEL_STUDIO),
            [("money back", "refund")],
            ["several labels", "empty standard question", "empty standard question"],
        ),
        (
            "Prodigy",
            "a.jsonl",
            LINES,
            [("money back", "refund")],
            ["several labels", "rejected by its annotator", "rejected by its annotator"],
        ),
        (
            "Prodigy",
            "a.jsonl",
            "".join(as_json(row) + "\n" for row in PRODIGY_LABELS),
            [("money back", "refund")],
            ["rejected by its annotator"],
        ),
        (
            "questions by answer (QnA Maker, Botpress)",
            "kb.json",
            as_json(QNA),
            [("money back", "Can I have a refund?")],
            [],
        ),
        (
            "questions by answer (QnA Maker, Botpress)",
            "kb.json",
            as_json(CUSTOM_QNA),
            [("money back", "Can I have a refund?")],
            [],
        ),
        (
            "queries by standard question",
            "map.json",
            as_json({"refund": ["money back", "refund"], "hours": ["when do you open"]}),
            WATSON_ROWS,
            [],
        ),
        (
            "fastText",
            "train.txt",
            "__label__refund money back\n\n__label__refund __label__hours , both\n__label__hours when do you open\n",
            [("money back", "refund"), ("when do you open", "hours")],
            ["several labels"],
        ),
        (
            "TREC",
            "train.label",
            "NUM:date When do you open ?\nABBR:exp What is a PNR ?\ntorn\n",
            [("When do you open ?", "NUM:date"), ("What is a PNR ?", "ABBR:exp")],
            ["torn row"],
        ),
        (
            "HWU64",
            "NLU-Data.csv",
            HWU,
            [("wake me up at [time : nine]", "alarm_set"), ("book a table", "calendar_set")],
            ["rejected by its annotator"],
        ),
    ],
    ids=lambda value: value if isinstance(value, str) and len(value) < 40 else "",
)
def test_an_export_is_read_by_what_it_is(kind, name, content, rows, reasons, write, ingest):
    """Queries as a customer types them, each with its standard question; what cannot be used by its reason."""
    if kind == "TREC":  # the last line is no question: it is recognised by the first 200
        content = content.replace("torn\n", "NUM:date When ?\n" * 200 + "torn\n")
        rows = [*rows, *[("When ?", "NUM:date")] * 200]
    write(content, name)
    ingested = ingest(name)
    assert ingested.pairs == rows
    assert ingested.facts.files[0].kind == kind
    assert reasons is None or [reason for _, reason in ingested.reasons] == reasons


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("nlu.yml", RASA[:60] + "\n  : [", "nlu.yml line"),
        ("nlu.yml", RASA.replace("- intent: yes", "- intent: *yes"), "holds a YAML alias (*yes)"),
        ("shop.json", as_json(LUIS, 2)[:-150], "shop.json is torn: it ends at line"),
        ("skill.json", as_json(WATSON)[:150], "skill.json is torn: it ends at line 1"),
        ("data_full.json", as_json(CLINC, 1).replace('"refund"\n', "refund\n", 1), "data_full.json is no JSON: line"),
        ("map.json", '{"a": ["x"], "b": ["y" "z"]}', "map.json is no JSON: line 1 has "),
        ("shop.yml", CHATTERBOT.replace("- - Can", "- - 'Can"), "shop.yml line"),
    ],
)
def test_a_damaged_export_is_refused_with_its_place(name, content, message, write, ingest):
    """Half of an export is never taken for the whole."""
    write(content, name)
    with pytest.raises(SourceError) as error:
        ingest(name)
    assert message in str(error.value)


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("rows.jsonl", [{"text": "money back", "intent": "refund"}]),
        # Keys of Prodigy, LUIS and Label Studio, and none of their files.
        ("rows.jsonl", [{"text": "money back", "label": "refund", "answer": "Sure, here it is."}]),
        ("rows.jsonl", [{"text": "money back", "intent": "refund", "entities": [], "data": {"text": "x"}}]),
        ("rows.jsonl", [{"text": "money back", "label": "refund", "accept": [1]}]),
    ],
)
def test_json_lines_that_only_look_like_an_export_are_a_table(name, content, write, ingest):
    """The keys of a row are anybody's."""
    write("".join(as_json(row) + "\n" for row in content * 3), name)
    ingested = ingest(name)
    assert ingested.facts.files[0].format == "jsonl"
    assert ingested.pairs == [("money back", "refund")] * 3


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("t.csv", "text,label\n__label__x is what fastText writes,a\nNUM:date is TREC,b\n"),
        ("t.txt", "query\tintent\n## intent:greet\ta\n- hello\tb\n"),
        ("t.csv", "answer,question,intent\nSure.,money back,a\nNine.,when,b\n"),
    ],
)
def test_tables_that_only_look_like_an_export_are_tables(name, content, write, ingest):
    """A mark inside a row makes no format."""
    write(content, name)
    ingested = ingest(name)
    assert ingested.facts.files[0].format == "csv"
    assert ingested.facts.rows == 2


def test_regions_of_a_picture_are_no_labels(write, ingest):
    """Label Studio annotates many things; only choices say what a text means."""
    regions = {"result": [{"type": "rectanglelabels", "value": {"x": 1, "rectanglelabels": ["open"]}}]}
    write(as_json([{"id": 1, "data": {"image": "a.jpg"}, "annotations": [regions]}]), "t.json")
    with pytest.raises(SourceError, match=r"Columns found: 'id', 'data\.image', 'annotations'"):
        ingest("t.json")


def test_named_columns_mean_a_table(write, ingest):
    """Whoever names columns knows better than an importer."""
    write(as_json(LUIS), "shop.json")
    ingested = ingest("shop.json", query_column="intent", question_column="text")
    assert ingested.pairs == [(label, text) for text, label in LUIS_ROWS]


def test_several_labels_are_exploded_where_the_setting_says_so(write, ingest):
    """One row for each label."""
    write(LINES, "a.jsonl")
    ingested = ingest("a.jsonl", multiple_labels="explode")
    assert ingested.pairs == [("money back", "refund"), ("both", "refund"), ("both", "2")]


def test_a_rasa_project_is_read_as_a_whole(write, ingest):
    """Examples of every file; stories, rules, the domain and answers are none. Tables in a folder are tables."""
    write(RASA, "bot/data/nlu/a.yml")
    write('version: "3.1"\nnlu:\n- intent: hours\n  examples: |\n    - when do you open\n', "bot/data/nlu/b.yml")
    write('version: "3.1"\nstories:\n- story: x\n  steps:\n  - intent: refund\n', "bot/data/stories.yml")
    write("intents: [refund]\nresponses:\n  utter_hi:\n  - text: Hi\n", "bot/domain.yml")
    write("# A bot\n\n- clone it\n", "bot/README.md")
    assert ingest("bot").pairs == [*RASA_ROWS, ("when do you open", "hours")]
    write("query,label\na,x\n", "bot/t.csv")
    assert ingest("bot").pairs == [("a", "x")]


def dialogflow(write, folder: str, texts: dict[str, list[str]]) -> None:
    write("{}", f"{folder}/agent.json")
    for name, phrases in texts.items():
        write(as_json({"name": f"{name} (named)", "responses": []}), f"{folder}/intents/{name}.json")
        said = [{"id": "1", "data": [{"text": text[:4]}, {"text": text[4:], "meta": "@x"}]} for text in phrases]
        write(as_json(said), f"{folder}/intents/{name}_usersays_en.json")


def test_a_dialogflow_agent_is_read_as_a_whole(write, ingest):
    """Phrases of every intent, which is called as its own file says."""
    dialogflow(write, "agent", {"refund": ["money back", "refund"], "hours": ["when do you open"]})
    write(as_json([{"value": "Berlin", "synonyms": []}]), "agent/entities/city_entries_en.json")
    assert ingest("agent").pairs == [
        ("when do you open", "hours (named)"),
        ("money back", "refund (named)"),
        ("refund", "refund (named)"),
    ]


def test_an_agent_is_read_from_its_archive(tmp_path, write, ingest):
    """As Dialogflow exports it; an archive that holds no export is told as before."""
    dialogflow(write, "agent", {"refund": ["money back"]})
    with zipfile.ZipFile(tmp_path / "agent.zip", "w") as archive:
        for file in sorted((tmp_path / "agent").rglob("*.json")):
            archive.write(file, file.relative_to(tmp_path / "agent"))
    assert ingest("agent.zip").pairs == [("money back", "refund (named)")]
    with zipfile.ZipFile(tmp_path / "other.zip", "w") as archive:
        archive.writestr("a.bin", "x")
        archive.writestr("b.bin", "x")
    write(b"PK\x03\x04 torn", "torn.zip")
    for name in ("other.zip", "torn.zip"):
        with pytest.raises(SourceError, match="ZIP archive"):
            ingest(name)


def test_a_dialogflow_cx_agent_is_read_as_a_whole(write, ingest):
    """CX has a folder per intent, with a file of phrases per language."""
    phrases = {"trainingPhrases": [{"id": "1", "parts": [{"text": "money "}, {"text": "back"}], "repeatCount": 1}]}
    write(as_json(phrases), "agent/intents/refund/trainingPhrases/en.json")
    write(as_json({"displayName": "Refund"}), "agent/intents/refund/refund.json")
    assert ingest("agent").pairs == [("money back", "Refund")]


def test_a_file_of_dialogflow_phrases_is_called_like_its_intent(write, ingest):
    """Alone, it has no other name."""
    dialogflow(write, "agent", {"refund": ["money back"]})
    assert ingest("agent/intents/refund_usersays_en.json").pairs == [("money back", "refund")]


def test_a_damaged_file_of_an_agent_is_named(write, ingest):
    """Not the agent as a whole."""
    dialogflow(write, "agent", {"refund": ["money back"], "hours": ["when"]})
    write('[{"data": [{"te', "agent/intents/refund_usersays_en.json")
    with pytest.raises(SourceError, match=r"refund_usersays_en\.json is torn"):
        ingest("agent")
    write("{", "agent/intents/refund.json")
    with pytest.raises(SourceError, match=r"refund\.json cannot be read"):
        ingest("agent")


def test_a_folder_of_queries_per_standard_question(write, ingest):
    """The name of the file is the standard question; a query a line."""
    write("money back\n\nrefund it, please\n", "faq/退款.txt")
    write("when do you open\n", "faq/Opening hours.txt")
    write("when do you open\n", "faq/.hidden")
    assert ingest("faq").pairs == [
        ("when do you open", "Opening hours"),
        ("money back", "退款"),
        ("refund it, please", "退款"),
    ]


def test_a_folder_per_standard_question(write, ingest):
    """The name of the folder is the standard question."""
    write("money back\n", "faq/refund/1.txt")
    write("refund it\n", "faq/refund/2.txt")
    write("when do you open\n", "faq/hours/1.txt")
    assert ingest("faq").pairs == [("when do you open", "hours"), ("money back", "refund"), ("refund it", "refund")]


@pytest.mark.parametrize("head", ["query\tlabel\n", "query,label\n", ""])
def test_a_folder_of_text_tables_is_no_folder_of_queries(head, write, ingest):
    """Two parts of one table are common."""
    mark = "\t" if "\t" in head or not head else ","
    for name in ("1", "2"):
        write(head + f"money back{mark}refund\nwhen{mark}hours\n", f"faq/{name}.txt")
    if head:
        assert ingest("faq").pairs == [("money back", "refund"), ("when", "hours")] * 2
    else:
        with pytest.raises(SourceError, match="no column of queries"):
            ingest("faq")


def test_seq_in_and_label_are_read_together(write, ingest):
    """The tests are set aside; several labels are joined by a number sign."""
    for part in ("train", "test"):
        write("fly to berlin\nfares and times\n", f"atis/{part}/seq.in")
        write("O O B-city\nO O O\n", f"atis/{part}/seq.out")
        write("flight\nfare#flight\n", f"atis/{part}/label")
    ingested = ingest("atis")
    assert ingested.pairs == [("fly to berlin", "flight")]
    assert sorted(reason for _, reason in ingested.reasons) == ["row of a test part"] * 2 + ["several labels"]
    assert ingest("atis", multiple_labels="explode").facts.rows == 3
    assert ingest("atis/test").pairs == [("fly to berlin", "flight")]


def test_seq_in_without_as_many_labels_is_refused(write, ingest):
    """From the first missing line on, every label would be that of another query."""
    write("a\nb\n", "atis/seq.in")
    write("x\n", "atis/label")
    with pytest.raises(SourceError, match=r"label ends at line 1, the file beside it does not"):
        ingest("atis")
