"""Sparse rows in numpy beside those of scipy."""

import numpy as np
import pytest

from tasks.retrieval.rows import Rows


def draw(lengths, width, seed=0):
    """Draw rows with so many cells each."""
    random = np.random.default_rng(seed)
    columns = [np.sort(random.choice(width, length, replace=False)) for length in lengths]
    offsets = np.cumsum([0, *lengths])
    values = random.standard_normal(offsets[-1]).astype(np.float32)
    return Rows(values, np.concatenate([np.zeros(0, np.int32), *columns]).astype(np.int32), offsets, width)


@pytest.mark.parametrize("size", [2, 3, 64, 512])
def test_a_product_is_that_of_scipy(size):
    """To the last bit, of two numbers and more: models and evaluations keep their bytes. Empty rows are zero."""
    rows = draw([0, 1, 2, 50, 130, 0, 7], 200)
    table = np.random.default_rng(1).standard_normal((200, size)).astype(np.float32)

    product = rows.times(table)

    assert product.tobytes() == (rows.matrix() @ table).tobytes()
    assert product.shape == (7, size)


class Garbage(np.ndarray):
    """A table whose empty selections lie in memory that holds NaN, as numpy now and then hands it out."""

    def __getitem__(self, key):
        if len(key):
            return np.asarray(self)[key]
        return np.lib.stride_tricks.as_strided(np.full(1, np.nan, np.float32), (0, self.shape[1]), (0, 0))


def test_an_empty_row_is_zero_whatever_lies_in_memory():
    """np.einsum multiplies the number behind an empty operand by nothing: NaN stays NaN."""
    table = np.ones((9, 16), np.float32).view(Garbage)

    assert not draw([0, 2, 0], 9).times(table)[[0, 2]].any()


def test_no_rows_have_a_product():
    """A batch may be empty."""
    assert draw([], 5).times(np.ones((5, 3), np.float32)).shape == (0, 3)


def test_parts_are_stacked_in_their_order():
    """One without rows, and one that begins with an empty row, among them."""
    parts = [draw([2, 0], 9), draw([], 9), draw([0, 3, 1], 9, seed=1)]

    stacked = Rows.stack(parts)

    assert len(stacked) == 5
    assert stacked.matrix().toarray().tolist() == [row for part in parts for row in part.matrix().toarray().tolist()]
