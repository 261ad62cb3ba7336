"""What is run by hand, seldom."""

from tools.contact_sheet import sheet


def test_the_contact_sheet_shows_every_person_with_every_emotion():
    assert len(sheet(["happy", "sad"], size=48, people=3, seed=1).axes) == 6
