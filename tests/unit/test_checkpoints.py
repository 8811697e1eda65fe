import logging
import os
import signal
import subprocess
import sys

import numpy as np
import pytest

from datassay import checkpoints
from datassay.checkpoints import Checkpoints, Interrupted, fingerprint, unit_done


@pytest.fixture
def records(tmp_path):
    return Checkpoints(tmp_path, "key")


def test_records_come_back_as_they_were(records):
    arrays = {"a": np.arange(6, dtype=np.float32).reshape(2, 3)[:, ::2], "n": np.array(3)}
    records.save("epoch1", arrays)
    found = records.load("epoch1")
    assert found.keys() == arrays.keys()
    assert all(np.array_equal(found[name], arrays[name]) for name in arrays)
    assert records.load("epoch2") is None


def test_other_fingerprints_are_never_looked_at(records, tmp_path):
    records.save("epoch1", {"a": np.zeros(1)})
    assert Checkpoints(tmp_path, "other").load("epoch1") is None


@pytest.mark.parametrize("where", [0, 40, -1])
def test_one_flipped_bit_drops_a_record_with_a_warning(records, caplog, where):
    records.save("epoch1", {"a": np.zeros(5)})
    path = records.folder / "epoch1"
    content = bytearray(path.read_bytes())
    content[where] ^= 1
    path.write_bytes(content)
    with caplog.at_level(logging.WARNING, logger="datassay"):
        assert records.load("epoch1") is None
    assert "damaged" in caplog.text
    assert records.names() == []


@pytest.mark.parametrize("size", [0, 1, 31, 50])
def test_truncated_records_are_dropped(records, size):
    records.save("epoch1", {"a": np.zeros(5)})
    path = records.folder / "epoch1"
    path.write_bytes(path.read_bytes()[:size])
    assert records.load("epoch1") is None


def test_clearing_removes_the_folder_and_an_empty_parent(records, tmp_path):
    Checkpoints(tmp_path, "second").save("a", {"a": np.zeros(1)})
    records.save("a", {"a": np.zeros(1)})
    records.clear()
    assert sorted(p.name for p in (tmp_path / ".checkpoints").iterdir()) == ["second"]
    Checkpoints(tmp_path, "second").clear()
    assert list(tmp_path.iterdir()) == []


def test_fingerprints_tell_inputs_apart(tmp_path):
    file = tmp_path / "f"
    file.write_text("one")
    first = fingerprint(np.zeros(3), {"b": 1, "a": 2}, file)
    assert first == fingerprint(np.zeros(3), {"a": 2, "b": 1}, file)
    assert first != fingerprint(np.zeros(3, np.float32), {"a": 2, "b": 1}, file)
    assert first != fingerprint(np.zeros((3, 1)), {"a": 2, "b": 1}, file)
    file.write_text("two")
    assert first != fingerprint(np.zeros(3), {"a": 2, "b": 1}, file)


def test_a_signal_stops_at_the_end_of_a_unit(monkeypatch):
    monkeypatch.setattr(checkpoints, "_stop_signal", [])
    monkeypatch.setattr(checkpoints, "_keeps_progress", [True])
    unit_done("epoch")
    checkpoints.request_stop(signal.SIGUSR1)
    with pytest.raises(Interrupted, match="SIGUSR1"):
        unit_done("epoch")


def test_a_signal_stops_a_job_without_progress_at_once(monkeypatch, tmp_path):
    monkeypatch.setattr(checkpoints, "_stop_signal", [])
    monkeypatch.setattr(checkpoints, "_keeps_progress", [])
    with pytest.raises(Interrupted, match="SIGTERM"):
        checkpoints.request_stop(signal.SIGTERM)
    Checkpoints(tmp_path, "key")
    checkpoints.request_stop(signal.SIGTERM)
    with pytest.raises(Interrupted, match="after a saved epoch"):
        unit_done("epoch")


def test_the_crash_hook_kills_at_the_named_pass(tmp_path):
    code = "from datassay.checkpoints import crash_point\nfor i in range(3):\n  crash_point('x'); print(i, flush=True)"
    environment = os.environ | {"DATASSAY_CRASH_AT": "x:2", "PYTHONPATH": os.pathsep.join(sys.path)}
    done = subprocess.run([sys.executable, "-c", code], env=environment, check=False, capture_output=True, text=True)
    assert (done.returncode, done.stdout) == (-9, "0\n")
