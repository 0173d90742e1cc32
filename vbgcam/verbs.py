"""What each verb of the command line does: settings in, the rooms called, a few lines for a person out."""

from __future__ import annotations

import os
import signal
import sys
from argparse import Namespace
from collections.abc import Callable
from typing import Final

from vbgcam import app, config
from vbgcam.cli import INTERRUPTED, Interruption
from vbgcam.config import Settings
from vbgcam.errors import ConfigError


def _say(text: str = "") -> None:
    sys.stdout.write(text + "\n")


def _settings(arguments: Namespace, **fixed: str) -> Settings:
    """The settings that hold for this call; `fixed` win over everything, by "section_key"."""
    overrides: dict[str, str] = {}
    for pair in arguments.set:
        name, equals, value = pair.partition("=")
        if not equals:
            raise ConfigError(f"--set {pair}: is written SECTION.KEY=VALUE, as in --set camera.fps=30")
        overrides[name.strip()] = value.strip()
    for option, name in (
        ("source", "camera.source"),
        ("sink", "output.sink"),
        ("background", "background.show"),
        ("model", "model.name"),
    ):
        value = getattr(arguments, option, None)
        if value is not None:
            overrides[name] = value
    if getattr(arguments, "hard", False):
        overrides["model.hard"] = "true"
    overrides |= {name.replace("_", ".", 1): value for name, value in fixed.items()}
    return config.load(arguments.config, overrides)


def run(arguments: Namespace, interruption: Interruption) -> int:
    """The daemon. Ctrl-C ends it with 130, a service manager's SIGTERM with 0."""
    ended = app.run(_settings(arguments), arguments.duration, arguments.stats, interruption)
    code = INTERRUPTED if interruption.by == signal.SIGINT else 0
    if not ended:
        # A library holds a thread (a network in mid-inference); the devices are released, so leave without it.
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)
    return code


def show_config(arguments: Namespace, _interruption: Interruption) -> int:
    if arguments.what == "path":
        _say(str(config.default_path()))
    elif arguments.what == "example":
        sys.stdout.write(config.example())
    else:
        sys.stdout.write(config.describe(_settings(arguments)))
    return 0


VERBS: Final[dict[str, Callable[[Namespace, Interruption], int]]] = {
    "run": run,
    "config": show_config,
}
