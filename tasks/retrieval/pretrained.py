"""A Hugging Face encoder: its tokeniser, its pooled states, and the gradient sent back through it.

transformers is an extra and takes seconds to import, hence only where an encoder is loaded.
"""

import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import scipy.sparse as sp
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional as F

from schemas.errors import SettingsError
from schemas.settings import Model
from tasks.retrieval.device import CPU, Device
from tasks.retrieval.extras import require_extra
from tasks.retrieval.texts import Texts

INITIAL_SCALE = 0.1  # standard deviation of fresh embeddings
_PART = 1024  # tokens sent through at once, padding included: in larger parts short texts are mostly padding
_KEPT = 4096  # tokens whose activations are kept for the gradient, 2 to 3 GB in a BERT of base size; else two passes


def load_transformers() -> Any:  # noqa: ANN401 - a module
    """Import transformers, silenced.

    Raises:
        SettingsError: it is not installed.
    """
    require_extra("a fine-tuned encoder (model.tower = 'pretrained')", "pretrained")
    import transformers

    logging: Any = transformers.utils.logging  # untyped
    logging.set_verbosity_error()
    logging.disable_progress_bar()
    return transformers


def _load(kind: str, model: Model, **options: Any) -> Any:  # noqa: ANN401 - transformers has no types
    """Return what AutoTokenizer or AutoModel makes of the settings' encoder; nobody's code but transformers' runs."""
    name, _, revision = str(model.encoder).partition("@")
    if Path(str(model.encoder)).is_dir():
        name, options = str(model.encoder), options | {"local_files_only": True}
    elif revision:
        options["revision"] = revision
    try:
        return getattr(load_transformers(), kind).from_pretrained(name, trust_remote_code=False, **options)
    except SettingsError:
        raise
    except Exception as error:  # transformers, tokenizers, safetensors and the hub each have their own
        part = "tokeniser" if kind == "AutoTokenizer" else "model"
        raise SettingsError(
            f"model.encoder = {model.encoder!r}: its {part} cannot be loaded: {_first(error)}"
        ) from error


def _first(error: Exception) -> str:
    """Return the first line of a message that may be a page long."""
    return f"{type(error).__name__}: {str(error).strip().splitlines()[0] if str(error).strip() else ''}".rstrip(": ")


class Tokeniser:
    """Texts to token numbers, with the special tokens of the encoder. May be used from several threads."""

    def __init__(self, model: Model) -> None:
        """Load it.

        Raises:
            SettingsError: the encoder has none that is fast, or none that knows a word.
        """
        self._tokenizer = _load("AutoTokenizer", model)
        fast = getattr(self._tokenizer, "backend_tokenizer", None)
        # Of a folder without a vocabulary transformers makes a tokeniser that knows [UNK] and its like, and is silent.
        if fast is None or set(fast.get_vocab()) <= set(self._tokenizer.all_special_tokens):
            raise SettingsError(
                f"model.encoder = {model.encoder!r} has no fast tokeniser; its files (tokenizer.json, or vocab.txt and "
                "the like) must lie beside its weights"
            )
        fast.enable_truncation(model.max_tokens)
        fast.no_padding()
        self._fast = fast
        self.size: int = fast.get_vocab_size()

    def __call__(self, texts: Sequence[str]) -> Texts:
        """Return the tokens of normalised texts as `words`; the bags are empty."""
        rows = [encoding.ids for encoding in self._fast.encode_batch_fast(list(texts))]
        offsets = np.cumsum([0, *map(len, rows)], dtype=np.int64)
        words = np.fromiter((token for row in rows for token in row), dtype=np.int32, count=int(offsets[-1]))
        return Texts(sp.csr_array((len(rows), 0), dtype=np.float32), words, offsets)

    def save(self, file: Path) -> None:
        """Write the one file that the package tokenizers reads, cut at max_tokens."""
        self._fast.save(str(file))

    def write(self, folder: Path) -> None:
        """Write tokenizer.json and its configuration."""
        self._tokenizer.save_pretrained(folder)


class Encoder:
    """A Hugging Face model and the pooling of its last states."""

    def __init__(self, model: Model, tokens: int, device: Device = CPU) -> None:
        """Load it.

        Args:
            model: encoder, pooling and max_tokens are read.
            tokens: that its tokeniser knows.
            device: where it runs.

        Raises:
            SettingsError: it is no encoder, lacks weights, or cannot read as many tokens.
        """
        with torch.random.fork_rng():
            torch.manual_seed(0)  # weights that the files lack are drawn, and written again with the rest
            # Safetensors alone: other weights are pickles, which run what they like.
            options = {"dtype": torch.float32, "output_loading_info": True, "use_safetensors": True}
            self.module, loaded = _load("AutoModel", model, **options)
        lacking = sorted(name for name in loaded["missing_keys"] if "pooler" not in name)  # the pooler is not used
        if lacking or self.module.config.is_encoder_decoder:
            why = f"lacks {len(lacking)} weights, e.g. {lacking[0]}" if lacking else "has a decoder, too"
            raise SettingsError(f"model.encoder = {model.encoder!r} {why}; name an encoder such as BERT, whole")
        self.device = device
        self.module.to(device.kind)
        self.steps = 0  # taken on the weights: what was computed before the last one cannot be differentiated
        self._pooling = model.pooling or "mean"
        self._pad = getattr(self.module.config, "pad_token_id", None) or 0
        longest = np.full(model.max_tokens, tokens - 1, dtype=np.int32)
        try:
            trial = self.vectors(Texts(sp.csr_array((1, 0)), longest, np.array([0, model.max_tokens])))
        except Exception as error:  # whatever a model says that is none of text, or has too few positions
            raise SettingsError(
                f"model.encoder = {model.encoder!r} cannot read a text of model.max_tokens = {model.max_tokens} tokens "
                f"({_first(error)}); lower model.max_tokens, or name an encoder of text with its own tokeniser"
            ) from error
        self.size = trial.shape[1]

    def encode(self, texts: Texts, seed: int | None = None) -> Tensor:
        """Return the (n, d) pooled states of some texts of similar length, as long as a fresh bag's sum of embeddings.

        With `seed`, the model's own dropout is drawn from it; without, there is none.
        """
        lengths = torch.from_numpy(np.diff(texts.offsets))
        inside = torch.arange(max(1, int(lengths.max())))[None] < lengths[:, None]
        grid = torch.full(inside.shape, self._pad)
        grid[inside] = torch.from_numpy(texts.words.astype(np.int64))
        self.module.train(seed is not None)
        with torch.random.fork_rng(enabled=seed is not None):  # the models draw from the global generator
            if seed is not None:
                torch.manual_seed(seed)
            mask = inside.to(self.device.kind)
            with self.device.autocast():
                found = self.module(input_ids=grid.to(self.device.kind), attention_mask=mask.long())
            states = found.last_hidden_state.float()
        if self._pooling == "cls":
            pooled = states[:, 0]
        else:
            weights = mask.unsqueeze(2).to(states.dtype)
            pooled = (states * weights).sum(dim=1) / weights.sum(dim=1).clamp(min=1)
        # The layers and the learned class vectors are made for inputs of the bag's scale.
        scaled: Tensor = F.normalize(pooled, dim=1) * (INITIAL_SCALE * pooled.shape[1] ** 0.5)
        return scaled

    @torch.no_grad()
    def vectors(self, texts: Texts) -> NDArray[np.float32]:
        """Return the (n, d) pooled states of any texts, without dropout."""
        found: NDArray[np.float32] = Encodings(self, texts, np.random.default_rng(0)).leaf[0].cpu().numpy()
        return found

    def write(self, folder: Path) -> None:
        """Write config.json and model.safetensors."""
        self.module.save_pretrained(folder)
        for weights in folder.glob("*.safetensors"):
            shutil.copymode(folder / "config.json", weights)  # safetensors makes it unreadable for other users


class Encodings:
    """Texts at the entrance of a `pretrained` tower: `leaf` holds (1, n, d) pooled states."""

    def __init__(self, encoder: Encoder, texts: Texts, random: np.random.Generator) -> None:
        self._encoder, self._texts = encoder, texts
        lengths = np.diff(texts.offsets)
        order = np.argsort(-lengths, kind="stable")  # of similar length: else half the work is padding
        self._parts: list[NDArray[np.int64]] = []
        self._padded = start = 0  # tokens, padding included
        while start < len(order):
            longest = max(1, int(lengths[order[start]]))
            self._parts.append(order[start : start + max(1, _PART // longest)])
            self._padded += longest * len(self._parts[-1])
            start += len(self._parts[-1])
        self.draw(0.0, random)

    def draw(self, dropout: float, random: np.random.Generator) -> None:
        """Compute `leaf` anew; with gradient switched on, under a fresh draw of the encoder's own dropout."""
        learning = torch.is_grad_enabled()
        self._seeds = [int(random.integers(2**63)) if learning else None for _ in self._parts]
        keep = learning and self._padded <= _KEPT
        with torch.set_grad_enabled(keep):
            vectors = [self._encode(number) for number in range(len(self._parts))]
        self._at, self._kept = self._encoder.steps, vectors if keep else None
        back = torch.from_numpy(np.argsort(np.concatenate([np.zeros(0, dtype=np.int64), *self._parts])))
        device = self._encoder.device.kind
        joined = torch.cat(vectors).detach() if vectors else torch.zeros(0, self._encoder.size, device=device)
        self.leaf = joined[back.to(device)].unsqueeze(0).requires_grad_()

    def step(self, rate: float) -> None:
        """Send the gradient that `leaf` collected on to the encoder; `PretrainedTower.finish_step` then moves it."""
        if self.leaf.grad is None:
            return
        kept, self._kept = self._kept if self._at == self._encoder.steps else None, None
        for number, part in enumerate(self._parts):
            vectors = kept[number] if kept else self._encode(number)
            vectors.backward(self.leaf.grad[0, torch.from_numpy(part).to(self.leaf.device)])  # type: ignore[no-untyped-call]

    def _encode(self, number: int) -> Tensor:
        return self._encoder.encode(self._texts.take(self._parts[number]), self._seeds[number])
