"""What every registered method promises, whoever wrote it."""

import inspect
import re
import subprocess
import sys

import numpy as np
import pandas as pd
import pytest

from datassay.acquisition import choose
from datassay.neighbors import neighbors_within
from datassay.registry import PACKAGES, methods
from datassay.selection.pruning import rank
from datassay.stages import compute_measure
from datassay.valuation import estimate

N, CLASSES, EPOCHS, WIDTH = 60, 3, 4, 8
ALL = [(kind, name) for kind in PACKAGES for name in methods(kind)]
MEASURES, STRATEGIES, ESTIMATORS = (sorted(methods(kind)) for kind in ("measure", "strategy", "estimator"))
ACQUISITIONS = sorted(methods("acquisition"))


def arrays(seed=0):
    """A small recorded run: every array a method may ask for."""
    rng = np.random.default_rng(seed)
    labels = np.arange(N) % CLASSES
    centres = rng.normal(size=(CLASSES, WIDTH))
    features = (centres[labels] + rng.normal(size=(N, WIDTH))).astype(np.float32)
    growth = np.linspace(0.3, 2, EPOCHS)[:, None, None]
    logits = (growth * (features @ centres.T) + rng.normal(size=(EPOCHS, N, CLASSES))).astype(np.float32)
    norms = (growth[:, :, 0] * np.linalg.norm(features, axis=1)).astype(np.float32)
    embeddings = features / np.linalg.norm(features, axis=1, keepdims=True)
    feature_neighbors, feature_distances = neighbors_within(features, 9)
    embedding_neighbors, embedding_distances = neighbors_within(embeddings, 9)
    return {
        "labels": labels,
        "logits": logits,
        "ensemble_logits": logits[-1] + rng.normal(size=(3, N, CLASSES)).astype(np.float32),
        "mc_logits": logits[-1] + rng.normal(size=(5, N, CLASSES)).astype(np.float32),
        "ensemble_epoch_logits": logits + rng.normal(size=(3, EPOCHS, N, CLASSES)).astype(np.float32),
        "feature_norms": norms,
        "ensemble_feature_norms": norms + rng.uniform(size=(3, EPOCHS, N)).astype(np.float32),
        "features": features,
        "feature_neighbors": feature_neighbors.astype(np.int32),
        "feature_distances": feature_distances,
        "embeddings": embeddings,
        "embedding_neighbors": embedding_neighbors.astype(np.int32),
        "embedding_distances": embedding_distances,
        "log_likelihood": rng.normal(size=N).astype(np.float32),
        "loss_trajectories": rng.exponential(size=(N, 2, EPOCHS)).astype(np.float32),
        "right_trajectories": rng.random((N, 2, EPOCHS)) < 0.7,
        "probe_losses": rng.exponential(size=(30, 2, EPOCHS)).astype(np.float32),
        "probe_labels": np.arange(30) % CLASSES,
        "probe_suites": np.repeat(["typical", "random_outputs", "corrupted"], 10),
        "infoverse": rng.normal(size=(N, 23)),
    }


def regression_arrays(seed=0):
    """The same of a model that predicts numbers."""
    found, rng = arrays(seed), np.random.default_rng(seed + 1)
    numbers = rng.uniform(0, 5, N)
    for name in ("logits", "ensemble_logits", "mc_logits", "ensemble_epoch_logits"):
        found[name] = found[name][..., :1] + numbers[:, None].astype(np.float32)
    return found | {"labels": numbers}


def run_of(about):
    """The task that a measure is tried on, and a recorded run of it."""
    return ("classification", arrays()) if about.columns_of("classification") else ("regression", regression_arrays())


def columns(found):
    """Every measure column and value of a run: what strategies may ask for besides the arrays."""
    ids = pd.Series([f"e{i}" for i in range(N)])
    tables = [
        compute_measure(about, found, ids, about.options)
        for about in methods("measure").values()
        if about.columns_of("classification")
    ]
    named = {name: table[name].to_numpy() for table in tables for name in table if name != "example_id"}
    values = {name: np.random.default_rng(1).normal(size=N) for name in methods("estimator")}
    return found | named | values


def shuffled(found, order):
    along = {"logits": 1, "ensemble_logits": 1, "mc_logits": 1, "feature_norms": 1}
    along |= {"ensemble_epoch_logits": 2, "ensemble_feature_norms": 2}
    turned = {
        name: array if name.startswith("probe_") else np.take(array, order, axis=along.get(name, 0))
        for name, array in found.items()
    }
    for name in ("feature_neighbors", "embedding_neighbors"):
        turned[name] = np.argsort(order)[turned[name]].astype(np.int32)  # rows have other numbers now
    return turned


@pytest.mark.parametrize(("kind", "name"), ALL)
def test_methods_are_documented(kind, name):
    about = methods(kind)[name]
    assert about.version >= 1
    assert len(about.description) > 20 and about.description.endswith(".")
    if kind != "dataset":
        assert re.search(r"\d{4}|reference", about.source), f"{name}: name the paper and year"
    for column in about.columns:
        assert re.fullmatch(r"[a-z][a-z0-9_]*", column.name)
        assert column.description


def test_column_names_are_unique():
    names = [column.name for about in methods("measure").values() for column in about.columns]
    assert len(names) == len(set(names))
    assert not set(names) & set(methods("estimator"))


def test_methods_need_no_torch_to_import():
    code = "import sys; from datassay.registry import PACKAGES, methods; [methods(k) for k in PACKAGES]; "
    code += "print('torch' in sys.modules)"
    done = subprocess.run(
        [sys.executable, "-c", f"import sys; sys.path[:0] = {sys.path!r}; {code}"],
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert done.stdout.strip() == "False"


@pytest.mark.parametrize("name", MEASURES)
def test_measures_give_one_finite_number_per_example_and_column(name):
    about = methods("measure")[name]
    task, found = run_of(about)
    table = compute_measure(about, found, pd.Series(range(N)), about.options, task)
    assert len(table) == N
    assert set(table) - {"example_id"} == {c.name for c in about.columns} - set(table.attrs["absent"])


@pytest.mark.parametrize("name", MEASURES)
def test_measures_repeat_and_do_not_change_their_input(name):
    about = methods("measure")[name]
    task, found = run_of(about)
    before = {key: array.copy() for key, array in found.items()}
    first = compute_measure(about, found, pd.Series(range(N)), about.options, task)
    second = compute_measure(about, run_of(about)[1], pd.Series(range(N)), about.options, task)
    pd.testing.assert_frame_equal(first, second, check_exact=True)
    assert all(np.array_equal(before[key], found[key]) for key in found)


@pytest.mark.parametrize("name", [name for name in MEASURES if name != "label_quality"])
def test_measures_follow_the_examples_when_they_are_reordered(name):
    """label_quality is left out: its folds are drawn over rows, so another order is another cross-validation."""
    about = methods("measure")[name]
    task, found = run_of(about)
    order = np.random.default_rng(2).permutation(N)
    straight = compute_measure(about, found, pd.Series(range(N)), about.options, task)
    turned = compute_measure(about, shuffled(found, order), pd.Series(order), about.options, task)
    turned = turned.sort_values("example_id").reset_index(drop=True)
    pd.testing.assert_frame_equal(straight, turned, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("name", MEASURES)
def test_measures_say_why_a_column_is_absent(name):
    about = methods("measure")[name]
    task, found = run_of(about)
    found |= {"logits": found["logits"][:1], "ensemble_logits": found["ensemble_logits"][:1]}
    found |= {"mc_logits": found["mc_logits"][:0]}
    del found["log_likelihood"]
    table = compute_measure(about, found, pd.Series(range(N)), about.options, task)
    for column in about.columns:
        assert (column.name in table) != (column.name in table.attrs["absent"])
    assert all(len(reason) > 10 for reason in table.attrs["absent"].values())


@pytest.mark.parametrize("name", STRATEGIES)
def test_strategies_rank_distinct_rows_and_repeat(name):
    about, found = methods("strategy")[name], columns(arrays())
    first = rank(about, found, N * 4 // 5, 0)["row"].to_numpy()
    second = rank(about, found, N * 4 // 5, 0)["row"].to_numpy()
    assert len(first) >= N * 4 // 5 and len(set(first)) == len(first)
    assert np.array_equal(first, second)


@pytest.mark.parametrize("name", STRATEGIES)
def test_strategies_rank_prefixes(name):
    about, found = methods("strategy")[name], columns(arrays())
    long, short = rank(about, found, N - 5, 0)["row"], rank(about, found, N // 3, 0)["row"]
    assert np.array_equal(long[: N // 3], short[: N // 3])


@pytest.mark.parametrize("name", ESTIMATORS)
def test_estimators_give_a_finite_value_per_train_row_and_repeat(name):
    found = arrays()
    x, y = found["embeddings"], found["labels"]
    budget = {"units": 2} if methods("estimator")[name].sampled else {}
    before = x.copy(), y.copy()
    first, second = (estimate(name, x[:40], y[:40], x[40:], y[40:], **budget) for _ in range(2))
    assert len(first) == 40 and np.isfinite(first["value"]).all()
    assert (first["standard_error"] >= 0).all()
    pd.testing.assert_frame_equal(first, second, check_exact=True)
    assert np.array_equal(before[0], x) and np.array_equal(before[1], y)


def candidates(seed=0):
    """What an acquisition function may ask for: N candidates and 7 labelled rows."""
    found, rng = arrays(seed), np.random.default_rng(seed + 2)
    odds = np.exp(found["logits"][-1].astype(np.float64))
    probabilities = odds / odds.sum(axis=1, keepdims=True)
    own = {name: found[name] for name in ("features", "embeddings", "mc_logits", "infoverse")}
    return own | {
        "candidates": 3 * np.arange(N),
        "probabilities": probabilities,
        "pseudo_labels": probabilities.argmax(axis=1),
        "labelled_features": rng.normal(size=(7, WIDTH)).astype(np.float32),
        "surprisal": rng.exponential(size=(N, 12)).astype(np.float32),
    }


@pytest.mark.parametrize("count", [1, 13, N])
@pytest.mark.parametrize("name", ACQUISITIONS)
def test_acquisitions_pick_distinct_candidates_and_repeat(name, count):
    about, found = methods("acquisition")[name], candidates()
    before = {key: array.copy() for key, array in found.items()}
    first, second = (choose(about, found, count, np.random.default_rng(4)) for _ in range(2))
    assert len(first) == count == len(set(first.tolist())) and set(first.tolist()) <= set(range(N))
    assert first.dtype == np.int64 and np.array_equal(first, second)
    assert all(np.array_equal(before[key], found[key]) for key in found)


@pytest.mark.parametrize("name", ACQUISITIONS)
def test_acquisitions_pick_distinct_candidates_of_equal_ones(name):
    about = methods("acquisition")[name]
    found = {
        key: np.take(array, np.zeros(N, int), axis=1 if key == "mc_logits" else 0)
        for key, array in candidates().items()
    }
    found["candidates"] = np.arange(N)
    assert len(set(choose(about, found, 13, np.random.default_rng(4)).tolist())) == 13


METHODS_WITH_OPTIONS = ("measure", "strategy", "estimator", "acquisition")


@pytest.mark.parametrize(("kind", "name"), [(k, n) for k, n in ALL if k in METHODS_WITH_OPTIONS])
def test_options_are_plain_values(kind, name):
    for value in methods(kind)[name].options.values():
        assert value is None or isinstance(value, bool | int | float | str | list | tuple)
    for parameter in inspect.signature(methods(kind)[name].function).parameters.values():
        assert parameter.kind not in (parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD)
