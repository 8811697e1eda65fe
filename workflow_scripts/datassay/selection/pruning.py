"""The pruning stage as pure functions: rank the rows and keep a share of them."""

import logging
import time
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from datassay.data.labels import is_known
from datassay.errors import DatassayError
from datassay.randomness import generator
from datassay.registry import Method
from datassay.selection.arrays import check_count

if TYPE_CHECKING:
    import pandas as pd

logger = logging.getLogger(__name__)

DECIMALS = 6
ROW_AXIS = {"logits": 1, "ensemble_logits": 1, "mc_logits": 1, "feature_norms": 1} | {
    "ensemble_epoch_logits": 2, "ensemble_feature_norms": 2
}  # fmt: skip


def rank(
    method: Method, arrays: Mapping[str, np.ndarray], n_select: int, seed: int, options: Mapping[str, Any] | None = None
) -> "pd.DataFrame":
    """Return the ranking of a strategy as columns rank (0, 1, ...) and row, both int64, rank 0 = keep first.

    arrays: artefact name -> array, one entry per train row, at least those the strategy takes. n_select: how many rows
    are needed; a strategy that ranks more is cut to all it ranked. The random stream depends on `seed` and on the name
    of the strategy alone. Raises DatassayError where an array is missing, their lengths differ, n_select is outside
    1..N or the answer is not a ranking: distinct rows in 0..N-1, at least n_select of them.
    """
    import pandas as pd

    context: dict[str, Any] = {"n_select": n_select, "rng": generator(seed, "strategy", method.name)}
    needed = {parameter: name for parameter, name in method.inputs.items() if name not in context}
    missing = sorted({name for name in needed.values() if name not in arrays})
    if missing:
        raise DatassayError(f"strategy '{method.name}': needs {', '.join(missing)}, which this data set does not have")
    lengths = {name: arrays[name].shape[ROW_AXIS.get(name, 0)] for name in needed.values()}
    if len(set(lengths.values())) != 1:
        raise DatassayError(f"strategy '{method.name}': arrays of unequal length, {lengths or 'none given'}")
    n_rows = next(iter(lengths.values()))
    check_count(n_select, n_rows)
    started = time.monotonic()
    given = {parameter: context[name] if name in context else arrays[name] for parameter, name in method.inputs.items()}
    ranking = check_ranking(f"strategy '{method.name}'", method.function(**given, **(options or {})), n_select, n_rows)
    logger.info("%s: %d of %d rows ranked (%.1f s)", method.name, len(ranking), n_rows, time.monotonic() - started)
    return pd.DataFrame({"rank": np.arange(len(ranking), dtype=np.int64), "row": ranking})


def check_ranking(what: str, ranking: Any, n_select: int, n_rows: int) -> np.ndarray:
    """Return a method's answer as int64 [>= n_select] if it is a ranking, else raise DatassayError that says `what`."""
    ranking = np.asarray(ranking)
    if ranking.ndim != 1 or ranking.dtype.kind not in "iu":
        raise DatassayError(
            f"{what} returned {ranking.dtype} of shape {ranking.shape}, needs 1-D integers: row numbers"
        )
    outside = ranking[(ranking < 0) | (ranking >= n_rows)]
    if len(outside):
        raise DatassayError(f"{what} returned row {outside[0]}, allowed: 0 to {n_rows - 1}")
    rows, counts = np.unique(ranking, return_counts=True)
    if len(rows) < len(ranking):
        raise DatassayError(f"{what} returned row {rows[counts > 1][0]} twice, needs distinct rows")
    if len(ranking) < n_select:
        raise DatassayError(f"{what} ranked {len(ranking)} rows, needs at least {n_select}")
    return ranking.astype(np.int64)


def keep_count(ratio: float, n_rows: int) -> int:
    """Return how many rows a keep ratio means: max(1, round(ratio * n_rows)), halves to the even number.

    Raises DatassayError for a ratio outside (0, 1].
    """
    if not 0 < ratio <= 1:
        raise DatassayError(f"ratio: {ratio!r}, allowed: above 0, at most 1")
    return max(1, round(ratio * n_rows))


def kept_rows(ranking: np.ndarray, ratio: float, n_rows: int) -> np.ndarray:
    """Return the rows kept at a ratio, int64 [keep_count(ratio, n_rows)], in the order of the data set.

    ranking: row numbers, first = keep first; a prefix of all n_rows is enough if it is long enough. The order of the
    data set is kept so that retraining depends on which rows are kept and not on how they were ranked: a ratio of 1 is
    the full data for every strategy (and needs no ranking). A class may lose all its rows; `balanced_random` and
    the like see to that, the ratio does not. Raises DatassayError where the ranking is too short.
    """
    count = keep_count(ratio, n_rows)
    if count == n_rows:
        return np.arange(n_rows, dtype=np.int64)
    if len(ranking) < count:
        raise DatassayError(f"ratio {ratio_text(ratio)} keeps {count} of {n_rows} rows, only {len(ranking)} are ranked")
    return np.sort(np.asarray(ranking[:count], np.int64))


def ratio_text(ratio: float) -> str:
    """Return a ratio as it stands in file names: 0.3 -> "0.3", 1 -> "1.0"; six decimals, without idle zeros.

    Raises DatassayError for a ratio outside (0, 1] or with more decimals, which two file names could not tell apart.
    """
    keep_count(ratio, 1)
    text = f"{ratio:.{DECIMALS}f}".rstrip("0")
    if abs(float(text) - ratio) > 1e-12:
        raise DatassayError(f"ratio: {ratio!r} has more than {DECIMALS} decimals")
    return text + "0" if text.endswith(".") else text


def check_measurable(examples: "pd.DataFrame") -> None:
    """Raise DatassayError unless the test or the validation split has a labelled row: retraining would tell nothing."""
    labels = examples.loc[examples["split"].isin(["test", "validation"]), "label"]
    if not is_known(labels.to_numpy()).any():
        raise DatassayError(
            "neither split 'test' nor 'validation' has a labelled row to measure retrained models on: set split.test "
            "or split.validation above 0, or pruning.strategies to []"
        )
