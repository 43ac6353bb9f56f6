"""Write files that appear only when they are whole, and say in one line what a disk refused to write.

A full disk, a quota or a folder that may not be written to is no bug. Its message names the file, the free space and
what to do, and comes without a traceback.
"""

import errno
import fcntl
import logging
import os
import shutil
import stat
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from pipeline.errors import PipelineError

log = logging.getLogger(__name__)

FULL = {  # EFBIG is among them, because RLIMIT_FSIZE is a quota, too
    errno.ENOSPC: "the disk is full",
    errno.EDQUOT: "the quota is used up",
    errno.EFBIG: "the file is larger than this file system or `ulimit -f` allows",
}
CLOSED = {
    errno.EROFS: "the file system is read-only",
    errno.EACCES: "there is no permission to write",
    errno.EPERM: "there is no permission to write",
}
MISSING = "there is no such file"
SECONDS_BETWEEN_TRIES = 0.5
CANNOT_LOCK = {errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP}


@contextmanager
def writing(path: Path, needed: int | None = None, kept: str = "") -> Iterator[None]:
    """Inside this context, an OSError because the disk is full or closed becomes a PipelineError.

    Args:
        path: The file or folder that is written.
        needed: Bytes that must fit, if known.
        kept: What stays of earlier work, as in "12 of 40 videos stay committed".

    Raises:
        PipelineError: if the disk is full, read-only or closed to this user; other errors pass as they are.
    """
    try:
        yield
    except OSError as error:
        message = explain(error, path, needed, kept)
        if message is None:
            raise
        raise PipelineError(message) from error


def explain(error: OSError, path: Path | None = None, needed: int | None = None, kept: str = "") -> str | None:
    """What a disk refused to write and what to do, in one line; None for other errors.

    Args:
        error: The error that was raised.
        path: The file or folder that was being written; None if the error names it.
        needed: Bytes that must fit, if known.
        kept: What stays of earlier work.
    """
    number = error.errno or 0
    if path is None and number in (errno.EACCES, errno.EPERM):
        return None  # the file may have been read and not written
    place = path if path is not None else Path(str(error.filename or "a file"))
    stays = f" ({kept})" if kept else ""
    if number in FULL:
        wanted = f"{_size(needed)} wanted, " if needed is not None else ""
        return f"{place}: {FULL[number]}: {wanted}{_free(place)} free: make room and call again{stays}"
    if number in CLOSED:
        return f"{place}: {CLOSED[number]}: make its folder writable, or choose another one, and call again{stays}"
    return None


def why_no_file(path: Path) -> str | None:
    """Why no file can be read at a path, as far as looking tells; None if there is a file. Links are followed."""
    try:
        mode = path.stat().st_mode
    except FileNotFoundError:
        return "it is a link that leads nowhere" if path.is_symlink() else MISSING
    except NotADirectoryError:
        return MISSING
    except (OSError, ValueError) as error:  # a link to itself, a closed folder, a name that no file system takes
        return f"it cannot be looked at ({getattr(error, 'strerror', None) or error})"
    if stat.S_ISREG(mode):
        return None
    if stat.S_ISDIR(mode):
        return "it is a folder, not a file"
    return "it is a pipe, a socket or a device, not a file"


def _free(path: Path) -> str:
    folder = next((parent for parent in (path, *path.absolute().parents) if parent.exists()), Path())
    return _size(shutil.disk_usage(folder).free)


def _size(num_bytes: int) -> str:
    unit, name = next((unit, name) for unit, name in ((1e9, "GB"), (1e6, "MB"), (0, "kB")) if num_bytes >= unit)
    return f"{num_bytes / (unit or 1e3):.3g} {name}"


@contextmanager
def replaced(path: Path, needed: int | None = None) -> Iterator[Path]:
    """Yield a hidden file to write instead of `path`; it is renamed to `path` when the context ends without an error.

    Args:
        path: The file.
        needed: Its bytes, if known.

    Raises:
        PipelineError: if the disk is full, read-only or closed to this user; what was at `path` stays.
    """
    new = path.with_name(f".{path.name}.new")
    with writing(path, needed):
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            yield new
            new.replace(path)
        except BaseException:
            with suppress(OSError):
                new.unlink()  # gives the room back
            raise


def write_all(file: int, content: bytes) -> None:
    """Write all of `content` to a file descriptor. No buffer is used, so a full disk raises here and not at closing."""
    rest = memoryview(content)
    while rest:
        rest = rest[os.write(file, rest) :]


def require_writable(path: Path) -> None:
    """Make sure, before work begins, that a file or folder can be made at `path`.

    Raises:
        PipelineError: if its folder cannot be made, is read-only, or is closed to this user.
    """
    with writing(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        if not os.access(path.parent, os.W_OK | os.X_OK):
            read_only = os.statvfs(path.parent).f_flag & os.ST_RDONLY
            raise OSError(errno.EROFS if read_only else errno.EACCES, "closed", str(path.parent))


@contextmanager
def sole_writer(lock: Path, of: Path) -> Iterator[None]:
    """Inside this context, the process holds a lock that no other process holds: `flock` on a file.

    A second process waits: jobs outlive a Snakemake that is killed, and what they finish need not be made again. The
    lock ends with the process, however that ends. It holds between machines where the file system locks between
    machines (NFS does, and Lustre if mounted with `flock`). Where the file system cannot lock, a warning says so and
    the work goes on.

    Args:
        lock: The file to lock. Its folder is made if need be, and the file is removed at the end.
        of: The file or folder that is written, for the message.

    Raises:
        PipelineError: if the folder cannot be written to.
    """
    with writing(of):
        file = _locked(lock, of)
    try:
        yield
    finally:
        with suppress(OSError):
            lock.unlink()  # before it is unlocked: nobody may lock a file that is about to go
        os.close(file)


def _locked(lock: Path, of: Path) -> int:
    has_waited = False
    while True:
        lock.parent.mkdir(parents=True, exist_ok=True)
        try:
            file = os.open(lock, os.O_RDWR | os.O_CREAT, 0o666)
        except FileNotFoundError:  # another process has just removed the folder
            continue
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(file)
            if not has_waited:
                log.info("%s is being written by another process: waiting until that ends", of)
                has_waited = True
            time.sleep(SECONDS_BETWEEN_TRIES)
            continue
        except OSError as error:
            if error.errno not in CANNOT_LOCK:
                os.close(file)
                raise
            log.warning("%s: this file system cannot lock: see to it that no second call writes %s", lock.parent, of)
            return file
        with suppress(FileNotFoundError):
            if os.path.samestat(os.fstat(file), lock.stat()):
                return file
        os.close(file)  # another process has removed the file since it was opened here
