"""Label noise that is known, so that its detection can be scored."""

import numpy as np

from datassay.config import Noise
from datassay.randomness import generator


def noisy_labels(labels: np.ndarray, n_classes: int, settings: Noise) -> np.ndarray:
    """Change the labels of exactly round(rate n) of n rows, chosen uniformly.

    labels: int64 [n] in 0 .. n_classes - 1, the train rows only. symmetric: any other class with equal chance;
    class_pair: the next class, the last one's is the first (the pair flip of Patrini et al. 2017 and Han et al. 2018).
    Returns the labels after noise, int64 [n].
    """
    rng = generator(settings.seed, "noise", settings.kind)
    rows = rng.choice(len(labels), round(settings.rate * len(labels)), replace=False)
    shift = rng.integers(1, n_classes, len(rows)) if settings.kind == "symmetric" else 1
    changed = labels.copy()
    changed[rows] = (labels[rows] + shift) % n_classes
    return changed
