"""Low-rank adapters: the last layers of an encoder learn from a corpus, and it becomes another encoder.

To the matrices of queries and values in each of these layers a product of two thin ones is added (Hu et al. 2022,
"LoRA: Low-Rank Adaptation of Large Language Models", section 4), trained with projection and standard questions by
their loss, and merged. What lies below these layers never changes, hence is computed once per text. A batch goes
through in parts of similar length, side by side; they do not depend on the number of threads, so neither does what is
learned.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import cached_property
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.utils.rnn import pad_sequence

from schemas.settings import CorpusSettings, Model
from tasks.retrieval.pretrained import Encoder, Tokeniser
from tasks.train.projection import TINY, learn_classes, plan_steps, seeded

_LAYERS, _RANK = 3, 8
_MATRICES = ("query", "value")
_SCALE = 2.0  # of the product
_STEP = 1e-3  # of Adam, at the start
_LASTING = (8, 80)  # epochs, and of very few texts as many as make so many steps
_PARTS = 4  # of a batch
_BLOCK = 64  # texts that pass at once where nothing is learned

Numbers = NDArray[np.int64]


class _Adapted(nn.Module):
    """A linear layer, to whose matrix the product of two thin ones is added; 0 at the start."""

    def __init__(self, linear: nn.Linear, generator: torch.Generator) -> None:
        super().__init__()
        self._linear = linear
        random = torch.rand(_RANK, linear.in_features, generator=generator) * 2 - 1
        self.down = nn.Parameter(random / linear.in_features**0.5)
        self.up = nn.Parameter(torch.zeros(linear.out_features, _RANK))

    def forward(self, states: Tensor) -> Tensor:
        """Return (..., out)."""
        whole: Tensor = self._linear(states) + _SCALE * F.linear(F.linear(states, self.down), self.up)
        return whole

    def merged(self) -> Tensor:
        """Return the matrix that does both at once."""
        return (self._linear.weight + _SCALE * self.up @ self.down).detach()


class Adaptable:
    """An encoder on some texts, whose last layers can learn."""

    def __init__(self, model: Model, texts: Sequence[str], threads: int) -> None:
        """Load it, and cut the texts into tokens.

        Args:
            model: encoder, pooling, encoder_prefix and max_tokens are read; settled.
            texts: normalised.
            threads: that compute.
        """
        self.tokeniser = Tokeniser(model)
        self.encoder = Encoder(model, self.tokeniser.size)
        self.encoder.module.eval().requires_grad_(False)
        self._pooling = model.pooling
        self._pool = ThreadPoolExecutor(threads, "adapters", torch.set_num_threads, (1,))
        read = self.tokeniser([(model.encoder_prefix or "") + text for text in texts])
        self._tokens = [torch.from_numpy(ids.astype(np.int64)) for ids in np.split(read.words, read.offsets[1:-1])]
        self._lengths = np.diff(read.offsets)
        self._below = list[Tensor]()  # (tokens, d) states of each text below the layers that learn; made when needed
        self._learned = dict[bytes, list[Tensor]]()  # matrices by the name of a training and its rows

    @property
    def can_learn(self) -> bool:
        """Whether its layers are those of BERT."""
        try:
            return all(isinstance(getattr(at, name), nn.Linear) for at in self._attentions for name in _MATRICES)
        except AttributeError:
            return False

    @property
    def cost(self) -> int:
        """Products of one training on all texts, forward."""
        numbers = sum(int(weight.numel()) for layer in self._layers for weight in layer.parameters())
        return numbers * int(self._lengths.sum()) * plan_steps(len(self._lengths), _LASTING)[2]

    @cached_property
    def _layers(self) -> Any:  # noqa: ANN401 - transformers has no types
        return self.encoder.module.encoder.layer[-_LAYERS:]

    @property
    def _attentions(self) -> list[Any]:
        return [layer.attention.self for layer in self._layers]

    def vectors(self) -> NDArray[np.float32]:
        """Return the (texts, d) vectors of all texts, of unit length, in 32 bits."""
        if not self._below:
            self._below = self._of_all(self._pass_below)
        return torch.stack(self._of_all(self._encode)).numpy()

    @contextmanager
    def adapted(
        self, rows: Numbers, labels: Numbers, own: Numbers, settings: CorpusSettings, name: str
    ) -> Iterator[None]:
        """Learn from some texts, once; inside, the encoder has learned, and afterwards it is that of before.

        Args:
            rows: (n,) numbers of the texts that are queries.
            labels: (n,) the standard question of each.
            own: (K,) numbers of the texts of the standard questions.
            settings: loss, training.vector_dropout and seed are read.
            name: of this training, part of the seed.
        """
        places = [(attention, matrix) for attention in self._attentions for matrix in _MATRICES]
        linears = [getattr(attention, matrix) for attention, matrix in places]
        before = [linear.weight.data for linear in linears]
        key = name.encode() + rows.tobytes()
        try:
            if key not in self._learned:
                adapted = [
                    _Adapted(linear, seeded(settings, f"adapters/{name}/{n}")) for n, linear in enumerate(linears)
                ]
                for (attention, matrix), one in zip(places, adapted, strict=True):
                    setattr(attention, matrix, one)
                self._train(adapted, np.concatenate([rows, own]), labels, settings, name)
                self._learned[key] = [one.merged() for one in adapted]
            for (attention, matrix), linear, weight in zip(places, linears, self._learned[key], strict=True):
                linear.weight.data = weight
                setattr(attention, matrix, linear)
            yield
        finally:
            for (attention, matrix), linear, weight in zip(places, linears, before, strict=True):
                linear.weight.data = weight
                setattr(attention, matrix, linear)

    def _train(
        self, adapted: list[_Adapted], texts: Numbers, labels: Numbers, settings: CorpusSettings, name: str
    ) -> None:
        """Train adapters that stand in their places, on queries and their labels, and then the standard questions."""
        weights = [weight for one in adapted for weight in (one.down, one.up)]
        count = len(texts) - len(labels)
        truth = torch.from_numpy(np.concatenate([labels, np.arange(count)]))
        start = torch.from_numpy(self.vectors()[texts])
        centre = start.mean(dim=0)

        def read(part: Tensor) -> Tensor:
            return F.normalize(self._learn(texts[part.numpy()], weights) - centre, dim=1, eps=TINY)

        centred, groups = F.normalize(start - centre, dim=1, eps=TINY), [{"params": weights, "lr": _STEP}]
        generator = seeded(settings, f"adapters/{name}")
        learn_classes(centred, truth, count, read, groups, settings, generator, _LASTING)

    def _learn(self, texts: Numbers, weights: list[nn.Parameter]) -> Tensor:
        """Return (n, d) vectors of some texts, from which a gradient goes back to the weights."""
        parts = np.array_split(np.argsort(self._lengths[texts], kind="stable"), _PARTS)
        parts = [part for part in parts if len(part)]
        apply: Callable[..., Tensor] = _InParts.apply
        vectors = apply(self._pool, self._encode, [texts[part] for part in parts], *weights)
        return vectors[torch.from_numpy(np.argsort(np.concatenate(parts)))]

    def _of_all(self, work: Callable[[Numbers], Iterable[Tensor]]) -> list[Tensor]:
        """Return what some work makes of each text; nothing is learned of it."""
        order = np.argsort(self._lengths, kind="stable")
        found = [Tensor()] * len(order)
        blocks = [order[start : start + _BLOCK] for start in range(0, len(order), _BLOCK)]
        for block, made in zip(blocks, self._pool.map(torch.no_grad()(work), blocks), strict=True):
            for number, one in zip(block.tolist(), made, strict=True):
                found[number] = one
        return found

    def _pass_below(self, texts: Numbers) -> list[Tensor]:
        """Return (tokens, d) states of each of some texts."""
        ids, mask = self._padded(self._tokens, texts)
        states = self.encoder.module.embeddings(input_ids=ids)
        for layer in self.encoder.module.encoder.layer[:-_LAYERS]:
            states = layer(states, mask[:, None, None])
        return [one[:length].clone() for one, length in zip(states, self._lengths[texts].tolist(), strict=True)]

    def _encode(self, texts: Numbers) -> Tensor:
        """Return (n, d) vectors of unit length of some texts."""
        states, mask = self._padded(self._below, texts)
        for layer in self._layers:
            states = layer(states, mask[:, None, None])
        pooled = states[:, 0] if self._pooling == "cls" else (states * mask[:, :, None]).sum(dim=1)
        return F.normalize(pooled, dim=1, eps=TINY)  # of a sum as of a mean

    def _padded(self, of: list[Tensor], texts: Numbers) -> tuple[Tensor, Tensor]:
        """Return what is held of some texts, padded to the longest, and (n, tokens) where there is no padding."""
        lengths = torch.from_numpy(self._lengths[texts])
        return pad_sequence([of[text] for text in texts.tolist()], batch_first=True), (
            torch.arange(int(lengths.max()))[None] < lengths[:, None]
        )


class _InParts(torch.autograd.Function):
    """Vectors of several parts of a batch, computed in threads, and their gradient sent back in threads, too."""

    @staticmethod
    def forward(ctx: Any, pool: ThreadPoolExecutor, encode: Any, parts: list[Numbers], *weights: Tensor) -> Tensor:  # noqa: ANN401 - torch's own
        """Return (n, d), part after part."""
        ctx.pool, ctx.weights, ctx.vectors = pool, weights, list(pool.map(torch.enable_grad()(encode), parts))
        return torch.cat([vectors.detach() for vectors in ctx.vectors])

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> Any:  # noqa: ANN401 - as above
        """Return the gradient of each weight: the sum over the parts, in their order."""
        lengths = [len(vectors) for vectors in ctx.vectors]
        pieces: Iterable[Tensor] = gradient.split(lengths)  # type: ignore[no-untyped-call]
        found = ctx.pool.map(
            lambda vectors, piece: torch.autograd.grad(vectors, ctx.weights, piece), ctx.vectors, pieces
        )
        return None, None, None, *(sum(of_weight) for of_weight in zip(*found, strict=True))
