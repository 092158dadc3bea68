"""What an owner or a program hands to the commands after a run: lists, logs, edits, tables beside the rows; damaged runs.

The kinds here need a home with a whole run, `trained`; those of golden and foreign queries and of dictionaries need none.
"""

# ruff: noqa: E501 - a case a line

import codecs
import io
import json
import os
import shutil
import subprocess
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import openpyxl

from tests.conftest import DSSM, FAST, PAIRS, TOY, clean_environment, write_table
from tests.faults.models import HARMS
from tests.faults.sources import CHECK, as_csv, write
from tests.faults.trying import Case, Wanted

TITLES = ("accept", "action", "standard question", "query", "change to", "new queries", "recall@10 won (points)")
KNOWN = next(iter(TOY))
Make = Callable[[Path], object]
Home = Callable[[], Path]
RUN = "20260101-000000-abcdef"


def train_home(folder: Path) -> Path:
    """Return a home with one whole run of the toy corpus, called RUN, as `dssm run` leaves it."""
    home = folder / "home"
    (home / "corpora").mkdir(parents=True)
    rows = write_table(folder / "toy.csv", PAIRS)
    keys = {"source.path": f'"{rows}"', **FAST, "training.epochs": 2}
    (home / "corpora" / "toy.toml").write_text("".join(f"{key} = {value}\n" for key, value in keys.items()))
    environment = clean_environment(folder) | {"DSSM_HOME": str(home), "OMP_NUM_THREADS": "1"}
    subprocess.run([*DSSM, "run", "toy", "-q"], env=environment, cwd=folder, check=True, capture_output=True)
    (run,) = (home / "runs" / "toy").iterdir()
    run.rename(run.with_name(RUN))
    return home


def at_home(trained: Home, make: Make) -> Make:
    """Return what lays a copy of the trained home, and then what `make` makes in the folder of the command."""

    def lay(folder: Path) -> None:
        shutil.copytree(trained(), folder.parent / "home", symlinks=True, dirs_exist_ok=True)
        make(folder)

    return lay


def big(name: str, part: bytes, size: int) -> Make:
    """Return what writes a file of `size` bytes, of equal parts."""

    def make(folder: Path) -> None:
        with (folder / name).open("wb") as stream:
            for _ in range(size // len(part)):
                stream.write(part)

    return make


def as_list(*rows: tuple[object, ...], titles: tuple[str, ...] = TITLES) -> bytes:
    """Return a to-do list as CSV."""
    import csv

    text = io.StringIO()
    csv.writer(text).writerows([titles, *rows])
    return text.getvalue().encode()


def as_sheet(*rows: tuple[object, ...], change: Callable[[Any], object] = bool) -> bytes:
    """Return a to-do list as a workbook."""
    book, content = openpyxl.Workbook(), io.BytesIO()
    for row in [TITLES, *rows]:
        book.active.append(list(row))
    change(book)
    book.save(content)
    return content.getvalue()


def swollen(part: str, head: bytes, filling: bytes, size: int) -> bytes:
    """Return a workbook of which one part unpacks to `size` bytes."""
    content = io.BytesIO()
    with (
        zipfile.ZipFile(io.BytesIO(as_sheet(row("feed", new="退")))) as old,
        zipfile.ZipFile(content, "w", zipfile.ZIP_DEFLATED) as new,
    ):
        for name in {*old.namelist(), part}:
            data = head + filling * (size // len(filling)) if name == part else old.read(name)
            new.writestr(name, data)
    return content.getvalue()


def row(
    action: str,
    question: str = KNOWN,
    query: str = "",
    to: str = "",
    new: str = "",
    gain: object = 1,
    accept: str = "yes",
) -> tuple[object, ...]:
    """Return a row of a to-do list."""
    return accept, action, question, query, to, new, gain


LISTS: dict[str, tuple[str, bytes | Callable[[], bytes] | Make, Wanted, str]] = {
    "a pipe": ("todo.csv", lambda folder: os.mkfifo(folder / "todo.csv"), "refused", "todo.csv"),
    "a file that is too large": ("todo.csv", big("todo.csv", b"yes,feed\n" * 1000, 80 << 20), "refused", "64 MB"),
    "an endless file": ("todo.csv", lambda folder: (folder / "todo.csv").symlink_to("/dev/zero"), "refused", "todo.csv"),
    "nothing": ("todo.csv", b"", "refused", "lacks the column"),
    "a source": ("todo.csv", as_csv(), "refused", "lacks the column"),
    "a cell of 2 MB": ("todo.csv", as_list(row("feed", new="退" * 700_000)), "refused", "todo.csv:2"),
    "an open quotation mark": ("todo.csv", as_list() + b'yes,feed,"' + as_csv() * 200, "refused", "todo.csv"),
    "Unicode text of Excel": ("todo.csv", codecs.BOM_UTF16_LE + as_list(row("feed", new="退")).decode().replace(",", "\t").encode("utf-16-le"), "any", ""),
    "a column twice": ("todo.csv", as_list(("no", *row("feed", new="退")), titles=("accept", *TITLES)), "refused", "accept"),
    "no number as a gain": ("todo.csv", as_list(row("feed", new="退", gain="nan")), "read", ""),
    "a gain without end": ("todo.csv", as_list(row("feed", new="退", gain="1e999")), "read", ""),
    "a standard question that is gone": ("todo.csv", as_list(row("feed", "飞机餐", new="退")), "refused", "no standard question"),
    "an action that is none": ("todo.csv", as_list(row("delete everything")), "refused", "action"),
    "a yes that is none": ("todo.csv", as_list(row("feed", new="退", accept="maybe")), "refused", "accept"),
    "a new name of 100,000 characters": ("todo.csv", as_list(row("rewrite", to="改" * 100_000)), "refused", "todo.csv:2"),
    "NUL in a new name": ("todo.csv", as_list(row("rewrite", to="改\0签")), "refused", "todo.csv:2"),
    "all under one": ("todo.csv", as_list(*(row("merge", one, to="x") for one in TOY)), "refused", "Nothing of todo.csv was kept"),
    "circles": ("todo.csv", as_list(row("rewrite", to="甲问"), row("rewrite", "甲问", to=KNOWN), row("rewrite", to="甲问")), "any", ""),
    "a workbook that is torn": ("todo.xlsx", lambda: as_sheet(row("feed", new="退"))[:-300], "refused", "todo.xlsx"),
    "a workbook of bools and errors": ("todo.xlsx", lambda: as_sheet(row("feed", new="#REF!", accept="no"), (True, "feed", KNOWN, None, None, "=1+1", "#N/A")), "any", ""),
    "a workbook of a chart alone": ("todo.xlsx", lambda: as_sheet(change=lambda book: (book.create_chartsheet("c"), book.remove(book.worksheets[0]))), "refused", "todo.xlsx"),
    "a web page": ("todo.xlsx", b"<html><table><tr><td>accept</td></tr></table></html>", "refused", "lacks the column"),
    "a sheet that unpacks to 400 MB": ("todo.xlsx", lambda: swollen("xl/worksheets/sheet1.xml", b'<worksheet xmlns="http://schemas.openxmlformats.org/spreadsheetml/2006/main"><sheetData>', b'<row r="1"><c t="inlineStr"><is><t>yes</t></is></c></row>', 400 << 20), "refused", "todo.xlsx"),
    "texts that unpack to 400 MB": ("todo.xlsx", lambda: swollen("xl/sharedStrings.xml", b'<sst xmlns="http://schemas.openxmlformats.org/spreadsheetml/2006/main">', b"<si><t>yes</t></si>", 400 << 20), "refused", "todo.xlsx"),
}  # fmt: skip


def lists(trained: Home) -> Iterator[Case]:
    """`dssm check --apply`: of what cannot be meant nothing is applied."""
    for name, (file, content, wanted, says) in LISTS.items():
        make = _as_make(file, content)
        rows = None if wanted != "read" else len(PAIRS)
        yield Case(
            "to-do lists", name, at_home(trained, make), ("check", "toy", "-q", "--apply", file), wanted, says, rows
        )
    for harm, do in HARMS.items():
        for words in (("check", "toy", "-q"), ("check", "toy", "-q", "--undo")):
            lay = at_home(
                trained,
                lambda folder, do=do: _spoil(
                    folder, "toy.jsonl", b'{"batch":"b","do":"add","standard_question":"x","query":"y"}\n', do
                ),
            )
            yield Case("to-do lists", f"corrections {harm}, {' '.join(words[3:])}", lay, words, "any")


def _spoil(folder: Path, name: str, content: bytes, harm: Make) -> None:
    file = folder.parent / "home" / "corrections" / name
    file.parent.mkdir(exist_ok=True)
    file.write_bytes(content)
    harm(file)


def _as_make(file: str, content: Any) -> Make:
    """Return what writes a file: bytes, what makes bytes, or what makes the file."""
    if isinstance(content, bytes):
        return write(file, content)
    takes = content.__code__.co_argcount
    return content if takes else write(file, content)  # type: ignore[no-any-return]


def _asked(**more: Any) -> bytes:
    """Return a log of one query of the service, asked thrice, with other fields than it writes."""
    line = {
        "at": "2026-11-01T00:00:00+00:00",
        "kind": "query",
        "corpus": "toy",
        "query_id": "0" * 16,
        "query": "飞机上有什么吃的",
        "results": [],
        "decision": "handover",
    }
    return (json.dumps(line | more) + "\n").encode() * 3


LOGS: dict[str, tuple[bytes | Make, Wanted, str]] = {
    "results a number": (_asked(results=3), "any", ""),
    "results a text": (_asked(results="退票"), "any", ""),
    "results of numbers": (_asked(results=[3]), "any", ""),
    "results an object": (_asked(results={"a": 1}), "any", ""),
    "a first result that is no text": (_asked(results=[{"standard_question": ["x"], "score": "high"}]), "any", ""),
    "a decision that is a list": (_asked(decision=["answer"]), "any", ""),
    "a moment that is a number": (_asked(at=3), "any", ""),
    "moments at the ends of time": (_asked(at="0001-01-01T00:00:00+14:00") + _asked(at="9999-12-31T23:59:59-12:00"), "any", ""),
    "a query that is an object": (_asked(query={"a": 1}), "refused", "no query"),
    "half a character in a query": (_asked(query="退票\ud83d"), "any", ""),
    "NUL and controls in queries": (_asked(query="有\0什\x01么\x1b[2J吃的"), "any", ""),
    "queries that are formulas": (_asked(query='=HYPERLINK("http://x","吃的")'), "any", ""),
    "queries of 40,000 characters": (_asked(query="吃" * 40_000), "any", ""),
    "queries of signs alone": (_asked(query="😀😀") + _asked(query="？？！"), "any", ""),
    "feedback that is a number": (_asked() + b'{"kind":"feedback","query_id":"0000000000000000","standard_question":7,"query":1}\n', "any", ""),
    "feedback that is a list": (_asked() + b'{"kind":"feedback","query_id":"0000000000000000","standard_question":["x"],"query":1}\n', "any", ""),
    "feedback of nobody": (b'{"kind":"feedback","query_id":[],"standard_question":null,"query":1}\n', "refused", "no query"),
    "JSON nested deep": (_asked() + b'{"query": ' + b"[" * 100_000 + b"\n", "any", ""),
    "a number of 10,000 digits": (_asked() + b'{"query": "x", "score": ' + b"9" * 10_000 + b"}\n", "any", ""),
    "torn at its end": (_asked() + b'{"kind":"query","query":"\xe9', "any", ""),
    "another corpus's": (_asked(corpus="other"), "refused", "no query of 'toy'"),
    "a corpus that is a list": (_asked(corpus=["toy"]), "refused", "no query"),
    "nothing": (b"", "refused", "no query"),
    "blanks": (b" \n\t\n", "refused", "no query"),
    "GBK": ("怎么退票\n".encode("gbk"), "refused", "UTF-8"),
    "UTF-16": ("怎么退票\n".encode("utf-16"), "refused", "UTF-8"),
    "a model": (b"\x80\x04\x95" + bytes(5000), "refused", "UTF-8|no query"),
    "one line of 400 MB": (big("q.jsonl", b"x" * (1 << 20), 400 << 20), "refused", "characters|bytes"),
    "an endless file": (lambda folder: (folder / "q.jsonl").symlink_to("/dev/zero"), "refused", "characters|bytes"),
    "a folder of the system": (lambda folder: (folder / "q.jsonl").symlink_to("/proc/self/mem"), "refused", "q.jsonl"),
    "20,000 queries": ("".join(f"能不能带第{n}只猫上飞机\n" for n in range(20_000)).encode(), "any", ""),
}  # fmt: skip


def logs(trained: Home) -> Iterator[Case]:
    """`dssm mine` and `dssm diff`: a line that means nothing is none, and says so; it brings nothing down."""
    for name, (content, wanted, says) in LOGS.items():
        lay = at_home(trained, _as_make("q.jsonl", content))
        yield Case("query logs", f"{name}, mine", lay, ("mine", "toy", "-q", "--log", "q.jsonl"), wanted, says)
        yield Case("query logs", f"{name}, diff", lay, ("diff", "toy", "live", "live", "--log", "q.jsonl"), "any")
        watched = ("doctor", "toy", "--quick", "-q")

        def watch(folder: Path, lay: Make = lay) -> None:
            lay(folder)
            _set_log(folder)

        if wanted == "any":
            yield Case("query logs", f"{name}, doctor", watch, watched, "any")


def _set_log(folder: Path) -> None:
    """Let the newest run's settings name the log, as a TOML with doctor.query_log does."""
    file = folder.parent / "home" / "runs" / "toy" / RUN / "settings.json"
    raw = json.loads(file.read_bytes())
    raw["doctor"]["query_log"] = str(folder / "q.jsonl")
    file.write_text(json.dumps(raw))


EDITS: dict[str, tuple[tuple[str, ...], Wanted, str]] = {
    "an empty text": (("add", "toy", ""), "refused", "empty"),
    "a blank": (("add", "toy", " "), "refused", "empty"),
    "nothing that is seen": (("add", "toy", "\u200b\u2060"), "refused", "empty"),
    "5,000 characters": (("add", "toy", "吃" * 5000), "refused", "5000 characters"),
    "signs that the model does not know": (("add", "toy", "ꙮ"), "refused", "known"),
    "one that is there": (("add", "toy", KNOWN), "refused", "there already"),
    "one that is there but for width": (("add", "toy", f"\u3000{KNOWN} "), "refused", "there already"),
    "an id of another": (("add", "toy", "飞机餐怎么订", "--id", KNOWN), "refused", "id"),
    "an empty id": (("add", "toy", "飞机餐怎么订", "--id", ""), "any", ""),
    "an id of 100,000 characters": (("add", "toy", "飞机餐怎么订", "--id", "x" * 100_000), "refused", "characters"),
    "line ends in a text": (("add", "toy", "飞机餐\n怎么订"), "any", ""),
    "what steers a terminal": (("add", "toy", "飞机餐\x1b[2J怎么订"), "any", ""),
    "half a field": (("add", "toy", "飞机餐怎么订", "--field", "category"), "refused", "NAME=VALUE"),
    "a field without a name": (("add", "toy", "飞机餐怎么订", "--field", "=x"), "refused", "NAME=VALUE"),
    "a field whose name is too long": (("add", "toy", "飞机餐怎么订", "--field", "x" * 60_000 + "=1"), "refused", "characters"),
    "a value that is too long": (("add", "toy", "飞机餐怎么订", *("--field", "a=" + "x" * 100_000) * 12), "refused", "characters"),
    "no day": (("add", "toy", "飞机餐怎么订", "--field", "valid_until=2026-13-45"), "refused", "no date"),
    "a day before time": (("add", "toy", "飞机餐怎么订", "--field", "valid_from=0000-00-00"), "refused", "no date"),
    "a day after time": (("add", "toy", "飞机餐怎么订", "--field", "valid_until=99999-01-01"), "refused", "no date"),
    "the last day of time": (("add", "toy", "飞机餐怎么订", "--field", "valid_until=9999-12-31"), "any", ""),
    "a field that is called like one of ours": (("add", "toy", "飞机餐怎么订", "--field", "\x01begin=3"), "any", ""),
    "half a character": (("add", "toy", "飞机餐\udcff"), "refused", "UTF-8"),
    "half a character in a field": (("add", "toy", "飞机餐怎么订", "--field", "a=\udcff"), "refused", "UTF-8"),
    "an edit of nothing": (("edit", "toy", KNOWN), "refused", "nothing is changed"),
    "an edit of nobody": (("edit", "toy", "飞机餐", "--text", "x"), "refused", "no standard question"),
    "a text that another one has": (("edit", "toy", KNOWN, "--text", "如何改签"), "refused", "there already"),
    "an empty new text": (("edit", "toy", KNOWN, "--text", " "), "refused", "empty"),
    "the removal of nobody": (("remove", "toy", "飞机餐"), "refused", "no standard question"),
    "the removal of nothing": (("remove", "toy", ""), "refused", ""),
    "a drop of nothing": (("edits", "toy", "--drop", "飞机餐"), "refused", "no edit"),
    "of no corpus": (("add", "../toy", "x"), "refused", ""),
    "a corpus that is not there": (("add", "tyo", "x"), "refused", ""),
}  # fmt: skip
FILES: dict[str, tuple[bytes | Make, Wanted, str]] = {
    "nothing": (b"", "refused", "no query"),
    "blanks": (b"\n \n\t\n", "refused", "no query"),
    "GBK": ("能订飞机餐吗\n".encode("gbk"), "refused", "UTF-8"),
    "a workbook": (lambda: as_sheet(), "refused", "UTF-8|empty|NUL"),
    "NUL": (b"a\0b\n", "refused", "NUL"),
    "a query of 2 MB": (b"x" * (2 << 20), "refused", "bytes"),
    "a query of 2,000 characters": ("吃".encode() * 2000, "refused", "2000 characters"),
    "2,000 queries": ("".join(f"能订第{n}份飞机餐吗\n" for n in range(2000)).encode(), "refused", "1000"),
    "300 MB of queries": (big("q.txt", b"".join(f"{n:09}\n".encode() for n in range(100_000)), 300 << 20), "refused", "1000"),
    "an endless file": (lambda folder: (folder / "q.txt").symlink_to("/dev/zero"), "refused", "bytes"),
    "a folder": (lambda folder: (folder / "q.txt").mkdir(), "refused", "q.txt"),
}  # fmt: skip


def edits(trained: Home) -> Iterator[Case]:
    """`dssm add`, `edit`, `remove`, `edits`: what cannot be done changes nothing, and says why."""
    for name, (words, wanted, says) in EDITS.items():
        yield Case("edits", name, at_home(trained, lambda folder: None), words, wanted, says)
    for name, (content, wanted, says) in FILES.items():
        words = ("add", "toy", "飞机餐怎么订", "--similar-queries", "q.txt")
        yield Case(
            "edits", f"similar queries: {name}", at_home(trained, _as_make("q.txt", content)), words, wanted, says
        )
    for words in (("mine", "toy", "--log"), ("check", "toy", "--apply"), ("add", "toy", "x", "--similar-queries"), ("query", "toy", "--file"), ("diff", "toy", "live", "live", "--log")):  # fmt: skip
        address = "https://me:s3cret-pa55@127.0.0.1:9/q.txt"
        yield Case(
            "secrets",
            f"{words[0]} {words[-1]}",
            at_home(trained, lambda folder: None),
            (*words, address),
            "refused",
            secrets=("s3cret-pa55",),
        )
    words = ("add", "toy", "飞机餐怎么订", "--similar-queries", "-")
    yield Case(
        "edits",
        "similar queries without end",
        at_home(trained, lambda folder: None),
        words,
        "refused",
        "1000",
        before=_without_end,
    )


def _without_end() -> None:
    """Let standard input be a pipe into which a program writes for ever; it ends with its reader."""
    program = subprocess.Popen(["yes", "能订飞机餐吗"], stdout=subprocess.PIPE)
    assert program.stdout
    os.dup2(program.stdout.fileno(), 0)
    program.stdout.close()


RUN_FILES = ("settings.json", "run.json", "evaluate/evaluation.json", "evaluate/ranked.parquet", "evaluate/manifest.json", "prepare/test.parquet", "prepare/classes.parquet",
             "prepare/vocabulary.parquet", "prepare/train.parquet/part-00000.parquet", "train/candidate/model.safetensors", "ingest/questions.parquet")  # fmt: skip


def runs(trained: Home) -> Iterator[Case]:
    """Files of the newest run, damaged: who reads them names them, and what to do."""
    asks = {
        "doctor": ("doctor", "toy", "--quick", "-q"),
        "mine": ("mine", "toy", "-q", "--log", "q.txt"),
        "compare": ("compare", RUN, RUN),
        "apply": ("check", "toy", "-q", "--apply", "todo.csv"),
    }
    for name in RUN_FILES:
        for harm, do in HARMS.items():

            def hurt(folder: Path, do: Make = do, name: str = name) -> None:
                (folder / "q.txt").write_text("飞机上有什么吃的\n" * 5)
                (folder / "todo.csv").write_bytes(as_list(row("feed", new="退")))
                do(folder.parent / "home" / "runs" / "toy" / RUN / name)

            for ask, words in asks.items():
                if ask == "doctor" or (harm in ("half", "zeroed", "gone", "a folder")):
                    yield Case(
                        "damaged runs",
                        f"{name} {harm}, {ask}",
                        at_home(trained, hurt),
                        words,
                        "any",
                        r"\.json|\.parquet|\.safetensors|dssm run toy|not measured|was evaluated",
                    )
    for harm, do in HARMS.items():
        lay = at_home(trained, lambda folder, do=do: _spoil(folder, "toy.doctor.json", b"{}", do))
        yield Case("damaged runs", f"the doctor's memory {harm}", lay, asks["doctor"], "any")


TABLES: dict[str, tuple[str, bytes | Callable[[], bytes] | Make, Wanted, str]] = {
    "nothing": ("g.csv", b"", "refused", "g.csv"),
    "only a header": ("g.csv", as_csv([]), "refused", "no"),
    "one column": ("g.csv", b"query\nx\n", "refused", "column"),
    "a folder of nothing": ("g", lambda folder: (folder / "g").mkdir(), "refused", "g"),
    "a pipe": ("g.csv", lambda folder: os.mkfifo(folder / "g.csv"), "refused", "g.csv"),
    "an endless file": ("g.csv", lambda folder: (folder / "g.csv").symlink_to("/dev/zero"), "refused", "g.csv"),
    "NUL everywhere": ("g.csv", as_csv([("a\0", "b\0")] * 3), "refused", "g.csv"),
    "a bomb": ("g.csv.gz", lambda: __import__("gzip").compress(b"x" * (300 << 20)), "refused", "g.csv"),
    "a picture": ("g.csv", b"\x89PNG\r\n\x1a\n" + bytes(500), "refused", "g.csv"),
    "a lone surrogate": ("g.jsonl", b'{"query": "\\ud83d", "standard_question": "x"}\n', "refused", "g.jsonl"),
    "a name that is too long": ("x" * 300, lambda folder: None, "refused", ""),
    "an address with a password": ("https://me:s3cret-pa55@127.0.0.1:9/g.csv", lambda folder: None, "refused", "NAME"),
}  # fmt: skip
GOLDEN: dict[str, tuple[str, bytes | Callable[[], bytes] | Make, Wanted, str]] = {
    "a standard question that there is not": ("g.csv", as_csv([("怎么退票", "飞机餐")]), "refused", "g.csv:2"),
    "a bundled corpus": ("bundled:c", b"", "refused", "bundled"),
    "two answers": ("g.csv", as_csv([("怎么退票", KNOWN), ("怎么退票", "如何改签")]), "refused", "two right answers"),
    "a cell of 20 MB": ("g.csv", as_csv([("怎" * (7 << 20), KNOWN)]), "refused", "g.csv"),
    "half of it unusable": ("g.csv", as_csv([("怎么退票", KNOWN), ("", KNOWN), ("怎么退", "")]), "refused", "g.csv:3"),
    "100,000 unknown ones": ("g.csv", lambda: as_csv([(f"q{n}", f"s{n}") for n in range(100_000)]), "refused", "100000|100,000"),
}  # fmt: skip
FOREIGN: dict[str, tuple[str, bytes | Callable[[], bytes] | Make, Wanted, str]] = {
    "too few": ("f.txt", "今天天气\n".encode(), "refused", "at least 20"),
    "its own queries": ("f.txt", "".join(f"{query}\n" for query, _ in PAIRS).encode(), "refused", "at least 20"),
    "one line of 300 MB": ("f.txt", big("f.txt", b"x" * (1 << 20), 300 << 20), "refused", "f.txt"),
    "a bomb of lines": ("f.txt.gz", lambda: __import__("gzip").compress(b"x" * (300 << 20)), "refused", "f.txt"),
    "text of UTF-16": ("f.txt", "".join(f"明天第{n}场雨几点下\n" for n in range(30)).encode("utf-16"), "any", ""),
    "binary": ("f.txt", bytes(range(256)) * 40, "refused", "f.txt"),
    "nothing": ("f.txt", b"", "refused", "f.txt"),
    "an endless file": ("f.txt", lambda folder: (folder / "f.txt").symlink_to("/dev/zero"), "refused", "f.txt"),
    "NUL in lines": ("f.txt", b"a\0b\n" * 30, "refused", "f.txt"),
    "200,000 lines": ("f.txt", lambda: "".join(f"第{n}问\n" for n in range(200_000)).encode(), "read", ""),
}  # fmt: skip
DICTIONARIES: dict[str, tuple[str, bytes | Callable[[], bytes] | Make, Wanted, str]] = {
    "a folder": ("d.txt", lambda folder: (folder / "d.txt").mkdir(), "refused", "no file"),
    "a pipe": ("d.txt", lambda folder: os.mkfifo(folder / "d.txt"), "refused", "no file"),
    "an endless file": ("d.txt", lambda folder: (folder / "d.txt").symlink_to("/dev/zero"), "refused", "no file"),
    "nothing": ("d.txt", b"", "any", ""),
    "a picture": ("d.txt", b"\x89PNG\r\n\x1a\n" + bytes(500), "refused", "d.txt"),
    "GBK": ("d.txt", "退票 3 n\n".encode("gbk"), "refused", "UTF-8|utf-8"),
    "UTF-16": ("d.txt", "退票 3 n\n".encode("utf-16"), "refused", "UTF-8|utf-8"),
    "a word of 1 MB": ("d.txt", "退".encode() * 350_000, "refused", "characters"),
    "one line of 300 MB": ("d.txt", big("d.txt", b"x" * (1 << 20), 300 << 20), "refused", "d.txt"),
    "a count that is none": ("d.txt", "退票 many n\n".encode(), "any", ""),
    "a count below nothing": ("d.txt", "退票 -5 n\n".encode(), "any", ""),
    "a count of 400 digits": ("d.txt", f"退票 {'9' * 400} n\n".encode(), "any", ""),
    "a count of 10,000 digits": ("d.txt", f"退票 {'9' * 10_000} n\n".encode(), "any", ""),
    "a count of other digits": ("d.txt", "退票 ٣ n\n退款 ² n\n".encode(), "any", ""),
    "NUL": ("d.txt", "退\0票 3 n\n".encode(), "any", ""),
    "a table": ("d.txt", as_csv(), "any", ""),
    "a name with NUL": ("d\0.txt", lambda folder: None, "refused", "NUL|null|no file"),
    "a name that is too long": ("x" * 300, lambda folder: None, "refused", ""),
}  # fmt: skip


def beside() -> Iterator[Case]:
    """Golden queries, foreign ones, queries without an answer, and the user's dictionary, checked before anything trains."""
    kinds = {
        "golden queries": ("publish.golden_path", TABLES | GOLDEN),
        "foreign queries": ("decisions.foreign_path", TABLES | FOREIGN),
        "user dictionaries": ("text.user_dictionary", DICTIONARIES),
    }
    for kind, (setting, tables) in kinds.items():
        for name, (file, content, wanted, says) in tables.items():
            make = _as_make(file, content)

            def lay(folder: Path, make: Make = make) -> None:
                write("t.csv", as_csv())(folder)
                make(folder)

            rows = len(PAIRS) if wanted == "read" else None
            words = (*CHECK, "t.csv", "--set", f"{setting}={json.dumps(file)}")
            yield Case(kind, name, lay, words, wanted, says, rows, secrets=("s3cret-pa55",) * ("s3cret" in file))


TERMINALS = {
    "query": ("query", "toy", "怎么退票😀"),
    "explain": ("explain", "toy", "怎么退票"),
    "models": ("models", "toy"),
    "compare": ("compare", RUN, RUN),
    "doctor": ("doctor", "toy", "--quick"),
    "add": ("add", "toy", "能订飞机餐😀吗"),
    "edits": ("edits", "toy"),
    "diff": ("diff", "toy", "live", "live", "--log", "q.txt"),
    "check": ("check", "toy"),
    "settings": ("settings", "model"),
}


def terminals(trained: Home) -> Iterator[Case]:
    """What commands print, on terminals that lack some of its characters: escaped, and no traceback."""
    for name, words in TERMINALS.items():
        for codec in ("gbk", "ascii", "latin-1"):
            lay = at_home(trained, lambda folder: (folder / "q.txt").write_text("怎么退票😀\n"))
            yield Case("terminals", f"{name} in {codec}", lay, words, "any", environment={"PYTHONIOENCODING": codec})


def cases(trained: Home) -> Iterator[Case]:
    """Yield every case of a home with a run, and of what lies beside the rows."""
    for make in (lists, logs, edits, runs, terminals):
        yield from make(trained)
    yield from beside()
