"""What the chain costs on this machine: `vbgcam bench`. It knows every room, and none knows it."""

from vbgcam.bench.base import FAMILIES, SIZES, Check, Figures, label, parse_size

__all__ = ["FAMILIES", "SIZES", "Check", "Figures", "label", "parse_size"]
