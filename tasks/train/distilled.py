"""A bag that learns from an encoder and answers without it: a vector for each token, whose sums are near its vectors.

Tokens begin as the encoder sees them alone. A ridge regression then moves those that occur, so that the weighted sums
of a corpus's queries, its standard questions and whatever unlabelled queries there are come near the vectors that the
encoder gives them. Words that no training query holds keep what the encoder knows of them.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import scipy.linalg
import scipy.sparse as sp
from numpy.typing import NDArray
from safetensors.numpy import save
from tokenizers import Tokenizer

from schemas.manifest import hash_json
from schemas.settings import CorpusSettings
from tasks.retrieval.text_encoder import OnEncoded, TextEncoder
from tasks.retrieval.token_vectors import TOKENISER, TOKENS, TokenVectors
from tasks.train.data import Prepared
from tasks.train.joined import MOST_ROWS, Encoded, texts_of

_RIDGE = 0.3
_MOST_MOVED = 12_288  # tokens, the most frequent: the regression holds the square of their number
_ALL_TOKENS = 65_536  # of a larger vocabulary those alone that occur
_TINY = 1e-9


class Distiller:
    """Makes the token vectors of a corpus from some of its rows, as often as asked."""

    optional = False

    def __init__(
        self,
        folder: Path,
        settings: CorpusSettings,
        encoded: Encoded,
        made: Path,
        cache: Path,
        unlabelled: Sequence[str],
        on_encoded: OnEncoded,
    ) -> None:
        """Read what there is to learn.

        Args:
            folder: of prepare.
            settings: model, settled, and training.threads are read.
            encoded: the corpus by the encoder.
            made: folder of what is made.
            cache: of vectors.
            unlabelled: normalised queries.
            on_encoded: called with the texts done, and of how many.
        """
        queries, standard = texts_of(folder)
        self._texts, self._queries, self._folder, self._made = queries + standard, len(queries), encoded.folder, made
        encoder = TextEncoder(encoded.folder, settings.model, settings.training.threads, cache / "vectors")
        known = set(self._texts)
        further = [text for text in dict.fromkeys(unlabelled) if text not in known]
        self._wanted = np.concatenate([encoded.queries, encoded.classes, encoder.vectors(further, on_encoded)])
        tokeniser: Any = Tokenizer.from_file(str(encoded.folder / TOKENISER))
        read = [one.ids for one in tokeniser.encode_batch([*self._texts, *further], add_special_tokens=False)]
        self._vocabulary: int = 1 + max(tokeniser.get_vocab().values())  # there may be holes
        flat = np.array([token for ids in read for token in ids], dtype=np.int64)
        self._all = self._vocabulary <= _ALL_TOKENS
        self._tokens = np.arange(self._vocabulary) if self._all else np.unique(flat)
        alone = encoder.vectors([_written(tokeniser, token) for token in self._tokens.tolist()], on_encoded)
        self._start = alone - alone.mean(axis=0)
        place = np.searchsorted(self._tokens, flat)
        owners = np.repeat(np.arange(len(read)), [len(ids) for ids in read])
        shape = (len(read), len(self._tokens))
        self._counts = sp.csr_array((np.ones(len(flat)), (owners, place)), shape=shape)
        self._counts.sum_duplicates()

    def learn(self, prepared: Prepared, rows: NDArray[np.int64]) -> Encoded:
        """Return the corpus by token vectors that were learned without the other rows."""
        folder = self._made / hash_json(rows.tolist())[:32]
        folder.mkdir(parents=True, exist_ok=True)
        used = np.ones(len(self._wanted), bool)
        used[: self._queries] = False
        used[rows[:MOST_ROWS]] = True
        vectors, occurring = self._solve(self._counts[np.flatnonzero(used)], self._wanted[used])
        kept = np.arange(len(vectors)) if self._all else occurring
        places = np.zeros(self._vocabulary, np.int32)
        places[self._tokens[kept]] = 1 + np.arange(len(kept))
        vectors = vectors[kept]
        table = np.concatenate([np.zeros((1, vectors.shape[1])), vectors]).astype(np.float16)
        (folder / TOKENS).write_bytes(save({"places": places, "vectors": table}))
        (folder / TOKENISER).write_bytes((self._folder / TOKENISER).read_bytes())
        unit = TokenVectors(folder).vectors(self._texts)
        return Encoded(unit[: self._queries], unit[self._queries :], folder)

    def _solve(
        self, counts: sp.csr_array, targets: NDArray[np.float32]
    ) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
        """Return (tokens, d) vectors whose sums come near the encoder's of some texts, and which tokens these hold.

        Args:
            counts: (n, tokens) of the texts.
            targets: (n, d) vectors by the encoder.
        """
        in_texts = np.bincount(counts.indices, minlength=len(self._tokens))
        weights = np.log((len(targets) + 1) / (in_texts + 0.5)) + 0.5
        weighted = sp.csr_array(counts * weights[None])
        lengths = np.sqrt((weighted * weighted).sum(axis=1))
        texts = sp.csr_array(sp.diags_array(1 / np.maximum(lengths, _TINY)) @ weighted)
        targets = targets - targets.mean(axis=0)
        sums = texts @ self._start
        start = self._start * ((sums * targets).sum() / max((sums * sums).sum(), _TINY))
        occurring = np.flatnonzero(in_texts)
        moved = np.sort(occurring[np.argsort(-in_texts[occurring], kind="stable")][:_MOST_MOVED])
        seen = texts[:, moved]
        left = (seen.T @ seen).toarray()
        left[np.diag_indices(len(moved))] += _RIDGE
        right = seen.T @ (targets - texts @ start)
        learned: NDArray[np.float64] = start.astype(np.float64)
        learned[moved] += scipy.linalg.solve(left.T, right, assume_a="pos", overwrite_a=True, overwrite_b=True)
        return learned * weights[:, None], occurring


def _written(tokeniser: Any, token: int) -> str:  # noqa: ANN401 - tokenizers is untyped
    """Return what a token stands for in a text, without what marks it as the beginning or middle of a word."""
    written = str(tokeniser.decode([token], skip_special_tokens=False))
    return written.removeprefix("##").replace("▁", "").strip()
