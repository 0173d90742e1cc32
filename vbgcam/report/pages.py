"""A page that holds all that it needs: style, script and pictures are in it, and its policy lets it ask for nothing."""

import base64
from collections.abc import Iterable
from html import escape
from importlib.resources import files
from typing import Final

import cv2
import numpy as np

from vbgcam.core.frames import U8
from vbgcam.report.tables import Table

_WIDTH: Final = 480
_QUALITY: Final = 82
# It holds even if a script of the page wished otherwise.
_POLICY: Final = "default-src 'none'; img-src data:; style-src 'unsafe-inline'; script-src 'unsafe-inline'"


def document(title: str, body: str, script: str = "report.js") -> str:
    """A whole page. `body`: HTML; `script`: the asset that it runs."""
    return (
        f'<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
        f'<meta http-equiv="Content-Security-Policy" content="{_POLICY}">'
        f'<meta name="viewport" content="width=device-width, initial-scale=1"><title>{escape(title)}</title>'
        f"<style>{_asset('style.css')}</style></head>\n<body><main>{body}</main>\n"
        f"<script>{_asset(script)}</script></body></html>\n"
    )


def heading(title: str, about: Iterable[str]) -> str:
    """A page's title and the lines below it."""
    return "\n".join([f"<h1>{escape(title)}</h1>", *(f'<p class="soft">{escape(line)}</p>' for line in about)])


def section(title: str, *content: str) -> str:
    """`content`: HTML."""
    return f"<section><h2>{escape(title)}</h2>{''.join(content)}</section>"


def table_section(table: Table, chart: str = "") -> str:
    """A table with its title and note; behind a click where there is a chart of it."""
    content = f'<div class="long">{table.html()}</div>'
    if chart:
        content = f"{chart}<details><summary>figures</summary>{content}</details>"
    note = f'<p class="soft">{escape(table.note)}</p>' if table.note else ""
    return section(table.title, note, content)


def tiles(figures: Iterable[tuple[str, str, str]]) -> str:
    """The figures that one asks for first: for each a caption, the figure, and what it means."""
    made = "".join(
        f'<div class="tile"><span class="soft">{escape(caption)}</span><b>{escape(figure)}</b>'
        f'<span class="soft">{escape(meaning)}</span></div>'
        for caption, figure, meaning in figures
    )
    return f'<div class="tiles">{made}</div>' if made else ""


def legend(*colors: tuple[str, str]) -> str:
    """What the colours say: a class of the style, and its words."""
    return " ".join(f'<i class="{color}"></i>{escape(words)}' for color, words in colors)


def data_uri(pixels: U8, width: int = _WIDTH) -> str:
    """A JPEG of RGB or gray pixels, uint8, (height, width[, 3]), at most so wide."""
    if pixels.shape[1] > width:
        size = (width, max(1, round(pixels.shape[0] * width / pixels.shape[1])))
        pixels = np.asarray(cv2.resize(pixels, size, interpolation=cv2.INTER_AREA), np.uint8)
    if pixels.ndim == 3:
        pixels = np.ascontiguousarray(pixels[..., ::-1])
    coded = cv2.imencode(".jpg", pixels, [cv2.IMWRITE_JPEG_QUALITY, _QUALITY])[1]
    return "data:image/jpeg;base64," + base64.b64encode(coded.tobytes()).decode()


def _asset(name: str) -> str:
    return files("vbgcam.report").joinpath("assets", name).read_text(encoding="utf-8")
