"""The old place of `tasks.retrieval`: kept for this version, so that bots that import it go on answering."""

import warnings

from tasks.retrieval.retriever import Hit as Hit
from tasks.retrieval.retriever import Retriever as Retriever

warnings.warn(
    "tasks.evaluate.retriever has moved: write `from tasks.retrieval import Retriever`",
    DeprecationWarning,
    stacklevel=2,
)
