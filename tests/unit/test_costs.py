"""What a plan says a run will cost, against figures that can be checked by hand."""

import os
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest

from datassay.costs import Estimate, directory, estimate, history, planned, table

DRY_RUN = """Building DAG of jobs...
[Thu Nov 26 07:23:14 2026]
rule train:
    input: results/{0}/examples.parquet
    output: results/{0}/training/m/seed0/logits.npy
    benchmark: results/benchmarks/train/{0}/m/seed0.tsv
    wildcards: dataset={0}, model=m, seed=0
    resources: mem_mb=6000
[Thu Nov 26 07:23:14 2026]
localrule summarise:
    output: results/summary.txt
    benchmark: results/benchmarks/summarise.tsv
[Thu Nov 26 07:23:14 2026]
localrule all:
    input: results/summary.txt
"""


@pytest.fixture
def folder(tmp_path):
    """Data sets of 100, 200 and 1,000 rows, the first two trained."""
    for name, rows, seconds, memory in (("small", 100, 10, 500), ("middle", 200, 18, 540), ("large", 1000, None, None)):
        (tmp_path / "results" / name).mkdir(parents=True)
        pd.DataFrame({"x": range(rows)}).to_parquet(tmp_path / "results" / name / "examples.parquet")
        if seconds:
            benchmark = tmp_path / f"results/benchmarks/train/{name}/m/seed0.tsv"
            benchmark.parent.mkdir(parents=True)
            benchmark.write_text(f"s\th:m:s\tmax_rss\n{seconds}\t0:00:10\t{memory}\n")
            logits = tmp_path / f"results/{name}/training/m/seed0/logits.npy"
            logits.parent.mkdir(parents=True)
            logits.write_bytes(b"0" * rows * 40)
    return tmp_path


def test_jobs_are_read_from_a_dry_run():
    jobs = planned(DRY_RUN.format("large"))
    assert [(job.rule, job.dataset) for job in jobs] == [("train", "large"), ("summarise", None)]
    assert jobs[0].outputs == ["results/large/training/m/seed0/logits.npy"]


def test_a_job_that_ran_before_takes_what_it_took(folder):
    found = estimate(planned(DRY_RUN.format("middle")), folder)["train"]
    assert found == Estimate(jobs=1, known=1, seconds=18, memory=540, disk=8000, same=1)


def test_a_line_goes_through_several_sizes(folder):
    found = estimate(planned(DRY_RUN.format("large")), folder)["train"]
    assert found.seconds == pytest.approx(10 + 900 * 8 / 100)
    assert found.memory == pytest.approx(500 + 900 * 40 / 100)
    assert found.disk == pytest.approx(40_000)
    assert found.same == 0


def test_one_size_is_taken_in_proportion(folder):
    (folder / "results/benchmarks/train/middle/m/seed0.tsv").unlink()
    found = estimate(planned(DRY_RUN.format("large")), folder)["train"]
    assert (found.seconds, found.memory) == (pytest.approx(100), pytest.approx(500))


def test_what_was_never_measured_is_named(folder):
    text = table(estimate(planned(DRY_RUN.format("large")), folder))
    assert "No figure, and not in the sums: summarise." in text
    assert next(line for line in text.splitlines() if line.startswith("summarise")).split()[2] == "?"


def test_where_nothing_was_measured_the_sum_is_unknown(tmp_path):
    lines = table(estimate(planned(DRY_RUN.format("large")), tmp_path)).splitlines()
    assert next(line for line in lines if line.startswith("all")).split() == ["all", "2", *["unknown"] * 3]


@pytest.mark.parametrize("named", [["--directory", "{}"], ["--directory={}"], ["-d", "{}"], ["-d{}"]])
def test_figures_are_those_of_the_directory_of_the_plan(folder, tmp_path_factory, named):
    options = ["--configfile", "my.yaml", *(part.format(folder) for part in named), "--config", "x=1"]
    done = subprocess.run(
        [sys.executable, "-m", "datassay.costs", *options], input=DRY_RUN.format("middle"), capture_output=True, text=True,
        cwd=tmp_path_factory.mktemp("elsewhere"), check=True, env=os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)},
    )  # fmt: skip
    assert next(line for line in done.stdout.splitlines() if line.startswith("train")).split()[1:4] == ["1", "18", "s"]


def test_without_a_directory_figures_are_those_of_the_current_folder():
    assert directory(["data", "--configfile", "my.yaml"]) == Path()


def test_the_target_plan_hands_its_options_on():
    recipe = (Path(__file__).resolve().parents[2] / "Makefile").read_text().partition("\nplan:")[2].partition("\n\n")[0]
    assert "datassay.costs $(ARGS)" in recipe


def test_broken_benchmarks_are_no_figures(folder):
    (folder / "results/benchmarks/train/small/m/seed0.tsv").write_text("")
    (folder / "results/benchmarks/train/middle/m/seed0.tsv").write_text("s\tmax_rss\n-\tNA\n")
    assert [measured.seconds for measured in history(folder)["train"].values()] == [0.0]


@pytest.mark.parametrize(
    ("text", "code", "said"),
    [("Nothing to be done (all requested files are present and up to date).\n", 0, "Nothing to be done."),
     ("error: config.yaml: seedz: unknown key, did you mean 'seeds'?\n", 1, "did you mean 'seeds'?")],
)  # fmt: skip
def test_no_plan_is_said_in_a_line(text, code, said, tmp_path):
    done = subprocess.run(
        [sys.executable, "-m", "datassay.costs"], input=text, capture_output=True, text=True, cwd=tmp_path, check=False,
        env=os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)},
    )  # fmt: skip
    assert done.returncode == code and said in done.stdout and "Traceback" not in done.stderr
