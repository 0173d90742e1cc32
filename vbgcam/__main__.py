"""`python -m vbgcam` is the command `vbgcam`."""

import sys

from vbgcam.cli import main

if __name__ == "__main__":
    sys.exit(main())
