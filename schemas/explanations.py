"""Why a standard question was found."""

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field


class NgramShare(BaseModel):
    """What one feature of the query contributed."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    ngram: str = Field(description="A word, a pair of words, or some characters; ^ and $, or #: where the text ends.")
    kind: Literal["word", "pair", "characters"]
    share: float = Field(description="Of the score; below 0: it spoke against.")


class KeptShare(BaseModel):
    """What one of the training queries that the model keeps contributed."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    query: str | None = Field(description="Its text; null: the model keeps none (model.exemplar_texts).")
    source: str | None = Field(description="File it stands in; null: none.")
    line: int | None
    cosine: float = Field(description="How near it lies to the query, at most 1.")
    share: float = Field(description="Of the score.")


class Explanation(BaseModel):
    """Where a score came from."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    method: Literal["exact", "left out"] = Field(
        description="exact: the shares of all n-grams and `rest` sum to the score. left out: the share of one is what "
        "the score loses without it; layers mix them, so they sum to nothing."
    )
    ngrams: list[NgramShare] = Field(description="The largest first, by size.")
    other_ngrams: float = Field(description="Shares of all n-grams that are not listed.")
    rest: float | None = Field(
        description="Of the score, from no n-gram: how many kept queries agree, a bias, an order."
    )
    kept: list[KeptShare] = Field(description="Training queries of this standard question, the largest share first.")
