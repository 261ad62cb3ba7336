"""One module per stage of dvc.yaml: read params, call the rooms, write the outs."""

from collections.abc import Callable

from src import command, params
from src.params import Params


def run(main: Callable[[Params], None]) -> None:
    """Runs a stage with the validated params, as `command.run` does."""
    command.run(lambda: main(params.load()))
