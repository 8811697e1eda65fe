"""Data values: what every train row adds to the accuracy on the valuation split."""

from typing import TYPE_CHECKING, Any

import numpy as np

from datassay.errors import DatassayError, did_you_mean
from datassay.registry import method
from datassay.valuation.knn import knn_shapley

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["estimate", "knn_shapley"]


def estimate(
    name: str,
    train_x: np.ndarray,
    train_y: np.ndarray,
    valid_x: np.ndarray,
    valid_y: np.ndarray,
    **options: Any,
) -> "pd.DataFrame":
    """Return the table of one registered estimator: `value` and `standard_error` of every train row.

    Where there is no standard error, the column is left out and `attrs["absent"]` says why.
    Raises DatassayError for an unknown estimator or option.
    """
    import pandas as pd

    found = method("estimator", name)
    for option in options:
        if option not in found.options:
            raise DatassayError(f"{name}: unknown option '{option}'{did_you_mean(option, found.options)}")
    result = found.function(train_x, train_y, valid_x, valid_y, **options)
    values, errors = result if isinstance(result, tuple) else (result, None)
    table = pd.DataFrame({"value": np.asarray(values, dtype=np.float64)})
    if errors is None:
        table.attrs["absent"] = {"standard_error": f"{name} gives none"}
    elif not np.isfinite(errors).all():
        table.attrs["absent"] = {"standard_error": f"needs at least 2 valuation points, there are {len(valid_x)}"}
    else:
        table["standard_error"] = np.asarray(errors, dtype=np.float64)
    return table
