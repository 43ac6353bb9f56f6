"""Whatever a video file does to its readers costs that video alone, with a reason that is recorded.

FFmpeg, PyAV and decord raise dozens of errors on files that nobody foresaw, and our own code may stumble over what they
give. What is no fault of the file (a full disk, a lost network disk) stops the job in one line, because every further
video would be left out for it.
"""

import errno
import logging
from collections.abc import Iterator
from contextlib import contextmanager
from traceback import extract_tb

from pipeline.errors import PipelineError, VideoError

OF_THE_MACHINE = frozenset(
    {errno.ENOSPC, errno.EDQUOT, errno.EMFILE, errno.ENFILE, errno.ENOMEM, errno.EROFS}
    | {errno.ESTALE, errno.ETIMEDOUT, errno.ENOTCONN, errno.EHOSTDOWN, errno.EHOSTUNREACH}
)
MAX_MESSAGE = 120  # characters

log = logging.getLogger(__name__)


@contextmanager
def costing_one_video() -> Iterator[None]:
    """Inside this context, whatever is raised while a video is read becomes the reason why it is left out.

    Raises:
        VideoError: What the file did. The message names no path, because it becomes part of an artifact.
        PipelineError: The machine refused what any video needs.
    """
    try:
        yield
    except (PipelineError, ImportError):
        raise
    except OSError as error:  # many of PyAV's errors are among them
        if error.errno in OF_THE_MACHINE:
            raise PipelineError(
                f"{error.filename or 'videos'}: {error.strerror}: this is no fault of a video: mend it and call again"
            ) from error
        raise VideoError(f"it cannot be read ({error.strerror or type(error).__name__})") from error
    except MemoryError as error:
        raise VideoError("reading it takes more memory than there is") from error
    except Exception as error:
        # It may be a mistake of ours: the log has all that is needed to mend it.
        log.warning("the readers stumbled over a video, which costs that video alone:", exc_info=error)
        raise VideoError(_told(error)) from error


def _told(error: Exception) -> str:
    """Name an error that nobody foresaw, and where it was met, so that it can be mended from a line of a report."""
    where = next(
        (frame.name for frame in reversed(extract_tb(error.__traceback__)) if "pipeline" in frame.filename), ""
    )
    message = " ".join(str(error).split())[:MAX_MESSAGE]
    return f"its readers stumbled over it ({type(error).__name__} in {where}: {message})"
