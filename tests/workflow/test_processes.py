"""One training in two processes, as a job with two GPUs runs it: close to one process, and nothing lost by a kill."""

import io
import os
import shutil
import signal
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from tests.jobs import load_everything, prepare, wait

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]
LOGITS = "results/digits/training/cnn/seed0/logits.npy"


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """A folder with the inputs, the same training for one and for two processes, and what each leaves."""
    load_everything()
    folder = tmp_path_factory.mktemp("jobs")
    one = next(job for job in prepare(folder) if job.name == "train cnn")
    steady = {"dropout": 0.0, "optimizer": "sgd"}  # Adam would blow rounding up to steps where a gradient is near 0
    one = replace(one, params={**one.params, "settings": {**one.params["settings"], **steady}})
    two = replace(one, resources={"gpu": 2})
    left = []
    for job in (one, two):
        assert job.run(folder) == 0, (folder / "job.out").read_text()
        left.append(job.results(folder))
        job.discard(folder)
    return folder, two, *left


@pytest.fixture
def folder(trained, tmp_path):
    return Path(shutil.copytree(trained[0], tmp_path / "a"))


def test_two_processes_train_as_one_with_batch_norm_over_both(trained):
    _, _, one, two = trained
    assert one.keys() == two.keys()
    a, b = (np.load(io.BytesIO(left[LOGITS]), allow_pickle=False) for left in (one, two))
    assert not np.array_equal(a, b), "sums of two processes are rounded in another way"
    np.testing.assert_allclose(a[0], b[0], atol=1e-4)
    np.testing.assert_allclose(a, b, atol=1e-2)


def test_a_killed_process_ends_all_and_they_go_on(trained, folder):
    _, job, _, expected = trained
    assert job.run(folder, DATASSAY_CRASH_AT="epoch:3") not in (0, 75)
    assert job.results(folder) == {}
    assert job.run(folder) == 0, (folder / "job.out").read_text()
    assert "going on after epoch 3/12" in (folder / "job.out").read_text()
    assert job.results(folder) == expected


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM, signal.SIGUSR1])
def test_a_signal_to_the_job_reaches_its_processes(number, trained, folder):
    """A kill leaves none behind that would write on beside the next attempt; another signal waits for the epoch."""
    _, job, _, expected = trained
    process = job.start(folder)
    end = time.monotonic() + 60
    while not list(folder.rglob(".checkpoints/*/state*")) and time.monotonic() < end:
        time.sleep(0.005)
    os.kill(process.pid, number)
    code = wait(process)
    assert code == (-signal.SIGKILL if number == signal.SIGKILL else 75), (folder / "job.out").read_text()
    end = time.monotonic() + 30
    while (left := processes_in(folder)) and time.monotonic() < end:
        time.sleep(0.05)
    assert left == []
    assert job.run(folder) == 0, (folder / "job.out").read_text()
    assert "going on after epoch" in (folder / "job.out").read_text()
    assert job.results(folder) == expected


def processes_in(folder):
    """Return the processes whose working folder this is."""
    found = []
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            found += [entry.name] if (entry / "cwd").resolve() == folder.resolve() else []
        except OSError:
            continue
    return found
