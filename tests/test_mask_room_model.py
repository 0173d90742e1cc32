"""mask.room_model: the room is learned, followed and let go."""

from dataclasses import dataclass, replace
from typing import Any

import cv2
import numpy as np
import pytest

from vbgcam.core.frames import U8, Size, read_only
from vbgcam.mask.room_model import RoomModel
from vbgcam.pixels.workframe import Region, WorkFrame, region_around

SIZE = Size(320, 180)
ALL: Region = slice(0, 180), slice(0, 320)


def room(seed: int = 0) -> U8:
    """Wallpaper: soft shapes of many sizes."""
    noise = np.random.default_rng(seed).normal(0, 1, (180, 320)).astype(np.float32)
    shapes = sum(cv2.GaussianBlur(noise, (0, 0), sigma) * 30 * sigma for sigma in (1.5, 4, 12))
    return np.asarray(np.clip(110 + np.asarray(shapes), 20, 230), np.uint8)


@dataclass(frozen=True)
class World:
    """A wall and a person, a bright block whose left edge is at `left`. `light` scales the room's luma, `shift` moves
    the wall to the right."""

    wall: U8
    left: int = 120
    light: float = 1.0
    shift: int = 0
    tint: int = 0

    def seen(self, at: float) -> WorkFrame:
        noise = np.random.default_rng(round(1000 * (at + 9))).normal(0, 1.5, (180, 320))
        wall = np.roll(self.wall, self.shift, 1) * self.light
        y = np.where(self.truth > 0, 235.0 * self.light, wall) + noise
        u, v = np.full((180, 320), 128 + self.tint, np.uint8), np.full((180, 320), 128, np.uint8)
        v[self.truth > 0] = 150
        plane = np.clip(y, 0, 255).astype(np.uint8)
        return WorkFrame(SIZE, read_only(plane), read_only(u), read_only(v), at)

    @property
    def truth(self) -> U8:
        alpha = np.zeros((180, 320), np.uint8)
        alpha[60:180, self.left : self.left + 80] = 255
        return read_only(alpha)

    @property
    def coarse(self) -> U8:
        """What a network gives: soft and too large."""
        wide = cv2.dilate(self.truth, np.ones((9, 9), np.uint8))
        return read_only(np.asarray(cv2.GaussianBlur(wide, (0, 0), 5), np.uint8))


def taught(world: World, seconds: float = 2.0) -> RoomModel:
    """All of the room: the person has been elsewhere before."""
    room_model = RoomModel(SIZE)
    teach(room_model, replace(world, left=230 if world.left < 150 else 10), 1.0, -1.0)
    teach(room_model, world, seconds, 0.0)
    return room_model


def teach(room_model: RoomModel, world: World, seconds: float, start: float) -> None:
    for number in range(round(30 * seconds)):
        seen = world.seen(start + number / 30)
        room_model.check(seen, world.coarse)
        room_model.learn(seen, world.coarse, None)


def judged(room_model: RoomModel, world: World, at: float, alpha: U8) -> U8:
    seen = world.seen(at)
    room_model.check(seen, alpha)
    return room_model.compare(seen, alpha, ALL) if room_model.known else alpha


def error(one: U8, other: U8) -> float:
    return float(np.abs(one.astype(int) - other).mean() / 255)


@pytest.fixture(scope="module")
def wall() -> U8:
    return room()


def test_a_mask_that_is_late_becomes_current(wall: U8) -> None:
    """The person has moved by a quarter of their width since the network saw them."""
    before, now = World(wall, left=120), World(wall, left=140)
    room_model = taught(before)
    late = before.coarse
    assert error(judged(room_model, now, 2.1, late), now.truth) < error(late, now.truth) / 5


def test_where_the_room_was_never_seen_the_networks_mask_stands(wall: U8) -> None:
    world = World(wall)
    room_model = RoomModel(SIZE)
    teach(room_model, world, 1.0, 0.0)
    middle = slice(80, 160), slice(140, 180)
    half = read_only(np.full((180, 320), 128, np.uint8))
    assert (room_model.compare(world.seen(3.0), half, ALL)[middle] == 128).all()


def test_who_sits_still_is_never_learned(wall: U8) -> None:
    world = World(wall)
    room_model = taught(world, seconds=20)
    made = judged(room_model, world, 21.0, world.coarse)
    assert made[70:170, 126:194].min() > 250


@pytest.mark.parametrize("change", [{"light": 0.75}, {"tint": -9}])
def test_a_darker_or_warmer_room_is_the_same_room(wall: U8, change: dict[str, Any]) -> None:
    world = World(wall)
    room_model = taught(world)
    made = judged(room_model, replace(world, **change), 2.1, world.coarse)
    assert room_model.known
    assert error(made, world.truth) < error(world.coarse, world.truth) / 2


@pytest.mark.parametrize("shift", [2, 5, 20])
def test_a_camera_that_moved_makes_it_forget(wall: U8, shift: int) -> None:
    room_model = taught(World(wall))
    moved = World(wall, shift=shift)
    assert judged(room_model, moved, 2.1, moved.coarse) is moved.coarse or not room_model.known


def test_another_room_makes_it_forget(wall: U8) -> None:
    room_model = taught(World(wall))
    judged(room_model, World(room(5)), 2.1, World(wall).coarse)
    assert not room_model.known


def test_a_still_camera_never_does(wall: U8) -> None:
    world = World(wall)
    room_model = taught(world)
    for number in range(60):
        at = 2 + number / 30
        walking = replace(world, left=60 + 2 * number)
        judged(room_model, walking, at, walking.coarse)
        assert room_model.known, number


def test_what_was_moved_is_learned_in_the_place_of_what_was_there(wall: U8) -> None:
    before = World(wall)
    chair = wall.copy()
    chair[100:150, 240:280] = 20
    after = World(chair)
    room_model = taught(before)
    assert not judged(room_model, before, 2.1, before.coarse)[100:150, 240:280].any()
    teach(room_model, after, 1.0, 2.2)
    made = judged(room_model, after, 3.3, read_only(np.full((180, 320), 128, np.uint8)))
    assert not made[105:145, 245:275].any(), "the chair is the room now"


def test_a_colour_that_stays_for_less_than_a_tenth_of_a_second_is_no_room(wall: U8) -> None:
    """A hand that the network misses once must not become the room."""
    world = World(wall)
    hand = wall.copy()
    hand[20:50, 20:50] = 235
    room_model = taught(world)
    teach(room_model, World(hand), 1 / 30, 2.1)
    teach(room_model, world, 0.2, 2.2)
    unsure = read_only(np.full((180, 320), 128, np.uint8))
    assert not judged(room_model, world, 2.6, unsure)[22:48, 22:48].any()


def test_somebody_whom_the_network_did_not_see_is_noticed(wall: U8) -> None:
    room_model = taught(World(wall, left=30))
    two = World(wall, left=30).seen(2.1)
    y = two.y.copy()
    y[60:180, 220:290] = 235
    room_model.check(WorkFrame(SIZE, read_only(y), two.u, two.v, 2.1), World(wall, left=30).coarse)
    assert room_model.known
    assert room_model.somebody_elsewhere
    room_model.check(World(wall, left=30).seen(2.2), World(wall, left=30).coarse)
    assert not room_model.somebody_elsewhere


def test_a_forgotten_room_is_forgotten(wall: U8) -> None:
    world = World(wall)
    room_model = taught(world)
    room_model.forget()
    assert not room_model.known
    half = read_only(np.full((180, 320), 128, np.uint8))
    assert (room_model.compare(world.seen(3.0), half, ALL) == 128).all()


def test_the_part_to_work_on_holds_the_person_and_room_to_move(wall: U8) -> None:
    part = region_around(World(wall).truth)
    assert part is not None
    rows, columns = part
    assert columns.start <= 120 - 24
    assert columns.stop >= 200 + 24
    assert rows.start <= 60 - 24
    assert rows.stop == 180
    assert region_around(read_only(np.zeros((180, 320), np.uint8))) is None
