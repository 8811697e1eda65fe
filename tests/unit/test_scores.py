"""Metrics against scikit-learn, SciPy and cases by hand."""

import numpy as np
import pytest

from datassay.training.scores import scores


def random_case(classes: int, n: int = 80) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(classes)
    return rng.normal(size=(n, classes)), rng.integers(0, max(2, classes - 1), n)


def probabilities(logits: np.ndarray) -> np.ndarray:
    return np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)


@pytest.mark.parametrize("classes", [2, 3, 5])
def test_metrics_of_classes_are_those_of_scikit_learn(classes: int) -> None:
    from sklearn.metrics import f1_score, log_loss, matthews_corrcoef, roc_auc_score

    logits, labels = random_case(classes)
    found = scores(np.vstack([logits, logits[:5]]), np.append(labels, [-1] * 5))
    p, predicted = probabilities(logits), logits.argmax(axis=1)
    assert found["loss"] == pytest.approx(log_loss(labels, p, labels=range(classes)))
    assert found["accuracy"] == (predicted == labels).mean()
    assert found["macro_f1"] == pytest.approx(f1_score(labels, predicted, average="macro"))
    assert found["mcc"] == pytest.approx(matthews_corrcoef(labels, predicted))
    rest = [roc_auc_score(labels == c, p[:, c]) for c in np.unique(labels)]
    assert found["auroc"] == pytest.approx(rest[1] if classes == 2 else np.mean(rest))
    assert ("f1" in found) == (classes == 2)
    if classes == 2:
        assert found["f1"] == pytest.approx(f1_score(labels, predicted))


def test_calibration_error_by_hand() -> None:
    p = np.array([0.95, 0.95, 0.85, 0.60, 0.60])
    logits = np.log(np.stack([p, 1 - p], axis=1))
    labels = np.array([0, 1, 0, 1, 1])
    expected = (2 * abs(0.95 - 0.5) + abs(0.85 - 1) + 2 * abs(0.6 - 0)) / 5
    assert scores(logits, labels)["ece"] == pytest.approx(expected)


def test_predictions_that_are_sure_and_right_have_no_calibration_error() -> None:
    assert scores(np.array([[99.0, -99.0], [-99.0, 99.0]]), np.array([0, 1]))["ece"] == 0


def test_metrics_of_regression_are_those_of_scipy() -> None:
    from scipy.stats import pearsonr, spearmanr

    rng = np.random.default_rng(0)
    labels = rng.integers(0, 10, 60) / 2
    predicted = (labels + rng.normal(size=60)).astype(np.float32)
    found = scores(np.append(predicted, [3, 4])[:, None], np.append(labels, [np.nan, np.nan]), "regression")
    assert found["loss"] == pytest.approx(((predicted - labels) ** 2).mean())
    assert found["rmse"] == pytest.approx(found["loss"] ** 0.5)
    assert found["pearson"] == pytest.approx(pearsonr(predicted, labels).statistic)
    assert found["spearman"] == pytest.approx(spearmanr(predicted, labels).statistic)


def test_constant_predictions_and_labels_have_the_documented_values() -> None:
    constant = scores(np.tile([1.0, 0.0], (6, 1)), np.array([0, 1, 0, 1, 0, 0]))
    assert (constant["mcc"], constant["auroc"], constant["f1"]) == (0, 0.5, 0)
    one_class = scores(random_case(3)[0], np.full(80, 2))
    assert (one_class["mcc"], one_class["auroc"]) == (0, 0.5)
    flat = scores(np.ones((4, 1)), np.arange(4.0), "regression")
    assert (flat["pearson"], flat["spearman"], flat["rmse"]) == (0, 0, pytest.approx(np.sqrt((1 + 0 + 1 + 4) / 4)))


@pytest.mark.parametrize(("task", "labels"), [("classification", [-1, -1]), ("regression", [np.nan, np.nan])])
def test_without_labels_there_is_no_number(task: str, labels: list[float]) -> None:
    logits = np.zeros((2, 1 if task == "regression" else 2))
    labelled = scores(logits, np.array([0, 0]), task)
    found = scores(logits, np.array(labels), task)
    assert found.keys() == labelled.keys()
    assert all(np.isnan(value) for value in found.values())
