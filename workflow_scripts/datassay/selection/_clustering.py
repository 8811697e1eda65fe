"""k-means as the strategies use it."""

import warnings

import numpy as np
from sklearn.cluster import KMeans
from sklearn.exceptions import ConvergenceWarning

from datassay.compute import one_thread

FIT_ROWS = 20_000


def kmeans(points: np.ndarray, n_clusters: int, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Return the cell of every row [N] and the centres [k, d]; k is at most N.

    Lloyd's iterations run on at most 20,000 rows drawn by `rng`, the rest is assigned to the nearest centre:
    O(N k d) time and O(N) memory beside the points.
    """
    sample = points
    if len(points) > FIT_ROWS:
        sample = points[np.sort(rng.choice(len(points), FIT_ROWS, replace=False))]
    model = KMeans(min(n_clusters, len(sample)), n_init=1, random_state=int(rng.integers(2**31)))
    with one_thread(), warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # fewer distinct rows than cells leaves cells empty
        model.fit(sample)
        return model.predict(points).astype(np.int64), model.cluster_centers_
