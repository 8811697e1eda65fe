"""Figures of archaeology: what they show is what was recorded, and each says why where there is nothing to show."""

import numpy as np
import pandas as pd
import pytest

from datassay.archaeology.comparison import compare_treatments
from datassay.archaeology.evaluation import evaluate
from datassay.archaeology.outside import outside_scores, outside_table
from datassay.data.images import encode_png
from datassay.reporting import application_figures as applications
from datassay.reporting import archaeology_figures as figures
from datassay.reporting import column_guide, save_figure
from datassay.reporting import probe_galleries as galleries

RNG = np.random.default_rng(0)
EPOCHS, SEEDS, EACH = 5, 2, 4
SUITES = np.repeat(["typical", "random_outputs", "ordinary"], EACH)


def records():
    found = {}
    for part, n in (("train", 30), ("reference", len(SUITES)), ("evaluation", len(SUITES))):
        found[f"{part}_loss"] = RNG.exponential(size=(n, SEEDS, EPOCHS)).astype(np.float32)
        found[f"{part}_right"] = RNG.random((n, SEEDS, EPOCHS)) < 0.6
    return found | {"reference_suite": SUITES, "evaluation_suite": SUITES}


def texts_in(figure):
    return " ".join(text.get_text() for text in figure.findobj(lambda artist: hasattr(artist, "get_text")))


def test_suites_hold_both_halves_and_the_train_rows_come_last():
    data = records()
    losses = figures.by_suite(data, "loss")
    assert list(losses) == ["typical", "random_outputs", "ordinary", "train"]
    np.testing.assert_array_equal(losses["typical"][:EACH], data["reference_loss"][:EACH])
    np.testing.assert_array_equal(losses["typical"][EACH:], data["evaluation_loss"][:EACH])


def test_curves_draw_the_mean_of_every_suite():
    data = records()
    axes = figures.probe_curves(data).axes[0]
    lines = {line.get_label(): line.get_ydata() for line in axes.lines}
    assert set(lines) == {"typical", "random outputs", "ordinary", "train"}
    np.testing.assert_allclose(lines["train"], data["train_loss"].mean(axis=(0, 1)), rtol=1e-5)


def test_the_cumulative_share_ends_with_what_is_right_at_the_end():
    data = records()
    lines = {line.get_label(): line.get_ydata() for line in figures.learned(data).axes[0].lines}
    assert lines["train"][-1] == pytest.approx(data["train_right"][:, 0, -1].mean())
    assert (np.diff(lines["train"]) >= 0).all()


def evaluation():
    planted, assigned = (
        np.array(["typical"] * 3 + ["random_outputs"] * 2),
        np.array(["typical"] * 4 + ["random_outputs"]),
    )
    names = ["random_outputs", "typical"]
    return {
        "probes": evaluate(planted, assigned, names),
        "train": {"n": 8, "categories": {"random_outputs": 2, "typical": 6}},
    }


def test_the_confusion_matrix_shows_counts_and_shares():
    shown = texts_in(figures.probe_confusion(evaluation(), name="d, m"))
    assert "3\n100%" in shown and "1\n50%" in shown and "80.0%" in shown and "75.0%" in shown
    empty = evaluation() | {"probes": evaluate(np.array([]), np.array([]), ["typical"])}
    assert "no probe was held out" in " ".join(texts_in(figures.probe_confusion(empty)).split())


def test_every_other_figure_is_drawn(tmp_path):
    data = records()
    typicality = pd.DataFrame({"example_id": [f"e{i}" for i in range(20)], "typicality": np.linspace(0, 1, 20)})
    probes = pd.DataFrame({"example_id": ["e0", "e19"], "suite": ["atypical", "typical"]})
    for figure in (
        figures.probe_losses(data),
        figures.probe_trajectories(data),
        figures.memorisation(typicality, probes),
    ):
        assert len(figure.axes) > 0
        save_figure(figure, tmp_path / "f.png")
    assert "no suite needed scores" in " ".join(texts_in(figures.memorisation(typicality[:0], probes)).split())


def table(kind):
    examples = pd.DataFrame({"example_id": [f"e{i}" for i in range(12)], "label": np.arange(12) % 2})
    if kind == "text":
        return examples.assign(text=[f"text number {i}" for i in range(12)])
    pixels = RNG.integers(0, 256, (12, 6, 6, 3), dtype=np.uint8)
    return examples.assign(image=[{"bytes": encode_png(p), "path": f"{i}.png"} for i, p in enumerate(pixels)])


@pytest.mark.parametrize("kind", ["text", "image"])
def test_galleries_show_probes_and_the_clearest_rows(kind):
    examples, names = table(kind), ["no", "yes"]
    probes = pd.DataFrame({"example_id": ["e0", "e1", "e2"], "suite": ["typical", "random_outputs", "random_inputs"]})
    probes = probes.assign(original_label=[0, 0, -1])
    shown = texts_in(galleries.probe_gallery(probes, examples, names))
    assert "no → yes" in shown and "random" in shown
    categories = pd.DataFrame({"example_id": [f"e{i}" for i in range(3, 12)], "half": "train"})
    categories["category"] = ["typical", "atypical", "typical"] * 3
    categories["share_typical"] = np.where(categories["category"] == "typical", np.linspace(0.6, 1, 9), 0.2)
    categories["share_atypical"] = 1 - categories["share_typical"]
    audit = galleries.audit_table(categories, examples, names, each=2)
    best = audit[(audit["category"] == "typical") & (audit["label"] == "yes")]
    assert best["example_id"].tolist() == ["e11", "e9"] and best["rank"].tolist() == [1, 2]
    assert best["vote_share"].tolist() == pytest.approx([1.0, 0.9])
    assert "100%" in texts_in(galleries.category_gallery(audit, examples))
    assert "no train row" in " ".join(texts_in(galleries.category_gallery(audit[:0], examples)).split())


def test_figures_of_the_applications():
    wrong = np.arange(60) % 5 == 0
    measures = pd.DataFrame({"noise_share": wrong + RNG.normal(0, 1, 60), "aum": RNG.normal(size=60)})
    scored = applications.noise_table(measures, wrong.astype(float), column_guide())
    assert "MAP-D, against typical and ordinary" in texts_in(
        applications.noise_detection(scored, measures, wrong.astype(float))
    )
    nothing = applications.noise_table(measures, np.full(60, np.nan), column_guide())
    assert "no label is known" in " ".join(texts_in(applications.noise_detection(nothing, measures, wrong)).split())
    result = pd.DataFrame({"seed": [0, 0, 1, 1], "epoch": [1, 2, 1, 2], "n_kept": 9, "accuracy": [0.2, 0.5, 0.3, 0.6]})
    results = {"uniform": result, "prioritised": result.assign(accuracy=result["accuracy"] + 0.3)}
    compared = compare_treatments("prioritised_training", results)
    assert "uniform: 2, prioritised: 1" in texts_in(applications.treatments("prioritised_training", compared, results))
    by_group = {
        name: result.drop(columns="epoch").assign(worst_group_accuracy=0.1) for name in ("plain", "weighted", "known")
    }
    compared = compare_treatments("minority_groups", by_group)
    assert len(applications.treatments("minority_groups", compared, by_group).axes) == 2
    suites = np.array(["inside"] * 20 + ["random_inputs"] * 20, dtype=object)
    scores = outside_scores(RNG.normal(size=(3, 40, 4)), suites, k=3)
    assert "AUROC" in texts_in(applications.outside(scores, outside_table(scores)))
