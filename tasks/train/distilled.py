"""A bag that learns from an encoder and answers without it: a vector for each token, whose sums are near its vectors.

Tokens begin as the encoder sees them alone. A ridge regression then moves those that occur, so that the weighted sums
of a corpus's queries, its standard questions and whatever unlabelled queries there are come near the vectors that the
encoder gives them. Words that no training query holds keep what the encoder knows of them.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray
from safetensors.numpy import save
from tokenizers import Tokenizer

from schemas.manifest import hash_json
from schemas.settings import CorpusSettings
from tasks.retrieval.text_encoder import OnEncoded, TextEncoder
from tasks.retrieval.token_vectors import TOKENISER, TOKENS, TokenVectors
from tasks.train.data import Prepared
from tasks.train.joined import Encoded, texts_of

_RIDGE = 0.3
_ALL_TOKENS = 65_536  # of a larger vocabulary those alone that occur
_MOST_TEXTS = 20_000  # unlabelled, the first
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
        further = [text for text in dict.fromkeys(unlabelled) if text not in known][:_MOST_TEXTS]
        self._wanted = np.concatenate([encoded.queries, encoded.classes, encoder.vectors(further, on_encoded)])
        tokeniser: Any = Tokenizer.from_file(str(encoded.folder / TOKENISER))
        read = [one.ids for one in tokeniser.encode_batch([*self._texts, *further], add_special_tokens=False)]
        self._vocabulary: int = tokeniser.get_vocab_size()
        flat = np.array([token for ids in read for token in ids], dtype=np.int64)
        occurring = np.unique(flat)
        self._tokens = np.arange(self._vocabulary) if self._vocabulary <= _ALL_TOKENS else occurring
        names = [
            str(tokeniser.id_to_token(token)).removeprefix("##").replace("▁", "") for token in self._tokens.tolist()
        ]
        alone = encoder.vectors(names, on_encoded)
        self._start = alone / np.maximum(np.linalg.norm(alone, axis=1, keepdims=True), _TINY) - alone.mean(axis=0)
        place = np.searchsorted(self._tokens, flat)
        owners = np.repeat(np.arange(len(read)), [len(ids) for ids in read])
        shape = (len(read), len(self._tokens))
        counts = sp.csr_array((np.ones(len(flat)), (owners, place)), shape=shape)
        counts.sum_duplicates()
        texts = np.bincount(counts.indices, minlength=len(self._tokens))
        self._weights = (np.log((len(read) + 1) / (texts + 0.5)) + 0.5).astype(np.float32)
        weighted = sp.csr_array(counts * self._weights[None])
        lengths = np.sqrt((weighted * weighted).sum(axis=1))
        self._rows = sp.csr_array(sp.diags_array(1 / np.maximum(lengths, _TINY)) @ weighted)

    def learn(self, prepared: Prepared, rows: NDArray[np.int64]) -> Encoded:
        """Return the corpus by token vectors that were learned without the other rows."""
        folder = self._made / hash_json(rows.tolist())[:32]
        folder.mkdir(parents=True, exist_ok=True)
        vectors = self._solve(rows) * self._weights[:, None]
        places = np.zeros(self._vocabulary, np.int32)
        places[self._tokens] = 1 + np.arange(len(self._tokens))
        table = np.concatenate([np.zeros((1, vectors.shape[1])), vectors]).astype(np.float16)
        (folder / TOKENS).write_bytes(save({"places": places, "vectors": table}))
        (folder / TOKENISER).write_bytes((self._folder / TOKENISER).read_bytes())
        unit = TokenVectors(folder).vectors(self._texts)
        return Encoded(unit[: self._queries], unit[self._queries :], folder)

    def _solve(self, rows: NDArray[np.int64]) -> NDArray[np.float64]:
        """Return (tokens, d) vectors, whose sums by `_rows` come near the encoder's of all texts but the other rows."""
        used = np.ones(len(self._wanted), bool)
        used[: self._queries] = False
        used[rows] = True
        texts, targets = self._rows[np.flatnonzero(used)], self._wanted[used]
        targets = targets - targets.mean(axis=0)
        sums = texts @ self._start
        start = self._start * ((sums * targets).sum() / max((sums * sums).sum(), _TINY))
        occurring = np.unique(texts.indices)
        seen = texts[:, occurring]
        left = (seen.T @ seen).toarray() + _RIDGE * np.eye(len(occurring))
        learned: NDArray[np.float64] = start.astype(np.float64)
        learned[occurring] += np.linalg.solve(left, seen.T @ (targets - texts @ start))
        return learned
