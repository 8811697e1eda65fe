"""Neighbours against a float64 search of all pairs, and the cases in which a matrix product misleads."""

import numpy as np
import pytest

from datassay.errors import DatassayError
from datassay.neighbors import exact_neighbors


def all_pairs(queries: np.ndarray, base: np.ndarray, metric: str) -> np.ndarray:
    """Every distance, one pair at a time."""
    result = np.empty((len(queries), len(base)))
    for i, q in enumerate(np.asarray(queries, dtype=np.float64)):
        for j, b in enumerate(np.asarray(base, dtype=np.float64)):
            norms = np.linalg.norm(q) * np.linalg.norm(b)
            cosine = 1 - (q @ b) / norms if norms else 1.0
            result[i, j] = np.linalg.norm(q - b) if metric == "euclidean" else cosine
    return result


@pytest.mark.parametrize("metric", ["cosine", "euclidean"])
@pytest.mark.parametrize("block", [1, 7, 64, 1024])
@pytest.mark.parametrize("k", [1, 5, 83])
def test_equals_a_search_of_all_pairs(metric: str, block: int, k: int) -> None:
    rng = np.random.default_rng(0)
    queries, base = rng.normal(size=(23, 6)).astype(np.float32), rng.normal(size=(83, 6)).astype(np.float32)
    every = all_pairs(queries, base, metric)
    ids, distances = exact_neighbors(queries, base, k, metric=metric, block=block)
    assert ids.dtype == np.int64 and distances.dtype == np.float32
    np.testing.assert_array_equal(ids, np.argsort(every, axis=1, kind="stable")[:, :k])
    np.testing.assert_allclose(distances, np.sort(every, axis=1)[:, :k], rtol=1e-6, atol=1e-7)


@pytest.mark.parametrize("metric", ["cosine", "euclidean"])
@pytest.mark.parametrize("block", [3, 1024])
def test_ties_go_to_the_lowest_row_and_equal_rows_are_at_distance_zero(metric: str, block: int) -> None:
    row = np.random.default_rng(1).normal(size=(1, 384)).astype(np.float32) + 1000
    base = np.repeat(row, 40, axis=0)
    base[7] += 1
    ids, distances = exact_neighbors(row, base, 5, metric=metric, block=block)
    assert ids.tolist() == [[0, 1, 2, 3, 4]]
    assert (distances == 0).all()


@pytest.mark.parametrize("block", [2, 1024])
def test_excluding_self_keeps_duplicates(block: int) -> None:
    base = np.array([[1, 0], [1, 0], [0, 1], [1, 1], [5, 5]], dtype=np.float32)
    ids, distances = exact_neighbors(base, base, 1, metric="euclidean", block=block, exclude_self=True)
    assert ids[:, 0].tolist() == [1, 0, 3, 0, 3]
    np.testing.assert_allclose(distances[:, 0], [0, 0, 1, 1, np.sqrt(32)], rtol=1e-6)


def test_order_survives_the_cancellation_of_a_float32_product() -> None:
    rng = np.random.default_rng(2)
    base = (1e4 + rng.normal(size=(500, 64))).astype(np.float32)
    base[250:] = base[:250] + rng.normal(scale=1e-2, size=(250, 64)).astype(np.float32)
    every = np.linalg.norm(base[:, None].astype(np.float64) - base[None].astype(np.float64), axis=2)
    ids, _ = exact_neighbors(base, base, 10, metric="euclidean", block=16)
    np.testing.assert_array_equal(ids, np.argsort(every, axis=1, kind="stable")[:, :10])


def test_a_zero_row_is_at_cosine_distance_one() -> None:
    base = np.array([[0, 0], [0, 2], [0, -1]], dtype=np.float32)
    ids, distances = exact_neighbors(base[:2], base, 3)
    assert distances.tolist() == [[1, 1, 1], [0, 1, 2]]
    assert ids.tolist() == [[0, 1, 2], [1, 0, 2]]


def test_memory_mapped_base_that_comes_nearer_block_by_block(tmp_path) -> None:
    base = np.linspace(9, 1, 1000)[:, None] * np.ones((1, 3))
    np.save(tmp_path / "base.npy", base.astype(np.float32))
    mapped = np.load(tmp_path / "base.npy", mmap_mode="r")
    ids, _ = exact_neighbors(np.zeros((2, 3)), mapped, 4, metric="euclidean", block=2)
    assert ids.tolist() == [[999, 998, 997, 996]] * 2


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"k": 4}, "k = 4 neighbours of 3 rows, allowed: 1 to 3"),
        ({"k": 3, "exclude_self": True}, "k = 3 neighbours of 2 rows"),
        ({"k": 0}, "k = 0"),
        ({"k": 1, "metric": "cosin"}, "did you mean 'cosine'"),
        ({"k": 1, "base": np.ones((3, 3))}, r"\(3, 2\) and base \(3, 3\)"),
        ({"k": 1, "base": np.array([[1, 1], [1, np.nan], [1, 1]])}, "base: row 1 holds"),
    ],
)
def test_bad_arguments_are_named(arguments: dict, message: str) -> None:
    data = np.ones((3, 2))
    with pytest.raises(DatassayError, match=message) as caught:
        exact_neighbors(**{"queries": data, "base": data} | arguments)
    assert "\n" not in str(caught.value)
