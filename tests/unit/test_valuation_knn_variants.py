"""Soft-label, threshold and truncated KNN-Shapley against all subsets, the axioms and the bound of the truncation."""

from itertools import combinations
from math import comb

import numpy as np
import pytest

from datassay.errors import DatassayError
from datassay.valuation import estimate, knn_shapley
from datassay.valuation.knn import soft_knn_shapley
from datassay.valuation.knn_near import threshold_knn_shapley, truncated_knn_shapley

SHAPES = [(1, 1, 2), (1, 3, 2), (2, 1, 2), (2, 2, 3), (5, 2, 2), (6, 9, 2), (7, 7, 3), (7, 6, 3), (8, 3, 2), (7, 2, 1)]


def squared(train_x, point):
    return ((train_x.astype(float) - point.astype(float)) ** 2).sum(axis=1)


def soft_utility(rows, train_x, train_y, x, y, k, empty):
    """Share of right labels among the min(k, |S|) nearest."""
    if not rows:
        return empty
    nearest = np.argsort(squared(train_x[rows], x), kind="stable")[:k]
    return (train_y[rows][nearest] == y).mean()


def threshold_utility(rows, train_x, train_y, x, y, threshold, empty):
    """Share of right labels among all rows that are near enough."""
    near = train_y[rows][squared(train_x[rows], x) <= threshold**2]
    return (near == y).mean() if len(near) else empty


def brute_force(utility, train_x, train_y, valid_x, valid_y, parameter):
    """Shapley values per valuation point [V, N] from all 2^N coalitions."""
    n, empty = len(train_x), 1 / len(np.unique(np.concatenate([train_y, valid_y])))
    values = np.zeros((len(valid_x), n))
    for v, (x, y) in enumerate(zip(valid_x, valid_y, strict=True)):
        worth = {
            c: utility(list(c), train_x, train_y, x, y, parameter, empty)
            for size in range(n + 1)
            for c in combinations(range(n), size)
        }
        for i in range(n):
            for c in worth:
                if i not in c:
                    values[v, i] += (worth[tuple(sorted((*c, i)))] - worth[c]) / (n * comb(n - 1, len(c)))
    return values


def problem(n, v=3, classes=2, seed=0, grid=False, d=2):
    rng = np.random.default_rng(seed)
    x = rng.integers(0, 3, (n + v, d)).astype(float) if grid else rng.normal(size=(n + v, d))
    y = rng.integers(0, classes, n + v)
    return x[:n].astype(np.float32), y[:n], x[n:].astype(np.float32), y[n:]


def assert_mean_and_error(found, slow):
    values, errors = found
    np.testing.assert_allclose(values, slow.mean(axis=0), atol=1e-12)
    np.testing.assert_allclose(errors, slow.std(axis=0, ddof=1) / np.sqrt(len(slow)), atol=1e-9)


@pytest.mark.parametrize("grid", [False, True])
@pytest.mark.parametrize(("n", "k", "classes"), SHAPES)
def test_soft_labels_equal_all_subsets(n, k, classes, grid):
    data = problem(n, classes=classes, seed=n + k, grid=grid)
    assert_mean_and_error(soft_knn_shapley(*data, k), brute_force(soft_utility, *data, k))


@pytest.mark.parametrize("threshold", [0.5, 1.0, 2.0, 50.0])
@pytest.mark.parametrize(("n", "k", "classes"), SHAPES)
def test_threshold_equals_all_subsets(n, k, classes, threshold):
    data = problem(n, classes=classes, seed=n + k, grid=True)
    found = threshold_knn_shapley(*data, threshold=threshold)
    assert_mean_and_error(found, brute_force(threshold_utility, *data, threshold))


def test_soft_labels_with_all_rows_voting_equal_a_threshold_that_takes_all():
    data = problem(40, v=6, classes=3)
    soft, _ = soft_knn_shapley(*data, 40)
    every, _ = threshold_knn_shapley(*data, threshold=1e6)
    np.testing.assert_allclose(soft, every, atol=1e-12)


def test_values_sum_to_what_all_rows_add_to_none():
    data = problem(60, v=8, classes=4)
    train_x, train_y, valid_x, valid_y = data
    for values, utility, parameter in (
        (soft_knn_shapley(*data, 7)[0], soft_utility, 7),
        (threshold_knn_shapley(*data, threshold=0.7)[0], threshold_utility, 0.7),
    ):
        rows = list(range(60))
        points = zip(valid_x, valid_y, strict=True)
        worth = np.mean([utility(rows, train_x, train_y, x, y, parameter, 0.25) for x, y in points])
        assert values.sum() == pytest.approx(worth - 0.25, abs=1e-12)


@pytest.mark.parametrize("metric", ["euclidean", "cosine"])
def test_threshold_of_a_metric_and_the_chosen_one(metric):
    train_x, _, valid_x, _ = data = problem(50, v=9, d=4)
    if metric == "cosine":
        unit = [x / np.linalg.norm(x.astype(float), axis=1, keepdims=True) for x in (train_x, valid_x)]
        distances = 1 - unit[1] @ unit[0].T
    else:
        distances = np.sqrt([squared(train_x, x) for x in valid_x])
    limit = 0.2 if metric == "cosine" else 1.0
    inside = (distances <= limit).any(axis=0)
    values, _ = threshold_knn_shapley(*data, threshold=limit, metric=metric)
    np.testing.assert_array_equal(values != 0, inside)
    assert 0.1 < inside.mean() < 0.9
    median = float(np.median(np.sort(distances, axis=1)[:, 4].astype(np.float32)))
    chosen = threshold_knn_shapley(*data, k=5, metric=metric)
    for found, expected in zip(chosen, threshold_knn_shapley(*data, threshold=median, metric=metric), strict=True):
        np.testing.assert_array_equal(found, expected)


@pytest.mark.parametrize(("n", "k", "classes"), SHAPES)
@pytest.mark.parametrize("grid", [False, True])
def test_a_truncation_that_cuts_nothing_is_exact(n, k, classes, grid):
    train_x, train_y, valid_x, valid_y = problem(n, classes=classes, seed=n, grid=grid)
    data = (train_x, train_y, valid_x, valid_y)
    np.testing.assert_allclose(truncated_knn_shapley(*data, k)[0], knn_shapley(*data, k), atol=1e-12)


@pytest.mark.parametrize(("k", "epsilon", "near"), [(3, 0.1, 10), (20, 0.1, 20), (1, 1.0, 1), (5, 0.03, 34)])
def test_truncated_values_keep_the_bound_and_the_order(k, epsilon, near):
    train_x, train_y, valid_x, valid_y = problem(300, v=12, d=3)
    for x, y in zip(valid_x, valid_y, strict=True):
        data = (train_x, train_y, x[None], np.array([y]))
        exact, cut = knn_shapley(*data, k), truncated_knn_shapley(*data, k, epsilon=epsilon)[0]
        order = np.argsort(squared(train_x, x), kind="stable")
        assert np.abs(exact - cut).max() <= epsilon
        assert (cut[order[near - 1 :]] == 0).all()
        counted = order[:near]
        np.testing.assert_allclose(np.diff(cut[counted]), np.diff(exact[counted]), atol=1e-12)


def test_truncated_values_average_over_points_in_any_block():
    data = problem(200, v=31, d=3)
    parts = np.array([truncated_knn_shapley(*data[:2], data[2][i : i + 1], data[3][i : i + 1])[0] for i in range(31)])
    for block in (1, 7, 1024):
        assert_mean_and_error(truncated_knn_shapley(*data, block=block), parts)


def test_an_index_finds_the_same_neighbours_where_it_misses_none():
    data = problem(400, v=20, d=3)
    exact, _ = truncated_knn_shapley(*data, epsilon=0.1)
    found, _ = truncated_knn_shapley(*data, epsilon=0.1, search="hnsw")
    np.testing.assert_allclose(found, exact, atol=1e-12)


@pytest.mark.parametrize("name", ["soft_knn_shapley", "threshold_knn_shapley", "truncated_knn_shapley"])
def test_wrong_labels_have_the_lowest_values(name):
    rng = np.random.default_rng(0)
    centres = rng.normal(size=(3, 6)) * 3
    true = rng.integers(0, 3, 260)
    x = centres[true] + rng.normal(size=(260, 6))
    wrong = rng.random(200) < 0.15
    given = np.where(wrong, (true[:200] + 1) % 3, true[:200])
    values = estimate(name, x[:200], given, x[200:], true[200:])["value"].to_numpy()
    assert (values[wrong][:, None] < values[~wrong]).mean() > 0.9


@pytest.mark.parametrize(
    ("function", "options", "message"),
    [
        (truncated_knn_shapley, {"epsilon": 0.0}, "epsilon = 0.0"),
        (truncated_knn_shapley, {"epsilon": 1.5}, "epsilon = 1.5"),
        (truncated_knn_shapley, {"search": "hsnw"}, "did you mean 'hnsw'"),
        (threshold_knn_shapley, {"threshold": -1.0}, "threshold = -1.0"),
        (threshold_knn_shapley, {"threshold": float("nan")}, "threshold = nan"),
        (soft_knn_shapley, {"k": 0}, "k = 0"),
        (soft_knn_shapley, {"metric": "euclid"}, "did you mean 'euclidean'"),
    ],
)
def test_bad_options_are_named(function, options, message):
    with pytest.raises(DatassayError, match=message):
        function(*problem(5), **options)
