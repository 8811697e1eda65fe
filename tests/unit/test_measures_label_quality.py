"""Label quality: confident learning by hand, honest held-out predictions, and detection of real injected noise."""

import numpy as np
import pytest

from datassay.errors import DatassayError, NotApplicable
from datassay.measures import confident_learning, label_quality, out_of_sample_probabilities
from datassay.measures.label_issues import _content_groups, _folds


@pytest.fixture(scope="module")
def digits() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Real scans, given labels with 10 % symmetric noise, true labels."""
    from sklearn.datasets import load_digits

    features, true = load_digits(return_X_y=True)
    features, true = features[:600].astype(np.float32), true[:600]
    rng = np.random.default_rng(0)
    given = true.copy()
    rows = rng.choice(600, 60, replace=False)
    given[rows] = (true[rows] + rng.integers(1, 10, 60)) % 10
    return features, given, true


def test_confident_learning_by_hand():
    # thresholds: class 0 mean(.9, .6, .2) = .5667, class 1 mean(.8, .7, .45) = .65
    probabilities = np.array([[0.9, 0.1], [0.6, 0.4], [0.2, 0.8], [0.2, 0.8], [0.3, 0.7], [0.55, 0.45]])
    flagged, suggested = confident_learning(np.array([0, 0, 0, 1, 1, 1]), probabilities)
    # row 5 is predicted 0, but not confidently
    assert flagged.tolist() == [False, False, True, False, False, False]
    assert suggested.tolist() == [0, 0, 1, 1, 1, 1]


def test_confident_class_that_is_not_the_prediction_does_not_flag():
    # thresholds .75 and .3: the only confident class of row 0 is 1, but the prediction agrees with the label
    probabilities = np.array([[0.6, 0.4], [0.9, 0.1], [0.7, 0.3]])
    flagged, _ = confident_learning(np.array([0, 0, 1]), probabilities)
    assert flagged.tolist() == [False, False, False]


def test_a_class_without_support_is_never_suggested():
    probabilities = np.array([[0.4, 0.6, 0.0], [0.7, 0.3, 0.0], [0.2, 0.8, 0.0]])
    _, suggested = confident_learning(np.array([0, 0, 1]), probabilities)
    assert 2 not in suggested


def test_scores_follow_from_the_probabilities(digits):
    features, given, _ = digits
    p = out_of_sample_probabilities(given, features)
    np.testing.assert_allclose(p.sum(axis=1), 1)
    table = label_quality(given, features)
    for i in range(0, 600, 37):
        others = [p[i, c] for c in range(10) if c != given[i]]
        assert table["self_confidence"][i] == p[i, given[i]]
        assert table["normalised_margin"][i] == pytest.approx((p[i, given[i]] - max(others) + 1) / 2)
    flagged, suggested = confident_learning(given, p)
    np.testing.assert_array_equal(table["likely_mislabelled"], flagged)
    np.testing.assert_array_equal(table["suggested_label"], suggested)
    assert (suggested[~flagged] == given[~flagged]).all() and (suggested[flagged] != given[flagged]).all()


def test_injected_noise_is_found(digits):
    from sklearn.metrics import roc_auc_score

    features, given, true = digits
    table = label_quality(given, features)
    wrong = given != true
    flagged = table["likely_mislabelled"].to_numpy()
    assert roc_auc_score(wrong, -table["self_confidence"]) > 0.97
    assert roc_auc_score(wrong, -table["normalised_margin"]) > 0.97
    assert wrong[flagged].mean() > 0.75 and flagged[wrong].mean() > 0.5
    assert (table["suggested_label"][flagged] == true[flagged]).mean() > 0.75


def test_predictions_are_held_out():
    # labels that have nothing to do with the features: a model that saw them would do far better than chance
    rng = np.random.default_rng(0)
    features, labels = rng.normal(size=(200, 150)), rng.integers(0, 2, 200)
    p = out_of_sample_probabilities(labels, features, strength=1.0)
    assert abs((p.argmax(axis=1) == labels).mean() - 0.5) < 0.12


def test_folds_are_stratified_and_keep_equal_rows_together():
    rng = np.random.default_rng(0)
    features, labels = rng.normal(size=(103, 3)), np.sort(rng.integers(0, 3, 103))
    features[90:] = features[:13]
    fold = _folds(labels, _content_groups(features, 0), 5)
    np.testing.assert_array_equal(fold[90:], fold[:13])
    for label in range(2):
        sizes = np.bincount(fold[:90][labels[:90] == label], minlength=5)
        assert sizes.max() - sizes.min() <= 1
    assert (fold != _folds(labels, _content_groups(features, 1), 5)).any()


def test_rows_move_with_their_examples_and_runs_repeat(digits):
    features, given, _ = digits
    order = np.random.default_rng(1).permutation(600)
    table = label_quality(given, features)
    assert label_quality(given, features).equals(table)
    assert label_quality(given[order], features[order]).equals(table.iloc[order].reset_index(drop=True))


def test_space_chooses_the_array(digits):
    features, given, _ = digits
    blind = np.random.default_rng(0).normal(size=(600, 4))
    assert label_quality(given, blind, features, space="embeddings").equals(label_quality(given, features))
    with pytest.raises(DatassayError, match="embeddings"):
        label_quality(given, features, space="embeddings")
    with pytest.raises(DatassayError, match="allowed: features, embeddings"):
        label_quality(given, features, space="pixels")


def test_rare_classes(digits):
    features, given, _ = digits
    rare = given % 9
    rare[[5, 6]] = 10  # two examples, five folds; class 9 is empty
    table = label_quality(rare, features)
    assert np.isfinite(table.to_numpy(dtype=float)).all() and not (table["suggested_label"] == 9).any()


@pytest.mark.parametrize(
    "labels, reason",
    [([0] * 6, "at least 2 classes"), ([0, 0, 0, 0, 0, 1], "class 1 has fewer than 2"), ([1] * 4 + [0] * 2, "class 0")],
)
def test_not_applicable(labels, reason):
    features = np.random.default_rng(0).normal(size=(6, 3))
    features[5] = features[4]  # the last pair is one distinct example
    with pytest.raises(NotApplicable, match=reason):
        label_quality(np.array(labels), features)


def test_two_distinct_examples_of_each_class_are_enough():
    features = np.array([[0.0, 7.0], [0.1, 7.0], [5.0, 7.0], [5.1, 7.0]])
    table = label_quality(np.array([0, 0, 1, 1]), features)
    assert np.isfinite(table.to_numpy(dtype=float)).all()


@pytest.mark.parametrize(
    "change, options, message",
    [
        (lambda y, x: (y[:-1], x), {}, "labels: shape"),
        (lambda y, x: (y - 1, x), {}, "labels: row 0 is -1, allowed are 0 or more"),
        (lambda y, x: (y, np.where(x == x[3, 1], np.nan, x)), {}, "features: row 3 holds nan"),
        (lambda y, x: (y, x), {"folds": 1}, "folds: 1"),
        (lambda y, x: (y, x), {"strength": 0.0}, "strength: 0.0"),
    ],
)
def test_refused_inputs(change, options, message):
    x, y = np.random.default_rng(0).normal(size=(8, 3)), np.arange(8) % 2
    with pytest.raises(DatassayError, match=message):
        label_quality(*change(y, x), **options)
