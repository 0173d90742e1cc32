# The package is installed only where there is no Video4Linux.

class CameraInfo:
    index: int
    name: str
    path: str | None
    vid: int | None
    pid: int | None
    backend: int

def enumerate_cameras(apiPreference: int = ...) -> list[CameraInfo]: ...  # noqa: N803  # the package's own name
