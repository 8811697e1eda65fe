"""The folder of a map: what is written is read again, the hub's layouts are read, and faults are named."""

import json

import numpy as np
import pandas as pd
import pytest
import yaml
from safetensors.numpy import load_file, save_file

from datassay.errors import DatassayError
from datassay.transfer import EmbeddingSpaceMap
from datassay.transfer.filters import check_filter, chosen
from datassay.transfer.registry import FIELDS, INDEX, esm_folders, index_esms, load_esm, save_esm

ABOUT = {"base_model_name": "bert-base-multilingual-uncased", "task_id": "stanfordnlp/imdb", "num_examples": 10000}


def linear(d: int = 3, seed: int = 0) -> EmbeddingSpaceMap:
    rng = np.random.default_rng(seed)
    layer = (rng.normal(size=(d, d)).astype(np.float32), rng.normal(size=d).astype(np.float32))
    return EmbeddingSpaceMap((layer,), {"mse": 0.5, "rows": 9})


def published(folder, keys: dict[str, np.ndarray], **config) -> None:
    """A folder as it lies on the hub."""
    folder.mkdir(parents=True)
    extra = {"transformers_version": "4.44.0", "esm_architecture": "linear"}
    (folder / "config.json").write_text(json.dumps(ABOUT | extra | config))
    save_file(keys, folder / "model.safetensors")


def test_what_is_written_is_read_again(tmp_path) -> None:
    esm = linear()
    save_esm(tmp_path / "imdb", esm, ABOUT | {"language": "en"}, {"mean": np.ones(3)})
    about, again = load_esm(tmp_path / "imdb")
    assert about["task_id"] == "stanfordnlp/imdb" and about["language"] == "en"
    assert about["esm_embedding_dim"] == 3 and again.report == esm.report
    for ours, theirs in zip(esm.layers[0], again.layers[0], strict=True):
        np.testing.assert_array_equal(ours, theirs)
    assert sorted(load_file(tmp_path / "imdb" / "model.safetensors")) == ["model.bias", "model.weight"]
    assert set(FIELDS) <= set(json.loads((tmp_path / "imdb" / "config.json").read_text()))


def test_the_model_card_is_found_by_its_tags(tmp_path) -> None:
    save_esm(tmp_path / "imdb", linear(), ABOUT)
    front = yaml.safe_load((tmp_path / "imdb" / "README.md").read_text().split("---")[1])
    assert front["tags"] == ["embedding_space_map", "BaseLM:bert-base-multilingual-uncased"]
    assert front["datasets"] == ["stanfordnlp/imdb"] and front["base_model"] == "bert-base-multilingual-uncased"


def test_a_map_of_several_layers_keeps_their_order(tmp_path) -> None:
    layers = tuple((np.full((2, 2), i, np.float32), np.full(2, i, np.float32)) for i in range(12))
    save_esm(tmp_path / "deep", EmbeddingSpaceMap(layers), ABOUT)
    about, again = load_esm(tmp_path / "deep")
    assert about["esm_architecture"] == "mlp"
    assert [float(bias[0]) for _, bias in again.layers] == list(range(12))


@pytest.mark.parametrize("names", [("model.weight", "model.bias"), ("sequential.0.weight", "sequential.0.bias")])
def test_the_layouts_of_the_hub_are_read(tmp_path, names) -> None:
    weight, bias = linear().layers[0]
    version = {"version": "0.1.0"} if names[0].startswith("sequential") else {"esm_embedding_dim": 3}
    published(tmp_path / "esm", dict(zip(names, (weight, bias), strict=True)), **version)
    about, esm = load_esm(tmp_path / "esm")
    np.testing.assert_array_equal(esm.layers[0][0], weight)
    assert about["num_examples"] == 10000 and about["lm_num_epochs"] is None and esm.report == {}


def test_faults_are_named_and_stop_nothing(tmp_path) -> None:
    weight, bias = linear().layers[0]
    good = {"model.weight": weight, "model.bias": bias}
    published(tmp_path / "good", good)
    published(tmp_path / "nan", {"model.weight": weight * np.nan, "model.bias": bias})
    published(tmp_path / "shape", {"model.weight": weight, "model.bias": bias[:2]})
    published(tmp_path / "width", good, esm_embedding_dim=768)
    published(tmp_path / "names", {"weights": weight})
    published(tmp_path / "unnamed", good, task_id=None)
    published(tmp_path / "cut", good)
    (tmp_path / "cut" / "model.safetensors").write_bytes(b"\x08")
    published(tmp_path / "pickled", good)
    (tmp_path / "pickled" / "model.safetensors").rename(tmp_path / "pickled" / "pytorch_model.bin")
    (tmp_path / "json").mkdir()
    (tmp_path / "json" / "config.json").write_text("{")
    reasons = {
        "nan": "not finite",
        "shape": "do not fit",
        "width": "says 768",
        "names": "holds weights",
        "unnamed": "task_id is None",
        "cut": "cannot be read",
        "pickled": "other formats are not read",
        "json": "not readable as JSON",
    }
    for name, reason in reasons.items():
        with pytest.raises(DatassayError, match=reason) as fault:
            load_esm(tmp_path / name)
        assert str(tmp_path / name) in str(fault.value) and "\n" not in str(fault.value)
    table = index_esms(esm_folders(tmp_path))
    assert len(table) == 9 and list(table.columns) == list(INDEX)
    assert set(table.loc[table["fault"].notna(), "folder"].map(lambda f: f.rsplit("/", 1)[1])) == {
        "unnamed",
        "pickled",
        "json",
    }


def test_refuses_to_write_what_could_not_be_read(tmp_path) -> None:
    with pytest.raises(DatassayError, match="needs base_model_name and task_id"):
        save_esm(tmp_path / "x", linear(), {"task_id": "a"})
    with pytest.raises(DatassayError, match="'colour' is no field"):
        save_esm(tmp_path / "x", linear(), ABOUT | {"colour": "red"})
    assert not (tmp_path / "x").exists()


TABLE = pd.DataFrame(
    {
        "task_id": ["imdb", "glue/sst2", "glue/cola", None],
        "num_examples": [10000, 500, np.nan, 8],
        "language": ["en", "en", "de", None],
    }
)


@pytest.mark.parametrize(
    ("expression", "kept"),
    [
        ("num_examples >= 500", [0, 1]),
        ("1000 > num_examples", [1, 3]),
        ("10 < num_examples <= 500", [1]),
        ("language == 'en' and not contains(task_id, 'glue')", [0]),
        ("language in ['de', 'fr'] or num_examples == 8", [2, 3]),
        ("language not in ['en']", [2, 3]),
        ("language == None", [3]),
        ("language != None and num_examples != 500", [0, 2]),
        ("task_id >= 'glue/d'", [0, 1]),
    ],
)
def test_filters_keep_what_they_say(expression: str, kept: list[int]) -> None:
    assert np.flatnonzero(chosen(TABLE, expression)).tolist() == kept
    check_filter(expression, list(TABLE.columns))


@pytest.mark.parametrize(
    ("expression", "text"),
    [
        ("__import__('os').system('true')", "not allowed"),
        ("task_id.str.len() > 3", "no column"),
        ("num_example > 3", "did you mean 'num_examples'"),
        ("num_examples > (", "not an expression"),
        ("num_examples", "not allowed"),
        ("language in 'en'", "needs a list"),
        ("[x for x in y] == language", "no constant"),
        ("num_examples > open", "no constant"),
        ("contains(task_id, language)", "not allowed"),
        ("(lambda: 1)() == num_examples", "no constant"),
        ("num_examples > [1]", "cannot compare"),
    ],
)
def test_filters_run_no_code(expression: str, text: str) -> None:
    with pytest.raises(DatassayError, match=text) as fault:
        chosen(TABLE, expression)
    assert "\n" not in str(fault.value)
