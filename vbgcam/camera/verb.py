"""The verb `devices`."""

import json
from argparse import Namespace
from dataclasses import asdict
from typing import Final

from vbgcam.cli.signals import Interruption, Verb
from vbgcam.cli.terminal import say


def devices(arguments: Namespace, _interruption: Interruption) -> int:
    """Lists the cameras and the virtual cameras."""
    from vbgcam.camera.listing import as_json, cameras, describe
    from vbgcam.output.virtualcam import virtual_cameras

    found, virtual = cameras(), virtual_cameras()
    if arguments.json:
        rows = {"cameras": [as_json(camera) for camera in found], "virtual_cameras": [asdict(item) for item in virtual]}
        say(json.dumps(rows, indent=2))
        return 0
    say("Cameras" if found else "Cameras: none is plugged in")
    for camera in found:
        for line in describe(camera):
            say(f"  {line}")
    say("Virtual cameras" if virtual else "Virtual cameras: none; `vbgcam run` says how to get one")
    for item in virtual:
        where = f" ({item.path})" if item.path else ""
        users = f" by {', '.join(item.users)}" if item.users else ""
        say(f'  "{item.name}"{where} {item.driver}: {item.state}{users}')
    return 0


VERBS: Final[dict[str, Verb]] = {"devices": devices}
