"""Writes the manual page and the shells' completions from the command line's own parser, so that they never say
anything else: python packaging/manual.py FOLDER.

argparse-manpage and shtab do it; what they cannot know (files, exit codes) stands here.
"""

import argparse
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Final

TOP: Final = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(TOP))

import shtab  # noqa: E402
from argparse_manpage.manpage import Manpage  # noqa: E402

from vbgcam import __version__  # noqa: E402
from vbgcam.cli.parser import command_line  # noqa: E402

_FOLDERS: Final = {"DIR", "FOLDER"}
# Where each shell looks for them, below /usr/share.
_COMPLETIONS: Final = {
    "bash": "bash-completion/completions/vbgcam",
    "zsh": "zsh/vendor-completions/_vbgcam",
    "fish": "fish/vendor_completions.d/vbgcam.fish",
}
_MORE: Final = r"""
.SH FILES
.TP
.I ~/.config/vbgcam/config.toml
The settings; \fBvbgcam config example\fR prints one that explains them all.
.TP
.I ~/.local/share/vbgcam/backgrounds
Pictures and films of yours.
.TP
.I ~/.local/state/vbgcam/vbgcam.log
What was said, at most 5 MB; no pictures.
.TP
.I ~/.cache/vbgcam
Networks made ready for this machine, and thumbnails; may be deleted.
.SH EXIT STATUS
0: done. 1: the work failed; one line says why and what fixes it. 2: wrong usage or settings. 130: interrupted.
.SH SEE ALSO
.BR vbgcam\-setup (1),
.BR modprobe.d (5),
.BR systemctl (1)
"""


def manual() -> str:
    """The page vbgcam.1, in roff."""
    parser = command_line()
    parser.man_short_description = "a virtual camera that never shows your room"  # type: ignore[attr-defined]
    page = str(
        Manpage(
            parser,
            format="pretty",
            _data={"project_name": "vbgcam", "version": __version__, "manual_title": "User commands", "prog": "vbgcam"},
        )
    )
    head, rest = page.split("\n", 1)
    return head.replace("\\-", "-") + "\n" + rest.rstrip() + _MORE  # mandoc takes no other dashes in a date


def completion(shell: str) -> str:
    """A shell's completions. Files are proposed where a path is expected."""
    parser = command_line()
    for action in _actions(parser):
        if action.type is Path:
            names = action.metavar if isinstance(action.metavar, tuple) else (action.metavar,)
            folder = any(name in _FOLDERS for name in names)
            action.complete = shtab.DIRECTORY if folder else shtab.FILE  # type: ignore[attr-defined]
    return str(shtab.complete(parser, shell))


def _actions(parser: argparse.ArgumentParser) -> Iterator[argparse.Action]:
    for action in parser._actions:
        yield action
        if isinstance(action, argparse._SubParsersAction):
            for verb in action.choices.values():
                yield from _actions(verb)


def main(folder: Path) -> None:
    """Writes all below that folder as they belong below /usr/share."""
    files = {"man/man1/vbgcam.1": manual()}
    files |= {place: completion(shell) for shell, place in _COMPLETIONS.items()}
    for place, text in files.items():
        path = folder / place
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
