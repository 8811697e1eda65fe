"""The game of the ridge classifier, by rank-one updates."""

import numpy as np

from datassay.errors import DatassayError
from datassay.valuation.games import Rows
from datassay.valuation.utilities import Classifier

BLOCK = 256  # players taken out at a time
LEAST_PENALTY = 1e-6  # as a share of the mean squared length of a row; below it rank-one updates lose their digits


class RidgeGame(Classifier):
    """Accuracy of the ridge classifier: least squares on targets -1 and 1, penalty * |weights|^2, free intercept.

    One row joins in O(d^2 + V (d + C)). A class without a row scores -1 everywhere and never wins.
    """

    def __init__(
        self, train_x: np.ndarray, train_y: np.ndarray, valid_x: np.ndarray, valid_y: np.ndarray, penalty: float
    ) -> None:
        super().__init__(train_x, train_y, valid_x, valid_y)
        length = float(np.mean(np.sum(self.train_x[:, :-1] ** 2, axis=1)))
        if penalty < LEAST_PENALTY * length:
            raise DatassayError(
                f"penalty = {penalty:g}: below {LEAST_PENALTY:g} of the mean squared length of the train rows "
                f"({length:.3g}) adding rows one by one is not exact, raise it or scale the vectors"
            )
        self.ridge = np.full(self.width, penalty)
        self.ridge[-1] = 0.0
        self.targets = np.where(self.train_y[:, None] == np.arange(self.classes), 1.0, -1.0)
        self.codes = np.arange(self.classes, dtype=np.int32)

    def fit(self, rows: Rows) -> "_RidgeFit":
        """Fit some rows, or none."""
        return _RidgeFit(self, rows)

    def without_each(self) -> np.ndarray:
        """Return for every player the utility of all others, by taking one row out of the fit of all (rank one)."""
        counts = np.bincount(self.train_y, minlength=self.classes)
        left = np.count_nonzero(counts) - (counts[self.train_y] == 1)
        utilities = np.empty(self.players)
        fit = self.fit(np.arange(self.players))
        for start in range(0, self.players, BLOCK):
            x = self.train_x[start : start + BLOCK]
            gains = x @ fit.inverse
            misses = self.targets[start : start + BLOCK] - x @ fit.weights
            leverages = np.einsum("ij,ij->i", gains, x)
            moved = self.valid_x @ gains.T
            for i in range(len(x)):
                row = start + i
                if left[row] < 2:
                    utilities[row] = self(np.delete(np.arange(self.players), row))
                    continue
                self.evaluations += 1
                scores = fit.scores - moved[:, i, None] * (misses[i] / (1 - leverages[i]))
                utilities[row] = self.right(scores, self.codes).sum()
        return utilities


class _RidgeFit:
    """Inverse Gram matrix [D, D], weights [D, C] and scores [V, C] of some rows."""

    def __init__(self, game: RidgeGame, rows: Rows) -> None:
        self.game, self.empty = game, True
        if len(rows):
            self._solve(rows)

    def _solve(self, rows: Rows) -> None:
        x = self.game.train_x[rows]
        self.inverse = np.linalg.inv(x.T @ x + np.diag(self.game.ridge))
        self.weights = self.inverse @ (x.T @ self.game.targets[rows])
        self.scores = self.game.valid_x @ self.weights
        self.empty = False

    def add(self, row: int) -> None:
        """Add one train row."""
        from datassay.valuation._game_kernels import join_ridge

        if self.empty:
            self._solve(np.array([row]))
            return
        game = self.game
        join_ridge(self.inverse, self.weights, self.scores, game.valid_x, game.train_x[row], game.targets[row])

    def profile(self) -> np.ndarray:
        """Return the share of right answers by class."""
        return self.game.right(self.scores, self.game.codes)
