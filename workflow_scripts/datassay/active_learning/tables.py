"""From the rounds of a run to what is saved of it."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from datassay.active_learning.loop import Round
from datassay.active_learning.world import World

if TYPE_CHECKING:
    import pandas as pd

AREAS = ("minority_f1", "macro_f1", "accuracy", "auroc", "average_precision")


def normalised_area(x: np.ndarray, y: np.ndarray) -> float:
    """Return the area under the line through (x, y), divided by the width of x: a mean of y over the budget.

    x: rising, [points]; y: [points], points that are NaN are left out. The value itself where one point is left, NaN
    where none is.
    """
    known = np.isfinite(y)
    x, y = np.asarray(x, np.float64)[known], np.asarray(y, np.float64)[known]
    if len(x) < 2:
        return float(y[0]) if len(x) else float("nan")
    return float(np.trapezoid(y, x) / (x[-1] - x[0]))


def rounds_table(rounds: Sequence[Round]) -> "pd.DataFrame":
    """Return one row per training: what was labelled, found and measured; NaN where a round was not evaluated."""
    import pandas as pd

    return pd.DataFrame([done.about for done in rounds[1:]])


def times_table(rounds: Sequence[Round]) -> "pd.DataFrame":
    """Return the seconds that the parts of every round took; they differ from run to run and so lie by themselves."""
    import pandas as pd

    return pd.DataFrame([{"round": done.about["round"], **done.seconds} for done in rounds[1:]])


def picked_table(world: World, rounds: Sequence[Round]) -> "pd.DataFrame":
    """Return one row per labelled example, in the order of labelling.

    round (0: the initial set), row (of examples.parquet), example_id, label, oracle (put into the initial set because
    of its label).
    """
    import pandas as pd

    rows = np.concatenate([done.picked for done in rounds])
    sizes = [len(done.picked) for done in rounds]
    oracle = np.concatenate([np.arange(len(done.picked)) < done.oracle for done in rounds])
    return pd.DataFrame(
        {
            "round": np.repeat(np.arange(len(rounds)), sizes),
            "row": rows,
            "example_id": world.examples["example_id"].to_numpy()[rows],
            "label": world.labels[rows],
            "oracle": oracle,
        }
    )


def subpools_table(rounds: Sequence[Round]) -> "pd.DataFrame":
    """Return round and row (of examples.parquet) of every example of every subpool; none where it is the whole pool."""
    import pandas as pd

    sizes = [len(done.subpool) for done in rounds]
    rows = np.concatenate([done.subpool for done in rounds])
    return pd.DataFrame(
        {"round": np.repeat(np.arange(len(rounds), dtype=np.int32), sizes), "row": rows.astype(np.int32)}
    )


def run_summary(world: World, table: "pd.DataFrame") -> dict[str, Any]:
    """Return the run in a few numbers: areas under the curves, where it ended, what it found; NaN becomes None.

    table: as `rounds_table` returns it.
    """
    x, last = table["n_labelled"].to_numpy(), table.iloc[-1]
    names = [name for name in AREAS if name in table]
    found = {f"area_{name}": normalised_area(x, table[name].to_numpy(np.float64)) for name in names}
    found |= {f"final_{name}": float(last[name]) for name in names}
    found["area_minority_found"] = normalised_area(x, table["minority_found"].to_numpy())
    numbers = {name: value if np.isfinite(value) else None for name, value in found.items()}
    return numbers | {
        "minority": [world.names[c] for c in world.minority],
        "pool": int(world.pool.sum()),
        "pool_minority": int(np.isin(world.labels[world.pool], world.minority).sum()),
        "rounds": len(table),
        "n_labelled": int(last["n_labelled"]),
        "minority_found": float(last["minority_found"]),
        "rounds_filled_up": int((table["subpool_random"] > 0).sum()),
    }
