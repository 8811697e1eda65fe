"""Training dynamics and ensemble / dropout uncertainty against hand-computed cases and plain loops."""

import math

import numpy as np
import pytest

from datassay.errors import DatassayError, NotApplicable
from datassay.measures import _arrays, ensemble_uncertainty, mc_dropout_uncertainty, training_dynamics

FAMILIES = [training_dynamics, ensemble_uncertainty, mc_dropout_uncertainty]


@pytest.fixture
def arrays() -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(0)
    return 2 * rng.normal(size=(6, 40, 4)), rng.integers(0, 4, 40)


def probabilities(z) -> list[float]:
    exponentials = [math.exp(v - max(z)) for v in z]
    return [e / sum(exponentials) for e in exponentials]


def shannon(p) -> float:
    return -sum(v * math.log(v) for v in p if v > 0)


def deviation(values) -> float:
    mean = sum(values) / len(values)
    return math.sqrt(sum((v - mean) ** 2 for v in values) / len(values))


def loop_dynamics(logits, y) -> dict[str, float]:
    """One example, [E][C]."""
    confidence = [probabilities(z)[y] for z in logits]
    right = [max(range(len(z)), key=lambda c: (z[c], -c)) == y for z in logits]
    forgotten = sum(right[e - 1] and not right[e] for e in range(1, len(right)))
    margins = [z[y] - max(v for c, v in enumerate(z) if c != y) for z in logits]
    return {
        "avg_conf": sum(confidence) / len(confidence),
        "variability": deviation(confidence),
        "forgetting": forgotten if any(right) else len(right),
        "aum": sum(margins) / len(margins),
        "correctness": sum(right) / len(right),
        "never_learned": not any(right),
    }


def loop_uncertainty(logits, y) -> dict[str, float]:
    """One example, [S][C]."""
    p = [probabilities(z) for z in logits]
    passes, classes = len(p), len(p[0])
    mean = [sum(row[c] for row in p) / passes for c in range(classes)]
    votes = [max(range(classes), key=lambda c: (z[c], -c)) for z in logits]
    majority = max(range(classes), key=lambda c: (votes.count(c), -c))
    distance = [math.sqrt(sum((row[c] - (c == y)) ** 2 for c in range(classes))) for row in p]
    return {
        "el2n": sum(distance) / passes,
        "entropy": shannon(mean),
        "bald": max(0.0, shannon(mean) - sum(map(shannon, p)) / passes),
        "variation_ratio": sum(v != majority for v in votes) / passes,
        "avg_conf": mean[y],
        "variability": deviation([row[y] for row in p]),
    }


def test_dynamics_equal_a_loop(arrays):
    logits, labels = arrays
    table = training_dynamics(logits, labels)
    expected = [loop_dynamics(logits[:, i].tolist(), labels[i]) for i in range(len(labels))]
    for name in table.columns:
        np.testing.assert_allclose(table[name].astype(float), [row[name] for row in expected], atol=1e-12)
    assert list(table.columns) == ["avg_conf", "variability", "correctness", "forgetting", "aum", "never_learned"]
    assert table["never_learned"].dtype == bool and table["forgetting"].dtype == np.int64
    assert table["never_learned"].any() and not table["never_learned"].all()
    assert table.attrs["absent"] == {}


def test_dynamics_by_hand():
    # probabilities of class 0: 1/2, 3/4, 1/4; right (ties go to the lowest class), right, wrong
    three = math.log(3)
    logits = np.array([[[0.0, 0.0]], [[three, 0.0]], [[0.0, three]]])
    row = training_dynamics(logits, np.array([0])).iloc[0]
    assert row["avg_conf"] == pytest.approx(0.5)
    assert row["variability"] == pytest.approx(math.sqrt(1 / 24))
    assert row["forgetting"] == 1 and not row["never_learned"]
    assert row["aum"] == pytest.approx(0.0)
    # the same logits with label 1: wrong by the tie, wrong, right: learned late, never forgotten
    assert training_dynamics(logits, np.array([1])).iloc[0]["forgetting"] == 0
    # never right: as many as epochs
    row = training_dynamics(logits[:2], np.array([1])).iloc[0]
    assert row["forgetting"] == 2 and row["never_learned"]


def test_released_aum_has_a_rival_of_at_least_zero():
    logits = np.array([[[-1.0, -5.0, -3.0]], [[2.0, 1.0, 4.0]]])
    labels = np.array([0])
    assert training_dynamics(logits, labels)["aum"][0] == pytest.approx((2 - 2) / 2)
    assert training_dynamics(logits, labels, variant="released")["aum"][0] == pytest.approx((-1 - 2) / 2)


@pytest.mark.parametrize("function, prefix", [(ensemble_uncertainty, "ens"), (mc_dropout_uncertainty, "mc")])
def test_uncertainty_equals_a_loop(arrays, function, prefix):
    logits, labels = arrays
    table = function(logits, labels)
    expected = [loop_uncertainty(logits[:, i].tolist(), labels[i]) for i in range(len(labels))]
    assert list(table.columns) == [f"{prefix}_{name}" for name in expected[0]]
    for name in expected[0]:
        np.testing.assert_allclose(table[f"{prefix}_{name}"], [row[name] for row in expected], atol=1e-12)


def test_uncertainty_by_hand():
    # two sure models that contradict each other: nothing but disagreement
    logits = np.array([[[50.0, -50.0]], [[-50.0, 50.0]]])
    row = ensemble_uncertainty(logits, np.array([1])).iloc[0]
    assert row["ens_entropy"] == pytest.approx(math.log(2)) and row["ens_bald"] == pytest.approx(math.log(2))
    assert row["ens_el2n"] == pytest.approx(math.sqrt(2) / 2)
    assert row["ens_variation_ratio"] == 0.5 and row["ens_avg_conf"] == 0.5 and row["ens_variability"] == 0.5


def test_released_variation_ratio_counts(arrays):
    logits, labels = arrays
    share = ensemble_uncertainty(logits, labels)["ens_variation_ratio"]
    count = ensemble_uncertainty(logits, labels, variant="released")["ens_variation_ratio"]
    np.testing.assert_allclose(count, len(logits) * share)
    assert count.max() >= 1


def test_columns_vary_when_seeds_and_epochs_differ_and_not_when_one_checkpoint_is_read_for_all(arrays):
    logits, labels = arrays
    same = np.repeat(logits[:1], len(logits), axis=0)
    names = ["ens_bald", "ens_variation_ratio", "ens_variability"]
    assert (ensemble_uncertainty(logits, labels)[names].std() > 1e-2).all()
    assert training_dynamics(logits, labels)["variability"].std() > 1e-2
    assert ensemble_uncertainty(same, labels)[names].to_numpy().max() < 1e-12
    assert training_dynamics(same, labels)["variability"].max() < 1e-12


@pytest.mark.parametrize("function", FAMILIES)
def test_rows_move_with_their_examples(arrays, function):
    logits, labels = arrays
    order = np.random.default_rng(1).permutation(len(labels))
    expected = function(logits, labels).iloc[order].reset_index(drop=True)
    found = function(logits[:, order], labels[order])
    np.testing.assert_allclose(found.astype(float), expected.astype(float), atol=1e-13)


@pytest.mark.parametrize("function", FAMILIES)
def test_blocks_do_not_show(arrays, function, monkeypatch):
    logits, labels = arrays
    whole = function(logits, labels).astype(float)
    monkeypatch.setattr(_arrays, "BLOCK_VALUES", 7 * 6 * 4)
    np.testing.assert_allclose(function(logits, labels).astype(float), whole, atol=1e-13)


@pytest.mark.parametrize("function", FAMILIES)
@pytest.mark.parametrize("dtype", [np.float16, np.float32])
def test_memory_mapped_half_and_single_precision(arrays, function, dtype, tmp_path):
    logits, labels = arrays
    np.save(tmp_path / "logits.npy", logits.astype(dtype))
    mapped = np.load(tmp_path / "logits.npy", mmap_mode="r")
    expected = function(logits.astype(dtype).astype(np.float64), labels)
    np.testing.assert_array_equal(function(mapped, labels).to_numpy(), expected.to_numpy())


@pytest.mark.parametrize("function", FAMILIES)
def test_extreme_logits_stay_finite(function):
    logits = np.array([[[1e4, -1e4, 0]], [[-1e4, 1e4, 0]], [[3e38, -3e38, 0]]], dtype=np.float32)
    with np.errstate(all="raise", under="ignore"):
        table = function(logits, np.array([0]))
    assert np.isfinite(table.to_numpy(dtype=float)).all()
    assert table.filter(like="avg_conf").iloc[0, 0] == pytest.approx(2 / 3)


def test_one_class():
    logits, labels = np.ones((3, 5, 1)), np.zeros(5, dtype=int)
    table = training_dynamics(logits, labels)
    assert "aum" not in table and "2 classes" in table.attrs["absent"]["aum"]
    assert (table["avg_conf"] == 1).all() and (table["forgetting"] == 0).all()
    assert (ensemble_uncertainty(logits, labels)["ens_entropy"] == 0).all()


@pytest.mark.parametrize(
    "function, passes, reason",
    [
        (training_dynamics, 1, "at least 2 epochs, 1 recorded"),
        (ensemble_uncertainty, 1, "at least 2 seeds, 1 trained"),
        (mc_dropout_uncertainty, 0, "no dropout layer"),
        (mc_dropout_uncertainty, 1, "at least 2 dropout passes"),
    ],
)
def test_not_applicable(function, passes, reason):
    with pytest.raises(NotApplicable, match=reason):
        function(np.zeros((passes, 3, 2), dtype=np.float32), np.zeros(3, dtype=int))


@pytest.mark.parametrize(
    "change, message",
    [
        (lambda z, y: (z[0], y), r"logits: .*shape \(40, 4\)"),
        (lambda z, y: (z.astype(int), y), "logits: int64"),
        (lambda z, y: (z[:, :, :0], y), "no classes"),
        (lambda z, y: (z, y[:-1]), r"labels: shape \(39,\), expected \(40,\)"),
        (lambda z, y: (z, y.astype(float)), "labels: type float64"),
        (lambda z, y: (z, y == 1), "labels: type bool"),
        (lambda z, y: (z, np.where(np.arange(40) == 7, 4, y)), "labels: row 7 is 4, allowed are 0 to 3"),
        (lambda z, y: (z, np.where(np.arange(40) == 7, -1, y)), "labels: row 7 is -1"),
        (lambda z, y: (np.where(np.arange(40)[:, None] == 33, np.nan, z), y), "logits: row 33 holds nan"),
        (lambda z, y: (z[:, :0], y[:0]), "one label for every row"),
    ],
)
@pytest.mark.parametrize("function", FAMILIES)
def test_refused_inputs(arrays, function, change, message, monkeypatch):
    monkeypatch.setattr(_arrays, "BLOCK_VALUES", 10 * 6 * 4)
    with pytest.raises(DatassayError, match=message) as caught:
        function(*change(*arrays))
    assert "\n" not in str(caught.value) and not isinstance(caught.value, NotApplicable)


def test_unknown_variant(arrays):
    with pytest.raises(DatassayError, match="allowed: ours, released"):
        training_dynamics(*arrays, variant="theirs")
