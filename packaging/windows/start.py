"""What the bundle's program does first: `vbgcam ...`, and for processes that the program starts with `-m MODULE`, as an
interpreter would, that module."""

import multiprocessing
import runpy
import sys

from vbgcam.cli.main import program

if __name__ == "__main__":
    multiprocessing.freeze_support()
    words = sys.argv[1:]
    if words[:2] == ["-P", "-m"]:
        sys.argv[:] = words[2:]
        if words[2] != "vbgcam":
            runpy.run_module(words[2], run_name="__main__", alter_sys=True)
            sys.exit()
        sys.argv[1:] = words[3:]
    program()
