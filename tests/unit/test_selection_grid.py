"""Which jobs pruning plans: the grid, strategies by a column, and what a task or an absent column rules out."""

from pathlib import Path
from typing import Any

import pytest

from datassay import plan
from datassay.registry import methods
from datassay.validation import ConfigError, validate

SIXTEEN = [
    "random", "balanced_random", "easy", "hard", "ambiguous", "forgetting", "el2n", "aum", "density", "coreset",
    "moderate", "ccs", "prototypes", "semdedup", "shapley", "infoverse_dpp",
]  # fmt: skip
NINE = [round(0.1 * tenth, 1) for tenth in range(1, 10)]


def config(tmp_path: Path, pruning: dict[str, Any], cleaning: dict[str, Any] | None = None, **dataset: Any) -> Any:
    path = tmp_path / "rows.csv"
    path.write_text("text,label\na,0\n")
    mine = {"name": "mine", "source": "csv", "path": str(path), "columns": {"text": "text"}} | dataset
    return validate(
        {
            "datasets": [mine],
            "encoders": [{"name": "minilm", "kind": "sentence_transformer"}],
            "models": [{"name": "head", "recipe": "head", "encoder": "minilm"}],
            "pruning": pruning,
            "cleaning": cleaning or {},
        }
    )


def fault(tmp_path: Path, pruning: dict[str, Any], **dataset: Any) -> str:
    with pytest.raises(ConfigError) as caught:
        config(tmp_path, pruning, **dataset)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_the_grid_is_one_job_per_strategy_and_ratio_and_a_ratio_more_adds_its_cells(tmp_path: Path) -> None:
    grid = plan.cells(config(tmp_path, {"strategies": SIXTEEN, "ratios": NINE}), "mine")
    assert len(grid) == len(set(grid)) == 16 * 9 + 1
    more = plan.cells(config(tmp_path, {"strategies": SIXTEEN, "ratios": [*NINE, 0.25]}), "mine")
    assert set(more) - set(grid) == {(name, "0.25") for name in SIXTEEN} and set(grid) < set(more)


@pytest.mark.parametrize("pruning", [{"strategies": []}, {"strategies": ["full"]}, {"ratios": []}])
def test_nothing_to_prune_plans_nothing(tmp_path: Path, pruning: dict[str, Any]) -> None:
    found = config(tmp_path, pruning)
    assert plan.cells(found, "mine") == [] and plan.pruned_pairs(found) == []


def test_what_a_regression_cannot_rank_is_left_out_with_its_reason(tmp_path: Path) -> None:
    everything = {"strategies": sorted(methods("strategy")), "ratios": [0.5]}
    found = config(tmp_path, everything, task="regression")
    assert [name for name, _ in plan.cells(found, "mine")] == [
        "full", "coreset", "density", "infoverse_dpp", "prototypes", "random", "semdedup"
    ]  # fmt: skip
    reasons = plan.left_out(found, "mine")
    assert reasons["el2n"] == "ranks for classification, multiple choice only, not for regression"
    assert reasons["grand"] == "ranks for classification only, not for regression"
    assert plan.left_out(config(tmp_path, everything), "mine") == {}


def test_a_strategy_by_a_column(tmp_path: Path) -> None:
    about = {"name": "odd", "column": "semantic_density", "keep": "lowest"}
    found = config(tmp_path, {"strategies": ["random"], "ratios": [0.5], "by_column": [about]})
    assert plan.cells(found, "mine")[1:] == [("random", "0.5"), ("odd", "0.5")]
    assert plan.by_column(found, "odd") == {"column": "semantic_density", "keep": "lowest"}
    assert plan.by_column(found, "random") == {} == plan.options_of(found, "strategy", "odd")
    files = plan.method_inputs(found, plan.strategy_of(found, "odd"), "mine", "head")
    assert files["semantic_density"].endswith("mine/meta_information/head/pretrained.parquet")
    values = config(tmp_path, {"by_column": [about | {"column": "knn_shapley"}]})
    assert "knn_shapley" in plan.method_inputs(values, plan.strategy_of(values, "odd"), "mine", "head")


def test_faulty_strategies_by_a_column_are_one_line(tmp_path: Path) -> None:
    about = {"name": "odd", "column": "aum", "keep": "lowest"}
    for change, expected in (
        ({"name": "easy"}, "pruning.by_column[easy].name: there is a strategy of this name, choose another"),
        (
            {"column": "avg_cnf"},
            "pruning.by_column[odd].column: no measure or estimator computes 'avg_cnf', did you mean 'avg_conf'?",
        ),
        ({"keep": "low"}, "pruning.by_column[odd].keep: found 'low', did you mean 'lowest'?"),
        ({"keeps": 1}, "pruning.by_column[odd].keeps: unknown key, did you mean 'keep'?"),
    ):
        assert expected in fault(tmp_path, {"by_column": [about | change]})
    assert "'odd' is named twice" in fault(tmp_path, {"by_column": [about, about]})
    assert "'odd' reads 'ens_bald', which needs at least 2 seeds on 'mine'" in fault(
        tmp_path, {"strategies": ["random"], "by_column": [about | {"column": "ens_bald"}]}, seeds=[3]
    )


def test_pruned_models_need_rows_to_be_measured_on(tmp_path: Path) -> None:
    nowhere = {"test": 0, "validation": 0}
    expected = "datasets[mine].split: test and validation are both 0, so pruned models cannot be measured"
    assert expected in fault(tmp_path, {}, split=nowhere)
    assert config(tmp_path, {"strategies": []}, cleaning={"by": []}, split=nowhere)
    assert config(tmp_path, {}, split={"test": 0})
