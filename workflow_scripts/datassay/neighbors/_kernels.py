"""Compiled loops of the exact search; import only inside functions, for numba takes a second to load.

Every query has a buffer of the rows that may be among its k nearest. A row enters when its lower bound does not exceed
the query's reach. A full buffer lowers the reach to the k-th smallest upper bound, and where too many rows lie within
rounding of each other, to the k-th smallest distance itself. Bounds are those of |b|^2 - 2 q.b, which lacks |q|^2.
"""

import numpy as np

from datassay.compute import compiled

FAST = {"reassoc", "nsz"}  # sums in any order, so that loops vectorise; no contraction: a s - a s must stay 0
STRIDE = 64  # rows of which the smallest bound is compared first
LARGEST = 1e37  # squared norm that float32 still holds with room to spare


@compiled(fastmath=FAST)
def scale_rows(rows, centre, cosine, moved, squares, inverse):  # type: ignore[no-untyped-def]
    """Write rows - centre, or rows of unit length, as float32, and squared and inverse norms in float64.

    Returns the first row that float32 does not hold, -1 where there is none.
    """
    for i in range(rows.shape[0]):
        total = 0.0
        for c in range(rows.shape[1]):
            value = np.float64(rows[i, c]) - centre[c]
            total += value * value
        if not total < LARGEST:
            return i
        squares[i], inverse[i] = total, 1.0
        if cosine:
            inverse[i] = 1.0 / np.sqrt(total) if total > 0 else 0.0
            squares[i] = 1.0  # of a zero row too, which puts it at distance 1 from everything
        for c in range(rows.shape[1]):
            moved[i, c] = (np.float64(rows[i, c]) - centre[c]) * inverse[i]
    return -1


@compiled(fastmath=FAST)
def squared_distance(a, b, scale_a, scale_b, cosine):  # type: ignore[no-untyped-def]
    """Return the squared distance of two rows in float64, by differences: equal rows are at 0."""
    total = 0.0
    if not cosine:
        for c in range(a.shape[0]):
            difference = np.float64(a[c]) - np.float64(b[c])
            total += difference * difference
        return total
    if scale_a == 0 or scale_b == 0:
        return 2.0
    for c in range(a.shape[0]):
        difference = np.float64(a[c]) * scale_a - np.float64(b[c]) * scale_b
        total += difference * difference
    return total


@compiled()
def _smallest(values, count, k):  # type: ignore[no-untyped-def]
    """Return the k-th smallest, k from 1, of values[:count], whose order is lost (Hoare's selection)."""
    low, high, target = 0, count - 1, k - 1
    while low < high:
        pivot = values[(low + high) // 2]
        i, j = low, high
        while i <= j:
            while values[i] < pivot:
                i += 1
            while values[j] > pivot:
                j -= 1
            if i <= j:
                values[i], values[j] = values[j], values[i]
                i += 1
                j -= 1
        if target <= j:
            high = j
        elif target >= i:
            low = i
        else:
            break
    return values[target]


@compiled()
def _tighten(i, k, slack, square, base_squares, ids, bounds, counts, reach, scratch):  # type: ignore[no-untyped-def]
    """Lower the reach of query i to the k-th smallest upper bound of its buffer and drop what lies beyond."""
    for j in range(counts[i]):
        scratch[j] = bounds[i, j] + 2 * slack * (square + base_squares[ids[i, j]])
    limit = np.float32(_smallest(scratch, counts[i], k))
    reach[i] = min(reach[i], np.nextafter(limit, np.float32(np.inf)))
    kept = 0
    for j in range(counts[i]):
        if bounds[i, j] <= reach[i]:
            ids[i, kept], bounds[i, kept] = ids[i, j], bounds[i, j]
            kept += 1
    counts[i] = kept


@compiled()
def _measure(i, k, query, scale, base, inverse, cosine, ids, counts, exact):  # type: ignore[no-untyped-def]
    """Measure the buffer of query i and keep the k nearest in order, ties by row; return their squared distances."""
    count = counts[i]
    rows = np.sort(ids[i, :count])
    for j in range(count):
        exact[j] = squared_distance(query, base[rows[j]], scale, inverse[rows[j]], cosine)
    order = np.argsort(exact[:count], kind="mergesort")[:k]
    counts[i] = len(order)
    ids[i, : len(order)] = rows[order]
    return exact[order]


@compiled(fastmath={"nsz", "nnan"})
def scan(  # type: ignore[no-untyped-def]
    product, offsets, first, start, own, k, slack,
    queries, scales, squares, base, inverse, base_squares, cosine, ids, bounds, counts, reach,
):  # fmt: skip
    """Take a tile of products -2 q.b [m, w], of queries start.. and rows first.., into the buffers.

    offsets [w]: |b|^2 less its rounding. own: row of base that query 0 is, and that is not its own neighbour; below
    -len(queries) where queries are no rows of base.
    """
    width, capacity = product.shape[1], ids.shape[1]
    scratch, exact = np.empty(capacity, np.float64), np.empty(capacity, np.float64)
    for m in range(product.shape[0]):
        i, line = start + m, product[m]
        for left in range(0, width, STRIDE):
            right = min(left + STRIDE, width)
            some, their_offsets, least = line[left:right], offsets[left:right], np.float32(np.inf)
            for j in range(right - left):
                value = some[j] + their_offsets[j]
                least = value if value < least else least
            if least > reach[i]:
                continue
            for j in range(left, right):
                bound = line[j] + offsets[j]
                if bound > reach[i] or first + j == own + i:
                    continue
                ids[i, counts[i]], bounds[i, counts[i]] = first + j, bound
                counts[i] += 1
                if counts[i] < capacity:
                    continue
                _tighten(i, k, slack, squares[i], base_squares, ids, bounds, counts, reach, scratch)
                if counts[i] > (capacity + k) // 2:
                    found = _measure(i, k, queries[i], scales[i], base, inverse, cosine, ids, counts, exact)
                    for n in range(k):
                        bound = np.float32(found[n] - squares[i] * (1 - slack))
                        bounds[i, n] = np.nextafter(bound, np.float32(-np.inf))
                    reach[i] = min(reach[i], np.nextafter(bound, np.float32(np.inf)))


@compiled()
def finish(  # type: ignore[no-untyped-def]
    start, stop, k, slack, queries, scales, squares, base, inverse, base_squares, cosine, ids, bounds, counts, reach,
    distances,
):  # fmt: skip
    """Measure what is left in the buffers of queries start..stop; their first k ids and distances are the answer."""
    scratch, exact = np.empty(ids.shape[1], np.float64), np.empty(ids.shape[1], np.float64)
    for i in range(start, stop):
        _tighten(i, k, slack, squares[i], base_squares, ids, bounds, counts, reach, scratch)
        found = _measure(i, k, queries[i], scales[i], base, inverse, cosine, ids, counts, exact)
        for j in range(k):
            distances[i, j] = found[j] / 2 if cosine else np.sqrt(found[j])
