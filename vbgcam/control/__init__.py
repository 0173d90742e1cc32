"""One control plane: what can be asked of the running program, and by whom.

    vbgcam VERB, hotkeys, tray, panel -> client -> server (auth) -> ControlApi -> the live chain

Everybody sends the same commands and reads the same status. `instance` says where the running program is found and
keeps a second one from starting, `auth` decides who may talk to it, `server` and `client` carry it over a loopback
port, and `controller`, which implements `ControlApi`, does the work.
"""

from vbgcam.control.api import ControlApi, PreviewImage

__all__ = ["ControlApi", "PreviewImage"]
