"""Read archives of PyTorch, TorchScript's among them, without making or running anything that they hold.

Such an archive is a zip file whose `data.pkl` names classes, functions and storages. Here each of them becomes an
`Inert`, which keeps what it was given and does nothing, so no class or function is imported, whatever the file says;
TorchScript's code is looked at for the names of parameters, and never compiled. Tensors are put together afterwards
from what their Inert keeps.
"""

import io
import pickle
import pickletools
import re
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

MAX_PICKLE = 2**26  # bytes; OpenAI's archive of CLIP has 84 kB
MAX_TEXT = 100  # characters of a key or a name
MAX_CODE = 2**20  # bytes of one module's code, unpacked
MAX_FILES = 1_000  # of code
MAX_DEPTH = 32  # modules inside modules
MAX_MODULES = 100_000
PUTS = ("PUT", "BINPUT", "LONG_BINPUT")
DTYPES = {
    "torch.DoubleStorage": torch.float64,
    "torch.FloatStorage": torch.float32,
    "torch.HalfStorage": torch.float16,
    "torch.BFloat16Storage": torch.bfloat16,
    "torch.LongStorage": torch.int64,
    "torch.IntStorage": torch.int32,
    "torch.ShortStorage": torch.int16,
    "torch.CharStorage": torch.int8,
    "torch.ByteStorage": torch.uint8,
    "torch.BoolStorage": torch.bool,
}
REBUILT = ("torch._utils._rebuild_tensor_v2", "torch._utils._rebuild_tensor")
CLASS = re.compile(r"^class (\w+)\(Module\):\n(?:  __parameters__ = \[(.*)\]\n)?(?:  __buffers__ = \[(.*)\]\n)?", re.M)


class Inert(dict[Any, Any]):
    """What stands for an object, a class or a call that a pickle wants: what it was given, and no behaviour.

    Attributes:
        wanted: Module and name of the class or function that the pickle wants.
        arguments: What it would have been called with.
        state: What the object would have been restored from.
    """

    wanted = ""
    arguments: tuple[Any, ...]
    state: Any

    def __new__(cls, *arguments: Any) -> "Inert":
        """Keep the arguments."""
        made = super().__new__(cls)
        made.arguments = arguments
        made.state = None
        return made

    def __init__(self, *arguments: Any) -> None:
        pass

    def __setstate__(self, state: Any) -> None:
        self.state = state

    def extend(self, items: Any) -> None:
        """Take no items: only what a dict would hold is of use."""

    append = extend


class InertUnpickler(pickle.Unpickler):
    """An unpickler that imports nothing: each global is a class of its own that stands for it."""

    def find_class(self, module: str, name: str) -> type[Inert]:
        """Make a new class each time, so that no file can change what another one is read by."""
        return type("Inert", (Inert,), {"wanted": f"{module}.{name}"})

    def persistent_load(self, pid: Any) -> Any:
        """Keep what names a storage."""
        return pid


class Archive:
    """A zip file of PyTorch.

    Attributes:
        names: Names of all records below the archive's own folder, such as `data.pkl` and `code/__torch__.py`.
        is_torchscript: Whether it holds a program, as `torch.jit.save` writes it.
        top: What `data.pkl` holds, with an Inert for everything but containers, texts and numbers.

    Args:
        path: The file.

    Raises:
        ValueError: it is no archive of PyTorch, or lies about its sizes.
        Exception: it is damaged; the unpickler and zipfile raise errors of many kinds.
    """

    def __init__(self, path: Path) -> None:
        self._zip = zipfile.ZipFile(path)
        records = {info.filename.partition("/")[2]: info for info in self._zip.infolist()}
        self._records = records
        self.names = sorted(records)
        if "data.pkl" not in records:
            raise ValueError("it has no data.pkl")
        self.is_torchscript = "constants.pkl" in records
        content = self._read("data.pkl")
        for number, (opcode, argument, _) in enumerate(pickletools.genops(bytes(content))):
            if opcode.name in PUTS and isinstance(argument, int) and argument > number:  # it would fill the memory
                raise ValueError(f"its pickle wants place {argument} of its memo after {number} instructions")
        self.top = InertUnpickler(io.BytesIO(content), encoding="utf-8").load()
        self._members: dict[str, set[str] | None] = {}
        self._storages: dict[str, bytearray] = {}
        self._num_modules = 0

    def state_of_module(self) -> dict[str, Tensor]:
        """Parameters and buffers of the module that a TorchScript archive holds, by their names in its state dict."""
        return {name: self.tensor(held) for name, held in self._walk(self.top, "", 0)}

    def code(self) -> str:
        """The text of a TorchScript archive's program, which is read and never compiled."""
        records = [name for name in self.names if name.startswith("code/") and name.endswith(".py")][:MAX_FILES]
        return "\n".join(self._read(name, MAX_CODE).decode(errors="replace") for name in records)

    def tensor(self, held: Any) -> Tensor:
        """Put a tensor together; tensors of one storage share their memory, as in the file.

        Raises:
            ValueError: it is no tensor, or reaches beyond its storage.
        """
        if isinstance(held, Inert) and held.wanted == "torch._utils._rebuild_parameter":
            held = held.arguments[0]
        if not is_tensor(held):
            raise ValueError(f"it holds {held.wanted if isinstance(held, Inert) else type(held).__name__}, no tensor")
        (_, storage, key, *_), offset, size, stride = held.arguments[:4]
        dtype = DTYPES.get(storage.wanted)
        if dtype is None:
            raise ValueError(f"it has a tensor of {storage.wanted}")
        if key not in self._storages:
            folder = "data" if f"data/{key}" in self._records else "constants"
            self._storages[key] = self._read(f"{folder}/{key}")
        content = self._storages[key]
        flat = torch.frombuffer(content, dtype=dtype) if content else torch.empty(0, dtype=dtype)
        try:
            return flat.as_strided(size, stride, offset)
        except RuntimeError as error:
            raise ValueError(f"a tensor of {list(size)} reaches beyond the {len(content)} bytes it has") from error

    def _walk(self, module: Any, prefix: str, depth: int) -> Iterator[tuple[str, Inert]]:
        self._num_modules += 1  # one that is named many times is counted each time
        if depth > MAX_DEPTH or self._num_modules > MAX_MODULES:
            raise ValueError("its modules are too many, or hold themselves")
        state = getattr(module, "state", None)
        if not isinstance(state, dict):
            raise ValueError("its modules are not as TorchScript writes them")  # noqa: TRY004
        members = self._members_of(module.wanted)
        for name, value in state.items():
            if is_tensor(value):
                if members is None or name in members:
                    yield f"{prefix}{name}", value
            elif isinstance(value, Inert) and value.wanted.startswith("__torch__."):
                yield from self._walk(value, f"{prefix}{name}.", depth + 1)

    def _members_of(self, module: str) -> set[str] | None:
        """Names of a class's parameters and buffers, by the two lists at the start of its code; None if it has none.

        Other tensors are attributes, such as a mask, and no part of a state dict.
        """
        if module not in self._members:
            place, _, name = module.rpartition(".")
            record = f"code/{place.replace('.', '/')}.py"
            text = self._read(record, MAX_CODE).decode(errors="replace") if record in self._records else ""
            self._members.update({f"{place}.{found[1]}": _names(found) for found in CLASS.finditer(text)})
            self._members.setdefault(f"{place}.{name}", None)
        return self._members[module]

    def _read(self, name: str, limit: int = MAX_PICKLE) -> bytearray:
        """Bytes of a record; one that is packed, as code is, has at most `limit` of them."""
        if name not in self._records:
            raise ValueError(f"it has no {name}")
        info = self._records[name]
        if info.file_size > limit and (info.compress_type != zipfile.ZIP_STORED or name.endswith(".pkl")):
            raise ValueError(f"its {name} has {info.file_size:,} bytes, expected at most {limit:,}")
        content = bytearray()
        with self._zip.open(info) as file:
            while piece := file.read(2**24):
                content += piece
        return content


def is_tensor(held: Any) -> bool:
    """Whether something of an archive stands for a tensor."""
    return isinstance(held, Inert) and held.wanted in REBUILT and len(held.arguments) >= 4


def names_in_zip(path: Path) -> list[str]:
    """Names of what a zip file holds; nothing if it is cut off."""
    try:
        with zipfile.ZipFile(path) as archive:
            return archive.namelist()
    except (zipfile.BadZipFile, OSError, ValueError):
        return []


def globals_and_texts(path: Path, most: int = 100_000) -> tuple[list[str], set[str]]:
    """Find what a pickle would import, and the short texts that it holds, without running one of its instructions.

    Args:
        path: A bare pickle, several in a row as PyTorch before 1.6 wrote them, or an archive with a `data.pkl`.
        most: Number of instructions that are looked at.
    """
    wanted: list[str] = []
    texts: list[str] = []  # the last two are what STACK_GLOBAL takes
    memo: dict[int, str] = {}
    pickles = [name for name in names_in_zip(path) if name.endswith("data.pkl")]
    with zipfile.ZipFile(path).open(pickles[0]) if pickles else path.open("rb") as file:
        try:
            for opcode, argument in _instructions(file, most):
                if opcode in ("GLOBAL", "INST"):
                    wanted.append(str(argument).replace(" ", "."))
                elif opcode == "STACK_GLOBAL":
                    wanted.append(".".join(texts[-2:]))
                elif opcode == "MEMOIZE" or opcode in PUTS:
                    memo[len(memo) if argument is None else int(argument)] = texts[-1] if texts else ""
                elif opcode in ("GET", "BINGET", "LONG_BINGET"):
                    texts.append(memo.get(int(argument), ""))
                elif isinstance(argument, str) and len(argument) < MAX_TEXT:
                    texts.append(argument)
        except Exception:  # noqa: S110, RUF100
            pass  # where it is damaged, or its raw numbers begin: what was found before is what there is to say
    return list(dict.fromkeys(wanted)), set(texts)


def _instructions(file: Any, most: int) -> Iterator[tuple[str, Any]]:
    """The first instructions of pickles that follow each other."""
    done = 0
    while done < most:
        for opcode, argument, _ in pickletools.genops(file):
            yield opcode.name, argument
            done += 1
            if done == most:
                return


def _names(found: re.Match[str]) -> set[str]:
    return set(re.findall(r'"([^"]*)"', f"{found[2] or ''} {found[3] or ''}"))
