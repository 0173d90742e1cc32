"""The pictures in the tray's menu: thumbnails of backgrounds, colours."""

import io
import logging
from collections.abc import Iterable, Mapping
from typing import Final

from PIL import Image, ImageColor, ImageOps

from vbgcam.control.client import Client
from vbgcam.core.errors import VbgcamError
from vbgcam.desktop import icons
from vbgcam.desktop.menu import MenuItem, Picture, Swatch

log = logging.getLogger(__name__)

# Pixels: desktops show 16 to 24 of them, twice that on fine screens. Square, or 16 would make a picture 9 pixels high.
_SIZE: Final = 48


def thumbnails(client: Client, items: Iterable[MenuItem], before: Mapping[Picture, bytes]) -> dict[Picture, bytes]:
    """PNG files' bytes for what these menus show. `before`: what was made already."""
    wanted = {item.picture for menu in items for item in menu.items if item.picture is not None}
    made = {picture: before.get(picture) or _made(client, picture) for picture in wanted}
    return {picture: png for picture, png in made.items() if png}


def _made(client: Client, picture: Picture) -> bytes:
    try:
        if isinstance(picture, Swatch):
            colour = ImageColor.getrgb(picture.colour)
            return _png(icons.swatch((colour[0], colour[1], colour[2]), _SIZE))
        with Image.open(io.BytesIO(client.thumbnail(picture.name)), formats=["JPEG"]) as image:
            return _png(ImageOps.fit(image.convert("RGB"), (_SIZE, _SIZE)))
    except (VbgcamError, OSError, ValueError) as exc:
        log.debug("no picture of %s: %s", picture, exc)
        return b""


def _png(image: Image.Image) -> bytes:
    stream = io.BytesIO()
    image.save(stream, "PNG")
    return stream.getvalue()
