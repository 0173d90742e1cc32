"""From settings to the pieces that they name, for the live chain, the offline verbs and the control plane.

Everything the live chain consists of is put together in `plan`, in the order in which pixels flow.
"""

import math
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import Final

from vbgcam.background import Background, open_background
from vbgcam.camera import Requested, open_source
from vbgcam.core.errors import CameraError, ConfigError
from vbgcam.core.frames import Size
from vbgcam.core.options import LESS, MASK_SETTINGS, PRESETS, Blur, RenderOptions
from vbgcam.core.specs import BackgroundSpec, ModelSpec, SinkSpec, SourceSpec
from vbgcam.live.plan import Network, Plan
from vbgcam.output import open_output
from vbgcam.pixels.convert import color_yuv
from vbgcam.segment import Options, Progress, Segmenter, auto, open_segmenter
from vbgcam.segment.weights import lightest_here
from vbgcam.settings.schema import Settings, data_folder

# Sinks that may vanish and come back.
_DEVICES: Final = ("auto", "virtualcam", "pipewire", "both")
# Seconds that a video's last packets and its index may take.
_FINISH: Final = 60.0


def options(settings: Settings, *, live: bool = False) -> Options:
    model = settings.model
    return Options(
        device=model.device,
        size=None if model.size == "auto" else model.size,
        hard=model.hard,
        mirror=model.mirror,
        sha256=model.sha256,
        folder=data_folder(),
        threads=model.threads,
        live=live,
    )


def render_options(settings: Settings) -> RenderOptions:
    """Everything that decides how a picture is made."""
    mask, show, model = settings.mask, BackgroundSpec.parse(settings.background.show), settings.model
    switched = {
        step: switch == "on" for name, step in MASK_SETTINGS.items() if (switch := getattr(mask, name)) != "preset"
    }
    spec = ModelSpec.parse(model.name)
    # A green screen's light (spill) is in the whole picture, so this goes with `colours` alone, whatever the preset.
    key = color_yuv(spec.color)[1:] if spec.kind == "chroma" and mask.colours != "off" else None
    switched["hard"] = model.hard
    return RenderOptions(
        mask=replace(PRESETS[mask.preset], **switched),
        less=tuple((words, replace(less, **switched)) for words, less in LESS.items()) if mask.preset == "auto" else (),
        blur=Blur(show.strength) if show.kind == "blur" else None,
        plain=show.kind == "none",
        mirror=settings.output.mirror,
        key=key,
        light_wrap=settings.background.light_wrap,
        max_mask_age=mask.max_age_ms / 1000,
        sync=mask.pairing,
    )


def background_opener(settings: Settings) -> Callable[[Size], Background]:
    """Opens what stands behind the person in images and videos, at a given size, with the exact frame of each time.
    That raises BackgroundError."""
    spec = BackgroundSpec.parse(settings.background.show)
    return partial(open_background, spec, fit=settings.background.fit, exact=True)


def refuse_truth(settings: Settings) -> None:
    """Raises ConfigError where the network is a clip's kept masks, which tell nothing of any other picture."""
    if ModelSpec.parse(settings.model.name).kind == "truth":
        raise ConfigError(
            f"model {settings.model.name}: kept masks belong to one clip; they are for eval and bench alone"
        )


def wanted(settings: Settings) -> Requested:
    return Requested(Size.parse(settings.camera.size), settings.camera.fps, settings.camera.format)


def plan(settings: Settings, *, waits: bool = False) -> Plan:
    """The pieces of a live run, none opened but the background. `waits`: for what is not there yet, a camera, a virtual
    camera, a network; somebody is there who is told what is missing. Raises CameraError, BackgroundError."""
    source_spec = SourceSpec.parse(settings.camera.source)
    source = open_source(source_spec, wanted(settings))
    try:
        expected = source.expected()
    except CameraError:
        if not waits or source_spec.kind != "camera":
            raise
        expected = None
    asked = settings.output.size
    if asked != "auto":
        size = Size.parse(asked)
    else:
        size = expected.size.even if expected else Size.parse(settings.camera.size)
    fps = expected.fps if expected else settings.camera.fps
    sink = SinkSpec.parse(settings.output.sink)
    return Plan(
        source=source,
        output=open_output(sink, size, fps),
        background=backdrop(settings, size),
        network=network(settings),
        options=render_options(settings),
        size=size,
        fps=fps,
        retry=source_spec.kind == "camera",
        on_demand=settings.output.on_demand,
        unload_after=settings.model.unload_after_s or math.inf,
        comes_back=source_spec.kind in ("camera", "demo") and sink.kind in _DEVICES,
        waits=waits,
        unread=sink.kind == "null",
        finish=_FINISH if sink.kind == "file" else 0.0,
    )


def backdrop(settings: Settings, size: Size) -> Background:
    """What stands behind in live use. Raises BackgroundError."""
    return open_background(BackgroundSpec.parse(settings.background.show), size, settings.background.fit)


def network(settings: Settings) -> Network:
    """What tells the person from the room in live use."""
    model, asked = ModelSpec.parse(settings.model.name), options(settings, live=True)

    def lighter(progress: Progress) -> Segmenter:
        """Takes the place of a network that fails again and again: the lightest that is here."""
        plain = replace(asked, device="cpu", size=None, sha256="")
        return open_segmenter(ModelSpec.parse(lightest_here(plain) or auto.ELSEWHERE), plain, progress)

    return Network(
        name=str(model),
        build=partial(open_segmenter, model, asked),
        lighter=lighter if model.kind in ("auto", "torchvision", "portrait") else None,
        size_auto=settings.model.size == "auto",
    )
