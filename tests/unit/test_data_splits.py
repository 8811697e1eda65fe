"""Splits, subsamples, noise and label numbers: exact counts, disjoint, stratified, and the same for the same seed."""

from fractions import Fraction
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from datassay.config import Noise, SplitSettings
from datassay.data.labels import code_labels, keep_classes
from datassay.data.noise import noisy_labels
from datassay.data.source import Source
from datassay.data.splits import apportion, carve, split_matcher, subsample
from datassay.errors import DatassayError
from datassay.randomness import generator


def train_rows(counts: list[int]) -> tuple[np.ndarray, np.ndarray]:
    labels = np.repeat(np.arange(len(counts)), counts)
    return np.full(len(labels), "train", dtype=object), generator(0, "shuffle").permutation(labels)


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.integers(1, 60), min_size=2, max_size=8),
    st.tuples(*[st.sampled_from([0.0, 0.05, 0.1, 0.2, 0.3])] * 3),
    st.integers(0, 5),
)
def test_carved_splits_are_exact_and_stratified(counts: list[int], shares: tuple[float, ...], seed: int) -> None:
    validation, valuation, test = shares
    options = SplitSettings(validation=validation, valuation=valuation, test=test, seed=seed)
    splits, labels = train_rows(counts)
    n = len(labels)
    wanted = {name: max(1, round(share * n)) for name, share in options.params("names", "seed").items() if share}
    if sum(wanted.values()) > n - len(counts):
        with pytest.raises(DatassayError, match="too few"):
            carve(splits, labels, options)
        return
    carved = carve(splits, labels, options)
    assert (splits == "train").all(), "the input is left as it was"
    assert {name: int((carved == name).sum()) for name in wanted} == wanted
    assert (carved == "train").sum() == n - sum(wanted.values())
    for label, count in enumerate(counts):
        of_class = carved[labels == label]
        assert (of_class == "train").sum() >= 1
        if min(counts) > 1 and sum(wanted.values()) / n <= 0.5 and min(counts) >= 8:
            for name, total in wanted.items():
                assert abs(Fraction(int((of_class == name).sum())) - Fraction(total * count, n)) < 1
    np.testing.assert_array_equal(carved, carve(splits, labels, options))


def test_small_classes_keep_a_train_row() -> None:
    """Twenty classes of three rows, each asked for 0.6 rows by three splits: together never all three."""
    splits, labels = train_rows([3] * 20)
    carved = carve(splits, labels, SplitSettings(validation=0.2, valuation=0.2, test=0.2))
    assert {name: int((carved == name).sum()) for name in ("validation", "valuation", "test")} == {
        "validation": 12,
        "valuation": 12,
        "test": 12,
    }
    assert set(labels[carved == "train"]) == set(range(20))


def test_seeds_and_given_splits() -> None:
    splits, labels = train_rows([50, 50])
    first, second = (carve(splits, labels, SplitSettings(seed=seed)) for seed in (0, 1))
    assert (first != second).any()
    splits[:10] = "test"
    splits[10:13] = "pool"
    carved = carve(splits, labels, SplitSettings())
    assert (carved[:10] == "test").all() and (carved == "test").sum() == 10
    assert (carved == "pool").sum() == 3
    assert (carved == "validation").sum() == (carved == "valuation").sum() == round(0.1 * 87)
    with pytest.raises(DatassayError, match="no train rows"):
        carve(np.array(["test"] * 4, dtype=object), np.array([0, 1, 0, 1]), SplitSettings())


@settings(max_examples=60, deadline=None)
@given(st.lists(st.integers(1, 40), min_size=1, max_size=10), st.data())
def test_apportion_by_largest_remainder(sizes: list[int], data: st.DataObject) -> None:
    array = np.array(sizes)
    total = data.draw(st.integers(0, int(array.sum())))
    shares = apportion(array, total, generator(0), upper=array)
    assert shares.sum() == total and (shares >= 0).all() and (shares <= array).all()
    exact = [Fraction(total * size, sum(sizes)) for size in sizes]
    assert all(abs(share - quota) < 1 for share, quota in zip(shares.tolist(), exact, strict=True))
    remainders = [quota - int(quota) for quota in exact]
    raised = [r for r, share, quota in zip(remainders, shares.tolist(), exact, strict=True) if share > int(quota)]
    others = [r for r, share, quota in zip(remainders, shares.tolist(), exact, strict=True) if share == int(quota)]
    assert not raised or not others or min(raised) >= max(others)


@settings(max_examples=40, deadline=None)
@given(st.integers(4, 300), st.integers(0, 3))
def test_subsample_keeps_the_shares(size: int, seed: int) -> None:
    splits = np.array(["train"] * 200 + ["test"] * 100, dtype=object)
    labels = np.array(([0] * 3 + [1]) * 75)
    rows = subsample(splits, labels, size, seed)
    assert len(rows) == size and (np.diff(rows) > 0).all()
    for split in ("train", "test"):
        for label in (0, 1):
            stratum = (splits == split) & (labels == label)
            assert abs(stratum[rows].sum() - size * stratum.sum() / 300) < 1 + 1e-9
    np.testing.assert_array_equal(rows, subsample(splits, labels, size, seed))


def test_subsample_bounds() -> None:
    splits, labels = train_rows([98, 1, 1])
    assert set(labels[subsample(splits, labels, 5, 0)]) == {0, 1, 2}
    assert len(subsample(splits, labels, None, 0)) == len(subsample(splits, labels, 1000, 0)) == 100
    with pytest.raises(DatassayError, match=r"subsample: 2 rows cannot hold .* 3 classes"):
        subsample(splits, labels, 2, 0)


def test_split_names() -> None:
    find = split_matcher({"train": ["train", "Learn"], "validation": ["dev"], "test": []})
    assert [find(name) for name in ("LEARN", " dev ", "test", "pool", "valuation", "other")] == [
        "train", "validation", "test", "pool", "valuation", None,
    ]  # fmt: skip
    with pytest.raises(DatassayError, match="'Dev' is listed for validation and for test"):
        split_matcher({"validation": ["dev"], "test": ["Dev", "dev"]})


@pytest.mark.parametrize("rate", [0.0, 0.1, 0.333, 0.99])
@pytest.mark.parametrize("kind", ["symmetric", "class_pair"])
def test_noise_is_exact(kind: str, rate: float) -> None:
    labels = generator(1).integers(0, 5, 997)
    noisy = noisy_labels(labels, 5, Noise(kind=kind, rate=rate, seed=3))  # type: ignore[arg-type]
    changed = noisy != labels
    assert changed.sum() == round(rate * 997)
    assert ((noisy >= 0) & (noisy < 5)).all()
    shift = (noisy - labels)[changed] % 5
    assert (shift == 1).all() if kind == "class_pair" else rate < 0.1 or set(shift) == {1, 2, 3, 4}
    other = noisy_labels(labels, 5, Noise(kind=kind, rate=rate, seed=4))  # type: ignore[arg-type]
    assert (other != noisy).any() == (rate > 0)


def test_symmetric_noise_is_uniform() -> None:
    """Chi-squared of the 12 ordered pairs of classes, 11 degrees of freedom: 31.3 is passed once in a thousand."""
    labels = np.repeat(np.arange(4), 3000)
    noisy = noisy_labels(labels, 4, Noise(rate=0.5))
    counts = np.array([((labels == a) & (noisy == b)).sum() for a in range(4) for b in range(4) if a != b])
    assert ((counts - 500) ** 2 / 500).sum() < 31.3


def source(**columns: Any) -> Source:
    table = pd.DataFrame({name: pd.Series(values, dtype=object) for name, values in columns.items()})
    return Source(table.assign(file="f.parquet", row=range(len(table))), "row", {name: name for name in columns})


@pytest.mark.parametrize(
    ("values", "names", "codes", "coded_names"),
    [
        (["b", "a", "b"], None, [1, 0, 1], ["a", "b"]),
        (["b", "a", "b"], ["b", "c", "a"], [0, 2, 0], ["b", "c", "a"]),
        ([10, 2, 10], None, [1, 0, 1], ["2", "10"]),
        (["10", "2", "10"], None, [1, 0, 1], ["2", "10"]),
        (["1.0", "0.0", "1.0"], None, [1, 0, 1], ["0", "1"]),
        ([1.0, 0.0, np.float64(1)], ["no", "yes"], [1, 0, 1], ["no", "yes"]),
        (["1", "0", "1"], ["no", "yes"], [1, 0, 1], ["no", "yes"]),
        (["1", "0", "1"], ["1", "0"], [0, 1, 0], ["1", "0"]),
        ([True, False, True], None, [1, 0, 1], ["false", "true"]),
        ([True, np.bool_(False), True], ["ham", "spam"], [1, 0, 1], ["ham", "spam"]),
        ([np.int8(-1), 1, -1], None, [0, 1, 0], ["-1", "1"]),
        (["1a", "1", "2"], None, [1, 0, 2], ["1", "1a", "2"]),
    ],
)
def test_label_numbers(values: list[Any], names: list[str] | None, codes: list[int], coded_names: list[str]) -> None:
    table, found = code_labels(source(label=values), names)
    assert (table["label"].tolist(), found) == (codes, coded_names)
    assert table["label"].dtype == np.int64


def test_true_labels_share_the_names() -> None:
    table, names = code_labels(source(label=["b", "b", "c"], true_label=["a", None, "c"]), None)
    assert names == ["a", "b", "c"]
    assert table["label"].tolist() == [1, 1, 2] and table["true_label"].tolist() == [0, -1, 2]


def test_pool_rows_need_no_label() -> None:
    table, _ = code_labels(source(label=["b", None, "c"], split=["train", "pool", "train"]), None)
    assert table["label"].tolist() == [0, -1, 1]
    with pytest.raises(
        DatassayError, match=r"f.parquet: row 1 \(first is 0\): column 'label': no label \(2 such rows\)"
    ):
        code_labels(source(label=["b", None, float("nan"), "c"]), None)


@pytest.mark.parametrize(
    ("values", "names", "message"),
    [
        ([0, 7], ["a", "b"], r"row 1 .*column 'label': label 7 is out of range, allowed: 0 to 1 \(a, b\)"),
        ([0, -1], ["a", "b"], "row 1 .*label -1 is out of range"),
        (["dog", "cta"], ["cat", "dog"], "row 1 .*label 'cta' .*did you mean 'cat'"),
        ([0.5, 1.0], None, "row 0 .*label 0.5, a label is a name or a whole number"),
        (["1.5", "2"], None, "row 0 .*label '1.5', a label is a name or a whole number"),
        ([0, "cat"], None, "row 1 .*label 'cat', others are like 0"),
        ([0, True], None, "row 1 .*label True, others are like 0"),
        ([float("inf"), 1], None, "row 0 .*label inf"),
        ([["a"], ["b"]], None, r"row 0 .*label \['a'\]"),
        (["a", "b\x00"], None, r"row 1 .*'b\\x00' holds a control character"),
        (["a", " \u00a0"], None, r"row 1 .*no label \(1 such row\), give one"),
        ([None, None], None, "no label"),
    ],
)
def test_bad_labels(values: list[Any], names: list[str] | None, message: str) -> None:
    with pytest.raises(DatassayError, match=message) as caught:
        code_labels(source(label=values), names)
    assert "\n" not in str(caught.value)


def test_class_filter() -> None:
    table, names = code_labels(source(label=list("abcda"), true_label=list("abdda")), ["a", "b", "c", "d", "e"])
    kept, kept_names, notes = keep_classes(table, names, None)
    assert len(kept) == 5 and kept_names == ["a", "b", "c", "d"] and "'e' has no rows" in notes[0]
    kept, kept_names, notes = keep_classes(table, names, ["d", "a"])
    assert kept_names == ["a", "d"] and kept["label"].tolist() == [0, 1, 0] and not notes
    for classes, message in ((["a", "bb"], "no class 'bb'"), (["a"], r"at least 2 classes with rows, found 1 \(a\)")):
        with pytest.raises(DatassayError, match=message):
            keep_classes(table, names, classes)
