"""Which of the mask's steps are taken: presets, and each step by itself."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Final, Literal, get_args

Preset = Literal["none", "fast", "balanced", "fine"]
PRESETS: Final = get_args(Preset)

Switch = Literal["preset", "on", "off"]
"""Of one step: as the preset has it, or in its place."""


@dataclass(frozen=True, slots=True)
class MaskOptions:
    """`crop`: the network sees the person's part of the frame. `memory`: the room behind the person is learned, and
    each frame compared with it. `motion`: an old mask is carried to the frame by optical flow. `time`: what stands
    still keeps its mask. `edges`: specks go, and the outline follows the picture's colours. `colours`: the old room's
    colours are taken out of the outline. `finely`: flow takes the time it needs."""

    crop: bool = False
    memory: bool = False
    motion: bool = False
    time: bool = False
    edges: bool = False
    colours: bool = False
    finely: bool = False

    @property
    def any(self) -> bool:
        """Whether there is more to do than to bring the network's answer to the frame's size."""
        return self.memory or self.motion or self.time or self.edges or self.colours


NONE: Final = MaskOptions()

_OF: Final[dict[Preset, MaskOptions]] = {
    "none": NONE,
    "fast": MaskOptions(crop=True, time=True),
    "balanced": MaskOptions(crop=True, memory=True, motion=True, time=True, edges=True, colours=True),
    "fine": MaskOptions(crop=True, memory=True, motion=True, time=True, edges=True, colours=True, finely=True),
}

NAMES: Final = ("crop", "memory", "motion", "time", "edges", "colours")


def steps(preset: Preset, **switches: Switch) -> MaskOptions:
    """`switches`: by the steps' names."""
    return replace(_OF[preset], **{name: how == "on" for name, how in switches.items() if how != "preset"})
