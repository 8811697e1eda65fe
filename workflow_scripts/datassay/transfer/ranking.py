"""Ranking: which of many sources a target is best fine-tuned from first."""

import logging
import time
from collections.abc import Iterable
from typing import TYPE_CHECKING

import numpy as np

from datassay.errors import DatassayError
from datassay.randomness import generator
from datassay.storage import PathLike, load_members
from datassay.transfer.logme import Moments, influences, logme, logme_of, moments
from datassay.transfer.maps import EmbeddingSpaceMap
from datassay.transfer.registry import load_esm

if TYPE_CHECKING:
    import pandas as pd

logger = logging.getLogger(__name__)

Esms = Iterable[tuple[str, EmbeddingSpaceMap | PathLike]]


def rank(
    embeddings: np.ndarray | None,
    targets: np.ndarray,
    esms: Esms,
    *,
    regression: bool = False,
    statistics: Moments | None = None,
    replicates: int = 1000,
    top: int = 100,
    seed: int = 0,
) -> "pd.DataFrame":
    """Return one row per ESM, best first: rank, name, score, standard_error, rank_low, rank_high.

    embeddings: the base model's [N, D] of the target's texts; None where only `statistics` (their moments with the
    targets) are known: linear maps are scored all the same, without intervals. esms: (name, map or its folder); one is
    read, scored and dropped at a time. score: LogME of the mapped embeddings. A faulty ESM is left out and named with
    its reason in attrs["faults"]; it stops nothing. attrs["seconds"]: of scoring, and of the intervals.

    For the best `top` maps the standard error of the score and the 95 % interval of the rank among them come from a
    bootstrap over rows (`replicates` draws) of the score's first order in the weights of the rows (`influences`): rows
    drawn twice do not pass for evidence, as they would in a plain bootstrap where N is not far above D.

    Source: Schulte et al., arXiv 2410.15148. Time O(N D^2) once and O(D^3) per linear map whatever N is; O(N D^2 + D^3)
    more for each of the best. Memory O(D^2 + N top) beside the embeddings.
    """
    import pandas as pd

    import datassay.transfer._kernels  # noqa: F401 (compiled before the clock starts)

    if statistics is None:
        if embeddings is None:
            raise DatassayError("a ranking needs the target's embeddings, or their statistics")
        statistics = moments(embeddings, targets, regression=regression)
    started = time.monotonic()
    scores: dict[str, float] = {}
    faults: dict[str, str] = {}
    best: list[tuple[float, str, EmbeddingSpaceMap | PathLike]] = []
    wanted = top if embeddings is not None and replicates else 0
    for name, esm in esms:
        try:
            scores[name] = score_esm(_loaded(esm), statistics, embeddings, targets, regression)
        except DatassayError as error:
            logger.warning("%s is left out: %s", name, error)
            faults[name] = str(error)
            continue
        best = sorted([*best, (-scores[name], name, esm)], key=lambda found: found[:2])[:wanted]
    order = sorted(scores, key=lambda name: (-scores[name], name))
    table = pd.DataFrame({"name": order, "score": [scores[name] for name in order]})
    table.insert(0, "rank", np.arange(1, len(table) + 1))
    table[["standard_error", "rank_low", "rank_high"]] = np.nan
    seconds = {"scoring": time.monotonic() - started}
    if embeddings is not None and best:
        maps = (_loaded(esm) for _, _, esm in best)
        adds = np.stack([influences(esm.transform(embeddings), targets, regression=regression) for esm in maps])
        columns = ["standard_error", "rank_low", "rank_high"]
        table.loc[: len(best) - 1, columns] = intervals(table["score"].to_numpy()[: len(best)], adds, replicates, seed)
    seconds["intervals"] = time.monotonic() - started - seconds["scoring"]
    table.attrs |= {"faults": faults, "seconds": seconds}
    return table


def score_esm(
    esm: EmbeddingSpaceMap,
    statistics: Moments,
    embeddings: np.ndarray | None,
    targets: np.ndarray,
    regression: bool = False,
) -> float:
    """Return the LogME score of the mapped embeddings: from the statistics alone where the map is linear."""
    if esm.width != len(statistics.gram):
        raise DatassayError(f"takes embeddings of {esm.width} numbers, those of the target have {len(statistics.gram)}")
    if esm.architecture == "linear":
        return logme_of(statistics.mapped(*esm.layers[0]))
    if embeddings is None:
        raise DatassayError("a map that is not linear needs the embeddings themselves")
    return logme(esm.transform(embeddings), targets, regression=regression)


def _loaded(esm: EmbeddingSpaceMap | PathLike) -> EmbeddingSpaceMap:
    return esm if isinstance(esm, EmbeddingSpaceMap) else load_esm(esm)[1]


def intervals(scores: np.ndarray, adds: np.ndarray, replicates: int, seed: int) -> np.ndarray:
    """Return standard error and 2.5 and 97.5 % rank of scores [J], float64 [J, 3], over draws of rows.

    adds: influence of every row on every score [J, N], mean 0.
    """
    n = adds.shape[1]
    rng = generator(seed, "bootstrap of a ranking")
    drawn = np.stack([np.bincount(rng.integers(0, n, n), minlength=n) for _ in range(replicates)])
    moved = scores + drawn @ adds.T / n
    ranks = (-moved).argsort(axis=1, kind="stable").argsort(axis=1) + 1
    low, high = np.quantile(ranks, [0.025, 0.975], axis=0, method="nearest")
    return np.column_stack([moved.std(axis=0), low, high])


def load_statistics(path: PathLike) -> tuple[Moments, np.ndarray]:
    """Return the moments of a target and the hashes of its texts from the file that holds both."""
    arrays = load_members(path)
    hashes = arrays.pop("text_hashes")
    return Moments(int(arrays.pop("rows")), **arrays), hashes
