"""The verbs that talk to the running program, which a hotkey may be bound to. They import nothing heavy, so that they
act at once."""

import json
import logging
import shlex
import time
from argparse import Namespace
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Final

from vbgcam.cli.parser import assignments
from vbgcam.cli.signals import Interruption, Verb
from vbgcam.cli.terminal import say
from vbgcam.control.client import Client
from vbgcam.core.errors import VbgcamError
from vbgcam.core.text import megabytes

log = logging.getLogger(__name__)

# Seconds between two lines of `status --watch` while nothing happens.
_EVERY: Final = 1.0


def _done(command: dict[str, Any]) -> int:
    say(Client.find().do(command))
    return 0


def status(arguments: Namespace, interruption: Interruption) -> int:
    client = Client.find()
    if not arguments.watch:
        now = client.status()
        say(json.dumps(now, indent=2) if arguments.json else "\n".join(_lines(now)))
        return 0
    while not interruption.is_set():
        now = client.status()
        say(json.dumps(now) if arguments.json else _line(now))
        end = time.monotonic() + _EVERY
        while not interruption.is_set() and (left := end - time.monotonic()) > 0:
            if client.status(after=int(now["revision"]), wait=left)["revision"] != now["revision"]:
                break
    return 130


def background(arguments: Namespace, _interruption: Interruption) -> int:
    if arguments.to != "list":
        return _done({"do": "background", "to": _from_here(arguments.to)})
    client = Client.find()
    shown = client.status()["settings"]["background"]["show"]
    listed = client.choices()["backgrounds"]
    if arguments.json:
        say(json.dumps(listed, indent=2))
        return 0
    for entry in listed:
        mark = "*" if entry["spec"] == shown else " "
        say(f"{mark} {entry['label']}" + (f"   broken: {entry['broken']}" if entry["broken"] else ""))
    if not any(entry["spec"] == shown for entry in listed):
        say(f"* {shown}")
    return 0


def _from_here(text: str) -> str:
    """A background's spec, for the running program, whose working folder is another: a path becomes an absolute one."""
    if text in ("next", "previous", "last", "none", "blur") or text.startswith(("#", "blur:")):
        return text
    path = Path(text).expanduser()
    return str(path.absolute()) if path.exists() else text


def _source_from_here(text: str) -> str:
    kind, _, rest = text.partition(":")
    path, mark, options = rest.partition("?")
    return f"file:{Path(path).expanduser().absolute()}{mark}{options}" if kind == "file" and rest else text


def _model_from_here(text: str) -> str:
    kind, colon, path = text.partition(":")
    here = Path(path).expanduser()
    return f"{kind}:{here.absolute()}" if colon and kind in ("onnx", "plate") and here.exists() else text


def snapshot(arguments: Namespace, _interruption: Interruption) -> int:
    from vbgcam.media.atomic import write_whole

    write_whole(arguments.output, Client.find().snapshot(), "the picture")
    say(f"{arguments.output}: what the others see")
    return 0


def panel(arguments: Namespace, _interruption: Interruption) -> int:
    from vbgcam.desktop.handover import browse

    address = Client.find().open()
    try:
        if not arguments.print:
            browse(address)
            return 0
    except VbgcamError as exc:
        log.warning("%s", exc)
    say(address)
    return 0


def tray(_arguments: Namespace, _interruption: Interruption) -> int:
    from vbgcam.desktop.tray import run

    return run(Client.find())


def change(arguments: Namespace, _interruption: Interruption) -> int:
    values: dict[str, Any] = {}
    for name, text in assignments(arguments.pairs, "set", "mask.preset=fine").items():
        try:
            values[name] = json.loads(text)
        except ValueError:
            values[name] = text
    return _done({"do": "set", "settings": values})


def _lines(now: dict[str, Any]) -> Iterator[str]:
    """The status for people."""
    settings, frames = now["settings"], now["frames"]
    yield _state(now)
    rate = f" at {now['live']['fps']:g} frames a second" if now["live"]["fps"] else ""
    yield f"  output      {now['sink']}, {now['size']}{rate}"
    camera = now.get("source_name") or settings["camera"]["source"]
    if now.get("source_size"):
        words = (now["source_size"], now.get("source_format"), f"at {now['source_fps']:g}")
        camera += f", {' '.join(filter(None, words))}"
    yield f"  camera      {camera}"
    yield f"  background  {settings['background']['show']}"
    network = [f"{now['model']} on {now['device']}" if now["device"] else now["model"]]
    if now["input"]:
        network.append(f"input {now['input']}")
    if now["inference_ms"]["p50"]:
        network.append(f"{now['inference_ms']['p50']:g} ms a mask")
    yield f"  network     {', '.join(network)}"
    if now["model_why"]:
        yield f"  because     {now['model_why']}"
    if now["loading"]:
        done, total = now["loading"]["done"], now["loading"]["total"]
        part = f", {megabytes(done)} of {megabytes(total)} from {now['loading']['host']}" if total else ""
        yield f"  loading     {now['loading']['model']}{part}"
    if now["helped"]:
        back = [f"{name}={value}" for name, value in now["helped"]["back"].items()]
        yield f"  helped      {now['helped']['why']}; `{shlex.join(['vbgcam', 'set', *back])}` goes back"
    delay = now["added_latency_ms"]["p50"]
    added = f"; {delay:g} ms added (median)" if delay is not None else ""
    yield f"  frames      {frames['sent']} sent, {frames['dropped']} dropped, {frames['covered']} covers{added}"
    if now["readers"]:
        yield f"  read by     {', '.join(now['readers'])}"
    for trouble in now["troubles"]:
        if trouble["now"]:
            yield f"  trouble     {trouble['what']}" + (f"; {trouble['fix']}" if trouble["fix"] else "")
    for problem in now["config"]["problems"]:
        yield f"  config      {problem}"


def _state(now: dict[str, Any]) -> str:
    """`covered: the model is loading`, but not `paused: paused`."""
    return str(now["state"]) if now["why"] in ("", now["state"]) else f"{now['state']}: {now['why']}"


def _line(now: dict[str, Any]) -> str:
    live = now["live"]
    words = [_state(now), f"{live['fps']:g} fps"]
    if live["mask_age_ms"] is not None:
        words.append(f"mask {live['mask_age_ms']:.0f} ms")
    if live["added_latency_ms"] is not None:
        words.append(f"added {live['added_latency_ms']:.1f} ms")
    if now["readers"]:
        words.append(f"read by {', '.join(now['readers'])}")
    return "  ".join(words)


def _sends(command: Callable[[Namespace], dict[str, Any]]) -> Verb:
    return lambda arguments, _interruption: _done(command(arguments))


VERBS: Final[dict[str, Verb]] = {
    "status": status,
    "background": background,
    "blur": _sends(lambda arguments: {"do": "blur", "to": arguments.to}),
    "model": _sends(lambda arguments: {"do": "model", "to": _model_from_here(arguments.to)}),
    "camera": _sends(lambda arguments: {"do": "camera", "to": _source_from_here(arguments.to)}),
    "preset": _sends(lambda arguments: {"do": "preset", "to": arguments.to}),
    "mirror": _sends(lambda arguments: {"do": "mirror", "to": {"on": True, "off": False}.get(arguments.to)}),
    "set": change,
    **{verb: _sends(lambda arguments: {"do": arguments.verb}) for verb in ("pause", "resume", "toggle", "quit")},
    "snapshot": snapshot,
    "panel": panel,
    "tray": tray,
}
