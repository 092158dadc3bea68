"""The model's own room: a query's whole path, from its text to the standard questions that answer it.

from tasks.retrieval import Retriever
Retriever.live("bank").search(["怎么提前还款"], top=10)
"""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tasks.retrieval.retriever import Hit as Hit
    from tasks.retrieval.retriever import Retriever as Retriever


def __getattr__(name: str) -> Any:  # noqa: ANN401 - whichever of the two is asked for
    """Import what is public only when it is asked for: whoever normalises a text needs no model."""
    if name not in ("Hit", "Retriever"):
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from tasks.retrieval import retriever

    return getattr(retriever, name)
