"""Random streams that depend only on what they are for, never on the order in which jobs run."""

import hashlib

import numpy as np


def generator(*key: object) -> np.random.Generator:
    """Return the counter-based (Philox) generator of a key such as `generator(seed, "shuffle", epoch)`.

    Equal keys give equal streams on every machine; different keys give independent ones.
    """
    digest = hashlib.sha256(repr(key).encode()).digest()
    return np.random.Generator(np.random.Philox(key=int.from_bytes(digest[:16], "little")))
