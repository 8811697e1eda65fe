"""One training on several machines of a SLURM job: srun starts the processes, one for every GPU.

They divide batches and answers as those of one machine do, see `datassay.training.parallel`. The files of the job have
to lie where all machines see them. Torch loads inside the functions.
"""

import logging
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from datassay.checkpoints import Interrupted
from datassay.errors import DatassayError
from datassay.training.parallel import free_port, is_first, passed_on

logger = logging.getLogger(__name__)

PACKAGE_ROOT = Path(__file__).parents[2]
FAULT = "error: "  # what `datassay.step` writes before the text of a DatassayError


def launch_on_nodes(command: Sequence[str], gpus: int, nodes: int, last_output: Path) -> None:
    """Run a command, which calls `take_place`, for every GPU on the nodes of this SLURM job; log what it says.

    gpus: on all nodes together; where there are none, each node has one process.
    last_output: what the first process writes at its very end, so that its absence tells a stop from success.

    Raises DatassayError outside of a SLURM job, and with the text of a DatassayError of a process; Interrupted where
    the processes were asked to stop.
    """
    if "SLURM_JOB_ID" not in os.environ or shutil.which("srun") is None:
        raise DatassayError(f"nodes: {nodes} machines need a job of SLURM: --profile profiles/slurm, or nodes: 1")
    srun = ["srun", f"--nodes={nodes}", f"--ntasks={max(gpus, nodes)}", *([f"--gpus={gpus}"] if gpus else [])]
    srun += [f"--cpus-per-task={os.environ.get('OMP_NUM_THREADS', '1')}", "--cpu-bind=quiet"]
    srun += ["--kill-on-bad-exit=1", "--unbuffered"]
    place = {"MASTER_PORT": str(free_port()), "PYTHONPATH": os.pathsep.join(_search_path())}
    started = subprocess.Popen(
        [*srun, *command], env=os.environ | place, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
    )
    faults = []
    with passed_on([started.pid]), started:
        assert started.stdout is not None
        for line in map(str.rstrip, started.stdout):
            if line.startswith(FAULT):
                faults.append(line.removeprefix(FAULT))
            else:
                logger.info("%s", line)
    if faults:
        raise DatassayError("\n".join(dict.fromkeys(faults)))
    if started.returncode:
        raise DatassayError(f"the processes on {nodes} nodes ended with exit code {started.returncode}, see above")
    if not last_output.exists():
        raise Interrupted("stopped after a saved epoch, run again to go on")


def _search_path() -> list[str]:
    return [str(PACKAGE_ROOT), *filter(None, [os.environ.get("PYTHONPATH")])]


@contextmanager
def take_place() -> Iterator[None]:
    """Make this process, which srun started, the one of the training that SLURM numbers it as.

    A stop leaves it without a fault: srun would end the others of a process that fails.
    """
    import torch

    rank, world = os.environ["SLURM_PROCID"], os.environ["SLURM_NTASKS"]
    gpus = torch.cuda.device_count()
    local = int(os.environ["SLURM_LOCALID"]) % max(gpus, 1)  # SLURM may show every process a GPU of its own only
    os.environ |= {"RANK": rank, "WORLD_SIZE": world, "LOCAL_RANK": str(local)}
    os.environ |= {"MASTER_ADDR": os.environ["SLURM_LAUNCH_NODE_IPADDR"]}
    os.environ |= {} if gpus else {"ACCELERATE_USE_CPU": "yes"}
    if not is_first():
        logging.getLogger("datassay").setLevel(logging.ERROR)
    try:
        yield
    except Interrupted:
        sys.exit(0)
