"""The table of all detectors over data sets, its figures, and the scores they follow from."""

import itertools

import numpy as np
import pandas as pd
import pytest

from datassay.cleaning import by_seed, removal_curves, summarise
from datassay.reporting import cleaning_changes, column_guide, detectors_figure, removal_figure, score_detection
from datassay.reporting.detectors import compare_detectors, detector_scores
from datassay.reporting.tables import precision_at_noise

GUIDE = column_guide()


def assay(n=120, seed=0):
    rng = np.random.default_rng(seed)
    wrong = (rng.random(n) < 0.2).astype(float)
    return wrong, pd.DataFrame(
        {
            "knn_shapley": rng.normal(size=n) - 2 * wrong,
            "aum": rng.normal(size=n) - wrong,
            "forgetting": rng.normal(size=n) + wrong,
            "variability": rng.normal(size=n),
            "entropy": np.where(np.arange(n) == 3, np.nan, rng.normal(size=n)),
        }
    )


def curves(view, n=120, seed=0):
    rng = np.random.default_rng(seed)
    y = rng.integers(0, 3, n + 60)
    x = np.eye(3)[y] * 2 + rng.normal(size=(n + 60, 3))
    return removal_curves(detector_scores(view, GUIDE), (x[:n], y[:n]), (x[n:], y[n:]), steps=6, random_orders=2, k=3)


def tables():
    pairs = [("one", "head"), ("two", "head")]
    views = {pair: assay(seed=i) for i, pair in enumerate(pairs)}
    detection = {pair: score_detection(view, wrong, GUIDE) for pair, (wrong, view) in views.items()}
    return detection, {pair: curves(view, seed=i) for i, (pair, (_, view)) in enumerate(views.items())}


def test_detectors_are_turned_so_that_low_is_suspicious():
    _, view = assay()
    scores = detector_scores(view, GUIDE)
    assert set(scores) == {"knn_shapley", "aum", "forgetting"}
    np.testing.assert_array_equal(scores["forgetting"], -view["forgetting"])
    np.testing.assert_array_equal(scores["aum"], view["aum"])


def test_precision_at_the_noise_rate_is_the_mean_over_all_orders_of_ties():
    score, wrong = np.array([3.0, 2, 2, 2, 1, 0]), np.array([1, 1, 0, 0, 1, 0], bool)
    shares = []
    for order in itertools.permutations(range(6)):
        picked = sorted(order, key=lambda row: -score[row])[:3]
        shares.append(wrong[picked].mean())
    assert precision_at_noise(score, wrong) == pytest.approx(np.mean(shares))
    assert precision_at_noise(wrong.astype(float), wrong) == 1 and precision_at_noise(-1.0 * wrong, wrong) == 0


def test_the_table_holds_every_data_set_and_their_mean():
    detection, followed = tables()
    table = compare_detectors(detection, followed)
    assert set(table["dataset"]) == {"one", "two", "(all)"}
    row = table[(table["dataset"] == "two") & (table["detector"] == "aum")].iloc[0]
    known = detection["two", "head"].set_index("column").loc["aum"]
    assert row["auroc"] == known["auroc"] and row["precision_at_noise"] == known["precision_at_noise"]
    every = table[table["dataset"] == "(all)"].set_index("detector")
    both = table[table["dataset"] != "(all)"].groupby("detector")
    pd.testing.assert_series_equal(every["auroc"].sort_index(), both["auroc"].mean(), check_names=False)
    control = every.loc["random_orders"]
    assert control["family"] == "control" and control["ridge_gain"] == pytest.approx(0)
    assert every.loc["variability", "orientation"] == "none stated" and np.isnan(every.loc["variability", "auroc_rank"])
    ranks = table[(table["dataset"] == "one") & table["auroc_rank"].notna()]
    assert sorted(ranks["auroc_rank"]) == [1, 2, 3, 4] and (every["pairs"].dropna() <= 2).all()


def test_gain_is_the_area_above_random():
    from datassay.cleaning import areas

    detection, followed = tables()
    table = compare_detectors(detection, followed).set_index(["dataset", "detector"])
    found = areas(followed["one", "head"]).set_index(["detector", "utility"])["remove_suspicious"]
    assert table.loc[("one", "aum"), "knn_gain"] == pytest.approx(found["aum", "knn"] - found["random_orders", "knn"])


def test_data_sets_without_known_noise_or_curves_still_count():
    detection, followed = tables()
    empty = score_detection(assay()[1], np.full(120, np.nan), GUIDE)
    only_curves = compare_detectors({("one", "head"): empty}, {("one", "head"): followed["one", "head"]})
    assert only_curves["auroc"].isna().all() and only_curves["knn_gain"].notna().any()
    only_noise = compare_detectors({("one", "head"): detection["one", "head"]}, {})
    assert "knn_gain" not in only_noise and only_noise["auroc"].notna().any()
    assert not len(compare_detectors({("one", "head"): empty}, {}))


def texts(figure):
    return [t.get_text() for axes in figure.axes for t in axes.texts] + [t.get_text() for t in figure.texts]


def test_figures_draw_every_detector_that_states_an_end():
    detection, followed = tables()
    figure = detectors_figure(compare_detectors(detection, followed))
    names = [tick.get_text() for tick in figure.axes[0].get_yticklabels()]
    assert {"knn shapley", "aum", "forgetting", "entropy", "random orders"} == set(names)
    assert len(figure.axes) == 4
    assert any("In the table only: 1 that state" in text for text in texts(figure))
    panels = removal_figure(followed["one", "head"], "knn")
    assert {axes.get_title("left") for axes in panels.axes} >= {"knn shapley", "aum", "forgetting"}
    nothing = detectors_figure(compare_detectors({}, {}))
    assert any("Nothing to draw" in text for text in texts(nothing))


def test_one_data_set_is_drawn_as_bars_in_the_order_of_the_names():
    detection, followed = tables()
    pair = ("one", "head")
    table = compare_detectors({pair: detection[pair]}, {pair: followed[pair]})
    figure = detectors_figure(table)
    names = [tick.get_text().replace(" ", "_") for tick in figure.axes[0].get_yticklabels()]
    known = table[table["dataset"] == "one"].set_index("detector")
    assert set(names) == {"knn_shapley", "aum", "forgetting", "entropy", "random_orders"}
    assert figure.texts[0].get_text() == "one: detectors of wrong labels"
    for axes, column, scale in zip(
        figure.axes, ("auroc", "average_precision", "ridge_gain", "knn_gain"), (1, 1, 100, 100), strict=True
    ):
        lengths = [bar.get_width() for bar in axes.patches]
        np.testing.assert_allclose(lengths, known[column].reindex(names).fillna(0) * scale)
        assert not axes.images and axes.get_ylim()[0] > axes.get_ylim()[1], "the first name is on top"
    assert (np.diff([bar.get_width() for bar in figure.axes[0].patches]) <= 0).all()


def test_one_data_set_without_known_noise_shows_its_gains():
    _, followed = tables()
    figure = detectors_figure(compare_detectors({}, {("one", "head"): followed["one", "head"]}))
    assert [axes.get_title("left") for axes in figure.axes] == ["gain, ridge", "gain, K-NN"]


def test_curves_without_test_rows_say_so_in_table_and_figure():
    detection, followed = tables()
    nothing = followed["one", "head"][:0]
    assert any("no test row is labelled" in text for text in texts(removal_figure(nothing, "knn")))
    table = compare_detectors(detection, {("one", "head"): nothing, ("two", "head"): followed["two", "head"]})
    assert table.loc[table["dataset"] == "one", "knn_gain"].isna().all() and table["knn_gain"].notna().any()


def test_before_and_after_are_drawn():
    full = pd.DataFrame({"seed": [0, 1], "n_kept": 10, "accuracy": [0.5, 0.6]})
    cleaned = full.assign(accuracy=[0.7, 0.9], column="aum", rule="quantile", n_kept=8)
    about = {"n": 10, "n_dropped": 2, "share_dropped": 0.2, "known_noise": None}
    about |= {end: {"knn_reporting": None, "knn_test": 0.6} for end in ("before", "after")}
    seeds = by_seed(full, [cleaned])
    figure = cleaning_changes(summarise(seeds, {("aum", "quantile"): about}), seeds, "accuracy")
    assert figure.axes[0].get_yticklabels()[0].get_text() == "aum, quantile\ndrops 2 of 10"
    missing = cleaning_changes(summarise(seeds, {("aum", "quantile"): about}), seeds, "mcc")
    assert any("Nothing to draw" in text for text in texts(missing))
