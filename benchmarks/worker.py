"""One side of one row, in a process of its own: python worker.py FUNCTION FOLDER, then `go` or `save` on stdin.

Runs in every environment of the bench, so it needs only NumPy, psutil and what its side imports.
"""

import importlib.metadata
import json
import os
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import sides


def main(name: str, folder: Path) -> None:
    """Answer every line of stdin by one line of JSON; whatever a library prints goes to stderr."""
    channel = os.fdopen(os.dup(1), "w", buffering=1)
    os.dup2(2, 1)
    arrays = {path.stem: np.load(path, mmap_mode="r") for path in sorted((folder / "data").glob("*.npy"))}
    options = json.loads((folder / "options.json").read_text())
    if not options.pop("memory_mapped", False):
        arrays = {key: np.array(array) for key, array in arrays.items()}
    try:
        packages, run = getattr(sides, name)()
    except ModuleNotFoundError as error:
        print(json.dumps({"missing": error.name}), file=channel)
        return
    versions = [f"{package} {importlib.metadata.version(package)}" for package in packages]
    print(json.dumps({"versions": ", ".join(versions), "memory": psutil.Process().memory_info().rss}), file=channel)
    answer: Any = None
    for line in sys.stdin:
        if line.strip() == "save":
            np.save(folder / f"{name}.npy", answer)
            print(json.dumps({"saved": True}), file=channel)
        else:
            wall, cpu = time.perf_counter(), cpu_seconds()
            answer = run(arrays, **options)
            print(json.dumps({"wall": time.perf_counter() - wall, "cpu": cpu_seconds() - cpu}), file=channel)


def cpu_seconds() -> float:
    """Return the CPU time of this process and of those it started."""
    children = [process.cpu_times() for process in psutil.Process().children(recursive=True)]
    return time.process_time() + sum(times.user + times.system for times in children)


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]))
