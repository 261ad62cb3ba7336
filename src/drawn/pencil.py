"""Draws smooth shapes, given on the face, into the picture."""

from functools import cache
from typing import NamedTuple

import cv2
import numpy as np

from src.drawn.person import Colour, Pose

FINE = 95  # pixels in half a head from which single hairs can be seen
SHIFT = 6  # OpenCV's fixed-point coordinates: 1/64 pixel
Points = list[tuple[float, float]]
Tone = Colour | float


class Shape(NamedTuple):
    """A line or an area, to be drawn."""

    first: int  # of its points among all that were collected
    plan: "Plan"
    width: float
    depth: float
    tone: Tone
    area: bool


class Pencil:
    """Collects shapes and draws them in that order.

    Coordinates: face centre at 0, half its height is 1, x to the right, y down; `depth` is the distance in front
    of the head's surface.
    """

    def __init__(self, pose: Pose, size: int):
        self.pose = pose
        self.unit = size * pose.scale
        self.centre = size * pose.centre[0], size * pose.centre[1]
        self._points: Points = []
        self._shapes: list[Shape] = []

    def fill(self, points: Points, tone: Tone, depth: float = 0.0) -> None:
        """The area inside the smooth curve through `points`."""
        self._add(points, _ring(len(points)), 0.0, depth, tone, True)

    def line(self, points: Points, tone: Tone, width: float, depth: float = 0.0) -> None:
        """The smooth curve through `points`, of one width."""
        self._add(points, _chain(len(points)), width, depth, tone, False)

    def taper(
        self,
        points: Points,
        tone: Tone,
        width: float,
        shape: tuple[float, ...] = (0.1, 0.8, 1.0, 0.8, 0.1),
        depth: float = 0.0,
    ) -> None:
        """A curve through `points` of changing width: `shape` gives the share of `width` from its start to its end."""
        self._add(points, _ribbon(len(points), shape), width, depth, tone, True)

    def spot(self, x: float, y: float, rx: float, ry: float, tone: Tone, depth: float = 0.0) -> None:
        """An ellipse."""
        a, b = 0.7071 * rx, 0.7071 * ry
        ring = [(rx, 0.0), (a, b), (0.0, ry), (-a, b), (-rx, 0.0), (-a, -b), (0.0, -ry), (a, -b)]
        self.fill([(x + u, y + v) for u, v in ring], tone, depth)

    def _add(self, points: Points, plan: "Plan", width: float, depth: float, tone: Tone, area: bool) -> None:
        self._shapes.append(Shape(len(self._points), plan, width, depth, tone, area))
        self._points += points

    def project(self, points: np.ndarray, depth: np.ndarray | float) -> np.ndarray:
        """Points (n, 2) on the head's ellipsoid, turned as the head is -> pixels (n, 2)."""
        x, y = points.T
        z = 0.7 * np.sqrt(np.maximum(0.0, 1 - (x / 0.95) * (x / 0.95) - (y / 1.15) * (y / 1.15))) + depth
        (cy, sy), (cp, sp), (cr, sr) = self.pose.yaw, self.pose.pitch, self.pose.roll
        x, z = x * cy + z * sy, z * cy - x * sy
        y = y * cp - z * sp
        x, y = x * cr - y * sr, x * sr + y * cr
        return np.stack([x * self.unit + self.centre[0], y * self.unit + self.centre[1]], axis=1)

    def draw(
        self,
        layer: np.ndarray,
        mask: np.ndarray | None = None,
        covered: int = 255,
        shrunk: int = 1,
        part: tuple[np.ndarray, int] | None = None,
    ) -> None:
        """Draws what was collected into `layer`, (size, size) or (size, size, 3) uint8, and forgets it.

        Args:
            mask: set to `covered` wherever something is drawn.
            shrunk: the layer has so many times fewer pixels a side than the picture.
            part: a layer (size, size) uint8 of what each pixel belongs to, and what that is of all that is drawn now.
        """
        shapes, self._shapes = self._shapes, []
        points, self._points = np.array(self._points), []
        if not shapes:
            return
        counts = [len(shape.plan.share) for shape in shapes]
        rows = np.concatenate([shape.plan.rows + shape.first for shape in shapes], axis=1)
        share = np.concatenate([shape.plan.share for shape in shapes])
        width, depth = np.repeat([(shape.width, shape.depth) for shape in shapes], counts, axis=0).T
        starts = np.cumsum([0, *counts[:-1]])
        around = np.concatenate([shape.plan.around for shape in shapes], axis=1) + np.repeat(starts, counts)
        curve = _smooth(_widened(points, rows, width * share), around)
        pixels = self.project(curve, np.repeat(depth, STEPS))
        if shrunk > 1:
            pixels = (pixels + 0.5) / shrunk - 0.5
        fixed = np.rint(pixels * (1 << SHIFT)).astype(np.int32)
        start, coloured = 0, layer.ndim == 3
        for shape, count in zip(shapes, counts, strict=True):
            outline = [fixed[start : start + STEPS * count]]
            start += STEPS * count
            thickness = max(1, round(shape.width * self.unit / shrunk))
            targets = [(layer, _tone(shape.tone, coloured), cv2.LINE_AA)]
            targets += [(mask, covered, cv2.LINE_AA)] if mask is not None else []
            targets += [(*part, cv2.LINE_8)] if part else []  # its numbers do not blend
            for target, tone, how in targets:
                if shape.area:
                    cv2.fillPoly(target, outline, tone, how, SHIFT)
                else:
                    cv2.polylines(target, outline, False, tone, thickness, how, SHIFT)


class Plan(NamedTuple):
    """How a shape's outline comes from its points."""

    rows: np.ndarray  # (3, n): the point that each corner of the outline is at, the point before it, the one after
    share: np.ndarray  # (n,): how far each corner is moved to the side, in shares of the shape's width
    around: np.ndarray  # (4, n): for each corner those that shape the curve from it to the next


@cache
def _ring(count: int) -> Plan:
    here = np.arange(count)
    return Plan(np.stack([here] * 3), np.zeros(count), _neighbours(count) % count)


@cache
def _chain(count: int) -> Plan:
    here = np.arange(count)
    return Plan(np.stack([here] * 3), np.zeros(count), np.clip(_neighbours(count), 0, count - 1))


@cache
def _ribbon(count: int, shape: tuple[float, ...]) -> Plan:
    """There and back along the points, on one side and on the other."""
    there = np.arange(count)
    half = 0.5 * np.interp(there, np.arange(len(shape)) * ((count - 1) / (len(shape) - 1)), shape)
    here = np.concatenate([there, there[::-1]])
    rows = np.stack([here, np.maximum(here - 1, 0), np.minimum(here + 1, count - 1)])
    return Plan(rows, np.concatenate([half, -half[::-1]]), _neighbours(2 * count) % (2 * count))


def _neighbours(count: int) -> np.ndarray:
    here = np.arange(count)
    return np.stack([here - 1, here, here + 1, here + 2])


def _widened(points: np.ndarray, rows: np.ndarray, aside: np.ndarray) -> np.ndarray:
    """Corners at points[rows[0]], moved aside by `aside` (n,) at a right angle to the way from point to point."""
    here, before, after = points[rows]
    way = after - before
    length = np.sqrt(way[:, 0] * way[:, 0] + way[:, 1] * way[:, 1])
    move = aside / np.maximum(length, 1e-9)
    return here + np.stack([way[:, 1] * move, -way[:, 0] * move], axis=1)


STEPS = 4  # of a curve from one corner to the next


def _smooth(points: np.ndarray, around: np.ndarray) -> np.ndarray:
    """Catmull-Rom curves through `points` (n, 2) -> (STEPS n, 2)."""
    p0, p1, p2, p3 = points[around]
    a, b, c = p2 - p0, 2 * p0 - 5 * p1 + 4 * p2 - p3, 3 * (p1 - p2) + p3 - p0
    times = [step / STEPS for step in range(1, STEPS)]
    curve = [p1, *(p1 + 0.5 * (a * t + b * (t * t) + c * (t * t * t)) for t in times)]
    return np.stack(curve, axis=1).reshape(-1, 2)


def _tone(value: Tone, coloured: bool) -> tuple[int, ...] | int:
    """As OpenCV wants it: three numbers for a coloured layer, one for a grey one."""
    if isinstance(value, tuple):
        blue, green, red = value
        if coloured:
            return _byte(blue), _byte(green), _byte(red)
        return _byte(0.114 * blue + 0.587 * green + 0.299 * red)
    return (_byte(value),) * 3 if coloured else _byte(value)


def _byte(value: float) -> int:
    return 255 if value > 255 else 0 if value < 0 else int(value)
