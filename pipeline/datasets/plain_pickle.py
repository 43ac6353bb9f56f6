"""Read pickle files of plain data without running what others may have put in them.

A pickle is a program: it may call anything that Python can import. MSVD's captions are published as one
(raw-captions_mapped.pkl), and need nothing but builtin containers, texts and numbers. So every instruction is checked
before the first is run, and none is admitted that imports, calls or sets attributes. Texts that Python 2 wrote are
decoded as UTF-8.
"""

import io
import pickle
import pickletools
from pathlib import Path
from typing import Any, NoReturn

from pipeline.errors import PipelineError

MAX_BYTES = 2**28  # the published file has some 10 MB
FRAMING = "PROTO FRAME STOP MARK PUT BINPUT LONG_BINPUT MEMOIZE GET BINGET LONG_BINGET"
NUMBERS = "NONE NEWTRUE NEWFALSE INT BININT BININT1 BININT2 LONG LONG1 LONG4 FLOAT BINFLOAT"
TEXTS = "STRING BINSTRING SHORT_BINSTRING UNICODE BINUNICODE SHORT_BINUNICODE BINUNICODE8"
LISTS = "EMPTY_LIST LIST APPEND APPENDS EMPTY_TUPLE TUPLE TUPLE1 TUPLE2 TUPLE3"
OTHERS = "EMPTY_DICT DICT SETITEM SETITEMS EMPTY_SET ADDITEMS FROZENSET"
ADMITTED = frozenset(" ".join((FRAMING, NUMBERS, TEXTS, LISTS, OTHERS)).split())
PUTS = ("PUT", "BINPUT", "LONG_BINPUT")
EXPECTED = "expected lists, dicts, texts and numbers alone: export it as JSON if you trust it"


class PlainUnpickler(pickle.Unpickler):
    """An unpickler that imports nothing, whatever the file says."""

    def find_class(self, module: str, name: str) -> NoReturn:
        """Refuse every global.

        Raises:
            UnpicklingError: always.
        """
        raise pickle.UnpicklingError(f"it wants {module}.{name}")


def read_plain_pickle(path: Path) -> Any:
    """Read a pickle of lists, tuples, sets, dicts, texts, numbers, booleans and None.

    Args:
        path: The file, of any protocol.

    Raises:
        PipelineError: if it is larger than `MAX_BYTES`, damaged, or holds anything else, which the message names.
    """
    if path.stat().st_size > MAX_BYTES:
        raise PipelineError(f"{path}: {path.stat().st_size:,} bytes of pickle, expected at most {MAX_BYTES:,}")
    content = path.read_bytes()
    try:
        refused = _refused(content)
        if refused is None:
            return PlainUnpickler(io.BytesIO(content), encoding="utf-8").load()
    except UnicodeDecodeError as error:
        raise PipelineError(f"{path}: a text in it is not UTF-8 ({error.reason}): export it as JSON") from error
    except Exception as error:  # damaged pickles make it raise IndexError, KeyError, struct.error and many others
        reason = (str(error).splitlines() or [type(error).__name__])[0]
        raise PipelineError(f"{path}: no readable pickle ({reason}): {EXPECTED}") from error
    raise PipelineError(f"{path}: a pickle that wants {refused}: it was not run; {EXPECTED}")


def _refused(content: bytes) -> str | None:
    """Say what the first instruction that is not admitted wants; None if all are admitted.

    The memo of an unpickler is an array: by storing at a place far beyond the number of its instructions, a file of ten
    bytes could fill the memory. So no such place is admitted either.
    """
    texts: list[str] = []  # the last two are what STACK_GLOBAL takes
    for number, (opcode, argument, _) in enumerate(pickletools.genops(content)):
        if opcode.name in PUTS and isinstance(argument, int) and argument > number:
            return f"place {argument} of its memo after {number} instructions"
        if opcode.name not in ADMITTED:
            if opcode.name in ("GLOBAL", "INST"):
                return f"`{str(argument).replace(' ', '.')}`"
            if opcode.name == "STACK_GLOBAL":
                return f"`{'.'.join(texts)}`"
            return f"the instruction {opcode.name}"
        if isinstance(argument, str):
            texts = [*texts[-1:], argument]
    return None
