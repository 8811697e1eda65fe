"""Ranking: equal to transforming and scoring every map, whatever is faulty; intervals against drawing rows."""

import numpy as np
import pytest

from datassay.errors import DatassayError
from datassay.transfer import EmbeddingSpaceMap, logme, rank
from datassay.transfer.logme import influences, moments
from datassay.transfer.ranking import intervals
from datassay.transfer.registry import save_esm

ABOUT = {"base_model_name": "b", "task_id": "t"}


def target(n: int = 120, d: int = 8, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(n, d)) + 0.5
    return x.astype(np.float32), (x @ rng.normal(size=d) + rng.normal(size=n) > 0).astype(np.int64)


def esms(count: int, d: int = 8, layers: int = 1) -> dict[str, EmbeddingSpaceMap]:
    found = {}
    for number in range(count):
        rng = np.random.default_rng(100 + number)
        parts = [(rng.normal(size=(d, d)).astype(np.float32), rng.normal(size=d).astype(np.float32))] * layers
        keep = np.diag(rng.random(d) < 0.5).astype(np.float32)  # what loses directions of the target scores lower
        found[f"esm{number}"] = EmbeddingSpaceMap(((keep @ parts[0][0], parts[0][1]), *parts[1:]))
    return found


@pytest.mark.parametrize("n", [120, 6])
@pytest.mark.parametrize("layers", [1, 2])
@pytest.mark.parametrize("regression", [False, True])
def test_equals_transforming_and_scoring_each(n: int, layers: int, regression: bool) -> None:
    x, y = target(n)
    y[:2] = 0, 1
    wanted = x[:, :2] if regression else y
    pool = esms(7, layers=layers)
    table = rank(x, wanted, pool.items(), regression=regression, replicates=50)
    scores = {name: logme(esm.transform(x), wanted, regression=regression) for name, esm in pool.items()}
    assert table["name"].tolist() == sorted(scores, key=lambda name: -scores[name])
    np.testing.assert_allclose(table["score"], [scores[name] for name in table["name"]], atol=1e-5)
    assert table["rank"].tolist() == list(range(1, 8)) and (table["standard_error"] > 0).all()
    assert ((table["rank_low"] <= table["rank"]) & (table["rank"] <= table["rank_high"])).all()


def test_a_faulty_map_is_named_and_stops_nothing(tmp_path) -> None:
    x, y = target()
    pool = esms(3)
    for name, esm in pool.items():
        save_esm(tmp_path / name, esm, ABOUT)
    (tmp_path / "esm1" / "model.safetensors").write_bytes(b"nothing")
    narrow = EmbeddingSpaceMap(((np.eye(5, dtype=np.float32), np.zeros(5, np.float32)),))
    zero = EmbeddingSpaceMap(((np.zeros((8, 8), np.float32), np.zeros(8, np.float32)),))
    places = [(name, tmp_path / name) for name in pool] + [("narrow", narrow), ("zero", zero)]
    table = rank(x, y, places)
    assert sorted(table["name"]) == ["esm0", "esm2"]
    assert set(table.attrs["faults"]) == {"esm1", "narrow", "zero"}
    assert "takes embeddings of 5" in table.attrs["faults"]["narrow"]
    kept = rank(x, y, [(name, pool[name]) for name in ("esm0", "esm2")])
    np.testing.assert_array_equal(table["score"], kept["score"])


def test_statistics_are_enough_for_linear_maps() -> None:
    x, y = target()
    pool = esms(4)
    table = rank(None, y, pool.items(), statistics=moments(x, y))
    np.testing.assert_allclose(table["score"], rank(x, y, pool.items())["score"], rtol=1e-9)
    assert table["standard_error"].isna().all()
    deep = rank(None, y, esms(1, layers=2).items(), statistics=moments(x, y))
    assert "needs the embeddings themselves" in deep.attrs["faults"]["esm0"]
    with pytest.raises(DatassayError, match="or their statistics"):
        rank(None, y, [])


def test_only_the_best_have_intervals() -> None:
    x, y = target()
    table = rank(x, y, esms(6).items(), top=2)
    assert table["standard_error"].notna().tolist() == [True, True, False, False, False, False]
    assert rank(x, y, []).empty


def test_the_standard_error_is_that_of_drawing_rows() -> None:
    """Where rows are many and columns few, drawing rows with their copies and scoring anew gives the same spread."""
    x, y = target(1500, 4)
    adds = influences(x, y)
    rng = np.random.default_rng(0)
    drawn = [logme(x[rows], y[rows]) for rows in rng.integers(0, 1500, (300, 1500))]
    error = intervals(np.array([logme(x, y)]), adds[None], 2000, 0)[0, 0]
    assert error == pytest.approx(np.std(drawn), rel=0.12)
    assert error == pytest.approx(np.sqrt((adds**2).mean() / 1500), rel=0.05)


def test_maps_that_are_alike_share_their_ranks_and_others_do_not() -> None:
    rng = np.random.default_rng(0)
    adds = rng.normal(size=(3, 400))
    adds[1] = adds[0] + 0.02 * rng.normal(size=400)
    found = intervals(np.array([-0.5, -0.501, -3.0]), adds - adds.mean(axis=1, keepdims=True), 500, 1)
    assert found[:, 1].tolist() == [1, 1, 3] and found[:, 2].tolist() == [2, 2, 3]
    apart = intervals(np.array([-0.5, -0.52, -3.0]), adds - adds.mean(axis=1, keepdims=True), 500, 1)
    assert apart[:2, 1:].tolist() == [[1, 1], [2, 2]]
