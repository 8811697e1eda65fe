"""The comparison of the strategies: every cell beside random choice, ranks, won cells and paired tests."""

from collections.abc import Iterable
from typing import TYPE_CHECKING

import numpy as np

from datassay.errors import DatassayError, NotApplicable
from datassay.randomness import generator
from datassay.training.scores import check_recorded

if TYPE_CHECKING:
    import pandas as pd

FULL, RANDOM, BALANCED = "full", "random", "balanced_random"
KEYS = ("strategy", "ratio", "seed")
ABOUT = (*KEYS, "n_kept")
LOWER_IS_BETTER = ("loss", "ece", "rmse")
VALIDATION = "validation_"
EXACT_PAIRS, DRAWS = 30, 99_999
COUNTS = ("n_kept", "seeds", "wins", "losses", "all_cells", "all_wins", "all_losses")


def compare(results: "pd.DataFrame", lead: str = "accuracy") -> "pd.DataFrame":
    """Return one row per metric, split, strategy and ratio: its level, and how it stands to random choice.

    results: columns strategy, ratio, seed, n_kept and numeric metrics, one row per retraining; `validation_accuracy` is
    accuracy on the validation split, a plain name is the test split; NaN where a metric does not apply. lead: the
    metric that comes first.

    metric, split, strategy, ratio, n_kept; seeds, mean and std over them (divisor seeds - 1, NaN for one seed);
    minus_full, minus_random, minus_balanced_random: mean difference to that strategy at the same ratio, seed by seed
    (full: ratio 1), and minus_random_std, its standard deviation over seeds; wins and losses: seeds in which it was
    better or worse than random; p_t and p_sign_flip: two-sided paired tests of that difference over the seeds; rank:
    1 = best mean of all strategies but full at this ratio, equal means share the mean of their ranks.
    Over all ratios of a strategy, the same in each of its rows: mean_rank, all_cells (ratio x seed), all_minus_random,
    all_wins, all_losses, all_p_t and all_p_sign_flip, which take the cells for independent.
    Better is higher, and lower for loss, ece and rmse; differences keep their sign. Whatever needs a reference or a
    second pair that is not there is NaN. Sorted by metric (lead first), split (test first), ratio and strategy.

    O(rows of the answer) time and, for every p_sign_flip, O(2^(pairs / 2)) up to 30 pairs, else 99,999 draws.
    Raises DatassayError where a column or the leading metric is missing or a retraining occurs twice.
    """
    import pandas as pd

    check_recorded(lead, results.columns)
    long = _long(results)
    order = {name: number for number, name in enumerate([lead, *sorted(set(long["metric"]) - {lead})])}
    tables = [
        _one_metric(rows, rows["metric"].iloc[0] in LOWER_IS_BETTER)
        for _, rows in long.groupby(["metric", "split"], sort=True)
    ]
    table = pd.concat(tables, ignore_index=True)
    first = ["metric", "split", "strategy", "ratio"]
    table = table[[*first, *table.columns.drop(first)]].astype(dict.fromkeys(COUNTS, "Int64"))
    return table.sort_values(
        ["metric", "split", "ratio", "strategy"], key=lambda s: s.map(order) if s.name == "metric" else s
    ).reset_index(drop=True)


def leading(table: "pd.DataFrame", metric: str) -> "pd.DataFrame":
    """Return the rows of a comparison that figures show: the metric on the test split, or where no test row is
    labelled on the validation split. Raises NotApplicable where neither was measured."""
    for split in ("test", "validation"):
        rows = table[(table["metric"] == metric) & (table["split"] == split)]
        if rows["mean"].notna().any():
            return rows
    raise NotApplicable(f"the pruned models have no {metric}: there are no labelled test or validation rows")


def _long(results: "pd.DataFrame") -> "pd.DataFrame":
    """Return strategy, ratio, seed, n_kept, metric, split, value; metrics that are NaN throughout are kept."""
    missing = [key for key in ABOUT if key not in results.columns]
    if missing:
        raise DatassayError(f"pruning results: no column {', '.join(missing)}")
    twice = results.duplicated(list(KEYS))
    if twice.any():
        first = results.loc[twice, list(KEYS)].iloc[0].to_dict()
        raise DatassayError(f"pruning results: {first} occurs twice")
    metrics = list(results.drop(columns=list(ABOUT)).select_dtypes("number").columns)
    long = results.melt(id_vars=list(ABOUT), value_vars=metrics, var_name="metric").sort_values([*KEYS, "metric"])
    validation = long["metric"].str.startswith(VALIDATION)
    return long.assign(
        metric=long["metric"].str.removeprefix(VALIDATION), split=np.where(validation, "validation", "test")
    )


def _one_metric(rows: "pd.DataFrame", lower: bool) -> "pd.DataFrame":
    """Return the comparison for one metric on one split."""
    import pandas as pd

    parts = [part for _, part in rows.groupby(["strategy", "ratio"], sort=True)]
    cells = {
        (str(part["strategy"].iloc[0]), float(part["ratio"].iloc[0])): part.set_index("seed")["value"] for part in parts
    }
    lines, paired = [], {}
    for part, ((strategy, ratio), values) in zip(parts, cells.items(), strict=True):
        differences = paired[strategy, ratio] = _differences(values, cells.get((RANDOM, ratio)), strategy == RANDOM)
        lines.append(
            {
                "metric": part["metric"].iloc[0], "split": part["split"].iloc[0],
                "strategy": strategy, "ratio": ratio, "n_kept": part["n_kept"].iloc[0], "seeds": len(values),
                "mean": values.mean(), "std": values.std(ddof=1),
                "minus_full": _mean(_differences(values, cells.get((FULL, 1.0)))),
                "minus_random": 0.0 if strategy == RANDOM else _mean(differences),
                "minus_random_std": float(np.std(differences, ddof=1)) if len(differences) > 1 else np.nan,
                "minus_balanced_random": _mean(_differences(values, cells.get((BALANCED, ratio)))),
                **_against_random(differences, lower),
            }
        )  # fmt: skip
    table = pd.DataFrame(lines)
    ranked = table[table["strategy"] != FULL]
    table["rank"] = ranked.groupby("ratio")["mean"].rank(ascending=lower, method="average")
    table["mean_rank"] = table.groupby("strategy")["rank"].transform("mean")
    return table.merge(_over_ratios(paired, lower), on="strategy")


def _over_ratios(paired: dict[tuple[str, float], np.ndarray], lower: bool) -> "pd.DataFrame":
    import pandas as pd

    lines = []
    for strategy in sorted({strategy for strategy, _ in paired}):
        pooled = np.concatenate([found for (name, _), found in paired.items() if name == strategy])
        about = {"cells": len(pooled), "minus_random": 0.0 if strategy == RANDOM else _mean(pooled)}
        about |= _against_random(pooled, lower)
        lines.append({"strategy": strategy} | {f"all_{name}": value for name, value in about.items()})
    return pd.DataFrame(lines)


def _differences(values: "pd.Series", reference: "pd.Series | None", itself: bool = False) -> np.ndarray:
    """Return values less reference for the seeds that both have, where neither is NaN; none for random with itself."""
    if reference is None or itself:
        return np.empty(0)
    return (values - reference).dropna().to_numpy(np.float64)


def _mean(values: np.ndarray) -> float:
    return float(values.mean()) if len(values) else np.nan


def _against_random(differences: np.ndarray, lower: bool) -> dict[str, float]:
    better = -differences if lower else differences
    return {
        "wins": int((better > 0).sum()),
        "losses": int((better < 0).sum()),
        "p_t": paired_t(differences),
        "p_sign_flip": sign_flip(differences),
    }


def paired_t(differences: np.ndarray) -> float:
    """Return the two-sided p of the paired t test; NaN for fewer than 2 differences or where they do not vary."""
    from scipy.stats import t

    n = len(differences)
    deviation = np.std(differences, ddof=1) if n > 1 else 0.0
    if deviation <= 1e-12 * np.abs(differences).max(initial=1e-300):
        return float("nan")
    return float(2 * t.sf(abs(differences.mean()) / (deviation / np.sqrt(n)), n - 1))


def sign_flip(differences: np.ndarray) -> float:
    """Return the two-sided p of the sign-flip test: the share of sign patterns with a sum as far from 0 as that found.

    Exact up to 30 differences (the sums of two halves are sorted and counted against each other); above, estimated from
    99,999 drawn patterns, that found counted in. NaN without differences. With n of them the smallest p is 2^(1 - n).
    """
    n = len(differences)
    if n == 0:
        return float("nan")
    sizes = np.abs(np.asarray(differences, np.float64))
    bar = abs(float(np.sum(differences))) - 1e-9 * sizes.sum()  # equal sums differ by rounding
    if bar <= 0:
        return 1.0
    if n > EXACT_PAIRS:
        signs = generator(0, "sign_flip").integers(0, 2, (DRAWS, n), dtype=np.int8) * 2 - 1
        return float((1 + (np.abs(signs @ sizes) >= bar).sum()) / (1 + DRAWS))
    half, other = _sums(sizes[: n // 2]), np.sort(_sums(sizes[n // 2 :]))
    above = len(other) - np.searchsorted(other, bar - half, side="left")
    return float(2 * above.sum() / 2**n)


def _sums(sizes: np.ndarray) -> np.ndarray:
    """Return the sums under all 2^n sign patterns."""
    sums = np.zeros(1)
    for size in sizes:
        sums = np.concatenate([sums - size, sums + size])
    return sums


def critical_difference(strategies: int, blocks: int) -> float:
    """Return by how much two mean ranks must differ to be told apart at 5 % (Nemenyi's test; Demsar, JMLR 2006, 3.2.2).

    strategies: how many are ranked; blocks: over how many ratios. NaN for fewer than two of either.
    """
    if strategies < 2 or blocks < 2:
        return float("nan")
    from scipy.stats import studentized_range

    q = studentized_range.ppf(0.95, strategies, np.inf) / np.sqrt(2)
    return float(q * np.sqrt(strategies * (strategies + 1) / (6 * blocks)))


def absent_strategies(table: "pd.DataFrame", reasons: Iterable[tuple[str, str]]) -> "pd.DataFrame":
    """Return the comparison with a row, empty but for `note`, for every strategy that was left out, and its reason."""
    import pandas as pd

    notes = pd.DataFrame(list(reasons), columns=["strategy", "note"])
    return pd.concat([table.assign(note=""), notes], ignore_index=True) if len(notes) else table.assign(note="")
