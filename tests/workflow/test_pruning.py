"""Pruning end to end: a large grid is planned quickly, a measure of one's own is a strategy, validation stands in."""

import time

import pandas as pd
import pytest

from tests.workflow.conftest import Project

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]

MINE = '''"""A measure of mine."""
from datassay.registry import Column, measure


@measure(version=1, source="Me 2026", columns=[Column("darkness", "minus the sum of the features")])
def brightness(features):
    """How little of a network's last layer an example lights up."""
    return -features.sum(axis=1).astype(float)
'''
SIXTEEN = (
    "random, balanced_random, easy, hard, ambiguous, forgetting, el2n, aum, density, coreset, moderate, ccs, "
    "prototypes, semdedup, shapley, infoverse_dpp"
)


@pytest.fixture(scope="module")
def project(tmp_path_factory):
    project = Project(tmp_path_factory.mktemp("pruning"))
    (project.folder / "mine.py").write_text(MINE)
    project.configure("pruning")
    return project


def test_a_grid_of_16_strategies_and_9_ratios_is_a_job_per_cell_and_planned_quickly(project):
    nine = "[0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9]"
    grid = {"[random, grand]": f"[{SIXTEEN}]", "  by_column: [{name: darkest, column: darkness, keep: highest}]": ""}
    project.configure("pruning", **grid, **{"[0.5]": nine})
    started = time.monotonic()
    planned = project.planned("pruning")
    seconds = time.monotonic() - started
    assert (planned["rank_examples"], planned["retrain"], planned["summarise_pruning"]) == (17, 144 + 1, 1)
    assert planned["train"] == 2
    project.configure("pruning", **grid, **{"[0.5]": nine.replace("0.9", "0.85, 0.9")})
    more = project.planned("pruning")
    assert {name: more[name] - planned[name] for name in more if more[name] != planned[name]} == {"retrain": 16}
    print(f"planned in {seconds:.1f} s")


def test_a_measure_of_ones_own_prunes_and_validation_stands_in_for_the_test_split(project):
    project.configure("pruning")
    done = project.snakemake("pruning")
    assert done.returncode == 0, done.stdout
    place = project.folder / "results/digits/pruning/head"
    ranking = pd.read_parquet(place / "darkest/ranking.parquet")
    column = pd.read_parquet(project.folder / "results/digits/meta_information/head/brightness.parquet")
    kept = column.set_index("example_id")["darkness"].loc[ranking["example_id"]]
    assert kept.is_monotonic_decreasing and len(kept) >= 0.9 * len(column)
    table = pd.read_parquet(place / "comparison.parquet")
    lead = table[(table["metric"] == "accuracy") & (table["split"] == "validation")]
    assert sorted(zip(lead["strategy"], lead["ratio"], strict=True)) == [
        ("darkest", 0.5), ("full", 1.0), ("grand", 0.5), ("random", 0.5)
    ]  # fmt: skip
    assert lead["mean"].between(0.05, 1).all() and (lead["seeds"] == 2).all()
    assert table.loc[table["split"] == "test", "mean"].isna().all()
    for figure in ("pruning_comparison", "pruning_curves"):
        assert (project.folder / f"results/digits/report/head/{figure}.png").stat().st_size > 10_000
    assert pd.read_csv(place / "comparison.csv")["strategy"].tolist() == table["strategy"].tolist()


def test_cells_that_stand_are_not_run_again(project):
    assert project.planned("pruning") == {}
    project.configure("pruning", **{"[0.5]": "[0.5, 0.7]"})
    assert project.planned("pruning") == {"retrain": 3, "summarise_pruning": 1}
    project.configure("pruning", **{"keep: highest": "keep: lowest"})
    assert project.planned("pruning") == {"rank_examples": 1, "retrain": 1, "summarise_pruning": 1}
