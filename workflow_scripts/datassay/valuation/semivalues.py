"""Values from random permutations: Shapley with truncation, Beta Shapley, G-Shapley, class-wise Shapley.

One draw of a permutation estimator is what every player adds to those before it, weighted where the estimator says so.
"""

from collections.abc import Mapping
from functools import lru_cache
from math import lgamma
from typing import Any

import numpy as np

from datassay.errors import DatassayError, NotApplicable
from datassay.registry import estimator
from datassay.valuation.games import ClassGame, Game, feature_game
from datassay.valuation.sampling import Values, mean_of_draws, sample
from datassay.valuation.utilities import gradient_game

NEGLIGIBLE = 1e-6  # share of the weight of Beta Shapley that the largest coalitions left out may have


def tmc_shapley(*data: Any, permutations: int = 100, tolerance: float = 0.01, seed: int = 0, **game: Any) -> Values:
    """Return Shapley values by truncated Monte Carlo, float64 [n], and their standard errors.

    data: train_x [N, d], train_y [N], valid_x [V, d], valid_y [V], with the options of `feature_game` (utility, k,
    penalty); or one Game. Mean over random permutations of what a player adds to those before it. A permutation ends
    as soon as |utility of all - utility so far| < tolerance, the rest of it counts as adding nothing: 0 never truncates
    and is unbiased. The values then sum to the utility of all less that of none.

    Ghorbani & Zou, ICML 2019, algorithm 1. At most `permutations` x N utilities, each one step of `Game.walk`.
    Raises DatassayError for an unknown option and as `feature_game`.
    """
    return sample("tmc_shapley", data, permutations, seed, {"tolerance": tolerance, **game})


@estimator(name="tmc_shapley", version=1, source="Ghorbani & Zou, ICML 2019, arXiv 1904.02868", game=feature_game)
def tmc_draw(game: Game, rng: np.random.Generator, *, tolerance: float = 0.01) -> np.ndarray:
    """Shapley value by random permutations, each cut where the rest changes the utility by less than the tolerance."""
    if tolerance < 0:
        raise DatassayError(f"tmc_shapley: tolerance = {tolerance}, allowed: 0 (no truncation) and above")
    order = rng.permutation(game.players)
    draw, before = np.zeros(game.players), game.empty
    steps = game.walk(order)
    for player in order:
        if abs(game.full - before) < tolerance:
            break
        after = next(steps)
        draw[player], before = after - before, after
    return draw


def beta_shapley(
    *data: Any, alpha: float = 16.0, beta: float = 1.0, permutations: int = 100, seed: int = 0, **game: Any
) -> Values:
    """Return Beta(alpha, beta)-Shapley values, float64 [n], and their standard errors.

    data: as `tmc_shapley`. What a player adds to j - 1 others counts n C(n-1, j-1) B(j+beta-1, n-j+alpha) / B(alpha,
    beta) times as much as in the Shapley value, which is Beta(1, 1); a large alpha puts the weight on small coalitions.
    The largest coalitions are not visited where all of them together have less than a millionth of the weight.

    Kwon & Zou, AISTATS 2022. At most `permutations` x N utilities. Raises as `tmc_shapley`, and for alpha
    or beta that are not above 0.
    """
    return sample("beta_shapley", data, permutations, seed, {"alpha": alpha, "beta": beta, **game})


@estimator(name="beta_shapley", version=1, source="Kwon & Zou, AISTATS 2022, arXiv 2110.14049", game=feature_game)
def beta_draw(game: Game, rng: np.random.Generator, *, alpha: float = 16.0, beta: float = 1.0) -> np.ndarray:
    """Semivalue that weights coalition sizes by a beta distribution: Beta(16, 1) looks at small coalitions most."""
    if not (alpha > 0 and beta > 0):
        raise DatassayError(f"beta_shapley: alpha = {alpha}, beta = {beta}, allowed: numbers above 0")
    weights = beta_weights(game.players, alpha, beta)
    order = rng.permutation(game.players)[: len(weights)]
    draw = np.zeros(game.players)
    draw[order] = weights * np.diff([game.empty, *game.walk(order)])
    return draw


@lru_cache(maxsize=8)
def beta_weights(n: int, alpha: float, beta: float) -> np.ndarray:
    """Return the weight of joining as number 1, 2, ... relative to Shapley, cut where the rest is negligible."""
    logs = [
        np.log(n) + lgamma(n) - lgamma(j) - lgamma(n - j + 1)
        + lgamma(j + beta - 1) + lgamma(n - j + alpha) - lgamma(n + alpha + beta - 1)
        + lgamma(alpha + beta) - lgamma(alpha) - lgamma(beta)
        for j in range(1, n + 1)
    ]  # fmt: skip
    weights = np.exp(logs)
    share_from = np.cumsum(weights[::-1])[::-1] / n
    return weights[: max(int((share_from >= NEGLIGIBLE).sum()), 1)]


def g_shapley(*data: Any, permutations: int = 100, learning_rate: float = 0.0, seed: int = 0) -> Values:
    """Return G-Shapley values, float64 [n], and their standard errors.

    data: train_x [N, d], train_y [N], valid_x [V, d], valid_y [V]. Mean over random permutations of the accuracy that
    one gradient step of a softmax regression on a row adds, after one step on each row before it. learning_rate: 0
    takes the best of 11 between 0.001 and 100. The values sum to the mean accuracy after all steps less `Game.empty`.

    Ghorbani & Zou, ICML 2019, algorithm 2. `permutations` x N steps of O(V (d + C)). Raises as `feature_game`.
    """
    options = {} if len(data) == 1 else {"learning_rate": learning_rate}
    return sample("g_shapley", data, permutations, seed, options)


@estimator(name="g_shapley", version=1, source="Ghorbani & Zou, ICML 2019, arXiv 1904.02868", game=gradient_game)
def gradient_draw(game: Game, rng: np.random.Generator) -> np.ndarray:
    """Accuracy that one gradient step on each row adds, in random order."""
    order = rng.permutation(game.players)
    draw = np.empty(game.players)
    draw[order] = np.diff([game.empty, *game.walk(order)])
    return draw


def cs_shapley(*data: Any, rounds: int = 100, normalise: bool = True, seed: int = 0, **game: Any) -> Values:
    """Return class-wise Shapley values, float64 [n], and their standard errors.

    data: as `tmc_shapley`, or one ClassGame. The rows of a class play among themselves, beside a random half of the
    rows of other classes; the utility is a * exp(b), a: share of all valuation points that are of the class and
    answered right, b: the same of the other classes. A round draws for each class the others and a permutation.
    normalise: scale the values of every class so that they sum to its a with all train rows, and all values to the
    utility of all; a class that no point gets right, or whose values sum to nothing above 0, stays as it is. Without,
    the values of a class sum to the mean of the utility of all its rows less that of none.

    Schoch, Xu & Ji, NeurIPS 2022; normalised as in the code of the authors (valda). `rounds` x N utilities. Raises as
    `tmc_shapley`; NotApplicable for a game that knows no classes.
    """
    return sample("cs_shapley", data, rounds, seed, {"normalise": normalise, **game})


def _classwise_values(sums: Mapping[str, np.ndarray], units: int) -> tuple[np.ndarray, np.ndarray]:
    value, error = mean_of_draws(sums, units)
    if "share" not in sums:
        return value, error
    labels, share = np.rint(sums["label"] / units).astype(np.int64), sums["share"] / units
    total = np.bincount(labels, value)[labels]
    scale = np.divide(share, total, out=np.ones_like(total), where=(share > 0) & (total > 0))
    return scale * value, scale * error


@estimator(
    name="cs_shapley",
    version=2,
    source="Schoch et al., NeurIPS 2022, arXiv 2211.06800",
    game=feature_game,
    summary=_classwise_values,
)
def classwise_draw(game: Game, rng: np.random.Generator, *, normalise: bool = True) -> dict[str, np.ndarray]:
    """Shapley value among the rows of a class, where answers for its own points count more than those for others."""
    if not isinstance(game, ClassGame):
        raise NotApplicable("cs_shapley: needs a utility that is known by class: knn, logistic or ridge")
    draw = np.zeros(game.players)
    for label in np.unique(game.train_y):
        own = rng.permutation(np.flatnonzero(game.train_y == label))
        others = np.flatnonzero(game.train_y != label)
        beside = others[rng.random(len(others)) < 0.5]
        profiles = np.stack([game.profile(beside), *game.profiles(own, beside)])
        inside = profiles[:, label]
        draw[own] = np.diff(inside * np.exp(profiles.sum(axis=1) - inside))
    sums = {"sum": draw, "squares": draw**2}
    shares = {"label": game.train_y.astype(np.float64), "share": game.full_profile[game.train_y]}
    return sums | shares if normalise else sums
