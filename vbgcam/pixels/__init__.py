"""Arithmetic on pixels: between colour spaces, sizes and orientations, and the compiled loops.

It knows core alone; everybody may know it. Import its modules by name: `kernels` loads numba, which takes 0.9 s.
"""

__all__ = ["colorimetry", "convert", "kernels", "orientation", "workframe"]
