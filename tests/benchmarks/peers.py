"""What a user would pick instead, measured on one corpus: run in the peers' interpreter, nothing of ours is imported.

    PYTHON peers.py FOLDER [NAME...]

FOLDER holds train.csv and test.csv (columns query, standard_question). Every peer learns from the training queries and
from each standard question's own text, and scores all standard questions for each test query. Prints one JSON object
per peer: figures, seconds, and `ranks`, from 0, of the test rows whose standard question is known; ties count half.
"""

import contextlib
import json
import re
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from itertools import pairwise
from pathlib import Path

import jieba
import numpy as np
import pandas as pd

_CHINESE = re.compile(r"[㐀-鿿]")
_SIZES = {"1-3": (1, 3), "4-10": (4, 10), "11-50": (11, 50), ">50": (51, 10**9)}  # training rows of a class


class Corpus:
    """Texts and labels of a folder; the standard questions' own texts are training texts, too."""

    def __init__(self, folder: Path) -> None:
        rows = {name: pd.read_csv(folder / f"{name}.csv").dropna().astype(str) for name in ("train", "test")}
        train, test = rows["train"], rows["test"]
        self.questions = sorted(train["standard_question"].unique())
        places = pd.Series(range(len(self.questions)), index=self.questions)
        self.queries = train["query"].tolist()
        self.labels = places[train["standard_question"]].to_numpy()
        known = test[test["standard_question"].isin(places.index)]
        self.asked = known["query"].tolist()
        self.truth = places[known["standard_question"]].to_numpy()
        self.texts = [*self.queries, *self.questions]
        self.classes = np.concatenate([self.labels, np.arange(len(self.questions))])

    def best_of_class(self, similarities: np.ndarray) -> np.ndarray:
        """Return (asked, classes): of (asked, texts) the highest of each class; every class has its own text."""
        order = np.argsort(self.classes, kind="stable")
        first = np.searchsorted(self.classes[order], np.arange(len(self.questions)))
        return np.maximum.reduceat(similarities[:, order], first, axis=1)


def split_words(text: str) -> list[str]:
    """Return the words of a text, by jieba where it holds Chinese."""
    text = text.lower()
    return (
        [word for word in jieba.cut(text) if not word.isspace()] if _CHINESE.search(text) else re.findall(r"\w+", text)
    )


def list_features(text: str) -> list[str]:
    """Return words, pairs of neighbours, and character n-grams: 1 to 3 of a Chinese text, 3 to 5 of other words."""
    words = split_words(text)
    pairs = [f"{one} {other}" for one, other in pairwise(words)]
    chinese = _CHINESE.search(text)
    framed = [f"^{''.join(text.lower().split())}$"] if chinese else [f"#{word}#" for word in words]
    sizes = (1, 2, 3) if chinese else (3, 4, 5)
    return [*(f"w{word}" for word in words), *(f"p{pair}" for pair in pairs), *(f"c{g}" for g in _grams(framed, sizes))]


def _grams(texts: list[str], sizes: tuple[int, ...]) -> Iterator[str]:
    for text in texts:
        for size in sizes:
            yield from (text[start : start + size] for start in range(len(text) - size + 1))


def _score_bm25(corpus: Corpus, texts: list[str]) -> np.ndarray:
    import bm25s

    index = bm25s.BM25()
    index.index([split_words(text) for text in texts], show_progress=False)
    scores = np.zeros((len(corpus.asked), len(texts)), np.float32)
    for row, query in zip(scores, corpus.asked, strict=True):
        if words := [word for word in split_words(query) if word in index.vocab_dict]:
            row[:] = index.get_scores(words)
    return scores


def bm25_standard(corpus: Corpus) -> np.ndarray:
    """BM25 over the standard questions."""
    return _score_bm25(corpus, corpus.questions)


def bm25_queries(corpus: Corpus) -> np.ndarray:
    """BM25 over all training texts, the best one of a class counting."""
    return corpus.best_of_class(_score_bm25(corpus, corpus.texts))


def _weigh(corpus: Corpus) -> tuple[object, object]:
    from sklearn.feature_extraction.text import TfidfVectorizer

    weights = TfidfVectorizer(analyzer=list_features, sublinear_tf=True, dtype=np.float32)
    return weights.fit_transform(corpus.texts), weights.transform(corpus.asked)


def tfidf_knn(corpus: Corpus) -> np.ndarray:
    """The nearest neighbour by tf-idf."""
    trained, asked = _weigh(corpus)
    pieces = [
        corpus.best_of_class((asked[start : start + 256] @ trained.T).toarray())
        for start in range(0, asked.shape[0], 256)
    ]
    return np.concatenate(pieces)


def svc(corpus: Corpus) -> np.ndarray:
    """A linear support vector machine over the same features."""
    from sklearn.svm import LinearSVC

    trained, asked = _weigh(corpus)
    return LinearSVC().fit(trained, corpus.classes).decision_function(asked)


def fasttext(corpus: Corpus) -> np.ndarray:
    """Supervised fastText, with subwords where the language has spaces."""
    import fasttext as library

    chinese = _CHINESE.search("".join(corpus.questions))
    subwords = {"minn": 0, "maxn": 0} if chinese else {"minn": 3, "maxn": 5}
    with tempfile.NamedTemporaryFile("w", suffix=".txt") as file:
        for text, label in zip(corpus.texts, corpus.classes, strict=True):
            file.write(f"__label__{label} {' '.join(split_words(text))}\n")
        file.flush()
        model = library.train_supervised(file.name, epoch=50, lr=0.5, wordNgrams=2, dim=100, verbose=0, **subwords)
    scores = np.zeros((len(corpus.asked), len(corpus.questions)), np.float32)
    for row, query in zip(scores, corpus.asked, strict=True):
        for share, label in model.f.predict(f"{' '.join(split_words(query))}\n", -1, 0.0, "strict"):
            row[int(label.removeprefix("__label__"))] = share
    return scores


def sentence_transformers(corpus: Corpus) -> np.ndarray:
    """A static embedding of sentence-transformers, trained from scratch with in-batch negatives."""
    import torch
    from datasets import Dataset
    from sentence_transformers import SentenceTransformer, SentenceTransformerTrainer, losses
    from sentence_transformers import SentenceTransformerTrainingArguments as Arguments
    from sentence_transformers.models import StaticEmbedding
    from sentence_transformers.training_args import BatchSamplers
    from tokenizers import Tokenizer, models, pre_tokenizers

    def spell(text: str) -> str:
        return " ".join(feature.replace(" ", "_") for feature in list_features(text))

    spelt = [spell(text) for text in corpus.texts]
    vocabulary = {"[UNK]": 0}
    for feature in (feature for text in spelt for feature in text.split(" ")):
        vocabulary.setdefault(feature, len(vocabulary))
    tokenizer = Tokenizer(models.WordLevel(vocabulary, unk_token="[UNK]"))
    tokenizer.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    torch.manual_seed(0)
    model = SentenceTransformer(modules=[StaticEmbedding(tokenizer, embedding_dim=256)], device="cpu")
    queries, questions = spelt[: len(corpus.queries)], spelt[len(corpus.queries) :]
    pairs = Dataset.from_dict({"anchor": queries, "positive": [questions[label] for label in corpus.labels]})
    with tempfile.TemporaryDirectory() as folder:
        settings = Arguments(
            output_dir=folder,
            num_train_epochs=20,
            per_device_train_batch_size=128,
            learning_rate=0.05,
            warmup_steps=0.1,
            batch_sampler=BatchSamplers.NO_DUPLICATES,
            save_strategy="no",
            logging_strategy="no",
            report_to=[],
            disable_tqdm=True,
            use_cpu=True,
            seed=0,
        )
        loss = losses.MultipleNegativesRankingLoss(model)
        SentenceTransformerTrainer(model=model, args=settings, train_dataset=pairs, loss=loss).train()

    def encode(texts: list[str]) -> np.ndarray:
        return model.encode(texts, batch_size=512, normalize_embeddings=True, show_progress_bar=False)

    return corpus.best_of_class(encode([spell(query) for query in corpus.asked]) @ encode(spelt).T)


PEERS: dict[str, Callable[[Corpus], np.ndarray]] = {
    "bm25-standard": bm25_standard,
    "bm25-queries": bm25_queries,
    "tfidf-knn": tfidf_knn,
    "svc": svc,
    "fasttext": fasttext,
    "sentence-transformers": sentence_transformers,
}


def rank(scores: np.ndarray, truth: np.ndarray) -> np.ndarray:
    """Return how many classes lie before the right one, of each row; those level with it count half."""
    right = scores[np.arange(len(truth)), truth][:, None]
    return (scores > right).sum(axis=1) + ((scores == right).sum(axis=1) - 1) / 2


def measure(ranks: np.ndarray, corpus: Corpus) -> dict[str, float]:
    """Return recall@k, MRR, recall@10 as the mean over classes, and that of rows by the size of their class."""
    figures = {f"recall@{k}": float((ranks < k).mean()) for k in (1, 5, 10)}
    figures["mrr"] = float((1 / (1 + ranks)).mean())
    figures["macro_recall@10"] = float(pd.Series(ranks < 10).groupby(corpus.truth).mean().mean())
    rows = np.bincount(corpus.labels, minlength=len(corpus.questions))[corpus.truth]
    for name, (least, most) in _SIZES.items():
        if (inside := (least <= rows) & (rows <= most)).any():
            figures[f"recall@10[{name}]"] = float((ranks[inside] < 10).mean())
    return figures


def main() -> None:
    """Measure the named peers, or all."""
    jieba.initialize()
    folder = Path(sys.argv[1])
    corpus = Corpus(folder)
    for name in sys.argv[2:] or PEERS:
        began = time.perf_counter()
        with contextlib.redirect_stdout(sys.stderr):  # some peers print
            ranks = rank(np.asarray(PEERS[name](corpus)), corpus.truth)
        row = {"corpus": folder.name, "peer": name, **measure(ranks, corpus), "seconds": time.perf_counter() - began}
        print(json.dumps({**row, "ranks": ranks.tolist()}, ensure_ascii=False), flush=True)  # noqa: T201 - the output


if __name__ == "__main__":
    main()
