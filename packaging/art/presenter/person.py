"""The presenter of the demo: what they do at a time (`pose`) and the shapes that show it (`figure`).

Both are pure. Lengths are in heights of the picture, x from its middle to the right, y from its top down, as on a
picture that is as wide as high; the package puts them on a picture of any size. Left and right are the viewer's.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, fields
from typing import Any, Final

import numpy as np
from numpy.typing import ArrayLike

from art.presenter.shapes import (
    Colour,
    Move,
    Points,
    Shape,
    area,
    brush,
    capsule,
    curve,
    ellipse,
    mirrored,
    mixed,
    points,
    shifted,
    stroke,
)

# The room behind is grey green, white and dark brown (`interior`): no large part of the person comes near.
SKIN: Final[Colour] = (238, 183, 146)
SKIN_SHADE: Final[Colour] = (219, 155, 120)
SKIN_DEEP: Final[Colour] = (196, 127, 96)
SKIN_LIGHT: Final[Colour] = (248, 205, 172)
BLUSH: Final[Colour] = (238, 162, 131)
HAIR: Final[Colour] = (68, 42, 38)
HAIR_DEEP: Final[Colour] = (47, 28, 29)
HAIR_LIGHT: Final[Colour] = (100, 65, 54)
JACKET: Final[Colour] = (222, 92, 74)
JACKET_SHADE: Final[Colour] = (190, 70, 60)
JACKET_DEEP: Final[Colour] = (166, 56, 52)
JACKET_LIGHT: Final[Colour] = (234, 113, 92)
SHIRT: Final[Colour] = (250, 240, 224)
SHIRT_SHADE: Final[Colour] = (227, 211, 192)
WHITE: Final[Colour] = (253, 251, 247)
IRIS: Final[Colour] = (104, 70, 48)
PUPIL: Final[Colour] = (34, 22, 22)
LASHES: Final[Colour] = (50, 30, 30)
LIPS: Final[Colour] = (199, 92, 86)
MOUTH: Final[Colour] = (112, 36, 42)
TONGUE: Final[Colour] = (214, 104, 104)
GLASSES: Final[Colour] = (52, 60, 78)

_WAIST: Final = 1.1
_NECK: Final = (0.0, 0.548)
_FACE: Final = -0.204
"""From the neck, about which the head turns, up to the middle of the face."""
_SHOULDER: Final = (0.215, 0.690)


@dataclass(frozen=True, slots=True)
class Arm:
    """`raised`: 0 at rest below the picture, 1 up. `turn`: of the hand, radians, 0 is upright. `spread`: of the
    fingers, 0 to 1."""

    raised: float
    elbow: tuple[float, float]
    wrist: tuple[float, float]
    turn: float
    spread: float


@dataclass(frozen=True, slots=True)
class Pose:
    """`sway` in picture heights, `lean` and `tilt` in radians, the others about 0 to 1 or -1 to 1; `eyes` and `mouth`
    are 0 shut and 1 open."""

    sway: float
    lean: float
    breath: float
    yaw: float
    pitch: float
    tilt: float
    eyes: float
    gaze: tuple[float, float]
    brows: float
    mouth: float
    wide: float
    smile: float
    left: Arm
    right: Arm


LENGTH: Final = 12.5
"""Seconds after which all begins again: a greeting, then a gesture of either hand."""

_JOIN: Final = 1.0
"""Seconds before that in which the presenter goes over into what would have come before the greeting."""


def pose(seconds: float) -> Pose:
    """What the presenter does at that time, a continuous function of it, from the end to the beginning too."""
    seconds %= LENGTH
    share = _ease((seconds - LENGTH + _JOIN) / _JOIN)
    return _pose(seconds) if share == 0 else _between_poses(_pose(seconds), _pose(seconds - LENGTH), share)


def _between_poses(one: Any, other: Any, share: float) -> Any:
    """Each number of a pose, of its arms and its pairs."""
    if isinstance(one, float):
        return one + share * (other - one)
    if isinstance(one, tuple):
        return tuple(_between_poses(a, b, share) for a, b in zip(one, other, strict=True))
    mixed = (_between_poses(getattr(one, field.name), getattr(other, field.name), share) for field in fields(one))
    return type(one)(*mixed)


def _pose(seconds: float) -> Pose:
    """Greets in the first seconds, then talks on and on."""
    talk = _talk(seconds)
    wave = _bump(seconds % 31.0, 0.2, 3.1, 0.75)
    right = wave + _bump(seconds % 9.5, 5.1, 8.3, 0.85) * (1 - wave)
    left = _bump(seconds % 13.0, 8.9, 12.0, 0.9) * (1 - 0.6 * wave)
    beat = _turns(1.3 * seconds)
    syllable = 0.5 + 0.5 * _turns(4.1 * seconds + 0.27 * _turns(0.83 * seconds))
    stress = 0.64 + 0.36 * _turns(1.37 * seconds + 0.1)
    calm = 1 - wave
    return Pose(
        sway=0.016 * _drift(seconds, 6.7, 0.3) + 0.006 * _drift(seconds, 2.9, 1.1),
        lean=0.018 * _drift(seconds, 8.3, 2.0) - 0.018 * right + 0.016 * left,
        breath=0.5 - 0.5 * math.cos(2 * math.pi * seconds / 3.9),
        yaw=0.5 * _drift(seconds, 5.3, 0.7) + 0.2 * _drift(seconds, 2.3, 2.6) + 0.3 * right - 0.3 * left,
        pitch=0.35 * _drift(seconds, 3.7, 1.9) + 0.4 * talk * _turns(1.03 * seconds) ** 3,
        tilt=0.045 * _drift(seconds, 7.1, 4.0) + 0.018 * _drift(seconds, 2.7, 0.4) + 0.05 * wave,
        eyes=1 - _blink(seconds),
        gaze=(0.3 * _drift(seconds, 4.9, 0.2), 0.2 * _drift(seconds, 6.1, 3.0)),
        brows=0.5 * max(0.0, _drift(seconds, 2.6, 0.9)) * talk + 0.5 * wave,
        mouth=talk * (0.10 + 0.90 * syllable * stress) + 0.25 * wave * (1 - talk),
        wide=0.5 + 0.5 * _turns(1.9 * seconds + 0.35),
        smile=0.65 + 0.35 * max(wave, 1 - talk),
        right=_arm(
            right,
            1,
            up=(0.338 + 0.020 * wave, 0.690 - 0.045 * wave),
            shift=(0.012 * beat * calm, 0.018 * beat * calm),
            turn=0.16 + 0.12 * beat * calm + 0.36 * wave * _turns(1.55 * seconds),
            spread=0.4 + 0.5 * wave + 0.25 * beat * calm,
        ),
        left=_arm(
            left,
            -1,
            up=(-0.332, 0.715),
            shift=(0.012 * beat, -0.018 * beat),
            turn=-0.18 - 0.14 * beat,
            spread=0.45 - 0.2 * beat,
        ),
    )


def figure(seconds: float) -> list[Shape]:
    """The presenter, back to front."""
    now = pose(seconds)
    body = _Body(now)
    head = _Head(now, body)
    arms = [(body, now.left, -1), (body, now.right, 1)]
    shapes = [*head.back_hair(), *body.shapes(), *_neck(body, head)]
    for arm in arms:
        shapes += _upper_arm(*arm)
    shapes += head.shapes()
    for arm in arms:
        shapes += _forearm(*arm)
    return shapes


class _Body:
    """Turns about the waist, below the picture's edge, and breathes."""

    def __init__(self, now: Pose) -> None:
        self.at: Final = Move(now.sway, _WAIST, now.lean, 1 + 0.006 * now.breath).after(0, -_WAIST)

    def shapes(self) -> Iterator[Shape]:
        outline = ((0.0, 0.548), (0.062, 0.552), (0.118, 0.584), (0.195, 0.611), (0.258, 0.652), (0.279, 0.720))
        yield area(self.at(curve(*_both(*outline, (0.268, 0.820), (0.255, 0.920), (0.255, 1.12)))), JACKET)
        # The jacket is open over a shirt; its edges fall straight, the collar lies over them.
        shirt = ((0.062, 0.552), (0.088, 0.68), (0.098, 0.86), (0.100, 1.12))
        yield area(self.at(mirrored(shirt)), SHIRT)
        yield Shape(
            (self.at(brush((0.020, 0.74), (0.035, 0.84), (0.028, 0.95), (0.04, 1.08), width=0.012)),), SHIRT_SHADE
        )
        yield area(self.at(brush((-0.035, 0.80), (-0.045, 0.90), (-0.036, 1.04), width=0.010)), SHIRT_SHADE)
        for side in (-1, 1):
            flip = (side, 1)
            shade = [(0.062, 0.56), (0.089, 0.68), (0.099, 0.86), (0.101, 1.12), (0.084, 1.12), (0.084, 0.86)]
            yield area(self.at(points(shade) * flip), SHIRT_SHADE)
            edge = [(0.058, 0.548), (0.094, 0.680), (0.104, 0.86), (0.106, 1.12), (0.126, 1.12), (0.124, 0.86)]
            yield area(self.at(points([*edge, (0.116, 0.70), (0.10, 0.60)]) * flip), JACKET_SHADE)
            collar = curve(
                (0.054, 0.534), (0.086, 0.558), (0.148, 0.640), (0.126, 0.690), (0.100, 0.694), (0.076, 0.62)
            )
            yield area(self.at(shifted(collar, 0.004, 0.008) * flip), JACKET_DEEP)
            yield area(self.at(collar * flip), JACKET_LIGHT)


def _neck(body: _Body, head: _Head) -> Iterator[Shape]:
    yield Shape(
        (body.at(curve((-0.074, 0.556), (-0.052, 0.612), (0.0, 0.638), (0.052, 0.612), (0.074, 0.556), closed=False)),),
        SHIRT_SHADE,
    )
    # From the jaw, which moves with the head, to the hollow below the throat, which does not.
    base = curve((0.060, 0.560), (0.045, 0.606), (0.0, 0.628), (-0.045, 0.606), (-0.060, 0.560), closed=False)
    jaw = head.at([(-0.056, 0.06), (0.056, 0.06)], 0.2)
    yield area(np.concatenate([jaw, body.at(base)]), SKIN_SHADE)
    light = curve((-0.048, 0.580), (-0.034, 0.607), (0.0, 0.622), (0.034, 0.608), (0.045, 0.592), (0.0, 0.600))
    yield area(body.at(light), SKIN)


def _upper_arm(body: _Body, arm: Arm, side: int) -> Iterator[Shape]:
    shoulder, elbow = body.at([(side * _SHOULDER[0], _SHOULDER[1]), arm.elbow])
    inwards = points([(-side * 0.012, 0.005)])[0]
    yield area(capsule(shoulder + inwards + (0, 0.06), elbow + inwards, 0.056, 0.054), JACKET_DEEP)
    yield area(capsule(shoulder, elbow, 0.066, 0.055), JACKET)


def _forearm(body: _Body, arm: Arm, side: int) -> Iterator[Shape]:
    elbow, wrist = body.at([arm.elbow, arm.wrist])
    along = (wrist - elbow) / max(1e-6, math.hypot(*(wrist - elbow)))
    across = along[::-1] * (-1, 1)
    if arm.raised > 0:
        yield from _hand(wrist, arm, side)
    # As light as the upper arm while it hangs, so that nothing flashes up at the picture's edge.
    colour = mixed(JACKET, JACKET_LIGHT, min(1.0, 2.5 * arm.raised))
    yield area(capsule(elbow, wrist - along * 0.036, 0.055, 0.043), colour)
    ends = wrist - along * 0.046, wrist - along * 0.008
    band = [ends[0] - across * 0.045, ends[0] + across * 0.045, ends[1] + across * 0.046, ends[1] - across * 0.046]
    yield area(points(band), JACKET_SHADE)


def _hand(wrist: Points, arm: Arm, side: int) -> Iterator[Shape]:
    """An open hand, its palm to the viewer and its thumb towards the head."""
    place = Move(float(wrist[0]), float(wrist[1]), arm.turn, 1.12)

    def at(shape: ArrayLike) -> Points:
        return place(points(shape) * (side, 1))

    yield area(capsule(at((0, 0.03))[0], at((0, -0.02))[0], 0.031, 0.034), SKIN)
    thumb = (-0.062 - 0.014 * arm.spread, -0.080 + 0.010 * arm.spread)
    yield area(capsule(at((-0.022, -0.025))[0], at(thumb)[0], 0.0195, 0.0125), SKIN)
    knuckles = ((-0.027, -0.066, 0.066), (-0.009, -0.074, 0.077), (0.010, -0.072, 0.072), (0.027, -0.062, 0.054))
    for index, (x, y, length) in enumerate(knuckles):
        angle = (index - 1.5) * (0.05 + 0.15 * arm.spread)
        tip = (x + length * math.sin(angle), y - length * math.cos(angle))
        yield area(capsule(at((x, y))[0], at(tip)[0], 0.0142, 0.0115), SKIN)
    palm = curve(
        (-0.030, 0.0), (-0.040, -0.045), (-0.037, -0.078), (0.0, -0.088), (0.037, -0.074), (0.037, -0.030), (0.028, 0.0)
    )
    yield area(at(palm), SKIN)
    for start, end in (
        ((-0.018, -0.066), (-0.018, -0.087)),
        ((0.0005, -0.070), (0.0005, -0.091)),
        ((0.019, -0.066), (0.019, -0.085)),
    ):
        yield area(at(brush(start, end, width=0.0028)), SKIN_SHADE)
    yield area(at(brush((-0.032, -0.046), (-0.014, -0.038), (-0.008, -0.012), width=0.0034)), SKIN_SHADE)


class _Head:
    """Tilts about the neck. When it turns, what is nearer to the viewer moves further: `depth` 1 is the tip of the
    nose, 0 the middle of the skull, below 0 is behind it."""

    def __init__(self, now: Pose, body: _Body) -> None:
        x, y = body.at([_NECK])[0]
        # A leaning body keeps its head nearly upright.
        self._now, self._move = now, Move(float(x), float(y), now.tilt + 0.3 * now.lean).after(0, _FACE)
        self._depths: dict[float, Move] = {}

    def at(self, shape: ArrayLike, depth: float = 0.0) -> Points:
        """From lengths about the middle of the face."""
        move = self._depths.get(depth)
        if move is None:
            move = self._depths[depth] = self._move.after(
                0.026 * self._now.yaw * depth, 0.014 * self._now.pitch * depth
            )
        return move(shape)

    def back_hair(self) -> Iterator[Shape]:
        outline = ((0.0, -0.185), (0.090, -0.160), (0.138, -0.070), (0.150, 0.040), (0.156, 0.140), (0.140, 0.214))
        yield area(self.at(curve(*_both(*outline, (0.080, 0.234), (0.0, 0.232))), -0.4), HAIR_DEEP)

    def shapes(self) -> Iterator[Shape]:
        yield from self._skin()
        for side in (-1, 1):
            yield from self._eye(side)
        yield from self._nose()
        yield from self._mouth()
        yield from self._hair()
        for side in (-1, 1):
            yield from self._brow(side)
        yield from self._glasses()

    def _skin(self) -> Iterator[Shape]:
        right = ((0.0, -0.150), (0.070, -0.136), (0.108, -0.075), (0.115, 0.0), (0.106, 0.070), (0.079, 0.124))
        outline = curve(*_both(*right, (0.038, 0.158), (0.0, 0.167)))
        yield area(self.at(outline, 0.25), SKIN)
        for side in (-1, 1):
            for step, share in enumerate((0.35, 0.7, 1.0)):
                radius = 0.026 - 0.006 * step
                yield Shape(
                    (self.at(ellipse(side * 0.062, 0.064, radius, radius * 0.72), 0.55),), mixed(SKIN, BLUSH, share)
                )
        # The cheek away from the window, between the outline itself and a line inside it.
        inner = curve(
            (0.0, 0.167), (0.036, 0.146), (0.068, 0.112), (0.092, 0.060), (0.102, 0.0), (0.108, -0.075), closed=False
        )
        yield area(self.at(np.concatenate([outline[8:29], inner]), 0.25), SKIN_SHADE)

    def _eye(self, side: int) -> Iterator[Shape]:
        now, x, y, width, height = self._now, side * 0.046, 0.004, 0.0235, 0.0165
        shut = 1 - now.eyes
        across = _ACROSS_EYE
        arch = 1 - across**2
        xs, lower = x + width * across, y + height * 0.42 * arch
        upper = np.minimum(y - height * (1.05 * now.eyes - 0.42 * shut) * arch**0.8, lower)
        yield area(self.at(_between(xs, upper, lower), 0.6), WHITE)
        gaze_x, gaze_y = x + 0.0065 * now.gaze[0] + 0.003 * now.yaw, y - 0.0035 + 0.003 * now.gaze[1]
        for radius, colour in ((0.0130, IRIS), (0.0070, PUPIL)):
            disc = ellipse(gaze_x, gaze_y, radius)
            top, bottom = np.interp(disc[:, 0], xs, upper), np.interp(disc[:, 0], xs, lower)
            disc[:, 1] = np.clip(disc[:, 1], top, bottom)
            yield area(self.at(disc, 0.6), colour)
        glint = 0.0032 * min(1.0, max(0.0, 2.5 * now.eyes - 1.5))
        if glint > 0:
            yield area(self.at(ellipse(gaze_x - 0.0042, gaze_y - 0.0048, glint), 0.6), WHITE)
        lid = np.stack([xs, upper], 1)[::side]
        wing = points([(x + side * width * 1.16, y - 0.004)])
        yield area(self.at(stroke(np.concatenate([lid, wing]), 0.0068, taper=0.35), 0.6), LASHES)
        fold = np.stack([xs, upper - 0.0085 + 0.004 * shut], 1)[3:-3]
        yield area(self.at(stroke(fold, 0.0026), 0.6), SKIN_SHADE)

    def _brow(self, side: int) -> Iterator[Shape]:
        line = brush((0.018, -0.035), (0.034, -0.044), (0.054, -0.045), (0.074, -0.035), width=0.0105, taper=0.3)
        yield area(self.at(line * (side, 1) - (0, 0.010 * self._now.brows), 0.6), HAIR)

    def _nose(self) -> Iterator[Shape]:
        side = curve((0.008, 0.010), (0.012, 0.032), (0.017, 0.050), (0.010, 0.058), (0.006, 0.034))
        yield area(self.at(side, 0.95), SKIN_SHADE)
        tip = brush((-0.013, 0.057), (-0.006, 0.065), (0.004, 0.066), (0.013, 0.058), width=0.0062)
        yield area(self.at(tip, 1.0), SKIN_DEEP)
        yield area(self.at(ellipse(-0.002, 0.046, 0.0048, 0.0062), 1.0), SKIN_LIGHT)

    def _mouth(self) -> Iterator[Shape]:
        now, across = self._now, _ACROSS_MOUTH
        arch = 1 - across**2
        width = 0.031 + 0.008 * now.wide + 0.007 * now.smile - 0.006 * now.mouth
        y = 0.106 - 0.013 * now.smile * (across**2 - 0.4)
        upper = y - 0.0035 * arch * now.mouth
        lower = y + (0.0016 + 0.030 * now.mouth) * arch
        xs = width * across
        lips = _between(xs * 1.06, upper - 0.0056 * (1 - across**4), lower + 0.0085 * arch)
        yield area(self.at(lips, 0.75), LIPS)
        yield area(self.at(_between(xs, upper, lower), 0.75), MOUTH)
        tongue = np.maximum(lower - 0.012 * arch * now.mouth, upper)
        yield area(self.at(_between(xs, tongue, lower), 0.75), TONGUE)
        teeth = np.minimum(upper + 0.0078 * min(1.0, now.mouth * 2.5) * (1 - across**4), lower)
        yield area(self.at(_between(xs * 0.9, upper, teeth), 0.75), WHITE)
        chin = brush((-0.014, 0.138), (0.0, 0.142), (0.014, 0.138), width=0.004)
        yield area(self.at(shifted(chin, 0, 0.007 * now.mouth), 0.6), SKIN_SHADE)

    def _hair(self) -> Iterator[Shape]:
        cap = curve(
            (-0.122, 0.045), (-0.143, -0.030), (-0.122, -0.130), (-0.062, -0.188), (0.012, -0.202), (0.084, -0.178),
            (0.132, -0.112), (0.143, -0.030), (0.124, 0.045), (0.106, 0.0), (0.092, -0.055), (0.045, -0.108),
            (-0.005, -0.088), (-0.060, -0.062), (-0.096, -0.025), (-0.108, 0.012),
        )  # fmt: skip
        yield area(self.at(cap, 0.1), HAIR)
        lock = curve(
            (0.118, -0.080), (0.141, -0.040), (0.150, 0.040), (0.152, 0.110), (0.140, 0.180), (0.112, 0.214),
            (0.104, 0.165), (0.116, 0.100), (0.108, 0.020),
        )  # fmt: skip
        for side in (-1, 1):
            yield area(self.at(lock * (side, 1), 0.0), HAIR)
        for line in (
            brush((0.040, -0.112), (-0.020, -0.128), (-0.085, -0.105), (-0.122, -0.045), width=0.0085, taper=0.1),
            brush((0.055, -0.122), (0.095, -0.105), (0.118, -0.055), width=0.0085, taper=0.1),
            brush((0.020, -0.178), (-0.045, -0.168), (-0.095, -0.125), width=0.0085, taper=0.1),
            brush((-0.130, 0.030), (-0.134, 0.100), (-0.124, 0.165), width=0.0070, taper=0.1),
        ):
            yield area(self.at(line, 0.1), HAIR_LIGHT)

    def _glasses(self) -> Iterator[Shape]:
        for side in (-1, 1):
            x, y = side * 0.0475, 0.006
            rings = (
                self.at(ellipse(x, y, 0.0378, 0.0348, steps=36), 0.8),
                self.at(ellipse(x, y, 0.0340, 0.0310, steps=36), 0.8),
            )
            yield Shape(rings, GLASSES)
            temple = np.concatenate([self.at([(side * 0.084, -0.002)], 0.8), self.at([(side * 0.112, -0.006)], 0.1)])
            yield area(stroke(temple, 0.0055, taper=0.9), GLASSES)
        bridge = brush((-0.011, 0.002), (0.0, -0.004), (0.011, 0.002), width=0.005, taper=0.8)
        yield area(self.at(bridge, 0.8), GLASSES)


_ACROSS_EYE: Final = np.linspace(-1, 1, 15)
_ACROSS_MOUTH: Final = np.linspace(-1, 1, 21)


def _arm(
    raised: float, side: int, *, up: tuple[float, float], shift: tuple[float, float], turn: float, spread: float
) -> Arm:
    """The wrist's way from rest, below the picture, to `up` bows inwards, before the belly; the elbow gives a little.
    Everything that only a raised hand does fades in with it."""
    rest = side * 0.200, 1.17
    bow = -side * 0.11 * math.sin(math.pi * raised)
    wrist = (
        rest[0] + (up[0] - rest[0] + shift[0]) * raised + bow,
        rest[1] + (up[1] - rest[1] + shift[1]) * raised,
    )
    elbow = side * (0.288 + 0.022 * raised), 0.992 - 0.025 * raised
    return Arm(raised, elbow, wrist, turn * raised - side * 0.6 * (1 - raised), spread)


def _both(*right: tuple[float, float]) -> tuple[tuple[float, float], ...]:
    """A right half outline, top to bottom, closed with its mirror image: what `curve` takes."""
    return *right, *((-x, y) for x, y in reversed(right) if x > 0)


def _between(xs: Points, upper: Points, lower: Points) -> Points:
    return np.stack([np.concatenate([xs, xs[::-1]]), np.concatenate([upper, lower[::-1]])], 1)


def _turns(turns: float) -> float:
    return math.sin(2 * math.pi * turns)


def _drift(seconds: float, period: float, phase: float) -> float:
    """A slow movement between -1 and 1 that does not look like a pendulum."""
    angle = 2 * math.pi * seconds / period + phase
    return 0.7 * math.sin(angle) + 0.3 * math.sin(angle * 1.618 + 2 * phase)


def _ease(x: float) -> float:
    """From 0 to 1 with soft ends."""
    x = min(1.0, max(0.0, x))
    return x * x * x * (x * (6 * x - 15) + 10)


def _bump(seconds: float, start: float, end: float, ramp: float) -> float:
    """0, then 1, then 0 again; `ramp` seconds for each flank, inside of `start` and `end`."""
    return _ease((seconds - start) / ramp) * _ease((end - seconds) / ramp)


def _talk(seconds: float) -> float:
    """1 while a phrase is spoken, 0 in the pauses."""
    wave = _turns(seconds / 3.3 - 0.14) + 0.6 * _turns(seconds / 7.9 + 0.06)
    return _ease(0.5 + (wave + 0.75) / 0.5)


def _blink(seconds: float) -> float:
    """0 open, 1 shut: a blink of 0.22 s in every stretch of 3.4 s, at another moment of each."""
    stretch, within = divmod(seconds, 3.4)
    middle = 0.5 + 2.2 * ((stretch * 0.618) % 1.0)
    return _ease(1 - abs(within - middle) / 0.11)
