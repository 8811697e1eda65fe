"""Which kind of probe an example behaves like: a vote of the probes whose trajectories are nearest."""

from typing import Any, Literal

import numpy as np

from datassay.errors import DatassayError
from datassay.measures._arrays import check_matrix
from datassay.neighbors import exact_neighbors

BLOCK = 65_536  # rows voted on at a time
Across = Literal["concatenated", "averaged", "first"]


def assign_categories(
    trajectories: np.ndarray, probe_trajectories: np.ndarray, probe_categories: Any, k: int = 20
) -> tuple[np.ndarray, np.ndarray]:
    """Return the category of every trajectory, and the share of the votes that each category has.

    trajectories [N, E], probe_trajectories [P, E]: losses after every epoch (floating point). probe_categories [P]:
    names or numbers. The k nearest probes (Euclidean, ties by lowest row) vote with one voice each (Siddiqui et al.,
    ICLR 2023, MAP-D).

    Returns category [N], of the type of `probe_categories`, and shares float64 [N, G] that add up to 1, in the order of
    `numpy.unique(probe_categories)`. Of categories with as many votes the first in this order has it, as in
    scikit-learn's K-nearest-neighbour classifier. k above P counts all probes.
    Raises DatassayError for trajectories that are not finite or of unequal length, and for k below 1.
    Time O(N P E), memory O(N (k + G)).
    """
    points, probes = check_matrix(trajectories, "trajectories"), check_matrix(probe_trajectories, "probe_trajectories")
    names = np.asarray(probe_categories)
    if points.shape[1] != probes.shape[1] or names.shape != (len(probes),):
        raise DatassayError(
            f"probe_trajectories: {probes.shape} with {names.shape} categories, "
            f"expected (P, {points.shape[1]}) with (P,)"
        )
    if k < 1:
        raise DatassayError(f"k: {k}, allowed are 1 and more")
    groups, codes = np.unique(names, return_inverse=True)
    near, _ = exact_neighbors(points, probes, min(k, len(probes)), metric="euclidean")
    shares = np.empty((len(points), len(groups)))
    for start in range(0, len(points), BLOCK):
        voices = codes[near[start : start + BLOCK]]
        places = voices + np.arange(len(voices))[:, None] * len(groups)
        counts = np.bincount(places.ravel(), minlength=len(voices) * len(groups))
        shares[start : start + BLOCK] = counts.reshape(len(voices), -1) / near.shape[1]
    return groups[shares.argmax(axis=1)], shares


def across_seeds(losses: np.ndarray, how: Across = "concatenated") -> np.ndarray:
    """Return one trajectory per row, float32 [n, S E] (concatenated) or [n, E] (averaged, first); losses [n, S, E]."""
    if how == "averaged":
        return losses.mean(axis=1, dtype=np.float64).astype(np.float32)
    return losses[:, 0] if how == "first" else losses.reshape(len(losses), -1)


def normalised_by_class(
    trajectories: np.ndarray, labels: np.ndarray, others: np.ndarray, other_labels: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Return trajectories [N, E] and others [P, E] less the mean of their class, over its deviation, epoch by epoch.

    Mean and standard deviation are those of the class among `trajectories`; a class that is not there is left as it is.
    """
    results = trajectories.astype(np.float32), others.astype(np.float32)
    for label in np.unique(labels):
        own = trajectories[labels == label]
        mean, spread = own.mean(axis=0, dtype=np.float64), own.std(axis=0, dtype=np.float64)
        spread[spread < 1e-12] = 1.0
        for result, given, numbers in zip(results, (trajectories, others), (labels, other_labels), strict=True):
            rows = numbers == label
            result[rows] = (given[rows] - mean) / spread
    return results
