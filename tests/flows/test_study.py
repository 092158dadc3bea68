"""The study under Prefect's harness: everything on the toy corpus, small and short."""

import json

import pytest
from markupsafe import escape

from flows.cli import cli
from flows.commands.runs import _show_study
from flows.corpora import parse_overrides
from flows.study import RECIPE, list_experiments, settings_of, start_study, study_folder
from schemas.errors import SettingsError
from schemas.manifest import hash_file
from schemas.study import Study
from tests.conftest import make_settings

QUICK_WORDS = {
    "model.embedding_dim": 12,
    "training.epochs": 2,
    "training.batch_size": 16,
    "training.threads": 1,
    "training.choose": "false",
    "negatives.epochs_drawn": 2,
    "split.test_share": 0.2,
}
QUICK = parse_overrides([f"{key}={value}" for key, value in QUICK_WORDS.items()])


@pytest.fixture
def toy_corpus(home, toy_csv):
    """The toy corpus, known to the project by a TOML of DSSM_HOME."""
    (home / "corpora").mkdir()
    (home / "corpora" / "toy.toml").write_text(f'name = "toy"\n[source]\npath = "{toy_csv}"\n', "utf-8")
    return "toy"


def test_the_bundled_study_has_every_experiment_of_the_article():
    """Ablations on A with the bag; the table on A, B and C with the LSTM; both of C's variants; the default on each."""
    experiments = {e.name: e for e in list_experiments()}

    ablations = ["first-n", "ordered", "target-1", "reference", "gamma-10", "cross-entropy"]
    assert {f"a-{role}-bag" for role in ablations} < set(experiments)
    assert {f"{corpus}-recipe-lstm" for corpus in "abc"} | {f"{corpus}-default" for corpus in "abc"} < set(experiments)
    assert {"c-smaller-hidden-lstm", "c-smaller-input-lstm"} < set(experiments)
    assert [experiments[f"{c}-recipe-lstm"].article_recall_at_10 for c in "abc"] == [0.91, 0.76, 0.61]
    assert len(experiments) == 16


def test_full_takes_the_lstm_everywhere_but_in_the_default():
    """What the pipeline does by default is not the study's to change."""
    assert {e.tower for e in list_experiments(full=True) if e.role != "default"} == {"lstm"}


def test_an_ablation_changes_one_thing_of_the_recipe():
    """Otherwise its effect could not be told apart."""
    found = {e.role: settings_of(e) for e in list_experiments(["c"])}
    base = found["reference"]

    assert (base.loss.kind, base.loss.target, base.split.shuffle) == ("softmax_target", None, True)
    assert (base.text.bigrams, base.text.char_ngrams_cjk, base.model.class_vectors) == (False, None, False)
    changes = {
        "first-n": {"negatives": {"sampler": "first_n"}},
        "ordered": {"split": {"shuffle": False}},
        "target-1": {"loss": {"target": 1.0}},
        "gamma-10": {"loss": {"kind": "dssm", "gamma": 10.0}},
        "recipe": {"model": {"tower": "lstm"}},
        "smaller-input": {"model": {"tower": "lstm", "embedding_dim": 32}},
        "smaller-hidden": {"model": {"tower": "lstm", "hidden_dims": [64]}},
    }
    for role, sections in changes.items():
        expected = base.model_copy(
            update={name: getattr(base, name).model_copy(update=values) for name, values in sections.items()}
        )
        assert found[role] == expected, role
    assert RECIPE["negatives"]["per_row"] == 4


def test_an_unknown_corpus_or_setting_is_refused_before_anything_is_trained(prefect_server, home):
    """A typo costs a second."""
    with pytest.raises(SettingsError, match="no corpus 'nosuch'"):
        start_study(["nosuch"], False, {})
    with pytest.raises(SettingsError, match=r"did you mean training\.epochs"):
        start_study(["c"], False, {"training": {"epoch": 1}})
    assert not (home / "runs").exists()


@pytest.mark.slow
def test_a_study_measures_compares_and_reports(prefect_server, home, toy_corpus, capsys):
    """One page, one JSON; a second study of the same takes every step over; nothing goes live."""
    study = start_study([toy_corpus], False, QUICK)

    folder = study_folder(study.name)
    assert Study.model_validate_json((folder / "study.json").read_bytes()) == study
    page = (folder / "report.html").read_text("utf-8")
    assert "http://" not in page.replace("http://www.w3.org", "")
    assert "https://" not in page
    assert all(str(escape(finding.subject)) in page for finding in study.findings)
    assert page.count("<svg") == 4
    assert len(study.experiments) == 12
    assert all(len(m.losses) == 2 for m in study.experiments)
    assert {d.against for d in study.differences} == {
        "toy-reference-bag",
        "toy-recipe-lstm",
        "toy-target-1-bag",
        "toy-ordered-target-1-bag",
    }
    assert all(d.paired for d in study.differences)
    assert not (home / "models" / toy_corpus).exists()
    assert not list((home / "partial").glob("*/*"))

    files = {file: hash_file(file) for file in (home / "runs").rglob("evaluation.json")}
    words = [w for key, value in QUICK_WORDS.items() for w in ("--set", f"{key}={value}")]
    assert cli.main(["study", "--corpus", toy_corpus, *words, "--json"], standalone_mode=False) == 0
    told = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert told["status"] == "studied"
    assert all(one["reused"] for one in told["experiments"])
    assert told["findings"] == [finding.model_dump() for finding in study.findings]
    assert {file: hash_file(file) for file in files} == files

    _show_study(study, folder)
    shown = capsys.readouterr().out
    assert all(finding.ours in shown for finding in study.findings)
    assert shown.rstrip().endswith(f"report of the study: {folder / 'report.html'}")


def test_the_toy_settings_of_other_tests_stay_apart(toy_corpus, toy_csv):
    """The study's files stand under a name of their own: pruning the corpus's runs never touches them."""
    experiment = list_experiments([toy_corpus])[0]

    assert settings_of(experiment).name == "study-toy"
    assert settings_of(experiment).source.path == make_settings(toy_csv).source.path
