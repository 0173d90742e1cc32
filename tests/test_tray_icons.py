"""icons: whether what is drawn can be seen and told apart."""

from itertools import combinations, pairwise
from typing import Final, get_args

import pytest
from PIL import ImageChops, ImageStat

from vbgcam.desktop import icons
from vbgcam.desktop.menu import Face

FACES: Final[tuple[Face, ...]] = get_args(Face)
SIZES: Final = (16, 22, 24, 32, 48, 64)
LIGHT, DARK = (250, 250, 250), (40, 44, 48)


def luminance(colour: tuple[int, ...]) -> float:
    """As WCAG has it."""
    red, green, blue = (
        (part / 255 / 12.92) if part <= 10 else ((part / 255 + 0.055) / 1.055) ** 2.4 for part in colour[:3]
    )
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def contrast(one: tuple[int, ...], other: tuple[int, ...]) -> float:
    low, high = sorted((luminance(one), luminance(other)))
    return (high + 0.05) / (low + 0.05)


@pytest.mark.parametrize("ground", [LIGHT, DARK], ids=["light", "dark"])
@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("face", FACES)
def test_a_face_stands_out_from_light_and_dark_panels(face: Face, size: int, ground: tuple[int, int, int]) -> None:
    image = icons.face(face, size)
    assert (image.mode, image.size, image.getpixel((0, 0))) == ("RGBA", (size, size), (0, 0, 0, 0))
    colours = icons.opaque(image, ground).getcolors(size * size)
    assert colours is not None
    seen = sum(count for count, colour in colours if isinstance(colour, tuple) and contrast(colour, ground) >= 3)
    assert seen >= size * size / 16


@pytest.mark.parametrize("size", SIZES)
def test_faces_can_be_told_apart_without_colour(size: int) -> None:
    grey = {face: icons.opaque(icons.face(face, size), (128, 128, 128)).convert("L") for face in FACES}
    for one, other in combinations(FACES, 2):
        assert ImageStat.Stat(ImageChops.difference(grey[one], grey[other])).mean[0] > 5, (one, other)


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("other", [face for face in FACES if face != "room"])
def test_a_visible_room_has_an_outline_and_a_drawing_of_its_own(other: Face, size: int) -> None:
    """A disc, whose corners are clear to where every other face is solid; and what is bright lies elsewhere."""
    inset = round(size * 0.11)
    solid = [
        icons.face(face, size).getchannel("A").point(lambda value: 255 * (value > 128)).getpixel((inset, inset))
        for face in ("room", other)
    ]
    assert solid == [0, 255]
    bright = [
        icons.opaque(icons.face(face, size), DARK).convert("L").point(lambda value: 255 * (value > 190))
        for face in ("room", other)
    ]
    assert ImageStat.Stat(ImageChops.difference(*bright)).mean[0] > 255 / 16


@pytest.mark.parametrize("size", SIZES)
def test_the_bars_edges_are_crisp(size: int) -> None:
    """At half the height: the plate, the bar, the gap, the bar, the plate, and nothing between."""
    image = icons.face("paused", size)
    row = [image.getpixel((x, size // 2)) for x in range(size)]
    changes = [row[0]] + [two for one, two in pairwise(row) if one != two]
    bar, plate, nothing = (255, 255, 255, 255), (86, 97, 112, 255), (0, 0, 0, 0)
    assert changes == [nothing, plate, bar, plate, bar, plate, nothing]
    assert [row.index(bar), row[::-1].index(bar)] == [row.index(bar)] * 2  # in the middle


def test_an_opaque_face_has_the_ground_where_it_was_clear() -> None:
    image = icons.opaque(icons.face("idle", 24), DARK)
    assert (image.mode, image.getpixel((0, 0))) == ("RGB", DARK)


def test_a_swatch_is_of_its_colour() -> None:
    assert icons.swatch((10, 200, 30), 48).getpixel((24, 24)) == (10, 200, 30, 255)
