"""From a sink spec to the output that it names."""

from __future__ import annotations

from vbgcam.core.frames import Size
from vbgcam.core.specs import SinkSpec
from vbgcam.output.base import Output


def open_output(spec: SinkSpec, size: Size, fps: float) -> Output:
    """The output that the spec names, not opened yet. `size` has even sides."""
    if spec.kind == "null":
        from vbgcam.output.null import NullOutput

        return NullOutput()
    if spec.kind == "file":
        from vbgcam.output.file import FileOutput

        return FileOutput(spec.target, size, fps)
    if spec.kind == "auto":
        from vbgcam.output.automatic import open_automatic

        return open_automatic(size, fps)
    from vbgcam.output.virtualcam import VirtualCamera

    if spec.kind == "virtualcam":
        return VirtualCamera(spec.target, size, fps)
    from vbgcam.output.pipewire import PipeWireCamera

    camera = PipeWireCamera(spec.target, size, fps)
    if spec.kind == "pipewire":
        return camera
    from vbgcam.output.both import Both

    return Both([VirtualCamera(spec.target, size, fps), camera])
