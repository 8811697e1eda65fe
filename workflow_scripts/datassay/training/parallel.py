"""One training on several GPUs: a process each, which takes its part of every batch.

Gradients and answers are summed up over the processes, so that a step is that of the whole batch; batch norm is
synchronised. Processes of a machine share the data, those of another hold a copy. Torch loads inside the functions.
"""

import logging
import os
import re
import signal
import socket
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from datassay.checkpoints import INTERRUPTED, Interrupted, stop_requested
from datassay.errors import DatassayError

if TYPE_CHECKING:
    import torch
    from accelerate import Accelerator

    from datassay.training._outputs import Outputs

CHUNK = 1 << 26  # numbers summed up at a time


@dataclass(frozen=True)
class Place:
    """Which of the machines of a training this is (0 to nodes - 1), and where the processes of all find each other."""

    node: int = 0
    nodes: int = 1
    port: int = 0  # 0: any that is free
    address: str = "127.0.0.1"


ALONE = Place()


def launch(function: Callable[..., None], arguments: Sequence[Any], processes: int, place: Place = ALONE) -> None:
    """Call a function in so many processes of this machine that find each other, and those of the other machines.

    They do so through accelerate; where it is one of one machine, the function is called here.

    Raises DatassayError where the machine has fewer GPUs (but some: without any the processes share the CPU), and with
    the text of a DatassayError of a process; Interrupted where one was asked to stop.
    """
    if processes * place.nodes <= 1:
        function(*arguments)
        return
    import torch
    from torch.multiprocessing.spawn import ProcessExitedException, ProcessRaisedException, start_processes

    there = torch.cuda.device_count()
    if 0 < there < processes:
        raise DatassayError(f"gpu: {processes} asked for, {socket.gethostname()} has {there}")
    shared: dict[str, Any] = {"WORLD_SIZE": processes * place.nodes, "LOCAL_WORLD_SIZE": processes}
    shared |= {"MASTER_ADDR": place.address, "MASTER_PORT": place.port or free_port()}
    shared |= {} if there else {"ACCELERATE_USE_CPU": "yes"}
    handed = (place.node * processes, shared, function, arguments)
    try:
        context = start_processes(_work, handed, nprocs=processes, join=False, start_method="fork")
        with passed_on(context.pids()):
            while not context.join():
                pass
    except ProcessRaisedException as error:
        if found := re.search(r"^(?:datassay\.errors\.)?DatassayError: (.*)$", str(error), re.M):
            raise DatassayError(found[1]) from error
        raise
    except ProcessExitedException as error:
        if error.exit_code == INTERRUPTED:
            raise Interrupted("stopped after a saved epoch, run again to go on") from error
        raise


def free_port() -> int:
    """Return a port of this machine at which the processes may find each other."""
    with socket.socket() as free:
        free.bind(("", 0))
        return int(free.getsockname()[1])


@contextmanager
def passed_on(processes: Sequence[int], as_signal: int | None = None) -> Iterator[None]:
    """Pass a signal that asks for a stop on to the processes, which save and say that they stopped.

    as_signal: pass this one on, whatever came.
    """

    def pass_on(received: int, _frame: object) -> None:
        for process in processes:
            with suppress(ProcessLookupError):
                os.kill(process, as_signal or received)

    before = {number: signal.signal(number, pass_on) for number in (signal.SIGTERM, signal.SIGUSR1)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _work(
    index: int, before: int, shared: dict[str, Any], function: Callable[..., None], arguments: Sequence[Any]
) -> None:
    own = {"RANK": before + index, "LOCAL_RANK": index}
    os.environ.update({name: str(value) for name, value in (shared | own).items()})
    if not is_first():
        logging.getLogger("datassay").setLevel(logging.ERROR)
    try:
        function(*arguments)
    except Interrupted:
        sys.exit(INTERRUPTED)


def is_first() -> bool:
    """Whether this is the only process of a training, or the first: the one that saves and speaks."""
    return os.environ.get("RANK", "0") == "0"


def own_part(rows: np.ndarray, accelerator: "Accelerator") -> tuple[np.ndarray, int]:
    """Return this process's part of a batch, and how many processes have the same: all, where rows are too few."""
    count = accelerator.num_processes
    if count == 1:
        return rows, 1
    return (rows, count) if len(rows) < count else (np.array_split(rows, count)[accelerator.process_index], 1)


def sum_gradients(parameters: "Sequence[torch.nn.Parameter]", loss: float, accelerator: "Accelerator") -> float:
    """Add up the gradients of all processes in every one of them, and return the sum of their losses."""
    if accelerator.num_processes == 1:
        return loss
    import torch

    learnt = [p for p in parameters if p.requires_grad]
    parts = [(torch.zeros_like(p) if p.grad is None else p.grad).reshape(-1).float() for p in learnt]
    flat = torch.cat([*parts, torch.tensor([loss], device=accelerator.device)])
    torch.distributed.all_reduce(flat)
    for p, part in zip(learnt, flat[:-1].split([p.numel() for p in learnt]), strict=True):
        p.grad = torch.empty_like(p).copy_(part.view(p.shape))  # in the layout of p, which fused optimisers rely on
    return float(flat[-1])


def sum_outputs(outputs: "Outputs", accelerator: "Accelerator") -> None:
    """Add up the answers that the processes gave, each for its own rows and 0 for the others."""
    if accelerator.num_processes == 1:
        return
    import torch

    for array in (outputs.logits, outputs.norms, outputs.features):
        if array is not None and array.size:
            flat = array.reshape(-1)
            for start in range(0, len(flat), CHUNK):
                part = torch.from_numpy(flat[start : start + CHUNK]).to(accelerator.device)
                torch.distributed.all_reduce(part)
                flat[start : start + CHUNK] = part.cpu().numpy()


def all_agree(answer: bool, accelerator: "Accelerator") -> bool:
    """Return whether every process says yes: of files that not all machines may see at once, for one."""
    if accelerator.num_processes == 1:
        return answer
    import torch

    no = torch.tensor([int(not answer)], device=accelerator.device)
    torch.distributed.all_reduce(no)
    return not int(no)


def stop_agreed(accelerator: "Accelerator") -> bool:
    """Return whether one of the processes was asked to stop, which is then so for all of them."""
    return not all_agree(not stop_requested(), accelerator)
