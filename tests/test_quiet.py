"""What a stage prints is about the stage."""

import subprocess
import sys

from src import quiet
from tests.conftest import HERE

CODE = """
import os, sys
from src import quiet
with quiet.starting_tensorflow():
    os.write(2, b"a real warning\\n")
    os.write(2, b"I0000 1 2 port.cc:153] oneDNN custom operations are on. You may\\n")
    print("from Python", file=sys.stderr)
print("behind it", file=sys.stderr)
"""
START = "from src.core import runtime; runtime.configure(True); import tensorflow as tf; tf.ones(3) + 1"


def said(code: str) -> str:
    return subprocess.run([sys.executable, "-c", code], cwd=HERE, capture_output=True, text=True, check=True).stderr


def test_tensorflow_starts_without_a_word():
    assert said(START) == ""


def test_real_warnings_and_errors_are_shown():
    assert said(CODE) == "a real warning\nfrom Python\nbehind it\n"
    assert not quiet.NOISE.search("E0000 1 2 cuda_platform.cc:52] failed call to cuInit: CUDA_ERROR_UNKNOWN")


def test_what_was_held_back_is_shown_when_tensorflow_does_not_start():
    code = CODE.replace('print("from Python", file=sys.stderr)', "raise SystemExit(0)").replace("behind it", "never")
    assert said(code) == "a real warning\n"
