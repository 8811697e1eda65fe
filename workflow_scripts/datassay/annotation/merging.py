"""From checked answers to a data set that is larger than before."""

import logging
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from datassay.annotation.aggregation import aggregate, check_bins
from datassay.data.card import recounted
from datassay.data.labels import known_wrong
from datassay.data.source import POOL

if TYPE_CHECKING:
    import pandas as pd

logger = logging.getLogger(__name__)


def gather(tables: "Mapping[str, pd.DataFrame]", rounds: Mapping[str, int]) -> "pd.DataFrame":
    """Return the answers of all files as one table, with file and round; what a person said twice counts once.

    tables: name of the file -> checked answers. rounds: name of the file -> round. Order: round, file, as in the file.
    """
    import pandas as pd

    empty = pd.DataFrame(
        {"example_id": pd.Series(dtype="str"), "annotator": pd.Series(dtype="str"), "value": pd.Series(dtype=float)}
    )
    parts = [
        table[["example_id", "annotator", "value"]].assign(file=name, round=rounds[name])
        for name, table in sorted(tables.items(), key=lambda item: (rounds[item[0]], item[0]))
    ]
    answers = pd.concat([empty.assign(file="", round=0), *parts], ignore_index=True)
    return answers.drop_duplicates(["example_id", "annotator"], ignore_index=True)


def labels_of(
    answers: "pd.DataFrame", card: Mapping[str, Any], aggregation: str | None, bins: Sequence[float] | None
) -> "pd.DataFrame":
    """Return one label per answered example (see `aggregate`) with the round in which it was first answered.

    aggregation: None for the majority, or the mean of a regression. Raises DatassayError for bins that do not fit.
    """
    classes = len(card["label_names"])
    check_bins(bins, classes)
    method: Any = aggregation or ("majority" if classes else "mean")
    labels = aggregate(answers, method, classes, bins)
    first = answers.groupby("example_id")["round"].min()
    labels["round"] = labels["example_id"].map(first).astype(np.int64)
    if ties := int(labels["tie"].sum()):
        logger.info("%d examples on which as many said one class as another: broken by chance", ties)
    return labels


def named_labels(labels: "pd.DataFrame", examples: "pd.DataFrame", label_names: Sequence[str]) -> "pd.DataFrame":
    """Return the labels for people: names for class numbers, and the true label beside them where it is known."""
    table = labels.copy()
    if "true_label" in examples:
        table.insert(2, "true_label", table["example_id"].map(examples.set_index("example_id")["true_label"]))
    for name in ("label", "true_label"):
        if name in table and label_names:
            table[name] = [label_names[int(code)] if code >= 0 else None for code in table[name]]
    return table


def with_labels(examples: "pd.DataFrame", labels: Mapping[str, float]) -> "pd.DataFrame":
    """Return the examples with some rows of the pool among the train rows, under these labels."""
    import pandas as pd

    rows = pd.Index(examples["example_id"]).get_indexer(list(labels))
    label, split = examples["label"].to_numpy().copy(), examples["split"].to_numpy(object).copy()
    label[rows], split[rows] = np.array(list(labels.values())).astype(label.dtype), "train"
    return examples.assign(label=label, split=split)


def merged(
    examples: "pd.DataFrame", card: Mapping[str, Any], labels: "pd.DataFrame"
) -> tuple["pd.DataFrame", dict[str, Any]]:
    """Return the examples with the labelled rows of the pool among the train rows, and the card with new counts.

    labels: example_id and label, of rows of the pool. Rows stay where they are.
    """
    larger = with_labels(examples, dict(zip(labels["example_id"], labels["label"], strict=True)))
    if "true_label" in examples:
        wrong = known_wrong(larger["label"].to_numpy(), larger["true_label"].to_numpy())
        larger["is_noisy"] = examples["is_noisy"] | wrong
    note = f"{len(labels)} train rows were labelled by annotators (annotation/labels.csv)."
    left = int((larger["split"] == POOL).sum())
    logger.info("%d rows of the pool have a label now, %d have none", len(labels), left)
    return larger, recounted(dict(card), larger, [note] if len(labels) else [])
