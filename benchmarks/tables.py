"""Measurements as a table: median, spread, and how many times the first row takes."""

from statistics import median

import pandas as pd


def compared(rows: dict[str, list[float]], unit: str = "seconds an epoch") -> pd.DataFrame:
    """What -> its measurements in seconds; the first is what the others are compared with."""
    first = median(next(iter(rows.values())))
    return pd.DataFrame(
        {
            "": what,
            unit: f"{median(values):.2f}",
            "lowest to highest": f"{min(values):.2f} to {max(values):.2f}",
            "n": len(values),
            "times faster": f"{first / median(values):.2f}",
        }
        for what, values in rows.items()
    )
