"""PipeWire's client library by its C interface, as far as a camera needs it: no other binding for Python has video.

The structures are those of libpipewire-0.3, whose interface has been kept since 2020. The tests run on Debian 12's
0.3.65; all of them were tried on 1.4.2 with WirePlumber 0.5.8 as well. The library is loaded when it is first asked
for. Each call gives the interpreter's lock away for as long as it lasts.
"""

import ctypes as c
import functools
import os
from collections.abc import Sequence
from typing import Any, Final

from vbgcam.core.errors import OutputError
from vbgcam.system import linux_packages

ANY: Final = 0xFFFFFFFF
DIRECTION_OUTPUT: Final = 1
MAP_BUFFERS, DRIVER = 1 << 2, 1 << 3
"""Flags of a stream: the buffers are mapped for us; we say when a picture is there."""
CORRUPTED: Final = 1
"""A chunk's flag: readers leave the picture out."""

ERROR, UNCONNECTED, CONNECTING, PAUSED, STREAMING = -1, 0, 1, 2, 3
"""A stream's states."""


class Chunk(c.Structure):
    """Where a picture lies in its block."""

    _fields_ = (("offset", c.c_uint32), ("size", c.c_uint32), ("stride", c.c_int32), ("flags", c.c_int32))


class Data(c.Structure):
    """A block of a buffer's memory; `data`: where it is mapped. `memory`: its type, flags, descriptor and offset."""

    _fields_ = (
        ("memory", c.c_uint32 * 5),
        ("maxsize", c.c_uint32),
        ("data", c.c_void_p),
        ("chunk", c.POINTER(Chunk)),
    )


class Meta(c.Structure):
    """What comes with a buffer, at `data`."""

    _fields_ = (("type", c.c_uint32), ("size", c.c_uint32), ("data", c.c_void_p))


class SpaBuffer(c.Structure):
    """A buffer's blocks and what comes with them."""

    _fields_ = (
        ("n_metas", c.c_uint32),
        ("n_datas", c.c_uint32),
        ("metas", c.POINTER(Meta)),
        ("datas", c.POINTER(Data)),
    )


class Buffer(c.Structure):
    """The library appends fields from version to version; it allocates them itself."""

    _fields_ = (("buffer", c.POINTER(SpaBuffer)),)


StateChanged = c.CFUNCTYPE(None, c.c_void_p, c.c_int, c.c_int, c.c_char_p)
ParamChanged = c.CFUNCTYPE(None, c.c_void_p, c.c_uint32, c.c_void_p)
BufferChanged = c.CFUNCTYPE(None, c.c_void_p, c.POINTER(Buffer))


class Events(c.Structure):
    """What a stream calls back for; None where nobody listens."""

    _fields_ = (
        ("version", c.c_uint32),
        ("destroy", c.c_void_p),
        ("state_changed", StateChanged),
        ("control_info_and_io_changed", c.c_void_p * 2),
        ("param_changed", ParamChanged),
        ("add_buffer", BufferChanged),
        ("remove_buffer", BufferChanged),
        ("process_drained_command_and_trigger_done", c.c_void_p * 4),
    )
    VERSION: Final = 2


_Pods = c.POINTER(c.c_void_p)
_CALLS: Final[dict[str, tuple[Any, tuple[Any, ...]]]] = {
    "pw_init": (None, (c.c_void_p, c.c_void_p)),
    "pw_log_set_level": (None, (c.c_int,)),
    "pw_thread_loop_new": (c.c_void_p, (c.c_char_p, c.c_void_p)),
    "pw_thread_loop_get_loop": (c.c_void_p, (c.c_void_p,)),
    "pw_thread_loop_start": (c.c_int, (c.c_void_p,)),
    "pw_thread_loop_stop": (None, (c.c_void_p,)),
    "pw_thread_loop_destroy": (None, (c.c_void_p,)),
    "pw_thread_loop_lock": (None, (c.c_void_p,)),
    "pw_thread_loop_unlock": (None, (c.c_void_p,)),
    "pw_properties_new": (c.c_void_p, (c.c_char_p,)),
    "pw_properties_set": (c.c_int, (c.c_void_p, c.c_char_p, c.c_char_p)),
    "pw_stream_new_simple": (c.c_void_p, (c.c_void_p, c.c_char_p, c.c_void_p, c.POINTER(Events), c.c_void_p)),
    "pw_stream_connect": (c.c_int, (c.c_void_p, c.c_int, c.c_uint32, c.c_uint32, _Pods, c.c_uint32)),
    "pw_stream_update_params": (c.c_int, (c.c_void_p, _Pods, c.c_uint32)),
    "pw_stream_dequeue_buffer": (c.POINTER(Buffer), (c.c_void_p,)),
    "pw_stream_queue_buffer": (c.c_int, (c.c_void_p, c.POINTER(Buffer))),
    "pw_stream_trigger_process": (c.c_int, (c.c_void_p,)),
    "pw_stream_destroy": (None, (c.c_void_p,)),
}


@functools.cache
def load() -> Any:
    """The library, ready to be used. Raises OutputError."""
    try:
        library = c.CDLL("libpipewire-0.3.so.0")
        for name, (result, arguments) in _CALLS.items():
            function = getattr(library, name)
            function.restype, function.argtypes = result, arguments
    except (OSError, AttributeError) as exc:
        raise OutputError("PipeWire is not installed", fix=linux_packages.install("pipewire wireplumber")) from exc
    library.pw_init(None, None)
    if "PIPEWIRE_DEBUG" not in os.environ:
        # Each restart of PipeWire would put lines of the library's on a person's terminal.
        library.pw_log_set_level(0)
    return library


def meta(buffer: SpaBuffer, kind: int, size: int) -> int | None:
    """Where the buffer has `size` bytes of that kind; None where it has none such."""
    for item in buffer.metas[: buffer.n_metas]:
        if item.type == kind and item.data and item.size >= size:
            return int(item.data)
    return None


def pods(said: Sequence[bytes]) -> tuple[Any, int]:
    """The two arguments that a call takes for its pods. The first keeps what it points at."""
    # At an address that 8 divides, as is asked of pods.
    kept = [(c.c_uint64 * (len(pod) // 8)).from_buffer_copy(pod) for pod in said]
    array = (c.c_void_p * len(kept))(*map(c.addressof, kept))
    array.kept = kept  # type: ignore[attr-defined]
    return array, len(kept)


def pod_at(address: int) -> bytes:
    """A pod that the library points at. Raises ValueError where it is longer than any format, which has 500 bytes."""
    length = c.c_uint32.from_address(address).value
    if length > 1 << 16:
        raise ValueError(f"a pod of {length} bytes")
    return c.string_at(address, 8 + length)
