"""Discovery of hub data sets by rule, and publishing that does nothing until it is told to."""

import json

import numpy as np
import pandas as pd
import pytest
import yaml
from safetensors.numpy import load_file, save_file

from datassay.errors import DatassayError
from datassay.transfer import EmbeddingSpaceMap, discovery
from datassay.transfer.discovery import describe, discover
from datassay.transfer.publishing import FILES, main, publish
from datassay.transfer.registry import load_esm, save_esm

ROWS = pd.DataFrame(
    {
        "id": [f"i{i}" for i in range(90)],
        "title": ["short"] * 90,
        "body": [f"some longer text number {i}" for i in range(90)],
        "stars": [i % 5 for i in range(90)],
        "many": list(range(90)),
        "topic": [["a", "b", "c"][i % 3] for i in range(90)],
        "score": [i / 7 for i in range(90)],
        "label": [i % 2 for i in range(90)],
        "sentence1": ["x y"] * 90,
        "sentence2": ["z"] * 90,
        "sentence": ["x y z"] * 90,
        "empty": [None] * 90,
    }
)
SIZES = {"train": 90, "test": 30}


@pytest.mark.parametrize(
    ("kinds", "expected"),
    [
        ({"body": "text", "label": "integer"}, (["body"], "label", "classification", 2)),
        ({"body": "text", "stars": "class"}, (["body"], "stars", "classification", 5)),
        ({"body": "text", "stars": "class", "topic": "class"}, (["body"], "topic", "classification", 3)),
        ({"id": "text", "title": "text", "body": "text", "topic": "text"}, (["body"], "topic", "classification", 3)),
        ({"body": "text", "score": "float"}, (["body"], "score", "regression", None)),
        ({"sentence": "text", "body": "text", "label": "class"}, (["sentence"], "label", "classification", 2)),
        (
            {"sentence1": "text", "sentence2": "text", "label": "class"},
            (["sentence1", "sentence2"], "label", "classification", 2),
        ),
        ({"title": "text", "body": "text", "label": "integer"}, (["body"], "label", "classification", 2)),
    ],
)
def test_the_first_rule_that_holds_decides(kinds: dict, expected: tuple) -> None:
    found = describe("x", kinds, SIZES, ROWS[list(kinds)])
    assert (found["text"], found["label"], found["task"], found["classes"]) == expected
    assert found["train_split"] == "train" and found["sizes"] == SIZES


def test_a_whole_number_of_many_values_is_no_class() -> None:
    rows = ROWS.assign(label=ROWS["many"])
    assert describe("x", {"body": "text", "label": "integer"}, SIZES, rows)["task"] == "regression"


@pytest.mark.parametrize(
    ("kinds", "rows", "text"),
    [
        ({"body": "text", "stars": "other"}, ROWS, "no label"),
        ({"score": "float", "label": "class"}, ROWS, "no text column beside the label 'label'"),
        ({"body": "text", "label": "text"}, ROWS.assign(label=ROWS["id"]), "90 classes, 60 at most"),
        ({"body": "text", "label": "class"}, ROWS.assign(label=1), "has 1 value"),
        ({"body": "text", "label": "class"}, ROWS.head(0), "no rows"),
    ],
)
def test_refusals_say_why(kinds: dict, rows: pd.DataFrame, text: str) -> None:
    with pytest.raises(DatassayError, match=text) as fault:
        describe("owner/name", kinds, SIZES, rows)
    assert str(fault.value).startswith("owner/name: ") and "\n" not in str(fault.value)


def test_the_train_split_is_named_so_or_the_largest() -> None:
    assert discovery.train_split({"a": 3, "b": 9}) == "b"
    assert discovery.train_split({"test": 99, "train": 9}) == "train"


def test_a_local_hub_folder_becomes_a_block_of_the_config(tmp_path, monkeypatch, capsys) -> None:
    from datassay.config import Dataset

    monkeypatch.setenv("HF_DATASETS_CACHE", str(tmp_path / "cache"))
    folder = tmp_path / "pairs"
    folder.mkdir()
    table = ROWS[["id", "sentence1", "sentence2", "topic"]]
    table.to_parquet(folder / "train.parquet", index=False)
    block = discover(str(folder))
    about = block.pop("about")
    assert block["columns"] == {"text": "sentence1", "text_b": "sentence2", "label": "topic"}
    assert about["task"] == "classification" and about["classes"] == 3
    assert Dataset.model_validate(block).path == str(folder)
    (tmp_path / "none").mkdir()
    with pytest.raises(SystemExit) as ended:
        discovery.main([str(folder), str(tmp_path / "none")])
    captured = capsys.readouterr()
    assert ended.value.code == 1 and "refused: " in captured.err and "cannot be loaded" in captured.err
    assert yaml.safe_load(captured.out)["datasets"] == [block]


ABOUT = {"base_model_name": "b", "task_id": "t", "developers": "someone"}


def esm() -> EmbeddingSpaceMap:
    return EmbeddingSpaceMap(((np.eye(3, dtype=np.float32), np.ones(3, np.float32)),), {"mse": 0.25})


class Hub:
    """Stands in for the hub and keeps what it is sent."""

    sent: dict = {}  # noqa: RUF012

    def create_repo(self, name: str, exist_ok: bool) -> None:
        Hub.sent = {"name": name}

    def upload_folder(self, repo_id: str, folder_path: str, allow_patterns: list[str]) -> None:
        from pathlib import Path

        Hub.sent["files"] = sorted(path.name for path in Path(folder_path).iterdir())
        Hub.sent["tensors"] = load_file(Path(folder_path) / "model.safetensors")
        Hub.sent["config"] = json.loads((Path(folder_path) / "config.json").read_text())
        assert allow_patterns == list(FILES)


def test_nothing_leaves_the_machine_until_it_is_told_to(tmp_path, monkeypatch, capsys) -> None:
    import huggingface_hub

    monkeypatch.setattr(huggingface_hub, "HfApi", Hub)
    Hub.sent = {}
    save_esm(tmp_path / "esm", esm(), ABOUT, {"text_hashes": np.arange(3)})
    lines = publish(tmp_path / "esm", "me/ESM_t")
    assert Hub.sent == {} and lines[0].startswith("would create me/ESM_t") and len(lines) == 4
    main([str(tmp_path / "esm"), "me/ESM_t", "--push"])
    assert "uploaded model.safetensors" in capsys.readouterr().out
    assert Hub.sent["files"] == sorted(FILES) and sorted(Hub.sent["tensors"]) == ["model.bias", "model.weight"]
    assert Hub.sent["config"]["developers"] == "someone" and Hub.sent["config"]["report"] == {"mse": 0.25}


def test_the_legacy_layout_is_published_anew(tmp_path, monkeypatch) -> None:
    import huggingface_hub

    monkeypatch.setattr(huggingface_hub, "HfApi", Hub)
    folder = tmp_path / "old"
    folder.mkdir()
    (folder / "config.json").write_text(json.dumps(ABOUT | {"version": "0.1.0"}))
    save_file(
        {"sequential.0.weight": np.eye(3, dtype=np.float32), "sequential.0.bias": np.zeros(3, np.float32)},
        folder / "model.safetensors",
    )
    publish(folder, "me/x", push=True)
    assert sorted(Hub.sent["tensors"]) == ["model.bias", "model.weight"] and Hub.sent["config"]["version"] != "0.1.0"
    assert load_esm(folder)[0]["version"] == "0.1.0"


def test_a_faulty_map_or_name_is_refused(tmp_path, capsys) -> None:
    save_esm(tmp_path / "esm", esm(), ABOUT)
    with pytest.raises(DatassayError, match="expected OWNER/NAME"):
        publish(tmp_path / "esm", "name")
    (tmp_path / "esm" / "model.safetensors").write_bytes(b"")
    with pytest.raises(SystemExit) as ended:
        main([str(tmp_path / "esm"), "me/x"])
    assert ended.value.code == 1 and "cannot be read" in capsys.readouterr().err
