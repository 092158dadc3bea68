"""Adagrad, sparse and dense: what moves the weights.

Duchi et al. 2011, "Adaptive Subgradient Methods for Online Learning and Stochastic Optimization". Embeddings stay
outside autograd: a batch touches a few thousand rows of a table, and only those are gathered, given a gradient and
updated, which makes a step several times faster than a dense optimiser.
"""

from collections.abc import Iterable

import torch
from torch import Tensor, nn

INITIAL_SQUARE = 1e-10  # what every accumulator starts from


class Table(nn.Module):
    """(S * V, d) rows of numbers of S members, member after member, with their Adagrad state.

    Row-wise: one accumulator per row, the mean square of its gradient (Gupta et al. 2014, "Training highly multiclass
    classifiers", section 4); an eighth of the memory traffic of one per element.
    """

    def __init__(self, members: int, rows: int, size: int, scale: float, generator: torch.Generator) -> None:
        """Fill with normal random numbers of standard deviation `scale`; with zeros where that is 0."""
        super().__init__()
        self.members, self.rows = members, rows
        self.weight: Tensor
        self.squares: Tensor
        shape = (members * rows, size)
        start = torch.randn(shape, generator=generator).mul_(scale) if scale else torch.zeros(shape)
        self.register_buffer("weight", start)
        self.register_buffer("squares", torch.full((members * rows,), INITIAL_SQUARE))

    def update(self, rows: Tensor, gradient: Tensor, rate: float) -> None:
        """Take one Adagrad step on distinct `rows`; `gradient` (len(rows), d) is used up."""
        squares = self.squares.index_select(0, rows)
        squares += torch.linalg.vector_norm(gradient, dim=1).square_().div_(gradient.shape[1])
        self.squares.index_copy_(0, rows, squares)
        self.weight.index_add_(0, rows, gradient.mul_(squares.rsqrt_().mul_(-rate).unsqueeze(1)))


class Adagrad:
    """One accumulator per element of dense parameters."""

    def __init__(self, parameters: Iterable[nn.Parameter]) -> None:
        """Take the parameters, which `step` changes in place."""
        self.parameters = list(parameters)
        self._squares = [torch.full_like(parameter, INITIAL_SQUARE) for parameter in self.parameters]

    def step(self, rate: float) -> None:
        """Move every parameter along its gradient, and forget the gradient."""
        for parameter, squares in zip(self.parameters, self._squares, strict=True):
            if parameter.grad is not None:
                squares.addcmul_(parameter.grad, parameter.grad)
                parameter.data.addcdiv_(parameter.grad, squares.sqrt(), value=-rate)
                parameter.grad = None

    def state(self) -> dict[str, Tensor]:
        """Return parameters and accumulators by name, not copied."""
        state = dict[str, Tensor]()
        for number, (parameter, squares) in enumerate(zip(self.parameters, self._squares, strict=True)):
            state |= {f"dense.{number}": parameter.data, f"dense.{number}.squares": squares}
        return state
