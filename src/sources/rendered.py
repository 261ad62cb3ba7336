"""Faces drawn by the code itself, so that the whole experiment runs offline on a fresh machine.

A face is a set of control points: identity moves them, facial action units move them (the emotion), the pose of
the head turns them. Emotions follow the EMFACS prototypes (Friesen & Ekman, "EMFACS-7: Emotional Facial Action
Coding System", 1983), action units the FACS manual (Ekman & Friesen, 1978); how far a unit moves a point is ours.

The same seed and index give the same bytes on any x86-64 CPU: random numbers come from integers, arithmetic is
plain IEEE additions and products, sines are rounded before use, OpenCV draws and blurs in fixed point, and
libjpeg's integer transform is the same with and without vector instructions.
"""

import math
from functools import partial

import cv2
import numpy as np

from src.errors import UserError
from src.params import Dataset, Rendered
from src.sources.archive import Image, apportion
from src.sources.labels import canonical

PROTOTYPES = {
    "angry": (4, 5, 7, 23),
    "disgust": (9, 15, 16),
    "fear": (1, 2, 4, 5, 7, 20, 26),
    "happy": (6, 12),
    "neutral": (),
    "sad": (1, 4, 15),
    "surprise": (1, 2, 5, 26),
}
UNITS = sorted({unit for units in PROTOTYPES.values() for unit in units})
SHIFT = 6  # OpenCV's fixed-point coordinates: 1/64 pixel


def images(dataset: Dataset, params: Rendered) -> list[Image]:
    """Lists the set's images; each is drawn only when it is read.

    Raises:
        UserError: a label without a prototype, or a scale that leaves a label without an image in a folder.
    """
    unknown = [label for label in dataset.labels if canonical(label) not in PROTOTYPES]
    if unknown:
        raise UserError(f"source: rendered cannot draw {', '.join(unknown)}; it knows {', '.join(PROTOTYPES)}")
    total = apportion(round(dataset.images * params.scale), dataset.labels)
    test = apportion(round(sum(total.values()) * params.test_share), total)
    listed: list[Image] = []
    for label in dataset.labels:
        counts = {"train": total[label] - test[label], "test": test[label]}
        if min(counts.values()) < 1:
            raise UserError(
                f"rendered.scale = {params.scale} and rendered.test_share = {params.test_share} leave {label} "
                f"without images in train or test"
            )
        for folder, count in counts.items():
            for _ in range(count):
                index = len(listed)
                read = partial(_read, index, label, tuple(dataset.labels), dataset.native_size, params)
                listed.append(Image(folder, label, f"{index:05d}.jpg", read))
    return listed


def _read(index: int, label: str, labels: tuple[str, ...], size: int, params: Rendered) -> bytes:
    rng = np.random.default_rng([params.seed, index])
    shown = label
    if rng.random() < params.label_noise:
        others = [other for other in labels if other != label]
        shown = others[rng.integers(len(others))]
    pixels = draw(canonical(shown), size, rng)
    quality = int(rng.integers(80, 98))
    return cv2.imencode(".jpg", pixels, [cv2.IMWRITE_JPEG_QUALITY, quality])[1].tobytes()


def draw(emotion: str, size: int, rng: np.random.Generator) -> np.ndarray:
    """A face that shows `emotion` -> (size, size) uint8, grey."""
    oversampling = 4 if size < 128 else 1
    face = _Face(emotion, size * oversampling, rng)
    canvas = face.paint()
    if oversampling > 1:
        canvas = cv2.resize(canvas, (size, size), interpolation=cv2.INTER_AREA)
    return _photograph(canvas, rng)


def _between(rng: np.random.Generator, low: float, high: float) -> float:
    return low + (high - low) * rng.random()


def _bell(rng: np.random.Generator, spread: float) -> float:
    """Roughly normal around 0, never beyond 1.5 spreads; a sum of uniforms, because it is exact everywhere."""
    return spread * (rng.random() + rng.random() + rng.random() - 1.5)


def _action_units(emotion: str, rng: np.random.Generator) -> dict[int, float]:
    """Intensity of every unit, 0 to about 1: the emotion's prototype, unevenly, over a resting face."""
    units = {unit: max(0.0, _bell(rng, 0.15)) for unit in UNITS}
    strength = _between(rng, 0.35, 1.0)
    for unit in PROTOTYPES[emotion]:
        units[unit] = strength * _between(rng, 0.6, 1.1)
    return units


def _smooth(points: np.ndarray, closed: bool) -> np.ndarray:
    """Catmull-Rom curve through `points` (n, 2), four segments between neighbours."""
    if closed:
        p0, p1, p2, p3 = (np.roll(points, shift, axis=0) for shift in (1, 0, -1, -2))
    else:
        padded = np.concatenate([points[:1], points, points[-1:]])
        p0, p1, p2, p3 = padded[:-3], padded[1:-2], padded[2:-1], padded[3:]
    steps = [
        0.5 * (2 * p1 + (p2 - p0) * t + (2 * p0 - 5 * p1 + 4 * p2 - p3) * (t * t) + (3 * (p1 - p2) + p3 - p0) * (t**3))
        for t in (0.0, 0.25, 0.5, 0.75)
    ]
    curve = np.stack(steps, axis=1).reshape(-1, 2)
    return curve if closed else np.concatenate([curve, points[-1:]])


class _Face:
    """Draws one face. Coordinates: face centre at 0, half its height is 1, x to the right, y down."""

    def __init__(self, emotion: str, size: int, rng: np.random.Generator):
        self.size, self.rng = size, rng
        self.au = _action_units(emotion, rng)
        self.skin = _between(rng, 85, 215)
        self.hair = _between(rng, 15, 170)
        self.width = _between(rng, 0.68, 0.84)
        self.jaw = _between(rng, 0.55, 0.85)
        self.eye_x, self.eye_y = _between(rng, 0.29, 0.36), _between(rng, -0.20, -0.12)
        self.eye_size = _between(rng, 0.85, 1.15)
        self.nose = _between(rng, 0.85, 1.2)
        self.mouth_y, self.mouth_width = _between(rng, 0.44, 0.52), _between(rng, 0.20, 0.28)
        self.lips = _between(rng, 0.6, 1.3)
        self.brow_gap, self.brow_weight = _between(rng, 0.17, 0.24), _between(rng, 0.6, 1.5)
        self.age = _between(rng, 0.0, 1.0)
        self.asymmetry = _bell(rng, 0.15)
        # pose: position, scale, and three angles in radians
        yaw, pitch, roll = _bell(rng, 0.35), _bell(rng, 0.2), _bell(rng, 0.2)
        self.turn = [(round(math.cos(a), 9), round(math.sin(a), 9)) for a in (yaw, pitch, roll)]
        self.unit = size * _between(rng, 0.38, 0.47)
        self.centre = size * (0.5 + _bell(rng, 0.06)), size * (0.53 + _bell(rng, 0.06))
        self.light = _bell(rng, 0.25), _bell(rng, 0.2)
        self.canvas = np.empty((size, size), np.uint8)

    def side(self, unit: int, sign: int) -> float:
        """Intensity of a unit on one side of the face (sign -1: left in the picture)."""
        return self.au[unit] * (1 + sign * self.asymmetry)

    def place(self, points, depth: float = 0.0) -> np.ndarray:
        """Turns and projects points (n, 2) on the head's ellipsoid to fixed-point pixels (n, 2)."""
        x, y = np.asarray(points, np.float64).T
        z = 0.7 * np.sqrt(np.maximum(0.0, 1 - (x / 0.95) * (x / 0.95) - (y / 1.15) * (y / 1.15))) + depth
        (cy, sy), (cp, sp), (cr, sr) = self.turn
        x, z = x * cy + z * sy, z * cy - x * sy
        y = y * cp - z * sp
        x, y = x * cr - y * sr, x * sr + y * cr
        pixels = np.stack([x * self.unit + self.centre[0], y * self.unit + self.centre[1]], axis=1)
        return np.rint(pixels * (1 << SHIFT)).astype(np.int32)

    def fill(self, points, tone: float, depth: float = 0.0) -> None:
        outline = self.place(_smooth(np.asarray(points, np.float64), closed=True), depth)
        cv2.fillPoly(self.canvas, [outline], _tone(tone), cv2.LINE_AA, SHIFT)

    def stroke(self, points, tone: float, width: float, depth: float = 0.0) -> None:
        line = self.place(_smooth(np.asarray(points, np.float64), closed=False), depth)
        thickness = max(1, round(width * self.unit))
        cv2.polylines(self.canvas, [line], False, _tone(tone), thickness, cv2.LINE_AA, SHIFT)

    def paint(self) -> np.ndarray:
        self.background()
        self.head()
        for sign in (-1, 1):
            self.eye(sign)
            self.brow(sign)
        self.nose_and_folds()
        self.mouth()
        self.accessories()
        return self.canvas

    def background(self) -> None:
        rng, size = self.rng, self.size
        self.canvas[:] = _tone(_between(rng, 20, 235))
        for _ in range(rng.integers(0, 5)):
            corner = tuple(int(v) for v in rng.integers(-size // 4, size, 2))
            extent = tuple(int(v) for v in rng.integers(size // 8, size, 2))
            opposite = (corner[0] + extent[0], corner[1] + extent[1])
            cv2.rectangle(self.canvas, corner, opposite, _tone(_between(rng, 20, 235)), -1)
        self.blur(0.06)

    def blur(self, width: float) -> None:
        kernel = 2 * round(width * self.size / 2) + 1
        self.canvas = cv2.blur(self.canvas, (kernel, kernel))

    def outline(self, scale: float) -> np.ndarray:
        """The head seen from the front (n, 2), from the top clockwise; the jaw drops with AU 26."""
        w, jaw, drop = self.width, self.jaw * self.width, 0.12 * self.au[26]
        right = [
            (0.45 * w, -0.93),
            (0.85 * w, -0.68),
            (w, -0.2),
            (0.97 * w, 0.2),
            (0.5 * w + 0.42 * jaw, 0.6 + drop / 2),
        ]
        chin = [(0.5 * jaw, 0.9 + drop), (0, 1 + drop), (-0.5 * jaw, 0.9 + drop)]
        left = [(-x, y) for x, y in reversed(right)]
        return np.array([(0, -1), *right, *chin, *left]) * scale

    def head(self) -> None:
        rng = self.rng
        if rng.random() < 0.9:  # hair behind the head, at times long
            long = _between(rng, 0.0, 1.3)
            w = self.width * _between(rng, 1.08, 1.3)
            self.fill([(0, -1.15), (w, -0.75), (w, long), (0, long), (-w, long), (-w, -0.75)], self.hair, -0.25)
        neck = 0.62 * self.width
        self.fill([(-neck, 0.5), (neck, 0.5), (neck * 1.1, 1.6), (-neck * 1.1, 1.6)], self.skin * 0.78, -0.35)
        for sign in (-1, 1):
            x = sign * self.width
            self.fill([(x, -0.2), (x * 1.1, -0.22), (x * 1.12, 0.0), (x * 1.02, 0.15)], self.skin * 0.85, -0.3)
        for level in range(6):  # lighter towards the light: a ball, not a disc
            shape = self.outline(1 - 0.13 * level) + np.array(self.light) * (0.18 * level)
            self.fill(shape, self.skin * (0.84 + 0.045 * level))
        self.blur(0.03)
        fringe = _between(rng, -0.85, -0.55)
        if rng.random() < 0.85:
            w = self.width
            top = [(-w, -0.3), (-1.02 * w, -0.75), (-0.5 * w, -1.1), (0.5 * w, -1.1), (1.02 * w, -0.75), (w, -0.3)]
            tilt = _bell(rng, 0.15)
            self.fill([*top, (0.75 * w, fringe + tilt), (0, fringe - 0.05), (-0.75 * w, fringe - tilt)], self.hair)

    def eye(self, sign: int) -> None:
        size = self.eye_size
        x, y = sign * self.eye_x, self.eye_y
        half = 0.135 * size
        upper = (0.06 + 0.05 * self.side(5, sign) - 0.022 * self.side(7, sign) - 0.012 * self.side(6, sign)) * size
        lower = (0.045 - 0.024 * self.side(7, sign) - 0.03 * self.side(6, sign)) * size
        upper, lower = max(0.012, upper), max(0.006, lower)
        inner, outer = (x - sign * half, y + 0.015), (x + sign * half, y - 0.005)
        lid = [
            inner,
            (x - sign * half / 2, y - 0.85 * upper),
            (x, y - upper),
            (x + sign * half / 2, y - 0.8 * upper),
            outer,
        ]
        below = [(x + sign * half / 2, y + 0.8 * lower), (x, y + lower), (x - sign * half / 2, y + 0.9 * lower)]
        self.fill([*lid, *below], min(250.0, self.skin * 0.4 + 145))
        # the iris, cut off by the lids
        gaze = self.asymmetry * 0.1
        radius = 0.062 * size
        top, bottom = max(-radius, -upper), min(radius, lower)
        ring = [(-0.7, 0.7), (-1, 0), (-0.7, -0.7), (0, -1), (0.7, -0.7), (1, 0), (0.7, 0.7), (0, 1)]
        iris = [(x + gaze + radius * u, y + min(bottom, max(top, radius * v))) for u, v in ring]
        self.fill(iris, 35)
        self.stroke(lid, self.skin * 0.3, 0.022 * size)
        self.stroke([outer, *below, inner], self.skin * 0.6, 0.01)
        crease = [(px, py - 0.035 - 0.01 * self.age) for px, py in lid[1:]]
        self.stroke(crease, self.skin * 0.72, 0.012)
        if self.side(6, sign) > 0.3:  # crow's feet
            for step in (-0.05, 0.0, 0.05):
                end = (outer[0] + sign * 0.1, outer[1] + step * 1.8)
                self.stroke([(outer[0] + sign * 0.03, outer[1] + step), end], self.skin * 0.75, 0.01)
        bag = 0.03 * self.side(6, sign)
        self.stroke(
            [(x - sign * half, y + 0.1 - bag), (x, y + 0.125 - bag), (x + sign * half, y + 0.09 - bag)],
            self.skin * (0.9 - 0.15 * self.age - 0.12 * self.side(6, sign)),
            0.014,
        )

    def brow(self, sign: int) -> None:
        au = {unit: self.side(unit, sign) for unit in (1, 2, 4, 9)}
        x, y = sign * self.eye_x, self.eye_y - self.brow_gap
        inner_y = y + 0.03 - 0.11 * au[1] + 0.085 * au[4] + 0.05 * au[9]
        middle_y = y - 0.03 - 0.05 * au[1] - 0.06 * au[2] + 0.06 * au[4] + 0.03 * au[9]
        outer_y = y + 0.03 - 0.10 * au[2] + 0.04 * au[4]
        inner_x = x - sign * (0.15 + 0.05 * au[4])
        points = [(inner_x, inner_y), (x - sign * 0.02, middle_y), (x + sign * 0.17, outer_y)]
        self.stroke(points, min(self.hair * 0.8, self.skin * 0.6), 0.05 * self.brow_weight)

    def nose_and_folds(self) -> None:
        skin, au, nose = self.skin, self.au, self.nose
        tip, wing = 0.2 * nose - 0.02 * au[9], 0.1 * nose * (1 + 0.15 * au[9])
        lit = -1 if self.light[0] > 0 else 1
        self.stroke([(lit * 0.045, -0.12), (lit * 0.05, 0.05), (lit * wing, tip)], skin * 0.8, 0.025, 0.05)
        self.stroke(
            [(-wing, tip - 0.02), (-wing / 2, tip + 0.035), (wing / 2, tip + 0.035), (wing, tip - 0.02)],
            skin * 0.62,
            0.02,
            0.08,
        )
        for sign in (-1, 1):
            self.stroke([(sign * 0.05, tip + 0.015), (sign * 0.075, tip + 0.01)], skin * 0.3, 0.025, 0.08)
            # nasolabial fold: raised cheeks, a pulled corner or a wrinkled nose deepen it
            depth = max(self.side(12, sign), self.side(9, sign), 0.7 * self.side(6, sign), 0.5 * self.age)
            corner = self.corner(sign)
            fold = [
                (sign * (wing + 0.03), tip - 0.03),
                (sign * (wing + 0.13), (tip + corner[1]) / 2),
                (corner[0] + sign * 0.05, corner[1]),
            ]
            self.stroke(fold, skin * (1 - 0.3 * min(1.0, depth)), 0.018)
        if au[9] > 0.25:  # wrinkles across the bridge of the nose
            for y in (-0.1, -0.05, 0.0):
                self.stroke([(-0.05, y - 0.02), (0, y), (0.05, y - 0.02)], skin * (1 - 0.3 * au[9]), 0.012, 0.05)
        if au[4] > 0.25:  # lines between the brows
            for sign in (-1, 1):
                y = self.eye_y - self.brow_gap
                self.stroke([(sign * 0.04, y - 0.03), (sign * 0.035, y + 0.1)], skin * (1 - 0.35 * au[4]), 0.014)
        lines = max((au[1] + au[2]) / 2, 0.45 * self.age)
        if lines > 0.25:  # lines across the forehead
            for y in (-0.52, -0.6, -0.68):
                self.stroke([(-0.3, y + 0.02), (0, y), (0.3, y + 0.02)], skin * (1 - 0.25 * min(1.0, lines)), 0.012)

    def corner(self, sign: int) -> tuple[float, float]:
        up, down, stretch, tight = (self.side(unit, sign) for unit in (12, 15, 20, 23))
        x = self.mouth_width + 0.08 * up + 0.09 * stretch - 0.045 * tight - 0.03 * self.au[26]
        y = self.mouth_y - 0.10 * up + 0.085 * down + 0.02 * stretch + 0.04 * self.au[26]
        return sign * x, y

    def mouth(self) -> None:
        au, y = self.au, self.mouth_y
        lips = self.lips * (1 - 0.5 * au[23]) * (1 - 0.3 * au[20])
        opening = max(
            0.0, 0.22 * au[26] + 0.05 * au[16] + 0.06 * max(0.0, au[12] - 0.45) + 0.04 * max(0.0, au[20] - 0.4)
        )
        upper = y - 0.03 * au[9] - 0.1 * opening
        lower = upper + opening + 0.02 * au[16]
        left, right = self.corner(-1), self.corner(1)
        mid = right[0] * 0.45
        tone = self.skin * 0.62
        top = [left, (-mid, upper - 0.05 * lips), (0, upper - 0.04 * lips), (mid, upper - 0.05 * lips), right]
        self.fill([*top, (mid, lower + 0.06 * lips), (0, lower + 0.075 * lips), (-mid, lower + 0.06 * lips)], tone)
        if opening > 0.012:
            inside = [
                (0.85 * left[0], left[1]),
                (-mid, upper),
                (0, upper + 0.005),
                (mid, upper),
                (0.85 * right[0], right[1]),
            ]
            self.fill([*inside, (mid, lower), (0, lower + 0.01), (-mid, lower)], 25)
            if opening < 0.12 or self.rng.random() < 0.5:  # teeth
                height = min(0.05, 0.7 * opening)
                self.fill(
                    [
                        (-mid, upper + 0.004),
                        (0, upper + 0.008),
                        (mid, upper + 0.004),
                        (mid, upper + height),
                        (-mid, upper + height),
                    ],
                    215,
                )
        else:
            self.stroke(
                [left, (-mid, upper + 0.005), (0, upper + 0.012), (mid, upper + 0.005), right], self.skin * 0.32, 0.02
            )
        shadow = lower + 0.14 * self.lips
        self.stroke([(-0.1, shadow), (0, shadow + 0.015), (0.1, shadow)], self.skin * 0.8, 0.02)

    def accessories(self) -> None:
        rng = self.rng
        if rng.random() < 0.18:  # beard or stubble
            before = self.canvas.copy()
            w, drop = self.width, 0.12 * self.au[26]
            self.fill(
                [
                    (-0.9 * w, 0.3),
                    (-0.35, 0.42),
                    (0, 0.36),
                    (0.35, 0.42),
                    (0.9 * w, 0.3),
                    (0.5 * w, 0.95 + drop),
                    (0, 1.03 + drop),
                    (-0.5 * w, 0.95 + drop),
                ],
                self.hair,
            )
            opacity = int(rng.integers(60, 170))
            mixed = before.astype(np.int32) * (256 - opacity) + self.canvas.astype(np.int32) * opacity
            self.canvas = (mixed >> 8).astype(np.uint8)
            self.mouth()
        if rng.random() < 0.18:  # glasses
            tone, width = _between(rng, 10, 120), _between(rng, 0.02, 0.045)
            for sign in (-1, 1):
                x, y, r = sign * self.eye_x, self.eye_y + 0.02, 0.21
                ring = [
                    (x + r * u, y + 0.85 * r * v)
                    for u, v in ((-1, 0), (-0.8, -0.8), (0.8, -0.8), (1, 0), (0.7, 0.8), (-0.7, 0.8), (-1, 0))
                ]
                self.stroke(ring, tone, width, 0.05)
                self.stroke([(x + sign * r, y), (sign * self.width, y - 0.03)], tone, width)
            self.stroke([(-self.eye_x + 0.2, self.eye_y), (self.eye_x - 0.2, self.eye_y)], tone, width, 0.08)


def _tone(value: float) -> int:
    return int(min(255.0, max(0.0, value)))


def _photograph(canvas: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Light that falls off across the picture, exposure, and sensor noise."""
    size = len(canvas)
    across = np.arange(size, dtype=np.float32) / np.float32(size) - np.float32(0.5)
    gain, dx, dy = (np.float32(v) for v in (_between(rng, 0.75, 1.2), _bell(rng, 0.5), _bell(rng, 0.4)))
    light = gain * (1 + dx * across[None, :] + dy * across[:, None])
    amplitude = int(rng.integers(4, 36))
    noise = rng.integers(-128, 128, (2, size, size), dtype=np.int16)
    lit = (canvas.astype(np.float32) * light).astype(np.int32) + (
        ((noise[0] + noise[1]).astype(np.int32) * amplitude) >> 8
    )
    return np.clip(lit, 0, 255).astype(np.uint8)
