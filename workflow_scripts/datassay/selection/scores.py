"""Strategies that rank by one column, and the references: full data, random and class-balanced random.

Equal scores come in an order drawn from `rng`: columns such as `forgetting` have many ties, and the order of the data
set must not decide among them.
"""

import numpy as np

from datassay.registry import strategy
from datassay.selection.arrays import by_score, check_rows, in_rounds


@strategy(version=1, source="reference")
def full(labels: np.ndarray) -> np.ndarray:
    """All rows in the order of the data set."""
    return np.arange(len(labels), dtype=np.int64)


@strategy(version=1, source="reference", name="random")
def random_order(labels: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Rows in random order."""
    return rng.permutation(len(labels)).astype(np.int64)


@strategy(version=1, source="reference")
def balanced_random(labels: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Random rows, one of every class in turn until a class is used up."""
    return in_rounds(check_rows("labels", labels, 1), rng)


@strategy(version=1, source="Swayamdipta et al., EMNLP 2020, arXiv 2009.10795")
def easy(avg_conf: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Highest mean confidence in the given label first."""
    return by_score(check_rows("avg_conf", avg_conf, 1), rng)


@strategy(version=1, source="Swayamdipta et al., EMNLP 2020, arXiv 2009.10795")
def hard(avg_conf: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Lowest mean confidence in the given label first."""
    return by_score(-check_rows("avg_conf", avg_conf, 1), rng)


@strategy(version=1, source="Swayamdipta et al., EMNLP 2020, arXiv 2009.10795")
def ambiguous(variability: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Highest variability of the confidence over epochs first."""
    return by_score(check_rows("variability", variability, 1), rng)


@strategy(version=1, source="Toneva et al., ICLR 2019, arXiv 1812.05159")
def forgetting(forgetting: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Most often forgotten first; rows never learned carry the highest count of all."""
    return by_score(check_rows("forgetting", forgetting, 1), rng)


@strategy(version=1, source="Paul et al., NeurIPS 2021, arXiv 2107.07075")
def el2n(ens_el2n: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Highest error norm (mean over seeds) first."""
    return by_score(check_rows("ens_el2n", ens_el2n, 1), rng)


@strategy(version=1, source="Pleiss et al., NeurIPS 2020, arXiv 2001.10528")
def aum(aum: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Highest area under the margin first, so that the likely mislabelled are dropped first."""
    return by_score(check_rows("aum", aum, 1), rng)


@strategy(version=1, source="Kim et al., ACL 2023, arXiv 2305.19344")
def density(task_density: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Densest neighbourhood in the feature space first, so that outliers are dropped first."""
    return by_score(check_rows("task_density", task_density, 1), rng)


@strategy(version=1, source="Jia et al., VLDB 2019, arXiv 1908.08619")
def shapley(knn_shapley: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Highest data value first, so that the harmful are dropped first."""
    return by_score(check_rows("knn_shapley", knn_shapley, 1), rng)
