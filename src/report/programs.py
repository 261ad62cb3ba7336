"""Which programs give the same bytes. A program is the code and the libraries that train, whatever the params and data.

programs.csv, beside cells.csv, has a line for each time that a cell of an older program was trained again by a newer
one: whether the bytes were the same.
"""

from pathlib import Path
from typing import NamedTuple

import pandas as pd
from scipy.cluster.hierarchy import DisjointSet

from src.core.files import write_csv

COLUMNS = ("older", "newer", "cell", "same")


class Programs(NamedTuple):
    """What programs.csv says."""

    path: Path
    trials: pd.DataFrame

    @classmethod
    def read(cls, folder: Path) -> "Programs":
        """Those of a report's folder; none where it has no programs.csv."""
        path = folder / "programs.csv"
        if not path.exists():
            return cls(path, pd.DataFrame(columns=COLUMNS))
        return cls(path, pd.read_csv(path, dtype={"older": str, "newer": str, "cell": str, "same": bool}))

    def add(self, older: str, newer: str, cell: str, same: bool) -> "Programs":
        """Writes one line more."""
        line = pd.DataFrame([(older, newer, cell, same)], columns=COLUMNS)
        trials = line if self.trials.empty else pd.concat([self.trials, line], ignore_index=True)
        write_csv(self.path, trials)
        return self._replace(trials=trials)

    def alike(self, program: str) -> set[str]:
        """The programs that were shown to give the bytes of this one, which is among them."""
        groups = DisjointSet([program, *self.trials["older"], *self.trials["newer"]])
        for (one, other), same in self.trials.groupby(["older", "newer"])["same"]:
            if same.all():
                groups.merge(one, other)
        return groups.subset(program)

    @property
    def outdated(self) -> set[str]:
        """The programs that were shown to give other bytes than a newer one."""
        different = self.trials.loc[~self.trials["same"], "older"]
        return set().union(*(self.alike(program) for program in different))

    def tried(self, older: str, newer: str) -> bool:
        """Whether it is known if these two, or any that are like them, give the same bytes."""
        one, other = self.alike(older), self.alike(newer)
        pairs = zip(self.trials["older"], self.trials["newer"], strict=True)
        return newer in one or any(first in one and second in other for first, second in pairs)

    def described(self, rows: pd.DataFrame) -> str:
        """How many programs trained these rows, all of one group, and what shows that they are alike."""
        counts = rows["program"].value_counts(sort=False)
        listed = ", ".join(f"`{program}` ({count} rows)" for program, count in counts.items()) or "none"
        if len(counts) < 2:
            return f"One program, code and libraries, trained them: {listed}."
        trials = self.trials[self.trials["older"].isin(counts.index) & self.trials["same"]]
        return (
            f"{len(counts)} programs, code and libraries, trained them: {listed}. They give the same bytes, as these "
            f"cells show, which an older and a newer one trained: {', '.join(sorted(trials['cell']))}."
        )

    def comparable(self, rows: pd.DataFrame) -> pd.DataFrame:
        """Of all rows but the outdated ones the largest group whose programs are alike."""
        rows = rows[~rows["program"].isin(self.outdated)]
        groups = [rows[rows["program"].isin(self.alike(program))] for program in rows["program"].unique()]
        return max(groups, key=len, default=rows).reset_index(drop=True)
