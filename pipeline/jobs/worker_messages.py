"""Messages between the parent and a decoding worker: requests and outcomes, with arrays that are not copied.

A message is a pickle of protocol 5, followed by its arrays as they are in memory. A worker reads files of strangers, so
its messages may name nothing but arrays and the few classes in `ADMITTED`: no message can make the parent call anything
else.
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
    "pipeline.video.clip_encoding.ClipRequest",
    "pipeline.video.clip_encoding.EncodedClip",
    "pipeline.video.frame_files.FrameFiles",
    "pipeline.video.frame_sampling.FramesRequest",
    "pipeline.video.frame_sampling.SampledFrames",
    "pipeline.video.interval.Interval",
    "pipeline.video.windows.WindowFrames",
    "pipeline.video.windows.WindowRequest",
}


def send(channel: socket.socket, thing: Any) -> None:
    """Send numbers, texts, containers, arrays, or objects of the classes in `ADMITTED`."""
    buffers: list[pickle.PickleBuffer] = []
    head = pickle.dumps(thing, protocol=5, buffer_callback=buffers.append)
    parts = [memoryview(head), *(buffer.raw() for buffer in buffers)]
    channel.sendall(b"".join(COUNT.pack(number) for number in (len(parts), *(part.nbytes for part in parts))))
    for part in parts:
        channel.sendall(part)


def receive(channel: socket.socket) -> Any:
    """Wait for a message and return what it holds. Its arrays can be written to.

    Raises:
        EOFError: if the other end is closed.
        pickle.UnpicklingError: if the message names something that is not in `ADMITTED`.
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
