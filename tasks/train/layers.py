"""The layers behind a tower's entrance, of all members at once."""

import math
from collections.abc import Callable
from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from schemas.settings import Model

ACTIVATIONS: dict[str, Callable[[Tensor], Tensor]] = {
    "tanh": torch.tanh,
    "relu": F.relu,
    "gelu": F.gelu,
    "none": lambda x: x,
}


class Layers(nn.Module):
    """Hidden layers of all members at once, then a linear output layer if one is wanted: (S, n, in) -> (S, n, o)."""

    def __init__(self, model: Model, inputs: int, hidden: list[int], generator: torch.Generator) -> None:
        super().__init__()
        self._activation = ACTIVATIONS[model.activation]
        sizes = [inputs, *hidden]
        output = model.output_dim if model.output_dim not in (None, sizes[-1]) else None
        sizes += [output] if output else []
        self._linear_last = output is not None
        self.weights = nn.ParameterList()
        self.biases = nn.ParameterList()
        for before, after in pairwise(sizes):
            bound = math.sqrt(6 / (before + after))  # Glorot and Bengio 2010, eq. 16, as the DSSM paper does
            weight = torch.empty(model.ensemble, before, after).uniform_(-bound, bound, generator=generator)
            self.weights.append(nn.Parameter(weight))
            self.biases.append(nn.Parameter(torch.zeros(model.ensemble, 1, after)))
        self.size = sizes[-1]

    def forward(self, x: Tensor) -> Tensor:
        """Map (S, n, in) to (S, n, o)."""
        for number, (weight, bias) in enumerate(zip(self.weights, self.biases, strict=True), start=1):
            x = torch.baddbmm(bias, x, weight)
            if not (self._linear_last and number == len(self.weights)):
                x = self._activation(x)
        return x
