"""What can be said on the command line. Imports nothing heavy: `vbgcam --help` answers in a fraction of a second."""

import argparse
from collections.abc import Callable, Iterable
from fractions import Fraction
from pathlib import Path
from typing import TypeAlias, TypeVar

from vbgcam import __version__
from vbgcam.core.errors import ConfigError
from vbgcam.core.options import WEAKEST_BLUR
from vbgcam.core.specs import BackgroundSpec

_SOURCE = "camera:0, camera:PATH, camera:NAME, file:CLIP[?loop=1&pace=source|max], demo"
_SINK = "auto, virtualcam[:NAME], pipewire[:NAME], both[:NAME], file:OUT.mp4, file:OUT.mkv, null"
_BACKGROUND = "a picture, GIF or film, #rrggbb, blur, blur:0.8, none"
_MODEL = "auto, a name of `vbgcam models list` such as selfie, chroma[:#00b140], plate[:IMAGE], onnx:FILE"

_Number = TypeVar("_Number", int, float)
_Verbs: TypeAlias = "argparse._SubParsersAction[argparse.ArgumentParser]"


def command_line() -> argparse.ArgumentParser:
    """The parser of all commands; the manual page and the completions are made from it, too."""
    parser = argparse.ArgumentParser(
        prog="vbgcam",
        description="A virtual camera that puts you before another background and never shows your room.",
        epilog="The verbs from `status` on talk to the running vbgcam; bind them to hotkeys.",
    )
    parser.add_argument("--version", action="version", version=f"vbgcam {__version__}")
    verbs = parser.add_subparsers(dest="verb", metavar="VERB", required=True)
    common = argparse.ArgumentParser(add_help=False)
    common.add_argument("-v", "--verbose", action="store_true", help="say more about what goes on")
    json = argparse.ArgumentParser(add_help=False)
    json.add_argument("--json", action="store_true", help="for programs")
    settings = argparse.ArgumentParser(add_help=False, parents=[common])
    settings.add_argument("--config", type=Path, metavar="FILE", help="settings from this TOML file alone")
    settings.add_argument(
        "--set",
        action="append",
        default=[],
        metavar="SECTION.KEY=VALUE",
        help="one setting, over the file's; repeatable",
    )
    chain = argparse.ArgumentParser(add_help=False, parents=[settings])
    chain.add_argument("--background", metavar="B", help=_BACKGROUND)
    chain.add_argument("--model", metavar="M", help=_MODEL)
    hard = argparse.ArgumentParser(add_help=False, parents=[chain])
    hard.add_argument("--hard", action="store_true", help="the classic label mask instead of a soft alpha")

    run = verbs.add_parser("run", parents=[chain], help="the virtual camera", description="Camera in, VBG Camera out.")
    run.add_argument("--source", metavar="S", help=_SOURCE)
    run.add_argument("--sink", metavar="S", help=_SINK)
    run.add_argument("--no-tray", action="store_true", help="no tray icon, and no panel at the first start")
    run.add_argument("--duration", type=_seconds, metavar="SEC", help="end after so many seconds")
    run.add_argument("--stats", type=Path, metavar="FILE.json", help="write the run's figures there at the end")

    demo = verbs.add_parser(
        "demo",
        parents=[settings],
        help="the whole chain with nothing attached",
        description="A drawn presenter in front of another background: the real chain without a camera.",
    )
    demo.add_argument("--background", metavar="B", help=_BACKGROUND + "; a drawn picture when not given")
    demo.add_argument("--duration", type=_seconds, default=10.0, metavar="SEC", help="seconds of film (10)")
    demo.add_argument(
        "-o", "--output", type=Path, default=Path(), metavar="FOLDER", help="where the film and the picture go"
    )
    demo.add_argument("--stats", type=Path, metavar="FILE.json", help="write the run's figures there at the end")

    image = verbs.add_parser(
        "image", parents=[hard], help="pictures", description="Pictures before another background."
    )
    image.add_argument("inputs", type=Path, nargs="+", metavar="IN")
    image.add_argument("-o", "--output", type=Path, metavar="OUT", help="a picture, or a folder for many")
    image.add_argument("--mask-out", type=Path, metavar="FILE", help="the mask, PNG; a folder for many")
    image.add_argument(
        "--cutout", type=Path, metavar="FILE", help="the person alone, PNG with alpha; a folder for many"
    )

    video = verbs.add_parser("video", parents=[hard], help="films", description="A film before another background.")
    video.add_argument("input", type=Path, metavar="IN")
    video.add_argument(
        "-o", "--output", type=Path, metavar="OUT.mp4", help="the film; H.264, timestamps and sound kept"
    )
    video.add_argument("--mask-out", type=Path, metavar="FILE.mkv", help="the masks, FFV1 gray, one for each frame")
    video.add_argument("--height", type=_height, metavar="N", help="make the film smaller: N lines")

    _add_eval(verbs, hard)
    _add_tools(verbs, common, settings, json)
    _add_remote(verbs, common, json)
    return parser


def _add_remote(verbs: _Verbs, common: argparse.ArgumentParser, json: argparse.ArgumentParser) -> None:
    """The commands for the running program."""

    def add(name: str, text: str, *parents: argparse.ArgumentParser) -> argparse.ArgumentParser:
        about = f"Of the running vbgcam: {text}."
        return verbs.add_parser(name, parents=[common, *parents], help=text, description=about)

    status = add("status", "how it is", json)
    status.add_argument("--watch", action="store_true", help="again and again, until Ctrl-C")
    background = add("background", "what stands behind you")
    background.add_argument(
        "to",
        metavar="B|next|previous|last|list",
        help=_BACKGROUND + ", a name from the list, or last: the last one that hid your room",
    )
    background.add_argument("--json", action="store_true", help="of the list, for programs")
    blur = add("blur", "your room out of focus")
    blur.add_argument("to", type=_blur, metavar="N", help=f"from {WEAKEST_BLUR}, which hides writing, to 1")
    model = add("model", "the network; the one before works until it is ready")
    model.add_argument("to", metavar="M|cancel", help=_MODEL + "; cancel ends a download")
    camera = add("camera", "the camera; the output stays as it is")
    camera.add_argument("to", metavar="S", help=_SOURCE)
    preset = add("preset", "what is done to the mask")
    preset.add_argument("to", metavar="auto|none|fast|balanced|fine")
    mirror = add("mirror", "yourself as in a mirror, or not; the other way when not said")
    mirror.add_argument("to", nargs="?", choices=("on", "off"), metavar="on|off")
    change = add("set", "any setting that can change while it runs")
    change.add_argument("pairs", nargs="+", metavar="SECTION.KEY=VALUE")
    add("pause", "the background alone, and the camera off")
    add("resume", "you again")
    add("toggle", "pause, or resume")
    snapshot = add("snapshot", "the picture that others see")
    snapshot.add_argument(
        "-o", "--output", type=Path, default=Path("vbgcam.png"), metavar="FILE.png", help="where to (vbgcam.png)"
    )
    panel = add("panel", "the control panel, in the browser")
    panel.add_argument(
        "--print", action="store_true", help="its address only; it is good for one visit within a minute"
    )
    add("tray", "the tray icon")
    add("quit", "end it")


def _add_tools(
    verbs: _Verbs, common: argparse.ArgumentParser, settings: argparse.ArgumentParser, json: argparse.ArgumentParser
) -> None:
    """The commands beside the pipeline itself."""
    verbs.add_parser("devices", parents=[common, json], help="cameras with their modes, and virtual cameras")

    doctor = verbs.add_parser(
        "doctor",
        parents=[common, json],
        help="what is wrong with this machine, and what fixes it",
        description="Looks at all that vbgcam needs and names the command that fixes what is wrong; runs none of them.",
    )
    doctor.add_argument("--config", type=Path, metavar="FILE", help="settings from this TOML file alone")
    doctor.add_argument("--report", type=Path, metavar="FILE", help="write one file to attach to an issue")

    plate = verbs.add_parser(
        "plate",
        parents=[settings],
        help="take a picture of the empty room, for the model `plate`",
        description="Takes the clean plate: the room without you, seen by a camera that will not move.",
    )
    plate.add_argument("--source", metavar="S", help=_SOURCE)
    plate.add_argument("-o", "--output", type=Path, metavar="FILE.png", help="where to keep it, not in the usual place")
    plate.add_argument("--delay", type=_seconds, default=5.0, metavar="SEC", help="time to step out of the picture (5)")

    _add_bench(verbs, settings)

    models = verbs.add_parser("models", help="list, download and remove networks, and add your own")
    what = models.add_subparsers(dest="what", metavar="list|fetch|verify|add|remove", required=True)
    what.add_parser("list", parents=[settings, json], help="list all networks: what for, size, licence, quality, state")
    fetch = what.add_parser("fetch", parents=[settings], help="download networks")
    fetch.add_argument("names", nargs="+", metavar="NAME")
    verify = what.add_parser("verify", parents=[settings], help="check the files that are here against their hashes")
    verify.add_argument("names", nargs="*", metavar="NAME")
    add = what.add_parser("add", parents=[settings], help="keep an ONNX network or a checkpoint of your own")
    add.add_argument("file", type=Path, metavar="FILE")
    remove = what.add_parser("remove", parents=[settings], help="delete a network's file")
    remove.add_argument("name", metavar="NAME")

    config = verbs.add_parser("config", help="the settings in force, their file, all there are")
    shown = config.add_subparsers(dest="what", metavar="show|path|example", required=True)
    shown.add_parser("show", parents=[settings], help="the settings in force")
    shown.add_parser("path", parents=[common], help="where the config file belongs")
    shown.add_parser("example", parents=[common], help="a config file with every setting explained")


def _add_eval(verbs: _Verbs, hard: argparse.ArgumentParser) -> None:
    evaluate = verbs.add_parser(
        "eval",
        parents=[hard],
        help="how good the masks are",
        description="Compares the masks of the chain that `run` uses with true ones. Broken off, the same command goes "
        "on where it ended.",
    )
    data = evaluate.add_mutually_exclusive_group(required=True)
    data.add_argument(
        "--clip", type=Path, nargs=2, metavar=("VIDEO", "ALPHA"), help="a film, and its true masks as a film"
    )
    data.add_argument("--pairs", type=Path, metavar="DIR", help="NAME.jpg with NAME_mask.png, or images/ with masks/")
    data.add_argument("--aisegment", type=Path, metavar="DIR", help="AISegment Matting Human: clip_img/ with matting/")
    data.add_argument("--coco", type=Path, metavar="DIR", help="COCO val2017: val2017/ with annotations/")
    evaluate.add_argument(
        "--alpha", type=Path, metavar="MASKS", help="with --clip: scores this film of masks in place of a model's"
    )
    network = evaluate.add_mutually_exclusive_group()
    network.add_argument(
        "--mask-fps",
        type=_exact_rate,
        metavar="N",
        help="with --clip: as if the network took 1/N s; a mask for every frame when not given",
    )
    network.add_argument(
        "--net-ms",
        type=_net_ms,
        metavar="A..B",
        help="with --clip: as if the network took A to B milliseconds, drawn anew for each mask",
    )
    evaluate.add_argument("--seed", type=_seed, metavar="N", help="with --net-ms: of the times that are drawn (0)")
    evaluate.add_argument(
        "--frame-fps", type=_exact_rate, metavar="N", help="with --clip: as if the camera gave about N frames a second"
    )
    evaluate.add_argument("--limit", type=_count, metavar="N", help="of a set, the first N pictures")
    evaluate.add_argument("--json", type=Path, metavar="FILE", help="all figures")
    evaluate.add_argument(
        "--sheet", type=Path, metavar="FILE.jpg", help="with --clip: a picture of before and after the mask's steps"
    )
    evaluate.add_argument(
        "--html", type=Path, metavar="FILE.html", help="a page with pictures and charts, and one to rate them blindly"
    )


def _add_bench(verbs: _Verbs, settings: argparse.ArgumentParser) -> None:
    bench = verbs.add_parser(
        "bench",
        parents=[settings],
        help="how fast this machine is",
        description="Measures each step beside the naive way and a copy, the network, whole frames, the live chain.",
    )
    depth = bench.add_mutually_exclusive_group()
    depth.add_argument("--quick", action="store_true", help="half a minute: 1080p alone, one input of each network")
    depth.add_argument("--full", action="store_true", help="longer runs, and the networks' largest input")
    bench.add_argument("--only", metavar="WHAT,...", help="stages, masks, frame, inference, live, start")
    bench.add_argument("--size", metavar="S,...", help="720p, 1080p, 4K, or such as 640x360")
    bench.add_argument("--model", metavar="M", help=_MODEL + "; made weights and a stand-in when not given")
    bench.add_argument("--mask-fps", type=_rate, default=5.0, metavar="N", help="the stand-in's masks a second (5)")
    bench.add_argument("--seconds", type=_live_seconds, metavar="SEC", help="of each live run (5)")
    bench.add_argument("--json", type=Path, metavar="FILE", help="all figures")
    bench.add_argument("--html", type=Path, metavar="FILE", help="a page with charts")


def assignments(pairs: Iterable[str], option: str, example: str) -> dict[str, str]:
    """Texts such as "camera.fps=30" by what they are assigned to. `option`, `example`: for the message. Raises
    ConfigError."""
    values: dict[str, str] = {}
    for pair in pairs:
        name, equals, text = pair.partition("=")
        if not equals:
            raise ConfigError(f"{option} {pair}: is written SECTION.KEY=VALUE, as in {option} {example}")
        values[name.strip()] = text.strip()
    return values


def _checked(kind: Callable[[str], _Number], fits: Callable[[_Number], bool], what: str) -> Callable[[str], _Number]:
    """A number of that kind for argparse. `what`: for the message where it does not fit."""

    def number(text: str) -> _Number:
        value = kind(text)
        if not fits(value):
            raise argparse.ArgumentTypeError(f"{text!r}{what}")
        return value

    return number


_rate = _checked(float, lambda value: 0.1 <= value <= 1000, ": from 0.1 to 1000 a second")
_seed = _checked(int, lambda value: value >= 0, ": at least 0")
_count = _checked(int, lambda value: value >= 1, ": at least 1")
_seconds = _checked(float, lambda value: 0 <= value < 1e9, " is no number of seconds")
_live_seconds = _checked(float, lambda value: 0 < value < 1e9, ": a live run takes more than 0 seconds")
_height = _checked(
    int, lambda value: 16 <= value <= 4320 and not value % 2, ": an even number of lines from 16 to 4320"
)


def _blur(text: str) -> float:
    try:
        return BackgroundSpec.parse(f"blur:{text}").strength
    except ValueError as exc:
        raise argparse.ArgumentTypeError(str(exc)) from exc


def _exact_rate(text: str) -> Fraction:
    _rate(text)
    return Fraction(text)


def _net_ms(text: str) -> tuple[Fraction, Fraction]:
    low, _, high = text.partition("..")
    try:
        fits = 1 <= float(low) <= float(high) <= 10_000
    except ValueError:
        fits = False
    if not fits:
        raise argparse.ArgumentTypeError(f"{text!r}: two times from 1 to 10000 ms, the lesser first, such as 80..250")
    return Fraction(low), Fraction(high)
