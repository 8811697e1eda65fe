"""Acquisition functions that spread their picks over k-means cells: the real example nearest to every centre."""

import numpy as np

from datassay.acquisition.uncertainty import check_picks, check_probabilities, entropies
from datassay.errors import DatassayError
from datassay.registry import acquisition
from datassay.selection.arrays import by_score, check_rows, unit_float32


def nearest_to_centres(points: np.ndarray, n: int, rng: np.random.Generator) -> np.ndarray:
    """Return n distinct rows, int64 [n]: of every k-means centre of points [m, d] the nearest row not yet taken.

    Where there are fewer centres than n (equal rows), the rest is drawn at random. Time that of k-means (Lloyd's
    iterations on at most 20,000 rows) and O(m n d).
    """
    from datassay.selection._clustering import kmeans

    _, centres = kmeans(points, n, rng)
    picks = _distinct_nearest(centres, points)
    rest = np.setdiff1d(np.arange(len(points)), picks)
    return np.concatenate([picks, rng.choice(rest, n - len(picks), replace=False)]).astype(np.int64)


def _distinct_nearest(centres: np.ndarray, points: np.ndarray) -> np.ndarray:
    """Return for one centre after the other its nearest row that no centre before it has, int64 [centres]."""
    from datassay.neighbors import exact_neighbors

    depth = min(8, len(points))
    while True:
        ids, _ = exact_neighbors(centres, points, depth, metric="euclidean")
        picks: list[int] = []
        for row in ids:
            free = row[~np.isin(row, picks)]
            if not len(free):
                break
            picks.append(int(free[0]))
        if len(picks) == len(centres):
            return np.array(picks, np.int64)
        depth = min(2 * depth, len(points))


@acquisition(version=1, source="Yuan et al., EMNLP 2020, arXiv 2010.09535 (BERT-KM)")
def bert_kmeans(embeddings: np.ndarray, n: int, rng: np.random.Generator) -> np.ndarray:
    """Nearest to the n centres of k-means in the vectors of the pretrained encoder.

    embeddings: [m, d]. Returns distinct int64 [n]. Raises DatassayError for n outside 1..m or rows that are not finite.
    """
    points = check_rows("embeddings", embeddings, 2)
    check_picks(n, len(points))
    return nearest_to_centres(points, n, rng)


@acquisition(version=1, source="Yuan et al., EMNLP 2020, arXiv 2010.09535 (FT-BERT-KM)")
def ft_kmeans(features: np.ndarray, n: int, rng: np.random.Generator) -> np.ndarray:
    """Nearest to the n centres of k-means in the standardised features of the present model.

    features: [m, d]; every column is centred and divided by its standard deviation (a constant one becomes 0).
    Otherwise as `bert_kmeans`.
    """
    points = check_rows("features", features, 2).astype(np.float32)
    check_picks(n, len(points))
    deviation = points.std(axis=0, dtype=np.float64)
    points = (points - points.mean(axis=0, dtype=np.float64)) / np.where(deviation > 0, deviation, 1.0)
    return nearest_to_centres(points.astype(np.float32), n, rng)


@acquisition(version=1, source="Yuan et al., EMNLP 2020, arXiv 2010.09535 (ALPS)")
def alps(surprisal: np.ndarray, n: int, rng: np.random.Generator) -> np.ndarray:
    """Nearest to the n centres of k-means over what surprises a masked language model in every text.

    surprisal: [m, L], loss per token at the sampled places, 0 elsewhere; rows are scaled to unit length here.
    Otherwise as `bert_kmeans`.
    """
    points = unit_float32(check_rows("surprisal", surprisal, 2))
    check_picks(n, len(points))
    return nearest_to_centres(points, n, rng)


@acquisition(version=1, source="Maekawa et al., 2022 (TYROGUE)")
def tyrogue(
    embeddings: np.ndarray, probabilities: np.ndarray, n: int, rng: np.random.Generator, *, factor: int = 3
) -> np.ndarray:
    """Highest entropy first among the examples nearest to factor * n k-means centres of the embedding.

    embeddings: [m, d], probabilities: [m, C]. Raises DatassayError for factor < 1 and as `bert_kmeans`, `entropy`.
    """
    p = check_probabilities(probabilities, n)
    points = check_rows("embeddings", embeddings, 2, len(p))
    if factor < 1:
        raise DatassayError(f"tyrogue: factor {factor}, allowed: 1 or more")
    diverse = nearest_to_centres(points, min(factor * n, len(points)), rng)
    return diverse[by_score(entropies(p[diverse]), rng)[:n]]
