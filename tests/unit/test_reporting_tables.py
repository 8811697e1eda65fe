"""Joined table, detection scores, suspicion and the printed summary."""

import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import average_precision_score, roc_auc_score

from datassay.errors import DatassayError, NotApplicable
from datassay.reporting import columns, summary, suspicious, tables
from datassay.storage import read_csv, save_csv

NAMES = ["cat", "dog", "owl"]


def examples() -> pd.DataFrame:
    return pd.DataFrame(
        {
            "example_id": ["a", "b", "c", "d", "e"],
            "split": ["train", "test", "train", "train", "train"],
            "label": [0, 1, 2, 1, 0],
            "true_label": [0, 1, 1, 1, 0],
            "is_noisy": [False, False, True, False, False],
            "is_probe": [False, False, False, False, True],
            "text": ["one", "two", "three", "four", "five"],
        }
    )


def family(**columns: list) -> pd.DataFrame:
    return pd.DataFrame({"example_id": ["d", "a", "c", "e"], **columns})  # another order than the examples


def assay(**columns: list) -> pd.DataFrame:
    columns = columns or {"self_confidence": [0.9, 0.8, 0.1, 0.0], "suggested_label": [1, 0, 1, 1]}
    return tables.join_assay(examples(), {"m": {"label_quality": family(**columns)}}, {}, "m", NAMES)


def test_join_puts_every_column_beside_its_example() -> None:
    families = {
        "other": {"training_dynamics": family(aum=[10.0, 20.0, 30.0, 40.0])},
        "m": {
            "training_dynamics": family(aum=[1.0, 2.0, 3.0, 4.0], never_learned=[True, False, False, False]),
            "label_quality": family(suggested_label=[1, 0, 1, 0]),
        },
    }
    values = {"m": {"knn_shapley": family(value=[0.1, 0.2, 0.3, 0.4], standard_error=[0.0, 0.0, 0.0, 0.0])}}
    joined = tables.join_assay(examples(), families, values, "m", NAMES)
    assert list(joined) == [
        "example_id", "split", "label", "true_label", "is_noisy", "is_probe", "text", "aum", "never_learned",
        "suggested_label", "knn_shapley", "knn_shapley_standard_error", "aum.other", "suspicion",
    ]  # fmt: skip
    assert list(joined["example_id"]) == ["a", "b", "c", "d", "e"]
    assert list(joined["label"]) == ["cat", "dog", "owl", "dog", "cat"]
    np.testing.assert_array_equal(joined["aum"], [2.0, np.nan, 3.0, 1.0, 4.0])
    np.testing.assert_array_equal(joined["aum.other"], [20.0, np.nan, 30.0, 10.0, 40.0])
    np.testing.assert_array_equal(joined["knn_shapley"], [0.2, np.nan, 0.3, 0.1, 0.4])
    assert joined["never_learned"].tolist() == [False, pd.NA, False, True, False]
    assert joined["suggested_label"].fillna("").tolist() == ["cat", "", "dog", "dog", "cat"]


def test_join_keeps_no_image_bytes(tmp_path) -> None:
    rows = examples().drop(columns="text").assign(image=[{"bytes": b"x", "path": f"{i}.png"} for i in range(5)])
    joined = tables.join_assay(rows, {}, {}, "m", NAMES)
    assert "image" not in joined and joined["image_path"].tolist() == [f"{i}.png" for i in range(5)]
    joined.to_parquet(tmp_path / "assay.parquet")


def test_join_refuses_clashing_columns_and_strange_ids() -> None:
    twice = {"m": {"one": family(aum=[1.0] * 4), "two": family(aum=[2.0] * 4)}}
    with pytest.raises(DatassayError, match="m/two: column 'aum' is already in the assay"):
        tables.join_assay(examples(), twice, {}, "m", NAMES)
    with pytest.raises(DatassayError, match="m/one: column 'text' is already"):
        tables.join_assay(examples(), {"m": {"one": family(text=["x"] * 4)}}, {}, "m", NAMES)
    strange = family(aum=[1.0] * 4).replace({"example_id": {"d": "z"}})
    with pytest.raises(DatassayError, match="example_id 'z' is not in the examples"):
        tables.join_assay(examples(), {"m": {"one": strange}}, {}, "m", NAMES)
    repeated = family(aum=[1.0] * 4).replace({"example_id": {"d": "a"}})
    with pytest.raises(DatassayError, match="example_id 'a' is there twice"):
        tables.join_assay(examples(), {"m": {"one": repeated}}, {}, "m", NAMES)
    with pytest.raises(DatassayError, match="label 2 has no name"):
        tables.join_assay(examples(), {}, {}, "m", NAMES[:2])


def test_noise_is_known_from_true_labels_or_flags_or_not_at_all() -> None:
    joined = assay()
    np.testing.assert_array_equal(columns.known_noise(joined), [0, 0, 1, 0, 0])
    flags_only = joined.assign(true_label=None)
    np.testing.assert_array_equal(columns.known_noise(flags_only), [0, 0, 1, 0, 0])
    assert np.isnan(columns.known_noise(flags_only.assign(is_noisy=False))).all()


@pytest.mark.parametrize("levels", [2, 7, 10**6])
def test_scores_equal_those_of_scikit_learn_with_ties(levels: int) -> None:
    rng = np.random.default_rng(levels)
    wrong = rng.random(500) < 0.2
    score = rng.integers(0, levels, 500) + wrong * levels / 5 // 1
    assert tables.auroc(score, wrong) == pytest.approx(roc_auc_score(wrong, score), abs=1e-12)
    assert tables.average_precision(score, wrong) == pytest.approx(average_precision_score(wrong, score), abs=1e-12)


def test_detection_follows_the_stated_end_and_never_picks_the_better_one() -> None:
    noisy = np.array([1.0, 1.0, 0.0, 0.0, np.nan])
    rows = pd.DataFrame(
        {
            "low": [0.1, 0.2, 0.8, 0.9, 0.0],
            "high": [0.1, 0.2, 0.8, 0.9, 0.0],
            "silent": [0.1, 0.2, 0.8, 0.9, 0.0],
            "low.other": [0.1, 0.8, 0.8, np.nan, 0.0],
            "unknown": [1.0, 2.0, 3.0, 4.0, 5.0],
        }
    )
    guide = {"low": ("one", "low"), "high": ("two", "high"), "silent": ("two", None)}
    found = tables.score_detection(rows, noisy, guide).set_index("column")
    assert list(found.index) == ["low", "low.other", "high", "silent"]
    assert found["auroc"].tolist() == [1.0, 0.75, 0.0, 0.0]
    assert found["orientation"].tolist() == ["low", "low", "high", "none stated"]
    assert found["n"].tolist() == [4, 3, 4, 4] and found["n_noisy"].tolist() == [2, 2, 2, 2]


def test_detection_without_known_noise_is_empty_and_says_why() -> None:
    rows = pd.DataFrame({"low": [0.1, 0.2]})
    guide = {"low": ("one", "low")}
    for noisy, reason in (([np.nan] * 2, "no label is known"), ([0, 0], "to be right"), ([1, 1], "to be wrong")):
        found = tables.score_detection(rows, np.array(noisy), guide)
        assert len(found) == 0 and list(found) == list(tables.DETECTION_COLUMNS) and reason in found.attrs["reason"]


@pytest.fixture
def guide(monkeypatch: pytest.MonkeyPatch) -> None:
    """What the registry will say, so that these tests hold whatever is registered."""
    known = {
        "self_confidence": ("label_quality", "low"),
        "aum": ("training_dynamics", "low"),
        "avg_conf": ("training_dynamics", "low"),
        "entropy": ("static", "high"),
        "variability": ("training_dynamics", None),
    }
    monkeypatch.setattr(suspicious, "column_guide", lambda: known)


def test_suspicion_averages_views_not_columns(guide: None) -> None:
    rows = pd.DataFrame({"self_confidence": [0.0, 0.5, 1.0], "aum": [3.0, 2.0, 1.0], "avg_conf": [0.3, 0.1, 0.2]})
    # percentiles: self_confidence 1, .5, 0; aum 0, .5, 1; avg_conf 0, 1, .5
    np.testing.assert_allclose(suspicious.suspicion(rows), [(1 + 0) / 2, (0.5 + 0.75) / 2, (0 + 0.75) / 2])


def test_suspicion_ignores_missing_values_and_falls_back(guide: None) -> None:
    rows = pd.DataFrame({"self_confidence": [0.0, np.nan, 1.0], "aum": [np.nan, np.nan, 1.0]})
    np.testing.assert_allclose(suspicious.suspicion(rows), [1.0, np.nan, (0 + 0.5) / 2])
    np.testing.assert_allclose(suspicious.suspicion(pd.DataFrame({"entropy": [3.0, 1.0, 2.0]})), [1.0, 0.0, 0.5])
    with pytest.raises(NotApplicable, match="no measure says"):
        suspicious.suspicion(pd.DataFrame({"variability": [3.0, 1.0]}))


def test_the_list_leaves_out_probes_and_falls_with_suspicion(guide: None) -> None:
    joined = assay(self_confidence=[0.3, 0.0, 0.1, 0.0], suggested_label=[2, 0, 1, 1])
    found = suspicious.list_suspicious(joined, 10, NAMES)
    assert found["example_id"].tolist() == ["a", "c", "d"] and found["rank"].tolist() == [1, 2, 3]
    assert found["suspicion"].is_monotonic_decreasing
    assert found["label"].tolist() == ["cat", "owl", "dog"]
    assert found["suggested_label"].tolist() == ["cat", "dog", "owl"]
    assert found["likely_mislabelled"].tolist() == [False, True, True]
    assert found["text"].tolist() == ["one", "three", "four"]
    assert len(suspicious.list_suspicious(joined, 1, NAMES)) == 1


def test_every_example_gets_another_label_suggested_and_few_are_flagged(guide: None) -> None:
    logits = np.array([[1.0, 0.0, 0.9], [0.0, 0.0, 9.0], [0.0, 0.0, 9.0], [2.0, 1.0, 0.0]])  # of a, d, b (probe), c
    joined = assay(self_confidence=[0.3, 0.0, 0.1, 0.0], suggested_label=[2, 0, 1, 1])
    rows = joined[joined["split"] == "train"]["example_id"].tolist()
    found = suspicious.list_suspicious(joined, 10, NAMES, logits).set_index("example_id")
    for name, row in found.iterrows():
        assert row["suggested_label"] != row["label"]
        if not row["likely_mislabelled"]:
            others = [value if NAMES[i] != row["label"] else -1.0 for i, value in enumerate(logits[rows.index(name)])]
            assert row["suggested_label"] == NAMES[int(np.argmax(others))]
    assert found["likely_mislabelled"].to_dict() == {"a": False, "c": True, "d": True}
    with pytest.raises(DatassayError, match=r"logits: shape \(3, 3\)"):
        suspicious.list_suspicious(joined, 10, NAMES, np.zeros((3, 3)))


def test_the_list_takes_what_the_model_says_where_there_is_no_suggestion(guide: None) -> None:
    joined = assay(self_confidence=[0.3, 0.0, 0.1, 0.0])
    found = suspicious.list_suspicious(joined, 10, NAMES, np.eye(3)[[0, 1, 2, 2]] + [0, 0.1, 0])
    said = found[["example_id", "label", "suggested_label", "likely_mislabelled"]].values.tolist()
    assert sorted(said) == [["a", "cat", "dog", False], ["c", "owl", "dog", True], ["d", "dog", "owl", True]]


def test_a_weak_model_is_called_weak(guide: None) -> None:
    metrics = {"m": pd.DataFrame({"seed": [0], "epoch": [1], "split": "test", "accuracy": [0.46]})}
    rows = pd.DataFrame({"split": ["test"] * 4 + ["train"], "label": ["a", "a", "b", None, "b"]})
    assert summary.largest_class(rows) == pytest.approx(2 / 3) and summary.largest_class(rows.head(0)) is None
    assert summary.largest_class(rows.assign(label=1.5)) is None
    assert "m is weak: always saying the largest class gives 0.360" in summary.summary_text(
        "d", "results/d", pd.DataFrame(), metrics, guess=0.36
    )
    assert "weak" not in summary.summary_text("d", "results/d", pd.DataFrame(), metrics, guess=0.3)


def test_labels_that_are_digits_stay_texts_in_csv(guide: None, tmp_path) -> None:
    measured = {"m": {"label_quality": family(self_confidence=[0.3, 0.0, 0.1, 0.0], suggested_label=[2, 0, 1, 1])}}
    names = ["0", "01", "NA"]
    found = suspicious.list_suspicious(tables.join_assay(examples(), measured, {}, "m", names), 10, names)
    save_csv(tmp_path / "suspicious.csv", found)
    again = read_csv(tmp_path / "suspicious.csv")
    for column in ("label", "suggested_label", "true_label"):
        assert again[column].tolist() == found[column].tolist()


def test_the_final_score_is_of_the_last_epoch_of_every_seed() -> None:
    metrics = pd.DataFrame(
        {
            "seed": [1, 1, 0, 0, 0],
            "epoch": [2, 1, 1, 2, 2],
            "split": ["test", "test", "test", "test", "train"],
            "accuracy": [0.6, 0.1, 0.2, 0.8, 1.0],
        }
    )
    assert summary.final_score(metrics) == (pytest.approx(0.7), pytest.approx(0.1), 2)
    assert summary.final_score(metrics.drop(columns="seed")[metrics["seed"] == 1])[0] == pytest.approx(0.6)
    assert summary.final_score(metrics, split="validation")[2] == 0
    with pytest.raises(DatassayError, match=r"datasets\[d\].metric: 'f1' was not recorded .*, allowed: accuracy$"):
        summary.summary_text("d", "results/d", pd.DataFrame(), {"m": metrics}, metric="f1")


def test_summary_says_what_was_found_and_fits_the_terminal(guide: None) -> None:
    rows = examples().assign(text=["a" * 300, "x", "数据" * 90, "👩‍🔬 e\u0301\x1b[31m\n\t" * 40, "y"])
    names = ["a class with quite a long name", "dog", "猫" * 30]
    measured = {"m": {"label_quality": family(self_confidence=[0.3, 0.0, 0.1, 0.0], suggested_label=[2, 1, 1, 1])}}
    found = suspicious.list_suspicious(tables.join_assay(rows, measured, {}, "m", names), 5, names)
    metrics = pd.DataFrame({"seed": [0, 1], "epoch": [1, 1], "split": "test", "accuracy": [0.8, 0.9]})
    detection = tables.score_detection(pd.DataFrame({"low": [0.1, 0.9]}), np.array([1.0, 0.0]), {"low": ("one", "low")})
    text = summary.summary_text("trec", "results/trec", found, {"minilm": metrics}, detection)
    lines = text.splitlines()
    assert max(map(summary.columns_of, lines)) <= 100
    assert "results/trec" in lines[0] and "minilm: 0.850 ± 0.050 (2 seeds)" in lines[1]
    assert "1 of 2; found best by low: AUROC 1.000" in lines[2]
    assert lines[4].split() == ["#", "given", "suggested", "true", "example"]
    assert len(lines) == 8 and "\x1b" not in text
    assert lines[3].strip() == "most likely mislabelled (3 of 3 flagged):"
    agreed = summary.summary_text("trec", "r", found.assign(likely_mislabelled=False), {}, files=["a.csv", "b.html"])
    none = "  most likely mislabelled: none, no other label is more likely than the given one"
    assert agreed.splitlines()[1:] == [none, "  open: a.csv", "        b.html"]
