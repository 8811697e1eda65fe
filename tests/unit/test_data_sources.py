"""Every source gives the same rows, exactly as written; every bad input is refused in one line with its place."""

import json
import shutil
import socket
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from datassay import storage
from datassay.config import Dataset
from datassay.data import prepare
from datassay.data.images import encode_png
from datassay.errors import DatassayError
from datassay.randomness import generator

TEXTS = [
    "plain", 'with "quotes", commas', "two\nlines", "two\r\nlines", "emoji \U0001f642 é", "עברית",
    "NA", "007", "x" * 1_000_000, "tab\tinside", " blanks ", "'=1+1",
]  # fmt: skip
LABELS = ["ham", "spam"] * 6
COLUMNS = {"text": "text", "label": "label"}
NO_SHARES = {"validation": 0, "valuation": 0, "test": 0}


def build(root: Path, source: str, path: Any, columns: dict[str, str] | None = None, **more: Any) -> Any:
    more.setdefault("split", NO_SHARES)
    settings = {"name": "d", "source": source, "path": path, "columns": columns or COLUMNS, **more}
    return prepare(Dataset.model_validate(settings), root)


def quoted(value: str) -> str:
    return '"' + value.replace('"', '""') + '"'


def write_delimited(path: Path, delimiter: str, end: str, prefix: bytes = b"") -> None:
    rows = [["label", "text"], *zip(LABELS, TEXTS, strict=True)]
    content = end.join(delimiter.join(map(quoted, row)) for row in rows)
    path.write_bytes(prefix + content.encode())


@pytest.mark.parametrize("end", ["\n", "\r\n"])
@pytest.mark.parametrize("prefix", [b"", b"\xef\xbb\xbf"])
@pytest.mark.parametrize(("kind", "delimiter"), [("csv", ","), ("tsv", "\t")])
def test_delimited(tmp_path: Path, kind: str, delimiter: str, prefix: bytes, end: str) -> None:
    write_delimited(tmp_path / "d", delimiter, end, prefix)
    examples, card = build(tmp_path, kind, "d")
    assert examples["text"].tolist() == TEXTS
    assert examples["label"].tolist() == [0, 1] * 6 and card["label_names"] == ["ham", "spam"]
    assert card["characters"]["text"]["max"] == 1_000_000


def test_jsonl_and_parquet_hold_the_same(tmp_path: Path) -> None:
    table = pd.DataFrame({"text": TEXTS, "label": LABELS})
    table.to_parquet(tmp_path / "d.parquet")
    lines = [json.dumps(row) for row in table.to_dict("records")]
    (tmp_path / "d.jsonl").write_text("\ufeff" + "\n\n".join(lines) + "\r\n", encoding="utf-8")
    first, card = build(tmp_path, "jsonl", "d.jsonl")
    second, other_card = build(tmp_path, "parquet", "d.parquet")
    assert first["text"].tolist() == second["text"].tolist() == TEXTS
    assert card["counts"] == other_card["counts"]
    assert first["example_id"].tolist()[:2] == ["d-1", "d-3"] and second["example_id"].tolist()[:2] == ["d-0", "d-1"]


def test_result_is_whole_and_survives_the_disk(tmp_path: Path) -> None:
    pd.DataFrame({"text": TEXTS * 5, "label": LABELS * 5}).to_parquet(tmp_path / "d.parquet")
    examples, card = build(tmp_path, "parquet", "d.parquet", split={}, noise={"rate": 0.2, "seed": 1})
    columns = ["example_id", "split", "label", "true_label", "is_noisy", "is_probe", "text"]
    assert list(examples.columns) == columns
    assert examples["split"].value_counts().to_dict() == {"train": 36, "test": 12, "validation": 6, "valuation": 6}
    assert examples["is_noisy"].sum() == card["noise"]["n_noisy"] == round(0.2 * 36)
    assert (examples.loc[examples["is_noisy"], "split"] == "train").all()
    assert ((examples["label"] != examples["true_label"]) == examples["is_noisy"]).all()
    assert sum(count["n"] for count in card["counts"].values()) == card["n"] == 60
    assert sum(sum(count["classes"].values()) for count in card["counts"].values()) == 60
    assert card["duplicates"]["repeated"] == 48 and any("Leakage" in note for note in card["notes"])
    tested = set(examples.loc[examples["split"] == "test", "text"])
    leaked = sum(text in tested for text in examples.loc[examples["split"] == "train", "text"])
    assert 0 < card["duplicates"]["train_in_test"] == leaked <= 36
    storage.save_table(tmp_path / "examples.parquet", examples)
    storage.save_json(tmp_path / "card.json", card)
    pd.testing.assert_frame_equal(storage.load_table(tmp_path / "examples.parquet"), examples)
    again, same = build(tmp_path, "parquet", "d.parquet", split={}, noise={"rate": 0.2, "seed": 1})
    assert same == card and again.equals(examples)
    _, other = build(tmp_path, "parquet", "d.parquet", split={}, noise={"rate": 0.2, "seed": 2})
    assert other["sha256"] != card["sha256"]


def test_files_per_split_in_fixed_order(tmp_path: Path) -> None:
    for name, texts in (("a", ["t1", "t2", "t3"]), ("b", ["d1", "d2"]), ("c", ["p1", "p2"])):
        labels = ["", "x"] if name == "c" else ["x", "y", "x"][: len(texts)]
        rows = "".join(f"{t},{label}\n" for t, label in zip(texts, labels, strict=True))
        (tmp_path / f"{name}.csv").write_text("text,label\n" + rows)
    examples, card = build(tmp_path, "csv", {"pool": "c.csv", "dev": "b.csv", "train": "a.csv"})
    assert examples["text"].tolist() == ["t1", "t2", "t3", "d1", "d2", "p1", "p2"]
    assert examples["split"].tolist() == ["train"] * 3 + ["validation"] * 2 + ["pool"] * 2
    assert examples["label"].tolist() == [0, 1, 0, 0, 1, -1, 0]
    assert examples["example_id"].tolist()[3] == "dev-2" and card["counts"]["pool"]["n"] == 2


def test_split_column_ids_pairs_and_true_labels(tmp_path: Path) -> None:
    rows = {
        "t": list("abcdef"), "u": list("ghijkl"), "y": [0, 1, 1, 0, 1, 0], "z": [0, 1, 0, 0, None, 0],
        "i": [1.0, 2.0, 3.0, 4.0, 5.0, 6.0], "s": ["Train", "TRAIN", "training", "train", "dev", "test"],
    }  # fmt: skip
    pd.DataFrame(rows).to_parquet(tmp_path / "d.parquet")
    columns = {"text": "t", "text_b": "u", "label": "y", "true_label": "z", "id": "i", "split": "s"}
    examples, card = build(tmp_path, "parquet", "d.parquet", columns, label_names=["no", "yes"])
    assert examples["example_id"].tolist() == list("123456")
    assert examples["split"].tolist() == ["train"] * 4 + ["validation", "test"]
    assert examples["true_label"].tolist() == [0, 1, 0, 0, -1, 0]
    assert examples["is_noisy"].tolist() == [False, False, True, False, False, False]
    assert examples["text_b"].tolist() == list("ghijkl") and card["label_names"] == ["no", "yes"]


@pytest.mark.parametrize(("evaluate_on", "labels"), [("label", [0, 1, 1, 0, 1, 0]), ("true_label", [0, 1, 1, 0, 1, 1])])
def test_true_labels_outside_train_when_asked_for(tmp_path: Path, evaluate_on: str, labels: list[int]) -> None:
    rows = {
        "text": list("abcdef"), "label": [0, 1, 1, 0, 1, 0], "z": [0, 1, 0, 0, None, 1],
        "s": ["train"] * 4 + ["dev", "test"],
    }  # fmt: skip
    pd.DataFrame(rows).to_parquet(tmp_path / "d.parquet")
    columns = {"text": "text", "true_label": "z", "split": "s"}
    examples, _ = build(tmp_path, "parquet", "d.parquet", columns, evaluate_on=evaluate_on)
    assert examples["label"].tolist() == labels
    assert examples["is_noisy"].tolist() == [False, False, True, False, False, evaluate_on == "label"]


def test_huge_whole_numbers_stay_exact(tmp_path: Path) -> None:
    rows = [{"text": "a", "label": 0, "id": 2**60}, {"text": "b", "label": 1, "id": 2**60 + 1}]
    rows.append({"text": "c", "label": 1, "id": 10**40})
    (tmp_path / "d.jsonl").write_text("\n".join(map(json.dumps, rows)))
    examples, _ = build(tmp_path, "jsonl", "d.jsonl", {**COLUMNS, "id": "id"})
    assert examples["example_id"].tolist() == [str(2**60), str(2**60 + 1), str(10**40)]


GOOD = ["text,label,id,split", "one,a,1,train", "two,b,2,train", "three,a,3,test"]
ALL = {"text": "text", "label": "label", "id": "id", "split": "split"}


def changed(line: int, text: str) -> bytes:
    return "\n".join(text if n == line else old for n, old in enumerate(GOOD, start=1)).encode()


CSV_FAULTS: dict[str, tuple[bytes, str]] = {
    "latin-1": (changed(3, "zw#i,b,2,train").replace(b"#", b"\xf6"), r"d:3: byte 0xF6 at offset 36 is not UTF-8"),
    "latin-1 after a byte order mark": (b"\xef\xbb\xbftext,label\n\xe4", r"d:2: byte 0xE4 at offset 14 is not UTF-8"),
    "short row": (changed(3, "two,b"), "d:3: 2 fields, the header has 4"),
    "long row": (changed(3, "two,b,2,train,more"), "d:3: 5 fields, the header has 4"),
    "open quote": (changed(3, '"two,b,2,train'), "d:3: .*quote"),
    "stray quote": (changed(3, '"tw"o,b,2,train'), "d:3: .*quote"),
    "misspelt header": (changed(1, "txt,label,id,split"), r"d: no column 'text' \(columns.text\), did you mean 'txt'"),
    "no such header": (changed(1, "x,label,id,split"), "no column 'text' .*allowed: id, label, split, x"),
    "header twice": (b"text,label,id,split,text\n", "d:1: two columns are named 'text'"),
    "semicolons": (b"text;label;id;split\na;b;1;train", "no column 'text'.*never by ';'"),
    "empty file": (b"", "^d: the file is empty"),
    "no rows": (GOOD[0].encode(), "d: no rows"),
    "no text": (changed(3, ",b,2,train"), r"d:3: column 'text': no text \(1 such row\)"),
    "blank text": (changed(3, '" ",b,2,train') + b"\n ,b,5,train", r"d:3: column 'text': no text \(2 such rows\)"),
    "NUL": (changed(3, "tw\0o,b,2,train"), r"d:3: column 'text': 'tw\\x00o' holds a NUL"),
    "no label": (changed(3, "two,,2,train"), r"d:3: column 'label': no label .*split named 'pool'"),
    "one class": (changed(3, "two,a,2,train"), r"at least 2 classes with rows, found 1 \(a\)"),
    "unseen in train": (changed(4, "three,c,3,test"), r"d:4: column 'label': label 'c' \(test\) has no train row"),
    "unknown split": (changed(4, "three,a,3,tset"), "d:4: column 'split': split 'tset', did you mean 'test'"),
    "no split": (changed(4, "three,a,3,"), "d:4: column 'split': no split, allowed: dev, .*train"),
    "no train": ("\n".join(GOOD).replace("train", "val").encode(), "no train rows"),
    "same id": (changed(4, "three,a,1,test"), "d:4: column 'id': id '1' is also that of d:2"),
    "no id": (changed(4, "three,a,,test"), "d:4: column 'id': no id"),
    "control in id": (changed(4, 'three,a,"3\n4",test'), r"d:4: column 'id': id '3\\n4' holds a control character"),
}


@pytest.mark.parametrize("fault", CSV_FAULTS)
def test_bad_csv(tmp_path: Path, fault: str) -> None:
    content, message = CSV_FAULTS[fault]
    (tmp_path / "d").write_bytes(content)
    with pytest.raises(DatassayError, match=message) as caught:
        build(tmp_path, "csv", "d", ALL)
    assert "\n" not in str(caught.value) and str(tmp_path) not in str(caught.value)
    assert [path.name for path in tmp_path.iterdir()] == ["d"]


def test_the_good_csv_is_good(tmp_path: Path) -> None:
    (tmp_path / "d").write_bytes(changed(0, ""))
    assert len(build(tmp_path, "csv", "d", ALL)[0]) == 3


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ('{"text": "a", "label": ', "d:2: not valid JSON"),
        ('["a", "b"]', "d:2: found list, each line is one JSON object"),
        ("[" * 100_000, "d:2: not valid JSON"),
        ('{"text": 3, "label": "x"}', "d:2: column 'text': 3 is no text"),
        ('{"text": null, "label": "x"}', "d:2: column 'text': no text"),
        ('{"label": "x"}', "d:2: column 'text': no text"),
        ('{"text": "a\\ud800", "label": "x"}', r"d:2: column 'text': 'a\\ud800' holds half a surrogate pair"),
        ('{"text": "a", "label": NaN}', "d:2: column 'label': no label"),
        ('{"text": "a", "label": "x\\udfff"}', "d:2: column 'label': .*control character"),
        ('{"text": "a", "label": 1}', "d:2: column 'label': label 1, others are like 'x'"),
        ('{"text": "a", "label": "x", "id": true}', "d:2: column 'id': id True, allowed: text or a whole number"),
        ('{"text": "a", "label": "x", "id": 1.5}', "d:2: column 'id': id 1.5, allowed"),
        ('{"text": "a", "label": "x", "id": 1e300}', "d:2: column 'id': id 1e.300 is too large to be exact"),
        ('{"text": "a", "label": "x", "id": 7}', "d:2: column 'id': id '7' is also that of d:1"),
    ],
)
def test_bad_jsonl(tmp_path: Path, line: str, message: str) -> None:
    first = '{"text": "b", "label": "x", "id": "7"}'
    (tmp_path / "d").write_text(f"{first}\n{line}\n", encoding="utf-8")
    columns = {**COLUMNS, "id": "id"} if '"id"' in line else COLUMNS
    with pytest.raises(DatassayError, match=message) as caught:
        build(tmp_path, "jsonl", "d", columns)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("source", ["csv", "jsonl", "parquet", "imagefolder"])
def test_absent_file(tmp_path: Path, source: str) -> None:
    with pytest.raises(DatassayError, match=r"^gone: .*(No such|no such)"):
        build(tmp_path, source, "gone")


def test_damaged_parquet(tmp_path: Path) -> None:
    pd.DataFrame({"text": ["a", "b"], "label": [0, 1]}).to_parquet(tmp_path / "d")
    whole = (tmp_path / "d").read_bytes()
    for size in (0, 1, len(whole) // 2, len(whole) - 1):
        (tmp_path / "d").write_bytes(whole[:size])
        with pytest.raises(DatassayError, match=r"^d: not a readable parquet") as caught:
            build(tmp_path, "parquet", "d")
        assert "\n" not in str(caught.value)
    (tmp_path / "d").write_bytes(whole)
    with pytest.raises(DatassayError, match=r"d: no column 'lable' \(columns.label\), did you mean 'label'"):
        build(tmp_path, "parquet", "d", {"text": "text", "label": "lable"})


def test_splits_named_twice(tmp_path: Path) -> None:
    (tmp_path / "d").write_text("\n".join(GOOD))
    with pytest.raises(DatassayError, match="named by the files of path already"):
        build(tmp_path, "csv", {"train": "d"}, ALL)
    with pytest.raises(DatassayError, match="path: 'trian' is no split, did you mean 'train'"):
        build(tmp_path, "csv", {"trian": "d"})


def test_class_of_one_is_noted(tmp_path: Path) -> None:
    pd.DataFrame({"text": list("abcd"), "label": list("xxxy")}).to_parquet(tmp_path / "d")
    _, card = build(tmp_path, "parquet", "d")
    assert card["notes"] == ["Fewer than two train rows: y.", "Fewer than 3 labelled rows in all: y (1)."]


ODD = ["Account", "account", "account ", "NA", "n/a", "None", "null", "nan", "rare"]


def odd_notes(tmp_path: Path, **more: Any) -> list[str]:
    labels = [name for name in ODD for _ in range(2 if name == "rare" else 3)]
    rows = {"text": [f"t{n}" for n in range(len(labels))], "label": labels}
    pd.DataFrame(rows).to_parquet(tmp_path / "d")
    return build(tmp_path, "parquet", "d", **more)[1]["notes"]


def test_odd_classes_are_noted(tmp_path: Path) -> None:
    notes = odd_notes(tmp_path)
    assert notes[0] == "Fewer than 3 labelled rows in all: rare (2)."
    assert notes[1].startswith("Classes 'Account' and 'account' and 'account ' differ in case or blanks only")
    named = [note.split("'")[1] for note in notes[2:] if "looks like a missing label" in note]
    assert named == ["NA", "None", "n/a", "nan", "null"] and len(notes) == 7


def test_classes_that_the_config_lists_are_meant(tmp_path: Path) -> None:
    assert odd_notes(tmp_path, label_names=ODD) == ["Fewer than 3 labelled rows in all: rare (2)."]


def test_a_blank_cell_is_a_missing_label(tmp_path: Path) -> None:
    (tmp_path / "d").write_text("text,label\na,x\nb,  \nc,y\nd,\n")
    examples, card = build(tmp_path, "csv", "d", missing_labels="pool")
    assert examples["label"].tolist() == [0, -1, 1, -1] and card["label_names"] == ["x", "y"]
    with pytest.raises(DatassayError, match=r"d:3: column 'label': no label \(2 such rows\)"):
        build(tmp_path, "csv", "d")


def warned(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [record.getMessage() for record in caplog.records if record.levelname == "WARNING"]


def test_notes_and_duplicates_are_logged(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    rows = ["one,a,train", "two,b,train", "three,a,train", "four,b,train", "one,a,test", "five,a,train", "six,b,train"]
    (tmp_path / "d").write_text("text,label,split\n" + "\n".join(rows))
    columns = {**COLUMNS, "split": "split"}
    _, card = build(tmp_path, "csv", "d", columns)
    assert card["notes"] == ["Leakage: 1 train example is also in test, word for word."]
    assert warned(caplog) == [f"d: {card['notes'][0]}", "d: Duplicates: 1 row repeats an earlier one."]
    caplog.clear()
    (tmp_path / "d").write_text("text,label,split\n" + "\n".join([*rows, "two,a,train", "four,a,train"]))
    build(tmp_path, "csv", "d", columns, noise={"rate": 0.0})
    assert warned(caplog)[1] == "d: Duplicates: 3 rows repeat an earlier one, 2 contents have several labels."
    caplog.clear()
    build(tmp_path, "csv", "d", columns, noise={"rate": 0.2})
    assert warned(caplog)[-1].endswith("several labels (injected noise included).")


def test_clean_data_warn_of_nothing(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    pd.DataFrame({"text": list("abcdef"), "label": [0, 1] * 3}).to_parquet(tmp_path / "d")
    build(tmp_path, "parquet", "d")
    assert warned(caplog) == []


def test_all_equal_ids_are_listed_at_once(tmp_path: Path) -> None:
    ids = [1, 2, 1, 2, 2, *range(3, 12)]
    pd.DataFrame({"text": "t", "label": "a", "id": ids}).to_csv(tmp_path / "d", index=False)
    with pytest.raises(DatassayError) as caught:
        build(tmp_path, "csv", "d", {**COLUMNS, "id": "id"})
    lines = str(caught.value).splitlines()
    assert [line.partition(":")[2].partition(":")[0] for line in lines] == ["4", "5", "6"]
    assert lines[2] == "d:6: column 'id': id '2' is also that of d:3, ids have to be unique"
    pd.DataFrame({"text": "t", "label": "a", "id": [7] * 14}).to_csv(tmp_path / "d", index=False)
    with pytest.raises(DatassayError) as caught:
        build(tmp_path, "csv", "d", {**COLUMNS, "id": "id"})
    assert len(str(caught.value).splitlines()) == 11 and str(caught.value).endswith("\nand 3 more")


def test_all_broken_images_are_listed_at_once(tmp_path: Path) -> None:
    image_folder(tmp_path / "d", [f"{name}/{n}.png" for name in ("cat", "dog") for n in range(4)])
    whole = (tmp_path / "d/cat/0.png").read_bytes()
    (tmp_path / "d/cat/1.png").write_bytes(whole[:-20])
    (tmp_path / "d/dog/3.png").write_bytes(b"text")
    with pytest.raises(DatassayError) as caught:
        build(tmp_path, "imagefolder", "d")
    first, second = str(caught.value).splitlines()
    assert first.startswith("d/cat/1.png: damaged image (") and second.startswith("d/dog/3.png: not an image, allowed")
    assert first.endswith("remove or replace it") and second.endswith("remove or replace it")


@pytest.fixture
def hub_folder(tmp_path: Path) -> Path:
    """A data set laid out as on the hub, with two subsets and a hidden test split."""
    folder = tmp_path / "hub"
    (folder / "data").mkdir(parents=True)
    (folder / "other").mkdir()
    rows = {"sentence": [f"text {n}" for n in range(20)], "label": [0, 1] * 10}
    pd.DataFrame(rows).to_parquet(folder / "data/train-00000-of-00001.parquet")
    pd.DataFrame({"sentence": ["v1", "v2"], "label": [1, 0]}).to_parquet(
        folder / "data/validation-00000-of-00001.parquet"
    )
    pd.DataFrame({"sentence": ["h1"], "label": [-1]}).to_parquet(folder / "data/test-00000-of-00001.parquet")
    pd.DataFrame({"sentence": ["o1", "o2"], "label": [1, 0]}).to_parquet(folder / "other/train-00000-of-00001.parquet")
    features = "  features:\n  - {name: sentence, dtype: string}\n  - name: label\n    dtype:\n      class_label:\n"
    names = "        names: {'0': negative, '1': positive}\n"
    configs = "configs:\n- config_name: main\n  default: true\n  data_files:\n"
    configs += "".join(f"  - {{split: {s}, path: data/{s}-*}}\n" for s in ("train", "validation", "test"))
    configs += "- config_name: second\n  data_files:\n  - {split: train, path: other/train-*}\n"
    info = f"dataset_info:\n- config_name: main\n{features}{names}"
    (folder / "README.md").write_text(f"---\n{configs}{info}---\n# A set\n")
    return folder


def test_hub_layout_folder(tmp_path: Path, hub_folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(socket.socket, "connect", lambda *_: pytest.fail("the network was asked"))
    columns = {"text": "sentence", "label": "label"}
    examples, card = build(tmp_path, "hub", "hub", columns, split={})
    assert card["label_names"] == ["negative", "positive"]
    assert card["counts"]["validation"] == {"n": 2, "classes": {"negative": 1, "positive": 1}}
    assert card["counts"]["test"]["n"] == 4 and card["counts"]["train"]["n"] == 14
    assert any("Split 'test' of the hub hides its labels, its 1 row was left out." in note for note in card["notes"])
    assert examples["example_id"].tolist()[0] == "train-0" and examples["text"].tolist()[-1] == "v2"
    second, _ = build(tmp_path, "hub", "hub", columns, subset="second")
    assert second["text"].tolist() == ["o1", "o2"]
    with pytest.raises(DatassayError, match=r"^hub \(subset 'secnd'\): .*second") as caught:
        build(tmp_path, "hub", "hub", columns, subset="secnd")
    assert "\n" not in str(caught.value)
    with pytest.raises(DatassayError, match=r"hub \(train\): no column 'text' \(columns.text\), allowed: label, sent"):
        build(tmp_path, "hub", "hub")


def test_saved_to_disk(tmp_path: Path) -> None:
    import datasets

    pixels = generator(0).integers(0, 256, (4, 6, 6, 3)).astype(np.uint8)
    features = datasets.Features({"img": datasets.Image(), "y": datasets.ClassLabel(names=["cat", "dog"])})
    data = datasets.Dataset.from_dict({"img": list(pixels), "y": [0, 1, 1, 0]}, features=features)
    datasets.DatasetDict({"train": data, "extra": data}).save_to_disk(str(tmp_path / "disk"))
    examples, card = build(tmp_path, "hub", "disk", {"image": "img", "label": "y"})
    assert card["label_names"] == ["cat", "dog"] and examples["label"].tolist() == [0, 1, 1, 0]
    assert any("'extra'" in note for note in card["notes"])
    assert card["pixels"]["width"]["max"] == 6 and card["formats"] == {"PNG": 4}
    data.to_parquet(tmp_path / "d.parquet")
    same, other_card = build(tmp_path, "parquet", "d.parquet", {"image": "img", "label": "y"})
    assert other_card["label_names"] == ["cat", "dog"]
    assert [i["bytes"] for i in same["image"]] == [i["bytes"] for i in examples["image"]]


def test_hub_without_network(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import datasets

    def unreachable(*_: object, **__: object) -> None:
        raise ConnectionError("Couldn't reach 'someone/something' on the Hub\nlong story")

    monkeypatch.setattr(datasets, "load_dataset", unreachable)
    with pytest.raises(DatassayError) as caught:
        build(tmp_path, "hub", "someone/something", subset="s", revision="abc")
    message = str(caught.value)
    assert "\n" not in message
    for part in ("someone/something (subset 's', revision 'abc')", "--local-dir", "path: FOLDER"):
        assert part in message


def test_offline_cache(tmp_path: Path, hub_folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What the hub's cache holds is loaded by name without network."""
    import datasets
    import huggingface_hub

    cache = tmp_path / "cache"
    datasets.load_dataset(str(hub_folder), name="second", cache_dir=str(cache))
    built = next((cache / "hub").glob("second*/*/*/hub-train.arrow")).parent
    target = cache / "someone___something/second/0.0.0" / ("a" * 40)
    shutil.copytree(built, target)
    (target / "hub-train.arrow").rename(target / "something-train.arrow")
    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", cache)
    monkeypatch.setattr(datasets.config, "HF_HUB_OFFLINE", True)
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", True)
    monkeypatch.setattr(socket.socket, "connect", lambda *_: pytest.fail("the network was asked"))
    columns = {"text": "sentence", "label": "label"}
    for revision in (None, "a" * 40):
        examples, _ = build(tmp_path, "hub", "someone/something", columns, subset="second", revision=revision)
        assert examples["text"].tolist() == ["o1", "o2"]
    with pytest.raises(DatassayError, match=r"hub data set someone/other .*cannot be loaded"):
        build(tmp_path, "hub", "someone/other", columns)


def test_array_columns(tmp_path: Path) -> None:
    pixels = generator(3).integers(0, 256, (6, 5, 4, 3)).astype(np.uint8)
    table = pd.DataFrame({"pixels": [image.tolist() for image in pixels], "label": [0, 1] * 3})
    table.to_parquet(tmp_path / "d.parquet")
    (tmp_path / "d.jsonl").write_text("\n".join(json.dumps(row) for row in table.to_dict("records")))
    for kind in ("parquet", "jsonl"):
        examples, _ = build(tmp_path, kind, f"d.{kind}", {"image": "pixels", "label": "label"})
        assert [image["bytes"] for image in examples["image"]] == [encode_png(image) for image in pixels]


def image_folder(root: Path, names: list[str]) -> None:
    for n, name in enumerate(names):
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(encode_png(np.full((4, 5), n, dtype=np.uint8)))


def test_imagefolder(tmp_path: Path) -> None:
    image_folder(tmp_path / "plain", ["cat/a.png", "cat/b.PNG", "train/a.png", "train/b.png"])
    (tmp_path / "plain/cat/notes.txt").write_text("no image")
    (tmp_path / "plain/cat/.DS_Store").write_text("hidden")
    examples, card = build(tmp_path, "imagefolder", "plain")
    assert examples["example_id"].tolist() == ["cat/a.png", "cat/b.PNG", "train/a.png", "train/b.png"]
    assert card["label_names"] == ["cat", "train"] and card["notes"][0] == "1 file that is no image was left out."
    image_folder(tmp_path / "split", [f"{s}/{c}/{n}.png" for s in ("train", "Val") for c in "xy" for n in "12"])
    examples, card = build(tmp_path, "imagefolder", "split")
    assert card["counts"]["train"]["n"] == card["counts"]["validation"]["n"] == 4 and card["label_names"] == ["x", "y"]
    both, _ = build(tmp_path, "imagefolder", {"train": "split/train", "test": "split/Val"})
    assert both["example_id"].tolist()[-1] == "test/y/2.png" and both["split"].tolist()[-1] == "test"


def test_bad_imagefolders(tmp_path: Path) -> None:
    (tmp_path / "a/cat").mkdir(parents=True)
    (tmp_path / "b").mkdir()
    image_folder(tmp_path / "c", ["cat/1.png", "dog/2.png"])
    image_folder(tmp_path / "d", ["train/cat/1.png", "other/1.png"])
    image_folder(tmp_path / "d", ["other/sub/1.png"])
    (tmp_path / "c/dog/2.png").write_bytes(b"\x89PNG but not really")
    for folder, message in (
        ("a", "^a: no image in cat"),
        ("b", "^b: no class folder"),
        ("d", "^d: no image in train"),
        ("c", "^c/dog/2.png: not an image, allowed: PNG, JPEG"),
    ):
        with pytest.raises(DatassayError, match=message):
            build(tmp_path, "imagefolder", folder)


def test_image_paths_stay_beside_the_data(tmp_path: Path) -> None:
    image_folder(tmp_path, ["out.png", "data/pics/1.png", "data/2.png"])
    columns = {"image": "file", "label": "label"}
    (tmp_path / "data/d.csv").write_text("file,label\npics/1.png,a\n2.png,b\n")
    examples, _ = build(tmp_path, "csv", "data/d.csv", columns)
    assert [image["path"] for image in examples["image"]] == ["pics/1.png", "2.png"]
    (tmp_path / "data/link.png").symlink_to(tmp_path / "out.png")
    for name, message in (
        ("../out.png", "leaves the folder"),
        (str(tmp_path / "out.png"), "leaves the folder"),
        ("link.png", "leaves the folder"),
        ("pics/9.png", "no readable image 'pics/9.png'"),
        ("pics", "no readable image 'pics'"),
        ("", "no image"),
        ("d.csv", "'d.csv': not an image"),
    ):
        (tmp_path / "data/d.csv").write_text(f"file,label\n2.png,b\n{name},a\n")
        with pytest.raises(DatassayError, match=rf"^data/d.csv:3: column 'file'.*{message}") as caught:
            build(tmp_path, "csv", "data/d.csv", columns)
        assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("name", "columns", "classes"),
    [
        ("text/trec.parquet", {"text": "text", "label": "label_name", "id": "id", "split": "split"}, 6),
        ("image/cats_dogs.parquet", {"image": "image", "label": "label_name", "id": "id", "split": "split"}, 2),
    ],
)
def test_real_sets(shared: Path, name: str, columns: dict[str, str], classes: int) -> None:
    examples, card = build(shared / "data", "parquet", name, columns, subsample=300, split={}, noise={"rate": 0.1})
    raw = pd.read_parquet(shared / "data" / name).set_index("id")
    raw.index = raw.index.map(str)
    known = raw.loc[examples["example_id"]]
    assert len(card["label_names"]) == classes and len(examples) == 300
    assert [card["label_names"][code] for code in examples["true_label"]] == known["label_name"].tolist()
    content = examples["text"] if "text" in examples else examples["image"].map(lambda image: image["bytes"])
    assert content.tolist() == known["text" if "text" in examples else "image"].tolist()
    brought = known["split"].isin(["test", "valuation"]).to_numpy()
    assert (examples["split"].to_numpy()[brought] == known["split"].to_numpy()[brought]).all()
