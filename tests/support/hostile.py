"""Files from somebody who means harm: small valid ones, damaged at random (seeded), read by the program in a process of
its own, which tells what came out and how much memory it took.

`python -m tests.support.hostile KIND SEED COUNT FOLDER` prints one line of JSON for each case: its number, what came
out ("ok", or the error's class and text) and, at the end, the megabytes that the cases took beyond the valid files."""

import faulthandler
import json
import random
import resource
import struct
import sys
import traceback
import zlib
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from fractions import Fraction
from pathlib import Path
from typing import Any, Final

from vbgcam.core.errors import VbgcamError

SECONDS: Final = 30
"""For one case; then the process ends with a traceback."""
FRAMES: Final = 40
"""Of a film or an animation, at most."""

Read = Callable[[Path], object]
Case = Callable[[random.Random], Path]

_WORTH: Final = (0, 1, 2, 3, 7, 8, 15, 16, 127, 128, 255, 256, 32767, 32768, 65535, 65536, 2**31 - 1, 2**31, 2**32 - 1)


def mutated(data: bytes, chance: random.Random) -> bytes:
    """One to eight harms: bytes turned, numbers of one to eight bytes overwritten with those that programs forget,
    pieces cut out, doubled, moved, or made long, and the end cut off."""
    out = bytearray(data)
    for _ in range(chance.choice((1, 1, 1, 2, 3, 8))):
        at = chance.randrange(len(out)) if out else 0
        if chance.random() < 0.6:  # sizes and counts stand at the head
            at = min(at, chance.randrange(1, 600))
        match chance.randrange(9):
            case 0:
                out[at : at + 1] = bytes([chance.randrange(256)])
            case 1:
                out[at : at + 1] = bytes([(out[at] if out else 0) ^ 1 << chance.randrange(8)])
            case 2 | 3:
                width, order = chance.choice(((1, "B"), (2, "H"), (4, "I"), (8, "Q")))
                form = chance.choice("<>") + order
                out[at : at + width] = struct.pack(form, chance.choice(_WORTH) % 2 ** (8 * width))
            case 4:
                del out[at : at + chance.choice((1, 2, 4, 30, 500))]
            case 5:
                piece = out[at : at + chance.choice((1, 4, 40, 500))]
                out[at:at] = piece * chance.choice((1, 2, 50))
            case 6:
                other = chance.randrange(len(out)) if out else 0
                size = chance.choice((1, 4, 16, 200))
                out[at : at + size] = out[other : other + size]
            case 7:
                out[at:at] = chance.randbytes(chance.choice((1, 4, 64)))
            case 8:
                del out[chance.randrange(len(out) + 1) :]
    return bytes(out)


def png_fixed(data: bytes) -> bytes:
    """With right check sums, so that the damage gets past them."""
    out, at = bytearray(data[:8]), 8
    while at + 12 <= len(data):
        size = int.from_bytes(data[at : at + 4], "big")
        chunk = data[at + 4 : at + 8 + size]
        out += data[at : at + 4] + chunk + zlib.crc32(chunk).to_bytes(4, "big")
        at += 12 + size
    return bytes(out)


def swapped(text: str, words: tuple[str, ...], chance: random.Random) -> str:
    """A text with some of its words and values replaced by those given."""
    lines = text.split("\n")
    for _ in range(chance.choice((1, 2, 5))):
        at = chance.randrange(len(lines))
        key, equals, _ = lines[at].partition(" = ")
        word = chance.choice(words)
        lines[at] = f"{key}{equals}{word}" if equals and chance.random() < 0.8 else word
    return "\n".join(lines)


_TOML: Final = (
    "[" * 9000,
    "a = " + "[" * 9000,
    "a = " + "{a=" * 9000,
    ".".join("a" * 9000) + " = 1",
    "9" * 5000,
    "-1",
    "1e400",
    "nan",
    "-inf",
    "0x" + "f" * 4000,
    '"' + "x" * 50_000 + '"',
    "1979-05-27T07:32:00Z",
    "[[camera]]",
    "[camera]",
    "[model.name]",
    "{a = {b = {c = 1}}}",
    '"\\u0000"',
    '"\\ud800"',
    '"camera:\\u0000"',
    '"onnx:\\u0000"',
    '"file:' + "y" * 5000 + '"',
    '"' + "9" * 5000 + "x" + "9" * 5000 + '"',
    '"~nobody-of-that-name/x"',
    '"blur:' + "9" * 5000 + '"',
    '"#' + "f" * 5000 + '"',
    "''",
    "[1, [2, [3]]]",
    "\n".join(f"key{number} = {number}" for number in range(4000)),
)


def text_cases(path: Path, text: str) -> Case:
    """Of a TOML file."""

    def case(chance: random.Random) -> Path:
        if chance.random() < 0.6:
            path.write_text(swapped(text, _TOML, chance), encoding="utf-8")
        else:
            path.write_bytes(mutated(text.encode(), chance))
        return path

    return case


def file_cases(seeds: Sequence[Path]) -> Case:
    """Of files of one kind."""

    def case(chance: random.Random) -> Path:
        seed = chance.choice(seeds)
        data = mutated(seed.read_bytes(), chance)
        path = seed.with_name(f"case.{seed.name}")
        path.write_bytes(png_fixed(data) if seed.suffix == ".png" and chance.random() < 0.8 else data)
        return path

    return case


def config_cases(folder: Path) -> tuple[Read, Case]:
    from vbgcam.settings import reading, schema

    return reading.load, text_cases(folder / "config.toml", schema.example())


def card_cases(folder: Path) -> tuple[Read, Case]:
    from tests.support.networks import FULL_CARD
    from vbgcam.segment import card

    return card.read, text_cases(folder / "net.onnx.toml", FULL_CARD)


def picture_cases(folder: Path) -> tuple[Read, Case]:
    import numpy as np
    import pillow_heif
    from PIL import Image

    from vbgcam.background.files import open_file
    from vbgcam.core.frames import Size
    from vbgcam.media import images

    pillow_heif.register_heif_opener()
    noise = Image.fromarray(np.random.default_rng(1).integers(0, 256, (40, 56, 3), np.uint8))
    seeds = []
    made: tuple[tuple[str, Image.Image, dict[str, Any]], ...] = (
        ("a.jpg", noise, {}),
        ("progressive.jpg", noise, {"progressive": True}),
        ("a.png", noise.convert("RGBA"), {}),
        ("palette.png", noise.convert("P"), {"transparency": 3}),
        ("lzw.tif", noise, {"compression": "tiff_lzw"}),
        ("jpeg.tif", noise, {"compression": "jpeg"}),
        ("deflate.tif", noise.convert("I;16"), {"compression": "tiff_adobe_deflate"}),
        ("raw.tif", noise.convert("CMYK"), {}),
        ("a.webp", noise, {}),
        ("lossless.webp", noise.convert("RGBA"), {"lossless": True}),
        ("a.bmp", noise, {}),
        ("a.ppm", noise, {}),
        ("a.gif", noise.convert("P"), {}),
        ("a.avif", noise, {}),
        ("a.heic", noise, {"format": "HEIF"}),
    )
    for name, image, options in made:
        exif = Image.Exif()
        exif[0x0112] = 6
        extra: dict[str, Any] = {"exif": exif} if name.endswith(("jpg", "webp", "avif")) else {}
        path = folder / name
        image.save(path, **options, **extra)
        seeds.append(path)

    frames = [noise.rotate(turn).convert("RGBA") for turn in range(0, 360, 90)]
    for name in ("moving.gif", "moving.png", "moving.webp"):
        path = folder / name
        frames[0].save(path, save_all=True, append_images=frames[1:], duration=[50, 100, 150, 200], loop=0)
        seeds.append(path)

    def play(path: Path) -> None:
        with closing(open_file(path, Size(64, 48), exact=True)) as film:
            for tick in range(FRAMES):
                film.at(tick / 10)

    def read(path: Path) -> None:
        problem = None
        for look in (images.read, images.kind, play):
            try:
                look(path)
            except VbgcamError as exc:
                problem = exc
        if problem is not None:
            raise problem

    return read, file_cases(seeds)


def film_cases(folder: Path) -> tuple[Read, Case]:
    from tests.support.clips import film, rooms
    from tests.support.fakes import FakeBackground
    from vbgcam.background.files import open_file
    from vbgcam.core.frames import Size
    from vbgcam.core.options import RenderOptions
    from vbgcam.media.video_reader import VideoReader
    from vbgcam.offline.videos import convert
    from vbgcam.segment.factory import PassThrough

    seeds = [
        film(folder / "a.mp4", rooms(12), sound="aac", faststart=True),
        film(folder / "b.mp4", rooms(12), rotation=90),
        film(folder / "a.mkv", rooms(12), sound="libopus"),
        film(folder / "v.mkv", rooms(12), sound="libmp3lame"),
        film(folder / "a.avi", rooms(12), codec="mjpeg", pixels="yuvj420p", sound="pcm_s16le", clock=_THIRTIETH),
        film(folder / "a.ts", rooms(12), sound="mp2"),
        film(folder / "a.webm", rooms(12), codec="libvpx-vp9"),
        film(folder / "f.mkv", rooms(12), codec="ffv1", sound="flac"),
        film(folder / "a.mov", rooms(12), codec="png", pixels="rgb24", sound="pcm_s16le"),
    ]

    def read(path: Path) -> None:
        with VideoReader(path) as opened:
            for number, shot in enumerate(opened):
                assert shot.duration > 0
                if number >= FRAMES:
                    break
            opened.rewind()
        with closing(open_file(path, Size(64, 48), exact=True)) as background:
            for tick in range(0, FRAMES, 4):
                background.at(tick / 10)
        number = 0

        def stop() -> bool:
            nonlocal number
            number += 1
            return number > FRAMES

        with VideoReader(path) as opened:
            convert(
                opened, path.with_name("out.mp4"), PassThrough(), RenderOptions(plain=True), FakeBackground, stop=stop
            )

    return read, file_cases(seeds)


def checkpoint_cases(folder: Path) -> tuple[Read, Case]:
    import torch

    from vbgcam.segment.torchvision import architecture, build, read_checkpoint

    state = {
        "backbone.weight": torch.arange(12.0).reshape(3, 4),
        "half": torch.ones(5).half(),
        "classifier.bias": torch.arange(7),
    }
    seeds = [folder / "zip.pth", folder / "old.pth", folder / "training.pth"]
    torch.save(state, seeds[0])
    torch.save(state, seeds[1], _use_new_zipfile_serialization=False)
    torch.save({"model": state, "epoch": 3, "lr": [0.1]}, seeds[2])

    def read(path: Path) -> None:
        state = read_checkpoint(path)
        name = architecture(state)
        build(name or "lraspp_mobilenet_v3_large", state, path)

    return read, file_cases(seeds)


def onnx_cases(folder: Path) -> tuple[Read, Case]:
    import numpy as np
    from onnx import helper

    from tests.support.networks import left_half, save
    from vbgcam.segment import Options, base, trial
    from vbgcam.segment.onnx import OnnxSegmenter

    base.networks_folder = lambda: folder / "networks"
    trial.LONGEST_S = SECONDS * 2 / 3  # a network that never answers is refused in time
    seeds = [left_half(folder / "left.onnx", 8)]
    conv = folder / "conv.onnx"
    save(
        conv,
        [
            helper.make_node("Conv", ["image", "w"], ["c"], pads=[1, 1, 1, 1]),
            helper.make_node("Add", ["c", "state"], ["next"]),
            helper.make_node("Resize", ["next", "", "scales"], ["big"], mode="nearest"),
            helper.make_node("Sigmoid", ["big"], ["person"]),
        ],
        {"image": (1, 3, "h", "w"), "state": (1, 1, 1, 1)},
        {"person": (1, 1, "H", "W"), "next": (1, 1, "h", "w")},
        {"w": np.ones((1, 3, 3, 3)) / 27, "scales": np.array([1.0, 1, 2, 2], np.float32)},
    )
    conv.with_name("conv.onnx.toml").write_text('name = "conv"\n[input]\nshort_side = 16\n[state]\nstate = "next"\n')
    seeds.append(conv)
    options = Options(folder=folder)

    def case(chance: random.Random) -> Path:
        seed = chance.choice(seeds)
        path = folder / f"case-{seed.name}"
        path.write_bytes(mutated(seed.read_bytes(), chance))
        card = seed.with_name(seed.name + ".toml").read_bytes()
        path.with_name(path.name + ".toml").write_bytes(card if chance.random() < 0.8 else mutated(card, chance))
        return path

    return lambda path: OnnxSegmenter.load(path, options).close(), case


_THIRTIETH: Final = Fraction(1, 30)


def journal_cases(folder: Path) -> tuple[Read, Case]:
    import numpy as np

    from vbgcam.evaluate.base import Item
    from vbgcam.evaluate.journal import Journal

    question = {"model": "none"}
    with Journal(folder, question) as journal:
        for number in range(6):
            mask = np.full((20, 30), 40 * number, np.uint8)
            journal.add(Item(number, f"picture {number}", {"iou": 0.5}, mask))
    seed = journal.path.read_bytes()

    def case(chance: random.Random) -> Path:
        journal.path.write_bytes(mutated(seed, chance))
        return journal.path

    def read(path: Path) -> None:
        del path
        with Journal(folder, question) as opened:
            for item in opened.items():
                opened.mask(item.number)
            opened.add(Item(len(opened.numbers), "one more", {}))

    return read, case


KINDS: Final = {
    "config": config_cases,
    "card": card_cases,
    "picture": picture_cases,
    "film": film_cases,
    "checkpoint": checkpoint_cases,
    "onnx": onnx_cases,
    "journal": journal_cases,
}


def outcomes(kind: str, seed: int, count: int, folder: Path) -> Iterator[tuple[int, str, str]]:
    """Each case's number, what came out and why."""
    read, case = KINDS[kind](folder)
    for number in range(count):
        chance = random.Random(f"{kind} {seed} {number}")
        path = case(chance)
        (folder / "number").write_text(str(number))
        faulthandler.dump_traceback_later(SECONDS, exit=True)
        try:
            read(path)
            yield number, "ok", ""
        except VbgcamError as exc:
            yield number, type(exc).__name__, str(exc)
        except Exception:
            path.rename(folder / f"harm-{number}{path.suffix}")
            yield number, "HARM", traceback.format_exc()
        faulthandler.cancel_dump_traceback_later()


def main(kind: str, seed: str, count: str, folder: str) -> None:
    faulthandler.enable()
    first = 0
    for number, what, why in outcomes(kind, int(seed), int(count), Path(folder)):
        first = first or resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        print(json.dumps([number, what, why]), flush=True)  # noqa: T201  # it is what it is for
    # Or of the largest process that tried a network.
    peak = max(resource.getrusage(who).ru_maxrss for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    print(json.dumps(["mb", (peak - first) >> 10]))  # noqa: T201


if __name__ == "__main__":
    main(*sys.argv[1:])
