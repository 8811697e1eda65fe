"""Subpools: the part of the pool that an acquisition function looks at.

Every function takes `pool`, bool [N]: rows that may be labelled, and answers with a `Subpool` of them.
"""

import logging
from collections.abc import Collection
from typing import NamedTuple

import numpy as np

from datassay.acquisition.anchors import Anchors, choose_anchors
from datassay.acquisition.lists import NeighborLists
from datassay.errors import DatassayError

logger = logging.getLogger(__name__)

DEFAULT_ANCHORS = Anchors()


class Subpool(NamedTuple):
    """rows: int64 [m], rising. anchors: int64, labelled rows whose neighbours they are. random: rows to fill it up."""

    rows: np.ndarray
    anchors: np.ndarray = np.empty(0, np.int64)
    random: int = 0


def whole_pool(pool: np.ndarray) -> Subpool:
    """Return the whole pool."""
    return Subpool(np.flatnonzero(pool))


def random_subset(pool: np.ndarray, size: int, rng: np.random.Generator) -> Subpool:
    """Return `size` rows of the pool at random, all of it where it is smaller."""
    rows = np.flatnonzero(pool)
    return Subpool(np.sort(rng.choice(rows, size, replace=False)) if len(rows) > size else rows)


def seals_subpool(
    lists: NeighborLists, pool: np.ndarray, new: np.ndarray, previous: np.ndarray | None = None, *, k: int = 50
) -> Subpool:
    """Return the neighbourhoods of all labelled rows, as they were when each was labelled.

    new: int64, rows labelled since `previous` (at first all that are labelled). previous: rows of the last subpool, of
    which those stay that are still in the pool. The k nearest of the pool to every new row are added.
    Source: Coleman et al., AAAI 2022, arXiv 2007.00077 (SEALS). Time that of the searches.
    """
    found = np.zeros(len(pool), bool)
    if previous is not None:
        found[previous] = True
    found[lists.nearest(new, k, pool)[0].ravel()] = True
    return Subpool(np.flatnonzero(found & pool), new)


def anchoral_subpool(
    embeddings: np.ndarray | NeighborLists,
    labels: np.ndarray,
    rng: np.random.Generator,
    *,
    pool: np.ndarray | None = None,
    minority: Collection[int] = (),
    minority_anchors: Anchors = DEFAULT_ANCHORS,
    majority_anchors: Anchors = DEFAULT_ANCHORS,
    k: int = 50,
    size: int = 10_000,
    max_search_size: int | None = None,
    sampling: bool = False,
    uncertainty: np.ndarray | None = None,
) -> Subpool:
    """Return the part of the pool most similar to anchors of every class.

    embeddings: [N, d], or NeighborLists of them, which remember what they searched for. labels: int64 [N], -1 where a
    row is not labelled. pool: bool [N], by default all rows without a label. Of every class in turn anchors are chosen
    among its labelled rows: as `minority_anchors` say for the classes in `minority`, as `majority_anchors` say for all
    others (see `choose_anchors`; uncertainty as there). The k nearest rows of the pool to every anchor are retrieved,
    at most max_search_size of them in all; the score of a row is its mean cosine to the anchors that retrieved it. The
    best `size` form the subpool (equal scores: lowest row first), with `sampling` that many drawn without replacement
    by softmax(score).

    Raises DatassayError where nothing is labelled, k or size are below 1. Time that of the searches and O(A k log A k)
    for A anchors, whatever the size of the pool; O(N) memory for its mask.
    Source: Lesci and Vlachos, NAACL 2024, arXiv 2404.05623 (AnchorAL).
    """
    lists = embeddings if isinstance(embeddings, NeighborLists) else NeighborLists(embeddings)
    pool = labels < 0 if pool is None else pool
    classes = np.unique(labels[labels >= 0])
    if not len(classes):
        raise DatassayError("anchors: no row is labelled, at least 1 is needed")
    if k < 1 or size < 1:
        raise DatassayError(f"anchoral: k {k}, size {size}, allowed: 1 or more")
    anchors = np.concatenate(
        [
            choose_anchors(
                lists.vectors,
                np.flatnonzero(labels == c),
                minority_anchors if c in minority else majority_anchors,
                rng,
                uncertainty,
            )
            for c in classes
        ]
    )
    if max_search_size is not None:
        k = max(1, min(k, max_search_size // len(anchors)))
    ids, similarities = lists.nearest(anchors, k, pool)
    rows, place, times = np.unique(ids.ravel(), return_inverse=True, return_counts=True)
    score = np.bincount(place.ravel(), similarities.ravel(), len(rows)) / times
    if sampling:
        score = score + rng.gumbel(size=len(rows))  # the highest of these are a draw by softmax (Kool et al. 2019)
    best = np.argsort(-score, kind="stable")[:size]
    return Subpool(np.sort(rows[best]), anchors)


def topped_up(subpool: Subpool, pool: np.ndarray, n: int, rng: np.random.Generator) -> Subpool:
    """Return the subpool with at least n rows: where it is smaller, filled up with rows of the pool at random."""
    missing = min(n, int(pool.sum())) - len(subpool.rows)
    if missing <= 0:
        return subpool
    others = pool.copy()
    others[subpool.rows] = False
    added = rng.choice(np.flatnonzero(others), missing, replace=False)
    logger.info("the subpool holds %d rows: %d others at random join it", len(subpool.rows), missing)
    return Subpool(np.sort(np.concatenate([subpool.rows, added])), subpool.anchors, missing)
