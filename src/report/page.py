"""The report's page: README.md with its tables and figures, from the finished cells alone."""

from pathlib import Path

import numpy as np
import pandas as pd
from ruamel.yaml import YAML

from src.core.files import replacing
from src.report import comparisons
from src.report.claims import FAILS, HOLDS, OPEN, verdicts
from src.report.grid import Grid
from src.report.statistics import NOT_RUN, at, by_resolution, cells, last_ten, of_next
from src.report.unpublished import first_epoch, readings

PUBLISHED = YAML(typ="safe", pure=True).load(Path(__file__).with_name("published.yaml").read_text(encoding="utf-8"))


def write(grid: Grid) -> None:
    """Writes README.md and figures/ beside grid.yaml; the same cells give the same bytes."""
    rows = grid.rows()
    with replacing(grid.folder / "figures") as folder:
        folder.mkdir()
        names = []
        for name, figure in _figures(grid, rows):
            figure.savefig(folder / f"{name}.png", dpi=100, metadata={"Software": None})
            names.append(name)
    with replacing(grid.folder / "README.md") as path:
        path.write_text("\n".join(_lines(grid, rows, names)) + "\n", encoding="utf-8", newline="\n")


def _lines(grid: Grid, rows: pd.DataFrame, figures: list[str]) -> list[str]:
    missing = len(grid.missing())
    status = f"{len(rows)} of {len(grid.cells)} cells are finished." + (
        " **The page is incomplete: run the command again.**" if missing else ""
    )
    return [
        "# The report, re-run",
        "",
        f"Data: **{grid.data}**. {status} Written by `python -m src.report {grid.folder.as_posix()}` from "
        "[cells.csv](cells.csv); the grid is [grid.yaml](grid.yaml). Nothing here is typed by hand.",
        "",
        "## In short",
        "",
        *_summary(rows),
        "",
        "## Published and measured",
        "",
        "A single epoch swings by two points and more, so each number stands beside the mean of the ten epochs that "
        "end there. The interval says where one more run would lie (95 %, Student's t, over seeds). Of set 1 the "
        "report publishes two runs that differ at epoch 50 (0.7246 / 0.6136 and 0.7451 / 0.6047); what lies between "
        "them it does not say, so both are listed.",
        "",
        *_table(_published(rows)),
        "",
        *_unpublished(rows),
        "## Claims",
        "",
        "What the claims come to on the data named above; where they speak of set 3 (C2, C4, C13), on that data's ai2. "
        "The rules are code, and git tells when each "
        "was written: those of C1, C2 and C6 changed after the drawn grid had run, and before any row on real faces; "
        "that of C5 when one of its four hyperparameters had run on real faces: it now waits for all of them; that of "
        "C13 when its runs of 10 epochs were there: the last ten are then all there are, so runs of 30 now come first; "
        "that of C2 once more when its runs with two layers were there, which hardly learn at 192 pixels, and of those "
        "with three layers two at 208 pixels: it asked for the largest size alone, and says now with how many layers. "
        "Differences are paired by seed.",
        "",
        *_table(_claims(rows)),
        "",
        "## Figures",
        "",
        *[line for name in figures for line in (f"![{name.replace('_', ' ')}](figures/{name}.png)", "")],
        "## Cells",
        "",
        *_table(_cells(rows)),
        "",
        f"Ran at commits {_list(rows['commit'])}, with params.yaml as it is there and what grid.yaml changes; "
        f"environments: {_list(rows['environment'])}. "
        "Seconds per epoch: the fastest epoch, with other cells beside it.",
    ]


def _summary(rows: pd.DataFrame) -> list[str]:
    """The claims by their verdict, and how many published numbers lie inside."""
    found = verdicts(rows)
    lines = []
    for verdict in (HOLDS, FAILS, OPEN):
        names = [f"{v.claim}: {PUBLISHED['claims'][v.claim]}" for v in found if v.verdict == verdict]
        lines += [f"**{verdict.capitalize()}**", "", *(f"- {name}" for name in names or ["none"]), ""]
    inside = _published(rows)["published inside"]
    return [
        *lines,
        "A claim of several parts does not hold when one of them does not; [below](#claims) stands which.",
        "",
        f"Of {len(inside)} published accuracies {sum(inside == 'yes')} lie where one more run would, "
        f"{sum(inside == 'no')} do not, and of {sum(inside == 'cannot be said')} it cannot be said.",
    ]


def _list(column: pd.Series) -> str:
    return ", ".join(sorted(set(column.dropna().astype(str)))) or "none recorded"


def _table(table: pd.DataFrame) -> list[str]:
    header = "| " + " | ".join(table.columns) + " |"
    lines = ["| " + " | ".join(map(str, row)) + " |" for row in table.itertuples(index=False)]
    return [header, "|" + " --- |" * len(table.columns), *lines]


def _runs(rows: pd.DataFrame) -> dict[str, pd.DataFrame]:
    """The measured cells that answer to each run of published.yaml."""
    third = cells(rows, "ai2")
    return {
        "curve": cells(rows, "ai", epochs=100),
        "set 1": cells(rows, "ai"),
        "set 2": cells(rows, "ai_half"),
        "set 3": third if len(third) else cells(rows, "ai2", epochs=10),  # where the grids end it
    }


def _published(rows: pd.DataFrame) -> pd.DataFrame:
    listed = []
    for name, found in _runs(rows).items():
        for epoch, pair in PUBLISHED["runs"][name]["points"].items():
            for curve, value in zip(("accuracy", "val_accuracy"), pair, strict=True):
                single = of_next(at(found, curve, epoch))
                none = f"runs end at epoch {found['epochs'].max()}" if len(found) else NOT_RUN
                ten = last_ten(found, curve, epoch)
                listed.append(
                    {
                        "run": name,
                        "epoch": epoch,
                        "of": {"accuracy": "training", "val_accuracy": "validation"}[curve],
                        "published": f"{value:.4f}",
                        "measured at that epoch": f"{single.mean:.4f}" if single.n else none,
                        "last ten epochs": f"{ten.mean():.4f}" if len(ten) else "",
                        "one more run": f"{single.low:.4f} to {single.high:.4f}" if single.n > 1 else "",
                        "seeds": single.n,
                        "published inside": ("yes" if single.low <= value <= single.high else "no")
                        if single.n > 1
                        else "cannot be said",
                    }
                )
    return pd.DataFrame(listed)


def _unpublished(rows: pd.DataFrame) -> list[str]:
    runs = {name: PUBLISHED["runs"][name] for name in ("curve", "set 1")}
    found = readings(rows, runs)
    if len(found) < 2:
        return []
    best = {name: found.loc[found[name].idxmin()] for name in runs}
    nearest = "; ".join(f"{name}: {row.dense_units} units, dropout at {row.dropout_at}" for name, row in best.items())
    numbers = {name: found[name].map("{:.4f}".format) for name in ("training", "validation", "rise", *runs)}
    first, points = first_epoch(runs), runs["curve"]["points"]
    names = {"training": "training, epoch 50", "validation": "validation, last ten", "rise": f"rise since {first}"}
    shown = found.assign(**numbers).rename(columns=names | {name: f"off {name}" for name in runs})
    return [
        "## What the report leaves open",
        "",
        "It publishes neither the width of its dense layer nor the place of its dropout. Each reading that ran on "
        "set 1, against both published runs: root mean square by which training accuracy misses the points up to "
        "epoch 50. "
        f"Nearest to {nearest}. From epoch {first} to 50 the published curve rises by "
        f"{points[50][0] - points[first][0]:.4f}, these by {found['rise'].min():.4f} to {found['rise'].max():.4f}.",
        "",
        *_table(shown),
        "",
    ]


def _claims(rows: pd.DataFrame) -> pd.DataFrame:
    return pd.DataFrame(
        {
            "claim": f"{v.claim}: {PUBLISHED['claims'][v.claim]}",
            "decided by": v.rule,
            "numbers": v.numbers,
            "verdict": f"**{v.verdict}**",
        }
        for v in verdicts(rows)
    )


def _cells(rows: pd.DataFrame) -> pd.DataFrame:
    return pd.DataFrame(
        {
            "cell": row.name,
            "training images": row.train_images,
            "scored images": row.scored_images,
            "accuracy, last ten": f"{np.mean(row.accuracy[-10:]):.4f}",
            "validation, last ten": f"{np.mean(row.val_accuracy[-10:]):.4f}",
            "parameters": f"{row.parameters:,}",
            "operations": f"{row.operations / 1e6:.2f} M",
            "s / epoch": row.seconds_per_epoch,
        }
        for row in rows.itertuples(index=False)
    )


def _figures(grid: Grid, rows: pd.DataFrame):
    runs = {name: found for name, found in _runs(rows).items() if len(found)}
    if runs:
        panels = {name: (_stack(found, "accuracy"), _stack(found, "val_accuracy")) for name, found in runs.items()}
        yield "curves", comparisons.panels(panels, f"Accuracy per epoch: {grid.data}")
    if "curve" in runs:
        points = {name: PUBLISHED["runs"][name]["points"] for name in ("curve", "set 1")}
        found = panels["curve"]
        yield "published", comparisons.published(*found, points, f"Published points over measured runs: {grid.data}")
    layers = {dataset: _by_layers(rows, dataset) for dataset in ("ai", "ai_half")}
    layers = {dataset: points for dataset, points in layers.items() if len(points) > 1}
    if layers:
        depth = {name: [(n, _values(found)) for n, found in points] for name, points in layers.items()}
        yield "layers", comparisons.against(depth, "convolutional layers", f"Accuracy and depth: {grid.data}")
        cost = {
            name: [(f"conv {n}", found["operations"].iloc[0] / 1e6, _values(found)) for n, found in points]
            for name, points in layers.items()
        }
        yield "cost", comparisons.costs(cost, "million operations per image", f"Accuracy and its cost: {grid.data}")
    sizes = {
        f"ai2, the same images, {layers} layers": [(float(size), _values(found)) for size, found in by_size.items()]
        for layers, by_size in by_resolution(rows).items()
    }
    if sizes:
        yield (
            "resolution",
            comparisons.against(sizes, "pixels a side", f"Accuracy and resolution: {grid.data}", log=True),
        )
    shares = [cells(rows, "ai", split__train_share=share) for share in (0.125, 0.25, 0.5)] + [cells(rows, "ai")]
    amounts = [(float(found["train_images"].iloc[0]), _values(found)) for found in shares if len(found)]
    if len(amounts) > 1:
        yield (
            "images",
            comparisons.against({"ai": amounts}, "training images", f"Accuracy and data: {grid.data}", log=True),
        )


def _by_layers(rows: pd.DataFrame, dataset: str) -> list[tuple[int, pd.DataFrame]]:
    return [(layers, found) for layers in (1, 2, 3, 4) if len(found := cells(rows, dataset, layers))]


def _values(found: pd.DataFrame) -> np.ndarray:
    return last_ten(found, "val_accuracy").to_numpy()


def _stack(found: pd.DataFrame, curve: str) -> np.ndarray:
    return np.array(found[curve].tolist())
