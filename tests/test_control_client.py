"""The client and the server, together, over a real port."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.desks import controlled
from vbgcam.errors import ConfigError, ControlError


def test_every_question_is_answered(tmp_path: Path) -> None:
    with controlled(tmp_path) as it:
        assert it.client.status()["state"] == "on air"
        assert it.client.choices()["presets"][0]["name"] == "fast"
        assert it.client.do({"do": "background", "to": "#102030"}) == "background: #102030"
        assert it.client.snapshot().startswith(b"\x89PNG")
        assert it.client.report() == it.desk.text
        assert it.client.open().startswith(f"http://127.0.0.1:{it.server.port}/#")
        with pytest.raises(ControlError, match=r"^no such command$"):
            it.client.do({"do": "nothing"})
        with pytest.raises(ConfigError) as refused:
            it.client.do({"do": "set", "settings": {"a.b": 1, "c.d": 2}})
        assert refused.value.problems == ("a.b: unknown", "c.d: unknown")


def test_a_picture_goes_into_the_gallery_and_out_of_it(tmp_path: Path) -> None:
    beach = tmp_path / "my beach é.jpg"
    beach.write_bytes(b"x" * 3_000_000)
    with controlled(tmp_path) as it:
        spec = Path(it.client.upload(beach))
        assert spec.read_bytes() == beach.read_bytes()
        assert it.client.thumbnail(spec.name).startswith(b"\xff\xd8")
        it.client.remove(spec.name)
        assert not spec.exists()
        with pytest.raises(ControlError, match="is not in the gallery"):
            it.client.remove(spec.name)
    assert not list((tmp_path / "uploads").iterdir())
