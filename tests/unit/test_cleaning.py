"""Cleaning: which rows go, the K-NN check, what is reported of it, and the removal curves."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from datassay.cleaning import (
    areas,
    by_seed,
    decide,
    keep_by_share,
    keep_by_threshold,
    knn_accuracies,
    nearest,
    removal_curves,
    summarise,
)
from datassay.errors import DatassayError
from datassay.valuation import knn_shapley


def blobs(n=300, v=80, t=200, d=4, classes=3, noise=0.2, seed=0):
    """Train rows, a fifth of them with a wrong label, valuation and test rows, and which labels are wrong."""
    rng = np.random.default_rng(seed)
    centres = rng.normal(size=(classes, d)) * 1.2
    y = rng.integers(0, classes, n + v + t)
    x = centres[y] + rng.normal(size=(n + v + t, d))
    wrong = rng.random(n) < noise
    given = np.where(wrong, (y[:n] + rng.integers(1, classes, n)) % classes, y[:n])
    return (x[:n], given), (x[n : n + v], y[n : n + v]), (x[n + v :], y[n + v :]), wrong.astype(float)


def choose(scores, train, valuation, test, rule="threshold", **more):
    settings = {"rule": rule, "threshold": 0.0, "shares": [0.1, 0.2, 0.5], "k": 5, "seed": 0} | more
    return decide(scores, train, valuation, test, **settings)


def test_a_threshold_drops_what_is_not_above_it():
    np.testing.assert_array_equal(keep_by_threshold(np.array([-1.0, 0, 1e-9, 2])), [False, False, True, True])
    assert keep_by_threshold(np.array([0.4, 0.6]), 0.5).tolist() == [False, True]


def test_a_share_drops_the_lowest_and_ties_by_chance():
    scores = np.array([3.0, 1, 2, 0, 5, 4])
    assert keep_by_share(scores, 0.5, np.random.default_rng(0)).tolist() == [True, False, False, False, True, True]
    kept = [keep_by_share(np.zeros(10), 0.3, np.random.default_rng(i)) for i in range(20)]
    assert all(k.sum() == 7 for k in kept) and len({tuple(k) for k in kept}) > 5


@pytest.mark.parametrize("k", [1, 5, 10, 400])
def test_knn_check_equals_scikit_learn(k, monkeypatch):
    from sklearn.neighbors import KNeighborsClassifier

    train, _, test, _ = blobs()
    rng = np.random.default_rng(1)
    keep = np.stack([np.ones(300, bool), rng.random(300) < 0.5, rng.random(300) < 0.05])
    keep[2, :3] = True
    expected = []
    for mask in keep:
        model = KNeighborsClassifier(min(k, int(mask.sum())), algorithm="brute").fit(train[0][mask], train[1][mask])
        expected.append(model.score(*test))
    np.testing.assert_allclose(knn_accuracies(*train, *test, keep, k), expected)
    monkeypatch.setattr(nearest, "BLOCK_CELLS", 700)
    np.testing.assert_allclose(knn_accuracies(*train, *test, keep, k), expected)


def test_knn_check_without_test_rows_is_unknown():
    train, _, test, _ = blobs()
    assert np.isnan(knn_accuracies(*train, test[0][:0], test[1][:0], np.ones((2, 300), bool))).all()


def test_threshold_report_counts_drops_noise_and_accuracies():
    train, valuation, test, wrong = blobs()
    values = knn_shapley(*train, *valuation, 5)
    wrong[:30] = np.nan
    keep, report = choose(values, train, valuation, test, wrong=wrong)
    np.testing.assert_array_equal(keep, values > 0)
    dropped, known = ~keep, np.isfinite(wrong)
    assert report["n"] == 300 and report["n_dropped"] == dropped.sum()
    hits = (dropped & (wrong == 1)).sum()
    noise = report["known_noise"]
    assert noise["n_noisy"] == (wrong == 1).sum()
    assert noise["precision"] == pytest.approx(hits / (dropped & known).sum())
    assert noise["recall"] == pytest.approx(hits / (wrong == 1).sum())
    before, after = knn_accuracies(*train, *test, np.stack([np.ones(300, bool), keep]), 5)
    assert report["before"]["knn_test"] == before and report["after"]["knn_test"] == after
    assert report["before"]["n_kept"] == 300 and [c["share"] for c in report["candidates"]] == [0.0, 0.1, 0.2, 0.5]


def test_the_share_is_chosen_on_one_half_alone():
    """Each half holds another class's worth of evidence: the choice follows the choosing half only."""
    train, valuation, test, _ = blobs()
    values = knn_shapley(*train, *valuation, 5)
    keep, report = choose(values, train, valuation, test, rule="quantile")
    accuracies = [c["knn_choosing"] for c in report["candidates"]]
    best = report["candidates"][int(np.argmax(accuracies))]
    assert report["n_dropped"] == 300 - best["n_kept"] and keep.sum() == best["n_kept"]
    assert report["after"]["knn_choosing"] == max(accuracies)
    flipped, _ = choose(values, train, valuation, (test[0], (test[1] + 1) % 3), rule="quantile")
    np.testing.assert_array_equal(keep, flipped)


def test_halves_share_no_row_and_hold_every_class():
    from datassay.cleaning.rules import class_halves

    labels = np.array([0] * 7 + [1] * 4 + [2])
    choosing, reporting = class_halves(labels, np.random.default_rng(0))
    assert sorted([*choosing, *reporting]) == list(range(12))
    assert abs((labels[choosing] == 0).sum() - 3.5) == 0.5 and (labels[choosing] == 1).sum() == 2


def test_nothing_is_chosen_where_nothing_helps():
    train, valuation, test, _ = blobs(noise=0.0)
    _, report = choose(np.zeros(300), train, valuation, test, rule="quantile", shares=[0.99])
    assert report["n_dropped"] == 0 and report["known_noise"] is None


def test_a_rule_that_leaves_one_class_is_refused():
    train, valuation, test, _ = blobs()
    with pytest.raises(DatassayError, match=r"threshold 0 keeps 0 of 300 rows of 0 classes.*out of cleaning.rules"):
        choose(np.zeros(300), train, valuation, test)
    with pytest.raises(DatassayError, match="of 1 classes"):
        choose(np.where(train[1] == 0, 1.0, -1.0), train, valuation, test)
    zeros = valuation[0], np.zeros_like(valuation[1])
    with pytest.raises(DatassayError, match=r"chosen share keeps .* of 1 classes.*largest of cleaning.shares out"):
        choose(np.where(train[1] == 0, 1.0, -1.0), train, zeros, test, rule="quantile", shares=[0.75])


def test_a_share_is_not_chosen_without_valuation_rows():
    train, valuation, test, _ = blobs()
    nothing = valuation[0][:0], valuation[1][:0]
    with pytest.raises(DatassayError, match="quantile chooses on the valuation split, which has no row"):
        choose(np.zeros(300), train, nothing, test, rule="quantile")
    keep, report = choose(np.ones(300), train, nothing, test)
    assert keep.all() and report["after"]["knn_choosing"] is None


def ridge_by_definition(train, test, keep, penalty=0.01):
    from sklearn.linear_model import Ridge

    x, y = train[0][keep], np.eye(3)[train[1][keep]]
    model = Ridge(alpha=penalty * x.var(axis=0).mean() * len(x)).fit(x, y)
    return (model.predict(test[0]).argmax(axis=1) == test[1]).mean()


def test_curves_equal_classifiers_fitted_one_by_one():
    train, _, test, wrong = blobs()
    score = np.random.default_rng(2).normal(size=300) - wrong
    curves = removal_curves({"d": score}, train, test, steps=5, random_orders=0, k=5)
    assert set(curves["detector"]) == {"d"} and len(curves) == 2 * 2 * 5
    for order, sign in (("suspicious_first", 1), ("trusted_first", -1)):
        ranking = np.argsort(sign * score)
        for utility in ("knn", "ridge"):
            rows = curves[(curves["order"] == order) & (curves["utility"] == utility)]
            assert rows["n_kept"].tolist() == [300, 240, 180, 120, 60]
            for removed, found in zip(300 - rows["n_kept"], rows["accuracy"], strict=True):
                keep = np.ones(300, bool)
                keep[ranking[:removed]] = False
                if utility == "ridge":
                    expected = ridge_by_definition(train, test, keep)
                else:
                    expected = knn_accuracies(*train, *test, keep[None], 5)[0]
                assert found == pytest.approx(expected, abs=0.0051)


def test_curves_of_few_rows_keep_one():
    train, _, test, _ = blobs()
    few = train[0][:10], train[1][:10]
    curves = removal_curves({"d": np.arange(10.0)}, few, test, steps=20, random_orders=1, k=3)
    assert curves["n_kept"].min() == 1 and np.isfinite(curves["accuracy"]).all()


def test_random_control_is_the_mean_of_its_orders_and_the_same_from_both_ends():
    train, _, test, _ = blobs()
    one, three = (removal_curves({}, train, test, steps=4, random_orders=n, utilities=["knn"]) for n in (1, 3))
    assert set(three["detector"]) == {"random_orders"}
    ends = [three[three["order"] == order]["accuracy"].to_numpy() for order in ("suspicious_first", "trusted_first")]
    np.testing.assert_array_equal(*ends)
    assert not np.array_equal(one["accuracy"], three["accuracy"])


def test_a_perfect_detector_beats_random_in_every_area():
    train, _, test, wrong = blobs(noise=0.4)
    table = areas(removal_curves({"truth": -wrong}, train, test, k=5)).set_index(["detector", "utility"])
    for utility in ("knn", "ridge"):
        truth, control = table.loc[("truth", utility)], table.loc[("random_orders", utility)]
        assert truth["remove_suspicious"] > control["remove_suspicious"] + 0.02
        assert truth["add_trusted"] > control["add_trusted"] + 0.02
        assert truth["remove_trusted"] < control["remove_trusted"] - 0.02
        assert truth["add_suspicious"] < control["add_suspicious"] - 0.02


def test_areas_are_mean_heights():
    share = np.array([0, 0.25, 0.5, 0.75])
    frames = [
        pd.DataFrame({"detector": "d", "order": order, "removed": share, "utility": "knn", "accuracy": heights})
        for order, heights in (("suspicious_first", [0.8, 0.9, 0.6, 0.4]), ("trusted_first", [0.8, 0.2, 0.0, 0.0]))
    ]
    (row,) = areas(pd.concat(frames)).to_dict("records")
    assert row["remove_suspicious"] == pytest.approx((0.85 + 0.75) / 2) and row["add_trusted"] == pytest.approx(0.5)
    assert row["remove_trusted"] == pytest.approx((0.5 + 0.1) / 2) and row["add_suspicious"] == 0


def test_without_test_rows_there_are_no_curves():
    train, _, test, wrong = blobs()
    curves = removal_curves({"d": -wrong}, train, (test[0][:0], test[1][:0]))
    assert list(curves) == list(removal_curves({"d": -wrong}, train, test, steps=2)) and not len(curves)


def retrained(accuracies, **about):
    seeds = list(range(len(accuracies)))
    return pd.DataFrame({"seed": seeds, "n_kept": 90, "accuracy": accuracies, **about})


def test_changes_are_paired_by_seed():
    full = retrained([0.5, 0.7], n_kept=100, strategy="full", ratio=1.0)
    cleaned = retrained([0.6, 0.9], column="aum", rule="quantile")[::-1]
    seeds = by_seed(full, [cleaned])
    assert seeds["accuracy_change"].tolist() == pytest.approx([0.1, 0.2])
    assert seeds["accuracy_before"].tolist() == [0.5, 0.7] and seeds["n_kept"].tolist() == [90, 90]
    about = {"n": 100, "n_dropped": 10, "share_dropped": 0.1, "known_noise": {"precision": 0.5, "recall": 0.2}}
    about |= {end: {"knn_reporting": 0.5, "knn_test": 0.6} for end in ("before", "after")}
    (row,) = summarise(seeds, {("aum", "quantile"): about}).to_dict("records")
    assert row["accuracy_change_mean"] == pytest.approx(0.15)
    assert row["accuracy_change_std"] == pytest.approx(np.std([0.1, 0.2], ddof=1))
    assert row["dropped_precision"] == 0.5 and row["n_dropped"] == 10 and row["seeds"] == 2
    with pytest.raises(DatassayError, match="seeds"):
        by_seed(full[:1], [cleaned])


def test_published_cleaning_of_cats_and_dogs(shared: Path):
    with np.load(shared / "golden" / "cats_dogs_knn_shapley.npz", allow_pickle=False) as case:
        g = {name: case[name] for name in case.files}
    train, valuation, test = ((g[f"{s}_x"], g[f"{s}_y"]) for s in ("train", "valid", "test"))
    values = knn_shapley(*train, *valuation)
    keep, report = choose(values, train, valuation, test, k=10, shares=[0.3])
    assert (~keep).sum() == 245
    accuracies = [report["before"], report["after"], report["candidates"][1]]
    assert [round(100 * row["knn_test"], 1) for row in accuracies] == [67.9, 84.6, 87.1]
