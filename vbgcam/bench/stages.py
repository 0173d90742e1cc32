"""Each step between the camera's bytes and the output's write, and the two sums, each measured as one run."""

import os
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Final

import av
import numpy as np

from vbgcam.bench import naive
from vbgcam.bench.base import Check, Figures
from vbgcam.bench.scene import NETWORK, Scene, scene
from vbgcam.bench.timing import Work, interleaved
from vbgcam.camera.base import Layout
from vbgcam.camera.unpack import unpacker
from vbgcam.core.frames import U8, Planes, RawFrame, SafeFrame, Size
from vbgcam.core.options import Blur
from vbgcam.mask import finish
from vbgcam.pixels import convert
from vbgcam.render.composer import Composer

STRENGTH: Final = 0.5

TITLES: Final = {
    "unpack_yuyv": "YUYV to planes",
    "unpack_nv12": "NV12 to planes",
    "unpack_i420": "I420 to planes",
    "unpack_mjpg": "MJPG to planes",
    "decode_mjpg": "bare MJPG decode (PyAV)",
    "network_input": "network input 256x256",
    "mask": "mask from 256x256",
    "blend": "blend with a picture",
    "blur": "blur and blend",
    "write": "write to the output",
    "frame_yuyv": "frame from YUYV",
    "frame_mjpg": "frame from MJPG",
}
"""The stages' keys, in order, and their words for people. The two frames are everything between the camera's bytes and
the output's write, with a picture behind and without the network."""


@contextmanager
def memory() -> Iterator[Callable[[Planes], None]]:
    """Writes a frame to memory of the kernel's, one frame large and always the same. That copies it once, as a write to
    v4l2loopback does, and needs no module, device or rights. Elsewhere than on Linux, to a temporary file."""
    linux = sys.platform == "linux"
    with open(os.memfd_create("vbgcam-bench"), "w+b", 0) if linux else tempfile.TemporaryFile(buffering=0) as file:  # noqa: PTH123  # a descriptor has no path

        def write(planes: Planes) -> None:
            file.seek(0)
            file.write(planes.data.data)

        yield write


@contextmanager
def stages(prepared: Scene) -> Iterator[dict[str, tuple[Work, Work | None]]]:
    """Our way and the naive one, by the keys of `TITLES`; None where there is no other way (the bare decode is there to
    be compared with). All belong to one thread, as their buffers do."""
    size, frame = prepared.size, prepared.frame
    composer = Composer(size)
    # Each stage with buffers of its own: a sum must not find what a step before it has left in the caches.
    sums = Composer(size)
    float_mask = naive.mask(prepared.probability, size)
    data = {"YUYV": prepared.yuyv, "NV12": prepared.nv12, "YU12": prepared.i420, "MJPG": prepared.mjpg}

    def whole(fourcc: str) -> Work:
        unpack = _unpack(fourcc, data[fourcc], size)

        def work() -> SafeFrame:
            raw = RawFrame(unpack(), 0.0)
            convert.small_rgb(raw.planes, NETWORK)
            return sums.compose(raw, finish(prepared.probability, raw), prepared.behind)

        return work

    def naive_whole(fourcc: str) -> U8:
        bgr = naive.unpack(fourcc, data[fourcc], size)
        naive.network_input(bgr, NETWORK)
        return naive.blend(bgr, prepared.behind_bgr, naive.mask(prepared.probability, size))

    def both_unpack(fourcc: str) -> tuple[Work, Work]:
        return _unpack(fourcc, data[fourcc], size), lambda: naive.unpack(fourcc, data[fourcc], size)

    with memory() as write:
        yield {
            "unpack_yuyv": both_unpack("YUYV"),
            "unpack_nv12": both_unpack("NV12"),
            "unpack_i420": both_unpack("YU12"),
            "unpack_mjpg": both_unpack("MJPG"),
            "decode_mjpg": (_bare_decode(prepared.mjpg), None),
            "network_input": (
                lambda: convert.small_rgb(frame.planes, NETWORK),
                lambda: naive.network_input(prepared.bgr, NETWORK),
            ),
            "mask": (lambda: finish(prepared.probability, frame), lambda: naive.mask(prepared.probability, size)),
            "blend": (
                lambda: composer.compose(frame, prepared.mask, prepared.behind),
                lambda: naive.blend(prepared.bgr, prepared.behind_bgr, float_mask),
            ),
            "blur": (
                lambda: composer.compose(frame, prepared.mask, Blur(STRENGTH)),
                lambda: naive.blur(prepared.bgr, float_mask),
            ),
            "write": (
                lambda: write(frame.planes),
                lambda: write(Planes(size, naive.to_i420(prepared.bgr).ravel())),
            ),
            "frame_yuyv": (whole("YUYV"), lambda: naive_whole("YUYV")),
            "frame_mjpg": (whole("MJPG"), lambda: naive_whole("MJPG")),
        }


def measure(size: Size, seconds: float, check: Check) -> Figures:
    """`stages.SIZE` of the figures. `memcpy_ms` is a copy of one I420 frame, the same for all stages."""
    prepared = scene(size)
    target = np.empty_like(prepared.i420)
    works: dict[str, Work] = {"memcpy": lambda: np.copyto(target, prepared.i420)}
    with stages(prepared) as all_stages:
        for name, (ours, other) in all_stages.items():
            works[name] = ours
            if other is not None:
                works[f"naive {name}"] = other
        took = interleaved(works, seconds, check)
    figures: Figures = {}
    for name in TITLES:
        slow = took.get(f"naive {name}", {})
        figures[name] = {
            **took[name],
            "naive_ms": slow.get("ms"),
            "naive_cpu_ms": slow.get("cpu_ms"),
            "memcpy_ms": took["memcpy"]["ms"],
        }
    return figures


def _unpack(fourcc: str, data: U8, size: Size) -> Callable[[], Planes]:
    unpack = unpacker(Layout(fourcc, size, size.width * (2 if fourcc == "YUYV" else 1)))

    def planes() -> Planes:
        made = unpack.planes(data)
        assert made is not None, "the scene's bytes are whole"
        return made

    return planes


def _bare_decode(data: U8) -> Work:
    decoder = av.CodecContext.create("mjpeg", "r")
    decoder.thread_count = 1
    packet = data.tobytes()
    return lambda: decoder.decode(av.Packet(packet))
