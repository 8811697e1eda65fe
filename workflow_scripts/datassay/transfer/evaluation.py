"""How good rankings of sources are, held against real transfers."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from datassay.randomness import generator

if TYPE_CHECKING:
    import pandas as pd

MEAN = "(mean)"
ORDERS = 10_000  # random orders over which sources of equal score are averaged
TOP = (1, 3, 5)
METRICS = ("ndcg", *(f"regret_{k}" for k in TOP), "spearman")


def judge(scores: np.ndarray, truth: np.ndarray, seed: int = 0) -> dict[str, float]:
    """Return ndcg, regret_1, regret_3, regret_5 (in %) and spearman of scores [J] against real performances [J].

    ndcg: gains 2^(performance in points), as the authors of ESMs compute it, so that points below the best count half
    each. regret_k: (best - best of the k first) / |best|. Sources without a score (NaN) come last; where scores are
    equal all orders count alike (10,000 random ones). spearman is NaN where all scores are equal.

    Source: Schulte et al., arXiv 2410.15148. Time O(J log J).
    """
    from scipy.stats import spearmanr

    filled = np.where(np.isnan(scores), -np.inf, scores)
    levels = np.unique(-filled, return_inverse=True)[1]
    tied = levels.max() + 1 < len(levels)
    mixed = generator(seed, "ties of a ranking").random((ORDERS if tied else 1, len(levels)))
    order = np.argsort(levels + mixed, axis=1)
    ranks = float("nan")
    if levels.max() > 0 and np.ptp(truth) > 0:
        ranks = float(spearmanr(-levels, truth).statistic)
    regrets = [float(_regret(truth, order[:, :k]).mean()) for k in TOP]
    return dict(zip(METRICS, [float(_ndcg(truth, order).mean()), *regrets, ranks], strict=True))


def _ndcg(truth: np.ndarray, order: np.ndarray) -> np.ndarray:
    gains = 2.0 ** (100 * (truth - truth.max()))
    discounts = 1 / np.log2(np.arange(2, len(truth) + 2))
    return (gains[order] @ discounts) / (np.sort(gains)[::-1] @ discounts)


def _regret(truth: np.ndarray, first: np.ndarray) -> np.ndarray:
    best = truth.max()
    return 100 * (best - truth[first].max(axis=1)) / (abs(best) or np.nan)


def compare(
    rankings: Mapping[str, "pd.DataFrame"], truth: Mapping[str, "pd.DataFrame"], costs: "pd.DataFrame"
) -> "pd.DataFrame":
    """Return one row per method and target, and per method over all targets (target "(mean)").

    rankings: target -> source, method, score. truth: target -> source, seed, performance. costs: target, method,
    seconds (all sources), bytes (per source). Beside the methods: random, and one_transfer, a single real transfer held
    against the mean of the other seeds: how far the noise of the truth lets any method come. A method without a score
    for any source of a target has no row there, and its mean says over how many targets it is.
    """
    import pandas as pd

    rows = []
    for target, ranking in rankings.items():
        real = truth[target].pivot_table(index="source", columns="seed", values="performance")
        mean = real.mean(axis=1)
        for method, own in ranking.groupby("method", sort=False):
            values = own.set_index("source")["score"].reindex(real.index)
            if values.notna().any():
                rows.append({"target": target, "method": method, **judge(values.to_numpy(float), mean.to_numpy())})
        rows.append({"target": target, "method": "random", **judge(np.zeros(len(mean)), mean.to_numpy())})
        if real.shape[1] > 1:
            rows.append({"target": target, "method": "one_transfer", **_one_transfer(real)})
    table = pd.DataFrame(rows).merge(costs, on=["target", "method"], how="left")
    overall = table.groupby("method", sort=False)[[*METRICS, "seconds", "bytes"]].mean()
    overall["targets"] = table.groupby("method", sort=False).size()
    overall = overall.sort_values(["targets", "regret_1", "regret_3"], ascending=[False, True, True], kind="stable")
    return pd.concat([overall.reset_index().assign(target=MEAN), table.assign(targets=1)], ignore_index=True)[
        ["target", "method", "targets", *METRICS, "seconds", "bytes"]
    ]


def _one_transfer(real: "pd.DataFrame") -> dict[str, float]:
    found = [judge(real[seed].to_numpy(), real.drop(columns=seed).mean(axis=1).to_numpy()) for seed in real.columns]
    return {name: float(np.mean([one[name] for one in found])) for name in METRICS}


def gains(truth: Mapping[str, "pd.DataFrame"], base: Mapping[str, "pd.DataFrame"]) -> "pd.DataFrame":
    """Return per target and source: performance over seeds (mean, std), and gain over the base model (mean)."""
    import pandas as pd

    rows: list[dict[str, Any]] = []
    for target, table in truth.items():
        without = float(base[target]["performance"].mean())
        for source, own in table.groupby("source", sort=False):
            values: Sequence[float] = own["performance"].to_list()
            rows.append(
                {
                    "target": target,
                    "source": source,
                    "performance": float(np.mean(values)),
                    "std": float(np.std(values, ddof=1)) if len(values) > 1 else float("nan"),
                    "gain": float(np.mean(values)) - without,
                }
            )
    return pd.DataFrame(rows)
