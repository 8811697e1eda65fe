"""The pool: rows without a label, given or carved, which models predict on and never learn from."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from datassay.config import Dataset
from datassay.data import prepare
from datassay.data.images import encode_png
from datassay.errors import DatassayError

ROWS = [(f"text {n}", "ab"[n % 2] if n < 8 else "", "test" if n in (6, 7) else "train") for n in range(12)]


def build(folder: Path, rows: list[tuple[str, ...]] = ROWS, **more: object) -> tuple[pd.DataFrame, dict]:
    header = "text,label,split" + (",true" if len(rows[0]) == 4 else "")
    (folder / "d.csv").write_text("\n".join([header, *map(",".join, rows)]) + "\n")
    columns = {"text": "text", "split": "split"} | ({"true_label": "true"} if len(rows[0]) == 4 else {})
    settings = {"name": "d", "source": "csv", "path": "d.csv", "columns": columns, "split": NO_SHARES} | more
    return prepare(Dataset.model_validate(settings), folder)


NO_SHARES = {"validation": 0.0, "valuation": 0.0, "test": 0.0}


def test_rows_without_a_label_are_an_error_or_the_pool(tmp_path: Path) -> None:
    with pytest.raises(DatassayError, match=r"no label \(4 such rows\).*missing_labels: pool"):
        build(tmp_path)
    examples, card = build(tmp_path, missing_labels="pool")
    assert examples["split"].tolist() == ["train"] * 6 + ["test"] * 2 + ["pool"] * 4
    assert examples["label"].tolist() == [0, 1] * 4 + [-1] * 4
    assert card["counts"]["pool"] == {"n": 4, "classes": {"a": 0, "b": 0}}


def test_a_test_row_without_a_label_stays_an_error(tmp_path: Path) -> None:
    with pytest.raises(DatassayError, match=r"d.csv:14.*no label"):
        build(tmp_path, [*ROWS, ("last", "", "test")], missing_labels="pool")


def test_true_labels_of_the_pool_are_kept_and_never_given(tmp_path: Path) -> None:
    rows = [(*row, "ab"[n % 2]) for n, row in enumerate(ROWS)]
    for evaluate_on in ("label", "true_label"):
        examples, _ = build(tmp_path, rows, missing_labels="pool", evaluate_on=evaluate_on)
        pool = examples[examples["split"] == "pool"]
        assert (pool["label"] == -1).all() and pool["true_label"].tolist() == [0, 1, 0, 1]
        assert not examples["is_noisy"].any(), "a label that is not there is not wrong"


def test_a_class_that_only_the_pool_may_hold_stays(tmp_path: Path) -> None:
    _, card = build(tmp_path, missing_labels="pool", label_names=["a", "b", "c"])
    assert card["label_names"] == ["a", "b", "c"]
    tested = [*ROWS, ("text of a class without train rows", "c", "test")]
    _, card = build(tmp_path, tested, missing_labels="pool")
    assert card["label_names"] == ["a", "b", "c"] and card["notes"][0] == "Fewer than two train rows: c."
    with pytest.raises(DatassayError, match=r"label 'c' \(test\) has no train row"):
        build(tmp_path, [row for row in tested if row[1]])
    labelled = [row for row in ROWS if row[1]]
    assert build(tmp_path, labelled, label_names=["a", "b", "c"])[1]["label_names"] == ["a", "b"]


@pytest.mark.parametrize("rate", [0.0, 0.25])
def test_a_carved_pool_hides_its_labels(tmp_path: Path, rate: float) -> None:
    rows = [(f"text {n}", "abc"[n % 3], "train") for n in range(60)]
    shares = {"validation": 0.1, "valuation": 0.0, "test": 0.2, "pool": 0.5}
    plain, _ = build(tmp_path, rows, split=shares | {"pool": 0.0}, noise={"rate": rate})
    examples, card = build(tmp_path, rows, split=shares, noise={"rate": rate})
    pool = (examples["split"] == "pool").to_numpy()
    assert pool.sum() == 30 and card["counts"]["pool"]["n"] == 30
    assert (examples["label"][pool] == -1).all()
    np.testing.assert_array_equal(examples["true_label"][pool], (np.arange(60) % 3)[pool])
    others = examples["true_label"][~pool]
    assert (others == (np.arange(60) % 3)[~pool]).all() if rate else (others == -1).all()
    kept = examples["split"].isin(["validation", "test"])
    assert (plain.loc[kept, "split"] == examples.loc[kept, "split"]).all(), "the other splits stay as they were"
    assert not examples["is_noisy"][pool].any()


def test_numbers_hide_as_nan(tmp_path: Path) -> None:
    rows = [(f"text {n}", str(n / 4), "train") for n in range(40)]
    examples, card = build(tmp_path, rows, task="regression", split=NO_SHARES | {"pool": 0.5})
    pool = examples["split"] == "pool"
    assert examples["label"][pool].isna().all() and examples["true_label"][pool].notna().all()
    assert card["counts"]["pool"] == {"n": 20, "labels": {"n": 0}}


def images(folder: Path, *names: str) -> None:
    for number, name in enumerate(names):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(encode_png(np.full((4, 4), number, dtype=np.uint8)))


def test_images_right_inside_the_pool_have_no_label(tmp_path: Path) -> None:
    images(tmp_path / "all", "train/x/1.png", "train/y/1.png", "pool/3.png", "pool/4.png")
    whole = {"name": "d", "source": "imagefolder", "path": "all", "split": NO_SHARES}
    examples, _ = prepare(Dataset.model_validate(whole), tmp_path)
    assert examples["example_id"].tolist() == ["pool/3.png", "pool/4.png", "train/x/1.png", "train/y/1.png"]
    assert examples["label"].tolist() == [-1, -1, 0, 1]
    parts = whole | {"path": {"train": "all/train", "pool": "all/pool"}}
    examples, _ = prepare(Dataset.model_validate(parts), tmp_path)
    assert examples["split"].tolist() == ["train", "train", "pool", "pool"]
    images(tmp_path / "flat", "1.png")
    with pytest.raises(DatassayError, match="no class folder"):
        prepare(Dataset.model_validate(whole | {"path": "flat"}), tmp_path)
