"""Data values: what every train row adds to the accuracy on the valuation split."""

from typing import TYPE_CHECKING, Any

import numpy as np

from datassay.errors import DatassayError
from datassay.registry import Method, method
from datassay.valuation.games import FunctionGame, Game, feature_game
from datassay.valuation.knn import knn_shapley
from datassay.valuation.sampling import Values, check_options, game_and_options, run_shard, summary
from datassay.valuation.semivalues import beta_shapley, cs_shapley, g_shapley, tmc_shapley
from datassay.valuation.simple import loo
from datassay.valuation.subsets import ame, banzhaf

if TYPE_CHECKING:
    import pandas as pd

__all__ = [
    "FunctionGame",
    "Game",
    "Values",
    "ame",
    "banzhaf",
    "beta_shapley",
    "cs_shapley",
    "estimate",
    "feature_game",
    "g_shapley",
    "knn_shapley",
    "loo",
    "tmc_shapley",
    "values_table",
]
BUDGET = {"units": 20, "seed": 0}  # what `estimate` lets a sampled estimator do


def estimate(
    name: str,
    train_x: np.ndarray,
    train_y: np.ndarray,
    valid_x: np.ndarray,
    valid_y: np.ndarray,
    **options: Any,
) -> "pd.DataFrame":
    """Return the table of one registered estimator: `value` and `standard_error` of every train row.

    Sampled estimators also take `units` (of work: permutations, or hundreds of subsets; default 20) and `seed` (0).
    Where there is no standard error, the column is left out and `attrs["absent"]` says why.
    Raises DatassayError for an unknown estimator or option.
    """
    found = method("estimator", name)
    units, seed = (options.pop(key, default) if found.sampled else default for key, default in BUDGET.items())
    check_options(found, options)
    data = (train_x, train_y, valid_x, valid_y)
    if found.game is None:
        return values_table(found, found.function(*data, **options), len(train_y))
    game, own = game_and_options(found, data, options)
    if found.sampled:
        answer = summary(found, run_shard(found, game, own, seed=seed, shard=0, units=units))
        return values_table(found, answer, game.players)
    return values_table(found, found.function(game, **own), game.players)


def values_table(about: Method, answer: Any, rows: int) -> "pd.DataFrame":
    """Return an estimator's answer for some train rows as a table: values, or values and errors; see `estimate`.

    Raises DatassayError for another number of values or errors, values that are not finite and negative errors.
    """
    import pandas as pd

    values, errors = answer if isinstance(answer, tuple) else (answer, None)
    table = pd.DataFrame({"value": _per_row(about, "values", values, rows)})
    if not np.isfinite(table["value"]).all():
        raise DatassayError(f"{about.name}: a value is not finite; a sampled estimator may need more units of work")
    if errors is None:
        table.attrs["absent"] = {"standard_error": f"{about.name} gives none"}
        return table
    errors = _per_row(about, "standard errors", errors, rows)
    if (errors < 0).any():
        raise DatassayError(f"{about.name}: a standard error is {errors.min():g}, allowed: 0 and above")
    if not np.isfinite(errors).all():
        needed = "2 units of work" if about.sampled else "2 valuation points"
        table.attrs["absent"] = {"standard_error": f"needs at least {needed}"}
    else:
        table["standard_error"] = errors
    return table


def _per_row(about: Method, what: str, answer: Any, rows: int) -> np.ndarray:
    array = np.asarray(answer)
    if array.shape != (rows,) or array.dtype.kind not in "biuf":
        raise DatassayError(
            f"{about.name}: {what} of type {array.dtype} and shape {array.shape}, expected {rows} numbers, one for "
            "each train row"
        )
    return array.astype(np.float64)
