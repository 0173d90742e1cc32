"""The verbs `image` and `video`."""

from __future__ import annotations

import logging
import time
from argparse import Namespace
from collections.abc import Callable
from typing import Final

from vbgcam import factory
from vbgcam.cli.arguments import loaded_segmenter, settings_of
from vbgcam.cli.signals import INTERRUPTED, Interruption
from vbgcam.cli.terminal import progress, say
from vbgcam.core.errors import ConfigError

log = logging.getLogger(__name__)


def video(arguments: Namespace, interruption: Interruption) -> int:
    """A film through the same steps as the live picture."""
    from vbgcam.media.video_reader import VideoReader
    from vbgcam.offline.videos import convert

    if arguments.output is None and arguments.mask_out is None:
        raise ConfigError("video: nothing to make; give -o OUT.mp4, --mask-out FILE.mkv, or both")
    settings = settings_of(arguments)
    options = factory.render_options(settings)
    VideoReader(arguments.input).close()  # what cannot be read is said before a network is loaded for it
    needed = not options.plain or arguments.mask_out is not None
    with loaded_segmenter(settings, interruption, needed) as segmenter, progress(arguments.input.name) as show:
        started = time.monotonic()

        def told(frames: int, count: int | None, seconds: float) -> None:
            took = max(1e-9, time.monotonic() - started)
            show(frames, count, f"{frames / took:.0f} frames a second, {seconds / took:.1f} x real time")

        done = convert(
            arguments.input,
            arguments.output,
            segmenter,
            options,
            factory.background_opener(settings),
            height=arguments.height,
            mask_out=arguments.mask_out,
            progress=told,
            stop=interruption.is_set,
        )
    if done is None:
        return INTERRUPTED
    made = " and ".join(str(path) for path in (arguments.output, arguments.mask_out) if path is not None)
    rate = done.frames / done.seconds
    say(f"{made}: {done.frames} frames, {done.size}, {done.seconds:.1f} s ({rate:.0f} frames a second)")
    return 0


def image(arguments: Namespace, interruption: Interruption) -> int:
    """Pictures through the same steps as the live picture."""
    from vbgcam.offline.images import Done, convert

    if arguments.output is None and arguments.mask_out is None and arguments.cutout is None:
        raise ConfigError("image: nothing to make; give -o OUT, --mask-out FILE, --cutout FILE, or several of them")
    settings = settings_of(arguments)
    options = factory.render_options(settings)
    needed = not options.plain or arguments.mask_out is not None or arguments.cutout is not None
    with loaded_segmenter(settings, interruption, needed) as segmenter, progress("pictures") as show:

        def told(done: Done, number: int, count: int) -> None:
            show(number, count, done.source.name)
            if done.error is not None:
                log.error("%s", done.error)

        ends = convert(
            arguments.inputs,
            arguments.output,
            segmenter,
            options,
            factory.background_opener(settings),
            mask_out=arguments.mask_out,
            cutout=arguments.cutout,
            progress=told,
            stop=interruption.is_set,
        )
    for end in ends:
        if end.written:
            say(f"{end.source}: {', '.join(str(path) for path in end.written)}")
    if interruption.is_set():
        return INTERRUPTED
    return 1 if any(end.error is not None for end in ends) else 0


VERBS: Final[dict[str, Callable[[Namespace, Interruption], int]]] = {"image": image, "video": video}
