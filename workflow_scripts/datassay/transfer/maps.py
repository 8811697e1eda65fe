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

    fit: ridge (W, b by least squares with penalty p * mean eigenvalue * |W - I|^2, b free, so that little data leaves
    the embedding as it is; |W|^2 where the widths differ; p of `penalties` with the least leave-one-out error), sgd
    (the same map by AdamW on the squared error, linear decay, gradient norm at most 1) or mlp (the same with hidden
    layers, default one of width D). held_out: share of the rows, drawn by `seed`, that the map is not fitted on; report
    holds rows, held_out_rows and, of these, mse and cosine (mean over rows) beside those of leaving the base embedding
    as it is (mse_identity, cosine_identity; None where the widths differ), and the penalty.

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
    stays = np.eye(x.shape[1]) if x.shape == y.shape else 0.0
    with one_thread():
        ridge = LeaveOneOut(x, y - x if x.shape == y.shape else y, ROWS_LEFT_OUT)
        scores = [float((ridge.errors(penalty) ** 2).mean()) for penalty in penalties]
        penalty = float(penalties[int(np.argmin(scores))])
        weight, bias = ridge.layer(penalty)
    layer = ((stays + weight).astype(np.float32), bias.astype(np.float32))
    return (layer,), {"penalty": penalty, "loo_mse": min(scores)}


class LeaveOneOut:
    """Ridge regression of y [N, D'] on x [N, D] with a free bias: all penalties from one eigendecomposition.

    A penalty counts in mean eigenvalues of the centred x^T x. rows: how many rows are left out in turn; of more, as
    many spread evenly. Time O(N D (D + D') + D^3), then O(D D') per penalty and row left out. Raises DatassayError for
    an x whose rows are all the same.
    """

    def __init__(self, x: np.ndarray, y: np.ndarray, rows: int) -> None:
        self.means = x.mean(axis=0), y.mean(axis=0)
        x, y = x - self.means[0], y - self.means[1]
        self.n = len(x)
        sigma, self.axes = np.linalg.eigh(x.T @ x)
        self.sigma = np.maximum(sigma, 0)
        if not self.sigma.max() > 0:
            raise DatassayError("all embeddings are the same, there is nothing to learn from them")
        self.crossed = self.axes.T @ (x.T @ y)
        self.rows = np.unique(np.linspace(0, self.n - 1, min(self.n, rows)).astype(int))
        self.rotated, self.wanted = x[self.rows] @ self.axes, y[self.rows]

    def errors(self, penalty: float) -> np.ndarray:
        """Return y less what is predicted for each row without it, [rows, D'].

        Leaving out a row makes its residual e / (1 - h), h = 1 / N + leverage, its part in the means left out as well.
        """
        shrink = 1 / (self.sigma + penalty * self.sigma.mean())
        leverage = (self.rotated**2) @ shrink + 1 / self.n
        residuals = self.wanted - self.rotated @ (shrink[:, None] * self.crossed)
        return residuals / np.maximum(1 - leverage, 1e-12)[:, None]

    def layer(self, penalty: float) -> tuple[np.ndarray, np.ndarray]:
        """Return weight [D', D] and bias [D'] of the fit to all rows."""
        shrink = 1 / (self.sigma + penalty * self.sigma.mean())
        weight = (self.axes @ (shrink[:, None] * self.crossed)).T
        return weight, self.means[1] - weight @ self.means[0]


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
