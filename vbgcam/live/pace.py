"""How long the workers wait, and how often they try. All of it is looked up here each time: tests need not wait as
long."""

import itertools
from collections.abc import Iterator

IDLE_PERIOD = 0.5
"""Seconds between covers while nobody watches: the device stays listed, and who begins to read gets a picture soon."""
LINGER = 1.0
"""Seconds that the camera stays on after the last reader left: apps close and open it when they change its size."""
GIVE_UP = 30
"""Steps that fail one after the other: so often a frame is composed, or a network built, before it is given up."""
RETRIES = (0.5, 1.0, 2.0, 5.0, 10.0, 30.0)
"""Seconds between tries to open a device, or to build a network that could not be fetched."""
DEVICE = 2.0
"""Seconds between tries to open a device again, at most: who reads the camera waits."""
STALLED = 0.25
"""Seconds without a frame, or three of its periods, after which a camera is no clock any more: the output's rate is."""
TICK = 0.2
"""Seconds between two looks at what nothing tells of by itself: calls that hang, and whoever asks for the end."""
FRAME_HUNG = 90.0
"""Seconds at one frame after which a network has hung: fcn_resnet101 at its largest takes 2 s on a small CPU, compiling
for a new size 10, and one that loses its GPU converts itself for the CPU meanwhile, in 20 and more."""
BUILD_HUNG = 300.0
"""Seconds without progress after which building a network has hung: importing torch from a slow disk takes 40."""
DRIVER_HUNG = 40.0
"""Seconds for a call of the camera's driver, which by itself gives up after ten."""
END = 1.0
"""Seconds that workers get to end; a network in the middle of an inference may not make it and is left behind."""
UNHURRIED = 10.0
"""Seconds that a frame of a source without a clock waits for its mask: a network that takes longer has hung."""


def retries(after: int = 0) -> Iterator[float]:
    """Seconds before the next try, without end; from the one after so many on."""
    return itertools.chain(RETRIES[after:], itertools.repeat(RETRIES[-1]))
