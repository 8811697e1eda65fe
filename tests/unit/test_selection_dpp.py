"""Greedy MAP of the DPP against the dense float64 greedy and against every subset."""

from itertools import combinations

import numpy as np
import pytest

from datassay.errors import DatassayError
from datassay.selection import _greedy, dpp, dpp_ranking, log_det

RIDGE = 5e-4


def dense_kernel(features: np.ndarray, quality: np.ndarray) -> np.ndarray:
    norm = np.linalg.norm(features, axis=1, keepdims=True)
    unit = np.divide(features, norm, out=np.zeros_like(features, dtype=float), where=norm > 0)
    return np.diag(quality) @ np.exp(unit @ unit.T - 1) @ np.diag(quality) + RIDGE * np.eye(len(quality))


def dense_greedy(kernel: np.ndarray, n_select: int) -> list[int]:
    """The definition: try every row, take the one with the largest determinant; all in float64."""
    picks: list[int] = []
    for _ in range(n_select):
        gains = np.full(len(kernel), -np.inf)
        for row in set(range(len(kernel))) - set(picks):
            chosen = [*picks, row]
            gains[row] = np.linalg.slogdet(kernel[np.ix_(chosen, chosen)])[1]
        picks.append(int(gains.argmax()))
    return picks


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("width", [3, 23])
def test_equals_the_greedy_on_the_full_kernel(seed: int, width: int) -> None:
    rng = np.random.default_rng(seed)
    features, quality = rng.normal(size=(60, width)), rng.uniform(1e-3, 1, 60)
    ranking = dpp_ranking(features, quality, 25)
    assert ranking.dtype == np.int64
    assert ranking.tolist() == dense_greedy(dense_kernel(features, quality), 25)


def test_log_det_is_that_of_the_dense_greedy_on_a_larger_case() -> None:
    rng = np.random.default_rng(5)
    features, quality = rng.normal(size=(600, 40)) + rng.normal(size=40), rng.uniform(1e-3, 1, 600)
    kernel = dense_kernel(features, quality)
    d2, factor, dense = np.diag(kernel).copy(), np.zeros((200, 600)), []
    for k in range(200):
        j = int(np.where(np.isin(np.arange(600), dense), -np.inf, d2).argmax())
        factor[k] = (kernel[j] - factor[:k, j] @ factor[:k]) / np.sqrt(d2[j])
        d2 -= factor[k] ** 2
        dense.append(j)
    ranking = dpp_ranking(features, quality, 200)
    ours = np.linalg.slogdet(kernel[np.ix_(ranking, ranking)])[1]
    theirs = np.linalg.slogdet(kernel[np.ix_(dense, dense)])[1]
    assert ranking[:100].tolist() == dense[:100]
    assert ours == pytest.approx(theirs, rel=1e-5)
    assert log_det(features, quality, ranking) == pytest.approx(ours, rel=1e-9)


def test_the_working_set_changes_the_speed_only(monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(9)
    features, quality = rng.normal(size=(500, 12)), rng.uniform(1e-3, 1, 500)
    expected = dpp_ranking(features, quality, 80).tolist()
    for candidates, panel in ((500, 1), (1, 64), (3, 2), (1000, 1000)):
        monkeypatch.setattr(_greedy, "CANDIDATES", candidates)
        monkeypatch.setattr(_greedy, "PANEL", panel)
        assert dpp_ranking(features, quality, 80).tolist() == expected


def test_greedy_is_near_the_best_of_all_subsets() -> None:
    rng = np.random.default_rng(0)
    features, quality = rng.normal(size=(12, 4)), rng.uniform(0.5, 1, 12)
    best = max(log_det(features, quality, np.array(s)) for s in combinations(range(12), 4))
    found = log_det(features, quality, dpp_ranking(features, quality, 4))
    assert best - 0.2 <= found <= best + 1e-12


def test_every_prefix_is_the_answer_for_its_length() -> None:
    rng = np.random.default_rng(1)
    features, quality = rng.normal(size=(300, 8)), rng.uniform(1e-3, 1, 300)
    whole = dpp_ranking(features, quality, 300)
    assert sorted(whole) == list(range(300))
    for n_select in (1, 7, 120):
        assert dpp_ranking(features, quality, n_select).tolist() == whole[:n_select].tolist()


def test_first_pick_is_the_best_row_and_a_duplicate_of_it_comes_last() -> None:
    features = np.array([[1.0, 0], [0, 1], [2, 0], [-1, 0]])
    assert dpp_ranking(features, np.array([1.0, 0.9, 0.8, 0.9]), 4).tolist() == [0, 3, 1, 2]


def test_ties_go_to_the_lowest_row() -> None:
    rng = np.random.default_rng(2)
    assert dpp_ranking(rng.normal(size=(50, 384)), np.ones(50), 1).tolist() == [0]
    assert dpp_ranking(np.ones((20, 3)), np.ones(20), 20).tolist() == list(range(20))
    assert dpp_ranking(np.ones((400, 3)), np.ones(400), 300).tolist() == list(range(300))
    assert dpp_ranking(np.eye(400), np.ones(400), 200).tolist() == list(range(200))


def test_of_equal_rows_the_lower_comes_first() -> None:
    rng = np.random.default_rng(8)
    features = np.tile(rng.normal(size=(350, 20)), (2, 1))
    ranking = dpp_ranking(features, np.tile(rng.uniform(1e-3, 1, 350), 2), 500)
    place = np.full(700, 1000)
    place[ranking] = np.arange(500)
    assert (place[:350] <= place[350:]).all()


def test_zero_row_stays_zero() -> None:
    features = np.array([[0.0, 0], [1, 0], [0, 1]])
    quality = np.ones(3)
    kernel = dense_kernel(features, quality)
    assert kernel[0, 0] == pytest.approx(np.exp(-1) + RIDGE)
    assert dpp_ranking(features, quality, 3).tolist() == dense_greedy(kernel, 3) == [1, 2, 0]
    assert log_det(features, quality, np.arange(3)) == pytest.approx(np.linalg.slogdet(kernel)[1])


def test_scale_of_a_row_does_not_matter() -> None:
    rng = np.random.default_rng(3)
    features, quality = rng.normal(size=(80, 5)), rng.uniform(1e-3, 1, 80)
    scaled = features * 10.0 ** rng.integers(-150, 150, (80, 1))
    assert dpp_ranking(scaled, quality, 30).tolist() == dpp_ranking(features, quality, 30).tolist()


def test_one_row() -> None:
    assert dpp_ranking(np.ones((1, 2)), np.ones(1), 1).tolist() == [0]


def test_gains_never_grow_though_ties_go_to_the_lower_row() -> None:
    unit = np.eye(60, dtype=np.float32)
    quality = 3e-4 * (1 - 2e-3 * np.random.default_rng(0).random(60))  # gains next to the ridge: ties, but not equal
    start = _greedy.first_gains(unit, quality, RIDGE)
    found = _greedy.greedy(unit, quality, 60, RIDGE, start, np.empty((60, 0), np.float32))
    assert found.rows.tolist() == list(range(60))
    assert (np.diff(found.gains) <= 0).all()


def blocks_by_definition(features: np.ndarray, quality: np.ndarray, shared: int, blocks: list[np.ndarray]) -> list[int]:
    """Full greedy for the shared picks; then that of the Schur complement, its entries between blocks set to 0."""
    kernel = dense_kernel(features, quality)
    picks = dense_greedy(kernel, shared)
    rest = np.setdiff1d(np.arange(len(kernel)), picks)
    inside = np.zeros((len(rest), len(rest)), dtype=bool)
    for block in blocks:
        member = np.isin(rest, block)
        inside |= np.outer(member, member)
    across = kernel[np.ix_(rest, picks)]
    schur = kernel[np.ix_(rest, rest)] - across @ np.linalg.inv(kernel[np.ix_(picks, picks)]) @ across.T
    return picks + rest[dense_greedy(np.where(inside, schur, 0), len(rest))].tolist()


def test_blocks_against_the_definition(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dpp, "SHARED_PICKS", 9)
    rng = np.random.default_rng(4)
    features, quality = rng.normal(size=(60, 4)), rng.uniform(0.1, 1, 60)
    sizes = {"full_rows": 59, "block_size": 20}
    ranking = dpp_ranking(features, quality, 60, **sizes)
    unit = dpp.unit_float32(features)
    rest = np.setdiff1d(np.arange(60), ranking[:9])
    blocks = dpp._split(unit, rest, 20, dpp.generator(0, "dpp_ranking"))
    assert len(blocks) > 2 and max(map(len, blocks)) <= 20
    assert ranking.tolist() == blocks_by_definition(features, quality, 9, blocks)
    for n_select in (1, 5, 9, 10, 33, 59):
        assert dpp_ranking(features, quality, n_select, **sizes).tolist() == ranking[:n_select].tolist()


def test_blocks_take_turns_by_their_sizes_where_gains_are_equal(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dpp, "SHARED_PICKS", 1)
    group = np.repeat([0, 1], [100, 201])
    ranking = dpp_ranking(np.eye(4)[group], np.zeros(301), 301, full_rows=300, block_size=201)  # all gain the ridge
    assert sorted(ranking) == list(range(301))
    for length in range(1, 302):
        assert abs(np.sum(group[ranking[:length]] == 1) - length * 2 / 3) <= 2


def test_the_shared_picks_keep_most_of_what_blocks_lose(monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(6)
    features = rng.normal(size=(8, 16))[rng.integers(8, size=800)] + 0.5 * rng.normal(size=(800, 16))
    quality = rng.uniform(1e-3, 1, 800)
    whole = log_det(features, quality, dpp_ranking(features, quality, 160))
    chance = log_det(features, quality, rng.permutation(800)[:160])
    lost = []
    for shared in (1, 80, 160):
        monkeypatch.setattr(dpp, "SHARED_PICKS", shared)
        found = log_det(features, quality, dpp_ranking(features, quality, 160, full_rows=500, block_size=100))
        lost.append((whole - found) / (whole - chance))
    assert lost[0] < 0.25
    assert lost[1] < 0.3 * lost[0]
    assert lost[2] == pytest.approx(0, abs=1e-9)


def test_shared_picks_stay_within_their_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    asked = []

    def record(unit, quality, n_select, ridge, gains, given):
        asked.append(n_select)
        return _greedy.greedy(unit, quality, n_select, ridge, gains, given)

    monkeypatch.setattr(dpp, "greedy", record)
    monkeypatch.setattr(dpp, "SHARED_ENTRIES", 2000)
    rng = np.random.default_rng(7)
    dpp_ranking(rng.normal(size=(200, 3)), np.ones(200), 100, full_rows=150, block_size=40)
    assert asked[0] == 10 and max(asked) <= 40


def test_identical_rows_above_the_block_size_are_split_all_the_same() -> None:
    assert sorted(dpp_ranking(np.ones((50, 3)), np.ones(50), 50, full_rows=20, block_size=20)) == list(range(50))


@pytest.mark.parametrize(
    ("features", "quality", "n_select", "message"),
    [
        (np.ones((3, 2)), np.ones(3), 4, "n_select: 4, allowed: 1 to the number of rows, 3"),
        (np.ones((3, 2)), np.ones(3), 0, "n_select: 0"),
        (np.ones((3, 2)), np.ones(2), 1, "quality: 2 rows, needs 3"),
        (np.ones((3, 2)), np.array([1, -1, 1.0]), 1, "quality: row 1 is -1"),
        (np.array([[1.0, 2], [np.nan, 1]]), np.ones(2), 1, "features: row 1 is NaN"),
        (np.ones(3), np.ones(3), 1, "features: float64 of shape"),
        (np.ones((0, 2)), np.ones(0), 1, "features: float64 of shape"),
    ],
)
def test_bad_input_is_named(features: np.ndarray, quality: np.ndarray, n_select: int, message: str) -> None:
    with pytest.raises(DatassayError, match=message.replace("(", r"\(")):
        dpp_ranking(features, quality, n_select)
