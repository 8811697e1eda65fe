"""Rare classes: rest classes, the share of the minority, the majority of the test split."""

import numpy as np
import pandas as pd
import pytest

from datassay.config import Dataset, Imbalance
from datassay.data import prepare
from datassay.data.imbalance import imbalanced, minority_and_rest
from datassay.errors import DatassayError


def settings(**given):
    return Imbalance.model_validate({"minority": ["b"]} | given)


def splits_and_labels(train=(990, 400), test=(100, 30)):
    labels = np.repeat([0, 1, 0, 1], [*train, *test])
    return np.repeat(["train", "test"], [sum(train), sum(test)]).astype(object), labels


def test_a_rest_class_takes_what_is_no_minority():
    table = pd.DataFrame({"label": [0, 1, 2, 3, -1], "true_label": [3, 1, 2, -1, 0]})
    found, names, notes = minority_and_rest(table, ["a", "b", "c", "d"], settings(minority=["d", "b"], rest="others"))
    assert names == ["others", "d", "b"]
    assert found["label"].tolist() == [0, 2, 0, 1, -1] and found["true_label"].tolist() == [1, 2, 0, -1, 0]
    assert notes == ["Class 'others' takes 2 classes: a, c."]
    same, names, notes = minority_and_rest(table, ["a", "b", "c", "d"], settings(rest=None))
    assert same is table and names == ["a", "b", "c", "d"] and notes == []


@pytest.mark.parametrize("share", [0.01, 0.05, 0.1, 0.25])
def test_the_minority_is_cut_to_its_share_of_the_train_split(share):
    splits, labels = splits_and_labels()
    rows, notes = imbalanced(splits, labels, ["a", "b"], settings(share=share))
    left = labels[rows][splits[rows] == "train"]
    size = {0.01: 10, 0.05: 53, 0.1: 110, 0.25: 330}[share]  # ceil(p 990 / (1 - p))
    assert np.bincount(left).tolist() == [990, size]
    assert np.bincount(labels[rows][splits[rows] == "test"]).tolist() == [100, 30]
    assert notes == [f"{size} of 400 train rows of class 'b' kept."]
    assert (np.diff(rows) > 0).all()


def test_the_majority_of_the_test_split_is_capped():
    splits, labels = splits_and_labels()
    rows, notes = imbalanced(splits, labels, ["a", "b"], settings(test_majority=40))
    assert np.bincount(labels[rows][splits[rows] == "test"]).tolist() == [40, 30]
    assert (splits[rows] == "train").sum() == 1390 and notes == ["40 of 100 test rows of the majority kept."]
    assert len(imbalanced(splits, labels, ["a", "b"], settings(test_majority=500))[0]) == len(labels)


def test_which_rows_are_kept_depends_on_the_seed_alone():
    splits, labels = splits_and_labels()
    kept = [imbalanced(splits, labels, ["a", "b"], settings(share=0.05, seed=seed))[0].tolist() for seed in (0, 0, 1)]
    assert kept[0] == kept[1] != kept[2]


@pytest.mark.parametrize(
    ("given", "text"),
    [
        ({"minority": ["x"]}, "imbalance.minority: no class 'x'"),
        ({"minority": ["a", "b"]}, "names every class"),
        ({"rest": "b"}, "'b' is a minority class"),
    ],
)
def test_classes_that_do_not_fit_are_named(given, text):
    with pytest.raises(DatassayError, match=text):
        minority_and_rest(pd.DataFrame({"label": [0, 1]}), ["a", "b"], settings(**given))


def test_a_share_above_what_there_is_is_refused():
    splits, labels = splits_and_labels(train=(990, 5))
    with pytest.raises(DatassayError, match="10 rows of 'b', it has 5: lower the share"):
        imbalanced(splits, labels, ["a", "b"], settings(share=0.01))


def test_a_data_set_is_prepared_with_a_rare_class(tmp_path):
    pd.DataFrame({"text": [f"text {i}" for i in range(400)], "label": ["sport", "news", "art", "law"] * 100}).to_csv(
        tmp_path / "it.csv", index=False
    )
    dataset = Dataset.model_validate(
        {
            "name": "it", "source": "csv", "path": "it.csv", "columns": {"text": "text"},
            "imbalance": {"minority": ["news"], "share": 0.1, "test_majority": 20},
            "split": {"validation": 0, "valuation": 0, "test": 0.2},
        }
    )  # fmt: skip
    examples, card = prepare(dataset, tmp_path)
    assert card["label_names"] == ["rest", "news"]
    train, test = (card["counts"][split]["classes"] for split in ("train", "test"))
    assert train == {"rest": 240, "news": 27} and test == {"rest": 20, "news": 20}
    assert len(examples) == 307 and any("27 of 80 train rows" in note for note in card["notes"])
    assert set(examples.loc[examples["label"] == 1, "text"].str[5:].astype(int) % 4) == {1}
