"""Re-runs the report: python -m src.report [folder]

Runs the cells of `folder`/grid.yaml that `folder`/cells.csv lacks, here or on a cluster, and writes `folder`/README.md.
"""

import argparse
from pathlib import Path

from src import command
from src.report import engines, grid, page, runs, simulation


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m src.report", description="Re-runs the report and writes its page.")
    parser.add_argument("folder", type=Path, nargs="?", default=Path("report"), help="holds grid.yaml, default report")
    parser.add_argument("--page", action="store_true", help="only write the page, of the cells that are finished")
    parser.add_argument(
        "--workers",
        default=runs.cores(),
        help="experiments at a time, default one per core; or a cluster: ray:HOST:PORT, slurm:PARTITION",
    )
    parser.add_argument(
        "--confirm",
        nargs="*",
        metavar="CELL",
        help="train one cell of each older program again (the soonest done, or these), and note if the bytes are equal",
    )
    parser.add_argument(
        "--simulate", type=int, nargs="?", const=300, metavar="GRIDS", help="try the rules on so many made-up grids"
    )
    arguments = parser.parse_args()
    workers = engines.workers(str(arguments.workers))
    chosen = grid.read(arguments.folder)
    if arguments.confirm is not None:
        runs.confirm(chosen, arguments.confirm, workers)
    elif arguments.simulate is not None:
        simulation.simulate(chosen, arguments.simulate)
    elif not arguments.page:
        runs.complete(chosen, workers)
    page.write(chosen)
    print(f"{arguments.folder / 'README.md'}: {len(chosen.rows())} of {len(chosen.cells)} cells")


if __name__ == "__main__":
    command.run(main)
