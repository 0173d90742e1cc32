"""What a session is made of, before any of it runs."""

import math
from collections.abc import Callable
from dataclasses import dataclass

from vbgcam.background import Background
from vbgcam.camera import Source
from vbgcam.core.frames import Size
from vbgcam.core.options import RenderOptions
from vbgcam.output import Output
from vbgcam.segment import Progress, Segmenter


@dataclass(frozen=True, slots=True)
class Network:
    """What is to be built. `size_auto`: the size of its input follows what the machine can do. `lighter`: builds
    another network where this one fails again and again."""

    name: str
    build: Callable[[Progress], Segmenter]
    lighter: Callable[[Progress], Segmenter] | None = None
    size_auto: bool = False


@dataclass(frozen=True, slots=True)
class Plan:
    """What a session is made of. `network` is built by the inference worker, since that imports torch. `retry`: a
    source that comes back (a camera) is opened again. `on_demand`: the source is open only while somebody reads the
    output, where that can be told; after `unload_after` seconds without, the network's memory is given back.
    `comes_back`: an output that vanishes (a device) is opened again. `waits`: such an output need not be there at the
    start, and a network that cannot be had keeps the cover on air until another one is chosen. `unread`: nobody can
    read the output, and covers go out seldom while the camera is off. `finish`: seconds that the output may take to
    close; a video's last packets and its index take longer than a device's release."""

    source: Source
    output: Output
    background: Background
    network: Network
    options: RenderOptions
    size: Size
    fps: float
    retry: bool = True
    on_demand: bool = False
    unload_after: float = math.inf
    comes_back: bool = False
    waits: bool = False
    unread: bool = False
    finish: float = 0.0

    @property
    def clocked(self) -> bool:
        """Whether the source does not wait for its reader; see `camera.Source`."""
        return self.source.clocked
