"""GPUs: which of them a job may use, and what a stage computes on.

Snakemake counts GPUs but hands none out, so two one-GPU jobs would both land on device 0. Rules therefore start
their commands through

    python -m pipeline.gpus NUM COMMAND [ARGUMENT ...]

which leases NUM devices, sets CUDA_VISIBLE_DEVICES and becomes the command. A lease is an exclusive lock on a file of
the device; the command inherits the open file, so the lease ends exactly when the command does, however it ends.
A CUDA_VISIBLE_DEVICES that is set already, by a person or by a scheduler, says which devices there are to lease.
"""

import fcntl
import os
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING

from pipeline.errors import PipelineError

if TYPE_CHECKING:
    import torch

SECONDS_BETWEEN_TRIES = 0.5


def visible_devices() -> list[str]:
    """Names of the devices this process may use, as CUDA_VISIBLE_DEVICES spells them."""
    chosen = os.environ.get("CUDA_VISIBLE_DEVICES")
    if chosen is not None:
        return [name.strip() for name in chosen.split(",") if name.strip() not in ("", "-1")]
    if shutil.which("nvidia-smi") is None:
        return []
    listing = subprocess.run(["nvidia-smi", "-L"], capture_output=True, text=True, check=False)
    return [str(number) for number, line in enumerate(listing.stdout.splitlines()) if line.startswith("GPU ")]


def lease_folder() -> Path:
    """Where the lock files of this user's leases are: on this machine, not in the results that machines share."""
    return Path(tempfile.gettempdir()) / f"clipgraph-gpus-{os.getuid()}"


def lease(num: int, devices: list[str]) -> list[tuple[str, int]]:
    """Wait until `num` of `devices` are free, and lock them.

    Returns:
        The devices and the open files that hold their locks.

    Raises:
        PipelineError: if there are fewer devices than asked for.
    """
    if num > len(devices):
        raise PipelineError(
            f"{num} GPUs were asked for, but this machine shows {len(devices)} ({', '.join(devices)}): "
            "lower `--resources gpu=` or set CUDA_VISIBLE_DEVICES"
        )
    folder = lease_folder()
    folder.mkdir(mode=0o700, exist_ok=True)
    waiting = False
    while True:
        held: list[tuple[str, int]] = []
        for device in devices:
            if len(held) == num:
                break
            file = os.open(folder / f"{device.replace('/', '_')}.lock", os.O_RDWR | os.O_CREAT, 0o600)
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                os.close(file)
            else:
                held.append((device, file))
        if len(held) == num:
            return held
        for _, file in held:  # never wait while holding some: two jobs could wait for one another
            os.close(file)
        if not waiting:
            print(f"waiting for {num} free GPUs of {', '.join(devices)}", file=sys.stderr)
            waiting = True
        time.sleep(SECONDS_BETWEEN_TRIES)


def main(arguments: list[str]) -> None:
    """Lease devices and become the command."""
    if len(arguments) < 2 or not arguments[0].isdecimal():
        raise PipelineError("usage: python -m pipeline.gpus NUM COMMAND [ARGUMENT ...]")
    num, command = int(arguments[0]), arguments[1:]
    devices = visible_devices()
    if num > 0 and not devices:
        print("WARNING: no GPU here: this job runs on the CPU", file=sys.stderr)
    leased = lease(num, devices) if num > 0 and devices else []
    for _, file in leased:
        os.set_inheritable(file, True)
    os.environ["CUDA_VISIBLE_DEVICES"] = ",".join(device for device, _ in leased)
    sys.stderr.flush()
    os.execvp(command[0], command)


def device() -> "torch.device":
    """The device a stage computes on: the first visible GPU, or else the CPU."""
    import torch

    return torch.device("cuda" if torch.cuda.is_available() else "cpu")


def dtype(precision: str, device: "torch.device") -> "torch.dtype":
    """The type a network computes in.

    Args:
        precision: "fp32", "bf16", or "auto": bf16 where the device has instructions for it.
        device: Where it computes.
    """
    import torch

    if precision == "fp32":
        return torch.float32
    if precision == "bf16":
        return torch.bfloat16
    if device.type == "cuda":
        return torch.bfloat16 if torch.cuda.is_bf16_supported() else torch.float32
    return torch.bfloat16 if torch.cpu._is_avx512_bf16_supported() else torch.float32


if __name__ == "__main__":
    try:
        main(sys.argv[1:])
    except PipelineError as error:
        print(f"error: {error}", file=sys.stderr)
        sys.exit(2)
