"""Active learning end to end: every run, the comparison, a kill, and what an edit runs again."""

import json

import pandas as pd
import pytest

from tests.workflow.conftest import Project, docstrings_csv

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]
PLACE = "results/sentences/active_learning/head"


@pytest.fixture(scope="module")
def project(tmp_path_factory):
    project = Project(tmp_path_factory.mktemp("learning"))
    docstrings_csv(project.folder / "sentences.csv")
    project.configure("active_learning")
    done = project.snakemake("active_learning")
    assert done.returncode == 0, done.stdout
    return project


def test_every_run_leaves_its_tables_and_the_comparison_names_them(project):
    place = project.folder / PLACE
    examples = pd.read_parquet(project.folder / "results/sentences/examples.parquet")
    strategies = ["random", "anchoral_badge", "anchoral_badge-neighbors-2"]
    for strategy in strategies:
        for seed in ("0", "1-0-2"):
            picked = pd.read_parquet(place / strategy / f"seed{seed}/picked.parquet")
            assert len(picked) == 45 == picked["row"].nunique()
            assert (examples["split"].iloc[picked["row"]] == "train").all()
            assert (examples["example_id"].iloc[picked["row"]].to_numpy() == picked["example_id"]).all()
            assert (examples["label"].iloc[picked["row"]].to_numpy() == picked["label"]).all()
            rounds = pd.read_parquet(place / strategy / f"seed{seed}/rounds.parquet")
            assert rounds["n_labelled"].tolist() == [20, 30, 40, 45] and rounds["minority_f1"].notna().all()
            summary = json.loads((place / strategy / f"seed{seed}/summary.json").read_text())
            assert summary["minority"] == ["numbers"] and summary["rounds"] == 4
    assert pd.read_csv(place / "comparison.csv")["strategy"].tolist() == strategies
    assert (place / "comparison.tex").read_text().count(r"\\") == 4
    assert set(pd.read_csv(place / "seconds.csv")["part"]) >= {"selection", "search", "fit"}
    assert (pd.read_csv(place / "analysis.csv")["diversity"] > 0).all()
    for figure in ("learning_curves", "learning_times", "learning_subpools"):
        assert (project.folder / f"results/sentences/report/head/{figure}.png").stat().st_size > 10_000


def test_only_what_an_edit_concerns_runs_again(project):
    assert project.planned("active_learning") == {}
    project.configure("active_learning", **{"values: [2]": "values: [2, 3]"})
    assert project.planned("active_learning") == {"learn_actively": 2, "summarise_learning": 1, "analyse_learning": 1}
    project.configure("active_learning", **{"query_size: 10": "query_size: 5"})
    assert project.planned("active_learning")["learn_actively"] == 6
    project.configure("active_learning")


def test_a_killed_run_goes_on_with_identical_tables(project):
    folder = project.folder / PLACE / "anchoral_badge/seed1-0-2"
    names = ("rounds", "picked", "subpools")
    expected = {name: (folder / f"{name}.parquet").read_bytes() for name in names}
    target = f"{PLACE}/anchoral_badge/seed1-0-2/rounds.parquet"
    for name in (*names, "times"):
        (folder / f"{name}.parquet").unlink()
    killed = project.snakemake(target, DATASSAY_CRASH_AT="round:3")
    assert killed.returncode != 0 and not (project.folder / target).exists()
    assert len(list(folder.glob(".checkpoints/*/round*"))) == 3
    done = project.snakemake(target)
    assert done.returncode == 0, done.stdout
    assert "going on after round 2" in done.stdout
    assert {name: (folder / f"{name}.parquet").read_bytes() for name in names} == expected
    assert not (folder / ".checkpoints").exists()
