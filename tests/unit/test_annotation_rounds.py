"""From a batch to the next one: what is chosen, in which forms it goes out, what the answers change."""

import json
from xml.etree import ElementTree

import numpy as np
import pandas as pd
import pytest

from datassay import reporting, storage
from datassay.annotation import label_studio, mturk
from datassay.annotation.answers import Asked, read_answers
from datassay.annotation.exports import readable_batch, save_exports, save_images
from datassay.annotation.merging import gather, labels_of, merged, named_labels
from datassay.annotation.progress import Setting, follow_round, known_truth
from datassay.annotation.rounds import tell_next_step
from datassay.annotation.selection import Recorded, choose_batch
from datassay.annotation.summary import budget_table, round_table
from datassay.checkpoints import Checkpoints
from datassay.config import training_settings
from datassay.data.images import encode_png
from datassay.errors import DatassayError
from datassay.randomness import generator
from datassay.registry import Method

NAMES = ["neg", "=pos", '<b>"odd"</b>']
CARD = {"label_names": NAMES, "notes": [], "noise": {"rate": 0.0}, "task": "classification"}


def of_the_tests(probabilities: np.ndarray, infoverse: np.ndarray, n: int, rng: np.random.Generator) -> np.ndarray:
    """Least confident first, among rows that have an infoVerse."""
    assert infoverse.shape[0] == len(probabilities) and np.isfinite(infoverse).all()
    return np.argsort(probabilities.max(axis=1), kind="stable")[:n].astype(np.int64)


def blobs(train: int = 12, pool: int = 60, test: int = 30):
    """Points of three classes, 60 of them in the pool with a true label."""
    rng = generator(1, "blobs")
    n = train + pool + test
    labels = np.arange(n) % 3
    vectors = (np.eye(3)[labels] + rng.normal(0, 0.5, (n, 3))).astype(np.float32)
    split = np.repeat(["train", "pool", "test"], [train, pool, test])
    inside = split == "pool"
    examples = pd.DataFrame(
        {
            "example_id": [f"=x{i}" if i % 7 == 0 else f"x{i}" for i in range(n)],
            "split": split,
            "label": np.where(inside, -1, labels),
            "true_label": np.where(inside, labels, -1),
            "is_noisy": False,
            "text": [f"text <{i}>\nsecond line \U0001f600" for i in range(n)],
        }
    )
    return examples, vectors


def recorded(examples: pd.DataFrame, vectors: np.ndarray, task: str = "classification") -> Recorded:
    rng = generator(2, "recorded")
    logits = vectors[None] + rng.normal(0, 0.1, (4, *vectors.shape)).astype(np.float32)
    train = np.flatnonzero(examples["split"] == "train")
    return Recorded(logits, logits[:3], vectors, vectors, train, task)


ABOUT = Method("acquisition", "of_the_tests", of_the_tests, 1, "reference")
FAMILIES = {"training_dynamics": {}, "ensemble": {}, "static": {}, "pretrained": {}}
SETTINGS = {"batch_size": 10, "extra": 0.2, "seed": 0, "options": {}, "near_duplicates": None, "families": FAMILIES}


def test_a_batch_comes_from_the_pool_and_repeats_nothing() -> None:
    examples, vectors = blobs()
    rows = np.flatnonzero(examples["split"] == "pool")
    state = recorded(examples, vectors)
    picks = choose_batch(ABOUT, state, examples, rows, SETTINGS)
    assert len(picks) == 10 and set(picks) <= set(rows) and len(set(picks)) == 10
    np.testing.assert_array_equal(picks, choose_batch(ABOUT, state, examples, rows, SETTINGS))
    copied = examples.copy()
    copied.loc[picks[1], "text"] = copied.loc[picks[0], "text"].upper()
    without = choose_batch(ABOUT, state, copied, rows, SETTINGS)
    assert len(without) == 10 and picks[1] not in without and picks[0] in without
    alike = vectors.copy()
    alike[picks[2]] = 3 * alike[picks[0]]
    state = Recorded(state.logits, state.ensemble_logits, state.features, alike, state.train, state.task)
    assert picks[2] not in choose_batch(ABOUT, state, examples, rows, SETTINGS | {"near_duplicates": 0.9999})
    few = choose_batch(ABOUT, state, examples, rows[:4], SETTINGS)
    assert sorted(few) == rows[:4].tolist()
    assert len(choose_batch(ABOUT, state, examples, rows[:0], SETTINGS)) == 0


def test_suggestions_are_those_of_the_ensemble() -> None:
    examples, vectors = blobs()
    state = recorded(examples, vectors)
    rows = np.array([3, 50, 20])
    p = np.exp(state.ensemble_logits[:, rows].astype(float))
    p = (p / p.sum(axis=2, keepdims=True)).mean(axis=0)
    label, confidence = state.predictions(rows)
    np.testing.assert_array_equal(label, p.argmax(axis=1))
    np.testing.assert_allclose(confidence, p.max(axis=1))
    numbers = Recorded(
        state.logits[..., :1], state.ensemble_logits[..., :1], vectors, vectors, state.train, "regression"
    )
    label, confidence = numbers.predictions(rows)
    np.testing.assert_allclose(label, state.ensemble_logits[:, rows, 0].mean(axis=0), rtol=1e-6)
    assert np.isnan(confidence).all()
    with pytest.raises(DatassayError, match="reads 'mc_logits': dropout passes are recorded of train rows only"):
        state.arrays(["mc_logits"], rows, {})
    found = state.arrays(["candidates", "labelled_features", "embeddings"], rows, {})
    assert found["candidates"].tolist() == [0, 1, 2] and len(found["labelled_features"]) == 12
    np.testing.assert_array_equal(found["embeddings"], vectors[rows])


class Files:
    """Where the forms of a batch go."""

    def __init__(self, folder) -> None:
        self.csv, self.label_studio, self.interface = (folder / n for n in ("b.csv", "ls.json", "ls.xml"))
        self.mturk, self.mturk_page = folder / "mturk.csv", folder / "mturk.html"


@pytest.fixture
def round_one(tmp_path):
    """A batch of 13 examples, in every form."""
    examples, vectors = blobs()
    rows = np.flatnonzero(examples["split"] == "pool")[:13]
    suggestion, confidence = recorded(examples, vectors).predictions(rows)
    ids = examples["example_id"].to_numpy()[rows]
    batch = pd.DataFrame({"row": rows, "example_id": ids, "suggestion": suggestion, "confidence": confidence})
    table = readable_batch(batch, examples, NAMES)
    save_exports(table, NAMES, 4, 'Which "one"?', "", Files(tmp_path))
    return examples, table, tmp_path


def asked(examples: pd.DataFrame) -> Asked:
    return Asked(dict(zip(examples["example_id"], examples["split"], strict=True)), NAMES)


def test_the_csv_comes_back_with_its_ids(round_one) -> None:
    examples, table, folder = round_one
    assert list(table) == ["id", "text", "suggested_label", "confidence", "label"]
    text = (folder / "b.csv").read_text()
    assert "\n'=x14," in text and "\n=x" not in text, "a spreadsheet would run it"
    filled = pd.read_csv(folder / "b.csv", dtype=str, keep_default_na=False)
    filled["label"] = filled["suggested_label"]
    filled.to_csv(folder / "round_4.csv", index=False)
    answers = read_answers(folder / "round_4.csv", asked(examples))
    assert answers["example_id"].tolist() == table["id"].tolist()
    assert [NAMES[int(v)] for v in answers["value"]] == table["suggested_label"].tolist()


def test_a_batch_says_where_its_answers_go(caplog) -> None:
    with caplog.at_level("INFO", "datassay"):
        for rows in (30, 1, 0):
            tell_next_step(rows, "results/tweets/annotation/round_2/batch.csv", "tweets", 2)
    where = "results/tweets/annotation/round_2/batch.csv; put the answers into resources/annotations/tweets/round_2.csv"
    assert caplog.messages == [
        f"30 rows to label: {where}",
        f"1 row to label: {where}",
        "nothing to label: every row of the pool has a label or is left out by a filter",
    ]


def test_the_tasks_of_label_studio_come_back_as_an_export(round_one) -> None:
    examples, table, folder = round_one
    tasks = json.loads((folder / "ls.json").read_text())
    view = ElementTree.fromstring((folder / "ls.xml").read_text())
    choices = view.find("Choices")
    assert [choice.get("value") for choice in choices] == NAMES and view.find("Header").get("value") == 'Which "one"?'
    for task, row in zip(tasks, table.itertuples(), strict=True):
        (prediction,) = task["predictions"]
        (result,) = prediction["result"]
        assert task["data"] == {"example_id": row.id, "text": row.text, "round": 4}
        assert (result["from_name"], result["to_name"]) == (choices.get("name"), choices.get("toName"))
        assert result["value"] == {"choices": [row.suggested_label]} and prediction["score"] == row.confidence
        task["annotations"] = [{"completed_by": 1, "result": prediction["result"]}]
    (folder / "round_4.json").write_text(json.dumps(tasks))
    assert read_answers(folder / "round_4.json", asked(examples))["example_id"].tolist() == table["id"].tolist()


def test_hits_of_ten_come_back_as_results(round_one) -> None:
    examples, table, folder = round_one
    hits = pd.read_csv(folder / "mturk.csv", dtype=str, keep_default_na=False)
    assert len(hits) == 2 and hits["id9"].tolist() == ["'=x21", ""] and hits["text3"][1] == ""
    assert hits["text0"][0] == "text &lt;12&gt;<br>second line &#128512;"
    page = (folder / "mturk.html").read_text()
    assert page.count('type="radio" name="label7"') == 3 and "<b>" not in page
    results = hits.add_prefix("Input.").assign(WorkerId="W")
    for item in range(mturk.PER_HIT):
        results[f"Answer.label{item}"] = ["neg" if example else "" for example in hits[f"id{item}"]]
    results.to_csv(folder / "round_4.csv", index=False)
    answers = read_answers(folder / "round_4.csv", asked(examples))
    assert answers["example_id"].tolist() == table["id"].tolist()


def test_numbers_are_asked_for_as_numbers() -> None:
    batch = pd.DataFrame({"example_id": ["a"], "text": ["x"], "suggested_label": [2.5], "confidence": [np.nan]})
    (task,) = label_studio.tasks(batch, ["text"], 1, numbers=True)
    assert task["predictions"] == [
        {
            "model_version": "datassay round 1",
            "result": [{"from_name": "label", "to_name": "text", "type": "number", "value": {"number": 2.5}}],
        }
    ]
    assert '<Number name="label"' in label_studio.interface(["text"], [], "How much?")
    assert 'type="number" step="any" name="label0"' in mturk.page(["text"], [], "How much?")


def test_images_go_out_as_files_with_harmless_names(tmp_path) -> None:
    files = [encode_png(np.full((2, 2), n, dtype=np.uint8)) for n in range(3)]
    examples = pd.DataFrame(
        {
            "example_id": ["../../evil/a b.png", "train/ü.png", "..", ],
            "image": [{"bytes": f, "path": ""} for f in files],
        }
    )  # fmt: skip
    batch = pd.DataFrame({"row": [0, 1, 2], "example_id": examples["example_id"], "suggestion": 0, "confidence": 0.5})
    table = readable_batch(batch, examples, NAMES)
    save_images(tmp_path / "images", examples)
    for name, content in zip(table["image"], files, strict=True):
        assert (tmp_path / name).resolve().parent == (tmp_path / "images").resolve()
        assert (tmp_path / name).read_bytes() == content
    save_exports(table, NAMES, 1, "?", "https://example.org/", Files(tmp_path))
    tasks = json.loads((tmp_path / "ls.json").read_text())
    assert tasks[0]["data"]["image"] == f"https://example.org/{table['image'][0]}"
    assert '<Image name="image" value="$image"/>' in (tmp_path / "ls.xml").read_text()
    save_images(tmp_path / "none", examples.drop(columns="image"))
    assert list((tmp_path / "none").iterdir()) == []


def answered(examples: pd.DataFrame, count: int, wrong: int = 0) -> pd.DataFrame:
    """Answers of one person to the first rows of the pool, some of them wrong."""
    pool = examples[examples["split"] == "pool"].head(count)
    values = pool["true_label"].to_numpy().astype(float)
    values[:wrong] = (values[:wrong] + 1) % 3
    return pd.DataFrame(
        {"example_id": pool["example_id"].to_numpy(), "annotator": "anna", "value": values, "place": ""}
    )


def test_merging_makes_train_rows_and_counts_again() -> None:
    examples, _ = blobs()
    tables = {"round_1.csv": answered(examples, 6, wrong=2), "round_2.csv": answered(examples, 9, wrong=2)}
    answers = gather(tables, {"round_1.csv": 1, "round_2.csv": 2})
    assert len(answers) == 9 and answers["round"].tolist() == [1] * 6 + [2] * 3, "what was said before counts once"
    labels = labels_of(answers, CARD, None, None)
    larger, card = merged(examples, CARD, labels)
    changed = larger["split"] != examples["split"]
    assert (larger["split"][changed] == "train").all() and changed.sum() == 9
    assert larger["example_id"].equals(examples["example_id"]) and larger["text"].equals(examples["text"])
    label = dict(zip(labels["example_id"], labels["label"], strict=True))
    assert larger["label"][changed].tolist() == [label[i] for i in larger["example_id"][changed]]
    assert larger["is_noisy"].sum() == 2 == card["noise"]["n_noisy"], "two answers are not the true label"
    assert card["counts"]["pool"]["n"] == 51 and card["counts"]["train"]["n"] == 21
    assert card["notes"] == ["9 train rows were labelled by annotators (annotation/labels.csv)."]
    named = named_labels(labels, larger, NAMES)
    assert set(named["label"]) <= set(NAMES) and (named["label"] != named["true_label"]).sum() == 2
    same, again = merged(examples, CARD, labels_of(gather({}, {}), CARD, None, None))
    pd.testing.assert_frame_equal(same, examples)
    assert again["notes"] == []
    with pytest.raises(DatassayError, match="bins: 1 edges, 3 classes need 2"):
        labels_of(answers, CARD, "mean", [0.5])


def test_rounds_are_followed_beside_other_ways_of_choosing(tmp_path) -> None:
    examples, vectors = blobs()
    model = training_settings({"name": "m", "recipe": "head", "encoder": "e", "epochs": 3, "hidden": [8]})
    setting = Setting(examples, vectors, NAMES, model, [0, 1], "classification")

    def followed(count: int, earlier: pd.DataFrame | None) -> tuple[pd.DataFrame, pd.DataFrame]:
        answers = gather({"a": answered(examples, count)} if count else {}, {"a": 1})
        labels = labels_of(answers, CARD, None, None)
        return follow_round(setting, labels, earlier, Checkpoints(tmp_path, f"key{count}"))

    start, first_picks = followed(0, None)
    assert set(start["arm"]) == {"annotated", "annotated_true", "random", "uncertainty"} and not len(first_picks)
    assert start.groupby("seed")["accuracy"].nunique().eq(1).all(), "before the first round all are one"
    one, picks_one = followed(6, first_picks)
    two, picks_two = followed(15, picks_one)
    truth = known_truth(examples)
    for (arm, count), picks in [
        ((a, c), p[p["arm"] == a]) for c, p in ((6, picks_one), (15, picks_two)) for a in set(p["arm"])
    ]:
        assert len(set(picks["example_id"])) == count and set(picks["example_id"]) <= set(truth), arm
    for arm in ("random", "uncertainty", "annotated"):
        before, after = (set(p.loc[p["arm"] == arm, "example_id"]) for p in (picks_one, picks_two))
        assert before < after, "every round adds to those before"
    assert (two["n_labelled"] == 15).all() and len(two) == 8
    same = two.pivot(index="seed", columns="arm", values="accuracy")
    assert same["annotated"].equals(same["annotated_true"].rename("annotated")), "no answer was wrong"
    table = budget_table([two.assign(round=2), start.assign(round=0), one.assign(round=1)], "accuracy")
    assert table["round"].tolist() == sorted(table["round"]) and set(table["split"]) == {"test"}
    row = table[(table["round"] == 1) & (table["arm"] == "random")].iloc[0]
    expected = one.loc[one["arm"] == "random", "accuracy"]
    assert row["mean"] == pytest.approx(expected.mean()) and row["std"] == pytest.approx(expected.std())


def test_without_true_labels_nothing_is_compared(tmp_path) -> None:
    examples, vectors = blobs()
    answers = gather({"a": answered(examples, 6)}, {"a": 1})
    model = training_settings({"name": "m", "recipe": "head", "encoder": "e", "epochs": 2})
    setting = Setting(examples.drop(columns="true_label"), vectors, NAMES, model, [0], "classification")
    labels = labels_of(answers, CARD, None, None)
    progress, _ = follow_round(setting, labels, None, Checkpoints(tmp_path, "key"))
    assert progress["arm"].tolist() == ["annotated"]


def test_tables_and_figures_of_the_rounds(tmp_path) -> None:
    examples, _ = blobs()
    second = answered(examples, 9, wrong=1).assign(annotator="=eva")
    answers = gather({"a": answered(examples, 6), "b": second}, {"a": 1, "b": 2})
    labels = labels_of(answers, CARD, None, None)
    table = round_table(answers, labels, NAMES, numbers=False)
    assert table["round"].tolist() == [1, 2] and table["examples"].tolist() == [6, 3]
    assert table["answers"].tolist() == [12, 3] and table["annotators"].tolist() == [2, 1]
    assert table[[f"n_{name}" for name in NAMES]].to_numpy().sum() == 9
    assert 0 < table["alpha"][0] < 1 and np.isnan(table["alpha"][1])
    numbers = round_table(answers, labels.assign(label=labels["label"].astype(float)), [], numbers=True)
    assert {"mean", "std"} <= set(numbers)
    budget = pd.DataFrame(
        {"round": [0, 1], "arm": "annotated", "n_labelled": [0, 6], "mean": [0.5, 0.6], "std": [0.1, np.nan]}
    )
    budget = budget.assign(metric="accuracy", split="test")
    nothing = labels_of(gather({}, {}), CARD, None, None)
    for number, figure in enumerate(
        (
            reporting.annotation_progress(budget, name="x"),
            reporting.annotation_progress(budget[:1], name="x"),
            reporting.annotation_agreement(table, answers, labels, False, name="x"),
            reporting.annotation_agreement(numbers, answers, labels, True, name="x"),
            reporting.annotation_agreement(table[:0], answers[:0], nothing, False, name="x"),
            reporting.annotation_balance(labels, NAMES, name="x"),
            reporting.annotation_balance(labels, [], name="x"),
            reporting.annotation_balance(nothing, NAMES, name="x"),
        )
    ):
        reporting.save_figure(figure, tmp_path / f"{number}.png")
    empty = round_table(answers[:0], nothing, NAMES, numbers=False)
    storage.save_csv(tmp_path / "rounds.csv", empty)
    assert list(storage.read_csv(tmp_path / "rounds.csv"))[:2] == ["round", "examples"]


def budget_of(*rows: tuple) -> pd.DataFrame:
    """A table of progress; rows: round, arm, n_labelled, mean, std."""
    table = pd.DataFrame(rows, columns=["round", "arm", "n_labelled", "mean", "std"])
    return table.assign(metric="accuracy", split="test")


def test_progress_names_only_what_was_followed_and_ends_at_1() -> None:
    arms = ("annotated", "annotated_true", "random", "uncertainty")
    start = [(0, arm, 0, 0.9, 0.05) for arm in arms]
    (unknown,) = reporting.annotation_progress(budget_of(*start, (1, "annotated", 6, 1.0, 0.05))).axes
    assert len(unknown.containers) == 1 and unknown.get_legend() is None
    assert unknown.get_ylim()[1] == 1 and unknown.get_ylim()[0] < 0.85
    (known,) = reporting.annotation_progress(budget_of(*start, *[(1, arm, 6, 0.01, 0.05) for arm in arms])).axes
    assert len(known.containers) == len(known.get_legend().get_texts()) == 4 and known.get_ylim()[0] == 0
    (below,) = reporting.annotation_progress(budget_of(start[0], (1, "annotated", 6, -0.2, 0.05))).axes
    assert below.get_ylim()[0] < -0.25, "a correlation may be negative"


def test_agreement_of_one_annotator_is_a_sentence() -> None:
    examples, _ = blobs()
    anna, eva = answered(examples, 6), answered(examples, 9)[6:].assign(annotator="eva")

    def drawn(*tables: pd.DataFrame) -> tuple[int, str]:
        """Return the number of panels and all that is written on the figure."""
        answers = gather(dict(zip("ab", tables, strict=False)), {"a": 1, "b": 1})
        labels = labels_of(answers, CARD, None, None)
        figure = reporting.annotation_agreement(round_table(answers, labels, NAMES, False), answers, labels, False)
        written = [text.get_text() for part in (figure, *figure.axes) for text in part.texts]
        return len(figure.axes), " ".join(written)

    panels, text = drawn(anna)
    assert panels == 1 and "agreement needs two annotators: 6 answers of 1 annotator" in text
    panels, text = drawn(anna, eva)
    assert panels == 1 and "agreement needs examples with two answers: 9 answers of 2 annotators" in text
    panels, text = drawn(anna, anna.assign(annotator="eva"))
    assert panels == 3 and "12 answers of 2 annotators on 6 examples, 6 of them answered more than once." in text


def test_figures_count_one_round_as_one() -> None:
    examples, _ = blobs()
    labels = labels_of(gather({"a": answered(examples, 6)}, {"a": 1}), CARD, None, None)
    figure = reporting.annotation_balance(labels, NAMES)
    assert "6 examples in 1 round." in [text.get_text() for text in figure.texts]
