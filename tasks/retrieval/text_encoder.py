"""A frozen encoder: texts to vectors by ONNX Runtime, in whole numbers of eight bits. Free of torch and transformers.

One text at a time. The products round by the largest number of a batch, so that in company a text would get another
vector than alone; and short texts are mostly padding in company. Eight bits are as fast alone as 32 bits together:
docs/encoders.md.
"""

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from schemas.errors import SettingsError
from schemas.manifest import hash_file, hash_json
from schemas.settings import Model
from tasks.retrieval.vector_cache import VectorCache

GRAPH, TOKENISER = "encoder.onnx", "tokenizer.json"
_PART = 256  # texts encoded between two reports and two writes into the cache

OnEncoded = Callable[[int, int], None]  # texts done, of how many


class TextEncoder:
    """Reads texts as the files of its folder say. May be used from several threads."""

    def __init__(self, folder: Path, model: Model, threads: int = 1, cache: Path | None = None) -> None:
        """Load it.

        Args:
            folder: holds encoder.onnx and tokenizer.json.
            model: pooling and encoder_prefix are read.
            threads: texts encoded at a time.
            cache: folder in which vectors are kept by text; None: they are not.

        Raises:
            SettingsError: the extra is not installed.
        """
        try:
            import onnxruntime
            from tokenizers import Tokenizer
        except ImportError as error:
            raise SettingsError(
                f"a model with an encoder needs an extra ({error}); in the checkout of this project run: "
                "pip install --constraint constraints.txt --editable '.[encoder]'"
            ) from error
        options: Any = onnxruntime.SessionOptions()
        options.intra_op_num_threads = options.inter_op_num_threads = 1
        options.log_severity_level = 3
        self._session = onnxruntime.InferenceSession(folder / GRAPH, options, providers=["CPUExecutionProvider"])
        self._tokenise: Any = Tokenizer.from_file(str(folder / TOKENISER))
        self._prefix, self._pooling = model.encoder_prefix or "", model.pooling
        self._folder, self._threads, self._cache_folder = folder, threads, cache

    def remember(self, cache: Path, threads: int) -> None:
        """Keep vectors by text in a folder from now on, and encode so many texts at a time."""
        self._cache_folder, self._threads = cache, threads
        self.__dict__.pop("_cache", None)

    @cached_property
    def _cache(self) -> VectorCache | None:
        if self._cache_folder is None:
            return None
        files = {name: hash_file(self._folder / name) for name in (GRAPH, TOKENISER)}
        return VectorCache(self._cache_folder, hash_json({**files, "prefix": self._prefix, "pooling": self._pooling}))

    def vectors(self, texts: Sequence[str], on_encoded: OnEncoded = lambda done, most: None) -> NDArray[np.float32]:
        """Return the (n, d) vectors of normalised texts, of unit length; each distinct text is encoded once."""
        if len(texts) == 1 and self._cache is None:
            return self._encode(texts[0])[None]
        distinct = {text: place for place, text in enumerate(dict.fromkeys(texts))}
        found = self._cache.get(list(distinct)) if self._cache else {}
        missing = [text for text in distinct if text not in found]
        with ThreadPoolExecutor(self._threads, thread_name_prefix="encoder") as pool:
            for start in range(0, len(missing), _PART):
                part = missing[start : start + _PART]
                new = dict(zip(part, pool.map(self._encode, part), strict=True))
                if self._cache:
                    self._cache.put(new)
                found |= new
                on_encoded(start + len(part), len(missing))
        size = self._session.get_outputs()[0].shape[-1]
        rows = np.stack([found[text] for text in distinct]) if distinct else np.zeros((0, size), np.float32)
        return rows[[distinct[text] for text in texts]]

    def _encode(self, text: str) -> NDArray[np.float32]:
        ids = np.array([self._tokenise.encode(self._prefix + text).ids], dtype=np.int64)
        (states,) = self._session.run(None, {"input_ids": ids, "attention_mask": np.ones_like(ids)})
        pooled = states[0, 0] if self._pooling == "cls" else states[0].mean(axis=0)
        unit: NDArray[np.float32] = pooled / max(float(np.linalg.norm(pooled)), 1e-9)
        return unit
