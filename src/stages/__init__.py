"""One module per stage of dvc.yaml: read params, call the rooms, write the outs."""

import sys
from collections.abc import Callable

from src import params
from src.errors import UserError
from src.params import Params


def run(main: Callable[[Params], None]) -> None:
    """Runs a stage with the validated params; an error of the user's ends it with a message and status 1."""
    try:
        main(params.load())
    except UserError as error:
        sys.exit(f"error: {error}")
