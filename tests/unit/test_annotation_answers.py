"""Answers that came back: every form is read, every fault is named with its place, and nothing less than all is clean."""

import csv
import io
import json
from pathlib import Path

import pytest

from datassay.annotation.answers import Asked, read_answers
from datassay.annotation.rounds import annotator_of, next_round, rounds_of
from datassay.errors import DatassayError

NAMES = ["neg", "pos", "=odd"]
ASKED = Asked({"t-1": "pool", "t-2": "pool", "t-3": "train", "=1+1": "pool", "'=2": "pool", "7": "pool"}, NAMES)
NUMBERS = Asked(ASKED.splits, [])


def read(folder: Path, content: str | bytes, name: str = "round_1.csv", asked: Asked = ASKED) -> list[tuple]:
    """Return (id, annotator, value) of a file with this content."""
    path = folder / name
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    table = read_answers(path, asked, sorted(folder.iterdir()))
    return list(table[["example_id", "annotator", "value"]].itertuples(index=False, name=None))


def faults(folder: Path, content: str | bytes, name: str = "round_1.csv", asked: Asked = ASKED) -> list[str]:
    """Return the faults of a file with this content, without its path."""
    with pytest.raises(DatassayError) as error:
        read(folder, content, name, asked)
    lines = str(error.value).splitlines()
    assert all(line.startswith(f"{folder / name}:") for line in lines), lines
    return [line.removeprefix(f"{folder / name}:") for line in lines]


def as_csv(*rows: tuple[str, ...]) -> str:
    out = io.StringIO()
    csv.writer(out).writerows(rows)
    return out.getvalue()


def test_plain_csv(tmp_path: Path) -> None:
    assert read(tmp_path, "id,label\nt-1,pos\nt-2,neg\n") == [("t-1", "annotator", 1.0), ("t-2", "annotator", 0.0)]
    windows = '﻿text,Label,annotator,id\r\n"a, b",pos, anna ,t-1\r\n\r\nx,neg,,t-2\r\n'
    assert read(tmp_path, windows, "Round 2 eva.csv") == [("t-1", "anna", 1.0), ("t-2", "eva", 0.0)]
    assert read(tmp_path, "id,label\nt-1,3.5\nt-2,-1e1\n", asked=NUMBERS) == [
        ("t-1", "annotator", 3.5),
        ("t-2", "annotator", -10.0),
    ]


def test_ids_and_labels_that_a_spreadsheet_would_run_come_back_as_they_were(tmp_path: Path) -> None:
    assert read(tmp_path, "id,label\n'=1+1,'=odd\n''=2,pos\n") == [
        ("=1+1", "annotator", 2.0),
        ("'=2", "annotator", 1.0),
    ]
    assert read(tmp_path, "id,label\n=1+1,=odd\n'=2,pos\n") == [("=1+1", "annotator", 2.0), ("'=2", "annotator", 1.0)]


def test_what_is_said_twice_counts_once(tmp_path: Path) -> None:
    assert read(tmp_path, "id,label\nt-1,pos\nt-1,pos\n") == [("t-1", "annotator", 1.0)]
    (tmp_path / "round_1_anna.csv").write_text("id,label\nt-1,pos\n")
    assert read(tmp_path, "id,label\nt-1,pos\n", "round_2_anna.csv") == [("t-1", "anna", 1.0)]
    assert read(tmp_path, "id,label\nt-1,neg\n", "round_2_eva.csv") == [("t-1", "eva", 0.0)], "people may disagree"


def test_rows_that_nobody_has_labelled_yet_are_counted_and_left_out(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    half = "id,text,label\nt-1,one,pos\nt-2,two,\n7,three,  \n,,\n"
    with caplog.at_level("INFO", "datassay"):
        assert read(tmp_path, half) == [("t-1", "annotator", 1.0)]
    assert caplog.messages == [f"{tmp_path / 'round_1.csv'}: 1 answers, left out: 3 rows without a label"]
    assert faults(tmp_path, "id,label\nt-1,\nt-2,\n") == [" no answers in it (2 rows without a label), take it away"]
    assert faults(tmp_path, "id,label\nt-1,\n,pos\n") == ["3: no id"], "a label without an id is a fault"


def test_every_fault_of_a_csv_is_named(tmp_path: Path) -> None:
    content = b"id,label\nt-9,pos\nt-1,poss\nt-1\nt-2,\nt-3,neg\n,pos\nt-1,neg\nt-2,p\xe9s\nt-1,pos\nt-2,pos\nt-2,neg\n"
    assert faults(tmp_path, content) == [
        "2: id 't-9' is not in the data set, did you mean 't-3'?",
        "3: label 'poss' is none of the classes, did you mean 'pos'?",
        "4: 1 fields, the header has 2",
        "6: id 't-3' is not in the pool but in train, its label is known",
        "7: no id",
        "9: byte 0xE9 is not UTF-8, save the file as UTF-8",
        "10: label 'pos' of 't-1' by 'annotator', who said 'neg' in line 8: keep one of the two",
        "12: label 'neg' of 't-2' by 'annotator', who said 'pos' in line 11: keep one of the two",
    ]


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (b"", " the file is empty"),
        (b"\n \n", " the file is empty"),
        (b"id,label\n", " no answers in it, take it away"),
        (b"idd,label\nt-1,pos\n", "1: no column 'id', did you mean 'idd'?"),
        (b"id;label\nt-1;pos\n", "1: no column 'id' (fields are separated by commas, not by ';')"),
        (b"id,label,id\nt-1,pos,t-2\n", "1: two columns are named 'id', rename one"),
        ("id,label\nt-1,pos\n".encode("utf-16"), " is UTF-16, save it as UTF-8 (spreadsheets: 'CSV UTF-8')"),
        (b'id,label\nt-1,pos\nt-2,"neg\n', "3: unexpected end of data; a field with a quote is itself quoted"),
        (b"id,label\nt-1,p\x00s\n", "2: label 'p\\x00s' is none of the classes"),
    ],
)
def test_files_that_cannot_be_read(tmp_path: Path, content: bytes, expected: str) -> None:
    assert faults(tmp_path, content)[0].startswith(expected)


def test_numbers_are_finite(tmp_path: Path) -> None:
    found = faults(tmp_path, "id,label\nt-1,nan\nt-2,1e999\n7,three\n", asked=NUMBERS)
    assert found == [f"{n}: label {v!r}, allowed: a finite number" for n, v in ((2, "nan"), (3, "1e999"), (4, "three"))]


def test_people_who_contradict_themselves_in_another_file(tmp_path: Path) -> None:
    (tmp_path / "round_1_anna.csv").write_text("id,label\nt-1,pos\nt-2,pos\n")
    found = faults(tmp_path, "id,label,annotator\nt-1,neg,anna\nt-2,neg,eva\n", "round_2.csv")
    assert found == ["2: label 'neg' of 't-1' by 'anna', who said 'pos' in round_1_anna.csv:2: keep one of the two"]


def test_answers_stay_in_their_folder(tmp_path: Path) -> None:
    inside = tmp_path / "answers"
    inside.mkdir()
    (tmp_path / "secret.csv").write_text("id,label\nt-1,pos\n")
    (inside / "round_1.csv").symlink_to(tmp_path / "secret.csv")
    with pytest.raises(DatassayError, match="is a link that leads out of the folder"):
        read_answers(inside / "round_1.csv", ASKED)
    (inside / "real.csv").write_text("id,label\nt-1,pos\n")
    (inside / "link.csv").symlink_to("real.csv")
    assert len(read_answers(inside / "link.csv", ASKED)) == 1
    (inside / "folder.csv").mkdir()
    for name, fault in (("folder.csv", "is a folder"), ("notes.txt", r"is of the kind '.txt', allowed: .csv, .json")):
        (inside / "notes.txt").write_text("hello")
        with pytest.raises(DatassayError, match=fault):
            read_answers(inside / name, ASKED)


def test_ids_that_look_like_paths_are_just_unknown(tmp_path: Path) -> None:
    assert faults(tmp_path, "id,label\n../../etc/passwd,pos\n") == ["2: id '../../etc/passwd' is not in the data set"]


def full(example: str, *given: object, **more: object) -> dict:
    """A task of Label Studio's JSON export; given: (label, who), or a whole annotation."""
    annotations = [
        a if isinstance(a, dict) else {
            "id": n, "completed_by": a[1], "was_cancelled": False,
            "result": [{"value": {"choices": [a[0]]}, "from_name": "label", "to_name": "text", "type": "choices"}],
        }
        for n, a in enumerate(given)
    ]  # fmt: skip
    return {"id": 5, "data": {"example_id": example, "text": "x"}, "annotations": annotations, "predictions": []} | more


def test_label_studio_json(tmp_path: Path) -> None:
    cancelled = {"completed_by": 1, "was_cancelled": True, "result": []}
    tasks = [
        full("t-1", ("pos", 1), ("neg", {"id": 2, "email": "eva@example.org"})),
        full("t-2", cancelled),
        full("7"),
    ]
    found = [("t-1", "1", 1.0), ("t-1", "eva@example.org", 0.0)]
    assert read(tmp_path, json.dumps(tasks), "round_1.json") == found
    number = {"completed_by": 3, "result": [{"value": {"number": 2.5}, "type": "number"}]}
    assert read(tmp_path, json.dumps([full("t-1", number)]), "round_1.json", NUMBERS) == [("t-1", "3", 2.5)]


def test_label_studio_json_min_and_csv(tmp_path: Path) -> None:
    tasks = [
        {"id": 11, "example_id": "t-1", "text": "x", "label": "pos", "annotator": 1, "lead_time": 3.1},
        {"id": 11, "example_id": "t-1", "text": "x", "label": {"choices": ["neg"]}, "annotator": 2},
    ]
    assert read(tmp_path, json.dumps(tasks), "round_1.json") == [("t-1", "1", 1.0), ("t-1", "2", 0.0)]
    table = as_csv(("annotator", "example_id", "id", "label"), ("1", "t-1", "11", "pos"))
    assert read(tmp_path, table) == [("t-1", "1", 1.0)]


def test_faults_of_label_studio_exports(tmp_path: Path) -> None:
    both = {"completed_by": 1, "result": [{"value": {"choices": ["pos", "neg"]}}]}
    tasks = [
        full("t-9", ("pos", 1)),
        full("t-1", ("poss", 1), both),
        full("t-1", {"completed_by": 1, "result": []}),
        {"id": 3, "annotations": [], "data": {"text": "x"}},
        {"text": "x"},
        "text",
        full("t-2", ("pos", 1)),
        full("t-2", ("neg", 1)),
    ]
    assert faults(tmp_path, json.dumps(tasks), "round_1.json") == [
        " task 1: id 't-9' is not in the data set, did you mean 't-3'?",
        " task 2, annotation 1: label 'poss' is none of the classes, did you mean 'pos'?",
        " task 2, annotation 2: 2 labels of 't-1', expected 1",
        " task 3: 0 labels of 't-1', expected 1",
        " task 4: data has no 'example_id', import label_studio.json of the round to have it",
        " task 5: no key 'example_id' (keys: text)",
        " task 6: is text, expected an object",
        " task 8: label 'neg' of 't-2' by '1', who said 'pos' in task 7: keep one of the two",
    ]
    for content, expected in (
        (b"{", "1: not valid JSON"), (b"{}", " holds an object, an export"), (b"[]", " no answers in it, take it away"),
        (b'["\xe9"]', " byte 0xE9 at offset 2 is not UTF-8"), (b"[" * 100_000, " not valid JSON"),
        (json.dumps([full("t-1")]).encode(), " no answers in it (1 tasks without an annotation), take it away"),
    ):  # fmt: skip
        assert faults(tmp_path, content, "round_1.json")[0].startswith(expected)


def mturk(*assignments: dict[str, str], header: tuple[str, ...]) -> str:
    columns = ("AssignmentStatus", "WorkerId", "Input.id0", "Input.id1", "Input.id2", *header)
    return as_csv(columns, *[tuple(row.get(name, "") for name in columns) for row in assignments])


HIT = {"AssignmentStatus": "Approved", "WorkerId": "W1", "Input.id0": "t-1", "Input.id1": "t-2", "Input.id2": ""}
FORMS = {
    "one field per example": {"Answer.label0": "pos", "Answer.label1": "neg", "Answer.comment1": "hard"},
    "fields of another name": {"Answer.sentiment0": "pos", "Answer.sentiment1": "neg"},
    "a column per option": {
        "Answer.label0.pos": "true", "Answer.label0.neg": "false", "Answer.label1.pos": "false", "Answer.label1.neg": "TRUE"
    },
    "task answers": {
        "Answer.taskAnswers": json.dumps([{"label0": {"pos": True, "neg": False}, "label1": {"label": "neg"}}])
    },
}  # fmt: skip


@pytest.mark.parametrize("form", FORMS)
def test_results_of_mturk(tmp_path: Path, form: str) -> None:
    rejected = HIT | {"AssignmentStatus": "Rejected", "WorkerId": "W2"}
    content = mturk(HIT | FORMS[form], rejected | FORMS[form], header=tuple(FORMS[form]))
    assert read(tmp_path, content) == [("t-1", "W1", 1.0), ("t-2", "W1", 0.0)]


def test_faults_of_mturk_results(tmp_path: Path) -> None:
    header = ("Answer.label0", "Answer.label1", "Answer.label2")
    wrong = HIT | {"Input.id0": "t-9", "Answer.label0": "pos", "Answer.label1": "maybe", "Answer.label2": "pos"}
    assert faults(tmp_path, mturk(wrong, header=header)) == [
        "2: id 't-9' is not in the data set, did you mean 't-3'?",
        "2: label 'maybe' is none of the classes, allowed: =odd, neg, pos",
    ]
    assert faults(tmp_path, mturk(HIT, header=header)) == [
        " no answers in it (2 examples without an answer), take it away"
    ]
    several = HIT | {"Answer.label0.pos": "true", "Answer.label0.neg": "true"}
    assert faults(tmp_path, mturk(several, header=("Answer.label0.pos", "Answer.label0.neg"))) == [
        "2: item 0: 2 labels, one is allowed"
    ]
    broken = HIT | {"Answer.taskAnswers": "[{"}
    assert faults(tmp_path, mturk(broken, header=("Answer.taskAnswers",)))[0].startswith("2: Answer.taskAnswers: not")


def test_names_of_files_say_round_and_annotator(tmp_path: Path) -> None:
    assert rounds_of(tmp_path / "none") == {} and next_round(tmp_path / "none") == 1
    for name in ("round_2_anna.csv", "Round-10.json", "b10.csv", "b9.csv", ".hidden", "~$b.csv"):
        (tmp_path / name).touch()
    assert rounds_of(tmp_path) == {"Round-10.json": 10, "b10.csv": 2, "b9.csv": 1, "round_2_anna.csv": 2}
    assert next_round(tmp_path) == 11
    names = ("round_2_anna.csv", "round_2.csv", "round12.json", "ROUND 3 ü b.csv", "eva.csv")
    assert [annotator_of(name) for name in names] == ["anna", "annotator", "annotator", "ü b", "eva"]


def test_ids_that_are_numbers_have_no_look_alikes(tmp_path: Path) -> None:
    assert faults(tmp_path, "id,label\n77,pos\n") == ["2: id '77' is not in the data set"]


def test_an_id_that_lost_its_zeros_in_a_spreadsheet_is_asked_about(tmp_path: Path) -> None:
    numbered = Asked({"0512": "pool", "0000": "pool", "0007": "pool", "99": "pool"}, NAMES)
    assert faults(tmp_path, "id,label\n512,pos\n0,pos\n 7,pos\n0099,pos\n513,pos\n", asked=numbered) == [
        "2: id '512' is not in the data set, did you mean '0512'?",
        "3: id '0' is not in the data set, did you mean '0000'?",
        "4: id ' 7' is not in the data set, did you mean '0007'?",
        "5: id '0099' is not in the data set, did you mean '99'?",
        "6: id '513' is not in the data set",
    ]
    many = Asked({f"{number:05d}": "pool" for number in range(6000)}, NAMES)
    assert faults(tmp_path, "id,label\n5999,pos\n", asked=many) == [
        "2: id '5999' is not in the data set, did you mean '05999'?"
    ]


def test_a_label_in_another_case_is_asked_about(tmp_path: Path) -> None:
    named = Asked(ASKED.splits, ["technical", "billing", "p", "q"])
    assert faults(tmp_path, "id,label\nt-1,TECHNICAL\nt-2,Technical\n7,P\n", asked=named) == [
        "2: label 'TECHNICAL' is none of the classes, did you mean 'technical'?",
        "3: label 'Technical' is none of the classes, did you mean 'technical'?",
        "4: label 'P' is none of the classes, did you mean 'p'?",
    ]
