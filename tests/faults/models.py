"""What is published, damaged; the commands that read it."""

# ruff: noqa: E501 - a case a line

import json
import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from tests.faults.trying import Case, Wanted

FILES = ("manifest.json", "model.json", "model.safetensors", "standard_questions.parquet", "vocabulary.parquet")


def _flip(file: Path) -> None:
    content = bytearray(file.read_bytes())
    content[len(content) // 2] ^= 4
    file.write_bytes(content)


def _other(file: Path, make: Callable[[Path], object]) -> None:
    file.unlink()
    make(file)


HARMS: dict[str, Callable[[Path], object]] = {
    "empty": lambda file: file.write_bytes(b""),
    "half": lambda file: file.write_bytes(file.read_bytes()[: file.stat().st_size // 2]),
    "zeroed": lambda file: file.write_bytes(bytes(file.stat().st_size)),
    "a bit": _flip,
    "text": lambda file: file.write_text("nothing that is meant"),
    "gone": Path.unlink,
    "a folder": lambda file: _other(file, Path.mkdir),
    "a link to nothing": lambda file: _other(file, lambda one: one.symlink_to("nowhere")),
    "a link to itself": lambda file: _other(file, lambda one: one.symlink_to(one.name)),
    "a pipe": lambda file: _other(file, os.mkfifo),
    "longer": lambda file: file.write_bytes(file.read_bytes() + b"\0"),
}
POINTERS: dict[str, bytes] = {
    "a list": b"[]",
    "null": b"null",
    "a number": b"3",
    "no version": b"{}",
    "a version that is a number": b'{"version": 3, "history": []}',
    "a history of null": b'{"version": null, "history": null}',
    "a version elsewhere": b'{"version": "../../x", "history": []}',
    "a version that is not there": b'{"version": "20200101-000000-aaaaaa", "history": []}',
    "GBK": '{"version": "版本"'.encode("gbk"),
    "nested deep": b"[" * 100_000,
    "a number of 10,000 digits": b'{"version": ' + b"9" * 10_000 + b', "history": []}',
    "NaN": b'{"version": NaN, "history": []}',
    "a key that is newer": b'{"version": null, "history": [], "newer": 1}',
}


def cases(published: Path) -> Iterator[Case]:
    """Every file of a version and live.json, damaged in every way; `published` is a folder of models."""
    asks = {"query": ("query", "toy", "怎么退票"), "models": ("models", "toy"), "rollback": ("rollback", "toy")}

    def lay(harm: Callable[[Path], object]) -> Callable[[Path], object]:
        def make(folder: Path) -> None:
            shutil.copytree(published, folder.parent / "home" / "models", symlinks=True)
            harm(folder.parent / "home" / "models" / "toy")

        return make

    for name in FILES:
        for harm, do in HARMS.items():

            def hurt(toy: Path, do: Any = do, name: str = name) -> None:
                do(toy / json.loads((toy / "live.json").read_bytes())["version"] / name)

            yield Case(
                "damaged models",
                f"{name} {harm}",
                lay(hurt),
                asks["query"],
                "faulted",
                r"\.json|\.safetensors|\.parquet",
            )
    for harm, do in HARMS.items():
        wanted: Wanted = "any" if harm in ("longer", "a bit") else "faulted"
        for ask, words in asks.items():
            yield Case(
                "damaged pointers",
                f"{harm}, {ask}",
                lay(lambda toy, do=do: do(toy / "live.json")),
                words,
                "any" if harm == "gone" else wanted,
                "live",
            )
    for harm, content in POINTERS.items():
        for ask, words in asks.items():
            wanted = "any" if "not there" in harm else "faulted"
            yield Case(
                "damaged pointers",
                f"{harm}, {ask}",
                lay(lambda toy, content=content: (toy / "live.json").write_bytes(content)),
                words,
                wanted,
            )
        repair = ("models", "toy", "--repair")
        yield Case(
            "damaged pointers",
            f"{harm}, repair",
            lay(lambda toy, content=content: (toy / "live.json").write_bytes(content)),
            repair,
            "read",
        )
    for name, text in {
        "empty lines": b"\n\n\n",
        "no UTF-8": b"\xff\xfe\n",
        "NUL": b"a\0b\n",
        "a line of 2 MB": b"x" * (2 << 20),
        "blanks": b" \t\n",
    }.items():

        def ask(folder: Path, text: bytes = text) -> None:
            shutil.copytree(published, folder.parent / "home" / "models", symlinks=True)
            (folder / "q.txt").write_bytes(text)

        yield Case("queries", name, ask, ("query", "toy", "--file", "q.txt", "--json"), "any")
    for name, query in {"emoji": "😀" * 500, "blank": " ", "controls": "\x1b[2J\x07", "half a character": "\udcff", "long": "退票" * 20_000, "marks": "！？…", "bidi": "\u202e退票", "combining": "e\u0301" * 500}.items():  # fmt: skip
        yield Case("queries", name, lay(lambda toy: None), ("query", "toy", query, "--json"), "any")
