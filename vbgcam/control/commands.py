"""The commands that the running program takes, checked: what comes over the port becomes one of these, or a
ControlError that says what is wrong with it."""

from collections.abc import Mapping
from typing import Annotated, Final, Literal, get_args

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError

from vbgcam.core.errors import ControlError
from vbgcam.core.specs import nearest
from vbgcam.media import toml_reader

_Text = Annotated[str, Field(min_length=1, max_length=4096)]


class _Command(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)


class Set(_Command):
    """Settings by "section.key"."""

    do: Literal["set"]
    settings: dict[str, bool | int | float | str] = Field(min_length=1, max_length=64)


class SetBackground(_Command):
    """`to`: a spec, "next" or "previous" of the gallery, or "last": the last one that hid the room."""

    do: Literal["background"]
    to: _Text


class Blur(_Command):
    """`to`: the strength of a background's blur, any number; what it may be is `BackgroundSpec`'s to say."""

    do: Literal["blur"]
    to: Annotated[float, Field(strict=False)]


class Choose(_Command):
    """A network, a camera, or a preset of the mask's steps. `to` of a network: also "cancel", which ends a download."""

    do: Literal["model", "camera", "preset"]
    to: _Text


class Mirror(_Command):
    """`to`: None toggles."""

    do: Literal["mirror"]
    to: bool | None = None


class Simple(_Command):
    do: Literal["pause", "resume", "toggle", "quit", "welcomed"]


Command = Set | SetBackground | Blur | Choose | Mirror | Simple

_ADAPTER: Final[TypeAdapter[Command]] = TypeAdapter(Annotated[Command, Field(discriminator="do")])
_VERBS: Final = [verb for kind in get_args(Command) for verb in get_args(kind.model_fields["do"].annotation)]


def parse(raw: Mapping[str, object]) -> Command:
    """Raises ControlError."""
    verb = raw.get("do")
    if verb not in _VERBS:
        close = nearest(verb, _VERBS) if isinstance(verb, str) else ""
        raise ControlError(f"there is no command {toml_reader.shortened(verb)}{close}")
    try:
        return _ADAPTER.validate_python(dict(raw))
    except ValidationError as exc:
        error = exc.errors()[0]
        where = " ".join(".".join(str(part) for part in error["loc"][1:]).split()) or "it"  # a name may be any text
        said = error["msg"].removeprefix("Input ").removeprefix("Field ")
        raise ControlError(f"{verb}: {where} {said}, not {toml_reader.shortened(error['input'])}"[:600]) from exc
