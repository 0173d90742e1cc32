"""What the drawn backgrounds are made with. Places and lengths are in picture heights, x from the middle and y from the
top, so that a picture is the same at every size."""

from collections.abc import Sequence
from typing import Any

import cv2
import numpy as np
from numpy.typing import ArrayLike, NDArray

from vbgcam.core.frames import U8, Size

Field = NDArray[np.floating[Any]]

Colour = tuple[int, int, int]


def places(size: Size) -> tuple[Field, Field]:
    """Each pixel's place in picture heights: x from the middle, (1, width), y from the top, (height, 1)."""
    x = (np.arange(size.width) + 0.5 - size.width / 2) / size.height
    y = (np.arange(size.height) + 0.5) / size.height
    return x.astype(np.float32)[None, :], y.astype(np.float32)[:, None]


def ramp(y: Field, stops: tuple[tuple[float, Colour], ...]) -> Field:
    """Colours by height: (height, 1, 3)."""
    at = [stop for stop, _ in stops]
    return np.stack([np.interp(y, at, [colour[k] for _, colour in stops]) for k in range(3)], 2).astype(np.float32)


def blend(picture: Field, colour: ArrayLike, share: Field) -> None:
    """Moves the picture towards the colour, or towards another picture, by `share`: (height, width) or (height, 1).
    What would change by less than a fortieth of a step is left alone."""
    touched = share > 1e-4
    rows, columns = np.flatnonzero(touched.any(1)), np.flatnonzero(touched.any(0))
    if not rows.size:
        return
    if share.shape[1] == 1:
        columns = np.array([0, picture.shape[1] - 1])
    box = slice(rows[0], rows[-1] + 1), slice(columns[0], columns[-1] + 1)
    aim = np.asarray(colour, np.float32)
    part = picture[box]
    part += ((aim[box] if aim.ndim == 3 else aim) - part) * share[box][..., None].astype(np.float32)


def soft(inside: Field, width: float) -> Field:
    """0 to 1 over a soft edge of that width around 0."""
    t = np.clip(inside / np.float32(width) + np.float32(0.5), 0, 1)
    return np.asarray(t * t * (3 - 2 * t), np.float32)


def ridge(x: Field, frequency: float, seed: int) -> Field:
    """A line of hills, about -1 to 1, (1, width): waves of halving size and doubling frequency at random phases."""
    rng = np.random.default_rng(seed)
    line = np.zeros_like(x)
    for octave in range(5):
        turns = frequency * 2**octave * float(rng.uniform(0.85, 1.15))
        line += np.sin(2 * np.pi * turns * x / 2.2 + float(rng.uniform(0, 2 * np.pi))) * np.float32(0.52**octave)
    return line / np.float32(1.5)


def trees(x: Field, seed: int) -> Field:
    """The tops of a forest, 0 to 1, (1, width): narrow spikes of many heights, the same at every size."""
    rng = np.random.default_rng(seed)
    line = np.zeros_like(x)
    for place in np.arange(-2.0, 2.0, 0.011):
        middle, high = place + float(rng.uniform(-0.006, 0.006)), float(rng.uniform(0.25, 1.0))
        line = np.maximum(line, high * np.clip(1 - np.abs(x - middle) / (0.006 + 0.006 * high), 0, 1) ** 0.8)
    return line


def rounded(picture: Field) -> U8:
    """Triangular noise of one step either way, then rounding: no bands, and no pattern that the eye finds."""
    height, width = picture.shape[:2]
    rng = np.random.default_rng(11)
    noise = rng.random((height, width, 1), np.float32) - rng.random((height, width, 1), np.float32)
    return np.clip(np.rint(picture + noise), 0, 255).astype(np.uint8)


def paint(picture: Field, colour: ArrayLike, edges: tuple[float, float, float, float], share: float = 1.0) -> None:
    """A rectangle: left, top, right, bottom. Each pixel takes as much of it as the rectangle covers."""
    height, width = picture.shape[:2]
    left, right = edges[0] * height + width / 2, edges[2] * height + width / 2
    columns, rows = _covered(left, right, width), _covered(edges[1] * height, edges[3] * height, height)
    part = picture[rows[0], columns[0]]
    part += (np.asarray(colour, np.float32) - part) * (share * rows[1][:, None] * columns[1][None, :])[..., None]


def _covered(first: float, last: float, length: int) -> tuple[slice, Field]:
    """The pixels of a line from `first` to `last`, and how much of each is covered."""
    begin, end = min(max(int(np.floor(first)), 0), length), min(max(int(np.ceil(last)), 0), length)
    at = np.arange(begin, max(begin, end), dtype=np.float32)
    return slice(begin, max(begin, end)), np.clip(np.minimum(at + 1, last) - np.maximum(at, first), 0, 1)


def coarse(size: Size, rows: int) -> Size:
    """The same shape with at most so many rows: what is out of focus need not be drawn finer."""
    if size.height <= rows:
        return size
    return Size(max(1, round(size.width * rows / size.height)), rows)


def grown(picture: Field, size: Size) -> Field:
    """A coarse picture, float32, at its full size."""
    if picture.shape[:2] == (size.height, size.width):
        return picture
    return np.asarray(cv2.resize(picture, (size.width, size.height), interpolation=cv2.INTER_CUBIC), np.float32)


def filled(shapes: Sequence[Field], size: Size) -> Field:
    """Polygons, each (corners, 2) of x and y, as a share of each pixel, float32, (height, width)."""
    # OpenCV makes a polygon about half a pixel larger all round; in a small picture that is seen.
    finer = min(4, -(-720 // size.height))
    height, width = finer * size.height, finer * size.width
    share = np.zeros((height, width), np.uint8)
    for shape in shapes:
        corners = np.rint((shape * height + (width / 2 - 0.5, -0.5)) * 16).astype(np.int32)
        cv2.fillPoly(share, [corners], 255, cv2.LINE_AA, 4)
    if finer > 1:
        share = np.asarray(cv2.resize(share, (size.width, size.height), interpolation=cv2.INTER_AREA), np.uint8)
    return share.astype(np.float32) / np.float32(255)


def softened(picture: Field, reach: float) -> Field:
    """Gaussian blur; `reach`: its standard deviation."""
    sigma = reach * picture.shape[0]
    if sigma < 0.2:
        return picture
    return np.asarray(cv2.GaussianBlur(picture, (0, 0), sigma, borderType=cv2.BORDER_REPLICATE), np.float32)


def defocused(picture: Field, radius: float) -> Field:
    """As a lens blurs what is out of focus: every point becomes a disc."""
    reach = radius * picture.shape[0]
    side = int(np.ceil(reach + 0.5))
    along = np.arange(-side, side + 1, dtype=np.float32)
    disc = np.clip(np.float32(reach + 0.5) - np.hypot(along[None, :], along[:, None]), 0, 1)
    disc = disc / disc.sum()
    return np.asarray(cv2.filter2D(picture, -1, disc, borderType=cv2.BORDER_REPLICATE), np.float32)
