"""Progress that outlives a killed job: records keyed by a fingerprint of everything the result depends on.

Snakemake deletes the declared outputs of a killed job, so progress lies in `.checkpoints/{fingerprint}/` beside them
and is removed when the job succeeds. A record carries a checksum: a damaged one is dropped with a warning and
recomputed, and records of other inputs, parameters or code versions are simply never looked at.
"""

import hashlib
import json
import logging
import os
import shutil
import signal
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np

from datassay.errors import DatassayError

logger = logging.getLogger(__name__)

_passes: Counter[str] = Counter()
_stop_signal: list[int] = []
_keeps_progress: list[bool] = []  # True once a job opened Checkpoints
INTERRUPTED = 75  # exit code of a job that is to be run again and goes on (EX_TEMPFAIL)


class Interrupted(BaseException):
    """A signal asked for a stop. Like KeyboardInterrupt no Exception, so that nothing takes it for a damaged file."""


def request_stop(signal_number: int, _frame: object = None) -> None:
    """Signal handler: stop at the end of the unit of work under way, or at once in a job that saves no progress."""
    if not _keeps_progress:
        raise Interrupted(f"stopped by {signal.Signals(signal_number).name}, run again to repeat this job")
    _stop_signal.append(signal_number)


def stop_requested() -> bool:
    """Whether a signal has asked for a stop at the end of the unit of work under way."""
    return bool(_stop_signal)


def crash_point(name: str) -> None:
    """End the process hard at the n-th pass of this point where DATASSAY_CRASH_AT says "name:n" (used by tests).

    "any:n" means the n-th pass of whatever point.
    """
    for point in (name, "any"):
        _passes[point] += 1
        if os.environ.get("DATASSAY_CRASH_AT") == f"{point}:{_passes[point]}":
            os.kill(os.getpid(), signal.SIGKILL)


def defer_stops() -> None:
    """Let a signal stop this process at the end of a unit of work from now on, not at once."""
    _keeps_progress[:] = [True]


def unit_done(name: str, stop: bool | None = None) -> None:
    """Mark the end of a saved unit of work (epoch, round, shard): the place where a job may stop or be killed.

    stop: whether to, as the processes of one job agreed on; None: where a signal has asked for it.
    """
    crash_point(name)
    if stop_requested() if stop is None else stop:
        by = signal.Signals(_stop_signal[0]).name if _stop_signal else "another process"
        raise Interrupted(f"stopped by {by} after a saved {name}, run again to go on")


def fingerprint(*parts: Any) -> str:
    """Return a short hash of arrays, files (as Path) and JSON-like values: equal parts, equal fingerprint."""
    digest = hashlib.sha256()
    for part in parts:
        if isinstance(part, np.ndarray):
            digest.update(f"array {part.dtype.str} {part.shape}".encode())
            digest.update(np.asarray(part, order="C").data)
        elif isinstance(part, Path):
            with part.open("rb") as file:
                digest.update(f"file {hashlib.file_digest(file, 'sha256').hexdigest()}".encode())
        else:
            digest.update(json.dumps(part, sort_keys=True, default=str).encode())
        digest.update(b"\0")
    return digest.hexdigest()[:20]


class Checkpoints:
    """Named records of arrays in `{root}/.checkpoints/{fingerprint}/`."""

    def __init__(self, root: str | os.PathLike[str], key: str) -> None:
        self.folder = Path(root) / ".checkpoints" / key
        defer_stops()

    def part(self, name: str) -> "Checkpoints":
        """Return records of their own for a part of the work; they go when those of the whole do."""
        return Checkpoints(self.folder.parent.parent, f"{self.folder.name}/{name}")

    def save(self, name: str, arrays: dict[str, np.ndarray]) -> None:
        """Save arrays under a name, atomically, with a checksum."""
        from safetensors.numpy import save

        self.folder.mkdir(parents=True, exist_ok=True)
        payload = save({k: np.asarray(v, order="C") for k, v in arrays.items()})
        temporary = self.folder / f".{name}.tmp-{os.getpid()}"
        try:
            with temporary.open("wb") as file:
                file.write(hashlib.sha256(payload).digest())
                file.write(payload)
                file.flush()
                os.fsync(file.fileno())
            crash_point("before_record")
            os.replace(temporary, self.folder / name)
            crash_point("record")
        except OSError as error:
            temporary.unlink(missing_ok=True)
            raise DatassayError(f"{self.folder / name}: cannot write: {error.strerror or error}") from error

    def load(self, name: str) -> dict[str, np.ndarray] | None:
        """Return the arrays of a record, or None where there is none or it is damaged."""
        from safetensors.numpy import load

        path = self.folder / name
        try:
            content = path.read_bytes()
        except FileNotFoundError:
            return None
        if hashlib.sha256(content[32:]).digest() != content[:32]:
            logger.warning("%s is damaged, it is dropped and computed again", path)
            path.unlink(missing_ok=True)  # another process of the job may have been faster
            return None
        return load(content[32:])

    def names(self) -> list[str]:
        """Return the names of all records, sorted."""
        return sorted(p.name for p in self.folder.glob("*")) if self.folder.is_dir() else []

    def drop(self, name: str) -> None:
        """Remove one record."""
        (self.folder / name).unlink(missing_ok=True)

    def clear(self) -> None:
        """Remove every record of this fingerprint, and the parent folder where it is empty: the work is done."""
        shutil.rmtree(self.folder, ignore_errors=True)
        if self.folder.parent.is_dir() and not any(self.folder.parent.iterdir()):
            self.folder.parent.rmdir()
