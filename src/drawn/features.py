"""Eyes, brows, nose, mouth, and the lines between them, moved by the action units.

`paint` draws sharp shapes in their colours, `folds` soft shadows and lights (see light.py).
"""

from src.drawn.expression import Expression
from src.drawn.light import ONE, Relief
from src.drawn.pencil import FINE, Pencil
from src.drawn.person import Person, mix, times

WHITE = (222, 228, 230)


class Features:
    """A person's features as an expression moves them; what several of them share is computed once.

    Args:
        light_x: where the light comes from, left in the picture below 0.
    """

    def __init__(self, person: Person, expression: Expression, paint: Pencil, folds: Pencil, light_x: float):
        self.who, self.au, self.paint, self.folds, self.light_x = person, expression, paint, folds, light_x
        self.fine = paint.unit > FINE
        who, au = person, expression
        self.nose_tip = 0.2 * who.nose - 0.03 * au[9]
        self.wing = 0.1 * who.nose_width * (1 + 0.2 * au[9])
        self.drop = 0.1 * au[26]  # of the jaw
        self.lips = who.lips * (1 - 0.6 * au[23]) * (1 - 0.25 * au[20])
        self.opening = max(
            0.0, 0.24 * au[26] - 0.02 + 0.05 * au[16] + 0.07 * max(0.0, au[12] - 0.4) + 0.05 * max(0.0, au[20] - 0.4)
        )
        if self.opening < 0.012:
            self.opening = 0.0
        self.upper = who.mouth_y - 0.03 * au[9] - 0.15 * self.opening
        self.lower = self.upper + self.opening + 0.02 * au[16]

    def lids(self, sign: int) -> tuple[float, float]:
        """How far the eye is open above and below its middle."""
        side, size = self.au.side, self.who.eye_size
        upper = (0.056 + 0.05 * side(5, sign) - 0.02 * side(7, sign) - 0.012 * side(6, sign)) * size
        lower = (0.042 - 0.02 * side(7, sign) - 0.026 * side(6, sign)) * size
        return max(0.014, upper), max(0.008, lower)

    def corner(self, sign: int) -> tuple[float, float]:
        """A corner of the mouth."""
        up, down, stretch, tight = (self.au.side(unit, sign) for unit in (12, 15, 20, 23))
        x = self.who.mouth_width + 0.085 * up + 0.1 * stretch - 0.045 * tight - 0.05 * self.au[26]
        y = self.who.mouth_y - 0.1 * up + 0.09 * down + 0.015 * stretch + 0.05 * self.au[26]
        return sign * x, y

    def relief(self, relief: Relief) -> None:
        """Hills and dents of the face, which light.py shades."""
        who, au = self.who, self.au
        relief.bump(0, -0.62, 0.5, 0.35, 0.05)
        relief.bump(0, 0.83 + self.drop, 0.2, 0.16, 0.05)
        relief.bump(0, who.mouth_y, 0.32, 0.24, 0.06)
        relief.bump(0, self.nose_tip + 0.12, 0.035, 0.09, -0.012)
        relief.bump(0, self.lower + 0.035 * self.lips, 0.17, 0.05, 0.016 * self.lips)
        relief.bump(0, self.lower + 0.15, 0.16, 0.06, -0.022)
        relief.bump(0, -0.02, 0.09, 0.26, 0.06, 0.05)
        relief.bump(0, self.nose_tip - 0.03, 0.11 * who.nose_width, 0.11, 0.07, 0.08)
        for sign in (-1, 1):
            raised = max(au.side(6, sign), 0.8 * au.side(12, sign))
            x, y = sign * who.eye_x, who.eye_y
            relief.bump(sign * 0.4, 0.14 - 0.06 * raised, 0.22, 0.2, 0.035 + 0.05 * raised)
            relief.bump(x, y - 0.13, 0.24, 0.1, 0.02 + 0.025 * au.side(4, sign))
            relief.bump(x - sign * 0.03, y - 0.03, 0.2, 0.13, -0.045)
            relief.bump(x, y, 0.13, 0.1, 0.03)
            relief.bump(sign * self.wing * 0.9, self.nose_tip, 0.06, 0.06, 0.03, 0.06)
            relief.bump(self.corner(sign)[0] * 1.1, self.corner(sign)[1] + 0.03, 0.08, 0.09, -0.02)
            relief.bump(sign * 0.045, who.eye_y - 0.13, 0.06, 0.12, 0.035 * max(0.0, au[4] - 0.1))

    def eye(self, sign: int) -> None:
        """An eye (sign -1: left in the picture), with lids, lashes and what gathers around it."""
        who, au, paint, skin = self.who, self.au, self.paint, self.who.skin
        size, x, y = who.eye_size, sign * who.eye_x, who.eye_y
        half = 0.14 * size
        upper, lower = self.lids(sign)
        inner, outer = (x - sign * half, y + 0.018), (x + sign * half, y - 0.008)
        lid = [
            inner,
            (x - sign * half * 0.55, y - 0.8 * upper),
            (x, y - upper),
            (x + sign * half * 0.55, y - 0.82 * upper),
            outer,
        ]
        below = [(x + sign * half * 0.55, y + 0.85 * lower), (x, y + lower), (x - sign * half * 0.5, y + 0.85 * lower)]
        # the ball, whole; the lids then cover what they cover
        paint.fill([*lid, *below], mix(WHITE, skin, 0.22))
        paint.taper([(px, py + 0.014) for px, py in lid], mix(WHITE, times(skin, 0.5), 0.5), 0.03)
        gaze, radius = x + 0.05 * au.asymmetry, 0.063 * size
        level = y - 0.004
        paint.spot(gaze, level, radius, radius, times(who.iris, 0.5))
        paint.spot(gaze, level + 0.003, 0.8 * radius, 0.8 * radius, who.iris)
        paint.spot(gaze, level, 0.42 * radius, 0.42 * radius, 8)
        glint = 0.35 * radius if self.light_x > 0 else -0.35 * radius
        paint.spot(gaze + glint, level - 0.35 * radius, 0.2 * radius, 0.2 * radius, 240)
        hidden = [(px, py - 0.085) for px, py in lid[1:4]]
        paint.fill([*lid, *reversed(hidden)], times(skin, 0.97))
        paint.fill([outer, *below, inner, *((px, py + 0.06) for px, py in reversed(below))], skin)
        # the edges of the lids
        dark = mix((14, 16, 20), times(skin, 0.4), 0.6 - 0.5 * who.lashes)
        paint.line([outer, *below, inner], times(skin, 0.68), 0.009)
        paint.taper(lid, dark, 0.022 + 0.016 * who.lashes, (0.3, 0.8, 1.0, 1.0, 0.7))
        if self.fine and who.lashes > 0.5:
            for number in range(6):
                px, py = x + sign * half * (0.1 + 0.16 * number), y - upper * (1.0 - 0.028 * number * number)
                paint.line([(px, py), (px + sign * (0.008 + 0.004 * number), py - 0.032)], dark, 0.006)
        fold = 0.03 - 0.012 * au.side(5, sign) + 0.01 * who.age
        paint.taper([(px, py - fold) for px, py in lid], times(skin, 0.7), 0.016)
        self.folds.taper([(px, py - fold - 0.02) for px, py in lid], 108, 0.06)
        # what squeezes the eye from below
        cheek, tight = au.side(6, sign), au.side(7, sign)
        bag = y + 0.105 - 0.025 * cheek - 0.02 * tight
        arc = [(x - sign * half, bag - 0.03), (x, bag + 0.012), (x + sign * half, bag - 0.035)]
        strength = min(1.0, max(0.5 * who.age, 0.8 * cheek, 0.8 * tight))
        self.folds.taper(arc, ONE - 40 * strength, 0.05)
        if strength > 0.3:
            paint.taper(arc, times(skin, 1 - 0.28 * strength), 0.012)
        if cheek > 0.25:  # crow's feet
            for step in (-0.05, 0.0, 0.05):
                start, end = outer[0] + sign * 0.04, outer[0] + sign * (0.08 + 0.06 * cheek)
                feet = [(start, y + step), ((start + end) / 2, y + 1.3 * step), (end, y + 1.8 * step)]
                paint.taper(feet, times(skin, 1 - 0.35 * min(1.0, cheek)), 0.014)

    def brow(self, sign: int) -> None:
        """The brow above that eye, and the lid that it moves."""
        who, au = self.who, {unit: self.au.side(unit, sign) for unit in (1, 2, 4, 9)}
        x, y = sign * who.eye_x, who.eye_y - who.brow_gap
        inner = y + 0.005 - 0.12 * au[1] + 0.095 * au[4] + 0.055 * au[9]
        middle = y - 0.015 - who.brow_arch - 0.05 * au[1] - 0.07 * au[2] + 0.06 * au[4] + 0.03 * au[9]
        outer = y + 0.035 + 0.015 * au[1] - 0.11 * au[2] + 0.03 * au[4]
        start = x - sign * (0.15 + 0.04 * au[4])
        arch = x + sign * 0.06
        line = [
            (start, inner),
            (x - sign * 0.05, (0.55 * inner + 0.45 * middle)),
            (arch, middle),
            (x + sign * 0.13, (middle + outer) / 2 - 0.005),
            (x + sign * 0.2, outer),
        ]
        width = 0.055 * who.brow_weight
        self.folds.taper(line, 92, 1.6 * width)
        self.paint.taper(line, who.brow, width, (0.7, 1.0, 0.9, 0.6, 0.1))
        if self.fine:
            for number in range(11):
                share = number / 10
                left, right = line[int(3.99 * share)], line[int(3.99 * share) + 1]
                part = 3.99 * share - int(3.99 * share)
                px, py = left[0] + (right[0] - left[0]) * part, left[1] + (right[1] - left[1]) * part
                lean = sign * (0.006 + 0.03 * share)
                rise = 0.55 * width * (1.0 - 0.8 * share)
                hair = [(px - lean, py + rise), (px + lean, py - rise)]
                self.paint.line(hair, times(who.brow, 0.7 if number % 2 else 1.15), 0.005)
        # the lid that the brow pulls up or pushes down
        self.folds.taper([(px, py + 0.07) for px, py in line[:4]], ONE - 14 - 22 * min(1.0, au[4]), 0.06)

    def nose(self) -> None:
        """Its shadows and lights, nostrils and wings, and the wrinkles of AU 9."""
        skin, au, paint, tip, wing = self.who.skin, self.au, self.paint, self.nose_tip, self.wing
        shaded = -1 if self.light_x > 0 else 1
        self.folds.taper(
            [(shaded * 0.05, -0.18), (shaded * 0.065, 0.0), (shaded * wing, tip)], 108, 0.06, (0.4, 0.8, 1.0), 0.04
        )
        self.folds.line([(0, -0.15), (0, tip - 0.06)], 142, 0.03, 0.07)
        self.folds.taper([(-wing, tip + 0.05), (0, tip + 0.075), (wing, tip + 0.05)], 96, 0.06, depth=0.05)
        for sign in (-1, 1):
            paint.spot(sign * 0.052, tip + 0.022, 0.028, 0.014, times(skin, 0.32), 0.08)
            edge = [
                (sign * wing * 0.85, tip - 0.06),
                (sign * (wing + 0.012), tip - 0.01),
                (sign * wing * 0.9, tip + 0.03),
                (sign * wing * 0.6, tip + 0.03),
            ]
            paint.taper(edge, times(skin, 0.66), 0.018, depth=0.06)
        if au[9] > 0.25:  # wrinkles across the bridge
            for y in (-0.14, -0.09, -0.04):
                wrinkle = [(-0.07, y - 0.03), (0, y), (0.07, y - 0.03)]
                paint.taper(wrinkle, times(skin, 1 - 0.4 * min(1.0, au[9])), 0.016, depth=0.05)
            for sign in (-1, 1):
                side = [(sign * 0.09, -0.02), (sign * 0.11, 0.05), (sign * 0.15, 0.1)]
                paint.taper(side, times(skin, 1 - 0.35 * min(1.0, au[9])), 0.014, depth=0.03)

    def lines(self) -> None:
        """Folds of the face: forehead, between the brows, nose to mouth, mouth to chin."""
        who, au, paint, folds, skin = self.who, self.au, self.paint, self.folds, self.who.skin
        for sign in (-1, 1):
            pulled = max(au.side(12, sign), au.side(9, sign), 0.7 * au.side(6, sign))
            depth = min(1.0, max(pulled, 0.15 + 0.4 * who.age))
            corner = self.corner(sign)
            fold = [
                (sign * (self.wing + 0.02), self.nose_tip - 0.04),
                (sign * (self.wing + 0.11), 0.55 * self.nose_tip + 0.45 * corner[1]),
                (corner[0] + sign * 0.045, corner[1] - 0.02),
                (corner[0] + sign * 0.04, corner[1] + 0.05),
            ]
            folds.taper(fold, ONE - 45 * depth, 0.06, (0.5, 1.0, 0.8, 0.2))
            if depth > 0.35:
                paint.taper(fold, times(skin, 1 - 0.35 * depth), 0.014, (0.5, 1.0, 0.8, 0.1))
            down = max(au.side(15, sign), 0.45 * who.age)
            if down > 0.3:
                line = [(corner[0] * 1.02, corner[1] + 0.02), (corner[0] * 1.08, corner[1] + 0.14)]
                folds.taper(line, ONE - 38 * min(1.0, down), 0.05, (1.0, 0.3))
        if au[4] > 0.2:
            for sign in (-1, 1):
                y = who.eye_y - who.brow_gap
                line = [(sign * 0.05, y - 0.05), (sign * 0.035, y + 0.03), (sign * 0.04, y + 0.11)]
                folds.taper(line, ONE - 45 * min(1.0, au[4]), 0.045)
                paint.taper(line, times(skin, 1 - 0.4 * min(1.0, au[4])), 0.016)
        raised = min(1.0, max(0.6 * (au[1] + au[2]) - 0.1, 0.45 * who.age))
        if raised > 0.2:
            reach = 0.2 + 0.16 * au[2]
            for y in (-0.5, -0.585, -0.665):
                line = [
                    (-reach, y + 0.02),
                    (-reach / 2, y - 0.005),
                    (0, y + 0.008),
                    (reach / 2, y - 0.005),
                    (reach, y + 0.02),
                ]
                folds.taper(line, ONE - 30 * raised, 0.05)
                paint.taper(line, times(skin, 1 - 0.26 * raised), 0.014)

    def mouth(self) -> None:
        """The lips, and teeth and tongue where it is open."""
        who, paint, lips, upper, lower = self.who, self.paint, self.lips, self.upper, self.lower
        left, right = self.corner(-1), self.corner(1)
        middle = 0.42 * (right[0] - left[0]) / 2
        if self.opening:
            inside = [left, (-middle, upper), (0, upper), (middle, upper), right]
            paint.fill([*inside, (middle, lower + 0.02), (0, lower + 0.03), (-middle, lower + 0.02)], (24, 18, 40))
            if self.opening > 0.09:  # the tongue
                paint.spot(0, lower - 0.01, 0.8 * middle, 0.3 * self.opening, mix(who.lip, (60, 50, 130), 0.7))
            height, spread = min(0.055, 0.8 * self.opening), 1.55 * middle
            teeth = [(-spread, 0.7 * (upper - left[1]) + left[1]), (-middle, upper - 0.01), (0, upper - 0.01)]
            teeth += [(middle, upper - 0.01), (spread, 0.7 * (upper - right[1]) + right[1])]
            paint.fill(
                [*teeth, (middle, upper + height), (0, upper + height + 0.004), (-middle, upper + height)],
                (196, 212, 218),
            )
            if self.fine:
                for number in range(-3, 4):
                    x = 0.4 * middle * number
                    paint.line([(x, upper), (x, upper + height - 0.004)], (150, 166, 172), 0.004)
            if self.au[16] > 0.4 and self.opening < 0.12:  # the lower lip, pulled down, shows teeth too
                paint.spot(0, lower, 0.8 * middle, 0.02, (180, 196, 202))
        top = [left, (-middle, upper - 0.055 * lips), (-0.035, upper - 0.072 * lips), (0, upper - 0.056 * lips)]
        top += [(0.035, upper - 0.072 * lips), (middle, upper - 0.055 * lips), right]
        paint.fill([*top, (middle, upper + 0.004), (0, upper + 0.012), (-middle, upper + 0.004)], times(who.lip, 0.84))
        edge = [right, (middle, lower + 0.005), (0, lower + 0.012), (-middle, lower + 0.005), left]
        bottom = [(-middle, lower + 0.066 * lips), (0, lower + 0.085 * lips), (middle, lower + 0.066 * lips)]
        paint.fill([*edge, *bottom], who.lip)
        parting = [left, (-middle, upper + 0.006), (0, upper + 0.012), (middle, upper + 0.006), right]
        paint.taper(parting, times(who.lip, 0.38), 0.012 if self.opening else 0.02, (0.5, 1.0, 0.8, 1.0, 0.5))
        self.folds.line([(-0.5 * middle, lower + 0.04 * lips), (0.5 * middle, lower + 0.04 * lips)], 150, 0.02)
        shadow = lower + 0.085 * lips + 0.035
        self.folds.taper([(-0.11, shadow - 0.01), (0, shadow + 0.01), (0.11, shadow - 0.01)], 92, 0.055)
        for sign in (-1, 1):
            x, y = self.corner(sign)
            self.folds.spot(x + sign * 0.015, y, 0.03, 0.035, 100)
