"""Treatments side by side: what a model gains from what the probes tell."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from datassay.archaeology.treatments import TREATMENTS

if TYPE_CHECKING:
    import pandas as pd

ABOUT = ("seed", "n_kept", "epoch", "treatment")


def compare_treatments(
    application: str, results: "Mapping[str, pd.DataFrame]", metrics: Sequence[str] = ("accuracy", "loss")
) -> "pd.DataFrame":
    """Return one row per treatment and metric, on the test split after the last epoch.

    results: treatment -> as `training.retrain` returns, with the epoch where scores after every epoch were kept.
    Columns: treatment, metric, mean, std (population, over seeds), seeds, n_kept, difference to the first treatment and
    its standard deviation (seed by seed), and every fact of the treatment. prioritised_training has epochs_to_reach
    besides: the first epoch from which the mean over seeds is at least the uniform one's after its last.
    """
    import pandas as pd

    base, *_ = TREATMENTS[application]
    last = {name: _last(table).set_index("seed") for name, table in results.items()}
    rows = []
    for name, table in last.items():
        shown = [m for m in (*metrics, *sorted(c for c in map(str, table) if c.endswith("_accuracy"))) if m in table]
        facts = {c: float(table[c].iloc[0]) for c in map(str, table) if c.startswith(("smallest_", "share_"))}
        for metric in dict.fromkeys(m for m in shown if not m.startswith("validation_")):
            gain = (table[metric] - last[base][metric]).to_numpy()
            about = {
                "treatment": name,
                "metric": metric,
                "mean": table[metric].mean(),
                "std": table[metric].std(ddof=0),
            }
            about |= {"seeds": len(table), "n_kept": int(table["n_kept"].iloc[0])}
            about |= {"difference": gain.mean(), "difference_std": gain.std()}
            if application == "prioritised_training" and metric == "accuracy":
                about["epochs_to_reach"] = epochs_to_reach(results[name], float(last[base][metric].mean()))
            rows.append(about | facts)
    return pd.DataFrame(rows)


def epochs_to_reach(results: "pd.DataFrame", level: float, metric: str = "accuracy") -> float:
    """Return the first epoch after which the mean over seeds is at least `level`; NaN where it never is."""
    means = results.groupby("epoch")[metric].mean()
    reached = means.index[means >= level]
    return float(reached[0]) if len(reached) else float("nan")


def _last(table: "pd.DataFrame") -> "pd.DataFrame":
    return table[table["epoch"] == table["epoch"].max()] if "epoch" in table else table
