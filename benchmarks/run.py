"""Compare datassay with its peers: python benchmarks/run.py [--rows a,b] [--quick] [--peers-python PATH].

Every side of a row is a fresh process that holds the same arrays. A first call warms up, gives the answer that is
checked against ours and the peak of memory; then the sides take turns, A B A B, and the median of five is reported. A
side slower than 30 s has one turn; one slower than 90 s and than 5 times the fastest has none, its first call counts.
Threads are the same for all.
"""

import argparse
import json
import os
import platform
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
import psutil

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent / "workflow_scripts"))

from rows import AnswersDiffer, Arrays, Row, rows  # noqa: E402

from report import table, write_report  # noqa: E402

THREAD_VARIABLES = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMBA_NUM_THREADS")
REPEATS, SLOW, TOO_SLOW = 5, 30.0, 90.0


class NotInstalled(Exception):
    """The side's package is not in its environment."""


@dataclass
class Worker:
    """One running side and its measurements."""

    process: subprocess.Popen[str]
    log: Path
    versions: str = ""
    baseline: int = 0
    peak: int = 0
    first: float = 0.0
    first_cpu: float = 0.0
    wall: list[float] = field(default_factory=list)
    cpu: list[float] = field(default_factory=list)

    def ask(self, line: str = "") -> dict[str, Any]:
        """Send one line and return the answer."""
        assert self.process.stdin is not None and self.process.stdout is not None
        if line:
            self.process.stdin.write(line + "\n")
            self.process.stdin.flush()
        reply = self.process.stdout.readline()
        if not reply:
            raise RuntimeError("it stopped: " + (self.log.read_text().strip().splitlines() or ["no message"])[-1])
        return json.loads(reply)

    def warm_up(self) -> None:
        """Run once, keeping the largest resident memory of the process and its children."""
        done = threading.Event()
        watcher = threading.Thread(target=self._sample, args=(done,))
        watcher.start()
        try:
            reply = self.ask("go")
        finally:
            done.set()
            watcher.join()
        self.first, self.first_cpu = reply["wall"], reply["cpu"]

    def turn(self) -> None:
        """Run once and keep the times."""
        reply = self.ask("go")
        self.wall.append(reply["wall"])
        self.cpu.append(reply["cpu"])

    def stop(self) -> None:
        """End the process and those it started."""
        children = psutil.Process(self.process.pid).children(recursive=True) if self.process.poll() is None else []
        for process in [*children, self.process]:
            process.kill()
        self.process.wait()

    def _sample(self, done: threading.Event) -> None:
        process, started = psutil.Process(self.process.pid), time.monotonic()
        while not done.wait(0.01 if time.monotonic() - started < 2 else 0.2):
            try:
                family = [process, *process.children(recursive=True)]
                self.peak = max(self.peak, sum(member.memory_info().rss for member in family))
            except psutil.Error:
                continue


def start(side: str, python: str, folder: Path, threads: int) -> Worker:
    """Start the process of one side and wait until it holds its arrays."""
    if not shutil.which(python):
        raise NotInstalled(f"no {python}")
    environment = os.environ | dict.fromkeys(THREAD_VARIABLES, str(threads))
    environment["PYTHONPATH"] = str(HERE.parent / "workflow_scripts")
    log = folder / f"{side}.log"
    process = subprocess.Popen(
        [python, str(HERE / "worker.py"), side, str(folder)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=log.open("w"),
        text=True,
        env=environment,
    )
    worker = Worker(process, log)
    hello = worker.ask()
    if "missing" in hello:
        raise NotInstalled(f"no package {hello['missing']}")
    worker.versions, worker.baseline = hello["versions"], hello["memory"]
    return worker


def warmed_up(
    row: Row, side: str, python: str, folder: Path, threads: int, arrays: Arrays
) -> tuple[Worker | None, str]:
    """Return the side, ready to be timed, and how its answer compares; None and the reason where it is not."""
    worker = None
    try:
        worker = start(side, python, folder, threads)
        worker.warm_up()
        worker.ask("save")
        ours = next(iter(row.sides))
        if side == ours and len(row.sides) > 1:
            return worker, ""
        answers = [np.load(folder / f"{name}.npy") for name in (ours, side)]
        return worker, row.check(*answers, arrays, json.loads((folder / "options.json").read_text()))
    except NotInstalled as reason:
        return None, f"peer not installed: {reason}"
    except (AnswersDiffer, RuntimeError, OSError) as reason:
        note = f"not timed: {type(reason).__name__}: {reason}"
    except BaseException:
        if worker is not None:
            worker.stop()
        raise
    if worker is not None:
        worker.stop()
    return None, note


def measure(row: Row, arguments: argparse.Namespace, folder: Path) -> list[dict[str, Any]]:
    """Return one record per side of a row."""
    options = row.write(folder / "data", arguments.quick)
    (folder / "options.json").write_text(json.dumps(options))
    arrays = {path.stem: np.load(path, mmap_mode="r") for path in (folder / "data").glob("*.npy")}
    workers: dict[str, Worker] = {}
    notes: dict[str, str] = {}
    load = os.getloadavg()[0]
    try:
        for side, label in row.sides.items():
            python = arguments.peers_python if side in row.peers_environment else sys.executable
            worker, notes[side] = warmed_up(row, side, python, folder, arguments.threads, arrays)
            if worker is not None:
                workers[side] = worker
            took = [f"first call {worker.first:.2f} s"] if worker else []
            print(f"  {label}: {', '.join([*took, notes[side]]).rstrip(', ')}", flush=True)
        others = take_turns(list(workers.values()))
    finally:
        for worker in workers.values():
            worker.stop()
    about = surroundings(arguments.threads) | {"load": round(load, 1), "others": round(others, 2)}
    return [about | record(row, side, workers.get(side), notes[side]) for side in row.sides]


def take_turns(workers: list[Worker]) -> float:
    """Time the sides in turn; return how many cores other processes kept busy meanwhile."""
    clock, busy = time.perf_counter(), busy_seconds()
    hopeless = max(TOO_SLOW, 5 * min((worker.first for worker in workers), default=0.0))
    for turn in range(REPEATS):
        for worker in workers:
            if worker.first <= SLOW or (turn == 0 and worker.first <= hopeless):
                worker.turn()
    own = sum(sum(worker.cpu) for worker in workers)
    return max(0.0, busy_seconds() - busy - own) / (time.perf_counter() - clock)


def busy_seconds() -> float:
    """Return the seconds that all cores together have been busy since the machine started."""
    times = psutil.cpu_times()
    return float(times.user + times.nice + times.system)


def record(row: Row, side: str, worker: Worker | None, note: str) -> dict[str, Any]:
    """Return one line of results.csv."""
    line: dict[str, Any] = {"row": row.name, "work": row.work, "reach": row.reach, "side": row.sides[side]}
    if worker is None:
        return line | {"answer": note}
    return line | {
        "seconds": round(median(worker.wall or [worker.first]), 4),
        "cpu_seconds": round(median(worker.cpu or [worker.first_cpu]), 4),
        "first_seconds": round(worker.first, 3),
        "peak_mb": round((worker.peak - worker.baseline) / 1e6),
        "runs": len(worker.wall) or "first call",
        "answer": note,
        "versions": worker.versions,
    }


def surroundings(threads: int) -> dict[str, Any]:
    """Return what a time depends on beside the code."""
    processor = platform.processor() or platform.machine()
    if Path("/proc/cpuinfo").exists():
        names = [line for line in Path("/proc/cpuinfo").read_text().splitlines() if line.startswith("model name")]
        processor = names[0].split(":")[1].strip() if names else processor
    return {
        "date": time.strftime("%Y-%m-%d"),
        "machine": f"{processor}, {os.cpu_count()} cores, {psutil.virtual_memory().total / 1e9:.0f} GB",
        "python": platform.python_version(),
        "threads": threads,
    }


def main() -> None:
    """Measure the rows asked for and write results.csv and results.md."""
    known = {row.name: row for row in rows()}
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", default=",".join(known), help="names with commas, default all: %(default)s")
    parser.add_argument("--quick", action="store_true", help="small arrays, to see that everything works")
    parser.add_argument(
        "--peers-python", default=".venv-bench-peers/bin/python", help="Python of the second environment"
    )
    parser.add_argument("--threads", type=int, default=os.cpu_count(), help="threads of every side")
    parser.add_argument("--output", type=Path, help="folder of the results, default benchmarks/ (with --quick: none)")
    arguments = parser.parse_args()
    output = arguments.output or (None if arguments.quick else HERE)
    for name in arguments.rows.split(","):
        if name not in known:
            parser.error(f"no row '{name}', allowed: {', '.join(known)}")
        print(f"{name}: {known[name].work}{' (small)' if arguments.quick else ''}", flush=True)
        with tempfile.TemporaryDirectory() as folder:
            records = measure(known[name], arguments, Path(folder))
        print(table(records), flush=True)
        if output:
            write_report(output, records, list(known))


if __name__ == "__main__":
    main()
