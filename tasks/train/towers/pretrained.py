"""The `pretrained` tower: a Hugging Face encoder, fine-tuned by the loop that trains the other towers.

Queries and standard questions go through the same encoder. The loss is a function of their vectors, held as
leaves; the gradient that these collect is then sent through the encoder, part by part, with the dropout of
the first pass (Gao et al. 2021, "Scaling Deep Contrastive Learning Batch Size under Memory Limited Setup",
section 3). So neither the batch nor the number of standard questions is bounded by memory, and the exact
softmax sees all of them: their texts pass through the encoder as often as those of the bag, not in every step.

transformers is an extra and takes seconds to import, hence only where an encoder is loaded.
"""

import re
from contextlib import suppress
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from schemas.errors import SettingsError
from schemas.manifest import hash_file, hash_json
from schemas.settings import Model
from schemas.suggestions import did_you_mean, nearest
from tasks.retrieval.device import Device
from tasks.retrieval.pretrained import Encoder, Encodings, Tokeniser, _first, load_transformers
from tasks.retrieval.texts import Texts
from tasks.train.layers import Layers
from tasks.train.towers.tower import Sizes, Tower

_WARM_UP = 0.1  # share of the steps until the peak of the learning rate (Devlin et al. 2019, appendix A.2)
_WEIGHT_DECAY = 0.01  # likewise; not of biases and norms
_MOST_GRADIENT = 1.0  # longest gradient of a step
_HUB_NAME = re.compile(r"[\w.-]+(/[\w.-]+)?(@[\w./-]+)?")


def pin(encoder: str) -> str:
    """Return an encoder that cannot change while it is trained: a local folder as it is, a hub name as name@commit.

    HF_HUB_OFFLINE and the like are respected; without a network the commit is the one in the local cache.

    Raises:
        SettingsError: there is no such folder, or no encoder in it, and no such model at the hub or in the cache.
    """
    if Path(encoder).is_dir():
        if not (Path(encoder) / "config.json").is_file():
            near = sorted(str(file.parent) for file in Path(encoder).glob("*/config.json"))[:3]
            raise SettingsError(
                f"model.encoder = {encoder!r} holds no config.json; name the folder in which it lies beside weights "
                f"and tokeniser{did_you_mean(encoder, near)}"
            )
        return encoder
    if not _HUB_NAME.fullmatch(encoder):
        raise SettingsError(
            f"model.encoder = {encoder!r}: there is no such folder, and no model of the hub is called so"
            f"{did_you_mean(encoder, _folders_near(Path(encoder)))}"
        )
    load_transformers()
    from huggingface_hub import hf_hub_download

    name, _, revision = encoder.partition("@")
    try:
        config = hf_hub_download(name, "config.json", revision=revision or None)
    except (OSError, ValueError) as error:
        raise SettingsError(
            f"model.encoder = {encoder!r}: there is no such folder, and the hub does not give it ({_first(error)}); "
            "name a folder that holds config.json, weights and tokeniser, or a public model, or log in to the hub"
            f"{did_you_mean(encoder, _folders_near(Path(encoder)))}"
        ) from error
    return f"{name}@{Path(config).parent.name}"


def _folders_near(missing: Path) -> list[str]:
    """Return the folder beside a missing one whose name is nearest."""
    beside, names = missing.parent, list[str]()
    with suppress(OSError):
        names = [path.name for path in beside.iterdir() if path.is_dir()]
    return [str(beside / name) for name in nearest(missing.name, names)]


def identify(pinned: str) -> str:
    """Return what a pinned encoder is, wherever it lies: sha256 over a folder's files, or the hub's name@commit."""
    if not Path(pinned).is_dir():
        return pinned
    files = sorted(file for file in Path(pinned).iterdir() if file.is_file() and not file.name.startswith("."))
    return hash_json({file.name: hash_file(file) for file in files})


class EncoderSteps:
    """AdamW (Loshchilov and Hutter 2019) on the weights of an encoder."""

    def __init__(self, encoder: Encoder, embeddings: bool = True) -> None:
        """Take the weights that it moves; without `embeddings` those of the tokens stay as they are."""
        self._encoder = encoder
        still = set[Tensor]() if embeddings else set(encoder.module.get_input_embeddings().parameters())
        for weight in still:
            weight.requires_grad_(False)
        self.weights = {name: weight for name, weight in encoder.module.named_parameters() if weight not in still}
        decayed = [weight for weight in self.weights.values() if weight.ndim > 1]
        others = [weight for weight in self.weights.values() if weight.ndim <= 1]
        self._optimiser = torch.optim.AdamW(
            [{"params": decayed, "weight_decay": _WEIGHT_DECAY}, {"params": others, "weight_decay": 0.0}], fused=True
        )
        for weight in self.weights.values():  # at once, so that a checkpoint has where to be loaded into
            self._optimiser.state[weight] = {
                "step": torch.zeros((), device=weight.device),
                "exp_avg": torch.zeros_like(weight),
                "exp_avg_sq": torch.zeros_like(weight),
            }

    def step(self, left: float, peak: float) -> None:
        """Move the encoder along the gradients it was sent since the last step; arguments as in `finish_step`."""
        nn.utils.clip_grad_norm_(self.weights.values(), _MOST_GRADIENT)
        for group in self._optimiser.param_groups:
            group["lr"] = peak * min((1 - left) / _WARM_UP, left / (1 - _WARM_UP))
        self._optimiser.step()
        self._optimiser.zero_grad()
        self._encoder.steps += 1

    def state(self) -> dict[str, Tensor]:
        """Return the state of AdamW, by weight and kind."""
        return {
            f"{name}.{key}": tensor
            for name, weight in self.weights.items()
            for key, tensor in self._optimiser.state[weight].items()
        }


class PretrainedTower(Tower):
    """A pretrained encoder, fine-tuned; hidden layers if any. S is 1."""

    threads_inside = True
    rate_setting = "encoder_learning_rate"

    def __init__(self, model: Model, sizes: Sizes, generator: torch.Generator, device: Device) -> None:
        super().__init__(model, sizes, generator, device)
        self._tokeniser = Tokeniser(model)
        # No nn.Module: its weights are not among `parameters`.
        self.encoder = Encoder(model, self._tokeniser.size, device)
        self.layers = Layers(model, self.encoder.size, model.hidden_dims, generator).to(device.kind)
        self._steps = EncoderSteps(self.encoder)

    @classmethod
    def tokeniser(cls, model: Model) -> Tokeniser:
        """Return the encoder's own.

        Raises:
            SettingsError: it has none.
        """
        return Tokeniser(model)

    @classmethod
    def features(cls, sizes: Sizes) -> int:
        """Return the number of tokens."""
        return sizes.words

    def embed(self, texts: Texts, dropout: float, random: np.random.Generator) -> Encodings:
        """Return the texts' pooled states; in training the encoder's own dropout stands for that of features."""
        return Encodings(self.encoder, texts, random)

    def forward(self, embedded: Encodings) -> Tensor:
        """Return (1, n, o) vectors, not yet of unit length."""
        vectors: Tensor = self.layers(embedded.leaf)
        return vectors

    def finish_step(self, left: float, peak: float) -> None:
        """Move the encoder along the gradients it was sent since the last step.

        Args:
            left: share of the training that is still to come, from 1 to 0.
            peak: of the learning rate, which rises linearly over the first tenth and then falls to 0.
        """
        self._steps.step(left, peak)

    def steps_between_classes(self, classes: int, batch: int) -> int:
        """Return so many that the standard questions cost no more than the queries."""
        return max(super().steps_between_classes(classes, batch), -(-classes // batch))

    def extra_parameters(self) -> dict[str, Tensor]:
        """Return the encoder's weights."""
        return {f"encoder.{name}": weight.data for name, weight in self._steps.weights.items()}

    def extra_state(self) -> dict[str, Tensor]:
        """Return the state of AdamW."""
        return {f"encoder.{name}": tensor for name, tensor in self._steps.state().items()}

    def write(self, folder: Path) -> None:
        """Write encoder and tokeniser into `folder`, which any program that reads Hugging Face models can load."""
        self.encoder.write(folder)
        self._tokeniser.write(folder)
