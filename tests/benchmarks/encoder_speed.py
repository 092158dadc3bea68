"""How fast a frozen encoder reads texts here: alone, and many at a time beside sentence-transformers' own `encode`.

    python -m tests.benchmarks.encoder_speed ENCODER FILE.csv [--texts 2000] [--threads 1]

ENCODER is a folder or hub name, FILE.csv has a column query. Times are those of the process's CPU, on one core those of
a clock where the machine is quiet. sentence-transformers is left out where it is not installed.
"""

import argparse
import time
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import pandas as pd

from schemas.settings import Model
from tasks.retrieval.normalise import normalise
from tasks.retrieval.text_encoder import TextEncoder
from tasks.train.encoder_files import make_encoder, settle_encoder


def main() -> None:
    """Print milliseconds a query, texts a second, and how near the vectors are to those of sentence-transformers."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("encoder")
    parser.add_argument("file", type=Path)
    parser.add_argument("--texts", type=int, default=2000, help="of fewer, fewer are alike in length")
    parser.add_argument("--threads", type=int, default=1)
    arguments = parser.parse_args()
    texts = list(dict.fromkeys(map(normalise, pd.read_csv(arguments.file)["query"].dropna().astype(str))))
    texts = texts[: arguments.texts]
    model = settle_encoder(Model(encoder=str(Path(arguments.encoder).resolve())))
    with TemporaryDirectory() as cache:
        began = time.process_time()
        encoder = TextEncoder(make_encoder(model, Path(cache)), model, arguments.threads)
        _say(f"made into a graph in {time.process_time() - began:.1f} s")
        encoder.vectors(texts[:20])
        alone = [_seconds(lambda text=text: encoder.vectors([text]))[0] for text in texts]
        _say(f"a query: p50 {1e3 * np.median(alone):.2f} ms, p99 {1e3 * np.percentile(alone, 99):.2f} ms")
        seconds, ours = _seconds(lambda: encoder.vectors(texts))
        _say(f"many: {len(texts) / seconds:,.0f} texts a second")
    try:
        from sentence_transformers import SentenceTransformer
    except ImportError as error:
        _say(f"sentence-transformers is left out: {error}")
        return
    import torch

    torch.set_num_threads(arguments.threads)
    peer = SentenceTransformer(str(model.encoder), device="cpu")
    given = [f"{model.encoder_prefix}{text}" for text in texts]
    peer.encode(given[:20])
    seconds, theirs = _seconds(lambda: peer.encode(given, normalize_embeddings=True))
    cosines = (ours * theirs).sum(axis=1)
    _say(
        f"sentence-transformers: {len(texts) / seconds:,.0f} texts a second; cosines with ours from {cosines.min():.3f}"
    )


def _seconds(call: Callable[[], Any]) -> tuple[float, Any]:
    """Return the CPU seconds of a call, and its result."""
    began = time.process_time()
    result = call()
    return time.process_time() - began, result


def _say(line: str) -> None:
    print(line, flush=True)  # noqa: T201 - the output of a script


if __name__ == "__main__":
    main()
