"""What is measured: every function imports its packages, then returns their names and a function of the arrays.

Each answers with one array, by which the answers are compared. Imports are inside: no environment has all packages.
"""

import os
from collections.abc import Callable

import numpy as np

Side = tuple[list[str], Callable[..., np.ndarray]]
THREADS = int(os.environ.get("OMP_NUM_THREADS", "1"))


def knn_shapley_datassay() -> Side:
    from datassay.valuation import knn_shapley

    def run(a: dict[str, np.ndarray], k: int) -> np.ndarray:
        return knn_shapley(a["train_x"], a["train_y"], a["valid_x"], a["valid_y"], k)

    return ["numpy", "numba"], run


def knn_shapley_pydvl() -> Side:
    from joblib import parallel_config
    from pydvl.valuation import Dataset, KNNShapleyValuation
    from sklearn.neighbors import KNeighborsClassifier

    def run(a: dict[str, np.ndarray], k: int) -> np.ndarray:
        method = KNNShapleyValuation(KNeighborsClassifier(k), Dataset(a["valid_x"], a["valid_y"]), progress=False)
        with parallel_config(n_jobs=THREADS):
            method.fit(Dataset(a["train_x"], a["train_y"]))
        return method.result.values

    return ["pyDVL", "scikit-learn", "numpy"], run


def dpp_datassay() -> Side:
    from datassay.selection import dpp_ranking

    return ["numpy", "numba"], lambda a, n_select: dpp_ranking(a["features"], a["quality"], n_select)


def dpp_dense() -> Side:
    def run(a: dict[str, np.ndarray], n_select: int) -> np.ndarray:
        """Greedy MAP (Chen et al. 2018) on a kernel that is built in full, in float64."""
        unit = a["features"].astype(np.float64)
        unit /= np.linalg.norm(unit, axis=1, keepdims=True)
        kernel = np.exp(unit @ unit.T - 1) * a["quality"][:, None] * a["quality"]
        kernel[np.diag_indices_from(kernel)] += 5e-4
        gains = kernel.diagonal().copy()
        factor = np.zeros((n_select, len(unit)))
        picks = np.empty(n_select, dtype=np.int64)
        for i in range(n_select):
            picks[i] = j = int(np.argmax(gains))
            factor[i] = (kernel[j] - factor[:i, j] @ factor[:i]) / np.sqrt(gains[j])
            gains -= factor[i] ** 2
            gains[j] = -np.inf
        return picks

    return ["numpy"], run


def k_center_datassay() -> Side:
    from datassay.selection import k_center

    return ["numpy", "numba"], lambda a, n_select: k_center(a["features"], n_select, start=0)


def k_center_loop() -> Side:
    def run(a: dict[str, np.ndarray], n_select: int) -> np.ndarray:
        points, picks = a["features"], [0]
        nearest = np.full(len(points), np.inf)
        while len(picks) < n_select:
            nearest = np.minimum(nearest, np.linalg.norm(points - points[picks[-1]], axis=1))
            picks.append(int(np.argmax(nearest)))
        return np.array(picks)

    return ["numpy"], run


def neighbors_datassay() -> Side:
    from datassay.neighbors import exact_neighbors

    return ["numpy"], lambda a, k: exact_neighbors(a["queries"], a["base"], k)[0]


def neighbors_sklearn() -> Side:
    from sklearn.neighbors import NearestNeighbors

    def run(a: dict[str, np.ndarray], k: int) -> np.ndarray:
        search = NearestNeighbors(n_neighbors=k, algorithm="brute", metric="cosine", n_jobs=THREADS).fit(a["base"])
        return search.kneighbors(a["queries"], return_distance=False)

    return ["scikit-learn", "numpy"], run


def neighbors_faiss() -> Side:
    import faiss

    def run(a: dict[str, np.ndarray], k: int) -> np.ndarray:
        index = faiss.IndexFlatIP(a["base"].shape[1])
        index.add(a["base"])
        return index.search(a["queries"], k)[1]

    return ["faiss-cpu", "numpy"], run


def hnsw_datassay() -> Side:
    from datassay.neighbors import HnswIndex

    def run(a: dict[str, np.ndarray], k: int, m: int, ef_construction: int, ef: int) -> np.ndarray:
        index = HnswIndex.build(a["base"], m=m, ef_construction=ef_construction, ef=ef)
        return index.query(a["base"][:1000], k)[0]

    return ["hnswlib", "numpy"], run


def hnsw_hnswlib() -> Side:
    import hnswlib

    def run(a: dict[str, np.ndarray], k: int, m: int, ef_construction: int, ef: int) -> np.ndarray:
        index = hnswlib.Index(space="cosine", dim=a["base"].shape[1])
        index.init_index(max_elements=len(a["base"]), M=m, ef_construction=ef_construction, random_seed=0)
        index.add_items(a["base"], num_threads=1)
        index.set_ef(ef)
        return index.knn_query(a["base"][:1000], k=k, num_threads=1)[0].astype(np.int64)

    return ["hnswlib", "numpy"], run


def training_dynamics_datassay() -> Side:
    from datassay.measures import training_dynamics

    def run(a: dict[str, np.ndarray]) -> np.ndarray:
        table = training_dynamics(a["logits"], a["labels"])
        return table[["avg_conf", "variability", "forgetting", "aum"]].to_numpy(dtype=np.float64)

    return ["numpy", "pandas"], run


def training_dynamics_loop() -> Side:
    def one(logits: np.ndarray, label: int) -> list[float]:
        exponentials = np.exp(logits - logits.max(axis=1, keepdims=True))
        confidence = (exponentials / exponentials.sum(axis=1, keepdims=True))[:, label]
        right = logits.argmax(axis=1) == label
        forgotten = int((right[:-1] & ~right[1:]).sum()) if right.any() else len(right)
        margin = logits[:, label] - np.delete(logits, label, axis=1).max(axis=1)
        return [confidence.mean(), confidence.std(), forgotten, margin.mean()]

    def run(a: dict[str, np.ndarray]) -> np.ndarray:
        return np.array([one(a["logits"][:, i].astype(np.float64), y) for i, y in enumerate(a["labels"])])

    return ["numpy"], run
