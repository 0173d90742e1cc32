"""The verbs `image` and `video`."""

from __future__ import annotations

import logging
import time
from argparse import Namespace
from typing import Final

from vbgcam import factory
from vbgcam.cli.arguments import loaded_segmenter, settings_of
from vbgcam.cli.signals import INTERRUPTED, Interruption, Verb
from vbgcam.cli.terminal import progress, say
from vbgcam.core.errors import ConfigError

log = logging.getLogger(__name__)


def video(arguments: Namespace, interruption: Interruption) -> int:
    """Replaces the background of a video, by the same steps as live."""
    from vbgcam.media.video_reader import VideoReader
    from vbgcam.offline.videos import convert

    if arguments.output is None and arguments.mask_out is None:
        raise ConfigError("video: nothing to make; give -o OUT.mp4, --mask-out FILE.mkv, or both")
    settings = settings_of(arguments)
    options = factory.render_options(settings)
    needed = not options.plain or arguments.mask_out is not None
    with (
        VideoReader(arguments.input) as source,  # what cannot be read is said before a network is loaded for it
        loaded_segmenter(settings, interruption, needed) as segmenter,
        progress(arguments.input.name) as show,
    ):
        started = time.monotonic()

        def report(frames: int, count: int | None, seconds: float) -> None:
            took = max(1e-9, time.monotonic() - started)
            show(frames, count, f"{frames / took:.0f} frames a second, {seconds / took:.1f} x real time")

        result = convert(
            source,
            arguments.output,
            segmenter,
            options,
            factory.background_opener(settings),
            height=arguments.height,
            mask_out=arguments.mask_out,
            progress=report,
            stop=interruption.is_set,
        )
    if result is None:
        return INTERRUPTED
    made = " and ".join(str(path) for path in (arguments.output, arguments.mask_out) if path is not None)
    rate = result.frames / result.seconds
    say(f"{made}: {result.frames} frames, {result.size}, {result.seconds:.1f} s ({rate:.0f} frames a second)")
    return 0


def image(arguments: Namespace, interruption: Interruption) -> int:
    """Replaces the background of images, by the same steps as live."""
    from vbgcam.offline.images import ImageResult, convert

    if arguments.output is None and arguments.mask_out is None and arguments.cutout is None:
        raise ConfigError("image: nothing to make; give -o OUT, --mask-out FILE, --cutout FILE, or several of them")
    settings = settings_of(arguments)
    options = factory.render_options(settings)
    needed = not options.plain or arguments.mask_out is not None or arguments.cutout is not None
    with loaded_segmenter(settings, interruption, needed) as segmenter, progress("pictures") as show:

        def report(result: ImageResult, number: int, count: int) -> None:
            show(number, count, result.source.name)
            if result.error is not None:
                log.error("%s", result.error)

        results = convert(
            arguments.inputs,
            arguments.output,
            segmenter,
            options,
            factory.background_opener(settings),
            mask_out=arguments.mask_out,
            cutout=arguments.cutout,
            progress=report,
            stop=interruption.is_set,
        )
    for result in results:
        if result.written:
            say(f"{result.source}: {', '.join(str(path) for path in result.written)}")
    if interruption.is_set():
        return INTERRUPTED
    return 1 if any(result.error is not None for result in results) else 0


VERBS: Final[dict[str, Verb]] = {"image": image, "video": video}
