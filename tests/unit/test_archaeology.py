"""Trajectories, assignment, consistency and evaluation, against hand work and independent implementations."""

import numpy as np
import pandas as pd
import pytest

from datassay.archaeology import (
    across_seeds,
    assign_categories,
    consistency,
    epoch_first_learned,
    epoch_learned,
    evaluate,
    loss_trajectories,
    maximum_logits,
    normalised_by_class,
    sorted_logits,
)
from datassay.archaeology.records import category_table, report, trajectory_arrays
from datassay.errors import DatassayError, NotApplicable
from datassay.measures.archaeology import archaeology, noise_share
from datassay.randomness import generator

RNG = np.random.default_rng(0)


def test_losses_are_the_cross_entropy_of_the_label():
    import torch

    logits = RNG.normal(size=(4, 50, 3)).astype(np.float32) * 20
    labels = RNG.integers(0, 3, 50)
    loss, right = loss_trajectories(logits, labels)
    for epoch in range(4):
        expected = torch.nn.functional.cross_entropy(
            torch.from_numpy(logits[epoch]).double(), torch.from_numpy(labels), reduction="none"
        )
        np.testing.assert_allclose(loss[:, epoch], expected.numpy(), rtol=1e-6, atol=1e-6)
        assert (right[:, epoch] == (logits[epoch].argmax(axis=1) == labels)).all()
    half, _ = loss_trajectories(logits.astype(np.float16), labels)
    np.testing.assert_allclose(half, loss, atol=0.05)


def test_epochs_of_learning_by_hand():
    right = np.array([[0, 1, 1], [1, 0, 1], [1, 1, 1], [0, 0, 0], [1, 1, 0]], dtype=bool)
    assert epoch_learned(right).tolist() == [2, 3, 1, -1, -1]
    assert epoch_first_learned(right).tolist() == [2, 1, 1, -1, 1]


def test_logits_over_the_epochs():
    logits = np.array([[[1, 3, 2], [0, -1, 5]], [[4, 0, 1], [2, 2, 9]]], dtype=np.float32)
    assert maximum_logits(logits).tolist() == [[3, 4], [5, 9]]
    assert sorted_logits(logits, top=2).tolist() == [[3, 2, 4, 1], [5, 0, 9, 2]]


def test_the_vote_is_that_of_the_nearest_probes():
    points, probes = RNG.exponential(size=(200, 6)), RNG.exponential(size=(60, 6))
    names = RNG.choice(["a", "b", "c"], 60)
    category, shares = assign_categories(points, probes, names, k=7)
    for row in range(200):
        near = np.argsort(((probes - points[row]) ** 2).sum(axis=1))[:7]
        votes = [np.mean(names[near] == name) for name in "abc"]
        assert shares[row].tolist() == pytest.approx(votes)
        assert category[row] == "abc"[int(np.argmax(votes))]


def test_the_vote_is_that_of_scikit_learn():
    from sklearn.neighbors import KNeighborsClassifier

    points, probes = RNG.normal(size=(300, 5)), RNG.normal(size=(80, 5))
    names = RNG.integers(0, 4, 80)
    model = KNeighborsClassifier(20, algorithm="brute").fit(probes, names)
    category, shares = assign_categories(points, probes, names)
    np.testing.assert_allclose(shares, model.predict_proba(points))
    assert (category == model.predict(points)).all() and category.dtype == names.dtype


def test_few_probes_all_vote_and_bad_input_is_named():
    category, shares = assign_categories(np.zeros((2, 3)), np.ones((3, 3)), ["a", "b", "b"])
    assert category.tolist() == ["b", "b"] and shares[0].tolist() == pytest.approx([1 / 3, 2 / 3])
    with pytest.raises(DatassayError, match="expected"):
        assign_categories(np.zeros((2, 3)), np.ones((3, 2)), ["a", "b", "b"])
    with pytest.raises(DatassayError, match="k: 0"):
        assign_categories(np.zeros((2, 3)), np.ones((3, 3)), ["a", "b", "b"], k=0)
    with pytest.raises(DatassayError, match="row 1 holds nan"):
        assign_categories(np.array([[0.0], [np.nan]]), np.ones((1, 1)), ["a"])


def test_seeds_become_one_trajectory():
    losses = np.arange(12, dtype=np.float32).reshape(2, 2, 3)
    assert across_seeds(losses).tolist() == [[0, 1, 2, 3, 4, 5], [6, 7, 8, 9, 10, 11]]
    assert across_seeds(losses, "averaged").tolist() == [[1.5, 2.5, 3.5], [7.5, 8.5, 9.5]]
    assert across_seeds(losses, "first").tolist() == [[0, 1, 2], [6, 7, 8]]


def test_a_class_is_normalised_by_its_train_rows():
    points, labels = RNG.normal(3, 2, size=(400, 4)), np.arange(400) % 2
    points[labels == 1] += 10
    inside, outside = normalised_by_class(points, labels, points[:10], labels[:10])
    for label in (0, 1):
        np.testing.assert_allclose(inside[labels == label].mean(axis=0), 0, atol=1e-5)
        np.testing.assert_allclose(inside[labels == label].std(axis=0), 1, atol=1e-5)
    np.testing.assert_allclose(outside, inside[:10])


def test_consistency_is_the_answer_of_heads_that_did_not_see_the_row():
    from sklearn.linear_model import Ridge

    from datassay.cleaning.rules import class_halves

    x, labels = RNG.normal(size=(120, 4)), np.arange(120) % 3
    x[:, :3] += 2 * np.eye(3)[labels]
    right, margin = np.zeros(120), np.zeros(120)
    for split in range(6):
        halves = class_halves(labels, generator(5, "consistency", split))
        for learnt, asked in (halves, halves[::-1]):
            penalty = 0.01 * ((x[learnt] - x[learnt].mean(axis=0)) ** 2).sum() / 4
            model = Ridge(alpha=penalty).fit(x[learnt], np.where(np.eye(3)[labels[learnt]], 1, -1))
            found = model.predict(x[asked])
            own = found[np.arange(len(asked)), labels[asked]]
            found[np.arange(len(asked)), labels[asked]] = -np.inf
            right[asked] += own > found.max(axis=1)
            margin[asked] += own - found.max(axis=1)
    score, found_margin = consistency(x, labels, splits=6, seed=5)
    np.testing.assert_allclose(score, right / 6)
    np.testing.assert_allclose(found_margin, margin / 6, atol=1e-8)


def test_consistency_finds_wrong_labels_and_refuses_a_class_of_one():
    x, labels = RNG.normal(size=(300, 5)), np.arange(300) % 3
    x[:, :3] += 4 * np.eye(3)[labels]
    given = labels.copy()
    given[:20] = (labels[:20] + 1) % 3
    score, _ = consistency(x, given, splits=10)
    assert score[:20].max() < 0.5 < score[20:].mean()
    with pytest.raises(DatassayError, match="class number 3 has too few rows"):
        consistency(x, np.append(labels[:-1], 3))


def test_evaluation_by_hand():
    found = evaluate(np.array(list("aaab")), np.array(list("aabb")), ["a", "b", "c"])
    assert found["accuracy"] == 0.75 and found["chance"] == 0.75 and found["n"] == 4
    assert found["confusion"]["a"] == {"a": 2, "b": 1, "c": 0}
    assert found["precision"] == {"a": 1.0, "b": 0.5, "c": None}
    assert found["recall"] == {"a": pytest.approx(2 / 3), "b": 1.0, "c": None}


def suites(n=8):
    """Reference probes whose losses are flat at a height of their own."""
    heights = {"typical": 0.1, "atypical": 2.0, "random_outputs": 4.0, "corrupted": 1.0, "ordinary": 0.3}
    names = np.repeat(list(heights), n)
    return names, np.array([heights[name] for name in names])[:, None, None] + RNG.normal(0, 0.02, (5 * n, 2, 3))


def test_the_measure_says_what_the_nearest_suites_say():
    names, losses = suites()
    points = np.array([0.1, 2.0, 4.0, 1.0])[:, None, None] * np.ones((1, 2, 3))
    right = points[:, :, :] < 3
    zeros = np.zeros(40, int)
    table = archaeology(points, right, np.zeros(4, int), losses, zeros, names, k=5)
    assert table["category"].tolist() == ["typical", "atypical", "random_outputs", "corrupted"]
    assert table["noise_share"][2] == 1 and table["noise_share"][[0, 3]].max() == 0
    assert table["share_random_outputs"].tolist() == [0, 0, 1, 0]
    assert table["epoch_learned"].tolist() == [1, 1, -1, 1]
    assert set(table.attrs["absent"]) == {"share_out_of_distribution", "share_random_inputs"}


def test_ordinary_probes_count_for_noise_alone():
    names, losses = suites()
    probes = across_seeds(losses)
    here = np.full((1, 6), 0.3)
    assert noise_share(here, probes, names, 5).tolist() == [0]
    assert noise_share(here, probes[names != "random_outputs"], names[names != "random_outputs"], 5) is None
    with pytest.raises(NotApplicable, match="at least 2"):
        archaeology(losses, losses < 1, np.zeros(40, int), losses[:8], np.zeros(8, int), names[:8])


def test_records_are_of_the_rows_they_name():
    n = 40
    examples = pd.DataFrame({"example_id": [f"e{i}" for i in range(n)], "split": "train", "label": np.arange(n) % 2})
    picked = [3, 30, 7, 21, 11, 5, 12, 14]
    examples.loc[picked, "split"] = "probe"
    examples.loc[[0, 1], "split"] = "test"
    probes = pd.DataFrame({"example_id": [f"e{i}" for i in picked], "suite": ["typical", "random_outputs"] * 4})
    probes = probes.assign(half=["reference"] * 4 + ["evaluation"] * 4, original_label=0)
    logits = RNG.normal(size=(3, n, 2)).astype(np.float32)
    records = trajectory_arrays(examples, probes, [logits, logits + 1])
    loss, right = loss_trajectories(logits, examples["label"].to_numpy())
    train = [i for i in range(2, n) if i not in picked]
    np.testing.assert_array_equal(records["train_loss"][:, 0], loss[train])
    np.testing.assert_array_equal(records["reference_loss"][:, 0], loss[picked[:4]])
    np.testing.assert_array_equal(records["evaluation_right"][:, 0], right[picked[4:]])
    assert records["evaluation_suite"].tolist() == ["typical", "random_outputs"] * 2
    options = {"k": 2, "seeds": "concatenated", "by_class": False}
    arrays = [records[name] for name in ("train_loss", "train_right", "train_label")]
    family = archaeology(*arrays, *(records[f"reference_{w}"] for w in ("loss", "label", "suite")), **options)
    family.insert(0, "example_id", [f"e{i}" for i in train])
    table = category_table(examples, probes, family, records, options)
    assert table["half"].value_counts().to_dict() == {"train": len(train), "evaluation": 4}
    typicality = pd.DataFrame({"example_id": [f"e{i}" for i in range(2, n)], "typicality": 0.0})
    mean = pd.Series(records["train_loss"].mean(axis=(1, 2)), index=[f"e{i}" for i in train])
    typicality["typicality"] = -mean.reindex(typicality["example_id"]).fillna(0).to_numpy()
    found = report(table, records, typicality)
    assert found["probes"]["n"] == 4 and found["train"]["n"] == len(train)
    assert found["spearman_mean_loss_typicality"] == pytest.approx(-1)
    assert report(table, records, typicality[:0])["spearman_mean_loss_typicality"] is None
