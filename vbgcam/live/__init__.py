"""The only threads of the program: capture, inference, backdrop, compositor; slots of the newest value between them.

    capture ──newest frame──> compositor ──> output
        └────newest frame──> inference ──newest mask──┘

What to show is decided by `policy`, in pure code; the threads only carry. The camera is the clock: the compositor takes
each new frame with the newest mask and never waits for the network.
"""
