"""Work on a large set shared by several jobs: each takes a portion of the units, one more puts the portions together.

Units are what does not depend on the number of jobs (rows of an encoder's shard, a million tokens, a query), so that
the result is the same, byte for byte, for any number of jobs.
"""

import os
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np


class Part(NamedTuple):
    """Which of how many jobs, from 0."""

    number: int = 0
    of: int = 1

    def slice(self, units: int) -> slice:
        """Return the units of this job: next to each other, as many as the others have or one more."""
        return slice(units * self.number // self.of, units * (self.number + 1) // self.of)


ALL = Part()


def gather_rows(files: Sequence[str | os.PathLike[str]], path: str | os.PathLike[str]) -> None:
    """Write the rows of several arrays [n_i, d], one below the other, to one .npy. Memory O(1): all are mapped."""
    from datassay.storage import created_array, load_array

    parts = [load_array(file, shape=(None, None), memory_map=True) for file in files]
    parts = [part for part in parts if len(part)]
    with created_array(path, (sum(map(len, parts)), parts[0].shape[1]), parts[0].dtype) as out:
        row = 0
        for part in parts:
            out[row : row + len(part)] = part
            row += len(part)


def gathered_members(files: Sequence[str | os.PathLike[str]], *names: str) -> dict[str, np.ndarray]:
    """Return named arrays of several .npz files, each one the rows of all files, one below the other."""
    from datassay.storage import load_member

    return {name: np.concatenate([load_member(file, name) for file in files]) for name in names}
