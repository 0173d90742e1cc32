"""The verb `bench`."""

import json
from argparse import Namespace
from typing import Final

from vbgcam import factory
from vbgcam.cli.arguments import settings_of
from vbgcam.cli.signals import Interruption, Verb
from vbgcam.core.specs import ModelSpec
from vbgcam.media.atomic import write_whole


def bench(arguments: Namespace, interruption: Interruption) -> int:
    """How fast this machine is."""
    from vbgcam.bench import tables
    from vbgcam.bench.run import Request, bench, parse_lists

    settings = settings_of(arguments)
    sizes, only = parse_lists(arguments.size, arguments.only)
    request = Request(
        depth="quick" if arguments.quick else "full" if arguments.full else "usual",
        sizes=sizes,
        only=only,
        model=ModelSpec.parse(settings.model.name) if arguments.model else None,
        options=factory.options(settings),
        mask_fps=arguments.mask_fps,
        seconds=arguments.seconds,
    )

    def check() -> None:
        if interruption.is_set():
            raise KeyboardInterrupt

    figures = bench(request, check)
    if arguments.json is not None:
        write_whole(arguments.json, json.dumps(figures, indent=2) + "\n", "the figures")
    if arguments.html is not None:
        write_whole(arguments.html, tables.html(figures), "the figures")
    tables.show(figures)
    return 0


VERBS: Final[dict[str, Verb]] = {"bench": bench}
