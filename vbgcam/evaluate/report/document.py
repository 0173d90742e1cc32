"""A page that holds all that it needs: style, script and pictures are in it, and its policy lets it ask for nothing."""

from __future__ import annotations

import base64
from html import escape
from importlib.resources import files
from typing import Final

import cv2
import numpy as np

from vbgcam.core.frames import U8

_WIDTH: Final = 480
_QUALITY: Final = 82


def document(title: str, body: str, script: str) -> str:
    """A whole page. The policy holds even if a script of it wished otherwise: nothing is asked of anywhere."""
    policy = "default-src 'none'; img-src data:; style-src 'unsafe-inline'; script-src 'unsafe-inline'"
    return (
        f'<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
        f'<meta http-equiv="Content-Security-Policy" content="{policy}">'
        f'<meta name="viewport" content="width=device-width, initial-scale=1"><title>{escape(title)}</title>'
        f"<style>{asset('style.css')}</style></head>\n<body><main>{body}</main>\n<script>{script}</script></body></html>\n"
    )


def asset(name: str) -> str:
    """A file of this room, as text."""
    return files("vbgcam.evaluate.report").joinpath("assets", name).read_text(encoding="utf-8")


def data_uri(pixels: U8, width: int = _WIDTH) -> str:
    """A JPEG of RGB or gray pixels, at most so wide."""
    if pixels.shape[1] > width:
        size = (width, max(1, round(pixels.shape[0] * width / pixels.shape[1])))
        pixels = np.asarray(cv2.resize(pixels, size, interpolation=cv2.INTER_AREA), np.uint8)
    if pixels.ndim == 3:
        pixels = np.ascontiguousarray(pixels[..., ::-1])
    coded = cv2.imencode(".jpg", pixels, [cv2.IMWRITE_JPEG_QUALITY, _QUALITY])[1]
    return "data:image/jpeg;base64," + base64.b64encode(coded.tobytes()).decode()
