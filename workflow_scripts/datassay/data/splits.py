"""Which rows train, validate, value and test: named by the source or carved out of its train rows, exactly."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from datassay.config import SplitSettings
from datassay.data.checks import is_missing, shown
from datassay.data.source import POOL, SPLITS, Source
from datassay.errors import DatassayError, did_you_mean
from datassay.randomness import generator


def split_matcher(names: Mapping[Any, Sequence[str]]) -> Callable[[str], str | None]:
    """Return the function that finds the split a name stands for, whatever its case, or None.

    names: split -> the names it goes by. A split's own name (and "pool") always stands for it, unless it is given to
    another. Raises DatassayError for a name given to two splits.
    """
    owners: dict[str, str] = {}
    for split, aliases in names.items():
        for alias in aliases:
            key = alias.strip().casefold()
            if owners.setdefault(key, split) != split:
                raise DatassayError(f"split.names: '{alias}' is listed for {owners[key]} and for {split}, choose one")
    for split in SPLITS:
        owners.setdefault(split, split)
    return lambda name: owners.get(str(name).strip().casefold())


def named_splits(
    source: Source, split_of: Callable[[str], str | None], names: Mapping[Any, Sequence[str]]
) -> list[str]:
    """Return the split of every row, "train" where the source names none. Raises DatassayError for unknown names."""
    if "split" not in source.table:
        return ["train"] * len(source.table)
    values = source.table["split"]
    known = {value: split_of(value) for value in set(values) if not is_missing(value)}
    for row, value in enumerate(values):
        if known.get(value) is None:
            allowed = dict.fromkeys([*(alias for aliases in names.values() for alias in aliases), POOL])
            found = "no split" if is_missing(value) else f"split {shown(value)}"
            hint = f"{did_you_mean(str(value), allowed)} (see split.names)"
            raise DatassayError(f"{source.place(row, 'split')}: {found}{hint}")
    return [str(known[value]) for value in values]


def carve(splits: np.ndarray, labels: np.ndarray, settings: SplitSettings) -> np.ndarray:
    """Move train rows into every split that is asked for (share above 0) and has no row yet, the pool included.

    splits: [N] names; labels: [N] class numbers. A share is that of the train rows brought by the source; the number of
    rows is exact (rounded, at least 1), divided over the classes by largest remainder, and every class keeps one
    train row at least. Depends on `settings.seed` only. Returns the new splits, object [N].
    Raises DatassayError where there are no train rows or too few of them.
    """
    train = np.flatnonzero(splits == "train")
    if not len(train):
        raise DatassayError("split: no train rows; name them in split.names or give a train file")
    shares = {name: getattr(settings, name) for name in ("test", "validation", "valuation", POOL)}
    missing = {name: share for name, share in shares.items() if share > 0 and not (splits == name).any()}
    wanted = {name: max(1, round(share * len(train))) for name, share in missing.items()}
    sizes = np.unique_counts(labels[train])
    spare = sizes.counts - 1
    if sum(wanted.values()) > spare.sum():
        raise DatassayError(
            f"split: {len(train)} train rows of {len(spare)} classes are too few to take {sum(wanted.values())} for "
            f"{', '.join(wanted)} and leave each class one; bring these splits, or set their share to 0"
        )
    rng = generator(settings.seed, "split")
    queues = [list(rng.permutation(train[labels[train] == label])) for label in sizes.values]
    result = splits.astype(object)
    for name, total in wanted.items():
        taken = apportion(sizes.counts, total, rng, upper=spare)
        spare = spare - taken
        for queue, count in zip(queues, taken, strict=True):
            result[[queue.pop() for _ in range(count)]] = name
    return result


def subsample(splits: np.ndarray, labels: np.ndarray, size: int | None, seed: int) -> np.ndarray:
    """Return the sorted rows of a stratified sample: every pair of split and class keeps its share of the rows.

    size: exact number of rows, None or N and more for all. Every class keeps one train row at least.
    """
    if size is None or size >= len(labels):
        return np.arange(len(labels))
    pairs = np.array([f"{split} {label}" for split, label in zip(splits, labels, strict=True)])
    strata = np.unique_inverse(pairs)
    counts = np.bincount(strata.inverse_indices)
    least = np.array([int(str(pair).startswith("train ")) for pair in strata.values])
    if least.sum() > size:
        raise DatassayError(f"subsample: {size} rows cannot hold one train row of each of {least.sum()} classes")
    rng = generator(seed, "subsample")
    kept = apportion(counts, size, rng, upper=counts, lower=least)
    rows = [
        rng.permutation(np.flatnonzero(strata.inverse_indices == stratum))[:count] for stratum, count in enumerate(kept)
    ]
    return np.sort(np.concatenate(rows))


def apportion(
    sizes: np.ndarray, total: int, rng: np.random.Generator, *, upper: np.ndarray, lower: np.ndarray | int = 0
) -> np.ndarray:
    """Divide a whole number in proportion to sizes by largest remainder (Hamilton), within bounds; ties by chance.

    sizes, upper, lower: int [S], with sum(lower) <= total <= sum(upper). Returns int64 [S] with sum `total`; where no
    bound is met, each is within 1 of its exact share.
    """
    sizes = sizes.astype(np.int64)
    shares = np.clip(total * sizes // sizes.sum(), lower, upper)
    chance = rng.permutation(len(sizes))
    while (short := total - int(shares.sum())) != 0:
        owed = total * sizes - shares * sizes.sum()
        step = 1 if short > 0 else -1
        free = np.flatnonzero(shares < upper if short > 0 else shares > lower)
        order = free[np.lexsort((chance[free], -step * owed[free]))]
        shares[order[: abs(short)]] += step
    return shares
