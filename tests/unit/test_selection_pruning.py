"""The pruning stage: checked rankings and kept rows."""

import numpy as np
import pandas as pd
import pytest

from datassay.errors import DatassayError
from datassay.registry import Method, method, methods
from datassay.selection.pruning import check_measurable, check_ranking, keep_count, kept_rows, rank, ratio_text


@pytest.fixture(scope="module")
def arrays() -> dict[str, np.ndarray]:
    rng = np.random.default_rng(0)
    columns = ("avg_conf", "variability", "forgetting", "ens_el2n", "aum", "task_density", "knn_shapley")
    n = 60
    return {name: rng.normal(size=n).round(1) for name in columns} | {
        "labels": rng.integers(3, size=n),
        "features": rng.normal(size=(n, 8)),
        "embeddings": rng.normal(size=(n, 6)),
        "infoverse": rng.normal(size=(n, 23)),
        "ensemble_epoch_logits": rng.normal(size=(2, 3, n, 3)),
        "ensemble_feature_norms": rng.uniform(1, 2, size=(2, 3, n)),
    }


@pytest.mark.parametrize("name", sorted(methods("strategy")))
def test_every_strategy_is_nested_and_repeats_itself(name: str, arrays: dict[str, np.ndarray]) -> None:
    strategy = method("strategy", name)
    table = rank(strategy, arrays, 60, seed=3)
    assert table["rank"].tolist() == list(range(60))
    assert sorted(table["row"]) == list(range(60))
    assert table.dtypes.tolist() == [np.int64, np.int64]
    pd.testing.assert_frame_equal(table, rank(strategy, arrays, 60, seed=3))
    assert rank(strategy, arrays, 20, seed=3)["row"].tolist()[:20] == table["row"].tolist()[:20]


def test_random_rankings_differ_by_seed(arrays: dict[str, np.ndarray]) -> None:
    for name in ("random", "balanced_random", "easy", "ccs"):
        strategy = method("strategy", name)
        assert rank(strategy, arrays, 60, seed=0)["row"].tolist() != rank(strategy, arrays, 60, seed=1)["row"].tolist()


def test_options_reach_the_strategy(arrays: dict[str, np.ndarray]) -> None:
    table = rank(method("strategy", "ccs"), arrays, 60, seed=0, options={"beta": 0.5})
    assert arrays["aum"][table["row"][30:]].tolist() == sorted(arrays["aum"])[:30][::-1]


def test_arrays_are_checked(arrays: dict[str, np.ndarray]) -> None:
    with pytest.raises(DatassayError, match="strategy 'shapley': needs knn_shapley, which this data set does not have"):
        rank(method("strategy", "shapley"), {"labels": np.zeros(3)}, 2, seed=0)
    with pytest.raises(DatassayError, match="strategy 'moderate': arrays of unequal length"):
        rank(method("strategy", "moderate"), arrays | {"labels": np.zeros(3)}, 2, seed=0)
    with pytest.raises(DatassayError, match="n_select: 61, allowed: 1 to the number of rows, 60"):
        rank(method("strategy", "easy"), arrays, 61, seed=0)


@pytest.mark.parametrize(
    ("answer", "message"),
    [
        ([0.0, 1.0], "strategy 'mine' returned float64 of shape"),
        ([[0, 1]], "strategy 'mine' returned int64 of shape"),
        ([0, 5], "strategy 'mine' returned row 5, allowed: 0 to 4"),
        ([0, -1], "strategy 'mine' returned row -1, allowed: 0 to 4"),
        ([3, 1, 3], "strategy 'mine' returned row 3 twice"),
        ([3], "strategy 'mine' ranked 1 rows, needs at least 2"),
    ],
)
def test_a_wrong_answer_names_the_strategy(answer: list, message: str) -> None:
    mine = Method("strategy", "mine", lambda labels: np.array(answer), version=1, source="")
    with pytest.raises(DatassayError, match=message):
        rank(mine, {"labels": np.zeros(5)}, 2, seed=0)


def test_a_longer_answer_is_fine() -> None:
    assert check_ranking("mine", np.array([4, 2, 0], np.int32), 2, 5).tolist() == [4, 2, 0]


def test_kept_rows_are_the_prefix_in_the_order_of_the_data() -> None:
    ranking = np.array([7, 2, 9, 0])
    assert kept_rows(ranking, 0.3, 10).tolist() == [2, 7, 9]
    assert kept_rows(ranking, 1.0, 10).tolist() == list(range(10))
    assert kept_rows(ranking, 0.001, 10).tolist() == [7]
    assert kept_rows(ranking, 0.3, 10).dtype == np.int64
    with pytest.raises(DatassayError, match=r"ratio 0.5 keeps 5 of 10 rows, only 4 are ranked"):
        kept_rows(ranking, 0.5, 10)


def test_keep_count() -> None:
    assert [keep_count(r, 10) for r in (0.01, 0.25, 0.35, 0.3, 1)] == [1, 2, 4, 3, 10]
    for ratio in (0, -0.1, 1.01, float("nan")):
        with pytest.raises(DatassayError, match=r"ratio: .*, allowed: above 0, at most 1"):
            keep_count(ratio, 10)


def test_ratio_text() -> None:
    assert [ratio_text(r) for r in (0.3, 0.1 + 0.2, 1, 1.0, 0.25, 0.00001)] == [
        "0.3",
        "0.3",
        "1.0",
        "1.0",
        "0.25",
        "0.00001",
    ]
    for ratio in (0.1234567, 1e-9):
        with pytest.raises(DatassayError, match="more than 6 decimals"):
            ratio_text(ratio)


def test_what_cannot_be_measured_is_refused() -> None:
    examples = pd.DataFrame({"split": ["train", "validation", "test", "test"], "label": [0, -1, -1, 1]})
    check_measurable(examples)
    check_measurable(pd.DataFrame({"split": ["train", "validation"], "label": [0.5, -1.0]}))
    for missing in (examples[:3], examples[:1], examples[:2].assign(label=[0.1, np.nan])):
        with pytest.raises(DatassayError, match="neither split 'test' nor 'validation' has a labelled row"):
            check_measurable(missing)
