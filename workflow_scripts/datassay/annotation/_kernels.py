"""The loop that looks for repetitions, compiled once."""

import numpy as np

from datassay.compute import compiled


@compiled()
def repeats(codes: np.ndarray, times: int) -> bool:
    """Say whether some part of a text, of any length, stands `times` times in a row.

    codes: uint32 [L], the characters. A run of period p that is long enough holds a multiple of p from which it can be
    followed in both directions: L / p starts for every p, each of which ends at the first difference. O(L log L) for
    texts as they are written.
    """
    length = len(codes)
    for period in range(1, length // times + 1):
        needed = (times - 1) * period
        for start in range(0, length - period, period):
            ahead = 0
            while (
                ahead < needed
                and start + period + ahead < length
                and codes[start + ahead] == codes[start + period + ahead]
            ):
                ahead += 1
            back = 0
            while (
                ahead + back < needed
                and start - 1 - back >= 0
                and codes[start - 1 - back] == codes[start + period - 1 - back]
            ):
                back += 1
            if ahead + back >= needed:
                return True
    return False
