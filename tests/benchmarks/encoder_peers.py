"""What a user of a pretrained encoder would do instead: run in the peers' interpreter, nothing of ours is imported.

    PYTHON encoder_peers.py FOLDER ENCODER [NAME...] [--prefix "query: "]

FOLDER holds train.csv and test.csv, ENCODER is what sentence-transformers loads. Every peer sees the training queries
and the standard questions' own texts. Prints one JSON object per peer: recall@k with ties as half, seconds, and the
rank of every test row, as peer_ranks.py does. Needs sentence-transformers and scikit-learn, and setfit for that peer.
"""

import argparse
import contextlib
import json
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import pandas as pd

_SLOW = 2000  # training rows; with more, fine-tuning takes hours on a CPU and is left out unless it is named
_BATCH, _EPOCHS = 32, 10  # of fine-tuning; as many epochs as few rows want


class Corpus:
    """The texts with the encoder's prefix, and labels."""

    def __init__(self, folder, encoder, prefix):
        train = pd.read_csv(folder / "train.csv").dropna().astype(str)
        test = pd.read_csv(folder / "test.csv").dropna().astype(str)
        self.name, self.encoder = folder.name, encoder
        self.questions = sorted(set(train.standard_question))
        number = {question: n for n, question in enumerate(self.questions)}
        test = test[test.standard_question.isin(number.keys())]
        self.texts = [prefix + text for text in [*train["query"], *self.questions]]
        own = np.arange(len(self.questions))
        self.labels = np.concatenate([train.standard_question.map(number).to_numpy(), own])
        self.test, self.truth = [prefix + q for q in test["query"]], test.standard_question.map(number).to_numpy()

    def model(self):
        """Return the encoder, fresh, on the CPU."""
        from sentence_transformers import SentenceTransformer

        return SentenceTransformer(self.encoder, device="cpu")

    def vectors(self, model):
        """Return unit vectors of the training texts and of the test queries."""
        return tuple(model.encode(texts, normalize_embeddings=True) for texts in (self.texts, self.test))


def best_per_class(corpus, known, asked):
    """Return (test rows, classes) the highest cosine with a training text of each class."""
    scores = np.full((len(asked), len(corpus.questions)), -2.0, dtype=np.float32)
    for start in range(0, len(asked), 512):
        cosines = asked[start : start + 512] @ known.T
        for place, row in enumerate(cosines, start):
            np.maximum.at(scores[place], corpus.labels, row)
    return scores


def encoder_knn(corpus):
    """The nearest training text by the frozen encoder."""
    return best_per_class(corpus, *corpus.vectors(corpus.model()))


def encoder_logistic(corpus):
    """Logistic regression on frozen vectors."""
    from sklearn.linear_model import LogisticRegression

    known, asked = corpus.vectors(corpus.model())
    head = LogisticRegression(max_iter=1000, C=10).fit(known, corpus.labels)
    return head.decision_function(asked) if len(corpus.questions) > 2 else head.predict_proba(asked)


def setfit(corpus):
    """SetFit as its package has it by default: contrastive pairs, then logistic regression."""
    from datasets import Dataset
    from setfit import SetFitModel, Trainer, TrainingArguments

    model = SetFitModel.from_pretrained(corpus.encoder, device="cpu")
    rows = Dataset.from_dict({"text": corpus.texts, "label": corpus.labels.tolist()})
    with tempfile.TemporaryDirectory() as folder:
        arguments = TrainingArguments(
            folder, batch_size=_BATCH, num_epochs=1, num_iterations=10, seed=0, report_to="none", save_strategy="no"
        )
        Trainer(model=model, args=arguments, train_dataset=rows).train()
    return np.asarray(model.predict_proba(corpus.test, as_numpy=True))


def sentence_transformers_tuned(corpus):
    """The whole encoder fine-tuned by MultipleNegativesRankingLoss on (query, standard question); nearest text."""
    from datasets import Dataset
    from sentence_transformers import SentenceTransformerTrainer, SentenceTransformerTrainingArguments, losses
    from sentence_transformers.training_args import BatchSamplers

    model = corpus.model()
    own = corpus.texts[-len(corpus.questions) :]
    queries = len(corpus.texts) - len(own)
    positives = [own[label] for label in corpus.labels[:queries]]
    arguments = SentenceTransformerTrainingArguments(
        output_dir=tempfile.gettempdir(),  # where nothing is saved
        num_train_epochs=_EPOCHS,
        per_device_train_batch_size=_BATCH,
        learning_rate=5e-5,
        warmup_ratio=0.1,
        batch_sampler=BatchSamplers.NO_DUPLICATES,
        report_to="none",
        save_strategy="no",
        use_cpu=True,
        seed=0,
    )
    data = Dataset.from_dict({"anchor": corpus.texts[:queries], "positive": positives})
    loss = losses.MultipleNegativesRankingLoss(model)
    SentenceTransformerTrainer(model=model, args=arguments, train_dataset=data, loss=loss).train()
    return best_per_class(corpus, *corpus.vectors(model))


PEERS = {
    "encoder-knn": encoder_knn,
    "encoder-logistic": encoder_logistic,
    "setfit": setfit,
    "st-tuned": sentence_transformers_tuned,
}
TUNED = ("setfit", "st-tuned")


def main():
    """Measure the named peers; without names all, but of many rows not those that fine-tune."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("encoder")
    parser.add_argument("names", nargs="*", metavar="NAME", help=", ".join(PEERS))
    parser.add_argument("--prefix", default="", help="in front of every text, e.g. 'query: ' for e5")
    arguments = parser.parse_args()
    corpus = Corpus(arguments.folder, arguments.encoder, arguments.prefix)
    usual = [name for name in PEERS if name not in TUNED or len(corpus.texts) <= _SLOW]
    for name in arguments.names or usual:
        began = time.perf_counter()
        try:
            with contextlib.redirect_stdout(sys.stderr):
                scores = np.asarray(PEERS[name](corpus))
        except ImportError as error:
            print(f"{name} is left out: {error}", file=sys.stderr)  # noqa: T201 - the output of a script
            continue
        seconds = time.perf_counter() - began
        right = scores[np.arange(len(corpus.truth)), corpus.truth]
        ranks = (scores > right[:, None]).sum(axis=1) + ((scores == right[:, None]).sum(axis=1) - 1) / 2
        row = {"corpus": corpus.name, "peer": name, "seconds": seconds, "ranks": ranks.tolist()}
        row |= {f"recall@{k}": float((ranks < k).mean()) for k in (1, 10)} | {"mrr": float((1 / (ranks + 1)).mean())}
        found = [float((ranks[corpus.truth == label] < 10).mean()) for label in np.unique(corpus.truth)]
        row["macro_recall@10"] = float(np.mean(found))
        print(json.dumps(row, ensure_ascii=False), flush=True)  # noqa: T201 - as above


if __name__ == "__main__":
    main()
