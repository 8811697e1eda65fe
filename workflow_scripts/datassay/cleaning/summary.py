"""Before and after: what retraining without the dropped rows changes, seed by seed and on average."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from datassay.errors import DatassayError

if TYPE_CHECKING:
    import pandas as pd

KEYS = ("column", "rule", "seed")
ABOUT = ("strategy", "ratio", "seed", "n_kept", "column", "rule")


def by_seed(full: "pd.DataFrame", cleaned: "Sequence[pd.DataFrame]") -> "pd.DataFrame":
    """Return column, rule, seed, n_kept and, per metric, {metric}_before, {metric}_after and {metric}_change.

    full: seed and metrics after training on all rows. cleaned: the same with column, rule and n_kept, one table for
    each way of cleaning. Raises DatassayError where a seed was trained on one side only.
    """
    import pandas as pd

    metrics = [name for name in full.select_dtypes("number").columns if name not in ABOUT]
    before = full.set_index("seed")[metrics]
    rows = []
    for table in cleaned:
        if set(table["seed"]) != set(before.index):
            raise DatassayError(f"cleaning: seeds {sorted(table['seed'])}, all rows: {sorted(before.index)}")
        for _, row in table.sort_values("seed").iterrows():
            found: dict[str, Any] = {**{key: row[key] for key in KEYS}, "n_kept": row["n_kept"]}
            for metric in metrics:
                found[f"{metric}_before"] = before.loc[row["seed"], metric]
                found[f"{metric}_after"] = row[metric]
                found[f"{metric}_change"] = row[metric] - before.loc[row["seed"], metric]
            rows.append(found)
    return pd.DataFrame(rows)


def summarise(seeds: "pd.DataFrame", decisions: Mapping[tuple[str, str], Mapping[str, Any]]) -> "pd.DataFrame":
    """Return one row per (column, rule): rows dropped, K-NN check, noise found, and every metric before and after.

    seeds: as `by_seed` returns. decisions: (column, rule) -> the report of `decide`. Per metric: {metric}_before_mean,
    _before_std, _after_mean, _after_std, _change_mean, _change_std (over seeds, divisor seeds - 1).
    """
    import pandas as pd

    rows = []
    for (column, rule), group in seeds.groupby(["column", "rule"], sort=False):
        about = decisions[str(column), str(rule)]
        found: dict[str, Any] = {"column": column, "rule": rule, "seeds": len(group)}
        found |= {name: about[name] for name in ("n", "n_dropped", "share_dropped")}
        for name in ("knn_reporting", "knn_test"):
            found |= {f"{name}_before": about["before"][name], f"{name}_after": about["after"][name]}
        noise = about["known_noise"] or {}
        found |= {f"dropped_{name}": noise.get(name) for name in ("precision", "recall")}
        for name in group.columns.drop([*KEYS, "n_kept"]):
            found |= {f"{name}_mean": group[name].mean(), f"{name}_std": group[name].std(ddof=1)}
        rows.append(found)
    return pd.DataFrame(rows)
