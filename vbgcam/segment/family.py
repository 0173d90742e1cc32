"""torchvision's six segmentation networks as one segmenter: which of them, on which machine, at which input.

torch itself is imported only where it is needed: on a GPU, and on a CPU once, to convert a network (see `converted`).
"""

from __future__ import annotations

import importlib.util
import logging
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Final, Self

from vbgcam.core.errors import ModelError
from vbgcam.core.frames import RawFrame, Size
from vbgcam.pixels.convert import small_rgb
from vbgcam.segment import base
from vbgcam.segment.base import LADDER, LIVE_START, Options, Probability, Progress, Segmenter
from vbgcam.segment.engines import devices
from vbgcam.segment.engines.base import Engine, OutOfMemory, one_line
from vbgcam.segment.engines.devices import Place
from vbgcam.segment.weights import ensure, weights_file

if TYPE_CHECKING:
    import openvino

    from vbgcam.segment.torchvision import Person

log = logging.getLogger(__name__)

PRESET: Final = LADDER[-1]

LONGEST: Final = 4
"""Times the short side, the longest side that is given to a network: memory and work grow with it, and a picture may be
10,000 pixels wide and 10 high."""


class TorchvisionSegmenter(Segmenter):
    """One of the six. See `vbgcam.segment.Segmenter`.

    Where an engine has no memory for an input, the next smaller one of the ladder is taken; where there is none, or the
    GPU is lost, the CPU goes on. Each is said aloud once."""

    name = ""
    input: Size | None = None
    recurrent = False
    croppable = True
    any_aspect = False
    exact = False

    def __init__(self, name: str, engine: Engine, on_cpu: Callable[[], Engine], size: int) -> None:
        """`on_cpu` builds the engine to fall back to. `size`: the short side of the input to begin with."""
        self.name = name
        self._engine = engine
        self._on_cpu = on_cpu
        self._size = size
        self._largest = PRESET
        # The last picture of each shape: whole frames, and the square parts that a crop gives.
        self._pictures: dict[bool, Size] = {}

    @property
    def device(self) -> str:
        """The engine's."""
        return self._engine.device

    @property
    def precision(self) -> str:
        """The engine's."""
        return self._engine.precision

    @classmethod
    def load(cls, name: str, options: Options, progress: Progress | None = None) -> Self:
        """`name`: one of the six. Fetches the weights where they are not here yet (`weights.ensure`). Raises
        ModelError."""
        place = devices.for_torchvision(options.device)
        if importlib.util.find_spec("torch") is None and not weights_file(name, options).path.exists():
            raise _without_torch(name, "is not installed")  # before 200 MB are fetched in vain
        path = ensure(name, options, progress)
        threads = options.threads or default_threads(name, live=options.live)

        def build(place: Place) -> Engine:
            return engine(name, path, place, hard=options.hard, threads=threads)

        built = build(place)
        size = options.size or PRESET
        if options.size is None and options.live:
            size = LIVE_START["cpu" if place.name == "cpu" else "gpu"]
        log.info("%s on %s in %s: input %d, %d CPU threads", name, built.device, built.precision, size, threads)
        return cls(name, built, lambda: build(devices.CPU), size)

    def probability(self, frame: RawFrame) -> Probability:
        """The person's, at the network's input size. With `hard` 1 where the person's class is the largest, else 0."""
        while True:
            self._pictures[frame.size.width == frame.size.height] = frame.size
            self.input = input_size(frame.size, self._size)
            try:
                return self._engine.run(small_rgb(frame.planes, self.input))
            except OutOfMemory as exc:
                self._give_way(exc)
            except ModelError as exc:
                if not self._engine.lost:
                    raise
                self._to_cpu(exc)

    def sizes(self, frame: Size) -> tuple[int, ...]:
        """The ladder, as far as the frame and the memory go."""
        low = min(frame.width, frame.height)
        return tuple(size for size in LADDER if size <= min(low, self._largest)) or (min(low, LADDER[0]),)

    def prepare(self, size: int) -> None:
        """For the shapes of picture that came so far."""
        for picture in self._pictures.copy().values():  # before the first frame nobody knows its shape
            self._engine.prepare(input_size(picture, size))

    def resize(self, size: int) -> None:
        """From the next picture on."""
        self._size = size

    def reset(self) -> None:
        """Each frame stands for itself."""

    def close(self) -> None:
        """Gives the memory back, on the GPU too."""
        self._engine.close()

    def _give_way(self, exc: OutOfMemory) -> None:
        smaller = [size for size in LADDER if size < self._size]
        if smaller:
            log.warning("%s; going on with %d instead of %d", exc.message, smaller[-1], self._size)
            self._size = self._largest = smaller[-1]
        elif self.device != "cpu":
            self._to_cpu(exc)
        else:
            raise exc

    def _to_cpu(self, exc: ModelError) -> None:
        log.warning("%s; going on with the CPU, which is slower", exc.message)
        self._engine.close()
        self._engine = self._on_cpu()
        self._size = min(self._size, LIVE_START["cpu"])


def engine(name: str, path: Path, place: Place, *, hard: bool = False, threads: int = 1) -> Engine:
    """The network with the weights of that file, whose hash is right. Raises ModelError."""
    if place.engine == "openvino":
        try:
            from vbgcam.segment.converted import load, split_for_bf16
            from vbgcam.segment.engines.openvino import OpenVinoEngine
        except ImportError as exc:
            log.info("without OpenVINO (%s) the network runs with torch, which is slower", exc)
        else:

            def convert() -> openvino.Model:
                try:
                    from vbgcam.segment.torchvision import converted, person
                except ImportError as exc:  # the Debian package's set-up may leave it out
                    raise _without_torch(name, f"cannot be imported: {one_line(exc)}") from exc
                return converted(person(name, path, hard=hard))

            folder = base.networks_folder()

            def elsewhere() -> None:
                log.info("converting %s for this machine, once", name)
                module = "vbgcam.segment.converted"
                command = [sys.executable, "-P", "-m", module, name, str(path), "hard" if hard else "soft", str(folder)]
                # What goes wrong there goes wrong here again, where it is told.
                quiet = subprocess.DEVNULL
                subprocess.run(command, stdin=quiet, stdout=quiet, stderr=quiet, check=False)

            model = load(path, hard, folder, convert, elsewhere)
            return OpenVinoEngine(model, threads, hard=hard, where=place.where, split=split_for_bf16)
    from vbgcam.segment.torchvision import person

    return torch_engine(person(name, path, hard=hard), place.where, threads)


def _without_torch(name: str, why: str) -> ModelError:
    return ModelError(
        f"{name} is made ready with torch, which {why}",
        fix="`vbgcam doctor` says how it is installed; selfie, chroma, plate and onnx:FILE do without",
    )


def torch_engine(person: Person, where: str, threads: int) -> Engine:
    """torch's engine for "cuda:0", "mps" or "CPU". Raises ModelError."""
    import torch

    if where.startswith("cuda"):
        from vbgcam.segment.engines.torch_cuda import CudaEngine

        return CudaEngine(person, torch.device(where))
    from vbgcam.segment.engines.torch_eager import EagerEngine

    return EagerEngine(person, where.lower(), threads)


def input_size(frame: Size, short: int) -> Size:
    """What torchvision's resize to `short` makes of a frame of that size: the short side is `short`, the long one
    int(short * long / short side). A picture longer than `LONGEST` times its width keeps its shape, with less on its
    short side."""
    low, high = sorted((frame.width, frame.height))
    long = int(short * high / low)
    if long > LONGEST * short:
        long = LONGEST * short
        short = max(1, round(long * low / high))
    return Size(long, short) if frame.width > frame.height else Size(short, long)


def default_threads(name: str, *, live: bool = False, cores: int | None = None) -> int:
    """All cores but one from three on. In a live picture a MobileNet gets half of them and 4 at most: its masks come in
    time with one (LRASPP at 256x256: 16 ms, with two threads 12), for two thirds of the processor's time."""
    cores = cores or cpu_cores()
    if live and "mobilenet" in name:
        return max(1, min(4, cores // 2))
    return cores - 1 if cores > 2 else cores


def cpu_cores() -> int:
    """Those that this process may use."""
    return len(os.sched_getaffinity(0)) if sys.platform == "linux" else os.cpu_count() or 1
