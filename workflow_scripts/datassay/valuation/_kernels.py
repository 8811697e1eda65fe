"""Compiled loops of the data values. Import only inside functions: numba takes a second to load."""

import numpy as np

from datassay.compute import compiled

DIGIT_BITS, PASSES = 11, 5
DROPPED_BITS = 64 - DIGIT_BITS * PASSES - 1  # the sign bit is always 0, so 8 low bits of the mantissa are not sorted by
MASK = (1 << DIGIT_BITS) - 1


@compiled("void(f8[:,::1], f8[::1], i4[::1], i4[::1], f8[::1], f8[::1], i8, i8)")
def shapley_rows(squared, offsets, train_y, valid_y, steps, last, start, stop):  # type: ignore[no-untyped-def]
    """Overwrite rows start..stop of squared [V, N] (squared distances less offsets[v]) by the values for that point.

    Sorts by a stable radix sort of the float bits (ties by column), then makes one pass from the farthest to the
    nearest: it begins at last[v] and changes by (m_i - m_(i+1)) * steps[i], m beyond the farthest being 0.
    """
    n = squared.shape[1]
    keys, other_keys = np.empty(n, np.uint64), np.empty(n, np.uint64)
    ids, other_ids = np.empty(n, np.int32), np.empty(n, np.int32)
    places = np.empty((PASSES, MASK + 1), np.int32)
    for v in range(start, stop):
        row = squared[v]
        bits = row.view(np.uint64)
        places[:] = 0
        for j in range(n):
            row[j] = max(row[j] + offsets[v], 0.0)
            key = bits[j] >> np.uint64(DROPPED_BITS)
            keys[j] = key
            ids[j] = j
            for p in range(PASSES):
                places[p, (key >> np.uint64(DIGIT_BITS * p)) & np.uint64(MASK)] += 1
        for p in range(PASSES):
            position, largest = 0, 0
            for digit in range(MASK + 1):
                count = places[p, digit]
                places[p, digit] = position
                position += count
                largest = max(largest, count)
            if largest == n:
                continue
            for j in range(n):
                key = keys[j]
                digit = (key >> np.uint64(DIGIT_BITS * p)) & np.uint64(MASK)
                position = places[p, digit]
                places[p, digit] = position + 1
                other_keys[position] = key
                other_ids[position] = ids[j]
            keys, other_keys = other_keys, keys
            ids, other_ids = other_ids, ids
        value, farther = last[v], 0
        for i in range(n - 1, -1, -1):
            j = ids[i]
            match = 1 if train_y[j] == valid_y[v] else 0
            value += (match - farther) * steps[i]
            farther = match
            row[j] = value


@compiled("void(f8[:,::1], f8[::1], i4[::1], i4[::1], f8[::1], f8, f8, i8, i8)")
def threshold_rows(  # type: ignore[no-untyped-def]
    squared, offsets, train_y, valid_y, harmonic, limit, empty, start, stop
):
    """Overwrite rows start..stop of squared [V, N] by the values when all rows up to a squared distance vote.

    harmonic[n] = 1 + 1/2 + ... + 1/n. empty: utility of no rows. The n rows inside play the game of the mean: each has
    (m - empty + (harmonic[n] - 1) (m - mean of the others)) / n, the rows outside have 0.
    """
    for v in range(start, stop):
        row = squared[v]
        inside, matches = 0, 0
        for j in range(row.shape[0]):
            row[j] = max(row[j] + offsets[v], 0.0)
            if row[j] <= limit:
                inside += 1
                matches += 1 if train_y[j] == valid_y[v] else 0
        for j in range(row.shape[0]):
            if row[j] > limit:
                row[j] = 0.0
                continue
            match = 1 if train_y[j] == valid_y[v] else 0
            others = (matches - match) / max(inside - 1, 1)
            row[j] = (match - empty + (harmonic[inside] - 1) * (match - others)) / inside


@compiled("void(f8[:,::1], f8[::1], f8[::1], i8, i8)")
def add_columns(values, sums, squares, start, stop):  # type: ignore[no-untyped-def]
    """Add columns start..stop of values [V, N] and their squares, row after row: the order never depends on blocks."""
    for v in range(values.shape[0]):
        for j in range(start, stop):
            sums[j] += values[v, j]
            squares[j] += values[v, j] ** 2
