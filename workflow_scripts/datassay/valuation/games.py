"""Games: what coalitions of train rows are worth, as estimators see it.

A game is anything with players and a utility; the estimators never look behind it. Games on features learn a quick
classifier and know how to let one more row join without starting again.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from functools import cached_property
from typing import Any

import numpy as np

from datassay.errors import DatassayError, did_you_mean

Rows = np.ndarray  # int64 row numbers of a coalition, distinct, in any order
NO_ROWS = np.zeros(0, dtype=np.int64)
FEATURE_UTILITIES = ("knn", "logistic", "ridge")


class Game(ABC):
    """Players 0..n-1 and the utility of every coalition of them.

    players: their number. evaluations: utilities computed so far.
    """

    players: int
    evaluations: int = 0

    @property
    @abstractmethod
    def empty(self) -> float:
        """Utility of no player at all."""

    @abstractmethod
    def __call__(self, rows: Rows) -> float:
        """Return the utility of a coalition."""

    @cached_property
    def full(self) -> float:
        """Utility of all players; not counted, as every process computes it again."""
        before = self.evaluations
        utility = self(np.arange(self.players))
        self.evaluations = before
        return utility

    def walk(self, order: Rows) -> Iterator[float]:
        """Yield the utility after each player of `order` has joined those before it."""
        for size in range(1, len(order) + 1):
            yield self(order[:size])

    def without_each(self) -> np.ndarray:
        """Return for every player the utility of all others, float64 [n]."""
        everyone = np.arange(self.players)
        return np.array([self(np.delete(everyone, j)) for j in everyone])


class FunctionGame(Game):
    """A game given by a function of sorted row numbers, which is also asked for the empty coalition."""

    def __init__(self, utility: Callable[[np.ndarray], float], players: int) -> None:
        if players < 1:
            raise DatassayError(f"a game of {players} players, at least 1 is needed")
        self.utility, self.players = utility, players

    @cached_property
    def empty(self) -> float:
        """Utility of no player at all."""
        return float(self.utility(NO_ROWS))

    def __call__(self, rows: Rows) -> float:
        """Return the utility of a coalition."""
        if len(rows) == 0:
            return self.empty
        self.evaluations += 1
        return float(self.utility(np.sort(rows)))


class ClassGame(Game):
    """A game whose utility is a share of right answers that can be told by class.

    train_y: class number of every player, int32 [n]. classes: their number C.
    A profile holds, by class, the share of all valuation points that are of this class and answered right; its sum is
    the utility.
    """

    train_y: np.ndarray
    classes: int

    @property
    @abstractmethod
    def empty_profile(self) -> np.ndarray:
        """Profile of no player, float64 [C]."""

    @abstractmethod
    def profiles(self, order: Rows, start: Rows = NO_ROWS) -> Iterator[np.ndarray]:
        """Yield the profile after each player of `order` has joined those of `start` and those before it."""

    def profile(self, rows: Rows) -> np.ndarray:
        """Return the profile of a coalition, float64 [C]."""
        if len(rows) == 0:
            return self.empty_profile
        return next(self.profiles(rows[-1:], rows[:-1]))

    @property
    def empty(self) -> float:
        """Utility of no player at all."""
        return float(self.empty_profile.sum())

    @cached_property
    def full_profile(self) -> np.ndarray:
        """Profile of all players, float64 [C]; not counted, as every process computes it again."""
        before = self.evaluations
        profile = self.profile(np.arange(self.players))
        self.evaluations = before
        return profile

    @cached_property
    def full(self) -> float:
        """Utility of all players."""
        return float(self.full_profile.sum())

    def __call__(self, rows: Rows) -> float:
        """Return the utility of a coalition."""
        return float(self.profile(rows).sum())

    def walk(self, order: Rows) -> Iterator[float]:
        """Yield the utility after each player of `order` has joined those before it."""
        for profile in self.profiles(order):
            yield float(profile.sum())


def feature_game(
    train_x: np.ndarray,
    train_y: np.ndarray,
    valid_x: np.ndarray,
    valid_y: np.ndarray,
    utility: str = "logistic",
    k: int = 10,
    penalty: float = 1.0,
) -> ClassGame:
    """Return the game of training a quick classifier on some of the train rows and testing it on the valuation points.

    utility: "knn" (share of right labels among the k nearest, divisor k, the utility of exact KNN-Shapley),
    "logistic" (accuracy of logistic regression, as scikit-learn's with C = 1 / penalty) or "ridge" (accuracy of the
    ridge classifier, as scikit-learn's with alpha = penalty). Both have an intercept. A coalition of one class always
    answers with it. No rows at all: 0 for knn, else the share of the most frequent class of the valuation points
    (Ghorbani & Zou, ICML 2019). k counts for knn alone, penalty for the other two.

    train_x [N, d], valid_x [V, d]: finite numbers; train_y [N], valid_y [V]: integers or text.
    Raises DatassayError for empty splits, unequal shapes, an unknown utility, k < 1, penalty <= 0, and for ridge a
    penalty so small beside the rows that updates would not be exact.
    """
    from datassay.valuation._distances import check_data
    from datassay.valuation._logistic import LogisticGame
    from datassay.valuation._ridge import RidgeGame
    from datassay.valuation.utilities import KnnGame

    check_data(train_x, train_y, valid_x, valid_y, "euclidean", k=k)
    if not penalty > 0:
        raise DatassayError(f"penalty = {penalty}, allowed: numbers above 0")
    arrays = train_x, train_y, valid_x, valid_y
    match utility:
        case "knn":
            return KnnGame(*arrays, k)
        case "logistic":
            return LogisticGame(*arrays, penalty)
        case "ridge":
            return RidgeGame(*arrays, penalty)
    raise DatassayError(f"utility '{utility}' is unknown{did_you_mean(utility, FEATURE_UTILITIES)}")


def as_game(data: tuple[Any, ...], make: Callable[..., Game], options: dict[str, Any]) -> Game:
    """Return the game of a public call: a game as it is, or what `make` makes of four arrays and options."""
    if len(data) == 1 and isinstance(data[0], Game):
        if options:
            raise DatassayError(f"option '{next(iter(options))}' belongs to a game on arrays, here a game was given")
        return data[0]
    if len(data) != 4:
        raise DatassayError(f"{len(data)} arguments, expected a Game, or train_x, train_y, valid_x, valid_y")
    return make(*data, **options)
