"""Strategies beside each other: areas, values at equal budgets, seconds; medians and quartiles over the seeds."""

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np

from datassay.active_learning.query import PARTS
from datassay.active_learning.tables import AREAS, normalised_area

if TYPE_CHECKING:
    import pandas as pd

SELECTION = ("search", "subpool", "prediction", "query")
BUDGETS = (0.25, 0.5, 0.75, 1.0)

Runs = Mapping[tuple[str, str], "pd.DataFrame"]


def curves(runs: Runs, times: Runs) -> "pd.DataFrame":
    """Return the rounds of all runs, (strategy, seed) -> table, in one, with their seconds as seconds_{part}."""
    import pandas as pd

    tables = []
    for (strategy, seed), table in runs.items():
        seconds = times[strategy, seed].drop(columns="round").add_prefix("seconds_")
        tables.append(pd.concat([table, seconds], axis=1).assign(strategy=strategy, seed=seed))
    return pd.concat(tables, ignore_index=True)


def compare_runs(table: "pd.DataFrame", budgets: Sequence[int] | None = None) -> "pd.DataFrame":
    """Return one row per strategy, measure and place, over the seeds: median, q25, q75, seeds.

    table: as `curves` returns it. measure: every metric of AREAS, and minority_found. place: "area" (normalised area
    under the curve) or a labelled size: the last evaluated round at or below it; sizes: `budgets`, by default four
    equal steps from the initial size to the largest one that all runs reach.
    """
    metrics = [name for name in (*AREAS, "minority_found") if name in table]
    sizes_of = table.groupby(["strategy", "seed"])["n_labelled"]
    start, reached = sizes_of.min().max(), sizes_of.max().min()
    sizes = budgets or sorted({round(start + share * (reached - start)) for share in BUDGETS})
    found: list[tuple[str | float, ...]] = []
    for strategy, seed, rows in _runs(table):
        x = rows["n_labelled"].to_numpy()
        for metric in metrics:
            y = rows[metric].to_numpy(np.float64)
            found.append((strategy, seed, metric, "area", normalised_area(x, y)))
            found += [(strategy, seed, metric, str(size), _at(x, y, size)) for size in sizes]
    return _over_seeds(found, ["strategy", "seed", "measure", "place", "value"])


def compare_seconds(table: "pd.DataFrame") -> "pd.DataFrame":
    """Return per strategy and part of a round the seconds: the median of rounds that query; over seeds as above.

    table: as `curves` returns it. part: those of PARTS, and selection: search, subpool, prediction and query together.
    """
    found: list[tuple[str | float, ...]] = []
    for strategy, seed, rows in _runs(table[table["subpool_size"] > 0]):
        selection = rows[[f"seconds_{part}" for part in SELECTION]].sum(axis=1)
        found.append((strategy, seed, "selection", float(selection.median())))
        found += [(strategy, seed, part, float(rows[f"seconds_{part}"].median())) for part in PARTS]
    return _over_seeds(found, ["strategy", "seed", "part", "value"])


def _runs(table: "pd.DataFrame") -> Iterator[tuple[str, str, "pd.DataFrame"]]:
    for (strategy, seed), rows in table.groupby(["strategy", "seed"], sort=False):
        yield str(strategy), str(seed), rows.sort_values("n_labelled")


def _over_seeds(found: Sequence[tuple[str | float, ...]], columns: list[str]) -> "pd.DataFrame":
    """Return median, quartiles and count of the last column over the seeds."""
    import pandas as pd

    table = pd.DataFrame(found, columns=columns)
    groups = table.groupby([name for name in columns if name not in ("seed", "value")], sort=False)["value"]
    quartiles = {"median": groups.median(), "q25": groups.quantile(0.25), "q75": groups.quantile(0.75)}
    return pd.DataFrame(quartiles | {"seeds": groups.count()}).reset_index()


def _at(x: np.ndarray, y: np.ndarray, size: int) -> float:
    """Return y of the last evaluated round with at most `size` labels, NaN where there is none."""
    before = np.flatnonzero((x <= size) & np.isfinite(y))
    return float(y[before[-1]]) if len(before) else float("nan")


def wide(summary: "pd.DataFrame", measures: Sequence[str] = ("minority_f1", "minority_found")) -> "pd.DataFrame":
    """Return the table that people read: a row per strategy, a column per measure and place, "median (q25 to q75)"."""
    shown = summary[summary["measure"].isin(measures)]
    text = shown.assign(
        column=shown["measure"] + " " + shown["place"],
        cell=[
            f"{m:.3f} ({a:.3f} to {b:.3f})" if np.isfinite(m) else ""
            for m, a, b in shown[["median", "q25", "q75"]].to_numpy()
        ],
    )
    table = text.pivot(index="strategy", columns="column", values="cell")
    order = {name: list(dict.fromkeys(text[name])) for name in ("strategy", "column")}
    return table.loc[order["strategy"], order["column"]].rename_axis(columns=None).reset_index()


_ESCAPES = {"\\": r"\textbackslash{}", **{c: "\\" + c for c in "&%$#_{}"}, "~": r"\textasciitilde{}", "^": r"\^{}"}


def latex(table: "pd.DataFrame") -> str:
    """Return a table as a LaTeX tabular (booktabs); special characters are escaped."""

    def line(cells: Sequence[object]) -> str:
        return " & ".join("".join(_ESCAPES.get(c, c) for c in str(cell)) for cell in cells) + r" \\"

    body = [line(row) for row in table.itertuples(index=False)]
    columns = "l" * len(table.columns)
    head = [rf"\begin{{tabular}}{{{columns}}}", r"\toprule", line(list(table.columns)), r"\midrule"]
    return "\n".join([*head, *body, r"\bottomrule", r"\end{tabular}"]) + "\n"
