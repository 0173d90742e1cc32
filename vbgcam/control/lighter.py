"""What makes masks sooner than the network in use, on this machine as it is: nothing is downloaded for it."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Final

from vbgcam import factory
from vbgcam.control import choices
from vbgcam.core.specs import TORCHVISION_MODELS, ModelSpec
from vbgcam.segment import auto
from vbgcam.segment.base import LADDER
from vbgcam.segment.catalogue import CATALOGUE
from vbgcam.segment.weights import weights_file
from vbgcam.settings import reading
from vbgcam.settings.schema import Settings

_SIZE, _NAME, _HASH = "model.size", "model.name", "model.sha256"
_NETWORKS: Final = ("auto", "torchvision", "portrait", "onnx")
_LIGHTEST_FIRST: Final = tuple(CATALOGUE)
# Where they are too slow, or a network of one's own is that may be as light, nothing else helps.
_AS_LIGHT_AS_CAN_BE: Final = _LIGHTEST_FIRST[: _LIGHTEST_FIRST.index(auto.ELSEWHERE) + 1]


@dataclass(frozen=True, slots=True)
class Lighter:
    """Settings by "section.key": `to`, with which masks come sooner, and what was in force `before`. `name`: the
    network that worked before."""

    name: str
    before: Mapping[str, object]
    to: Mapping[str, object]

    def in_force(self, settings: Settings) -> bool:
        """Whether nothing else was chosen since."""
        return all(reading.value(settings, name) == value for name, value in self.to.items())

    def told(self) -> dict[str, object]:
        """As `status` has it: `from`, `to` and `why` for people, `back` the settings that take it back."""
        sizes = self.before.get(_SIZE), self.to.get(_SIZE)
        names = self.name, str(self.to.get(_NAME, self.name))
        before, after = (
            choices.network_label(name) + (f" (input {size})" if sizes[0] != sizes[1] else "")
            for name, size in zip(names, sizes, strict=True)
        )
        why = f"{before} was too slow to follow you: {after} is used instead"
        return {"from": before, "to": after, "why": why, "back": dict(self.before)}


def lighter(settings: Settings, working: str, used: str, earlier: Lighter | None) -> Lighter | None:
    """A smaller input of a network of torchvision's, or the lightest network of the catalogue that is here; None where
    there is neither. `working`: the network in use; `used`: its input, as "288x512", "" where it has none. `earlier`:
    what is in force of this kind already; the answer's `before` is what was in force before that. A size that a person
    chose stays."""
    spec = ModelSpec.parse(settings.model.name)
    if spec.kind not in _NETWORKS:
        return None
    ours = earlier is not None and _SIZE in earlier.to
    to: dict[str, object] = {}
    if used and working in TORCHVISION_MODELS and (ours or settings.model.size == "auto"):
        short = min(int(side) for side in used.split("x"))
        # Half the work, or what comes nearest to it.
        for size in sorted(size for size in LADDER if size < short):
            if not to or 2 * size * size <= short * short:
                to = {_SIZE: size}
    if not to:
        options = replace(factory.options(settings), sha256="")
        names = _LIGHTEST_FIRST[: _LIGHTEST_FIRST.index(working)] if working in CATALOGUE else _AS_LIGHT_AS_CAN_BE
        name = next((name for name in names if weights_file(name, options).path.exists()), None)
        if name is None:
            return None
        to = {_NAME: name, **({_SIZE: "auto"} if ours else {}), **({_HASH: ""} if settings.model.sha256 else {})}
    before = {name: reading.value(settings, name) for name in to}
    if earlier is None:
        return Lighter(working, before, to)
    return Lighter(earlier.name, {**before, **earlier.before}, {**earlier.to, **to})


def advice(settings: Settings, working: str) -> str:
    """What a person can do where there is nothing lighter here."""
    kind = ModelSpec.parse(settings.model.name).kind
    if kind not in _NETWORKS:
        return "close other programs"
    if working in TORCHVISION_MODELS and settings.model.size != "auto":
        return "close other programs, or let the input be smaller with `vbgcam set model.size=auto`"
    if working not in _AS_LIGHT_AS_CAN_BE:
        return f"close other programs, or choose a lighter network with `vbgcam model {auto.ELSEWHERE}`"
    return "close other programs"
