"""Archaeology end to end: every target runs, no probe is taken for an ordinary example, edits re-run what they touch."""

import json

import pandas as pd
import pytest

from tests.workflow.conftest import Project, docstrings_csv

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]

TARGETS = ("noise_correction", "minority_groups", "prioritised_training", "ood_detection")
MODELS = {"sentences": "text_head", "digits": "image_head"}
OF_PROBES = ("probes", "archaeology")  # folders that are about probes


@pytest.fixture(scope="module")
def project(tmp_path_factory):
    project = Project(tmp_path_factory.mktemp("archaeology"))
    docstrings_csv(project.folder / "sentences.csv")
    project.configure("archaeology")
    done = project.snakemake("all", *TARGETS)
    assert done.returncode == 0, done.stdout
    return project


def probes_of(project, dataset):
    return set(pd.read_parquet(project.folder / f"results/{dataset}/probes/probes.parquet")["example_id"])


@pytest.mark.parametrize("dataset", MODELS)
def test_no_file_takes_a_probe_for_an_example(project, dataset):
    root, probes, checked = project.folder / "results" / dataset, probes_of(project, dataset), set()
    for file in [*root.rglob("*.parquet"), *root.rglob("*.csv")]:
        place = file.relative_to(root)
        table = pd.read_parquet(file) if file.suffix == ".parquet" else pd.read_csv(file, dtype=str)
        if place.parts[0] in OF_PROBES or "example_id" not in table or place.stem in ("examples", "assay"):
            continue
        assert not probes & set(table["example_id"]), place
        checked.add(place.parts[0])
    assert checked == {"meta_information", "valuation", "pruning", "cleaning", "report"}
    assay = pd.read_parquet(root / "assay.parquet").set_index("example_id")
    measured = [name for name in ("aum", "knn_shapley", "noise_share", "category", "suspicion") if name in assay]
    assert len(measured) == 5 and assay.loc[sorted(probes), measured].isna().all().all()
    assert assay.loc[sorted(probes), "is_probe"].all() and not assay.drop(sorted(probes))["is_probe"].any()


@pytest.mark.parametrize("dataset", MODELS)
def test_categories_are_evaluated_on_probes_that_did_not_vote(project, dataset):
    folder = project.folder / "results" / dataset / "archaeology" / MODELS[dataset]
    categories = pd.read_parquet(folder / "categories.parquet")
    probes = pd.read_parquet(project.folder / f"results/{dataset}/probes/probes.parquet")
    voters = set(probes.loc[probes["half"] == "reference", "example_id"])
    assert not voters & set(categories["example_id"])
    shares = categories.filter(like="share_")
    assert ((shares.sum(axis=1) - 1).abs() < 1e-9).all()
    found = json.loads((folder / "evaluation.json").read_text())
    assert found["probes"]["n"] == (categories["half"] == "evaluation").sum() > 0
    assert sum(found["train"]["categories"].values()) == found["train"]["n"] == (categories["half"] == "train").sum()
    assert found["spearman_mean_loss_typicality"] < 0


def test_every_application_has_its_table_and_figure(project):
    def table(dataset, name):
        return pd.read_csv(project.folder / f"results/{dataset}/archaeology/{MODELS[dataset]}/{name}.csv")

    for dataset in MODELS:
        assert {"noise_share", "aum", "knn_shapley"} <= set(table(dataset, "noise_detection")["column"])
        corrected = table(dataset, "noise_correction/comparison").set_index("treatment")
        assert set(corrected.index) == {"plain", "dropped", "corrected"} and (corrected["seeds"] == 2).all()
        assert table(dataset, "prioritised_training/comparison")["epochs_to_reach"].notna().any()
    groups = table("sentences", "minority_groups/comparison")
    assert "worst_group_accuracy" in set(groups["metric"])
    assert set(table("digits", "ood_detection/comparison")["suite"]) == {"all", "out_of_distribution", "random_inputs"}
    figures = {path.name for path in (project.folder / "results").rglob("*.png")}
    assert {f"{name}.png" for name in (*TARGETS, "noise_detection", "probe_confusion", "category_gallery")} <= figures


def test_edits_re_run_what_they_touch(project):
    assert set(project.planned("all", *TARGETS)) <= set(TARGETS)
    project.configure("archaeology", **{"k: 3": "k: 4"})
    more = project.planned("archaeology")
    assert {"measure", "evaluate_probes", "plot_archaeology"} == set(more) and more["measure"] == 2
    project.configure("archaeology", **{"size: 8, unseen: 20": "size: 8, unseen: 24"})
    again = project.planned("archaeology")
    assert again["plant_probes"] == 1 and "prepare_for_probes" not in again and again["train"] == 2
    project.configure("archaeology")
