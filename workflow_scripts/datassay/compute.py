"""How the library computes: loops compiled once, sums that do not depend on the number of threads."""

from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Any

Function = Callable[..., Any]


def one_thread() -> AbstractContextManager[object]:
    """Sums of BLAS and OpenMP may be rounded differently with every number of threads: use one inside this context."""
    from threadpoolctl import threadpool_limits

    return threadpool_limits(1)


def compiled(signature: str | None = None, **options: Any) -> Callable[[Function], Function]:
    """Compile a loop with numba, which takes a second to load: use it in modules that are imported inside functions.

    The result is kept on disk, or in this process alone where no folder is writable.
    signature: compile at once for these types, else at the first call.
    """
    from numba import njit

    given: tuple[Any, ...] = () if signature is None else (signature,)
    jit: Any = njit

    def decorate(function: Function) -> Function:
        try:
            return jit(*given, cache=True, nogil=True, **options)(function)
        except (RuntimeError, OSError):
            return jit(*given, nogil=True, **options)(function)

    return decorate
