"""What jobs make of their files and answers: the game of the model itself, and tables that are checked."""

import numpy as np
import pandas as pd
import pytest

from datassay import training
from datassay.config import Head, training_settings
from datassay.errors import DatassayError
from datassay.registry import estimator, method, methods
from datassay.storage import save_array, save_json, save_table
from datassay.valuation import feature_game, tmc_shapley, values_table
from datassay.valuation.jobs import load_data, load_game

ABOUT = method("estimator", "tmc_shapley")


@pytest.fixture
def job(tmp_path):
    """Files of two classes that a head tells apart: 12 train, 20 valuation, 5 validation and 8 test rows."""
    rng = np.random.default_rng(0)
    splits = rng.permutation(["train"] * 12 + ["valuation"] * 20 + ["validation"] * 5 + ["test"] * 8)
    labels = rng.integers(0, 2, 45)
    vectors = (rng.normal(size=(45, 3)) + 3 * labels[:, None]).astype(np.float32)
    examples = pd.DataFrame({"example_id": [f"e{i}" for i in range(45)], "split": splits, "label": labels})
    files = {name: str(tmp_path / name) for name in ("examples", "card", "vectors")}
    save_table(files["examples"], examples)
    save_json(files["card"], {"label_names": ["no", "yes"]})
    save_array(files["vectors"], vectors)
    files["embeddings"] = files["vectors"]
    model = Head(name="m", recipe="head", epochs=4, hidden=[], batch_size=4, learning_rate=0.1).recipe_params()
    params = {"options": {"utility": "model", "tolerance": 0.5}, "model": model, "training_seed": 3}
    return files, params, examples, vectors


def test_the_utility_of_the_model_is_its_accuracy_on_the_valuation_split(job):
    files, params, examples, vectors = job
    ids, data = load_data(files)
    game, own = load_game(ABOUT, data, files, params, 12)
    assert own == {"tolerance": 0.5} and game.players == 12
    rows = np.array([7, 0, 3, 5, 10])
    assert len(set(data[1][rows])) == 2
    swapped = examples.assign(split=examples["split"].replace({"test": "pool", "valuation": "test"}))
    settings = training_settings(params["model"])
    (expected,) = training.retrain(swapped, vectors, ["no", "yes"], settings, [3], rows)
    assert game(rows) == expected["accuracy"] == game(rows[::-1])
    assert ids.tolist() == examples.loc[examples["split"] == "train", "example_id"].tolist()


def test_no_rows_and_one_class_train_no_model(job, monkeypatch):
    files, params, _, _ = job
    _, data = load_data(files)
    game, _ = load_game(ABOUT, data, files, params, 12)
    monkeypatch.setattr(training, "retrain", None)
    train_y, valid_y = data[1], data[3]
    assert game.empty == np.bincount(valid_y).max() / 20
    for label in (0, 1):
        assert game(np.flatnonzero(train_y == label)) == np.mean(valid_y == label)


def test_values_of_the_model_sum_to_its_utility(job):
    files, params, _, _ = job
    game, _ = load_game(ABOUT, load_data(files)[1], files, params, 12)
    values = tmc_shapley(game, permutations=2, tolerance=0)
    assert values.value.sum() == pytest.approx(game.full - game.empty) and game.full > 0.7


def test_more_rows_than_allowed_are_refused(job):
    files, params, _, _ = job
    with pytest.raises(DatassayError, match=r"tmc_shapley: 12 train rows.*max_rows: 11"):
        load_game(ABOUT, load_data(files)[1], files, params, 11)


@pytest.mark.parametrize(
    ("answer", "message"),
    [
        (np.ones(4), r"values of type float64 and shape \(4,\), expected 5 numbers"),
        (np.ones((5, 1)), r"values of .* shape \(5, 1\), expected 5 numbers"),
        (np.array(list("abcde")), "values of type <U1"),
        ((np.ones(5), np.ones(6)), r"standard errors of type float64 and shape \(6,\)"),
        ((np.ones(5), -np.ones(5)), "a standard error is -1"),
        (np.array([1, 2, 3, 4, np.inf]), "a value is not finite"),
    ],
)
def test_an_answer_that_does_not_fit_the_rows_is_named(answer, message):
    with pytest.raises(DatassayError, match=f"tmc_shapley: {message}"):
        values_table(ABOUT, answer, 5)


@pytest.mark.parametrize(
    ("game", "function", "message"),
    [
        (None, lambda x, y: x, "takes x, y, needs train_x, train_y, valid_x, valid_y; rng only beside a game"),
        (None, lambda train_x, train_y, valid_x, valid_y, rng: 0, "valid_y, rng, needs"),
        (None, lambda train_y, train_x, valid_x, valid_y: 0, "takes train_y, train_x"),
        (feature_game, lambda train_x: 0, "takes train_x, needs game or game, rng$"),
        (feature_game, lambda k=3: 0, "takes nothing"),
    ],
)
def test_estimators_that_could_not_be_called_are_refused_at_once(game, function, message):
    with pytest.raises(DatassayError, match=f"estimator 'own': .*{message}"):
        estimator(version=1, source="a test, 2026", name="own", game=game)(function)
    assert "own" not in methods("estimator")


def test_values_without_errors_say_so():
    assert list(values_table(ABOUT, np.arange(5), 5)) == ["value"]
    unknown = values_table(ABOUT, (np.arange(5), np.full(5, np.nan)), 5)
    assert list(unknown) == ["value"] and "2 units of work" in unknown.attrs["absent"]["standard_error"]
