"""Calling a registered method: load the arrays it names, hand it its options, check its answer.

Measures, values and strategies are about the train rows, in the order of examples.parquet.
"""

import logging
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from datassay.errors import DatassayError, NotApplicable
from datassay.registry import UNSUITED, Method
from datassay.storage import load_array, load_member, load_table

if TYPE_CHECKING:
    import pandas as pd

logger = logging.getLogger(__name__)

NOT_ASKED_FOR = "not asked for by the options"


def split_rows(examples: "pd.DataFrame", split: str) -> np.ndarray:
    """Return the positions of a split's rows, int64."""
    return np.flatnonzero((examples["split"] == split).to_numpy())


def load_inputs(files: Mapping[str, Any]) -> tuple["pd.DataFrame", dict[str, np.ndarray]]:
    """Load named arrays for the train rows.

    files: array name -> file (a list of files for the arrays of all seeds), with "examples" among them.
    Returns the train rows of examples.parquet (example_id, label) and the arrays, n rows each.
    """
    everything = load_table(files["examples"], ["example_id", "split", "label"])
    rows = split_rows(everything, "train")
    train = everything.iloc[rows].reset_index(drop=True)
    names = [name for name in files if name != "examples"]
    return train, {name: _load(name, files[name], len(everything), rows, train["example_id"]) for name in names}


def _load(name: str, file: Any, total: int, rows: np.ndarray, ids: "pd.Series") -> np.ndarray:
    match name:
        case "labels":
            return load_table(file, ["label"])["label"].to_numpy()[rows]
        case "logits":
            return load_array(file, shape=(None, total, None), memory_map=True)[:, rows]
        case "ensemble_logits":
            return np.stack([load_array(f, shape=(None, total, None), memory_map=True)[-1, rows] for f in file])
        case "ensemble_epoch_logits":
            return np.stack([load_array(f, shape=(None, total, None), memory_map=True)[:, rows] for f in file])
        case "feature_norms":
            return load_array(file, shape=(None, total), memory_map=True)[:, rows]
        case "ensemble_feature_norms":
            return np.stack([load_array(f, shape=(None, total), memory_map=True)[:, rows] for f in file])
        case "features" | "embeddings":
            return load_array(file, shape=(total, None), memory_map=True)[rows]
        case "mc_logits":
            return load_array(file, shape=(None, len(rows), None))
        case "feature_neighbors" | "embedding_neighbors":
            return load_member(file, "ids", rows=len(rows))
        case "feature_distances" | "embedding_distances":
            return load_member(file, "distances", rows=len(rows))
        case "loss_trajectories" | "right_trajectories":
            return load_member(file, f"train_{name.removesuffix('_trajectories')}", rows=len(rows))
        case "probe_losses" | "probe_labels" | "probe_suites":
            member = {"probe_losses": "loss", "probe_labels": "label", "probe_suites": "suite"}[name]
            return load_member(file, f"reference_{member}")
        case "log_likelihood":
            return load_array(file, shape=(len(rows),))
        case "infoverse":
            return load_array(file, shape=(len(rows), None))
    table = load_table(file, rows=len(rows))
    if not table["example_id"].equals(ids):
        raise DatassayError(f"{file}: its example_id differ from those of examples.parquet, delete it and run again")
    column = "value" if "value" in table else name
    if column not in table:
        reason = table.attrs.get("absent", {}).get(name, "no reason recorded")
        raise NotApplicable(f"{file}: column '{name}' could not be computed: {reason}")
    return table[column].to_numpy()


def _call(about: Method, arrays: Mapping[str, Any], options: Mapping[str, Any]) -> Any:
    inputs = {}
    for parameter, name in about.inputs.items():
        if name in arrays:
            inputs[parameter] = arrays[name]
        elif parameter not in about.optional:
            raise DatassayError(f"{about.kind} '{about.name}': no array '{name}'")
    return about.function(**inputs, **options)


def compute_measure(
    about: Method,
    arrays: Mapping[str, np.ndarray],
    ids: "pd.Series",
    options: Mapping[str, Any],
    task: str = "classification",
) -> "pd.DataFrame":
    """Return example_id and the columns of a measure; columns that cannot be computed are in attrs["absent"].

    task: of the data set; columns that mean nothing in it are absent too.

    Raises DatassayError when the measure's answer has other columns than it declares, another number of rows,
    or values that are not finite.
    """
    import pandas as pd

    try:
        answer = _call(about, {**arrays, "task": task}, options)
    except NotApplicable as error:
        answer = pd.DataFrame(index=range(len(ids)))
        answer.attrs["absent"] = {column.name: str(error) for column in about.columns}
    if isinstance(answer, np.ndarray):
        answer = {about.columns[0].name: answer}
    absent = dict(getattr(answer, "attrs", {}).get("absent", {}))
    table = pd.DataFrame(answer)
    suited = about.columns_of(task)
    absent |= {column.name: UNSUITED[task] for column in about.columns if column.name not in suited}
    table = table.drop(columns=[name for name in table if name in absent])
    _check_measure(about, table, len(ids), absent)
    for column, reason in absent.items():
        logger.info("column %s is left out: %s", column, reason)
    table.insert(0, "example_id", ids.to_numpy())
    table.attrs["absent"] = absent
    return table


def _check_measure(about: Method, table: "pd.DataFrame", rows: int, absent: dict[str, str]) -> None:
    declared = {column.name for column in about.columns}
    named = {column.name for column in about.columns if column.names}
    where = f"measure '{about.name}'"
    if len(table) != rows:
        raise DatassayError(f"{where}: returned {len(table)} rows for {rows} examples")
    if unknown := sorted(set(map(str, table.columns)) - declared):
        raise DatassayError(f"{where}: returned column '{unknown[0]}', which its decorator does not declare")
    missing = sorted(declared - set(table.columns) - set(absent))
    if missing and not about.options:
        raise DatassayError(f"{where}: declares column '{missing[0]}' but neither returned it nor said why")
    absent |= dict.fromkeys(missing, NOT_ASKED_FOR)
    for name in table.columns:
        values = table[name].to_numpy()
        if name in named:
            if not all(isinstance(value, str) for value in values):
                raise DatassayError(f"{where}: column '{name}' is declared to hold names, every row needs a text")
            continue
        if values.dtype.kind not in "biuf":
            raise DatassayError(f"{where}: column '{name}' holds {values.dtype}, only numbers and booleans are allowed")
        if values.dtype.kind == "f" and not np.isfinite(values).all():
            row = int(np.flatnonzero(~np.isfinite(values))[0])
            raise DatassayError(
                f"{where}: column '{name}' is {values[row]} at row {row}, only finite numbers are allowed"
            )
