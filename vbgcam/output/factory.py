"""From a sink spec to the output that it names."""

import sys

from vbgcam.core.errors import OutputError
from vbgcam.core.frames import Size
from vbgcam.core.specs import SinkSpec
from vbgcam.output.base import DEFAULT_NAME, Device, DeviceOutput, Output


def open_output(spec: SinkSpec, size: Size, fps: float) -> Output:
    """The output that the spec names, not opened yet. `size` has even sides; `fps`: frames a second, above 0."""
    if spec.kind == "null":
        from vbgcam.output.null import NullOutput

        return NullOutput()
    if spec.kind == "file":
        from vbgcam.output.file import FileOutput

        return FileOutput(spec.target, size, fps)
    if spec.kind == "auto" and sys.platform == "linux":
        return DeviceOutput(DEFAULT_NAME, lambda: _automatic(size, fps))
    from vbgcam.output.virtualcam import open_device

    camera = DeviceOutput(spec.target or DEFAULT_NAME, lambda: open_device(spec.target, size, fps))
    if spec.kind in ("auto", "virtualcam"):
        return camera
    from vbgcam.output.pipewire import PipeWireDevice, label

    stream = DeviceOutput(label(spec.target), lambda: PipeWireDevice(spec.target, size, fps))
    if spec.kind == "pipewire":
        return stream
    from vbgcam.output.both import Both

    return Both([camera, stream])


def _automatic(size: Size, fps: float) -> Device:
    """v4l2loopback's device where there is one, since every app reads it, else a camera of PipeWire's. A device that is
    there but cannot be written to is an error, and no reason to be shown elsewhere. Raises OutputError."""
    from vbgcam.output.loopback import absent, loopbacks, open_loopback
    from vbgcam.output.pipewire import PipeWireDevice

    if loopbacks():
        return open_loopback("", size, fps)
    try:
        return PipeWireDevice("", size, fps)
    except OutputError as none_here:
        module = absent()
        raise OutputError(
            f"there is no virtual camera: {module.message}; {none_here.message}",
            fix=f"{module.fix}; or, for apps that ask PipeWire: {none_here.fix}",
        ) from none_here
