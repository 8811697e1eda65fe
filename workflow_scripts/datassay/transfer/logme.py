"""LogME: the evidence of a target under a Bayesian linear model on features.

You et al., LogME, ICML 2021, and Ranking and Tuning Pre-trained Models, JMLR 2022 (arXiv 2110.10545): y = F w + noise,
w ~ N(0, I / alpha), noise ~ N(0, 1 / beta), alpha and beta at the fixed point of the evidence. Two things differ from
the published code: all D directions count, also those in which N < D rows have no variance, and the Gram matrix is
reduced to a tridiagonal one, from which everything follows without eigenvectors.
"""

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from datassay.compute import one_thread
from datassay.errors import DatassayError

BLOCK = 4096


@dataclass(frozen=True)
class Moments:
    """What LogME has to know of features [N, D] and targets [N, C]; enough for every linear map of the features.

    rows: N. gram: F^T F [D, D]. sums: column sums of F [D]. cross: F^T Y [D, C]. target_sums, target_squares: of the
    columns of Y [C]. All float64.
    """

    rows: int
    gram: np.ndarray
    sums: np.ndarray
    cross: np.ndarray
    target_sums: np.ndarray
    target_squares: np.ndarray

    @cached_property
    def root(self) -> np.ndarray:
        """A root R [D, rank] of the Gram matrix: R R^T = F^T F."""
        with one_thread():
            sigma, axes = np.linalg.eigh(self.gram)
        kept = sigma > sigma.max() * len(sigma) * np.finfo(np.float64).eps
        return axes[:, kept] * np.sqrt(sigma[kept])

    def mapped(self, weight: np.ndarray, bias: np.ndarray) -> "Moments":
        """Return the moments of F W^T + b without looking at F: weight [D', D], bias [D']. Time O(D^3), whatever N."""
        weight, bias = np.asarray(weight, dtype=np.float64), np.asarray(bias, dtype=np.float64)
        with one_thread():
            moved = weight @ self.sums
            lifted = np.outer(moved, bias)
            half = weight @ self.root
            gram = half @ half.T + lifted + lifted.T + self.rows * np.outer(bias, bias)
            cross = weight @ self.cross + np.outer(bias, self.target_sums)
        sums = moved + self.rows * bias
        return Moments(self.rows, gram, sums, cross, self.target_sums, self.target_squares)


def logme(features: np.ndarray, targets: np.ndarray, *, regression: bool = False) -> float:
    """Return the LogME score of features for targets: mean over target columns of the log evidence per row, in nats.

    features: [N, D] of any float type. targets: classes as whole numbers [N] (one column per class that occurs, 1 for
    its rows and 0 for others), or with `regression` numbers [N] or [N, C], each column as it stands. Higher is better;
    scores compare features for the same targets only.

    Source: You et al., arXiv 2110.10545, algorithm 3 (fixed point of alpha / beta, at most 50 steps, relative tolerance
    1e-3). For N >= D equal to the published code to 6 digits; for N < D that code leaves out D - N directions, here
    they count. Time O(N D min(N, D) + min(N, D)^3), memory O(min(N, D)^2) beside the features.
    Raises DatassayError for features that are no matrix, not finite or all 0, and for targets that do not fit.
    """
    features = checked_features(features)
    columns = target_columns(targets, len(features), regression)
    if len(features) < features.shape[1]:
        wide, y = features.astype(np.float64), columns.matrix
        with one_thread():
            gram = wide @ wide.T
        answers = _answers(gram, y, (y * y).sum(axis=0), *wide.shape, dual=True)
    else:
        answers = _primal(moments_of(features, columns))
    return float(answers[:, 0].mean() / len(features))


def logme_of(moments: Moments) -> float:
    """Return the LogME score that follows from moments; see `logme`. Time O(D^3), whatever N."""
    if not np.isfinite(moments.gram).all():
        raise DatassayError("features: not finite")
    return float(_primal(moments)[:, 0].mean() / moments.rows)


def moments(features: np.ndarray, targets: np.ndarray, *, regression: bool = False) -> Moments:
    """Return the moments of features and targets as `logme` takes them. Time O(N D^2), memory O(D^2)."""
    features = checked_features(features)
    return moments_of(features, target_columns(targets, len(features), regression))


def influences(features: np.ndarray, targets: np.ndarray, *, regression: bool = False) -> np.ndarray:
    """Return what each row adds to the score, float64 [N]: N times the derivative of the score in the row's weight.

    They sum to 0 and have the variance of sqrt(N) times the score over draws of rows, to first order (infinitesimal
    jackknife, Efron 1982). At the fixed point alpha and beta do not move the evidence, so that the derivative of a
    column's log evidence in a row's weight is ln(beta / 2 pi) / 2 - beta (residual^2 + leverage) / 2, leverage being
    f^T (alpha I + beta F^T F)^-1 f. Time O(N D^2 + D^3).
    """
    features = checked_features(features).astype(np.float64)
    columns = target_columns(targets, len(features), regression)
    found = moments_of(features, columns)
    answers = _primal(found)
    with one_thread():
        sigma, axes = np.linalg.eigh(found.gram)
        rotated, weights = features @ axes, axes.T @ found.cross
    sigma, y, adds = np.maximum(sigma, 0), columns.matrix, np.zeros(len(features))
    for c, (_, alpha, beta) in enumerate(answers):
        precision = alpha + beta * sigma
        residual = y[:, c] - rotated @ (beta * weights[:, c] / precision)
        adds += 0.5 * (np.log(beta / (2 * np.pi)) - beta * (residual**2 + (rotated**2) @ (1 / precision)))
    adds /= len(answers)
    return adds - adds.mean()


@dataclass(frozen=True)
class Columns:
    """Target columns: values int64 [N] and the number of classes, or float64 [N, C] and 0."""

    values: np.ndarray
    classes: int

    @property
    def matrix(self) -> np.ndarray:
        """The columns themselves, float64 [N, C]."""
        return np.eye(self.classes)[self.values] if self.classes else self.values


def checked_features(features: np.ndarray) -> np.ndarray:
    """Return features [N, D] or refuse them."""
    features = np.asarray(features)
    if features.ndim != 2 or 0 in features.shape or features.dtype.kind not in "fiu":
        raise DatassayError(f"features: {features.dtype} of shape {features.shape}, needs numbers [rows, width]")
    if not np.isfinite(features).all():
        row = int(np.flatnonzero(~np.isfinite(features).all(axis=1))[0])
        raise DatassayError(f"features: row {row} is not finite")
    return features


def target_columns(targets: np.ndarray, rows: int, regression: bool) -> Columns:
    """Return targets as columns or refuse them."""
    targets = np.asarray(targets)
    if len(targets) != rows:
        raise DatassayError(f"targets: {len(targets)} for {rows} rows of features, needs as many of each")
    if regression:
        y = targets.reshape(rows, -1).astype(np.float64)
        if not np.isfinite(y).all():
            raise DatassayError("targets: not finite, the targets of a regression are finite numbers")
        return Columns(y, 0)
    if targets.ndim != 1 or targets.dtype.kind not in "iub":
        raise DatassayError(
            f"targets: {targets.dtype} of shape {targets.shape}, classes are whole numbers [rows]; for numbers to "
            "predict set regression=True"
        )
    names, codes = np.unique(targets, return_inverse=True)
    return Columns(codes.astype(np.int64), len(names))


def moments_of(features: np.ndarray, columns: Columns) -> Moments:
    """Return the moments of checked features and targets, block by block."""
    from datassay.transfer._kernels import add_by_class

    n, width = features.shape
    gram, cross = np.zeros((width, width)), np.zeros((columns.classes or columns.values.shape[1], width))
    with one_thread():
        for start in range(0, n, BLOCK):
            block = np.ascontiguousarray(features[start : start + BLOCK], dtype=np.float64)
            y = columns.values[start : start + BLOCK]
            gram += block.T @ block
            if columns.classes:
                add_by_class(block, y, cross)
            else:
                cross += y.T @ block
    if columns.classes:
        sums = squares = np.bincount(columns.values, minlength=columns.classes).astype(np.float64)
    else:
        sums, squares = columns.values.sum(axis=0), (columns.values**2).sum(axis=0)
    return Moments(n, gram, features.sum(axis=0, dtype=np.float64), cross.T, sums, squares)


def _primal(found: Moments) -> np.ndarray:
    return _answers(found.gram, found.cross, found.target_squares, found.rows, len(found.gram), dual=False)


def _answers(gram: np.ndarray, right: np.ndarray, squares: np.ndarray, n: int, width: int, *, dual: bool) -> np.ndarray:
    """Return log evidence, alpha and beta [C, 3] of every column of right [k, C] under the Gram matrix [k, k]."""
    from datassay.transfer._kernels import fixed_points

    if not gram.diagonal().max() > 0:
        raise DatassayError("features: all are 0, they say nothing of the targets")
    with one_thread():
        diagonal, off, turned = tridiagonal(gram, right)
        sigma = _eigenvalues(diagonal, off)
    columns: Any = np.ascontiguousarray(turned.T)
    return fixed_points(diagonal, off, sigma, columns, np.ascontiguousarray(squares, np.float64), n, width, dual)


def tridiagonal(matrix: np.ndarray, right: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return diagonal [k] and off-diagonal [k - 1] of T = Q^T A Q for a symmetric A [k, k], and Q^T right [k, C].

    Householder reflections (LAPACK sytrd); Q is applied to the columns and never built. Time O(k^3 + k^2 C).
    """
    from scipy.linalg.lapack import dormqr, dsytrd

    size = len(matrix)
    if size == 1:
        return matrix[0].astype(np.float64), np.empty(0), right.astype(np.float64)
    reflectors, diagonal, off, scales, _ = dsytrd(np.asfortranarray(matrix), lower=1, lwork=64 * size)
    turned = np.array(right, dtype=np.float64, order="F")
    lwork = 64 * max(turned.shape)
    turned[1:] = dormqr("L", "T", reflectors[1:, :-1], scales, np.asfortranarray(turned[1:]), lwork)[0]
    return diagonal, off, turned


def _eigenvalues(diagonal: np.ndarray, off: np.ndarray) -> np.ndarray:
    """Return the eigenvalues of a tridiagonal matrix that is positive semi-definite but for rounding."""
    from scipy.linalg.lapack import dsterf

    if len(diagonal) == 1:
        return np.maximum(diagonal, 0.0)
    return np.maximum(dsterf(diagonal, off)[0], 0.0)
