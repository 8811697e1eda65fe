"""Calling an acquisition function: hand it the arrays it names, check its answer."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from datassay.errors import DatassayError
from datassay.registry import Method
from datassay.selection.pruning import check_ranking

ROW_AXIS = {"mc_logits": 1}
OF_OTHERS = ("labelled_features",)  # arrays that are not about the candidates
HANDED = ("n", "rng")


def choose(
    method: Method,
    arrays: Mapping[str, Any],
    n: int,
    rng: np.random.Generator,
    options: Mapping[str, Any] | None = None,
) -> np.ndarray:
    """Return the n candidates that an acquisition function picks, int64 [n], distinct row numbers of its arrays.

    arrays: name -> array with one entry per candidate (but labelled_features), at least those the function takes.
    Raises DatassayError where an array is missing, their lengths differ, n is outside 1..candidates or the answer is
    not n distinct rows.
    """
    where = f"acquisition '{method.name}'"
    needed = {parameter: name for parameter, name in method.inputs.items() if name not in HANDED}
    if missing := sorted(set(needed.values()) - set(arrays)):
        raise DatassayError(f"{where}: needs {', '.join(missing)}, which it was not given")
    lengths = {name: arrays[name].shape[ROW_AXIS.get(name, 0)] for name in needed.values() if name not in OF_OTHERS}
    if len(set(lengths.values())) != 1:
        raise DatassayError(f"{where}: arrays of unequal length, {lengths or 'none given'}")
    rows = next(iter(lengths.values()))
    if not 1 <= n <= rows:
        raise DatassayError(f"{where}: n {n}, allowed: 1 to the number of candidates, {rows}")
    context: dict[str, Any] = {"n": n, "rng": rng}
    given = {parameter: context.get(name, arrays.get(name)) for parameter, name in method.inputs.items()}
    picks = check_ranking(where, method.function(**given, **(options or {})), n, rows)
    if len(picks) > n:
        raise DatassayError(f"{where} returned {len(picks)} rows, needs {n}")
    return picks
