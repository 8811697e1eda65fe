"""Several processes train as one: the same steps, the same record, one line for a fault."""

from pathlib import Path

import numpy as np
import pytest

from datassay.checkpoints import Interrupted
from datassay.errors import DatassayError
from datassay.storage import load_array, load_table, save_array, save_json, save_table
from datassay.training.jobs import train_job
from datassay.training.parallel import launch
from tests.unit.test_training import NAMES, head, some_vectors, text_examples

ARRAYS = ("logits", "features", "feature_norms", "mc_logits")


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    folder = tmp_path_factory.mktemp("job")
    examples = text_examples()
    save_table(folder / "examples.parquet", examples)
    save_array(folder / "vectors.npy", some_vectors(examples))
    save_json(folder / "card.json", {"label_names": NAMES, "task": "classification"})
    return {"examples": f"{folder}/examples.parquet", "vectors": f"{folder}/vectors.npy", "card": f"{folder}/card.json"}


def run(files: dict[str, str], folder: Path, processes: int, **settings: object) -> Path:
    outputs = {name: f"{folder}/{name}.npy" for name in ARRAYS}
    outputs |= {"metrics": f"{folder}/metrics.parquet", "model": f"{folder}/model"}
    block = head(**{"dropout": 0.0, "batch_size": 11, **settings}).recipe_params()
    train_job(files, block, 0, outputs, "key", processes)
    return folder


@pytest.mark.parametrize("dynamics", ["eval", "online"])
def test_two_processes_train_as_one(dynamics: str, files: dict[str, str], tmp_path: Path) -> None:
    one, two = (run(files, tmp_path / str(count), count, dynamics=dynamics) for count in (1, 2))
    for name in ARRAYS:
        a, b = (load_array(folder / f"{name}.npy") for folder in (one, two))
        assert a.shape == b.shape
        np.testing.assert_allclose(a, b, atol=2e-5)
    a, b = (load_table(folder / "metrics.parquet") for folder in (one, two))
    np.testing.assert_allclose(a["loss"], b["loss"], rtol=1e-4)
    assert not (two / ".checkpoints").exists() and (two / "model" / "config.json").is_file()


def test_a_fault_of_a_process_is_one_line(files: dict[str, str], tmp_path: Path) -> None:
    with pytest.raises(DatassayError, match=r"^model 'm': loss is nan in epoch 1"):
        run(files, tmp_path, 2, learning_rate=1e30, clip_norm=None)


def _stop() -> None:
    raise Interrupted("stopped")


def test_a_stop_in_a_process_is_a_stop() -> None:
    with pytest.raises(Interrupted, match="run again to go on"):
        launch(_stop, (), 2)
