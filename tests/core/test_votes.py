"""More than half of those who voted make a majority."""

import pandas as pd
import pytest

from src.core.votes import majority

VOTES = pd.DataFrame(
    [("a", 10, 9, 1), ("b", 10, 2, 6), ("c", 10, 5, 5), ("d", 1, 1, 0), ("e", 10, 4, 0)],
    columns=["member", "voters", "happy", "sad"],
)


def test_more_than_half_of_the_voters_decide_whatever_the_order_and_nobody_for_those_without_votes():
    members = pd.Series(["d", "c", "b", "nobody voted", "a", "e"], index=[7, 3, 5, 1, 2, 9])
    found = majority(VOTES, members)
    assert found.dropna().to_dict() == {7: "happy", 5: "sad", 2: "happy"}
    assert list(found.index) == list(members.index)


@pytest.mark.parametrize("votes", [VOTES[:0], VOTES])
def test_of_images_on_which_nobody_voted_there_is_none(votes):
    assert majority(votes, pd.Series(["x", "y"])).isna().all()
