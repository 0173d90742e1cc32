"""One control plane: what can be asked of the running program, and by whom.

    vbgcam VERB, hotkeys, tray, panel -> client -> server (auth) -> ControlApi -> the live chain

Everybody sends the same commands and reads the same status. `instance` says where the running program is found and
keeps a second one from starting, `auth` who may talk to it, `server` and `client` carry it over a loopback port, and
what is done stands in `controller`, which implements `ControlApi`.
"""

from vbgcam.control.api import ControlApi, Entry, Gallery, Shot

__all__ = ["ControlApi", "Entry", "Gallery", "Shot"]
