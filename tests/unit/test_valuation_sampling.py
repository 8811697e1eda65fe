"""Shards: the same result in any number of jobs, after a kill, and where a stop rule ends the work."""

import itertools

import numpy as np
import pandas as pd
import pytest

from datassay.checkpoints import Checkpoints, Interrupted
from datassay.errors import DatassayError
from datassay.registry import method, methods
from datassay.valuation import estimate, feature_game, sampling, tmc_shapley
from datassay.valuation.sampling import Stop, empty_shard, leading, merge, run_shard, state, summary
from tests.unit import value_games as oracle

SAMPLED = [name for name, about in methods("estimator").items() if about.sampled]


def data(n=20, v=15, classes=2, seed=0):
    rng = np.random.default_rng(seed)
    y = np.arange(n + v) % classes
    x = rng.normal(size=(n + v, 4)) + y[:, None]
    return x[:n], y[:n], x[n:], y[n:]


def shard_of(name, number, units=4, **more):
    about = method("estimator", name)
    return run_shard(about, about.game(*data()), {}, seed=3, shard=number, units=units, **more)


def same(a, b):
    return a.keys() == b.keys() and all(np.array_equal(a[key], b[key]) for key in a)


@pytest.mark.parametrize("name", SAMPLED)
def test_shards_add_up_whatever_their_order_of_running(name):
    about = method("estimator", name)
    backwards = {number: shard_of(name, number) for number in (2, 0, 1)}
    forwards = [shard_of(name, number) for number in range(3)]
    assert all(same(backwards[number], shard) for number, shard in enumerate(forwards))
    stepwise = merge([merge(forwards[:2]), forwards[2]])
    assert same(merge(forwards), stepwise)
    values = summary(about, stepwise)
    assert np.isfinite(values.value).all() and (values.standard_error >= 0).all()
    assert state(about, stepwise)["units"] == 12
    streams = [shard["sum"] if "sum" in shard else shard["inside_sum"] for shard in forwards]
    assert not any(np.array_equal(a, b) for a, b in itertools.combinations(streams, 2)), "shards draw differently"


def test_halves_are_the_even_and_the_odd_units():
    about = method("estimator", "tmc_shapley")
    game = about.game(*data())
    draws = [about.function(game, sampling.generator(3, "tmc_shapley", 0, unit)) for unit in range(5)]
    shard = shard_of("tmc_shapley", 0, units=5)
    np.testing.assert_allclose(shard["sum"], [sum(draws[::2]), sum(draws[1::2])])
    assert shard["units"].tolist() == [3, 2]
    values = summary(about, shard)
    np.testing.assert_allclose(values.value, np.mean(draws, axis=0))
    np.testing.assert_allclose(values.standard_error, np.std(draws, axis=0, ddof=1) / np.sqrt(5))


@pytest.mark.parametrize("name", ["tmc_shapley", "ame"])
def test_a_killed_shard_goes_on_with_the_same_bytes(name, tmp_path, monkeypatch):
    monkeypatch.setattr("datassay.checkpoints._keeps_progress", [])
    monkeypatch.setattr(sampling._Clock, "save_due", lambda clock: setattr(clock, "saving_since", 0.0) or True)
    done = []

    def stop_after_two(name):
        done.append(name)
        if len(done) == 2:
            raise Interrupted("stop")

    expected = shard_of(name, 1)
    monkeypatch.setattr(sampling, "unit_done", stop_after_two)
    with pytest.raises(Interrupted):
        shard_of(name, 1, checkpoints=Checkpoints(tmp_path, "a"))
    assert Checkpoints(tmp_path, "a").load("units")["units"].sum() == 2
    resumed = shard_of(name, 1, checkpoints=Checkpoints(tmp_path, "a"))
    assert same(resumed, expected) and list(resumed) == list(expected) and len(done) == 4


def test_progress_is_saved_after_the_first_unit_and_seldom_then():
    clock = sampling._Clock(0.0)
    assert clock.save_due()
    clock.saving_since -= 10
    clock.saved()
    assert not clock.save_due() and clock.next_save > clock.started + 150


def test_no_seconds_are_kept_unless_they_count():
    assert shard_of("tmc_shapley", 0)["seconds"][0] == 0
    timed = shard_of("tmc_shapley", 0, units=500, seconds=0.05)
    assert timed["seconds"][0] >= 0.05 and 0 < timed["units"].sum() < 500


def test_stop_rules_use_the_shortest_run_of_shards():
    about = method("estimator", "tmc_shapley")
    game, _ = oracle.airport([1, 2, 5, 9])
    shards = [run_shard(about, game, {}, seed=0, shard=number, units=2) for number in range(30)]
    states = [state(about, merge(shards[:number])) for number in range(1, 31)]
    _, found = leading(about, shards, Stop(standard_error=0.3))
    first = next(number for number, known in enumerate(states, 1) if known["largest_standard_error"] <= 0.3)
    assert found["shards"] == first and "largest standard error" in found["stopped_by"]
    merged, early = leading(about, shards[: first + 3], Stop(standard_error=0.3))
    assert early == found and merged["units"].sum() == 2 * first, "what ran beside does not count"
    _, correlated = leading(about, shards, Stop(rank_correlation=0.95))
    assert correlated["rank_correlation"] >= 0.95 and "rank correlation" in correlated["stopped_by"]
    _, never = leading(about, shards, Stop())
    assert never["stopped_by"] is None and never["shards"] == 30 and never["evaluations"] > 0
    timed = [shard | {"seconds": np.array([2.0])} for shard in shards]
    assert leading(about, timed, Stop(seconds=7))[1]["shards"] == 4


def test_empty_shards_change_nothing():
    about = method("estimator", "tmc_shapley")
    shards = [shard_of("tmc_shapley", 0), shard_of("tmc_shapley", 1)]
    full, _ = leading(about, shards, Stop())
    longer, _ = leading(about, [*shards, empty_shard()], Stop())
    assert same(full, longer)


def test_one_unit_has_no_error_yet_and_equal_values_no_correlation():
    about = method("estimator", "tmc_shapley")
    one = state(about, shard_of("tmc_shapley", 0, units=1))
    assert one["rank_correlation"] is None and one["mean_standard_error"] is None
    game, _ = oracle.majority(1)
    flat = state(about, run_shard(about, game, {}, seed=0, shard=0, units=4))
    assert flat["rank_correlation"] is None and flat["largest_standard_error"] == 0
    table = estimate("tmc_shapley", *data(), units=1)
    assert list(table) == ["value"] and "2 units of work" in table.attrs["absent"]["standard_error"]


def test_estimate_and_the_public_call_are_one():
    table = estimate("tmc_shapley", *data(), units=6, seed=4, utility="ridge", tolerance=0.05)
    values = tmc_shapley(*data(), permutations=6, seed=4, utility="ridge", tolerance=0.05)
    again = tmc_shapley(feature_game(*data(), utility="ridge"), permutations=6, seed=4, tolerance=0.05)
    np.testing.assert_array_equal(table["value"], values.value)
    np.testing.assert_array_equal(values.standard_error, again.standard_error)
    other = tmc_shapley(*data(), permutations=6, seed=5, utility="ridge", tolerance=0.05)
    assert not np.array_equal(values.value, other.value)


def test_an_estimator_of_ones_own_is_sampled(monkeypatch):
    from datassay import registry

    monkeypatch.setattr(registry, "_methods", {kind: dict(known) for kind, known in registry._methods.items()})

    @registry.estimator(version=1, source="A test, 2026", game=feature_game)
    def last_come(game, rng, *, power: float = 1.0):
        """What the last of a random order adds, to the power, for that one alone."""
        order = rng.permutation(game.players)
        draw = np.zeros(game.players)
        draw[order[-1]] = game.players * (game.full - game(order[:-1])) ** power
        return draw

    about = method("estimator", "last_come")
    assert about.sampled and about.options == {"utility": "logistic", "k": 10, "penalty": 1.0, "power": 1.0}
    table = estimate("last_come", *data(), units=10, power=1.0)
    assert isinstance(table, pd.DataFrame) and len(table) == 20 and "standard_error" in table
    with pytest.raises(DatassayError, match="unknown option 'powr', did you mean 'power'"):
        estimate("last_come", *data(), powr=2.0)
