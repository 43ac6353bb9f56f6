"""GPUs: which of them a job may use.

Snakemake counts GPUs but hands none out, so two one-GPU jobs would both land on device 0. Rules therefore start
their commands through

    python -m pipeline.jobs.gpus NUM COMMAND [ARGUMENT ...]

which leases NUM devices, sets CUDA_VISIBLE_DEVICES and becomes the command. A lease is a lock of this process, and
the command is the same process, so the lease ends exactly when the command does, however it ends. A
CUDA_VISIBLE_DEVICES that is set already, by a person or by a scheduler, says which devices there are to lease. Where
CLIPGRAPH_JOBS_PER_GPU is set to 2, two jobs may share a device; any number up to 64 will do.

Where SLURM knows GPUs as `--gres` alone, a job asks for `gres=gpu:1` and, because the two exclude each other, for
gpu=0. With NUM = 0 it therefore takes the devices that SLURM has given it, if it has.
"""

import ctypes
import logging
import os
import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Mapping

from pipeline.errors import PipelineError
from pipeline.jobs import messages
from pipeline.jobs.gpu_leases import lease

JOBS_PER_GPU = "CLIPGRAPH_JOBS_PER_GPU"
MOST_JOBS_PER_GPU = 64
GIVEN_BY_SLURM = ("SLURM_STEP_GPUS", "SLURM_JOB_GPUS")  # the devices of a step or a job that asked for any
SECONDS_TO_LIST = 60  # a driver that hangs never answers; a healthy one that sleeps needs a few seconds
PR_SET_PDEATHSIG = 1  # of prctl(2)

log = logging.getLogger("pipeline.jobs.gpus")  # `__name__` is `__main__` when this is the program


def visible_devices() -> dict[str, str]:
    """The devices this process may use.

    Returns:
        Names, as CUDA_VISIBLE_DEVICES spells them, each with its UUID, which is the same for every job of this machine.
        Where `nvidia-smi` knows no UUID, the name stands for it. Empty if there is no device.

    Raises:
        PipelineError: if `nvidia-smi` fails or does not answer.
    """
    chosen = os.environ.get("CUDA_VISIBLE_DEVICES")
    if chosen == "":
        return {}
    listed = listed_devices()
    if chosen is None:
        return listed
    found: dict[str, str] = {}
    for name in (name.strip() for name in chosen.split(",")):
        identity = _identity(name, listed)
        if identity is None:
            break  # as CUDA does: after -1 or an unknown name nothing is visible
        if identity not in found.values():
            found[name] = identity
    return found


def listed_devices() -> dict[str, str]:
    """The UUIDs that `nvidia-smi` lists, by name.

    The name of a GPU is its number. A GPU that is divided is left out, and its MIG devices are named by their UUIDs.

    Raises:
        PipelineError: if `nvidia-smi` fails or does not answer.
    """
    if shutil.which("nvidia-smi") is None:
        return {}
    try:
        done = subprocess.run(
            ["nvidia-smi", "-L"], capture_output=True, text=True, check=False, timeout=SECONDS_TO_LIST
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise PipelineError(
            f"`nvidia-smi -L` says nothing ({error}): mend it, or set CUDA_VISIBLE_DEVICES=''"
        ) from error
    found: dict[str, str] = {}
    number = ""
    for line in done.stdout.splitlines():
        if gpu := re.match(r"GPU (\d+):(?:.*\(UUID: (GPU-[\w-]+)\))?", line):
            number = gpu[1]
            found[number] = gpu[2] or number
        elif mig := re.match(r"\s+MIG .*\(UUID: (MIG-[\w/-]+)\)", line):
            found.pop(number, None)  # by the number of a divided GPU, CUDA would take only the first of its parts
            found[mig[1]] = mig[1]
    return found


def _identity(name: str, listed: Mapping[str, str]) -> str | None:
    """The UUID of a device, or its name if that is unknown; None if it is no name of a device, or not listed here."""
    if re.fullmatch(r"\d+", name):
        divided = any(key.startswith("MIG-") for key in listed)
        return listed.get(name, name if divided or not listed else None)
    if not re.fullmatch(r"(GPU|MIG)-[\w/-]+", name):
        return None
    # a UUID may be cut short, as long as only one device's begins like that
    fitting = [uuid for uuid in listed.values() if uuid.startswith(name)]
    return fitting[0] if len(fitting) == 1 else name


def jobs_per_gpu() -> int:
    """How many jobs may share a device, as CLIPGRAPH_JOBS_PER_GPU says; 1 if it is not set.

    Raises:
        PipelineError: if it is no whole number from 1 to 64.
    """
    told = os.environ.get(JOBS_PER_GPU, "1")
    if not (told.isascii() and told.isdecimal() and 1 <= int(told[:9]) <= MOST_JOBS_PER_GPU):
        raise PipelineError(f"{JOBS_PER_GPU}={told[:40]}: expected a whole number from 1 to {MOST_JOBS_PER_GPU}")
    return int(told)


def check_machine(limit: int | None, asked: Mapping[str, int]) -> str | None:
    """Compare what a call of the workflow asks for with the GPUs of this machine.

    Args:
        limit: GPUs that its jobs may hold at once (`--resources gpu=`); None for any number.
        asked: Number of GPUs that a rule asks for, by the rule's name.

    Returns:
        A warning if this machine shows no GPU, otherwise None.

    Raises:
        PipelineError: if the limit or a rule asks for more than there are, or a rule for more than the limit;
            Snakemake would lower the number without a word.
    """
    num_devices, sharing = len(visible_devices()), jobs_per_gpu()
    if num_devices == 0:
        return "no GPU here: every job runs on the CPU"
    shared = f", {sharing} jobs on each" if sharing > 1 else ""
    if limit is not None and limit > num_devices * sharing:
        raise PipelineError(
            f"--resources gpu={limit}: this machine shows {num_devices} GPU{'s' if num_devices > 1 else ''}{shared}: "
            f"say gpu={num_devices * sharing}, or let jobs share a GPU by {JOBS_PER_GPU}=2"
        )
    for rule, num in asked.items():
        if num > num_devices:
            raise PipelineError(f"{rule} asks for gpu={num}, but this machine shows {num_devices}: ask for fewer")
        if limit and num > limit:  # a limit of 0 says that no GPU is wanted
            raise PipelineError(
                f"{rule} asks for gpu={num}, but all jobs together may hold {limit}: say --resources gpu={num}"
            )
    return None


def end_with_launcher() -> None:
    """Let the kernel kill this process when its parent torchrun ends, because the lease of the GPUs ends then."""
    ctypes.CDLL(None, use_errno=True).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)


def main(arguments: list[str]) -> None:
    """Lease devices and become the command.

    Args:
        arguments: The number of devices, then the command and its arguments.

    Raises:
        PipelineError: if these are not the arguments, or the devices cannot be leased.
    """
    messages.configure()
    if len(arguments) < 2 or not arguments[0].isdecimal():
        raise PipelineError("usage: python -m pipeline.jobs.gpus NUM COMMAND [ARGUMENT ...]")
    num, command = int(arguments[0]), arguments[1:]
    given = num == 0 and any(os.environ.get(name) for name in GIVEN_BY_SLURM)
    devices = visible_devices() if num > 0 or given else {}
    num = len(devices) if given else num
    if num > 0 and not devices:
        log.info("no GPU here: this job runs on the CPU")
    leased = lease(num, devices, jobs_per_gpu()) if devices else []
    for _, file in leased:
        os.set_inheritable(file, True)
    os.environ["CUDA_VISIBLE_DEVICES"] = ",".join(device for device, _ in leased)
    os.execvp(command[0], command)


if __name__ == "__main__":
    try:
        main(sys.argv[1:])
    except PipelineError as error:
        log.error("%s", error)
        sys.exit(2)
