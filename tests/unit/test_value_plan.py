"""Which jobs sampled values need, and the faults of their options."""

import re

import pytest

from datassay import registry, value_plan
from datassay.config import Config
from datassay.registry import estimator
from datassay.validation import ConfigError, validate

PLACE = {"dataset": "texts", "model": "head", "estimator": "tmc_shapley"}
BASE = {
    "datasets": [{"name": "texts", "source": "builtin:docstrings"}],
    "encoders": [{"name": "minilm", "kind": "sentence_transformer"}],
    "models": [{"name": "head", "recipe": "head", "encoder": "minilm", "threads": 3}],
    "seeds": [7, 8],
}


def config(options=None, **sampling) -> Config:
    return validate(BASE | {"valuation": {"sampling": sampling, "options": options or {}}})


def numbers(files: list[str]) -> list[int]:
    return [int(re.search(r"(?:shard|wave)(\d+)", file)[1]) for file in files]


def test_a_budget_is_rounded_up_to_whole_shards_that_run_in_waves() -> None:
    found = config(budget=101, per_shard=20, at_once=4)
    assert numbers(value_plan.shard_files(found, **PLACE)) == [0, 1, 2, 3, 4, 5]
    assert numbers(value_plan.wave_files(found, "0", **PLACE)) == [0, 1, 2, 3]
    assert numbers(value_plan.wave_files(found, "1", **PLACE)) == [0, 1, 2, 3, 4, 5]
    assert value_plan.shard_inputs(found, "3", **PLACE)["status"] == []
    assert numbers(value_plan.shard_inputs(found, "4", **PLACE)["status"]) == [0]
    assert numbers(value_plan.shard_inputs(found, "9", **PLACE)["status"]) == [1]


def test_only_the_utility_of_the_model_reads_and_sizes_like_a_training() -> None:
    plain, trained = config(), config({"tmc_shapley": {"utility": "model"}})
    assert set(value_plan.inputs(plain, **PLACE)) == {"examples", "embeddings"}
    assert set(value_plan.inputs(trained, **PLACE)) == {"examples", "embeddings", "card", "vectors"}
    assert set(value_plan.game_params(plain, **PLACE)) == {"options"}
    params = value_plan.game_params(trained, **PLACE)
    assert params["training_seed"] == 7 and params["model"]["recipe"] == "head"
    sizes = [value_plan.job_size(found, "head", "tmc_shapley", 1)["threads"] for found in (plain, trained)]
    assert sizes == [1, 3]
    assert not value_plan.trains_model(trained, "banzhaf") and not value_plan.trains_model(trained, "knn_shapley")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"tmc_shapley": {"utility": "modl"}}, "tmc_shapley.utility: unknown utility 'modl', did you mean 'model'"),
        ({"cs_shapley": {"utility": "model"}}, "cs_shapley.utility: needs a utility that is known by class"),
        ({"g_shapley": {"utility": "model"}}, "g_shapley: unknown option 'utility'"),
        ({"tmc_shaply": {"utility": "model"}}, "unknown estimator 'tmc_shaply', did you mean 'tmc_shapley'"),
    ],
)
def test_utilities_that_do_not_go_are_named_before_the_run(options: dict, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        config(options)


def test_an_estimator_of_ones_own_may_call_an_option_utility(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(registry._methods, "estimator", dict(registry._methods["estimator"]))

    @estimator(version=1, source="a test, 2026")
    def own(train_x, train_y, valid_x, valid_y, utility: str = "f1"):
        """Nothing."""

    found = config({"own": {"utility": "model"}})
    assert not value_plan.trains_model(found, "own")
