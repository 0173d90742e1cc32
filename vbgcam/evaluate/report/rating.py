"""The small survey that judges a virtual background by eye: pictures made with the model's masks and with the true
ones, in random order, marked 1 to 5, and nobody is told which is which before the end."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Final

from vbgcam.evaluate.base import Results
from vbgcam.evaluate.report import Look
from vbgcam.evaluate.report.document import asset, data_uri, document

# Two of each are 40 marks, one at a time.
_SCENES: Final = 20
_WIDTH: Final = 720


def rating(results: Results, look: Look) -> str:
    """The page's text. Its answers stay in the browser, under a key that belongs to these results."""
    count = len(results["items"])
    scenes = min(_SCENES, count)
    places = [round(step * (count - 1) / max(1, scenes - 1)) for step in range(scenes)]
    key = hashlib.sha256(json.dumps(results, sort_keys=True).encode()).hexdigest()[:16]
    data = {
        "key": f"vbgcam-rating-{key}",
        "model": Path(results["model"]).name,
        "pictures": [
            [data_uri(shown.composite, _WIDTH), data_uri(shown.true_composite, _WIDTH)] for shown in look(places)
        ],
    }
    # "</" would end the script element, wherever it stands.
    text = json.dumps(data).replace("</", "<\\/")
    body = (
        f'<section class="ask" id="place"></section><p class="soft" id="trouble" role="alert"></p>'
        f'<script type="application/json" id="data">{text}</script>'
    )
    return document("How natural does it look?", body, asset("rating.js"))
