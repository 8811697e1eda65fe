"""Every preset of active learning is valid, plans its runs for every backbone, and prepares a stand-in."""

from pathlib import Path

import pandas as pd
import pytest

from datassay.active_learning.cells import learning_pairs, loop_inputs, query_strategies, run_names
from datassay.config import Config, one
from datassay.data import prepare
from datassay.validation import read_yaml, validate

FOLDER = Path(__file__).parents[2] / "resources/presets/active_learning"
NAMES = sorted(path.stem for path in FOLDER.glob("*.yaml"))
BACKBONES = {"bert_base", "bert_tiny", "deberta_v3", "albert", "gpt2", "t5"}
RARE = {
    "ag_news_business": (["rest", "Business"], 0.01),
    "wiki_toxic": (["normal", "toxic"], 0.01),
    "amazoncat_agriculture": (["others", "agriculture"], None),
    "amazoncat_multi": (["others", "agriculture", "archaeology", "audio", "philosophy"], None),
}


def preset(name: str, folder: Path) -> Config:
    """The config of a preset over the default one, its local files in a folder."""
    files = [FOLDER.parents[2] / "config.yaml", FOLDER / f"{name}.yaml"]
    raw = read_yaml(files[0]) | read_yaml(files[1])
    for dataset in raw["datasets"]:
        if isinstance(dataset["path"], dict):
            dataset["path"] = {split: str(folder / path) for split, path in dataset["path"].items()}
            for path in dataset["path"].values():
                Path(path).parent.mkdir(parents=True, exist_ok=True)
                Path(path).touch()
    return validate(raw, files)


def test_the_presets_are_those_of_the_paper() -> None:
    assert set(RARE) == set(NAMES)


@pytest.mark.parametrize("name", NAMES)
def test_a_preset_plans_its_runs_for_every_backbone(name: str, tmp_path: Path) -> None:
    config = preset(name, tmp_path)
    assert {model.name for model in config.models} == BACKBONES
    for model in config.models:
        assert (model.epochs, model.batch_size, model.learning_rate, model.max_length) == (10, 32, 4e-5, 512)
        assert (model.optimizer, model.weight_decay, model.schedule) == ("adamw", 0.01, "constant")
    assert learning_pairs(config) == [(name, "bert_base")]
    every = config.active_learning.model_copy(update={"models": sorted(BACKBONES)})
    assert len(learning_pairs(config.model_copy(update={"active_learning": every}))) == 6
    ablated = 5 if name == "amazoncat_agriculture" else 0
    assert len(run_names(config)) == 5 * (10 + ablated)
    settings = config.active_learning
    queries = -(-(settings.budget - settings.initial.size) // settings.query_size)
    assert (queries, settings.min_steps, settings.initial.per_minority) == (196, 100, 5)
    anchoral = one(query_strategies(config), "anchoral_entropy")
    assert (anchoral.anchors, anchoral.neighbors, anchoral.size) == (10, 50, 10_000)
    assert "index" in loop_inputs(config, name, "bert_base", "anchoral_entropy")
    assert "index" not in loop_inputs(config, name, "bert_base", "subset_entropy")


@pytest.mark.parametrize("name", NAMES)
def test_a_preset_prepares_its_rare_classes(name: str, tmp_path: Path) -> None:
    names, share = RARE[name]
    dataset = one(preset(name, tmp_path).datasets, name)
    written = [*names[1:], *(["World", "Sports"] if name == "ag_news_business" else names[:1])]
    counts = {"train": 600, "test": 12000}
    for split, n in counts.items():
        labels = [written[row % len(written)] for row in range(n)]
        table = pd.DataFrame({"text": [f"text {row}" for row in range(n)], dataset.columns.label: labels})
        table = table.rename(columns={"text": str(dataset.columns.text)})
        table.to_parquet(tmp_path / f"{split}.parquet")
    files = {split: f"{split}.parquet" for split in counts}
    local = {"source": "parquet", "path": files, "revision": None, "label_names": None}
    examples, card = prepare(dataset.model_copy(update=local), tmp_path)
    assert card["label_names"] == names
    train, test = (card["counts"][split]["classes"] for split in ("train", "test"))
    rest = train[names[0]]
    if share is not None:
        assert train[names[1]] == -(-rest // 99)
    assert test[names[0]] == (5000 if name == "wiki_toxic" else 12000 - sum(test[rare] for rare in names[1:]))
    assert len(examples) == sum(train.values()) + sum(test.values())
