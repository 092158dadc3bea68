"""Templates and exports of FAQ platforms, by kind: each gives the rows of the plain table, or is told why not."""

import re

import pytest

from schemas.errors import SourceError
from tests.tasks.ingest.binary_workbooks import make_xls, make_xlsb
from tests.tasks.ingest.test_exports import CLASSES, HEADER, LONG, as_csv, grouped, one_file
from tests.tasks.ingest.test_variants import ROWS, as_json, follow, in_cells, pack, same, workbook

SHEET = grouped()
ENGLISH = {
    "Where is my order?": ["track my parcel", "order status", "my package is late"],
    "How do I get a refund?": ["money back", "refund please", "return and refund"],
    "Can I pay by card?": ["do you take Visa", "card payment", "pay with a debit card"],
}

# --- columns

TEMPLATES = """
*问题标题/相似问法（多个用|隔开）/*答案/分类/状态 知识标题/相似问法/答案(默认视角)/类目/生效时间 问题/相似问题/答案内容/问题分类/答案类型
问题/扩展问/答案/标签/备注 问题名称/问法举例/回复内容/商品/类目 问题/客户问法示例/回复话术/场景/标签 主问题/近似问/答案/分类/类别
Question/Variations/Answer/Category/Folder AnswerTitle/ExampleQuestions/AnswerContent/Topic/Status
ArticleTitle/CustomerQuestions/Body/Tags/URL AnswerName/TrainingQuestions/AnswerBody/Category/Label
_question/_alternatives/_answer/_category/_source_uri 標準質問/類似質問/回答/カテゴリ/状態 //标准问/相似问/答案/分类/标签
"""  # noqa: E501 - wide characters


@pytest.mark.parametrize("names", [tuple(re.split("(?<!/)/(?!/)", one)) for one in TEMPLATES.split()], ids="/".join)
def test_beside_wordings_of_a_question_its_subject_is_no_standard_question(names, write, ingest):
    """A title is; a category, a label or a folder stands beside it in nearly every template, and before it in some."""
    rows = [(label, "\n".join(cell), "见官网", "业务", "") for label, cell in SHEET.items()]
    for order in ((0, 1, 2, 3, 4), (3, 4, 1, 0, 2)):
        write(as_csv([[row[at] for at in order] for row in (names, *rows)]))
        assert same(ingest())


@pytest.mark.parametrize(
    "names", [("text", "question", "label"), ("utterance", "title", "intent"), ("query", "标题", "分类")]
)
def test_beside_logged_queries_a_label_stays_the_standard_question(names, write, ingest):
    """A log has titles and questions as well, which are something else."""
    write(as_csv([names, *((query, f"t{at}", label) for at, (label, query) in enumerate(ROWS))]))
    assert same(ingest())


@pytest.mark.parametrize(
    ("names", "standard", "similar"),
    [
        (("编号", "类型", "内容"), "标准问", "相似问"),
        (("知识ID", "问题类型", "问题"), "标准问题", "扩展问"),
        (("group", "is_standard", "question"), "1", "0"),
        (("组", "是否标准问", "问题"), "是", "否"),
    ],
)
def test_a_column_that_says_which_questions_are_standard_is_followed(names, standard, similar, write, ingest):
    """Each row belongs to the standard question above it."""
    rows = [
        row
        for at, (label, cell) in enumerate(SHEET.items())
        for row in [(at, standard, label), *((at, similar, query) for query in cell)]
    ]
    write(as_csv([names, *rows]))
    assert same(ingest())
    write(as_csv([names, (0, similar, "没有标准问"), *rows]))
    with pytest.raises(SourceError, match="above the first standard question; sort the rows"):
        ingest()


def test_pairs_of_texts_that_mean_the_same_or_not_are_no_standard_questions(write, ingest):
    """The advice keeps them, where somebody wants that."""
    write(as_csv([("sentence1", "sentence2", "label"), *((query, label, "1") for label, query in ROWS)]))
    with pytest.raises(SourceError, match="pairs of texts that mean the same") as refused:
        ingest()
    assert same(ingest(**follow(str(refused.value))))


def test_tables_side_by_side_are_told(write, ingest):
    """To rename a column would mix them."""
    write(as_csv([(*HEADER, *HEADER), *((*one, *other) for one, other in zip(ROWS[::2], ROWS[1::2], strict=True))]))
    with pytest.raises(SourceError, match="tables side by side; put them below each other"):
        ingest()


def test_a_list_alone_is_told_where_it_belongs(write, ingest):
    """Standard questions with answers are no rows to train on."""
    write(as_csv([("标准问", "答案"), *((label, "见官网") for label in CLASSES)]))
    with pytest.raises(SourceError, match="given beside the rows, with --questions"):
        ingest()


# --- several similar questions in a cell

SEPARATORS = ["^_^", "{}", "[SEP]", "<sep>", "[换行]", "  ", "\u3000", " 或 ", " OR "]


@pytest.mark.parametrize("sign", SEPARATORS)
def test_a_token_between_similar_questions_splits_them(sign, write, ingest):
    """In any brackets, or blanks that no sentence has."""
    write(in_cells(sign.join))
    assert same(ingest())


@pytest.mark.parametrize("frame", ["【{}】", "《{}》", "（{}）", "({})", "“{}”", "'{}'", "「{}」", "{{{}}}"])
@pytest.mark.parametrize("between", ["", "，", ", ", "\n", "；"])
def test_brackets_around_each_similar_question_split_them(frame, between, write, ingest):
    """Whatever stands between."""
    write(in_cells(lambda cell: between.join(map(frame.format, cell))))
    assert same(ingest())


@pytest.mark.parametrize("signs", [["；", "\n", "|", "/"], ["；", "\n"], ["\n", "|", "<br>"], ["；", "、"]])
def test_several_people_fill_in_one_sheet(signs, write, ingest):
    """Each with a separator of their own."""
    cells = [(label, signs[at % len(signs)].join(cell)) for at, (label, cell) in enumerate(SHEET.items())]
    write(as_csv([HEADER, *cells]))
    assert same(ingest())


def test_a_separator_of_a_few_cells_is_told_beside_that_of_most(write, ingest):
    """It may be part of the sentence."""
    cells = [(label, "\n".join(cell)) for label, cell in SHEET.items()] * 3
    write(
        as_csv(
            [HEADER, *((f"{label}{at}", cell) for at, (label, cell) in enumerate(cells)), ("x", "a；b"), ("y", "c；d")]
        )
    )
    ingested = ingest()
    assert ("a；b", "x") in ingested.pairs
    assert any("several parts at ';'" in one for one in ingested.facts.warnings)


def test_blanks_between_chinese_sentences_are_told(write, ingest):
    """People type them as commas."""
    write(in_cells(" ".join))
    (warning,) = [one for one in ingest().facts.warnings if "several parts" in one]
    assert same(ingest(**follow(warning)))


def test_markup_that_is_stripped_still_separates(write, ingest):
    """Lists of HTML are lines without their tags."""
    write(in_cells(lambda cell: "".join(f"<div><span>{text}</span></div>" for text in cell)))
    assert same(ingest(markup="strip"))


def test_characters_written_as_escapes_are_told(write, ingest):
    """As PHP and browsers write them."""
    write(as_csv([HEADER, *((label, query.encode("unicode_escape").decode()) for label, query in ROWS)]))
    assert any("36 of 36 queries hold characters written as" in one for one in ingest().facts.warnings)


ORDINALS = [
    "⑴⑵⑶",
    "❶❷❸",
    "㈠㈡㈢",
    "ⅠⅡⅢ",
    "A、 B、 C、",
    "一、 二、 三、",
    "（一） （二） （三）",
    "问1： 问2： 问3：",
    "Q1: Q2: Q3:",
]


@pytest.mark.parametrize("between", ["", "；", "\n", " "])
@pytest.mark.parametrize("ordinals", ORDINALS)
def test_ordinals_of_any_kind_count_similar_questions(ordinals, between, write, ingest):
    """In one line, and in lines of their own."""
    marks = ordinals.split() if " " in ordinals else ordinals
    write(in_cells(lambda cell: between.join(mark + text for mark, text in zip(marks, cell, strict=True))))
    assert same(ingest())


def test_lists_in_several_columns_are_split(write, ingest):
    """A column has one cell a row, however many there are."""
    write(
        as_csv(
            [
                ("标准问", "相似问1", "相似问2"),
                *((label, "；".join(cell[:2]), cell[2]) for label, cell in SHEET.items()),
            ]
        )
    )
    assert same(ingest())


@pytest.mark.parametrize(
    "text",
    ["帮我查[城市]到[城市]的{}", "hi {{name}} buy {{item}} {}", "{}^_^", "你好  {}  谢谢", "【咨询】{}", "（{}）"],
)
def test_tokens_inside_of_a_sentence_split_nothing(text, write, ingest):
    """Slots, smiling faces and brackets stand in single queries as well."""
    write(as_csv([HEADER, *((label, text.format(cell[0])) for label, cell in SHEET.items())]))
    assert [query for query, _ in ingest().pairs] == [text.format(cell[0]) for cell in SHEET.values()]


# --- texts

TEXTS = {
    "lines in quotation marks": "".join('"' + as_csv([row]).strip().replace('"', '""') + '"\n' for row in LONG),
    "names of rows": "标准问,相似问\n" + "".join(f'"{at}",{a},{b}\n' for at, (a, b) in enumerate(ROWS, 1)),
    "table of R": '"标准问" "相似问"\n' + "".join(f'"{at}" "{a}" "{b}"\n' for at, (a, b) in enumerate(ROWS, 1)),
    "other case": as_csv([("Intent", "Utterance"), *ROWS[:9], ("intent", "utterance"), *ROWS[9:]]),
    "joined without a header": as_csv(LONG[:10]).encode("utf-8-sig") + as_csv(LONG[10:]).encode("utf-8-sig"),
    "header over two rows": as_csv([("问题", "", "答案"), (*HEADER, ""), *((*row, "见官网") for row in ROWS)]),
    "texts of Excel": "标准问,相似问\n" + "".join(f'{a},"=""{b}"""\n' for a, b in ROWS),
    "beyond the header": "标准问,相似问\n" + "".join(",".join([a, *cell]) + "\n" for a, cell in SHEET.items()),
    "two tables of Markdown": "".join(
        "## 一\n\n|标准问|相似问|\n|---|---|\n" + "".join(f"|{a}|{b}|\n" for a, b in part) + "\n"
        for part in (ROWS[:20], ROWS[20:])
    ),
    "[headings]": "".join(
        f"[{label}]\n" + "".join(f"{text}\n" for text in cell) + "\n" for label, cell in SHEET.items()
    ),
    "Chatito": "".join(
        f"%[{label}]('training': '3')\n" + "".join(f"    {text}\n" for text in cell) for label, cell in SHEET.items()
    )
    + "~[alias]\n    hello\n",
}


@pytest.mark.parametrize("text", TEXTS.values(), ids=TEXTS)
def test_a_text_of_another_program_is_read(text, write, ingest):
    """R, spreadsheets that quote whole lines, files that were joined, and lists below headings."""
    write(text)
    assert same(ingest())


def test_templates_are_no_queries(write, ingest):
    """Of Rhasspy and Chatito; they stand for several sentences."""
    write(
        "[Light]\nturn on\nturn (on | off) the light\n[please] dim\n<name> on\n[Time]\nwhat time is it\nnow\n", "s.ini"
    )
    ingested = ingest("s.ini")
    assert [label for _, label in ingested.pairs] == ["Light", "Time", "Time"]
    assert one_file(ingested).reasons == {"template, no query": 3}


@pytest.mark.parametrize(
    "below",
    [
        [("", ""), ("标准问", "数量"), *((label, "3") for label in CLASSES)],
        [("", ""), ("统计", ""), ("标准问", "数量"), *((label, "3") for label in CLASSES)],
        [HEADER[::-1], *((query, label) for label, query in ROWS)],
    ],
)
def test_another_table_below_is_no_part_of_the_first(below, write, ingest):
    """Its header begins or ends like that of the first, after a blank line; or has the names the other way round."""
    write(workbook([*LONG, *below]), "t.xlsx")
    ingested = ingest("t.xlsx")
    assert same(ingested)
    assert "row of another table below" in one_file(ingested).reasons


@pytest.mark.parametrize("turned", [False, True], ids=["standard question first", "query first"])
@pytest.mark.parametrize("kind", ["csv", "xlsx"])
@pytest.mark.parametrize(
    "below",
    [
        [("渠道", "数量"), ("App", "20"), ("微信", "16")],
        [("统计", ""), ("渠道", "占比"), ("App", "55.6%"), ("微信", "44.4%"), ("合计", "100%")],
        [("月份", "问题数"), ("2026-01-01", "1,203"), ("2026-02-01", "998")],
        [("渠道", "说明"), ("App", "手机应用"), ("微信", "公众号")],
        [("字段名", "含义"), ("query", "用户的原话")],
        [("数据字典", ""), ("字段", "备注"), ("标准问", "知识库里的问题")],
    ],
)
def test_a_table_of_another_kind_below_is_no_part_of_the_first(below, kind, turned, write, ingest):
    """With a header of its own: names of columns, or what stands above numbers."""
    rows = [row[::-1] for row in LONG] if turned else LONG
    rows = [*rows, ("", ""), *below]
    write(as_csv(rows) if kind == "csv" else workbook(rows), f"t.{kind}")
    ingested = ingest(f"t.{kind}")
    assert same(ingested)
    assert "row of another table below" in one_file(ingested).reasons


def test_rows_that_may_be_another_table_are_read_and_told(write, ingest):
    """No names, no numbers: standard questions that were added look the same."""
    below = [("岗位", "职责"), ("客服", "接待"), ("质检", "抽查")]
    write(as_csv([HEADER[::-1], *(row[::-1] for row in ROWS)]) + "\n" + as_csv(below))
    ingested = ingest()
    assert ingested.facts.rows == len(ROWS) + 3
    (told,) = [one for one in ingested.facts.warnings if "another table" in one]
    assert told.startswith(f"t.csv: each of the 3 rows from line {len(ROWS) + 3} on, below a blank line")


GROUPS = [  # below a blank line each
    [("怎么退", "退票"), ("能退吗", "退票")],
    [("渠道", "查询渠道"), ("有哪些渠道", "查询渠道"), ("10086", "转人工"), ("人工", "转人工")],
    [("数量", "数量"), ("数目", "数量"), ("答案", "说明"), ("怎么说明", "说明")],
    [("转人工", "人工"), ("0", "人工"), ("1", "人工")],
    [("5", "评分"), ("4", "评分"), ("好评", "评分")],
]


@pytest.mark.parametrize("end", ["\n", ",\n", "\n\n"])
@pytest.mark.parametrize("last", range(len(GROUPS)))
def test_groups_between_blank_lines_are_one_table(last, end, write, ingest):
    """Whatever begins them, and whichever comes last."""
    groups = [*GROUPS[last + 1 :], *GROUPS[: last + 1]]
    write("query,label\n" + end.join(as_csv(group) for group in groups))
    assert ingest().pairs == [pair for group in groups for pair in group]


def test_a_class_that_is_called_like_its_column_is_no_second_table(write, ingest):
    """Also where its rows hold line ends."""
    write(as_csv([("query", "label"), *((f"{query}\n!", "label") for _, query in ROWS)]))
    assert ingest().facts.rows == len(ROWS)


def test_a_header_merged_over_two_rows_names_its_column(write, ingest):
    """In a workbook by its range; the column beside similar questions is none of them."""

    def change(_, sheet):
        sheet.insert_rows(1)
        for column, name in enumerate(("问题信息", None, "商品"), 1):
            sheet.cell(1, column, name)
        sheet.merge_cells("A1:B1")
        sheet.merge_cells("C1:C2")

    write(workbook([(*HEADER, None), *((*row, "见官网") for row in ROWS)], change), "t.xlsx")
    assert same(ingest("t.xlsx"))


@pytest.mark.parametrize(
    ("data", "told"),
    [
        (as_csv(LONG).encode() + b"\0" * 500, "ends in 500 NUL bytes: it was cut off"),
        (b"t.csv".ljust(257, b"\0") + b"ustar" + b"\0" * 250 + as_csv(LONG).encode(), "is a TAR archive; unpack it"),
        (as_csv(LONG).encode().decode("gbk", "replace").encode(), "before UTF-8 was taken for GBK"),
        (
            as_csv(
                [("question", "utterance"), *(("Как сбросить пароль", f"забыл пароль {at}") for at in range(20))]
            ).encode("koi8-r"),
            "encoding=koi8_r",
        ),
    ],
)
def test_what_is_wrong_with_the_bytes_is_called_by_its_name(data, told, write, ingest):
    """A disk that was full, an archive, and texts that were decoded wrongly before."""
    write(data)
    with pytest.raises(SourceError, match=re.escape(told)):
        ingest()


# --- documents and projects

RECORDS = [{"query": query, "standard_question": label} for label, query in ROWS]
ENTRIES = [{"id": at, "question": label, "similar": cell} for at, (label, cell) in enumerate(SHEET.items())]
DOCUMENTS = {
    "below a key": {"data": SHEET},
    "beside a version": {"version": "1.0", "intents": SHEET},
    "objects below a key": {"intents": {label: {"examples": cell} for label, cell in SHEET.items()}},
    "questions and answers by class": {label: {"questions": cell, "answers": ["x"]} for label, cell in SHEET.items()},
    "by row": {str(at): row for at, row in enumerate(RECORDS)},
    "by id": {f"faq{one['id']}": one for one in ENTRIES},
    "by id, below a key": {"code": 0, "data": {f"faq{one['id']}": one for one in ENTRIES}},
    "GraphQL": {"data": {"faqs": {"edges": [{"node": row} for row in RECORDS]}}},
    "objects of intents": [
        {"intent": {"name": label, "utterances": [{"text": text} for text in cell]}} for label, cell in SHEET.items()
    ],
    "Dialogflow CX": {
        "intents": [
            {"intent": {"displayName": label, "trainingPhrases": [{"parts": [{"text": text}]} for text in cell]}}
            for label, cell in SHEET.items()
        ]
    },
    "CQA, one answer": {
        "qnas": [{"id": 1, "answer": "x", "questions": [label, *cell]} for label, cell in SHEET.items()]
    },
    "Botpress": {
        "qnas": [
            {"id": "a", "data": {"questions": {"zh": [label, *cell]}, "answers": {"zh": ["x"]}}}
            for label, cell in SHEET.items()
        ]
    },
    "Voiceflow": {
        "intents": [{"key": "k", "name": label, "inputs": [{"text": t} for t in cell]} for label, cell in SHEET.items()]
    },
    "Cognigy": [{"name": label, "sentences": [{"text": text} for text in cell]} for label, cell in SHEET.items()],
    "MASSIVE": [{"id": "1", "scenario": "s", "intent": label, "utt": query} for label, query in ROWS],
}


@pytest.mark.parametrize("document", DOCUMENTS.values(), ids=DOCUMENTS)
def test_a_document_of_another_platform_is_read(document, write, ingest):
    """Whatever stands above the rows, and whatever they are keyed by."""
    write(as_json(document), "t.json")
    assert same(ingest("t.json"))


def test_a_sequence_of_json_texts_is_read(write, ingest):
    """RFC 7464 begins each with a sign of its own."""
    write("".join(f"\x1e{as_json(row)}\n" for row in RECORDS), "t.json-seq")
    assert same(ingest("t.json-seq"))


def test_an_object_of_settings_is_no_mapping(write, ingest):
    """Lists that stand side by side somewhere inside are no standard questions."""
    write(as_json({"theme": {"colours": ["red"], "fonts": ["serif"]}, "name": "x"}), "t.json")
    with pytest.raises(SourceError, match="holds no table"):
        ingest("t.json")


PROJECTS = {
    "Lex": {
        f"Bot/BotLocales/zh/Intents/{at}/Intent.json": {
            "name": label,
            "sampleUtterances": [{"utterance": text} for text in cell],
        }
        for at, (label, cell) in enumerate(SHEET.items())
    }
    | {"Manifest.json": {}, "Bot/Bot.json": {"name": "Bot"}},
    "Botpress": {
        f"intents/{at}.json": {"name": label, "utterances": {"zh": cell}, "slots": []}
        for at, (label, cell) in enumerate(SHEET.items())
    },
    "Wit.ai": {
        "app/app.json": {"name": "shop"},
        "app/utterances/1.json": {"utterances": [{"text": query, "intent": label} for label, query in ROWS]},
    },
}


@pytest.mark.parametrize("files", PROJECTS.values(), ids=PROJECTS)
def test_a_project_is_read_from_its_folder_and_its_archive(files, write, ingest):
    """A document per intent, among others."""
    for name, content in files.items():
        write(as_json(content), f"project/{name}")
    assert same(ingest("project"))
    write(pack(**{name.replace("/", "__").replace(".", "_DOT_"): as_json(one) for name, one in files.items()}), "p.zip")
    assert same(ingest("p.zip"))


def test_the_parts_of_a_hadoop_table_are_read(write, ingest):
    """They have no suffix."""
    for at in range(3):
        write(as_csv([HEADER, *ROWS[at * 12 : at * 12 + 12]]), f"table/part-0000{at}")
    write("", "table/_SUCCESS")
    assert same(ingest("table"))


def test_english_lists_are_split_or_told(write, ingest):
    """Similar questions in English share few words."""
    rows = [(label, cell) for label, cell in ENGLISH.items()]
    for sign in ("; ", "\n", " | "):
        write(as_csv([("Question", "Alternate questions"), *((label, sign.join(cell)) for label, cell in rows)]))
        assert ingest().facts.rows == 9
    for sign in (" OR ", ", "):
        write(as_csv([("Question", "Alternate questions"), *((label, sign.join(cell)) for label, cell in rows)]))
        (warning,) = [one for one in ingest().facts.warnings if "several parts" in one]
        assert ingest(**follow(warning)).facts.rows == 9


@pytest.mark.parametrize(("make", "name"), [(make_xlsb, "t.xlsb"), (make_xls, "t.xls")])
def test_binary_workbooks_are_read(make, name, write, ingest):
    """All their sheets, whatever the file is called."""
    write(make({"一": LONG[:20], "说明": [("填写说明",)], "二": [HEADER, *LONG[20:]]}), name)
    ingested = ingest(name)
    assert same(ingested)
    assert [file.sheet for file in ingested.facts.files] == ["一", "二"]
    write(make({"一": LONG})[:1500], name)
    with pytest.raises(SourceError, match="is a torn "):
        ingest(name)
