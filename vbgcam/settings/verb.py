"""The verb `config`."""

from argparse import Namespace
from typing import Final

from vbgcam.cli.arguments import settings_of
from vbgcam.cli.signals import Interruption, Verb
from vbgcam.cli.terminal import say
from vbgcam.settings import schema


def show_config(arguments: Namespace, _interruption: Interruption) -> int:
    if arguments.what == "path":
        say(str(schema.default_path()))
    elif arguments.what == "example":
        say(schema.example().rstrip())
    else:
        say(schema.describe(settings_of(arguments)).rstrip())
    return 0


VERBS: Final[dict[str, Verb]] = {"config": show_config}
