"""Aggregation against the definition, written out pair by pair and step by step."""

import itertools

import numpy as np
import pandas as pd
import pytest

from datassay.annotation.aggregation import aggregate, annotator_quality, krippendorff_alpha
from datassay.randomness import generator


def table(rows: list[tuple[str, str, float]]) -> pd.DataFrame:
    return pd.DataFrame(rows, columns=["example_id", "annotator", "value"])


def crowd(n: int = 120, classes: int = 3, accuracies: tuple[float, ...] = (0.9, 0.8, 0.4, 0.35, 0.3)):
    """Answers of people of known accuracy, some of them missing, and the truth."""
    rng = generator(7, "crowd")
    truth = rng.integers(0, classes, n)
    rows = [
        (f"x{item:03d}", f"w{who}", float(truth[item] if rng.random() < accuracy else rng.integers(0, classes)))
        for item in range(n)
        for who, accuracy in enumerate(accuracies)
        if rng.random() < 0.8 or who == 0
    ]
    return table(rows), truth


def test_majority_disagreement_and_ties() -> None:
    answers = table(
        [(i, f"w{n}", v) for i, row in {"a": [0, 0, 1], "b": [2], "c": [1, 2]}.items() for n, v in enumerate(row)]
    )
    found = aggregate(answers, "majority", 3)
    assert found["example_id"].tolist() == ["a", "b", "c"] and found["n_answers"].tolist() == [3, 1, 2]
    assert found["label"].tolist()[:2] == [0, 2] and found["label"][2] in (1, 2)
    np.testing.assert_allclose(found["confidence"], [2 / 3, 1, 1 / 2])
    np.testing.assert_allclose(found["disagreement"], [2 / 3, np.nan, 1])
    assert found["tie"].tolist() == [False, False, True]
    shuffled = answers.sample(frac=1, random_state=1)
    pd.testing.assert_frame_equal(found, aggregate(shuffled, "majority", 3))


def test_ties_are_not_always_won_by_the_first_class() -> None:
    answers = table([(f"x{i}", f"w{v}", v) for i in range(200) for v in (0.0, 1.0)])
    assert 70 < aggregate(answers, "majority", 2)["label"].sum() < 130


def em(answers: pd.DataFrame, classes: int, steps: int = 1000) -> np.ndarray:
    """Dawid and Skene's EM, loop by loop: classes of every example, from the vote shares."""
    items = sorted(set(answers["example_id"]))
    people = sorted(set(answers["annotator"]))
    said = {(r.example_id, r.annotator): int(r.value) for r in answers.itertuples()}
    belief = np.array([[sum(said.get((i, w)) == c for w in people) for c in range(classes)] for i in items], float)
    belief /= belief.sum(axis=1, keepdims=True)
    for _ in range(steps):
        prior = belief.mean(axis=0)
        confusion = np.zeros((len(people), classes, classes))
        for (i, w), label in said.items():
            confusion[people.index(w), :, label] += belief[items.index(i)]
        confusion /= np.maximum(confusion.sum(axis=2, keepdims=True), 1e-300)
        new = np.tile(prior, (len(items), 1))
        for (i, w), label in said.items():
            new[items.index(i)] *= confusion[people.index(w), :, label]
        new /= new.sum(axis=1, keepdims=True)
        if np.abs(new - belief).max() < 1e-12:
            break
        belief = new
    return belief


def test_dawid_skene_is_that_of_the_paper_and_beats_the_majority() -> None:
    answers, truth = crowd()
    found = aggregate(answers, "dawid_skene", 3)
    expected = em(answers, 3)
    np.testing.assert_array_equal(found["label"], expected.argmax(axis=1))
    np.testing.assert_allclose(found["confidence"], expected.max(axis=1), atol=0.01)
    voted = aggregate(answers, "majority", 3)
    assert (found["label"] == truth).mean() > (voted["label"] == truth).mean() + 0.05


def test_a_class_that_nobody_names() -> None:
    answers, _ = crowd(classes=2)
    found = aggregate(answers.assign(value=answers["value"] + 1), "dawid_skene", 4)
    assert set(found["label"]) == {1, 2}


def test_means_and_bins() -> None:
    rows = [("a", "w0", 1.0), ("a", "w1", 2.0), ("b", "w0", 4.0), ("c", "w0", 1.0), ("c", "w1", 4.0), ("c", "w2", 4.0)]
    numbers = aggregate(table(rows), "mean", 0)
    np.testing.assert_allclose(numbers["label"], [1.5, 4.0, 3.0])
    np.testing.assert_allclose(numbers["disagreement"], [np.std([1, 2], ddof=1), np.nan, np.std([1, 4, 4], ddof=1)])
    assert aggregate(table(rows), "mean", 3, [1.5, 3.5])["label"].tolist() == [1, 2, 1], (
        "an edge belongs to the upper bin"
    )
    classes = aggregate(table([("a", "w0", 0.0), ("a", "w1", 1.0), ("b", "w0", 2.0)]), "mean", 3)
    assert classes["label"].tolist() == [1, 2], "halves go up"


@pytest.mark.parametrize("numbers", [False, True])
def test_alpha_is_the_one_of_all_pairs(numbers: bool) -> None:
    answers, _ = crowd(40)
    answers = pd.concat([answers, table([("alone", "w0", 2.0)])])
    groups = [g["value"].tolist() for _, g in answers.groupby("example_id") if len(g) > 1]
    apart = (lambda a, b: (a - b) ** 2) if numbers else (lambda a, b: float(a != b))
    n = sum(map(len, groups))
    observed = sum(sum(apart(a, b) for a, b in itertools.permutations(g, 2)) / (len(g) - 1) for g in groups) / n
    every = [v for g in groups for v in g]
    expected = sum(apart(a, b) for a, b in itertools.permutations(every, 2)) / (n * (n - 1))
    assert krippendorff_alpha(answers, numbers) == pytest.approx(1 - observed / expected, rel=1e-12)
    assert np.isnan(krippendorff_alpha(table([("a", "w0", 1.0)]), numbers))
    assert np.isnan(krippendorff_alpha(table([("a", "w0", 1.0), ("a", "w1", 1.0)]), numbers))


def test_krippendorffs_own_example() -> None:
    """The reliability data of Krippendorff, Computing Krippendorff's Alpha-Reliability (2011): nominal alpha .743."""
    values = {
        "A": [1, 2, 3, 3, 2, 1, 4, 1, 2, None, None, None],
        "B": [1, 2, 3, 3, 2, 2, 4, 1, 2, 5, None, 3],
        "C": [None, 3, 3, 3, 2, 3, 4, 2, 2, 5, 1, None],
        "D": [1, 2, 3, 3, 2, 4, 4, 1, 2, 5, 1, None],
    }
    answers = table([(f"u{n}", who, float(v)) for who, vs in values.items() for n, v in enumerate(vs) if v is not None])
    assert krippendorff_alpha(answers, numbers=False) == pytest.approx(0.743, abs=5e-4)
    assert krippendorff_alpha(answers, numbers=True) == pytest.approx(0.849, abs=5e-4)


def test_quality_of_annotators() -> None:
    answers, _ = crowd()
    labels = aggregate(answers, "dawid_skene", 3)
    quality = annotator_quality(answers, labels, numbers=False)
    assert quality["annotator"].tolist()[:2] == ["w0", "w1"] and quality["agreement"].is_monotonic_decreasing
    label = dict(zip(labels["example_id"], labels["label"], strict=True))
    mine = answers[answers["annotator"] == "w1"]
    assert quality["agreement"][1] == pytest.approx(
        np.mean([v == label[i] for i, v in zip(mine["example_id"], mine["value"], strict=True)])
    )
    pairs = [
        a.value == b.value
        for a in mine.itertuples()
        for b in answers[answers["example_id"] == a.example_id].itertuples()
        if b.annotator != "w1"
    ]
    assert quality["peer_agreement"][1] == pytest.approx(np.mean(pairs))
    numbers = annotator_quality(table([("a", "w0", 1.0), ("a", "w1", 3.0), ("b", "w0", 5.0)]),
                                pd.DataFrame({"example_id": ["a", "b"], "label": [2.0, 5.0]}), numbers=True)  # fmt: skip
    assert numbers.set_index("annotator")["agreement"].to_dict() == pytest.approx({"w0": np.sqrt(0.5), "w1": 1.0})
    assert numbers.set_index("annotator")["peer_agreement"].to_dict() == pytest.approx({"w0": 2.0, "w1": 2.0})


def test_no_answers() -> None:
    for method, classes, kind in (("majority", 2, "i"), ("mean", 0, "f")):
        empty = aggregate(table([]), method, classes)
        assert len(empty) == 0 and empty["label"].dtype.kind == kind
