"""The matrices of an ONNX graph in whole numbers of up to eight bits, and what is multiplied with them row by row.

Each row of the left side, a token's states, is divided by its own largest number before it is rounded (as vector-wise
quantisation in Dettmers et al. 2022, "LLM.int8()", section 2.1). By the largest number of all, as
`onnxruntime.quantization.quantize_dynamic` has it, a text would get another vector in company than alone.
"""

from collections.abc import Iterator
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import helper, numpy_helper

_MOST = 127  # of a whole number on the left side, which stands 128 above 0, as the fast products want it
_MOST_RIGHT = 64  # of the matrix: two products of 255 x 64 fit into 16 bits, where some processors add them
_UNIT, _ZERO, _TINY = "row.unit", "row.zero", "row.tiny"  # names of what all products share


def quantise_products(model: onnx.ModelProto) -> None:
    """Replace each product with a constant matrix, in place."""
    graph = model.graph
    constants = {one.name: one for one in graph.initializer}
    rounded, nodes, matrices = dict[str, str](), list[Any](), dict[str, list[Any]]()
    for node in graph.node:
        matrix = constants.get(node.input[1]) if node.op_type == "MatMul" else None
        if matrix is None or len(matrix.dims) != 2:
            nodes.append(node)
            continue
        (left, right), (result,) = node.input, node.output
        if left not in rounded:
            rounded[left] = f"{left}.whole"
            nodes += _round(left, rounded[left])
        matrices.setdefault(right, list(_in_eight_bits(right, numpy_helper.to_array(matrix))))
        whole, scale = (one.name for one in matrices[right])
        product = [rounded[left], whole, _UNIT, scale, _ZERO]
        nodes.append(helper.make_node("MatMulIntegerToFloat", product, [f"{result}.unit"], domain="com.microsoft"))
        nodes.append(helper.make_node("Mul", [f"{result}.unit", f"{left}.largest"], [result]))
    shared = {_UNIT: np.float32(1 / _MOST), _ZERO: np.uint8(_MOST + 1), _TINY: np.float32(1e-9)}
    others = [numpy_helper.from_array(np.asarray(value), name) for name, value in shared.items()]
    used = {name for node in nodes for name in node.input}
    kept = [one for name, one in constants.items() if name in used or name not in matrices]
    del graph.node[:], graph.initializer[:]
    graph.node.extend(nodes)
    graph.initializer.extend([*kept, *others, *(one for pair in matrices.values() for one in pair)])
    model.opset_import.append(helper.make_opsetid("com.microsoft", 1))


def _round(name: str, whole: str) -> Iterator[Any]:
    """Yield what turns (..., d) numbers into whole ones, and into the largest of each row."""
    yield helper.make_node("Abs", [name], [f"{name}.size"])
    yield helper.make_node("ReduceMax", [f"{name}.size"], [f"{name}.most"], axes=[-1], keepdims=1)
    yield helper.make_node("Max", [f"{name}.most", _TINY], [f"{name}.largest"])
    yield helper.make_node("Div", [name, f"{name}.largest"], [f"{name}.share"])
    yield helper.make_node("QuantizeLinear", [f"{name}.share", _UNIT, _ZERO], [whole])


def _in_eight_bits(name: str, matrix: NDArray[np.float32]) -> Iterator[Any]:
    """Yield the (d, o) matrix in whole numbers, and the unit of each column."""
    unit = np.maximum(np.abs(matrix).max(axis=0) / _MOST_RIGHT, np.float32(1e-12)).astype(np.float32)
    yield numpy_helper.from_array(np.round(matrix / unit).astype(np.int8), f"{name}.whole")
    yield numpy_helper.from_array(unit, f"{name}.unit")
