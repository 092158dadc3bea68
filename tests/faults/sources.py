"""Sources that are torn, mean nothing, or unpack to more than there is; made by code."""

# ruff: noqa: E501 - a case a line

import base64
import bz2
import datetime as dt
import gzip
import io
import json
import lzma
import os
import random
import socket
import tarfile
import zipfile
from collections.abc import Callable, Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import openpyxl
import pyarrow as pa
import pyarrow.parquet as pq

from tests.conftest import PAIRS
from tests.faults.trying import Case, Wanted

HEADER = ("query", "standard_question")
CHECK = ("check", "-q", "--json", "--source")


def as_csv(pairs: Any = PAIRS, encoding: str = "utf-8", delimiter: str = ",") -> bytes:
    """Rows as a table of text."""
    return "".join(f"{delimiter.join(row)}\n" for row in [HEADER, *pairs]).encode(encoding)


def as_jsonl(pairs: Any = PAIRS) -> bytes:
    """An object a line."""
    return "".join(json.dumps(dict(zip(HEADER, row, strict=True)), ensure_ascii=False) + "\n" for row in pairs).encode()


def as_json(pairs: Any = PAIRS) -> bytes:
    """A list of objects."""
    return json.dumps([dict(zip(HEADER, row, strict=True)) for row in pairs], ensure_ascii=False).encode()


def as_parquet(table: pa.Table | None = None, **options: Any) -> bytes:
    """A table; that of the toy corpus otherwise."""
    content = io.BytesIO()
    queries, questions = zip(*PAIRS, strict=True)
    pq.write_table(
        table if table is not None else pa.table(dict(zip(HEADER, (queries, questions), strict=True))),
        content,
        **options,
    )
    return content.getvalue()


def as_xlsx(rows: Any = PAIRS, change: Callable[[Any], object] | None = None) -> bytes:
    """A workbook."""
    book, content = openpyxl.Workbook(), io.BytesIO()
    for row in [HEADER, *rows]:
        book.active.append(list(row))
    if change:
        change(book)
    book.save(content)
    return content.getvalue()


def as_zip(*files: tuple[str, bytes]) -> bytes:
    """An archive."""
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in files or (("t.csv", as_csv()),):
            archive.writestr(name, data)
    return content.getvalue()


def as_rasa() -> bytes:
    """Training data of Rasa in YAML."""
    lines = ["version: '3.1'", "nlu:"]
    for question in dict.fromkeys(question for _, question in PAIRS):
        lines += [f"- intent: {question}", "  examples: |"]
        lines += [f"    - {query}" for query, of in PAIRS if of == question]
    return ("\n".join(lines) + "\n").encode()


FORMATS: dict[str, Callable[[], bytes]] = {
    "t.csv": as_csv,
    "t.tsv": lambda: as_csv(delimiter="\t"),
    "t16.csv": lambda: as_csv(encoding="utf-16"),
    "gb.csv": lambda: as_csv(encoding="gb18030"),
    "t.jsonl": as_jsonl,
    "t.json": as_json,
    "t.yml": as_rasa,
    "t.parquet": as_parquet,
    "t.xlsx": as_xlsx,
    "t.csv.gz": lambda: gzip.compress(as_csv(), mtime=0),
    "t.csv.bz2": lambda: bz2.compress(as_csv()),
    "t.csv.xz": lambda: lzma.compress(as_csv()),
    "t.zip": as_zip,
}


def _flip(content: bytes, seed: int, bits: int = 1) -> bytes:
    drawn, changed = random.Random(seed), bytearray(content)
    for _ in range(bits):
        changed[drawn.randrange(len(changed))] ^= 1 << drawn.randrange(8)
    return bytes(changed)


def _shuffled(content: bytes) -> bytes:
    parts = [content[at : at + 64] for at in range(0, len(content), 64)]
    random.Random(1).shuffle(parts)
    return b"".join(parts)


DAMAGES: dict[str, tuple[Callable[[bytes], bytes], Wanted]] = {
    "empty": (lambda b: b"", "refused"),
    "one byte": (lambda b: b[:1], "refused"),
    "half": (lambda b: b[: len(b) // 2], "any"),  # half a table of text is a table
    "without its end": (lambda b: b[:-7], "any"),
    "zeroed": (lambda b: bytes(len(b)), "refused"),
    "zeroed in the middle": (lambda b: b[: len(b) // 3] + bytes(len(b) // 3) + b[len(b) // 3 * 2 :], "told"),
    "noise": (lambda b: random.Random(2).randbytes(len(b)), "refused"),
    "noise behind": (lambda b: b + random.Random(3).randbytes(500), "any"),
    "noise before": (lambda b: random.Random(4).randbytes(500) + b, "any"),
    "in another order": (_shuffled, "any"),
    "a bit": (lambda b: _flip(b, 5), "any"),
    "twenty bits": (lambda b: _flip(b, 6, 20), "any"),
    "twice": (lambda b: b + b, "any"),
    "base64": (base64.b64encode, "refused"),
    "backwards": (lambda b: b[::-1], "any"),
}


def write(name: str, content: bytes | Callable[[], bytes]) -> Callable[[Path], object]:
    """Return what writes a file of the folder."""
    return lambda folder: (folder / name).write_bytes(content() if callable(content) else content)


def damaged() -> Iterator[Case]:
    """Every format, damaged in every way."""
    for name, make in FORMATS.items():
        yield Case("damaged files", f"{name} whole", write(name, make), (*CHECK, name), "read", rows=len(PAIRS))
        for damage, (do, wanted) in DAMAGES.items():
            case = write(name, lambda do=do, make=make: do(make()))  # type: ignore[misc]
            yield Case("damaged files", f"{name} {damage}", case, (*CHECK, name), wanted)


def misnamed() -> Iterator[Case]:
    """Every format under the name of another: read for what it is, or refused."""
    for name, make in FORMATS.items():
        for other in FORMATS:
            if other != name and other[1:] != name[1:]:
                yield Case("misnamed files", f"{name} as {other}", write(other, make), (*CHECK, other), "any")


def _link(name: str, to: str) -> Callable[[Path], object]:
    return lambda folder: (folder / name).symlink_to(to)


def _closed(folder: Path) -> None:
    (folder / "t.csv").write_bytes(as_csv())
    (folder / "t.csv").chmod(0)


def _socket(folder: Path) -> None:
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind("t.csv") if os.getcwd() == str(folder) else listening.bind(str(folder / "t.csv")[-100:])


def places() -> Iterator[Case]:
    """Addresses that lead nowhere, or to what is no file."""

    def nothing(_folder: Path) -> None:
        return None

    made = {
        "a folder": (lambda folder: (folder / "t.csv").mkdir(), "t.csv"),
        "a link to nothing": (_link("t.csv", "nowhere"), "t.csv"),
        "a link to itself": (_link("t.csv", "t.csv"), "t.csv"),
        "a pipe": (lambda folder: os.mkfifo(folder / "t.csv"), "t.csv"),
        "a name that is too long": (nothing, "x" * 300),
        "a path that is too long": (nothing, "x/" * 3000),
        "a name with NUL": (nothing, "a\0b"),
        "nothing": (nothing, ""),
        "a blank": (nothing, " "),
        "a file as a folder": (write("t.csv", as_csv()), "t.csv/u.csv"),
        "nobody's home": (nothing, "~nobody-of-that-name/t.csv"),
        "a glob of nothing": (nothing, "*.csv"),
        "half a glob": (nothing, "[.csv"),
        "a device": (nothing, "/dev/null"),
        "an endless device": (nothing, "/dev/zero"),
        "the memory": (nothing, "/proc/self/mem"),
        "a folder of the system": (nothing, "/proc/self/task"),
        "a name that is no UTF-8": (nothing, "\udcff.csv"),
    }
    for name, (make, address) in made.items():
        yield Case("places", name, make, (*CHECK, address), "refused")  # type: ignore[arg-type]
    addresses = (
        "data:,a", "github://o:r@m/x.csv", "ftp://127.0.0.1:9/t.csv", "http://127.0.0.1:9/t.csv", "http://[", "s3:", "s3://",
        "file://", "file:///nowhere.csv", "zip://a::t.zip", "simplecache::t.csv", "http://127.0.0.1:99999/t", "nope://x/y",
        "memory://x.csv", "bundled:z", "bundled:", "sftp://127.0.0.1:9/t.csv", "git://x:y@z", "hdfs://x/y", "://x", "::", "http:",
        "https://user@127.0.0.1:9/x.csv", "reference://x", "abfs://x/y.csv", "gs://x/y.csv", "hf://datasets/x", "libarchive://a",
    )  # fmt: skip
    for address in addresses:
        network = address.startswith(("http://127.0.0.1:9/", "https://user@", "ftp://127", "sftp://127"))
        yield Case(
            "addresses",
            address,
            nothing,
            (*CHECK, address),
            "any" if network or address in ("s3://", "hdfs://x/y") else "refused",
        )
    secret = {
        "password": "https://me:s3cret-pa55@127.0.0.1:9/t.csv",
        "token": "https://127.0.0.1:9/t.csv?token=s3cret-pa55",
        "key": "s3://key:s3cret-pa55@bucket/t.csv",
        "signature": "https://127.0.0.1:9/t.csv?X-Amz-Signature=s3cret-pa55",
        "ssh": "ssh://me:s3cret-pa55@127.0.0.1/t.csv",
        "in a list": "ftp://me:s3cret-pa55@127.0.0.1/*.csv",
    }
    for name, address in secret.items():
        yield Case("secrets", name, nothing, (*CHECK, address), "refused", secrets=("s3cret-pa55",))
    for key in (
        "source.test_path",
        "source.questions_path",
        "publish.golden_path",
        "text.user_dictionary",
        "publish.on_published",
        "ray_address",
    ):
        words = (*CHECK, "t.csv", "--set", f"{key}={secret['password']}")
        yield Case("secrets", key, write("t.csv", as_csv()), words, "any", secrets=("s3cret-pa55",))


TEXTS: dict[str, tuple[str, bytes | Callable[[], bytes], Wanted, str]] = {
    "only a header": ("t.csv", as_csv([]), "refused", "no rows"),
    "one column": ("t.csv", b"query\na\nb\n", "refused", "column"),
    "one standard question": ("t.csv", as_csv([(f"q{n}", "x") for n in range(9)]), "refused", "one|fewer|2"),
    "nothing but blanks": ("t.csv", as_csv([(" ", " ")] * 9), "refused", "usable"),
    "nothing but emptiness": ("t.csv", as_csv([("", "")] * 9), "refused", "usable|no rows"),
    "NUL everywhere": ("t.csv", as_csv([("a\0b", "x\0")] * 9), "refused", ""),
    "a cell of 20 MB": ("t.csv", as_csv([*PAIRS, ("y" * (20 << 20), "x")]), "told", ""),
    "an open quotation mark": ("t.csv", as_csv() + '"未完,退票\n'.encode() + b"a,b\n" * 50, "told", ""),
    "columns of one name": ("t.csv", b"query,query,standard_question\na,b,x\n" * 9, "told", ""),
    "100,000 columns": ("t.csv", ",".join(f"c{n}" for n in range(100_000)).encode() + b"\n1\n", "refused", "column"),
    "CR alone": ("t.csv", as_csv().replace(b"\n", b"\r"), "read", ""),
    "CRLF": ("t.csv", as_csv().replace(b"\n", b"\r\n"), "read", ""),
    "mixed line ends": ("t.csv", as_csv()[:500].replace(b"\n", b"\r\n") + as_csv()[500:], "read", ""),
    "two marks of UTF-8": ("t.csv", b"\xef\xbb\xbf" * 2 + as_csv(), "any", ""),
    "the mark of UTF-16 alone": ("t.csv", b"\xff\xfe", "refused", ""),
    "UTF-32": ("t.csv", as_csv().decode().encode("utf-32"), "any", ""),
    "UTF-7": ("t.csv", as_csv().decode().encode("utf-7"), "any", ""),
    "two encodings": ("t.csv", as_csv() + as_csv(encoding="gb18030"), "told", ""),
    "a web page": ("t.csv", b"<!doctype html><html><body>Log in</body></html>", "refused", "page"),
    "a login page under xlsx": ("t.xlsx", b"<html><form>Log in</form></html>", "refused", ""),
    "a script": ("t.csv", b"#!/bin/sh\nrm -rf /\n", "refused", ""),
    "a picture": ("t.csv", b"\x89PNG\r\n\x1a\n" + bytes(500), "refused", ""),
    "a PDF": ("t.csv", b"%PDF-1.7\n" + bytes(500), "refused", ""),
    "an ELF": ("t.csv", b"\x7fELF" + bytes(500), "refused", ""),
    "a pickle": ("t.csv", b"\x80\x04\x95\x10\x00\x00\x00\x00\x00\x00\x00cposix\nsystem\n", "refused", ""),
    "SQLite": ("t.csv", b"SQLite format 3\0" + bytes(500), "refused", ""),
    "a tar": ("t.tar", lambda: _tar(), "any", ""),
    "seven-zip": ("t.7z", b"7z\xbc\xaf\x27\x1c" + bytes(100), "refused", ""),
    "rar": ("t.rar", b"Rar!\x1a\x07\x00" + bytes(100), "refused", ""),
    "a document": ("t.docx", lambda: as_zip(("word/document.xml", b"<w/>"), ("[Content_Types].xml", b"<T/>")), "refused", ""),
    "zstd": ("t.csv.zst", b"\x28\xb5\x2f\xfd" + bytes(100), "refused", ""),
    "gzip of gzip": ("t.csv.gz", lambda: gzip.compress(gzip.compress(as_csv())), "any", ""),
    "JSON nested deep": ("t.json", b"[" * 200_000 + b"]" * 200_000, "refused", ""),
    "JSONL nested deep": ("t.jsonl", b'{"query":' + b"[" * 100_000 + b"]" * 100_000 + b"}\n", "refused", ""),
    "JSON of a scalar": ("t.json", b"3", "refused", ""),
    "JSON of a text": ("t.json", b'"query"', "refused", ""),
    "JSON of null": ("t.json", b"null", "refused", ""),
    "JSON of nothing": ("t.json", b"[]", "refused", ""),
    "JSON of an empty object": ("t.json", b"{}", "refused", ""),
    "JSON of NaN": ("t.json", b'[{"query": NaN, "standard_question": Infinity}]', "refused", ""),
    "a number of 10,000 digits": ("t.json", b'[{"query": ' + b"9" * 10_000 + b', "standard_question": "x"}]', "any", ""),
    "a number beyond floats": ("t.jsonl", b'{"query": 1e999, "standard_question": -1e999}\n' * 3, "any", ""),
    "keys given twice": ("t.json", b'[{"query":"a","query":"b","standard_question":"x"}]' , "any", ""),
    "half an emoji": ("t.jsonl", as_jsonl() + b'{"query": "\\ud83d", "standard_question": "x"}\n', "told", ""),
    "objects in cells": ("t.jsonl", b'{"query": {"a": 1}, "standard_question": [1, {}]}\n' * 9, "any", ""),
    "torn JSON in the middle": ("t.jsonl", as_jsonl() + b'{"query": "a"\n' + as_jsonl(), "told", ""),
    "a YAML that runs code": ("t.yml", b"!!python/object/apply:os.system ['touch ran']", "refused", ""),
    "a YAML of laughs": ("t.yml", lambda: _laughs(), "refused", ""),
    "a YAML that holds itself": ("t.yml", b"&a [*a]", "refused", ""),
    "a YAML with tabs": ("t.yml", b"nlu:\n\t- intent: x\n", "refused", ""),
    "a bomb of lines": ("t.csv.gz", lambda: gzip.compress(bytes(1 << 20).replace(b"\0", b"x") * 300), "refused", ""),
    "a bomb in bz2": ("t.csv.bz2", lambda: bz2.compress(b"x" * (300 << 20)), "refused", ""),
    "a bomb in xz": ("t.csv.xz", lambda: lzma.compress(b"x" * (300 << 20), preset=0), "refused", ""),
    "a bomb in a zip": ("t.zip", lambda: as_zip(("t.csv", b"x" * (300 << 20))), "refused", ""),
    "a zip of zips": ("t.zip", lambda: as_zip(("t.zip", as_zip())), "any", ""),
    "a zip that leads out": ("t.zip", lambda: as_zip(("../../t.csv", as_csv())), "any", ""),
    "a zip of 20,000 files": ("t.zip", lambda: as_zip(*((f"{n}.csv", b"") for n in range(20_000))), "refused", ""),
    "a zip of nothing": ("t.zip", b"PK\x05\x06" + bytes(18), "refused", ""),
    "a zip of two tables": ("t.zip", lambda: as_zip(("a.csv", as_csv()), ("b.csv", as_csv())), "any", ""),
    "a zip with a password": ("t.zip", lambda: _locked_zip(), "refused", ""),
}  # fmt: skip


def _tar() -> bytes:
    content = io.BytesIO()
    with tarfile.open(fileobj=content, mode="w") as archive:
        entry = tarfile.TarInfo("t.csv")
        entry.size = len(as_csv())
        archive.addfile(entry, io.BytesIO(as_csv()))
    return content.getvalue()


def _laughs() -> bytes:
    lines = ["a0: &a0 [lol, lol, lol, lol, lol, lol, lol, lol, lol]"]
    lines += [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 9)}]" for n in range(1, 10)]
    return "\n".join(lines).encode()


def _locked_zip() -> bytes:
    changed = bytearray(as_zip())
    changed[6] |= 1  # the flag of an encrypted file, here and in the directory
    changed[changed.rindex(b"PK\x01\x02") + 8] |= 1
    return bytes(changed)


def texts() -> Iterator[Case]:
    """Tables, and what is none, with something in them that nobody means."""
    for name, (file, content, wanted, says) in TEXTS.items():
        rows = len(PAIRS) if wanted == "read" else None
        yield Case("contents", name, write(file, content), (*CHECK, file), wanted, says, rows)
    for codec in (
        "cp1252",
        "cp437",
        "koi8_r",
        "euc_kr",
        "shift_jis",
        "big5",
        "cp1251",
        "iso2022_jp",
        "hz",
        "mac_roman",
        "cp037",
        "utf-8-sig",
    ):
        content = as_csv([(f"{query} ¿señor?", question) for query, question in PAIRS]).decode().encode(codec, "ignore")
        yield Case("encodings", f"written in {codec}", write("t.csv", content), (*CHECK, "t.csv"), "any")
    for codec in (
        "idna",
        "undefined",
        "rot13",
        "base64",
        "hex",
        "zlib",
        "punycode",
        "utf-9",
        "unicode_escape",
        "raw_unicode_escape",
        "",
        "mbcs",
        "utf\0",
        "x" * 500,
        "../a",
        "oem",
    ):
        words = (*CHECK, "t.csv", "--set", f"source.encoding='{codec}'")
        yield Case(
            "encodings",
            f"source.encoding={codec[:20]!r}",
            write("t.csv", as_csv()),
            words,
            "any" if codec in ("unicode_escape", "raw_unicode_escape", "") else "refused",
        )


COLUMNS: dict[str, Callable[[], pa.Array]] = {
    "dates": lambda: pa.array([dt.date(2020, 1, 1)] * 8),
    "dates out of range": lambda: pa.array([2**31 - 1] * 8, pa.int32()).cast(pa.date32()),
    "times out of range": lambda: pa.array([1 << 62] * 8).cast(pa.timestamp("us")),
    "a time zone that is none": lambda: pa.array([1] * 8, pa.timestamp("us", tz="Mars/Olympus")),
    "nanoseconds": lambda: pa.array([1] * 8, pa.timestamp("ns")),
    "durations": lambda: pa.array([1] * 8, pa.duration("ns")),
    "decimals": lambda: pa.array([Decimal("1.50")] * 8),
    "floats": lambda: pa.array([1.5, float("nan"), float("inf"), -0.0, 1e300, 1e-300, 2.0, None]),
    "half floats": lambda: pa.array([1.5] * 8, pa.float32()).cast(pa.float16()),
    "booleans": lambda: pa.array([True, False] * 4),
    "bytes": lambda: pa.array([b"\xff\xfe"] * 8),
    "nothing": lambda: pa.nulls(8),
    "lists": lambda: pa.array([["a", "b"]] * 8),
    "objects": lambda: pa.array([{"a": 1}] * 8),
    "maps": lambda: pa.array([[("a", 1)]] * 8, pa.map_(pa.string(), pa.int32())),
    "a dictionary": lambda: pa.array(["a", "b"] * 4).dictionary_encode(),
    "a dictionary of bytes": lambda: pa.array([b"\xff"] * 8).dictionary_encode(),
    "large texts": lambda: pa.array(["a"] * 8, pa.large_string()),
    "view texts": lambda: pa.array(["a"] * 8, pa.string_view()),
    "texts that are no UTF-8": lambda: pa.Array.from_buffers(pa.string(), 8, pa.array([b"\xff\xfe"] * 8).buffers()),
    "one cell for 20,000 rows": lambda: pa.DictionaryArray.from_arrays(pa.array([0] * 20_000, pa.int32()), pa.array(["z" * (1 << 20)])),
}  # fmt: skip


def parquets() -> Iterator[Case]:
    """Columns of every type, in either place."""
    for name, make in COLUMNS.items():
        for place, key in enumerate(HEADER):

            def content(make: Callable[[], pa.Array] = make, key: str = key, other: str = HEADER[1 - place]) -> bytes:
                column = make()
                return as_parquet(pa.table({key: column, other: [f"{n % 4}" for n in range(len(column))]}))

            yield Case("Parquet", f"{key} of {name}", write("t.parquet", content), (*CHECK, "t.parquet"), "any")


def _cells(*cells: object) -> Callable[[], bytes]:
    return lambda: as_xlsx([*PAIRS, cells])


def workbooks() -> Iterator[Case]:
    """Workbooks as people leave them."""

    def hide(book: Any) -> None:
        book.active.sheet_state = "hidden"
        book.create_sheet("empty")

    def merge(book: Any) -> None:
        book.active.merge_cells("B2:B9")

    made: dict[str, tuple[Callable[[], bytes], Wanted]] = {
        "an error in a cell": (_cells("#REF!", "#N/A"), "any"),
        "a formula": (_cells("=1+1", '=HYPERLINK("x")'), "told"),
        "a date": (_cells(dt.datetime(2020, 1, 1), "x"), "any"),
        "a time": (_cells(dt.time(1, 2), "x"), "any"),
        "a bool": (_cells(True, "x"), "any"),
        "a number of 300 digits": (_cells(1e300, "x"), "any"),
        "a row of three": (_cells("a", "b", "c"), "any"),
        "a sheet that is hidden": (lambda: as_xlsx(change=hide), "any"),
        "merged cells": (lambda: as_xlsx(change=merge), "told"),
        "no sheet": (lambda: as_zip(("xl/workbook.xml", b"<workbook/>"), ("[Content_Types].xml", b"<T/>")), "refused"),
        "a password": (lambda: b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(2000), "refused"),
        "external entities": (lambda: _with_entity(), "any"),
    }
    for name, (make, wanted) in made.items():
        yield Case("workbooks", name, write("t.xlsx", make), (*CHECK, "t.xlsx"), wanted)


def _with_entity() -> bytes:
    content = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(as_xlsx())) as old, zipfile.ZipFile(content, "w") as new:
        for name in old.namelist():
            data = old.read(name)
            if name.endswith("sharedStrings.xml"):
                data = data.replace(
                    b"<sst", b'<!DOCTYPE sst [<!ENTITY x SYSTEM "file:///etc/passwd">]><sst', 1
                ).replace(b"<t>", b"<t>&x;")
            new.writestr(name, data)
    return content.getvalue()


ALL = (damaged, misnamed, places, texts, parquets, workbooks)
