"""How good the masks are: `vbgcam eval`. Clips, pictures and COCO go through the chain that `run` uses, and what comes
out is compared with the truth.

    source: items -> prediction -> mask -> metrics -> journal -> results (JSON, table, page)

What was scored stands in a journal on disk, so that an evaluation that was broken off goes on where it ended, and
memory does not grow with the data.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from vbgcam.core.frames import U8
from vbgcam.core.options import RenderOptions
from vbgcam.offline.backdrops import OpenBackground

LeftOut = dict[str, str]
Results = dict[str, Any]
"""What an evaluation found, as `--json` writes it. It holds nothing that differs from one run to the next: no times, no
dates.

Of all kinds: `kind` ("clip", "pairs", "aisegment", "coco"), `data` (paths as they were given), `model`, `device`,
`precision`, `input` ("256x256", of the last picture), `left_out`: [{"name", "why"}], what cannot be scored, and why,
in one sentence that names the file, and `tail`: {"leak", "loss"}, each with `p99`, `worst`, `at` (its item's name) and
`above`: {"0.01", "0.02", "0.05"}, how many items are above (see `metrics.tail`); None where no item has them.

Of a clip, of pairs and of AISegment: the means of `iou`, `boundary_f`, `mad`, `mse`, `grad`, `conn`, `dtssd` (None but
for a clip), `leak`, `loss` (see `metrics.Score`), `papers`: the same in the scalings of the papers, and `items`: a list
of {"name", "iou", ...}, one for each picture or frame, in order.

Of a clip besides: `size`, `fps` (the file's), `frames` (that came, see `clip.Pace`), `scored` (those that are shown),
`covered` (those that `run` would hide), `without_mask` (of these, before the first mask), `mask_fps`, `net_ms`: [least,
most] where a mask's time is drawn (both None: each frame has its own mask at once), `seed` of the draws, `frame_fps`
(None: all of the file's frames come), and each item has
`frame`, `time` (seconds), `mask_age` (seconds, of the newest mask; None before the first one) and `hidden`. A hidden
frame has leak 0 and loss 1, whoever is in it, its other figures are None, and no mean and no tail counts it.

Of COCO: `images`, `person_iou`, `person_accuracy` (two classes), and where the model knows Pascal VOC's 21 classes
`miou` (None where a class never occurs, as torchvision's is no number then), `miou_present` (over the classes that
occur), `pixel_accuracy`, `class_iou` (by name); `confusion` (rows of the truth, columns of the answer), and `items` as
above, of the images that show a person. All are fractions.
"""


@dataclass(frozen=True, slots=True)
class Request:
    """What is evaluated. `settings`: all that the masks depend on, as JSON can hold it; `files`: the model's own.
    `options`: as `run` has them. `background`: for the report's composites. `command`: which evaluates the same
    again."""

    settings: Mapping[str, Any]
    options: RenderOptions
    background: OpenBackground
    files: tuple[Path, ...] = ()
    command: str = ""


@dataclass(frozen=True, slots=True)
class Item:
    """One picture of a set, or one frame of a clip, by its `number`. `found`: its figures by the names of
    `metrics.Score` and whatever else its source knows of it, as JSON can hold it, or {"why"} it cannot be scored.
    `mask`: uint8, (height, width); None where there is none."""

    number: int
    name: str
    found: dict[str, Any]
    mask: U8 | None = None


@dataclass(frozen=True, slots=True)
class Comparison:
    """One scored picture. `input`, `composite`, `true_composite` (with the true mask): RGB, uint8, (height, width, 3);
    `alpha`, `truth`: uint8, (height, width)."""

    name: str
    input: U8
    alpha: U8
    truth: U8
    composite: U8
    true_composite: U8


Compare = Callable[[Sequence[int]], Iterator[Comparison]]
"""See `run.compared`."""
