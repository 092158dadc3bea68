"""The final form of a trained model: a folder that names its tokeniser and holds no pickle. Free of torch.

model.json                  how texts become features and vectors, and what each file is
model.safetensors           embeddings, layers, vectors of the standard questions and of the training queries kept
vocabulary.parquet          features and idf (bag), or words.parquet (lstm), or
encoder/                    configuration, weights and tokeniser of the fine-tuned encoder (pretrained)
standard_questions.parquet  id, text and training rows of each class, in the order of the vectors
user_dictionary.txt         only where one was given
"""

import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict
from safetensors import SafetensorError
from safetensors.numpy import load_file, save

from schemas.errors import StaleFile
from schemas.manifest import write_atomically
from schemas.settings import Model, Text
from tasks.retrieval.features import TOKENISER
from tasks.retrieval.normalise import NORMALISER

FORMAT = 1
DICTIONARY = "user_dictionary.txt"
ENCODER = "encoder"
_TABLES = {"bag": "vocabulary.parquet", "lstm": "words.parquet"}


class ModelCard(BaseModel):
    """model.json: all that serving needs to know beside the arrays."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    format: int = FORMAT
    normaliser: str = NORMALISER
    tokeniser: str = TOKENISER
    corpus: str
    text: Text
    model: Model
    classes: int
    features: int
    exemplar_weight: float = 0.0  # of the kept queries in a score


def write_candidate(
    folder: Path,
    card: ModelCard,
    prepared: Path,
    arrays: dict[str, NDArray[Any]],
) -> None:
    """Write a complete candidate into `folder`, which exists and holds nothing but a pretrained encoder.

    Args:
        folder: where to.
        card: becomes model.json; a user dictionary is copied beside it, and the path in it made relative.
        prepared: folder of prepare; vocabulary and standard questions are taken from it.
        arrays: "embeddings" (V, S, d), stored in half precision, which no recall has been seen to notice;
            "classes" (K, S, o), of unit length per tower; the layers, by name. pretrained: no embeddings.
            "exemplars" (N, S, o), stored in half precision, too, and "exemplar_starts" (K + 1,), where any are kept.
    """
    if card.text.user_dictionary:
        shutil.copyfile(card.text.user_dictionary, folder / DICTIONARY)
        card = card.model_copy(update={"text": card.text.model_copy(update={"user_dictionary": DICTIONARY})})
    if card.model.encoder:
        card = card.model_copy(update={"model": card.model.model_copy(update={"encoder": ENCODER})})
    if table := _TABLES.get(card.model.tower):
        shutil.copyfile(prepared / table, folder / table)
    classes = pq.read_table(prepared / "classes.parquet", columns=["id", "standard_question", "rows"])
    pq.write_table(classes, folder / "standard_questions.parquet", compression="zstd")
    halved = {"embeddings", "exemplars"}
    stored = {
        n: array.astype(np.float16, "C") if n in halved else np.ascontiguousarray(array) for n, array in arrays.items()
    }
    # Not save_file: it makes the file unreadable for other users.
    (folder / "model.safetensors").write_bytes(save(stored))
    write_atomically(folder / "model.json", card.model_dump_json(indent=1).encode())


def read_card(folder: Path) -> ModelCard:
    """Read model.json, with the paths of a user dictionary and of an encoder made absolute."""
    card = ModelCard.model_validate_json((folder / "model.json").read_bytes())
    if card.text.user_dictionary:
        text = card.text.model_copy(update={"user_dictionary": str((folder / DICTIONARY).resolve())})
        card = card.model_copy(update={"text": text})
    if card.model.encoder:
        model = card.model.model_copy(update={"encoder": str((folder / ENCODER).resolve())})
        card = card.model_copy(update={"model": model})
    return card


def read_arrays(folder: Path) -> dict[str, NDArray[Any]]:
    """Read model.safetensors.

    Raises:
        StaleFile: it is damaged.
    """
    file = folder / "model.safetensors"
    try:
        arrays: dict[str, NDArray[Any]] = load_file(file)
    except SafetensorError as error:
        raise StaleFile(f"{file} is damaged ({error}); take another version, or run the corpus again") from error
    return arrays
