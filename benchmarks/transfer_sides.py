"""Sides of the rows about transfer; see sides.py."""

from collections.abc import Callable, Iterator

import numpy as np

Side = tuple[list[str], Callable[..., np.ndarray]]


def logme_datassay() -> Side:
    import datassay.transfer._kernels  # noqa: F401 (compiled before the clock starts)
    from datassay.transfer import logme

    return ["numpy", "scipy", "numba"], lambda a: np.array([logme(a["features"], a["labels"])])


def logme_published() -> Side:
    return ["numpy"], lambda a: np.array([_fixed_point(a["features"], a["labels"])])


def _fixed_point(features: np.ndarray, labels: np.ndarray) -> float:
    """LogME as arXiv 2110.10545 gives it, for at least as many rows as columns: the spectrum of every column."""
    f = features.astype(np.float64)
    n, d = f.shape
    _, sigma, axes = np.linalg.svd(f.T @ f)
    kept = sigma > 1e-10
    u = (f @ axes[kept].T) / np.sqrt(sigma[kept])
    sigma = sigma[kept]
    scores = []
    for label in np.unique(labels):
        y = (labels == label).astype(np.float64)
        x2 = (u.T @ y) ** 2
        outside = y @ y - x2.sum()
        alpha = beta = 1.0
        for _ in range(50):
            t = alpha / beta
            gamma = (sigma / (sigma + t)).sum()
            m2, res2 = (sigma * x2 / (t + sigma) ** 2).sum(), (x2 / (1 + sigma / t) ** 2).sum() + outside
            alpha, beta = gamma / (m2 + 1e-5), (n - gamma) / (res2 + 1e-5)
            if abs(alpha / beta - t) / t <= 1e-3:
                break
        log_det = np.log(alpha + beta * sigma).sum() + (d - len(sigma)) * np.log(alpha)
        score = d * np.log(alpha) + n * np.log(beta) - log_det - beta * res2 - alpha * m2 - n * np.log(2 * np.pi)
        scores.append(0.5 * score / n)
    return float(np.mean(scores))


def _maps(noise: np.ndarray, count: int) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Yield maps near the identity, as fine-tuning makes them; one at a time."""
    stays = np.eye(len(noise), dtype=np.float32)
    for number in range(count):
        turned = np.roll(noise, number, axis=1)
        yield stays + 0.3 * turned, turned[number % len(noise)]


def ranking_datassay() -> Side:
    import datassay.transfer._kernels  # noqa: F401 (compiled before the clock starts)
    from datassay.transfer import EmbeddingSpaceMap, rank

    def run(a: dict[str, np.ndarray], count: int) -> np.ndarray:
        esms = ((str(i), EmbeddingSpaceMap((layer,))) for i, layer in enumerate(_maps(a["noise"], count)))
        table = rank(a["features"], a["labels"], esms, replicates=0)
        return table.set_index("name")["score"].loc[list(map(str, range(count)))].to_numpy()

    return ["numpy", "scipy", "numba"], run


def ranking_by_transform() -> Side:
    import datassay.transfer._kernels  # noqa: F401 (compiled before the clock starts)
    from datassay.transfer import logme

    return ["numpy", "scipy", "numba"], _each(logme)


def ranking_published() -> Side:
    return ["numpy"], _each(_fixed_point)


def _each(score: Callable[[np.ndarray, np.ndarray], float]) -> Callable[..., np.ndarray]:
    def run(a: dict[str, np.ndarray], count: int) -> np.ndarray:
        maps = _maps(a["noise"], count)
        return np.array([score(a["features"] @ weight.T + bias, a["labels"]) for weight, bias in maps])

    return run
