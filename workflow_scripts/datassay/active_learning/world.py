"""What a run looks at: the pool, its hidden labels, and what is known of every example."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from datassay.acquisition import NeighborLists
from datassay.active_learning.cells import minority_numbers
from datassay.errors import DatassayError

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True)
class World:
    """A data set as active learning sees it. N: all rows of examples.

    labels: int64 [N], -1 unknown. pool: bool [N], train rows with a label to ask for. test: int64, labelled test rows.
    minority: class numbers. lists: neighbours by the encoder's vectors [N, d]. of_train: arrays of the train rows [n],
    and where a row stands among them: train_row int64 [N].
    """

    examples: "pd.DataFrame"
    labels: np.ndarray
    names: list[str]
    minority: list[int]
    pool: np.ndarray
    test: np.ndarray
    lists: NeighborLists
    train_row: np.ndarray
    of_train: Mapping[str, np.ndarray]

    @property
    def vectors(self) -> np.ndarray:
        """The encoder's vectors [N, d]."""
        return self.lists.vectors

    def known(self, name: str, rows: np.ndarray) -> np.ndarray:
        """Return what does not depend on a model, of some pool rows: embeddings, surprisal, log_likelihood."""
        return np.asarray(self.vectors[rows] if name == "embeddings" else self.of_train[name][self.train_row[rows]])


def make_world(
    examples: "pd.DataFrame",
    card: Mapping[str, Any],
    lists: NeighborLists,
    minority: list[str],
    of_train: Mapping[str, np.ndarray] | None = None,
) -> World:
    """Return the world of a prepared data set.

    minority: class names, [] for the rarest class. of_train: arrays with one entry per train row. Raises DatassayError
    without labelled test rows, without a pool, for unknown class names and arrays of other lengths.
    """
    labels = np.maximum(examples["label"].fillna(-1).to_numpy(dtype=np.int64), -1)
    train, names = (examples["split"] == "train").to_numpy(), list(card["label_names"])
    pool = train & (labels >= 0)
    test = np.flatnonzero((examples["split"] == "test").to_numpy() & (labels >= 0))
    if not len(test) or not pool.any():
        raise DatassayError(
            f"active learning: {int(pool.sum())} labelled train rows and {len(test)} labelled test rows, needs both: "
            "set split.test above 0 or bring a test split"
        )
    if len(lists.vectors) != len(examples):
        raise DatassayError(f"active learning: {len(lists.vectors)} vectors for {len(examples)} examples")
    for name, array in (of_train or {}).items():
        if len(array) != train.sum():
            raise DatassayError(f"active learning: {name} has {len(array)} rows, needs {int(train.sum())}")
    counts = np.bincount(labels[pool], minlength=len(names)).tolist()
    numbers = minority_numbers(minority, names, counts)
    return World(
        examples, labels, names, numbers, pool, test, lists, np.cumsum(train) - 1, dict(of_train or {})
    )  # fmt: skip
