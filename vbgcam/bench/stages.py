"""Each step between the camera's bytes and the output's write, and the two sums, each measured as one run."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Final

import av
import numpy as np

from vbgcam.bench import naive
from vbgcam.bench.base import Check, Figures
from vbgcam.bench.scene import NETWORK, Scene
from vbgcam.bench.sink import MemorySink
from vbgcam.bench.timing import Work, interleaved
from vbgcam.camera.base import Layout
from vbgcam.camera.unpack import Unpacker, unpacker
from vbgcam.core.frames import U8, Planes, RawFrame, SafeFrame
from vbgcam.core.options import Blur
from vbgcam.mask import finish
from vbgcam.pixels import convert
from vbgcam.render.composer import Behind, Composer

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


@dataclass(frozen=True, slots=True)
class Stage:
    """`naive`: None where there is no other way (the bare decode is there to be compared with)."""

    ours: Work
    naive: Work | None


@contextmanager
def stages(scene: Scene) -> Iterator[dict[str, Stage]]:
    """By the keys of `TITLES`. All belong to one thread, as their buffers do."""
    size, frame = scene.size, scene.frame
    composer = Composer(size)
    # Each stage with buffers of its own: a sum must not find what a step before it has left in the caches.
    sums = Composer(size)
    yuyv, nv12, i420, mjpg, whole_yuyv, whole_mjpg = (
        _unpack(scene, fourcc) for fourcc in ("YUYV", "NV12", "YU12", "MJPG", "YUYV", "MJPG")
    )
    float_mask = naive.mask(scene.probability, size)

    def from_camera(unpack: Callable[[], Planes]) -> SafeFrame:
        raw = RawFrame(unpack(), 0.0)
        convert.small_rgb(raw.planes, NETWORK)
        return sums.compose(raw, finish(scene.probability, raw), scene.behind)

    def naive_from_camera(bgr: U8) -> U8:
        naive.network_input(bgr, NETWORK)
        return naive.blend(bgr, scene.behind_bgr, naive.mask(scene.probability, size))

    def compose(behind: Behind) -> Callable[[], SafeFrame]:
        return lambda: composer.compose(frame, scene.mask, behind)

    with MemorySink() as sink:
        yield {
            "unpack_yuyv": Stage(yuyv, lambda: naive.from_yuyv(scene.yuyv, size)),
            "unpack_nv12": Stage(nv12, lambda: naive.from_nv12(scene.nv12, size)),
            "unpack_i420": Stage(i420, lambda: naive.from_i420(scene.i420, size)),
            "unpack_mjpg": Stage(mjpg, lambda: naive.from_mjpg(scene.mjpg)),
            "decode_mjpg": Stage(_bare_decode(scene.mjpg), None),
            "network_input": Stage(
                lambda: convert.small_rgb(frame.planes, NETWORK), lambda: naive.network_input(scene.bgr, NETWORK)
            ),
            "mask": Stage(lambda: finish(scene.probability, frame), lambda: naive.mask(scene.probability, size)),
            "blend": Stage(compose(scene.behind), lambda: naive.blend(scene.bgr, scene.behind_bgr, float_mask)),
            "blur": Stage(compose(Blur(STRENGTH)), lambda: naive.blur(scene.bgr, float_mask)),
            "write": Stage(
                lambda: sink.write(frame.planes), lambda: sink.write(Planes(size, naive.to_i420(scene.bgr).ravel()))
            ),
            "frame_yuyv": Stage(
                lambda: from_camera(whole_yuyv), lambda: naive_from_camera(naive.from_yuyv(scene.yuyv, size))
            ),
            "frame_mjpg": Stage(
                lambda: from_camera(whole_mjpg), lambda: naive_from_camera(naive.from_mjpg(scene.mjpg))
            ),
        }


def measure(scene: Scene, seconds: float, check: Check) -> Figures:
    """`stages.SIZE` of the figures. `memcpy_ms` is a copy of one I420 frame, the same for all stages."""
    target = np.empty_like(scene.i420)
    with stages(scene) as all_stages:
        works: dict[str, Work] = {"memcpy": lambda: np.copyto(target, scene.i420)}
        for name, stage in all_stages.items():
            works[name] = stage.ours
            if stage.naive is not None:
                works[f"naive {name}"] = stage.naive
        took = interleaved(works, seconds, check)
    figures: Figures = {}
    for name in all_stages:
        ours, other = took[name], took.get(f"naive {name}")
        figures[name] = {
            "ms": ours.ms,
            "cpu_ms": ours.cpu_ms,
            "naive_ms": other.ms if other else None,
            "naive_cpu_ms": other.cpu_ms if other else None,
            "memcpy_ms": took["memcpy"].ms,
            "runs": ours.runs,
        }
    return figures


def _unpack(scene: Scene, fourcc: str) -> Callable[[], Planes]:
    data = {"YUYV": scene.yuyv, "NV12": scene.nv12, "YU12": scene.i420, "MJPG": scene.mjpg}[fourcc]
    stride = scene.size.width * (2 if fourcc == "YUYV" else 1)
    unpack: Unpacker = unpacker(Layout(fourcc, scene.size, stride))

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
