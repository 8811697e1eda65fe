"""What people see of a regression and of a multiple choice: tables, the list of suspicious examples, figures, summary."""

import warnings
from collections.abc import Iterator

import numpy as np
import pandas as pd
import pytest

from datassay import reporting
from datassay.reporting import summary, tables
from datassay.reporting.columns import content_text
from datassay.storage import load_table, read_csv, save_csv, save_table

N = 30


@pytest.fixture(autouse=True)
def no_warnings() -> Iterator[None]:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        warnings.filterwarnings("ignore", category=DeprecationWarning)
        yield


def examples(**more: object) -> pd.DataFrame:
    return pd.DataFrame(
        {
            "example_id": [f"e{i}" for i in range(N)],
            "split": ["train"] * 20 + ["test"] * 10,
            "is_noisy": False,
            "is_probe": False,
            "text": [f"first {i}" for i in range(N)],
            **more,
        }
    )


def numbers() -> tuple[pd.DataFrame, dict[str, pd.DataFrame]]:
    rng = np.random.default_rng(0)
    rows = examples(label=rng.uniform(0, 5, N), text_b=[f"second {i}" for i in range(N)])
    error = np.linspace(1, 2, 20)
    error[[3, 11]] = 4.0, 3.0
    family = pd.DataFrame(
        {
            "example_id": rows["example_id"][:20],
            "mean_abs_error": error,
            "prediction_variability": rng.random(20),
            "final_prediction": rows["label"][:20] + error,
            "held_out_error": error * 2,
        }
    )
    family.attrs["absent"] = {
        "mc_std": "the model has no dropout layer",
        "class_density": "not asked for by the options",
    }
    return rows, {"regression_dynamics": family}


def test_labels_of_a_regression_stay_numbers_in_the_assay(tmp_path) -> None:
    rows, measured = numbers()
    assay = tables.join_assay(rows, {"m": measured}, {}, "m", [])
    assert assay["label"].tolist() == rows["label"].tolist() and assay["true_label"].isna().all()
    assert assay["suspicion"][:20].idxmax() == 3
    save_table(tmp_path / "assay.parquet", assay)
    again = load_table(tmp_path / "assay.parquet", ["example_id"])
    assert again.attrs["absent"] == {"mc_std": "the model has no dropout layer"}


def test_the_prediction_is_what_a_regression_suggests(tmp_path) -> None:
    rows, measured = numbers()
    assay = tables.join_assay(rows.assign(true_label=rows["label"]), {"m": measured}, {}, "m", [])
    found = reporting.list_suspicious(assay, 5, [], np.zeros((20, 1)))
    assert found["example_id"].tolist()[:2] == ["e3", "e11"]
    label = rows["label"][3]
    assert found.iloc[0][["label", "suggested_label", "true_label"]].tolist() == [
        f"{label:.4g}", f"{label + 4:.4g}", f"{label:.4g}",
    ]  # fmt: skip
    save_csv(tmp_path / "found.csv", found)
    text = summary.summary_text("stsb", "results/stsb", read_csv(tmp_path / "found.csv"), {})
    assert "first 3 | second 3" in text and f"{label + 4:.4g}" in text


def test_the_ensemble_is_preferred_to_one_model() -> None:
    rows, measured = numbers()
    family = measured["regression_dynamics"].assign(ens_prediction=1.25)
    assay = tables.join_assay(rows, {"m": {"regression_dynamics": family}}, {}, "m", [])
    assert set(reporting.list_suspicious(assay, 5, [])["suggested_label"]) == {"1.25"}


def test_a_regression_without_predictions_suggests_nothing() -> None:
    rows, measured = numbers()
    family = measured["regression_dynamics"][["example_id", "held_out_error"]]
    assay = tables.join_assay(rows, {"m": {"mine": family}}, {}, "m", [])
    found = reporting.list_suspicious(assay, 5, [], np.zeros((20, 1)))
    assert found["suggested_label"].isna().all() and found["example_id"][0] == "e3"


def choices() -> pd.DataFrame:
    return examples(label=np.arange(N) % 2, options=[["the cup", f"shelf {i}"] for i in range(N)])


def test_options_are_shown_with_the_text() -> None:
    family = pd.DataFrame({"example_id": [f"e{i}" for i in range(20)], "avg_conf": np.linspace(0.9, 0.1, 20)})
    assay = tables.join_assay(choices(), {"m": {"training_dynamics": family}}, {}, "m", ["1", "2"])
    assert assay["options"][4] == "the cup / shelf 4" and assay["label"].tolist()[:2] == ["1", "2"]
    found = reporting.list_suspicious(assay, 3, ["1", "2"], np.tile([1.0, 0.0], (20, 1)))
    assert found[["example_id", "label", "suggested_label"]].iloc[0].tolist() == ["e19", "2", "1"]
    assert content_text(found.iloc[0]) == "first 19  |  the cup / shelf 19"
    assert "the cup / shelf 19" in summary.summary_text("w", "results/w", found, {})


def test_an_example_without_text_is_its_image_or_its_id() -> None:
    assert content_text(pd.Series({"example_id": "a", "image_path": "x/a.png", "options": np.nan})) == "x/a.png"
    assert content_text(pd.Series({"example_id": "a", "image_path": None})) == "a"


def test_the_summary_leads_with_the_metric_and_names_what_was_left_out() -> None:
    metrics = pd.DataFrame({"seed": [0, 1], "epoch": 1, "split": "test", "accuracy": [0.8, 0.9], "mcc": [0.5, 0.7]})
    absent = {"aum": "needs classes", "forgetting": "needs classes", "mc_std": "no dropout"}
    lines = summary.summary_text("d", "r", pd.DataFrame(), {"m": metrics}, metric="mcc", absent=absent).splitlines()
    assert lines[1] == "  test MCC of m: 0.600 ± 0.100 (2 seeds), accuracy 0.850"
    assert lines[2:] == ["  left out: aum, forgetting (needs classes)", "  left out: mc_std (no dropout)"]
    many = {f"column_{i}": "needs classes" for i in range(20)}
    wrapped = summary.summary_text("d", "r", pd.DataFrame(), {}, absent=many).splitlines()
    assert max(map(len, wrapped)) <= 100 and all(name in "\n".join(wrapped) for name in many)
    numbers = metrics.rename(columns={"accuracy": "spearman", "mcc": "pearson"})
    assert "Pearson correlation of m: 0.600 ± 0.100 (2 seeds), Spearman correlation 0.850" in summary.summary_text(
        "d", "r", pd.DataFrame(), {"m": numbers}, metric="pearson"
    )


def texts_of(figure) -> str:
    found = [t.get_text() for t in figure.findobj(lambda a: hasattr(a, "get_text"))]
    return "\n".join(found)


def test_figures_of_a_regression() -> None:
    rows, measured = numbers()
    card = reporting.data_card(rows, {"name": "stsb", "task": "regression", "label_names": []})
    said = texts_of(card)
    assert "given label" in said and "with labels from" in said and "  |  second" not in said.split("given label")[0]
    assert "second" in said
    assay = tables.join_assay(rows, {"m": measured}, {}, "m", [])
    map_ = texts_of(reporting.data_map(reporting.train_rows(assay)))
    assert "error (mean distance to the label)" in map_ and "Bottom: easy to learn" in map_
    curves = pd.DataFrame({"epoch": [1, 2], "split": "train", "loss": 1.0, "rmse": 1.0, "pearson": [0.1, 0.2]})
    drawn = texts_of(reporting.training_curves(curves, "pearson"))
    assert "mean squared error" in drawn and "Pearson correlation" in drawn


def test_images_of_a_regression_come_in_the_order_of_their_labels() -> None:
    from io import BytesIO

    from PIL import Image

    buffer = BytesIO()
    Image.new("RGB", (8, 8), "red").save(buffer, "PNG")
    rows, _ = numbers()
    images = rows.drop(columns=["text", "text_b"]).assign(
        image=[{"bytes": buffer.getvalue(), "path": None}] * len(rows)
    )
    card = reporting.data_card(images, {"name": "ages", "task": "regression", "label_names": []})
    titles = [
        a.get_title(loc="center") for a in card.findobj(lambda a: hasattr(a, "get_title")) if hasattr(a, "images")
    ]
    ends = [float(end) for title in titles if " to" in title for end in title.split(" to")]
    assert len(ends) == 16 and ends == sorted(ends)


def test_figures_of_a_multiple_choice() -> None:
    said = texts_of(reporting.data_card(choices(), {"name": "w", "task": "multiple_choice", "label_names": ["1", "2"]}))
    assert "with 2 options each" in said and "Right option (given labels)" in said and "the cup / shelf" in said
