"""Games with known values, and all coalitions of small ones: the oracles of the estimators."""

from itertools import combinations
from math import comb, factorial

import numpy as np

from datassay.valuation.games import FunctionGame


def additive(weights):
    """Every player adds its weight; all semivalues are the weights."""
    weights = np.asarray(weights, dtype=float)
    return FunctionGame(lambda rows: weights[rows].sum(), len(weights)), weights


def majority(n):
    """1 for more than half of the players: a Shapley value of 1/n each."""
    return FunctionGame(lambda rows: float(len(rows) > n / 2), n), np.full(n, 1 / n)


def weighted_voting(weights, quota):
    """1 where the weights reach the quota; values by counting the coalitions."""
    weights = np.asarray(weights)
    game = FunctionGame(lambda rows: float(weights[rows].sum() >= quota), len(weights))
    return game, by_all_coalitions(game)


def airport(costs):
    """What the longest runway costs; each step is shared by those who need it (Littlechild & Owen 1973)."""
    costs = np.sort(np.asarray(costs, dtype=float))
    steps = np.diff(costs, prepend=0) / np.arange(len(costs), 0, -1)
    return FunctionGame(lambda rows: costs[rows].max(initial=0), len(costs)), np.cumsum(steps)


def gloves(left, right):
    """Pairs that can be made of left and right gloves (Shapley & Shubik 1969), by counting."""
    game = FunctionGame(lambda rows: float(min((rows < left).sum(), (rows >= left).sum())), left + right)
    return game, by_all_coalitions(game)


def saddle(n):
    """Half of the players help each other, the other half undo it: -1 for each of them with all of the first."""
    half = n // 2
    game = FunctionGame(
        lambda rows: (rows < half).sum() ** 2 / n - float((rows >= half).sum() * (rows < half).any()), n
    )
    return game, by_all_coalitions(game)


def shapley_weight(n):
    return lambda size: factorial(size) * factorial(n - size - 1) / factorial(n)


def banzhaf_weight(n):
    return lambda size: 2.0 ** (1 - n)


def beta_weight(n, a, b):
    """Mean probability that exactly the `size` others are in, each with probability t, 1 - t ~ Beta(a, b)."""
    from scipy.special import beta

    return lambda size: beta(size + b, n - 1 - size + a) / beta(a, b)


def by_all_coalitions(game, weight=shapley_weight):
    """Values from all 2^n coalitions: sum over those without the player of weight(size) times what it adds."""
    n, of_size = game.players, weight(game.players)
    worth = {c: game(np.array(c, dtype=np.int64)) for size in range(n + 1) for c in combinations(range(n), size)}
    values = np.zeros(n)
    for player in range(n):
        for c in worth:
            if player not in c:
                values[player] += of_size(len(c)) * (worth[tuple(sorted((*c, player)))] - worth[c])
    return values


def classwise_by_all_coalitions(game):
    """Class-wise Shapley values: Shapley among the rows of a class, in the mean over all subsets of the others."""
    values = np.zeros(game.players)
    for label in np.unique(game.train_y):
        own, others = np.flatnonzero(game.train_y == label), np.flatnonzero(game.train_y != label)
        beside = [c for size in range(len(others) + 1) for c in combinations(others, size)]

        def utility(rows, label=label, own=own, beside=beside):
            total = 0.0
            for c in beside:
                profile = game.profile(np.array([*own[rows], *c], dtype=np.int64))
                total += profile[label] * np.exp(profile.sum() - profile[label])
            return total / len(beside)

        values[own] = by_all_coalitions(FunctionGame(utility, len(own)))
    return values


def marginal_effects(game, shares):
    """Average marginal effects by counting: every other player is in with probability p, mean over the shares."""
    n = game.players

    def weight(n):
        return lambda size: float(np.mean([p**size * (1 - p) ** (n - 1 - size) for p in shares]))

    assert np.isclose(sum(comb(n - 1, s) * weight(n)(s) for s in range(n)), 1)
    return by_all_coalitions(game, weight)
