"""Metrics, areas, comparison and analysis of active learning against values worked out by hand."""

import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import average_precision_score, f1_score, precision_recall_fscore_support

from datassay.active_learning.analysis import Vocabulary, analyse
from datassay.active_learning.comparison import compare_runs, compare_seconds, curves, latex, wide
from datassay.active_learning.metrics import class_scores, probabilities
from datassay.active_learning.query import PARTS
from datassay.active_learning.tables import normalised_area
from datassay.reporting import learning_curves, learning_subpools, learning_times


def test_class_scores_are_those_of_scikit_learn():
    rng = np.random.default_rng(0)
    labels, logits = rng.integers(0, 4, 300), rng.normal(size=(300, 4)) * 2
    logits[np.arange(300), labels] += 1
    predicted, p = logits.argmax(axis=1), probabilities(logits)
    found = class_scores(logits, labels, ["a", "b", "c", "d"], [1, 3])
    precision, recall, f1, _ = precision_recall_fscore_support(labels, predicted, zero_division=0)
    for number, name in enumerate("abcd"):
        wanted = (precision[number], recall[number], f1[number])
        assert (found[f"precision_{name}"], found[f"recall_{name}"], found[f"f1_{name}"]) == pytest.approx(wanted)
    assert found["minority_f1"] == pytest.approx((f1[1] + f1[3]) / 2)
    assert found["macro_f1"] == pytest.approx(f1_score(labels, predicted, average="macro"))
    assert (found["macro_precision"], found["macro_recall"]) == pytest.approx((precision.mean(), recall.mean()))
    wanted = np.mean([average_precision_score(labels == c, p[:, c]) for c in (1, 3)])
    assert found["average_precision"] == pytest.approx(wanted)


def test_class_scores_of_a_class_that_neither_occurs_nor_is_predicted():
    found = class_scores(np.tile([2.0, 1.0, 0.0], (5, 1)), np.zeros(5, int), ["a", "b", "c"], [1])
    assert found["minority_f1"] == found["precision_b"] == found["average_precision"] == 0
    assert found["macro_precision"] == found["macro_recall"] == 1


def test_probabilities_survive_large_logits():
    assert probabilities(np.array([[1e5, 0.0], [-1e5, -1e5]])).tolist() == [[1, 0], [0.5, 0.5]]


def test_normalised_area():
    x = np.array([100, 200, 400])
    assert normalised_area(x, np.array([0.5, 0.5, 0.5])) == 0.5
    assert normalised_area(x, np.array([0.0, 1.0, 1.0])) == pytest.approx((50 + 200) / 300)
    assert normalised_area(x, np.array([0.0, np.nan, 1.0])) == 0.5
    assert normalised_area(x[:1], np.array([0.7])) == 0.7
    assert np.isnan(normalised_area(x, np.full(3, np.nan)))


def runs(strategies=("a", "b"), seeds=("0", "1", "2")):
    tables, times = {}, {}
    for i, strategy in enumerate(strategies):
        for j, seed in enumerate(seeds):
            y = np.array([0.0, 0.5, 1.0]) * (i + 1) / 2 + j / 10
            tables[strategy, seed] = pd.DataFrame(
                {
                    "round": [1, 2, 3], "n_labelled": [100, 150, 200], "minority_f1": y, "minority_found": y / 2,
                    "subpool_size": [50, 40, 0], "subpool_rest": [45, 30, 0], "subpool_rare": [5, 10, 0],
                }
            )  # fmt: skip
            times[strategy, seed] = pd.DataFrame({"round": [1, 2, 3]} | {part: [1.0, 3.0, 99.0] for part in PARTS})
    return curves(tables, times)


def test_runs_are_compared_by_area_and_at_equal_sizes():
    table = compare_runs(runs(), [100, 170, 200]).set_index(["strategy", "measure", "place"])
    area = table.loc["a", "minority_f1", "area"]
    assert area[["median", "q25", "q75", "seeds"]].tolist() == pytest.approx([0.35, 0.3, 0.4, 3])
    assert table.loc[("b", "minority_f1", "170"), "median"] == pytest.approx(0.6)  # of the round with 150
    assert table.loc[("b", "minority_found", "200"), "median"] == pytest.approx(0.55)
    assert set(compare_runs(runs())["place"]) == {"area", "125", "150", "175", "200"}
    early = compare_runs(runs(), [50])
    assert early.loc[early["place"] == "50", "median"].isna().all() and "" in wide(early).to_numpy()


def test_seconds_are_those_of_rounds_that_query():
    table = compare_seconds(runs()).set_index(["strategy", "part"])
    assert table.loc[("a", "fit"), "median"] == 2.0 and table.loc[("a", "selection"), "median"] == 8.0


def test_tables_for_people():
    table = wide(compare_runs(runs(("a_b", "c")), [200]))
    assert table.columns.tolist() == [
        "strategy", "minority_f1 area", "minority_f1 200", "minority_found area", "minority_found 200"
    ]  # fmt: skip
    assert table["strategy"].tolist() == ["a_b", "c"] and table["minority_f1 200"][1] == "1.100 (1.050 to 1.150)"
    lines = latex(table).splitlines()
    assert lines[0] == r"\begin{tabular}{lllll}" and lines[-1] == r"\end{tabular}"
    assert lines[2].startswith(r"strategy & minority\_f1 area & ") and lines[4].startswith(r"a\_b & 0.350")
    assert all(line.endswith(r"\\") for line in lines[2:3] + lines[4:6])


def test_diversity_is_the_jaccard_index_of_words():
    texts = ["red cat", "Red, dog!", "blue cat", ""]
    words = Vocabulary(texts)
    inside, outside = {"red", "cat", "dog"}, {"blue", "cat"}
    assert words.diversity(np.array([0, 1])) == len(inside & outside) / len(inside | outside)
    assert words.diversity(np.array([], int)) == 0 == words.diversity(np.arange(4))
    assert Vocabulary(["", ""]).diversity(np.array([0])) == 0


def test_analysis_follows_the_picks():
    examples = pd.DataFrame({"split": ["test", "train", "train", "train"], "text": ["x", "a b", "b c", "d"]})
    logits = np.array([[9.0, 0], [0, 0], [50, 0], [0, 0]])
    picked = pd.DataFrame({"round": [0, 1, 1], "row": [2, 1, 3]})
    table = analyse(examples, logits, {("it", "0"): picked})
    assert table["n_picked"].tolist() == [1, 3] and table["diversity"].tolist() == [1 / 4, 0]
    assert table["mean_entropy"].tolist() == pytest.approx([0, 2 / 3 * np.log(2)])
    assert "diversity" not in analyse(examples.drop(columns="text"), logits, {("it", "0"): picked})


def test_figures_draw_every_strategy(tmp_path):
    table = runs(("random", *(f"strategy_{i}" for i in range(9))))
    table.attrs |= {"pool": 1000, "minority": ["rare"]}
    figures = [learning_curves(table, name="it"), learning_times(table), learning_subpools(table)]
    for figure in figures:
        texts = {text.get_text() for legend in figure.legends for text in legend.get_texts()}
        ticks = {label.get_text() for axes in figure.axes for label in axes.get_yticklabels()}
        assert {"random", "strategy 8"} <= texts | ticks
    assert "chance" in {text.get_text() for text in figures[0].legends[0].get_texts()}
    empty = learning_curves(table.drop(columns="minority_f1"))
    assert any("no round was evaluated" in text.get_text() for text in empty.axes[0].texts)
