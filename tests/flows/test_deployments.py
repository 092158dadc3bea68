"""What Prefect is to know: crons that do not meet, and what a plan says of a server."""

import json

import pytest
from jsonschema import ValidationError, validate
from prefect.utilities.callables import parameter_schema

from flows.corpora import load_corpus
from flows.deployments import Change, compare, describe, load_corpora, stagger
from flows.form import fold
from flows.serving import apply, read_deployments
from flows.train_corpus import train_corpus
from schemas.display import as_markdown
from schemas.errors import SettingsError
from schemas.settings import CorpusSettings
from tests.conftest import make_settings


def corpora(**crons: str) -> list[CorpusSettings]:
    """Return corpora by name with their crons."""
    return [make_settings("x.csv", name, schedule__cron=cron) for name, cron in crons.items()]


def write_toml(home, name: str, text: str = "") -> None:
    (home / "corpora").mkdir(exist_ok=True)
    (home / "corpora" / f"{name}.toml").write_text(f'[source]\npath = "{name}.csv"\n{text}', "utf-8")


def test_nightly_corpora_never_meet():
    """Half an hour apart in the order of their names; a time that another gave itself is left out."""
    crons = stagger(corpora(b="nightly", a="nightly", c="30 2 * * *", d="never", e="nightly"))

    assert crons == {"a": "0 2 * * *", "b": "0 3 * * *", "c": "30 2 * * *", "d": None, "e": "30 3 * * *"}


@pytest.mark.parametrize("count", [9, 240, 1000])
def test_many_nightly_corpora_have_times_of_their_own(count):
    """They move together; all of it is over by six where minutes suffice."""
    crons = stagger(corpora(**{f"c{number}": "nightly" for number in range(count)}))

    assert len(set(crons.values())) == count
    if count <= 240:
        assert all(2 <= int(cron.split()[1]) < 6 for cron in crons.values())


def test_a_deployment_is_the_toml_and_a_cron(home):
    """All settings are its parameter, with defaults, so that a form of the UI can change one of them."""
    write_toml(home, "bank", "[model]\nhidden = [64]\n")
    (bank,) = [one for one in describe(load_corpora()[0]) if one.name == "bank"]

    assert bank.key == "train-corpus/bank"
    assert bank.parameters["corpus"]["model"]["hidden_dims"] == [64]
    assert CorpusSettings.model_validate(json.loads(json.dumps(bank.parameters["corpus"]))) == load_corpus("bank")
    assert bank.tags == ["dssm", "bank"]
    assert bank.crons == ["30 3 * * *, Asia/Shanghai"], "the bundled a, b and c have the times before"
    assert (bank.home, bank.pool) == (str(home), None)
    assert as_markdown(str(home / "corpora" / "bank.csv")) in bank.description


def test_a_broken_toml_is_named_and_the_others_are_described(home):
    """One typo must not cost the other corpora their night."""
    write_toml(home, "bank")
    write_toml(home, "wrong", "[model]\nhiden = [64]\n")
    sound, broken = load_corpora()

    assert [corpus.name for corpus in sound] == ["a", "b", "bank", "c"]
    assert "did you mean model.hidden_dims?" in broken["wrong"]


def test_corpora_that_prefect_cannot_tell_apart_are_refused(home):
    """The bundled ones and her own stand in one list."""
    write_toml(home, "my_bank")
    write_toml(home, "my-bank")

    with pytest.raises(SettingsError, match="collide"):
        load_corpora()


def test_a_plan_says_what_is_created_changed_and_removed(home):
    """Each changed setting by its key; what did not change is said, too."""
    before = describe(corpora(gone="nightly", kept="0 5 * * *", moved="0 6 * * *"))
    moved = make_settings("x.csv", "moved", schedule__cron="never", model__hidden_dims=[64])
    after = describe([*corpora(kept="0 5 * * *", new="0 7 * * *"), moved])

    assert compare(after, before, {}) == [
        Change(action="keep", key="train-all/all"),
        Change(action="remove", key="train-corpus/gone", details=["its TOML is gone"]),
        Change(action="keep", key="train-corpus/kept"),
        Change(
            action="change",
            key="train-corpus/moved",
            details=[
                'crons: ["0 6 * * *, Asia/Shanghai"] -> nothing',
                "model.hidden_dims: nothing -> [64]",
                'schedule.cron: "0 6 * * *" -> "never"',
            ],
        ),
        Change(action="create", key="train-corpus/new", details=["0 7 * * *, Asia/Shanghai"]),
    ]
    pooled = compare(describe(corpora(kept="0 5 * * *"), pool="nightly"), before, {})
    assert [change.details for change in pooled if change.action == "change"] == [['pool: nothing -> "nightly"']] * 2


@pytest.mark.slow
def test_a_plan_says_that_runs_go_to_another_store(home, prefect_server, monkeypatch):
    """Deploy writes it where their workers read it, on a real server."""
    monkeypatch.setenv("DSSM_STORE", "s3://one/prefix/")
    apply(describe(corpora(bank="never")), {})
    assert {change.action for change in compare(describe(corpora(bank="never")), read_deployments(), {})} == {"keep"}

    monkeypatch.setenv("DSSM_STORE", "s3://another")
    changes = apply(describe(corpora(bank="never")), {})
    assert [change.details for change in changes] == [['store: "s3://one/prefix" -> "s3://another"']] * 2
    assert [one.store for one in read_deployments()] == ["s3://another"] * 2
    apply([], {})
    assert read_deployments() == []


def test_a_typo_deletes_no_deployment(home):
    """What the server has of a corpus whose TOML is not valid stays, and so does what is another home's."""
    _, bank, other = describe(corpora(bank="nightly", other="nightly"))
    found = [bank, other.model_copy(update={"home": "/srv/another"})]
    changes = compare([], found, {"bank": "no such setting"})

    assert changes == [Change(action="broken", key="train-corpus/bank", details=["no such setting"])]


def test_the_form_draws_a_few_settings_and_checks_all_of_them():
    """A thousand pixels, not twenty thousand; a value out of bounds is refused before a run is made of it."""
    schema = fold(parameter_schema(train_corpus).model_dump(exclude_unset=True))
    corpus = make_settings("x.csv").model_dump(mode="json")

    assert list(schema["properties"]) == ["corpus", "overrides"]
    sections = schema["definitions"]
    assert list(sections["CorpusSettings"]["properties"]) == ["name", "source", "model", "publish"]
    assert list(sections["Source"]["properties"]) == ["path", "test_path", "questions_path"]
    validate({"corpus": corpus, "overrides": ""}, schema)
    for section, key, value in (("model", "embedding_dim", 1), ("training", "epochs", 0), ("training", "epoch", 3)):
        with pytest.raises(ValidationError, match=r"minimum|does not match|unexpected"):
            validate({"corpus": corpus | {section: corpus[section] | {key: value}}}, schema)
    with pytest.raises(ValidationError, match="required"):
        validate({"corpus": {name: value for name, value in corpus.items() if name != "loss"}}, schema)
