"""How many distinct queries a core cuts in a second, into words, and into words and numbered features as prepare does.

python -m tests.benchmarks.cutting FILE.csv
"""

import sys
import time

import pandas as pd

from schemas.settings import Text
from tasks.prepare.blocks import _cut
from tasks.retrieval.features import Tokeniser
from tasks.retrieval.normalise import normalise_all


def main() -> None:
    """Print characters, features and rates; the dictionary is read before."""
    texts = list(dict.fromkeys(normalise_all(pd.read_csv(sys.argv[1])["query"].dropna().astype(str))))
    tokeniser = Tokeniser(Text())
    began = time.process_time()
    (features, _), _ = _cut(texts, Text())
    middle = time.process_time()
    for text in texts:
        tokeniser.words(text)
    ended = time.process_time()
    print(  # noqa: T201 - the output of a script
        f"{len(texts)} queries of {sum(map(len, texts)) / len(texts):.0f} characters and "
        f"{len(features.numbers) / len(texts):.0f} features: {len(texts) / (middle - began):,.0f} a second, "
        f"into words alone {len(texts) / (ended - middle):,.0f}"
    )


if __name__ == "__main__":
    main()
