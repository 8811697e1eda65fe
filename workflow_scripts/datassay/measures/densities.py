"""Further densities of the model's features: Gaussian models, and neighbours inside the own class."""

from typing import TYPE_CHECKING

import numpy as np

from datassay.errors import DatassayError
from datassay.measures._arrays import check_labels, check_matrix, family_table
from datassay.measures._density import check_k, gaussian_log_density, kth_distance_in_class, ppca_log_likelihood
from datassay.registry import TASKS, Column, measure

if TYPE_CHECKING:
    import pandas as pd


@measure(
    name="densities",
    version=2,
    source="Kim et al., ACL 2023 (infoVerse); Tipping & Bishop, JRSS B 1999 (PPCA)",
    columns=[
        Column("gaussian_density", "log-density (nats) under one Gaussian fitted to the model's features"),
        Column("ppca_density", "log-density (nats) under a probabilistic PCA fitted to the model's features"),
        Column(
            "class_density",
            "minus the distance to the 5th nearest neighbour of the own class in the model's features",
            "low",
            ("classification",),
        ),
    ],
    optional=["task", "feature_neighbors", "feature_distances"],
    tasks=TASKS,
)
def densities(
    features: np.ndarray,
    labels: np.ndarray,
    task: str = "classification",
    feature_neighbors: np.ndarray | None = None,
    feature_distances: np.ndarray | None = None,
    *,
    k: int = 5,
    ridge: float = 1e-5,
    variance: float = 0.99,
) -> "pd.DataFrame":
    """Densities of the features beside those of the infoVerse, whose columns they do not join.

    features: [n, d] penultimate features, floating point. labels: [n] integers, not looked at without classes.
    feature_neighbors, feature_distances: ids and distances [n, m] of the nearest other rows in features, nearest
    first, which spare most of the search. k: which neighbour of the own class (the farthest where there are fewer; of
    any class for an example alone in its class). ridge: added to every variance of the Gaussian. variance: share of
    the variance that the PCA keeps, the rest is noise of equal size.

    class_density is absent without classes. Time O(n d^2 + d^3) and O(n^2 d / C) where neighbours are not given,
    memory O(n d). Raises DatassayError on shapes, labels, values or options that do not fit.
    """
    features = check_matrix(features, "features")
    check_k(k)
    if not 0 < variance <= 1:
        raise DatassayError(f"variance: {variance}, allowed are shares above 0, up to 1")
    if not ridge > 0:
        raise DatassayError(f"ridge: {ridge}, allowed are numbers above 0")
    columns = {
        "gaussian_density": gaussian_log_density(features, ridge),
        "ppca_density": ppca_log_likelihood(features, variance) * features.shape[1],
    }
    if task != "classification":
        return family_table(columns, {"class_density": "needs classes that examples share"})
    labels = check_labels(labels, rows=len(features))
    known = None if feature_neighbors is None or feature_distances is None else (feature_neighbors, feature_distances)
    columns["class_density"] = 0.0 - kth_distance_in_class(features, labels, k, known)
    return family_table(columns, {})
