"""The pictures in the tray's menu: thumbnails of backgrounds, colours."""

import io
import logging
from collections.abc import Iterable, Iterator
from typing import Final

from PIL import Image, ImageColor, ImageOps

from vbgcam.control.client import Client
from vbgcam.core.errors import VbgcamError
from vbgcam.desktop import icons
from vbgcam.desktop.menu import MenuItem, Picture, Swatch

log = logging.getLogger(__name__)

# Pixels: desktops show 16 to 24 of them, twice that on fine screens. Square, or 16 would make a picture 9 pixels high.
_SIZE: Final = 48


class Thumbnails:
    """One thread at a time. `ready`: PNG files' bytes for what the menu shows now; replaced as a whole."""

    def __init__(self, client: Client) -> None:
        self._client = client
        self.ready: dict[Picture, bytes] = {}

    def collect(self, items: Iterable[MenuItem]) -> bool:
        """Makes those that are new and drops those that are not needed any more; returns whether there are new ones."""
        wanted = {item.picture for item in _all(items) if item.picture is not None}
        before = self.ready
        made = {picture: before[picture] if picture in before else self._made(picture) for picture in wanted}
        self.ready = {picture: png for picture, png in made.items() if png}
        return bool(self.ready.keys() - before.keys())

    def _made(self, picture: Picture) -> bytes:
        try:
            if isinstance(picture, Swatch):
                colour = ImageColor.getrgb(picture.colour)
                return _png(icons.swatch((colour[0], colour[1], colour[2]), _SIZE))
            with Image.open(io.BytesIO(self._client.thumbnail(picture.name)), formats=["JPEG"]) as image:
                return _png(ImageOps.fit(image.convert("RGB"), (_SIZE, _SIZE)))
        except (VbgcamError, OSError, ValueError) as exc:
            log.debug("no picture of %s: %s", picture, exc)
            return b""


def _all(items: Iterable[MenuItem]) -> Iterator[MenuItem]:
    for item in items:
        yield item
        yield from _all(item.items)


def _png(image: Image.Image) -> bytes:
    stream = io.BytesIO()
    image.save(stream, "PNG")
    return stream.getvalue()
