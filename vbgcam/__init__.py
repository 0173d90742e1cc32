"""vbgcam: a virtual camera that never shows your room."""

import os
import sys

__version__ = "0.1.0"

# Nothing leaves the machine. By themselves OpenVINO would tell Intel of each use (it has a stub for where that package
# is missing) and onnxruntime Microsoft, and both keep an identifier in the home folder.
sys.modules.setdefault("openvino_telemetry", None)  # type: ignore[arg-type]  # None is a module that cannot be imported
os.environ["ORT_DISABLE_TELEMETRY"] = "1"
