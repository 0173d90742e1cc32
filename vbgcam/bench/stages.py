"""Each step between the camera's bytes and the output's write, the two sums, each measured as one run, and the whole
work of a frame, the network included.

Beside them stand the ways that most projects take (`naive_*`): the frame becomes BGR, and everything happens on whole
BGR frames (uint8, (height, width, 3)), the blend in floats (alphas: float32, (height, width), 0 to 1). Each gives the
same picture as this project's way (the tests hold how nearly), so that the comparison is fair. The blur alone is
another picture: a plain Gaussian of the whole frame, the person included.
"""

import contextlib
import os
import sys
import tempfile
from collections.abc import Callable, Iterator
from functools import partial
from typing import Final

import av
import cv2
import numpy as np
from numpy.typing import NDArray

from vbgcam.bench.base import Check, Figures, Work, interleaved
from vbgcam.bench.scene import NETWORK, Scene, moving, scene, shots
from vbgcam.camera.base import Layout
from vbgcam.camera.unpack import unpacker
from vbgcam.core.frames import U8, Planes, RawFrame, SafeFrame, Size
from vbgcam.core.options import PRESETS, Blur
from vbgcam.mask import Masker, finish
from vbgcam.pixels import convert
from vbgcam.render.composer import Behind, Composer
from vbgcam.segment import Segmenter

F32 = NDArray[np.float32]

_BLURRED: Final = Blur(0.5)
# Frames before the measuring of whole ones, so that the room is known.
_WARM: Final = 60
# As `cv2.VideoCapture` converts before it hands a frame over.
_CONVERSIONS: Final = {
    "YUYV": cv2.COLOR_YUV2BGR_YUYV,
    "NV12": cv2.COLOR_YUV2BGR_NV12,
    "YU12": cv2.COLOR_YUV2BGR_I420,
}

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


@contextlib.contextmanager
def memory() -> Iterator[Callable[[Planes], None]]:
    """Writes a frame to memory of the kernel's, one frame large and always the same. That copies it once, as a write to
    v4l2loopback does, and needs no module, device or rights. Elsewhere than on Linux, to a temporary file."""
    linux = sys.platform == "linux"
    with open(os.memfd_create("vbgcam-bench"), "w+b", 0) if linux else tempfile.TemporaryFile(buffering=0) as file:  # noqa: PTH123  # a descriptor has no path

        def write(planes: Planes) -> None:
            file.seek(0)
            file.write(planes.data.data)

        yield write


@contextlib.contextmanager
def stages(prepared: Scene) -> Iterator[dict[str, tuple[Work, Work | None]]]:
    """Our way and the naive one, by the keys of `TITLES`; None where there is no other way (the bare decode is there to
    be compared with). All belong to one thread, as their buffers do."""
    frame, size, bgr, data = prepared.frame, prepared.frame.size, prepared.bgr, prepared.data
    composer = Composer(size)
    # Each stage with buffers of its own: a sum must not find what a step before it has left in the caches.
    sums = Composer(size)
    float_mask = naive_mask(prepared.probability, size)
    decoder, packet = av.CodecContext.create("mjpeg", "r"), data["MJPG"].tobytes()
    decoder.thread_count = 1

    def whole(fourcc: str) -> Work:
        unpack = _unpack(fourcc, data[fourcc], size)

        def work() -> SafeFrame:
            planes = unpack()
            assert planes is not None, "the scene's bytes are whole"
            raw = RawFrame(planes, 0.0)
            convert.small_rgb(raw.planes, NETWORK)
            return sums.compose(raw, finish(prepared.probability, raw), prepared.behind)

        return work

    def naive_whole(fourcc: str) -> U8:
        seen = naive_unpack(fourcc, data[fourcc], size)
        naive_input(seen, NETWORK)
        return naive_blend(seen, prepared.behind_bgr, naive_mask(prepared.probability, size))

    def both_unpack(fourcc: str) -> tuple[Work, Work]:
        return _unpack(fourcc, data[fourcc], size), lambda: naive_unpack(fourcc, data[fourcc], size)

    with memory() as write:
        yield {
            "unpack_yuyv": both_unpack("YUYV"),
            "unpack_nv12": both_unpack("NV12"),
            "unpack_i420": both_unpack("YU12"),
            "unpack_mjpg": both_unpack("MJPG"),
            "decode_mjpg": (lambda: decoder.decode(av.Packet(packet)), None),
            "network_input": (
                lambda: convert.small_rgb(frame.planes, NETWORK),
                lambda: naive_input(bgr, NETWORK),
            ),
            "mask": (lambda: finish(prepared.probability, frame), lambda: naive_mask(prepared.probability, size)),
            "blend": (
                lambda: composer.compose(frame, prepared.mask, prepared.behind),
                lambda: naive_blend(bgr, prepared.behind_bgr, float_mask),
            ),
            "blur": (
                lambda: composer.compose(frame, prepared.mask, _BLURRED),
                lambda: naive_blend(bgr, np.asarray(cv2.GaussianBlur(bgr, (55, 55), 0), np.uint8), float_mask),
            ),
            "write": (
                lambda: write(frame.planes),
                lambda: write(Planes(size, np.asarray(cv2.cvtColor(bgr, cv2.COLOR_BGR2YUV_I420), np.uint8).ravel())),
            ),
            "frame_yuyv": (whole("YUYV"), lambda: naive_whole("YUYV")),
            "frame_mjpg": (whole("MJPG"), lambda: naive_whole("MJPG")),
        }


def measure(size: Size, seconds: float, check: Check) -> Figures:
    """`stages.SIZE` of the figures. `memcpy_ms` is a copy of one I420 frame, the same for all stages."""
    prepared = scene(size)
    block = prepared.frame.planes.data
    target = np.empty_like(block)
    works: dict[str, Work] = {"memcpy": lambda: np.copyto(target, block)}
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


def measure_whole(network: Callable[[], Segmenter], size: Size, seconds: float, check: Check) -> Figures:
    """`frame.SIZE` of the figures: planes in memory, the network's input, the network, the mask, the blend, the written
    frame. Before a picture and before the room out of focus with the network's bare masks, and before the picture with
    all that `balanced` does to them, on the moving presenter, which these steps need. Raises ModelError."""
    prepared = scene(size)
    with memory() as write, contextlib.closing(network()) as segmenter:

        def bare(behind: Behind) -> Work:
            composer = Composer(size)

            def work() -> None:
                mask = finish(segmenter.probability(prepared.frame), prepared.frame)
                write(composer.compose(prepared.frame, mask, behind).planes)

            return work

        masker, composer, film = Masker(segmenter, PRESETS["balanced"]), Composer(size), moving(shots(size))

        def balanced() -> None:
            frame, _alpha = next(film)
            write(composer.compose(frame, masker.mask(frame), prepared.behind).planes)

        for _ in range(_WARM):
            check()
            balanced()
        works = {"image": bare(prepared.behind), "blur": bare(_BLURRED), "balanced": balanced}
        took = interleaved(works, seconds, check)
        return {**took, "model": segmenter.name, "input": str(segmenter.input or "")}


def naive_unpack(fourcc: str, data: U8, size: Size) -> U8:
    """A camera's bytes as BGR."""
    if fourcc == "MJPG":
        return np.asarray(cv2.imdecode(data, cv2.IMREAD_COLOR), np.uint8)
    shape = (size.height, size.width, 2) if fourcc == "YUYV" else (-1, size.width)
    return np.asarray(cv2.cvtColor(data.reshape(shape), _CONVERSIONS[fourcc]), np.uint8)


def naive_input(bgr: U8, size: Size) -> F32:
    """RGB, 0 to 1, (size.height, size.width, 3): the whole frame to RGB, to floats, then smaller."""
    rgb = cv2.cvtColor(bgr, cv2.COLOR_BGR2RGB).astype(np.float32) / np.float32(255)
    return np.asarray(cv2.resize(rgb, (size.width, size.height), interpolation=cv2.INTER_AREA), np.float32)


def naive_mask(probability: F32, size: Size) -> F32:
    """The network's answer at the frame's size."""
    return np.clip(np.asarray(cv2.resize(probability, (size.width, size.height)), np.float32), 0, 1)


def naive_blend(front: U8, behind: U8, alpha: F32) -> U8:
    """The person in front of a picture."""
    three = alpha[..., None]
    mixed = three * front.astype(np.float32) + (1 - three) * behind.astype(np.float32)
    return mixed.astype(np.uint8)


def _unpack(fourcc: str, data: U8, size: Size) -> Callable[[], Planes | None]:
    return partial(unpacker(Layout(fourcc, size, size.width * (2 if fourcc == "YUYV" else 1))).planes, data)
