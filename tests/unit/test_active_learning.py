"""The loop of active learning: what it labels, that it goes on after a kill, and what it records."""

import os
import subprocess
import sys

import numpy as np
import pandas as pd
import pytest

from datassay import checkpoints
from datassay.acquisition import NeighborLists
from datassay.active_learning._learner import Learner
from datassay.active_learning.cells import seed_triple
from datassay.active_learning.initial import held_out, initial_set
from datassay.active_learning.loop import active_learning
from datassay.active_learning.metrics import class_scores
from datassay.active_learning.tables import picked_table, rounds_table, run_summary, subpools_table, times_table
from datassay.active_learning.world import make_world
from datassay.checkpoints import Checkpoints
from datassay.config import ActiveLearning, Head, Initial, QueryStrategy
from datassay.errors import DatassayError
from datassay.registry import methods

N, N_TRAIN, WIDTH = 260, 200, 6
NAMES = ["rest", "rare"]
LOOP = {"query_size": 10, "budget": 45, "initial": {"size": 20, "per_minority": 2}, "min_steps": 8, "ensemble": 2}
WRAPPERS = ("whole", "random_subset", "seals", "anchoral", "anchoral_sampling")


@pytest.fixture(autouse=True, scope="module")
def one_thread():
    """Models this small lose time to threads."""
    import torch

    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def world(n=N, rare=0.1, seed=0):
    rng = np.random.default_rng(seed)
    labels = (rng.random(n) < rare).astype(int)
    labels[:4] = [0, 1, 0, 1]
    labels[-4:] = [0, 1, 0, 1]
    vectors = rng.normal(size=(n, WIDTH)).astype(np.float32) + 2 * labels[:, None].astype(np.float32)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    splits = np.where(np.arange(n) < n * N_TRAIN // N, "train", "test")
    examples = pd.DataFrame({"example_id": [f"e{i}" for i in range(n)], "split": splits, "label": labels})
    arrays = {"surprisal": rng.exponential(size=((splits == "train").sum(), 5)).astype(np.float32)}
    return make_world(examples, {"label_names": NAMES}, NeighborLists(vectors), ["rare"], arrays)


def head(**settings):
    return Head(
        **{"name": "head", "recipe": "head", "epochs": 3, "hidden": [8], "batch_size": 8, "mc_passes": 2} | settings
    )


def run(folder, *, base="entropy", subpool="anchoral", seeds=(0, 0, 0), model=None, of=None, strategy=None, **loop):
    settings = ActiveLearning.model_validate(LOOP | loop)
    about = QueryStrategy(
        name="it", base=base, subpool=subpool, **{"size": 30, "neighbors": 5, "anchors": 3} | (strategy or {})
    )
    progress = Checkpoints(folder, "run")
    return active_learning(of or world(), settings, about, model or head(), seeds, progress)


def tables(rounds, of=None):
    of = of or world()
    return rounds_table(rounds), picked_table(of, rounds), subpools_table(rounds)


@pytest.mark.parametrize("base", sorted(methods("acquisition")))
@pytest.mark.parametrize("subpool", WRAPPERS)
def test_every_strategy_labels_the_budget_without_a_duplicate(base, subpool, tmp_path):
    quick = {"budget": 34, "min_steps": 1, "model": head(epochs=1), "stopping": {"watch": "none"}}
    about, picked, subpools = tables(run(tmp_path, base=base, subpool=subpool, **quick))
    assert len(picked) == 34 == picked["row"].nunique() and (picked["row"] < N_TRAIN).all()
    assert about["n_labelled"].tolist() == [20, 30, 34]
    assert np.bincount(picked["round"]).tolist() == [20, 10, 4]
    assert about["subpool_size"].tolist()[-1] == 0 and (about["subpool_size"][:-1] >= 4).all()
    for number, rows in subpools.groupby("round")["row"]:
        earlier = set(picked.loc[picked["round"] < number, "row"])
        assert not earlier & set(rows)
        assert set(picked.loc[picked["round"] == number, "row"]) <= set(rows)
    assert subpools.empty == (subpool == "whole")
    if subpool == "seals":
        first, second = (set(subpools.loc[subpools["round"] == number, "row"]) for number in (1, 2))
        assert first - set(picked["row"][:30]) <= second


def test_rounds_record_what_they_say(tmp_path):
    of = world()
    rounds = run(tmp_path, of=of)
    about, picked, _ = tables(rounds, of)
    labels = of.labels[picked["row"]]
    assert picked["example_id"].tolist() == [f"e{row}" for row in picked["row"]]
    assert picked["oracle"].sum() == 2 and (picked.loc[picked["oracle"], "label"] == 1).all()
    for row in about.to_dict("records"):
        counts = np.bincount(labels[: row["n_labelled"]], minlength=2)
        assert [row["n_rest"], row["n_rare"]] == counts.tolist()
        assert row["minority_found"] == counts[1] / (of.labels[:N_TRAIN] == 1).sum()
        assert row["minority_f1"] == row["f1_rare"] and row["subpool_rest"] + row["subpool_rare"] == row["subpool_size"]
    summary = run_summary(of, about)
    assert summary["minority"] == ["rare"] and summary["n_labelled"] == 45 and 0 <= summary["area_minority_f1"] <= 1
    assert times_table(rounds)["fit"].gt(0).all()


def test_steps_are_at_least_min_steps_and_at_most_the_epochs(tmp_path):
    stop = {"watch": "none"}
    assert rounds_table(run(tmp_path / "a", stopping=stop, min_steps=50))["steps"].tolist() == [50] * 4
    plain = rounds_table(run(tmp_path / "b", stopping=stop, min_steps=0))
    assert plain["steps"].tolist() == [3 * -(-n // 8) for n in plain["n_labelled"]]
    assert plain["best_epoch"].tolist() == plain["epochs"].tolist() == [3] * 4


@pytest.mark.parametrize("watch", ["held_out", "train"])
def test_early_stopping_chooses_an_epoch_after_min_steps(watch, tmp_path):
    stop = {"watch": watch, "patience": 2}
    about = rounds_table(
        run(tmp_path, stopping=stop, min_steps=12, model=head(epochs=60, learning_rate=0.3, warmup=0.0))
    )
    assert (
        (about["steps"] >= 12).all() and (about["epochs"] < 60).all() and (about["best_epoch"] < about["epochs"]).all()
    )
    assert np.isfinite(about["stopping_score"]).all()


def test_the_weights_are_those_of_the_chosen_epoch():
    of, rows = world(), np.arange(60)
    settings = ActiveLearning.model_validate(LOOP | {"stopping": {"patience": 4}})
    model = head(epochs=60, learning_rate=0.3, warmup=0.0)
    learner = Learner(of.examples, of.vectors, of.labels, of.names, of.minority, model, settings, (0, 0))
    fit = learner.fit(rows)
    assert fit.best_epoch < fit.epochs
    watched = rows[held_out(rows, of.labels, 0.2, learner.priority)]
    found = class_scores(fit.predict(watched).logits, of.labels[watched], of.names, of.minority)
    assert found["loss"] == pytest.approx(fit.score, rel=1e-6)


def test_held_out_rows_are_a_share_of_every_class_and_stay_on_their_side():
    labels = np.array([0] * 80 + [1] * 20)
    priority = np.random.default_rng(0).random(100)
    rows = np.random.default_rng(1).permutation(100)
    out = held_out(rows, labels, 0.2, priority)
    assert np.bincount(labels[rows[out]]).tolist() == [16, 4]
    assert held_out(np.array([0, 80, 81]), labels, 0.2, priority).sum() == 1  # a class of one is learnt from
    before = set(rows[:50][held_out(rows[:50], labels, 0.2, priority)])
    assert len(before - set(rows[out])) <= 3


def test_three_seeds_are_independent(tmp_path):
    same = {"min_steps": 4, "stopping": {"watch": "none"}}
    runs = {seeds: tables(run(tmp_path / str(i), seeds=seeds, **same)) for i, seeds in enumerate(
        [(0, 0, 0), (1, 0, 0), (0, 1, 0), (0, 0, 1)]
    )}  # fmt: skip
    first = {seeds: picked.loc[picked["round"] == 0, "row"].tolist() for seeds, (_, picked, _) in runs.items()}
    assert first[0, 0, 0] == first[1, 0, 0] == first[0, 1, 0] != first[0, 0, 1]
    losses = [about["loss"].iloc[0] for about, _, _ in runs.values()]
    assert len(set(losses)) == 4
    assert seed_triple("3") == (3, 3, 3) and seed_triple("3-1-2") == (3, 1, 2)


def test_warm_start_goes_on_from_the_weights_before(tmp_path):
    settings = {"stopping": {"watch": "none"}, "min_steps": 0, "model": head(epochs=1, learning_rate=1e-5)}
    cold, warm = (rounds_table(run(tmp_path / str(w), warm_start=w, base="random", **settings)) for w in (False, True))
    assert cold["loss"].iloc[0] == warm["loss"].iloc[0] and cold["loss"].iloc[1] != warm["loss"].iloc[1]


def test_evaluation_may_be_rarer(tmp_path):
    about = rounds_table(run(tmp_path, evaluate_every=2))
    assert about["minority_f1"].notna().tolist() == [True, False, True, True]


def test_a_pool_that_is_used_up_ends_the_run(tmp_path):
    of = world(n=52)
    about, picked, _ = tables(run(tmp_path, of=of, subpool="seals", budget=1000), of)
    assert len(picked) == 40 == about["n_labelled"].iloc[-1] and picked["row"].nunique() == 40
    assert run_summary(of, about)["minority_found"] == 1.0


@pytest.mark.parametrize("method", ["random", "alps", "embedding_kmeans"])
def test_initial_set(method):
    of = world()
    known = {"embeddings": of.vectors, "surprisal": of.of_train["surprisal"][np.maximum(of.train_row, 0)]}
    settings = Initial(size=12, method=method, per_minority=3)
    rows, oracle = initial_set(of.pool, of.labels, [1], settings, known, np.random.default_rng(0))
    assert len(set(rows.tolist())) == 12 and of.pool[rows].all()
    assert oracle.sum() == 3 and (of.labels[rows[oracle]] == 1).all()
    none = Initial(size=12, method=method, per_minority=0)
    assert initial_set(of.pool, of.labels, [1], none, known, np.random.default_rng(0))[1].sum() == 0
    with pytest.raises(DatassayError, match=r"initial\.size: 1000, the pool has 200 rows"):
        initial_set(of.pool, of.labels, [1], Initial(size=1000), known, np.random.default_rng(0))
    with pytest.raises(DatassayError, match="below the 10 rows of per_minority 5 for 2 classes"):
        initial_set(of.pool, of.labels, [0, 1], Initial(size=9), known, np.random.default_rng(0))


def test_a_world_needs_a_pool_a_test_split_and_known_names():
    of = world()
    lists = NeighborLists(of.vectors)
    with pytest.raises(DatassayError, match="0 labelled test rows"):
        make_world(of.examples.assign(split="train"), {"label_names": NAMES}, lists, [])
    with pytest.raises(DatassayError, match="no class 'rar', did you mean 'rare'"):
        make_world(of.examples, {"label_names": NAMES}, lists, ["rar"])
    with pytest.raises(DatassayError, match="surprisal has 3 rows, needs 200"):
        make_world(of.examples, {"label_names": NAMES}, lists, [], {"surprisal": np.ones((3, 2))})
    assert make_world(of.examples, {"label_names": NAMES}, lists, []).minority == [1]


SCRIPT = """
import os, sys
from pathlib import Path
sys.path[:0] = {path!r}
from tests.unit import test_active_learning as it

def run(folder, warm):
    tables = it.tables(it.run(folder, base="badge", subpool="seals", warm_start=warm))
    for name, table in zip(("about", "picked", "subpools"), tables):
        table.to_parquet(folder / f"{{name}}.parquet")

def attempt(folder, warm):
    # a process of its own, without importing everything again
    child = os.fork()
    if child == 0:
        it.forget_passes()
        os.environ["DATASSAY_CRASH_AT"] = "round:2"
        run(folder, warm)
        os._exit(0)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])

for warm in (False, True):
    place = Path(sys.argv[1]) / str(warm)
    run(place / "whole", warm)
    codes = [attempt(place / "killed", warm)]
    while codes[-1] == -9:
        codes.append(attempt(place / "killed", warm))
    print(codes)
"""


def forget_passes():
    """Count the passes of crash points anew, as a new process does."""
    checkpoints._passes.clear()


def test_a_killed_run_goes_on_with_identical_picks(tmp_path, root):
    command = [sys.executable, "-c", SCRIPT.format(path=[*sys.path, str(root)]), str(tmp_path)]
    for warm in (False, True):
        for name in ("whole", "killed"):
            (tmp_path / str(warm) / name).mkdir(parents=True)
    done = subprocess.run(command, env=os.environ | {"OMP_NUM_THREADS": "1"}, cwd=root, capture_output=True, text=True)
    assert done.stdout.splitlines() == ["[-9, -9, 0]"] * 2, done.stderr  # five records, two at a time
    for warm in ("False", "True"):
        for name in ("about", "picked", "subpools"):
            whole, killed = ((tmp_path / warm / way / f"{name}.parquet").read_bytes() for way in ("whole", "killed"))
            assert whole == killed
