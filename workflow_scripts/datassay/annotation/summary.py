"""Tables about the rounds: how people agree, how the classes fill, what the model gains."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from datassay.annotation.aggregation import krippendorff_alpha

if TYPE_CHECKING:
    import pandas as pd


def budget_table(tables: "Sequence[pd.DataFrame]", metric: str) -> "pd.DataFrame":
    """Return per round and arm: n_labelled, mean and std (n - 1) over seeds of a metric on the test split.

    tables: metrics of `follow_round`, with their round. Where no test row is labelled the validation split is taken;
    the column `split` says which.
    """
    import pandas as pd

    everything = pd.concat(tables, ignore_index=True).sort_values("round", kind="stable")
    split = "test" if everything[metric].notna().any() else "validation"
    everything["value"] = everything[metric if split == "test" else f"validation_{metric}"]
    groups = everything.groupby(["round", "arm"], sort=False)
    table = groups.agg(n_labelled=("n_labelled", "first"), mean=("value", "mean"), std=("value", "std")).reset_index()
    return table.assign(metric=metric, split=split)


def round_table(
    answers: "pd.DataFrame", labels: "pd.DataFrame", label_names: Sequence[str], numbers: bool
) -> "pd.DataFrame":
    """Return one row per round: examples, answers, annotators, answers per example, agreement and balance.

    answers, labels: as `gather` and `labels_of` give them. label_names: of the classes, empty in a regression. numbers:
    whether people answered with numbers. alpha: Krippendorff's, of the round's answers; disagreement:
    mean over examples with several answers; ties; one column `n_{class}` per class, or mean and std of the numbers.
    """
    import pandas as pd

    rows: list[dict[str, Any]] = []
    for number in np.unique(labels["round"]):
        own = labels[labels["round"] == number]
        given = answers[answers["example_id"].isin(own["example_id"])]
        row: dict[str, Any] = {
            "round": int(number),
            "examples": len(own),
            "answers": len(given),
            "annotators": given["annotator"].nunique(),
            "answers_per_example": len(given) / len(own),
            "alpha": krippendorff_alpha(given, numbers),
            "disagreement": own["disagreement"].mean(),
            "ties": int(own["tie"].sum()),
        }
        if label_names:
            row |= {f"n_{name}": int((own["label"] == code).sum()) for code, name in enumerate(label_names)}
        else:
            row |= {"mean": own["label"].mean(), "std": own["label"].std()}
        rows.append(row)
    columns = ["round", "examples", "answers", "annotators", "answers_per_example", "alpha", "disagreement", "ties"]
    return pd.DataFrame(rows, columns=None if rows else columns)
