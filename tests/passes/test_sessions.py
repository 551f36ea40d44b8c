"""Sessions by inactivity against pandas."""

from __future__ import annotations

import numpy as np
import pandas as pd
from hypothesis import given
from hypothesis import strategies as st

from analysis.passes.sessions import by_inactivity

GAP = 5


@given(st.lists(st.lists(st.integers(0, 40), min_size=1, max_size=10), max_size=5))
def test_a_pause_longer_than_the_gap_starts_a_session(people: list[list[int]]) -> None:
    frame = pd.DataFrame(
        [(u, t) for u, own in enumerate(people) for t in sorted(own)], columns=["user", "time"]
    ).astype("int64")
    pause = frame.groupby("user")["time"].diff()
    want = (pause > GAP).groupby(frame["user"]).cumsum()
    offsets = np.cumsum([0, *map(len, people)])
    assert by_inactivity(frame["time"].to_numpy(), offsets, GAP).tolist() == want.tolist()


def test_a_pause_as_long_as_the_gap_does_not() -> None:
    time = np.array([0, GAP, 2 * GAP + 1, 2 * GAP + 1, 0, 99])
    assert by_inactivity(time, np.array([0, 4, 6]), GAP).tolist() == [0, 0, 1, 1, 0, 1]
