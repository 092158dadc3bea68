"""Settings that nobody can mean, as words of the command line and as TOMLs."""

# ruff: noqa: E501 - a case a line

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any, get_args

from pydantic import BaseModel

from schemas.settings import CorpusSettings
from tests.faults.sources import CHECK, as_csv, write
from tests.faults.trying import Case

# of every type the values that are of another, or none at all
NUMBERS = ("nan", "inf", "-inf", "true", '"x"', '["x"]', "-1e300", "{}")
WORDS = ("true", "3", "{a = 1}")


def fields(model: type[BaseModel] = CorpusSettings, prefix: str = "") -> Iterator[tuple[str, set[type]]]:
    """Yield every setting's dotted name, and the types it may have."""
    for name, field in model.model_fields.items():
        kind = field.annotation
        if isinstance(kind, type) and issubclass(kind, BaseModel):
            yield from fields(kind, f"{prefix}{name}.")
        else:
            yield f"{prefix}{field.alias or name}", set(_types(kind))


def _types(kind: Any) -> Iterator[type]:
    if isinstance(kind, type):
        yield kind
    for inner in get_args(kind):
        yield from _types(inner)


def words() -> Iterator[Case]:
    """Each setting with values of other types, and names that are none."""
    rows = write("t.csv", as_csv())
    for name, kinds in fields():
        if name in ("name", "validate.expectations"):
            continue
        numeric = kinds & {int, float} and str not in kinds and bool not in kinds
        for value in NUMBERS if numeric else WORDS if kinds <= {str, type(None)} else ("[[[1]]]", "{a = {b = 1}}"):
            yield Case(
                "settings",
                f"{name}={value}",
                rows,
                (*CHECK, "t.csv", "--set", f"{name}={value}"),
                "refused",
                name.split(".")[0],
            )
    for pair in ("x", "=", "=1", "a=1", "model=3", "model.=3", ".model=3", "model.hidden_dim=[64]", "validate=true", "a" * 5000 + "=1",
                 "model.hidden_dims=[64", "loss.kind=\0", "seed=99999999999999999999", "name=other", "source.path=[]", "split.test_share=1",
                 "split.test_share=0", "validate.min_rows={warn=1,stop=5}", "schedule.cron=* * * * * *", "schedule.cron=x", "schedule.timezone=Mars/X",
                 "source.rename={a=1}", "language=xx", "engine=spark", "training.device=tpu", "text.user_dictionary=nowhere.txt"):  # fmt: skip
        yield Case("settings", pair[:40], rows, (*CHECK, "t.csv", "--set", pair), "refused")
    for pair in ('source.path="a\\u0000b"', "schedule.timezone=../../etc/passwd", "schedule.timezone=''", "schedule.cron=@reboot", "schedule.cron=H * * * *",
                 "schedule.cron=*/0 * * * *", "schedule.cron=0 0 0 * *", "schedule.cron=٠ ٣ * * *", "schedule.cron=0 0 31 2 *", "text.char_ngrams_cjk=[3,1]", "text.char_ngrams_cjk=[0,0]",
                 "text.char_ngrams_cjk=[1,99999999]", "training.epochs=10**6", "training.epochs=99999999999999", "seed=-1", "limits.train=0", 
                 "model.hidden_dims=[1e309]", "model.hidden_dims=[0]", "model.hidden_dims=[-64]", "model.hidden_dims=[999999999999]", "model.hidden_dims=[64,[64]]", "model.embedding_dim=1000000000000",
                 "model.ensemble=1000000", "training.batch_size=0", "training.batch_size=99999999999999", 'language=["zh"]', "decisions.max_wrong=1.5", "publish.keep_runs=0",
                 "publish.keep_versions=-1", 'source.delimiter="\\n"', "source.sheet=[[]]", "ray_address=ray://x y", "ray_address=javascript:alert(1)",
                 "publish.golden_path=nowhere.csv", "decisions.foreign_path=[3]", "source.questions_path=/dev/null",
                 "validate.min_rows={warn=nan,stop=1}", "validate.min_rows={stop=1,stop=2}", "source.rename={}={}", "seed=2020-01-01", "seed=1_0_", "seed=０", "split.test_share=0,5", "\ufeffseed=1",
                 "seed=1\n[model]\nensemble=99", "source.path=t.csv\0", "text.user_dictionary=.", "loss.gamma=-1e-320", "name=.."):  # fmt: skip
        yield Case("settings", ascii(pair)[:60], rows, (*CHECK, "t.csv", "--set", pair), "refused")
    for value in (
        '[{type="expect_nothing"}]', '[{type="expect_column_to_exist"}]', "[1]", '"x"', '[{type="expect_column_values_to_match_regex",column="query",regex="("}]',
        '[{type="expect_column_values_to_be_between",column="query",min_value=2020-01-01}]',
        '[{type="expect_column_values_to_match_regex",column="query",regex="a",row_condition="__import__(1)"}]',
        '[{type="expect_column_values_to_be_unique",column="nope"}]', '[{type="expect_column_values_to_be_unique",column="query",mostly=7}]',
        '[{type="expect_column_values_to_be_unique",column="query",mostly=true}]', '[{type="expect_table_row_count_to_equal",value="many"}]',
        '[{type="expect_column_values_to_be_in_set",column="query",value_set=3}]', '[{type="unexpected_rows_expectation",unexpected_rows_query="drop"}]',
    ):  # fmt: skip
        yield Case(
            "settings",
            f"expectation {value[:60]}",
            rows,
            (*CHECK, "t.csv", "--set", f"validate.expectations={value}"),
            "refused",
        )


TOMLS: dict[str, bytes] = {
    "empty name": b'name = ""\nsource.path = "t.csv"\n',
    "another name": b'name = "other"\nsource.path = "t.csv"\n',
    "no TOML": b"source.path = t.csv\n",
    "a torn one": b'source.path = "t.csv',
    "GBK": 'source.path = "数据.csv"\n'.encode("gbk"),
    "UTF-16": 'source.path = "t.csv"\n'.encode("utf-16"),
    "NUL": b"\0" * 50,
    "nested deep": b"a = " + b"[" * 50_000 + b"]" * 50_000,
    "a key twice": b"seed = 1\nseed = 2\n",
    "a typo": b'[source]\npaht = "t.csv"\n',
    "a section as a value": b"model = 3\n",
    "a table of tables": b"[[model]]\nx = 1\n",
    "a number of 10,000 digits": b"seed = " + b"9" * 10_000,
    "NaN": b'source.path = "t.csv"\nsplit.test_share = nan\n',
    "a date": b'source.path = "t.csv"\nseed = 2020-01-01\n',
    "a secret": b'source.path = "https://me:s3cret-pa55@127.0.0.1/t.csv"\n',
    "an empty one": b"",
    "a value of 5,000 characters": b'[source]\npath = "t.csv"\ndelimiter = "' + b"x" * 5000 + b'"\n',
    "a kind of address that is not read": b'source.path = "zip://a::b"\n',
    "a path to nothing": b'source.path = "nowhere.csv"\n',
    "a path of a number": b'source.path = ["t.csv", 3]\n',
    "a path with NUL": b'source.path = "a\\u0000b"\n',
    "a key with NUL": b'"so\\u0000urce" = 1\n',
    "a section twice": b'[source]\npath = "t.csv"\n[source]\nformat = "csv"\n',
    "a section that is a key": b'source.path = "t.csv"\n[source.path]\nx = 1\n',
    "200,000 keys": b"".join(b"k%d = 1\n" % n for n in range(200_000)),
    "a key of 200,000 parts": b"a." * 200_000 + b"b = 1\n",
    "an inline table nested deep": b"a = " + b"{a=" * 5_000 + b"1" + b"}" * 5_000,
    "a text without end": b'source.path = """' + b"x" * (1 << 20),
    "an escape that is none": b'source.path = "C:\\data\\t.csv"\n',
    "half a character": b'source.path = "\\ud800"\n',
    "an address to itself": b'source.path = "${BANK}"\n',
    "JSON": b'{"source": {"path": "t.csv"}}',
    "YAML": b"source:\n  path: t.csv\n",
    "a web page": b"<!doctype html><html></html>",
}


def tomls() -> Iterator[Case]:
    """A corpus whose TOML is none."""

    def lay(content: bytes) -> Any:
        def make(folder: Path) -> None:
            (folder.parent / "home" / "corpora").mkdir()
            (folder.parent / "home" / "corpora" / "bank.toml").write_bytes(content)

        return make

    for name, content in TOMLS.items():
        yield Case(
            "TOMLs", name, lay(content), ("check", "bank", "-q"), "refused", secrets=("s3cret-pa55",) * (name == "x")
        )

    def marked(folder: Path) -> None:
        lay(b'\xef\xbb\xbfsource.path = "t.csv"\n')(folder)
        (folder.parent / "home" / "corpora" / "t.csv").write_bytes(as_csv())

    yield Case("TOMLs", "a mark of UTF-8", marked, ("check", "bank"), "read")
    shapes = {
        "a folder": lambda file: file.mkdir(),
        "a loop of links": lambda file: file.symlink_to(file.name),
        "a link to nothing": lambda file: file.symlink_to("nowhere"),
        "an endless one": lambda file: file.symlink_to("/dev/zero"),
        "a pipe": os.mkfifo,
    }
    for name, shape in shapes.items():

        def make(folder: Path, shape: Any = shape) -> None:
            (folder.parent / "home" / "corpora").mkdir()
            shape(folder.parent / "home" / "corpora" / "bank.toml")

        yield Case("TOMLs", name, make, ("check", "bank", "-q"), "refused")


def command_lines() -> Iterator[Case]:
    """Words in the wrong places, and machines that are set up wrong."""

    def nothing(_folder: Path) -> None:
        return None

    lines = (
        ("",), ("chekc",), ("check",), ("check", "--source"), ("run",), ("run", "--all", "c"), ("run", "a/b"), ("run", "../x"), ("run", "A"), ("query",),
        ("query", "nix", "x"), ("query", "c"), ("query", "nix", "x", "--top", "0"), ("query", "nix", "x", "--top", "many"), ("models", "nix"),
        ("models", ".."), ("models", "a\0b"), ("rollback", "nix"), ("rollback", "nix", "--to", "../x"), ("approve", "nix"), ("compare", "x"),
        ("compare", "../x", "y"), ("init", "bank", "--source", "nowhere"), ("init", "B!", "--source", "t.csv"), ("settings", "nope"), ("api", "nix"),
        ("api", "--port", "99999999"), ("api", "--workers", "0"), ("run", "bank", "--processes", "0"), ("run", "nix"), ("check", "nix"),
        ("run", "c", "--set", "x"), ("query", "nix", "--file", "nowhere"), ("serve", "--what"), ("server", "--port", "0"), ("study", "--set", "nope=1"),
        ("--version", "--nope"), ("check", "\udcff"), ("check", "--source", "t.csv", "--source", "t.csv", "--query-column", ""), ("check", "--source", "t.csv", "--query-column", "nope"),
        ("check", "--source", "t.csv", "--question-column", "99"), ("check", "--source", "t.csv", "--query-column", "("), ("check", "--source", "t.csv", "--query-column", "standard_question"),
    )  # fmt: skip
    for words in lines:
        make = write("t.csv", as_csv()) if "t.csv" in words else nothing
        yield Case(
            "command lines",
            " ".join(words)[:60] or "nothing",
            make,
            words,
            "any" if words[-1:] == ("t.csv",) else "refused",
        )
    homes = {
        "": "refused",
        "/dev/null": "refused",
        "~nobody-of-that-name": "refused",
        "$HOME/x": "refused",
        "s3://bucket/home": "refused",
        "file:///tmp/home": "refused",
        "x" * 300: "refused",
        "/proc/nowhere": "faulted",
        "'~/x": "any",
        "\udcff": "any",
    }
    for given, wanted in homes.items():
        yield Case(
            "homes",
            f"DSSM_HOME={given!r}",
            write("t.csv", as_csv()),
            (*CHECK, "t.csv"),
            wanted,
            environment={"DSSM_HOME": given},
        )  # type: ignore[arg-type]
    for given in ("nonsense", "s3://", "s3://key:s3cret-pa55@bucket/x", "ftp://x/y"):
        yield Case(
            "homes",
            f"DSSM_STORE={given}",
            nothing,
            ("models", "nix"),
            "any",
            environment={"DSSM_STORE": given},
            secrets=("s3cret-pa55",),
        )
    for codec in ("gbk", "ascii", "latin-1", "utf-16", "cp1252"):
        yield Case(
            "terminals",
            codec,
            write("t.csv", as_csv([*((f"{q}😀", a) for q, a in __import__("tests.conftest").conftest.PAIRS)])),
            ("check", "--source", "t.csv"),
            "any",
            environment={"PYTHONIOENCODING": codec},
        )


ALL = (words, tomls, command_lines)
