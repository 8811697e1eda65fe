"""What is cleaned by what, the faults of a config, and the preset of cats and dogs."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from datassay import plan
from datassay.cleaning.cells import cleaned_cells, curve_pairs, suspicious_end
from datassay.config import Config, one
from datassay.validation import ConfigError, read_yaml, validate

BASE = {
    "datasets": [{"name": "texts", "source": "builtin:docstrings"}],
    "encoders": [{"name": "minilm", "kind": "sentence_transformer"}],
    "models": [{"name": "head", "recipe": "head", "encoder": "minilm"}],
}


def config(**blocks) -> Config:
    return validate(BASE | blocks)


def test_the_usual_cleaning_is_by_knn_shapley_where_it_is_estimated() -> None:
    assert cleaned_cells(config(), "texts") == [("knn_shapley", "threshold"), ("knn_shapley", "quantile")]
    rest = {"valuation": {"estimators": []}, "pruning": {"strategies": []}}
    assert cleaned_cells(config(**rest), "texts") == []
    assert cleaned_cells(config(cleaning={"by": []}), "texts") == []


def test_a_measure_is_cut_at_a_quantile_only() -> None:
    cells = cleaned_cells(config(cleaning={"by": ["lava", "aum"]}), "texts")
    assert cells == [("lava", "threshold"), ("lava", "quantile"), ("aum", "quantile")]
    assert [suspicious_end(name) for name in ("lava", "aum", "forgetting", "variability")] == [
        "low",
        "low",
        "high",
        None,
    ]


@pytest.mark.parametrize(
    ("cleaning", "message"),
    [
        ({"by": ["knn_shaply"]}, "did you mean 'knn_shapley'"),
        ({"by": ["variability"]}, "'variability' says nothing of labels"),
        ({"by": ["aum"], "rules": ["threshold"]}, "'aum' is a measure, which has no threshold, add quantile"),
        ({"by": ["lava", "lava"]}, "'lava' is named twice"),
        ({"shares": [0.1, 0.1]}, "0.1 is named twice"),
        ({"rules": []}, "cleaning.rules"),
    ],
)
def test_faults_are_named_before_the_run(cleaning: dict, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        config(cleaning=cleaning)


def test_regressions_are_neither_cleaned_nor_followed(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("text,label\na,1\n")
    dataset = {"name": "grades", "source": "csv", "path": str(tmp_path / "a.csv"), "columns": {"text": "text"}}
    found = config(datasets=[*BASE["datasets"], dataset | {"task": "regression"}])
    assert cleaned_cells(found, "grades") == []
    assert curve_pairs(found, plan.pairs(found)) == [("texts", "head")]
    assert curve_pairs(config(detection={"utilities": []}), plan.pairs(found)) == []


def test_the_preset_of_cats_and_dogs(root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for place in ("train/cat", "train/dog", "val/cat", "shapley_val/dog", "test/cat"):
        (tmp_path / "data/cats_dogs" / place).mkdir(parents=True)
        Image.fromarray(np.zeros((4, 4, 3), np.uint8)).save(tmp_path / "data/cats_dogs" / place / "a.png")
    monkeypatch.chdir(tmp_path)
    found = validate(read_yaml(root / "config.yaml") | read_yaml(root / "resources/presets/cats_dogs.yaml"))
    assert list(plan.pairs(found)) == [("cats_dogs", "resnet101")]
    assert cleaned_cells(found, "cats_dogs") == [("knn_shapley", "threshold"), ("knn_shapley", "quantile")]
    assert (
        plan.encoder_of(found, "cats_dogs", "resnet101") == "resnet18"
        and not one(found.encoders, "resnet18").unit_length
    )
    model = one(found.models, "resnet101")
    assert (model.optimizer, model.learning_rate, model.momentum, model.batch_size, model.epochs) == (
        "sgd",
        1e-3,
        0.9,
        32,
        15,
    )
    assert plan.options_of(found, "estimator", "knn_shapley")["k"] == 10 and plan.cells(found, "cats_dogs") == []
