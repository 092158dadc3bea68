"""The counts of prepare, and the statistics of its proof."""

from pydantic import BaseModel, ConfigDict


class PreparedFacts(BaseModel):
    """Counts of the prepared files."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    rows: int  # training rows
    validation_rows: int  # of these, held out while choosing
    test_rows: int
    classes: int
    untested_classes: int  # have training rows or text, but no test row
    unknown_test_rows: int  # their standard question is not in the corpus
    overlap_rows: int  # test rows whose normalised query also stands in train
    official_test: bool
    features: int
    words: int
    negatives_per_row: int
    epochs_drawn: int
    tokeniser: str
    statistics: dict[str, float | None] = {}  # of the proof
    warnings: list[str] = []
