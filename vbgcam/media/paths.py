"""Files that a person named, opened to be read."""

import shlex
from io import BufferedReader
from pathlib import Path

from vbgcam.core.errors import MediaError


def open_named(path: Path, what: str) -> BufferedReader:
    """The file, which is not empty. `what`: it should be, for the message. Raises MediaError."""
    name = shown(path)
    try:
        if path.is_dir():
            raise MediaError(f"{name} is a folder, not a {what}")
        if not path.is_file() and path.exists():  # to open a pipe would wait for its writer
            raise MediaError(f"{name} is a device or a pipe, not a {what}")
        stream = path.open("rb")
    except FileNotFoundError as exc:
        raise MediaError(f"{name}: there is no such file", fix="check its name") from exc
    except PermissionError as exc:
        raise MediaError(f"{name} may not be read", fix=f"chmod u+r {shlex.quote(name)}") from exc
    except OSError as exc:
        raise MediaError(f"{name} cannot be read: {exc.strerror or exc}") from exc
    if not stream.peek(1):
        stream.close()
        raise MediaError(f"{name} is empty (0 bytes)", fix="copy it again from where it was")
    return stream


def shown(path: Path) -> str:
    """The path for a message of one line: a name with line breaks or bytes that are no text is quoted."""
    text = str(path)
    return text if text.isprintable() else ascii(text)
