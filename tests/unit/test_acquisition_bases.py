"""Acquisition functions against brute force, and BADGE against its draws with gradients that are written out."""

from collections import Counter
from itertools import pairwise

import numpy as np
import pytest
from scipy.stats import chisquare
from scipy.stats import entropy as scipy_entropy

from datassay.acquisition import (
    _seeding,
    alps,
    badge,
    bald,
    bert_kmeans,
    choose,
    core_set,
    entropy,
    ft_kmeans,
    infoverse,
    least_confidence,
    margin,
    tyrogue,
)
from datassay.acquisition._seeding import seed_rows
from datassay.errors import DatassayError
from datassay.registry import Method, method
from datassay.selection import dpp_ranking
from datassay.selection.dpp import infoverse_dpp


def rng(seed=0):
    return np.random.default_rng(seed)


def probabilities(rows=200, classes=4, seed=0):
    return rng(seed).dirichlet(np.ones(classes), rows)


def gradients(p, h):
    """The gradients of BADGE, every entry of them."""
    error = p - np.eye(p.shape[1])[p.argmax(axis=1)]
    return np.einsum("ic,id->icd", error, h).reshape(len(p), -1)


def test_scores_are_those_of_their_definitions():
    p = probabilities()
    best = np.sort(p, axis=1)
    for function, score in (
        (entropy, scipy_entropy(p, axis=1)),
        (margin, best[:, -2] - best[:, -1]),
        (least_confidence, 1 - best[:, -1]),
    ):
        wanted = np.argsort(-score)[:20]
        assert function(p, 20, rng()).tolist() == wanted.tolist()


def test_bald_is_the_mutual_information():
    logits = rng().normal(size=(6, 50, 3)).astype(np.float32)
    p = np.exp(logits) / np.exp(logits).sum(axis=2, keepdims=True)
    information = scipy_entropy(p.mean(axis=0), axis=1) - scipy_entropy(p, axis=2).mean(axis=0)
    assert bald(logits, 10, rng()).tolist() == np.argsort(-information)[:10].tolist()


def test_equal_scores_come_in_random_order():
    p = np.full((50, 2), 0.5)
    assert entropy(p, 10, rng(0)).tolist() != entropy(p, 10, rng(1)).tolist()


def test_badge_starts_with_the_largest_gradient():
    p, h = probabilities(), rng(1).normal(size=(200, 7))
    assert badge(p, h, 1, rng())[0] == np.linalg.norm(gradients(p, h), axis=1).argmax()


@pytest.mark.parametrize("patience", [1, _seeding.PATIENCE])
def test_badge_draws_in_proportion_to_squared_distances(monkeypatch, patience):
    monkeypatch.setattr(_seeding, "PATIENCE", patience)
    p, h = probabilities(6, 3), rng(1).normal(size=(6, 2))
    g = gradients(p, h)
    distances = ((g[:, None] - g[None]) ** 2).sum(axis=2)
    first = int((g**2).sum(axis=1).argmax())
    wanted = {}
    for second in range(6):
        for third in range(6):
            nearest = np.minimum(distances[:, first], distances[:, second])
            chance = distances[second, first] / distances[:, first].sum() * nearest[third] / nearest.sum()
            if chance > 0:
                wanted[second, third] = chance
    draws = 3000
    stream = rng(2)
    found = Counter(tuple(badge(p, h, 3, stream)[1:].tolist()) for _ in range(draws))
    assert set(found) <= set(wanted)
    assert chisquare([found[key] for key in wanted], [draws * c for c in wanted.values()]).pvalue > 1e-3


def test_badge_takes_equal_rows_only_when_no_others_are_left():
    p, h = np.repeat(probabilities(5, 3), 4, axis=0), np.repeat(rng(1).normal(size=(5, 3)), 4, axis=0)
    picks = badge(p, h.astype(np.float32), 12, rng())
    assert len(set(picks.tolist())) == 12
    assert len(set((picks[:5] // 4).tolist())) == 5


def test_badge_picks_distinct_rows_where_all_gradients_are_nothing():
    p = np.tile([1.0, 0.0], (30, 1))
    assert len(set(badge(p, rng().normal(size=(30, 4)), 30, rng()).tolist())) == 30


def test_seeding_reaches_every_cluster():
    centres = 100 * rng().normal(size=(8, 5))
    points = np.repeat(centres, 50, axis=0) + rng(1).normal(size=(400, 5))
    picks = seed_rows(np.ones((400, 1)), points, 8, rng(2), first=3)
    assert picks[0] == 3
    assert len(set((picks // 50).tolist())) == 8


def test_core_set_is_the_farthest_first_traversal_from_what_is_labelled():
    features, labelled = rng().normal(size=(80, 5)), rng(1).normal(size=(7, 5))
    known, wanted = list(labelled), []
    for _ in range(12):
        distances = np.linalg.norm(features[:, None] - np.array(known)[None], axis=2).min(axis=1)
        wanted.append(int(distances.argmax()))
        known.append(features[wanted[-1]])
    assert core_set(features, labelled, 12).tolist() == wanted


@pytest.mark.parametrize("function", [bert_kmeans, ft_kmeans])
def test_kmeans_takes_the_row_nearest_to_every_centre(function):
    offsets = np.array([[0.0, 0.1], [2.0, 0.0], [-2.0, 0.0], [0.0, 2.0], [0.0, -2.1]])
    centres = 100.0 * np.array([[1, 0], [0, 1], [-1, -1]])
    points = (centres[:, None] + offsets).reshape(-1, 2)
    assert sorted(function(points, 3, rng()).tolist()) == [0, 5, 10]


def test_ft_kmeans_does_not_see_the_scale_of_a_column():
    points = rng().normal(size=(60, 3))
    assert ft_kmeans(points, 6, rng(1)).tolist() == ft_kmeans(points * [1, 1e4, 1], 6, rng(1)).tolist()


def test_alps_does_not_see_the_length_of_a_row():
    surprisal = rng().exponential(size=(60, 8))
    scale = rng(1).uniform(0.1, 10, size=(60, 1))
    assert alps(surprisal, 6, rng(2)).tolist() == alps(surprisal * scale, 6, rng(2)).tolist()


@pytest.mark.parametrize("function", [bert_kmeans, ft_kmeans, alps])
def test_kmeans_picks_distinct_rows_where_all_are_equal(function):
    assert len(set(function(np.ones((20, 3)), 15, rng()).tolist())) == 15


def test_tyrogue_takes_the_highest_entropy_of_the_diverse():
    points, p = rng().normal(size=(100, 4)), probabilities(100, 3)
    diverse = bert_kmeans(points, 15, rng(1))
    wanted = diverse[np.argsort(-scipy_entropy(p[diverse], axis=1))[:5]]
    assert tyrogue(points, p, 5, rng(1)).tolist() == wanted.tolist()
    assert set(tyrogue(points, p, 15, rng(1), factor=1).tolist()) == set(diverse.tolist())


def test_infoverse_prefers_the_sparse():
    x, labels = rng().normal(size=(60, 6)), np.arange(60) % 2
    assert infoverse(x, labels, 9, rng()).tolist() == infoverse_dpp(x, labels, 9, rng(), quality="inverse").tolist()
    assert infoverse(x, labels, 9, rng()).tolist() != dpp_ranking(x, np.ones(60), 9).tolist()


@pytest.mark.parametrize(
    ("call", "text"),
    [
        (lambda: entropy(np.array([[0.7, 0.7]]), 1, rng()), "row 0 sums to 1.4"),
        (lambda: entropy(np.array([[1.2, -0.2]]), 1, rng()), "row 0"),
        (lambda: entropy(np.ones((3, 1)), 1, rng()), "at least 2"),
        (lambda: margin(probabilities(5), 6, rng()), "n: 6, allowed: 1 to the number of candidates, 5"),
        (lambda: badge(probabilities(5), np.ones((4, 2)), 2, rng()), "features: 4 rows, needs 5"),
        (lambda: badge(probabilities(2), np.array([[1.0], [np.nan]]), 1, rng()), "features: row 1 is NaN"),
        (lambda: tyrogue(np.ones((5, 2)), probabilities(5), 2, rng(), factor=0), "factor 0"),
        (lambda: bald(np.ones((1, 5, 2), np.float32), 2, rng()), "at least 2 dropout passes"),
    ],
)
def test_bad_arguments_are_named(call, text):
    with pytest.raises(DatassayError, match=text):
        call()


def test_choose_checks_what_a_method_answers():
    def twice(probabilities, n, rng):
        """Answers with one row again and again."""
        return np.zeros(n, np.int64)

    def more(probabilities, n, rng):
        """Answers with too many."""
        return np.arange(n + 1)

    for function, text in ((twice, "'twice' returned row 0 twice"), (more, "'more' returned 4 rows, needs 3")):
        with pytest.raises(DatassayError, match=text):
            choose(
                Method("acquisition", function.__name__, function, 1, ""), {"probabilities": probabilities()}, 3, rng()
            )
    with pytest.raises(DatassayError, match="acquisition 'badge': needs features"):
        choose(method("acquisition", "badge"), {"probabilities": probabilities()}, 3, rng())
    arrays = {"probabilities": probabilities(5), "features": np.ones((4, 2))}
    with pytest.raises(DatassayError, match="unequal length"):
        choose(method("acquisition", "badge"), arrays, 3, rng())
    with pytest.raises(DatassayError, match="n 0, allowed: 1 to"):
        choose(method("acquisition", "random"), {"candidates": np.arange(5)}, 0, rng())


def test_nested_prefixes_of_scores():
    p = probabilities()
    picks = [entropy(p, n, rng()).tolist() for n in (5, 10, 40)]
    assert all(long[: len(short)] == short for short, long in pairwise(picks))
