"""The model card."""

import pytest

from tasks.publish.card import write_card
from tasks.registry import ModelRegistry
from tests.conftest import make_settings
from tests.tasks.conftest import publish
from tests.tasks.publish.measured import evaluation, training, verdict


def test_the_card_tells_what_it_is_how_good_it_is_and_how_to_call_it(tmp_path):
    """Figures of the model beside those of the baselines, warnings, and the documented import."""
    settings = make_settings(tmp_path / "toy.csv", "toy", model__embedding_dim=48)
    card = write_card(settings, evaluation(0.75, bm25=0.5, tfidf=0.25), training(), verdict("imbalance"), "run-7")

    for part in (
        "# toy",
        "embedding 48",
        "1,234 queries of 12 standard questions by run run-7",
        "| this model | 0.750 |",
        "| BM25 | 0.500 |",
        "| tf-idf neighbour | 0.250 |",
        "| 1-3 | 100 | 0.375 |",
        "3 standard question(s) have no test row",
        "imbalance is off -\\> mend it",
        'Retriever.live("toy")',
    ):
        assert part in card


def test_the_call_in_the_card_works(home, candidate):
    """The snippet is run as it stands, but for its dots."""
    publish(ModelRegistry(home / "models" / "toy"), candidate)
    card = write_card(make_settings(home / "toy.csv"), evaluation(0.5), training(), verdict(), "run-1")
    snippet = card.split("```python\n")[1].split("```")[0].replace('"..."', '"怎么退票"')
    names: dict = {}

    exec(snippet.replace("Retriever.live(", "found = Retriever.live("), names)

    assert len(names["found"]) == 1
    assert len(names["found"][0]) == 10


def test_a_corpus_without_warnings_says_none(tmp_path):
    """An empty list would read like a forgotten one."""
    card = write_card(make_settings(tmp_path / "toy.csv"), evaluation(0.5), training(), verdict(), "run-1")

    assert "Warnings of validation:\n- none" in card


@pytest.mark.parametrize(
    ("share", "steps", "serve", "part"),
    [
        (0.0, 0, "encoder", ", hidden none), trained"),
        (0.7, 0, "encoder", "beside the encoder org/bert, hidden"),
        (0.7, 9, "encoder", "beside the encoder org/bert, fine-tuned on this corpus, hidden"),
        (0.7, 0, "bag", "beside token vectors that have learned from the encoder org/bert, hidden"),
    ],
)
def test_the_card_tells_which_encoder_answers(tmp_path, share, steps, serve, part):
    """None, that of the settings, or what has become of it."""
    settings = make_settings(tmp_path / "toy.csv", model__encoder="org/bert", model__serve=serve)
    trained = training().model_copy(update={"chosen": {"encoder_share": share, "fine_tuning_steps": steps}})

    assert part in write_card(settings, evaluation(0.5), trained, verdict(), "run-1")
