"""Light on a face: a relief of the head, shaded from one direction."""

import math

import cv2
import numpy as np

from src.drawn.pencil import Pencil

CELL = 4  # the relief has one cell per so many pixels a side
STRIP = 64  # rows that are lit at a time: what fits the processor's cache takes half the time
ONE = 128  # this shade leaves a colour as it is


class Relief:
    """Heights over the picture, in units of the face, on a grid with one cell more on each side."""

    def __init__(self, pencil: Pencil, size: int, width: float):
        self.pencil = pencil
        self.step = CELL / pencil.unit
        cosine, sine = pencil.pose.roll
        at = (np.arange(-1, size // CELL + 1) + 0.5) * CELL
        x, y = (at - pencil.centre[0]) / pencil.unit, (at - pencil.centre[1]) / pencil.unit
        self.u = x[None, :] * cosine + y[:, None] * sine  # from the middle of the head, not rolled
        self.v = y[:, None] * cosine - x[None, :] * sine
        u, v = self.u / (1.1 * width), self.v / 1.15
        self.height = -0.62 * np.minimum(1.7, u * u + v * v)
        self._bumps: list[tuple[float, ...]] = []

    def bump(self, x: float, y: float, rx: float, ry: float, height: float, depth: float = 0.0) -> None:
        """A smooth hill (or a dent, when `height` is negative) of radii `rx`, `ry` at a point of the face."""
        self._bumps.append((x, y, rx, ry, height, depth))

    def shade(self, direction: tuple[float, float], ambient: float, gloss: float) -> np.ndarray:
        """Lambert's law and a Blinn-Phong highlight -> (cells, cells) float; 1 where the surface faces the camera.

        Args:
            direction: towards the light, x and y where z is 1.
            ambient: share of the light that comes from everywhere.
        """
        self._raise()
        h = self.height
        slope_x = (h[1:-1, 2:] - h[1:-1, :-2]) / (2 * self.step)
        slope_y = (h[2:, 1:-1] - h[:-2, 1:-1]) / (2 * self.step)
        steep = np.sqrt(1 + slope_x * slope_x + slope_y * slope_y)
        x, y = direction
        length = math.sqrt(1 + x * x + y * y)
        towards = 1 - x * slope_x - y * slope_y
        lit = np.maximum(0.0, towards) / steep
        between = math.sqrt(x * x + y * y + (1 + length) * (1 + length))  # half way from the camera to the light
        shine = np.maximum(0.0, towards + length) / (steep * between)
        for _ in range(4):
            shine = shine * shine
        return ambient + (1 - ambient) * lit + gloss * shine

    def _raise(self) -> None:
        pencil, (cosine, sine), turned = self.pencil, self.pencil.pose.roll, self.pencil.pose.yaw[0]
        bumps = np.array(self._bumps)
        for (px, py), (rx, ry, height) in zip(
            pencil.project(bumps[:, :2], bumps[:, 5]).tolist(), bumps[:, 2:5].tolist(), strict=True
        ):
            column, row, reach = px / CELL + 0.5, py / CELL + 0.5, max(rx, ry) / self.step + 1
            top, left = max(0, int(row - reach)), max(0, int(column - reach))
            box = slice(top, max(0, int(row + reach) + 2)), slice(left, max(0, int(column + reach) + 2))
            x, y = (px - pencil.centre[0]) / pencil.unit, (py - pencil.centre[1]) / pencil.unit
            u = (self.u[box] - (x * cosine + y * sine)) / (rx * turned)
            v = (self.v[box] - (y * cosine - x * sine)) / ry
            hill = np.maximum(0.0, 1 - u * u - v * v)
            self.height[box] += height * (hill * hill)


def cells(size: int) -> np.ndarray:
    """A layer for soft lines and patches, darker than ONE or lighter, in the relief's cells."""
    return np.full((size // CELL, size // CELL), ONE, np.uint8)


def lit(canvas: np.ndarray, shade: np.ndarray, head: np.ndarray, exposure: np.ndarray) -> None:
    """Puts colours into the light that falls on them, in place.

    Args:
        canvas: (size, size) or (size, size, 3) uint8.
        shade: (cells, cells), 1 leaves a colour as it is.
        head: (size, size) uint8, 255 where `shade` applies, 0 where it does not.
        exposure: (cells, cells), applies everywhere.
    """
    size = len(canvas)
    everywhere, on_head = (
        cv2.resize(_bytes(layer), (size, size), interpolation=cv2.INTER_LINEAR_EXACT)
        for layer in (exposure, exposure * shade)
    )
    for top in range(0, size, STRIP):
        rows = slice(top, top + STRIP)
        light = np.multiply(on_head[rows], head[rows], dtype=np.uint16)
        light += np.multiply(everywhere[rows], 255 - head[rows], dtype=np.uint16)
        light >>= 8
        if canvas.ndim == 3:
            light = cv2.merge([light] * 3)
        light *= canvas[rows]
        np.right_shift(light, 7, out=light)
        canvas[rows] = np.minimum(light, 255, out=light)


def _bytes(layer: np.ndarray) -> np.ndarray:
    return np.clip(layer * ONE, 0.0, 255.0).astype(np.uint8)
