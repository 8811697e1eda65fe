"""Anchors: the labelled examples of a class whose neighbourhoods are searched."""

from typing import Literal, NamedTuple, get_args

import numpy as np

from datassay.acquisition._seeding import seed_rows
from datassay.errors import DatassayError, did_you_mean
from datassay.selection.arrays import by_score

AnchorMethod = Literal["kmeans++", "kmeans", "random", "entropy", "all"]
ANCHOR_METHODS: tuple[str, ...] = get_args(AnchorMethod)


class Anchors(NamedTuple):
    """How the anchors of a class are chosen, and how many: with `all` every labelled example is one."""

    method: str = "kmeans++"
    number: int = 10


def choose_anchors(
    vectors: np.ndarray,
    rows: np.ndarray,
    anchors: Anchors,
    rng: np.random.Generator,
    uncertainty: np.ndarray | None = None,
) -> np.ndarray:
    """Return the anchors among the labelled rows of one class, int64, all of them where there are at most `number`.

    vectors: [N, d], rows: [l]. uncertainty: [N], entropy of the present model's prediction, for the method `entropy`,
    which takes the highest. Raises DatassayError for an unknown method, number < 1 or a missing uncertainty.
    """
    method, number = anchors
    if method not in ANCHOR_METHODS:
        raise DatassayError(f"anchors: unknown method '{method}'{did_you_mean(method, ANCHOR_METHODS)}")
    if number < 1:
        raise DatassayError(f"anchors: number {number}, allowed: 1 or more")
    if method == "all" or len(rows) <= number:
        return rows
    if method == "random":
        return np.sort(rng.choice(rows, number, replace=False))
    if method == "entropy":
        if uncertainty is None:
            raise DatassayError("anchors: method 'entropy' needs the uncertainty of the labelled rows")
        return np.sort(rows[by_score(uncertainty[rows], rng)[:number]])
    points = np.asarray(vectors[rows])
    if method == "kmeans":
        from datassay.acquisition.clusters import nearest_to_centres

        return np.sort(rows[nearest_to_centres(points, number, rng)])
    first = int(rng.integers(len(rows)))
    return np.sort(rows[seed_rows(np.ones((len(rows), 1)), points, number, rng, first=first)])
