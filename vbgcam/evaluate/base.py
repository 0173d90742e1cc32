"""How good the masks are: `vbgcam eval`. Clips, pictures and COCO go through the chain that `run` uses, and what comes
out is compared with the truth.

    sets, clip -> probability -> mask -> metrics -> journal -> results (JSON, table, page)

What was scored stands in a journal on disk, so that an evaluation that was broken off goes on where it ended, and
memory does not grow with the data.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

Results = dict[str, Any]
"""What an evaluation found, as `--json` writes it. It holds nothing that differs from one run to the next: no times, no
dates.

Of all kinds: `kind` ("clip", "pairs", "aisegment", "coco"), `data` (paths as they were given), `model`, `device`,
`precision`, `input` ("256x256", of the last picture), `left_out`: [{"name", "why"}].

Of a clip, of pairs and of AISegment: the means of `iou`, `boundary_f`, `mad`, `mse`, `grad`, `conn`, `dtssd` (None but
for a clip), `leak`, `loss` (see `metrics.Score`), `papers`: the same in the scalings of the papers, and `items`: a list
of {"name", "iou", ...}, one for each picture or frame that was scored, in order.

Of a clip besides: `size`, `fps`, `frames`, `scored`, `without_mask` (frames before the first mask), `covered` (frames
that `run` would have covered), `mask_fps` (None: a mask for every frame), and each item has `time` (seconds) and
`mask_age` (seconds).

Of COCO: `images`, `person_iou`, `person_accuracy` (two classes), and where the model knows Pascal VOC's 21 classes
`miou` (None where a class never occurs, as torchvision's is no number then), `miou_present` (over the classes that
occur), `pixel_accuracy`, `class_iou` (by name); `confusion` (rows of the truth, columns of the answer), and `items` as
above, of the images that show a person. All are fractions.
"""

Told = Callable[[int, "int | None", str], None]
"""Called after each picture with how many are done, how many there are and a short note."""
