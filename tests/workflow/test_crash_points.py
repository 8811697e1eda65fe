"""Every job that keeps progress, ended hard at its first, second, third ... save, until it comes through.

The way SQLite is tested: no state of the disk between two writes may lead anywhere but to the bytes of an undisturbed run.
"""

import os
import shutil
import signal
import time
from dataclasses import replace

import pytest

from tests.jobs import load_everything, prepare, wait

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]
NAMES = ("train cnn", "train tuned", "embed texts", "retrain", "values", "likelihood", "index")
POINTS = ("before_rename", "write", "before_record", "record")


@pytest.fixture(scope="module")
def jobs(tmp_path_factory):
    """A folder with the inputs of all jobs, and name -> (job, its results when nothing disturbs it)."""
    load_everything()
    folder = tmp_path_factory.mktemp("jobs")
    found = {}
    for job in prepare(folder):
        assert job.run(folder) == 0, (folder / "job.out").read_text()
        found[job.name] = (job, job.results(folder))
        job.discard(folder)
    assert tuple(found) == NAMES
    return folder, found


@pytest.mark.parametrize("name", NAMES)
def test_kills_in_a_row_change_nothing_and_work_goes_on(name, jobs, tmp_path):
    """The n-th start ends at its n-th point: five and more kills in a row, each a step further."""
    template, found = jobs
    job, expected = found[name]
    folder = tmp_path / "killed"
    shutil.copytree(template, folder)
    for number in range(1, 200):
        code = job.run(folder, DATASSAY_CRASH_AT=f"any:{number}")
        assert code in (0, -signal.SIGKILL), (folder / "job.out").read_text()
        made = job.results(folder)
        assert {file: content for file, content in made.items() if content != expected[file]} == {}, "half a file"
        if code == 0:
            break
        if number % 2:
            job.discard(folder)
    assert made == expected
    assert number >= 3, "it was killed on the way"
    assert not list(folder.rglob(".checkpoints")), "progress is removed when the work is done"


@pytest.fixture(scope="module")
def short(jobs):
    """A training of three epochs, its results when nothing disturbs it."""
    folder, found = jobs
    job, _ = found["train cnn"]
    job = replace(job, params={**job.params, "settings": {**job.params["settings"], "epochs": 3}})
    assert job.run(folder) == 0, (folder / "job.out").read_text()
    results = job.results(folder)
    job.discard(folder)
    return job, results


@pytest.mark.parametrize("point", POINTS)
def test_a_kill_before_and_after_every_write_of_a_training(point, jobs, short, tmp_path):
    """One kill each, from a fresh start, at every pass of a point."""
    template, _ = jobs
    job, expected = short
    number, code = 0, -signal.SIGKILL
    while code:
        number += 1
        folder = tmp_path / str(number)
        shutil.copytree(template, folder)
        code = job.run(folder, DATASSAY_CRASH_AT=f"{point}:{number}")
        if code:
            assert code == -signal.SIGKILL
            assert job.run(folder) == 0, (folder / "job.out").read_text()
        assert job.results(folder) == expected
        shutil.rmtree(folder)
    assert number > 6


@pytest.mark.parametrize("how", ["flip", "half", "empty", "all but one byte"])
def test_damaged_progress_is_dropped_and_computed_again(how, jobs, tmp_path):
    template, found = jobs
    job, expected = found["train cnn"]
    shutil.copytree(template, tmp_path / "a")
    assert job.run(tmp_path / "a", DATASSAY_CRASH_AT="epoch:4") == -signal.SIGKILL
    records = sorted(file for file in tmp_path.rglob(".checkpoints/*/*") if file.is_file())
    assert len(records) > 4
    for record in records[::2]:
        content = bytearray(record.read_bytes())
        if how == "flip":
            content[len(content) // 2] ^= 1
        record.write_bytes(
            {"flip": content, "half": content[: len(content) // 2], "empty": b"", "all but one byte": content[:-1]}[how]
        )
    assert job.run(tmp_path / "a") == 0
    assert "is damaged, it is dropped" in (tmp_path / "a" / "job.out").read_text()
    assert job.results(tmp_path / "a") == expected


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGUSR1])
def test_a_signal_ends_a_training_after_its_epoch_and_is_no_failure(number, jobs, tmp_path):
    template, found = jobs
    job, expected = found["train cnn"]
    shutil.copytree(template, tmp_path / "a")
    process = job.start(tmp_path / "a")
    end = time.monotonic() + 60
    while not list(tmp_path.rglob(".checkpoints/*/state*")) and time.monotonic() < end:
        time.sleep(0.005)
    os.kill(process.pid, number)
    assert wait(process) == 75
    text = (tmp_path / "a" / "job.out").read_text()
    assert f"stopped by {number.name} after a saved epoch, run again to go on" in text and "Traceback" not in text
    assert job.results(tmp_path / "a") == {}
    assert job.run(tmp_path / "a") == 0
    assert "going on after epoch" in (tmp_path / "a" / "job.out").read_text()
    assert job.results(tmp_path / "a") == expected
