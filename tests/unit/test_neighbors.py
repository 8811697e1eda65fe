"""Neighbours against a float64 search of all pairs, and the cases in which a matrix product misleads."""

import json
from pathlib import Path

import numpy as np
import pytest

from datassay.errors import DatassayError
from datassay.neighbors import HnswIndex, exact, exact_neighbors, neighbors_within, recall


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
    groups = np.repeat(rng.normal(scale=100, size=(10, 64)), 50, axis=0)
    base = (1e4 + groups + rng.normal(scale=0.1, size=(500, 64))).astype(np.float32)
    every = np.linalg.norm(base[:, None].astype(np.float64) - base[None].astype(np.float64), axis=2)
    ids, _ = exact_neighbors(base, base, 10, metric="euclidean", block=16)
    np.testing.assert_array_equal(ids, np.argsort(every, axis=1, kind="stable")[:, :10])


def test_a_zero_row_is_at_cosine_distance_one() -> None:
    base = np.array([[0, 0], [0, 2], [0, -1]], dtype=np.float32)
    ids, distances = exact_neighbors(base[:2], base, 3)
    assert distances.tolist() == [[1, 1, 1], [0, 1, 2]]
    assert ids.tolist() == [[0, 1, 2], [1, 0, 2]]


@pytest.mark.parametrize("metric", ["cosine", "euclidean"])
@pytest.mark.parametrize("k", [1, 3, 20])
def test_more_ties_than_a_buffer_holds(metric: str, k: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whole numbers from 0 to 2 in 3 columns: 27 points and 900 rows, so that 33 rows are at every distance."""
    monkeypatch.setattr(exact, "SPARE", 2)
    base = np.random.default_rng(3).integers(0, 3, size=(900, 3)).astype(np.float32)
    every = all_pairs(base[:30], base, metric).round(12)
    ids, distances = exact_neighbors(base[:30], base, k, metric=metric, block=8)
    np.testing.assert_allclose(distances, np.sort(every, axis=1)[:, :k], rtol=1e-6, atol=1e-7)
    if metric == "euclidean":
        np.testing.assert_array_equal(ids, np.argsort(every, axis=1, kind="stable")[:, :k])
    far = base + np.float32(1e4) * (np.arange(900)[:, None] % 2)  # within rounding of each other in float32
    every = np.linalg.norm(far[:30, None].astype(float) - far[None].astype(float), axis=2)
    ids, _ = exact_neighbors(far[:30], far, k, metric="euclidean", block=8)
    np.testing.assert_array_equal(ids, np.argsort(every, axis=1, kind="stable")[:, :k])


@pytest.mark.parametrize("threads", ["1", "3"])
def test_groups_tiles_and_threads_do_not_matter(threads: str, monkeypatch: pytest.MonkeyPatch) -> None:
    points = np.random.default_rng(4).normal(size=(300, 5)).astype(np.float32)
    expected = neighbors_within(points, 12)
    monkeypatch.setenv("OMP_NUM_THREADS", threads)
    monkeypatch.setattr(exact, "BUFFERS", 12 * 88 * 70)
    for block in (1, 10, 64):
        found = exact_neighbors(points, points, 12, metric="euclidean", block=block, exclude_self=True)
        np.testing.assert_array_equal(found[0], expected[0])
        np.testing.assert_array_equal(found[1], expected[1])


@pytest.mark.parametrize("dtype", [np.int32, np.uint8, np.float16, np.float64])
def test_other_types_of_numbers(dtype: type) -> None:
    rows = np.random.default_rng(5).integers(0, 200, size=(50, 4)).astype(dtype)
    ids, distances = exact_neighbors(rows[::2], rows, 5, metric="euclidean")
    every = all_pairs(rows[::2], rows, "euclidean")
    np.testing.assert_array_equal(ids, np.argsort(every, axis=1, kind="stable")[:, :5])
    np.testing.assert_allclose(distances, np.sort(every, axis=1)[:, :5], rtol=1e-6)


def test_neighbors_within_takes_all_others_where_there_are_fewer() -> None:
    points = np.array([[0.0], [1.0], [1.0], [5.0]])
    ids, distances = neighbors_within(points, 9)
    assert ids.tolist() == [[1, 2, 3], [2, 0, 3], [1, 0, 3], [1, 2, 0]]
    assert distances.tolist() == [[1, 1, 5], [0, 1, 4], [0, 1, 4], [4, 4, 5]]
    assert neighbors_within(points[:1], 9)[0].shape == neighbors_within(points[:1], 9)[1].shape == (1, 0)


def test_memory_mapped_base_that_comes_nearer_block_by_block(tmp_path: Path) -> None:
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
        ({"k": 1, "queries": np.array([[1, 1], [1, np.inf]]), "metric": "euclidean"}, "queries: row 1 holds"),
        ({"k": 1, "base": np.array([[1, 1], [1, 1], [1e19, 1]])}, "base: row 2 is longer than 3e18"),
    ],
)
def test_bad_arguments_are_named(arguments: dict, message: str) -> None:
    data = np.ones((3, 2))
    with pytest.raises(DatassayError, match=message) as caught:
        exact_neighbors(**{"queries": data, "base": data} | arguments)
    assert "\n" not in str(caught.value)


@pytest.fixture(scope="module")
def vectors() -> np.ndarray:
    return np.random.default_rng(5).normal(size=(600, 12)).astype(np.float32)


@pytest.mark.parametrize("metric", ["cosine", "euclidean"])
def test_index_finds_what_the_exact_search_finds(metric: str, vectors: np.ndarray) -> None:
    index = HnswIndex.build(vectors, metric=metric)
    ids, distances = index.query(vectors[:50], 7)
    expected, exact = exact_neighbors(vectors[:50], vectors, 7, metric=metric)
    assert ids.dtype == np.int64 and distances.dtype == np.float32
    np.testing.assert_array_equal(ids, expected)
    np.testing.assert_allclose(distances, exact, atol=1e-5)
    assert recall(index, vectors, 7, 100, np.random.default_rng(0)) == 1.0


def test_recall_is_that_of_the_definition_and_rises_with_ef(vectors: np.ndarray) -> None:
    poor = HnswIndex.build(vectors, m=2, ef_construction=4, ef=1)
    expected, _ = exact_neighbors(vectors, vectors, 5)
    found, _ = poor.query(vectors, 5)
    share = np.mean([len(set(a) & set(b)) / 5 for a, b in zip(found, expected, strict=True)])
    measured = recall(poor, vectors, 5, 10_000, np.random.default_rng(0))
    assert measured == pytest.approx(share) and measured < 0.9
    better = HnswIndex.build(vectors, m=2, ef_construction=4, ef=300)
    assert recall(better, vectors, 5, 10_000, np.random.default_rng(0)) > measured


def test_saved_index_answers_alike_and_keeps_ef(tmp_path: Path, vectors: np.ndarray) -> None:
    index = HnswIndex.build(vectors, m=3, ef_construction=8, ef=77, metric="euclidean")
    index.save(tmp_path / "index.bin", recall=0.5)
    again = HnswIndex.load(tmp_path / "index.bin")
    assert again.graph.ef == 77 and again.settings == index.settings
    for one, other in zip(index.query(vectors, 9), again.query(vectors, 9), strict=True):
        np.testing.assert_array_equal(one, other)
    card = json.loads((tmp_path / "index.json").read_text())
    assert (card["count"], card["dimension"], card["ef"], card["recall"]) == (600, 12, 77, 0.5)


def test_one_seed_gives_one_file(tmp_path: Path, vectors: np.ndarray) -> None:
    for name, seed in (("a", 1), ("b", 1), ("c", 2)):
        HnswIndex.build(vectors, seed=seed).save(tmp_path / name / "index.bin")
    a, b, c = ((tmp_path / name / "index.bin").read_bytes() for name in "abc")
    assert a == b and a != c


@pytest.mark.parametrize("damage", ["cut", "flip", "gone", "card"])
def test_a_damaged_index_is_named(damage: str, tmp_path: Path, vectors: np.ndarray) -> None:
    path = tmp_path / "index.bin"
    HnswIndex.build(vectors).save(path)
    content = bytearray(path.read_bytes())
    if damage == "cut":
        path.write_bytes(content[:-1])
    elif damage == "flip":
        content[len(content) // 2] ^= 1
        path.write_bytes(content)
    elif damage == "gone":
        path.unlink()
    else:
        path.with_suffix(".json").write_text("{}")
    with pytest.raises(DatassayError, match=r"index\.json" if damage == "card" else r"index\.bin") as caught:
        HnswIndex.load(path)
    assert "\n" not in str(caught.value)


def test_bad_arguments_of_the_index_are_named(vectors: np.ndarray) -> None:
    index = HnswIndex.build(vectors[:5])
    with pytest.raises(DatassayError, match="k = 6 neighbours of 5 rows"):
        index.query(vectors[:1], 6)
    with pytest.raises(DatassayError, match="vectors of width 12"):
        index.query(vectors[:1, :3], 1)
    with pytest.raises(DatassayError, match="queries: row 0 holds"):
        index.query(np.full((1, 12), np.nan), 1)
    with pytest.raises(DatassayError, match=r"vectors \(0, 12\)"):
        HnswIndex.build(vectors[:0])
    broken = vectors.copy()
    broken[3, 0] = np.inf
    with pytest.raises(DatassayError, match="vectors: row 3 holds"):
        HnswIndex.build(broken)
