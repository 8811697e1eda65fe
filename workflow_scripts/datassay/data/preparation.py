"""Build a data set: load, check, number the labels, choose classes and rows, divide, add noise, describe."""

import logging
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from datassay.config import Dataset
from datassay.data.card import data_card, findings
from datassay.data.checks import check_texts, checked_ids, checked_images, checked_options, is_missing
from datassay.data.imbalance import imbalanced, minority_and_rest
from datassay.data.labels import (
    UNKNOWN,
    check_trained,
    code_labels,
    is_known,
    keep_classes,
    known_wrong,
    unlabelled_to_pool,
)
from datassay.data.loading import load_source
from datassay.data.noise import noisy_labels
from datassay.data.source import POOL, Source
from datassay.data.splits import carve, named_splits, split_matcher, subsample
from datassay.data.targets import number_labels, option_labels, strata
from datassay.errors import DatassayError

if TYPE_CHECKING:
    import pandas as pd

logger = logging.getLogger(__name__)


def prepare(
    settings: Dataset, root: Path = Path("."), *, source_rows: bool = False
) -> tuple["pd.DataFrame", dict[str, Any]]:
    """Build the examples of a data set and its card.

    root: where relative paths of the settings start. source_rows: add the column source_row, the number of a row among
    those that the source brings for training (-1: others), by which published scores are matched. Returns

    - examples, in the order of the source (of several files or hub splits: train, validation, valuation, test, pool):
      example_id (unique text), split (train, validation, valuation, test, pool), label (as given, after noise: int64
      class or option number, -1: none; regression: float64, NaN: none; none in the pool only), true_label (of the same
      kind; left out where no row's is known), is_noisy (given and true label differ), is_probe (False), text, text_b
      and options (multiple choice: a list of texts), or image ({"bytes", "path"}, encoded);
    - the card (see `data_card`).

    Raises DatassayError with file, row and column for data that nothing could be right about. Time and memory grow with
    the size of the source; images are read after classes and rows are chosen.
    """
    split_of = split_matcher(settings.split.names)
    source = load_source(settings, root, split_of)
    logger.info("%s: %d rows read", settings.name, len(source.table))
    named = named_splits(source, split_of, settings.split.names)
    named = unlabelled_to_pool(source, named) if settings.missing_labels == POOL else named
    source = _checked(source, named, settings)
    table, names, notes = _labelled(source, settings)
    splits, labels = table["split"].to_numpy(object), table["label"].to_numpy()
    rows = subsample(splits, strata(labels), settings.subsample, settings.subsample_seed)
    source = replace(source, table=table.iloc[rows].reset_index(drop=True))
    labels, given = labels[rows], splits[rows]
    splits = carve(given, strata(labels), settings.split)
    source = replace(source, table=_hidden(source.table, (splits == POOL) & (given != POOL), settings))
    if settings.imbalance is not None:
        rows, said = imbalanced(splits, labels, names, settings.imbalance)
        source = replace(source, table=source.table.iloc[rows].reset_index(drop=True))
        splits, labels, notes = splits[rows], labels[rows], [*notes, *said]
    unlabelled = bool(((splits == POOL) & ~is_known(labels)).any())
    if settings.task == "classification" and not unlabelled:
        check_trained(source, splits, labels, names)
    contents, infos = _contents(source)
    examples = _arrange(source.table, splits, contents, len(names), settings)
    if source_rows:
        examples["source_row"] = source.table["source_row"].to_numpy(np.int64)
    card = data_card(settings, examples, names, infos, [*source.notes, *notes])
    logger.info("%s: %s", settings.name, ", ".join(f"{k} {v['n']}" for k, v in card["counts"].items()))
    for finding in findings(card):
        logger.warning("%s: %s", settings.name, finding)
    return examples, card


def _hidden(table: "pd.DataFrame", rows: np.ndarray, settings: Dataset) -> "pd.DataFrame":
    """Move the labels of the rows that were carved for the pool to where true labels stand."""
    if not rows.any():
        return table
    labels = table["label"].to_numpy()
    nothing = np.nan if labels.dtype.kind == "f" else UNKNOWN
    true = labels if settings.noise.rate else np.full_like(labels, nothing)
    true = table["true_label"].to_numpy() if "true_label" in table else true
    true = np.where(rows & ~is_known(true), labels, true)
    return table.assign(label=np.where(rows, nothing, labels).astype(labels.dtype), true_label=true)


def _checked(source: Source, splits: Sequence[str], settings: Dataset) -> Source:
    training = np.array(splits) == "train"
    numbers = np.where(training, np.cumsum(training) - 1, -1)
    table = source.table.assign(split=splits, example_id=checked_ids(source), source_row=numbers)
    source = replace(source, table=table)
    for role in ("text", "text_b"):
        if role in source.table:
            check_texts(source, role)
    if settings.task != "multiple_choice":
        return replace(source, table=source.table.drop(columns="options", errors="ignore"))
    if "options" not in source.table:
        raise DatassayError(f"{settings.source}: no column 'options', which task: multiple_choice needs")
    import pandas as pd

    options = pd.Series(checked_options(source), index=source.table.index, dtype=object)
    return replace(source, table=source.table.assign(options=options))


def _labelled(source: Source, settings: Dataset) -> "tuple[pd.DataFrame, list[str], list[str]]":
    """Return the rows to use with their labels checked and coded, the names of classes or options, and notes."""
    if settings.task == "regression":
        return number_labels(source), [], []
    names = settings.label_names or source.label_names
    if settings.task == "multiple_choice":
        return *option_labels(source, names), []
    table, names, notes = keep_classes(*code_labels(source, names), settings.classes)
    if settings.imbalance is None:
        return table, names, notes
    table, names, said = minority_and_rest(table, names, settings.imbalance)
    return table, names, [*notes, *said]


def _contents(source: Source) -> tuple[dict[str, Any], list[Any]]:
    """Return the columns that hold the example itself, and what is known of its images."""
    if "image" not in source.table:
        texts = {role: source.table[role].astype("str") for role in ("text", "text_b") if role in source.table}
        return texts | ({"options": source.table["options"]} if "options" in source.table else {}), []
    images, infos = checked_images(source)
    return {"image": images}, infos


def _arrange(
    table: "pd.DataFrame", splits: np.ndarray, contents: dict[str, Any], n_classes: int, settings: Dataset
) -> "pd.DataFrame":
    """Inject the noise into the train rows and put the columns of examples.parquet together."""
    import pandas as pd

    given = table["label"].to_numpy()
    true = table["true_label"].to_numpy() if "true_label" in table else given if settings.noise.rate else None
    label = given.copy()
    train = splits == "train"
    if settings.noise.rate:
        label[train] = noisy_labels(given[train], n_classes, settings.noise)
    known = true is not None and bool(is_known(true).any())
    if settings.evaluate_on == "true_label" and true is not None:
        trusted = ~train & (splits != POOL) & is_known(true)
        label[trusted] = true[trusted]
    columns: dict[str, Any] = {
        "example_id": pd.Series(table["example_id"], dtype="str"),
        "split": splits,
        "label": label,
    }
    if known:
        columns["true_label"] = true
    columns["is_noisy"] = known_wrong(label, true) if true is not None else np.zeros(len(label), dtype=bool)
    columns["is_probe"] = np.zeros(len(label), dtype=bool)
    if "group" in table:
        columns["group"] = [None if is_missing(group) else str(group) for group in table["group"]]
    return pd.DataFrame({**columns, **contents})
