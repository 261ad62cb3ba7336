"""What surrounds the features: background, body, head, ears, hair, beard, glasses, and a hand at times."""

import cv2
import numpy as np

from src.drawn.chance import Random, bell, between
from src.drawn.pencil import FINE, Pencil, Points
from src.drawn.person import Colour, Person, any_colour, grey, mix, times


def background(size: int, coloured: bool, rng: Random) -> np.ndarray:
    """A blurred room, (size, size) or (size, size, 3) uint8: tones, boxes and lamps, out of focus."""
    cells = 48
    dull = between(rng, 0.7, 1.0)
    base = between(rng, 25, 225)
    room = np.empty((cells, cells, 3), np.uint8)

    def tone(level: float) -> tuple[int, ...]:
        mixed = mix(any_colour(rng, 20, 235), grey(level), dull)
        return tuple(int(value) for value in mixed)

    room[:] = tone(base)
    for _ in range(int(rng.integers(0, 6))):
        x, y, w, h = (int(v) for v in rng.integers((-12, -12, 5, 5), (44, 44, 36, 48)))
        colour = tone(min(235.0, max(20.0, base + bell(rng, 70))))
        if rng.random() < 0.7:
            cv2.rectangle(room, (x, y), (x + w, y + h), colour, -1)
        else:
            cv2.circle(room, (x, y), w // 3, colour, -1, cv2.LINE_AA)
    kernel = 2 * int(rng.integers(0, 3)) + 3
    room = cv2.blur(cv2.blur(room, (kernel, kernel)), (3, 3))
    if not coloured:
        room = grey_of(room)
    return cv2.resize(room, (size, size), interpolation=cv2.INTER_LINEAR_EXACT)


def grey_of(picture: np.ndarray) -> np.ndarray:
    """Rec. 601 luma of (n, m, 3) uint8, in integers."""
    wide = picture.astype(np.uint32)
    return ((wide[..., 0] * 29 + wide[..., 1] * 150 + wide[..., 2] * 77) >> 8).astype(np.uint8)


def outline(who: Person, drop: float) -> Points:
    """The head seen from the front, from the top clockwise; the jaw drops with AU 26."""
    w, jaw = who.width, who.jaw * who.width
    right = [(0.45 * w, -0.95), (0.85 * w, -0.7), (w, -0.22), (0.96 * w, 0.2), (0.5 * w + 0.42 * jaw, 0.56 + drop / 2)]
    chin = [(0.52 * jaw, 0.88 + drop), (0, 0.99 + drop), (-0.52 * jaw, 0.88 + drop)]
    return [(0.0, -1.0), *right, *chin, *((-x, y) for x, y in reversed(right))]


def body(who: Person, pencil: Pencil, slope: float) -> None:
    """Shoulders and neck; `pencil` does not turn with the head."""
    neck, skin = 0.55 * who.width, times(who.skin, 0.82)
    for sign in (-1, 1):  # not one curve: the shoulders fall off to both sides
        pencil.fill(
            [(0, 1.12), (sign * neck, 1.14), (sign * 1.1, 1.3 + slope), (sign * 1.6, 1.9), (sign * 1.6, 3), (0, 3)],
            who.clothes,
        )
    pencil.fill([(-neck, 0.4), (neck, 0.4), (1.02 * neck, 0.95), (1.15 * neck, 1.2), (0.5 * neck, 1.42), (0, 1.48),
                 (-0.5 * neck, 1.42), (-1.15 * neck, 1.2), (-1.02 * neck, 0.95)], skin)  # fmt: skip
    # the chin's shadow
    pencil.fill([(-neck, 0.5), (neck, 0.5), (0.98 * neck, 0.85), (0, 1.17), (-0.98 * neck, 0.85)], times(skin, 0.72))
    for sign in (-1, 1):
        if who.collar == "shirt":
            flap = [(sign * 1.1 * neck, 1.05), (sign * 1.5 * neck, 1.25), (sign * 0.7 * neck, 1.62), (0, 1.45)]
            pencil.fill(flap, times(who.clothes, 1.15))
            pencil.taper(flap[1:], times(who.clothes, 0.75), 0.02, (0.0, 1.0, 0.3))
        else:
            edge = [(sign * 1.1 * neck, 1.22), (sign * 0.62 * neck, 1.43), (0, 1.5)]
            pencil.taper(edge, times(who.clothes, 0.75), 0.04, (0.3, 1.0, 1.0))


def ears(who: Person, pencil: Pencil) -> None:
    """Their outer edge and the fold inside it, a little behind the face."""
    for sign in (-1, 1):
        x, skin = sign * who.width, times(who.skin, 0.94)
        shell = [(x * 0.97, -0.2), (x * 1.08, -0.24), (x * 1.13, -0.12), (x * 1.09, 0.05), (x * 1.02, 0.13)]
        pencil.fill([*shell, (x * 0.95, 0.1)], skin, -0.3)
        pencil.taper([(px * 0.975, 0.8 * py - 0.01) for px, py in shell], times(skin, 0.62), 0.03, depth=-0.3)


class Hair:
    """Behind the head and in front of it."""

    def __init__(self, who: Person, rng: Random):
        self.who, self.colour = who, who.hair
        self.wave = [bell(rng, 1.0) for _ in range(16)]
        self.part = between(rng, -0.5, 0.5) * who.width
        self.line = between(rng, -0.72, -0.58)  # where the forehead ends
        self.strands = rng.random((90, 3)).tolist()
        self.present = who.hair_style != "bald"

    def behind(self, pencil: Pencil) -> None:
        """What the head hides part of: to the ears, or as long as it is."""
        who, w = self.who, self.who.width
        if not self.present:
            return
        top = -1.0 - who.hair_volume
        if who.hair_length < 0:
            side = 1.04 + (0.3 * who.hair_volume if who.hair_style != "receding" else 0)
            pencil.fill(
                [(0, top + 0.05), (0.75 * w, -0.85), (side * w, -0.4), (1.02 * w, 0.12), (0, 0.4),
                 (-1.02 * w, 0.12), (-side * w, -0.4), (-0.75 * w, -0.85)], times(self.colour, 0.7), -0.3)  # fmt: skip
            return
        end, side = who.hair_length, w * (1.14 + who.hair_volume)
        back = [(0, top), (0.7 * w, top + 0.12), (side, -0.4), (1.03 * side, 0.3 * end), (side, end)]
        pencil.fill(
            [*back, (0.5 * w, end + 0.05), (-0.5 * w, end + 0.05), *((-x, y) for x, y in reversed(back[1:]))],
            times(self.colour, 0.62),
            -0.3,
        )
        for share, along, tone in self.strands[: 40 if pencil.unit > FINE else 10]:
            sign = 1 if share > 0.5 else -1
            x = sign * w * (0.92 + 0.35 * along)
            bottom = -0.1 + (end + 0.1) * (0.5 + 0.5 * tone)
            lock = [(0.6 * x, top + 0.15), (x, -0.35), (x * (0.97 + 0.08 * share), bottom)]
            pencil.taper(lock, times(self.colour, 0.5 + 0.5 * tone), 0.035, (0.2, 1.0, 0.1), -0.25)

    def front(self, pencil: Pencil) -> None:
        """What lies over the forehead and the temples."""
        if self.present:
            shell, edge = self._outline()
            pencil.fill([*shell, *reversed(edge)], self.colour)

    def _outline(self) -> tuple[Points, Points]:
        """Around the head and along the forehead, both from left to right."""
        who, w, style = self.who, self.who.width, self.who.hair_style
        top, side = -1.0 - who.hair_volume, w * (1.04 + 0.3 * who.hair_volume)
        ends = -0.08 if who.hair_length < 0 else 0.1
        line = -0.95 if style == "receding" else -0.42 if style == "fringe" else self.line
        shell = [(-0.98 * w, ends), (-side, -0.45), (-0.8 * w, top + 0.3), (-0.42 * w, top + 0.06), (0.0, top)]
        shell += [(-x, y) for x, y in reversed(shell[:-1])]
        if style == "curly":
            shell = [
                (x * (1.06 + 0.05 * wave), y * (1.05 + 0.05 * wave))
                for (x, y), wave in zip(shell, self.wave, strict=False)
            ]
        temple = 0.93 * w
        edge = [(temple, ends), (temple, -0.34), (0.72 * w, line + 0.1)]
        if style == "parted":
            middle = [
                (self.part + 0.35 * w, line + 0.02),
                (self.part, line - 0.12),
                (self.part - 0.35 * w, line + 0.04),
            ]
        else:
            middle = [(0.35 * w, line + 0.03 * self.wave[0]), (0, line + 0.04 * self.wave[1]), (-0.35 * w, line)]
        edge += [*middle, (-0.72 * w, line + 0.1), (-temple, -0.34), (-temple, ends)]
        return shell, edge[::-1]

    def texture(self, pencil: Pencil) -> None:
        """Locks from the crown or the parting to the hair's ends."""
        if not self.present:
            return
        shell, edge = self._outline()
        curly = self.who.hair_style == "curly"
        fine = pencil.unit > FINE
        for start, lean, tone in self.strands if fine else self.strands[:24]:
            (x0, y0), (x1, y1) = _along(shell, start), _along(edge, min(1.0, max(0.0, start + 0.12 * (lean - 0.5))))
            if curly:
                share = lean
                x, y = x0 + (x1 - x0) * share, y0 + (y1 - y0) * share
                pencil.spot(x, y, 0.042, 0.036, times(self.colour, 0.84 + 0.28 * tone))
                continue
            reach = 0.7 + 0.3 * tone
            x0, y0 = 0.97 * x0 + 0.03 * x1, 0.94 * y0 + 0.06 * y1
            x1, y1 = x0 + (x1 - x0) * reach, y0 + (y1 - y0) * reach
            bend = 0.06 * (lean - 0.5)
            lock = [(x0, y0), ((x0 + x1) / 2 + bend, (y0 + y1) / 2), (x1, y1)]
            pencil.taper(lock, times(self.colour, 0.74 + 0.5 * lean), 0.03 if fine else 0.05, (0.2, 1.0, 0.1))


def _along(line: Points, share: float) -> tuple[float, float]:
    """The point at `share` of a chain's points."""
    place = share * (len(line) - 1)
    low = min(int(place), len(line) - 2)
    (x0, y0), (x1, y1) = line[low], line[low + 1]
    return x0 + (x1 - x0) * (place - low), y0 + (y1 - y0) * (place - low)


def beard(who: Person, paint: Pencil, folds: Pencil, corner: tuple[float, float], drop: float, rng: Random) -> None:
    """Stubble is a shadow with dots, longer hair a patch with strokes that run over its edge."""
    w, strokes = who.width, rng.random((70, 3)).tolist()
    if who.beard == "none":
        return
    fine = paint.unit > FINE
    x, y = corner
    lip = y - 0.07
    cheek = [(0.93 * w, 0.18), (0.8 * w, 0.36), (0.4, 0.4), (x + 0.05, lip - 0.02), (0.07, lip - 0.07), (0, lip - 0.06)]
    jaw = [(0, 1.0 + drop), (0.5 * who.jaw * w, 0.9 + drop), (0.5 * w + 0.42 * who.jaw * w, 0.56 + drop / 2)]
    moustache = [(0, lip - 0.06), (0.1, lip - 0.07), (x + 0.01, y - 0.02), (x + 0.02, y + 0.03), (0.1, lip), (0, lip)]
    goatee = [(0, y + 0.12), (0.12, y + 0.12), (0.2, 0.72), (0.14, 0.95 + drop), (0, 1.02 + drop)]
    parts = {
        "stubble": [[*reversed(cheek), *reversed(jaw)]],
        "full": [[*reversed(cheek), *reversed(jaw)]],
        "moustache": [moustache],
        "goatee": [moustache, goatee],
    }[who.beard]
    tone = mix(times(who.hair, 0.9), who.skin, 0.25)
    for half in parts:
        whole = [*half, *((-px, py) for px, py in reversed(half) if px)]
        if who.beard == "stubble":
            folds.fill(whole, 110)
        else:
            paint.fill(whole, tone)
        for share, depth, shade in strokes[: 70 if fine and who.beard != "goatee" else 20]:
            px, py = _along([*whole, whole[0]], share)
            middle = 0.72 if who.beard in ("full", "stubble") else sum(q for _, q in whole) / len(whole)
            px, py = px * (1 - 0.8 * depth), py + (middle - py) * 0.8 * depth
            if who.beard == "stubble":
                paint.spot(px, py, 0.007, 0.007, mix(who.skin, who.hair, 0.5))
            else:
                colour = mix(times(who.hair, 0.5 + shade), who.skin, 0.35 * shade)
                paint.line([(px, py - 0.02), (px + 0.01 * (share - 0.5), py + 0.03)], colour, 0.008)


def freckles(who: Person, pencil: Pencil, rng: Random) -> None:
    """Over nose and cheeks, of those who have any; as many random numbers for everybody."""
    spots = rng.random((36, 3)).tolist()
    if who.freckles:
        for x, y, radius in spots:
            colour = mix(who.skin, times(who.skin, 0.62), 0.75)
            pencil.spot(1.1 * (x - 0.5), -0.08 + 0.4 * y, 0.004 + 0.006 * radius, 0.004 + 0.006 * radius, colour)


def glasses(who: Person, pencil: Pencil, rng: Random) -> None:
    """Frame, temples, bridge and a reflection, of those who wear any; as many random numbers for everybody."""
    dark, width = between(rng, 10, 110), between(rng, 0.016, 0.04)
    if who.glasses == "none":
        return
    tone: Colour = (dark, dark, 1.15 * dark)
    square = [(-1, -0.3), (-0.9, -0.75), (0, -0.8), (0.9, -0.75), (1, -0.3), (0.85, 0.6), (0, 0.8), (-0.85, 0.6)]
    circle = [(-1, 0), (-0.71, -0.68), (0, -0.95), (0.71, -0.68), (1, 0), (0.71, 0.68), (0, 0.95), (-0.71, 0.68)]
    y, r = who.eye_y + 0.02, 0.2
    for sign in (-1, 1):
        x = sign * who.eye_x
        ring = [(x + sign * r * u, y + r * v) for u, v in (square if who.glasses == "square" else circle)]
        pencil.line([*ring, ring[0]], tone, width, 0.06)
        pencil.line([(x + sign * r, y - 0.03), (sign * who.width, y - 0.05)], tone, width, 0.0)
        pencil.taper([(x - 0.1, y + 0.06), (x - 0.02, y - 0.08)], mix(who.skin, grey(255), 0.45), 0.012, (1, 0.3), 0.06)
    inner = who.eye_x - r
    pencil.line([(-inner, y - 0.02), (0, y - 0.05), (inner, y - 0.02)], tone, width, 0.1)


def hand(who: Person, pencil: Pencil, rng: Random) -> None:
    """A hand held to the chin, the cheek or the mouth; it hides what is behind it."""
    sign = 1 if rng.random() < 0.5 else -1
    x, y = sign * between(rng, 0.15, 0.75), between(rng, 0.5, 1.0)
    lean, spread, length = -sign * between(rng, 0.1, 0.6), between(rng, 0.115, 0.15), between(rng, 0.3, 0.5)
    skin, edge = times(who.skin, 0.96), times(who.skin, 0.55)
    wrist = x + sign * 0.25
    pencil.fill([(x - 0.2, y), (x + 0.3, y), (wrist + 0.28, y + 0.6), (wrist + 0.25, 2.2), (wrist - 0.25, 2.2),
                 (wrist - 0.3, y + 0.5)], times(skin, 0.93))  # fmt: skip
    cuff = y + 0.8
    sleeve = [(wrist - 0.33, cuff), (wrist + 0.33, cuff), (wrist + 0.42, 2.2), (wrist + 0.5, 3.6), (wrist - 0.5, 3.6)]
    pencil.fill([*sleeve, (wrist - 0.42, 2.2)], times(who.clothes, 0.85))
    for number in range(4):
        base = x - 0.17 + spread * number, y + 0.06
        reach = length * (0.85, 1.0, 0.96, 0.74)[number]
        tip = base[0] + lean * reach, base[1] - reach
        finger = [(base[0] + 0.02, base[1] + 0.12), base, ((base[0] + tip[0]) / 2 + 0.01, (base[1] + tip[1]) / 2), tip]
        pencil.line(finger, edge, 0.14)
        pencil.line(finger, skin, 0.118)
        pencil.taper([(px - 0.02, py) for px, py in finger], times(skin, 1.1), 0.035)
        nail = tip[0] + 0.005, tip[1] - 0.01
        pencil.spot(*nail, 0.028, 0.036, mix(skin, (200, 205, 240), 0.4))
    thumb = [(x - sign * 0.05, y + 0.4), (x - sign * 0.22, y + 0.2), (x - sign * 0.3, y + 0.02)]
    pencil.line(thumb, edge, 0.15)
    pencil.line(thumb, times(skin, 0.98), 0.125)
