from collections.abc import Callable, Iterator
from typing import Any, ClassVar

from PIL.Image import Image

# Names that begin with an underscore are no interface; vbgcam/desktop/toolkit.py says why they are used.

class Icon:
    HAS_DEFAULT_ACTION: ClassVar[bool]
    HAS_MENU: ClassVar[bool]
    HAS_MENU_RADIO: ClassVar[bool]
    HAS_NOTIFICATION: ClassVar[bool]
    icon: Image | None
    title: str
    menu: Menu | None
    visible: bool
    _menu_handle: Any
    _systray_manager: Any
    _thread: Any
    def __init__(
        self,
        name: str,
        icon: Image | None = None,
        title: str | None = None,
        menu: Menu | None = None,
        **kwargs: object,
    ) -> None: ...
    def run(self, setup: Callable[[Icon], None] | None = None) -> None: ...
    def stop(self) -> None: ...
    def update_menu(self) -> None: ...
    def notify(self, message: str, title: str | None = None) -> None: ...
    def _create_menu_item(self, descriptor: MenuItem) -> Any: ...
    def _create_window(self) -> Any: ...
    def _mark_ready(self) -> None: ...

class MenuItem:
    def __init__(
        self,
        text: str,
        action: Callable[..., None] | Menu | None,
        checked: Callable[[MenuItem], bool] | None = None,
        radio: bool = False,
        default: bool = False,
        visible: bool = True,
        enabled: bool = True,
    ) -> None: ...

class Menu:
    SEPARATOR: ClassVar[MenuItem]
    def __init__(self, *items: MenuItem) -> None: ...
    def __iter__(self) -> Iterator[MenuItem]: ...
