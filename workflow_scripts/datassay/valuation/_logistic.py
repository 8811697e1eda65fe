"""The game of logistic regression: every fit starts where the one before it ended."""

from functools import cached_property

import numpy as np

from datassay.valuation.games import NO_ROWS, Rows
from datassay.valuation.utilities import Classifier

TOLERANCE = 1e-5  # largest |gradient| of the mean loss at which a fit ends; scikit-learn: 1e-4


class LogisticGame(Classifier):
    """Accuracy of logistic regression: sum of the losses + penalty / 2 * |weights|^2, free intercept.

    One row joins by a few quasi-Newton steps from the fit without it, O(m d C + d^2 C) each with m rows, usually one
    or two. A coalition as such is fitted from the weights of all rows.
    """

    def __init__(
        self, train_x: np.ndarray, train_y: np.ndarray, valid_x: np.ndarray, valid_y: np.ndarray, penalty: float
    ) -> None:
        super().__init__(train_x, train_y, valid_x, valid_y)
        self.penalty = penalty

    @cached_property
    def weights(self) -> np.ndarray:
        """Weights [D, C] of all rows, zero for a class without one; only differences between classes count."""
        fit = _LogisticFit(self, NO_ROWS)
        fit.take(np.arange(self.players), np.zeros((self.width, self.classes)))
        weights = np.zeros((self.width, self.classes))
        weights[:, fit.present] = fit.class_weights()
        return weights

    def fit(self, rows: Rows) -> "_LogisticFit":
        """Fit some rows, or none."""
        return _LogisticFit(self, rows)


class _LogisticFit:
    """Weights [D, F] of some rows: one column for two classes, else one per class that is present.

    Sums over rows are kept up as rows join: scores [m, F], the gradient [D, F], and the inverse [D, D] of the Hessian
    of a column as it was when it was last computed, with rank-one updates since.
    """

    def __init__(self, game: LogisticGame, rows: Rows) -> None:
        self.game, self.size = game, 0
        self.rows, self.codes = np.empty((game.players, game.width)), np.empty(game.players, dtype=np.int32)
        self.present: list[int] = []
        self.excess = 0
        if len(rows):
            self.take(rows, game.weights)

    def take(self, rows: Rows, weights: np.ndarray) -> None:
        """Fit rows at once, from weights [D, C]."""
        game, self.size = self.game, len(rows)
        self.present, codes = (part.tolist() for part in np.unique(game.train_y[rows], return_inverse=True))
        self.rows[: self.size], self.codes[: self.size] = game.train_x[rows], codes
        if len(self.present) > 1:
            self._begin(weights[:, self.present])
            self._minimise()

    def class_weights(self) -> np.ndarray:
        """Return one column of weights for each class that is present."""
        if len(self.present) < 2:
            return np.zeros((self.game.width, len(self.present)))
        return np.hstack([-self.weights / 2, self.weights / 2]) if len(self.present) == 2 else self.weights

    def _begin(self, weights: np.ndarray) -> None:
        """Set up all sums for weights with one column for each class that is present."""
        from datassay.valuation._game_kernels import logistic_terms

        self.weights = weights[:, 1:] - weights[:, :1] if weights.shape[1] == 2 else weights.copy()
        m, columns = self.size, self.weights.shape[1]
        x = self.rows[:m]
        self.scores = np.empty((self.game.players, columns))
        self.scores[:m] = x @ self.weights
        residuals = np.empty((m, columns))
        logistic_terms(self.scores[:m], self.codes[:m], residuals)
        self.gradient = x.T @ residuals
        self.gradient[:-1] += self.game.penalty * self.weights[:-1]
        self._invert(residuals)

    def _invert(self, residuals: np.ndarray) -> None:
        """Compute the inverse Hessian of a column anew."""
        m, p = self.size, residuals.copy()
        if p.shape[1] == 1:
            p[:, 0] += self.codes[:m]
            curvature = p[:, 0] * (1 - p[:, 0])
        else:
            p[np.arange(m), self.codes[:m]] += 1
            curvature = (1 - (p**2).sum(axis=1)) / (p.shape[1] - 1)
        x, ridge = self.rows[:m], np.full(self.game.width, self.game.penalty)
        ridge[-1] = 1e-6 * m
        self.inverse = np.linalg.inv((x * curvature[:, None]).T @ x + np.diag(ridge))
        self.excess = 0

    def _minimise(self) -> None:
        from datassay.valuation._game_kernels import fit_logistic, logistic_terms

        m, width = self.size, self.game.width
        steps = fit_logistic(
            self.rows[:m], self.codes[:m], self.weights, self.scores[:m], self.gradient, self.inverse,
            self.game.penalty, TOLERANCE,
        )  # fmt: skip
        self.excess += max(steps - 1, 0)
        columns = self.weights.shape[1]
        if self.excess * columns * width * (4 * m + width) > width**2 * (m + 3 * width):
            residuals = np.empty((m, columns))
            logistic_terms(self.scores[:m], self.codes[:m], residuals)
            self._invert(residuals)

    def add(self, row: int) -> None:
        """Add one train row."""
        from datassay.valuation._game_kernels import join_logistic

        label = int(self.game.train_y[row])
        if known := label in self.present:
            code = self.present.index(label)
        else:
            code, old = len(self.present), self.class_weights()
            self.present.append(label)
        self.rows[self.size], self.codes[self.size] = self.game.train_x[row], code
        self.size += 1
        if len(self.present) < 2:
            return
        m = self.size
        if known:
            join_logistic(self.rows[:m], self.codes[:m], self.weights, self.scores[:m], self.gradient, self.inverse)
        else:
            self._begin(np.hstack([old, np.zeros((self.game.width, 1))]))
        self._minimise()

    def profile(self) -> np.ndarray:
        """Return the share of right answers by class."""
        from datassay.valuation._game_kernels import product

        scores = np.empty((self.game.points, self.weights.shape[1]))
        product(self.game.valid_x, self.weights, scores)
        return self.game.right(scores, np.array(self.present, dtype=np.int32))
