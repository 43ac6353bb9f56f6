"""A real SLURM on this machine: controller, munge and two nodes on loopback, each with two stand-in GPUs.

The GPUs are `/dev/null` and `/dev/zero`: nothing computes on them, but they are handed out, queued for and limited as
real ones are. One node is for the demo line, which takes minutes, and the other for all else. They claim more memory
than the machine may have, and the second more CPUs, so that its jobs wait for GPUs alone.
SLURM's own clients and Snakemake's plugin (it drops every variable that begins with SLURM_) look for the configuration
in /etc/slurm, so links stand there while it runs.
"""

import contextlib
import os
import pwd
import re
import shutil
import signal
import socket
import subprocess
import time
from pathlib import Path

ETC = Path("/etc/slurm")
MUNGE_PID = Path("/run/munge/munged.pid")
NEEDED = ("slurmctld", "slurmd", "sbatch", "squeue", "scontrol", "scancel", "munged")

CONFIGURATION = """\
ClusterName=one
SlurmctldHost={host}(127.0.0.1)
CommunicationParameters=NoInAddrAny,NoCtldInAddrAny
SlurmctldPort={ports[0]}
SlurmUser=root
SlurmdUser=root
AuthType=auth/munge
CredType=cred/munge
StateSaveLocation={folder}/controller
SlurmdSpoolDir={folder}/node.%n
SlurmctldPidFile={folder}/slurmctld.pid
SlurmdPidFile={folder}/slurmd.%n.pid
SlurmctldLogFile={folder}/slurmctld.log
SlurmdLogFile={folder}/slurmd.%n.log
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
TaskProlog={folder}/prolog.sh
SwitchType=switch/none
MpiDefault=none
# No control groups here: the daemon adds up what the processes of a job hold, and kills a job that is over.
JobAcctGatherType=jobacct_gather/linux
JobAcctGatherFrequency=task=1
JobAcctGatherParams=OverMemoryKill
AccountingStorageType=accounting_storage/none
JobCompType=jobcomp/none
SelectType=select/cons_tres
SelectTypeParameters=CR_Core_Memory
SchedulerType=sched/backfill
SchedulerParameters=batch_sched_delay=0,bf_interval=2
# Jobs of the partition `urgent` send those of the others back into the queue.
PreemptType=preempt/partition_prio
PreemptMode=REQUEUE
ReturnToService=2
SlurmctldTimeout=30
SlurmdTimeout=30
InactiveLimit=0
KillWait={kill_wait}
# `scontrol show job` is what the tests read: no job is forgotten.
MinJobAge=86400
GresTypes=gpu
SlurmdParameters=config_overrides
NodeName=tests NodeHostname={host} NodeAddr=127.0.0.1 Port={ports[1]} CPUs={cpus} RealMemory=64000 Gres=gpu:2
NodeName=demo NodeHostname={host} NodeAddr=127.0.0.1 Port={ports[2]} CPUs=2 RealMemory=64000 Gres=gpu:2
PartitionName=main Nodes=tests Default=YES MaxTime=INFINITE State=UP PriorityTier=1
PartitionName=gpus Nodes=tests MaxTime=INFINITE State=UP PriorityTier=1
PartitionName=graceful Nodes=tests MaxTime=INFINITE State=UP PriorityTier=1 GraceTime={kill_wait}
PartitionName=urgent Nodes=tests MaxTime=INFINITE State=UP PriorityTier=2 PreemptMode=OFF
PartitionName=demo Nodes=demo MaxTime=INFINITE State=UP PriorityTier=1
"""
# Leases of GPUs are kept in the temporary folder of a machine: two nodes on one would wait for each other's.
PROLOG = """\
#!/bin/sh
echo "export TMPDIR={folder}/$SLURMD_NODENAME.tmp"
"""
GPUS = """\
NodeName={node} Name=gpu File=/dev/null
NodeName={node} Name=gpu File=/dev/zero
"""
NODES = {"tests": 0, "demo": 10}  # with the niceness of their jobs
KILL_WAIT = 20  # seconds between SIGTERM and SIGKILL, as a cluster gives them
CPUS = 8
SECONDS_TO_START = 30


class Slurm:
    """A SLURM that runs while this is open, with all its files in one folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._munge: int | None = None

    def __enter__(self) -> "Slurm":
        for name in ("controller", *(f"node.{node}" for node in NODES), *(f"{node}.tmp" for node in NODES)):
            (self.folder / name).mkdir()
        named = {"host": socket.gethostname().partition(".")[0], "folder": self.folder, "ports": _free_ports(3)}
        text = CONFIGURATION.format(**named, kill_wait=KILL_WAIT, cpus=CPUS)
        (self.folder / "slurm.conf").write_text(text, encoding="utf-8")
        gpus = "".join(GPUS.format(node=node) for node in NODES)
        (self.folder / "gres.conf").write_text(gpus, encoding="utf-8")
        prolog = self.folder / "prolog.sh"
        prolog.write_text(PROLOG.format(folder=self.folder), encoding="utf-8")
        prolog.chmod(0o755)
        for name in ("slurm.conf", "gres.conf"):
            (ETC / name).symlink_to(self.folder / name)
        try:
            self._start_munge()
            self.start_controller()
            for node, niceness in NODES.items():
                command = ["nice", "-n", str(niceness), "slurmd", "-f", self.folder / "slurm.conf", "-N", node]
                subprocess.run(command, check=True)
            self._wait_until_idle()
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *exception: object) -> None:
        if (self.folder / "slurmctld.pid").exists():
            subprocess.run(["scancel", "--user", "root"], check=False, timeout=60)
        for name in (*(f"slurmd.{node}" for node in NODES), "slurmctld"):
            _stop(self.folder / f"{name}.pid")
        if self._munge is not None:
            os.kill(self._munge, signal.SIGTERM)
        for name in ("slurm.conf", "gres.conf"):
            if (ETC / name).is_symlink() and (ETC / name).readlink() == self.folder / name:
                (ETC / name).unlink()

    def start_controller(self) -> None:
        """Start the controller, which takes up what it saved."""
        subprocess.run(["slurmctld", "-f", self.folder / "slurm.conf"], check=True)

    def stop_controller(self) -> None:
        """Stop the controller and leave the node and its jobs alone, as a restart of a cluster does."""
        _stop(self.folder / "slurmctld.pid")

    def _start_munge(self) -> None:
        if subprocess.run(["munge", "-n"], capture_output=True, check=False).returncode == 0:
            return
        user = pwd.getpwnam("munge")
        for folder in ("/run/munge", "/var/log/munge", "/var/lib/munge"):
            Path(folder).mkdir(mode=0o755, parents=True, exist_ok=True)
            os.chown(folder, user.pw_uid, user.pw_gid)
        Path("/run/munge").chmod(0o755)
        subprocess.run(
            ["setpriv", "--reuid=munge", "--regid=munge", "--clear-groups", shutil.which("munged"), "--force"],
            check=True,
        )
        self._munge = int(MUNGE_PID.read_text(encoding="utf-8"))

    def _wait_until_idle(self) -> None:
        end = time.monotonic() + SECONDS_TO_START
        while time.monotonic() < end:
            asked = subprocess.run(["sinfo", "-h", "-N", "-o", "%t"], capture_output=True, text=True, check=False)
            if set(asked.stdout.split()) == {"idle"}:
                return
            time.sleep(0.5)
        logs = "\n".join(path.read_text(encoding="utf-8")[-2000:] for path in self.folder.glob("slurm*.log"))
        raise RuntimeError(f"SLURM's nodes are not idle after {SECONDS_TO_START} s:\n{logs}")


def records(folder: Path) -> list[dict[str, str]]:
    """SLURM's records of the jobs submitted from a folder, oldest first, named as `scontrol show job` names things."""
    listing = subprocess.run(
        ["scontrol", "show", "job", "--details", "--oneliner"], capture_output=True, text=True, check=True
    )
    jobs = [dict(re.findall(r"(\S+?)=(\S*)", line)) for line in listing.stdout.splitlines()]
    return sorted((job for job in jobs if job.get("WorkDir") == str(folder)), key=lambda job: int(job["JobId"]))


def missing() -> str | None:
    """What keeps this machine from running it, and what to do; None if nothing does."""
    lacking = [name for name in NEEDED if shutil.which(name) is None]
    if lacking:
        return (
            f"the cluster suite needs {', '.join(lacking)}: "
            "`apt-get install -y --no-install-recommends slurm-wlm munge`, then again"
        )
    if os.getuid() != 0:
        return "the cluster suite starts SLURM's daemons and links its configuration into /etc/slurm: run it as root"
    links = [ETC / name for name in ("slurm.conf", "gres.conf")]
    if any(link.exists() or link.is_symlink() for link in links):
        if not all(_left_over(link) for link in links):
            return f"another SLURM is set up in {ETC}: end and remove it, or use another machine"
        for link in links:
            link.unlink(missing_ok=True)
    return None


def _left_over(link: Path) -> bool:
    """Whether a suite that was killed left this link, or none, and its SLURM does not run any more."""
    if not link.is_symlink():
        return not link.exists()
    pid_file = link.readlink().with_name("slurmctld.pid")
    return not pid_file.exists() or not _runs(int(pid_file.read_text(encoding="utf-8")))


def _free_ports(num: int) -> list[int]:
    with contextlib.ExitStack() as stack:
        probes = [stack.enter_context(socket.socket()) for _ in range(num)]
        for probe in probes:
            probe.bind(("127.0.0.1", 0))
        return [int(probe.getsockname()[1]) for probe in probes]


def _stop(pid_file: Path) -> None:
    """End a daemon by the pid that it wrote, and wait until it is gone."""
    text = pid_file.read_text(encoding="utf-8").strip() if pid_file.exists() else ""
    if not text or not _runs(int(text)):
        return
    os.kill(int(text), signal.SIGTERM)
    for _ in range(100):
        if not _runs(int(text)):
            break
        time.sleep(0.1)
    else:
        os.kill(int(text), signal.SIGKILL)
    pid_file.unlink(missing_ok=True)


def _runs(pid: int) -> bool:
    """Whether a process is there and not merely waiting to be forgotten, as orphans do where nobody asks for them."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8")
    except (FileNotFoundError, ProcessLookupError):
        return False
    return stat.rpartition(")")[2].split()[0] != "Z"
