"""The block annotation: what is refused before anything runs, and which files follow from it."""

import copy
from pathlib import Path
from typing import Any

import pytest
import yaml

from datassay import annotation_plan, plan
from datassay.config import Config
from datassay.validation import ConfigError, validate

RAW = """
datasets:
  - {name: mine, source: csv, path: data.csv, columns: {text: text}, missing_labels: pool}
  - {name: rated, source: csv, path: data.csv, columns: {text: text}, task: regression}
  - {name: other, source: csv, path: data.csv, columns: {text: text}}
encoders:
  - {name: minilm, kind: sentence_transformer}
models:
  - {name: head, recipe: head, encoder: minilm}
annotation:
  datasets: [mine]
"""


@pytest.fixture
def raw(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "data.csv").write_text("text,label\na,b\n")
    (tmp_path / "config.yaml").write_text(RAW)
    return yaml.safe_load(RAW)


def config(raw: dict[str, Any], **more: Any) -> Config:
    changed = copy.deepcopy(raw)
    changed["annotation"] |= more
    return validate(changed)


@pytest.mark.parametrize(
    ("block", "expected"),
    [
        ({"datasets": ["mien"]}, "annotation.datasets: no data set 'mien', did you mean 'mine'?"),
        ({"datasets": ["mine", "mine"]}, "annotation.datasets: 'mine' is named twice"),
        ({"strategy": "entropie"}, "annotation.strategy: unknown acquisition 'entropie', did you mean 'entropy'?"),
        (
            {"strategy": "bald"},
            "annotation.strategy: 'bald' reads mc_logits: dropout passes are recorded of train rows",
        ),
        (
            {"datasets": ["rated"], "strategy": "margin"},
            "'margin' reads probabilities, the labels of 'rated' are numbers",
        ),
        ({"options": {"factor": 2}}, "annotation.options: unknown option 'factor'"),
        ({"model": "tuned"}, "annotation.model: 'tuned' is not measured on 'mine'"),
        ({"datasets": ["rated"], "aggregation": "majority"}, "'majority' is for classes, the labels of 'rated' are"),
        ({"datasets": ["rated"], "aggregation": "mean", "bins": [1, 2]}, "the labels of 'rated' are to stay numbers"),
        ({"bins": [1, 2]}, "annotation: bins: only aggregation: mean has use for them"),
        ({"aggregation": "mean", "bins": [2, 1]}, "annotation: bins: [2.0, 1.0], needs rising edges"),
        ({"filters": {"max_perplexity": 1000}}, "filters.max_perplexity needs annotation.language_model"),
        ({"filters": {"languages": ["english"]}}, "annotation.filters.languages[0]: found 'english'"),
        ({"filters": {"emojis": True}}, "annotation.filters.emojis: unknown key, did you mean 'emoji'?"),
    ],
)
def test_faults_are_named(raw: dict[str, Any], block: dict[str, Any], expected: str) -> None:
    with pytest.raises(ConfigError) as error:
        config(raw, **block)
    assert expected in str(error.value)


def test_data_sets_with_probes_are_not_annotated(raw: dict[str, Any]) -> None:
    raw["datasets"][0]["probes"] = {}
    with pytest.raises(ConfigError, match="'mine' has probes, which annotation has no use for"):
        config(raw)


def test_names_that_the_workflow_cannot_hold_are_refused(raw: dict[str, Any]) -> None:
    folder = Path("resources/annotations/mine")
    folder.mkdir(parents=True)
    (folder / "round_1 {x}.csv").touch()
    with pytest.raises(ConfigError, match=r"rename 'round_1 \{x\}.csv', names hold no braces"):
        config(raw)


def test_rounds_decide_what_is_read_and_written(raw: dict[str, Any]) -> None:
    settings = config(raw)
    folder = Path("resources/annotations/mine")
    folder.mkdir(parents=True)
    assert annotation_plan.batch_files(settings)[0] == "results/mine/annotation/round_1/batch.csv"
    for name in ("round_1_anna.csv", "round_1_eva.csv", "round_3.json"):
        (folder / name).touch()
    assert annotation_plan.batch_files(settings)[0] == "results/mine/annotation/round_4/batch.csv"
    home = "results/mine/annotation/answers"
    first = [f"{home}/round_1_anna.csv.parquet", f"{home}/round_1_eva.csv.parquet"]
    assert annotation_plan.checked_answers("mine") == [*first, f"{home}/round_3.json.parquet"]
    one, three = (annotation_plan.progress_inputs(settings, "mine", number) for number in ("1", "3"))
    assert one["answers"] == first and one["earlier"] == ["results/mine/annotation/round_0/picks.parquet"]
    assert three["earlier"] == ["results/mine/annotation/round_1/picks.parquet"] and len(three["answers"]) == 3


def test_a_data_set_is_prepared_in_one_way(raw: dict[str, Any]) -> None:
    settings = config(raw)
    patterns = {way: plan.dataset_pattern(settings, way) for way in ("plain", "probes", "annotated")}  # type: ignore[arg-type]
    assert patterns == {
        "plain": "{dataset,rated|other}", "probes": "{dataset,(?!)}", "annotated": "{dataset,mine}"
    }  # fmt: skip
    assert annotation_plan.contents_file(settings, "mine") == "results/mine/annotation/source.parquet"
    assert annotation_plan.contents_file(settings, "other") == "results/other/examples.parquet"


def test_what_reads_the_infoverse_gets_its_families(raw: dict[str, Any]) -> None:
    params = annotation_plan.batch_params(config(raw), "mine")
    assert set(params["families"]) == {"training_dynamics", "ensemble", "static", "pretrained"}
    assert params["batch_size"] == 100 and params["near_duplicates"] == 0.95 and "question" not in params
    assert annotation_plan.batch_params(config(raw, strategy="margin"), "mine")["families"] == {}


def test_encoders_read_what_answers_never_change(root: Path) -> None:
    rules = (root / "rules/embedding.smk").read_text()
    for name in ("embed", "embed_shard"):
        body = rules.split(f"rule {name}:")[1].split("output:")[0]
        assert "annotation_plan.contents_file(CONFIG, wildcards.dataset)" in body, name
