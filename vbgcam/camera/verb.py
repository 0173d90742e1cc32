"""The verb `devices`."""

import json
from argparse import Namespace
from dataclasses import asdict
from typing import Final

from vbgcam.cli.signals import Interruption, Verb
from vbgcam.cli.terminal import say

_ENGINES: Final = {"openvino": "OpenVINO", "torch": "torch", "onnxruntime": "onnxruntime"}


def devices(arguments: Namespace, _interruption: Interruption) -> int:
    """Lists the cameras, the virtual cameras and what a network can run on."""
    from vbgcam.camera.listing import as_json, cameras, describe
    from vbgcam.output.virtualcam import virtual_cameras
    from vbgcam.segment.engines.devices import survey

    found, virtual, processors = cameras(), virtual_cameras(), list(survey())
    if arguments.json:
        rows = {
            "cameras": [as_json(camera) for camera in found],
            "virtual_cameras": [asdict(item) for item in virtual],
            "processors": [asdict(item) for item in processors],
        }
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
    say("Processors for the network (model.device)")
    for processor in processors:
        use = (
            f"with {' or '.join(_ENGINES[name] for name in processor.engines)}"
            if processor.engines
            else f"not used: {processor.problem}"
        )
        say(f"  {processor.name}: {processor.label}, {use}")
        if processor.fix:
            say(f"    {processor.fix}")
    return 0


VERBS: Final[dict[str, Verb]] = {"devices": devices}
