"""Where a network runs: OpenVINO (CPU, Intel's GPU and NPU), torch (NVIDIA's and Apple's GPUs), onnxruntime (GPUs that
only its providers reach).

What a network is (`torchvision`, `onnx` and its card) knows nothing of this, and nothing here knows what a network's
answer means. `devices` says which of them is meant by `model.device`.
"""
