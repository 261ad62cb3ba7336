"""python -m benchmarks.figure: docs/images/growth.png, from the tables in benchmarks/results/."""

from pathlib import Path

import pandas as pd
from matplotlib.figure import Figure

from benchmarks.prepare import HERE
from src.core.files import replacing

Series = dict[str, tuple[pd.Series, pd.Series]]


def read(name: str) -> pd.DataFrame:
    """The table of a benchmark: numbers where a column holds nothing else."""
    text = (HERE / "benchmarks" / "results" / f"{name}.md").read_text(encoding="utf-8")
    lines = [[cell.strip() for cell in line.strip("|").split("|")] for line in text.splitlines() if line[:1] == "|"]
    table = pd.DataFrame(lines[2:], columns=lines[0]).map(lambda cell: cell.replace(",", ""))
    numbers = table.apply(pd.to_numeric, errors="coerce")
    return table.assign(**{str(name): column for name, column in numbers.items() if column.notna().all()})


def panels() -> dict[tuple[str, str], Series]:
    """What grows and what is measured -> the lines of a panel."""
    stages, networks, cells = read("growth"), read("network"), read("grid")
    sides, widths = networks[networks["width"] == 1], networks[networks["pixels a side"] == 48]
    work = "million operations an image"
    return {
        ("images", "seconds"): {
            f"{stage} stage": (table["images"], table["seconds"])
            for stage, table in stages.groupby("stage", sort=False)
        },
        (work, "seconds an epoch"): {
            "side, 24 to 192 pixels": (sides[work], sides["seconds an epoch"]),
            "width, once to four times": (widths[work], widths["seconds an epoch"]),
        },
        ("cells", "seconds"): {"the report command, cells that have run": (cells["cells"], cells["seconds"])},
    }


def drawn() -> Figure:
    """Logarithmic panels; a dotted line has slope 1, which is in proportion."""
    figure = Figure(figsize=(13, 4), layout="constrained")
    for axes, ((x, y), lines) in zip(figure.subplots(1, 3), panels().items(), strict=True):
        for name, (across, up) in lines.items():
            (line,) = axes.loglog(across, up, "o-", label=name)
            last = across.iloc[-1], up.iloc[-1]
            axes.loglog(across, across / last[0] * last[1], ":", color=line.get_color())
        axes.set(xlabel=x, ylabel=y)
        axes.xaxis.set_major_formatter("{x:g}")
        if x == "images":  # two numbers, a power of ten in none of them
            axes.set_xticks(sorted(set().union(*(across for across, _ in lines.values()))), minor=False)
            axes.minorticks_off()
        axes.grid(alpha=0.3)
        axes.legend(fontsize=8)
    return figure


if __name__ == "__main__":
    with replacing(Path(HERE) / "docs" / "images" / "growth.png") as path:
        drawn().savefig(path, format="png", dpi=100, metadata={"Software": None})
