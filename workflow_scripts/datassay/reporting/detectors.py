"""All values and measures side by side as detectors of wrong labels: one table over all data sets."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from datassay.cleaning.curves import RANDOM, areas
from datassay.reporting.columns import Guide, column_guide, numeric_columns
from datassay.reporting.tables import NONE_STATED

if TYPE_CHECKING:
    import pandas as pd

EVERY = "(all)"  # no data set can have this name
ABOUT = ("dataset", "model", "detector", "family", "orientation")
SCORES = ("auroc", "average_precision", "precision_at_noise")

Tables = Mapping[tuple[str, str], "pd.DataFrame"]


def detector_scores(assay: "pd.DataFrame", guide: Guide) -> dict[str, np.ndarray]:
    """Return column -> float64 [n], low = suspicious, of every value and measure that can order all rows.

    Left out: columns that state no end for wrong labels, and those that lack a number in some row.
    """
    scores = {}
    for name, column in numeric_columns(assay, guide).items():
        end = guide[str(name)][1] if str(name) in guide else None
        values = column.to_numpy()
        if end is not None and np.isfinite(values).all():
            scores[str(name)] = values if end == "low" else -values
    return scores


def compare_detectors(detection: Tables, curves: Tables) -> "pd.DataFrame":
    """Return one row per data set, model and detector, and one per detector over all of them (data set "(all)").

    detection: (data set, model) -> as `score_detection` returns. curves: the same -> as `removal_curves` returns.
    Columns: dataset, model, detector, family, orientation, n, n_noisy, auroc, average_precision, precision_at_noise
    (missing where no noise is known); per utility the four areas of its curves and {utility}_gain, that of
    remove_suspicious less the one of random orders. "(all)": means over the (data set, model) that have the number,
    pairs (how many have any), and auroc_rank, the mean rank (1 = best) among the detectors that state an end.
    """
    import pandas as pd

    guide = column_guide()
    frames = []
    for pair in dict.fromkeys([*detection, *curves]):
        found = _areas(curves.get(pair))
        known = detection.get(pair)
        if known is not None and len(known):
            known = known.rename(columns={"column": "detector"}).drop(columns="family")
            found = known.merge(found, on="detector", how="outer") if len(found) else known
        if len(found):
            frames.append(found.assign(dataset=pair[0], model=pair[1]))
    if not frames:
        return pd.DataFrame(columns=[*ABOUT, *SCORES])
    table = pd.concat(frames, ignore_index=True)
    families = {name: family for name, (family, _) in guide.items()} | {RANDOM: "control"}
    ends = {name: end or NONE_STATED for name, (_, end) in guide.items()}
    table["family"] = table["detector"].map(families)
    table["orientation"] = table["detector"].map(ends)
    for name in SCORES:
        table[name] = table[name].astype(float) if name in table else np.nan
    table["auroc_rank"] = table[table["orientation"] != NONE_STATED].groupby(["dataset", "model"])["auroc"].rank(
        ascending=False
    )  # fmt: skip
    table = pd.concat([table, _over_all(table)], ignore_index=True)
    table = table[[*ABOUT, *table.columns.drop(list(ABOUT))]]
    return table.sort_values(["dataset", "model", "auroc", "detector"], ascending=[True, True, False, True],
                             ignore_index=True)  # fmt: skip


def _areas(curves: "pd.DataFrame | None") -> "pd.DataFrame":
    """Return one row per detector, the areas of every utility as columns."""
    import pandas as pd

    if curves is None or not len(curves):
        return pd.DataFrame({"detector": []})
    table = areas(curves)
    control = table[table["detector"] == RANDOM].set_index("utility")["remove_suspicious"]
    table["gain"] = table["remove_suspicious"] - table["utility"].map(control)
    parts = [
        rows.drop(columns="utility").set_index("detector").add_prefix(f"{utility}_")
        for utility, rows in table.groupby("utility", sort=False)
    ]
    return pd.concat(parts, axis=1).reset_index()


def _over_all(table: "pd.DataFrame") -> "pd.DataFrame":
    numbers = [name for name in table.select_dtypes("number").columns if name not in ("n", "n_noisy")]
    groups = table.groupby("detector", sort=False)
    means: Any = groups[numbers].mean()
    about = groups[["family", "orientation"]].first()
    return about.join(means).assign(dataset=EVERY, model="", pairs=groups.size()).reset_index()
