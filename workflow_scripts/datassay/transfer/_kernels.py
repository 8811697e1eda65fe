"""Compiled steps of LogME. Import only inside functions: numba takes a second to load."""

import numpy as np

from datassay.compute import compiled

MOST_STEPS = 50
CLOSE = 1e-3  # relative change of alpha / beta at which the iteration ends
FLOOR = 1e-5  # what the published fixed point adds to both denominators


@compiled("void(f8[:,::1], i8[::1], f8[:,::1])")
def add_by_class(block, codes, sums):  # type: ignore[no-untyped-def]
    """Add every row of block [n, D] to the row of sums [C, D] that its code [n] names."""
    for i in range(block.shape[0]):
        for j in range(block.shape[1]):
            sums[codes[i], j] += block[i, j]


@compiled("void(f8[::1], f8[::1], f8, f8[::1], f8[::1], f8[::1])")
def solve(diagonal, off, shift, right, pivots, x):  # type: ignore[no-untyped-def]
    """Solve (T + shift I) x = right for a tridiagonal T that is positive semi-definite."""
    pivots[0] = diagonal[0] + shift
    x[0] = right[0]
    for i in range(1, len(diagonal)):
        factor = off[i - 1] / pivots[i - 1]
        pivots[i] = max(diagonal[i] + shift - factor * off[i - 1], shift)
        x[i] = right[i] - factor * x[i - 1]
    x[-1] /= pivots[-1]
    for i in range(len(diagonal) - 2, -1, -1):
        x[i] = (x[i] - off[i] * x[i + 1]) / pivots[i]


@compiled("f8[:,::1](f8[::1], f8[::1], f8[::1], f8[:,::1], f8[::1], i8, i8, b1)")
def fixed_points(diagonal, off, sigma, right, squares, n, width, dual):  # type: ignore[no-untyped-def]
    """Return (evidence, alpha, beta) [C, 3] of every target column from a tridiagonal T [k, k] with eigenvalues sigma.

    right [C, k]: what stands for the targets in T's basis: F^T y where T is the Gram matrix (k = width), y itself where
    it is F F^T (dual, k = n). squares [C]: |y|^2. Linear in k per step: no eigenvector is needed, as every quadratic
    form follows from x = (T + t I)^-1 right.
    """
    size = len(diagonal)
    answers = np.empty((len(right), 3))
    pivots, x = np.empty(size), np.empty(size)
    for c in range(len(right)):
        alpha, beta = 1.0, 1.0
        norm, misfit = 0.0, 0.0
        for _ in range(MOST_STEPS):
            t = alpha / beta
            solve(diagonal, off, t, right[c], pivots, x)
            length, along, gamma, rest = 0.0, 0.0, 0.0, float(n - size)
            for i in range(size):
                length += x[i] * x[i]
                along += x[i] * right[c, i]
                gamma += sigma[i] / (sigma[i] + t)
                rest += t / (sigma[i] + t)
            if dual:
                norm, misfit = max(along - t * length, 0.0), t * t * length
            else:
                norm, misfit = length, max(squares[c] - along - t * length, 0.0)
            alpha = gamma / (norm + FLOOR)
            beta = rest / (misfit + FLOOR)
            if abs(alpha / beta - t) <= CLOSE * t:
                break
        log_det = (width - size) * np.log(alpha)
        for i in range(size):
            log_det += np.log(alpha + beta * sigma[i])
        evidence = width * np.log(alpha) + n * np.log(beta) - log_det - beta * misfit - alpha * norm
        answers[c, 0] = 0.5 * (evidence - n * np.log(2 * np.pi))
        answers[c, 1], answers[c, 2] = alpha, beta
    return answers
