"""KNN-Shapley against all subsets, the axioms, published values and a slow float64 reference."""

from itertools import combinations
from math import comb
from pathlib import Path

import numpy as np
import pytest

from datassay.errors import DatassayError
from datassay.valuation import estimate, knn_shapley
from datassay.valuation.knn import knn_shapley_with_error


def distances(train_x: np.ndarray, point: np.ndarray, metric: str) -> np.ndarray:
    train_x, point = np.asarray(train_x, dtype=np.float64), np.asarray(point, dtype=np.float64)
    if metric == "euclidean":
        return ((train_x - point) ** 2).sum(axis=1)
    norms = np.linalg.norm(train_x, axis=1) * np.linalg.norm(point)
    return np.where(norms > 0, 1 - train_x @ point / np.where(norms > 0, norms, 1), 1)


def utility(rows, train_x, train_y, valid_x, valid_y, k: int, metric: str = "euclidean") -> float:
    """Share of right labels among the k nearest of the given rows, divisor k, by definition."""
    rows = sorted(rows)
    if not rows:
        return 0.0
    shares = []
    for x, y in zip(valid_x, valid_y, strict=True):
        nearest = np.argsort(distances(train_x[rows], x, metric), kind="stable")[:k]
        shares.append((train_y[rows][nearest] == y).sum() / k)
    return float(np.mean(shares))


def brute_force(train_x, train_y, valid_x, valid_y, k: int, metric: str = "euclidean") -> np.ndarray:
    """Shapley values from all 2^N coalitions."""
    n = len(train_x)
    data = (train_x, train_y, valid_x, valid_y, k, metric)
    worth = {c: utility(c, *data) for size in range(n + 1) for c in combinations(range(n), size)}
    values = np.zeros(n)
    for i in range(n):
        for c in worth:
            if i not in c:
                values[i] += (worth[tuple(sorted((*c, i)))] - worth[c]) / (n * comb(n - 1, len(c)))
    return values


def reference(train_x, train_y, valid_x, valid_y, k: int) -> np.ndarray:
    """Values per valuation point [V, N] by the published recursion, in float64, with distances by differences."""
    n = len(train_x)
    result = np.zeros((len(valid_x), n))
    for v, (x, y) in enumerate(zip(valid_x, valid_y, strict=True)):
        order = np.argsort(distances(train_x, x, "euclidean"), kind="stable")
        match = (train_y[order] == y).astype(float)
        i = np.arange(1, n)
        steps = (match[:-1] - match[1:]) / k * np.minimum(k, i) / i
        last = match[-1] * min(k, n) / (n * k)
        result[v, order] = last + np.append(np.cumsum(steps[::-1])[::-1], 0.0)
    return result


def problem(n: int, v: int = 3, d: int = 2, classes: int = 2, seed: int = 0, grid: bool = False):
    rng = np.random.default_rng(seed)
    x = rng.integers(0, 3, (n + v, d)).astype(float) if grid else rng.normal(size=(n + v, d))
    y = rng.integers(0, classes, n + v)
    return x[:n].astype(np.float32), y[:n], x[n:].astype(np.float32), y[n:]


@pytest.mark.parametrize("metric", ["euclidean", "cosine"])
@pytest.mark.parametrize(
    ("n", "k", "classes", "grid"),
    [
        (1, 1, 2, False),
        (1, 3, 2, False),
        (2, 1, 2, False),
        (5, 2, 2, False),
        (6, 9, 2, False),
        (7, 7, 3, False),
        (8, 3, 2, True),
        (7, 2, 1, False),
        (8, 1, 4, True),
    ],
)
def test_equals_all_subsets(n: int, k: int, classes: int, grid: bool, metric: str) -> None:
    data = problem(n, classes=classes, seed=n + k, grid=grid)
    np.testing.assert_allclose(knn_shapley(*data, k, metric=metric), brute_force(*data, k, metric), atol=1e-12)


def test_duplicates_equal_all_subsets() -> None:
    train_x, train_y, valid_x, valid_y = problem(8, seed=4)
    train_x[4:] = train_x[:4]
    data = (train_x, train_y, valid_x, valid_y)
    np.testing.assert_allclose(knn_shapley(*data, 2), brute_force(*data, 2), atol=1e-12)


@pytest.mark.parametrize("k", [1, 10, 400])
def test_values_sum_to_the_utility_of_all_rows(k: int) -> None:
    data = problem(300, v=40, d=5, classes=3)
    assert knn_shapley(*data, k).sum() == pytest.approx(utility(range(300), *data, k), abs=1e-12)


def test_rows_that_stand_and_match_alike_have_equal_values() -> None:
    corners = np.array([[1.0, 1], [1, -1], [-1, 1], [-1, -1]])
    points = np.array([[0.5, 0.5], [-0.5, -0.5]])
    values = knn_shapley(corners, np.array([0, 1, 1, 0]), points, np.array([0, 0]), 1)
    assert values[0] == pytest.approx(values[3], abs=1e-15)
    assert values[0] > values[1]


def test_rows_that_never_change_the_utility_are_worth_nothing() -> None:
    train_x, _, valid_x, _ = problem(9, v=4)
    labels = np.array([0] * 8 + [5])
    values = knn_shapley(train_x, labels, valid_x, np.full(4, 5), 20)
    assert (values[:8] == 0).all()
    assert values[8] == pytest.approx(1 / 20)


@pytest.mark.parametrize("offset", [0.0, 65536.0])
def test_equals_a_slow_float64_reference(offset: float) -> None:
    train_x, train_y, valid_x, valid_y = problem(5000, v=20, d=48, classes=5)
    data = (train_x + np.float32(offset), train_y, valid_x + np.float32(offset), valid_y)
    slow = reference(*data, 10)
    values, errors = knn_shapley_with_error(*data, 10)
    np.testing.assert_allclose(values, slow.mean(axis=0), atol=1e-12)
    np.testing.assert_allclose(errors, slow.std(axis=0, ddof=1) / np.sqrt(20), atol=1e-12)


@pytest.mark.parametrize("grid", [False, True])
def test_blocks_tiles_and_threads_do_not_matter(grid: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    data = problem(3001, v=37, d=7, classes=3, grid=grid)
    expected = knn_shapley(*data)
    for block, threads in [(1, "1"), (5, "3"), (1000, "2")]:
        monkeypatch.setenv("OMP_NUM_THREADS", threads)
        np.testing.assert_array_equal(knn_shapley(*data, block=block), expected)
    monkeypatch.setattr("datassay.valuation._distances.TILE", 100)
    np.testing.assert_array_equal(knn_shapley(*data), expected)


def test_equal_rows_far_apart_in_the_table_tie_by_row() -> None:
    rng = np.random.default_rng(3)
    half = rng.normal(size=(2500, 33)).astype(np.float32) * 7 + 3
    labels = rng.integers(0, 2, 5000)
    data = (np.concatenate([half, half]), labels, half[:11] + np.float32(0.3), rng.integers(0, 2, 11))
    np.testing.assert_allclose(knn_shapley(*data, 5), reference(*data, 5).mean(axis=0), atol=1e-12)


def test_text_labels_memory_mapped_and_other_types(tmp_path: Path) -> None:
    train_x, train_y, valid_x, valid_y = problem(50, classes=3)
    expected = knn_shapley(train_x, train_y, valid_x, valid_y)
    names = np.array(["cat", "dog", "eel"])
    np.save(tmp_path / "x.npy", train_x)
    mapped = np.load(tmp_path / "x.npy", mmap_mode="r")
    np.testing.assert_array_equal(knn_shapley(mapped, names[train_y], valid_x, names[valid_y]), expected)
    np.testing.assert_array_equal(knn_shapley(np.float64(train_x), train_y, valid_x, np.int8(valid_y)), expected)


def test_published_values_of_cats_and_dogs(shared: Path) -> None:
    with np.load(shared / "golden" / "cats_dogs_knn_shapley.npz", allow_pickle=False) as case:
        g = {name: case[name] for name in case.files}
    values = knn_shapley(g["train_x"], g["train_y"], g["valid_x"], g["valid_y"])
    assert np.abs(values - g["shapley"]).max() <= 1e-6
    assert (values < 0).sum() == 245 and (values == 0).sum() == 0
    assert values.sum() == pytest.approx(0.577731, abs=1e-6)

    def accuracy(keep: np.ndarray) -> float:
        from sklearn.neighbors import KNeighborsClassifier

        model = KNeighborsClassifier(10).fit(g["train_x"][keep], g["train_y"][keep])
        return round(100 * model.score(g["test_x"], g["test_y"]), 1)

    assert accuracy(np.arange(1500)) == 67.9
    assert accuracy(values > 0) == 84.6
    assert accuracy(np.argsort(values)[450:]) == 87.1


def test_table_of_the_workflow() -> None:
    data = problem(30, v=8)
    table = estimate("knn_shapley", *data, k=4)
    np.testing.assert_array_equal(table["value"], knn_shapley(*data, 4))
    assert list(table.columns) == ["value", "standard_error"] and (table["standard_error"] > 0).all()
    single = estimate("knn_shapley", *data[:2], data[2][:1], data[3][:1])
    assert list(single.columns) == ["value"] and "at least 2" in single.attrs["absent"]["standard_error"]
    with pytest.raises(DatassayError, match="unknown option 'metrik', did you mean 'metric'"):
        estimate("knn_shapley", *data, metrik="cosine")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"train_x": np.array([[0.0], [np.nan]])}, "train_x: row 1 holds"),
        ({"valid_x": np.array([[np.inf]])}, "valid_x: row 0 holds"),
        ({"train_x": np.zeros((0, 1)), "train_y": np.zeros(0, int)}, "train_x: no rows"),
        ({"valid_x": np.zeros((0, 1)), "valid_y": np.zeros(0, int)}, "valid_x: no rows"),
        ({"valid_x": np.zeros((1, 2))}, "valid_x: 2 columns, expected 1"),
        ({"train_y": np.zeros(3, int)}, r"train_y: shape \(3,\)"),
        ({"train_y": np.zeros(2)}, "train_y: labels of type float64"),
        ({"valid_y": np.array(["a"])}, "valid_y: labels of type"),
        ({"train_x": np.array([["a"], ["b"]])}, "train_x: 2 axes of type"),
        ({"k": 0}, "k = 0"),
        ({"block": 0}, "block = 0"),
        ({"metric": "euclid"}, "did you mean 'euclidean'"),
    ],
)
def test_bad_input_is_named(change: dict, message: str) -> None:
    good = {"train_x": np.zeros((2, 1)), "train_y": np.zeros(2, int), "valid_x": np.zeros((1, 1))}
    with pytest.raises(DatassayError, match=message) as caught:
        knn_shapley(**good | {"valid_y": np.zeros(1, int)} | change)
    assert "\n" not in str(caught.value)
