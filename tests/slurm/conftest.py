"""A cluster, and runs of the workflow on it while jobs are killed in every way a cluster knows."""

import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from tests.slurm.cluster import ACCOUNT, Cluster, missing
from tests.workflow.conftest import ROOT, Project

PROFILE = ROOT / "profiles" / "slurm"
SETTINGS = (
    "--workflow-profile", "none", "--slurm-init-seconds-before-status-checks", "2", "--latency-wait", "5", "--jobs", "3",
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
        """Return number and nodes of a running job of a rule; it may be named with the start of its wildcards."""
        listed = self.cluster.run("squeue", "-h", "-t", "running", "-o", "%i %N %k").stdout
        rule = rule if "_wildcards" in rule else f"{rule}_wildcards"
        found = re.search(rf"^(\d+) (\S+) rule_{rule}", listed, re.M)
        return (found[1], found[2]) if found else None

    def text(self) -> str:
        """Return the screen so far."""
        return self.screen.read_text()


@dataclass(frozen=True)
class Requeued:
    """The two runs of trainings of which SLURM put one back into the queue and forgot another."""

    last: Submitted
    first: Submitted
    waits: bool  # whether the first still waited for the forgotten job when all others were done


def submit(
    cluster: Cluster, folder: Path, *arguments: str, resources: tuple[str, ...] = (), profile: Path = PROFILE
) -> Submitted:
    """Start snakemake with the profile for clusters in a folder that holds a config."""
    project, screen = Project(folder), folder / "screen.txt"
    command = [sys.executable, "-m", "snakemake", "--snakefile", str(ROOT / "Snakefile"), *arguments]
    command += ["--profile", str(profile), *SETTINGS]
    command += ["--default-resources", "mem_mb=2000", "runtime=60", f"slurm_account={ACCOUNT}"]
    command += ["slurm_extra='--signal=USR1@20'", "--set-resources", "train:slurm_partition=gpu", *resources]
    with screen.open("w") as out:
        process = subprocess.Popen(command, cwd=folder, env=cluster.environment, stdout=out, stderr=out)
    return Submitted(cluster, project, process, screen)


def watch(run: Submitted, faults: dict, timeout: float, enough: Callable[[], bool] = lambda: False) -> None:
    """Do to the jobs what `faults` (name -> (rule, function)) says, once each, until the workflow ends or it is enough.

    A function returns False where it is too early.
    """
    end = time.monotonic() + timeout
    while run.process.poll() is None and time.monotonic() < end:
        if enough():
            return
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


def preempt(run: Submitted, job: str, node: str) -> bool:
    """Take the node from a training that has saved an epoch, for a job that matters more, then let it start again."""
    if not saved_by(run, "alone"):
        return False
    urgent = (f"--account={ACCOUNT}", "--partition=urgent", f"--nodelist={node}", "--exclusive", "--time=1")
    done = run.cluster.run("srun", *urgent, "true")
    run.cluster.restart_requeued()
    return done.returncode == 0


def lose(run: Submitted, job: str, _node: str) -> bool:
    """End a training that has saved an epoch, and let SLURM forget that it ever was."""
    if not saved_by(run, "cpus"):
        return False
    run.cluster.forget(job)
    return run.cluster.run("scancel", job).returncode == 0


def saved_by(run: Submitted, model: str) -> bool:
    """Whether a training has saved an epoch."""
    return any(run.project.folder.glob(f"results/digits/training/{model}/seed0/.checkpoints/*/state*"))


@pytest.fixture(scope="session")
def requeued(cluster, tmp_path_factory):
    """Trainings on one and two machines, one pre-empted, one forgotten by SLURM; stopped when only that one is left."""
    cluster.start_nodes()
    folder = tmp_path_factory.mktemp("requeued")
    Project(folder).configure("slurm_training")
    profile = folder / "profile" / "config.yaml"
    profile.parent.mkdir()
    forbids = "slurm-no-requeue: true"
    text = (PROFILE / "config.yaml").read_text()
    assert forbids in text
    profile.write_text(text.replace(forbids, "slurm-requeue: true"))

    place = ("train:slurm_partition='gpu' if wildcards.model != 'cpus' else 'cpu'",)
    run = submit(cluster, folder, "training", resources=place, profile=profile.parent)
    faults = {
        "pre-emption": ("train_wildcards_digits_alone", preempt),
        "forgotten": ("train_wildcards_digits_cpus", lose),
    }

    def all_but_the_forgotten() -> bool:
        return all(
            (folder / f"results/digits/training/{name}/seed0/metrics.parquet").exists() for name in ("alone", "gpus")
        )

    again = None
    try:
        watch(run, faults, 300, enough=lambda: len(run.done) == 2 and all_but_the_forgotten())
        time.sleep(20)
        waits = run.process.poll() is None
        run.process.send_signal(signal.SIGINT)
        run.process.wait(60)
        again = submit(cluster, folder, "training", resources=place, profile=profile.parent)
        watch(again, {}, 200)
    finally:
        for one in (run, again):
            if one:
                one.process.kill()
    return Requeued(again, run, waits)
