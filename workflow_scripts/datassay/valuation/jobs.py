"""What a job of the workflow values: the arrays of its files, and the game on them."""

import logging
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from datassay.errors import DatassayError
from datassay.registry import Method
from datassay.stages import split_rows
from datassay.storage import load_array, load_json, load_table
from datassay.valuation.games import FunctionGame, Game
from datassay.valuation.sampling import game_and_options

if TYPE_CHECKING:
    import pandas as pd

Arrays = tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]


def load_data(files: Mapping[str, str]) -> tuple["pd.Series", Arrays]:
    """Return the ids of the train rows, and train_x, train_y, valid_x, valid_y of a job's files."""
    examples = load_table(files["examples"], ["example_id", "split", "label"])
    vectors = load_array(files["embeddings"], shape=(len(examples), None), memory_map=True)
    labels = examples["label"].to_numpy()
    train, valuation = split_rows(examples, "train"), split_rows(examples, "valuation")
    if not len(valuation):
        raise DatassayError(
            f"{files['examples']}: no row is in split 'valuation', on which values are measured: set split.valuation "
            "of the data set above 0, or set valuation.estimators to [] and leave out the strategies that read values"
        )
    arrays = vectors[train], labels[train], vectors[valuation], labels[valuation]
    return examples["example_id"].iloc[train].reset_index(drop=True), arrays


def load_game(
    about: Method, data: Arrays, files: Mapping[str, str], params: Mapping[str, Any], max_rows: int
) -> tuple[Game, dict[str, Any]]:
    """Return an estimator's game on a job's arrays, and the options that are the estimator's own.

    params: options, and for the utility `model` model and training_seed. Raises DatassayError for more train rows than
    max_rows.
    """
    rows = len(data[0])
    if rows > max_rows:
        raise DatassayError(
            f"{about.name}: {rows} train rows, and every unit of its work takes up to as many utilities; allowed by "
            f"valuation.sampling.max_rows: {max_rows}. Raise that, or take an estimator that plays no game"
        )
    if "model" not in params:
        return game_and_options(about, data, params["options"])
    own = {key: value for key, value in params["options"].items() if key not in about.game_options}
    return retrained_game(files, params["model"], params["training_seed"]), own


def retrained_game(files: Mapping[str, str], model: Mapping[str, Any], seed: int) -> FunctionGame:
    """Return the game of training a model of the config on some of the train rows: accuracy on the valuation split.

    files: examples, card, and for a head vectors. Every coalition starts from the same seed. One of a single class
    answers with it and trains nothing. No rows at all: the share of the most frequent class of the valuation split.
    """
    from datassay.config import training_settings
    from datassay.training import retrain

    examples, card = load_table(files["examples"]), load_json(files["card"])
    vectors = load_array(files["vectors"]) if "vectors" in files else None
    used = np.flatnonzero(examples["split"].isin(["train", "valuation"]))
    examples = examples.iloc[used].reset_index(drop=True)
    examples["split"] = examples["split"].replace("valuation", "validation")
    vectors = None if vectors is None else vectors[used]
    labels, points = (examples["label"].to_numpy()[split_rows(examples, name)] for name in ("train", "validation"))
    settings = training_settings(model)

    logging.getLogger("datassay.training").setLevel(logging.WARNING)  # a line for each of thousands says nothing

    def accuracy(rows: np.ndarray) -> float:
        if len(rows) == 0:
            return float(np.bincount(points).max() / len(points))
        if (labels[rows] == labels[rows[0]]).all():
            return float(np.mean(points == labels[rows[0]]))
        (scores,) = retrain(examples, vectors, card["label_names"], settings, [seed], rows)
        return scores["validation_accuracy"]

    return FunctionGame(accuracy, len(labels))
