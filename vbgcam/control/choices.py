"""What a person can choose from: backgrounds, cameras, networks, presets. The same lists for tray and panel."""

import logging
from collections.abc import Iterator, Mapping
from typing import Any, Final

from vbgcam import factory
from vbgcam.background.gallery import Gallery
from vbgcam.camera.listing import cameras
from vbgcam.core.errors import BackgroundError, CameraError
from vbgcam.core.options import PRESETS, WEAKEST_BLUR, Preset
from vbgcam.core.specs import BackgroundSpec, ModelSpec
from vbgcam.core.text import megabytes
from vbgcam.segment.catalogue import CATALOGUE
from vbgcam.segment.weights import own_files, weights_file
from vbgcam.settings.schema import Settings, data_folder

log = logging.getLogger(__name__)

BLURS: Final = ((f"blur:{WEAKEST_BLUR}", "Blur"), ("blur:1", "Strong blur"))
COLOURS: Final = (
    ("#3b4a57", "Slate"),
    ("#1f2a44", "Midnight"),
    ("#2f4a3c", "Forest"),
    ("#6b4a3f", "Terracotta"),
    ("#d9d4cb", "Linen"),
    ("#00b140", "Green screen"),
)
_PRESETS: Final[dict[Preset, tuple[str, str]]] = {
    "auto": ("Automatic", "balanced, less where frames would be dropped"),
    "none": ("Bare", "the network's mask as it is"),
    "fast": ("Fast", "half a millisecond a frame"),
    "balanced": ("Balanced", "2 to 3 ms a frame"),
    "fine": ("Fine", "as balanced; late masks 4 ms a frame"),
}
_SIZES: Final = 12


def backgrounds(gallery: Gallery) -> list[dict[str, Any]]:
    """The gallery's; none, and a warning in the log, where its folder cannot be read."""
    try:
        entries = gallery.entries()
    except BackgroundError as exc:
        log.warning("%s", exc)
        return []
    return [
        {
            **{name: getattr(entry, name) for name in ("name", "label", "kind", "broken")},
            "spec": str(entry.path),
            "removable": True,
        }
        for entry in entries
    ]


def camera_choices(source: str, in_use: str) -> list[dict[str, Any]]:
    """`source`: the spec in force; `in_use`: the name of the camera that is open, "" where none is."""
    try:
        found = cameras()
    except CameraError as exc:
        log.warning("%s", exc)
        found = []
    specs = [f"camera:{camera.id or camera.path or camera.name}" for camera in found]
    return [
        {
            "spec": spec,
            "label": camera.name,
            "sizes": list(dict.fromkeys(str(mode.size) for mode in camera.modes))[:_SIZES],
            "now": source == spec or (bool(in_use) and camera.name == in_use),
        }
        for spec, camera in zip(specs, found, strict=True)
    ]


def networks(settings: Settings, working: str, masks: Mapping[str, float]) -> list[dict[str, Any]]:
    """`working`: the one in use; `masks`: milliseconds of a mask that were measured here, by the network's name."""
    chosen = settings.model.name
    return [
        {"spec": spec, "label": label, "cost": cost, "here": here, "now": spec in (chosen, working)}
        for spec, label, cost, here in _networks(settings, masks)
    ]


def _networks(settings: Settings, masks: Mapping[str, float]) -> Iterator[tuple[str, str, str, bool]]:
    options = factory.options(settings)

    def cost(name: str, *words: str) -> str:
        measured = [f"{masks[name]:.3g} ms a mask here"] if name in masks else []
        return "; ".join((*measured, *words))

    yield "auto", "Automatic", "the best for this machine", True
    for name, entry in CATALOGUE.items():
        words = entry.purpose, megabytes(entry.size), entry.licence
        yield name, entry.label, cost(name, *words), weights_file(name, options).path.exists()
    for place in own_files(options):
        if place.name not in CATALOGUE:
            yield place.name, network_label(place.name), cost(place.name, "added by you"), True
    there = (data_folder() / "plate.png").exists()
    yield "plate", "Empty room", "no network; " + ("as you took it" if there else "take it with `vbgcam plate`"), there
    yield "chroma", "Green screen", "no network", True
    spec = ModelSpec.parse(settings.model.name)
    if spec.kind in ("onnx", "plate", "chroma") and spec.path is not None:
        yield settings.model.name, spec.path.stem, cost(settings.model.name, "from a file"), spec.path.exists()


def network_label(name: str) -> str:
    """A network in a few words. `name`: as in the model spec."""
    return CATALOGUE[name].label if name in CATALOGUE else name.removeprefix("onnx:")


def presets() -> list[dict[str, str]]:
    return [{"name": name, "label": _PRESETS[name][0], "cost": _PRESETS[name][1]} for name in PRESETS]


def label_of(show: str, listed: list[dict[str, Any]]) -> str:
    """A background in a few words. `listed`: as `backgrounds` gives them."""
    for entry in listed:
        if entry["spec"] == show:
            return str(entry["label"])
    spec = BackgroundSpec.parse(show)
    if spec.kind == "file":
        return spec.path.name
    if spec.kind == "none":
        return "none (room visible)"
    known = {known: label.lower() for known, label in (*BLURS, *COLOURS)}
    return f"blur {spec.strength:g}" if spec.kind == "blur" else known.get(str(spec), str(spec))
