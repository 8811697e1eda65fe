"""LogME against the evidence computed directly, dense and in float64, and against the published fixed point."""

import numpy as np
import pytest

from datassay.errors import DatassayError
from datassay.transfer import logme
from datassay.transfer.logme import influences, logme_of, moments, tridiagonal


def one_hot(labels: np.ndarray) -> np.ndarray:
    return np.eye(labels.max() + 1)[labels]


def fixed_point(f: np.ndarray, y: np.ndarray) -> tuple[float, float]:
    """Alpha and beta by dense matrices: MacKay's updates, with the floor of the published code."""
    n, d = f.shape
    alpha = beta = 1.0
    for _ in range(50):
        inverse = np.linalg.inv(alpha * np.eye(d) + beta * f.T @ f)
        m = beta * inverse @ f.T @ y
        gamma = beta * np.trace(inverse @ f.T @ f)
        before = alpha / beta
        alpha, beta = gamma / (m @ m + 1e-5), (n - gamma) / (((y - f @ m) ** 2).sum() + 1e-5)
        if abs(alpha / beta - before) <= 1e-3 * before:
            return alpha, beta
    return alpha, beta


def evidence(f: np.ndarray, y: np.ndarray, alpha: float, beta: float, weights: np.ndarray | None = None) -> float:
    """Log density of y under N(0, I / beta + F F^T / alpha): the evidence, with nothing integrated by hand.

    weights: how often each row counts; the noise of a row is then beta * weight.
    """
    weights = np.ones(len(y)) if weights is None else weights
    covariance = np.diag(1 / (beta * weights)) + f @ f.T / alpha
    _, log_det = np.linalg.slogdet(covariance)
    density = -0.5 * (log_det + y @ np.linalg.solve(covariance, y) + len(y) * np.log(2 * np.pi))
    return density + 0.5 * ((weights - 1) * np.log(beta / (2 * np.pi)) - np.log(weights)).sum()


def problem(n: int, d: int, classes: int = 3, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    f = rng.normal(size=(n, d)) * rng.uniform(0.1, 3, d) + rng.normal(size=d)
    noisy = f @ rng.normal(size=(d, classes)) / d**0.5 + rng.normal(size=(n, classes))
    labels = noisy.argmax(axis=1)
    labels[:classes] = np.arange(classes)
    return f, labels


@pytest.mark.parametrize(("n", "d"), [(80, 12), (40, 40), (20, 60), (2, 7), (30, 1)])
@pytest.mark.parametrize("regression", [False, True])
def test_equals_the_evidence_computed_directly(n: int, d: int, regression: bool) -> None:
    f, labels = problem(n, d, 2)
    y = one_hot(labels) * 3.7 - 1.2 if regression else one_hot(labels)
    direct = [evidence(f, column, *fixed_point(f, column)) / n for column in y.T]
    found = logme(f, y if regression else labels, regression=regression)
    assert found == pytest.approx(np.mean(direct), abs=2e-4)
    assert abs(found - np.mean(direct)) < 1e-6 or n <= d  # a column that is fitted exactly leaves the floor to differ


def published(f: np.ndarray, y: np.ndarray) -> float:
    """The fixed point as arXiv 2110.10545 gives it for N >= D, in the spectrum of a full decomposition."""
    n, d = f.shape
    u, s, _ = np.linalg.svd(f, full_matrices=False)
    sigma, scores = s**2, []
    for column in y.T:
        x2 = (u.T @ column) ** 2
        outside = column @ column - x2.sum()
        alpha = beta = 1.0
        for _ in range(50):
            t = alpha / beta
            gamma = (sigma / (sigma + t)).sum()
            m2, res2 = (sigma * x2 / (t + sigma) ** 2).sum(), (x2 / (1 + sigma / t) ** 2).sum() + outside
            alpha, beta = gamma / (m2 + 1e-5), (n - gamma) / (res2 + 1e-5)
            if abs(alpha / beta - t) / t <= 1e-3:
                break
        log_det = np.log(alpha + beta * sigma).sum()
        score = d * np.log(alpha) + n * np.log(beta) - log_det - beta * res2 - alpha * m2 - n * np.log(2 * np.pi)
        scores.append(0.5 * score / n)
    return float(np.mean(scores))


@pytest.mark.parametrize(("n", "d", "classes"), [(300, 40, 2), (5000, 24, 7), (64, 64, 3)])
def test_equals_the_published_fixed_point_to_six_digits(n: int, d: int, classes: int) -> None:
    f, labels = problem(n, d, classes, seed=1)
    assert logme(f.astype(np.float32), labels) == pytest.approx(
        published(f.astype(np.float32), one_hot(labels)), rel=1e-6
    )


def test_directions_without_rows_count() -> None:
    """Columns of zeros are directions without variance: they change nothing, as alpha integrates out to 1."""
    f, labels = problem(30, 8)
    wide = np.hstack([f, np.zeros((30, 40))])
    assert wide.shape[1] > len(wide)
    assert logme(wide, labels) == pytest.approx(logme(f, labels), abs=1e-9)


def test_rows_fewer_and_as_many_as_columns_agree_on_either_path() -> None:
    f, labels = problem(20, 50)
    assert logme_of(moments(f, labels)) == pytest.approx(logme(f, labels), abs=1e-9)


def test_labels_are_names_and_rows_have_no_order() -> None:
    f, labels = problem(60, 5)
    order = np.random.default_rng(0).permutation(60)
    score = logme(f, labels)
    assert logme(f[order], labels[order]) == pytest.approx(score, rel=1e-12)
    assert logme(f, 10 - 3 * labels) == pytest.approx(score, rel=1e-12)
    assert logme(f @ np.linalg.qr(np.random.default_rng(1).normal(size=(5, 5)))[0], labels) == pytest.approx(score)


def test_features_that_separate_score_higher() -> None:
    f, labels = problem(200, 6)
    assert logme(np.hstack([f, 3 * one_hot(labels)]), labels) > logme(f, labels) + 0.5


def test_moments_follow_a_linear_map() -> None:
    f, labels = problem(90, 7)
    rng = np.random.default_rng(2)
    weight, bias = rng.normal(size=(5, 7)), rng.normal(size=5)
    mapped, direct = moments(f, labels).mapped(weight, bias), moments(f @ weight.T + bias, labels)
    for name in ("gram", "sums", "cross", "target_sums", "target_squares"):
        np.testing.assert_allclose(getattr(mapped, name), getattr(direct, name), rtol=1e-10, atol=1e-9)
    assert logme_of(mapped) == pytest.approx(logme(f @ weight.T + bias, labels), rel=1e-9)


def test_tridiagonal_keeps_the_spectrum_and_the_right_side() -> None:
    rng = np.random.default_rng(3)
    a = rng.normal(size=(9, 9))
    a, right = a @ a.T, rng.normal(size=(9, 2))
    diagonal, off, turned = tridiagonal(a, right)
    t = np.diag(diagonal) + np.diag(off, 1) + np.diag(off, -1)
    np.testing.assert_allclose(np.linalg.eigvalsh(t), np.linalg.eigvalsh(a), rtol=1e-10)
    np.testing.assert_allclose(turned.T @ np.linalg.solve(t, turned), right.T @ np.linalg.solve(a, right), rtol=1e-8)


@pytest.mark.parametrize("regression", [False, True])
def test_influence_is_the_derivative_in_the_weight_of_a_row(regression: bool) -> None:
    """Against the evidence with a row counted a little more, its alpha and beta found anew for a fair maximum."""
    f, labels = problem(25, 4, 2)
    y = one_hot(labels) if not regression else f @ np.ones((4, 1)) + np.random.default_rng(4).normal(size=(25, 1))
    adds = influences(f, labels if not regression else y, regression=regression)
    step = 1e-4
    expected = np.empty(25)
    for row in range(25):
        sides = []
        for sign in (1, -1):
            weights = np.ones(25)
            weights[row] += sign * step
            sides.append(np.mean([best_evidence(f, column, weights) for column in y.T]))
        expected[row] = (sides[0] - sides[1]) / (2 * step)
    np.testing.assert_allclose(adds, expected - expected.mean(), atol=5e-3 * np.abs(adds).max())


def best_evidence(f: np.ndarray, y: np.ndarray, weights: np.ndarray) -> float:
    from scipy.optimize import minimize

    start = np.log(fixed_point(f, y))
    return -minimize(lambda logs: -evidence(f, y, *np.exp(logs), weights), start, tol=1e-12, method="Nelder-Mead").fun


@pytest.mark.parametrize(
    ("features", "targets", "text"),
    [
        (np.zeros((4, 2)), np.array([0, 1, 0, 1]), "all are 0"),
        (np.array([[1.0, np.nan], [1, 2]]), np.array([0, 1]), "row 0 is not finite"),
        (np.ones(4), np.array([0, 1, 0, 1]), "needs numbers"),
        (np.eye(4), np.array([0, 1]), "2 for 4 rows"),
        (np.eye(2), np.array([0.5, 1.5]), "regression=True"),
    ],
)
def test_refuses_what_has_no_score(features: np.ndarray, targets: np.ndarray, text: str) -> None:
    with pytest.raises(DatassayError, match=text):
        logme(features, targets)


def test_refuses_targets_that_are_not_finite() -> None:
    with pytest.raises(DatassayError, match="not finite"):
        logme(np.eye(2), np.array([0.5, np.inf]), regression=True)
