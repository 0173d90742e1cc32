"""The verb `config`."""

from __future__ import annotations

import sys
from argparse import Namespace
from collections.abc import Callable
from typing import Final

from vbgcam.cli.arguments import settings_of
from vbgcam.cli.signals import Interruption
from vbgcam.cli.terminal import say
from vbgcam.settings import schema


def show_config(arguments: Namespace, _interruption: Interruption) -> int:
    if arguments.what == "path":
        say(str(schema.default_path()))
    elif arguments.what == "example":
        sys.stdout.write(schema.example())
    else:
        sys.stdout.write(schema.describe(settings_of(arguments)))
    return 0


VERBS: Final[dict[str, Callable[[Namespace, Interruption], int]]] = {"config": show_config}
