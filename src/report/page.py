"""The report's page: README.md with its tables and figures, from the finished cells alone. Its text is page.md."""

import re
from pathlib import Path
from string import Template

import numpy as np
import pandas as pd

from src.core.files import replacing
from src.report import claims, cleaning, figures, markdown, published, rules, simulation, unpublished
from src.report.grid import Grid
from src.report.programs import Programs
from src.report.rules import FAILS, HOLDS, OPEN, Finding, findings
from src.report.selection import SET_1_END, TRAINING, VALIDATION, Runs, mean_accuracy
from src.report.statistics import Measured

SIMULATED = " [How often such rules are right](#how-often-the-rules-are-right) was tried on made-up grids."
COSTS = """## Costs

Seconds are those of the fastest of a few epochs, on one core, while nothing else ran.

{table}"""
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
        for name, figure in figures.drawn(Runs(rows), grid.data):
            figure.savefig(folder / f"{name}.png", dpi=100, metadata={"Software": None})
            names.append(name)
    with replacing(grid.folder / "README.md") as path:
        path.write_text(text(grid, rows, names), encoding="utf-8", newline="\n")


def text(grid: Grid, rows: pd.DataFrame, figure_names: list[str]) -> str:
    """The page in Markdown, of the finished cells' `rows`; the figures are shown in the order of their names here."""
    runs = Runs(rows)
    comparison, found = published.comparison(runs), findings(claims.CLAIMS, runs)
    inside = comparison["published inside"]
    simulated = simulation.section(grid.folder)
    filled = TEMPLATE.substitute(
        data=grid.data,
        finished=len(rows),
        cells=len(grid.cells),
        incomplete=" **The page is incomplete: run the command again.**" if grid.missing() else "",
        left_out=_left_out(grid, rows),
        folder=grid.folder.as_posix(),
        verdicts=_verdicts(found, findings(claims.CLAIMS, runs, grid.stand_ins), grid.stand_ins),
        checks=len(rules.checks(runs)),
        points=len(inside),
        inside=sum(inside == "yes"),
        outside=sum(inside == "no"),
        unsaid=sum(inside == "cannot be said"),
        comparison=markdown.table(comparison),
        together=markdown.table(published.together(runs)),
        unpublished=unpublished.section(runs),
        claims=markdown.table(_claims(found)),
        pooled=_pooled(runs),
        hardly=_hardly(runs),
        cleaning=cleaning.section(runs),
        simulation=simulated,
        simulated=SIMULATED if simulated else "",
        figures="\n\n".join(f"![{name.replace('_', ' ')}](figures/{name}.png)" for name in figure_names),
        table_of_cells=markdown.table(_cells(rows[~rows["timed"]])),
        costs=_costs(runs),
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


def _verdicts(found: dict[str, Finding], about: dict[str, Finding], stand_ins: frozenset[str]) -> str:
    """Lists of the claims by their verdict, first of those that speak of the report's own sets alone."""
    own = {name: finding for name, finding in found.items() if not claims.CLAIMS[name].datasets & stand_ins}
    parts = [_listed(f"**{verdict.capitalize()}**", own, verdict) for verdict in (HOLDS, FAILS, OPEN) if own]
    others = {name: finding for name, finding in found.items() if name not in own}
    if others and own:
        names = ", ".join(sorted(stand_ins))
        parts.append(
            f"These speak of a set that nobody else has. What follows is said on the stand-in for it ({names})."
        )
    elif others:
        parts.append("None of this is about the report, as no set is its own.")
    parts += [_listed(f"**On the stand-in: {verdict}**", others, verdict) for verdict in (HOLDS, FAILS, OPEN) if others]
    if certain := [name for name in others if about[name].verdict != OPEN]:
        parts.append(
            f"What the report's own sets decide of these: {', '.join(f'{n} {about[n].verdict}' for n in certain)}."
        )
    return "\n\n".join(parts)


def _listed(title: str, found: dict[str, Finding], verdict: str) -> str:
    lines = [
        f"- {_said(name)}. *What would change it: {finding.changes}.*"
        for name, finding in found.items()
        if finding.verdict == verdict
    ]
    return "\n".join([title, "", *(lines or ["- none"])])


def _claims(found: dict[str, Finding]) -> pd.DataFrame:
    return pd.DataFrame(
        {
            "claim": _said(name),
            "decided by": claims.CLAIMS[name].rule,
            "numbers": finding.decision.numbers,
            "p, adjusted": f"{finding.value:.2g}",
            "verdict": f"**{finding.verdict}**",
        }
        for name, finding in found.items()
    )


def _pooled(runs: Runs) -> str:
    """How single runs vary, and where that is pooled."""
    measured, said = Measured(runs), {}
    for group in runs.groups.values():
        spread = measured.spread(group.configuration.validation(min(SET_1_END, group.epochs)))
        if spread.pooled:
            said[group.setting] = (
                f"{group.setting[0]} at {group.setting[1]} pixels: {np.sqrt(spread.variance):.4f} over {spread.pooled} "
                f"configurations ({spread.freedom:.0f} degrees of freedom)"
            )
    return "; ".join(said.values()) or "nowhere"


def _hardly(runs: Runs) -> str:
    names = [name for group in runs.groups.values() if not group.learned for name in group.runs["name"]]
    return f"Diverged or hardly learned, and pooled with no others: {', '.join(names)}." if names else ""


def _costs(runs: Runs) -> str:
    timed = runs.timed
    if timed.empty:
        return ""
    columns = {"convolutional layers": "conv_layers", "dense units": "dense_units", "dropout at": "dropout_at"}
    table = pd.DataFrame({header: timed[name] for header, name in columns.items()})
    table["parameters"] = timed["parameters"].map("{:,}".format)
    table["operations"] = (timed["operations"] / 1e6).map("{:.2f} M".format)
    table["seconds an epoch"] = timed["seconds_per_epoch"]
    return COSTS.format(table=markdown.table(table))


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
        }
    )


def _distinct(column: pd.Series) -> str:
    return ", ".join(sorted(set(column.dropna().astype(str)))) or "none recorded"
