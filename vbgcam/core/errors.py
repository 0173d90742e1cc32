"""Everything that can go wrong, in one tree.

    VbgcamError            exit 1: the work failed
    ├── ConfigError        exit 2: settings, specs or the command line are wrong
    ├── CameraError        a source of frames
    ├── ModelError         a network, its weights or its card
    ├── BackgroundError    what stands behind the person
    ├── OutputError        a virtual camera or an output file
    ├── MediaError         an image or video that is read or written
    └── ControlError       the running program could not be reached

A message is one line for a person: which file, key or device, what is wrong with it, and the command that fixes it.
Foreign exceptions (torch, OpenCV, FFmpeg, the operating system) are translated at the adapter that calls the library,
`raise ... from exc`, and never travel further.
"""

from collections.abc import Iterable


class VbgcamError(Exception):
    """`message`: what is wrong. `fix`: what the reader can do about it, which stands behind it on the same line.
    `exit_code`: the command line's."""

    exit_code = 1

    def __init__(self, message: str, *, fix: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.fix = fix

    def __str__(self) -> str:
        return f"{self.message}; {self.fix}" if self.fix else self.message


class ConfigError(VbgcamError):
    """Settings, specs or arguments are wrong. `problems`: one line for each mistake of one reading."""

    exit_code = 2

    def __init__(self, problems: Iterable[str] | str) -> None:
        self.problems = (problems,) if isinstance(problems, str) else tuple(problems)
        super().__init__("\n".join(self.problems))


class CameraError(VbgcamError):
    """The camera, or what stands in for it, gives no frames."""


class ModelError(VbgcamError):
    """A network cannot be loaded or run. `retry`: whether waiting may help, as for weights that could not be
    downloaded."""

    def __init__(self, message: str, *, fix: str = "", retry: bool = False) -> None:
        super().__init__(message, fix=fix)
        self.retry = retry


class BackgroundError(VbgcamError):
    """The background cannot be shown."""


class OutputError(VbgcamError):
    """Frames cannot be delivered."""


class MediaError(VbgcamError):
    """An image or video file cannot be read or written."""


class ControlError(VbgcamError):
    """The running program cannot be reached or refuses a command."""
