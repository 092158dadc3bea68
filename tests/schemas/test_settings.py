"""Settings of a corpus: bounds, completeness, round trips."""

import json
import re
import tomllib

import pytest
from pydantic import BaseModel, ValidationError

from schemas.settings import EXACT_CLASSES, FEW_ROWS, CorpusSettings, Loss, Model, Source, Text, use_new_names
from schemas.workspace import CHECKOUT

FILL = {"fill_defaults": True}


def parse(**raw):
    """Read settings as a TOML is read."""
    return CorpusSettings.model_validate({"name": "a", "source": {"path": "a.csv"}} | raw, context=FILL)


def sections(model=CorpusSettings):
    """Return every model of the settings, itself included."""
    found = {model}
    for field in model.model_fields.values():
        for kind in (field.annotation, *getattr(field.annotation, "__args__", ())):
            if isinstance(kind, type) and issubclass(kind, BaseModel):
                found |= sections(kind)
    return found


def test_a_toml_may_leave_out_what_it_does_not_change():
    """Name and source are enough."""
    settings = parse(model={"hidden_dims": [64]})

    assert settings.model.hidden_dims == [64]
    assert settings.negatives.per_row == 4


@pytest.mark.parametrize(
    ("raw", "where"),
    [
        ({"modle": {}}, ("modle",)),
        ({"model": {"towerz": 2}}, ("model", "towerz")),
        ({"source": {"path": "a", "tests": "b"}}, ("source", "tests")),
        ({"validate": {"min_rows": {"fail": 3}}}, ("validate", "min_rows", "fail")),
    ],
)
def test_an_unknown_key_is_refused_where_it_stands(raw, where):
    """A typo is not a default."""
    with pytest.raises(ValidationError) as error:
        parse(**raw)
    assert [(e["type"], e["loc"]) for e in error.value.errors()] == [("extra_forbidden", where)]


@pytest.mark.parametrize(
    ("section", "key", "wrong", "right"),
    [
        ("negatives", "per_row", 0, 1),
        ("negatives", "epochs_drawn", 0, 1),
        ("negatives", "near_duplicate", 1.1, 1.0),
        ("negatives", "sampler", "hard", "first_n"),
        ("split", "test_share", 0.0, 0.01),
        ("split", "validation_share", 0.9, 0.89),
        ("model", "tower", "no_such_tower", "lstm"),
        ("model", "embedding_dim", 1, 2),
        ("model", "hidden_dims", [0], [1]),
        ("model", "hidden_dims", [4] * 9, [4] * 8),
        ("model", "output_dim", 1, 2),
        ("model", "ensemble", 0, 1),
        ("loss", "kind", "no_such_loss", "dssm"),
        ("loss", "gamma", 0.0, 0.1),
        ("loss", "target", 1.01, 1.0),
        ("training", "epochs", 0, 1),
        ("training", "batch_size", 1, 2),
        ("training", "learning_rate", 0.0, 0.1),
        ("training", "encoder_learning_rate", 0.0, 1e-6),
        ("training", "feature_dropout", 1.0, 0.0),
        ("training", "threads", 0, 1),
        ("training", "checkpoint_seconds", -1, 0),
        ("text", "max_characters", 7, 8),
        ("text", "min_texts", 0, 1),
        ("text", "char_ngrams_cjk", [3, 2], [2, 3]),
        ("text", "char_ngrams_latin", [3, 9], [3, 8]),
        ("publish", "keep_versions", 1, 2),
        ("publish", "max_drop_vs_live", 1.1, 1.0),
    ],
)
def test_bounds_refuse_what_lies_just_outside(section, key, wrong, right):
    """And take what lies just inside."""
    with pytest.raises(ValidationError) as error:
        parse(**{section: {key: wrong}})
    assert error.value.errors()[0]["loc"][0] == section

    parse(**{section: {key: right}})


def pretrained(**model):
    """Read settings of a pretrained tower."""
    return parse(model={"tower": "pretrained", "encoder": "org/name"} | model)


@pytest.mark.parametrize(
    ("model", "message"),
    [
        ({"encoder": None}, "tower 'pretrained' needs model.encoder: a local folder, or a name"),
        ({"encoder": ""}, "needs model.encoder"),
        ({"ensemble": 2}, r"set model.ensemble = 1 \(it is 2\)"),
        ({"pooling": "max"}, "'mean' or 'cls'"),
        ({"max_tokens": 3}, "greater than or equal to 4"),
        ({"max_tokens": 8193}, "less than or equal to 8192"),
    ],
    ids=str,
)
def test_a_pretrained_tower_is_one_encoder_that_is_named(model, message):
    """Each message says what to set."""
    with pytest.raises(ValidationError, match=message):
        pretrained(**model)


def test_a_pretrained_tower_is_alone_by_default():
    """The others are eight; whoever hands over a whole object must still say so."""
    assert pretrained().model.ensemble == 1
    assert parse().model.ensemble == 8
    raw = pretrained().model_dump(mode="json")
    del raw["model"]["ensemble"]
    with pytest.raises(ValidationError, match=r"missing, e\.g\. model\.ensemble"):
        CorpusSettings.model_validate(raw)


def test_a_text_needs_some_kind_of_feature():
    """All switched off at once is refused with what to switch on."""
    off = {"words": False, "bigrams": False, "char_ngrams_cjk": None, "char_ngrams_latin": None}

    with pytest.raises(ValidationError, match="switch on words, bigrams or character n-grams"):
        parse(text=off)
    parse(text=off | {"bigrams": True})


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (
            {"loss": {"kind": "sampled_softmax"}, "negatives": {"sampler": "first_n"}},
            "set loss.kind = 'dssm', or negatives.sampler = 'random'",
        ),
    ],
)
def test_settings_that_contradict_each_other_are_refused(changes, message):
    """With what to set instead."""
    with pytest.raises(ValidationError, match=re.escape(message)):
        parse(**changes)


def test_the_loss_is_exact_up_to_a_number_of_standard_questions():
    """Above it is sampled; what is set is kept."""
    settings = parse(loss={"gamma": 12.0})

    assert settings.loss.kind == "auto"
    assert settings.loss_for(EXACT_CLASSES) == settings.loss.model_copy(update={"kind": "softmax_all"})
    assert settings.loss_for(EXACT_CLASSES + 1) == settings.loss.model_copy(update={"kind": "sampled_softmax"})
    assert parse(loss={"kind": "dssm"}).loss_for(10**6).kind == "dssm"


@pytest.mark.parametrize("name", ["A", "1a", "a b", "a/b", "", "a.b", "_a", "a" * 65])
def test_a_name_must_be_fit_for_a_folder_and_a_key(name):
    """Small letters, digits, - and _, a letter first."""
    with pytest.raises(ValidationError):
        parse(name=name)


def test_settings_are_frozen():
    """A run cannot change what it records."""
    settings = parse()

    with pytest.raises(ValidationError, match="frozen"):
        settings.seed = 2
    with pytest.raises(ValidationError, match="frozen"):
        settings.model.ensemble = 1


@pytest.mark.parametrize("missing", [("seed",), ("model",), ("model", "hidden_dims"), ("validate", "min_rows", "stop")])
def test_a_partial_object_is_refused(missing):
    """A parameter that lacks a value must not silently run on our default; the message names it."""
    raw = parse().model_dump(mode="json")
    section = raw
    for key in missing[:-1]:
        section = section[key]
    del section[missing[-1]]

    with pytest.raises(ValidationError, match=rf"partial settings: 1 value\(s\) missing, e\.g\. {'.'.join(missing)};"):
        CorpusSettings.model_validate(raw)


def test_whole_settings_survive_json():
    """As a deployment stores them, with every section changed from its default."""
    settings = parse(
        text={"char_ngrams_cjk": None},
        validate={"expectations": [{"type": "expect_column_to_exist", "kwargs": {"column": "query"}}]},
        model={"hidden_dims": [64, 32], "output_dim": 16},
        loss={"kind": "softmax_target", "target": 0.4},
        schedule={"cron": "1 2 * * 3"},
        seed=2**62,
    )

    for dumped in (settings.model_dump(mode="json"), json.loads(settings.model_dump_json())):
        assert CorpusSettings.model_validate(dumped) == settings
    assert CorpusSettings.model_validate_json(settings.model_dump_json()) == settings
    assert "validate" in settings.model_dump(mode="json")


def test_every_field_has_a_description():
    """It is what the form of the UI shows."""
    blank = [
        f"{section.__name__}.{name}"
        for section in sections()
        for name, field in section.model_fields.items()
        if not field.description
        and not (isinstance(field.annotation, type) and issubclass(field.annotation, BaseModel))
    ]

    assert blank == []
    assert all(section.__doc__ for section in sections())
    assert len(sections()) > 10


def test_the_json_schema_requires_every_field():
    """So that a form, or a caller of the API, hands over a whole object; unknown keys are refused there, too."""
    schema = CorpusSettings.model_json_schema()

    for part in (schema, *schema["$defs"].values()):
        assert sorted(part["required"]) == sorted(part["properties"])
        assert part["additionalProperties"] is False
    assert "validate" in schema["properties"]


def test_the_form_tells_the_bounds_of_a_field():
    """Prefect's UI shows descriptions, and bounds only after they were broken."""
    sections = CorpusSettings.model_json_schema()["$defs"]

    def told(section, field):
        return sections[section]["properties"][field]["description"]

    assert told("Model", "embedding_dim").endswith(". At least 2, at most 4096.")
    assert told("Split", "test_share").endswith(". Above 0, below 0.9.")
    assert told("Model", "activation") == "After each hidden layer."


@pytest.mark.parametrize("corpus", ["a", "b", "c"])
def test_the_committed_corpora_are_valid(corpus):
    """Each names the corpus of its own file."""
    raw = tomllib.loads((CHECKOUT / "data" / "corpora" / f"{corpus}.toml").read_text("utf-8"))

    settings = CorpusSettings.model_validate({"name": corpus} | raw, context=FILL)

    assert settings.name == corpus
    assert settings.source.path == f"bundled:{corpus}"


@pytest.mark.parametrize("cron", ["every day", "61 2 * * *", "0 2 * *", "0 0 31 2 *", ""])
def test_a_cron_that_never_comes_is_refused(cron):
    """At once, by the command line and the form alike, not by a server at night."""
    with pytest.raises(ValidationError, match="no cron"):
        parse(schedule={"cron": cron})


@pytest.mark.parametrize("cron", ["nightly", "never", "*/10 * * * *", "30 2 * * mon-fri"])
def test_crons_that_can_be_meant(cron):
    """Five fields, or a word."""
    assert parse(schedule={"cron": cron}).schedule.cron == cron


@pytest.mark.parametrize(
    ("model", "message"),
    [
        ({"fine_tune": True}, "fine_tune = true is for an encoder beside"),
        ({"tower": "pretrained", "encoder": "org/bert", "fine_tune": False}, "fine_tune = false is for"),
        ({"encoder_share": 0.5}, r"encoder_share = 0\.5 is for an encoder beside"),
        ({"serve": "bag"}, "serve = 'bag' is for an encoder beside"),
        ({"tower": "pretrained", "encoder": "org/bert", "encoder_prefix": "query: "}, "encoder_prefix is for"),
        ({"pooling": "cls"}, "pooling is for an encoder"),
        ({"encoder": "org/bert", "serve": "bag", "fine_tune": True}, "an encoder that answers"),
    ],
)
def test_what_would_have_no_effect_is_refused(model, message):
    """Of an encoder that is not there, or is no companion of the towers; what a run has stored is read all the same."""
    with pytest.raises(ValidationError, match=message):
        parse(model=model)
    raw = {"name": "t", "source": {"path": "x.csv"}, "model": model}
    assert CorpusSettings.model_validate(raw, context={"fill_defaults": True, "stored": True})


def test_queries_that_nobody_learns_from_are_refused():
    """They are read with model.serve = 'bag' alone."""
    with pytest.raises(ValidationError, match=r"source\.unlabelled is learned from with model\.serve = 'bag'"):
        parse(source={"path": "x.csv", "unlabelled": "log.txt"})


@pytest.mark.parametrize("model", [{"fine_tune": False, "encoder_share": 0.5}, {"serve": "bag", "fine_tune": False}])
def test_what_an_encoder_beside_the_towers_takes(model):
    """All of it; and what is off may stay where the encoder is taken out for one run."""
    assert parse(model={"encoder": "org/bert", **model}).model.encoder_beside
    assert not parse(model={"fine_tune": False, "encoder_share": 0}).model.encoder_beside


@pytest.mark.parametrize("timezone", ["Asia/Shangai", "", "../etc/passwd"])
def test_an_unknown_time_zone_is_refused(timezone):
    """Shanghai is the default, not the answer to a typo."""
    with pytest.raises(ValidationError, match="IANA time zone"):
        parse(schedule={"timezone": timezone})


@pytest.mark.parametrize("cron", ["* * * * * *", "0 30 2 * * *", "@daily", "30 2 * *"])
def test_a_cron_has_five_fields(cron):
    """With six, Prefect would take seconds for minutes."""
    with pytest.raises(ValidationError, match="five fields"):
        parse(schedule={"cron": cron})


@pytest.mark.parametrize(
    ("section", "given", "levels"),
    [
        ("validate.max_quarantined_share", {"warn": 0.01}, (0.01, 0.5)),
        ("validate.min_rows", {"stop": 50}, (200, 50)),
        ("validate.min_rows", {"stop": 1000}, (1000, 1000)),  # a default never contradicts what is given
        ("validate.drift.max_rows_lost", {"stop": 0.05}, (0.05, 0.05)),
        ("validate.min_rows", {"stop": ""}, (200, None)),
        ("validate.min_rows", {"warn": None}, (None, 2)),
        ("publish.max_drop_vs_baseline", {"stop": 1}, (0.0, 1)),
        ("publish.max_drop_vs_baseline", 1, (0.0, 1)),
        ("publish.min_gain_over_guess", {"warn": 0.1}, (0.1, 0.0)),
    ],
)
def test_one_level_of_a_bound_leaves_the_other_as_it_is(section, given, levels):
    """A stricter warning must not take the stop away; an empty level switches off, and nothing else does."""
    raw = given
    for part in reversed(section.split(".")):
        raw = {part: raw}
    bound = parse(**raw).model_dump(by_alias=True)
    for part in section.split("."):
        bound = bound[part]

    assert (bound["warn"], bound["stop"]) == levels


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"validate": {"max_quarantined_share": {"warn": 0.6}}}, r"stop = 0\.5: .* give both, the milder as warn, or"),
        ({"validate": {"max_long_share": {"stop": 1.5}}}, "stop = 1.5 is no share"),
        ({"validate": {"drift": {"max_class_shift": {"warn": 5}}}}, "warn = 5 is no share"),
        ({"publish": {"max_drop_vs_live": 1.5}}, "less than or equal to 1"),
        ({"validate": {"max_imbalance": {"warn": float("nan")}}}, "finite number"),
        ({"validate": {"max_order_z": {"stop": float("inf")}}}, "finite number"),
        ({"training": {"learning_rate": float("nan")}}, "finite number"),
        ({"validate": {"max_order_z": {"stop": -1}}}, "greater than or equal to 0"),
        ({"validate": {"max_long_share": {"warn": 0.5, "stop": 0.1}}}, "warn = 0.5 lies beyond max_long_share.stop"),
        ({"validate": {"min_rows": {"warn": 1, "stop": 10}}}, "warn = 1 lies beyond min_rows.stop = 10"),
        ({"publish": {"max_drop_vs_live": {"warn": 0.5, "stop": 0.1}}}, "lies beyond"),
        ({"validate": {"min_rows": {"warn": True}}}, "warn is not true or false"),
        ({"training": {"epochs": True}}, "epochs is not true or false"),
        ({"seed": True}, "seed is not true or false"),
        ({"model": {"hidden_dims": [True]}}, "hidden_dims is not true or false"),
        ({"publish": {"max_drop_vs_live": True}}, "max_drop_vs_live is not true or false"),
        ({"split": {"test_share": False}}, "test_share is not true or false"),
    ],
)
def test_numbers_that_cannot_be_meant_are_refused(change, message):
    """Of every setting of the kind, not of one."""
    with pytest.raises(ValidationError, match=message):
        parse(**change)


def test_the_names_of_earlier_versions_are_read_and_the_new_ones_named():
    """A TOML, a deployment and a published model of the last version go on working."""
    raw, notes = use_new_names({"model": {"hidden": [8]}, "validate": {"drift": {"max_rows_moved": {"stop": 1}}}})
    assert raw == {"model": {"hidden_dims": [8]}, "validate": {"drift": {"max_class_shift": {"stop": 1}}}}
    assert notes[0].startswith("model.hidden is now called model.hidden_dims;")
    assert len(notes) == 2
    assert Model.model_validate({"hidden": [8], "towers": 3}).ensemble == 3
    whole = parse().model_dump(mode="json")
    whole["model"]["towers"] = whole["model"].pop("ensemble")
    assert CorpusSettings.model_validate(whole) == parse()


def test_a_setting_given_by_both_its_names_is_refused():
    """One of the two would be ignored without a word."""
    with pytest.raises(ValueError, match=r"model\.hidden is the old name of model\.hidden_dims, and both are given"):
        use_new_names({"model": {"hidden": [8], "hidden_dims": [16]}})


@pytest.mark.parametrize(
    ("old", "kind"),
    [
        ({"kind": "softmax"}, "sampled_softmax"),
        ({"kind": "softmax", "log_q": True}, "sampled_softmax"),
        ({"kind": "softmax", "log_q": False}, "dssm"),
        ({"kind": "softmax_target", "log_q": False}, "softmax_target"),
        ({"kind": "sampled_softmax", "log_q": False}, "dssm"),  # --set loss.log_q=false on a TOML read already
        ({"log_q": True}, "auto"),
        ({"kind": "in_batch"}, "auto"),
        ({"kind": "soft_target"}, "auto"),
    ],
    ids=str,
)
def test_losses_of_earlier_versions_are_read_as_what_they_were(old, kind):
    """In a TOML, with a sentence for each; in a whole settings object, as a deployment holds it; in a section alone."""
    raw, notes = use_new_names({"loss": old})

    assert raw["loss"].get("kind", "auto") == kind
    assert notes
    assert all(name in " ".join(notes) for name in old if name == "log_q" or old[name] in ("in_batch", "soft_target"))
    assert Loss.model_validate(old).kind == kind
    whole = parse(loss={"kind": kind}).model_dump(mode="json")
    whole["loss"] |= {"log_q": True} | old
    assert CorpusSettings.model_validate(whole).loss.kind == kind


@pytest.mark.parametrize(
    ("section", "name", "value"),
    [
        ("validate", "data_docs", True),
        ("loss", "label_smoothing", 0.2),
        ("negatives", "mined_from", "v1"),
        ("training", "precision", "float32"),
        ("training", "class_balance", 0.5),
    ],
)
def test_a_removed_setting_is_ignored_with_a_note_that_says_why(section, name, value):
    """A TOML, a deployment and a published model of the last version go on working."""
    raw, notes = use_new_names({section: {name: value}})

    assert raw == {section: {}}
    (note,) = notes
    assert note.startswith(f"{section}.{name} is no setting any more, and is ignored: ")
    whole = parse().model_dump(mode="json")
    whole[section][name] = value
    assert CorpusSettings.model_validate(whole) == parse()


def test_what_a_bundled_corpus_has_not_cannot_be_named():
    """A typo of the owner's column would otherwise train another corpus than hers."""
    for name in ("query_column", "question_column", "encoding", "delimiter", "sheet"):
        with pytest.raises(ValueError, match=f"{name} = 'nosuch', but bundled:c is no file"):
            Source.model_validate({"path": "bundled:c", name: "nosuch"}, context={"fill_defaults": True})


def test_features_of_one_text_are_kept_of_few_rows_alone():
    """Unless the setting says otherwise."""
    assert [Text().least_texts(rows) for rows in (10, FEW_ROWS, FEW_ROWS + 1)] == [1, 1, 2]
    assert Text(min_texts=3).least_texts(10) == 3
