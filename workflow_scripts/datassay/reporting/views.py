"""The assay as one model sees it."""

from typing import TYPE_CHECKING

from datassay.registry import methods
from datassay.reporting.suspicious import add_suspicion

if TYPE_CHECKING:
    import pandas as pd

DERIVED = ("suspicion",)


def model_view(assay: "pd.DataFrame", model: str, main_model: str) -> "pd.DataFrame":
    """Return the columns about the examples and those of one model, under their plain names.

    assay: as `join_assay` returns it; columns of other models than the main one end in ".{model}". `suspicion`, which
    the assay holds for the main model, is computed again from the columns of the model asked for.
    """
    if model == main_model:
        others = [name for name in map(str, assay) if "." in name and name.partition(".")[0] in _measured()]
        return assay.drop(columns=others)
    suffix = f".{model}"
    about = [name for name in map(str, assay) if name.partition(".")[0] not in _measured() and name not in DERIVED]
    own = [name for name in map(str, assay) if name.endswith(suffix)]
    return add_suspicion(assay[about + own].rename(columns={name: name.removesuffix(suffix) for name in own}))


def _measured() -> set[str]:
    """Names of all measure and value columns."""
    names = {column.name for about in methods("measure").values() for column in about.columns}
    return names | {name + end for name in methods("estimator") for end in ("", "_standard_error")}
