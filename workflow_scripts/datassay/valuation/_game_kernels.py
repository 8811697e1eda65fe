"""Compiled steps of the games: one train row joins a coalition. Import only inside functions: numba loads slowly."""

import numpy as np

from datassay.compute import compiled

MEMORY = 6  # pairs of steps and gradient differences that the quasi-Newton direction remembers
MOST_ITERATIONS = 200


@compiled("void(i4[:,::1], i4[::1], i4[::1], i8[::1])")
def join_neighbors(nearest, keys, classes, right):  # type: ignore[no-untyped-def]
    """Put one row into the sorted lists of the k nearest, [V, k]; right counts the right labels in them by class.

    keys [V]: 2 * rank of the row for that point, plus 1 where its label is the point's.
    """
    k = nearest.shape[1]
    for v in range(len(keys)):
        key = keys[v]
        if key >= nearest[v, k - 1]:
            continue
        right[classes[v]] += (key & 1) - (nearest[v, k - 1] & 1)
        i = k - 1
        while i > 0 and nearest[v, i - 1] > key:
            nearest[v, i] = nearest[v, i - 1]
            i -= 1
        nearest[v, i] = key


@compiled("void(b1[::1], i4[:,::1], i4[::1], i8, i8[::1])")
def count_nearest(inside, by_distance, classes, k, right):  # type: ignore[no-untyped-def]
    """Count by class the right labels among the k nearest rows that are inside, bool [N].

    by_distance [V, N]: the rows of a point, nearest first: 2 * row, plus 1 where its label is the point's.
    """
    for v in range(len(by_distance)):
        found = 0
        for key in by_distance[v]:
            if found == k:
                break
            if inside[key >> 1]:
                found += 1
                right[classes[v]] += key & 1


@compiled("void(f8[:,::1], i4[::1], i4[::1], i8[::1])")
def count_right(scores, codes, classes, right):  # type: ignore[no-untyped-def]
    """Count by class the points whose highest score [V, F] (the first of equals) stands for their class.

    One column stands for two classes: the first where the score is not positive. codes [2 or F]: class of a column.
    """
    right[:] = 0
    for v in range(len(classes)):
        best = 0
        if scores.shape[1] == 1:
            best = 1 if scores[v, 0] > 0 else 0
        else:
            for f in range(1, scores.shape[1]):
                if scores[v, f] > scores[v, best]:
                    best = f
        if codes[best] == classes[v]:
            right[classes[v]] += 1


@compiled("void(f8[:,::1], f8[:,::1], f8[:,::1], f8[:,::1], f8[::1], f8[::1])")
def join_ridge(inverse, weights, scores, points, row, target):  # type: ignore[no-untyped-def]
    """Add one row to a least-squares fit: Sherman-Morrison for the inverse Gram matrix [D, D], then the rest by rank 1.

    weights [D, C], scores [V, C] of points [V, D]; target [C].
    """
    gain = np.dot(inverse, row)
    scale = 1 + np.dot(row, gain)
    error = target - np.dot(row, weights)
    moved = np.dot(points, gain)
    for i in range(len(row)):
        share = gain[i] / scale
        for j in range(len(row)):
            inverse[i, j] -= share * gain[j]
        for c in range(len(target)):
            weights[i, c] += share * error[c]
    for v in range(len(moved)):
        for c in range(len(target)):
            scores[v, c] += moved[v] / scale * error[c]


@compiled("void(f8[:,::1], f8[:,::1], f8[:,::1], f8[::1], i8, f8)")
def join_gradient(weights, scores, points, row, code, rate):  # type: ignore[no-untyped-def]
    """Take one gradient step of the softmax loss on one row. weights [D, C], scores [V, C] of points [V, D]."""
    logits = np.dot(row, weights)
    p = np.exp(logits - logits.max())
    p /= p.sum()
    p[code] -= 1
    moved = np.dot(points, row)
    for c in range(len(p)):
        step = rate * p[c]
        for i in range(len(row)):
            weights[i, c] -= step * row[i]
        for v in range(len(moved)):
            scores[v, c] -= step * moved[v]


@compiled("f8(f8[:,::1], i4[::1], f8[:,::1])")
def logistic_terms(scores, codes, residuals):  # type: ignore[no-untyped-def]
    """Return the sum of the losses and fill residuals [m, F] with p - onehot. One column: the binary logistic loss."""
    loss = 0.0
    for i in range(len(codes)):
        if scores.shape[1] == 1:
            z = scores[i, 0]
            small = np.exp(-abs(z))
            loss += np.log1p(small) + max(z, 0.0) - codes[i] * z
            residuals[i, 0] = (1.0 if z > 0 else small) / (1 + small) - codes[i]
            continue
        highest = scores[i, 0]
        for f in range(1, scores.shape[1]):
            highest = max(highest, scores[i, f])
        total = 0.0
        for f in range(scores.shape[1]):
            residuals[i, f] = np.exp(scores[i, f] - highest)
            total += residuals[i, f]
        for f in range(scores.shape[1]):
            residuals[i, f] /= total
        loss += highest + np.log(total) - scores[i, codes[i]]
        residuals[i, codes[i]] -= 1
    return loss


@compiled("void(f8[:,::1], f8[:,::1], f8[:,::1])")
def product(a, b, out):  # type: ignore[no-untyped-def]
    """Matrix product, by the faster matrix-vector product where b is one column."""
    if b.shape[1] == 1:
        out.reshape(len(a))[:] = np.dot(a, b.reshape(len(b)))
    else:
        np.dot(a, b, out)


@compiled("void(f8[:,::1], f8[:,::1], f8[:,::1])")
def transposed_product(a, b, out):  # type: ignore[no-untyped-def]
    """Product of the transposed a with b, as `product`."""
    if b.shape[1] == 1:
        out.reshape(a.shape[1])[:] = np.dot(b.reshape(len(b)), a)
    else:
        out[:] = np.dot(a.T, b)


@compiled("void(f8[:,::1], f8[:,::1], f8[:,:,::1], f8[:,:,::1], i8, f8[:,::1])")
def quasi_newton(gradient, inverse, steps, changes, pairs, out):  # type: ignore[no-untyped-def]
    """Fill out with the L-BFGS direction (two-loop recursion) whose starting matrix is inverse, for every column."""
    q = gradient.copy()
    shares = np.empty(MEMORY)
    for p in range(pairs - 1, max(pairs - MEMORY, 0) - 1, -1):
        s, y = steps[p % MEMORY], changes[p % MEMORY]
        shares[p % MEMORY] = np.sum(s * q) / np.sum(s * y)
        q -= shares[p % MEMORY] * y
    product(inverse, q, out)
    for p in range(max(pairs - MEMORY, 0), pairs):
        s, y = steps[p % MEMORY], changes[p % MEMORY]
        out += (shares[p % MEMORY] - np.sum(y * out) / np.sum(s * y)) * s
    out *= -1


@compiled("void(f8[:,::1], i4[::1], f8[:,::1], f8[:,::1], f8[:,::1], f8[:,::1])")
def join_logistic(rows, codes, weights, scores, gradient, inverse):  # type: ignore[no-untyped-def]
    """Add the last of rows [m, D] to scores [m, F], gradient and inverse of `fit_logistic` (Sherman-Morrison)."""
    m = len(rows)
    row, columns = rows[m - 1], weights.shape[1]
    residual = np.empty((1, columns))
    scores[m - 1] = np.dot(row, weights)
    logistic_terms(scores[m - 1 :], codes[m - 1 :], residual)
    for i in range(len(row)):
        for f in range(columns):
            gradient[i, f] += row[i] * residual[0, f]
    p = residual.copy()
    if columns == 1:
        p[0, 0] += codes[m - 1]
        curvature = p[0, 0] * (1 - p[0, 0])
    else:
        p[0, codes[m - 1]] += 1
        curvature = (1 - np.sum(p**2)) / (columns - 1)
    gain = np.dot(inverse, row)
    scale = curvature / (1 + curvature * np.dot(row, gain))
    for i in range(len(row)):
        share = scale * gain[i]
        for j in range(len(row)):
            inverse[i, j] -= share * gain[j]


@compiled("i8(f8[:,::1], i4[::1], f8[:,::1], f8[:,::1], f8[:,::1], f8[:,::1], f8, f8)")
def fit_logistic(rows, codes, weights, scores, gradient, inverse, penalty, tolerance):  # type: ignore[no-untyped-def]
    """Minimise the logistic losses plus penalty / 2 |weights|^2, from where weights stand; return the iterations.

    rows [m, D], the last column 1 and its weight without penalty; weights, gradient [D, F], scores [m, F] are kept in
    step. inverse [D, D]: about the inverse Hessian of a column. Ends where the largest |gradient| / m <= tolerance.
    """
    m, width, columns = len(rows), rows.shape[1], weights.shape[1]
    steps, changes = np.empty((MEMORY, width, columns)), np.empty((MEMORY, width, columns))
    direction, moved = np.empty((width, columns)), np.empty((m, columns))
    residuals, trial = np.empty((m, columns)), np.empty((m, columns))
    loss, pairs = -1.0, 0
    for iteration in range(MOST_ITERATIONS):
        if np.max(np.abs(gradient)) <= tolerance * m:
            return iteration
        if loss < 0:
            loss = logistic_terms(scores, codes, residuals) + penalty / 2 * np.sum(weights[:-1] ** 2)
        quasi_newton(gradient, inverse, steps, changes, pairs, direction)
        slope = np.sum(gradient * direction)
        product(rows, direction, moved)
        size = 1.0
        while True:
            trial[:] = scores + size * moved
            new_loss = logistic_terms(trial, codes, residuals)
            new_loss += penalty / 2 * np.sum((weights[:-1] + size * direction[:-1]) ** 2)
            if new_loss <= loss + 1e-4 * size * slope + 1e-14 * abs(loss) or size < 1e-10:
                break
            size /= 2
        loss = new_loss
        direction *= size
        weights += direction
        scores[:] = trial
        old = gradient.copy()
        transposed_product(rows, residuals, gradient)
        gradient[:-1] += penalty * weights[:-1]
        if np.sum(direction * (gradient - old)) > 0:
            steps[pairs % MEMORY] = direction
            changes[pairs % MEMORY] = gradient - old
            pairs += 1
    return MOST_ITERATIONS
