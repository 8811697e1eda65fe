"""Games on features: one row more by algebra must equal a fit from scratch, by scikit-learn."""

import numpy as np
import pytest

from datassay.errors import DatassayError
from datassay.valuation import feature_game, loo

UTILITIES = ["knn", "logistic", "ridge"]


def problem(n=60, v=40, d=6, classes=3, seed=0, noise=0.1):
    rng = np.random.default_rng(seed)
    y = rng.integers(0, classes, n + v)
    x = rng.normal(size=(n + v, d)) + rng.normal(size=(classes, d))[y]
    y = np.where(rng.random(n + v) < noise, rng.integers(0, classes, n + v), y)
    return x[:n], y[:n], x[n:], y[n:]


def from_scratch(utility, rows, train_x, train_y, valid_x, valid_y, k=10, penalty=1.0):
    """Utility of some rows by its definition."""
    from sklearn.linear_model import LogisticRegression, RidgeClassifier
    from sklearn.neighbors import NearestNeighbors

    x, y = train_x[rows], train_y[rows]
    if utility == "knn":
        _, ids = NearestNeighbors(n_neighbors=min(k, len(x))).fit(x).kneighbors(valid_x)
        return (y[ids] == valid_y[:, None]).sum() / (k * len(valid_y))
    if len(np.unique(y)) == 1:
        return np.mean(valid_y == y[0])
    model = {
        "ridge": RidgeClassifier(alpha=penalty),
        "logistic": LogisticRegression(C=1 / penalty, tol=1e-8, max_iter=5000),
    }[utility].fit(x, y)
    return model.score(valid_x, valid_y)


@pytest.mark.parametrize("utility", UTILITIES)
@pytest.mark.parametrize(("classes", "d", "penalty"), [(2, 5, 1.0), (2, 90, 0.3), (3, 6, 1.0), (6, 30, 5.0)])
def test_walks_and_coalitions_equal_scikit_learn(utility, classes, d, penalty):
    data = problem(d=d, classes=classes, seed=d)
    game = feature_game(*data, utility=utility, k=4, penalty=penalty)
    order = np.random.default_rng(1).permutation(60)
    walked = list(game.walk(order))
    for size in (1, 2, 3, 5, 9, 20, 41, 60):
        expected = from_scratch(utility, order[:size], *data, k=4, penalty=penalty)
        assert walked[size - 1] == pytest.approx(expected, abs=1e-9), size
        assert game(order[:size]) == pytest.approx(expected, abs=1e-9), size
    assert game.full == pytest.approx(walked[-1], abs=1e-9)


@pytest.mark.parametrize("utility", UTILITIES)
def test_a_walk_may_start_from_a_coalition(utility):
    game = feature_game(*problem(), utility=utility)
    order = np.random.default_rng(2).permutation(60)
    whole = np.array(list(game.profiles(order)))
    for size in (1, 7, 30):
        rest = np.array(list(game.profiles(order[size:], order[:size])))
        np.testing.assert_allclose(rest, whole[size:], atol=1e-12)
    np.testing.assert_allclose(game.profile(order[:30]), whole[29], atol=1e-12)
    assert (whole >= 0).all() and whole.shape == (60, 3)


@pytest.mark.parametrize("utility", UTILITIES)
def test_leave_one_out_equals_a_fit_without_the_row(utility):
    data = problem(n=30)
    expected = np.array([from_scratch(utility, np.delete(np.arange(30), j), *data) for j in range(30)])
    full = from_scratch(utility, np.arange(30), *data)
    np.testing.assert_allclose(loo(*data, utility=utility).value, full - expected, atol=1e-9)


@pytest.mark.parametrize("utility", UTILITIES)
def test_leave_one_out_at_the_edges(utility):
    train_x, _, valid_x, _ = problem(n=4)
    valid_y = np.array([0, 1] * 20)
    lone = loo(train_x, np.array([0, 0, 0, 1]), valid_x, valid_y, utility=utility)
    expected = feature_game(train_x[:3], np.zeros(3, int), valid_x, valid_y, utility=utility).full
    game = feature_game(train_x, np.array([0, 0, 0, 1]), valid_x, valid_y, utility=utility)
    assert lone.value[3] == pytest.approx(game.full - expected)
    one = feature_game(train_x[:1], np.array([0]), valid_x, valid_y, utility=utility)
    np.testing.assert_allclose(one.without_each(), one.empty)
    few = loo(train_x, np.array([0, 1, 1, 0]), valid_x, valid_y, utility="knn", k=9)
    np.testing.assert_allclose(few.value, 1 / 18)


@pytest.mark.parametrize("utility", UTILITIES)
def test_no_rows_and_one_class(utility):
    train_x, train_y, valid_x, _ = problem(classes=3)
    valid_y = np.array([2] * 20 + [0] * 15 + [1] * 5)
    game = feature_game(train_x, train_y, valid_x, valid_y, utility=utility, k=2)
    assert game.empty == game(np.zeros(0, dtype=int)) == (0 if utility == "knn" else 0.5)
    ones = np.flatnonzero(train_y == 1)
    expected = 5 / 40
    assert game(ones) == pytest.approx(expected)
    assert list(game.walk(ones))[2:] == pytest.approx([expected] * (len(ones) - 2))
    np.testing.assert_allclose(game.profile(ones), [0, expected, 0])


def test_classes_may_come_late_and_in_blocks():
    data = problem(n=80, classes=4, d=5, seed=4)
    order = np.argsort(data[1], kind="stable")[::-1]
    for utility in ("logistic", "ridge"):
        game = feature_game(*data, utility=utility)
        walked = list(game.walk(order))
        for size in range(1, 81, 6):
            assert walked[size - 1] == pytest.approx(from_scratch(utility, order[:size], *data), abs=1e-9)


def test_the_ties_of_the_nearest_go_by_row():
    train_x = np.zeros((6, 2))
    game = feature_game(train_x, np.array([0, 1, 0, 1, 0, 1]), np.zeros((1, 2)), np.array([1]), utility="knn", k=2)
    assert game(np.array([5, 0, 2])) == 0
    assert game(np.array([5, 1, 2])) == 0.5
    assert list(game.walk(np.array([4, 3, 1]))) == [0, 0.5, 1.0]


def test_a_long_walk_keeps_its_precision():
    data = problem(n=700, v=60, d=20, classes=3, seed=9)
    order = np.random.default_rng(0).permutation(700)
    for utility in ("logistic", "ridge"):
        game = feature_game(*data, utility=utility)
        fit = game.fit(order[:2])
        for row in order[2:]:
            fit.add(row)
        again = game.fit(np.sort(order))
        ours, theirs = (f.class_weights() if utility == "logistic" else f.weights for f in (fit, again))
        columns = [fit.present.index(c) for c in again.present] if utility == "logistic" else slice(None)
        np.testing.assert_allclose(ours[:, columns], theirs, atol=5e-4 if utility == "logistic" else 1e-9)


def test_logistic_weights_are_those_of_scikit_learn():
    from sklearn.linear_model import LogisticRegression

    for classes in (2, 4):
        x, y, valid_x, valid_y = problem(n=200, classes=classes)
        model = LogisticRegression(tol=1e-10, max_iter=10_000).fit(x, y)
        ours = feature_game(x, y, valid_x, valid_y).weights
        theirs = np.column_stack([model.coef_, model.intercept_]).T
        if classes == 2:
            np.testing.assert_allclose(ours[:, 1:] - ours[:, :1], theirs, atol=2e-3)
        else:
            np.testing.assert_allclose(ours - ours.mean(axis=1, keepdims=True), theirs - theirs.mean(axis=1, keepdims=True), atol=2e-3)  # fmt: skip


def test_text_labels_other_types_and_classes_without_train_rows():
    train_x, train_y, valid_x, valid_y = problem()
    names = np.array(["ant", "bee", "cow"])
    for utility in UTILITIES:
        expected = feature_game(train_x, train_y, valid_x, valid_y, utility=utility).full
        named = feature_game(np.float32(train_x), names[train_y], valid_x, names[valid_y], utility=utility)
        assert named.full == pytest.approx(expected, abs=0.03)
        strange = feature_game(train_x, train_y, valid_x, np.where(valid_y == 0, 7, valid_y), utility=utility)
        assert strange.full <= np.mean(valid_y != 0)


def test_evaluations_are_counted():
    for utility in UTILITIES:
        game = feature_game(*problem(), utility=utility)
        assert game.full > 0 and game.evaluations == 0
        list(game.walk(np.arange(17)))
        game(np.arange(5))
        assert game.evaluations == 18


def test_a_penalty_too_small_for_updates_is_refused():
    train_x, train_y, valid_x, valid_y = problem()
    feature_game(1000 * train_x, train_y, valid_x, valid_y, utility="ridge", penalty=50.0)
    feature_game(1000 * train_x, train_y, valid_x, valid_y, utility="logistic", penalty=0.1)
    with pytest.raises(DatassayError, match=r"penalty = 0.1: below 1e-06 of the mean squared length .*not exact"):
        feature_game(1000 * train_x, train_y, valid_x, valid_y, utility="ridge", penalty=0.1)


def test_bad_arrays_are_named():
    train_x, train_y, valid_x, valid_y = problem()
    train_x[3, 1] = np.nan
    for utility in UTILITIES:
        with pytest.raises(DatassayError, match="train_x: row 3 holds"):
            feature_game(train_x, train_y, valid_x, valid_y, utility=utility)
        with pytest.raises(DatassayError, match="valid_x: no rows"):
            feature_game(valid_x, valid_y, valid_x[:0], valid_y[:0], utility=utility)
