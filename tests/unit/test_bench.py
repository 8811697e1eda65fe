"""The bench's tables: partial runs keep the other rows, and a peer that is not there is reported."""

import csv
import subprocess
import sys
from pathlib import Path

import pytest


@pytest.fixture
def report(root: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.syspath_prepend(str(root / "benchmarks"))
    import report

    return report


def line(row: str, side: str, seconds: float | None, answer: str = "") -> dict:
    times = {"seconds": seconds, "cpu_seconds": seconds, "peak_mb": 1, "runs": 5} if seconds else {}
    about = dict.fromkeys(["work", "reach", "date", "machine", "python", "threads", "load", "others"], "x")
    return about | {"row": row, "side": side, "answer": answer, **times}


def test_a_partial_run_replaces_only_its_rows(report, tmp_path: Path) -> None:
    order = ["first", "second"]
    report.write_report(tmp_path, [line("second", "datassay", 2.0), line("second", "peer", 3.0)], order)
    report.write_report(tmp_path, [line("first", "datassay", 1.0)], order)
    report.write_report(tmp_path, [line("second", "datassay", 4.0), line("second", "peer", 2.0)], order)
    with (tmp_path / "results.csv").open() as file:
        found = [(r["row"], r["side"], r["seconds"]) for r in csv.DictReader(file)]
    assert found == [("first", "datassay", "1.0"), ("second", "datassay", "4.0"), ("second", "peer", "2.0")]
    assert "| second | peer | 2.00 | 2.00 | 0.5 |" in (tmp_path / "results.md").read_text()


def test_a_missing_peer_keeps_its_line(report) -> None:
    text = report.table([line("first", "datassay", 1.0), line("first", "peer", None, "peer not installed: no x")])
    assert text.splitlines()[-1] == "| first | peer |  |  |  |  |  | peer not installed: no x |"


def test_a_row_runs_beside_a_peer_that_is_not_installed(root: Path, tmp_path: Path) -> None:
    command = [
        sys.executable,
        str(root / "benchmarks" / "run.py"),
        "--quick",
        "--rows",
        "knn_shapley",
        "--threads",
        "1",
    ]
    command += ["--peers-python", str(tmp_path / "none"), "--output", str(tmp_path)]
    subprocess.run(command, check=True, capture_output=True, timeout=300)
    ours, pydvl, _ = (tmp_path / "results.csv").read_text().splitlines()[1:]
    assert float(next(csv.reader([ours]))[3]) > 0
    assert "pyDVL" in pydvl and "peer not installed" in pydvl
