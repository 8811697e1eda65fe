"""Kills, bad configs and bad data: nothing is lost, nothing half-written, one clear line."""

import shutil

import pytest

from tests.workflow.conftest import Project, docstrings_csv

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]
LOGITS = "results/sentences/training/tuned/seed0/logits.npy"


@pytest.mark.parametrize("point", ["epoch:1", "epoch:2", "write:2"])
def test_a_killed_training_goes_on_and_ends_with_the_same_bytes(copy, finished, point):
    folder = copy.folder / "results/sentences/training/tuned/seed0"
    shutil.rmtree(folder)
    killed = copy.snakemake(LOGITS, DATASSAY_CRASH_AT=point)
    assert killed.returncode != 0
    assert not (copy.folder / LOGITS).exists()
    assert list(folder.glob(".checkpoints/*/*")), "progress must outlive the kill"
    done = copy.snakemake(LOGITS)
    assert done.returncode == 0, done.stdout
    if point.startswith("epoch"):
        assert "epoch 1/2: loss" not in done.stdout, "the first epoch was done before the kill"
    fresh = {name: content for name, content in copy.files().items() if "tuned/seed0" in name and "metrics" not in name}
    expected = {name: content for name, content in finished.files().items() if name in fresh}
    assert fresh == expected and len(fresh) >= 4
    assert not (folder / ".checkpoints").exists()


def test_the_tables_do_not_depend_on_the_number_of_jobs_and_the_environment(finished, tmp_path):
    """One core, a home that cannot be written, ASCII as the encoding of the system, another time zone."""
    project = Project(tmp_path)
    shutil.copy(finished.folder / "sentences.csv", tmp_path)
    project.configure("small")
    target = "results/digits/assay.parquet"
    home = {"HOME": "/proc/1", "XDG_CACHE_HOME": str(tmp_path / "cache"), "TZ": "Asia/Kolkata"}
    ascii_only = {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}
    done = project.snakemake("--cores", "1", target, **home, **ascii_only)
    assert done.returncode == 0, done.stdout
    assert (tmp_path / target).read_bytes() == (finished.folder / target).read_bytes()


def test_too_little_memory_ends_a_job_and_leaves_nothing(copy):
    """An address space of 1 GB, in which the libraries cannot even be loaded."""
    folder = copy.folder / "results/digits/training/cnn/seed0"
    before = (folder / "logits.npy").read_bytes()
    shutil.rmtree(folder)
    done = copy.snakemake("results/digits/training/cnn/seed0/logits.npy", under=("prlimit", f"--as={1 << 30}"))
    assert done.returncode != 0 and "train" in done.stdout
    assert not [file for file in folder.rglob("*") if file.is_file()]
    done = copy.snakemake("results/digits/training/cnn/seed0/logits.npy")
    assert done.returncode == 0, done.stdout
    assert (folder / "logits.npy").read_bytes() == before


def test_a_bad_config_is_one_line_without_a_traceback(finished):
    finished.configure("small", **{"seeds: [0, 1]": "seedz: [0, 1]"})
    try:
        done = finished.snakemake("-n")
    finally:
        finished.configure("small")
    assert done.returncode == 1
    assert "error: config.yaml: seedz: unknown key, did you mean 'seeds'?" in done.stdout
    assert "Traceback" not in done.stdout


def test_bad_data_is_one_line_with_file_and_row_and_leaves_nothing(tmp_path):
    project = Project(tmp_path)
    docstrings_csv(tmp_path / "sentences.csv")
    lines = (tmp_path / "sentences.csv").read_text().splitlines()
    name, *_ = lines[4].split(",")
    lines[4] = f"{name},some text without a label,"
    (tmp_path / "sentences.csv").write_text("\n".join(lines) + "\n")
    project.configure("small")
    done = project.snakemake("results/sentences/examples.parquet")
    assert done.returncode != 0
    faults = [line for line in done.stdout.splitlines() if "error: " in line and "sentences.csv" in line]
    assert faults and "subject" in faults[0] and "row" in faults[0]
    assert "Traceback" not in done.stdout
    assert not (tmp_path / "results/sentences").exists() or not list((tmp_path / "results/sentences").iterdir())


def test_a_damaged_result_is_named(copy):
    path = copy.folder / "results/digits/training/cnn/seed0/logits.npy"
    path.write_bytes(path.read_bytes()[:-100])
    done = copy.snakemake("results/digits/meta_information/cnn/training_dynamics.parquet", "--forcerun", "measure")
    assert done.returncode != 0
    assert "logits.npy" in done.stdout and "delete it and run again" in done.stdout
