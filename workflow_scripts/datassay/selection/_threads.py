"""Products that do not depend on the number of threads."""

from contextlib import AbstractContextManager

from threadpoolctl import threadpool_limits


def one_thread() -> AbstractContextManager[object]:
    """Sums of BLAS and OpenMP may be rounded differently with every number of threads: use one inside this context."""
    return threadpool_limits(1)
