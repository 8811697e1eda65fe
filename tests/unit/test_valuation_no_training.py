"""Data-OOB against learners fitted one by one, LAVA and its transport against linear programs."""

import numpy as np
import pytest
from scipy.optimize import linprog

from datassay.errors import DatassayError
from datassay.randomness import generator
from datassay.valuation import _transport
from datassay.valuation._transport import sinkhorn
from datassay.valuation.data_oob import data_oob
from datassay.valuation.lava import class_distances, lava


def problem(n=90, v=40, d=5, classes=3, seed=0, noise=0.0):
    rng = np.random.default_rng(seed)
    centres = 2.5 * rng.normal(size=(classes, d))
    y = rng.integers(0, classes, n + v)
    x = (centres[y] + rng.normal(size=(n + v, d))).astype(np.float32)
    wrong = rng.random(n) < noise
    return (x[:n], np.where(wrong, (y[:n] + 1) % classes, y[:n]), x[n:], y[n:]), wrong


def bag(b, n, seed=0):
    """The rows of a bootstrap sample and its stream, as the estimator draws them."""
    rng = generator(seed, "data_oob", b)
    return rng.integers(0, n, n), rng


def assert_shares(found, votes):
    """votes [bags, N]: 1 right, 0 wrong, NaN in the bag."""
    values, errors = found
    count = np.isfinite(votes).sum(axis=0)
    np.testing.assert_allclose(values, np.nanmean(votes, axis=0), atol=1e-12)
    np.testing.assert_allclose(errors, np.nanstd(votes, axis=0, ddof=1) / np.sqrt(count), atol=1e-12)


def test_trees_equal_trees_fitted_one_by_one():
    from sklearn.tree import DecisionTreeClassifier

    (x, y, *valid), _ = problem()
    votes = np.full((30, len(x)), np.nan)
    for b in range(30):
        rows, rng = bag(b, len(x))
        counts = np.bincount(rows, minlength=len(x))
        tree = DecisionTreeClassifier(max_features="sqrt", random_state=int(rng.integers(2**31)))
        tree.fit(x[counts > 0], y[counts > 0], sample_weight=counts[counts > 0])
        votes[b, counts == 0] = tree.predict(x[counts == 0]) == y[counts == 0]
    assert_shares(data_oob(x, y, *valid, bags=30), votes)


def test_ridge_equals_ridge_fitted_on_the_repeated_rows():
    from sklearn.linear_model import Ridge

    (x, y, *valid), _ = problem(n=60)
    votes = np.full((40, len(x)), np.nan)
    for b in range(40):
        rows, _ = bag(b, len(x))
        out = np.setdiff1d(np.arange(len(x)), rows)
        penalty = 0.5 * x[rows].astype(float).var(axis=0).mean() * len(rows)
        model = Ridge(alpha=penalty).fit(x[rows].astype(float), np.eye(3)[y[rows]])
        votes[b, out] = model.predict(x[out].astype(float)).argmax(axis=1) == y[out]
    assert_shares(data_oob(x, y, *valid, learner="ridge", bags=40, penalty=0.5), votes)


@pytest.mark.parametrize("learner", ["tree", "ridge"])
def test_wrong_labels_are_outvoted_whatever_the_threads(learner, monkeypatch):
    data, wrong = problem(noise=0.15)
    values, errors = data_oob(*data, learner=learner, bags=60)
    assert (values[wrong][:, None] < values[~wrong]).mean() > 0.95
    assert ((values >= 0) & (values <= 1) & (errors >= 0)).all()
    monkeypatch.setenv("OMP_NUM_THREADS", "3")
    np.testing.assert_array_equal(data_oob(*data, learner=learner, bags=60)[0], values)


@pytest.mark.parametrize("learner", ["tree", "ridge"])
def test_one_class_and_constant_columns(learner):
    ones = np.ones((6, 2), dtype=np.float32)
    values, _ = data_oob(ones, np.zeros(6, int), ones, np.zeros(6, int), learner=learner, bags=50)
    np.testing.assert_array_equal(values, 1)


@pytest.mark.parametrize(
    ("options", "rows", "message"),
    [
        ({}, 1, "row 0 of 1 was left out by 0 of 300 bags"),
        ({"bags": 1}, 9, "raise bags"),
        ({"bags": 0}, 9, "bags = 0"),
        ({"learner": "trees"}, 9, "did you mean 'tree'"),
        ({"penalty": 0.0}, 9, "penalty = 0.0"),
    ],
)
def test_bad_input_of_data_oob_is_named(options, rows, message):
    (x, y, *valid), _ = problem(n=9)
    with pytest.raises(DatassayError, match=message):
        data_oob(x[:rows], y[:rows], *valid, **options)


def squared(left, right):
    return ((left[:, None] - right) ** 2).sum(axis=2)


def exact_transport(cost):
    """Cost and row potentials of mean 0 of the linear program between equal masses."""
    n, m = cost.shape
    sums = np.zeros((n + m, n * m))
    for i in range(n):
        sums[i, i * m : (i + 1) * m] = 1
    for j in range(m):
        sums[n + j, j::m] = 1
    masses = np.concatenate([np.full(n, 1 / n), np.full(m, 1 / m)])
    found = linprog(cost.ravel(), A_eq=sums, b_eq=masses, method="highs")
    f = found.eqlin.marginals[:n]
    return found.fun, f - f.mean()


@pytest.mark.parametrize(("n", "m"), [(7, 5), (11, 8), (1, 4), (4, 1)])
def test_transport_equals_the_linear_program(n, m):
    rng = np.random.default_rng(n)
    cost = squared(rng.normal(size=(n, 3)), rng.normal(size=(m, 3)))
    found = sinkhorn(lambda a, b: cost[a:b], n, np.full(m, 1 / m), 0.002, iterations=100_000)
    value, f = exact_transport(cost)
    assert found.error < 1e-6
    assert found.cost == pytest.approx(value, abs=0.01)
    np.testing.assert_allclose(found.f, f, atol=0.02)


def test_potentials_are_the_gradient_of_the_entropic_minimum():
    """Dual value after moving mass from row 1 to row 0, by potentials that hold for the moved masses."""
    rng = np.random.default_rng(0)
    cost = squared(rng.normal(size=(6, 2)), rng.normal(size=(4, 2)))
    epsilon = 0.3

    def minimum(a):
        f, g = np.zeros(6), np.zeros(4)
        for _ in range(3000):
            g = -epsilon * np.log((a[:, None] * np.exp((f[:, None] - cost) / epsilon)).sum(axis=0))
            f = -epsilon * np.log((np.exp((g - cost) / epsilon) / 4).sum(axis=1))
        return f @ a + g.mean()

    step = np.array([1, -1, 0, 0, 0, 0]) * 1e-4
    slope = (minimum(np.full(6, 1 / 6) + step) - minimum(np.full(6, 1 / 6) - step)) / 2e-4
    found = sinkhorn(lambda a, b: cost[a:b], 6, np.full(4, 0.25), epsilon, tolerance=1e-12)
    assert found.f[0] - found.f[1] == pytest.approx(slope, abs=1e-6)


def test_blocks_and_absorption_do_not_matter(monkeypatch):
    rng = np.random.default_rng(1)
    cost = squared(rng.normal(size=(30, 3)), rng.normal(size=(17, 3)) + 2)

    def solve():
        return sinkhorn(lambda a, b: cost[a:b], 30, np.full(17, 1 / 17), 0.05, iterations=5000)

    plain = solve()
    monkeypatch.setattr(_transport, "BLOCK_CELLS", 60)
    monkeypatch.setattr(_transport, "MOST_CELLS", 0)
    monkeypatch.setattr(_transport, "LARGEST_LOG", 0.1)
    blocked = solve()
    np.testing.assert_allclose(blocked.f, plain.f, atol=1e-5)
    assert blocked.cost == pytest.approx(plain.cost, abs=1e-6)


def test_a_transport_that_does_not_settle_is_said(caplog):
    cost = squared(np.arange(9.0)[:, None], np.arange(7.0)[:, None])
    with caplog.at_level("WARNING"):
        found = sinkhorn(lambda a, b: cost[a:b], 9, np.full(7, 1 / 7), 0.001, iterations=2)
    assert found.error > 1e-6 and "after 2 iterations" in caplog.text


def test_class_distances_equal_the_linear_programs():
    (x, y, vx, vy), _ = problem(n=21, v=13, d=2, seed=3)
    found = class_distances(x.astype(float), y, vx.astype(float), vy, 0.002, 50_000)
    for own in range(3):
        for other in range(3):
            expected, _ = exact_transport(squared(x[y == own].astype(float), vx[vy == other].astype(float)))
            assert found[own, other] == pytest.approx(expected, rel=0.01, abs=0.02)


def test_values_are_the_calibrated_gradient_of_the_linear_program():
    (x, y, vx, vy), _ = problem(n=11, v=8, d=2, seed=5)
    classes = class_distances(x.astype(float), y, vx.astype(float), vy, 0.002, 50_000)
    cost = squared(x.astype(float), vx.astype(float)) + 0.7 * classes[y][:, vy]
    _, f = exact_transport(cost)
    expected = [(f.sum() - f[i]) / 10 - f[i] for i in range(11)]
    values, errors = lava(x, y, vx, vy, label_weight=0.7, regularisation=0.002, iterations=50_000)
    np.testing.assert_allclose(values, expected, atol=0.1 * np.abs(expected).max())
    assert values.sum() == pytest.approx(0, abs=1e-9) and (errors == 0).all()


def test_wrong_labels_and_strangers_have_low_values():
    data, wrong = problem(n=200, v=100, noise=0.1)
    values, _ = lava(*data, match_classes=True)
    assert (values[wrong][:, None] < values[~wrong]).mean() > 0.9
    strange = data[0].copy()
    strange[7] += 30
    assert lava(strange, *data[1:])[0].argmin() == 7


def test_matched_classes_count_as_often_as_in_the_train_split():
    """Valuation rows repeated per class change nothing once the classes are matched."""
    (x, y, vx, vy), _ = problem(n=40, v=20, d=2, seed=2)
    more = np.concatenate([np.arange(20), np.flatnonzero(vy == 0), np.flatnonzero(vy == 0)])
    plain = lava(x, y, vx, vy, match_classes=True, label_weight=0.0)[0]
    # only the mean cost, which the regularisation follows, is another
    moved = lava(x, y, vx[more], vy[more], match_classes=True, label_weight=0.0)[0]
    assert np.corrcoef(plain, moved)[0, 1] > 0.995
    assert np.corrcoef(plain, lava(x, y, vx[more], vy[more], label_weight=0.0)[0])[0, 1] < 0.99


@pytest.mark.parametrize("n", [1, 2])
def test_few_rows_and_equal_rows(n):
    ones = np.ones((n, 2), dtype=np.float32)
    values, _ = lava(ones, np.zeros(n, int), ones, np.zeros(n, int))
    np.testing.assert_allclose(values, 0, atol=1e-12)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"regularisation": 0.0}, "regularisation = 0.0"),
        ({"label_weight": -1.0}, "label_weight = -1.0"),
        ({"iterations": 0}, "iterations = 0"),
        ({"train_x": np.array([[np.nan], [0.0]])}, "not finite"),
    ],
)
def test_bad_input_of_lava_is_named(change, message):
    good = {"train_x": np.zeros((2, 1)), "train_y": np.zeros(2, int), "valid_x": np.zeros((1, 1))}
    with pytest.raises(DatassayError, match=message):
        lava(**good | {"valid_y": np.zeros(1, int)} | change)
