"""Strategies that rank by one column, and the references: full data, random and class-balanced random.

Equal scores come in an order drawn from `rng`: columns such as `forgetting` have many ties, and the order of the data
set must not decide among them.
"""

from typing import Literal

import numpy as np

from datassay.errors import DatassayError
from datassay.registry import LABELLED, Method, strategy
from datassay.selection.arrays import by_score, check_rows, in_rounds

Keep = Literal["lowest", "highest"]


@strategy(version=1, source="reference")
def full(labels: np.ndarray) -> np.ndarray:
    """All rows in the order of the data set."""
    return np.arange(len(labels), dtype=np.int64)


@strategy(version=1, source="reference", name="random")
def random_order(labels: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Rows in random order."""
    return rng.permutation(len(labels)).astype(np.int64)


@strategy(version=1, source="reference", tasks=LABELLED)
def balanced_random(labels: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Random rows, one of every class in turn until a class is used up."""
    return in_rounds(check_rows("labels", labels, 1), rng)


@strategy(version=1, source="Swayamdipta et al., EMNLP 2020, arXiv 2009.10795", tasks=LABELLED)
def easy(avg_conf: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Highest mean confidence in the given label first."""
    return by_score(check_rows("avg_conf", avg_conf, 1), rng)


@strategy(version=1, source="Swayamdipta et al., EMNLP 2020, arXiv 2009.10795", tasks=LABELLED)
def hard(avg_conf: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Lowest mean confidence in the given label first."""
    return by_score(-check_rows("avg_conf", avg_conf, 1), rng)


@strategy(version=1, source="Swayamdipta et al., EMNLP 2020, arXiv 2009.10795", tasks=LABELLED)
def ambiguous(variability: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Highest variability of the confidence over epochs first."""
    return by_score(check_rows("variability", variability, 1), rng)


@strategy(version=1, source="Toneva et al., ICLR 2019, arXiv 1812.05159", tasks=LABELLED)
def forgetting(forgetting: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Most often forgotten first; rows never learned carry the highest count of all."""
    return by_score(check_rows("forgetting", forgetting, 1), rng)


@strategy(version=1, source="Paul et al., NeurIPS 2021, arXiv 2107.07075", tasks=LABELLED)
def el2n(ens_el2n: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Highest error norm (mean over seeds) first."""
    return by_score(check_rows("ens_el2n", ens_el2n, 1), rng)


@strategy(version=1, source="Paul et al., NeurIPS 2021, arXiv 2107.07075", tasks=["classification"])
def grand(
    ensemble_epoch_logits: np.ndarray,
    ensemble_feature_norms: np.ndarray,
    labels: np.ndarray,
    rng: np.random.Generator,
    *,
    epoch: int = 1,
) -> np.ndarray:
    """Largest gradient of the last layer (mean over seeds of its norm after an early epoch) first.

    epoch: after which one, 1 the first. Raises DatassayError where it was not recorded. See `last_layer_gradients`.
    """
    recorded = ensemble_epoch_logits.shape[1]
    if not 1 <= epoch <= recorded:
        raise DatassayError(f"grand: epoch {epoch}, allowed: 1 to the number of recorded epochs, {recorded}")
    norms = [
        last_layer_gradients(logits[epoch - 1], norms[epoch - 1], labels)
        for logits, norms in zip(ensemble_epoch_logits, ensemble_feature_norms, strict=True)
    ]
    return by_score(np.mean(norms, axis=0), rng)


def last_layer_gradients(logits: np.ndarray, feature_norms: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """Return the norm of every example's own gradient of the cross-entropy in the last linear layer, float64 [n].

    logits: [n, C] of that layer, feature_norms: [n] Euclidean norms of its inputs phi. The gradient in the weights is
    (p - onehot(y)) phi^T and in the biases p - onehot(y), so that its norm is |p - onehot(y)| sqrt(|phi|^2 + 1):
    O(n C), no backward pass. Source: GraNd of Paul et al., NeurIPS 2021, restricted to the last layer.
    """
    logits = check_rows("logits", logits, 2).astype(np.float64)
    norms = check_rows("feature_norms", feature_norms, 1, len(logits)).astype(np.float64)
    labels = check_rows("labels", labels, 1, len(logits))
    error = np.exp(logits - logits.max(axis=1, keepdims=True))
    error /= error.sum(axis=1, keepdims=True)
    error[np.arange(len(logits)), labels] -= 1
    return np.linalg.norm(error, axis=1) * np.hypot(norms, 1.0)


@strategy(version=1, source="Pleiss et al., NeurIPS 2020, arXiv 2001.10528", tasks=LABELLED)
def aum(aum: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Highest area under the margin first, so that the likely mislabelled are dropped first."""
    return by_score(check_rows("aum", aum, 1), rng)


@strategy(version=1, source="Kim et al., ACL 2023, arXiv 2305.19344")
def density(task_density: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Densest neighbourhood in the feature space first, so that outliers are dropped first."""
    return by_score(check_rows("task_density", task_density, 1), rng)


@strategy(version=1, source="Jia et al., VLDB 2019, arXiv 1908.08619", tasks=LABELLED)
def shapley(knn_shapley: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Highest data value first, so that the harmful are dropped first."""
    return by_score(check_rows("knn_shapley", knn_shapley, 1), rng)


def column_strategy(name: str, column: str, keep: Keep) -> Method:
    """Return the strategy `name` that ranks by any column or value, its lowest or highest numbers first."""
    function = _lowest_first if keep == "lowest" else _highest_first
    return Method("strategy", name, function, version=1, source="config", arrays={"column": column})


def _highest_first(column: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Highest first."""
    return by_score(check_rows("column", column, 1), rng)


def _lowest_first(column: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Lowest first."""
    return by_score(-check_rows("column", column, 1).astype(np.float64), rng)
