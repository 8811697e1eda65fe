"""What comes of the categories: treatments, their comparison, what is outside, and how noise is found."""

import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import average_precision_score, precision_recall_curve, roc_auc_score, roc_curve

from datassay.archaeology.comparison import compare_treatments, epochs_to_reach
from datassay.archaeology.outside import INSIDE, held_out, outside_scores, outside_table
from datassay.archaeology.treatments import group_weights, reference_rows, treatment
from datassay.errors import DatassayError, NotApplicable
from datassay.reporting import column_guide
from datassay.reporting.application_figures import noise_table, precision_recall, roc
from datassay.training.scores import group_scores

SETTINGS = {"drop_above": 0.5, "candidates": 4, "group_reference": 10, "k": 5, "seed": 0}
RNG = np.random.default_rng(0)


def family(n=6):
    noise = np.array([0.0, 0.5, 0.55, 1.0, 0.2, 0.9])[:n]
    return pd.DataFrame({"noise_share": noise, "epoch_first_learned": [1, 2, 3, -1, -1, 4][:n]})


def test_treatments_of_noise():
    losses = np.zeros((6, 1, 2))
    plain, dropped, corrected, prioritised = (
        treatment(name, family(), None, losses, SETTINGS) for name in ("plain", "dropped", "corrected", "prioritised")
    )
    assert plain.kept_rows is None and plain.guidance is None
    assert dropped.kept_rows.tolist() == [0, 1, 4]
    assert corrected.guidance.doubts.tolist() == family()["noise_share"].tolist() and corrected.kept_rows is None
    assert prioritised.guidance.preferred.tolist() == [True, True, False, False, False, False]
    assert prioritised.guidance.candidates == 4 and prioritised.facts == {"share_preferred": pytest.approx(1 / 3)}
    without = family().drop(columns="noise_share")
    without.attrs["absent"] = {"noise_share": "needs the suite random_outputs"}
    with pytest.raises(DatassayError, match="dropped: needs the suite random_outputs"):
        treatment("dropped", without, None, losses, SETTINGS)


def test_groups_are_found_from_a_small_reference_and_weigh_alike():
    groups = np.array(["many"] * 90 + ["few"] * 10, dtype=object)
    losses = np.where(groups == "few", 3.0, 0.3)[:, None, None] + RNG.normal(0, 0.05, (100, 2, 3))
    found = treatment("weighted", family(0), groups, losses, SETTINGS)
    known = treatment("known", family(0), groups, losses, SETTINGS)
    np.testing.assert_allclose(found.guidance.weights, known.guidance.weights)
    assert found.facts == {"smallest_group_recall": 1.0, "smallest_group_precision": 1.0}
    weights = known.guidance.weights
    assert weights[groups == "few"].sum() == pytest.approx(50) and weights.mean() == pytest.approx(1)
    rows = reference_rows(groups.astype(str), 10, 0)
    assert pd.Series(groups[rows]).value_counts().to_dict() == {"many": 10, "few": 5}
    np.testing.assert_allclose(group_weights(np.array(["a", "b", "b", "b"])), [2, 2 / 3, 2 / 3, 2 / 3])


@pytest.mark.parametrize(
    ("groups", "fault"),
    [
        (None, "4 of 4 train rows have no group"),
        (np.array(["a", None, "b", "b"], dtype=object), "1 of 4 train rows have no group"),
        (np.array(["a"] * 4, dtype=object), "all train rows are of group 'a'"),
    ],
)
def test_groups_that_are_not_there_are_named(groups, fault):
    with pytest.raises(DatassayError, match=fault):
        treatment("known", family(0), groups, np.zeros((4, 1, 2)), SETTINGS)


def test_treatments_are_compared_seed_by_seed():
    table = pd.DataFrame({"seed": [0, 1], "n_kept": 9, "accuracy": [0.5, 0.7], "loss": [1.0, 1.2]})
    better = table.assign(accuracy=[0.6, 0.9], n_kept=7)
    found = compare_treatments("noise_correction", {"plain": table, "dropped": better, "corrected": table})
    row = found.set_index(["treatment", "metric"]).loc[("dropped", "accuracy")]
    assert row["mean"] == pytest.approx(0.75) and row["n_kept"] == 7 and row["seeds"] == 2
    assert row["difference"] == pytest.approx(0.15) and row["difference_std"] == pytest.approx(0.05)


def test_epochs_to_the_level_of_uniform_sampling():
    def run(heights):
        rows = [(seed, epoch + 1, height + 0.01 * seed) for seed in (0, 1) for epoch, height in enumerate(heights)]
        return pd.DataFrame(rows, columns=["seed", "epoch", "accuracy"]).assign(n_kept=5, share_preferred=0.5)

    results = {"uniform": run([0.1, 0.4, 0.6]), "prioritised": run([0.5, 0.6, 0.7])}
    found = compare_treatments("prioritised_training", results, ["accuracy"]).set_index("treatment")
    assert found["epochs_to_reach"].tolist() == [3, 2] and found["mean"].tolist() == pytest.approx([0.605, 0.705])
    assert np.isnan(epochs_to_reach(results["uniform"], 0.9))


def test_accuracy_by_group():
    logits = np.eye(2)[[0, 0, 1, 1, 0]]
    groups = np.array(["a", "a", "b", "b", None], dtype=object)
    found = group_scores(logits, np.array([0, 1, 1, 1, 0]), groups)
    assert found == {"a_accuracy": 0.5, "b_accuracy": 1.0, "worst_group_accuracy": 0.5}


def test_what_is_outside_is_told_by_its_trajectory():
    """Inside rows grow ever surer, outside ones stay unsure until the last epoch, whose logits look alike."""
    growth = np.linspace(1, 5, 6)[:, None, None]
    inside = growth * np.eye(4)[RNG.integers(0, 4, 60)]
    outside = np.repeat(growth[:1], 6, axis=0) * np.eye(4)[RNG.integers(0, 4, 40)]
    outside[-1] *= 5
    logits = np.concatenate([inside, outside], axis=1) + RNG.normal(0, 0.3, (6, 100, 4))
    suites = np.array([INSIDE] * 60 + ["random_inputs"] * 20 + ["out_of_distribution"] * 20, dtype=object)
    scores = outside_scores(logits, suites, k=5)
    assert len(scores) == 100 - 2 * 20 and scores["row"].is_unique
    table = outside_table(scores).set_index(["suite", "method"])["auroc"]
    assert table["all", "max_logit_trajectory"] > 0.95 > table["all", "final_max_logit"]
    assert table["all", "sorted_logit_trajectory"] > 0.95
    assert set(table.index.get_level_values(0)) == {"all", "random_inputs", "out_of_distribution"}
    with pytest.raises(NotApplicable, match="3 unseen probes"):
        outside_scores(logits[:, 57:63], suites[57:63])


def test_rows_that_nobody_learnt_from():
    examples = pd.DataFrame({"example_id": list("abcd"), "split": ["train", "test", "unseen", "probe"]})
    probes = pd.DataFrame({"example_id": list("cd"), "suite": "random_inputs", "half": ["unseen", "reference"]})
    rows, suites = held_out(examples, probes)
    assert rows.tolist() == [1, 2] and suites.tolist() == [INSIDE, "random_inputs"]


def test_curves_are_those_of_scikit_learn():
    score, wrong = RNG.integers(0, 6, 80).astype(float), RNG.random(80) < 0.3
    recall, precision = precision_recall(score, wrong.astype(float))
    expected = precision_recall_curve(wrong, score)
    np.testing.assert_allclose(precision, expected[0][:-1][::-1])
    np.testing.assert_allclose(recall, expected[1][:-1][::-1])
    falsely, truly = roc(score, wrong)
    expected = roc_curve(wrong, score, drop_intermediate=False)
    np.testing.assert_allclose([falsely, truly], expected[:2])


def test_the_table_of_noise_detectors():
    wrong = np.arange(50) % 5 == 0
    measures = pd.DataFrame({"noise_share": wrong + RNG.normal(0, 0.5, 50), "aum": -1.0 * wrong + RNG.normal(0, 1, 50)})
    measures = measures.assign(mc_el2n=0.1, ens_el2n=RNG.random(50), other=1.0)
    table = noise_table(measures, wrong.astype(float), column_guide()).set_index("column")
    assert set(table.index) == {"noise_share", "aum", "ens_el2n"}
    assert table.loc["noise_share", "auroc"] == pytest.approx(roc_auc_score(wrong, measures["noise_share"]))
    assert table.loc["aum", "average_precision"] == pytest.approx(average_precision_score(wrong, -measures["aum"]))
    assert table.loc["aum", "detector"] == "AUM"
