"""Static and pretrained measures against hand-computed cases, full distance tables and SciPy."""

import math

import numpy as np
import pytest

from datassay.errors import DatassayError
from datassay.measures import ppca_log_likelihood, pretrained_measures, static_measures
from datassay.measures.static import EXTRA_DENSITIES

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
    table = static_measures(np.zeros((4, 2)), labels, features, k=2, extra_densities=["class_density"])
    assert table["task_density"].tolist() == [-3, -2, -3, -6]
    assert table["relative_density"].tolist() == [3 - 1, 2 - 1, 2 - 4, 6 - 4]
    assert table["class_density"].tolist() == [-1, -1, -4, -4]


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
    everywhere = static_measures(logits, labels, np.full_like(features, 1e3), extra_densities=EXTRA_DENSITIES)
    assert (everywhere[["task_density", "relative_density", "class_density"]] == 0).all(axis=None)
    assert np.isfinite(everywhere).all(axis=None)


def test_gaussian_density_equals_scipy(arrays):
    stats = pytest.importorskip("scipy.stats")
    x = arrays[2].astype(np.float64)
    covariance = np.cov(x.T, bias=True) + 1e-5 * np.eye(6)
    expected = stats.multivariate_normal(x.mean(axis=0), covariance).logpdf(x)
    found = static_measures(*arrays, extra_densities=["gaussian_density"])["gaussian_density"]
    np.testing.assert_allclose(found, expected, rtol=1e-9)


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
    table = static_measures(np.zeros((200, 2)), np.arange(200) % 2, x, extra_densities=["ppca_density"])
    if variance == 0.99:
        np.testing.assert_allclose(table["ppca_density"], expected, rtol=1e-9)


def test_ppca_of_degenerate_features_is_finite():
    line = np.arange(5.0)[:, None] * np.ones(8)
    for x in (line, np.ones((4, 8)), line[:1], np.eye(3, 500)):
        assert np.isfinite(ppca_log_likelihood(x)).all()
    assert ppca_log_likelihood(line).argmax() == 2


def test_class_density_falls_back_on_any_class_for_an_example_alone_in_its_class():
    features = np.array([[0.0], [1.0], [5.0]])
    table = static_measures(np.zeros((3, 2)), np.array([0, 0, 1]), features, k=2, extra_densities=["class_density"])
    assert table["class_density"].tolist() == [-1, -1, -5]
    assert table["relative_density"].tolist() == [5 - 1, 4 - 1, 0]


def test_one_class_and_one_example(arrays):
    logits, _, features = arrays
    table = static_measures(logits, np.zeros(40, dtype=int), features)
    assert "relative_density" not in table and "2 classes" in table.attrs["absent"]["relative_density"]
    single = static_measures(logits[:, :1], np.array([2]), features[:1], extra_densities=EXTRA_DENSITIES)
    assert set(single.attrs["absent"]) == {"task_density", "relative_density"}
    assert np.isfinite(single).all(axis=None) and len(single) == 1
    pair = static_measures(logits[:, :2], np.array([2, 0]), features[:2])
    assert np.isfinite(pair).all(axis=None) and pair.attrs["absent"] == {}


def test_rows_move_with_their_examples(arrays):
    logits, labels, features = arrays
    order = np.random.default_rng(1).permutation(40)
    expected = static_measures(*arrays, extra_densities=EXTRA_DENSITIES).iloc[order].reset_index(drop=True)
    found = static_measures(logits[:, order], labels[order], features[order], extra_densities=EXTRA_DENSITIES)
    np.testing.assert_allclose(found, expected, rtol=1e-6, atol=1e-12)


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
        (lambda z, y, x: (z, y, x), {"extra_densities": ["ppca_densty"]}, "did you mean 'ppca_density'"),
    ],
)
def test_refused_inputs(arrays, change, options, message):
    with pytest.raises(DatassayError, match=message):
        static_measures(*change(*arrays), **options)


def test_semantic_density_and_log_likelihood(arrays):
    embeddings = arrays[2] / np.linalg.norm(arrays[2], axis=1, keepdims=True)
    table = pretrained_measures(embeddings)
    np.testing.assert_allclose(table["semantic_density"], loop_task_density(embeddings, 5), rtol=1e-5)
    assert table.attrs["absent"] == {
        "pseudo_log_likelihood": "no masked language model configured (meta_information.language_model)"
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
