"""Opens the panel in the person's browser."""

import os
import shutil
import subprocess
import sys
from typing import Final

from vbgcam.core.errors import VbgcamError
from vbgcam.system import linux_packages

# Seconds in which an opener that fails has said so. One that starts the browser itself stays for as long as that does.
_PATIENCE: Final = 2.0

_running: Final[list[subprocess.Popen[bytes]]] = []


def browse(address: str) -> None:
    """Waits a moment for what the opener says. Raises VbgcamError where there is no browser."""
    if sys.platform == "win32":
        try:
            os.startfile(address)
        except OSError as exc:
            raise VbgcamError(f"no browser opens the panel: {exc.strerror}") from exc
        return
    opener = shutil.which("open" if sys.platform == "darwin" else "xdg-open")
    if opener is None:
        raise VbgcamError("nothing opens the panel here", fix=linux_packages.install("xdg-utils"))
    _running[:] = [process for process in _running if process.poll() is None]
    quiet = subprocess.DEVNULL
    process = subprocess.Popen(
        [opener, address],
        stdin=quiet,
        stdout=quiet,
        stderr=quiet,
        start_new_session=True,  # the browser outlives this program
    )
    _running.append(process)
    try:
        code = process.wait(_PATIENCE)
    except subprocess.TimeoutExpired:
        return
    if code:
        raise VbgcamError(f"no browser opens the panel: {opener} ended with {code}", fix="install a browser")
