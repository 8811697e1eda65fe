"""Regression, multiple choice and pairs: labels and options as written, and every fault in one line with its place."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from pydantic import ValidationError

from datassay import storage
from datassay.config import Dataset
from datassay.data import prepare
from datassay.data.targets import strata
from datassay.errors import DatassayError

NO_SHARES = {"validation": 0, "valuation": 0, "test": 0}
SENTENCES = [f"The cup does not fit because the _ is too big, case {i}." for i in range(12)]
ANSWERS = [1, 2] * 6


def build(root: Path, rows: dict[str, Any], columns: dict[str, Any], task: str, source: str = "parquet", **more: Any):
    table = pd.DataFrame(rows)
    match source:
        case "parquet":
            table.to_parquet(root / "d")
        case "csv":
            table.to_csv(root / "d", index=False)
        case "jsonl":
            (root / "d").write_text("\n".join(json.dumps(row) for row in table.to_dict("records")))
    more.setdefault("split", NO_SHARES)
    settings = {
        "name": "d",
        "source": source,
        "path": "d",
        "task": task,
        "columns": {"text": "text", **columns},
        **more,
    }
    return prepare(Dataset.model_validate(settings), root)


def fault(*args: Any, **more: Any) -> str:
    with pytest.raises(DatassayError) as error:
        build(*args, **more)
    assert "\n" not in str(error.value)
    return str(error.value)


def pairs(n: int = 60) -> dict[str, Any]:
    rng = np.random.default_rng(0)
    return {"text": [f"a {i}" for i in range(n)], "text_b": [f"b {i}" for i in range(n)],
            "label": rng.uniform(0, 5, n).round(2)}  # fmt: skip


@pytest.mark.parametrize("source", ["csv", "jsonl", "parquet"])
def test_numbers_to_predict_come_as_they_are(tmp_path: Path, source: str) -> None:
    rows = pairs()
    examples, card = build(tmp_path, rows, {"text_b": "text_b"}, "regression", source)
    assert examples["label"].dtype == np.float64 and examples["label"].tolist() == rows["label"].tolist()
    assert examples["text_b"].tolist() == rows["text_b"]
    found = card["counts"]["train"]["labels"]
    assert found["n"] == 60 and found["mean"] == pytest.approx(rows["label"].mean())
    assert found["std"] == pytest.approx(rows["label"].std()) and found["max"] == rows["label"].max()
    assert card["task"] == "regression" and card["label_names"] == []
    storage.save_table(tmp_path / "examples.parquet", examples)
    pd.testing.assert_frame_equal(storage.load_table(tmp_path / "examples.parquet"), examples)


def test_whole_numbers_are_numbers_too(tmp_path: Path) -> None:
    examples, _ = build(tmp_path, {"text": ["a", "b", "c"], "label": [1, 2, 5]}, {}, "regression")
    assert examples["label"].tolist() == [1.0, 2.0, 5.0]


def test_splits_of_numbers_are_divided_over_their_range(tmp_path: Path) -> None:
    rows = pairs(400)
    examples, _ = build(tmp_path, rows, {}, "regression", split={"test": 0.2, "validation": 0.1, "valuation": 0})
    counts = examples["split"].value_counts().to_dict()
    assert counts == {"train": 280, "test": 80, "validation": 40}
    tenth = np.searchsorted(np.quantile(rows["label"], np.arange(1, 10) / 10), rows["label"], side="right")
    by_tenth = [int(((examples["split"] == "test") & (tenth == t)).sum()) for t in range(10)]
    assert by_tenth == [8] * 10


def test_strata_of_numbers_keep_equal_labels_together_and_unknown_apart() -> None:
    labels = np.array([0.0] * 50 + [np.nan] * 3 + list(np.linspace(1, 2, 50)))
    found = strata(labels)
    assert set(found[:50]) == {found[0]} and set(found[50:53]) == {-1}
    assert (np.diff(found[53:]) >= 0).all() and len(np.unique(found)) > 4
    assert strata(np.array([2, 0, -1])).tolist() == [2, 0, -1]
    assert len(np.unique(strata(np.arange(7.0)))) == 1


def test_unknown_and_true_numbers(tmp_path: Path) -> None:
    rows = {"text": list("abcd"), "label": [1.0, 2.0, 3.0, None], "true": [1.0, 2.5, None, None],
            "part": ["train", "train", "train", "pool"]}  # fmt: skip
    examples, card = build(tmp_path, rows, {"split": "part", "true_label": "true"}, "regression")
    assert np.isnan(examples["label"].iloc[3]) and examples["is_noisy"].tolist() == [False, True, False, False]
    assert card["noise"]["n_noisy"] == 1 and card["counts"]["pool"] == {"n": 1, "labels": {"n": 0}}


@pytest.mark.parametrize(
    ("labels", "expected"),
    [
        ([1.0, "high"], "d:3: column 'label': label 'high', the label of a regression is a finite number"),
        ([1.0, "nan"], "d:3: column 'label': label 'nan', the label of a regression"),
        ([1.0, "1e999"], "d:3: column 'label': label '1e999', the label of a regression"),
        ([1.0, None], "d:3: column 'label': no label (1 such row)"),
        ([2.0, 2.0], "labels: all are 2, a regression needs at least 2 different ones"),
    ],
)
def test_faults_of_numbers(tmp_path: Path, labels: list[Any], expected: str) -> None:
    assert expected in fault(tmp_path, {"text": ["a", "b"], "label": labels}, {}, "regression", "csv")


def test_a_truth_value_and_a_number_without_end_are_no_numbers(tmp_path: Path) -> None:
    for labels in ([1, True], [1, 10**400]):
        expected = f"d:2: column 'label': label {repr(labels[1])[:20]}"
        lines = "\n".join(json.dumps({"text": "a", "label": label}) for label in labels)
        (tmp_path / "d").write_text(lines)
        settings = {"name": "d", "source": "jsonl", "path": "d", "task": "regression", "columns": {"text": "text"}}
        with pytest.raises(DatassayError, match=expected):
            prepare(Dataset.model_validate(settings), tmp_path)


@pytest.mark.parametrize("source", ["csv", "jsonl", "parquet"])
def test_options_in_columns_of_their_own(tmp_path: Path, source: str) -> None:
    rows = {"text": SENTENCES, "option1": ["cup"] * 12, "option2": ["shelf"] * 12, "label": ANSWERS}
    examples, card = build(tmp_path, rows, {"options": ["option1", "option2"]}, "multiple_choice", source)
    assert [list(options) for options in examples["options"]] == [["cup", "shelf"]] * 12
    assert examples["label"].tolist() == [0, 1] * 6 and card["label_names"] == ["1", "2"]
    assert card["options"] == 2 and card["task"] == "multiple_choice"
    assert "option1" not in examples
    storage.save_table(tmp_path / "examples.parquet", examples)
    assert [list(o) for o in storage.load_table(tmp_path / "examples.parquet")["options"]] == [["cup", "shelf"]] * 12


def options_of(lists: list[Any], labels: list[Any]) -> dict[str, Any]:
    return {"text": [f"t {i}" for i in range(len(labels))], "choices": lists, "label": labels}


@pytest.mark.parametrize("source", ["jsonl", "parquet"])
@pytest.mark.parametrize(
    ("labels", "more", "expected", "names"),
    [
        ([0, 1, 2], {}, [0, 1, 2], ["0", "1", "2"]),
        ([1, 2, 3], {}, [0, 1, 2], ["1", "2", "3"]),
        (["1", "2", "3"], {}, [0, 1, 2], ["1", "2", "3"]),
        (["C", "A", "A"], {"label_names": ["A", "B", "C"]}, [2, 0, 0], ["A", "B", "C"]),
        ([1, 2, 1], {"label_names": ["1", "2", "3"]}, [0, 1, 0], ["1", "2", "3"]),
        ([1, 1, 0], {}, [1, 1, 0], ["0", "1", "2"]),
    ],
)
def test_options_in_one_column(
    tmp_path: Path, source: str, labels: list[Any], more: dict[str, Any], expected: list[int], names: list[str]
) -> None:
    rows = options_of([["x", "y", "z"]] * 3, labels)
    examples, card = build(tmp_path, rows, {"options": "choices"}, "multiple_choice", source, **more)
    assert examples["label"].tolist() == expected and card["label_names"] == names
    assert examples["options"].tolist() == [["x", "y", "z"]] * 3


TWO = [["x", "y"], ["x", "y"]]


@pytest.mark.parametrize(
    ("lists", "labels", "more", "expected"),
    [
        ([["x", "y"], ["x"]], [0, 1], {}, "row 1 (first is 0): column 'choices': 1 option, at least 2 are needed"),
        ([["x", "y"], ["x", "y", "z"]], [0, 1], {}, "3 options, the first row has 2; every row needs as many"),
        ([["x", "y"], None], [0, 1], {}, "row 1 (first is 0): column 'choices': no options"),
        ([["x", "y"], ["x", " "]], [0, 1], {}, "column 'choices': option 2 has no text"),
        ([["x", "y"], ["x", "a\0b"]], [0, 1], {}, "option 2 holds a NUL character"),
        (["x,y", "x,y"], [0, 1], {}, "'x,y' is no list of options; where each has a column of its own, name them all"),
        (TWO, [0, 2], {}, "column 'label': label 2, there are 2 options: labels are 0 to 1 or 1 to 2"),
        (TWO, [-1, 1], {}, "label -1, there are 2 options"),
        (TWO, [1, 1], {}, "labels: they are 1 of 2 options and may count from 0 or from 1"),
        (TWO, ["A", "B"], {}, "label 'A', the label of a multiple choice is the number of the right option; where"),
        (TWO, ["A", "C"], {"label_names": ["A", "B"]}, "label 'C' is none of the 2 options, allowed: A, B"),
        (TWO, ["A", "B"], {"label_names": ["A", "B", "C"]}, "label_names: 3 names, every row has 2 options"),
    ],
)
def test_faults_of_options(tmp_path: Path, lists: list[Any], labels: list[Any], more: Any, expected: str) -> None:
    assert expected in fault(tmp_path, options_of(lists, labels), {"options": "choices"}, "multiple_choice", **more)


def test_an_options_column_that_is_not_there_is_named(tmp_path: Path) -> None:
    rows = {"text": SENTENCES, "option1": ["cup"] * 12, "option2": ["shelf"] * 12, "label": ANSWERS}
    said = fault(tmp_path, rows, {"options": ["option1", "option3"]}, "multiple_choice")
    assert "no column 'option3' (columns.options), did you mean 'option" in said


def test_noise_moves_the_answer_to_another_option(tmp_path: Path) -> None:
    rows = {"text": SENTENCES, "option1": ["cup"] * 12, "option2": ["shelf"] * 12, "label": ANSWERS}
    columns = {"options": ["option1", "option2"]}
    examples, _ = build(tmp_path, rows, columns, "multiple_choice", noise={"rate": 0.5})
    assert examples["is_noisy"].sum() == 6 and set(examples["label"]) <= {0, 1}


def test_options_are_part_of_what_a_duplicate_is(tmp_path: Path) -> None:
    rows = {"text": ["same"] * 3, "choices": [["x", "y"], ["x", "z"], ["x", "y"]], "label": [0, 1, 0]}
    _, card = build(tmp_path, rows, {"options": "choices"}, "multiple_choice")
    assert card["duplicates"]["repeated"] == 1


CSV = {"name": "d", "source": "csv", "path": "d.csv"}


@pytest.mark.parametrize(
    ("settings", "expected"),
    [
        ({"task": "regression", "noise": {"rate": 0.1}}, "noise: flips classes, a regression has none"),
        ({"task": "regression", "label_names": ["a", "b"]}, "label_names: the labels of a regression are numbers"),
        ({"task": "regression", "classes": ["a"]}, "classes: a regression has none to choose"),
        (
            {"task": "regression", "metric": "accuracy"},
            "metric: 'accuracy' is none of regression, allowed: pearson, sp",
        ),
        ({"metric": "pearson"}, "metric: 'pearson' is none of classification, allowed: accuracy"),
        ({"task": "multiple_choice"}, "task: multiple_choice needs columns.options"),
        ({"columns": {"text": "text", "options": "o"}}, "columns.options: only task: multiple_choice has options"),
        (
            {"task": "multiple_choice", "columns": {"image": "image", "options": "o"}},
            "task: multiple_choice is about texts",
        ),
        ({"task": "regression", "source": "imagefolder"}, "the folders of an imagefolder are classes"),
        ({"path": ""}, "at least 1 character"),
        ({"label_names": []}, "at least 2 items"),
    ],
)
def test_what_a_task_has_no_use_for_is_refused(settings: dict[str, Any], expected: str) -> None:
    with pytest.raises(ValidationError, match=expected.replace("(", r"\(")):
        Dataset.model_validate(CSV | {"columns": {"text": "text"}} | settings)
