"""Settings from TOML files and the command line, in the words of earlier versions."""

import logging

from flows.corpora import build_settings, merge, parse_overrides


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
