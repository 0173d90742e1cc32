"""Backgrounds drawn by code, so that there is one to show before anybody has chosen a picture.

All are pure functions of the size: RGB, uint8, (height, width, 3). They stand behind a head and shoulders in the middle
of the picture, so that is where they are quiet. Long gradients carry a little noise before they are rounded
(dithering), for without it a screen shows bands. At 1920x1080 each takes 0.1 to 0.6 seconds.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from art.backgrounds.abstract import aurora, paper
from art.backgrounds.city import city
from art.backgrounds.landscapes import forest, hills
from art.backgrounds.rooms import library, studio
from vbgcam.core.frames import U8, Size

DRAWN: Final[dict[str, Callable[[Size], U8]]] = {
    "Hills at dusk": hills,
    "Bright studio": studio,
    "Evening library": library,
    "Forest in fog": forest,
    "City lights": city,
    "Cut paper": paper,
    "Northern blue": aurora,
}
"""All of them, by their names for people."""

__all__ = ["DRAWN", "aurora", "city", "forest", "hills", "library", "paper", "studio"]
