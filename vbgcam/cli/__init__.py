"""The command line: parses, runs a room's verb, shows an error as a line. Nobody knows it but the verbs.

Nothing here imports anything heavy before a verb runs: `vbgcam --help` answers within a tenth of a second.
"""

__all__ = ["main", "parser", "signals", "terminal"]
