"""The join of the families, its standardisation, and the quality of its points."""

import math

import numpy as np
import pytest

from datassay.errors import DatassayError
from datassay.measures import (
    INFOVERSE_COLUMNS,
    ensemble_uncertainty,
    join_families,
    mc_dropout_uncertainty,
    pretrained_measures,
    quality,
    standardise,
    static_measures,
    training_dynamics,
    unit_rows,
)
from datassay.measures.densities import densities
from datassay.registry import methods


@pytest.fixture
def families():
    rng = np.random.default_rng(0)
    logits, labels = rng.normal(size=(4, 30, 3)), rng.integers(0, 3, 30)
    features = rng.normal(size=(30, 5))
    return [
        pretrained_measures(features, rng.normal(size=30)),
        static_measures(logits, labels, features),
        mc_dropout_uncertainty(logits[::-1], labels),
        ensemble_uncertainty(logits[:3], labels),
        training_dynamics(logits, labels),
        densities(features, labels),
    ]


def test_the_columns_and_families_are_the_published_ones():
    assert len(INFOVERSE_COLUMNS) == len(set(INFOVERSE_COLUMNS)) == 23
    places = {0: "avg_conf", 3: "aum", 4: "ens_el2n", 7: "ens_variation_ratio", 10: "mc_el2n", 15: "mc_variability"}
    places |= {16: "task_density", 20: "badge_norm", 21: "semantic_density", 22: "pseudo_log_likelihood"}
    assert all(INFOVERSE_COLUMNS[place] == name for place, name in places.items())
    registered = methods("measure")
    assert {"training_dynamics", "ensemble", "mc_dropout", "static", "pretrained", "label_quality"} <= set(registered)
    assert set(INFOVERSE_COLUMNS) <= {column.name for family in registered.values() for column in family.columns}
    assert registered["ensemble"].inputs == {"logits": "ensemble_logits", "labels": "labels"}
    assert registered["mc_dropout"].inputs == {"logits": "mc_logits", "labels": "labels"}
    assert set(registered["pretrained"].inputs.values()) == {"embeddings", "log_likelihood", "embedding_distances"}


def test_join_orders_the_columns_and_keeps_the_reasons(families):
    table = join_families(families)
    assert tuple(table.columns) == INFOVERSE_COLUMNS and table.attrs["absent"] == {}
    fewer = join_families([pretrained_measures(np.eye(30)), *families[1:3], families[4]])
    assert len(fewer.columns) == 23 - 1 - 6
    absent = fewer.attrs["absent"]
    assert absent["pseudo_log_likelihood"].startswith("no language model")
    assert absent["ens_bald"] == "its family was not computed" and len(absent) == 7
    with pytest.raises(DatassayError, match="expected equal numbers"):
        join_families([families[0], families[1].iloc[:9]])


def test_standardise_equals_the_definition(families):
    table = join_families(families)
    x = standardise(table)
    values = table.to_numpy(dtype=float)
    np.testing.assert_allclose(x, (values - values.mean(axis=0)) / values.std(axis=0), atol=1e-9)
    np.testing.assert_array_equal(standardise(table[table.columns[::-1]].assign(example_id="a")), x)
    np.testing.assert_array_equal(standardise(np.array([[1.0], [3.0]])), [[-1.0], [1.0]])


def test_a_constant_column_is_exactly_zero_even_with_rounding_noise():
    rng = np.random.default_rng(0)
    noise = rng.normal(size=1000)
    table = np.column_stack(
        [
            np.full(1000, 0.1),
            np.full(1000, 1 / 3, dtype=np.float32) * (1 + 1e-7 * noise),
            1e-17 * noise,
            1e6 * (1 + 1e-7 * noise),
            1e-5 * noise,
            noise,
        ]
    )
    x = standardise(table)
    assert (x[:, :4] == 0).all()
    np.testing.assert_allclose(x[:, 4:].std(axis=0), 1)


def test_one_checkpoint_read_for_every_seed_gives_zeros_not_noise():
    rng = np.random.default_rng(0)
    logits, labels = np.repeat(rng.normal(size=(1, 300, 3)), 3, axis=0), rng.integers(0, 3, 300)
    table = join_families([training_dynamics(logits, labels), ensemble_uncertainty(logits, labels)])
    x = dict(zip(table.columns, standardise(table).T, strict=True))
    for name in ("variability", "ens_bald", "ens_variation_ratio", "ens_variability"):
        assert (x[name] == 0).all()
    assert x["avg_conf"].std() == pytest.approx(1)


def test_standardise_refuses_what_is_not_finite():
    with pytest.raises(DatassayError, match="infoverse: row 1 holds nan"):
        standardise(np.array([[0.0], [np.nan]]))
    with pytest.raises(DatassayError, match="at least one row and one column"):
        standardise(np.zeros((3, 0)))


def test_unit_rows_keeps_a_zero_row():
    np.testing.assert_allclose(unit_rows(np.array([[3.0, 4.0], [0.0, 0.0]])), [[0.6, 0.8], [0.0, 0.0]])


def loop_distance(x: np.ndarray, labels: np.ndarray, k: int) -> np.ndarray:
    """k-th nearest of the same class, else of any class for an example alone in its class."""
    result = []
    for i in range(len(x)):
        same = [j for j in range(len(x)) if labels[j] == labels[i] and j != i] or [j for j in range(len(x)) if j != i]
        distances = sorted(math.dist(x[i], x[j]) for j in same)
        result.append(distances[min(k, len(distances)) - 1])
    return np.array(result)


@pytest.mark.parametrize("kind", ["density", "inverse"])
def test_quality_equals_a_loop(kind):
    rng = np.random.default_rng(0)
    x, labels = rng.normal(size=(50, 4)), np.array([*rng.integers(0, 2, 45), 3, 3, 3, 3, 7])
    distance = loop_distance(x, labels, 5)
    raw = distance if kind == "inverse" else 1 / (distance + 1e-8)
    expected = 1e-3 + 0.999 * (raw - raw.min()) / (raw.max() - raw.min())
    found = quality(x, labels, kind)
    np.testing.assert_allclose(found, expected, rtol=1e-5)
    assert found.min() == 1e-3 and found.max() == 1.0
    assert found.argmax() == (distance.argmin() if kind == "density" else distance.argmax())


def test_quality_of_special_cases():
    assert (quality(np.random.default_rng(0).normal(size=(9, 2)), np.arange(9) % 2, "uniform") == 1).all()
    assert (quality(np.zeros((9, 2)), np.arange(9) % 2) == 1).all()
    assert quality(np.zeros((1, 2)), np.array([0]), "inverse").tolist() == [1.0]
    with pytest.raises(DatassayError, match="did you mean 'density'"):
        quality(np.zeros((9, 2)), np.zeros(9, dtype=int), "densty")
