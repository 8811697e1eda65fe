"""Compiled loop of the K-NN check. Import only inside functions: numba takes a second to load."""

import numpy as np

from datassay.compute import compiled


@compiled("i8[:,::1](i4[:,::1], b1[:,::1], i8[::1], i8, i8)")
def kept_votes(order, keep, labels, k, classes):  # type: ignore[no-untyped-def]
    """Return the class that the first k kept rows of order [T, N] vote for, [M, T], a row per subset of keep [M, N]."""
    predicted = np.empty((keep.shape[0], order.shape[0]), np.int64)
    votes = np.empty(classes, np.int64)
    for m in range(keep.shape[0]):
        for t in range(order.shape[0]):
            votes[:] = 0
            found = 0
            for place in range(order.shape[1]):
                row = order[t, place]
                if keep[m, row]:
                    votes[labels[row]] += 1
                    found += 1
                    if found == k:
                        break
            best = 0
            for c in range(1, classes):
                if votes[c] > votes[best]:
                    best = c
            predicted[m, t] = best
    return predicted
