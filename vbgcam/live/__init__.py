"""The only threads of the program: capture, inference, background, compositor; slots of the newest value between them.

    capture ──newest frame──> compositor ──> output
        └────newest frame──> inference ──newest prediction──┘

What to show is decided by `policy`, in pure code; the threads only carry. The camera is the clock: the compositor takes
each new frame with the newest prediction and never waits for the network. `session` starts and stops the threads,
`networks` swaps networks, and `state` says who owns which field.
"""
