"""Measures of pretrained models, which know neither the task nor the labels."""

from typing import TYPE_CHECKING

import numpy as np

from datassay.errors import DatassayError
from datassay.measures._arrays import check_finite, check_matrix, family_table
from datassay.measures._density import check_k, kth_distance
from datassay.registry import TASKS, Column, measure

if TYPE_CHECKING:
    import pandas as pd


@measure(
    name="pretrained",
    version=1,
    source="Reimers & Gurevych, EMNLP 2019; Salazar et al., ACL 2020 (pseudo-log-likelihood)",
    columns=[
        Column("semantic_density", "minus the distance to the 5th nearest neighbour in the encoder's embeddings"),
        Column("pseudo_log_likelihood", "mean log-likelihood of a content token (text) or feature (image), in nats"),
    ],
    optional=["log_likelihood", "embedding_distances"],
    tasks=TASKS,
)
def pretrained_measures(
    embeddings: np.ndarray,
    log_likelihood: np.ndarray | None = None,
    embedding_distances: np.ndarray | None = None,
    *,
    k: int = 5,
) -> "pd.DataFrame":
    """How typical an example is in the eyes of a pretrained encoder and language model.

    embeddings: [n, d] floating point, unit rows as the encoder stage writes them; distances are Euclidean.
    log_likelihood: [n] floating point, handed through as pseudo_log_likelihood; absent without it.
    embedding_distances: [n, m] to the nearest other rows in embeddings, nearest first; searched for here where they
    are not given, or are fewer than k.
    k: which neighbour gives the density (the farthest there is where there are fewer).

    semantic_density is absent with one example. Time O(n^2 d), memory O(block).
    Raises DatassayError on shapes or values that do not fit.
    """
    embeddings = check_matrix(embeddings, "embeddings")
    check_k(k)
    columns: dict[str, np.ndarray] = {}
    absent: dict[str, str] = {}
    if len(embeddings) > 1:
        columns["semantic_density"] = 0.0 - kth_distance(embeddings, k, embedding_distances)
    else:
        absent["semantic_density"] = "needs at least 2 examples"
    if log_likelihood is None:
        absent["pseudo_log_likelihood"] = "no language model configured (meta_information.language_model)"
    else:
        log_likelihood = np.asarray(log_likelihood)
        if log_likelihood.shape != (len(embeddings),) or log_likelihood.dtype.kind != "f":
            raise DatassayError(
                f"log_likelihood: {log_likelihood.dtype} of shape {log_likelihood.shape}, "
                f"expected floating point ({len(embeddings)},)"
            )
        check_finite(log_likelihood, "log_likelihood")
        columns["pseudo_log_likelihood"] = log_likelihood.astype(np.float64)
    return family_table(columns, absent)
