"""An encoder that is fine-tuned on the rows of a corpus before the projection is learned; it answers instead.

A contrast between the queries of a step (Khosla et al. 2020, "Supervised Contrastive Learning", eq. 2) moves all
layers, for a few steps: more of them teach it the training rows by heart, and the projection has nothing left to learn.
Each step takes rows by twos of one standard question, so that a row has a fellow, but for the last of an odd number; a
standard question's own text is one of its rows, unless training.own_texts is off. What was tried: docs/encoders.md.
"""

import os
import shutil
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors.numpy import load_file, save_file
from torch.nn import functional as F

from schemas.settings import CorpusSettings
from tasks.retrieval.device import device_of
from tasks.retrieval.hashing import keys
from tasks.retrieval.pretrained import Encoder, Encodings, Tokeniser
from tasks.retrieval.text_encoder import OnEncoded, TextEncoder
from tasks.train.data import Prepared
from tasks.train.encoder_files import is_whole, making, write_graph, write_hashes
from tasks.train.ensemble import identify_training
from tasks.train.joined import Encoded, texts_of
from tasks.train.objectives.contrast import contrast
from tasks.train.towers.pretrained import EncoderSteps

_EPOCHS = 5
_MOST_STEPS = 80  # so that the time does not grow with the rows
_PAIRS = 32  # of a step
_GAMMA = 20.0
_VECTORS, _FILES = "vectors.safetensors", "encoder"


class Tuner:
    """Makes fine-tuned copies of an encoder, each from some rows of a corpus; a copy is made once."""

    optional = True

    def __init__(
        self, folder: Path, settings: CorpusSettings, copies: Path, on_step: OnEncoded = lambda done, most: None
    ) -> None:
        """Read what there is to learn.

        Args:
            folder: of prepare.
            settings: model, settled, training and seed are read.
            copies: folder of what was made, also by an interrupted training.
            on_step: called after each step, with how many are done, of how many.
        """
        queries, standard = texts_of(folder)
        self._texts, self._queries = queries + standard, len(queries)
        self._settings, self._copies, self._on_step = settings, copies, on_step

    def learn(self, prepared: Prepared, rows: NDArray[np.int64]) -> Encoded:
        """Return the corpus by the encoder after it was fine-tuned on some rows and all standard questions."""
        identity = identify_training(prepared, rows, self._settings, "refit", _EPOCHS)
        made = self._copies / identity[:32]
        if not (is_whole(made) and is_whole(made / _FILES)):  # a machine that went down leaves files half written
            self._copies.mkdir(parents=True, exist_ok=True)
            with making(self._copies) as scratch:
                self._write(prepared, rows, scratch / "made")
                shutil.rmtree(made, ignore_errors=True)
                os.replace(scratch / "made", made)
        vectors = load_file(made / _VECTORS)["vectors"]
        return Encoded(vectors[: self._queries], vectors[self._queries :], made / _FILES, fine_tuned=True)

    def steps(self, prepared: Prepared, rows: NDArray[np.int64]) -> int:
        """Return how many steps are taken on so many rows."""
        owners = self._owners(prepared, rows)[1]
        pairs = int(((np.bincount(owners) + 1) // 2).sum())
        return min(_MOST_STEPS, _EPOCHS * -(-pairs // _PAIRS))

    def _owners(self, prepared: Prepared, rows: NDArray[np.int64]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Return the numbers of the texts that are learned from, and the standard question of each."""
        own = np.arange(len(prepared.classes) if self._settings.training.own_texts else 0)
        return np.concatenate([rows, self._queries + own]), np.concatenate([prepared.labels[rows], own])

    def _write(self, prepared: Prepared, rows: NDArray[np.int64], made: Path) -> None:
        made.mkdir()
        settings = self._settings
        tokeniser = Tokeniser(settings.model)
        encoder = Encoder(settings.model, tokeniser.size, device_of(settings, multiplies=True))
        torch.set_num_threads(settings.training.threads)
        try:
            self._tune(encoder, tokeniser, prepared, rows)
        finally:
            torch.set_num_threads(1)  # as `Ensemble` has it
        write_graph(encoder.module.cpu(), tokeniser, settings.model, made / _FILES)
        as_it_answers = TextEncoder(made / _FILES, settings.model, settings.training.threads)
        save_file({"vectors": as_it_answers.vectors(self._texts)}, made / _VECTORS)
        write_hashes(made)

    def _tune(self, encoder: Encoder, tokeniser: Tokeniser, prepared: Prepared, rows: NDArray[np.int64]) -> None:
        """Fine-tune `encoder` in place."""
        settings, device = self._settings, encoder.device.kind
        places, owners = self._owners(prepared, rows)
        texts = tokeniser([f"{settings.model.encoder_prefix or ''}{text}" for text in self._texts])
        random = np.random.default_rng(int(keys(settings.seed, "tuned")[0]))
        same, steps, done = prepared.same_answer(), self.steps(prepared, rows), 0
        optimiser = EncoderSteps(encoder, embeddings=False)
        while done < steps:
            pairs = _pairs(owners, random)
            for start in range(0, len(pairs), _PAIRS):
                part = np.concatenate(pairs[start : start + _PAIRS])
                encodings = Encodings(encoder, texts.take(places[part]), random)
                alike = None
                if same is not None:
                    alike = torch.from_numpy(same[owners[part]][:, owners[part]].toarray() > 0).to(device)
                vectors = F.normalize(encodings.leaf[0], dim=1)
                contrast(vectors, torch.from_numpy(owners[part]).to(device), _GAMMA, alike).backward()  # type: ignore[no-untyped-call]
                encodings.step(0.0)
                optimiser.step(1 - (done + 1) / (steps + 1), settings.training.encoder_learning_rate)
                done += 1
                self._on_step(done, steps)
                if done == steps:
                    return


def _pairs(owners: NDArray[np.int64], random: np.random.Generator) -> list[NDArray[np.int64]]:
    """Return the places of all texts in a fresh order, by twos of one standard question; one may be left alone."""
    order = random.permutation(len(owners))
    order = order[np.argsort(owners[order], kind="stable")]
    ends = np.cumsum(np.bincount(owners))
    of_each = [group for group in np.split(order, ends[:-1]) if len(group)]
    pairs = [group[start : start + 2] for group in of_each for start in range(0, len(group), 2)]
    return [pairs[place] for place in random.permutation(len(pairs))]
