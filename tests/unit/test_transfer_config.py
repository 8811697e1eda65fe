"""The transfer block: what follows from it, and what it is refused for."""

import pytest
import yaml

from datassay import transfer_plan
from datassay.validation import ConfigError, validate

CONFIG = """
datasets:
  - {name: a, source: csv, path: PATH, columns: {text: t, label: l}}
  - {name: b, source: csv, path: PATH, task: regression, columns: {text: t, text_b: u, label: l}}
  - {name: c, source: csv, path: PATH, columns: {text: t, label: l}}
  - {name: choice, source: csv, path: PATH, task: multiple_choice, columns: {text: t, options: [x, y], label: l}}
  - {name: digits, source: "builtin:digits", models: [cnn]}
encoders: [{name: minilm, kind: sentence_transformer}, {name: pixels, kind: pixels}]
models:
  - {name: cnn, recipe: cnn}
  - {name: tuned, recipe: finetune}
  - {name: other, recipe: finetune, backbone: hub/other}
pruning: {strategies: []}
transfer: TRANSFER
"""


@pytest.fixture
def config(tmp_path):
    (tmp_path / "x.csv").write_text("t,l\n")

    def make(transfer: str):
        text = CONFIG.replace("PATH", f'"{tmp_path / "x.csv"}"').replace("TRANSFER", transfer)
        return validate(yaml.safe_load(text))

    return make


def test_by_default_nothing_is_ranked(config) -> None:
    found = config("{}")
    assert transfer_plan.files(found) == [] and transfer_plan.source_names(found) == []


def test_all_other_texts_are_sources(config) -> None:
    found = config("{targets: [c]}")
    assert transfer_plan.source_names(found) == ["a", "b"]
    assert transfer_plan.of_sources(found, "esm") == ["resources/esms/tuned/a", "resources/esms/tuned/b"]
    assert transfer_plan.base_name(found) == "sentence-transformers/all-MiniLM-L6-v2"
    files = transfer_plan.files(found)
    assert "results/transfer/c/ranking.parquet" in files and not [f for f in files if "evaluation" in f]


def test_a_data_set_may_be_source_and_target_but_not_of_itself(config) -> None:
    found = config("{targets: [a, c], sources: [a, b, c], model: other, baselines: [size]}")
    assert transfer_plan.sources_for(found, "a") == ["b", "c"]
    assert transfer_plan.ranking_params(found, "a")["own"] == "resources/esms/other/a"
    assert transfer_plan.base_name(found) == "hub/other"
    assert "models" not in transfer_plan.baseline_inputs(found, "a")
    truth = transfer_plan.evaluation_inputs(found)["transfers"]
    assert sum("/a/ground_truth/" in file for file in truth) == 3
    assert transfer_plan.transfer_inputs(found, "a", "none")["model"] == []


def test_what_an_esm_says_of_its_source(config) -> None:
    about = transfer_plan.about_source(config("{targets: [a]}"), "b")
    assert about["task_id"] == "b" and about["text_column"] == "t,u" and about["label_column"] == "l"


@pytest.mark.parametrize(
    ("transfer", "text"),
    [
        ("{targets: [aa]}", "transfer.targets: no data set 'aa', did you mean 'a'?"),
        ("{targets: [a, a]}", "transfer.targets: 'a' is named twice"),
        ("{targets: [digits]}", "transfer.targets: 'digits' is no text classification or regression"),
        ("{targets: [a], sources: [choice]}", "transfer.sources: 'choice' is no text classification or regression"),
        ("{targets: [a], model: cnn}", "transfer.model: no model 'cnn' of recipe finetune"),
        ("{targets: [a], tuned: [{source: z, folder: .}]}", "transfer.tuned: no data set 'z'"),
        ("{targets: [a], tuned: [{source: b, folder: gone}]}", "transfer.tuned: no folder 'gone'"),
        ("{targets: [a], registries: [gone]}", "transfer.registries: no folder 'gone'"),
        ("{targets: [a], sources: []}", "transfer.sources: there is nothing to rank"),
        ("{targets: [a], filter: open('x')}", "transfer.filter: filter: 'open('x')' is not allowed"),
        ("{targets: [a], filter: num_example > 3}", "did you mean 'num_examples'"),
        ("{targets: [a], baselines: [leep, leep]}", "transfer.baselines: a method is named twice"),
        ("{targets: [a], baselines: [lep]}", "did you mean 'leep'"),
        ("{targets: [a], sourcerows: 9}", "transfer.sourcerows: unknown key, did you mean 'source_rows'?"),
    ],
)
def test_faults_are_one_line(config, transfer: str, text: str) -> None:
    with pytest.raises(ConfigError) as fault:
        config(transfer)
    assert text in str(fault.value) and "\n" not in str(fault.value)
