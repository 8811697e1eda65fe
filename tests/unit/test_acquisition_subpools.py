"""Subpools against definitions that are written out, row by row."""

from collections import Counter

import numpy as np
import pytest
from scipy.stats import chisquare

from datassay.acquisition import (
    Anchors,
    NeighborLists,
    Subpool,
    anchoral_subpool,
    choose_anchors,
    random_subset,
    seals_subpool,
    topped_up,
    whole_pool,
)
from datassay.errors import DatassayError
from datassay.neighbors import HnswIndex, exact_neighbors

N = 300


def rng(seed=0):
    return np.random.default_rng(seed)


@pytest.fixture
def vectors():
    x = rng().normal(size=(N, 6)).astype(np.float32)
    x[40:45] = x[40]  # equal rows
    return x / np.linalg.norm(x, axis=1, keepdims=True)


def brute(vectors, row, k, pool):
    """The k rows of the pool that are nearest to one, and their cosines."""
    others = np.flatnonzero(pool & (np.arange(N) != row))
    distances = exact_neighbors(vectors[row][None], vectors[others], min(k, len(others)))
    return others[distances[0][0]], 1 - distances[1][0].astype(np.float64)


def labels_of(classes=(0, 1), each=(30, 4)):
    labels = np.full(N, -1)
    rows = rng(3).permutation(N)
    for c, count in zip(classes, each, strict=True):
        labels[rows[:count]] = c
        rows = rows[count:]
    return labels


def test_lists_follow_a_shrinking_pool_and_are_searched_for_once(vectors):
    lists, pool = NeighborLists(vectors), np.ones(N, bool)
    queries = np.array([3, 40, 41, 200])
    for _ in range(6):
        ids, similarities = lists.nearest(queries, 10, pool)
        for place, row in enumerate(queries):
            wanted, cosine = brute(vectors, row, 10, pool)
            assert ids[place].tolist() == wanted.tolist()
            assert similarities[place].tolist() == cosine.tolist()
        pool[ids[:, :5].ravel()] = False
    assert lists.searched == 4


def test_a_list_that_runs_short_is_searched_for_deeper(vectors):
    pool = np.zeros(N, bool)
    near = exact_neighbors(vectors[:1], vectors, N)[0][0]
    pool[near[-4:]] = True
    ids, _ = NeighborLists(vectors).nearest(np.array([0]), 10, pool)
    assert ids[0].tolist() == brute(vectors, 0, 4, pool)[0].tolist()


def test_an_index_that_finds_everything_gives_the_same_lists(vectors):
    index = HnswIndex.build(vectors, m=64, ef=N)
    labels = labels_of()
    pool = labels < 0
    rows = np.flatnonzero(labels >= 0)
    exact, approximate = (NeighborLists(vectors, i).nearest(rows, 20, pool) for i in (None, index))
    assert np.array_equal(exact[0], approximate[0]) and np.array_equal(exact[1], approximate[1])
    picks = [anchoral_subpool(NeighborLists(vectors, i), labels, rng(1), k=9, size=80).rows for i in (None, index)]
    assert picks[0].tolist() == picks[1].tolist()


def test_an_index_of_other_rows_is_refused(vectors):
    with pytest.raises(DatassayError, match="index of 299 rows by cosine, needs one of the 300"):
        NeighborLists(vectors, HnswIndex.build(vectors[1:]))


def anchoral_by_hand(vectors, labels, k, size):
    pool = labels < 0
    scores = {}
    for row in np.flatnonzero(labels >= 0):
        for id_, cosine in zip(*brute(vectors, row, k, pool), strict=True):
            scores.setdefault(int(id_), []).append(cosine)
    mean = {row: np.mean(found) for row, found in scores.items()}
    return sorted(sorted(mean, key=lambda row: (-mean[row], row))[:size])


def test_anchoral_is_its_definition(vectors):
    labels = labels_of(each=(8, 4))
    for size in (1000, 25):
        found = anchoral_subpool(vectors, labels, rng(), k=7, size=size)
        assert found.rows.tolist() == anchoral_by_hand(vectors, labels, 7, size)
        assert found.anchors.tolist() != [] and set(found.anchors) == set(np.flatnonzero(labels >= 0))


def test_anchoral_searches_no_more_than_it_may(vectors):
    labels = labels_of(each=(8, 4))
    found = anchoral_subpool(vectors, labels, rng(), k=50, max_search_size=40)
    assert found.rows.tolist() == anchoral_by_hand(vectors, labels, 40 // 12, 1000)


def test_settings_of_minority_and_majority_differ(vectors):
    labels = labels_of(classes=(0, 1, 2), each=(30, 30, 30))
    found = anchoral_subpool(
        vectors,
        labels,
        rng(),
        minority=[1],
        minority_anchors=Anchors("all"),
        majority_anchors=Anchors("random", 3),
        k=3,
    )
    assert np.bincount(labels[found.anchors]).tolist() == [3, 30, 3]
    swapped = anchoral_subpool(
        vectors,
        labels,
        rng(),
        minority=[1],
        minority_anchors=Anchors("random", 3),
        majority_anchors=Anchors("all"),
        k=3,
    )
    assert np.bincount(labels[swapped.anchors]).tolist() == [30, 3, 30]
    assert found.rows.tolist() != swapped.rows.tolist()


def test_sampling_draws_by_softmax_of_the_score(vectors):
    labels = np.full(N, -1)
    labels[0] = 0
    ids, cosine = brute(vectors, 0, 5, labels < 0)
    lists, stream, draws = NeighborLists(vectors), rng(5), 4000
    found = Counter(
        int(anchoral_subpool(lists, labels, stream, k=5, size=1, sampling=True).rows[0]) for _ in range(draws)
    )
    chances = np.exp(cosine) / np.exp(cosine).sum()
    assert chisquare([found[i] for i in ids.tolist()], draws * chances).pvalue > 1e-3


@pytest.mark.parametrize("method", ["kmeans++", "kmeans", "random", "entropy"])
def test_anchors_are_distinct_rows_of_the_class(vectors, method):
    rows = np.arange(20, 60)
    uncertainty = rng(1).uniform(size=N)
    chosen = choose_anchors(vectors, rows, Anchors(method, 12), rng(), uncertainty)
    assert len(set(chosen.tolist())) == 12 and set(chosen.tolist()) <= set(rows.tolist())
    few = choose_anchors(vectors, rows[:12], Anchors(method, 12), rng(), uncertainty)
    assert few.tolist() == rows[:12].tolist()


def test_anchors_by_entropy_are_the_most_uncertain(vectors):
    uncertainty = rng(1).uniform(size=N)
    rows = np.arange(20, 60)
    chosen = choose_anchors(vectors, rows, Anchors("entropy", 5), rng(), uncertainty)
    assert chosen.tolist() == sorted(rows[np.argsort(-uncertainty[rows])[:5]].tolist())


def test_seals_adds_the_neighbourhoods_of_the_new_and_drops_the_labelled(vectors):
    lists, pool = NeighborLists(vectors), np.ones(N, bool)
    new = np.array([0, 1, 2])
    pool[new] = False
    subpool, wanted = None, set()
    for step in range(4):
        subpool = seals_subpool(lists, pool, new, None if subpool is None else subpool.rows, k=6)
        for row in new:
            wanted |= set(brute(vectors, row, 6, pool)[0].tolist())
        wanted -= set(np.flatnonzero(~pool).tolist())
        assert subpool.rows.tolist() == sorted(wanted)
        new = subpool.rows[step : step + 4]
        pool[new] = False


def test_random_subset_and_whole_pool():
    pool = np.arange(N) % 3 == 0
    assert whole_pool(pool).rows.tolist() == np.flatnonzero(pool).tolist()
    drawn = random_subset(pool, 20, rng()).rows
    assert len(set(drawn.tolist())) == 20 and pool[drawn].all()
    assert random_subset(pool, 20, rng(1)).rows.tolist() != drawn.tolist()
    assert random_subset(pool, 1000, rng()).rows.tolist() == np.flatnonzero(pool).tolist()


def test_a_small_subpool_is_topped_up_from_the_pool(caplog):
    pool = np.arange(N) < 100
    few = Subpool(np.array([3, 5]))
    full = topped_up(few, pool, 10, rng())
    assert len(full.rows) == 10 and full.random == 8 and {3, 5} <= set(full.rows.tolist())
    assert pool[full.rows].all() and len(set(full.rows.tolist())) == 10
    assert topped_up(full, pool, 10, rng()) is full
    pool[:] = False
    pool[:4] = True
    assert topped_up(Subpool(np.array([1])), pool, 10, rng()).rows.tolist() == [0, 1, 2, 3]


@pytest.mark.parametrize(
    ("call", "text"),
    [
        (lambda x: anchoral_subpool(x, np.full(N, -1), rng()), "no row is labelled"),
        (lambda x: anchoral_subpool(x, labels_of(), rng(), k=0), "k 0, size 10000"),
        (lambda x: choose_anchors(x, np.arange(9), Anchors("kmeans+"), rng()), "did you mean 'kmeans"),
        (lambda x: choose_anchors(x, np.arange(9), Anchors("random", 0), rng()), "number 0"),
        (lambda x: choose_anchors(x, np.arange(30), Anchors("entropy"), rng()), "needs the uncertainty"),
    ],
)
def test_bad_arguments_are_named(vectors, call, text):
    with pytest.raises(DatassayError, match=text):
        call(vectors)
