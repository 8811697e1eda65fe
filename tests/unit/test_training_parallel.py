"""Several processes train as one: the same steps, the same record, one line for a fault."""

import os
import sys
from collections import Counter
from pathlib import Path

import numpy as np
import pytest

from datassay import checkpoints
from datassay.checkpoints import Checkpoints, Interrupted
from datassay.errors import DatassayError
from datassay.storage import load_array, load_table, save_array, save_json, save_table
from datassay.training.jobs import train_job
from datassay.training.nodes import launch_on_nodes
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


def run(files: dict[str, str], folder: Path, processes: int, nodes: int = 1, **settings: object) -> Path:
    outputs = {name: f"{folder}/{name}.npy" for name in ARRAYS}
    outputs |= {"metrics": f"{folder}/metrics.parquet", "model": f"{folder}/model"}
    block = head(**{"dropout": 0.0, "batch_size": 11, **settings}).recipe_params()
    train_job(files, block, 0, outputs, "key", processes, nodes)
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


SRUN = """#!{python}
import os, subprocess, sys
options = [a for a in sys.argv[1:] if a.startswith("--")]
count = next(a.partition("=")[2] for a in options if a.startswith("--ntasks="))
facts = {{"SLURM_NTASKS": count, "SLURM_LAUNCH_NODE_IPADDR": "127.0.0.1"}}
command = sys.argv[1 + len(options):]
nodes = [subprocess.Popen(command, env=os.environ | facts | {{"SLURM_PROCID": str(i)}}) for i in range(int(count))]
sys.exit(max(node.wait() for node in nodes))
"""


@pytest.fixture
def slurm(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What a job on two nodes finds: a program that starts a process on each, and the numbers SLURM gives them."""
    program = tmp_path / "bin" / "srun"
    program.parent.mkdir()
    program.write_text(SRUN.format(python=sys.executable))
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{program.parent}{os.pathsep}{os.environ['PATH']}")
    monkeypatch.setenv("SLURM_JOB_ID", "1")


@pytest.mark.usefixtures("slurm")
@pytest.mark.parametrize("gpus", [0, 4])
def test_two_nodes_train_as_so_many_processes(gpus: int, files: dict[str, str], tmp_path: Path) -> None:
    nodes, processes = run(files, tmp_path / "nodes", gpus, nodes=2), run(files, tmp_path / "processes", max(gpus, 2))
    for name in ARRAYS:
        assert (nodes / f"{name}.npy").read_bytes() == (processes / f"{name}.npy").read_bytes()
    assert (nodes / "metrics.parquet").read_bytes() == (processes / "metrics.parquet").read_bytes()
    assert not (nodes / ".checkpoints").exists()


@pytest.mark.usefixtures("slurm")
def test_a_fault_on_a_node_is_one_line(files: dict[str, str], tmp_path: Path) -> None:
    with pytest.raises(DatassayError, match=r"^model 'm': loss is nan in epoch 1[^\n]*$"):
        run(files, tmp_path, 0, nodes=2, learning_rate=1e30, clip_norm=None)


def test_nodes_need_slurm(files: dict[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("SLURM_JOB_ID", raising=False)
    with pytest.raises(DatassayError, match="nodes: 2 machines need a job of SLURM"):
        run(files, tmp_path, 0, nodes=2)


@pytest.mark.usefixtures("slurm")
def test_an_unclear_end_on_a_node_is_told(tmp_path: Path) -> None:
    with pytest.raises(DatassayError, match="ended with exit code 3, see above"):
        launch_on_nodes(["sh", "-c", "echo why; exit 3"], 0, 2, tmp_path / "model")
    (tmp_path / "model").mkdir()
    launch_on_nodes(["sh", "-c", "echo error: of a library that does not matter"], 0, 2, tmp_path / "model")


@pytest.mark.parametrize("hidden", ["state00003", "logits00001", "dropout00000"])
def test_progress_that_one_machine_does_not_see_is_read_by_none(
    hidden: str, files: dict[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = {"epochs": 4, "mc_passes": 3, "dropout": 0.2}
    expected = run(files, tmp_path / "undisturbed", 2, **settings)
    monkeypatch.setattr(checkpoints, "_passes", Counter())  # this process may have passed points in other tests
    monkeypatch.setenv("DATASSAY_CRASH_AT", "dropout_pass:2")
    with pytest.raises(Exception, match="SIGKILL"):
        run(files, tmp_path / "killed", 2, **settings)
    monkeypatch.delenv("DATASSAY_CRASH_AT")
    assert list((tmp_path / "killed").rglob(hidden))
    load = Checkpoints.load

    def load_what_is_seen(self: Checkpoints, name: str) -> dict[str, np.ndarray] | None:
        return None if name == hidden and os.environ.get("RANK") == "1" else load(self, name)

    monkeypatch.setattr(Checkpoints, "load", load_what_is_seen)
    found = run(files, tmp_path / "killed", 2, **settings)
    for name in ARRAYS:
        assert (found / f"{name}.npy").read_bytes() == (expected / f"{name}.npy").read_bytes()
