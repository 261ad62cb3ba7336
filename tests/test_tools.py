"""What is run by hand, seldom."""

import re

from tests.conftest import HERE
from tools.contact_sheet import sheet


def test_the_contact_sheet_shows_every_person_with_every_emotion():
    assert len(sheet(["happy", "sad"], size=48, people=3, seed=1).axes) == 6


def test_what_a_cluster_needs_changes_no_library():
    """requirements-cluster.txt is installed on top of requirements.txt."""
    pins = [
        set(re.findall(r"^(\S+==\S+)", (HERE / name).read_text(), re.MULTILINE))
        for name in ("requirements.txt", "requirements-cluster.txt")
    ]
    names = [{pin.split("==")[0] for pin in found} for found in pins]
    assert {pin for pin in pins[1] if pin.split("==")[0] in names[0]} <= pins[0]
    assert len(names[1] - names[0]) > 5
