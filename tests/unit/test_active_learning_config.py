"""The block active_learning: what is planned from it, and one clear line for what does not fit."""

from pathlib import Path

import pytest

from datassay.active_learning.cells import (
    base_version,
    learning_pairs,
    loop_inputs,
    loop_params,
    query_strategies,
    run_files,
    run_names,
    strategy_params,
)
from datassay.config import Config
from datassay.registry import Method, method
from datassay.validation import ConfigError, validate

BASE = {
    "datasets": [{"name": "docs", "source": "builtin:docstrings"}, {"name": "digits", "source": "builtin:digits"}],
    "encoders": [{"name": "minilm", "kind": "sentence_transformer"}, {"name": "pixels", "kind": "pixels"}],
    "models": [
        {"name": "head", "recipe": "head", "encoder": "minilm"},
        {"name": "cnn", "recipe": "cnn"},
    ],
}
STRATEGIES = [{"name": "it", "base": "badge", "subpool": "anchoral"}, {"name": "random", "base": "random"}]


def config(**learning) -> Config:
    return validate(BASE | {"active_learning": {"strategies": STRATEGIES} | learning})


def test_nothing_is_run_unless_it_is_asked_for():
    assert learning_pairs(validate(BASE)) == []


def test_every_data_set_model_strategy_and_seed_is_a_run():
    asked = config(seeds=[0, [1, 2, 3]], ablations=[{"strategy": "it", "setting": "neighbors", "values": [5, 500]}])
    assert learning_pairs(asked) == [("docs", "head"), ("digits", "cnn")]
    names = ["it", "random", "it-neighbors-5", "it-neighbors-500"]
    assert run_names(asked) == [(name, seed) for name in names for seed in ("0", "1-2-3")]
    files = run_files(asked, "learning_rounds", dataset="docs", model="head")
    assert files[1] == "results/docs/active_learning/head/it/seed1-2-3/rounds.parquet"
    assert learning_pairs(config(models=["head", "cnn"])) == [("docs", "head"), ("digits", "cnn")]


def test_an_ablation_of_anchors_is_of_all_classes():
    strategies = [{"name": "it", "base": "badge", "subpool": "anchoral", "majority_anchors": 3}]
    ablations = [{"strategy": "it", "setting": setting, "values": [50]} for setting in ("anchors", "majority_anchors")]
    _, both, majority = query_strategies(config(strategies=strategies, ablations=ablations))
    assert (both.anchors, both.majority_anchors) == (50, None)
    assert (majority.anchors, majority.majority_anchors) == (10, 50)


def test_params_hold_what_decides_the_result_and_nothing_else():
    first, second = config(seeds=[0], budgets=[200]), config(seeds=[0, 1], analysis=True)
    assert loop_params(first) == loop_params(second) != loop_params(config(query_size=10))
    renamed = [{"name": "other", "base": "badge", "subpool": "anchoral"}]
    assert strategy_params(first, "it") == strategy_params(config(strategies=renamed), "other")
    tyrogue = [{"name": "it", "base": "tyrogue", "options": {"factor": 5}}, {"name": "plain", "base": "tyrogue"}]
    asked = config(strategies=tyrogue)
    assert [strategy_params(asked, name)["options"] for name in ("it", "plain")] == [{"factor": 5}, {"factor": 3}]
    assert base_version(first, "it") == str(method("acquisition", "badge").version)


def test_inputs_are_those_that_a_strategy_reads():
    asked = config(search="hnsw", alps={"model": "a/b"}, initial={"method": "alps"}, datasets=["docs"])
    found = loop_inputs(asked, "docs", "head", "it")
    assert found["index"] == "results/docs/embeddings/minilm/index.bin"
    assert found["surprisal"] == "results/docs/surprisal.npy"
    assert set(loop_inputs(config(), "docs", "head", "random")) == {"examples", "card", "embeddings"}


@pytest.mark.parametrize(
    ("learning", "line"),
    [
        ({"strategies": [{"name": "it", "base": "badger"}]}, r"strategies\[it\]\.base: unknown acquisition 'badger'.*'badge'"),
        ({"strategies": [{"name": "it", "base": "badge", "subpool": "anchor"}]}, "found 'anchor', did you mean 'anchoral'"),
        ({"strategies": [{"name": "it", "base": "badge", "options": {"k": 1}}]}, "unknown option 'k'"),
        ({"strategies": [*STRATEGIES, STRATEGIES[0]]}, "strategies: 'it' is named twice"),
        ({"seeds": [1, 1]}, "seeds: '1' is named twice"),
        ({"seeds": [[1, 2]]}, r"seeds: \[1, 2\] has 2 numbers"),
        ({"datasets": ["doc"]}, "datasets: no data set 'doc', did you mean 'docs'"),
        ({"models": ["heads"]}, "models: no model 'heads', did you mean 'head'"),
        ({"datasets": ["docs"], "models": ["cnn"]}, "none of them takes the texts of 'docs'"),
        ({"budget": 50}, "budget 50 is below initial.size 100"),
        ({"initial": {"size": 4}}, "per_minority 5 is above size 4"),
        ({"initial": {"method": "alps"}, "datasets": ["docs"]}, "alps: is missing"),
        ({"initial": {"method": "alps"}, "alps": {"model": "a/b"}}, "'digits' holds images, 'alps' reads texts"),
        ({"ablations": [{"strategy": "its", "setting": "size", "values": [5]}]}, "no strategy 'its', did you mean 'it'"),
        ({"stopping": {"watch": "heldout"}}, "did you mean 'held_out'"),
        ({"querysize": 3}, "unknown key, did you mean 'query_size'"),
    ],
)  # fmt: skip
def test_what_does_not_fit_is_one_line(learning, line):
    with pytest.raises(ConfigError, match=line) as caught:
        config(**learning)
    assert "active_learning" in str(caught.value) and len(str(caught.value).splitlines()) == 1


def test_an_acquisition_function_that_reads_what_is_not_there_is_named(monkeypatch):
    def mine(gradients, n, rng):
        """Mine."""

    own = {"mine": Method("acquisition", "mine", mine, 1, "")}
    monkeypatch.setattr("datassay.active_learning.cells.methods", lambda kind: own)
    with pytest.raises(ConfigError, match="'mine' reads 'gradients', allowed: candidates, "):
        config(strategies=[{"name": "it", "base": "mine"}])


def test_active_learning_needs_classes(tmp_path: Path):
    (tmp_path / "it.csv").write_text("text,label\na,1\n")
    numbers = {"name": "numbers", "source": "csv", "path": str(tmp_path / "it.csv"), "columns": {"text": "text"}}
    raw = BASE | {"datasets": [*BASE["datasets"], numbers | {"task": "regression"}]}
    assert ("numbers", "head") not in learning_pairs(validate(raw | {"active_learning": {"strategies": STRATEGIES}}))
    with pytest.raises(ConfigError, match="'numbers' is a regression"):
        validate(raw | {"active_learning": {"strategies": STRATEGIES, "datasets": ["numbers"]}})


def test_f1_fits_a_rare_class_and_the_rest():
    rare = {"name": "docs", "source": "builtin:docstrings", "metric": "f1", "imbalance": {"minority": ["tables"]}}
    assert validate(BASE | {"datasets": [rare]}).datasets[0].metric == "f1"
    with pytest.raises(ConfigError, match="f1 needs two classes, there are 3"):
        validate(BASE | {"datasets": [rare | {"imbalance": {"minority": ["tables", "signal"]}}]})
