"""Shapes in which other companies and other versions of tools write the same rows, by kind.

Every one gives the same rows as the plain table, or a refusal or warning whose advice works when it is followed.
"""

import gzip
import io
import itertools
import json
import re
import shlex
import zipfile

import openpyxl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from flows.corpora import parse_overrides
from schemas.errors import PipelineError, SourceError
from tasks.ingest.oddities import describe_garbled
from tests.tasks.ingest.test_exports import ASKED, CLASSES, HEADER, LONG, as_csv, grouped, one_file

SHEET = grouped()  # the similar questions of each standard question
ROWS = LONG[1:]  # standard question, query


def same(ingested):
    """Whether all rows came through; blanks around a query are none of it."""
    return sorted((query.strip(), label) for query, label in ingested.pairs) == sorted(ASKED)


def in_cells(join):
    return as_csv([HEADER, *((label, join(cell)) for label, cell in SHEET.items())])


def as_json(value):
    return json.dumps(value, ensure_ascii=False)


# --- several similar questions in a cell

SIGNS = r"|| ||| / /// # 、 <br/> </p><p> </li><li> $#$ ~ ^ \ • %% ；； @@ @#@ * ¦ → & @ % = +++ --- ‖ · ## /n".split()
SIGNS += ["\u2028", "\v", "^|", "$|$"]


@pytest.mark.parametrize(
    "sign", [*SIGNS, "；\n", "、\n", "，\n", ",\n", "\n\n", " | ", "\t", "_x000D_\n", "&nbsp;|&nbsp;"]
)
def test_any_sign_between_similar_questions_splits_them(sign, write, ingest):
    """Those of a list that everybody uses, and any other that stands in most cells and in few sentences."""
    write(in_cells(sign.join))
    assert same(ingest())


ORDINALS = [
    "{n}．",
    "{n}. ",
    "{c}",
    "({n})",
    "【{n}】",
    "[{n}] ",
    "{z}、",
    "（{z}）",
    "Q{n}：",
    "Q{n}: ",
    "问法{n}：",
    "{n}-",
]
ORDINALS += ["相似问{n}：", "第{n}种：", "{a}) ", "{a}. ", "{n} ", "- ", "* ", "• ", "> ", "●"]


@pytest.mark.parametrize("mark", ORDINALS)
def test_what_counts_or_marks_the_items_of_a_list_is_no_part_of_them(mark, write, ingest):
    """Whatever counts, from one and without a gap."""
    write(in_cells(lambda cell: "\n".join(_ordinal(mark, at) + text for at, text in enumerate(cell))))
    assert same(ingest())


@pytest.mark.parametrize("between", ["", "，", "；", " "])
@pytest.mark.parametrize("mark", ["{n}.", "{n}、", "{n})", "（{n}）", "{c}", "{n}．"])
def test_numbers_alone_separate_as_well(mark, between, write, ingest):
    """All in one line."""
    write(in_cells(lambda cell: between.join(_ordinal(mark, at) + text for at, text in enumerate(cell))))
    assert same(ingest())


def _ordinal(mark, at):
    return mark.format(n=at + 1, c="①②③"[at], z="一二三"[at], a="abc"[at])


@pytest.mark.parametrize(
    "write_list",
    [
        repr,
        lambda cell: repr(tuple(cell)),
        lambda cell: "[" + " ".join(map(repr, cell)) + "]",  # NumPy
        lambda cell: "{" + ",".join(f'"{text}"' for text in cell) + "}",  # PostgreSQL
        json.dumps,
        lambda cell: as_json([{"text": text, "id": 1} for text in cell]),
        lambda cell: "\n".join(f'"{text}"' for text in cell),
        lambda cell: "、".join(f"“{text}”" for text in cell),
    ],
)
def test_lists_as_programs_write_them_are_lists(write_list, write, ingest):
    """Python, NumPy, PostgreSQL, JSON, and texts in quotation marks."""
    write(in_cells(write_list))
    assert same(ingest())


def test_a_number_that_a_query_begins_with_stays(write, ingest):
    """Only what counts from one, in every part, is dropped."""
    cells = {"a": "2. 层怎么走；3号线", "b": "5G套餐；4G套餐", "c": "1个月利息；1年利息", "d": "a股开户；b股开户"}
    write(as_csv([HEADER, *cells.items()]))
    assert [query for query, _ in ingest().pairs] == [part for cell in cells.values() for part in cell.split("；")]


@pytest.mark.parametrize("mark", ["【{}】", "{}) ", "{}、"])
def test_a_digit_after_an_ordinal_is_no_part_of_it(mark, write, ingest):
    """As in 3、5G套餐, which is no number."""
    cells = {label: ["5G套餐多少钱", f"4G套餐{at}"] for at, label in enumerate("abcd")}
    lines = [
        (label, "\n".join(mark.format(n) + text for n, text in enumerate(cell, 1))) for label, cell in cells.items()
    ]
    write(as_csv([HEADER, *lines]))
    assert [query for query, _ in ingest().pairs] == [text for cell in cells.values() for text in cell]


def test_a_run_of_signs_splits_texts_that_share_no_word(write, ingest):
    """No sentence has such a run inside, so that the parts need not be alike."""
    cells = {f"{at}号": [f"怎么办{at}", f"卡丢了呢{at}", f"请给我发票{at}"] for at in range(9)}
    write(as_csv([HEADER, *((label, "###".join(cell)) for label, cell in cells.items())]))
    assert ingest().facts.rows == 27


@pytest.mark.parametrize("sign", ["，", ",", "？", "。"])
def test_signs_of_sentences_split_nothing_unasked(sign, write, ingest):
    """They are told, with the setting that splits."""
    write(in_cells(sign.join))
    (warning,) = [one for one in ingest().facts.warnings if "several parts" in one]
    assert same(ingest(**follow(warning)))


@pytest.mark.parametrize(
    "text",
    [
        "email and/or phone and/or fax {}",
        "#help #refund #{} please",
        "bed & breakfast & spa {}",
        "北京→上海→广州{}",
        "按*123*{}#充值",
    ],
)
def test_signs_inside_of_a_sentence_split_nothing(text, write, ingest):
    """Similar questions share words with each other, the parts of a sentence do not."""
    write(as_csv([HEADER, *((f"问题{n}", text.format(n)) for n in range(40))]))
    assert ingest().facts.rows == 40


# --- names of columns

NAMES = """
主问题/子问题 主问/扩展问 标准问/近似问 知识标题/相似问法 问题标题/相似问 FAQ问题/相似问法 知识点名称/扩展问法 知识点/问法
标准问题名称/相似问题列表 标准问/用户原话 标准问/用户话术 标准问/客户问法 标准问题/原始问题 业务意图/用户咨询 标准问/其他问法
标准问/同义问 标准问/同义问法 标准问题/相近问法 标准问/等价问 意图名称/训练语句 意图/训练短语 意图名/例句 意图标签/文本
所属意图/语料内容 標準問/相似問 標準問題/相似問題 意圖/問句 類別/文本 FAQ-标准问/FAQ-相似问 *标准问【必填】/相似问【选填】
【标准问】/【相似问】 1.标准问/2.相似问 A.标准问/B.相似问 标准问ID名称/相似问 标准问句/用户query 归属标准问/用户问 对应标准问/用户问题
匹配标准问/客户原话 命中标准问/访客问题 标准问内容/相似问内容 标准提问/相似提问 标准话术/相似话术 标准Q/相似Q 标题/相似问题 类目/问题
标签/内容 StandardQuestion/SimilarQuestion stdQuestion/simQuestion std_q/sim_q question_std/question_sim intent_name/utterance
intentName/exampleSentence topIntent/query IntentDisplayName/Phrase intent/example intent/phrase intent/sample label_name/text
labels/texts faq_question/user_question canonical_question/paraphrase main_question/variant question/variation faq/query
インテント/发話 FAQタイトル/ユーザーの質問 代表質問/類似質問 カテゴリー/問い合わせ 대표질문/유사질문 의도명/사용자발화 人工标注/文本
Absicht/Frage Intención/Pregunta Интент/Вопрос 標準問題/買家問法 意圖名稱/使用者輸入 意图/ASR文本 工单类型/工单内容 问题分类/反馈内容
业务类型/用户诉求 意图/对话样本 样本标签/样本内容 标注结果/语料 意图识别/query issue_type/customer_query call_reason/caller_utterance
MlIntent.MasterLabel/Utterance Expected_Output_Intent/Input faq.intent/faq.query intent_code/text_content label_desc/sentence
question/alternative_question question/questions question/similar_question standard_query/query class/review intent/user_says
intent/UserSays label/content label/message title/similar_questions name/utterances name/examples target/text category/user_input
"""  # noqa: E501 - wide characters


@pytest.mark.parametrize("names", [tuple(pair.split("/")) for pair in NAMES.split() if pair != "标准问ID名称/相似问"])
def test_names_are_known_by_the_words_they_are_made_of(names, write, ingest):
    """In both languages, simplified and traditional, in one word or several, with what stands around them."""
    write(as_csv([names, *ROWS]))
    assert same(ingest())


@pytest.mark.parametrize("names", [("title", "content"), ("y", "x"), ("Tag", "Message"), ("title", "question")])
def test_two_names_that_say_little_are_asked_for(names, write, ingest):
    """A guess would train on articles or on notes without a word."""
    write(as_csv([names, *ROWS]))
    with pytest.raises(SourceError, match="--question-column"):
        ingest()
    assert same(ingest(query_column=names[1], question_column=names[0]))


WIDE = [
    ["相似问", "相似问.1", "相似问.2"],  # pandas
    ["相似问", "Unnamed: 2", "Unnamed: 3"],
    *(
        [f"{before}{n}" for n in "123"]
        for before in ("相似问_", "相似问-", "相似问#", "相似问 ", "相似问0", "utterance_", "Q")
    ),
    *(
        [f"{before}{n}" for n in "123"]
        for before in ("Similar Question ", "similarQuestion", "similar_questions/", "similar.")
    ),
    ["第1个相似问", "第2个相似问", "第3个相似问"],
    ["1相似问", "2相似问", "3相似问"],
    ["相似问一", "相似问二", "相似问三"],
    ["相似问Ⅰ", "相似问Ⅱ", "相似问Ⅲ"],
    ["相似问A", "相似问B", "相似问C"],
    ["相似问①", "相似问②", "相似问③"],
    ["相似问[0]", "相似问[1]", "相似问[2]"],
    ["相似问题1：", "相似问题2：", "相似问题3："],
    ["相似问", "相似问2", "相似问3"],
]


@pytest.mark.parametrize("names", WIDE)
def test_columns_that_are_numbered_in_any_way_are_one_family(names, write, ingest):
    """All are read."""
    write(as_csv([("标准问", *names), *((label, *cell) for label, cell in SHEET.items())]))
    assert same(ingest())


def test_a_question_beside_numbered_questions_is_the_standard_one(write, ingest):
    """As is a single numbered column beside a standard question."""
    rows = [(label, *cell) for label, cell in SHEET.items()]
    write(as_csv([("question", "question1", "question2", "question3"), *rows]))
    assert same(ingest())
    write(as_csv([("标准问", "相似问1"), *ROWS]))
    assert same(ingest())


# --- tables without names

ASKED_OF = {  # of which no two begin alike
    "怎么提前还款": ["我想早点把贷款还上", "提前还要收钱吗", "能不能一次还清", "还款可以提前多久"],
    "信用卡丢了怎么挂失": ["卡不见了", "我的信用卡被偷", "挂失要钱吗"],
    "如何开通手机银行": ["手机上怎么弄银行", "开通网银要带啥", "手机银行在哪里下载", "开不了手机银行", "银行app怎么开"],
    "密码忘记了怎么重置": ["忘了密码", "密码输错被锁", "重置密码要多久"],
    "外币可以兑换吗": ["换美元", "兑换外币要预约吗", "哪里能换外币", "外币怎么换"],
}
OF_THEM = [(query, label) for label, cell in ASKED_OF.items() for query in cell]
SIDE_BY_SIDE = [[*ASKED_OF], *itertools.zip_longest(*ASKED_OF.values(), fillvalue="")]


def in_a_workbook(rows):
    stream = io.BytesIO()
    book = openpyxl.Workbook()
    for row in rows:
        book.active.append([cell or None for cell in row])
    book.save(stream)
    return stream.getvalue()


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("t.csv", as_csv(SIDE_BY_SIDE)),
        ("t.tsv", as_csv(SIDE_BY_SIDE, "\t")),
        ("t.xlsx", in_a_workbook(SIDE_BY_SIDE)),
        ("t.json", as_json([dict(zip(ASKED_OF, row, strict=True)) for row in SIDE_BY_SIDE[1:]])),
        ("t.csv", as_csv([label, *cell] for label, cell in ASKED_OF.items())),
        ("t.csv", as_csv([label, *cell, *[""] * (6 - len(cell))] for label, cell in ASKED_OF.items())),
        ("t.xlsx", in_a_workbook([label, *cell] for label, cell in ASKED_OF.items())),
    ],
)
def test_a_column_or_a_row_for_each_standard_question_is_read_and_told(name, content, write, ingest):
    """Where the texts are nearer to their own standard question than to the others."""
    write(content, name)
    ingested = ingest(name)
    assert sorted(ingested.pairs) == sorted(OF_THEM)
    assert "read as standard questions" in " ".join(ingested.facts.warnings)


@pytest.mark.parametrize(
    "rows",
    [
        [["一月", "二月", "三月"], *[[str(at), str(at + 1), str(at * 2)] for at in range(20)]],
        [["姓氏", "部分", "城市"], *[[f"张{at}", f"部{at % 3}", f"城{at}"] for at in range(20)]],
        [["你对业务满意吗", "为什么不满意", "建议"], *[["满意", f"等了{at}分钟", f"快{at}倍"] for at in range(20)]],
        [[f"主播{at}", f"大家好{at}", f"欢迎来到直播间{at}"] for at in range(20)],
        [[f"晴天{at}有风", f"今天是晴天{at}有风出门去" * 20, f"晴天{at}有风拍"] for at in range(20)],
        [[*CLASSES], *zip(*SHEET.values(), strict=True)],  # either, as the ways to ask are the same of all
    ],
)
def test_other_tables_without_names_are_refused(rows, write, ingest):
    """And how to write them is said."""
    write(as_csv(rows))
    with pytest.raises(SourceError, match="no column of queries and none of standard questions"):
        ingest()


def test_the_advice_for_tables_without_names_works(write, ingest):
    """Codes for standard questions resemble no query."""
    rows = [[f"A{at}", *cell] for at, cell in enumerate(ASKED_OF.values())]
    write(as_csv(rows))
    with pytest.raises(SourceError, match=r"put a first line above: (.*)") as refused:
        ingest()
    write(str(refused.value).rpartition("above: ")[2] + "\n" + as_csv(rows))
    assert ingest().facts.rows == len(OF_THEM)
    write(as_csv(itertools.zip_longest(*rows, fillvalue="")))
    with pytest.raises(SourceError, match=r"df\.melt\(var_name='standard_question', value_name='query'\)"):
        ingest()


# --- layouts of text files


def drawn(header, rule, row, footer=""):
    return header + rule + "".join(row.format(*pair) for pair in ROWS) + footer


SPLITTING = r"^ ~ :: |+| || @@@ $$ ## ¦ ｜ ； ， 、 : § => -> ___".split()
SPLITTING += ["\x01", "\x02", "\x1f", " | ", " ; ", "\t "]

TEXTS = {
    "Markdown": drawn("| 标准问 | 相似问 |\n", "| :--- | --- |\n", "| {} | {} |\n"),
    "mysql -t": drawn("+-----+-----+\n| 标准问 | 相似问 |\n", "+-----+-----+\n", "| {} | {} |\n", "+-----+-----+\n"),
    "psql": drawn(" 标准问 | 相似问 \n", "--------+-------\n", " {} | {}\n", "(36 rows)\n"),
    "psql, unicode": drawn("┌──┬──┐\n│ 标准问 │ 相似问 │\n", "├──┼──┤\n", "│ {} │ {} │\n", "└──┴──┘\n"),
    "rich": drawn("┏━━┳━━┓\n┃ 标准问 ┃ 相似问 ┃\n", "┡━━╇━━┩\n", "│ {} │ {} │\n", "└──┴──┘\n"),
    "double": drawn("╔══╦══╗\n║ 标准问 ║ 相似问 ║\n", "╠══╬══╣\n", "║ {} ║ {} ║\n", "╚══╩══╝\n"),
    "ClickHouse": drawn("┌─标准问──┬─相似问─┐\n", "", "│ {} │ {} │\n", "└──┴──┘\n\n36 rows in set.\n"),
    "Jira": drawn("h2. FAQ\n\n||标准问||相似问||\n", "", "|{}|{}|\n"),
    "DokuWiki": drawn("^ 标准问 ^ 相似问 ^\n", "", "| {} | {} |\n"),
    **{f"delimiter {sign!r}": "".join(sign.join(pair) + "\n" for pair in LONG) for sign in SPLITTING},
    "single quotes": "".join(f"'{label}','{query}'\n" for label, query in LONG),
    "sep= in UTF-16": ("sep=;\n" + as_csv(LONG, ";")).encode("utf-16"),
    "sep=TAB": "sep=\t\n" + as_csv(LONG, "\t"),
    "joined with its mark": as_csv(LONG[:10]).encode("utf-8-sig") + as_csv([HEADER, *LONG[10:]]).encode("utf-8-sig"),
    "blank lines": "\n\n".join(",".join(pair) for pair in LONG),
    "commas at the end": "".join(",".join(pair) + ",,,\n" for pair in LONG),
    "UTF-16 without a mark": as_csv(LONG).encode("utf-16-be"),
    "UTF-32": as_csv(LONG).encode("utf-32"),
    "notes": as_csv([HEADER, ("required", "optional"), *ROWS]),
    "types": as_csv([HEADER, ("string", "varchar(255)"), *ROWS]),
    "second header": as_csv([HEADER, ("std_question", "sim_question"), *ROWS]),
    "ends left out": as_csv([(*HEADER, "备注", "来源"), *((*row, "x", "y") for row in ROWS[:16]), *ROWS[16:]]),
    "pages": "".join(as_csv([HEADER, *ROWS[at : at + 12]]) + "第1页,共3页\n" for at in (0, 12, 24)),
    "ditto": as_csv([HEADER, *((label if at % 3 == 0 else "同上", query) for at, (label, query) in enumerate(ROWS))]),
    "one-hot": as_csv(
        [("text", *CLASSES), *((query, *(int(label == one) for one in CLASSES)) for label, query in ROWS)]
    ),
    "ticks": as_csv(
        [("问法", *CLASSES), *((query, *("✓" * (label == one) for one in CLASSES)) for label, query in ROWS)]
    ),
    "roles": as_csv(
        [("类型", "内容")]
        + [
            row
            for label, cell in SHEET.items()
            for row in [("标准问", label), *(("相似问", text) for text in cell), ("答案", "x")]
        ]
    ),
    "sum": as_csv([*LONG, ("合计", "36")]),
    "errors": as_csv([*LONG, (CLASSES[0], "#N/A"), ("#REF!", "有问题"), (CLASSES[0], "\\N"), ("\\N", "没有标准问")]),
    "labels as lists": as_csv([("label", "text"), *((repr([label]), query) for label, query in ROWS)]),
    "labels of PostgreSQL": as_csv([("label", "text"), *((f"{{{label}}}", query) for label, query in ROWS)]),
    "labels as choices": as_csv([("label", "text"), *((repr({"choices": [label]}), query) for label, query in ROWS)]),
}


@pytest.mark.parametrize("text", TEXTS.values(), ids=TEXTS)
def test_a_text_may_be_laid_out_in_any_way(text, write, ingest):
    """What is drawn around the rows, and what explains them, is no row."""
    write(text)
    assert same(ingest())


QUOTING = ["“”", "””", "‘’", "„“", "«»", "「」", "＂＂"]


@pytest.mark.parametrize("end", ["", ", 谢谢", "，谢谢", "“怎么说”的", ' "quoted", too', "\n, 谢谢"])
@pytest.mark.parametrize("sign", [",", ", ", ";", "\t"])
@pytest.mark.parametrize("marks", QUOTING)
def test_other_marks_of_quotation_are_no_part_of_the_cells(marks, sign, end, write, ingest):
    """As word processors and Chinese keyboards make them, whether they protect a delimiter or not."""
    end = end.replace("“怎么说”的", "") if marks[0] == marks[1] else end.replace("“", marks[0]).replace("”", marks[1])
    rows = [(label, query + end) for label, query in ROWS]
    write("".join(sign.join(f"{marks[0]}{cell}{marks[1]}" for cell in row) + "\n" for row in [HEADER, *rows]))
    assert ingest(split="none").pairs == [(query, label) for label, query in rows]


@pytest.mark.parametrize("every", [1, 4])
def test_other_marks_of_quotation_around_some_cells(every, write, ingest):
    """Where they protect a delimiter they are none of the text; those inside of a text stay."""
    rows = [(label, f"{query}, 谢谢" if at % every == 0 else query) for at, (label, query) in enumerate(ROWS)]
    write("标准问,相似问\n" + "".join(f"{label},{f'“{text}”' if ',' in text else text}\n" for label, text in rows))
    assert ingest(split="none").pairs == [(query, label) for label, query in rows]
    write("标准问,相似问\n" + "".join(f"{label},“{query}”怎么弄\n" for label, query in ROWS))
    assert ingest(split="none").pairs == [(f"“{query}”怎么弄", label) for label, query in ROWS]


@pytest.mark.parametrize("encoding", ["iso2022_jp", "hz"])
def test_an_encoding_of_seven_bits_is_asked_for(encoding, write, ingest):
    """Its bytes are ASCII, so that every decoder takes them."""
    word = {"iso2022_jp": "払い戻し", "hz": "退款"}[encoding]
    write(
        "".join(
            f"{a},{b}\n" for a, b in [("label", "query"), *((f"{word}{n % 3}", f"{word}は{n}") for n in range(9))]
        ).encode(encoding, "ignore")
    )
    with pytest.raises(SourceError) as refused:
        ingest()
    assert ingest(**follow(str(refused.value))).pairs[0][1] == f"{word}0"


@pytest.mark.parametrize(
    ("cells", "told"),
    [
        (("是否启用", "否", "是"), "3 rows are marked '否' in the column '是否启用'"),
        (("enabled", "FALSE", "TRUE"), "3 rows are marked 'FALSE'"),
        (("is_deleted", "1", "0"), "3 rows are marked '1'"),
        (("状态", "已过期", "生效"), "3 rows are marked '已过期'"),
        (("审核状态", "草稿", "通过"), "3 rows are marked '草稿'"),
        (("是否上架", "否", "是"), "3 rows are marked '否'"),
        (("del_flag", "1", "0"), "3 rows are marked '1'"),
        (("publish_status", "停用（2025）", "启用"), "3 rows are marked '停用（2025）'"),
        (("数据集", "测试集", "训练集"), "3 rows are marked '测试集'"),
    ],
)
def test_rows_out_of_use_are_told_in_any_words(cells, told, write, ingest):
    """A yes may mean that a row is in use, or that it is not."""
    name, off, on = cells
    write(as_csv([(*HEADER, name), *((*row, off if at < 3 else on) for at, row in enumerate(ROWS))]))
    assert told in " ".join(ingest().facts.warnings)


# --- workbooks and pages


def workbook(rows, change=None):
    book = openpyxl.Workbook()
    for row in rows:
        book.active.append(row)
    if change:
        change(book, book.active)
    data = io.BytesIO()
    book.save(data)
    return data.getvalue()


def repack(data, change):
    """Return a workbook with its parts changed, as another program would have written them."""
    out = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(data)) as old, zipfile.ZipFile(out, "w") as new:
        for name in old.namelist():
            new.writestr(name, change(name, old.read(name)))
    return out.getvalue()


def prefixed(name, data):
    if not name.startswith("xl/worksheets/sheet"):
        return data
    return re.sub(r"<(/?)([a-zA-Z])", r"<\1x:\2", data.decode()).replace("xmlns=", "xmlns:x=").encode()


def add_chart_sheet(book, _):
    book.create_chartsheet("图")


def number_the_columns(_, sheet):
    sheet.insert_rows(2)
    for column, number in enumerate((1, 2, 3), 2):
        sheet.cell(2, column, number)
    sheet.merge_cells("B1:D1")
    sheet.merge_cells("A1:A2")


def merge_labels(_, sheet):
    for top in range(2, 2 + len(ROWS), 3):
        sheet.merge_cells(start_row=top, end_row=top + 2, start_column=1, end_column=1)


WORKBOOKS = {
    "offset": workbook([[]] * 4 + [[None, None, *row] for row in LONG]),
    "chart sheet": workbook(LONG, add_chart_sheet),
    "prefixed": repack(workbook(LONG), prefixed),
    "prefixed, merged": repack(workbook(LONG, merge_labels), prefixed),
    "numbers below a merged header": workbook(
        [("标准问", "相似问", None, None), *((label, *cell) for label, cell in SHEET.items())], number_the_columns
    ),
    "line ends of Excel": workbook([HEADER, *((label, "_x000D_\n".join(cell)) for label, cell in SHEET.items())]),
}


@pytest.mark.parametrize("data", WORKBOOKS.values(), ids=WORKBOOKS)
def test_a_workbook_of_another_program_is_read(data, write, ingest):
    """Prefixes of XML, chart sheets, headers of two rows."""
    write(data, "t.xlsx")
    assert same(ingest("t.xlsx"))


TABLE = "<tr><th>标准问<th>相似问</tr>" + "".join(
    f"<tr><td>{label}</td><td> {query} </td></tr>\n" for label, query in ROWS
)
EXCEL_2003 = (
    '<?xml version="1.0"?>\n<?mso-application progid="Excel.Sheet"?>\n'
    '<Workbook xmlns="urn:schemas-microsoft-com:office:spreadsheet" '
    'xmlns:ss="urn:schemas-microsoft-com:office:spreadsheet"><Worksheet ss:Name="a"><Table>{}</Table>'
    "</Worksheet></Workbook>"
)
PAGES = {
    "plain": f"<html><body><table border=1>{TABLE}</table></body></html>",
    "legacy": f"<!DOCTYPE html><html><head><meta charset=gb2312></head><table>{TABLE}</table>".encode("gb18030"),
    "UTF-16": f"<html><table>{TABLE}</table></html>".encode("utf-16"),
    "after a layout": f"<html><table><tr><td>导出<td>2026</tr></table><br><table>{TABLE}</table></html>",
    "inside a layout": f"<html><table><tr><td><table>{TABLE}</table></td></tr></table></html>",
    "merged": "<table><tr><th>标准问<th>相似问"
    + "".join(f"<tr><td rowspan=3>{a}<td>{b[0]}<tr><td>{b[1]}<tr><td>{b[2]}" for a, b in SHEET.items()),
    "lists": "<table><tr><th>标准问<th>相似问" + "".join(f"<tr><td>{a}<td>{'<br>'.join(b)}" for a, b in SHEET.items()),
    "Excel 2003": EXCEL_2003.format(
        "".join(f"<Row><Cell><Data>{a}</Data></Cell><Cell><Data>{b}</Data></Cell></Row>" for a, b in LONG)
    ),
    "Excel 2003, merged and indexed": EXCEL_2003.format(
        '<Row><Cell><Data>标准问</Data></Cell><Cell ss:Index="3"><Data>相似问</Data></Cell></Row>'
        + "".join(
            f'<Row><Cell ss:MergeDown="2"><Data>{a}</Data></Cell><Cell ss:Index="3"><Data>{b[0]}</Data></Cell></Row>'
            + "".join(f'<Row><Cell ss:Index="3"><Data>{text}</Data></Cell></Row>' for text in b[1:])
            for a, b in SHEET.items()
        )
    ),
    "Excel 2003, lines in cells": EXCEL_2003.format(
        "<Row><Cell><Data>标准问</Data></Cell><Cell><Data>相似问</Data></Cell></Row>"
        + "".join(
            f"<Row><Cell><Data>{a}</Data></Cell><Cell><Data>{'&#10;'.join(b)}</Data></Cell></Row>"
            for a, b in SHEET.items()
        )
    ),
}


@pytest.mark.parametrize("page", PAGES.values(), ids=PAGES)
def test_a_web_page_that_is_called_a_workbook_is_read(page, write, ingest):
    """As many systems export .xls; the XML of Excel 2003 as well."""
    write(page, "t.xls")
    ingested = ingest("t.xls")
    assert same(ingested)
    assert one_file(ingested).format == "html"


def test_a_page_without_a_table_is_a_login_page(write, ingest):
    """It is called by its name."""
    write("<!DOCTYPE html><html><form>password</form></html>")
    with pytest.raises(SourceError, match=r"holds no table\. A login or error page"):
        ingest()


def pack(**files):
    data = io.BytesIO()
    with zipfile.ZipFile(data, "w") as archive:
        for name, content in files.items():
            archive.writestr(name.replace("__", "/").replace("_DOT_", "."), content)
    return data.getvalue()


@pytest.mark.parametrize(
    "data",
    [
        pack(train_DOT_csv=as_csv(LONG), README_DOT_md="# rows", LICENSE="MIT"),
        pack(d__t_DOT_xlsx=workbook(LONG), img__a_DOT_png=b"\x89PNG"),
        pack(d__t_DOT_csv_DOT_gz=gzip.compress(as_csv(LONG).encode())),
    ],
)
def test_what_lies_beside_the_table_of_an_archive_does_not_count(data, write, ingest):
    """A readme, a licence, pictures."""
    write(data, "t.zip")
    assert same(ingest("t.zip"))


@pytest.mark.parametrize(
    ("data", "name"),
    [
        (pack(word__document_DOT_xml="<w/>"), "a Word document"),
        (pack(ppt__presentation_DOT_xml="<p/>"), "a PowerPoint presentation"),
        (pack(Index__Document_DOT_iwa=b"x"), "an Apple Numbers document"),
        (b"{\\rtf1 x}", "an RTF document"),
        (b"MIME-Version: 1.0\r\nContent-Type: multipart/related\r\n\r\n<html><table></table>", "a web archive"),
        (b"INSERT INTO faq VALUES ('a', 'b');\n", "an SQL dump"),
        (b"/*!40101 SET NAMES utf8 */;\nUSE faq;\n-- rows\ninsert into faq values ('a', 'b');\n", "an SQL dump"),
        (b"--\n-- dump\n\nSET x = 0;\nCOPY public.faq (query, intent) FROM stdin;\na\tb\n", "an SQL dump"),
        (b"ORC" + bytes(9), "an ORC file"),
        (b"\xff" * 4 + bytes(9), "an Arrow stream"),
        ("".join(f"query:{b}\tintent:{a}\n" for a, b in ROWS).encode(), "each cell begins with its name"),
        (b"<?xml version='1.0'?><rows><row/></rows>", "looks like XML"),
        (b"<rows>\n<row>a</row>\n<row>b</row>\n</rows>\n", "looks like XML"),
        ("".join(f"query={b}\tintent={a}\n" for a, b in ROWS).encode(), "each cell begins with its name"),
        (b"REPLACE INTO faq VALUES ('a', 'b');\nINSERT IGNORE INTO faq VALUES ('c', 'd');\n", "an SQL dump"),
        (b'ID;PWXL;N;E\nC;Y1;X1;K"query"\nE\n', "a SYLK sheet"),
        (b'TABLE\r\n0,1\r\n"EXCEL"\r\nVECTORS\r\n0,37\r\n', "a DIF sheet"),
        ('{| class="wikitable"\n! 标准问 !! 相似问\n|-\n| a || b\n|}\n'.encode(), "a table of MediaWiki"),
        ("|===\n|标准问 |相似问\n\n|a\n|b\n|===\n".encode(), "a table of AsciiDoc"),
        (b"\\begin{tabular}{ll}\nquery & intent \\\\\n\\end{tabular}\n", "LaTeX"),
        (b'module.exports = [{"query": "a", "intent": "b"}];\n', "a program"),
        (b'/*O_o*/\ngoogle.visualization.Query.setResponse({"table": {"cols": []}});', "a program"),
        (b"FAQ = {'a': ['b', 'c']}\n", "a program"),
        (
            b"*************************** 1. row ***************************\n query: a\nintent: b\n",
            "a record a paragraph",
        ),
        (b"-[ RECORD 1 ]----\nquery  | a\nintent | b\n", "a record a paragraph"),
        (b"QUERY                INTENT\n-------------------- ----------\na                    b\n", "of fixed width"),
        (b"=====  ======\nquery  intent\n=====  ======\na      b\n=====  ======\n", "of fixed width"),
        ("我 O\n想 O\n退 B-ACT\n票 I-ACT\n".encode(), "words with marks"),
        (b'[[faq]]\nquery = "a"\nintent = "b"\n', "a TOML file"),
        (b"From: a@b.c\nTo: d@e.f\nSubject: query, intent\n\na, b\n", "an e-mail"),
        *(
            ("".join(f"{q}{b}\n{a}{c}\n\n" for c, b in ROWS).encode(codec), "questions with their answers below")
            for q, a in (("问：", "答："), ("Q: ", "A: "), ("问题:", "答案:"))
            for codec in ("utf-8", "gbk")
        ),
    ],
)
def test_what_is_no_table_is_called_by_its_name(data, name, write, ingest):
    """And what to do about it is said."""
    write(data)
    with pytest.raises(SourceError, match=re.escape(name)):
        ingest()


def test_a_folder_of_old_workbooks_is_read(write, ingest):
    """Where no other table lies in it."""
    write(PAGES["plain"], "d/t.xls")
    assert same(ingest("d"))


def runs(key, text):
    """A text as rich text has it where a part of it is bold, or a link."""
    kinds = ("text", "mention", "url")
    return [{"type": kind, key: part} for kind, part in zip(kinds, (text[:1], text[1:2], text[2:]), strict=True)]


# --- documents

RECORDS = [{"query": query, "standard_question": label} for label, query in ROWS]
DOCUMENTS = {
    "RECORDS": {"RECORDS": RECORDS},
    "nested list": {"code": 0, "data": {"list": RECORDS, "total": 36}},
    "Elasticsearch": {"hits": {"total": 36, "hits": [{"_id": "1", "_source": row} for row in RECORDS]}},
    "MongoDB": [{"_id": {"$oid": "5f"}, **row} for row in RECORDS],
    "FAQ": [{"question": label, "similar_questions": cell, "answer": "x"} for label, cell in SHEET.items()],
    "FAQ of objects": [
        {"standard_question": label, "similarQuestions": [{"id": 1, "text": text} for text in cell]}
        for label, cell in SHEET.items()
    ],
    "objects": [
        {"标准问": {"id": 1, "text": label}, "相似问": [{"text": text} for text in cell]}
        for label, cell in SHEET.items()
    ],
    "queries by class": SHEET,
    "objects by class": {label: {"similar": cell, "answer": "x"} for label, cell in SHEET.items()},
    "queries by class and category": {"甲": dict([*SHEET.items()][:5]), "乙": dict([*SHEET.items()][5:])},
    "objects by class and category": {
        part: {label: {"similar": cell, "answer": "x"} for label, cell in [*SHEET.items()][some]}
        for part, some in (("甲", slice(5)), ("乙", slice(5, None)))
    },
    "DynamoDB": [{"Item": {"query": {"S": query}, "intent": {"S": label}}} for label, query in ROWS],
    "JSON:API": [
        {"attributes": {"text": query}, "relationships": {"intent": {"data": {"name": label}}}} for label, query in ROWS
    ],
    "rich text": [
        {"标准问": [{"text": label, "type": "text"}], "相似问": [{"text": query, "type": "text"}]}
        for label, query in ROWS
    ],
    "Feishu": [
        {"fields": {"标准问": [{"type": "text", "text": label}], "相似问": runs("text", query)}}
        for label, query in ROWS
    ],
    "Notion": [{"标准问": runs("plain_text", label), "相似问": runs("plain_text", query)} for label, query in ROWS],
    "Genesys": {
        "intents": [
            {"name": label, "utterances": [{"segments": [{"text": text[:2]}, {"text": text[2:]}]} for text in cell]}
            for label, cell in SHEET.items()
        ]
    },
    "classes by query": {query: label for label, query in ROWS},
    "pairs": [[query, label] for label, query in ROWS],
    "NLP.js": {
        "locale": "zh",
        "data": [{"intent": label, "utterances": cell, "answers": ["x"]} for label, cell in SHEET.items()],
    },
    "Wit.ai": {"utterances": [{"text": query, "intent": label, "entities": []} for label, query in ROWS]},
    "Dialogflow API": {
        "intents": [
            {
                "displayName": label,
                "trainingPhrases": [{"parts": [{"text": text[:2]}, {"text": text[2:]}]} for text in cell],
            }
            for label, cell in SHEET.items()
        ]
    },
    "Watson actions": {
        "workspace": {
            "intents": [
                {"intent": label, "examples": [{"text": text} for text in cell]} for label, cell in SHEET.items()
            ]
        }
    },
    "LUIS batch test": {"LabeledTestSetUtterances": [{"text": query, "intent": label} for label, query in ROWS]},
    "CLU with capitals": {"Assets": {"Utterances": [{"Text": query, "Intent": label} for label, query in ROWS]}},
    "QnABot": {
        "qna": [{"qid": f"a{at}", "q": [label, *cell], "a": f"x{at}"} for at, (label, cell) in enumerate(SHEET.items())]
    },
    "CQA": {
        "assets": {
            "qnas": [
                {"id": at, "answer": f"a{at}", "questions": [label, *cell]}
                for at, (label, cell) in enumerate(SHEET.items())
            ]
        }
    },
    "CLINC": {
        "train": [[query, label] for label, query in ROWS],
        "validation": [["a", "out_of_scope"]],
        "test": [["a", CLASSES[0]]],
    },
    "Label Studio, short": [
        {"id": at, "text": query, "choice": label, "annotator": 1} for at, (label, query) in enumerate(ROWS)
    ],
    "Label Studio, choices": [{"id": 1, "text": query, "intent": {"choices": [label]}} for label, query in ROWS],
    "spaCy": [{"text": query, "cats": {one: float(one == label) for one in CLASSES}} for label, query in ROWS],
    "spaCy 2": [[query, {"cats": {one: one == label for one in CLASSES}}] for label, query in ROWS],
    "OpenAI": [
        {
            "messages": [
                {"role": "system", "content": "分类"},
                {"role": "user", "content": query},
                {"role": "assistant", "content": label},
            ]
        }
        for label, query in ROWS
    ],
    "ShareGPT": [
        {"conversations": [{"from": "human", "value": query}, {"from": "gpt", "value": label}]} for label, query in ROWS
    ],
    "Gemini": [
        {"contents": [{"role": "user", "parts": [{"text": query}]}, {"role": "model", "parts": [{"text": label}]}]}
        for label, query in ROWS
    ],
    "Strapi": {
        "data": [
            {"id": 1, "attributes": {"query": query, "intent": {"data": {"id": 1, "attributes": {"name": label}}}}}
            for label, query in ROWS
        ]
    },
    "Jovo": {
        "invocation": "bot",
        "intents": {label: {"phrases": cell} for label, cell in SHEET.items()},
        "entityTypes": {"t": {"values": ["a", "b"]}},
    },
    "one-hot": [{"text": query, **{one: int(one == label) for one in CLASSES}} for label, query in ROWS],
    "doccano, labels": [{"id": 1, "data": query, "labels": [label]} for label, query in ROWS],
    "doccano, cats": [{"id": 1, "text": query, "cats": [label]} for label, query in ROWS],
}


@pytest.mark.parametrize("layout", [as_json, lambda value: json.dumps(value, ensure_ascii=False, indent=2)])
@pytest.mark.parametrize("document", DOCUMENTS.values(), ids=DOCUMENTS)
def test_a_document_of_any_platform_is_read(document, layout, write, ingest):
    """In one line, and pretty."""
    write(layout(document), "t.json")
    assert same(ingest("t.json"))


@pytest.mark.parametrize(
    ("text", "tags"), [("body", "label_names"), ("content", "labels"), ("正文", "标签"), ("text", "tags")]
)
def test_articles_of_a_help_centre_are_asked_about_and_the_advice_works(text, tags, write, ingest):
    """Their tags are no standard questions; their titles may be, and then they are the list of them."""
    articles = [
        {"id": at, "title": label, text: f"<p>{label}</p>", tags: ["办理", "其他"][at % 2]}
        for at, label in enumerate(CLASSES)
    ]
    write(as_json({"articles": articles}), "t.json")
    with pytest.raises(SourceError, match=f"'title', '{text}' and '{tags}' look like articles") as refused:
        ingest("t.json")
    assert "give this file with --questions" in str(refused.value)
    write(as_csv(LONG))
    assert same(ingest(questions_path="t.json"))
    words = shlex.split(str(refused.value).partition("name the columns: ")[2])
    found = ingest("t.json", query_column=words[1], question_column=words[3])
    assert {label for _, label in found.pairs} == {"办理", "其他"}


def test_replies_that_are_answers_are_no_standard_questions(write, ingest):
    """Nor are those of chats with several messages."""
    turns = [{"role": "user", "content": "a"}, {"role": "assistant", "content": "b"}]
    answers = [{"messages": [turns[0], {"role": "assistant", "content": f"请{query}"}]} for _, query in ROWS]
    write("".join(as_json(one) + "\n" for one in answers), "t.jsonl")
    with pytest.raises(SourceError, match="holds chats, and their replies differ"):
        ingest("t.jsonl")
    write("".join(as_json({"messages": turns * 2}) + "\n" for _ in ROWS), "t.jsonl")
    with pytest.raises(SourceError, match="holds chats, and they have several turns"):
        ingest("t.jsonl")


@pytest.mark.parametrize("head", ["", as_json(["query", "intent"]) + "\n"])
def test_a_list_a_line_is_a_row(head, write, ingest):
    """However many there are."""
    rows = [(f"{query}{at}", label) for at in range(100) for label, query in ROWS]
    write(head + "".join(as_json(row) + "\n" for row in rows), "t.jsonl")
    assert ingest("t.jsonl").pairs == rows


def test_pairs_of_texts_are_refused_in_any_format(write, ingest):
    """0 and 1 are no standard questions."""
    rows = [{"sentence1": query, "sentence2": label, "label": at % 2} for at, (label, query) in enumerate(ROWS)]
    write("".join(as_json(row) + "\n" for row in rows), "t.jsonl")
    pq.write_table(pa.Table.from_pylist(rows), write(b"", "t.parquet"))
    for name in ("t.jsonl", "t.parquet"):
        with pytest.raises(SourceError, match="pairs of texts that mean the same"):
            ingest(name)


def test_links_of_notion_are_no_part_of_a_standard_question(write, ingest):
    """A relation is exported as the title of a page and its address."""
    write(as_csv([HEADER, *((f"{label} (https://www.notion.so/x-1a2b?pvs=21)", query) for label, query in ROWS)]))
    ingested = ingest()
    assert same(ingested)
    assert "links to Notion were taken off 36 standard questions" in one_file(ingested).notes

    write(as_csv([HEADER, *((f"{label} (https://help.example.com/{label})", query) for label, query in ROWS)]))
    assert all("(https://help.example.com/" in label for _, label in ingest().pairs)


@pytest.mark.parametrize(
    "code",
    ["{:024x}f1", "rec{:014}", "00000000-0000-4000-8000-{:012x}", "{}"],
    ids=["hex", "Airtable", "UUID", "number"],
)
def test_codes_in_place_of_standard_questions_are_told(code, write, ingest):
    """Queries are compared with their texts."""
    write(as_csv([HEADER, *((code.format(CLASSES.index(label)), query) for label, query in ROWS)]))
    assert "12 of 12 standard questions are" in " ".join(ingest().facts.warnings)


def lists(head, item, end="\n"):
    return "".join(
        head.format(label) + "".join(item.format(text) for text in cell) + end for label, cell in SHEET.items()
    )


HEADED = {
    "nlu.md with comments": lists("## intent:{} <!-- c -->\n", "- {} <!-- c -->\n"),
    "nlu.md with a title": "# 训练数据\n\n说明\n\n" + lists("## intent:{}\n", "- {}\n"),
    "shop.lu": "> comment\n> !# @app.name = shop\n"
    + lists("# {}\n", "- {}\n")
    + "@ prebuilt number\n$product:card=\n- plastic\n",
    "shop.qna": lists("# ? {}\n", "- {}\n", "```markdown\n- 答\n```\n"),
    "faq.md": "# FAQ\n\n" + lists("## {}\n\n", "* {}\n"),
    "nlu.txt": 'version: "3.1"\nnlu:\n' + lists("- intent: {}\n  examples: |\n", "    - {}\n", ""),
    "numbered.md": lists("## {}\n\n", "1. {}\n"),
    "last.txt": "".join(f"{query} __label__{label}\n" for label, query in ROWS),
    "cx.csv": as_csv([("Intent Display Name", "Language", "Phrase"), *((label, "zh", query) for label, query in ROWS)]),
    "oracle.csv": as_csv([("query", "topIntent"), *((query, label) for label, query in ROWS)]),
    "maxkb.csv": as_csv(
        [
            ("分段标题（选填）", "分段内容（必填，问题答案）", "问题（选填，单元格内一行一个）"),
            *(("", "同一个答案", "\n".join([label, *cell])) for label, cell in SHEET.items()),
        ]
    ),
}


@pytest.mark.parametrize(("name", "text"), HEADED.items(), ids=HEADED)
def test_a_text_of_any_platform_is_read(name, text, write, ingest):
    """Headings with lists, fastText with its label last, and tables of platforms."""
    write(text, name)
    assert same(ingest(name))


def test_several_labels_of_python_and_numpy_are_set_aside(write, ingest):
    """They never become a class that is called like a list."""
    labels = ["['a', 'b']", "['a' 'b']", "{a,b}", "('a', 'b')", "[]", "{'choices': ['a', 'b']}", "a", "b"]
    write(as_csv([("text", "label"), *((f"q{at}", label) for at, label in enumerate(labels))]))
    ingested = ingest()
    assert {label for _, label in ingested.pairs} == {"a", "b"}
    assert one_file(ingested).reasons == {"several labels": 5, "empty standard question": 1}


@pytest.mark.parametrize("sign", [",", "，", "、", "+", "&", "\n"])
def test_labels_joined_by_a_sign_are_told_or_set_aside(sign, write, ingest):
    """A comma may be part of a name: the owner says."""
    write(as_csv([("text", "label"), *((query, label) for label, query in ROWS), ("beides", sign.join(CLASSES[:2]))]))
    (warning,) = [one for one in ingest().facts.warnings if "multiple_labels" in one]
    exploded = ingest(**follow(warning))
    assert [label for query, label in exploded.pairs if query == "beides"] == CLASSES[:2]
    kept = ingest(multiple_labels="keep")
    assert ("beides", sign.join(CLASSES[:2])) in kept.pairs
    assert kept.facts.warnings == []


# --- folders

QUERIES, LABELS = "".join(f"{query}\n" for _, query in ROWS), "".join(f"{label}\n" for label, _ in ROWS)
FOLDERS = {
    "queries beside labels": {"text.txt": QUERIES, "labels.txt": LABELS},
    "parts beside labels": {
        **{"train_text.txt": QUERIES, "train_labels.txt": LABELS},
        **{"test_text.txt": "eine Probe\n", "test_labels.txt": CLASSES[0]},
    },
    "a readme": {"README.txt": "說明\n", **{f"{label}.txt": "\n".join(cell) for label, cell in SHEET.items()}},
    "categories": {f"{at % 2 * '甲' or '乙'}/{x}.txt": "\n".join(SHEET[x]) for at, x in enumerate(SHEET)},
    "files by part": {
        **{f"train/{label}.txt": "\n".join(cell) for label, cell in SHEET.items()},
        f"test/{CLASSES[0]}.txt": "eine Probe",
    },
    "folders by part": {
        **{f"train/{label}/{at}.txt": text for label, cell in SHEET.items() for at, text in enumerate(cell)},
        f"test/{CLASSES[0]}/0.txt": "eine Probe",
    },
    "Hive": {f"{at:06}_0": "".join(f"{b}\x01{a}\n" for a, b in ROWS[18 * at : 18 * at + 18]) for at in (0, 1)},
    "Spark": {"_SUCCESS": "", "part-00000.gz": gzip.compress(as_csv(LONG).encode())},
    "old beside new": {"a.xlsx": workbook(LONG[:20]), "b.xls": workbook([HEADER, *LONG[20:]])},
}


@pytest.mark.parametrize("files", FOLDERS.values(), ids=FOLDERS)
def test_a_folder_is_read_as_it_is_meant(files, write, ingest):
    """Parts of a data set and categories are no standard questions, and tests are set aside."""
    for name, content in files.items():
        write(content, f"d/{name}")
    ingested = ingest("d")
    assert same(ingested)
    assert ingested.facts.quarantined == any("Probe" in str(content) for content in files.values())


def test_what_is_left_out_of_a_folder_is_told(write, ingest):
    """And a test that is trained on, with the option that measures by it."""
    for name in ("a.csv", "test.csv", "b.dat"):
        write(as_csv(LONG), f"d/{name}")
    left, test = ingest("d").facts.warnings[:2]
    assert left.endswith("not read: d/b.dat")
    assert ingest("d", test_path=test.split("--test-source ")[1]).facts.rows == 36


# --- labels by number

NUMBERED = as_csv([("text", "label"), *((query, CLASSES.index(label)) for label, query in ROWS)])
BY_NUMBER = [(str(at), label) for at, label in enumerate(CLASSES)]
LISTS = {
    "label.csv": as_csv([("label", "intent"), *BY_NUMBER]),
    "index.csv": as_csv([("", "name"), *BY_NUMBER]),
    "ids.csv": as_csv([("意图编号", "意图名称"), *BY_NUMBER]),
    "labels.txt": as_csv(BY_NUMBER, "\t"),
    "swapped.txt": as_csv([row[::-1] for row in BY_NUMBER], "\t"),
    "class.txt": "".join(f"{label}\n" for label in CLASSES),
    "list.json": as_json(CLASSES),
    "map.json": as_json(dict(BY_NUMBER)),
    "label2id.json": as_json({label: at for at, label in enumerate(CLASSES)}),
    "config.json": as_json({"model_type": "x", "id2label": dict(BY_NUMBER), "label2id": {}}),
    "map.yaml": "".join(f"{at}: {label}\n" for at, label in BY_NUMBER),
}


@pytest.mark.parametrize(("name", "content"), LISTS.items(), ids=LISTS)
@pytest.mark.parametrize("ending", ["", ".0"])
def test_numbers_are_joined_with_a_list_of_any_shape(name, content, ending, write, ingest):
    """With ids or by place, with a header or without, as frameworks write them."""
    write(re.sub(r"(\d)\n", rf"\1{ending}\n", NUMBERED))
    (warning,) = ingest().facts.warnings
    assert "12 of 12 standard questions are numbers ('" in warning
    write(content, name)
    assert same(ingest(questions_path=name))


# --- what texts show


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (lambda text: text.encode().decode("latin-1"), "the queries seem to be garbled"),
        (lambda text: text.encode("gb18030").decode("latin-1"), "the queries seem to be garbled"),
        (lambda text: "?" * len(text), "36 of 36 queries hold characters that a program lost"),
        (lambda text: text[0] + "\ufffd", "36 of 36 queries hold characters that a program lost"),
        (lambda text: "暂无", "36 of 36 queries are words for nothing ('暂无' in line 2"),
    ],
)
def test_texts_that_were_damaged_before_are_told(change, told, write, ingest):
    """They decode, and say nothing."""
    write(as_csv([HEADER, *((label, change(query)) for label, query in ROWS)]))
    assert told in " ".join(ingest().facts.warnings)


def test_texts_with_accents_are_not_taken_for_garbled_ones():
    """Their letters beyond ASCII stand alone."""
    assert describe_garbled(["Intención", "für größere Beträge", "怎么提前还款", "질문과 의도", "Вопрос"]) == ""


def test_markup_in_standard_questions_is_told_and_stripped(write, ingest):
    """By the same setting as in queries."""
    write(as_csv([HEADER, *((f"<b>{label}</b>", query) for label, query in ROWS)]))
    (warning,) = ingest().facts.warnings
    assert warning.startswith("12 of 12 standard questions hold HTML")
    assert same(ingest(**follow(warning)))


def test_lines_in_gbk_that_were_added_to_utf_8_are_set_aside(write, ingest):
    """They are few beside what is sound."""
    write(as_csv(LONG[:31]).encode() + as_csv(LONG[31:]).encode("gb18030"))
    ingested = ingest()
    assert ingested.facts.rows == 30
    assert ingested.facts.reasons == {"undecodable bytes": 6}


def test_a_category_beside_answers_is_doubted(write, ingest):
    """A standard question has one answer."""
    write(as_csv([("问题", "答案", "分类"), *((query, f"答{at}", label) for at, (label, query) in enumerate(ROWS))]))
    assert "it may be a category, and '问题' the standard question" in " ".join(ingest().facts.warnings)


def test_a_mark_in_a_drawn_table_may_be_escaped(write, ingest):
    r"""As \| is in Markdown."""
    write(drawn("| 标准问 | 相似问 |\n", "|---|---|\n", "| {} | {}\\|谢谢 |\n"))
    assert {query.strip() for query, _ in ingest(split="none").pairs} == {f"{query}|谢谢" for query, _ in ASKED}


# --- advice


@pytest.mark.parametrize("names", [("anchor", "positive", "score"), ("Betreff", "Stichwort", "n"), ("a b", "c d", "e")])
@pytest.mark.parametrize("header", [True, False])
def test_a_refusal_names_the_likeliest_columns(names, header, write, ingest):
    """By their values; without a header by number."""
    rows = [(query, label, at) for at, (label, query) in enumerate(ROWS)]
    write(as_csv([names] * header + rows))
    with pytest.raises(SourceError) as refused:
        ingest()
    assert same(ingest(**follow(str(refused.value))))


def follow(message):
    """Return the settings that the first option printed in a message makes, as the command line reads it."""
    options = re.findall(r"--set ('[^']*'|\S+?)(?=[\s,;:)]|\.?$)", message)
    if options:
        return parse_overrides([shlex.split(options[0])[0]])["source"]
    named = re.findall(r"--(query|question)-column ('[^']*'|\S+?)(?=[\s,;)]|\.?$)", message)
    return {
        f"{what}_column": name.strip("'") for what, name in named[::-1] if name not in ("and", "(source.query_column")
    }


ADVICE = {
    "lists": (as_csv([HEADER, *ROWS * 5, *((CLASSES[0], "一；二；三"),) * 3]), "several parts"),
    "breaks": (as_csv([HEADER, *ROWS * 5, *((CLASSES[0], "一<br>二"),) * 3]), "several parts"),
    "markup": (as_csv([HEADER, *ROWS, (CLASSES[0], "<b>粗</b>")]), "HTML"),
    "merged": (
        as_csv([HEADER, *((label if at % 3 == 0 else "", query) for at, (label, query) in enumerate(ROWS))]),
        "took the one above",
    ),
    "big5": (
        as_csv([("label", "query"), *((f"退款申請{n}", f"請問退款申請怎麼辦理{n}") for n in range(9))]).encode("big5"),
        "encoding",
    ),
    "no header": (as_csv([(query, label) for label, query in ROWS]).replace(",", ";") + "x;y;z\n", "no header"),
}


@pytest.mark.parametrize(("text", "word"), ADVICE.values(), ids=ADVICE)
def test_advice_that_is_followed_ends_the_complaint(text, word, write, ingest):
    """Word by word, through the parser of the command line."""
    write(text)
    complaint = _complaint(ingest, word)
    assert complaint
    settings = follow(complaint)
    assert settings
    assert _complaint(lambda: ingest(**settings), word) is None


def _complaint(ingest, word):
    try:
        warnings = ingest().facts.warnings
    except PipelineError as error:
        warnings = [str(error)]
    return next((one for one in warnings if word in one), None)
