"""What of a network's answer is believed: furniture is no person, and some answers are none of a person at all.

Networks take furniture for people: half surely, most of it (a red bed .5 to .7 of certainty, people's insides .98 and
more), and for as long as it stands there. So it is told from people by certainty and by motion:

- What the network is only half sure of, away from what it is sure of, and has not moved for a second or whose colour
  is not rather the person's (`mask.colour_odds`), is furniture.
- A part by itself is a person once something moved in it: people always do, furniture never does. Who has moved once
  may sit still after that. What is left of a part by less than half was joined to a person who has gone.

Motion is a change of colour that no light makes: light that crosses a chair makes its colours and its texture stronger
or weaker, by a factor that hardly differs from pixel to pixel. After a cut or a knock at the camera nobody has moved
yet: who is seen most surely is shown until somebody does.

An answer that is almost all the person, holds the whole upper edge or both sides, consists of crumbs, or becomes
another one where nothing moves is none of a person: the whole frame is hidden (`core.frames.Doubt`), and those of the
next half second. So are the first frames, until somebody is seen to move, or nothing does.
"""

from typing import Any, Final

import cv2
import numpy as np
from numpy.typing import NDArray

from vbgcam.core.frames import U8, Doubt, RawFrame, Size, read_only
from vbgcam.mask.colour_odds import EVEN, Colours
from vbgcam.mask.guard import size_of, small_planes
from vbgcam.segment.difference import colour_distance

# Of 255: from here on the network is sure, half sure, and sure of nobody below the last. (With 237 in the first's place
# sun leaks .033 at worst where texture alone tells of motion, with 250 .023.)
_SURE, _EVEN, _HALF, _NOBODY = 250, 127, 77, 13
# Pixels at `guard.WIDTH` around what is sure: outlines and hair are only half sure, too.
_NEAR: Final = np.ones((7, 7), np.uint8)
_PIXEL: Final = np.ones((3, 3), np.uint8)
# Seconds without motion: after .3, half-sure hands in low light are furniture (blur15: loss .27, after 1 s .23).
_STILL_S: Final = 1.0
# Seconds from one lesson in colours to the next: to learn from every answer would double what judging takes.
_LESSONS_S: Final = 0.19
# Noise in the colours is averaged over so many pixels, and holes in the person as small as the other are none.
_AROUND: Final = (3, 3)
_HOLE: Final = np.ones((5, 5), np.uint8)
# Motion: d of the colours, and what no light made of the luma, are more than this and so much of the frame's median,
# which is its noise. With texture that differs, not only by a factor, sun leaks .069 at worst, so .014.
_COLOUR: Final = (8, 2)
_TEXTURE: Final = (2, 2)
_TEXTURE_WINDOW: Final = (9, 9)
# More is no noise (noise 2.9, banding 3.9) and no light (sun 9.6): a cut or a knock at the camera (11 to 14), another
# picture. With 6, leave_return at 5 masks a second loses .36 of who comes back, so .04.
_ANOTHER_PICTURE: Final = 10
# Variance of luma that rounding makes.
_ROUNDED: Final = 0.5
# One pixel of so many in both directions tells the median.
_SAMPLE: Final = 3
# A part has moved where so many of its pixels have, and this share of it.
_MOVED_PIXELS: Final = 12
_MOVED_SHARE: Final = 0.02
# It is the same as before where it has this share of it; what is left of who left has less of what they were a second
# ago, of which a half counts.
_SAME: Final = 0.5
_REMEMBERED: Final = 0.5
# Seconds at the start: the least until somebody is shown, until who has not moved is, where nothing has, and until they
# are in any case: somebody may sit very still in front of a curtain that moves.
_SETTLING_S: Final = 0.15
_STANDING_S: Final = 0.5
_WAITING_S: Final = 3.0
_STIRRED: Final = 0.01
# Of the answer: it is almost all; of its upper edge, and of each of both sides (a face that fills the frame has a
# quarter of them); of what is inside by a pixel, and in its largest part, at least.
_ALL: Final = 0.9
_ALL_OF_PART: Final = 0.98
_EDGE: Final = 0.95
_SIDES: Final = 0.7
_INSIDE: Final = 0.4
_LARGEST: Final = 0.25
_ANYTHING: Final = 0.02
_LONG_SIDE: Final = 128
# Without motion, of the frame what came at once, and of the person what came or went; after so many seconds it is
# believed.
_JUMPED: Final = 0.15
_ANOTHER: Final = 0.5
_BELIEVED_S: Final = 1.0
# Seconds that all answers are doubted after one was none of a person: what is wrong now and then is wrong.
_DOUBTED_S: Final = 0.5


class NetworkGuard:
    """One network thread's, for one scene. `doubt`: about the last answer."""

    def __init__(self, *, live: bool) -> None:
        """`live`: the first frames may be hidden; in a video file they are not."""
        self._live = live
        self.reset()

    def reset(self) -> None:
        """Another scene follows."""
        self.doubt: Doubt | None = None
        self._frame: RawFrame | None = None
        self._then: tuple[U8, ...] = ()
        self._began_at, self._judged_at = 0.0, 0.0
        self._moved = self._believed = np.zeros((0, 0), np.bool_)
        self._moved_at = np.zeros((0, 0))
        self._labels, self._peaks = np.zeros((0, 0), np.int64), np.zeros(1)
        self._proven = self._stirred = False
        self._starting = self._live
        self._jumped_at: float | None = None
        self._wrong_at = -np.inf

    def judge(self, frame: RawFrame, answer: U8, alpha: U8) -> U8:
        """The person in `alpha`, the answer brought to the whole frame; both uint8, of any size."""
        size = size_of(frame.size)
        if frame is not self._frame:
            self._look(frame, size)
        # By areas: else the crisp border of the network's region decides what is sure (two_men: .033 at worst, .081).
        small = np.asarray(cv2.resize(alpha, (size.width, size.height), interpolation=cv2.INTER_AREA), np.uint8)
        jumped = self._jumped(frame.captured_at, small)
        core = cv2.morphologyEx(np.asarray(small >= _SURE, np.uint8), cv2.MORPH_OPEN, _PIXEL)
        still = frame.captured_at - self._moved_at >= _STILL_S
        away = (cv2.dilate(core, _NEAR) == 0) & (small > _NOBODY)
        furniture = away & still
        self._learn_colours(frame.captured_at, (small <= _NOBODY) | furniture, small >= _SURE)
        furniture |= away & self._no_persons_colour(away)
        keep = np.where(furniture, np.uint8(0), np.uint8(255))
        self._remove_parts(frame.captured_at, np.asarray(cv2.min(small, keep), np.uint8), core, keep)
        if jumped or is_nobody(answer, part=answer is not alpha):
            self._wrong_at = frame.captured_at
        wrong = frame.captured_at - self._wrong_at < _DOUBTED_S
        self.doubt = Doubt.NETWORK if wrong else self._at_the_start(frame.captured_at)
        fine = cv2.resize(keep, alpha.shape[::-1], interpolation=cv2.INTER_LINEAR)
        return read_only(np.asarray(cv2.multiply(alpha, fine, scale=1 / 255), np.uint8))

    def _look(self, frame: RawFrame, size: Size) -> None:
        """What moved since the frame before, with which light is compared, too: an older one was in another light."""
        now, then = small_planes(frame, size), self._then
        self._frame = frame
        if not then or then[0].shape != now[0].shape:
            self.reset()
            self._frame, self._began_at = frame, frame.captured_at
            self._begin(now)
            return
        least, noise = _COLOUR
        distance = cv2.blur(colour_distance(now, then), _PIXEL.shape)
        coloured = distance > least + noise * _median(distance)
        least, noise = _TEXTURE
        other = _not_by_light(now[0], then[0])
        typical = _median(other)
        self._moved = coloured & (other > least + noise * typical)
        self._moved_at[self._moved] = frame.captured_at
        self._stirred |= bool(np.count_nonzero(self._moved) > _STIRRED * self._moved.size)
        self._then = now
        if typical > _ANOTHER_PICTURE:
            self._begin(now)

    def _begin(self, now: tuple[U8, ...]) -> None:
        """Nobody is known, and nothing has moved, in another picture than before."""
        self._then = now
        self._moved, self._moved_at = np.zeros(now[0].shape, np.bool_), np.full(now[0].shape, -np.inf)
        self._believed, self._labels, self._proven = np.zeros((0, 0), np.bool_), np.zeros((0, 0), np.int64), False
        self._colours, self._learned_at = Colours(), -np.inf

    def _learn_colours(self, at: float, room: NDArray[np.bool_], person: NDArray[np.bool_]) -> None:
        """What the network is sure of, and furniture. What moves and is not seen may be somebody else (where it is the
        room, walks_behind loses .012 of him more than without colours, else .007)."""
        if not 0 <= at - self._learned_at < _LESSONS_S:
            self._colours.learn(self._then, room & ~self._moved, person)
            self._learned_at = at

    def _no_persons_colour(self, asked: NDArray[np.bool_]) -> NDArray[np.bool_]:
        """Of the pixels that are `asked` about, those whose colour is not rather the person's. (A nat less, and
        dances_anywhere leaks .028 at worst, as without colours; so .017.)"""
        likely = asked & (cv2.blur(self._colours.odds(self._then), _AROUND) > EVEN)
        closed = cv2.morphologyEx(np.asarray(likely | ~asked, np.uint8), cv2.MORPH_CLOSE, _HOLE)
        return np.asarray(closed == 0)

    def _remove_parts(self, at: float, small: U8, core: object, keep: U8) -> None:
        """Sets `keep` to 0 where a part is not known to have moved."""
        part = np.asarray(small >= _HALF, np.uint8)
        count, labels, stats, _centres = cv2.connectedComponentsWithStats(part, connectivity=8)
        areas = stats[:, cv2.CC_STAT_AREA].astype(np.float64)
        inside = cv2.erode(part, _PIXEL) > 0
        moved = np.bincount(labels[self._moved & inside], minlength=count)
        people = moved >= np.maximum(_MOVED_PIXELS, _MOVED_SHARE * areas)
        people[0] = False
        if self._proven and self._labels.shape == labels.shape:
            known = len(self._peaks)
            shared = np.bincount((labels * known + self._labels).ravel(), minlength=count * known).reshape(count, known)
            shared[0], shared[:, 0] = 0, 0
            people |= ((shared > 0) & (shared >= _SAME * self._peaks)).any(1)
            faded = self._peaks * _REMEMBERED ** max(0.0, at - self._judged_at)
            areas = np.maximum(areas, ((shared > 0) * faded).max(1))
        self._proven |= bool(people.any())
        if not self._proven and count > 1:
            # Nobody has moved yet: who is seen most surely.
            people[1 + int(np.bincount(labels[np.asarray(core) > 0], minlength=count)[1:].argmax())] = True
        wrong = ~people
        wrong[0] = False
        around = cv2.dilate(np.asarray(wrong[labels], np.uint8), _PIXEL) > 0
        keep[around & ~people[labels]] = 0
        self._labels = (np.cumsum(people) * people)[labels]
        self._peaks = np.concatenate([[0.0], areas[people]])
        self._judged_at = at

    def _jumped(self, at: float, small: U8) -> bool:
        """Whether the answer became another one where nothing moved since it was believed last."""
        person = small > _EVEN
        if self._believed.shape == small.shape:
            stood = self._moved_at < self._judged_at
            grown = np.count_nonzero(stood & person & ~self._believed)
            changed = np.count_nonzero(stood & (person ^ self._believed))
            either = np.count_nonzero(person | self._believed)
            if grown > _JUMPED * small.size or (changed > _ANOTHER * either and either > _ANYTHING * small.size):
                self._jumped_at = at if self._jumped_at is None else self._jumped_at
                if at - self._jumped_at < _BELIEVED_S:
                    return True
        self._jumped_at = None
        self._believed = person
        return False

    def _at_the_start(self, at: float) -> Doubt | None:
        passed = at - self._began_at
        needed = _SETTLING_S if self._proven else _WAITING_S if self._stirred else _STANDING_S
        self._starting &= passed < needed
        return Doubt.START if self._starting else None


def is_nobody(answer: U8, *, part: bool = False) -> bool:
    """Whether no person looks like that; `answer`: uint8, (height, width), as the network gave it. `part`: of a part of
    the frame, which a person may fill who has moved since it was chosen."""
    scale = _LONG_SIDE / max(answer.shape)
    if scale < 1:
        height, width = (max(1, round(side * scale)) for side in answer.shape)
        answer = np.asarray(cv2.resize(answer, (width, height), interpolation=cv2.INTER_NEAREST), np.uint8)
    person = np.asarray(answer > _EVEN, np.uint8)
    area = cv2.countNonZero(person)
    if area < _ANYTHING * person.size:
        return False
    top, left, right = (float(edge.mean()) for edge in (person[0], person[:, 0], person[:, -1]))
    if area > (_ALL_OF_PART if part else _ALL) * person.size:
        return True
    if not part and (top > _EDGE or min(left, right) > _SIDES):
        return True
    if cv2.countNonZero(cv2.erode(person, _PIXEL)) < _INSIDE * area:
        return True
    _count, labels = cv2.connectedComponents(person, connectivity=4)
    return int(np.bincount(labels[person > 0]).max()) < _LARGEST * area


def _not_by_light(now: U8, then: U8) -> NDArray[np.float32]:
    """By how much luma's texture differs around each pixel (standard deviation) from what light can make of it, which
    is the same, stronger or weaker."""
    ours, theirs = (_texture(plane) for plane in (now, then))
    our, their, both = (cv2.blur(a * b, _TEXTURE_WINDOW) for a, b in ((ours, ours), (theirs, theirs), (ours, theirs)))
    same = np.square(np.maximum(both, 0)) / (np.minimum(our, their) + _ROUNDED)
    return np.asarray(np.sqrt(np.maximum(np.maximum(our, their) - same, 0)), np.float32)


def _texture(plane: U8) -> NDArray[np.float32]:
    """By how much each pixel is more than its surroundings."""
    values = plane.astype(np.float32)
    return np.asarray(values - cv2.blur(values, _TEXTURE_WINDOW), np.float32)


def _median(values: NDArray[Any]) -> float:
    return float(np.median(values[::_SAMPLE, ::_SAMPLE]))
