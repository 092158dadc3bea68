"""The final form of a trained model: a folder that names its tokeniser and holds no pickle. Free of torch.

model.json                  how texts become features and vectors, and what each file is
model.safetensors           embeddings, layers, vectors of the standard questions and of the training queries kept
vocabulary.parquet          features and idf (bag), or words.parquet (lstm), or
encoder/                    configuration, weights and tokeniser of the fine-tuned encoder (pretrained), or
                            encoder.onnx (or tokens.safetensors) and tokenizer.json of that beside a tower
standard_questions.parquet  id, text and training rows of each class, in the order of the vectors
payload.parquet             further fields of each class, where there are any: tasks.retrieval.payload
exemplars.parquet           text, file and line of the training queries kept, unless model.exemplar_texts is false
user_dictionary.txt         only where one was given
decisions.json              what a query is answered with; not in versions of before, nor where nothing was held out
"""

import json
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field
from safetensors.numpy import load_file, save

from schemas.decisions import FORMAT as DECISIONS_FORMAT
from schemas.decisions import Decisions
from schemas.errors import PipelineError, StaleFile
from schemas.live import parse_model
from schemas.manifest import write_atomically
from schemas.settings import Model, Text
from tasks.retrieval.features import TOKENISER
from tasks.retrieval.normalise import NORMALISER

FORMAT = 1
DICTIONARY = "user_dictionary.txt"
DECISIONS = "decisions.json"
ENCODER = "encoder"
EXEMPLARS_FILE = "exemplars.parquet"
_WAY_OUT = "take another version, or run the corpus again"
_TYPES = {"F16": np.float16, "F32": np.float32, "F64": np.float64, "I32": np.int32, "I64": np.int64}
_LARGEST = 1e6
TABLES = {"bag": "vocabulary.parquet", "lstm": "words.parquet"}


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
    exemplar_weight: float = Field(default=0.0, ge=0, le=1)  # of the kept queries in a score
    encoder_share: float = Field(default=0.0, ge=0, le=1)  # of an encoder beside the towers in a cosine


def write_candidate(
    folder: Path,
    card: ModelCard,
    prepared: Path,
    arrays: dict[str, NDArray[Any]],
    decisions: Decisions | None = None,
) -> None:
    """Write a complete candidate into `folder`, which exists and holds nothing but an encoder.

    Args:
        folder: where to.
        card: becomes model.json; a user dictionary is copied beside it, and the path in it made relative.
        prepared: folder of prepare; vocabulary and standard questions are taken from it.
        arrays: "embeddings" (V, S, d), stored in half precision, which no recall has been seen to notice;
            "classes" (K, S, o), of unit length per tower; the layers, by name. pretrained: no embeddings.
            Beside an encoder "classes" (K, 1, S * o + d) of both, "encoder_projection" and "encoder_bias".
            "exemplars" (N, S, o), stored in half precision, too, and "exemplar_starts" (K + 1,), where any are kept.
        decisions: become decisions.json; None: there is none.
    """
    if card.text.user_dictionary:
        shutil.copyfile(card.text.user_dictionary, folder / DICTIONARY)
        card = card.model_copy(update={"text": card.text.model_copy(update={"user_dictionary": DICTIONARY})})
    if card.model.encoder:
        card = card.model_copy(update={"model": card.model.model_copy(update={"encoder": ENCODER})})
    if table := TABLES.get(card.model.tower):
        shutil.copyfile(prepared / table, folder / table)
    classes = read_table(prepared / "classes.parquet", columns=["id", "standard_question", "rows"])
    pq.write_table(classes, folder / "standard_questions.parquet", compression="zstd")
    halved = {"embeddings", "exemplars"}
    stored = {
        n: array.astype(np.float16, "C") if n in halved else np.ascontiguousarray(array) for n, array in arrays.items()
    }
    # Not save_file: it makes the file unreadable for other users.
    (folder / "model.safetensors").write_bytes(save(stored))
    if decisions:
        write_atomically(folder / DECISIONS, decisions.model_dump_json(indent=1).encode())
    write_atomically(folder / "model.json", card.model_dump_json(indent=1).encode())


def read_card(folder: Path) -> ModelCard:
    """Read model.json, with the paths of a user dictionary and of an encoder made absolute.

    Raises:
        StaleFile: it is damaged, or of another format, normaliser or tokeniser than this code has.
    """
    with reading(folder / "model.json") as file:
        content = file.read_bytes()
        wanted: dict[str, str | int] = {"format": FORMAT, "normaliser": NORMALISER, "tokeniser": TOKENISER}
        _check_made_here(json.loads(content), folder, wanted)  # first: another format has other keys
        card = parse_model(ModelCard, content)
    if card.text.user_dictionary:
        text = card.text.model_copy(update={"user_dictionary": str((folder / DICTIONARY).resolve())})
        card = card.model_copy(update={"text": text})
    if card.model.encoder:
        model = card.model.model_copy(update={"encoder": str((folder / ENCODER).resolve())})
        card = card.model_copy(update={"model": model})
    return card


def read_decisions(folder: Path) -> Decisions | None:
    """Read decisions.json; None: there is none.

    Raises:
        StaleFile: it is damaged, or of another format.
    """
    if not (folder / DECISIONS).exists():
        return None
    with reading(folder / DECISIONS) as file:
        content = file.read_bytes()
        _check_made_here(json.loads(content), folder, {"format": DECISIONS_FORMAT})
        return parse_model(Decisions, content)


def read_arrays(folder: Path, mapped: bool = False) -> dict[str, NDArray[Any]]:
    """Read model.safetensors; `mapped`: as views of the file, of which only what is used is read.

    Raises:
        StaleFile: it is damaged, or holds what is no number.
    """
    with reading(folder / "model.safetensors") as file:
        arrays: dict[str, NDArray[Any]] = _map_file(file) if mapped else load_file(file)
        if strange := [name for name, array in arrays.items() if not _is_sound(array)]:
            raise ValueError(f"{strange[0]} holds what is no number that a model has")
    return arrays


def _map_file(file: Path) -> dict[str, NDArray[Any]]:
    """Do what `load_file` does without a copy: its own `safe_open` gives numpy arrays of their own memory, too."""
    content = np.memmap(file, np.uint8, "r")
    start = 8 + int.from_bytes(content[:8].tobytes(), "little")
    header = json.loads(content[8:start].tobytes())
    return {
        name: content[start + one["data_offsets"][0] : start + one["data_offsets"][1]]
        .view(_TYPES[one["dtype"]])
        .reshape(one["shape"])
        for name, one in header.items()
        if name != "__metadata__"
    }


def _is_sound(array: NDArray[Any]) -> bool:
    """Say whether all values are numbers, and none so large that a product of two could be none."""
    if not np.issubdtype(array.dtype, np.floating):
        return True
    if array.dtype != np.float16:
        return bool((np.abs(array) < _LARGEST).all())  # NaN is not below it
    # By its bits, a hundred times as fast: all ones in the exponent, of either sign.
    return not array.size or bool(array.view(np.int16).max() < 0x7C00 and array.view(np.uint16).max() < 0xFC00)


@contextmanager
def reading(file: Path) -> Iterator[Path]:
    """Lend a file of a model; whatever goes wrong while it is read names the file.

    Raises:
        StaleFile: it cannot be read, or is damaged.
    """
    try:
        yield file
    except (PipelineError, MemoryError, ImportError):
        raise
    except OSError as error:
        raise StaleFile(f"{file} cannot be read ({error.strerror or error}); {_WAY_OUT}") from error
    except Exception as error:  # whatever a damaged file makes the libraries raise
        why = str(error) if isinstance(error, ValueError) and str(error) else f"{type(error).__name__}: {error}"
        raise StaleFile(f"{file} is damaged ({why}); {_WAY_OUT}") from error


def read_table(file: Path, columns: list[str] | None = None) -> pa.Table:
    """Read the columns of a Parquet file, by default all.

    `pyarrow.parquet.read_table` does the same, but imports pandas where that is installed, as `to_numpy` of its columns
    does: a third of what starting to answer costs.
    """
    with pq.ParquetFile(file) as opened:
        return opened.read(columns)


def _check_made_here(card: Any, folder: Path, wanted: dict[str, str | int]) -> None:  # noqa: ANN401 - any JSON
    if not isinstance(card, dict):
        raise ValueError("no JSON object")
    for name, here in wanted.items():
        if (made := card.get(name, here)) != here:
            raise StaleFile(
                f"{folder} was made with {name} {made!r}, this code has {here!r}: its answers would be "
                "wrong without any error; run the corpus again"
            )
