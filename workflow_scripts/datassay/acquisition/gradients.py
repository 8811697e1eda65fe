"""BADGE: uncertain and diverse by the gradients that the predicted labels would give."""

import numpy as np

from datassay.acquisition._seeding import seed_rows
from datassay.acquisition.uncertainty import check_probabilities
from datassay.registry import acquisition
from datassay.selection.arrays import check_rows


@acquisition(version=1, source="Ash et al., ICLR 2020, arXiv 1906.03671")
def badge(probabilities: np.ndarray, features: np.ndarray, n: int, rng: np.random.Generator) -> np.ndarray:
    """Seeds of k-means++ over the last layer's gradients for the predicted labels.

    probabilities: [m, C], features: [m, d], input of the last layer. The gradient of row i is
    g = (p - onehot(argmax p)) outer h; the first pick has the largest norm, every further one is drawn in proportion to
    its squared distance to the nearest pick. The C d entries of g are never formed: <g_i, g_j> is the product of the
    inner products of the factors. Returns distinct int64 [n]; rows equal to a pick come only where no others are left.
    Raises DatassayError for n outside 1..m and arrays that are not finite or of unequal length.
    O(m (C + d)) time at the start, O(n (C + d)) for every row that is proposed; O(m) memory beside the arrays.
    """
    p = check_probabilities(probabilities, n)
    h = check_rows("features", features, 2, len(p))
    error = p.copy()
    error[np.arange(len(p)), p.argmax(axis=1)] -= 1
    return seed_rows(error, h, n, rng)
