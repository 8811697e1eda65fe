"""Time and memory of the array steps as a data set grows, each in a process of its own.

    python benchmarks/scale.py --rows 10000 100000 1000000 --folder /scratch

Vectors are random, 384 wide, memory-mapped as in the workflow; labels of 10 classes, 10 epochs of logits.
"""

import argparse
import json
import os
import resource
import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
WIDTH, CLASSES, EPOCHS, POINTS, PICKS = 384, 10, 10, 1000, 1000
QUADRATIC = ("exact neighbours",)  # steps whose time grows with the square: up to 100,000 rows only
INDEX = ("HNSW index",)  # up to 100,000 rows only


def write_data(folder: Path, rows: int) -> None:
    """Save vectors, logits and labels of so many rows, block by block."""
    import numpy as np

    rng = np.random.default_rng(0)
    for name, shape in (("vectors", (rows, WIDTH)), ("logits", (EPOCHS, rows, CLASSES)), ("infoverse", (rows, 25))):
        if (folder / f"{name}{rows}.npy").is_file():
            continue
        out = np.lib.format.open_memmap(folder / f"{name}{rows}.npy", mode="w+", dtype=np.float32, shape=shape)
        flat = out.reshape(-1, shape[-1])
        for start in range(0, len(flat), 100_000):
            block = flat[start : start + 100_000]
            block[:] = rng.standard_normal(block.shape, dtype=np.float32)
            if name == "vectors":
                block /= np.linalg.norm(block, axis=1, keepdims=True)
        out.flush()


def run_step(name: str, folder: Path, rows: int) -> None:
    """Do one step on data that was written, and nothing else."""
    import numpy as np

    def load(array: str) -> np.ndarray:
        return np.load(folder / f"{array}{rows}.npy", mmap_mode="r", allow_pickle=False)

    labels = np.arange(rows) % CLASSES
    rng = np.random.default_rng(1)
    if name == "KNN-Shapley, 1,000 validation rows":
        from datassay.valuation import knn_shapley

        points = rng.standard_normal((POINTS, WIDTH)).astype(np.float32)
        knn_shapley(load("vectors"), labels, points, np.arange(POINTS) % CLASSES)
    elif name == "training dynamics, 10 epochs":
        from datassay.measures import training_dynamics

        training_dynamics(load("logits")[:, np.arange(rows)], labels)
    elif name == "density of features":
        from datassay.measures import ppca_log_likelihood

        ppca_log_likelihood(load("vectors")[np.arange(rows)])
    elif name == "k-center, 1,000 picks":
        from datassay.selection import k_center

        k_center(load("vectors")[np.arange(rows)], PICKS)
    elif name == "infoVerse DPP, 1,000 picks":
        from datassay.selection.dpp import dpp_ranking

        dpp_ranking(np.asarray(load("infoverse")), np.ones(rows), PICKS, rng=rng)
    elif name == "tables: join, parquet and csv":
        import pandas as pd

        from datassay.storage import save_csv, save_table

        table = pd.DataFrame(np.asarray(load("infoverse")), columns=[f"m{i}" for i in range(25)])
        table.insert(0, "example_id", np.arange(rows).astype(str))
        save_table(folder / "assay.parquet", table)
        save_csv(folder / "assay.csv", table)
    elif name == "exact neighbours":
        from datassay.neighbors import neighbors_within

        neighbors_within(load("vectors")[np.arange(rows)], 90)
    elif name == "HNSW index":
        from datassay.neighbors import HnswIndex

        HnswIndex.build(load("vectors"))


STEPS = (
    "KNN-Shapley, 1,000 validation rows",
    "training dynamics, 10 epochs",
    "density of features",
    "k-center, 1,000 picks",
    "infoVerse DPP, 1,000 picks",
    "tables: join, parquet and csv",
    *QUADRATIC,
    *INDEX,
)


def measured(name: str, folder: Path, rows: int, memory: float) -> dict[str, float] | None:
    """Run a step in a process of its own that may use so many GB; return seconds and MB, None where it failed."""
    command = [sys.executable, __file__, "--step", name, "--rows", str(rows), "--folder", str(folder)]
    command += ["--memory", str(memory)]
    environment = os.environ | {"PYTHONPATH": str(ROOT / "workflow_scripts"), "OMP_NUM_THREADS": "1"}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    if done.returncode:
        print(done.stderr[-500:], file=sys.stderr)
        return None
    return json.loads(done.stdout.splitlines()[-1])


def main() -> None:
    """Measure every step at every size and print a table."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--rows", type=int, nargs="+", default=[10_000, 100_000, 1_000_000])
    parser.add_argument("--folder", type=Path, required=True, help="scratch folder; 2 GB per million rows")
    parser.add_argument("--memory", type=float, default=8, help="GB of data segment a step may use")
    parser.add_argument("--step", help="do one step only, in this process")
    options = parser.parse_args()
    if options.step:
        limit = int(options.memory * 1e9)
        resource.setrlimit(resource.RLIMIT_DATA, (limit, limit))
        started, cpu = time.monotonic(), time.process_time()
        run_step(options.step, options.folder, options.rows[0])
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1000
        print(json.dumps({"s": time.monotonic() - started, "cpu": time.process_time() - cpu, "MB": peak}))
        return
    options.folder.mkdir(parents=True, exist_ok=True)
    print("| step | " + " | ".join(f"{rows:,} rows" for rows in options.rows) + " |")
    print("| --- |" + " ---: |" * len(options.rows), flush=True)
    for name in STEPS:
        cells = []
        for rows in options.rows:
            if name in QUADRATIC + INDEX and rows > 100_000:
                cells.append("")
                continue
            write_data(options.folder, rows)
            found = measured(name, options.folder, rows, options.memory)
            cells.append(f"{found['cpu']:.1f} s CPU, {found['MB']:,.0f} MB" if found else "failed")
        print(f"| {name} | " + " | ".join(cells) + " |", flush=True)


if __name__ == "__main__":
    main()
