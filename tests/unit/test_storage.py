import json
import os
import subprocess
import sys

import numpy as np
import pandas as pd
import pytest

from datassay import storage
from datassay.errors import DatassayError


def test_a_failed_write_leaves_the_old_file_and_no_other(tmp_path):
    target = tmp_path / "a.json"
    storage.save_json(target, {"old": 1})
    with pytest.raises(RuntimeError), storage.atomic_path(target) as temporary:
        temporary.write_text("half")
        raise RuntimeError
    assert storage.load_json(target) == {"old": 1}
    assert [p.name for p in tmp_path.iterdir()] == ["a.json"]


def test_a_kill_before_the_rename_leaves_nothing_under_the_name(tmp_path):
    code = "import numpy as np; from datassay.storage import save_array; save_array('a.npy', np.zeros(3))"
    environment = os.environ | {"DATASSAY_CRASH_AT": "before_rename:1", "PYTHONPATH": os.pathsep.join(sys.path)}
    done = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, env=environment, check=False)
    assert done.returncode == -9
    assert not (tmp_path / "a.npy").exists()


def test_a_folder_takes_the_place_of_the_old_one(tmp_path):
    for content in ("one", "two"):
        with storage.atomic_path(tmp_path / "model") as temporary:
            temporary.mkdir()
            (temporary / "weights").write_text(content)
    assert (tmp_path / "model" / "weights").read_text() == "two"


@pytest.mark.parametrize("keep", [0, 1, 60, -1])
def test_truncated_arrays_are_refused_by_name(tmp_path, keep):
    path = tmp_path / "a.npy"
    storage.save_array(path, np.arange(100.0))
    path.write_bytes(path.read_bytes()[:keep])
    with pytest.raises(DatassayError, match=r"a\.npy"):
        storage.load_array(path)


def test_arrays_are_checked_for_shape_type_and_finiteness(tmp_path):
    path = tmp_path / "a.npy"
    storage.save_array(path, np.array([[1.0, np.nan]]))
    with pytest.raises(DatassayError, match=r"a\.npy: shape \(1, 2\), expected \(any, 3\)"):
        storage.load_array(path, shape=(None, 3))
    with pytest.raises(DatassayError, match="type float64, expected float32"):
        storage.load_array(path, dtype="float32")
    with pytest.raises(DatassayError, match=r"value nan at \[0, 1\]"):
        storage.load_array(path)
    assert storage.load_array(path, finite=False).shape == (1, 2)


def test_pickled_arrays_are_refused(tmp_path):
    path = tmp_path / "a.npy"
    np.save(path, np.array([{}], dtype=object), allow_pickle=True)
    with pytest.raises(DatassayError):
        storage.load_array(path)


def test_created_arrays_appear_whole_or_not_at_all(tmp_path):
    path = tmp_path / "a.npy"
    with pytest.raises(RuntimeError), storage.created_array(path, (2,), np.float32) as array:
        array[:] = 1
        raise RuntimeError
    assert list(tmp_path.iterdir()) == []
    with storage.created_array(path, (2,), np.float32) as array:
        array[:] = [1, 2]
    assert storage.load_array(path).tolist() == [1, 2]


def test_tables_keep_their_notes_and_are_checked(tmp_path):
    path = tmp_path / "t.parquet"
    table = pd.DataFrame({"x": [1, 2]})
    table.attrs["absent"] = {"y": "why"}
    storage.save_table(path, table)
    assert storage.load_table(path, rows=2).attrs == {"absent": {"y": "why"}}
    with pytest.raises(DatassayError, match="2 rows, expected 3"):
        storage.load_table(path, rows=3)
    with pytest.raises(DatassayError, match=r"t\.parquet"):
        storage.load_table(path, ["z"])
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(DatassayError, match=r"t\.parquet"):
        storage.load_table(path)


def test_csv_gives_back_what_looks_like_a_formula(tmp_path):
    ids = ["=1+1", "'=1", "''@x", "-1", "+2.5", "-1+1", "'tis", "-", "plain", "\tx", "-1\n"]
    storage.save_csv(tmp_path / "t.csv", pd.DataFrame({"example_id": ids}))
    assert storage.read_csv(tmp_path / "t.csv")["example_id"].tolist() == ids
    raw = pd.read_csv(tmp_path / "t.csv", dtype=str)["example_id"].tolist()
    assert raw[0] == "'=1+1" and raw[3:6] == ["-1", "+2.5", "'-1+1"]


def test_csv_disarms_formulas_in_text_and_leaves_numbers(tmp_path):
    storage.save_csv(tmp_path / "t.csv", pd.DataFrame({"text": ["=1+1", "plain"], "x": [-1.5, 2.0]}))
    assert (tmp_path / "t.csv").read_text().splitlines() == ["text,x", "'=1+1,-1.5", "plain,2.0"]


def test_equal_json_is_equal_bytes(tmp_path):
    storage.save_json(tmp_path / "a", {"b": 1, "a": "é"})
    storage.save_json(tmp_path / "b", {"a": "é", "b": 1})
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()
    assert json.loads((tmp_path / "a").read_text()) == {"a": "é", "b": 1}


def test_a_folder_that_cannot_be_written_is_named(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(DatassayError, match="file"):
        storage.save_json(tmp_path / "file" / "a.json", {})
