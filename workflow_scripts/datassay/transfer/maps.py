"""Embedding space maps: what fine-tuning does to the embeddings of a base model, as one small function.

Schulte et al., Less is More, EMNLP 2024 (arXiv 2410.15148).
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np

from datassay.compute import one_thread
from datassay.errors import DatassayError

Fit = Literal["ridge", "sgd", "mlp"]
PENALTIES = (1e-6, 1e-5, 1e-4, 1e-3, 1e-2, 1e-1, 1.0, 10.0)
ROWS_LEFT_OUT = 2048  # rows whose leave-one-out error is computed; of more, as many spread evenly


@dataclass(frozen=True)
class EmbeddingSpaceMap:
    """From the base model's embedding of a text to the fine-tuned model's: layers of (weight [D', D], bias [D']).

    One layer is the linear map x -> W x + b; between several stand rectified linear units. report: how well it does on
    rows that it was not fitted on (see `fit_esm`).
    """

    layers: tuple[tuple[np.ndarray, np.ndarray], ...]
    report: dict[str, Any] = field(default_factory=dict)

    @property
    def architecture(self) -> Literal["linear", "mlp"]:
        """What its config calls it."""
        return "linear" if len(self.layers) == 1 else "mlp"

    @property
    def width(self) -> int:
        """Width of the embeddings it takes."""
        return self.layers[0][0].shape[1]

    def transform(self, embeddings: np.ndarray) -> np.ndarray:
        """Return the mapped embeddings [N, D'] of embeddings [N, D], in their float type. Time O(N D D')."""
        if embeddings.shape[1] != self.width:
            raise DatassayError(f"the map takes vectors of {self.width} numbers, found {embeddings.shape[1]}")
        x = embeddings
        for number, (weight, bias) in enumerate(self.layers):
            x = (np.maximum(x, 0) if number else x) @ weight.T.astype(x.dtype) + bias.astype(x.dtype)
        return x


def fit_esm(
    base: np.ndarray,
    tuned: np.ndarray,
    *,
    fit: Fit = "ridge",
    held_out: float = 0.1,
    penalties: Sequence[float] = PENALTIES,
    hidden: Sequence[int] = (),
    epochs: int = 10,
    batch_size: int = 32,
    learning_rate: float = 1e-3,
    weight_decay: float = 0.01,
    seed: int = 0,
) -> EmbeddingSpaceMap:
    """Fit the map from the base model's embeddings [N, D] to the fine-tuned model's [N, D'] of the same texts.

    fit: ridge (W, b by least squares with penalty p * mean eigenvalue * |W|^2, b free; p of `penalties` with the least
    leave-one-out error), sgd (the same map by AdamW on the squared error, linear decay, gradient norm at most 1) or mlp
    (the same with hidden layers, default one of width D). held_out: share of the rows, drawn by `seed`, that the map is
    not fitted on; report holds rows, held_out_rows and, of these, mse and cosine (mean over rows) beside those of
    leaving the base embedding as it is (mse_identity, cosine_identity; None where the widths differ), and the penalty.

    Source: Schulte et al., arXiv 2410.15148, section 3 (sgd); the leave-one-out error of ridge is exact (Allen 1974).
    Time ridge O(N D (D + D') + D^3) and O(D D') per penalty and row left out; sgd O(epochs N D D'). Raises
    DatassayError for embeddings that do not go together or are not finite, and for fewer than 3 rows.
    """
    base, tuned = _checked(base, tuned)
    order = np.random.default_rng(seed).permutation(len(base))
    kept = max(round(len(base) * (1 - held_out)), 2)
    rows, rest = np.sort(order[:kept]), np.sort(order[kept:])
    if fit == "ridge":
        layers, about = _ridge(base[rows], tuned[rows], penalties)
    else:
        from datassay.transfer._sgd import descend

        widths = (list(hidden) or [base.shape[1]]) if fit == "mlp" else []
        layers = descend(base[rows], tuned[rows], widths, epochs, batch_size, learning_rate, weight_decay, seed)
        about = {}
    found = EmbeddingSpaceMap(layers)
    about |= {"fit": fit, "rows": len(rows), "held_out_rows": len(rest)}
    return EmbeddingSpaceMap(layers, about | (_errors(found, base[rest], tuned[rest]) if len(rest) else {}))


def _checked(base: np.ndarray, tuned: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    for name, array in (("base", base), ("tuned", tuned)):
        if array.ndim != 2 or not np.isfinite(array).all():
            raise DatassayError(f"{name} embeddings: shape {array.shape}, needs finite numbers [rows, width]")
    if len(base) != len(tuned) or len(base) < 3:
        raise DatassayError(f"{len(base)} base and {len(tuned)} tuned embeddings, needs as many of each, 3 at least")
    return base.astype(np.float64), tuned.astype(np.float64)


def _ridge(x: np.ndarray, y: np.ndarray, penalties: Sequence[float]) -> tuple[Any, dict[str, Any]]:
    """Return the layer with the least leave-one-out error, and its penalty."""
    x_mean, y_mean = x.mean(axis=0), y.mean(axis=0)
    x, y = x - x_mean, y - y_mean
    with one_thread():
        sigma, axes = np.linalg.eigh(x.T @ x)
        sigma = np.maximum(sigma, 0)
        crossed = axes.T @ (x.T @ y)
        penalty, scores = best_penalty(x, y, sigma, axes, crossed, penalties)
        weight = (axes @ (crossed / (sigma + penalty * sigma.mean())[:, None])).T
    layer = (weight.astype(np.float32), (y_mean - weight @ x_mean).astype(np.float32))
    return (layer,), {"penalty": penalty, "loo_mse": float(min(scores))}


def best_penalty(
    x: np.ndarray, y: np.ndarray, sigma: np.ndarray, axes: np.ndarray, crossed: np.ndarray, penalties: Sequence[float]
) -> tuple[float, list[float]]:
    """Return the penalty with the least leave-one-out error, and the mean squared error of every penalty.

    x [N, D], y [N, D'] centred; sigma, axes: eigenvalues and eigenvectors of x^T x; crossed: axes^T x^T y. Leaving out
    a row changes its residual e to e / (1 - h), h = 1 / N + leverage, where the means are those without it as well.
    """
    if not sigma.max() > 0:
        raise DatassayError("base embeddings: all rows are the same, there is nothing to map")
    shown = np.unique(np.linspace(0, len(x) - 1, min(len(x), ROWS_LEFT_OUT)).astype(int))
    rotated, wanted = x[shown] @ axes, y[shown]
    scores = []
    for penalty in penalties:
        shrink = 1 / (sigma + penalty * sigma.mean())
        leverage = (rotated**2) @ shrink + 1 / len(x)
        errors = (wanted - rotated @ (shrink[:, None] * crossed)) / np.maximum(1 - leverage, 1e-12)[:, None]
        scores.append(float((errors**2).mean()))
    return float(penalties[int(np.argmin(scores))]), scores


def _errors(found: EmbeddingSpaceMap, base: np.ndarray, tuned: np.ndarray) -> dict[str, float | None]:
    mapped = found.transform(base)
    alike = base.shape == tuned.shape
    return {
        "mse": _mse(mapped, tuned),
        "cosine": _cosine(mapped, tuned),
        "mse_identity": _mse(base, tuned) if alike else None,
        "cosine_identity": _cosine(base, tuned) if alike else None,
    }


def _mse(a: np.ndarray, b: np.ndarray) -> float:
    return float(((a - b) ** 2).mean())


def _cosine(a: np.ndarray, b: np.ndarray) -> float:
    norms = np.linalg.norm(a, axis=1) * np.linalg.norm(b, axis=1)
    return float(((a * b).sum(axis=1) / np.maximum(norms, 1e-12)).mean())
