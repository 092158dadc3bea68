"""What peers.py measures, with the rank of every test row: run in the peers' interpreter, nothing of ours is imported.

    PYTHON peer_ranks.py PEERS.py FOLDER [NAME...]

Prints one JSON object per peer: its figures and seconds as peers.py gives them, and `ranks`, from 0, of the test rows
whose standard question is known; ties count half, as there.
"""

import contextlib
import importlib.util
import json
import sys
import time
from pathlib import Path

import jieba
import numpy as np


def main() -> None:
    """Measure the named peers, or all."""
    spec = importlib.util.spec_from_file_location("peers", sys.argv[1])
    peers = importlib.util.module_from_spec(spec)
    sys.modules["peers"] = peers
    spec.loader.exec_module(peers)
    jieba.initialize()
    folder = Path(sys.argv[2])
    corpus = peers.Corpus(folder)
    for name in sys.argv[3:] or peers.PEERS:
        began = time.perf_counter()
        with contextlib.redirect_stdout(sys.stderr):  # some peers print
            scores = np.asarray(peers.PEERS[name](corpus))
        right = scores[np.arange(len(corpus.truth)), corpus.truth]
        ranks = (scores > right[:, None]).sum(axis=1) + ((scores == right[:, None]).sum(axis=1) - 1) / 2
        figures = peers.score(scores, corpus)
        row = {"corpus": folder.name, "peer": name, **figures, "seconds": time.perf_counter() - began}
        print(json.dumps({**row, "ranks": ranks.tolist()}, ensure_ascii=False), flush=True)  # noqa: T201 - the output


if __name__ == "__main__":
    main()
