"""`python -m vbgcam.segment.convert NAME WEIGHTS soft|hard FOLDER`: one network of torchvision's, converted and kept in
the folder, by a process of its own.

In the daemon's own process torch would stay: 1.4 GB more for the rest of its life, and a hundred camera frames lost
while it is imported and holds the interpreter's lock.
"""

import sys
from pathlib import Path

from vbgcam.segment.openvino import load
from vbgcam.segment.torchvision import converted, person


def main() -> None:
    """Converts what the arguments name."""
    name, weights, kind, folder = sys.argv[1:]
    hard = kind == "hard"
    load(Path(weights), hard, Path(folder), lambda: converted(person(name, Path(weights), hard=hard)))


if __name__ == "__main__":
    main()
