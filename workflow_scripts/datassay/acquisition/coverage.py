"""Acquisition functions that cover what is not yet covered: core-set, and a DPP on meta-information."""

import numpy as np

from datassay.acquisition.uncertainty import check_picks
from datassay.registry import acquisition
from datassay.selection.arrays import check_rows


@acquisition(version=1, source="Sener and Savarese, ICLR 2018, arXiv 1708.00489")
def core_set(features: np.ndarray, labelled_features: np.ndarray, n: int) -> np.ndarray:
    """Farthest from all that is labelled or picked before first, in the features of the present model.

    features: [m, d] of the candidates, labelled_features: [l, d]. Returns distinct int64 [n], ties to the lowest row.
    O(m (l + n) d) time at most. Raises DatassayError for n outside 1..m and arrays that are not finite.
    """
    from datassay.selection.coverage import k_center

    check_picks(n, len(features))
    return k_center(features, n, given=check_rows("labelled_features", labelled_features, 2))


@acquisition(version=1, source="Kim et al., ACL 2023, arXiv 2305.19344")
def infoverse(infoverse: np.ndarray, pseudo_labels: np.ndarray, n: int, rng: np.random.Generator) -> np.ndarray:
    """Sparse and diverse examples: greedy MAP of a DPP on the z-scored meta-information, quality `inverse`.

    infoverse: [m, columns] z-scored over the candidates, pseudo_labels: int64 [m] predicted classes, in which the
    distance to the 5th nearest is the quality. Returns distinct int64 [n]. See `datassay.selection.dpp_ranking`.
    """
    from datassay.selection.dpp import infoverse_dpp

    check_picks(n, len(infoverse))
    return infoverse_dpp(infoverse, pseudo_labels, n, rng, quality="inverse")
