"""Telling what is out of distribution by the logits of all epochs, against the last epoch's alone."""

from typing import TYPE_CHECKING

import numpy as np

from datassay.archaeology.assignment import assign_categories
from datassay.archaeology.trajectories import maximum_logits, sorted_logits
from datassay.data.source import UNSEEN
from datassay.errors import NotApplicable
from datassay.randomness import generator

if TYPE_CHECKING:
    import pandas as pd

METHODS = {
    "final_max_logit": "highest logit after the last epoch",
    "max_logit_trajectory": "vote by the highest logits of all epochs",
    "sorted_logit_trajectory": "vote by the sorted logits of all epochs",
}
INSIDE = "inside"


def held_out(examples: "pd.DataFrame", probes: "pd.DataFrame") -> tuple[np.ndarray, np.ndarray]:
    """Return the rows of examples that no model learnt from, and what they are: "inside" (test rows) or their suite."""
    suite = probes[probes["half"] == UNSEEN].set_index("example_id")["suite"].reindex(examples["example_id"])
    test = (examples["split"] == "test").to_numpy()
    rows = np.flatnonzero(test | suite.notna().to_numpy())
    return rows, np.where(test[rows], INSIDE, suite.to_numpy(object)[rows])


def outside_scores(
    logits: np.ndarray, suites: np.ndarray, *, k: int = 20, top: int = 10, seed: int = 0
) -> "pd.DataFrame":
    """Score rows that no model learnt from as out of distribution, high = outside.

    logits: [E, n, C] of held-out rows and unseen probes. suites: [n] "inside" or the suite of a probe. A random half of
    either kind is the reference, of equal size; the others are scored: final_max_logit (Hendrycks & Gimpel, ICLR 2017,
    on logits), and the share of `outside` among the k nearest reference rows by the trajectories of the highest logit
    and of the `top` highest ones, sorted (Siddiqui et al., ICLR 2023). Columns: row, suite and one per method.
    Raises NotApplicable where either kind has fewer than 4 rows. Time O(n^2 E top).
    """
    import pandas as pd

    outside = suites != INSIDE
    if min(outside.sum(), (~outside).sum()) < 4:
        raise NotApplicable(
            f"{int(outside.sum())} unseen probes and {int((~outside).sum())} test rows, needs at least 4 of each: name "
            "out_of_distribution or random_inputs in probes.suites"
        )
    rng = generator(seed, "outside reference")
    kinds = [rng.permutation(np.flatnonzero(kind)) for kind in (outside, ~outside)]
    size = min(map(len, kinds)) // 2
    reference = np.concatenate([rows[:size] for rows in kinds])
    asked = np.sort(np.concatenate([rows[size:] for rows in kinds]))
    scores = {"final_max_logit": -np.asarray(logits[-1]).max(axis=1)[asked].astype(np.float64)}
    for name, points in (
        ("max_logit_trajectory", maximum_logits(logits)),
        ("sorted_logit_trajectory", sorted_logits(logits, top)),
    ):
        scores[name] = assign_categories(points[asked], points[reference], outside[reference], k)[1][:, 1]
    return pd.DataFrame({"row": asked, "suite": suites[asked], **scores})


def outside_table(scores: "pd.DataFrame") -> "pd.DataFrame":
    """Return AUROC and average precision of every method, for all that is outside and for every suite of it."""
    import pandas as pd

    from datassay.reporting.tables import auroc, average_precision

    rows = []
    suites = sorted(set(scores["suite"]) - {INSIDE})
    for suite in ["all", *suites] if len(suites) > 1 else suites:
        own = scores[scores["suite"].isin([INSIDE, *(suites if suite == "all" else [suite])])]
        outside = (own["suite"] != INSIDE).to_numpy()
        for method in METHODS:
            score = own[method].to_numpy()
            found = {"auroc": auroc(score, outside), "average_precision": average_precision(score, outside)}
            about = {"suite": suite, "method": method, "inside": int((~outside).sum()), "outside": int(outside.sum())}
            rows.append(about | found)
    return pd.DataFrame(rows)
