"""What the parent and a decoding worker send each other: requests, and arrays without a copy.

Messages are pickles of protocol 5 whose arrays follow as they are in memory. A worker reads files of strangers, so its
messages may name nothing but arrays and the few classes below: no message can make the parent call anything.
"""

import io
import pickle
import socket
import struct
from typing import Any

COUNT = struct.Struct("<Q")
ADMITTED = {
    "numpy.dtype",
    "numpy.ndarray",
    "numpy._core.multiarray._reconstruct",
    "numpy._core.numeric._frombuffer",
    "pathlib.PosixPath",
    "pathlib._local.PosixPath",  # Python 3.13
    "pipeline.video.frame_sampling.FramesRequest",
    "pipeline.video.frame_sampling.SampledFrames",
    "pipeline.video.interval.Interval",
    "pipeline.video.windows.WindowFrames",
    "pipeline.video.windows.WindowRequest",
}


def send(channel: socket.socket, thing: Any) -> None:
    """Send numbers, texts, containers, arrays, and what else is admitted."""
    buffers: list[pickle.PickleBuffer] = []
    head = pickle.dumps(thing, protocol=5, buffer_callback=buffers.append)
    parts = [memoryview(head), *(buffer.raw() for buffer in buffers)]
    channel.sendall(b"".join(COUNT.pack(number) for number in (len(parts), *(part.nbytes for part in parts))))
    for part in parts:
        channel.sendall(part)


def receive(channel: socket.socket) -> Any:
    """Wait for what is sent; arrays can be written to.

    Raises:
        EOFError: the other end is closed.
        pickle.UnpicklingError: the message names what is not admitted.
    """
    (num_parts,) = COUNT.unpack(_read(channel, COUNT.size))
    sizes = [COUNT.unpack(_read(channel, COUNT.size))[0] for _ in range(num_parts)]
    head, *buffers = [_read(channel, size) for size in sizes]
    return _Messages(io.BytesIO(head), buffers=buffers).load()


class _Messages(pickle.Unpickler):
    def find_class(self, module: str, name: str) -> Any:
        if f"{module}.{name}" not in ADMITTED:
            raise pickle.UnpicklingError(f"a message between decoding processes names {module}.{name}")
        return super().find_class(module, name)


def _read(channel: socket.socket, size: int) -> bytearray:
    data = bytearray(size)
    rest = memoryview(data)
    while rest:
        count = channel.recv_into(rest)
        if count == 0:
            raise EOFError
        rest = rest[count:]
    return data
