"""One training on several machines of a SLURM job: srun starts a process on each, which starts those of its GPUs.

They divide batches and answers as the processes of one machine do, see `datassay.training.parallel`. The files of the
job have to lie where all machines see them.
"""

import logging
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from datassay.checkpoints import Interrupted, defer_stops
from datassay.errors import DatassayError
from datassay.training.parallel import Place, free_port, passed_on

logger = logging.getLogger(__name__)

PACKAGE_ROOT = Path(__file__).parents[2]
FAULT = "error: "  # what `datassay.step` writes before the text of a DatassayError


def launch_on_nodes(command: Sequence[str], gpus: int, nodes: int, last_output: Path) -> None:
    """Run a command on every node of this SLURM job, which launches its processes `on_node`; log what they say.

    gpus: on all nodes together, as many on each. last_output: what the first process writes at its very end, so that
    its absence tells a stop from success.

    Raises DatassayError outside of a SLURM job, and with the text of a DatassayError of a process; Interrupted where
    the processes were asked to stop.
    """
    if "SLURM_JOB_ID" not in os.environ or shutil.which("srun") is None:
        raise DatassayError(f"nodes: {nodes} machines need a job of SLURM: --profile profiles/slurm, or nodes: 1")
    place = {"MASTER_PORT": str(free_port()), "PYTHONUNBUFFERED": "1", "PYTHONSAFEPATH": "1"}
    place["PYTHONPATH"] = os.pathsep.join([str(PACKAGE_ROOT), *filter(None, [os.environ.get("PYTHONPATH")])])
    srun = [*_srun(gpus // nodes, nodes), *command]
    started = subprocess.Popen(
        srun, env=os.environ | place, text=True, errors="replace", stdout=subprocess.PIPE, stderr=subprocess.STDOUT
    )
    faults = []
    with passed_on([started.pid], as_signal=signal.SIGUSR1), started:  # SIGTERM would make srun kill the processes
        assert started.stdout is not None
        for line in map(str.rstrip, started.stdout):
            if line.startswith(FAULT):
                faults.append(line.removeprefix(FAULT))
            else:
                logger.info("%s", line)
    if started.returncode:
        unclear = f"the processes on {nodes} nodes ended with exit code {started.returncode}, see above"
        raise DatassayError("\n".join(dict.fromkeys(faults)) or unclear)
    if not last_output.exists():
        raise Interrupted("stopped after a saved epoch, run again to go on")


def _srun(gpus: int, nodes: int) -> list[str]:
    """Return the start of the command line that runs one process on each node; gpus: of one node.

    The first process works on when all others are done (wait), and one that fails ends all.
    """
    threads = int(os.environ.get("OMP_NUM_THREADS", "1")) * max(gpus, 1)
    share = [f"--gpus-per-node={gpus}"] if gpus else []
    tasks = [f"--nodes={nodes}", f"--ntasks={nodes}", "--ntasks-per-node=1", f"--cpus-per-task={threads}", *share]
    return ["srun", *tasks, "--overlap", "--cpu-bind=quiet", "--wait=0", "--kill-on-bad-exit=1"]


@contextmanager
def on_node() -> Iterator[Place]:
    """Give the place among all machines that SLURM numbers this process's as, where srun started it.

    A stop leaves without a fault: srun would end the processes of the others.
    """
    defer_stops()
    node, nodes, port = (int(os.environ[name]) for name in ("SLURM_PROCID", "SLURM_NTASKS", "MASTER_PORT"))
    try:
        yield Place(node, nodes, port, address=os.environ["SLURM_LAUNCH_NODE_IPADDR"])
    except Interrupted:
        sys.exit(0)
