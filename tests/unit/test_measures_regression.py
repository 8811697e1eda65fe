"""Regression columns against plain loops; what a task has no classes for is absent with its reason."""

import numpy as np
import pandas as pd
import pytest

from datassay.errors import DatassayError
from datassay.measures.regression import leave_one_out_errors, regression_dynamics
from datassay.registry import LABELLED, methods
from datassay.stages import compute_measure

N = 40


def recorded(epochs: int = 4, seeds: int = 3, passes: int = 5) -> dict[str, np.ndarray]:
    rng = np.random.default_rng(0)
    labels = rng.uniform(0, 5, N)
    around = lambda t: (labels[None, :, None] + rng.normal(size=(t, N, 1))).astype(np.float32)  # noqa: E731
    features = (labels[:, None] * rng.normal(size=6) + rng.normal(size=(N, 6))).astype(np.float32)
    return {
        "logits": around(epochs), "ensemble_logits": around(seeds), "mc_logits": around(passes),
        "features": features, "labels": labels,
    }  # fmt: skip


def test_columns_are_those_of_a_plain_loop() -> None:
    run = recorded()
    table = regression_dynamics(**run)
    for i, label in enumerate(run["labels"]):
        over_epochs, over_seeds, over_passes = (
            [float(p[i, 0]) for p in run[name]] for name in ("logits", "ensemble_logits", "mc_logits")
        )
        row = table.iloc[i]
        assert row["mean_abs_error"] == pytest.approx(sum(abs(p - label) for p in over_epochs) / 4)
        assert row["prediction_variability"] == pytest.approx(np.std(over_epochs))
        assert row["final_prediction"] == over_epochs[-1]
        assert row["final_abs_error"] == pytest.approx(abs(over_epochs[-1] - label))
        assert row["ens_prediction"] == pytest.approx(sum(over_seeds) / 3)
        assert row["ens_abs_error"] == pytest.approx(abs(sum(over_seeds) / 3 - label))
        assert row["ens_std"] == pytest.approx(np.std(over_seeds))
        assert row["mc_std"] == pytest.approx(np.std(over_passes))


@pytest.mark.parametrize("width", [3, 60])
def test_held_out_errors_are_those_of_refitting_without_the_row(width: int) -> None:
    from sklearn.linear_model import Ridge

    rng = np.random.default_rng(1)
    x = rng.normal(size=(N, width)) * rng.uniform(0.1, 9, width) + 5
    y = x[:, 0] + rng.normal(size=N)
    found = leave_one_out_errors(np.column_stack([x, np.full(N, 7.0)]), y, strength=0.3)
    scaled = (x - x.mean(axis=0)) / x.std(axis=0)
    for i in range(N):
        rest = np.arange(N) != i
        model = Ridge(alpha=0.3 * N).fit(scaled[rest], y[rest])
        assert found[i] == pytest.approx(abs(model.predict(scaled[[i]])[0] - y[i]))


def test_a_wrong_label_stands_out_among_held_out_errors() -> None:
    run = recorded()
    labels = run["labels"].copy()
    labels[7] += 40
    assert leave_one_out_errors(run["features"], labels).argmax() == 7


def test_what_was_not_recorded_is_absent_with_its_reason() -> None:
    absent = regression_dynamics(**recorded(epochs=1, seeds=1, passes=0)).attrs["absent"]
    assert set(absent) == {
        "mean_abs_error", "prediction_variability", "ens_prediction", "ens_abs_error", "ens_std", "mc_std",
    }  # fmt: skip
    assert absent["mc_std"] == "the model has no dropout layer"
    few = {name: array[:, :2] if array.ndim == 3 else array[:2] for name, array in recorded().items()}
    assert "held_out_error" in regression_dynamics(**few).attrs["absent"]


def test_faults() -> None:
    run = recorded()
    with pytest.raises(DatassayError, match=r"logits: float32 of shape \(4, 40, 2\), expected"):
        regression_dynamics(**run | {"logits": np.repeat(run["logits"], 2, axis=2)})
    with pytest.raises(DatassayError, match="labels: row 3 holds nan"):
        regression_dynamics(**run | {"labels": np.where(np.arange(N) == 3, np.nan, run["labels"])})
    with pytest.raises(DatassayError, match="strength: 0"):
        regression_dynamics(**run, strength=0)


def computed(family: str, task: str, arrays: dict[str, np.ndarray], **options: object) -> pd.DataFrame:
    about = methods("measure")[family]
    return compute_measure(about, arrays, pd.Series(range(N)), about.options | options, task)


def test_static_measures_of_a_regression_keep_what_needs_no_class() -> None:
    table = computed("static", "regression", recorded())
    assert set(table) == {"example_id", "task_density"}
    reason = "needs classes, which a regression has not"
    assert {table.attrs["absent"][name] for name in ("confidence", "relative_density", "badge_norm")} == {reason}
    extra = computed("densities", "regression", recorded())
    assert set(extra) == {"example_id", "gaussian_density", "ppca_density"}
    assert extra.attrs["absent"] == {"class_density": reason}


def test_static_measures_of_a_multiple_choice_keep_what_needs_no_shared_class() -> None:
    rng = np.random.default_rng(2)
    arrays = {
        "logits": rng.normal(size=(2, N, 2)).astype(np.float32), "labels": rng.integers(0, 2, N),
        "features": rng.normal(size=(N, 4)).astype(np.float32),
    }  # fmt: skip
    table = computed("static", "multiple_choice", arrays)
    assert set(table) == {"example_id", "task_density", "confidence", "entropy"}
    assert (
        table.attrs["absent"]["relative_density"]
        == "needs classes that examples share, which a multiple choice has not"
    )
    same = computed("static", "classification", arrays)
    pd.testing.assert_frame_equal(same[list(table)], table, check_exact=True)


def test_families_know_their_tasks() -> None:
    families = methods("measure")
    assert {name for name, about in families.items() if about.columns_of("regression")} >= {
        "regression_dynamics", "static", "pretrained",
    }  # fmt: skip
    assert not families["training_dynamics"].columns_of("regression")
    assert families["label_quality"].columns_of("multiple_choice") == []
    assert families["regression_dynamics"].columns_of("classification") == []
    assert all(families["ensemble"].columns_of(task) for task in LABELLED)
