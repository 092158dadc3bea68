"""The prepared files as arrays: in memory, or, of very many rows, a few row groups at a time."""

from collections import OrderedDict
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryFile

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import scipy.sparse as sp
from numpy.typing import NDArray

from schemas.outputs import PrepareOutput
from schemas.settings import Model
from tasks.prepare.groups import bar_groups, read_groups
from tasks.prepare.negatives import forbidden_classes
from tasks.retrieval.texts import Texts
from tasks.retrieval.vocabulary import rows_from_lists
from tasks.train.towers import Sizes, find_tower

IN_MEMORY_ROWS = 500_000  # held whole: about 1 kB a row, for every group of members
WINDOW_ROWS = 131_072  # of more rows, so many are shuffled at a time
_GROUPS_HELD = 4  # row groups, of which prepare makes each part one: what a window touches


class Shards:
    """Texts of the rows of train.parquet, read by row group as they are asked for; then some that are in memory.

    Asked for in windows of neighbouring rows, which `draw_order` keeps to, each row group is read once an epoch.
    """

    def __init__(self, folder: Path, vocabulary: int, tail: Texts | None = None) -> None:
        self._folder, self._vocabulary, self._tail = folder, vocabulary, tail
        files = [(file, pq.read_metadata(file)) for file in PrepareOutput(folder).train_parts()]
        self._groups = [(file, group) for file, metadata in files for group in range(metadata.num_row_groups)]
        sizes = [
            metadata.row_group(group).num_rows for _, metadata in files for group in range(metadata.num_row_groups)
        ]
        self._starts = np.concatenate([[0], np.cumsum(sizes)])
        self._held: OrderedDict[int, Texts] = OrderedDict()

    def __len__(self) -> int:
        return int(self._starts[-1]) + (len(self._tail) if self._tail else 0)

    def take(self, rows: NDArray[np.int64]) -> Texts:
        """Return the texts of `rows`, in that order."""
        groups = np.searchsorted(self._starts, rows, side="right") - 1
        order = np.argsort(groups, kind="stable")
        found: Texts | None = None
        for group in np.unique(groups).tolist():
            part = self._read(group).take(rows[groups == group] - self._starts[group])
            found = found.followed_by(part) if found else part
        if found is None:
            return self._read(0).take(rows)
        return found.take(np.argsort(order, kind="stable"))

    def followed_by(self, other: Texts) -> "Shards":
        """Return these texts and then those of `other`, with row groups of its own in memory."""
        return Shards(self._folder, self._vocabulary, other)

    def _read(self, group: int) -> Texts:
        if group == len(self._groups):
            if self._tail is None:
                raise IndexError(f"there are {len(self)} texts")
            return self._tail
        if group not in self._held:
            file, number = self._groups[group]
            table = pq.ParquetFile(file).read_row_group(number, columns=["features", "weights", "words"])
            self._held[group] = _texts(table, self._vocabulary)
            if len(self._held) > _GROUPS_HELD:
                self._held.popitem(last=False)
        self._held.move_to_end(group)
        return self._held[group]


@dataclass(frozen=True)
class Prepared:
    """Everything that training reads."""

    queries: Texts | Shards
    labels: NDArray[np.int64]  # (rows,) class of each query
    validation: NDArray[np.bool_]  # (rows,) held out while choosing
    classes: Texts
    folder: Path
    epochs_drawn: int
    sizes: Sizes  # features there are to read

    @property
    def window(self) -> int | None:
        """How many neighbouring rows an epoch shuffles at a time; None: all."""
        return None if isinstance(self.queries, Texts) else WINDOW_ROWS

    def sample(self) -> tuple[Texts, NDArray[np.int64]]:
        """Return texts and labels of all rows; of very many, of the first: all are shuffled."""
        if isinstance(self.queries, Texts):
            return self.queries, self.labels
        rows = np.arange(min(WINDOW_ROWS, len(self.labels)))
        return self.queries.take(rows), self.labels[rows]

    def negatives(self, epoch: int) -> NDArray[np.int32]:
        """Return (rows, k) the negatives of `epoch` (from 0), in the order of the rows; draws cycle.

        Of very many rows they are mapped from a file without a name, which goes with them.
        """
        folder = PrepareOutput(self.folder).negatives(epoch % self.epochs_drawn)
        files = [pq.ParquetFile(file, pre_buffer=False) for file in sorted(folder.iterdir())]
        shape = (len(self.labels), files[0].schema_arrow.field("negatives").type.list_size)
        drawn: NDArray[np.int32]
        if isinstance(self.queries, Texts):
            drawn = np.empty(shape, np.int32)
        else:
            with TemporaryFile() as unnamed:
                drawn = np.memmap(unnamed, np.int32, "w+", shape=shape)
        start = 0
        for batch in (batch for file in files for batch in file.iter_batches(columns=["negatives"])):
            drawn[start : start + len(batch)] = batch["negatives"].flatten().to_numpy().reshape(len(batch), -1)
            start += len(batch)
        return drawn

    def forbidden(self) -> sp.csr_array:
        """Return (K, K) which classes each class never opposes: see `forbidden_classes`."""
        files = PrepareOutput(self.folder)
        column = pq.read_table(files.classes, columns=["near_duplicates"])["near_duplicates"]
        return forbidden_classes(bar_groups(column.to_pylist(), read_groups(files)))

    def same_answer(self) -> sp.csr_array | None:
        """Return (K, K) which other classes have the same answer as each; None: none has."""
        groups, classes = read_groups(PrepareOutput(self.folder)), len(self.classes)
        if not groups:
            return None
        others = bar_groups([[]] * classes, groups)
        starts = np.cumsum([0, *map(len, others)])
        columns = np.array([other for row in others for other in row])
        return sp.csr_array((np.ones(len(columns), np.float32), columns, starts), shape=(classes, classes))


def read_prepared(folder: Path, model: Model | None = None) -> Prepared:
    """Read the files of prepare; the negatives stay on disk until an epoch asks for them.

    Args:
        folder: of prepare.
        model: a tower with a tokeniser of its own cuts the texts here, once. None: one that reads prepare's features.

    Raises:
        SettingsError: the tokeniser cannot be loaded.
    """
    tokenise = find_tower(model).tokeniser(model) if model else None
    cut = ["features", "weights", "words"]
    files = PrepareOutput(folder)
    train = pq.read_table(files.train, columns=["class_id", "validation"])
    vocabulary, words = (pq.read_metadata(file).num_rows for file in (files.vocabulary, files.words))
    queries: Texts | Shards
    if tokenise:
        texts = pq.read_table(files.train, columns=["query"])["query"].to_pylist()
        standard = pq.read_table(files.classes, columns=["standard_norm"])["standard_norm"].to_pylist()
        queries, classes, words = tokenise(texts), tokenise(standard), tokenise.size
    else:
        many = len(train) > IN_MEMORY_ROWS
        classes = _texts(pq.read_table(files.classes, columns=cut), vocabulary)
        queries = Shards(folder, vocabulary) if many else _texts(pq.read_table(files.train, columns=cut), vocabulary)
    return Prepared(
        queries=queries,
        labels=train["class_id"].to_numpy().astype(np.int64),
        validation=train["validation"].combine_chunks().to_numpy(zero_copy_only=False),
        classes=classes,
        folder=folder,
        epochs_drawn=len(files.epochs()),
        sizes=Sizes(vocabulary, words),
    )


def _texts(table: pa.Table, vocabulary: int) -> Texts:
    bags = rows_from_lists(table["features"], table["weights"], vocabulary).matrix()
    words = table["words"].combine_chunks()
    return Texts(bags, words.values.to_numpy(), words.offsets.to_numpy().astype(np.int64))
