"""What surrounds every job: log, threads, signals, and one clear line when something is wrong.

The only module that knows snakemake. A script reads `with step(snakemake) as job:` and imports the library inside.
"""

import logging
import os
import signal
import sys
import time
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from datassay.errors import DatassayError

THREAD_VARIABLES = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMBA_NUM_THREADS")


def _configure_logging(log_file: str | None, name: str) -> logging.Logger:
    logger = logging.getLogger("datassay")
    logger.setLevel(logging.INFO)
    logger.propagate = False
    screen = logging.StreamHandler(sys.stderr)
    screen.setFormatter(logging.Formatter(f"[{name}] %(message)s" if name else "%(message)s"))
    handlers: list[logging.Handler] = [screen]
    if log_file:
        Path(log_file).parent.mkdir(parents=True, exist_ok=True)
        handlers.append(logging.FileHandler(log_file, mode="w", encoding="utf-8"))
        handlers[-1].setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(message)s", "%Y-%m-%d %H:%M:%S"))
    logger.handlers[:] = handlers
    return logger


@contextmanager
def step(snakemake: Any) -> Iterator[Any]:
    """Run a job's body: yields the snakemake object; messages of the library go to the screen and to the log file.

    Exit code 1 with one line for a fault of the input, 75 after a signal (progress is saved), traceback otherwise.
    """
    for variable in THREAD_VARIABLES:
        os.environ[variable] = str(snakemake.threads)
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
    os.environ.setdefault("HF_HUB_DISABLE_PROGRESS_BARS", "1")
    os.environ.setdefault("MPLBACKEND", "agg")
    name = " ".join([snakemake.rule, *map(str, snakemake.wildcards)])
    started = time.monotonic()
    with process(snakemake.log[0] if snakemake.log else None, name) as logger:
        from datassay.registry import load_extensions

        load_extensions(snakemake.config.get("extensions") or [])
        yield snakemake
        logger.info("done in %.1f s", time.monotonic() - started)


@contextmanager
def process(log_file: str | None = None, name: str = "") -> Iterator[logging.Logger]:
    """Surround the work of a process with its log, its signals and its exit codes, which are those of `step`.

    name: what stands before each message on the screen.
    """
    from datassay.checkpoints import INTERRUPTED, Interrupted, request_stop

    logger = _configure_logging(log_file, name)
    for number in (signal.SIGTERM, signal.SIGUSR1):
        signal.signal(number, request_stop)
    try:
        yield logger
    except (Interrupted, KeyboardInterrupt) as stop:
        logger.warning("%s", str(stop) or "stopped by the keyboard, run again to go on")
        sys.exit(INTERRUPTED)
    except DatassayError as error:
        for line in str(error).splitlines():
            logger.error("error: %s", line)
        sys.exit(1)
    except Exception:
        logger.error("%s", traceback.format_exc())
        sys.exit(1)
