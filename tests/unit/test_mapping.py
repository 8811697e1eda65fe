"""Maps: what is near stays near, equal calls give equal coordinates, and nothing is too small or too uniform."""

import itertools
import logging
from pathlib import Path

import numpy as np
import pytest

from datassay import plan
from datassay.config import Config, MetaInformation
from datassay.errors import DatassayError
from datassay.mapping import _principal_components, lay_out
from datassay.neighbors import neighbors_within
from datassay.stages import load_inputs
from datassay.storage import save_arrays, save_table


def clusters(n: int = 90, width: int = 6, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    group = np.arange(n) % 3
    return (6 * rng.normal(size=(3, width))[group] + rng.normal(size=(n, width))).astype(np.float32), group


def test_clusters_stay_together_and_apart() -> None:
    points, group = clusters()
    xy = lay_out(points, perplexity=8, iterations=150)
    assert xy.shape == (90, 2) and xy.dtype == np.float32
    ids, _ = neighbors_within(xy, 10)
    assert (group[ids] == group[:, None]).mean() > 0.99


def test_near_rows_stay_near_on_a_bent_sheet() -> None:
    from sklearn.manifold import trustworthiness

    rng = np.random.default_rng(1)
    a, b = rng.uniform(0, 3, 400), rng.uniform(0, 2, 400)
    points = np.stack([np.cos(a), np.sin(a), b, 0.01 * rng.normal(size=400)], axis=1)
    xy = lay_out(points, perplexity=15, iterations=300)
    assert trustworthiness(points, xy, n_neighbors=10) > 0.98
    assert trustworthiness(points, lay_out(points, perplexity=15, iterations=300, seed=1), n_neighbors=10) > 0.98


@pytest.mark.parametrize("threads", ["1", "2"])
def test_a_seed_gives_one_map(threads: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OMP_NUM_THREADS", threads)
    points, _ = clusters(60)
    first, second, other = (lay_out(points, perplexity=5, iterations=60, seed=seed) for seed in (0, 0, 1))
    np.testing.assert_array_equal(first, second)
    assert not np.array_equal(first, other)


def test_given_neighbours_are_those_that_are_used() -> None:
    points, _ = clusters(60)
    known = neighbors_within(points, 40)  # more than are needed
    found = lay_out(points, known, perplexity=5, iterations=60)
    np.testing.assert_array_equal(found, lay_out(points, perplexity=5, iterations=60))
    shuffled = neighbors_within(points[np.random.default_rng(0).permutation(60)], 40)
    assert not np.array_equal(found, lay_out(points, shuffled, perplexity=5, iterations=60))


@pytest.mark.parametrize("n", [1, 2, 3, 4, 5, 7, 8, 9, 20])
@pytest.mark.parametrize("kind", ["different", "equal", "one column", "zero"])
def test_few_or_equal_rows_have_coordinates_too(n: int, kind: str) -> None:
    points = np.random.default_rng(n).normal(size=(n, 1 if kind == "one column" else 4)).astype(np.float32)
    points = {"equal": np.repeat(points[:1], n, axis=0), "zero": 0 * points}.get(kind, points)
    xy = lay_out(points, perplexity=30, iterations=30)
    assert xy.shape == (n, 2) and np.isfinite(xy).all()
    if kind == "different":
        assert len(np.unique(xy, axis=0)) == n


def test_fewer_rows_than_three_perplexities() -> None:
    points, group = clusters(30)
    xy = lay_out(points, perplexity=30, iterations=150)
    assert np.isfinite(xy).all()
    ids, _ = neighbors_within(xy, 5)
    assert (group[ids] == group[:, None]).mean() > 0.9


def test_a_group_of_equal_rows_among_others() -> None:
    points, _ = clusters(80)
    points[:25] = points[0]
    xy = lay_out(points, perplexity=5, iterations=150)
    spread = np.linalg.norm(xy[:25] - xy[:25].mean(axis=0), axis=1).max()
    assert np.isfinite(xy).all() and spread < 0.5 * np.linalg.norm(xy[25:] - xy[:25].mean(axis=0), axis=1).max()


def test_principal_components_equal_a_singular_value_decomposition() -> None:
    points = np.random.default_rng(2).normal(size=(50, 5)) * [5, 3, 2, 1, 1] + 100
    centred = points - points.mean(axis=0)
    u, s, axes = np.linalg.svd(centred, full_matrices=False)
    expected = (u * s)[:, :2] * np.sign([axis[np.abs(axis).argmax()] for axis in axes[:2]])
    np.testing.assert_allclose(_principal_components(points), expected, rtol=1e-8, atol=1e-8)
    np.testing.assert_allclose(lay_out(points[:6]), _principal_components(points[:6]), rtol=1e-6)


def test_a_line_has_no_second_component() -> None:
    line = np.arange(7.0)[:, None] * np.ones((1, 3))
    xy = lay_out(line)
    np.testing.assert_allclose(xy[:, 0], (np.arange(7) - 3) * np.sqrt(3), rtol=1e-6)
    assert (xy[:, 1] == 0).all()


@pytest.mark.parametrize(("apart", "steps"), [(0, [300]), (6, [100, 200, 300]), (11, [50, 100, 150, 200, 250, 300])])
def test_progress_is_told_every_ten_seconds_and_at_the_end(
    apart: int, steps: list[int], caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = itertools.count()
    monkeypatch.setattr("datassay.mapping.monotonic", lambda: apart * next(clock))
    with caplog.at_level(logging.INFO, logger="datassay.mapping"):
        lay_out(clusters(40)[0], perplexity=5, iterations=300)
    told = [record.message.split(",")[0] for record in caplog.records]
    assert told == ["map: 40 rows", *(f"map: {step}/300 steps" for step in steps)]


@pytest.mark.parametrize(
    ("points", "neighbors", "message"),
    [
        (np.zeros((0, 3)), None, r"points: shape \(0, 3\), expected a matrix with at least one row"),
        (np.full((9, 2), np.nan), None, "points: a value is not finite"),
        (
            np.eye(20),
            (np.zeros((20, 9), int), np.zeros((20, 9))),
            r"shape \(20, 9\), expected 20 rows with at least 15",
        ),
        (np.eye(20), (np.zeros((19, 15), int), np.zeros((19, 15))), r"shape \(19, 15\), expected 20 rows"),
    ],
)
def test_refused(points: np.ndarray, neighbors: tuple | None, message: str) -> None:
    with pytest.raises(DatassayError, match=message):
        lay_out(points, neighbors, perplexity=5, iterations=10)


SETTINGS: dict = {
    "datasets": [{"name": "digits", "source": "builtin:digits"}],
    "encoders": [{"name": "pixels", "kind": "pixels"}],
    "models": [{"name": "cnn", "recipe": "cnn"}, {"name": "head", "recipe": "head", "encoder": "pixels"}],
}


def test_models_share_the_map_of_their_encoder() -> None:
    settings = Config.model_validate(SETTINGS | {"map": {"spaces": ["infoverse", "embeddings", "features"]}})
    files = {model: plan.map_files(settings, "digits", model) for model in ("cnn", "head")}
    assert files["cnn"] == {
        "infoverse": "results/digits/map/cnn/infoverse.parquet",
        "embeddings": "results/digits/embeddings/pixels/map.parquet",
        "features": "results/digits/map/cnn/features.parquet",
    }
    assert files["head"]["embeddings"] == files["cnn"]["embeddings"]
    bare = settings.model_copy(update={"meta_information": MetaInformation(families=["label_quality"])})
    assert list(plan.map_files(bare, "digits", "cnn")) == ["embeddings", "features"]


def test_a_perplexity_needs_stored_neighbours() -> None:
    with pytest.raises(ValueError, match=r"map.perplexity 30 needs 90 neighbours, but neighbors.k is 89"):
        Config.model_validate(SETTINGS | {"neighbors": {"k": 89}})
    for fits in ({"map": {"perplexity": 29.9}}, {"map": {"spaces": ["infoverse"]}}, {"map": {"spaces": []}}):
        Config.model_validate(SETTINGS | {"neighbors": {"k": 89}} | fits)


def test_stored_neighbours_are_loaded_for_the_train_rows(tmp_path: Path) -> None:
    import pandas as pd

    examples = pd.DataFrame({"example_id": list("abcd"), "split": ["train", "test", "train", "train"], "label": 0})
    save_table(tmp_path / "examples.parquet", examples)
    ids, distances = np.array([[1], [0], [1]], dtype=np.int32), np.array([[3], [3], [4]], dtype=np.float32)
    save_arrays(tmp_path / "neighbors.npz", ids=ids, distances=distances)
    files = dict.fromkeys(("feature_neighbors", "embedding_distances"), tmp_path / "neighbors.npz")
    _, arrays = load_inputs({"examples": tmp_path / "examples.parquet", **files})
    np.testing.assert_array_equal(arrays["feature_neighbors"], ids)
    np.testing.assert_array_equal(arrays["embedding_distances"], distances)
    save_arrays(tmp_path / "neighbors.npz", ids=ids[1:], distances=distances)
    with pytest.raises(DatassayError, match=r"neighbors.npz: 2 rows, expected 3"):
        load_inputs({"examples": tmp_path / "examples.parquet", **files})
    (tmp_path / "neighbors.npz").write_bytes(b"PK nothing")
    with pytest.raises(DatassayError, match=r"neighbors.npz: 'ids' cannot be read") as caught:
        load_inputs({"examples": tmp_path / "examples.parquet", **files})
    assert "\n" not in str(caught.value)
