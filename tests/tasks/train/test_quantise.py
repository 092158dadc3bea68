"""Products in whole numbers of eight bits, beside those in 32 bits."""

import numpy as np
import onnxruntime
import pytest
from onnx import TensorProto, helper, numpy_helper

from tasks.train.quantise import quantise_products


@pytest.fixture
def graph():
    """Of x @ a, x @ b, and a row of b as it stands."""
    random = np.random.default_rng(0)
    matrices = {name: random.normal(size=(24, 16)).astype(np.float32) for name in "ab"}
    matrices["a"][:, 3] = 0
    nodes = [helper.make_node("MatMul", ["x", name], [f"x{name}"]) for name in "ab"]
    nodes.append(helper.make_node("Gather", ["b", "first"], ["row"]))
    values = [numpy_helper.from_array(matrix, name) for name, matrix in matrices.items()]
    values.append(numpy_helper.from_array(np.int64(0), "first"))
    floats = [helper.make_tensor_value_info(name, TensorProto.FLOAT, None) for name in ("x", "xa", "xb", "row")]
    made = helper.make_graph(nodes, "g", floats[:1], floats[1:], values)
    return helper.make_model(made, opset_imports=[helper.make_opsetid("", 17)], ir_version=9), matrices


def run(model, x):
    """Return what a graph makes of (n, t, 24) numbers."""
    return onnxruntime.InferenceSession(model.SerializeToString()).run(None, {"x": x.astype(np.float32)})


def test_the_largest_sums_overflow_nowhere():
    """Without VNNI two products are added in 16 bits, and cut where they do not fit."""
    x, matrix = np.ones((1, 1, 24)), np.ones((24, 16), np.float32)
    matrix[:, 8:] = -1
    floats = [helper.make_tensor_value_info(name, TensorProto.FLOAT, None) for name in ("x", "y")]
    node, values = helper.make_node("MatMul", ["x", "a"], ["y"]), [numpy_helper.from_array(matrix, "a")]
    made = helper.make_graph([node], "g", floats[:1], floats[1:], values)
    model = helper.make_model(made, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
    quantise_products(model)

    np.testing.assert_allclose(run(model, x)[0], x @ matrix, rtol=1e-4)


def test_products_are_close_and_rows_are_on_their_own(graph):
    """A row a thousand times as large changes no bit of the others; a row of zeros stays one."""
    model, matrices = graph
    x = np.random.default_rng(1).normal(size=(3, 5, 24))
    x[1, 2], x[2, 4] = x[1, 2] * 1000, 0
    wanted = run(model, x)
    quantise_products(model)

    found = run(model, x)
    alone = run(model, x[:1])

    for name, exact, rounded in zip("ab", wanted, found, strict=False):
        assert np.abs(exact - rounded)[0].max() < 0.02 * np.abs(exact[0]).max()
        assert rounded[0].tolist() == alone["ab".index(name)][0].tolist()
        assert not rounded[2, 4].any()
    assert not found[0][..., 3].any()
    assert found[2].tolist() == matrices["b"][0].tolist()
    assert [node.op_type for node in model.graph.node].count("QuantizeLinear") == 1  # of x, for both
    assert "MatMul" not in [node.op_type for node in model.graph.node]
