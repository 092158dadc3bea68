"""Settings of one corpus: what its deployment is built from and what its runs record.

One TOML file is the whole truth about a corpus. It is parsed once into a frozen `CorpusSettings`;
nothing else in the project reads a file or an environment variable to decide what to do.
"""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal, NamedTuple, Self, TypeAlias, get_args
from zoneinfo import ZoneInfo

from cronsim import CronSim, CronSimError
from pydantic import AfterValidator, BeforeValidator, Field, ValidationInfo, field_validator, model_validator

from schemas.addresses import Address, OptionalAddress, OptionalAddresses, OptionalPath
from schemas.expectations import check_expectation
from schemas.language import Language
from schemas.section import (
    Bound,
    Section,
    Share,
    ShareBound,
    at_least,
    at_most,
    find_missing,
    rename_settings,
    tolerance,
)
from schemas.training import Cause

Severity = Literal["critical", "warning", "info"]

EXACT_CLASSES = 5_000  # above, sampling costs less than exact softmax and finds as much: tests/benchmarks/losses.py
TUNED_ROWS = 16  # a standard question; 5 and 10 gain by fine-tuning, 130 do not, between is a guess: docs/encoders.md
FEW_ROWS = 2_000  # up to which a feature of one text is worth more than it disturbs: docs/recipe.md


class TowerKind(NamedTuple):
    """What settings have to know of a tower."""

    description: str
    has_encoder: bool = False  # it starts from model.encoder, and has one member: others would start alike


TOWERS = {  # each is a module of tasks/train/towers: docs/extend.md
    "bag": TowerKind("weighted n-grams"),
    "lstm": TowerKind("the article's DSSM-LSTM"),
    "pretrained": TowerKind("a Hugging Face encoder", has_encoder=True),
}
LOSSES = {  # each is a module of tasks/train/objectives: docs/extend.md
    "softmax_all": "exact, every standard question a candidate",
    "sampled_softmax": "an estimate of softmax_all from the negatives drawn for the batch's rows, each weighted by "
    "what was not drawn (the logQ correction)",
    "dssm": "the plain loss of DSSM, softmax over a row's own drawn negatives",
    "softmax_target": "the article's, (p+ - target)^2 over a row's own drawn negatives",
}
if TYPE_CHECKING:  # to a type checker, a Literal of names that stand in a table is a string
    TowerName: TypeAlias = str
    LossName: TypeAlias = str
else:
    TowerName, LossName = Literal[*TOWERS], Literal["auto", *LOSSES]


def _check_zone(timezone: str) -> str:
    try:
        ZoneInfo(timezone)
    except (KeyError, OSError, ValueError) as error:
        raise ValueError("no IANA time zone, such as Asia/Shanghai or UTC") from error
    return timezone


TimeZone = Annotated[str, AfterValidator(_check_zone)]
# A column without a name is called by its place, and a sheet may be called 2026: a number is its text.
ColumnName = Annotated[str, BeforeValidator(lambda given: str(given) if isinstance(given, int) else given)]


class Source(Section):
    """Where the rows `query -> standard question` come from."""

    path: Address | list[Address] = Field(
        description="File, folder, glob or fsspec address, or several of them; 'bundled:c' is the generated corpus C. "
        "A relative path counts from the folder of the TOML file. A secret in an address is written ${NAME}, of the "
        "environment."
    )
    test_path: OptionalAddresses = Field(
        default=None,
        description="Official held-out rows, never altered and never trained on; empty: the split is ours.",
    )
    questions_path: OptionalAddress = Field(
        default=None,
        description="Optional list of standard questions (columns id, text): stable ids, and classes without rows.",
    )
    unlabelled: OptionalAddresses = Field(
        default=None,
        description="Queries without a standard question, such as a log, that of the service included: tables with a "
        "column query, or .txt with one a line. model.serve = 'bag' learns from them what the encoder makes of them.",
    )
    query_column: ColumnName | list[ColumnName] | None = Field(
        default=None,
        description="Column of the queries, or several, or a pattern such as 相似问*; a number is the place of a "
        "column in a table without a header; empty: found by common names.",
    )
    question_column: ColumnName | None = Field(
        default=None, description="Column of the standard questions; empty: found by common names."
    )
    payload_columns: ColumnName | list[ColumnName] = Field(
        default=[],
        description="Columns, or patterns, whose first value is kept with a standard question, beside those known by "
        "common names (answer, category, channel, valid from and until). Of a list of standard questions all are kept.",
    )
    timezone: TimeZone = Field(
        default="Asia/Shanghai",
        description="IANA time zone of dates, and of times that name none, in columns such as valid from and until.",
    )
    encoding: str | None = Field(default=None, description="Encoding of text files; empty: detected.")
    delimiter: str | None = Field(
        default=None, min_length=1, max_length=8, description="Delimiter of text files; empty: detected."
    )
    sheet: ColumnName | list[ColumnName] | None = Field(
        default=None,
        description="Sheet of a workbook, or several, or '*'; empty: all visible sheets that have the columns.",
    )
    split: str | list[str] = Field(
        default="auto",
        description="Several similar questions in one cell: 'auto' splits where the column is sure to hold lists, "
        "'none' never, 'lines' at line breaks; else the separators, as the characters of a text or as a list.",
    )
    markup: Literal["keep", "strip"] = Field(
        default="keep", description="HTML tags and entities in queries: kept with a warning, or stripped."
    )
    fill_down: Literal["auto", "none"] = Field(
        default="auto",
        description="Rows without a standard question take the one above where each stands once, as merged cells do "
        "when exported; 'none': they are set aside.",
    )
    max_cell_characters: int = Field(
        default=100_000,
        ge=10,
        le=100_000,
        description="Longest query or standard question; longer ones are set aside as they are read. Beyond 100,000 "
        "characters a cell is never held in memory.",
    )
    multiple_labels: Literal["set_aside", "explode", "keep"] = Field(
        default="set_aside",
        description="A query with several standard questions, as annotation tools write it: set_aside, explode into "
        "a row for each, or keep labels such as 'a;b' as they are though 'a' and 'b' are labels too.",
    )

    @field_validator("delimiter")
    @classmethod
    def _reads_tab(cls, delimiter: str | None) -> str | None:
        """Return a TAB where somebody typed a backslash and a t, of which no shell makes one."""
        return delimiter and delimiter.replace("\\t", "\t")

    @model_validator(mode="after")
    def _fits_source(self) -> Self:
        if isinstance(self.path, str) and self.path.startswith("bundled:"):
            for name in ("query_column", "question_column", "encoding", "delimiter", "sheet"):
                if (given := getattr(self, name)) is not None:
                    raise ValueError(
                        f"{name} = {given!r}, but {self.path} is no file; leave it out, or name yours with source.path"
                    )
        return self


class Text(Section):
    """How a text becomes features. Training and serving share these; they are part of the model."""

    user_dictionary: OptionalPath = Field(default=None, description="jieba user dictionary: a word a line.")
    words: bool = Field(default=True, description="Use words (jieba for Chinese) as features.")
    bigrams: bool = Field(default=True, description="Use pairs of neighbouring words as features.")
    char_ngrams_cjk: tuple[int, int] | None = Field(
        default=(1, 3), description="Shortest and longest character n-gram of texts with Chinese; empty: none."
    )
    char_ngrams_latin: tuple[int, int] | None = Field(
        default=(2, 4), description="Shortest and longest character n-gram of other words; empty: none."
    )
    idf_power: float = Field(
        default=0.5,
        ge=0,
        le=2,
        description="Exponent of the idf: 1 plain tf-idf, 0 none; rare features weigh less below 1.",
    )
    pair_weight: float = Field(default=0.25, ge=0, le=10, description="Weight of word pairs in texts with Chinese.")
    longest_ngram_weight: float = Field(
        default=0.2, ge=0, le=10, description="Weight of the longest character n-grams of texts with Chinese."
    )
    min_texts: int | None = Field(
        default=None,
        ge=1,
        description=f"Texts a feature must stand in to be kept, in texts; empty: 1 up to {FEW_ROWS} training rows, 2 "
        "above.",
    )
    max_features: int = Field(
        default=250_000,
        ge=1000,
        description="Features, and words, kept at most, the most frequent ones; each costs training 2 kB by default.",
    )
    max_characters: int = Field(
        default=512, ge=8, le=100_000, description="A longer text is cut here before features are taken, in characters."
    )

    @model_validator(mode="after")
    def _sane(self) -> Self:
        for name in ("char_ngrams_cjk", "char_ngrams_latin"):
            span = getattr(self, name)
            if span and not 1 <= span[0] <= span[1] <= 8:
                raise ValueError(
                    f"{name} must be [shortest, longest] with 1 <= shortest <= longest <= 8, got {list(span)}"
                )
        if not (self.words or self.bigrams or self.char_ngrams_cjk or self.char_ngrams_latin):
            raise ValueError("no features left: switch on words, bigrams or character n-grams")
        return self

    def least_texts(self, rows: int) -> int:
        """Return in how many texts a feature must stand to be kept, of a corpus of so many training rows."""
        return self.min_texts or (1 if rows <= FEW_ROWS else 2)


class CustomExpectation(Section):
    """An expectation of `schemas.expectations`, run on the rows (columns query, standard_question, ...)."""

    type: str = Field(description="Snake-case name, e.g. 'expect_column_value_lengths_to_be_between'.")
    kwargs: dict[str, Any] = Field(default_factory=dict, description="Arguments of the expectation.")
    severity: Severity = Field(default="warning", description="critical ends the run; warning and info travel on.")

    @model_validator(mode="after")
    def _is_known(self) -> Self:
        check_expectation(self.type, self.kwargs)
        return self


class DriftBounds(Section):
    """How far the corpus may differ from the one that the live version was trained on.

    A night that adds rows stops nothing: every bound that growth can reach stops only where the corpus more than
    doubles at once, all of it under one standard question or in new words.
    """

    RENAMED: ClassVar = {"max_rows_moved": "max_class_shift"}

    max_rows_lost: ShareBound = at_most("share of the live version's rows that are gone", warn=0.1, stop=0.5)
    max_rows_gained: Bound = at_most("rows added, as a share of the live version's", warn=1)
    max_classes_removed: ShareBound = at_most(
        "share of the live version's standard questions gone", warn=0.05, stop=0.5
    )
    max_classes_added: ShareBound = at_most("share of the standard questions that are new", warn=0.3)
    max_classes_renamed: ShareBound = at_most("share of the live version's standard questions renamed", warn=0.05)
    max_class_shift: ShareBound = at_most(
        "share of rows that would have to change their standard question to be spread as they were (total variation, "
        "over the standard questions that both have)",
        warn=0.2,
        stop=0.5,
    )
    max_new_words: ShareBound = at_most(
        "share of words in the queries that the live version's had not", warn=0.1, stop=0.5
    )
    max_fields_gone: Bound = at_most(
        "fields beside a standard question, such as its answer, that the live version's had and none has now", warn=0
    )
    max_field_share_lost: ShareBound = at_most(
        "share of the standard questions by which fewer have a field, such as an answer, than in the live version's; "
        "of the field that lost most and is not gone",
        warn=0.1,
    )
    max_ids_changed: ShareBound = at_most(
        "share of the standard questions that have their text and another id than in the live version's", warn=0
    )


class Validation(Section):
    """What the corpus must satisfy. Every bound has two levels, warn and stop."""

    REMOVED: ClassVar = {"data_docs": "findings.parquet, the report and the UI show what was found"}

    small_class_rows: int = Field(default=3, ge=1, description="A class with at most so many rows is small, in rows.")
    max_query_characters: int = Field(
        default=300, ge=1, description="A longer query counts as over-long, in characters."
    )
    min_rows: Bound = at_least("usable rows", warn=200, stop=2)
    min_classes: Bound = at_least("standard questions with rows", warn=5, stop=2)
    min_class_rows: Bound = at_least("rows of the smallest class", warn=2)
    max_small_class_share: ShareBound = at_most("share of classes that are small", warn=0.5)
    max_imbalance: Bound = at_most("rows of the largest class over the median class", warn=100)
    max_catch_all_share: ShareBound = at_most(
        "share of rows under a standard question that takes whatever fits nowhere: by its name, such as 其他, or by "
        "ten times the mean of all",
        warn=0.1,
    )
    max_placeholder_share: ShareBound = at_most(
        "share of rows whose standard question reads like a missing value, such as nan", warn=0
    )
    max_classes_per_query: Bound = at_most(
        "standard questions per different query; more than 1 where the columns are swapped", warn=1
    )
    max_boilerplate_share: ShareBound = at_most("share of queries that begin or end with the same text", warn=0.1)
    max_quarantined_share: ShareBound = at_most("share of source rows that are unusable", warn=0.001, stop=0.5)
    max_long_share: ShareBound = at_most("share of over-long queries", warn=0.01)
    max_damaged_share: ShareBound = at_most("share of rows with encoding damage", warn=0.001, stop=0.5)
    max_duplicate_share: ShareBound = at_most("share of rows that repeat an earlier row", warn=0.2)
    max_conflict_share: ShareBound = at_most(
        "share of rows whose query stands under several standard questions", warn=0.02
    )
    max_twin_classes: Bound = at_most("standard questions equal to another after normalising", warn=0)
    max_order_z: Bound = at_most("z of order by standard question, before the shuffle", warn=6)
    drift: DriftBounds = Field(default_factory=DriftBounds, description="Against the live version's corpus.")
    expectations: list[CustomExpectation] = Field(
        default_factory=list,
        description="Further expectations on the rows, of Great Expectations; docs/production.md lists them.",
    )


class Split(Section):
    """How rows are held out. Shares are of all rows; every class keeps a training row."""

    test_share: float = Field(default=0.1, gt=0, lt=0.9, description="Rows held out for the test; our own split only.")
    validation_share: float = Field(
        default=0.1, gt=0, lt=0.9, description="Training rows on which choices are made; the refit uses them all."
    )
    max_test_rows: int = Field(
        default=50_000, ge=100, description="Rows held out for the test, at most; so many give recall to 0.2 points."
    )
    max_validation_rows: int = Field(default=20_000, ge=100, description="Rows of the validation cut at most.")
    shuffle: bool = Field(default=True, description="Shuffle all rows before training; off only to study the harm.")


class Negatives(Section):
    """The wrong standard questions drawn for every training row."""

    REMOVED: ClassVar = {
        "mined_from": "no corpus showed a gain of mined negatives, and all are drawn at random",
        "mined_per_row": "no negatives are mined",
    }

    per_row: int = Field(default=4, ge=1, le=1024, description="Negatives per row and epoch (the article's 1:k).")
    sampler: Literal["random", "first_n"] = Field(
        default="random", description="random: uniform; first_n: always the same first n (the article's mistake)."
    )
    epochs_drawn: int = Field(default=4, ge=1, le=1000, description="Epochs with a fresh draw; afterwards they cycle.")
    near_duplicate: float = Field(
        default=0.9,
        gt=0,
        le=1,
        description="Standard questions this similar (Jaccard of character pairs) never oppose.",
    )


class Model(Section):
    """The tower, and how many of it are averaged."""

    RENAMED: ClassVar = {
        "towers": "ensemble",
        "embedding": "embedding_dim",
        "hidden": "hidden_dims",
        "output": "output_dim",
    }
    REMOVED: ClassVar = {"encoder_adapters": "they took seven times as long for at most half a point of recall@1"}

    tower: TowerName = Field(
        default="bag", description="; ".join(f"{name}: {kind.description}" for name, kind in TOWERS.items()) + "."
    )
    encoder: OptionalPath = Field(
        default=None,
        description="A pretrained encoder, which stands beside the towers (docs/encoders.md) or is one "
        "(tower = 'pretrained'): local folder, or name at the Hugging Face hub (name@commit: no newer one).",
    )
    fine_tune: bool | None = Field(
        default=None,
        description="Fine-tune the encoder beside the towers on the corpus first; empty: where a standard question has "
        f"up to {TUNED_ROWS} training rows in the mean. false: it stays as it is.",
    )
    encoder_share: float | None = Field(
        default=None,
        ge=0,
        le=1,
        description="Share of an encoder beside the towers in a cosine; empty: chosen on the validation cut, 0 too.",
    )
    serve: Literal["encoder", "bag"] = Field(
        default="encoder",
        description="encoder: that beside the towers is published and answers. bag: token vectors that have learned "
        "from it do, and it is not needed any more.",
    )
    encoder_prefix: str | None = Field(
        default=None,
        max_length=1000,
        description="What the encoder beside the towers wants in front of a text, e.g. 'query: '; empty: what its own "
        "files name, and 'query: ' for one called e5.",
    )
    pooling: Literal["mean", "cls"] | None = Field(
        default=None,
        description="A text's vector is the mean of its tokens' states, or the first's; empty: what the encoder's own "
        "files name, and else the mean.",
    )
    max_tokens: int = Field(
        default=64,
        ge=4,
        le=8192,
        description="An encoder's longer text is cut here, in tokens, special ones included.",
    )
    embedding_dim: int = Field(
        default=64, ge=2, le=4096, description="bag, lstm: embedding size, the article's 'input layer'."
    )
    hidden_dims: list[Annotated[int, Field(ge=1, le=8192)]] = Field(
        default_factory=list,
        max_length=8,
        description="Sizes of the hidden layers; for lstm the first is the LSTM's state.",
    )
    activation: Literal["tanh", "relu", "gelu", "none"] = Field(default="tanh", description="After each hidden layer.")
    output_dim: int | None = Field(
        default=None, ge=2, le=4096, description="Size of a tower's vector; empty: that of the last layer."
    )
    ensemble: int = Field(
        default=8,
        ge=1,
        le=32,
        description="Members of different seeds, trained side by side; their cosines are averaged. pretrained: 1.",
    )
    class_vectors: bool = Field(default=True, description="Add a small learned vector to each standard question's.")
    exemplars: int = Field(
        default=32,
        ge=0,
        le=1000,
        description="Training queries kept in the model per standard question, at most; the first standard questions "
        "found are scored by how near these lie, too. 0: none.",
    )
    exemplar_weight: float | None = Field(
        default=None,
        ge=0,
        le=1,
        description="Share of the kept queries in that score; empty: chosen on the validation cut, 0 included.",
    )
    exemplar_texts: bool = Field(
        default=True,
        description="Keep the texts of those queries, with file and line, in the model: dssm explain shows them. "
        "false: a published model holds no customer's words.",
    )

    @model_validator(mode="before")
    @classmethod
    def _one_encoder(cls, data: Any) -> Any:  # noqa: ANN401 - raw input of any shape
        """The default of `ensemble` is for towers whose members start random."""
        kind = TOWERS.get(data["tower"]) if isinstance(data, dict) and isinstance(data.get("tower"), str) else None
        return {"ensemble": 1, **cls.modernise(data)[0]} if kind and kind.has_encoder else data

    @model_validator(mode="after")
    def _encoder_fits_tower(self) -> Self:
        if TOWERS[self.tower].has_encoder:
            if self.encoder is None:
                raise ValueError(
                    f"tower {self.tower!r} needs model.encoder: a local folder, or a name at the Hugging Face hub"
                )
            if self.ensemble != 1:
                raise ValueError(f"tower {self.tower!r} is one encoder: set model.ensemble = 1 (it is {self.ensemble})")
        return self

    def refuse_what_has_no_effect(self) -> None:
        """Refuse settings of an encoder that is not there.

        Raises:
            ValueError: one is set.
        """
        of_those_beside = {"fine_tune": self.fine_tune, "encoder_share": self.encoder_share}
        given = [
            f"{name} = {str(value).lower()}"
            for name, value in of_those_beside.items()
            if value or (value is not None and self.encoder)  # off, of no encoder, is what it says
        ]
        given += ["serve = 'bag'"] if self.serve == "bag" else []
        given += ["encoder_prefix"] if self.encoder_prefix is not None else []
        if given and not self.encoder_beside:
            raise ValueError(
                f"model.{given[0]} is for an encoder beside the towers: set model.encoder, and leave model.tower at "
                "its default (tower 'pretrained' is the encoder itself, and always fine-tuned), or take it out"
            )
        if self.pooling is not None and self.encoder is None:
            raise ValueError("model.pooling is for an encoder: set model.encoder, or take it out")
        if self.fine_tune and self.serve == "bag":
            raise ValueError("model.fine_tune = true is for an encoder that answers: leave model.serve at its default")

    def without_encoder(self) -> Self:
        """Return the settings of the towers alone."""
        names = ("encoder", "fine_tune", "encoder_share", "serve", "encoder_prefix", "pooling")
        return self.model_copy(update={name: type(self).model_fields[name].default for name in names})

    @property
    def encoder_beside(self) -> bool:
        """Whether an encoder stands beside the towers."""
        return self.encoder is not None and not TOWERS[self.tower].has_encoder


class Loss(Section):
    """The training objective."""

    REMOVED: ClassVar = {"label_smoothing": "softmax_all and its estimate spread 0.05 over all standard questions"}

    kind: LossName = Field(
        default="auto",
        description=f"auto: softmax_all up to {EXACT_CLASSES} standard questions, sampled_softmax above; "
        f"{'; '.join(f'{name}: {what}' for name, what in LOSSES.items())}.",
    )
    gamma: float = Field(default=20.0, gt=0, le=1000, description="Smoothing factor of the softmax (1 / temperature).")
    target: float | None = Field(
        default=None,
        gt=0,
        le=1,
        description="softmax_target: aim of p+; empty: 1 / (1 + k e^-gamma), 0.4046 at k=4, gamma=1.",
    )
    unreachable: Literal["refuse", "warn", "auto"] = Field(
        default="refuse",
        description="What to do where the target is out of reach by geometry; warn: train all the same; auto: correct "
        "target, margin or gamma to a value that can be reached, and say so.",
    )
    prior_strength: float = Field(
        default=0.3,
        ge=0,
        le=2,
        description="softmax_all and its estimate: logit adjustment by the class prior (Menon et al. 2020); 0: none.",
    )
    margin: float = Field(
        default=0.1,
        ge=0,
        lt=1,
        description="softmax_all and its estimate: the right cosine must win by so much (additive margin); 0: none.",
    )
    contrast: float = Field(
        default=1.0,
        ge=0,
        le=100,
        description="softmax_all: weight of a second loss, which draws the queries of one standard question together "
        "(Khosla et al. 2020); 0: none.",
    )

    @classmethod
    def modernise(cls, data: Mapping[str, Any], prefix: str = "") -> tuple[dict[str, Any], list[str]]:
        """Read `kind` and `log_q` of earlier versions, too: two settings for what is now one."""
        values, notes = super().modernise(data, prefix)
        kind, log_q = values.get("kind"), values.pop("log_q", None)
        if kind == "softmax" or (log_q is not None and kind in ("sampled_softmax", "dssm")):
            values["kind"] = "dssm" if log_q is False else "sampled_softmax"
            notes.append(
                f"{prefix}kind = {kind!r} with {prefix}log_q = {str(log_q is not False).lower()} is now called "
                f"{prefix}kind = {values['kind']!r}; the old names work for this version only"
            )
        elif log_q is not None:
            notes.append(
                f"{prefix}log_q is no longer a setting and is ignored: {prefix}kind = 'sampled_softmax' has the "
                "correction, 'dssm' has not, and 'auto' takes the former"
            )
        if kind in ("in_batch", "soft_target"):
            values["kind"] = "auto"
            notes.append(f"{prefix}kind = {kind!r} is no longer a loss: {prefix}kind = 'auto' is used instead")
        return values, notes


class Training(Section):
    """How a model is trained."""

    REMOVED: ClassVar = {
        "precision": "layers multiply in bfloat16 on a GPU, and in float32 elsewhere",
        "class_balance": "every row comes once an epoch",
    }

    own_texts: bool = Field(
        default=True,
        description="Train on each standard question's own text as a query of its class, too.",
    )
    epochs: int = Field(
        default=6, ge=1, le=10_000, description="Longest training, in epochs; lstm and pretrained want twice as many."
    )
    batch_size: int = Field(default=256, ge=2, le=65_536, description="Rows per step.")
    learning_rate: float = Field(
        default=0.04, gt=0, le=100, description="Adagrad step size at the start; decays linearly."
    )
    encoder_learning_rate: float = Field(
        default=5e-5,
        gt=0,
        le=1,
        description="AdamW step size of an encoder, as a tower (pretrained) or where it is fine-tuned beside the "
        "towers, at its peak, after a tenth of the steps. All else has learning_rate.",
    )
    feature_dropout: float = Field(
        default=0.3, ge=0, lt=1, description="bag, lstm: share of a query's features dropped per step."
    )
    vector_dropout: float = Field(
        default=0.3, ge=0, lt=1, description="Share of a vector's dimensions dropped per step."
    )
    choose: bool = Field(
        default=True, description="Choose what is open on the validation cut, then refit on all training rows."
    )
    threads: int = Field(
        default=2, ge=1, le=1024, description="CPU threads of training; of a pretrained encoder the bytes depend on it."
    )
    device: Literal["auto", "cpu", "cuda"] = Field(
        default="auto",
        description="Where models are trained; auto: on a GPU where torch sees one. Bytes are repeated on CPUs alone.",
    )
    checkpoint_seconds: float = Field(
        default=15, ge=0, description="Least time between two checkpoints, in seconds; 0: after every epoch."
    )


class DecisionBounds(Section):
    """What a query is answered with: the first standard question, a choice of some, or a person."""

    max_wrong: float = Field(
        default=0.05,
        gt=0,
        lt=1,
        description="Share of direct answers that may be wrong; the probability from which one is given is chosen so "
        "on held-out queries.",
    )
    max_handed_over: float = Field(
        default=0.05,
        gt=0,
        lt=1,
        description="Share of the corpus's own queries that may be handed over to a person for looking foreign.",
    )
    confidence: float | None = Field(
        default=0.9,
        ge=0.5,
        le=0.999,
        description="In how many of all trainings both promises hold, each; empty: on average over trainings, which "
        "answers more where few rows are held out, and is wrong more often there.",
    )
    foreign_path: OptionalAddresses = Field(
        default=None,
        description="Queries that are not of this corpus, such as the source of another: tables with a column query, "
        "or .txt with one a line. They tune what tells foreign queries, and measure it. Empty: none.",
    )


class Publishing(Section):
    """When a candidate goes live, and how long old versions stay."""

    RENAMED: ClassVar = {
        "below_baseline": "max_drop_vs_baseline",
        "below_live": "max_drop_vs_live",
        "below_live_by_size": "max_drop_vs_live_by_size",
        "hold_verdicts": "hold_causes",
    }

    max_drop_vs_baseline: Share = tolerance(
        "without a live version, how far recall@10 lies below the best baseline; and recall@1 and MRR, where it is no "
        "chance",
        warn=0.0,
        stop=0.02,
    )
    max_drop_vs_live: Share = tolerance(
        "with a live version, how far recall@10, recall@1 or MRR lies below it, on the same rows; counts only where it "
        "is no chance",
        warn=0.0,
        stop=0.01,
    )
    max_drop_vs_live_by_size: Share = tolerance(
        "the same among the test rows of each size of class (1-3 training rows, 4-10, 11-50, more)", warn=0.0, stop=0.03
    )
    max_drop_vs_live_decisions: Share = tolerance(
        "with a live version, how far right direct answers lie below it, or wrong ones above it, on the same rows; "
        "counts only where it is no chance, and both promise the same ([decisions])",
        warn=0.05,
        stop=0.3,
    )
    min_gain_over_guess: Share = Field(
        default_factory=lambda: Share(warn=0.05, stop=0.0),
        description="Lower bound, to be exceeded: recall@1 above that of a guess (1 / standard questions).",
    )
    confidence: float = Field(
        default=0.99,
        ge=0.5,
        le=0.9999,
        description="How sure a loss against the live version must be to hold a candidate back: of 100 nights with as "
        "good a candidate, at most 100 (1 - this) hold it back, all sizes of class together.",
    )
    hold_causes: list[Cause] = Field(
        default_factory=lambda: [cause for cause in get_args(Cause) if cause not in ("none", "unknown")],
        description="Causes of a failed training that hold a candidate back; any other failure is a warning: where no "
        "cause was found, recall decides.",
    )
    changes_log: OptionalPath = Field(
        default=None,
        description="File of what customers asked, a query a line, or the query log of the service: the live version "
        "and the candidate are asked the same, and the report tells what changes. Empty: none.",
    )
    max_changed: float = Field(
        default=0.2,
        ge=0,
        le=1,
        description="Share of the queries of changes_log whose answer or decision may change; a candidate that changes "
        "more waits for approval.",
    )
    golden_path: OptionalAddress = Field(
        default=None,
        description="Table of queries that must always find their standard question, columns as in the source; "
        "one miss holds a candidate back. Empty: none.",
    )
    golden_top: int = Field(
        default=1, ge=1, le=100, description="A golden query is right among the first so many answers."
    )
    go_live: bool = Field(
        default=True,
        description="false: an experiment, trained, measured and reported, that publishes nothing; "
        "dssm run --no-publish.",
    )
    approval: bool = Field(
        default=False,
        description="Wait for a person before going live: a deployment's run suspends until its form is answered; "
        "of one started on the command line, dssm approve.",
    )
    on_published: str | None = Field(
        default=None,
        pattern=r"^[^/]+/[^/]+$",
        description="Deployment to start when a version has gone live, as 'flow/deployment'; empty: none.",
    )
    keep_versions: int = Field(default=10, ge=2, le=10_000, description="Versions kept; the live one always is.")
    keep_runs: int = Field(
        default=10, ge=2, le=10_000, description="Runs whose files are kept; that of the live version always is."
    )


class Schedule(Section):
    """When the deployment runs."""

    cron: str = Field(
        default="nightly",
        description="Cron of the run, five fields; 'nightly': a time between 2 and 6 o'clock that no other corpus has "
        "(dssm plan shows it); 'never': a person starts it.",
    )
    timezone: TimeZone = Field(
        default="Asia/Shanghai",
        description="IANA time zone of the cron, and of the day in a run's name; the UI shows times in the browser's.",
    )

    @field_validator("cron")
    @classmethod
    def _can_come_true(cls, cron: str) -> str:
        if cron in ("nightly", "never"):
            return cron
        try:
            if len(cron.split()) != 5:  # cronsim takes seconds, too, and Prefect would read them as minutes
                raise CronSimError(cron)
            next(CronSim(cron, datetime.now(UTC)))
        except (CronSimError, StopIteration) as error:
            raise ValueError("no cron: write five fields, e.g. '30 2 * * *', or 'nightly', or 'never'") from error
        return cron


class Limits(Section):
    """How long a step may take."""

    ingest: float = Field(default=1440, gt=0, le=100_000, description="Minutes that ingest may take; then it is ended.")
    validation: float = Field(
        default=1440, gt=0, le=100_000, alias="validate", description="Minutes that validation may take."
    )
    prepare: float = Field(default=1440, gt=0, le=100_000, description="Minutes that prepare may take.")
    train: float = Field(
        default=1440,
        gt=0,
        le=100_000,
        description="Minutes that training may take, from when its turn has come; the next run goes on after the last "
        "checkpoint.",
    )
    evaluate: float = Field(default=1440, gt=0, le=100_000, description="Minutes that the evaluation may take.")
    publish: float = Field(default=1440, gt=0, le=100_000, description="Minutes that publishing may take.")


class Doctor(Section):
    """What the health report looks at beside the corpus."""

    query_log: OptionalPath = Field(
        default=None,
        description="File of what customers asked, one query a line or the log of dssm api: the health report then "
        "tells what nobody answers and how customers change. Empty: none.",
    )
    max_unanswered_share: float = Field(
        default=0.2, ge=0, le=1, description="Share of the log's queries that are not answered; above, a warning."
    )
    max_new_word_share: float = Field(
        default=0.1, ge=0, le=1, description="Share of the log's words that the corpus does not have; above, a warning."
    )


class CorpusSettings(Section):
    """One corpus and everything done with it. The parameter of its flow."""

    name: str = Field(
        pattern=r"^[a-z][a-z0-9_-]*$", max_length=64, description="Name of corpus and deployment, e.g. 'bank_zh'."
    )
    source: Source
    text: Text = Field(default_factory=Text)
    validation: Validation = Field(default_factory=Validation, alias="validate")
    split: Split = Field(default_factory=Split)
    negatives: Negatives = Field(default_factory=Negatives)
    model: Model = Field(default_factory=Model)
    loss: Loss = Field(default_factory=Loss)
    training: Training = Field(default_factory=Training)
    decisions: DecisionBounds = Field(default_factory=DecisionBounds)
    publish: Publishing = Field(default_factory=Publishing)
    schedule: Schedule = Field(default_factory=Schedule)
    limits: Limits = Field(default_factory=Limits)
    doctor: Doctor = Field(default_factory=Doctor)
    engine: Literal["local", "ray"] = Field(
        default="local",
        description="Where prepare, training and evaluation run: this machine, or a Ray cluster (the extra 'ray').",
    )
    ray_address: str | None = Field(
        default=None,
        pattern=r"^(auto|local|(ray://)?[A-Za-z0-9_.-]+:[0-9]+|(ray://)?\[[0-9a-fA-F:]+\]:[0-9]+)$",
        description="ray: a running cluster, e.g. 'auto' or '10.0.0.1:6379'; empty: $RAY_ADDRESS, or one started here.",
    )
    seed: int = Field(
        default=13, ge=0, lt=2**63, description="Seeds the split, the shuffle, the negatives and the weights."
    )
    language: Language = Field(
        default="en",
        description="Language of report, model card and to-do list, and of findings, verdicts, reasons and the next "
        "command on the terminal: en or zh. Errors, log lines and what is said of files are English.",
    )

    def loss_for(self, classes: int) -> Loss:
        """Return the loss as it is trained on so many standard questions: "auto" settled."""
        if self.loss.kind != "auto":
            return self.loss
        return self.loss.model_copy(update={"kind": "softmax_all" if classes <= EXACT_CLASSES else "sampled_softmax"})

    @model_validator(mode="after")
    def _fits_together(self, info: ValidationInfo) -> Self:
        """What a run has stored (context stored) may be of an earlier version, or was completed by the run itself."""
        if self.loss.kind == "sampled_softmax" and self.negatives.sampler == "first_n":
            raise ValueError(
                "loss.kind = 'sampled_softmax' takes the drawn negatives for uniform, and negatives.sampler = "
                "'first_n' is not: set loss.kind = 'dssm', or negatives.sampler = 'random'"
            )
        if info.context and info.context.get("stored"):
            return self
        self.model.refuse_what_has_no_effect()
        if self.source.unlabelled and self.model.serve != "bag":
            raise ValueError("source.unlabelled is learned from with model.serve = 'bag' alone: set it, or take it out")
        return self

    @model_validator(mode="before")
    @classmethod
    def _refuse_partial(cls, data: Any, info: ValidationInfo) -> Any:  # noqa: ANN401 - raw input of any shape
        """A TOML may leave out what it does not change (context fill_defaults); a parameter may not."""
        if isinstance(data, dict):
            data, _ = use_new_names(data)
        fills = bool(info.context and info.context.get("fill_defaults"))
        if isinstance(data, dict) and not fills:
            if missing := find_missing(cls, data):
                raise ValueError(
                    f"partial settings: {len(missing)} value(s) missing, e.g. {', '.join(missing[:3])}; "
                    "hand over the whole settings object (dssm run --set changes single values)"
                )
        return data


def use_new_names(raw: Mapping[str, Any]) -> tuple[dict[str, Any], list[str]]:
    """Return raw settings as this version has them, and a sentence for each that was renamed or removed since.

    Raises:
        ValueError: a setting is given by both of its names.
    """
    return rename_settings(CorpusSettings, raw)
