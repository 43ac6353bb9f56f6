"""Run a training as several processes, called ranks, each with a GPU of its own.

    python -m pipeline.jobs.ranks NUM -m pipeline STAGE [FLAG ...]

runs `python -m pipeline STAGE ...` NUM times under PyTorch's launcher (torchrun), which hands SIGTERM on to the ranks
and kills those that have not ended 30 seconds later. If a rank fails, the launcher itself ends with a traceback and
exit code 1; this program ends with the exit code of the first rank that failed, so that 143 means pre-emption and 2 the
user's mistake, however many ranks there are. One rank is run without the launcher. NUM = 0 is a rank for each device
that `pipeline.jobs.gpus` has leased without being told a number, or one on the CPU.
"""

import logging
import os
import sys

from pipeline.errors import PipelineError
from pipeline.jobs import messages

log = logging.getLogger("pipeline.jobs.ranks")  # `__name__` is `__main__` when this is the program


def main(arguments: list[str]) -> int:
    """Run the ranks.

    Args:
        arguments: The number of ranks, `-m pipeline`, the stage and its flags.

    Returns:
        The exit code: 0, that of the first rank that failed, or 128 and the number of the signal that ended it.

    Raises:
        PipelineError: if these are not the arguments.
    """
    messages.configure()
    if len(arguments) < 4 or not arguments[0].isdecimal() or arguments[1:3] != ["-m", "pipeline"]:
        raise PipelineError("usage: python -m pipeline.jobs.ranks NUM -m pipeline STAGE [FLAG ...]")
    num, command, stage = int(arguments[0]), arguments[1:], arguments[3]
    num = num or len(list(filter(None, os.environ.get("CUDA_VISIBLE_DEVICES", "").split(","))))
    if num <= 1:
        os.execv(sys.executable, [sys.executable, *command])
    from torch.distributed import run
    from torch.distributed.elastic.multiprocessing.api import SignalException
    from torch.distributed.elastic.multiprocessing.errors import ChildFailedError

    logging.disable(logging.ERROR)  # silences the launcher, because the ranks have said what was wrong
    launch = ["--standalone", "--nproc-per-node", str(num), *command]
    try:
        run.run(run.parse_args(launch))  # type: ignore[no-untyped-call]
    except SignalException as stopped:
        return 128 + int(stopped.sigval)
    except ChildFailedError as error:
        rank, failure = error.get_first_failure()
        if failure.exitcode < 0:
            logging.disable(logging.NOTSET)
            log.error("%s: rank %d was killed by signal %d", stage, rank, -failure.exitcode)
        return failure.exitcode if failure.exitcode > 0 else 128 - failure.exitcode
    return 0


if __name__ == "__main__":
    try:
        sys.exit(main(sys.argv[1:]))
    except PipelineError as mistake:
        log.error("%s", mistake)
        sys.exit(2)
