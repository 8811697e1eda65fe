"""What a planned run will cost, by what earlier jobs took: `snakemake -n --quiet host 2>&1 | python -m datassay.costs`.

Options of snakemake given here too say where the results lie: `--directory`; all others are passed over.
Every job leaves its time and memory under results/benchmarks. A planned job is judged by its own earlier run, else by
jobs of the same rule: in proportion to the rows of the data set, or on a line through several sizes. Where nothing of a
rule was ever measured, it says so.
"""

import argparse
import re
import statistics
import sys
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from datassay.artefacts import ARTEFACTS

BENCHMARKS = "results/benchmarks"
_JOB = re.compile(r"^(?:local)?(?:rule|checkpoint) (\w+):\n((?:    .*\n?)+)", re.M)


@dataclass(frozen=True)
class Measured:
    """One earlier job: seconds, peak memory (MB), and rows of its data set (None: not known)."""

    seconds: float
    memory: float
    rows: int | None


@dataclass
class Job:
    """One planned job."""

    rule: str
    benchmark: str
    outputs: list[str]
    dataset: str | None


@dataclass
class Estimate:
    """Sums over the planned jobs of a rule; memory (MB) of the largest. known: jobs that there is a figure for."""

    jobs: int = 0
    known: int = 0
    seconds: float = 0.0
    memory: float = 0.0
    disk: float = 0.0
    same: int = 0  # judged by their own earlier run


def planned(text: str) -> list[Job]:
    """Return the jobs of a dry run's output; target rules, which have no benchmark, left out."""
    jobs = []
    for rule, body in _JOB.findall(text):
        lines = dict(re.findall(r"^    (\w+): (.*)$", body, re.M))
        if "benchmark" in lines:
            dataset = re.search(r"\bdataset=([^,\s]+)", lines.get("wildcards", ""))
            outputs = lines.get("output", "").split(", ")
            jobs.append(Job(rule, lines["benchmark"], outputs, dataset[1] if dataset else None))
    return jobs


def history(folder: Path) -> dict[str, dict[str, Measured]]:
    """Return rule -> benchmark file -> what it says, of all files below results/benchmarks of a folder."""
    found: dict[str, dict[str, Measured]] = {}
    rows = rows_of_data_sets(folder)
    for file in sorted((folder / BENCHMARKS).rglob("*.tsv")):
        lines = [line.split("\t") for line in file.read_text(encoding="utf-8").splitlines()]
        if len(lines) < 2:
            continue
        cells = dict(zip(lines[0], lines[-1], strict=False))
        rule, *parts = file.relative_to(folder / BENCHMARKS).with_suffix("").parts
        measured = Measured(
            _number(cells.get("s")), _number(cells.get("max_rss")), rows.get(parts[0]) if parts else None
        )
        found.setdefault(rule, {})[file.relative_to(folder).as_posix()] = measured
    return found


def rows_of_data_sets(folder: Path) -> dict[str, int]:
    """Return data set -> rows of its examples.parquet, of those that were prepared."""
    import pyarrow.parquet

    files = sorted(folder.glob("results/*/examples.parquet"))
    return {file.parent.name: pyarrow.parquet.read_metadata(file).num_rows for file in files}


def estimate(jobs: Iterable[Job], folder: Path) -> dict[str, Estimate]:
    """Return rule -> what its planned jobs will take, by what lies in a folder."""
    past, rows = history(folder), rows_of_data_sets(folder)
    found: dict[str, Estimate] = {}
    for job in jobs:
        total = found.setdefault(job.rule, Estimate())
        total.jobs += 1
        total.disk += sum(_size(output, folder, rows, job.dataset) for output in job.outputs)
        known = past.get(job.rule, {})
        own = known.get(job.benchmark)
        if not known:
            continue
        measured = [own] if own else list(known.values())
        total.known, total.same = total.known + 1, total.same + bool(own)
        total.seconds += _at([(m.rows, m.seconds) for m in measured], rows.get(job.dataset or ""), through_zero=True)
        memory = _at([(m.rows, m.memory) for m in measured], rows.get(job.dataset or ""), through_zero=False)
        total.memory = max(total.memory, memory)
    return found


def _at(points: Sequence[tuple[int | None, float]], rows: int | None, *, through_zero: bool) -> float:
    """Return what to expect at so many rows: on a line through several sizes, in proportion to one, or the median."""
    typical = statistics.median(value for _, value in points)
    sized = [(n, value) for n, value in points if n]
    if not rows or not sized:
        return typical
    sizes, values = np.array(sized, dtype=float).T
    if len(set(sizes)) > 1:
        slope, base = np.polyfit(sizes, values, 1)
        if slope >= 0:
            return float(max(base + slope * rows, 0.0))
    return float(np.median(values / sizes) * rows) if through_zero else max(typical, float(values.max()))


def _size(output: str, folder: Path, rows: dict[str, int], dataset: str | None) -> float:
    """Return the bytes a file will have: its present ones, else those of its like, in proportion to the rows."""
    if (folder / output).is_file():
        return float((folder / output).stat().st_size)
    for artefact in ARTEFACTS.values():
        pattern = "[^/]+".join(map(re.escape, re.split(r"\{\w+\}", artefact.path)))
        if re.fullmatch(pattern, output):
            alike = [file for file in folder.glob(re.sub(r"\{\w+\}", "*", artefact.path)) if file.is_file()]
            sized = [(rows.get(file.relative_to(folder).parts[1]), float(file.stat().st_size)) for file in alike]
            return _at(sized, rows.get(dataset or ""), through_zero=True) if sized else 0.0
    return 0.0


def table(found: dict[str, Estimate]) -> str:
    """Return the estimates as text, one rule a line, and what there is no figure for."""
    lines = [f"{'rule':<28} {'jobs':>5} {'time':>9} {'memory':>9} {'disk':>9}  by"]
    for rule, total in found.items():
        by = "no figure" if not total.known else "the same jobs" if total.same == total.jobs else "similar jobs"
        shown = (_time(total.seconds), f"{total.memory:,.0f} MB") if total.known else ("?", "?")
        lines.append(f"{rule:<28} {total.jobs:>5} {shown[0]:>9} {shown[1]:>9} {_bytes(total.disk):>9}  {by}")
    totals = list(found.values())
    whole = _whole(totals)
    lines.append(f"{'all':<28} {sum(t.jobs for t in totals):>5} {whole[0]:>9} {whole[1]:>9} {whole[2]:>9}")
    lines.append("Time is the sum over all jobs, memory that of the largest one.")
    if missing := [rule for rule, total in found.items() if total.known < total.jobs]:
        lines.append(f"No figure, and not in the sums: {', '.join(missing)}.")
    return "\n".join(lines)


def _whole(totals: Sequence[Estimate]) -> tuple[str, str, str]:
    """Return time, memory and disk of all rules as text."""
    seconds, memory, disk = sum(t.seconds for t in totals), max(t.memory for t in totals), sum(t.disk for t in totals)
    known = any(t.known for t in totals)
    return (
        _time(seconds) if known else "unknown",
        f"{memory:,.0f} MB" if known else "unknown",
        _bytes(disk) if disk else "unknown",
    )


def _time(seconds: float) -> str:
    if seconds < 90:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"


def _bytes(size: float) -> str:
    return "?" if not size else f"{size / 1e6:,.1f} MB" if size < 1e9 else f"{size / 1e9:,.1f} GB"


def _number(text: str | None) -> float:
    try:
        return float(text or 0)
    except ValueError:
        return 0.0


def directory(arguments: Sequence[str]) -> Path:
    """Return the folder that options of snakemake name as its working directory, else the current one."""
    parser = argparse.ArgumentParser(add_help=False)
    parser.add_argument("-d", "--directory", type=Path, default=Path())
    return parser.parse_known_args(arguments)[0].directory


def main() -> int:
    """Read a dry run from standard input, print what it would cost."""
    text = sys.stdin.read()
    jobs = planned(text)
    if not jobs:
        faults = [line for line in text.splitlines() if "rror" in line]
        print("\n".join(faults) if faults else "Nothing to be done.")
        return 1 if faults else 0
    print(table(estimate(jobs, directory(sys.argv[1:]))))
    return 0


if __name__ == "__main__":
    sys.exit(main())
