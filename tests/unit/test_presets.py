"""Every preset is valid, plans the authors' grid, and prepares a stand-in laid out as its data set is on the hub."""

import io
import re
import socket
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from datassay import plan
from datassay.config import Config, one
from datassay.data import prepare
from datassay.validation import read_yaml, validate

FOLDER = Path(__file__).parents[2] / "resources/presets"
OF_FILES = {"cats_dogs", "annotation"}  # not on the hub; tested with what they are for
ARCHAEOLOGY = {"archaeology_cifar10", "archaeology_cifar100", "archaeology_imagenet"}  # another recipe; tested below
NAMES = sorted({path.stem for path in FOLDER.glob("*.yaml")} - OF_FILES - ARCHAEOLOGY)
GLUE = {"train": 1, "validation": 1, "test": -1}
# What the hub has: columns in order (t text, i image, a number of classes, f a number from 0 to 5, o answer "1" or "2"),
# splits with 1 where labels are shown, and otherwise what stands in their place.
HUB: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    "cola": ({"sentence": "t", "label": 2, "idx": "n"}, GLUE),
    "sst2": ({"sentence": "t", "label": 2, "idx": "n"}, GLUE),
    "qnli": ({"question": "t", "sentence": "t", "label": 2, "idx": "n"}, GLUE),
    "rte": ({"sentence1": "t", "sentence2": "t", "label": 2, "idx": "n"}, GLUE),
    "mrpc": ({"sentence1": "t", "sentence2": "t", "label": 2, "idx": "n"}, {"train": 1, "validation": 1, "test": 1}),
    "qqp": ({"question1": "t", "question2": "t", "label": 2, "idx": "n"}, GLUE),
    "wnli": ({"sentence1": "t", "sentence2": "t", "label": 2, "idx": "n"}, GLUE),
    "mnli": (
        {"premise": "t", "hypothesis": "t", "label": 3, "idx": "n"},
        {"train": 1, "validation_matched": 1, "validation_mismatched": 1, "test_matched": -1, "test_mismatched": -1},
    ),
    "stsb": ({"sentence1": "t", "sentence2": "t", "label": "f", "idx": "n"}, GLUE),
    "winogrande_xl": (
        {"sentence": "t", "option1": "t", "option2": "t", "answer": "o"}, {"train": 1, "test": "", "validation": 1},
    ),
    "sst5": ({"text": "t", "label": 5, "label_text": "t"}, {"train": 1, "validation": 1, "test": 1}),
    "ag_news": ({"text": "t", "label": 4}, {"train": 1, "test": 1}),
    "imdb": ({"text": "t", "label": 2}, {"train": 1, "test": 1, "unsupervised": -1}),
    "trec": ({"text": "t", "coarse_label": 6, "fine_label": 6}, {"train": 1, "test": 1}),
    "cifar10": ({"img": "i", "label": 10}, {"train": 1, "test": 1}),
    "cifar100": ({"img": "i", "fine_label": 100, "coarse_label": 20}, {"train": 1, "test": 1}),
}  # fmt: skip
LABELS = ("label", "answer", "coarse_label", "fine_label")


def preset(name: str) -> Config:
    """The config that snakemake merges: the default one and the preset over it."""
    files = [FOLDER.parents[1] / "config.yaml", FOLDER / f"{name}.yaml"]
    raw: dict[str, Any] = {}
    for content in map(read_yaml, files):
        for key, value in content.items():
            raw[key] = raw.get(key, {}) | value if isinstance(value, dict) else value
    return validate(raw, files)


def test_the_presets_are_those_of_the_documentation() -> None:
    assert set(HUB) == set(NAMES)


@pytest.mark.parametrize("name", NAMES)
def test_a_preset_is_valid_pinned_and_plans_the_grid(name: str) -> None:
    config = preset(name)
    dataset = one(config.datasets, name)
    assert re.fullmatch(r"[0-9a-f]{40}", dataset.revision or "")
    assert config.seeds == [1234, 2345, 3456] and len(config.pruning.ratios) == 9
    (pair,) = plan.pairs(config)
    model = one(config.models, pair[1])
    if dataset.modality == "text":
        assert (model.backbone, model.learning_rate, model.batch_size) == ("FacebookAI/roberta-large", 1e-5, 16)
        assert (model.optimizer, model.weight_decay, model.warmup, model.clip_norm) == ("adam", 0, 0.06, 1.0)
        assert (model.epochs, model.dropout) == (10, 0.1) and model.max_length == {"cola": 64, "imdb": 256}.get(
            name, 128
        )
        assert re.fullmatch(r"[0-9a-f]{40}", model.revision or "")
    out = plan.left_out(config, name)
    assert len(plan.cells(config, name)) == 1 + 9 * (17 - len(out))
    assert plan.metric_of(config, name) == {"cola": "mcc", "stsb": "pearson"}.get(name, "accuracy")
    small = [m.name for m in config.models if m.name != model.name]
    with_small = config.model_copy(update={"datasets": [dataset.model_copy(update={"models": small})]})
    assert list(plan.pairs(with_small)) == [(name, small[0])]


def test_what_a_task_has_no_use_for_is_not_planned() -> None:
    for name, families, strategies in (
        ("stsb", ["static", "pretrained", "regression_dynamics"], {"random", "density", "coreset", "infoverse_dpp"}),
        ("winogrande_xl", ["training_dynamics", "ensemble", "mc_dropout", "static", "pretrained"], {"easy", "el2n"}),
        ("cola", ["training_dynamics", "ensemble", "mc_dropout", "static", "pretrained", "label_quality"], {"shapley"}),
    ):
        config = preset(name)
        assert plan.families_of(config, name) == families
        planned = {strategy for strategy, _ in plan.cells(config, name)}
        assert strategies <= planned
        assert ("shapley" in planned) == (plan.estimators_of(config, name) != []) == (name == "cola")
        assert ("aum" in planned) == (name != "stsb")
        assert ("label_quality" in plan.unmeasured(config, name)) == (name != "cola")


def column(kind: Any, split: str, n: int) -> list[Any]:
    match kind:
        case "t":
            return [f"{split} text {row} with a _ in it" for row in range(n)]
        case "n":
            return list(range(n))
        case "i":
            return [{"bytes": png(row), "path": None} for row in range(n)]
        case "f":
            return [row % 26 / 5 for row in range(n)]
        case "o":
            return [str(1 + row % 2) for row in range(n)]
    return np.random.default_rng(n).permutation(np.arange(n) % kind).tolist()


def png(row: int) -> bytes:
    file = io.BytesIO()
    Image.fromarray(np.full((4, 4, 3), row % 256, dtype=np.uint8)).save(file, "PNG")
    return file.getvalue()


def stand_in(folder: Path, name: str, subset: str | None) -> None:
    columns, splits = HUB[name]
    folder.mkdir()
    for split, shown in splits.items():
        n = (300 if name == "cifar100" else 120) if split == "train" else 100
        table = pd.DataFrame({label: column(kind, split, n) for label, kind in columns.items()})
        if shown != 1:
            table = table.assign(**dict.fromkeys(table.columns.intersection(LABELS), shown))
        table.to_parquet(folder / f"{split}-00000-of-00001.parquet")
    files = "".join(f"  - {{split: {split}, path: {split}-*}}\n" for split in splits)
    features = "".join(f"  - name: {label}\n    dtype: {dtype(kind)}\n" for label, kind in columns.items())
    config = f"- config_name: {subset or 'default'}\n"
    readme = f"configs:\n{config}  data_files:\n{files}dataset_info:\n{config}  features:\n{features}"
    (folder / "README.md").write_text(f"---\n{readme}---\n")


def dtype(kind: Any) -> str:
    if isinstance(kind, int):
        return "\n      class_label:\n        names: {" + ", ".join(f"'{c}': class {c}" for c in range(kind)) + "}"
    return {"t": "string", "o": "string", "n": "int64", "f": "float32", "i": "image"}[kind]


@pytest.mark.parametrize("name", NAMES)
def test_a_preset_prepares_what_the_hub_holds(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(socket.socket, "connect", lambda *_: pytest.fail("the network was asked"))
    dataset = one(preset(name).datasets, name)
    stand_in(tmp_path / "hub", name, dataset.subset)
    examples, card = prepare(dataset.model_copy(update={"path": "hub"}), tmp_path)
    columns, _ = HUB[name]
    counts = {split: about["n"] for split, about in card["counts"].items()}
    rows = 300 if name == "cifar100" else 120
    carved = rows - counts["train"]
    own = name in ("sst5", "mrpc")  # which bring a validation split beside the test split
    assert counts["test"] == 100 and counts["valuation"] == round(0.05 * rows)
    assert (counts["validation"], carved) == ((100, 6) if own else (round(0.05 * rows), 2 * round(0.05 * rows)))
    assert card["task"] == dataset.task and ("text_b" in examples) == (dataset.columns.text_b is not None)
    if name == "stsb":
        assert examples["label"].dtype == np.float64 and examples["label"].between(0, 5).all()
    elif name == "winogrande_xl":
        assert card["label_names"] == ["1", "2"] and card["options"] == 2
    elif name == "sst5":
        assert card["label_names"][0] == "very negative" and len(card["label_names"]) == 5
    else:
        label = dataset.columns.label
        assert len(card["label_names"]) == columns[label] and card["label_names"][1] == "class 1"


def test_annotation_is_tried_without_network() -> None:
    config = preset("annotation")
    (dataset,) = config.datasets
    assert config.annotation.datasets == [dataset.name] and dataset.source.startswith("builtin:")
    assert dataset.split.pool > 0.5 and not config.pruning.strategies


@pytest.mark.parametrize("name", sorted(ARCHAEOLOGY))
def test_presets_of_archaeology_are_the_authors_recipe(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if name == "archaeology_imagenet":
        for folder in ("train", "val"):
            (tmp_path / "resources/imagenet" / folder).mkdir(parents=True)
        (tmp_path / "resources/imagenet-cscores-with-filename.npz").touch()
        monkeypatch.chdir(tmp_path)
    config = preset(name)
    (dataset,), (model,) = config.datasets, [m for m in config.models if m.name == "resnet50"]
    imagenet = dataset.name == "imagenet"
    assert (model.epochs, model.batch_size) == ((100, 256) if imagenet else (150, 128))
    assert (model.optimizer, model.learning_rate, model.momentum) == ("sgd", 0.1, 0.9)
    assert (model.weight_decay, model.schedule, model.warmup, model.dropout) == (1e-4, "cosine", 0, 0)
    assert model.augment and model.clip_norm is None and config.seeds == [3]
    assert (dataset.probes.size, dataset.probes.seed, dataset.probes.reference) == (500, 3, 0.5)
    assert plan.options_of(config, "measure", "archaeology") == {"by_class": False, "k": 20, "seeds": "concatenated"}
    assert plan.probed_pairs(config) == [(dataset.name, "resnet50")]
    if imagenet:
        assert not model.pretrained and model.gpu == 4 and model.dynamics_type == "float16" and model.image_size == 224
    else:
        assert (model.widths, model.depths, model.block) == ([64, 128, 256, 512], [3, 4, 6, 3], "bottleneck")
        assert model.stem_stride == 1 and model.padding == "reflect" and re.fullmatch(r"[0-9a-f]{40}", dataset.revision)
