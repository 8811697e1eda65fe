"""What happens to the snakemake process itself: killed while its jobs run on, or started twice in one folder."""

import os
import signal
import subprocess
import sys
import time

import pytest

from tests.workflow.conftest import ROOT, Project

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]
LOGITS = "results/digits/training/cnn/seed0/logits.npy"


def configured(folder):
    project = Project(folder)
    project.configure("slurm", **{"epochs: 150": "epochs: 40", "gpu: 1, ": ""})
    return project


def started(project):
    """Start snakemake in a project, wait until the training has saved an epoch; return the process."""
    command = [sys.executable, "-m", "snakemake", "--snakefile", str(ROOT / "Snakefile"), "--cores", "1", LOGITS]
    command += ["--workflow-profile", str(ROOT / "profiles" / "default")]
    with (project.folder / "screen.txt").open("w") as screen:
        process = subprocess.Popen(command, cwd=project.folder, stdout=screen, stderr=screen)
    end = time.monotonic() + 300
    while not list(project.folder.rglob(".checkpoints/*/state*")):
        assert process.poll() is None and time.monotonic() < end, (project.folder / "screen.txt").read_text()
        time.sleep(0.02)
    return process


@pytest.fixture(scope="module")
def expected(tmp_path_factory):
    """What the training leaves when nothing disturbs it."""
    project = configured(tmp_path_factory.mktemp("undisturbed"))
    done = project.snakemake(LOGITS)
    assert done.returncode == 0, done.stdout
    return project.files()


def test_after_a_kill_of_snakemake_the_run_goes_on_beside_the_job_that_is_left(expected, tmp_path):
    """The orphaned job may write on: both write the same bytes, each file at once."""
    project = configured(tmp_path)
    process = started(project)
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    assert project.snakemake("--unlock").returncode == 0
    done = project.snakemake(LOGITS, "--retries", "2")
    assert done.returncode == 0, done.stdout
    assert project.files() == expected


def test_a_second_snakemake_in_the_same_folder_is_refused_and_the_first_one_finishes(expected, tmp_path):
    project = configured(tmp_path)
    process = started(project)
    second = project.snakemake(LOGITS)
    assert second.returncode != 0 and "lock" in second.stdout.lower()
    assert process.wait(300) == 0, (tmp_path / "screen.txt").read_text()
    assert project.files() == expected
