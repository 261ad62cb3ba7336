"""What TensorFlow says whenever it starts, and that nobody can act on, is not shown; whatever else it says, is."""

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
