"""From a source spec to the source that it names."""

from vbgcam.camera.base import Requested, Source
from vbgcam.core.specs import SourceSpec


def open_source(spec: SourceSpec, wanted: Requested) -> Source:
    """The source that the spec names, not opened yet."""
    if spec.kind == "camera":
        from vbgcam.camera.device import DeviceSource

        return DeviceSource(spec.target, wanted)
    if spec.kind == "file":
        from vbgcam.camera.file import FileSource

        return FileSource(spec.target, loop=spec.loop, paced=spec.pace == "source")
    from vbgcam.camera.demo import DemoSource

    return DemoSource(wanted.size, wanted.fps, paced=spec.pace == "source")
