"""Every sampled estimator against games with known values and against all coalitions."""

import numpy as np
import pytest

from datassay.errors import DatassayError, NotApplicable
from datassay.valuation import (
    FunctionGame,
    ame,
    banzhaf,
    beta_shapley,
    cs_shapley,
    feature_game,
    g_shapley,
    loo,
    tmc_shapley,
)
from datassay.valuation.semivalues import beta_weights
from datassay.valuation.subsets import SHARES
from tests.unit import value_games as oracle

GAMES = {
    "additive": oracle.additive([0.5, -1.0, 0.0, 2.0, 0.25]),
    "majority": oracle.majority(7),
    "voting": oracle.weighted_voting([4, 3, 2, 1, 1], 6),
    "airport": oracle.airport([1, 2, 2, 5, 9, 10]),
    "gloves": oracle.gloves(2, 5),
    "saddle": oracle.saddle(6),
}


def problem(n=8, v=12, classes=2, seed=0):
    rng = np.random.default_rng(seed)
    y = np.arange(n + v) % classes
    x = rng.normal(size=(n + v, 3)) + 1.2 * y[:, None]
    return x[:n], y[:n], x[n:], y[n:]


def close(values, expected, errors=4.5):
    """Within a few standard errors of what is expected, for every player."""
    off = np.abs(values.value - expected)
    assert (off <= errors * values.standard_error + 1e-9).all(), (off / (values.standard_error + 1e-12)).max()


def test_the_oracles_know_each_other():
    for game, expected in GAMES.values():
        np.testing.assert_allclose(oracle.by_all_coalitions(game), expected, atol=1e-12)
        np.testing.assert_allclose(
            oracle.by_all_coalitions(game, lambda n: oracle.beta_weight(n, 1, 1)), expected, atol=1e-6
        )


@pytest.mark.parametrize("name", GAMES)
def test_shapley_is_unbiased_and_efficient(name):
    game, expected = GAMES[name]
    values = tmc_shapley(game, permutations=600, tolerance=0)
    close(values, expected)
    assert values.value.sum() == pytest.approx(game.full - game.empty)


@pytest.mark.parametrize("name", GAMES)
def test_banzhaf_is_unbiased(name):
    game, _ = GAMES[name]
    close(banzhaf(game, subsets=2000), oracle.by_all_coalitions(game, oracle.banzhaf_weight))


def test_the_errors_of_banzhaf_are_those_of_two_means():
    from datassay.randomness import generator

    game, _ = GAMES["airport"]
    values = banzhaf(game, subsets=200, seed=7)
    inside = np.concatenate([generator(7, "banzhaf", 0, unit).random((100, 6)) < 0.5 for unit in (0, 1)])
    worth = np.array([game(np.flatnonzero(row)) for row in inside])
    for player in range(6):
        groups = worth[inside[:, player]], worth[~inside[:, player]]
        assert values.value[player] == pytest.approx(groups[0].mean() - groups[1].mean())
        expected = np.sqrt(sum(group.var(ddof=1) / len(group) for group in groups))
        assert values.standard_error[player] == pytest.approx(expected)


@pytest.mark.parametrize(("a", "b"), [(1.0, 1.0), (16.0, 1.0), (4.0, 1.0), (1.0, 4.0)])
@pytest.mark.parametrize("name", ["voting", "airport", "gloves", "saddle"])
def test_beta_shapley_is_unbiased(name, a, b):
    game, _ = GAMES[name]
    expected = oracle.by_all_coalitions(game, lambda n: oracle.beta_weight(n, a, b))
    close(beta_shapley(game, alpha=a, beta=b, permutations=500), expected, errors=5)


@pytest.mark.parametrize("n", [1, 2, 9, 500])
def test_the_weights_of_beta_shapley_are_a_distribution(n):
    np.testing.assert_allclose(beta_weights(n, 1.0, 1.0), np.ones(n), rtol=1e-9)
    assert beta_weights(n, 16.0, 1.0).sum() / n == pytest.approx(1, abs=2e-6)
    assert len(beta_weights(500, 16.0, 1.0)) < 320


@pytest.mark.parametrize("name", ["voting", "airport", "saddle"])
def test_marginal_effects_without_the_lasso_are_unbiased(name):
    from datassay.registry import method
    from datassay.valuation.sampling import RECORD, Values, run_shard

    game, _ = GAMES[name]
    about = method("estimator", "ame")
    shard = run_shard(about, game, {}, seed=0, shard=0, units=60)
    sums = {key: a.sum(axis=0) for key, a in shard.items() if not key.startswith(RECORD)}
    close(Values(*about.summary(sums, 60)), oracle.marginal_effects(game, SHARES))


def test_the_lasso_finds_the_few_players_that_count():
    game, _ = oracle.additive([1.0, *np.zeros(60), -0.5])
    noisy = FunctionGame(lambda rows: game(rows) + 0.01 * np.sin(rows.sum()), 62)
    values = ame(noisy, subsets=300)
    assert values.value[0] == pytest.approx(1, abs=0.05) and values.value[-1] == pytest.approx(-0.5, abs=0.05)
    assert (np.abs(values.value[1:-1]) < 0.03).all() and (values.value[1:-1] == 0).sum() > 20
    assert (values.standard_error < 0.03).all()


@pytest.mark.parametrize("utility", ["knn", "logistic", "ridge"])
def test_classwise_shapley_equals_all_coalitions(utility):
    game = feature_game(*problem(6, classes=3), utility=utility, k=3)
    close(cs_shapley(game, rounds=200, normalise=False), oracle.classwise_by_all_coalitions(game))


def test_classwise_values_of_a_class_sum_to_its_utility():
    train_x, _, valid_x, valid_y = problem(8)
    game = feature_game(train_x, np.zeros(8, int), valid_x, valid_y, utility="knn", k=3)
    values = cs_shapley(game, rounds=3, normalise=False)
    assert values.value.sum() == pytest.approx(game.full)


def test_normalised_classwise_values_sum_to_the_right_answers_of_each_class():
    train_x, train_y, valid_x, valid_y = problem(12, v=30, classes=3)
    plain, scaled = (cs_shapley(train_x, train_y, valid_x, valid_y, rounds=20, normalise=n) for n in (False, True))
    game = feature_game(train_x, train_y, valid_x, valid_y)
    for label in range(3):
        own = train_y == label
        ratio = scaled.value[own].sum() / plain.value[own].sum()
        assert scaled.value[own].sum() == pytest.approx(game.full_profile[label]) and ratio != pytest.approx(1)
        np.testing.assert_allclose(scaled.value[own], ratio * plain.value[own])
        np.testing.assert_allclose(scaled.standard_error[own], ratio * plain.standard_error[own])
    assert scaled.value.sum() == pytest.approx(game.full)


def test_a_class_without_right_answers_or_with_a_negative_sum_keeps_its_values():
    from datassay.registry import method

    sums = {"sum": np.array([2.0, 4, 6, -8]), "squares": np.array([3.0, 10, 20, 40])}
    sums |= {"label": np.array([0.0, 0, 2, 4]), "share": np.array([0.0, 0, 0.4, 0.6])}
    value, error = method("estimator", "cs_shapley").summary(sums, 2)
    np.testing.assert_allclose(value, [1, 2, 0.2, -4])
    np.testing.assert_allclose(error, np.sqrt([0.5, 1, 1 / 225, 4]))


@pytest.mark.parametrize("utility", ["knn", "logistic", "ridge"])
def test_shapley_of_a_learner_equals_all_coalitions(utility):
    game = feature_game(*problem(7), utility=utility, k=3)
    close(tmc_shapley(game, permutations=300, tolerance=0), oracle.by_all_coalitions(game))


def test_shapley_of_neighbours_tends_to_the_exact_value():
    from datassay.valuation import knn_shapley

    data = problem(40, v=30, seed=3)
    values = tmc_shapley(*data, utility="knn", k=5, permutations=600, tolerance=0)
    close(values, knn_shapley(*data, 5))


@pytest.mark.parametrize("call", [tmc_shapley, beta_shapley, banzhaf, loo])
def test_players_that_add_nothing_are_worth_nothing_and_equal_ones_the_same(call):
    game = FunctionGame(lambda rows: float((rows < 2).all() and len(rows) > 0) + float((rows < 2).sum()), 2)
    null = FunctionGame(lambda rows: float((rows < 2).sum() ** 2), 5)
    values = call(null)
    assert (values.value[2:] == 0).all() or call is banzhaf
    assert (np.abs(values.value[2:]) <= 5 * values.standard_error[2:]).all()
    twins = call(game)
    assert abs(twins.value[0] - twins.value[1]) <= 5 * np.hypot(*twins.standard_error) + 1e-12


@pytest.mark.parametrize(
    ("call", "budget"), [(tmc_shapley, {"permutations": 7, "tolerance": 0}), (beta_shapley, {"permutations": 7}),
                         (banzhaf, {"subsets": 100}), (loo, {})],
)  # fmt: skip
def test_values_of_a_sum_of_games_are_sums_of_values(call, budget):
    (a, _), (b, _) = GAMES["airport"], oracle.weighted_voting([1, 1, 2, 3, 1, 1], 5)
    both = FunctionGame(lambda rows: 2 * a(rows) - b(rows), 6)
    one, other, total = (call(game, **budget).value for game in (a, b, both))
    np.testing.assert_allclose(total, 2 * one - other, atol=1e-12)


def test_leave_one_out_of_games():
    for game, _ in GAMES.values():
        n = game.players
        expected = [game(np.arange(n)) - game(np.delete(np.arange(n), j)) for j in range(n)]
        np.testing.assert_allclose(loo(game).value, expected)
        assert (loo(game).standard_error == 0).all()


def test_truncation_ends_a_permutation_where_the_rest_changes_little():
    weights = np.array([1.0, 0.5, 0.25, 0.125, 0.0625])
    seen = []
    game = FunctionGame(lambda rows: seen.append(len(rows)) or weights[rows].sum(), 5)
    exact = tmc_shapley(game, permutations=200, tolerance=0)
    np.testing.assert_allclose(exact.value, weights)
    seen.clear()
    cut = tmc_shapley(game, permutations=200, tolerance=0.2)
    assert len(seen) < 1000
    assert (cut.value <= weights + 1e-12).all() and cut.value.sum() > weights.sum() - 0.2
    whole = tmc_shapley(game, permutations=50, tolerance=10)
    assert (whole.value == 0).all()
    at_the_border = tmc_shapley(FunctionGame(lambda rows: float(len(rows)), 2), permutations=5, tolerance=1)
    assert (at_the_border.value == 1).all(), "a rest of exactly the tolerance is still visited"


def test_gradient_values_are_those_of_plain_steps():
    data = train_x, train_y, valid_x, valid_y = problem(6, v=20, classes=3)
    values = g_shapley(*data, permutations=40, learning_rate=0.3, seed=5)

    from datassay.randomness import generator

    draws = []
    for unit in range(40):
        order = generator(5, "g_shapley", 0, unit).permutation(6)
        weights, before = np.zeros((4, 3)), np.bincount(valid_y).max() / 20
        draw = np.zeros(6)
        for row in order:
            x = np.append(train_x[row], 1)
            p = np.exp(x @ weights)
            weights -= 0.3 * np.outer(x, p / p.sum() - np.eye(3)[train_y[row]])
            after = (np.column_stack([valid_x, np.ones(20)]) @ weights).argmax(axis=1) == valid_y
            draw[row], before = after.mean() - before, after.mean()
        draws.append(draw)
    np.testing.assert_allclose(values.value, np.mean(draws, axis=0), atol=1e-12)
    np.testing.assert_allclose(values.standard_error, np.std(draws, axis=0, ddof=1) / np.sqrt(40), atol=1e-12)


def test_the_learning_rate_is_chosen_where_none_is_given():
    from datassay.valuation.utilities import RATES, gradient_game

    game = gradient_game(*problem(40, v=60))
    assert game.learning_rate in RATES
    order = np.random.default_rng(0).permutation(40)
    accuracy = {r: list(gradient_game(*problem(40, v=60), learning_rate=r).walk(order))[-1] for r in RATES}
    assert accuracy[game.learning_rate] > max(accuracy.values()) - 0.1


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: tmc_shapley(1, 2), "2 arguments, expected a Game, or train_x"),
        (lambda: tmc_shapley(*problem(), utility="lgistic"), "did you mean 'logistic'"),
        (lambda: tmc_shapley(*problem(), utility="knn", k=0), "k = 0"),
        (lambda: tmc_shapley(*problem(), penalty=0.0), "penalty = 0.0"),
        (lambda: tmc_shapley(GAMES["majority"][0], k=3), "option 'k' belongs to a game on arrays"),
        (lambda: tmc_shapley(GAMES["majority"][0], tolerance=-1.0), "tolerance = -1.0"),
        (lambda: tmc_shapley(GAMES["majority"][0], permutations=0), "0 units of work"),
        (lambda: tmc_shapley(GAMES["majority"][0], speed=3), "unknown option 'speed'"),
        (lambda: beta_shapley(GAMES["majority"][0], alpha=0.0), "alpha = 0.0"),
        (lambda: banzhaf(GAMES["majority"][0], subsets=150), "subsets = 150"),
        (lambda: g_shapley(*problem(), learning_rate=-1.0), "learning_rate = -1.0"),
        (lambda: FunctionGame(len, 0), "a game of 0 players"),
        (lambda: tmc_shapley(FunctionGame(lambda rows: np.nan, 3)), "answered with nan"),
    ],
)
def test_bad_calls_are_named(call, message):
    with pytest.raises(DatassayError, match=message) as caught:
        call()
    assert "\n" not in str(caught.value)


def test_classwise_values_need_classes():
    with pytest.raises(NotApplicable, match="known by class"):
        cs_shapley(GAMES["majority"][0])
