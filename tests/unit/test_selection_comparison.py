"""The comparison of the strategies: by hand, by brute force over sign patterns, and against SciPy."""

from itertools import product

import numpy as np
import pandas as pd
import pytest

from datassay.errors import DatassayError, NotApplicable
from datassay.selection.comparison import (
    absent_strategies,
    compare,
    critical_difference,
    leading,
    paired_t,
    sign_flip,
)


def results() -> pd.DataFrame:
    rows = [
        ("full", 1.0, 0, 0.90), ("full", 1.0, 1, 0.92),
        ("random", 0.2, 0, 0.60), ("random", 0.2, 1, 0.64), ("random", 0.5, 0, 0.80), ("random", 0.5, 1, 0.80),
        ("aum", 0.2, 0, 0.70), ("aum", 0.2, 1, 0.80), ("aum", 0.5, 0, 0.79), ("aum", 0.5, 1, 0.85),
        ("easy", 0.2, 0, 0.62), ("easy", 0.2, 1, 0.62), ("easy", 0.5, 0, 0.80), ("easy", 0.5, 1, 0.70),
        ("balanced_random", 0.2, 0, 0.61), ("balanced_random", 0.2, 1, 0.61),
    ]  # fmt: skip
    table = pd.DataFrame(rows, columns=["strategy", "ratio", "seed", "accuracy"])
    return table.assign(n_kept=(table["ratio"] * 50).astype(int))


def test_cells_by_hand() -> None:
    table = compare(results()).set_index(["strategy", "ratio"])
    aum = table.loc[("aum", 0.2)]
    assert (aum["metric"], aum["split"], aum["n_kept"], aum["seeds"]) == ("accuracy", "test", 10, 2)
    assert aum["mean"] == pytest.approx(0.75)
    assert aum["std"] == pytest.approx(0.1 / np.sqrt(2))
    assert aum["minus_full"] == pytest.approx(-0.16)
    assert aum["minus_random"] == pytest.approx(0.13)  # seed by seed: 0.10, 0.16
    assert aum["minus_random_std"] == pytest.approx(0.06 / np.sqrt(2))
    assert aum["minus_balanced_random"] == pytest.approx(0.14)
    assert (aum["wins"], aum["losses"]) == (2, 0)
    assert aum["p_sign_flip"] == 0.5
    easy = table.loc[("easy", 0.2)]
    assert (easy["wins"], easy["losses"]) == (1, 1)  # 0.02, -0.02
    assert (easy["minus_random"], easy["p_t"], easy["p_sign_flip"]) == (pytest.approx(0), pytest.approx(1), 1)
    assert np.isnan(table.loc[("aum", 0.5), "minus_balanced_random"])


def test_ranks_by_hand() -> None:
    table = compare(results()).set_index(["strategy", "ratio"])
    assert table["rank"].dropna().to_dict() == {
        ("aum", 0.2): 1, ("easy", 0.2): 2.5, ("random", 0.2): 2.5, ("balanced_random", 0.2): 4,
        ("aum", 0.5): 1, ("random", 0.5): 2, ("easy", 0.5): 3,
    }  # fmt: skip
    assert np.isnan(table.loc[("full", 1.0), "rank"])
    assert table.loc[("random", 0.2), "mean_rank"] == table.loc[("random", 0.5), "mean_rank"] == 2.25


def test_over_all_ratios_by_hand() -> None:
    table = compare(results()).set_index("strategy")
    differences = np.array([0.10, 0.16, -0.01, 0.05])
    aum = table.loc["aum"].iloc[0]
    assert (aum["all_cells"], aum["all_wins"], aum["all_losses"]) == (4, 3, 1)
    assert aum["all_minus_random"] == pytest.approx(differences.mean())
    assert aum["all_p_sign_flip"] == 4 / 16  # sums of 0.30 and more: all plus, and all but -0.01 (0.32), and mirrored
    assert aum["all_p_t"] == pytest.approx(paired_t(differences))
    random = table.loc["random"].iloc[0]
    assert (random["minus_random"], random["all_minus_random"], random["all_cells"]) == (0, 0, 0)
    assert np.isnan(random["p_t"]) and np.isnan(random["all_p_sign_flip"])


def test_less_is_better_for_losses() -> None:
    table = compare(results().rename(columns={"accuracy": "loss"}), lead="loss").set_index(["strategy", "ratio"])
    aum = table.loc[("aum", 0.2)]
    assert (aum["wins"], aum["losses"], aum["rank"]) == (0, 2, 4)
    assert aum["minus_random"] == pytest.approx(0.13)


def test_other_metrics_follow_and_validation_is_a_split() -> None:
    many = results().assign(f1=0.5, mcc=0.1, validation_mcc=0.2, validation_accuracy=0.3)
    table = compare(many, lead="mcc")
    order = list(dict.fromkeys(zip(table["metric"], table["split"], strict=True)))
    assert order == [
        ("mcc", "test"), ("mcc", "validation"), ("accuracy", "test"), ("accuracy", "validation"), ("f1", "test")
    ]  # fmt: skip
    assert len(table) == 5 * 8
    assert table.loc[table["metric"] == "mcc", "mean"].tolist() == pytest.approx([0.1] * 8 + [0.2] * 8)


def test_the_test_split_leads_and_validation_stands_in() -> None:
    both = compare(results().assign(validation_accuracy=0.5))
    assert set(leading(both, "accuracy")["split"]) == {"test"}
    untested = compare(results().assign(accuracy=np.nan, validation_accuracy=0.5))
    assert set(leading(untested, "accuracy")["split"]) == {"validation"}
    with pytest.raises(NotApplicable, match="have no f1: there are no labelled test or validation rows"):
        leading(both, "f1")


def test_one_seed_and_absent_references() -> None:
    table = compare(results().query("seed == 0 and strategy == 'aum'")).set_index("ratio")
    assert table["mean"].tolist() == [0.70, 0.79]
    unknown = ["std", "minus_full", "minus_random", "minus_random_std", "p_t", "p_sign_flip", "all_p_t"]
    assert table[unknown].isna().all(axis=None)
    assert (table["wins"] == 0).all() and (table["all_cells"] == 0).all()
    alone = compare(results().query("seed == 0")).set_index(["strategy", "ratio"]).loc[("aum", 0.2)]
    assert alone["minus_random"] == pytest.approx(0.1)
    assert np.isnan(alone["p_t"]) and alone["p_sign_flip"] == 1


def test_a_metric_that_does_not_apply_everywhere_is_compared_where_it_does() -> None:
    table = compare(results().assign(f1=lambda t: t["accuracy"].where(t["ratio"] != 0.5)))
    f1 = table[table["metric"] == "f1"].set_index(["strategy", "ratio"])
    assert f1.loc[("aum", 0.2), "minus_random"] == pytest.approx(0.13)
    assert np.isnan(f1.loc[("aum", 0.5), "mean"]) and f1.loc[("aum", 0.5), "all_cells"] == 2


def test_the_order_of_the_rows_does_not_matter() -> None:
    expected = compare(results())
    for seed in range(3):
        pd.testing.assert_frame_equal(compare(results().sample(frac=1, random_state=seed)), expected, check_exact=True)


def test_incomplete_results_are_refused() -> None:
    with pytest.raises(DatassayError, match="no column seed"):
        compare(results().drop(columns="seed"))
    with pytest.raises(DatassayError, match="occurs twice"):
        compare(pd.concat([results(), results()]))
    with pytest.raises(DatassayError, match=r"metric: 'f1' was not recorded .*, allowed: accuracy$"):
        compare(results(), lead="f1")


def test_strategies_that_were_left_out_are_named() -> None:
    table = absent_strategies(compare(results()), [("el2n", "needs classes")])
    assert table.iloc[-1][["strategy", "note"]].tolist() == ["el2n", "needs classes"]
    assert table["note"].tolist()[:-1] == [""] * 8
    assert str(table["n_kept"].dtype) == "Int64"
    assert absent_strategies(compare(results()), [])["note"].eq("").all()


@pytest.mark.parametrize("n", [1, 2, 3, 7, 8])
def test_sign_flip_counts_every_pattern(n: int) -> None:
    rng = np.random.default_rng(n)
    for differences in (rng.normal(0.5, 1, n), rng.integers(-2, 4, n).astype(float), np.full(n, 0.1), np.zeros(n)):
        found = abs(differences.sum())
        sums = [abs(np.dot(signs, differences)) for signs in product((-1, 1), repeat=n)]
        assert sign_flip(differences) == np.mean([total >= found - 1e-9 for total in sums])
    assert sign_flip(np.arange(1.0, n + 1)) == 2.0 ** (1 - n)


def test_sign_flip_of_many_pairs_is_near_the_normal_limit_and_repeats() -> None:
    from scipy.stats import norm

    differences = np.random.default_rng(0).normal(0.2, 1, 200)
    limit = 2 * norm.sf(abs(differences.sum()) / np.sqrt((differences**2).sum()))
    assert 0.001 < limit < 0.2
    assert sign_flip(differences) == pytest.approx(limit, abs=0.005)
    assert sign_flip(differences) == sign_flip(differences)
    exact, drawn = sign_flip(differences[:30]), sign_flip(np.append(differences[:30], 0.0))  # a zero changes nothing
    assert drawn == pytest.approx(exact, abs=0.005)


def test_paired_t_is_that_of_scipy() -> None:
    from scipy.stats import ttest_1samp

    differences = np.random.default_rng(1).normal(0.3, 1, 6)
    assert paired_t(differences) == pytest.approx(ttest_1samp(differences, 0).pvalue)
    for undefined in ([], [0.1], [0.1, 0.1, 0.1], [0.0, 0.0]):
        assert np.isnan(paired_t(np.array(undefined)))


def test_critical_difference_is_that_of_demsars_table() -> None:
    # Table 5a: q = 2.728 for 5 and 3.164 for 10 classifiers
    assert critical_difference(5, 30) == pytest.approx(2.728 * np.sqrt(5 * 6 / 180), abs=1e-3)
    assert critical_difference(10, 9) == pytest.approx(3.164 * np.sqrt(10 * 11 / 54), abs=1e-3)
    assert np.isnan(critical_difference(1, 9)) and np.isnan(critical_difference(5, 1))
