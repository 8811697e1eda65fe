"""Other ways to say how well a source suits a target: from its fine-tuned model, its texts, or its size.

A higher score is a better source. Every function takes arrays; `score_source` calls them for one source.
"""

import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from datassay.storage import load_members
from datassay.training.scores import scores
from datassay.transfer.logme import logme
from datassay.transfer.maps import PENALTIES, LeaveOneOut
from datassay.transfer.texts import jaccard

OF_MODELS = ("logme", "leep", "nce", "h_score", "frozen")  # read the target's texts with every source's model
NEED_BOTH = ("leep", "nce")
NEED_TARGET_CLASSES = ("h_score", *NEED_BOTH)


def leep(source_probabilities: np.ndarray, labels: np.ndarray) -> float:
    """Return the mean log-likelihood of labels [N] under E[p(label | source class)], in nats.

    source_probabilities: [N, S] that the source's model gives its own classes. Source: Nguyen et al., ICML 2020.
    """
    _, codes = np.unique(labels, return_inverse=True)
    joint = np.stack([source_probabilities[codes == c].sum(axis=0) for c in range(codes.max() + 1)]) / len(codes)
    given_source = joint / np.maximum(joint.sum(axis=0), 1e-300)
    expected = (source_probabilities * given_source[codes]).sum(axis=1)
    return float(np.log(np.maximum(expected, 1e-300)).mean())


def nce(source_labels: np.ndarray, labels: np.ndarray) -> float:
    """Return the negative conditional entropy -H(label | source label), in nats; both int [N].

    Source: Tran et al., ICCV 2019.
    """
    _, codes = np.unique(labels, return_inverse=True)
    _, given = np.unique(source_labels, return_inverse=True)
    joint = np.zeros((given.max() + 1, codes.max() + 1))
    np.add.at(joint, (given, codes), 1 / len(codes))
    shares = joint / joint.sum(axis=1, keepdims=True)
    return float((joint * np.log(np.where(shares > 0, shares, 1))).sum())


def h_score(features: np.ndarray, labels: np.ndarray) -> float:
    """Return tr(cov(features)^+ cov(mean features of the class)): features [N, D], labels [N].

    Source: Bao et al., ICIP 2019. Time O(N D^2 + D^3).
    """
    centred = features.astype(np.float64) - features.mean(axis=0, dtype=np.float64)
    _, codes, counts = np.unique(labels, return_inverse=True, return_counts=True)
    means = np.stack([centred[codes == c].mean(axis=0) for c in range(len(counts))])
    between = (means * counts[:, None]).T @ means / len(codes)
    return float(np.trace(np.linalg.pinv(centred.T @ centred / len(codes), hermitian=True) @ between))


def frozen_transfer(features: np.ndarray, targets: np.ndarray, *, regression: bool = False) -> float:
    """Return how well a linear head on frozen features predicts rows that it has not seen.

    A ridge head on one column per class (regression: on the numbers), its predictions for every row without the row in
    closed form, at the penalty with the least squared error: accuracy, or the mean of Pearson and Spearman.
    features [N, D], targets [N]. Source: reference. Time O(N D^2 + D^3).
    """
    if regression:
        y = targets.astype(np.float64)[:, None]
    else:
        _, codes = np.unique(targets, return_inverse=True)
        y = np.eye(codes.max() + 1)[codes]
    ridge = LeaveOneOut(features.astype(np.float64), y, len(y))
    errors = min((ridge.errors(penalty) for penalty in PENALTIES), key=lambda e: float((e**2).sum()))
    predicted = y - errors
    return performance(scores(predicted, targets if regression else codes, task_name(regression)), regression)


def task_name(regression: bool) -> str:
    """Return the name of a task."""
    return "regression" if regression else "classification"


def performance(found: Mapping[Any, Any], regression: bool) -> float:
    """Return the number that transfers are judged by: accuracy, or the mean of Pearson's and Spearman's correlation."""
    return (found["pearson"] + found["spearman"]) / 2 if regression else found["accuracy"]


def cosine(a: np.ndarray, b: np.ndarray) -> float:
    """Return the cosine of two vectors."""
    return float(a @ b / max(np.linalg.norm(a) * np.linalg.norm(b), 1e-300))


def layerwise_cosine(a: Mapping[str, np.ndarray], b: Mapping[str, np.ndarray]) -> float:
    """Return the mean cosine over the arrays of two task embeddings; what matters to neither does not count."""
    both = [name for name in a if a[name].any() or b[name].any()]
    return float(np.mean([cosine(*(side[name].ravel().astype(np.float64) for side in (a, b))) for name in both]))


def softmax(logits: np.ndarray) -> np.ndarray:
    """Return probabilities [N, C] of logits, float64."""
    powers = np.exp(logits.astype(np.float64) - logits.max(axis=1, keepdims=True))
    return powers / powers.sum(axis=1, keepdims=True)


def score_source(
    methods: Sequence[str],
    target: Mapping[str, Any],
    source: Mapping[str, Any],
    read: Callable[[], tuple[np.ndarray, np.ndarray]],
) -> list[dict[str, Any]]:
    """Return one record per method: score, bytes that it keeps of the source, seconds, reason where it has no score.

    target: labels [N], regression, mean_embedding [d], vocabulary, task (embedding). source: regression,
    mean_embedding, vocabulary, rows, model_bytes, task (file of its embedding). read: returns features [N, D] and
    logits [N, S] of the target's texts from the source's model; it is called once where a method of `OF_MODELS` needs
    it, and its time counts for each of them.
    """
    reading, features, logits = 0.0, np.empty((0, 0)), np.empty((0, 0))
    if set(OF_MODELS) & set(methods):
        started = time.monotonic()
        features, logits = read()
        reading = time.monotonic() - started
    labels, regression = target["labels"], target["regression"]
    functions: dict[str, Callable[[], float]] = {
        "logme": lambda: logme(features, labels, regression=regression),
        "frozen": lambda: frozen_transfer(features, labels, regression=regression),
        "h_score": lambda: h_score(features, labels),
        "leep": lambda: leep(softmax(logits), labels),
        "nce": lambda: nce(logits.argmax(axis=1), labels),
        "text_embedding": lambda: cosine(source["mean_embedding"], target["mean_embedding"]),
        "task_embedding": lambda: layerwise_cosine(load_members(source["task"]), target["task"]),
        "vocabulary": lambda: jaccard(source["vocabulary"], target["vocabulary"]),
        "size": lambda: float(source["rows"]),
    }
    kept = {"text_embedding": source["mean_embedding"].nbytes, "vocabulary": source["vocabulary"].nbytes, "size": 8}
    if "task_embedding" in methods:
        kept["task_embedding"] = Path(source["task"]).stat().st_size
    records = []
    for method in methods:
        record = {"method": method, "score": float("nan"), "bytes": kept.get(method, source["model_bytes"])}
        unsuited = (regression and method in NEED_TARGET_CLASSES) or (source["regression"] and method in NEED_BOTH)
        started = time.monotonic()
        if not unsuited:
            record["score"] = functions[method]()
        seconds = time.monotonic() - started + (reading if method in OF_MODELS else 0.0)
        reason = "needs classes, which a regression has not" if unsuited else None
        records.append(record | {"seconds": seconds, "reason": reason})
    return records
