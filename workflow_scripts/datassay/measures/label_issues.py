"""Label quality: which labels a model that has not seen the example would doubt, and what it would say instead."""

import hashlib
from typing import TYPE_CHECKING, Literal

import numpy as np

from datassay.compute import one_thread
from datassay.errors import DatassayError, NotApplicable
from datassay.measures._arrays import best_rival, check_finite, check_labels, check_matrix, family_table, of_label
from datassay.registry import Column, measure

if TYPE_CHECKING:
    import pandas as pd


@measure(
    name="label_quality",
    version=1,
    source="Northcutt et al., JAIR 2021 (confident learning); Kuan & Mueller, ICML DataPerf 2022 (scores)",
    columns=[
        Column("self_confidence", "out-of-sample probability of the label", mislabelled="low"),
        Column("normalised_margin", "that less its best rival, scaled to 0 .. 1", mislabelled="low"),
        Column("likely_mislabelled", "off the diagonal of the confident joint", mislabelled="high"),
        Column("suggested_label", "class to give a likely mislabelled example, else the given label"),
    ],
    optional=["embeddings"],
    tasks=["classification"],
)
def label_quality(
    labels: np.ndarray,
    features: np.ndarray,
    embeddings: np.ndarray | None = None,
    *,
    space: Literal["features", "embeddings"] = "features",
    folds: int = 5,
    seed: int = 0,
    strength: float = 0.01,
) -> "pd.DataFrame":
    """Doubts about every label by confident learning, from a logistic regression that never saw the example.

    labels: [n] integers. features, embeddings: [n, d] floating point.
    space: what the regression sees. The penultimate features know the task, but a network that was trained until it
    fitted wrong labels has written them into its features, and then nothing looks wrong: take the encoder's
    embeddings, which never saw a label, where accuracy on the train split comes near 1.
    folds, seed: of the stratified cross-validation. strength: inverse weight of the L2 penalty.

    Returns self_confidence and normalised_margin in [0, 1], likely_mislabelled (boolean) and suggested_label (int64).
    Time O(folds * iterations * n d C), memory O(n (d + C)).

    Raises NotApplicable with one class or with a class that has fewer than 2 distinct examples (it could not be both
    fitted and held out), DatassayError on inputs that do not fit.
    """
    if space not in ("features", "embeddings"):
        raise DatassayError(f"space: '{space}', allowed: features, embeddings")
    points = features if space == "features" else embeddings
    if points is None:
        raise DatassayError("space: 'embeddings' were not computed, allowed: features")
    probabilities = out_of_sample_probabilities(labels, points, folds=folds, seed=seed, strength=strength)
    labels = check_labels(labels, rows=len(probabilities))
    flagged, suggested = confident_learning(labels, probabilities)
    by_class = probabilities.T[:, None]
    confidence = of_label(by_class, labels)[0]
    rival = best_rival(by_class, labels)[0]
    return family_table(
        {
            "self_confidence": confidence,
            "normalised_margin": (confidence - rival + 1.0) / 2.0,
            "likely_mislabelled": flagged,
            "suggested_label": suggested,
        }
    )


def out_of_sample_probabilities(
    labels: np.ndarray, features: np.ndarray, *, folds: int = 5, seed: int = 0, strength: float = 0.01
) -> np.ndarray:
    """Return class probabilities float64 [n, max(labels) + 1] of models that were fitted without the example's fold.

    Multinomial logistic regression on standardised features. Folds are drawn from the content of the rows, not from
    their order, and equal rows share a fold: the result moves with the rows when they are permuted, and no row is
    predicted from its own copy. A class whose examples all lie in one fold has probability 0 there.
    """
    features = check_matrix(features, "features")
    labels = check_labels(labels, rows=len(features))
    if folds < 2:
        raise DatassayError(f"folds: {folds}, allowed are 2 or more")
    if not strength > 0:
        raise DatassayError(f"strength: {strength}, allowed are numbers above 0")
    group = _content_groups(features, seed)
    fold = _folds(labels, group, folds)
    order = np.lexsort((labels, group))
    probabilities = np.zeros((len(labels), int(labels.max()) + 1))
    with one_thread():
        for held_out in np.unique(fold):
            test, train = order[fold[order] == held_out], order[fold[order] != held_out]
            classes, found = _predict(features[train], labels[train], features[test], strength)
            probabilities[np.ix_(test, classes)] = found
    return probabilities


def _predict(
    train_x: np.ndarray, train_y: np.ndarray, test_x: np.ndarray, strength: float
) -> tuple[np.ndarray, np.ndarray]:
    """Return the classes fitted and their probabilities for the test rows."""
    import warnings

    from sklearn.exceptions import ConvergenceWarning
    from sklearn.linear_model import LogisticRegression

    classes = np.unique(train_y)
    if len(classes) == 1:
        return classes, np.ones((len(test_x), 1))
    mean, scale = train_x.mean(axis=0, dtype=np.float64), train_x.std(axis=0, dtype=np.float64)
    scale[scale <= 1e-6 * np.abs(mean)] = np.inf  # a constant column says nothing
    model = LogisticRegression(C=strength, max_iter=200, tol=1e-3)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # the order of examples has settled long before
        model.fit((train_x - mean) / scale, train_y)
    return classes, model.predict_proba((test_x - mean) / scale)


def confident_learning(labels: np.ndarray, probabilities: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return which labels are likely wrong (boolean [n]) and the label suggested for each (int64 [n]).

    A class is confident for an example if its probability reaches the mean self-confidence of that class. An example
    is flagged if its most probable confident class is not the given label (it lies off the diagonal of the confident
    joint) and the label is not the prediction either; that class is then suggested, the given label otherwise.

    labels: [n] integers. probabilities: [n, C] out of sample.
    """
    probabilities = np.asarray(probabilities, dtype=np.float64)
    check_finite(probabilities, "probabilities")
    labels = check_labels(labels, rows=len(probabilities), classes=probabilities.shape[1])
    own = np.take_along_axis(probabilities, labels[:, None], axis=1)[:, 0]
    counts = np.bincount(labels, minlength=probabilities.shape[1])
    sums = np.bincount(labels, weights=own, minlength=probabilities.shape[1])
    thresholds = np.where(sums > 0, sums / np.maximum(counts, 1), np.inf)  # no support, never confident
    confident = np.where(probabilities >= thresholds, probabilities, -1.0)
    best = confident.argmax(axis=1)
    flagged = (confident.max(axis=1) >= 0) & (best != labels) & (probabilities.argmax(axis=1) != labels)
    return flagged, np.where(flagged, best, labels)


def _content_groups(features: np.ndarray, seed: int) -> np.ndarray:
    """Number rows by a keyed hash of their content: equal rows get equal numbers, the order of numbers is random."""
    key = str(seed).encode()
    digests = [hashlib.blake2b(row.tobytes(), digest_size=8, key=key).digest() for row in features]
    return np.unique(np.frombuffer(b"".join(digests), dtype=np.uint64), return_inverse=True)[1]


def _folds(labels: np.ndarray, group: np.ndarray, folds: int) -> np.ndarray:
    """Deal the groups of each class out to the folds in turn; returns the fold of every row."""
    first = np.full(int(group.max()) + 1, np.iinfo(np.int64).max)
    np.minimum.at(first, group, labels)
    distinct = np.bincount(first)
    present = np.unique(labels)
    if len(present) < 2:
        raise NotApplicable("needs examples of at least 2 classes")
    for label in present:
        if label >= len(distinct) or distinct[label] < 2:
            raise NotApplicable(f"class {label} has fewer than 2 distinct examples, one to fit and one to hold out")
    fold = np.empty(len(first), dtype=np.int64)
    fold[np.argsort(first, kind="stable")] = np.arange(len(first)) % folds
    return fold[group]
