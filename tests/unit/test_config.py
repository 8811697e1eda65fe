import copy

import pytest
import yaml

from datassay import plan
from datassay.config import Config, one
from datassay.validation import ConfigError, read_yaml, validate

MINIMAL = """
datasets:
  - {name: mine, source: csv, path: data.csv, columns: {text: text}}
encoders:
  - {name: minilm, kind: sentence_transformer}
  - {name: pixels, kind: pixels}
models:
  - {name: tuned, recipe: finetune, retrain: head}
  - {name: head, recipe: head, encoder: minilm, assay: false}
  - {name: cnn, recipe: cnn}
"""


@pytest.fixture
def raw(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "data.csv").write_text("text,label\na,b\n")
    (tmp_path / "config.yaml").write_text(MINIMAL)
    return yaml.safe_load(MINIMAL)


def fault(raw, files=("config.yaml",)):
    with pytest.raises(ConfigError) as error:
        validate(raw, files)
    return str(error.value)


def change(raw, path, value):
    changed = copy.deepcopy(raw)
    *parents, last = path
    block = changed
    for part in parents:
        block = block.setdefault(part, {}) if isinstance(block, dict) else block[part]
    block[last] = value
    return changed


def test_the_embedded_default_is_valid(root):
    config = validate(read_yaml(root / "config.yaml"), [root / "config.yaml"])
    assert [d.name for d in config.datasets] == ["docstrings", "digits"]
    assert list(plan.pairs(config)) == [("docstrings", "minilm"), ("digits", "cnn")]


FAULTS = [
    (["seed"], [1], "config.yaml: seed: unknown key, did you mean 'seeds'?"),
    (["pruning", "ratio"], [0.1], "config.yaml: pruning.ratio: unknown key, did you mean 'ratios'?"),
    (["datasets", 0, "noize"], {}, "config.yaml: datasets[mine].noize: unknown key, did you mean 'noise'?"),
    (["datasets", 0, "noise"], {"rate": 1.5}, "config.yaml: datasets[mine].noise.rate: found 1.5, input should be less"),
    (["datasets", 0, "noise"], {"kind": "symetric"}, "noise.kind: found 'symetric', did you mean 'symmetric'?"),
    (["datasets", 0, "columns", "txt"], "t", "datasets[mine].columns.txt: unknown key, did you mean 'text'?"),
    (["datasets", 0, "source"], "cvs", "datasets[mine]: source 'cvs' is unknown, did you mean 'csv'?"),
    (["datasets", 0, "source"], "builtin:digit", "unknown 'builtin:digit', did you mean 'digits'?"),
    (["datasets", 0, "path"], "none.csv", "datasets[mine].path: no file or folder 'none.csv'"),
    (["datasets", 0, "models"], ["tund"], "datasets[mine].models: no model 'tund', did you mean 'tuned'?"),
    (["datasets", 0, "encoders"], ["pixels"], "encoder 'pixels' takes images, the data set holds texts"),
    (["datasets", 0, "split"], {"test": 0.9, "validation": 0.2}, "must be below 1"),
    (["models", 0, "epochs"], "four", "config.yaml: models[tuned].epochs: found 'four', input should be a valid integer"),
    (["models", 0, "epochs"], 0, "models[tuned].epochs: found 0"),
    (["models", 0, "epoch"], 3, "config.yaml: models[tuned].epoch: unknown key, did you mean 'epochs'?"),
    (["models", 0, "recipe"], "finetun", "config.yaml: models[tuned]: recipe: found 'finetun', did you mean 'finetune'?"),
    (["models", 0, "retrain"], "hed", "models[tuned].retrain: no model 'hed', did you mean 'head'?"),
    (["models", 1, "encoder"], None, "models[head].encoder: a head needs an encoder"),
    (["models", 2, "name"], "tuned", "models: the name 'tuned' is used twice"),
    (["models", 0, "name"], "a/b", "models[a/b].name: found 'a/b'"),
    (["datasets", 0, "name"], "my set", "found 'my set', allowed: letters (A to Z, a to z), digits, _ and -, a letter or"),
    (["annotation", "filters"], {"languages": ["eng"]}, "found 'eng', allowed: two small letters, such as en"),
    (["models", 0, "nodes"], 0, "models[tuned].nodes: found 0"),
    (["models", 0], {"name": "tuned", "recipe": "finetune", "gpu": 2, "nodes": 4},
     "models[tuned]: gpu: 2 is no multiple of nodes: 4"),
    (["seeds"], [], "config.yaml: seeds: found []"),
    (["seeds"], 3, "config.yaml: seeds: found 3, input should be a valid list"),
    (["seeds"], ["0"], "config.yaml: seeds[0]: found '0'"),
    (["datasets"], [], "config.yaml: datasets: found []"),
    (["meta_information", "families"], ["statc"], "unknown measure 'statc', did you mean 'static'?"),
    (["valuation", "estimators"], ["knn_shaply"], "unknown estimator 'knn_shaply', did you mean 'knn_shapley'?"),
    (["valuation", "options"], {"knn_shapley": {"kk": 1}}, "valuation.options.knn_shapley: unknown option 'kk'"),
    (["pruning", "strategies"], ["rndom"], "pruning.strategies: unknown strategy 'rndom', did you mean 'random'?"),
    (["pruning", "strategies"], ["random", "random"], "'random' is named twice"),
    (["pruning", "ratios"], [1.5], "config.yaml: pruning.ratios[0]: found 1.5"),
    (["pruning", "ratios"], [0.5, 80], "pruning.ratios[1]: found 80, input should be less than 1: 0.8 for 80 %"),
    (["pruning", "ratios"], 0.5, "config.yaml: pruning.ratios: found 0.5, input should be a valid list: [0.5]"),
    (["pruning", "ratios"], [0.95], "config.yaml: pruning: ratio 0.95 is above rank_up_to"),
    (["datasets", 0, "name"], "logs", "config.yaml: datasets[logs].name: results/logs holds what every job writes"),
    (["datasets", 0, "models"], ["tuned", "tuned"], "datasets[mine].models: 'tuned' is named twice"),
    (["datasets", 0, "models"], ["cnn"], "datasets[mine].models: model 'cnn' takes images, the data set holds texts"),
    (["datasets", 0, "seeds"], [1, 1], "datasets[mine].seeds: 1 is named twice"),
    (["models", 0, "retrain"], "cnn", "datasets[mine].models: model 'cnn' takes images, the data set holds texts"),
    (["models", 0, "encoder"], "pixels", "datasets[mine].models: encoder 'pixels' takes images, the data set holds"),
    (["seeds"], [0, 0], "config.yaml: seeds: 0 is named twice"),
    (["pruning", "ratios"], [0.5, 0.5], "config.yaml: pruning.ratios: 0.5 is named twice"),
    (["pruning", "ratios"], [1e-7], "config.yaml: pruning.ratios: ratio: 1e-07 has more than 6 decimals"),
    (["pruning", "options"], {"ccs": {"beta": "x"}}, "pruning.options.ccs.beta: found 'x', needs a number"),
    (["valuation", "options"], {"knn_shapley": {"k": 1.5}}, "options.knn_shapley.k: found 1.5, needs a whole number"),
    (["meta_information", "families"], ["label_quality"], "which strategy 'infoverse_dpp' reads, add static"),
    (["seeds"], [0], "pruning.strategies: 'el2n' reads 'ens_el2n', which needs at least 2 seeds on 'mine': set that or"),
    (["pruning", "by_column"], [{"name": "odd", "column": "pseudo_log_likelihood", "keep": "lowest"}],
     "'odd' reads 'pseudo_log_likelihood', which needs meta_information.language_model on 'mine': set that or"),
    (["pruning", "options"], {"infoverse_dpp": {"quality": "densty"}}, "quality: unknown 'densty', did you mean 'density'?"),
    (["meta_information", "options"], {"static": {"variant": "relased"}}, "static.variant: unknown 'relased', did you"),
    (["map"], {"perplexity": 50}, "config.yaml: map.perplexity 50 needs 150 neighbours, but neighbors.k is 90"),
    (["datasets", 0], {"name": "mine", "source": "csv", "path": "data.csv", "columns": {"text": "text"}, "metric": "f1",
                       "classes": ["a", "b", "c"]}, "datasets[mine].metric: f1 needs two classes, there are 3"),
    (["extensions"], ["missing.py"], "config.yaml: extensions: no file 'missing.py'"),
    (["extensions"], "missing.py", "config.yaml: extensions: found 'missing.py', input should be a valid list"),
]  # fmt: skip


@pytest.mark.parametrize(("path", "value", "expected"), FAULTS, ids=[".".join(map(str, f[0])) for f in FAULTS])
def test_every_fault_is_one_line_with_file_key_and_hint(raw, path, value, expected):
    text = fault(change(raw, path, value))
    assert expected in text
    assert "\n" not in text


def test_a_report_needs_something_that_speaks_of_labels(raw):
    raw |= {"valuation": {"estimators": []}, "pruning": {"strategies": ["random"]}}
    assert "none of them says which labels of 'mine' are wrong" in fault(
        change(raw, ["meta_information", "families"], [])
    )
    assert validate(change(raw, ["meta_information", "families"], ["label_quality"]))


WITHOUT_VALUES = [
    ({}, "(valuation.estimators: knn_shapley; pruning.strategies: shapley)"),
    ({"valuation": {"estimators": []}}, "(pruning.strategies: shapley)"),
    (
        {"valuation": {"estimators": []}, "pruning": {"strategies": ["aum"]}, "cleaning": {"by": ["aum"]}},
        "(cleaning.by: aum)",
    ),
]


@pytest.mark.parametrize(("blocks", "users"), WITHOUT_VALUES)
def test_what_measures_on_valuation_rows_needs_some(raw, blocks, users):
    text = fault(change(raw, ["datasets", 0, "split"], {"valuation": 0}) | blocks)
    assert text.startswith("config.yaml: datasets[mine].split: valuation is 0") and users in text and "\n" not in text
    assert text.endswith("raise it, or leave these out ([] for none)")


def test_without_values_no_valuation_rows_are_needed(raw):
    nothing = {"valuation": {"estimators": []}, "pruning": {"strategies": ["aum"]}}
    assert validate(change(raw, ["datasets", 0, "split"], {"valuation": 0}) | nothing)
    raw = change(raw, ["datasets", 0, "columns", "split"], "part")
    assert validate(change(raw, ["datasets", 0, "split"], {"valuation": 0})), "the file may bring such rows"


def test_every_label_may_be_looked_at(raw):
    raw |= {"pruning": {"strategies": []}, "valuation": {"estimators": []}}
    assert validate(change(raw, ["datasets", 0, "split"], {"validation": 0, "valuation": 0, "test": 0}))


def test_only_a_fine_tuned_model_chooses_among_options(raw):
    raw = change(raw, ["datasets", 0, "task"], "multiple_choice")
    raw["datasets"][0]["columns"]["options"] = ["text", "label"]
    assert "model 'head' cannot choose among options, only recipe finetune reads them" in fault(raw)
    assert validate(change(raw, ["models", 0, "retrain"], None))


def test_a_regression_does_without_what_needs_classes(raw):
    raw = change(raw, ["datasets", 0, "task"], "regression")
    config = validate(raw)
    assert plan.families_of(config, "mine") == ["static", "pretrained", "regression_dynamics"]
    assert plan.estimators_of(config, "mine") == []
    assert {s for s, _ in plan.cells(config, "mine")} == {"full", "random", "coreset", "infoverse_dpp"}
    assert plan.metric_of(config, "mine") == "pearson"
    reasons = plan.unmeasured(config, "mine")
    assert reasons.keys() == {"training_dynamics", "ensemble", "mc_dropout", "label_quality", "knn_shapley"}
    assert set(reasons.values()) == {"needs classes, which a regression has not"}
    raw = change(raw, ["meta_information", "families"], ["static", "label_quality"])
    assert "none of them says which labels of 'mine' are wrong, add regression_dynamics" in fault(raw)


def test_several_faults_are_a_line_each(raw):
    text = fault(change(change(raw, ["seed"], 1), ["models", 0, "epochs"], 0))
    assert len(text.splitlines()) == 2


def test_a_fault_names_the_file_that_sets_the_key(raw, tmp_path):
    (tmp_path / "mine.yaml").write_text("seed: [1]\n")
    assert fault(change(raw, ["seed"], [1]), ["config.yaml", "mine.yaml"]).startswith("mine.yaml: seed")


def test_yaml_errors_name_the_line(tmp_path):
    path = tmp_path / "config.yaml"
    path.write_text("a: 1\nb: [1\nc: 2\n")
    with pytest.raises(ConfigError, match=r"config\.yaml:3: not valid YAML"):
        read_yaml(path)


def test_numbers_without_a_dot_are_numbers(raw):
    config = validate(change(raw, ["models", 0, "learning_rate"], "1e-4"))
    assert one(config.models, "tuned").learning_rate == 1e-4


def test_params_do_not_depend_on_how_the_yaml_was_written(raw):
    first = validate(change(raw, ["datasets", 0, "noise"], {"rate": 0.1, "seed": 1}))
    second = validate(change(raw, ["datasets", 0, "noise"], {"seed": 1, "rate": 0.10}))
    assert str(first.params()) == str(second.params())
    options = {"knn_shapley": {"metric": "cosine", "k": 5}}
    turned = {"knn_shapley": {"k": 5, "metric": "cosine"}}
    texts = [
        str(plan.options_of(validate(change(raw, ["valuation", "options"], o)), "estimator", "knn_shapley"))
        for o in (options, turned)
    ]
    assert texts[0] == texts[1]


def test_a_data_set_gets_what_fits_it(raw):
    config = validate(raw)
    dataset = config.datasets[0]
    assert [e.name for e in plan.encoders_of(config, dataset)] == ["minilm"]
    assert [m.name for m in plan.models_of(config, dataset)] == ["tuned"]
    assert plan.retrain_model(config, "tuned").name == "head"
    assert plan.encoder_of(config, "mine", "tuned") == "minilm"


def test_the_grid_holds_the_full_data_once(raw):
    config = validate(change(raw, ["pruning"], {"strategies": ["random", "full"], "ratios": [0.5, 0.30]}))
    assert plan.cells(config, "mine") == [("full", "1.0"), ("random", "0.5"), ("random", "0.3")]


def test_methods_name_their_files(raw):
    config = validate(raw)
    files = plan.array_paths(config, "mine", "tuned", ["ensemble_logits", "avg_conf", "knn_shapley", "log_likelihood"])
    assert len(files["ensemble_logits"]) == 3
    assert files["avg_conf"].endswith("training_dynamics.parquet")
    assert files["knn_shapley"].endswith("valuation/tuned/knn_shapley.parquet")
    assert "log_likelihood" not in files, "no language model is configured"


def test_the_config_cannot_be_changed(raw):
    config = validate(raw)
    with pytest.raises(ValueError, match="frozen"):
        config.seeds = [1]
    assert isinstance(config, Config)
