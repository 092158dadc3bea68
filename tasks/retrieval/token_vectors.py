"""What a bag has learned from an encoder: a vector for each token. Free of onnxruntime, torch and transformers.

A text's vector is the sum of those of its tokens, of unit length (Tulkens and van Dongen 2024, "Model2Vec").
"""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from safetensors.numpy import load_file

from tasks.retrieval.extras import require_extra

TOKENS, TOKENISER = "tokens.safetensors", "tokenizer.json"


class TokenVectors:
    """Reads texts as the files of its folder say. May be used from several threads."""

    def __init__(self, folder: Path) -> None:
        """Load tokens.safetensors and tokenizer.json.

        Raises:
            SettingsError: the extra is not installed.
        """
        require_extra("a model that has learned from an encoder", packages=["tokenizers"])
        from tokenizers import Tokenizer

        self._tokenise: Any = Tokenizer.from_file(str(folder / TOKENISER))
        arrays = load_file(folder / TOKENS)
        self._places = arrays["places"]  # (tokenisers' vocabulary,) row of each token; 0: it is not known
        self._vectors = arrays["vectors"].astype(np.float32)  # (tokens, d); the first is 0

    def remember(self, cache: Path | None, threads: int) -> None:
        """Keep nothing: reading a text takes less time than to look it up."""

    def vectors(
        self, texts: Sequence[str], on_encoded: Callable[[int, int], None] | None = None
    ) -> NDArray[np.float32]:
        """Return the (n, d) vectors of normalised texts, of unit length; 0 for one without a known token."""
        read = self._tokenise.encode_batch(list(texts), add_special_tokens=False)
        sums = np.zeros((len(read), self._vectors.shape[1]), np.float32)
        for row, one in enumerate(read):
            np.add.reduce(self._vectors[self._places[one.ids]], axis=0, out=sums[row])
        unit: NDArray[np.float32] = sums / np.maximum(np.linalg.norm(sums, axis=1, keepdims=True), 1e-9)
        return unit
