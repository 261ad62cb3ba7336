"""What libraries say whenever they start, and that nobody can act on, is not shown; whatever else they say, is."""

import io
import os
import re
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager

# TensorFlow writes these past Python and before its own setting for messages counts. Two of them look like failures.
NOISE = re.compile(
    r"All log messages before absl::InitializeLog\(\) is called are written to STDERR"
    r"|oneDNN custom operations are on"
    r"|Could not find cuda drivers on your machine, GPU will not be used"
    r"|failed call to cuInit: INTERNAL: CUDA error: Failed call to cuInit: UNKNOWN ERROR \(303\)"  # there is no GPU
    r"|This TensorFlow binary is optimized to use available CPU instructions"
    r"|To enable the following instructions: .*, in other operations, rebuild TensorFlow"
)


@contextmanager
def starting_tensorflow() -> Iterator[None]:
    """Holds back standard error until the block ends, then passes on what is no `NOISE`."""
    sys.stderr.flush()
    stderr = os.dup(2)
    with tempfile.TemporaryFile() as held:
        os.dup2(held.fileno(), 2)
        try:
            yield
        finally:
            sys.stderr.flush()
            os.dup2(stderr, 2)
            os.close(stderr)
            held.seek(0)
            for line in held.read().decode(errors="replace").splitlines():
                if not NOISE.search(line):
                    print(line, file=sys.stderr)


@contextmanager
def loading_mtcnn() -> Iterator[None]:
    """Passes over what Python 3.13 says of MTCNN's weights: lz4 4.4 cannot flush a file again that joblib has closed.

    It says so of each of the three files, when it forgets them. They have been read in full by then.
    """
    show = sys.unraisablehook

    def unless_closed(what: "sys.UnraisableHookArgs") -> None:
        closed = isinstance(what.exc_value, ValueError) and str(what.exc_value) == "I/O operation on closed file."
        if not (closed and isinstance(what.object, io.BufferedReader)):
            show(what)

    sys.unraisablehook = unless_closed
    try:
        yield
    finally:
        sys.unraisablehook = show
