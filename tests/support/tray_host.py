"""What shows tray icons on a desktop, without a screen: run as a program, on the session bus of its environment.

It owns the name that icons register with, reads each icon and its menu whenever one of them says that something has
changed, takes notes for the person, and writes all that it would show as one line of JSON. A line of its standard input
clicks an entry of the first icon: ["Background", "beach"].
"""

import base64
import json
import sys
from collections.abc import Callable
from functools import partial
from typing import Any, Final

from vbgcam.desktop import toolkit

WATCHER: Final = "org.kde.StatusNotifierWatcher"
_ITEM: Final = "org.kde.StatusNotifierItem"
_MENU: Final = "com.canonical.dbusmenu"
_PROPERTIES: Final = "org.freedesktop.DBus.Properties"
_INTERFACES: Final = """
<node><interface name="org.kde.StatusNotifierWatcher">
  <method name="RegisterStatusNotifierItem"><arg type="s" direction="in"/></method>
  <method name="RegisterStatusNotifierHost"><arg type="s" direction="in"/></method>
  <property name="RegisteredStatusNotifierItems" type="as" access="read"/>
  <property name="IsStatusNotifierHostRegistered" type="b" access="read"/>
  <property name="ProtocolVersion" type="i" access="read"/>
  <signal name="StatusNotifierItemRegistered"><arg type="s"/></signal>
  <signal name="StatusNotifierItemUnregistered"><arg type="s"/></signal>
  <signal name="StatusNotifierHostRegistered"/>
</interface><interface name="org.freedesktop.Notifications">
  <method name="Notify">
    <arg type="s" direction="in"/><arg type="u" direction="in"/><arg type="s" direction="in"/>
    <arg type="s" direction="in"/><arg type="s" direction="in"/><arg type="as" direction="in"/>
    <arg type="a{sv}" direction="in"/><arg type="i" direction="in"/><arg type="u" direction="out"/>
  </method>
  <method name="CloseNotification"><arg type="u" direction="in"/></method>
</interface></node>
"""


class Host:
    def __init__(self) -> None:
        assert toolkit.load_gi()
        self.gio, self.glib = toolkit.module("Gio"), toolkit.module("GLib")
        self.bus = self.gio.bus_get_sync(self.gio.BusType.SESSION, None)
        self.icons: list[Icon] = []
        self.loop = self.glib.MainLoop()
        self.notes: list[str] = []
        watcher, notifier = self.gio.DBusNodeInfo.new_for_xml(_INTERFACES).interfaces
        self.bus.register_object("/StatusNotifierWatcher", watcher, self._called, self._asked, None)
        self.bus.register_object("/org/freedesktop/Notifications", notifier, self._noted, None, None)
        self.gio.bus_own_name_on_connection(self.bus, "org.freedesktop.Notifications", 0, None, None)
        self.bus.signal_subscribe(
            "org.freedesktop.DBus", "org.freedesktop.DBus", "NameOwnerChanged", None, None, 0, self._owner_changed
        )
        self.glib.io_add_watch(sys.stdin.fileno(), self.glib.IO_IN | self.glib.IO_HUP, self._told)
        self.gio.bus_own_name_on_connection(self.bus, WATCHER, 0, lambda *_: self.show(), lambda *_: self.loop.quit())

    def show(self) -> None:
        """Writes what is on the screen now."""
        icons = [icon.shown for icon in self.icons if icon.shown]
        sys.stdout.write(json.dumps({"icons": icons, "notes": self.notes}) + "\n")
        sys.stdout.flush()

    def _called(
        self, _bus: Any, sender: str, _path: str, _interface: str, method: str, arguments: Any, call: Any
    ) -> None:
        if method == "RegisterStatusNotifierItem":
            told = arguments.unpack()[0]
            name, path = (sender, told) if told.startswith("/") else (told, "/StatusNotifierItem")
            if not any((icon.name, icon.path) == (name, path) for icon in self.icons):  # some register again and again
                self.icons.append(Icon(self, name, path))
        call.return_value(None)

    def _noted(self, *told: Any) -> None:
        method, arguments, call = told[4:]
        if method == "Notify":
            self.notes.append(arguments.unpack()[4])
            self.show()
        call.return_value(self.glib.Variant("(u)", (1,)) if method == "Notify" else None)

    def _asked(self, _bus: Any, _sender: str, _path: str, _interface: str, name: str) -> Any:
        values = {
            "RegisteredStatusNotifierItems": ("as", [icon.name + icon.path for icon in self.icons]),
            "IsStatusNotifierHostRegistered": ("b", True),
            "ProtocolVersion": ("i", 0),
        }
        return self.glib.Variant(*values[name])

    def _owner_changed(self, *told: Any) -> None:
        name, _, now = told[5].unpack()
        if not now and any(icon.name == name for icon in self.icons):
            self.icons = [icon for icon in self.icons if icon.name != name]
            self.show()

    def _told(self, *_: Any) -> bool:
        line = sys.stdin.readline()
        if not line:
            self.loop.quit()
            return False
        self.icons[0].click(json.loads(line))
        return True


class Icon:
    """One that registered. `shown` is empty until it has answered."""

    def __init__(self, host: Host, name: str, path: str) -> None:
        self.host, self.name, self.path = host, name, path
        self.shown: dict[str, Any] = {}
        self.menu = ""
        self._properties: dict[str, Any] = {}
        for interface in (_ITEM, _MENU):
            host.bus.signal_subscribe(name, interface, None, None, None, 0, lambda *_: self.refresh())
        self.refresh()

    def refresh(self) -> None:
        def told(answer: Any) -> None:
            self._properties = answer[0]
            self.menu = self._properties["Menu"]
            self._read()

        self._ask(self.path, _PROPERTIES, "GetAll", ("(s)", (_ITEM,)), then=told)

    def _read(self, then: Callable[[], None] | None = None) -> None:
        def told(answer: Any) -> None:
            self.shown = {
                "id": self._properties["Id"],
                "status": self._properties["Status"],
                "title": self._properties["Title"],
                "picture": self._properties["IconName"],
                "entries": [_entry(child) for child in answer[1][2]],
            }
            self.host.show()
            if then is not None:
                then()

        self._ask(self.menu, _MENU, "GetLayout", ("(iias)", (0, -1, [])), then=told)

    def click(self, labels: list[str]) -> None:
        """A menu that changes just now has got other numbers: then it is read and clicked again, as by a person."""
        entries, number = self.shown["entries"], 0
        for label in labels:
            number, entries = next((each["number"], each["entries"]) for each in entries if each["label"] == label)
        data = self.host.glib.Variant("s", "")
        again = partial(self._read, then=lambda: self.click(labels))
        self._ask(self.menu, _MENU, "Event", ("(isvu)", (number, "clicked", data, 0)), refused=again)

    def _ask(
        self,
        path: str,
        interface: str,
        method: str,
        arguments: tuple[str, Any],
        *,
        then: Callable[[Any], None] = lambda _: None,
        refused: Callable[[], None] = lambda: None,
    ) -> None:
        def answered(bus: Any, result: Any) -> None:
            try:
                told = bus.call_finish(result)
            except self.host.glib.Error:
                refused()
            else:
                then(told.unpack())

        variant = self.host.glib.Variant(*arguments)
        self.host.bus.call(self.name, path, interface, method, variant, None, 0, 5000, None, answered)


def _entry(node: Any) -> dict[str, Any]:
    number, told, children = node
    return {
        "number": number,
        # An underscore stands before the letter that chooses an entry; two are one.
        "label": told.get("label", "").replace("__", "\0").replace("_", "").replace("\0", "_"),
        "line": told.get("type") == "separator",
        "mark": told.get("toggle-type", ""),
        "on": told.get("toggle-state") == 1,
        "enabled": told.get("enabled", True),
        "png": base64.b64encode(bytes(told.get("icon-data", b""))).decode(),
        "entries": [_entry(child) for child in children],
    }


if __name__ == "__main__":
    Host().loop.run()
