"""An encoder beside the towers: texts to vectors by ONNX Runtime, in eight bits. Free of torch and transformers.

Texts of as many tokens go through together. The products round by the largest number of each token, so that a text
gets the same vector alone and in company, to the last bit; padding would change it. Graphs of before round by the
largest number of a batch: they say nothing of themselves, and take one text at a time.
"""

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import cached_property
from itertools import groupby
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from schemas.manifest import hash_file, hash_json
from schemas.settings import Model
from tasks.retrieval.extras import require_extra
from tasks.retrieval.vector_cache import VectorCache

GRAPH, TOKENISER = "encoder.onnx", "tokenizer.json"
BY_TOKEN = ("products", "by token")  # what a graph says of itself
_PART = 2048  # texts encoded between two reports and two writes into the cache
_BATCH, _BATCH_TOKENS = 32, 4096  # texts that go through together, and their tokens: memory grows with their square

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
        require_extra("a model with an encoder", packages=["onnxruntime", "tokenizers"])
        import onnxruntime
        from tokenizers import Tokenizer

        options: Any = onnxruntime.SessionOptions()
        options.intra_op_num_threads = options.inter_op_num_threads = 1
        options.log_severity_level = 3
        self._session = onnxruntime.InferenceSession(
            folder / GRAPH,
            options,
            providers=["CPUExecutionProvider"],
            disabled_optimizers=["SkipLayerNormFusion"],  # which takes eight times as long as what it joins
        )
        name, value = BY_TOKEN
        self._batch = _BATCH if self._session.get_modelmeta().custom_metadata_map.get(name) == value else 1
        self._tokenise: Any = Tokenizer.from_file(str(folder / TOKENISER))
        self._prefix, self._pooling = model.encoder_prefix or "", model.pooling
        self._folder, self._threads, self._cache_folder = folder, threads, cache

    def remember(self, cache: Path | None, threads: int) -> None:
        """Keep vectors by text in a folder from now on, if there is one, and encode so many texts at a time."""
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
            return self._encode([self._tokens(texts[0])])
        distinct = {text: place for place, text in enumerate(dict.fromkeys(texts))}
        found = self._cache.get(list(distinct)) if self._cache else {}
        missing = [text for text in distinct if text not in found]
        with ThreadPoolExecutor(self._threads, thread_name_prefix="encoder") as pool:
            for start in range(0, len(missing), _PART):
                part = missing[start : start + _PART]
                new = self._encode_many(part, pool)
                if self._cache:
                    self._cache.put(new)
                found |= new
                on_encoded(start + len(part), len(missing))
        size = self._session.get_outputs()[0].shape[-1]
        rows = np.stack([found[text] for text in distinct]) if distinct else np.zeros((0, size), np.float32)
        return rows[[distinct[text] for text in texts]]

    def _encode_many(self, texts: list[str], pool: ThreadPoolExecutor) -> dict[str, NDArray[np.float32]]:
        """Return the vectors of distinct texts."""
        tokens = list(pool.map(self._tokens, texts))
        batches = list(self._batches([len(ids) for ids in tokens]))
        made = pool.map(lambda batch: self._encode([tokens[place] for place in batch]), batches)
        pairs = zip(batches, made, strict=True)
        return {texts[place]: row for batch, rows in pairs for place, row in zip(batch, rows, strict=True)}

    def _tokens(self, text: str) -> list[int]:
        ids: list[int] = self._tokenise.encode(self._prefix + text).ids
        return ids

    def _batches(self, lengths: list[int]) -> Iterator[list[int]]:
        """Yield the places of texts that go through together."""
        order = sorted(range(len(lengths)), key=lengths.__getitem__)
        for length, alike in groupby(order, lengths.__getitem__):
            places, most = list(alike), max(1, min(self._batch, _BATCH_TOKENS // max(1, length)))
            yield from (places[start : start + most] for start in range(0, len(places), most))

    def _encode(self, tokens: list[list[int]]) -> NDArray[np.float32]:
        """Return (n, d) vectors of unit length of texts of as many tokens."""
        ids = np.array(tokens, dtype=np.int64)
        (states,) = self._session.run(None, {"input_ids": ids, "attention_mask": np.ones_like(ids)})
        pooled = states[:, 0] if self._pooling == "cls" else states.mean(axis=1)
        unit: NDArray[np.float32] = pooled / np.maximum(np.linalg.norm(pooled, axis=1, keepdims=True), 1e-9)
        return unit
