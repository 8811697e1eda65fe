"""Every strategy on a small case with a known answer."""

import numpy as np
import pytest

from datassay.errors import DatassayError
from datassay.registry import TASKS, methods
from datassay.selection import ccs, k_center
from datassay.selection.arrays import by_score, in_rounds
from datassay.selection.cells import prototypes, semdedup
from datassay.selection.coverage import coreset, moderate
from datassay.selection.pruning import rank
from datassay.selection.scores import balanced_random, column_strategy, full, grand, last_layer_gradients, random_order


def generator(seed: int = 0) -> np.random.Generator:
    return np.random.default_rng(seed)


# ---- one column ----


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("easy", [2, 0, 3, 1]),
        ("hard", [1, 3, 0, 2]),
        ("ambiguous", [2, 0, 3, 1]),
        ("forgetting", [2, 0, 3, 1]),
        ("el2n", [2, 0, 3, 1]),
        ("aum", [2, 0, 3, 1]),
        ("density", [2, 0, 3, 1]),
        ("shapley", [2, 0, 3, 1]),
    ],
)
def test_one_column_decides(name: str, expected: list[int]) -> None:
    method = methods("strategy")[name]
    (column,) = set(method.inputs) - {"rng"}
    ranking = method.function(**{column: np.array([0.5, -3.0, 7.0, 0.25])}, rng=generator())
    assert ranking.dtype == np.int64
    assert ranking.tolist() == expected


def test_names_of_the_columns() -> None:
    inputs = {name: set(method.inputs) - {"rng"} for name, method in methods("strategy").items()}
    assert inputs == {
        "full": {"labels"},
        "random": {"labels"},
        "balanced_random": {"labels"},
        "easy": {"avg_conf"},
        "hard": {"avg_conf"},
        "ambiguous": {"variability"},
        "forgetting": {"forgetting"},
        "el2n": {"ens_el2n"},
        "grand": {"ensemble_epoch_logits", "ensemble_feature_norms", "labels"},
        "aum": {"aum"},
        "density": {"task_density"},
        "shapley": {"knn_shapley"},
        "coreset": {"features", "n_select"},
        "moderate": {"features", "labels"},
        "ccs": {"aum"},
        "prototypes": {"embeddings", "labels"},
        "semdedup": {"embeddings"},
        "infoverse_dpp": {"infoverse", "labels", "n_select"},
    }


def test_which_strategies_make_sense_for_which_task() -> None:
    known = methods("strategy")
    of = {task: {name for name, about in known.items() if task in about.tasks} for task in TASKS}
    assert of["classification"] == set(known)
    assert set(known) - of["multiple_choice"] == {
        "grand",
        "moderate",
    }  # options have features of their own, and examples share no class
    assert of["regression"] == {
        "full", "random", "density", "coreset", "prototypes", "semdedup", "infoverse_dpp"
    }  # fmt: skip


def test_strategies_for_regression_take_labels_that_are_numbers() -> None:
    rng = np.random.default_rng(0)
    found = {
        "labels": rng.normal(size=50),
        "embeddings": rng.normal(size=(50, 4)),
        "infoverse": rng.normal(size=(50, 9)),
    }
    for name in ("prototypes", "infoverse_dpp"):
        assert len(rank(methods("strategy")[name], found, 20, seed=0)) >= 20
    about = methods("strategy")["prototypes"]
    assert rank(about, found, 20, seed=0).equals(rank(about, found, 20, seed=0, options={"n_clusters": 10}))
    same = rank(methods("strategy")["infoverse_dpp"], found | {"labels": np.zeros(50, np.int64)}, 20, seed=0)
    assert same.equals(rank(methods("strategy")["infoverse_dpp"], found, 20, seed=0))


# ---- any column ----


@pytest.mark.parametrize(("keep", "expected"), [("highest", [2, 0, 3, 1]), ("lowest", [1, 3, 0, 2])])
def test_a_column_of_ones_own_is_a_strategy(keep: str, expected: list[int]) -> None:
    about = column_strategy("mine", "my_measure", keep)
    assert about.inputs == {"column": "my_measure", "rng": "rng"}
    table = rank(about, {"my_measure": np.array([0.5, -3.0, 7.0, 0.25])}, 2, seed=0)
    assert table["row"].tolist() == expected
    flags = rank(about, {"my_measure": np.array([True, False, True])}, 1, seed=0)["row"].tolist()
    assert set(flags[:2]) == {0, 2} if keep == "highest" else flags[0] == 1


# ---- GraNd ----


def test_last_layer_gradients_are_those_of_torch() -> None:
    torch = pytest.importorskip("torch")
    rng = np.random.default_rng(1)
    features, labels = rng.normal(size=(12, 5)), rng.integers(4, size=12)
    layer = torch.nn.Linear(5, 4, dtype=torch.float64)
    expected, logits = [], []
    for phi, label in zip(features, labels, strict=True):
        layer.zero_grad()
        z = layer(torch.tensor(phi))
        torch.nn.functional.cross_entropy(z[None], torch.tensor([label])).backward()
        expected.append(torch.cat([layer.weight.grad.ravel(), layer.bias.grad]).norm().item())
        logits.append(z.detach().numpy())
    norms = np.linalg.norm(features, axis=1)
    assert last_layer_gradients(np.array(logits), norms, labels) == pytest.approx(expected, rel=1e-12)


def test_grand_by_hand() -> None:
    """Two seeds, two epochs, two classes: |p - onehot| is sqrt(2) (1 - p[y])."""
    p = np.array([[[0.5, 0.9, 0.8], [0.1, 0.6, 0.9]], [[0.5, 0.5, 0.6], [0.1, 0.2, 0.9]]])  # of the label: seed, epoch
    logits = np.stack([np.log(p), np.log(1 - p)], axis=-1)
    norms = np.array([[[0.0, 8.0, 1.0], [1.0, 1.0, 1.0]], [[0.0, 0.0, 1.0], [1.0, 1.0, 1.0]]])
    labels = np.zeros(3, np.int64)
    # epoch 1: mean of (1 - p) sqrt(norm^2 + 1): 0.5; (0.1 * 8.06 + 0.5) / 2 = 0.653; (0.2 + 0.4) sqrt(2) / 2 = 0.424
    assert grand(logits, norms, labels, generator()).tolist() == [1, 0, 2]
    assert grand(logits, norms, labels, generator(), epoch=2).tolist() == [0, 1, 2]
    with pytest.raises(DatassayError, match="grand: epoch 3, allowed: 1 to the number of recorded epochs, 2"):
        grand(logits, norms, labels, generator(), epoch=3)


def test_grand_does_not_overflow() -> None:
    assert last_layer_gradients(np.array([[1e4, -1e4]]), np.array([3.0]), np.array([1])) == pytest.approx(np.sqrt(20))


def test_ties_are_broken_by_the_generator_and_by_nothing_else() -> None:
    score = np.repeat([1.0, 2.0], 100)
    ranking = by_score(score, generator())
    assert sorted(ranking[:100]) == list(range(100, 200))
    assert ranking[:100].tolist() != list(range(100, 200))
    assert ranking.tolist() == by_score(score, generator()).tolist() != by_score(score, generator(1)).tolist()
    firsts = {int(by_score(np.ones(3), generator(seed))[0]) for seed in range(30)}
    assert firsts == {0, 1, 2}


def test_references() -> None:
    labels = np.array([0, 0, 0, 0, 0, 0, 1, 1, 2])
    assert full(labels).tolist() == list(range(9))
    assert sorted(random_order(labels, generator())) == list(range(9))
    ranking = balanced_random(labels, generator())
    assert sorted(ranking) == list(range(9))
    assert sorted(labels[ranking[:3]]) == [0, 1, 2]
    assert sorted(labels[ranking[3:5]]) == [0, 1]
    assert labels[ranking[5:]].tolist() == [0, 0, 0, 0]
    assert len({tuple(balanced_random(labels, generator(seed))) for seed in range(5)}) == 5


def test_rounds_give_the_water_filling_budget_at_every_length() -> None:
    groups = generator().choice([3, 5, 8, 9], size=60, p=[0.05, 0.15, 0.3, 0.5])
    sizes = np.array([np.sum(groups == g) for g in (3, 5, 8, 9)])
    ranking = in_rounds(groups, generator(1))
    for length in range(1, 61):
        counts = np.array([np.sum(groups[ranking[:length]] == g) for g in (3, 5, 8, 9)])
        level = counts.max()
        assert ((counts == sizes) | (counts >= level - 1)).all()


# ---- k-center ----


def slow_k_center(points: np.ndarray, start: int, n_select: int) -> list[int]:
    picks = [start]
    while len(picks) < n_select:
        nearest = [
            -1.0 if i in picks else min(float(((points[i] - points[c]) ** 2).sum()) for c in picks)
            for i in range(len(points))
        ]
        picks.append(int(np.argmax(nearest)))
    return picks


@pytest.mark.parametrize("seed", range(5))
def test_k_center_takes_the_farthest_row_each_time(seed: int) -> None:
    points = (
        generator(seed).integers(0, 6, size=(70, 3)).astype(np.float64)
    )  # many ties and duplicates, exact in float32
    start = int(((points - points.mean(axis=0)) ** 2).sum(axis=1).argmin())
    assert k_center(points, 70).tolist() == slow_k_center(points, start, 70)
    assert k_center(points, 20, start=11).tolist() == slow_k_center(points, 11, 20)


def test_k_center_is_within_twice_the_best_radius() -> None:
    from itertools import combinations

    points = generator(3).normal(size=(14, 2))
    distance = np.linalg.norm(points[:, None] - points[None], axis=2)
    best = min(distance[:, list(centres)].min(axis=1).max() for centres in combinations(range(14), 4))
    assert distance[:, k_center(points, 4)].min(axis=1).max() <= 2 * best


def test_k_center_takes_duplicates_last() -> None:
    points = np.repeat(generator().normal(size=(10, 384)), 3, axis=0)
    ranking = k_center(points, 30)
    assert sorted(ranking[:10] // 3) == list(range(10))
    assert ranking[10:].tolist() == sorted(ranking[10:])
    assert coreset(points, 12).tolist() == ranking[:12].tolist()


def test_k_center_of_one_and_bad_input() -> None:
    assert k_center(np.zeros((1, 4)), 1).tolist() == [0]
    assert k_center(np.zeros((3, 4)), 3).tolist() == [0, 1, 2]
    with pytest.raises(DatassayError, match="n_select: 5, allowed: 1 to the number of rows, 3"):
        k_center(np.zeros((3, 4)), 5)
    with pytest.raises(DatassayError, match="start: 3, allowed: 0 to 2"):
        k_center(np.zeros((3, 4)), 1, start=3)
    with pytest.raises(DatassayError, match="features: row 2 is NaN or infinite"):
        k_center(np.array([[0.0], [1], [np.inf]]), 1)


# ---- strata, centres, cells ----


def test_ccs_cuts_the_hardest_and_fills_the_strata_evenly() -> None:
    score = np.concatenate([np.full(10, -50.0) - np.arange(10), np.linspace(0, 1, 60), np.linspace(9, 10, 30)])
    ranking = ccs(score, generator(), beta=0.1, n_strata=10)
    assert sorted(ranking) == list(range(100))
    assert ranking[90:].tolist() == list(range(10))  # the cut rows, the hardest (lowest) last
    for length in (2, 20, 60):
        assert np.sum(score[ranking[:length]] >= 9) == length // 2  # two occupied ranges share evenly
    assert set(score[ranking[60:90]] <= 1) == {True}  # the smaller range is used up
    spread = score[ranking[:20]]
    assert spread[spread <= 1].std() > 0.1  # drawn at random within the range, not from an end


def test_ccs_of_constant_scores_and_bad_options() -> None:
    assert sorted(ccs(np.ones(7), generator())) == list(range(7))
    assert ccs(np.ones(1), generator()).tolist() == [0]
    with pytest.raises(DatassayError, match="beta 1, n_strata 50"):
        ccs(np.ones(7), generator(), beta=1.0)


def test_moderate_takes_the_middle() -> None:
    # distances: class 0: 1, 1, 30, 30; class 1: 2, 2; class 2: 10, 10; class of one: 0. Median 2, mean 9.6.
    features = np.array([[-1.0], [1], [-30], [30], [98], [102], [490], [510], [7]])
    ranking = moderate(features, np.array([0, 0, 0, 0, 1, 1, 2, 2, 3]), generator())
    assert [set(ranking[a:b]) for a, b in ((0, 2), (2, 4), (4, 5), (5, 7), (7, 9))] == [
        {4, 5},
        {0, 1},
        {8},
        {6, 7},
        {2, 3},
    ]


def test_prototypes_keeps_the_far_ones() -> None:
    offsets = np.array([-3.0, -1.2, 0.5, 1, 2.7])
    embeddings = np.concatenate([np.c_[offsets, np.zeros(5)], np.c_[offsets * 1.01, np.full(5, 1000)]])
    labels = np.repeat([0, 1], 5)
    ranking = prototypes(embeddings, labels, generator())
    assert ranking.tolist() == [5, 0, 9, 4, 6, 1, 8, 3, 7, 2]
    one_cell = prototypes(embeddings, labels, generator(), n_clusters=1)
    centre = embeddings.mean(axis=0)
    assert one_cell.tolist() == np.argsort(-np.linalg.norm(embeddings - centre, axis=1)).tolist()


def test_semdedup_drops_near_duplicates_first() -> None:
    rng = generator()
    unique = rng.normal(size=(20, 64))
    near = unique[:8] + 0.01 * rng.normal(size=(8, 64))
    ranking = semdedup(np.concatenate([unique, near]), generator(1))
    pair_of = np.concatenate([np.arange(20), np.arange(8)])
    assert sorted(pair_of[ranking[:20]]) == list(range(20))
    assert sorted(pair_of[ranking[20:]]) == list(range(8))


def test_semdedup_score_against_the_definition() -> None:
    rng = generator(2)
    points = rng.normal(size=(700, 5))
    unit = points / np.linalg.norm(points, axis=1, keepdims=True)
    order = np.argsort(unit @ unit.mean(axis=0))  # one cell: the farthest from the centre first
    cosine = unit[order] @ unit[order].T
    highest = np.array([-1.0] + [cosine[i, :i].max() for i in range(1, 700)])
    ranking = semdedup(points, generator(), cell_size=700)
    expected = np.empty(700)
    expected[order] = highest
    assert np.all(np.diff(expected[ranking]) > -1e-5)


def test_identical_rows_do_not_stop_the_cells() -> None:
    assert sorted(semdedup(np.ones((30, 4)), generator(), cell_size=10)) == list(range(30))
    assert sorted(prototypes(np.ones((30, 4)), np.arange(30) % 3, generator())) == list(range(30))
    assert semdedup(np.zeros((1, 4)), generator()).tolist() == [0]


def test_infoverse_dpp_is_the_dpp_with_its_quality() -> None:
    from datassay.measures.infoverse import quality
    from datassay.selection import dpp_ranking
    from datassay.selection.dpp import infoverse_dpp

    rng = generator(4)
    infoverse, labels = rng.normal(size=(90, 23)), rng.integers(3, size=90)
    for mode in ("density", "inverse", "uniform"):
        expected = dpp_ranking(infoverse, quality(infoverse, labels, mode), 30)
        assert infoverse_dpp(infoverse, labels, 30, generator(), quality=mode).tolist() == expected.tolist()
