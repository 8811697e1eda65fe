"""A cluster, and one run of the workflow on it while jobs are killed in every way a cluster knows."""

import re
import subprocess
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from tests.slurm.cluster import ACCOUNT, Cluster, missing
from tests.workflow.conftest import ROOT, Project

SETTINGS = (
    "--profile", str(ROOT / "profiles" / "slurm"), "--workflow-profile", "none",
    "--slurm-init-seconds-before-status-checks", "2", "--latency-wait", "5", "--jobs", "3",
)  # fmt: skip


@pytest.fixture(scope="session")
def cluster(tmp_path_factory):
    """A running cluster; skips where there cannot be one."""
    if reason := missing():
        pytest.skip(reason)
    with Cluster(tmp_path_factory.mktemp("slurm")) as running:
        yield running


@dataclass
class Submitted:
    """A workflow that runs on the cluster, its screen, and what was done to its jobs."""

    cluster: Cluster
    project: Project
    process: subprocess.Popen
    screen: Path
    done: dict[str, str] = field(default_factory=dict)  # fault -> job

    def running(self, rule: str) -> tuple[str, str] | None:
        """Return number and node of a running job of a rule."""
        listed = self.cluster.run("squeue", "-h", "-t", "running", "-o", "%i %N %k").stdout
        found = re.search(rf"^(\d+) (\w+) rule_{rule}_wildcards", listed, re.M)
        return (found[1], found[2]) if found else None

    def text(self) -> str:
        """Return the screen so far."""
        return self.screen.read_text()


def submit(cluster: Cluster, folder: Path, *arguments: str, resources: tuple[str, ...] = ()) -> Submitted:
    """Start snakemake with the profile for clusters in a folder that holds a config."""
    project, screen = Project(folder), folder / "screen.txt"
    command = [sys.executable, "-m", "snakemake", "--snakefile", str(ROOT / "Snakefile"), *SETTINGS, *arguments]
    command += ["--default-resources", "mem_mb=2000", "runtime=60", f"slurm_account={ACCOUNT}"]
    command += ["slurm_extra='--signal=USR1@20'", "--set-resources", "train:slurm_partition=gpu", *resources]
    with screen.open("w") as out:
        process = subprocess.Popen(command, cwd=folder, env=cluster.environment, stdout=out, stderr=out)
    return Submitted(cluster, project, process, screen)


def watch(run: Submitted, faults: dict, timeout: float) -> None:
    """Do to the jobs what `faults` (name -> (rule, function)) says, once each, until the workflow ends.

    A function returns False where it is too early.
    """
    end = time.monotonic() + timeout
    while run.process.poll() is None and time.monotonic() < end:
        for name, (rule, do) in faults.items():
            if name not in run.done and (job := run.running(rule)) and do(run, *job) is not False:
                run.done[name] = job[0]
        time.sleep(0.2)
    if run.process.poll() is None:
        run.process.kill()
        run.process.wait()
        raise AssertionError(f"not done after {timeout} s:\n{run.text()}")


def time_is_up(run: Submitted, job: str, _node: str) -> bool:
    """Send a training, when it has saved an epoch, the signal that SLURM sends before the time limit."""
    saved = list(run.project.folder.rglob(".checkpoints/*/state*"))
    return bool(saved) and run.cluster.run("scancel", "--signal=USR1", job).returncode == 0


@pytest.fixture(scope="session")
def disturbed(cluster, tmp_path_factory):
    """The whole workflow on the cluster, through a time limit, out of memory, a node failure and a scancel."""
    folder = tmp_path_factory.mktemp("disturbed")
    Project(folder).configure("slurm")
    limits = ("train:runtime=1 if attempt < 3 else 10", "retrain:mem_mb=400 if attempt == 1 else 4000")
    run = submit(cluster, folder, resources=limits)
    faults = {
        "signal": ("train", time_is_up),
        "node failure": ("build_index", lambda run, job, node: run.cluster.crash_node(node)),
        "scancel": ("find_neighbors", lambda run, job, node: run.cluster.run("scancel", job)),
    }
    try:
        watch(run, faults, 1500)
    finally:
        run.process.kill()
    return run


@pytest.fixture(scope="session")
def undisturbed(tmp_path_factory):
    """The same workflow, on this machine."""
    project = Project(tmp_path_factory.mktemp("undisturbed"))
    project.configure("slurm")
    done = project.snakemake()
    assert done.returncode == 0, done.stdout
    return project
