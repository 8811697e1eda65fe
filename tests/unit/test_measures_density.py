"""Static and pretrained measures against hand-computed cases, full distance tables and SciPy."""

import math

import numpy as np
import pytest

from datassay.errors import DatassayError
from datassay.measures import ppca_log_likelihood, pretrained_measures, static_measures
from datassay.measures.densities import densities
from datassay.neighbors import neighbors_within

NEIGHBORS = ("feature_neighbors", "feature_distances")
Arrays = tuple[np.ndarray, np.ndarray, np.ndarray]


@pytest.fixture
def arrays() -> Arrays:
    """Logits, labels (class 3 of 5 is empty, class 4 has two examples) and features with one triple point."""
    rng = np.random.default_rng(0)
    labels = np.array([4, 4, *rng.integers(0, 3, 38)])
    features = (rng.normal(size=(40, 6)) + labels[:, None] % 3 + 100).astype(np.float32)
    features[[9, 17]] = features[3]
    return rng.normal(size=(3, 40, 5)).astype(np.float32), labels, features


def distance_table(features: np.ndarray) -> np.ndarray:
    points = features.astype(np.float64)
    return np.array([[math.dist(a, b) for b in points] for a in points])


def loop_task_density(features: np.ndarray, k: int) -> np.ndarray:
    table = distance_table(features)
    others = [sorted(d for j, d in enumerate(row) if j != i) for i, row in enumerate(table)]
    return np.array([-row[min(k, len(row)) - 1] for row in others])


def loop_relative_density(features: np.ndarray, labels: np.ndarray, rank: int = 1) -> np.ndarray:
    table, classes = distance_table(features), sorted(set(labels.tolist()))
    result = []
    for i, label in enumerate(labels):
        nearest = {c: sorted(table[i, j] for j in range(len(labels)) if labels[j] == c and j != i) for c in classes}
        others = [nearest[c][min(rank, len(nearest[c])) - 1] for c in classes if c != label]
        result.append(sum(others) / len(others) - nearest[label][0] if nearest[label] else 0.0)
    return np.array(result)


def softmax(z: np.ndarray) -> np.ndarray:
    return np.exp(z) / np.exp(z).sum(axis=1, keepdims=True)


@pytest.mark.parametrize("k", [1, 5, 39, 60])
def test_task_density_equals_a_loop(arrays, k):
    table = static_measures(*arrays, k=k)
    np.testing.assert_allclose(table["task_density"], loop_task_density(arrays[2], k), rtol=1e-6)


def test_relative_density_equals_a_loop(arrays):
    table = static_measures(*arrays)
    np.testing.assert_allclose(table["relative_density"], loop_relative_density(arrays[2], arrays[1]), rtol=1e-5)


def test_densities_by_hand():
    features = np.array([[0.0], [1.0], [3.0], [7.0]])
    labels = np.array([0, 0, 1, 1])
    table = static_measures(np.zeros((4, 2)), labels, features, k=2)
    assert table["task_density"].tolist() == [-3, -2, -3, -6]
    assert table["relative_density"].tolist() == [3 - 1, 2 - 1, 2 - 4, 6 - 4]
    assert densities(features, labels, k=2)["class_density"].tolist() == [-1, -1, -4, -4]


def loop_class_density(features: np.ndarray, labels: np.ndarray, k: int) -> np.ndarray:
    table, result = distance_table(features), []
    for i, label in enumerate(labels):
        own = sorted(table[i, j] for j in range(len(labels)) if labels[j] == label and j != i)
        own = own or sorted(np.delete(table[i], i))
        result.append(-own[min(k, len(own)) - 1])
    return np.array(result)


@pytest.mark.parametrize("k", [1, 2, 5, 50])
@pytest.mark.parametrize("stored", [None, 1, 8, 39])
def test_class_density_equals_a_loop_whatever_neighbours_are_stored(arrays, k, stored):
    _, labels, features = arrays
    labels = np.append(labels[:-1], 7)  # one example alone in its class
    known = {} if stored is None else dict(zip(NEIGHBORS, neighbors_within(features, stored), strict=True))
    table = densities(features, labels, **known, k=k)
    np.testing.assert_allclose(table["class_density"], loop_class_density(features, labels, k), rtol=1e-6)


@pytest.mark.parametrize("stored", [1, 3, 4, 39])
def test_stored_distances_take_the_place_of_the_search(arrays, stored):
    _, distances = neighbors_within(arrays[2], stored)
    expected = static_measures(*arrays, k=4)
    assert static_measures(*arrays, feature_distances=distances, k=4).equals(expected)
    table = pretrained_measures(arrays[2], None, distances, k=4)
    assert table["semantic_density"].tolist() == expected["task_density"].tolist()
    shifted = static_measures(*arrays, feature_distances=distances + 1, k=4)["task_density"]
    np.testing.assert_allclose(shifted, expected["task_density"] - (stored >= 4), rtol=1e-6)
    with pytest.raises(DatassayError, match="neighbours of 39 rows, expected those of 40"):
        static_measures(*arrays, feature_distances=distances[1:])


def test_logit_measures_of_the_last_epoch(arrays):
    logits, labels, features = arrays
    p = softmax(logits[-1].astype(np.float64))
    table = static_measures(*arrays)
    np.testing.assert_allclose(table["confidence"], p[np.arange(40), labels], rtol=1e-12)
    np.testing.assert_allclose(table["entropy"], -(p * np.log(p)).sum(axis=1), rtol=1e-12)
    gradients = [np.outer(q - np.eye(5)[q.argmax()], phi) for q, phi in zip(p, features.astype(float), strict=True)]
    np.testing.assert_allclose(table["badge_norm"], [np.linalg.norm(g) for g in gradients], rtol=1e-12)
    assert static_measures(logits[-1], labels, features).equals(table)


def test_released_relative_density_takes_the_second_nearest_of_other_classes(arrays):
    released = static_measures(*arrays, variant="released")["relative_density"]
    np.testing.assert_allclose(released, loop_relative_density(arrays[2], arrays[1], rank=2), rtol=1e-5)
    assert not np.allclose(released, static_measures(*arrays)["relative_density"])


def test_released_badge_norm_multiplies_by_the_logits(arrays):
    logits, labels, _ = arrays
    z = logits[-1].astype(np.float64)
    expected = np.linalg.norm((softmax(z) - np.eye(5)[labels]) * z, axis=1)
    np.testing.assert_allclose(static_measures(*arrays, variant="released")["badge_norm"], expected, rtol=1e-12)


def test_equal_rows_are_at_distance_zero(arrays):
    logits, labels, features = arrays
    table = static_measures(*arrays, k=2)
    assert (table["task_density"][[3, 9, 17]] == 0).all()
    assert (np.delete(table["task_density"].to_numpy(), [3, 9, 17]) < -0.1).all()
    same = np.full_like(features, 1e3)
    everywhere = static_measures(logits, labels, same)
    assert (everywhere[["task_density", "relative_density"]] == 0).all(axis=None)
    assert np.isfinite(everywhere).all(axis=None)
    assert (densities(same, labels)["class_density"] == 0).all()
    assert np.isfinite(densities(same, labels)).all(axis=None)


def test_gaussian_density_equals_scipy(arrays):
    stats = pytest.importorskip("scipy.stats")
    x = arrays[2].astype(np.float64)
    for ridge in (1e-5, 0.5):
        covariance = np.cov(x.T, bias=True) + ridge * np.eye(6)
        expected = stats.multivariate_normal(x.mean(axis=0), covariance).logpdf(x)
        found = densities(arrays[2], arrays[1], ridge=ridge)["gaussian_density"]
        np.testing.assert_allclose(found, expected, rtol=1e-9)
    assert densities(arrays[2], arrays[1]).equals(densities(arrays[2], arrays[1], ridge=1e-5))


@pytest.mark.parametrize("variance, kept", [(0.9, 2), (0.99, 3)])
def test_ppca_equals_the_density_of_its_covariance(variance, kept):
    stats = pytest.importorskip("scipy.stats")
    rng = np.random.default_rng(0)
    x = rng.normal(size=(200, 6)) * [10, 5, 3, 0.4, 0.3, 0.2] @ np.linalg.qr(rng.normal(size=(6, 6)))[0] + 3
    values, vectors = np.linalg.eigh(np.cov(x.T, bias=True))
    assert values[-kept:].sum() / values.sum() >= variance > values[-kept + 1 :].sum() / values.sum()
    values[:-kept] = values[:-kept].mean()
    expected = stats.multivariate_normal(x.mean(axis=0), vectors * values @ vectors.T).logpdf(x)
    np.testing.assert_allclose(ppca_log_likelihood(x, variance), expected / 6, rtol=1e-9)
    table = densities(x, np.arange(200) % 2, variance=variance)
    np.testing.assert_allclose(table["ppca_density"], expected, rtol=1e-9)


def test_ppca_density_of_a_kept_share_equals_scikit_learn():
    from sklearn.decomposition import PCA

    x = np.random.default_rng(3).normal(size=(300, 5)) * [4, 2, 1, 0.5, 0.4]
    model = PCA(n_components=0.9, svd_solver="full").fit(x)
    # scikit-learn divides by n - 1, so its model is fitted to rows that are spread a little wider
    wider = x.mean(axis=0) + (x - x.mean(axis=0)) * np.sqrt(300 / 299)
    found = densities(x, np.zeros(300, dtype=int), variance=0.9)["ppca_density"]
    np.testing.assert_allclose(found, model.score_samples(wider) + 2.5 * np.log(300 / 299), rtol=1e-9)


def test_gaussian_models_of_blocks_are_those_of_all_rows(monkeypatch, tmp_path):
    from datassay.measures import _density

    x = np.random.default_rng(4).normal(size=(100, 5)).astype(np.float32) * [4, 2, 1, 0.5, 0.4] + 7
    expected = _density.gaussian_log_density(x), ppca_log_likelihood(x)
    np.save(tmp_path / "x.npy", x)
    monkeypatch.setattr(_density, "BLOCK_ROWS", 7)
    mapped = np.load(tmp_path / "x.npy", mmap_mode="r")
    np.testing.assert_allclose(_density.gaussian_log_density(mapped), expected[0], rtol=1e-9)
    np.testing.assert_allclose(ppca_log_likelihood(mapped), expected[1], rtol=1e-9)


def test_ppca_of_degenerate_features_is_finite():
    line = np.arange(5.0)[:, None] * np.ones(8)
    for x in (line, np.ones((4, 8)), line[:1], np.eye(3, 500)):
        assert np.isfinite(ppca_log_likelihood(x)).all()
    assert ppca_log_likelihood(line).argmax() == 2


def test_class_density_falls_back_on_any_class_for_an_example_alone_in_its_class():
    features = np.array([[0.0], [1.0], [5.0]])
    labels = np.array([0, 0, 1])
    assert densities(features, labels, k=2)["class_density"].tolist() == [-1, -1, -5]
    table = static_measures(np.zeros((3, 2)), labels, features, k=2)
    assert table["relative_density"].tolist() == [5 - 1, 4 - 1, 0]


def test_one_class_and_one_example(arrays):
    logits, _, features = arrays
    table = static_measures(logits, np.zeros(40, dtype=int), features)
    assert "relative_density" not in table and "2 classes" in table.attrs["absent"]["relative_density"]
    single = static_measures(logits[:, :1], np.array([2]), features[:1])
    assert set(single.attrs["absent"]) == {"task_density", "relative_density"}
    assert np.isfinite(single).all(axis=None) and len(single) == 1
    assert np.isfinite(densities(features[:1], np.array([2]))).all(axis=None)
    pair = static_measures(logits[:, :2], np.array([2, 0]), features[:2])
    assert np.isfinite(pair).all(axis=None) and pair.attrs["absent"] == {}


def test_rows_move_with_their_examples(arrays):
    logits, labels, features = arrays
    order = np.random.default_rng(1).permutation(40)
    expected = static_measures(*arrays).iloc[order]
    found = static_measures(logits[:, order], labels[order], features[order])
    np.testing.assert_allclose(found, expected, rtol=1e-6, atol=1e-12)
    found = densities(features[order], labels[order])
    np.testing.assert_allclose(found, densities(features, labels).iloc[order], rtol=1e-6, atol=1e-12)


@pytest.mark.parametrize(
    "change, options, message",
    [
        (lambda z, y, x: (z, y, x[1:]), {}, r"features: .*expected floating point \[40, width\]"),
        (lambda z, y, x: (z, y, np.where(np.arange(40)[:, None] == 5, np.inf, x)), {}, "features: row 5 holds inf"),
        (lambda z, y, x: (z, y, x.astype(int)), {}, "features: int64"),
        (lambda z, y, x: (z, y + 3, x), {}, "labels: row 0 is 7, allowed are 0 to 4"),
        (lambda z, y, x: (z[:0], y, x), {}, "no epoch was recorded"),
        (lambda z, y, x: (z, y, x), {"k": 0}, "k: 0, allowed are 1 or more"),
        (lambda z, y, x: (z, y, x), {"variant": "other"}, "allowed: ours, released"),
    ],
)
def test_refused_inputs(arrays, change, options, message):
    with pytest.raises(DatassayError, match=message):
        static_measures(*change(*arrays), **options)


@pytest.mark.parametrize(
    "options, message",
    [
        ({"k": 0}, "k: 0, allowed are 1 or more"),
        ({"ridge": 0.0}, "ridge: 0.0, allowed are numbers above 0"),
        ({"variance": 1.5}, "variance: 1.5, allowed are shares above 0, up to 1"),
        ({"labels": np.zeros(39, dtype=int)}, r"labels: shape \(39,\), expected \(40,\)"),
        ({"features": np.full((40, 2), np.nan)}, "features: row 0 holds nan"),
    ],
)
def test_refused_inputs_of_densities(arrays, options, message):
    with pytest.raises(DatassayError, match=message):
        densities(**{"features": arrays[2], "labels": arrays[1]} | options)


def test_semantic_density_and_log_likelihood(arrays):
    embeddings = arrays[2] / np.linalg.norm(arrays[2], axis=1, keepdims=True)
    table = pretrained_measures(embeddings)
    np.testing.assert_allclose(table["semantic_density"], loop_task_density(embeddings, 5), rtol=1e-5)
    assert table.attrs["absent"] == {
        "pseudo_log_likelihood": "no language model configured (meta_information.language_model)"
    }
    likelihood = np.linspace(-3, -1, 40, dtype=np.float32)
    table = pretrained_measures(embeddings, likelihood)
    np.testing.assert_array_equal(table["pseudo_log_likelihood"], likelihood)
    assert table.attrs["absent"] == {}
    assert set(pretrained_measures(embeddings[:1]).attrs["absent"]) == {"semantic_density", "pseudo_log_likelihood"}


@pytest.mark.parametrize(
    "likelihood, message",
    [
        (np.zeros(39), r"log_likelihood: float64 of shape \(39,\), expected floating point \(40,\)"),
        (np.zeros(40, dtype=int), "log_likelihood: int64"),
        (np.where(np.arange(40) == 8, np.nan, 0), "log_likelihood: row 8 holds nan"),
    ],
)
def test_refused_log_likelihood(arrays, likelihood, message):
    with pytest.raises(DatassayError, match=message):
        pretrained_measures(arrays[2], likelihood)
