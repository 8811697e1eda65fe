"""Archaeology end to end: every target runs, no probe is taken for an ordinary example, edits re-run what they touch."""

import json

import pandas as pd
import pytest

from tests.workflow.conftest import Project

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]

TARGETS = ("noise_correction", "minority_groups", "prioritised_training", "ood_detection")
OF_PROBES = ("probes", "archaeology")  # folders that are about probes
GROUPS = '''"""Digits that fall into groups."""
from datassay.data.builtin import digits
from datassay.registry import dataset


@dataset(version=1, source="digits of scikit-learn, 1998", modality="image")
def grouped_digits():
    """Handwritten digits; small ones are one group, large ones the other."""
    table = digits()
    return table.assign(group=[f"{'small' if int(label) < 3 else 'large'} digits" for label in table["label"]])
'''


@pytest.fixture(scope="module")
def project(tmp_path_factory):
    project = Project(tmp_path_factory.mktemp("archaeology"))
    (project.folder / "groups.py").write_text(GROUPS)
    project.configure("archaeology")
    done = project.snakemake("all", *TARGETS)
    assert done.returncode == 0, done.stdout
    return project


@pytest.fixture(scope="module")
def probes(project):
    return pd.read_parquet(project.folder / "results/digits/probes/probes.parquet")


def test_no_file_takes_a_probe_for_an_example(project, probes):
    root, ids, checked = project.folder / "results" / "digits", set(probes["example_id"]), set()
    for file in [*root.rglob("*.parquet"), *root.rglob("*.csv")]:
        place = file.relative_to(root)
        table = pd.read_parquet(file) if file.suffix == ".parquet" else pd.read_csv(file, dtype=str)
        if place.parts[0] in OF_PROBES or "example_id" not in table or place.stem in ("examples", "assay"):
            continue
        assert not ids & set(table["example_id"]), place
        checked.add(place.parts[0])
    assert checked == {"meta_information", "valuation", "pruning", "cleaning", "report"}
    assay = pd.read_parquet(root / "assay.parquet").set_index("example_id")
    measured = ["aum", "knn_shapley", "noise_share", "category", "suspicion"]
    assert assay.loc[sorted(ids), measured].isna().all().all()
    assert assay.loc[sorted(ids), "is_probe"].all() and not assay.drop(sorted(ids))["is_probe"].any()
    assert assay.loc[(assay["split"] == "train"), "category"].notna().all()


def test_categories_are_evaluated_on_probes_that_did_not_vote(project, probes):
    folder = project.folder / "results/digits/archaeology/head"
    categories = pd.read_parquet(folder / "categories.parquet")
    assert not set(probes.loc[probes["half"] == "reference", "example_id"]) & set(categories["example_id"])
    assert ((categories.filter(like="share_").sum(axis=1) - 1).abs() < 1e-9).all()
    found = json.loads((folder / "evaluation.json").read_text())
    assert found["probes"]["n"] == (categories["half"] == "evaluation").sum() > 0
    assert sum(found["train"]["categories"].values()) == found["train"]["n"] == (categories["half"] == "train").sum()
    assert found["spearman_mean_loss_typicality"] < 0


def test_every_application_has_its_table_and_figure(project):
    def table(name):
        return pd.read_csv(project.folder / f"results/digits/archaeology/head/{name}.csv")

    assert {"noise_share", "aum", "knn_shapley"} <= set(table("noise_detection")["column"])
    corrected = table("noise_correction/comparison").set_index("treatment")
    assert set(corrected.index) == {"plain", "dropped", "corrected"} and (corrected["seeds"] == 2).all()
    assert table("prioritised_training/comparison")["epochs_to_reach"].notna().any()
    assert "worst_group_accuracy" in set(table("minority_groups/comparison")["metric"])
    assert set(table("ood_detection/comparison")["suite"]) == {"all", "out_of_distribution", "random_inputs"}
    figures = {path.name for path in (project.folder / "results").rglob("*.png")}
    assert {f"{name}.png" for name in (*TARGETS, "noise_detection", "probe_confusion", "category_gallery")} <= figures


def test_edits_re_run_what_they_touch(project):
    assert set(project.planned("all", *TARGETS)) <= set(TARGETS)
    project.configure("archaeology", **{"k: 3": "k: 4"})
    assert project.planned("archaeology") == {"measure": 1, "evaluate_probes": 1, "plot_archaeology": 1}
    project.configure("archaeology", **{"unseen: 20": "unseen: 24"})
    again = project.planned("archaeology")
    assert again["plant_probes"] == 1 and again["train"] == 2 and "prepare_for_probes" not in again
