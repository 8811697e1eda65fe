"""The first labelled set, and which labelled rows are held out of a round's training."""

from collections.abc import Mapping, Sequence

import numpy as np

from datassay.acquisition import choose
from datassay.config import Initial
from datassay.errors import DatassayError
from datassay.registry import method

COLD_STARTS = {"random": "random", "alps": "alps", "embedding_kmeans": "bert_kmeans"}


def initial_set(
    pool: np.ndarray,
    labels: np.ndarray,
    minority: Sequence[int],
    settings: Initial,
    arrays: Mapping[str, np.ndarray],
    rng: np.random.Generator,
) -> tuple[np.ndarray, np.ndarray]:
    """Return the rows to label first, int64 [size], and which of them an oracle put there, bool [size].

    pool: bool [N]. labels: int64 [N]. arrays: [N, ...] what the cold start reads (embeddings, surprisal). Of every
    minority class `per_minority` rows are drawn (all where there are fewer); the rest is chosen by the cold start from
    the pool that is left, labels unseen. Raises DatassayError where the pool has fewer rows than are asked for, or the
    minority classes together more than the set.
    """
    if settings.size > pool.sum():
        raise DatassayError(f"active_learning.initial.size: {settings.size}, the pool has {int(pool.sum())} rows")
    given = []
    for c in minority:
        rows = np.flatnonzero(pool & (labels == c))
        given.append(rng.choice(rows, min(settings.per_minority, len(rows)), replace=False))
    oracle = np.concatenate(given).astype(np.int64)
    if len(oracle) > settings.size:
        raise DatassayError(
            f"active_learning.initial.size: {settings.size}, below the {len(oracle)} rows of per_minority "
            f"{settings.per_minority} for {len(minority)} classes: raise it"
        )
    left = pool.copy()
    left[oracle] = False
    rows = np.flatnonzero(left)
    count = settings.size - len(oracle)
    chosen = np.empty(0, np.int64)
    if count:
        about = method("acquisition", COLD_STARTS[settings.method])
        needed = {name: array[rows] for name, array in arrays.items() if name in about.inputs.values()}
        chosen = rows[choose(about, needed | {"candidates": rows}, count, rng)]
    return np.concatenate([oracle, chosen]), np.arange(settings.size) < len(oracle)


def held_out(rows: np.ndarray, labels: np.ndarray, share: float, priority: np.ndarray) -> np.ndarray:
    """Return which of the labelled rows [l] are not learnt from, bool [l].

    Of every class the round(share * count) rows of the lowest priority [N] (at least one of a class of two or more;
    every class keeps one to learn from): as the set grows, rows stay on their side as far as the shares allow.
    """
    out = np.zeros(len(rows), bool)
    for c in np.unique(labels[rows]):
        place = np.flatnonzero(labels[rows] == c)
        count = min(max(1, round(share * len(place))), len(place) - 1)
        out[place[np.argsort(priority[rows[place]], kind="stable")[:count]]] = True
    return out
