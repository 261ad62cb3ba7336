"""The report's page: README.md with its tables and figures, from the finished cells alone. Its text is page.md."""

import re
from pathlib import Path
from string import Template

import pandas as pd

from src.core.files import replacing
from src.report import claims, figures, markdown, published, unpublished
from src.report.grid import Grid
from src.report.programs import Programs
from src.report.rules import FAILS, HOLDS, OPEN, Finding
from src.report.selection import TRAINING, VALIDATION, mean_accuracy

TEMPLATE = Template(Path(__file__).with_name("page.md").read_text(encoding="utf-8"))


def write(grid: Grid) -> None:
    """Writes README.md and figures/ beside grid.yaml; the same cells give the same bytes.

    Raises:
        UserError: they cannot be written.
    """
    rows = grid.rows()
    with replacing(grid.folder / "figures") as folder:
        folder.mkdir()
        names = []
        for name, figure in figures.drawn(rows, grid.data):
            figure.savefig(folder / f"{name}.png", dpi=100, metadata={"Software": None})
            names.append(name)
    with replacing(grid.folder / "README.md") as path:
        path.write_text(text(grid, rows, names), encoding="utf-8", newline="\n")


def text(grid: Grid, rows: pd.DataFrame, figure_names: list[str]) -> str:
    """The page in Markdown, of the finished cells' `rows`; the figures are shown in the order of their names here."""
    comparison, findings = published.comparison(rows), claims.findings(rows)
    inside = comparison["published inside"]
    filled = TEMPLATE.substitute(
        data=grid.data,
        finished=len(rows),
        cells=len(grid.cells),
        incomplete=" **The page is incomplete: run the command again.**" if grid.missing() else "",
        left_out=_left_out(grid, rows),
        folder=grid.folder.as_posix(),
        verdicts="\n\n".join(_reached(verdict, findings) for verdict in (HOLDS, FAILS, OPEN)),
        points=len(inside),
        inside=sum(inside == "yes"),
        outside=sum(inside == "no"),
        unsaid=sum(inside == "cannot be said"),
        comparison=markdown.table(comparison),
        unpublished=unpublished.section(rows),
        claims=markdown.table(_claims(findings)),
        figures="\n\n".join(f"![{name.replace('_', ' ')}](figures/{name}.png)" for name in figure_names),
        table_of_cells=markdown.table(_cells(rows)),
        programs=Programs.read(grid.folder).described(rows),
        commits=_distinct(rows["commit"]),
        environments=_distinct(rows["environment"]),
    )
    return re.sub(r"\n{3,}", "\n\n", filled)  # a part that is empty leaves no gap


def _left_out(grid: Grid, rows: pd.DataFrame) -> str:
    """What is not put beside the others, since other code trained it and nobody knows if it gives the same bytes."""
    missing = {cell.name for cell in grid.missing()}
    other = [name for name in grid.finished()["name"] if name not in missing.union(rows["name"])]
    if not other:
        return ""
    return (
        f" **{len(other)} rows are left out: other code or libraries trained them. "
        f"`python -m src.report {grid.folder.as_posix()} --confirm` finds out if that gives the same bytes.**"
    )


def _reached(verdict: str, findings: dict[str, Finding]) -> str:
    names = [_said(name) for name, finding in findings.items() if finding.verdict == verdict]
    return "\n".join([f"**{verdict.capitalize()}**", "", *(f"- {name}" for name in names or ["none"])])


def _claims(findings: dict[str, Finding]) -> pd.DataFrame:
    return pd.DataFrame(
        {
            "claim": _said(name),
            "decided by": claims.CLAIMS[name].rule,
            "numbers": finding.numbers,
            "verdict": f"**{finding.verdict}**",
        }
        for name, finding in findings.items()
    )


def _said(name: str) -> str:
    return f"{name}: {published.CLAIMS[name]}"


def _cells(rows: pd.DataFrame) -> pd.DataFrame:
    return pd.DataFrame(
        {
            "cell": rows["name"],
            "training images": rows["train_images"],
            "scored images": rows["scored_images"],
            "accuracy, last ten": mean_accuracy(rows, TRAINING).map("{:.4f}".format),
            "validation, last ten": mean_accuracy(rows, VALIDATION).map("{:.4f}".format),
            "parameters": rows["parameters"].map("{:,}".format),
            "operations": (rows["operations"] / 1e6).map("{:.2f} M".format),
            "s / epoch": rows["seconds_per_epoch"],
        }
    )


def _distinct(column: pd.Series) -> str:
    return ", ".join(sorted(set(column.dropna().astype(str)))) or "none recorded"
