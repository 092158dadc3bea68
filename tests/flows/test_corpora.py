"""Settings from TOML files and the command line, in the words of earlier versions."""

import logging
import os
import re
from pathlib import Path

import pytest

from flows.corpora import (
    absolute,
    build_settings,
    change_settings,
    load_corpus,
    merge,
    parse_overrides,
    require_known,
)
from schemas.errors import SettingsError
from tests.conftest import make_settings


def test_a_loss_of_an_earlier_version_may_be_given_in_two_words(caplog):
    """Both belong together: `log_q` alone would say nothing."""
    with caplog.at_level(logging.WARNING):
        overrides = parse_overrides(["loss.log_q=false", "loss.kind=softmax"])

    assert overrides == {"loss": {"kind": "dssm"}}
    assert "--set: loss.kind = 'softmax' with loss.log_q = false is now called loss.kind = 'dssm'" in caplog.text


def test_a_setting_that_has_gone_is_named_and_ignored(caplog):
    """The run goes on as it would without it."""
    raw = {"name": "toy", "source": {"path": "rows.csv"}}
    with caplog.at_level(logging.WARNING):
        settings = build_settings(merge(raw, parse_overrides(["training.precision=float32"])), "the test")

    assert settings == build_settings(raw, "the test")
    assert "--set: training.precision is no setting any more, and is ignored: " in caplog.text


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (lambda file: file.mkdir(), "cannot be read: Is a directory"),
        (lambda file: file.symlink_to(file), "cannot be read: Too many levels of symbolic links"),
        (lambda file: file.write_text("a = " + "[" * 100_000), "is nested too deep"),
        (lambda file: file.write_bytes(b"\xff"), r"is not UTF-8 \(from byte 0 on\)"),
        (lambda file: file.write_bytes("seed = 1".encode("utf-16")), "is text in UTF-16.*save it as UTF-8"),
        (lambda file: file.write_bytes("seed = 1".encode("utf-16-be")), "is text in UTF-16.*save it as UTF-8"),
        (lambda file: file.write_text("seed = " + "9" * 10_000), "is not TOML"),
        (lambda file: file.write_text("[publish]\n[publish]\ngo_live = false"), "each section and each setting stands"),
        (lambda file: file.write_text("seed = 1\nseed = 2"), "each section and each setting stands once"),
        (lambda file: file.write_text('language = "zh'), "a quotation mark or bracket may be missing"),
        (lambda file: file.write_text("#" * (2 << 20)), "more than 1,048,576 bytes"),
        (lambda file: file.symlink_to("/dev/zero"), "is no file"),
        (os.mkfifo, "is no file"),
    ],
)
def test_a_toml_that_cannot_be_read_is_one_message(spoil, message, home):
    """A folder, a loop of links, brackets without end."""
    folder = home / "corpora"
    folder.mkdir(parents=True, exist_ok=True)
    spoil(folder / "odd.toml")
    with pytest.raises(SettingsError, match=message):
        load_corpus("odd")


def test_a_toml_of_notepad_is_read(home):
    """It begins with a mark of UTF-8, and its lines end as those of Windows."""
    (home / "corpora").mkdir(parents=True)
    (home / "corpora" / "odd.toml").write_bytes(b"\xef\xbb\xbfseed = 7\r\nsource.path = 'rows.csv'\r\n")
    assert load_corpus("odd").seed == 7


@pytest.mark.parametrize(
    ("given", "message"),
    [("~nobody-of-that-name/rows.csv", "is nobody's home here"), ("x/" * 3000, "has 6,000 characters")],
)
def test_a_path_that_no_system_has_is_refused(given, message):
    """Before anything is looked for there."""
    with pytest.raises(SettingsError, match=message):
        absolute(given, Path("/srv"))


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"path": "zip://a::b"}, ["source.path: no address of this kind is read"]),
        ({"path": ["t.csv", 3]}, ["source.path.1: input should be a valid string (got 3)"]),
        ({"path": "t.csv", "sheet": [["a"]]}, ["source.sheet.0: input should be a valid string"]),
        ({"path": "t.csv", "sheet": 1.5}, ["source.sheet: input should be a valid string or a valid list (got 1.5)"]),
        ({"path": "t.csv", "query_column": [1.5, {}]}, ["query_column.0: input should be", "query_column.1: input"]),
        ({"path": "t.csv", "query_column": True}, ["query_column is not true or false"]),
        ({"path": "t.csv", "split": None}, ["source.split cannot be empty; give it a value, or leave it out"]),
        (
            {"path": "t.csv", "delimiter": "x" * 5000},
            ["source.delimiter: string should have at most", "5002 characters)"],
        ),
    ],
)
def test_a_setting_of_several_types_is_told_once_and_in_short(change, said):
    """By its own name, whatever of its types the value is nearest to."""
    with pytest.raises(SettingsError) as refused:
        build_settings({"name": "bank", "source": change}, "bank.toml")
    message = str(refused.value)
    assert "1 setting(s)" in message
    assert len(message) < 600
    assert all(one in message for one in said)
    assert "function-after" not in message


def test_a_column_may_be_named_by_its_number():
    """As the place of a column stands in a TOML, and in --set."""
    source = parse_overrides(
        ["source.path=t.csv", "source.query_column=2", "source.question_column=1", "source.payload_columns=[3, 'x']"]
    )["source"]
    read = build_settings({"name": "bank", "source": source}, "bank.toml").source
    assert (read.query_column, read.question_column, read.payload_columns) == ("2", "1", ["3", "x"])


def test_overrides_that_no_corpus_can_have_are_refused_before_anything_starts():
    """Else every corpus of a night would end with the same message, each in a process of its own."""
    require_known(parse_overrides(["model.hidden_dims=[64]"]))
    with pytest.raises(SettingsError, match=r"model\.hidden_dim: no such setting"):
        require_known(parse_overrides(["model.hidden_dim=[64]"]))


def test_the_overrides_of_a_form_change_what_they_name(tmp_path):
    """One KEY=VALUE a line; a typo says which name was meant, and that the form gave it."""
    corpus = make_settings(tmp_path / "x.csv")
    changed = change_settings(corpus, "\n training.epochs = 4 \nmodel.hidden_dims=[64]\n")
    assert (changed.training.epochs, changed.model.hidden_dims) == (4, [64])
    assert changed == corpus.model_copy(update={"training": changed.training, "model": changed.model})
    assert change_settings(corpus, " \n") is corpus
    for text, message in (
        ("training.epoch=4", r"overrides: 1 setting.*did you mean training.epochs"),
        ("epochs", r"overrides epochs: write it as section.key=value"),
        ("name=other", r"the name cannot be changed"),
    ):
        with pytest.raises(SettingsError, match=re.compile(message, re.DOTALL)):
            change_settings(corpus, text)


@pytest.mark.parametrize("empty", ["", " \t"])
def test_an_empty_address_is_no_folder(empty, home):
    """As a path it would be the folder of the TOML, whose tables would become a test set unasked."""
    optional = (
        "source.test_path", "source.questions_path", "source.unlabelled", "decisions.foreign_path",
        "publish.golden_path", "publish.changes_log", "text.user_dictionary", "model.encoder", "doctor.query_log",
    )  # fmt: skip
    folder = home / "corpora"
    folder.mkdir(parents=True)
    lines = ["source.path = 'rows.csv'", *(f'{key} = "{empty}"' for key in optional)]
    (folder / "odd.toml").write_text("\n".join(lines), encoding="utf-8")
    corpus = load_corpus("odd").model_dump()
    assert [corpus[section][key] for section, key in (one.split(".") for one in optional)] == [None] * len(optional)
    for key, value in (("path", empty), ("path", ["rows.csv", empty]), ("test_path", [empty])):
        given = {"name": "odd", "source": {"path": "rows.csv", key: value}}
        with pytest.raises(SettingsError, match=rf"1 setting.*\n  source\.{key}(\.\d)?: an empty text is no address"):
            build_settings(given, "odd.toml")
