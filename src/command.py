"""The one way into every command and stage: what ends it, ends it with one line and a status that is true."""

import io
import os
import platform
import re
import sys
from collections.abc import Callable
from pathlib import Path
from typing import NoReturn

from src import environment, identity, params
from src.core import pinning
from src.errors import UserError, printable
from src.params import Params

UNPORTABLE = "portable: the same bits on every CPU are promised for x86-64; {} has bits of its own"


def stage(name: str, main: Callable[[Params], None]) -> NoReturn:
    """Runs a stage as `run` does: with the params that dvc.yaml lists for it, once all of params.yaml is right."""

    def checked() -> None:
        loaded = params.load()
        identity.check_libraries(name)
        listed = identity.listed_params(name)["params.yaml"]
        _check_listed(name, listed)
        if "portable" in listed and loaded.portable and not environment.portable_here(platform.machine()):
            print(UNPORTABLE.format(platform.machine()), file=sys.stderr)
        main(loaded.only(listed))

    run(checked)


def _check_listed(name: str, listed: list[str]) -> None:
    """Says at once what else would stop the stage where it reads such a param, maybe after hours of work."""
    for path in sorted(Path("src", name).glob("*.py")):
        read = set(re.findall(r"\bparams\.(\w+)", path.read_text(encoding="utf-8")))
        if unlisted := sorted(read & Params.model_fields.keys() - set(listed)):
            raise UserError(f"{path} reads {', '.join(unlisted)}; list that among the params of {name} in dvc.yaml")


def run(main: Callable[[], int | None]) -> NoReturn:
    """Runs `main` and exits with the status that it returns, 0 if none.

    What the user can mend (a `UserError`, a file or a standard output that cannot be written) ends it with one line
    and status 1; a reader that has seen enough (`| head -1`), silently; Ctrl-C with 130, as shells have it. Whatever
    else is raised is a fault of ours and keeps its traceback.
    """
    if sys.stdout is None:  # `>&-`
        sys.exit("error: standard output is closed")
    how = {name: getattr(sys.stdout, name) for name in ("encoding", "errors", "line_buffering", "write_through")}
    sys.stdout = _Output(sys.stdout.buffer, **how)
    try:
        pinning.check()
        status = main() or 0
        sys.stdout.flush()
    except UserError as error:
        _end(f"error: {error}")
    except KeyboardInterrupt:
        _end("interrupted", 130)
    except OSError as error:
        if error is sys.stdout.failed:
            _flush_fails()
            _end("" if isinstance(error, BrokenPipeError) else f"error: standard output: {error.strerror}")
        if error.filename is None:
            raise
        _end(f"error: {os.fsdecode(error.filename)}: {error.strerror}")
    sys.exit(status)


class _Output(io.TextIOWrapper):
    """Standard output that remembers why it takes nothing more, if it does not."""

    failed: OSError | None = None

    def write(self, text: str) -> int:
        try:
            return super().write(text)
        except OSError as error:
            self.failed = error
            raise

    def flush(self) -> None:
        try:
            super().flush()
        except OSError as error:
            self.failed = error
            raise


def _flush_fails() -> OSError | None:
    """Why standard output takes nothing more, if it does not: what could not be written is still to be written."""
    try:
        sys.stdout.flush()
    except OSError as error:
        # Python would try once more at its end, and complain.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return error
    return None


def _end(message: str, status: int = 1) -> NoReturn:
    if message:
        print(printable(message, keep="\n"), file=sys.stderr)
    if (failed := _flush_fails()) and not isinstance(failed, BrokenPipeError):
        print(f"error: standard output: {failed.strerror}", file=sys.stderr)
    sys.exit(status)
