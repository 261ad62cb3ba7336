"""A face that was found."""

from typing import NamedTuple

import numpy as np

# Where the eyes of FER-2013's faces are, as shares of width and height: the middle of 1,000 of them as MTCNN sees them.
# So an aligned face is framed as one that passes unchanged.
LEFT_EYE, RIGHT_EYE = (0.32, 0.385), (0.69, 0.385)


class Face(NamedTuple):
    """In pixels of the image, (0, 0) being the centre of its first pixel; left and right as seen in the image."""

    box: tuple[int, int, int, int]  # left, top, right, bottom
    left_eye: tuple[float, float]  # x, y
    right_eye: tuple[float, float]
    confidence: float  # 0 to 1, of what found it

    @property
    def roll(self) -> float:
        """Degrees by which the line of the eyes is turned, clockwise as seen in the image."""
        (x1, y1), (x2, y2) = self.left_eye, self.right_eye
        return float(np.degrees(np.arctan2(y2 - y1, x2 - x1)))
