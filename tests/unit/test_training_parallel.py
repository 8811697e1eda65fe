"""Several processes train as one: the same steps, the same record, one line for a fault."""

import os
import sys
from pathlib import Path

import numpy as np
import pytest

from datassay.checkpoints import Interrupted
from datassay.errors import DatassayError
from datassay.storage import load_array, load_table, save_array, save_json, save_table
from datassay.training._trainer import make_accelerator
from datassay.training.jobs import train_job
from datassay.training.nodes import launch_on_nodes
from datassay.training.parallel import all_agree, launch
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
facts = {{"SLURM_NTASKS": count, "SLURM_LOCALID": "0", "SLURM_LAUNCH_NODE_IPADDR": "127.0.0.1"}}
command = sys.argv[1 + len(options):]
ranks = [subprocess.Popen(command, env=os.environ | facts | {{"SLURM_PROCID": str(i)}}) for i in range(int(count))]
sys.exit(max(rank.wait() for rank in ranks))
"""


@pytest.fixture
def slurm(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What a job on two nodes finds: a program that starts the processes, and the numbers that SLURM gives them."""
    program = tmp_path / "bin" / "srun"
    program.parent.mkdir()
    program.write_text(SRUN.format(python=sys.executable))
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{program.parent}{os.pathsep}{os.environ['PATH']}")
    monkeypatch.setenv("SLURM_JOB_ID", "1")


@pytest.mark.usefixtures("slurm")
def test_two_nodes_train_as_two_processes(files: dict[str, str], tmp_path: Path) -> None:
    nodes, processes = run(files, tmp_path / "nodes", 0, nodes=2), run(files, tmp_path / "processes", 2)
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
def test_processes_that_leave_nothing_were_stopped(tmp_path: Path) -> None:
    with pytest.raises(Interrupted, match="run again to go on"):
        launch_on_nodes(["true"], 0, 2, tmp_path / "model")
    with pytest.raises(DatassayError, match="ended with exit code 3, see above"):
        launch_on_nodes(["sh", "-c", "exit 3"], 0, 2, tmp_path / "model")


def test_machines_see_progress_only_together(files: dict[str, str], tmp_path: Path) -> None:
    """A file that one machine does not see yet is read by none, or they would wait for each other for ever."""
    launch(_answer, (tmp_path,), 2)
    assert [(tmp_path / str(rank)).read_text() for rank in (0, 1)] == ["True False", "True False"]


def _answer(folder: Path) -> None:
    accelerator = make_accelerator(head())
    first = accelerator.process_index == 0
    agreed = [all_agree(answer, accelerator) for answer in (True, first)]
    (folder / str(accelerator.process_index)).write_text(" ".join(map(str, agreed)))
