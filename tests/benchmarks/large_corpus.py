"""A made-up log of any length: few standard questions are asked all the time, most hardly ever. Nothing is held.

Half of the standard questions are Chinese, half English; their rows are Zipf's (the n-th most frequent has 1/n of the
rows of the first), and so are the ways to ask one: customers repeat each other, so that of ten million rows about
a third are distinct. Rows come in the order in which they were asked, which is none.

    python -m tests.benchmarks.large_corpus 10_000_000 /tmp/log.csv
"""

import argparse
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet as pq

CLASSES = 100_000
_CHUNK = 500_000

_BRANDS = "星海 云帆 天翼 顺达 金桥 长风 宏图 安信 百川 华光 新知 明德 启航 瑞丰 同心 远景 博雅 汇通 锦绣 东方".split()
_THINGS = "信用卡 储蓄卡 手机套餐 宽带 贷款 保险单 会员卡 理财产品 机票 火车票 酒店订单 快递 发票 积分 优惠券".split()
_THINGS += "账户 密码 短信通知 还款计划 额度".split()
_ACTIONS = "开通 注销 修改 查询 退订 补办 续费 转让 激活 申诉 延期 提前结清 冻结 解冻 绑定 解绑 升级".split()
_ASPECTS = "的流程 需要什么材料 要多长时间 收多少手续费 在哪里办理 失败了 的条件 的电话".split()
_NAMES = "Alpine Beacon Cobalt Delta Ember Falcon Granite Harbor Indigo Juniper Kestrel Lumen Meridian Nimbus".split()
_NAMES += "Orchard Pioneer Quartz Ridge Summit Tundra".split()
_OBJECTS = "credit card,savings account,phone plan,broadband line,loan,policy,membership,ticket,train pass,booking"
_OBJECTS += ",parcel,invoice,reward points,voucher,profile,password,text alert,repayment plan,limit,deposit"
_VERBS = "open close change check cancel replace renew transfer activate dispute postpone settle freeze".split()
_VERBS += "unfreeze link unlink upgrade".split()
_ENDS = "how does it work,which documents are needed,how long does it take,what is the fee,where can I do it"
_ENDS += ",it failed,who is eligible,which number to call"
_OPENINGS = {
    True: ",请问,你好，,我想问一下,麻烦问下,急！,那个,咨询一下,客服你好,想知道,有人吗 ,问个事，".split(","),
    False: "|hi, |please tell me: |hello there, |urgent! |quick question, |can you help, |sorry, |hey |good morning, "
    "|I wonder, |asking again: ".split("|"),
}
_CLOSINGS = {
    True: ",？,呢,啊,谢谢,，急,怎么弄,怎么办,可以吗,，谢谢了,?,，请回复,吧,哦".split(","),
    False: "|?| please| thanks| asap| today| for my mother| right now|??| again| online| by phone| abroad| ...".split(
        "|"
    ),
}
_MIDDLES = {
    True: ",我的,老婆的,公司的,去年办的,刚办的,那张,以前的,孩子的,爸妈的,两个,朋友的".split(","),
    False: "|my |our |the old |my wife's |the company's |that |a second |last year's |the new |his |their ".split("|"),
}
_WAYS = len(_OPENINGS[True]) * len(_CLOSINGS[True]) * len(_MIDDLES[True])  # 2,016


def standard_question(number: int) -> str:
    """Return the text of one standard question; even ones are Chinese."""
    brand, thing, action, aspect = _parts(number)
    if number % 2 == 0:
        return f"{brand}{thing}{action}{aspect}"
    return f"{action} {brand} {thing}: {aspect}"


def query(number: int, way: int) -> str:
    """Return one of the 2,016 ways to ask a standard question."""
    chinese = number % 2 == 0
    brand, thing, action, aspect = _parts(number)
    way, opening = divmod(way, len(_OPENINGS[chinese]))
    middle, closing = divmod(way, len(_CLOSINGS[chinese]))
    start, inner, end = _OPENINGS[chinese][opening], _MIDDLES[chinese][middle], _CLOSINGS[chinese][closing]
    if chinese:
        return f"{start}{inner}{brand}{thing}{action}{aspect}{end}"
    return f"{start}{action} {inner}{brand} {thing} {aspect}{end}"


def _parts(number: int) -> tuple[str, str, str, str]:
    chinese, rest = number % 2 == 0, number // 2
    lists = (_BRANDS, _THINGS, _ACTIONS, _ASPECTS)
    if not chinese:
        lists = (_NAMES, _OBJECTS.split(","), _VERBS, _ENDS.split(","))
    found = []
    for words in lists:
        rest, place = divmod(rest, len(words))
        found.append(words[place])
    series = f"{rest + 1}号" if chinese else f" no {rest + 1}"  # more questions than the lists make: numbered
    return (found[0] + (series if rest else ""), found[1], found[2], found[3])


def make_rows(rows: int, classes: int = CLASSES, seed: int = 13) -> Iterator[pa.Table]:
    """Yield the log in tables of 500,000 rows, columns query and standard_question."""
    shares = 1 / np.arange(1, classes + 1)
    edges = np.cumsum(shares / shares.sum())
    names = np.array([standard_question(number) for number in range(classes)], dtype=object)
    spread = np.random.default_rng(seed).permutation(classes)  # frequent ones stand anywhere in the alphabet
    for start in range(0, rows, _CHUNK):
        count = min(_CHUNK, rows - start)
        random = np.random.default_rng([seed, start])
        asked = spread[np.minimum(np.searchsorted(edges, random.random(count)), classes - 1)]
        ways = np.minimum(np.exp(random.random(count) * np.log(_WAYS + 1)).astype(np.int64) - 1, _WAYS - 1)
        ways = (ways * 1009 + asked) % _WAYS  # every question has its own favourite
        distinct, places = np.unique(asked * _WAYS + ways, return_inverse=True)
        texts = np.array([query(*divmod(pair, _WAYS)) for pair in distinct.tolist()], dtype=object)
        yield pa.table({"query": texts[places], "standard_question": names[asked]})


def write_corpus(file: Path, rows: int, classes: int = CLASSES, seed: int = 13) -> None:
    """Write the log as CSV, or as Parquet where the name ends so."""
    schema = pa.schema([("query", pa.string()), ("standard_question", pa.string())])
    parquet = file.suffix == ".parquet"
    with pq.ParquetWriter(file, schema) if parquet else pyarrow.csv.CSVWriter(file, schema) as writer:
        for table in make_rows(rows, classes, seed):
            writer.write_table(table)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("rows", type=int)
    parser.add_argument("file", type=Path)
    parser.add_argument("--classes", type=int, default=CLASSES)
    arguments = parser.parse_args()
    write_corpus(arguments.file, arguments.rows, arguments.classes)
