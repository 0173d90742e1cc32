"""What hypothesis makes up for several tests."""

from __future__ import annotations

from hypothesis import strategies as st

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=12,
)
VERBS = st.sampled_from(
    ["set", "background", "blur", "model", "camera", "preset", "mirror", "pause", "toggle", "quit", "welcomed"]
)
