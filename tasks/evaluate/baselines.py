"""What a model must beat: BM25 and tf-idf nearest neighbour over the training texts. Pure.

Both score a standard question by its best text: one of its training queries, or its own wording.
"""

from collections.abc import Callable, Iterable, Sequence
from itertools import chain, pairwise

import numpy as np
import numpy.typing as npt
from scipy import sparse

from tasks.retrieval.features import Tokeniser
from tasks.retrieval.normalise import normalise_all
from tasks.retrieval.vocabulary import Vocabulary

Tokenise = Callable[[str], Sequence[str]]


class LexicalIndex:
    """Training texts as weighted terms; a query meets every text by dot product.

    Args:
        texts: Weight of each term in each text, shape (texts, terms), nothing below 0.
        classes: Class id of each text, shape (texts,).
        n_classes: Number of classes; one without texts scores 0.
    """

    def __init__(self, texts: sparse.csr_array, classes: npt.NDArray[np.integer], n_classes: int) -> None:
        if texts.shape[0] != len(classes):
            raise ValueError(f"every text needs a class, got {texts.shape[0]} texts and {len(classes)} classes")
        order = np.argsort(classes, kind="stable")
        self._classes, self._starts = np.unique(classes[order], return_index=True)
        self._postings = sparse.csr_array(texts[order].T, dtype=np.float32)  # (terms, texts), texts sorted by class
        self._n_classes = n_classes

    def scores(self, queries: sparse.csr_array) -> npt.NDArray[np.float32]:
        """Return the best dot product among each class's texts, shape (queries, classes).

        Args:
            queries: Weight of each term in each query, shape (queries, terms).
        """
        scores = np.zeros((queries.shape[0], self._n_classes), dtype=np.float32)
        spans = [slice(*bounds) for bounds in pairwise(queries.indptr.tolist())]
        for row, span in enumerate(spans):
            terms = queries.indices[span]
            starts, ends = self._postings.indptr[terms], self._postings.indptr[terms + 1]
            lists = [slice(*bounds) for bounds in zip(starts.tolist(), ends.tolist(), strict=True)]
            if not lists:
                continue
            texts = np.concatenate([self._postings.indices[one] for one in lists])
            weights = np.concatenate([self._postings.data[one] for one in lists])
            weights *= np.repeat(queries.data[span], ends - starts)
            # Most queries meet most texts: one dense sum costs half of a sparse product.
            products = np.bincount(texts, weights, minlength=self._postings.shape[1])
            if len(products):
                scores[row, self._classes] = np.maximum.reduceat(products, self._starts)
        return scores


class LexicalBaseline:
    """A lexical index that takes queries as text: a scorer like the model."""

    def __init__(self, index: LexicalIndex, vocabulary: dict[str, int], tokenise: Tokenise) -> None:
        self._index = index
        self._vocabulary = vocabulary
        self._tokenise = tokenise

    def scores(self, queries: Sequence[str]) -> npt.NDArray[np.float32]:
        """Return the score of every class for every query, shape (queries, classes)."""
        return self._index.scores(terms_matrix(map(self._tokenise, queries), self._vocabulary))


def bm25(
    texts: Iterable[Sequence[str]],
    classes: npt.NDArray[np.integer],
    n_classes: int,
    tokenise: Tokenise,
    k1: float = 1.5,
    b: float = 0.75,
) -> LexicalBaseline:
    """Return BM25 over tokenised training texts, in Lucene's variant (the default of bm25s).

    score(q, d) = sum over the terms t of q of idf(t) * tf / (tf + k1 * (1 - b + b * |d| / mean |d|)),
    idf(t) = ln(1 + (N - df + 0.5) / (df + 0.5)); a term that comes twice in q counts twice
    (Kamphuis et al. 2020, "Which BM25 do you mean?").

    Args:
        texts: Terms of each training text.
        classes: Class id of each text, shape (texts,).
        n_classes: Number of classes.
        tokenise: Gives the terms of a query, as it gave those of the texts.
        k1: Saturation of a term's repeats.
        b: Strength of the length normalisation, 0 to 1.
    """
    vocabulary: dict[str, int] = {}
    counts = terms_matrix(texts, vocabulary, grow=True)
    lengths = counts.sum(axis=1)  # (texts,)
    mean_length = lengths.mean() if lengths.any() else 1.0
    df = _document_frequency(counts)
    idf = np.log1p((counts.shape[0] - df + 0.5) / (df + 0.5))
    norm = k1 * (1 - b + b * lengths / mean_length)
    weights = idf[counts.indices] * counts.data / (counts.data + np.repeat(norm, np.diff(counts.indptr)))
    return LexicalBaseline(LexicalIndex(_with_data(counts, weights), classes, n_classes), vocabulary, tokenise)


class TfidfNeighbour:
    """Nearest neighbour by tf-idf cosine over the training texts, on the very features the model reads.

    Args:
        rows: tf-idf rows of unit length of each training text.
        classes: Class id of each text, shape (texts,).
        n_classes: Number of classes.
        vocabulary: Of the rows.
        tokeniser: Of the texts.
    """

    def __init__(
        self,
        rows: sparse.csr_array,
        classes: npt.NDArray[np.integer],
        n_classes: int,
        vocabulary: Vocabulary,
        tokeniser: Tokeniser,
    ) -> None:
        self._vocabulary, self._tokeniser = vocabulary, tokeniser
        self._index = LexicalIndex(rows, classes, n_classes)

    def scores(self, queries: Sequence[str]) -> npt.NDArray[np.float32]:
        """Return the score of every class for every query, shape (queries, classes)."""
        return self._index.scores(self._vocabulary.rows(normalise_all(queries), self._tokeniser).matrix())


def terms_matrix(texts: Iterable[Sequence[str]], vocabulary: dict[str, int], *, grow: bool = False) -> sparse.csr_array:
    """Return how often each term of the vocabulary stands in each text, shape (texts, terms).

    Args:
        texts: Terms of each text, repeats included.
        vocabulary: Column of each term. Mutated if `grow`: new terms get the next columns.
        grow: Take in new terms instead of dropping them.
    """
    indices, indptr = [], [0]
    for terms in texts:
        if grow:
            indices.append([vocabulary.setdefault(term, len(vocabulary)) for term in terms])
        else:
            indices.append([vocabulary[term] for term in terms if term in vocabulary])
        indptr.append(indptr[-1] + len(indices[-1]))
    columns = np.fromiter(chain.from_iterable(indices), dtype=np.int64, count=indptr[-1])
    matrix = sparse.csr_array((np.ones(len(columns)), columns, indptr), shape=(len(indices), len(vocabulary)))
    matrix.sum_duplicates()
    return matrix


def _document_frequency(counts: sparse.csr_array) -> npt.NDArray[np.int64]:
    return np.bincount(counts.indices, minlength=counts.shape[1])


def _with_data(counts: sparse.csr_array, data: npt.NDArray[np.float64]) -> sparse.csr_array:
    return sparse.csr_array((data, counts.indices, counts.indptr), shape=counts.shape)
