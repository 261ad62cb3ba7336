"""Position and roll of real faces, by the segmentation that learned from drawn ones and by MTCNN: 1,000 of the test
folder of FER-2013, as they are and turned by known angles. Found, where the eyes of both lie (the median distance of
their middles, in shares of the picture), and by how many degrees the roll that is found for a turned face misses that
of the face as it is, by the same finder, plus the angle (median, and the share of all that are found both
times and miss by less than 10 degrees); and milliseconds a face on one core, median of three turns.
"""

import time
from pathlib import Path
from statistics import median

import numpy as np
import pandas as pd

from benchmarks.prepare import HERE
from benchmarks.usable import faces
from src.faces.face import Face
from src.segmentation import SEGMENTATION

ANGLES = (-60, -45, -30, -15, 15, 30, 45, 60)
COUNT, TURNS, NEAR = 1000, 3, 10


def measure(_: Path) -> pd.DataFrame:
    from src.core import runtime

    runtime.configure(portable=True)
    from src.faces.alignment import turned
    from src.faces.detection import Detector
    from src.faces.segmented import Segmenter

    every = faces()[0]
    pictures = [every[row] for row in np.random.default_rng(0).permutation(len(every))[:COUNT]]
    finders = {"segmentation": Segmenter(HERE / SEGMENTATION).find, "MTCNN": Detector().find}
    times: dict[str, list[float]] = {what: [] for what in finders}
    straight: dict[str, list[Face | None]] = {}
    for turn in range(1 + TURNS):
        for what, find in finders.items():
            started = time.perf_counter()
            straight[what] = [max(found, key=lambda face: face.confidence, default=None) for found in find(pictures)]
            if turn:  # the first one traces
                times[what].append(1000 * (time.perf_counter() - started) / len(pictures))
    apart = [
        abs(complex(*_middle(one)) - complex(*_middle(other))) / pictures[0].shape[0]
        for one, other in zip(straight["segmentation"], straight["MTCNN"], strict=True)
        if one and other
    ]
    table = []
    for what, find in finders.items():
        row = {"": what, "found": f"{np.mean([face is not None for face in straight[what]]):.1%}"}
        if what == "segmentation":
            row["found, of all 7,178"] = f"{np.mean([bool(found) for found in find(every)]):.1%}"
            row["eyes apart from MTCNN's"] = f"{median(apart):.3f}"
        for angle in ANGLES:
            misses = []
            found = find([turned(picture, angle) for picture in pictures])
            for before, after in zip(straight[what], found, strict=True):
                if before and after:
                    off = after[0].roll - before.roll - angle
                    misses.append(abs((off + 180) % 360 - 180))
            near = sum(miss < NEAR for miss in misses) / len(pictures)
            row[f"{angle}°"] = f"{median(misses):.1f} ({near:.0%})"
        row["milliseconds a face"] = f"{median(times[what]):.2f}"
        table.append(row)
    return pd.DataFrame(table).fillna("")


def _middle(face: Face) -> tuple[float, float]:
    (x1, y1), (x2, y2) = face.left_eye, face.right_eye
    return (x1 + x2) / 2, (y1 + y2) / 2
