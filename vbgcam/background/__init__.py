"""What stands behind the person: image, GIF, video, colour, and the card that covers when there is nothing else.

Nothing in this room ever sees a camera's frame (an import contract holds that), so that a Backdrop can always be shown.
"""

from vbgcam.background.base import Background
from vbgcam.background.factory import open_background

__all__ = ["Background", "open_background"]
