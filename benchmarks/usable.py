"""What the network that expels unusable faces, which learned from drawn pictures alone, makes of the test folder of
FER-2013: how much it expels of what ten people voted for (FER+), the area under the ROC curve beside good faces, and
milliseconds a face. A good face is one in which at least eight of ten see the same label, and nobody none.
"""

import hashlib
import time
from pathlib import Path

import numpy as np
import pandas as pd
from sklearn.metrics import roc_auc_score

from benchmarks.prepare import HERE, REAL
from src.core import images, raw
from src.download.votes import DIGITS, FER_PLUS
from src.usable import USABLE

NO_LABEL = ["unknown", "not_a_face"]


def faces() -> tuple[list[np.ndarray], pd.DataFrame]:
    """The images of the test folder, (48, 48) uint8 each, and the votes for them."""
    if not REAL.is_file():
        raise SystemExit(f"error: {REAL} is not there, and only of real faces people's votes are known")
    with raw.opened(REAL) as archive:
        members = sorted(name for name in archive.namelist() if name.startswith("test/") and name.endswith(".jpg"))
        files = [raw.read(archive, member) for member in members]
    digests = [hashlib.sha256(file).hexdigest()[:DIGITS] for file in files]
    votes = pd.read_csv(FER_PLUS, index_col="sha256").loc[digests]
    return [images.decode(file) for file in files], votes.assign(member=members)


def measure(_: Path) -> pd.DataFrame:
    from src.core import runtime

    runtime.configure(portable=True)
    from src.usable import network

    pictures, votes = faces()
    model = network.load(HERE / USABLE)
    network.scores(model, pictures)
    started = time.perf_counter()
    scores = network.scores(model, pictures)
    milliseconds = 1000 * (time.perf_counter() - started) / len(pictures)
    emotions = votes.drop(columns=[*NO_LABEL, "member"])
    good = (emotions.max(axis=1) >= 8) & (votes[NO_LABEL].sum(axis=1) == 0)
    nothing = votes["not_a_face"]
    groups = {
        "good faces": good,
        "all others": ~good,
        "no label with more than half of the votes": 2 * emotions.max(axis=1)
        <= votes.drop(columns="member").sum(axis=1),
        "at least half: unknown": votes["unknown"] >= 5,
        "at least one: not a face": nothing >= 1,
        "at least half: not a face": nothing >= 5,
    }
    table = []
    for what, members in groups.items():
        chosen = members.to_numpy()
        beside = np.concatenate([scores[good.to_numpy()], scores[chosen]])
        is_good = np.arange(len(beside)) < good.sum()
        area = "" if what == "good faces" else f"{roc_auc_score(is_good, beside):.3f}"
        expelled = f"{(scores[chosen] < network.THRESHOLD).mean():.1%}"
        table.append({"": what, "faces": f"{chosen.sum():,}", "expelled": expelled, "area": area})
    return pd.DataFrame(table).assign(**{"milliseconds a face": [f"{milliseconds:.2f}", *[""] * (len(table) - 1)]})
