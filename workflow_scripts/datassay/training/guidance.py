"""What a training is told of single rows beside their labels: weights, doubts about labels, which rows come first."""

from dataclasses import dataclass

import numpy as np

from datassay.errors import DatassayError


@dataclass(frozen=True)
class Guidance:
    """Arrays of n rows; None leaves a part out.

    weights: factors of the losses of the rows, float [n]; the mean over a step is over its rows, not its weights.
    doubts: w in [0, 1], float [n]: a row learns (1 - w) times its label and w times what the model says of it at the
    time, which is a constant there (soft bootstrapping: Reed et al., ICLR 2015 workshop; with one w per row Arazo et
    al., ICML 2019). preferred: bool [n]: every step takes, of `candidates` times as many rows, those preferred rows
    that have the highest loss, and others only where these do not suffice (as Mindermann et al., ICML 2022, choose by
    the reducible loss). Classification only.
    """

    weights: np.ndarray | None = None
    doubts: np.ndarray | None = None
    preferred: np.ndarray | None = None
    candidates: int = 1

    def __post_init__(self) -> None:
        given = {"weights": self.weights, "doubts": self.doubts, "preferred": self.preferred}
        arrays = {name: np.asarray(array) for name, array in given.items() if array is not None}
        if len({array.shape for array in arrays.values()}) > 1:
            raise DatassayError(f"guidance: shapes {', '.join(f'{k} {a.shape}' for k, a in arrays.items())} differ")
        for name, highest in (("weights", np.inf), ("doubts", 1.0)):
            array = arrays.get(name)
            if array is not None and not ((array >= 0) & (array <= highest) & np.isfinite(array)).all():
                raise DatassayError(
                    f"guidance: {name} from {array.min():g} to {array.max():g}, allowed: 0 to {highest:g}"
                )
        if self.candidates < 1 or (self.preferred is None and self.candidates > 1):
            raise DatassayError(f"guidance: candidates is {self.candidates}, allowed: 1, and more with preferred rows")

    def placed(self, rows: np.ndarray, total: int) -> "Guidance":
        """Return the same for `total` rows, of which `rows` are those of the arrays, in their order."""

        def spread(array: np.ndarray | None, rest: float) -> np.ndarray | None:
            if array is None:
                return None
            if len(array) != len(rows):
                raise DatassayError(f"guidance: arrays of {len(array)} rows for {len(rows)} train rows")
            placed = np.full(total, rest, dtype=np.asarray(array).dtype)
            placed[rows] = array
            return placed

        return Guidance(spread(self.weights, 1), spread(self.doubts, 0), spread(self.preferred, 0), self.candidates)
