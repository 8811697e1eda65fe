"""What the games on features share, and the two that need no fit: K nearest neighbours, and one-step gradients."""

from abc import abstractmethod
from collections.abc import Iterator
from functools import cached_property
from typing import Protocol

import numpy as np

from datassay.errors import DatassayError
from datassay.randomness import generator
from datassay.valuation._distances import check_data, encoded
from datassay.valuation.games import NO_ROWS, ClassGame, Rows

FAR = np.iinfo(np.int32).max - 1  # key of an empty place among the nearest: farther than all, and no match
RATES = tuple(10.0 ** np.arange(-3, 2.5, 0.5))  # learning rates that the gradient game chooses from


class OnArrays(ClassGame):
    """Train and valuation arrays in float64, classes as numbers."""

    def __init__(self, train_x: np.ndarray, train_y: np.ndarray, valid_x: np.ndarray, valid_y: np.ndarray) -> None:
        self.train_y, self.valid_y = encoded(train_y, valid_y)
        self.players, self.points = len(train_y), len(valid_y)
        self.classes = int(max(self.train_y.max(), self.valid_y.max())) + 1
        self.train_x = np.ascontiguousarray(train_x, dtype=np.float64)
        self.valid_x = np.ascontiguousarray(valid_x, dtype=np.float64)
        for name, rows in (("train_x", self.train_x), ("valid_x", self.valid_x)):
            if not np.isfinite(rows).all():
                row = int(np.argmin(np.isfinite(rows).all(axis=1)))
                raise DatassayError(f"{name}: row {row} holds a value that is not finite, only finite are allowed")


class KnnGame(OnArrays):
    """Share of right labels among the k nearest rows, divisor k.

    A coalition of n rows costs O(V k N / n), one row that joins O(V), O(k) more where it is among the k nearest of a
    point. Memory 8 N V bytes: the ranks of every row, and the rows of every point in their order.
    """

    def __init__(
        self, train_x: np.ndarray, train_y: np.ndarray, valid_x: np.ndarray, valid_y: np.ndarray, k: int
    ) -> None:
        from datassay.neighbors import exact_neighbors

        super().__init__(train_x, train_y, valid_x, valid_y)
        self.k = k
        ids, _ = exact_neighbors(self.valid_x, self.train_x, self.players, metric="euclidean")
        ranks = np.empty(ids.shape, dtype=np.int32)
        np.put_along_axis(ranks, ids, np.arange(self.players, dtype=np.int32)[None, :], axis=1)
        match = self.train_y[None, :] == self.valid_y[:, None]
        self.keys = np.ascontiguousarray((2 * ranks + match).T)
        self.by_distance = (2 * ids + np.take_along_axis(match, ids, axis=1)).astype(np.int32)

    @cached_property
    def empty_profile(self) -> np.ndarray:
        """Nothing is right where there is no neighbour, float64 [C]."""
        return np.zeros(self.classes)

    def profile(self, rows: Rows) -> np.ndarray:
        """Return the profile of a coalition, float64 [C]."""
        from datassay.valuation._game_kernels import count_nearest

        self.evaluations += 1
        inside, right = np.zeros(self.players, dtype=bool), np.zeros(self.classes, dtype=np.int64)
        inside[rows] = True
        count_nearest(inside, self.by_distance, self.valid_y, min(self.k, len(rows)), right)
        return right / (self.k * self.points)

    def profiles(self, order: Rows, start: Rows = NO_ROWS) -> Iterator[np.ndarray]:
        """Yield the profile after each player of `order` has joined."""
        from datassay.valuation._game_kernels import join_neighbors

        nearest = np.full((self.points, self.k), FAR, dtype=np.int32)
        right = np.zeros(self.classes, dtype=np.int64)
        for row in start.tolist():
            join_neighbors(nearest, self.keys[row], self.valid_y, right)
        for row in order.tolist():
            join_neighbors(nearest, self.keys[row], self.valid_y, right)
            self.evaluations += 1
            yield right / (self.k * self.points)

    def without_each(self) -> np.ndarray:
        """Return for every player the utility of all others: only the k + 1 nearest of a point matter."""
        self.evaluations += self.players
        nearest, match = np.divmod(self.by_distance[:, : self.k + 1], 2)
        next_one = match[:, self.k] if self.players > self.k else np.zeros(self.points)
        lost = np.zeros(self.players)
        np.add.at(lost, nearest[:, : self.k], match[:, : self.k] - next_one[:, None])
        return (match[:, : self.k].sum() - lost) / (self.k * self.points)


class Fit(Protocol):
    """A classifier fitted to some rows, to which more are added."""

    def add(self, row: int) -> None:
        """Add one train row."""

    def profile(self) -> np.ndarray:
        """Return the share of right answers by class, given that the rows are of two classes or more."""


class Classifier(OnArrays):
    """A game of accuracy. Rows get a last column 1 for the intercept."""

    def __init__(self, train_x: np.ndarray, train_y: np.ndarray, valid_x: np.ndarray, valid_y: np.ndarray) -> None:
        super().__init__(train_x, train_y, valid_x, valid_y)
        self.train_x = np.hstack([self.train_x, np.ones((self.players, 1))])
        self.valid_x = np.hstack([self.valid_x, np.ones((self.points, 1))])
        self.width = self.train_x.shape[1]

    @abstractmethod
    def fit(self, rows: Rows) -> Fit:
        """Fit some rows, or none."""

    @cached_property
    def empty_profile(self) -> np.ndarray:
        """Profile of always answering the most frequent class of the valuation points, float64 [C]."""
        return self.constant(int(np.bincount(self.valid_y).argmax()))

    def constant(self, code: int) -> np.ndarray:
        """Profile of always answering one class."""
        return np.where(np.arange(self.classes) == code, np.mean(self.valid_y == code), 0.0)

    def right(self, scores: np.ndarray, codes: np.ndarray) -> np.ndarray:
        """Profile of answering with the class (`codes`) of the column with the highest score, see `count_right`."""
        from datassay.valuation._game_kernels import count_right

        counts = np.empty(self.classes, dtype=np.int64)
        count_right(scores, codes, self.valid_y, counts)
        return counts / self.points

    def profile(self, rows: Rows) -> np.ndarray:
        """Return the profile of a coalition, float64 [C]."""
        if len(rows) == 0:
            return self.empty_profile
        self.evaluations += 1
        labels = self.train_y[rows]
        return self.constant(int(labels[0])) if (labels == labels[0]).all() else self.fit(np.sort(rows)).profile()

    def profiles(self, order: Rows, start: Rows = NO_ROWS) -> Iterator[np.ndarray]:
        """Yield the profile after each player of `order` has joined."""
        present = set(self.train_y[start].tolist())
        fit = self.fit(np.sort(start))
        for row in order.tolist():
            fit.add(row)
            present.add(int(self.train_y[row]))
            self.evaluations += 1
            yield fit.profile() if len(present) > 1 else self.constant(int(self.train_y[row]))


class GradientGame(Classifier):
    """Accuracy of a softmax regression after one gradient step per row, in the order in which rows join.

    The weights start at zero. Not a game in the strict sense: the order counts. One row joins in O(V (d + C)).
    learning_rate: 0 takes the best of 11 between 0.001 and 100, by the accuracy after one pass in random order.
    """

    def __init__(
        self,
        train_x: np.ndarray,
        train_y: np.ndarray,
        valid_x: np.ndarray,
        valid_y: np.ndarray,
        learning_rate: float = 0.0,
    ) -> None:
        super().__init__(train_x, train_y, valid_x, valid_y)
        self.learning_rate = learning_rate or self._best_rate()

    def _best_rate(self) -> float:
        order = generator("g_shapley", "learning rate").permutation(self.players)
        found = []
        for self.learning_rate in RATES:
            fit = self.fit(order)
            found.append(fit.profile().sum())
        return RATES[int(np.argmax(found))]

    def profile(self, rows: Rows) -> np.ndarray:
        """Return the profile after one step for every row, in their order; weights of one class alone answer too."""
        if len(rows) == 0:
            return self.empty_profile
        self.evaluations += 1
        return self.fit(rows).profile()

    def profiles(self, order: Rows, start: Rows = NO_ROWS) -> Iterator[np.ndarray]:
        """Yield the profile after the step for each player of `order`."""
        fit = self.fit(start)
        for row in order.tolist():
            fit.add(row)
            self.evaluations += 1
            yield fit.profile()

    def fit(self, rows: Rows) -> "_Steps":
        """Take one step for every row, in their order."""
        return _Steps(self, rows)


class _Steps:
    """Weights [D, C] after some gradient steps, and the scores [V, C] that they give."""

    def __init__(self, game: GradientGame, rows: Rows) -> None:
        self.game = game
        self.codes = np.arange(game.classes, dtype=np.int32)
        self.weights, self.scores = np.zeros((game.width, game.classes)), np.zeros((game.points, game.classes))
        for row in rows.tolist():
            self.add(row)

    def add(self, row: int) -> None:
        """Take one more step."""
        from datassay.valuation._game_kernels import join_gradient

        game = self.game
        code, rate = int(game.train_y[row]), game.learning_rate
        join_gradient(self.weights, self.scores, game.valid_x, game.train_x[row], code, rate)

    def profile(self) -> np.ndarray:
        """Return the share of right answers by class."""
        return self.game.right(self.scores, self.codes)


def gradient_game(
    train_x: np.ndarray,
    train_y: np.ndarray,
    valid_x: np.ndarray,
    valid_y: np.ndarray,
    learning_rate: float = 0.0,
) -> GradientGame:
    """Return the game of G-Shapley, see `GradientGame`. Raises DatassayError as `feature_game`."""
    check_data(train_x, train_y, valid_x, valid_y, "euclidean")
    if learning_rate < 0:
        raise DatassayError(f"learning_rate = {learning_rate}, allowed: 0 (chosen) and above")
    return GradientGame(train_x, train_y, valid_x, valid_y, learning_rate)
