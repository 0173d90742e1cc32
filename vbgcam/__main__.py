"""`python -m vbgcam` is the command `vbgcam`."""

from vbgcam.cli.main import program

if __name__ == "__main__":
    program()
