"""The encoding half of the benchmark of speed, in the peers' interpreter: nothing of this project is imported.

    PYTHON static_encode.py FEATURES TEXTS SIZE RUNS

FEATURES: one a line. TEXTS: features of one text a line, separated by tabs. Prints the seconds of each run of
sentence-transformers' static `encode` on them: its tokeniser only looks the features up.
"""

import sys
import time
from pathlib import Path

from sentence_transformers import SentenceTransformer
from sentence_transformers.models import StaticEmbedding
from tokenizers import Regex, Tokenizer, models, pre_tokenizers


def main() -> None:
    """Encode once to warm up, then time."""
    features, texts = (Path(name).read_text("utf-8").split("\n") for name in sys.argv[1:3])
    size, runs = map(int, sys.argv[3:5])
    known = {"[UNK]": 0} | {feature: number for number, feature in enumerate(features, 1)}
    tokenizer = Tokenizer(models.WordLevel(known, unk_token="[UNK]"))
    tokenizer.pre_tokenizer = pre_tokenizers.Split(Regex("\t"), "removed")
    model = SentenceTransformer(modules=[StaticEmbedding(tokenizer, embedding_dim=size)], device="cpu")
    for run in range(runs + 1):
        began = time.perf_counter()
        model.encode(texts, batch_size=512, normalize_embeddings=True, show_progress_bar=False)
        if run:
            print(time.perf_counter() - began)  # noqa: T201 - what the caller reads


if __name__ == "__main__":
    main()
