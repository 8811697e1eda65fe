"""Values from random subsets: Banzhaf by maximum sample reuse, and average marginal effects by the lasso."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from datassay.errors import DatassayError
from datassay.registry import estimator
from datassay.valuation.games import Game, feature_game
from datassay.valuation.sampling import RECORD, Values, mean_of_draws, sample

SUBSETS = 100  # drawn in one unit of work
SHARES = np.array([0.2, 0.4, 0.6, 0.8])  # of the rows in a subset, for average marginal effects
SPREAD = float((1 / (SHARES * (1 - SHARES))).mean())
FOLDS, PENALTIES = 5, 30  # of the cross-validation that chooses the penalty


def banzhaf(*data: Any, subsets: int = 2000, seed: int = 0, **game: Any) -> Values:
    """Return data Banzhaf values, float64 [n], and their standard errors.

    data: train_x [N, d], train_y [N], valid_x [V, d], valid_y [V], with the options of `feature_game` (utility, k,
    penalty); or one Game. Mean utility of the random halves that a player is in, less that of those it is not in: every
    subset counts for every player. subsets: a multiple of 100. The values do not sum to the utility of all.

    Wang & Jia, AISTATS 2023. `subsets` utilities of about N / 2 rows. Raises DatassayError as
    `tmc_shapley`, and for another number of subsets.
    """
    return sample("banzhaf", data, _units(subsets), seed, game)


def _units(subsets: int) -> int:
    if subsets < SUBSETS or subsets % SUBSETS:
        raise DatassayError(f"subsets = {subsets}, allowed: multiples of {SUBSETS}")
    return subsets // SUBSETS


def _banzhaf_values(sums: Mapping[str, np.ndarray], units: int) -> tuple[np.ndarray, np.ndarray]:
    inside = sums["inside"], sums["inside_sum"], sums["inside_squares"]
    outside = sums["all"] - inside[0], sums["all_sum"] - inside[1], sums["all_squares"] - inside[2]
    with np.errstate(invalid="ignore", divide="ignore"):
        means = [total / number for number, total, _ in (inside, outside)]
        variances = [
            np.maximum(squares - number * mean**2, 0) / (number - 1) / number
            for (number, _, squares), mean in zip((inside, outside), means, strict=True)
        ]
        return means[0] - means[1], np.sqrt(variances[0] + variances[1])


@estimator(
    name="banzhaf",
    version=1,
    source="Wang & Jia, AISTATS 2023, arXiv 2205.15466",
    game=feature_game,
    summary=_banzhaf_values,
)
def banzhaf_unit(game: Game, rng: np.random.Generator) -> dict[str, np.ndarray]:
    """Mean utility of the random halves with the row, less that of those without it (maximum sample reuse)."""
    inside = rng.random((SUBSETS, game.players)) < 0.5
    utilities = np.array([game(np.flatnonzero(row)) if row.any() else game.empty for row in inside])
    return {
        "inside": inside.sum(axis=0).astype(np.float64),
        "inside_sum": utilities @ inside,
        "inside_squares": utilities**2 @ inside,
        "all": np.array([float(SUBSETS)]),
        "all_sum": utilities.sum(keepdims=True),
        "all_squares": (utilities**2).sum(keepdims=True),
    }


def ame(*data: Any, subsets: int = 2000, seed: int = 0, **game: Any) -> Values:
    """Return average marginal effects, float64 [n], estimated by the lasso, and their standard errors.

    data and subsets: as `banzhaf`. Every subset draws its share of rows from 0.2, 0.4, 0.6 and 0.8. The effect of a row
    is what it adds to such a subset, in the mean over shares. The utilities are regressed on whether a row is in,
    scaled so that the coefficients are the effects, with an L1 penalty chosen by 5-fold cross-validation: most effects
    are exactly 0. The standard error is that of a coefficient without the penalty, from what the fit leaves over.

    Lin et al., ICML 2022. `subsets` utilities, and a lasso on subsets x N cells in memory.
    Raises as `banzhaf`.
    """
    return sample("ame", data, _units(subsets), seed, game)


def _ame_values(sums: Mapping[str, np.ndarray], units: int) -> tuple[np.ndarray, np.ndarray]:
    """Return the lasso's coefficients; where the subsets are not at hand the mean of the draws, which has no bias."""
    if RECORD + "inside" not in sums:
        return mean_of_draws(sums, units * SUBSETS)
    from sklearn.linear_model import LassoCV

    utilities, shares = sums[RECORD + "utility"], sums[RECORD + "share"][:, None]
    n = len(sums["sum"])
    inside = np.unpackbits(sums[RECORD + "inside"], axis=1, count=n)
    design = np.where(inside == 1, 1 / shares, -1 / (1 - shares)) / np.sqrt(SPREAD)
    if np.ptp(utilities) == 0:
        return np.zeros(n), np.zeros(n)
    fit = LassoCV(cv=FOLDS, alphas=PENALTIES, eps=1e-2, max_iter=10_000).fit(design, utilities)
    left_over = utilities - fit.predict(design)
    error = np.sqrt(SPREAD) * left_over.std(ddof=1) / np.sqrt(len(utilities))
    return fit.coef_ * np.sqrt(SPREAD), np.full(n, error)


@estimator(
    name="ame", version=1, source="Lin et al., ICML 2022, arXiv 2206.10013", game=feature_game, summary=_ame_values
)
def ame_unit(game: Game, rng: np.random.Generator) -> dict[str, np.ndarray]:
    """What a row adds to random subsets of several sizes, by a regression that sets most rows to exactly zero."""
    shares = rng.choice(SHARES, SUBSETS)
    inside = rng.random((SUBSETS, game.players)) < shares[:, None]
    utilities = np.array([game(np.flatnonzero(row)) if row.any() else game.empty for row in inside])
    centred = (utilities - (game.empty + game.full) / 2)[:, None]
    draws = centred * np.where(inside, 1 / shares[:, None], -1 / (1 - shares[:, None]))
    return {
        "sum": draws.sum(axis=0),
        "squares": (draws**2).sum(axis=0),
        RECORD + "inside": np.packbits(inside, axis=1),
        RECORD + "utility": utilities,
        RECORD + "share": shares,
    }
