"""A SLURM cluster of four nodes on this one machine: munge, MariaDB, slurmdbd, slurmctld and four slurmd.

Everything lies in one folder and listens on 127.0.0.1; nothing under /etc is written, and a cluster that the machine
belongs to is not touched: clients find this one by SLURM_CONF. Nodes cpu1 and cpu2 make the partition cpu, gpu1 and gpu2
(with GPUs that are /dev/null and /dev/zero) the partition gpu, and all of them the partition urgent, whose jobs pre-empt
others. Memory limits are kept by sampling, as there are no cgroups.
"""

import os
import pwd
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

PACKAGES = {"slurmctld": "slurm-wlm", "slurmdbd": "slurmdbd", "munged": "munge", "mariadbd": "mariadb-server"}
NODES = ("cpu1", "cpu2", "gpu1", "gpu2")
ACCOUNT = "tests"

SLURM_CONF = """
ClusterName=tests
SlurmctldHost={host}(127.0.0.1)
SlurmctldPort={ports[0]}
SlurmUser={user}
SlurmdUser={user}
AuthType=auth/munge
AuthInfo=socket={folder}/munge.socket
CommunicationParameters=NoInAddrAny,NoCtldInAddrAny
StateSaveLocation={folder}/state
SlurmdSpoolDir={folder}/spool.%n
SlurmctldPidFile={folder}/slurmctld.pid
SlurmdPidFile={folder}/%n.pid
SlurmctldLogFile={folder}/slurmctld.log
SlurmdLogFile={folder}/%n.log
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
JobAcctGatherType=jobacct_gather/linux
JobAcctGatherFrequency=task=1
JobAcctGatherParams=OverMemoryKill
SelectType=select/cons_tres
SelectTypeParameters=CR_CPU_Memory
SchedulerParameters=sched_interval=1,batch_sched_delay=0,sched_min_interval=0
SlurmdParameters=config_overrides
SlurmdTimeout=300
ReturnToService=2
MinJobAge=300
KillWait=5
OverTimeLimit=0
MpiDefault=none
SwitchType=switch/none
GresTypes=gpu
PreemptType=preempt/partition_prio
PreemptMode=REQUEUE
AccountingStorageType=accounting_storage/slurmdbd
AccountingStorageHost=127.0.0.1
AccountingStoragePort={ports[1]}
AccountingStoragePass={folder}/munge.socket
AccountingStorageTRES=gres/gpu
AccountingStoreFlags=job_comment
NodeName=cpu1 NodeHostname={host} NodeAddr=127.0.0.1 Port={ports[3]} CPUs=8 RealMemory=64000
NodeName=cpu2 NodeHostname={host} NodeAddr=127.0.0.1 Port={ports[4]} CPUs=8 RealMemory=64000
NodeName=gpu1 NodeHostname={host} NodeAddr=127.0.0.1 Port={ports[5]} CPUs=8 RealMemory=64000 Gres=gpu:2
NodeName=gpu2 NodeHostname={host} NodeAddr=127.0.0.1 Port={ports[6]} CPUs=8 RealMemory=64000 Gres=gpu:2
PartitionName=cpu Nodes=cpu1,cpu2 Default=YES MaxTime=600 DefaultTime=10 DefMemPerCPU=1000 State=UP
PartitionName=gpu Nodes=gpu1,gpu2 MaxTime=600 DefaultTime=10 DefMemPerCPU=1000 State=UP
PartitionName=urgent Nodes=ALL MaxTime=600 DefaultTime=10 DefMemPerCPU=1000 PriorityTier=10 State=UP
"""

SLURMDBD_CONF = """
AuthType=auth/munge
AuthInfo=socket={folder}/munge.socket
DbdHost={host}
DbdAddr=127.0.0.1
DbdPort={ports[1]}
SlurmUser={user}
StorageType=accounting_storage/mysql
StorageHost=127.0.0.1
StoragePort={ports[2]}
StorageUser=slurm
StoragePass=slurm
StorageLoc=slurm
LogFile={folder}/slurmdbd.log
PidFile={folder}/slurmdbd.pid
"""


def missing() -> str:
    """Return why the cluster cannot be had here, "" where it can; root on Debian installs what is missing."""
    absent = sorted(package for program, package in PACKAGES.items() if not shutil.which(program, path=_PATH))
    if not absent:
        return ""
    if os.geteuid() != 0 or not shutil.which("apt-get"):
        return f"needs the Debian packages {' '.join(absent)} (root on Debian installs them)"
    command = ["apt-get", "install", "-y", "-qq", "--no-install-recommends", *absent]
    environment = os.environ | {"DEBIAN_FRONTEND": "noninteractive"}
    quiet = {"env": environment, "stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    subprocess.run(["apt-get", "update", "-qq"], **quiet, check=False)
    done = subprocess.run(command, **quiet, check=False)
    return f"cannot install {' '.join(absent)}" if done.returncode else ""


_PATH = os.pathsep.join([os.environ.get("PATH", ""), "/usr/sbin", "/sbin"])


class Cluster:
    """Started by `with Cluster(folder) as cluster:`; `environment` is what clients and snakemake need."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.daemons: dict[str, subprocess.Popen[bytes]] = {}
        self.environment = os.environ | {"SLURM_CONF": str(folder / "slurm.conf"), "PATH": f"{folder / 'bin'}:{_PATH}"}
        for name in [
            name for name in self.environment if name.startswith(("SLURM_", "SBATCH_")) and name != "SLURM_CONF"
        ]:
            del self.environment[name]

    def __enter__(self) -> "Cluster":
        try:
            self._configure()
            self._start_munge()
            self._start_accounting()
            self._start("slurmctld", "slurmctld", "-D")
            self.wait(20, "slurmctld", lambda: self.run("scontrol", "ping").returncode == 0)
            self.start_nodes()
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        """Cancel what runs, then end every daemon: those that write first."""
        self.run("scancel", "--user", _user())
        for name in reversed(list(self.daemons)):
            self._stop(name, signal.SIGTERM)
        for process in self._steps():
            with suppress(ProcessLookupError):
                os.kill(process, signal.SIGKILL)

    def run(self, *command: str, timeout: float = 60) -> subprocess.CompletedProcess[str]:
        """Run a client; its output comes back in stdout."""
        try:
            return subprocess.run(
                command, env=self.environment, text=True, timeout=timeout, check=False,
                stdout=subprocess.PIPE, stderr=subprocess.STDOUT, cwd=self.folder,
            )  # fmt: skip
        except subprocess.TimeoutExpired:
            return subprocess.CompletedProcess(command, 124, "timed out", "")

    def state(self, node: str) -> str:
        """Return the state of a node as sinfo says it: idle, mixed, allocated, down, ..."""
        return self.run("sinfo", "-h", "-N", "-n", node, "-o", "%T").stdout.split("\n")[0].strip("*~#!%$@^-")

    def start_nodes(self) -> None:
        """Start every node that does not run, one that crashed too."""
        for node in [node for node in NODES if node not in self.daemons]:
            (self.folder / f"spool.{node}").mkdir(exist_ok=True)
            self._start(node, "slurmd", "-D", "-N", node)
            if self.state(node) == "down":
                self.run("scontrol", "update", f"nodename={node}", "state=resume")
        self.wait(30, "the nodes", lambda: all(self.state(node) == "idle" for node in NODES))

    def crash_node(self, node: str) -> None:
        """Take a node down and end all that runs on it; SLURM is told, as it would find out in minutes only."""
        self.run("scontrol", "update", f"nodename={node}", "state=down", "reason=crashed")
        self._stop(node, signal.SIGKILL)
        for process in self._steps(node):
            with suppress(ProcessLookupError):
                os.kill(process, signal.SIGKILL)

    def restart_requeued(self) -> None:
        """Start what SLURM has put back into the queue at once, in the place of two minutes later."""
        for job in self.run("squeue", "-h", "-t", "pending", "-o", "%i").stdout.split():
            self.run("scontrol", "update", f"jobid={job}", "starttime=now")

    def forget(self, job: str) -> None:
        """Let squeue know nothing more of a job, as after its controller lost its state."""
        with (self.folder / "forgotten.sed").open("a") as file:
            file.write(f"/^{job}[^0-9]/d\n")

    def jobs(self, *columns: str) -> list[list[str]]:
        """Return columns of sacct (such as JobID, State) of every job so far, steps left out."""
        answer = self.run("sacct", "-X", "-n", "-P", "--starttime", "now-1day", "--format", ",".join(columns))
        return [line.split("|") for line in answer.stdout.splitlines()]

    def _configure(self) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        self.folder.chmod(0o755)
        (self.folder / "state").mkdir()
        facts = {
            "folder": self.folder,
            "host": socket.gethostname().split(".")[0],
            "user": _user(),
            "ports": _free_ports(7),
        }
        self.ports = facts["ports"]
        for name, text in {
            "slurm.conf": SLURM_CONF,
            "slurmdbd.conf": SLURMDBD_CONF,
            "gres.conf": "".join(
                f"NodeName={node} Name=gpu File=/dev/{device}\n"
                for node in ("gpu1", "gpu2")
                for device in ("null", "zero")
            ),
            "cgroup.conf": "CgroupAutomount=no\n",
        }.items():
            (self.folder / name).write_text(text.format(**facts).lstrip() if "{" in text else text)
            (self.folder / name).chmod(0o600 if name == "slurmdbd.conf" else 0o644)

        (self.folder / "bin").mkdir()
        # snakemake takes SLURM_CONF out of the environment of a job's srun
        self._wrap("srun", f'SLURM_CONF={self.folder}/slurm.conf exec {{program}} "$@"')
        (self.folder / "forgotten.sed").touch()
        self._wrap("squeue", f'{{program}} "$@" | sed -f {self.folder}/forgotten.sed')

    def _wrap(self, name: str, line: str) -> None:
        program = self.folder / "bin" / name
        program.write_text(f"#!/bin/bash\nset -o pipefail\n{line.format(program=shutil.which(name, path=_PATH))}\n")
        program.chmod(0o755)

    def _start_munge(self) -> None:
        key = self.folder / "munge.key"
        key.write_bytes(os.urandom(1024))
        key.chmod(0o400)
        socket_file = self.folder / "munge.socket"
        options = {"key-file": key, "socket": socket_file, "pid-file": self.folder / "munged.pid"}
        options |= {"log-file": self.folder / "munged.log", "seed-file": self.folder / "munged.seed"}
        self._start("munged", "munged", "-F", "--force", *[f"--{name}={value}" for name, value in options.items()])
        self.wait(10, "munge", socket_file.exists)

    def _start_accounting(self) -> None:
        database, socket_file = self.folder / "database", self.folder / "mariadb.socket"
        install = ["mariadb-install-db", "--no-defaults", f"--user={_user()}", f"--datadir={database}"]
        self._must(*install, "--auth-root-authentication-method=normal", "--skip-test-db")
        options = [f"--user={_user()}", f"--datadir={database}", f"--socket={socket_file}", f"--port={self.ports[2]}"]
        options += ["--bind-address=127.0.0.1", "--innodb-buffer-pool-size=64M", "--innodb-flush-log-at-trx-commit=2"]
        options += ["--innodb-lock-wait-timeout=900", f"--pid-file={self.folder}/mariadbd.pid"]
        self._start("mariadbd", "mariadbd", "--no-defaults", *options)
        client = ("mariadb", "--no-defaults", "--user=root", f"--socket={socket_file}", "-e")
        grant = "CREATE DATABASE slurm; CREATE USER 'slurm'@'127.0.0.1' IDENTIFIED BY 'slurm'; "
        grant += "GRANT ALL ON slurm.* TO 'slurm'@'127.0.0.1'; CREATE USER 'slurm'@'localhost' IDENTIFIED BY 'slurm'; "
        grant += "GRANT ALL ON slurm.* TO 'slurm'@'localhost';"
        self.wait(30, "MariaDB", lambda: self.run(*client, "SELECT 1").returncode == 0)
        self._must(*client, grant)
        self._start("slurmdbd", "slurmdbd", "-D")
        manager = ("sacctmgr", "-i", "add")
        self.wait(30, "slurmdbd", lambda: self.run("sacctmgr", "-n", "list", "cluster", timeout=5).returncode == 0)
        self._must(*manager, "cluster", "tests")
        self._must(*manager, "account", ACCOUNT, "Description=tests", "Organization=tests")
        if _user() != "root":
            self._must(*manager, "user", _user(), f"account={ACCOUNT}")
        else:  # root is there from the start
            self.run(*manager, "user", "root", f"account={ACCOUNT}")

    def _start(self, name: str, *command: str) -> None:
        with (self.folder / f"{name}.out").open("ab") as out:
            self.daemons[name] = subprocess.Popen(
                command, env=self.environment, stdin=subprocess.DEVNULL, stdout=out, stderr=out, start_new_session=True
            )

    def _stop(self, name: str, number: signal.Signals) -> None:
        daemon = self.daemons.pop(name)
        daemon.send_signal(number)
        try:
            daemon.wait(20)
        except subprocess.TimeoutExpired:
            daemon.kill()
            daemon.wait()

    def _must(self, *command: str) -> None:
        done = self.run(*command)
        if done.returncode:
            raise RuntimeError(f"{command[0]}: {done.stdout}")

    def wait(self, seconds: float, name: str, ready: Callable[[], bool]) -> None:
        """Wait until something is ready; RuntimeError where it is not in time."""
        end = time.monotonic() + seconds
        while not ready():
            if time.monotonic() > end:
                raise RuntimeError(f"{name} is not ready after {seconds} s, see {self.folder}")
            time.sleep(0.2)

    def _steps(self, node: str = "") -> list[int]:
        """Return the processes that slurmstepd started for this cluster (on a node), and slurmstepd itself."""
        found = []
        for entry in Path("/proc").glob("[0-9]*"):
            try:
                variables = (entry / "environ").read_bytes().split(b"\0")
            except OSError:
                continue
            here = f"SLURM_CONF={self.folder}/slurm.conf".encode() in variables
            if here and (
                f"SLURMD_NODENAME={node}".encode() in variables if node else b"SLURM_JOB_ID" in b"".join(variables)
            ):
                found.append(int(entry.name))
        return found


def _user() -> str:
    return pwd.getpwuid(os.geteuid()).pw_name


def _free_ports(count: int) -> list[int]:
    sockets = [socket.socket() for _ in range(count)]
    for one in sockets:
        one.bind(("127.0.0.1", 0))
    ports = [one.getsockname()[1] for one in sockets]
    for one in sockets:
        one.close()
    return ports


if __name__ == "__main__":
    if reason := missing():
        sys.exit(reason)
    with Cluster(Path(sys.argv[1])) as running:
        print(f"export SLURM_CONF={running.folder}/slurm.conf PATH={running.environment['PATH']}", flush=True)
        signal.signal(signal.SIGTERM, lambda *_: sys.exit())  # so that the daemons are ended
        signal.pause()
