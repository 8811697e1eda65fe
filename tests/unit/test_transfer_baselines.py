"""Baselines against sums written out by hand, and comparisons of rankings against brute force."""

from itertools import permutations

import numpy as np
import pandas as pd
import pytest

from datassay.transfer.baselines import (
    OF_MODELS,
    frozen_transfer,
    h_score,
    leep,
    nce,
    performance,
    score_source,
    softmax,
)
from datassay.transfer.evaluation import METRICS, compare, gains, judge
from datassay.transfer.logme import logme
from datassay.transfer.texts import jaccard, shared_share, text_hashes


def said(n: int = 40, classes: int = 3, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, 2, n)
    return softmax(rng.normal(size=(n, classes)) + 2 * labels[:, None] * np.eye(classes)[1]), labels


def test_leep_is_the_likelihood_of_the_expected_label() -> None:
    p, y = said()
    total = 0.0
    for i in range(len(y)):
        inner = 0.0
        for z in range(p.shape[1]):
            joint = sum(p[j, z] for j in range(len(y)) if y[j] == y[i]) / len(y)
            inner += p[i, z] * joint / (p[:, z].sum() / len(y))
        total += np.log(inner)
    assert leep(p, y) == pytest.approx(total / len(y))
    assert leep(np.eye(2)[y], y) == pytest.approx(0) and leep(p, 7 - 2 * y) == pytest.approx(leep(p, y))


def test_nce_is_minus_the_entropy_of_labels_given_source_labels() -> None:
    p, y = said()
    z, total = p.argmax(axis=1), 0.0
    for a in set(z.tolist()):
        for b in (0, 1):
            joint = np.mean((z == a) & (y == b))
            total += joint * np.log(joint / np.mean(z == a)) if joint else 0.0
    assert nce(z, y) == pytest.approx(total)
    assert nce(y, y) == pytest.approx(0) and nce(np.zeros_like(y), y) < nce(z, y) < 0


def test_h_score_is_the_variance_between_classes_in_whitened_features() -> None:
    rng = np.random.default_rng(0)
    y = rng.integers(0, 3, 90)
    f = rng.normal(size=(90, 4)) + np.eye(4)[y]
    centred = f - f.mean(axis=0)
    between = np.zeros_like(f)
    for c in range(3):
        between[y == c] = centred[y == c].mean(axis=0)
    whitened = between @ np.linalg.inv(np.linalg.cholesky(np.cov(f.T, bias=True))).T
    assert h_score(f, y) == pytest.approx((whitened**2).sum(axis=1).mean())
    assert h_score(np.hstack([f, f]), y) == pytest.approx(h_score(f, y))  # columns twice add nothing
    assert h_score(3 * f + 1, y) == pytest.approx(h_score(f, y))


@pytest.mark.parametrize("regression", [False, True])
def test_frozen_transfer_predicts_rows_it_has_not_seen(regression: bool) -> None:
    rng = np.random.default_rng(1)
    f = rng.normal(size=(60, 5))
    value = f @ rng.normal(size=5)
    y = value + 0.1 * rng.normal(size=60) if regression else (value > 0).astype(int)
    noise = rng.permutation(y)
    assert frozen_transfer(f, y, regression=regression) > 0.85
    wide = rng.normal(size=(60, 200))  # fits anything, knows nothing
    assert frozen_transfer(wide, noise, regression=regression) < (0.35 if regression else 0.72)


def test_performance_is_accuracy_or_the_mean_correlation() -> None:
    found = {"accuracy": 0.7, "pearson": 0.4, "spearman": 0.6}
    assert performance(found, False) == 0.7 and performance(found, True) == pytest.approx(0.5)


def test_texts_are_the_same_whatever_their_case_and_spaces() -> None:
    a = text_hashes(pd.DataFrame({"text": ["A good  film", "bad", "bad"]}))
    b = text_hashes(pd.DataFrame({"text": [" a good film ", "fine", "dull", "slow"]}))
    assert len(a) == 2 and a.dtype == np.uint64
    assert shared_share(a, b) == 0.5 and shared_share(b, a) == 0.5 and shared_share(a, a[:0]) == 0
    assert jaccard(a, b) == pytest.approx(1 / 5) and jaccard(a, a) == 1
    pair = text_hashes(pd.DataFrame({"text": ["bad"], "text_b": ["film"]}))
    assert shared_share(a, pair) == 0


def source(**changes) -> dict:
    arrays = {"mean_embedding": np.array([1.0, 0.0]), "vocabulary": np.array([1, 2, 3])}
    return {"regression": False, "rows": 50, "model_bytes": 4000, **arrays, **changes}


def target(labels: np.ndarray, regression: bool = False) -> dict:
    about = {"mean_embedding": np.array([1.0, 1.0]), "vocabulary": np.array([2, 3, 4])}
    return {"labels": labels, "regression": regression, **about}


METHODS = ["logme", "leep", "nce", "h_score", "frozen", "text_embedding", "vocabulary", "size"]


def test_a_source_is_read_once_and_scored_by_every_method() -> None:
    p, y = said()
    features, calls = np.random.default_rng(2).normal(size=(40, 3)), []

    def read() -> tuple[np.ndarray, np.ndarray]:
        calls.append(1)
        return features, np.log(p)

    records = {r["method"]: r for r in score_source(METHODS, target(y), source(), read)}
    assert len(calls) == 1 and list(records) == METHODS
    expected = {
        "logme": logme(features, y),
        "leep": leep(p, y),
        "nce": nce(p.argmax(axis=1), y),
        "h_score": h_score(features, y),
        "frozen": frozen_transfer(features, y),
        "text_embedding": 0.5**0.5,
        "vocabulary": 0.5,
        "size": 50,
    }
    for name, value in expected.items():
        assert records[name]["score"] == pytest.approx(value) and records[name]["reason"] is None
        assert (records[name]["bytes"] == 4000) == (name in OF_MODELS)
    score_source(["size"], target(y), source(), read)
    assert len(calls) == 1


def test_what_needs_classes_says_so_of_regressions() -> None:
    p, y = said()
    read = lambda: (np.random.default_rng(2).normal(size=(40, 3)), np.log(p))  # noqa: E731
    without = {r["method"] for r in score_source(METHODS, target(y * 1.0, True), source(), read) if r["reason"]}
    assert without == {"leep", "nce", "h_score"}
    without = {r["method"] for r in score_source(METHODS, target(y), source(regression=True), read) if r["reason"]}
    assert without == {"leep", "nce"}


TRUTH = np.array([0.80, 0.70, 0.76, 0.50])


def test_metrics_of_a_ranking_by_hand() -> None:
    found = judge(np.array([1.0, 3.0, 2.0, 4.0]), TRUTH)  # order: 0.50, 0.70, 0.76, 0.80
    assert found["regret_1"] == pytest.approx(100 * 0.30 / 0.80)
    assert found["regret_3"] == pytest.approx(100 * 0.04 / 0.80) and found["regret_5"] == 0
    assert found["spearman"] == pytest.approx(-1)
    gain = {v: 2.0 ** (100 * v) for v in TRUTH}
    dcg = lambda order: sum(gain[v] / np.log2(i + 2) for i, v in enumerate(order))  # noqa: E731
    assert found["ndcg"] == pytest.approx(dcg([0.50, 0.70, 0.76, 0.80]) / dcg(sorted(TRUTH, reverse=True)))
    best = judge(TRUTH, TRUTH)
    assert best["ndcg"] == 1 and best["regret_1"] == 0 and best["spearman"] == pytest.approx(1)


def test_equal_scores_count_as_every_order_alike() -> None:
    found = judge(np.zeros(4), TRUTH)
    orders = [judge(-np.argsort(order).astype(float), TRUTH) for order in permutations(range(4))]
    for name in METRICS[:-1]:
        assert found[name] == pytest.approx(np.mean([o[name] for o in orders]), abs=0.05 * max(abs(found[name]), 0.2))
    assert np.isnan(found["spearman"])


def test_sources_without_a_score_come_last() -> None:
    found = judge(np.array([np.nan, 0.1, np.nan, -5.0]), TRUTH)
    assert found["regret_1"] == pytest.approx(100 * 0.10 / 0.80)
    assert 0 < found["regret_3"] < 100 * 0.10 / 0.80


def frames() -> tuple[dict, dict, dict]:
    sources, rng = [f"s{i}" for i in range(5)], np.random.default_rng(0)
    real = rng.uniform(0.5, 0.9, 5)
    truth = pd.DataFrame(
        [(s, seed, v + 0.01 * rng.normal()) for s, v in zip(sources, real, strict=True) for seed in (0, 1, 2)],
        columns=["source", "seed", "performance"],
    )
    scores = [(s, "good", v) for s, v in zip(sources, real, strict=True)]
    scores += [(s, "bad", -v) for s, v in zip(sources, real, strict=True)] + [(s, "none", np.nan) for s in sources]
    ranking = pd.DataFrame(scores, columns=["source", "method", "score"])
    base = pd.DataFrame({"source": "none", "seed": [0, 1, 2], "performance": [0.6, 0.6, 0.6]})
    return {"a": ranking, "b": ranking[ranking["method"] == "good"]}, {"a": truth, "b": truth}, {"a": base, "b": base}


def test_methods_are_compared_over_targets() -> None:
    rankings, truth, base = frames()
    costs = pd.DataFrame({"target": ["a", "b"], "method": "good", "seconds": [1.0, 3.0], "bytes": [10.0, 10.0]})
    table = compare(rankings, truth, costs).set_index(["target", "method"])
    assert table.loc[("(mean)", "good"), "seconds"] == 2 and table.loc[("(mean)", "good"), "targets"] == 2
    assert table.loc[("(mean)", "bad"), "targets"] == 1 and ("a", "none") not in table.index
    assert table.loc[("(mean)", "good"), "regret_1"] == 0 < table.loc[("a", "bad"), "regret_1"]
    assert table.loc[("a", "random"), "regret_1"] > table.loc[("a", "random"), "regret_3"] > 0
    assert table.loc[("a", "one_transfer"), "spearman"] > 0.8
    made = gains(truth, base)
    assert len(made) == 10 and (made["gain"] == made["performance"] - 0.6).all()
