"""What must not change a funnel's answer, and what can only change it in one direction."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
from hypothesis import given, settings
from hypothesis import strategies as st

from analysis.eventlog.log import EventLog
from analysis.funnels.result import funnel

FAR = "2027-01-01"
ABC = ["A", "B", "C"]


def counts(log: EventLog, steps: Sequence[Any], **options: Any) -> list[int]:
    return funnel(log, steps, **options).table["count"].tolist()


def random_frame(rng: np.random.Generator) -> pd.DataFrame:
    size = 120
    return pd.DataFrame(
        {
            "user": rng.integers(0, 15, size).astype(str),
            "event": rng.choice(list("ABCX"), size),
            "time": pd.Timestamp("2026-11-02") + pd.to_timedelta(rng.integers(0, 30, size), "min"),
            "g": rng.choice(np.array(["m", "d", None], object), size),
        }
    )


def answer(frame: pd.DataFrame, steps: Sequence[Any], shards: int = 1, until: Any = FAR) -> Any:
    log = EventLog.from_frame(frame, covers_until=until, shards=shards)
    return funnel(log, steps, window="9min", by="g")


@settings(max_examples=40)
@given(st.integers(0, 2**32), st.sampled_from([ABC, ["A", "A", "B"], ["A", "*", ["B", "C"]]]))
def test_what_must_not_matter(seed: int, steps: Sequence[Any]) -> None:
    rng = np.random.default_rng(seed)
    frame = random_frame(rng)
    until = pd.Timestamp("2026-11-02T00:33")
    table = answer(frame, steps, until=until).table

    # Neither the number of shards,
    pd.testing.assert_frame_equal(answer(frame, steps, 50, until).table, table)
    # nor the order of rows up to that of one user at one instant,
    mixed = frame.sample(frac=1, random_state=seed % 2**31)
    keys = mixed[["user", "time"]].apply(tuple, axis=1)
    own = frame[["user", "time"]].apply(tuple, axis=1)
    turn = {key: iter(frame.index[own == key]) for key in own.unique()}
    pd.testing.assert_frame_equal(
        answer(frame.loc[[next(turn[key]) for key in keys]], steps, 2, until).table, table
    )
    # nor what users are called,
    renamed = frame.assign(user="né " + frame["user"].str.zfill(3) + "\0")
    pd.testing.assert_frame_equal(answer(renamed, steps, 3, until).table, table)
    # nor when all of it happened,
    shift = pd.Timedelta(int(rng.integers(-(10**15), 10**15)), "us")
    later = frame.assign(time=frame["time"] + shift)
    pd.testing.assert_frame_equal(answer(later, steps, 1, until + shift).table, table)
    # nor, unless a step takes any event, users and events that are in no step.
    if "*" not in steps:
        idle = random_frame(rng).assign(event=lambda f: f["event"].map(lambda name: f"idle {name}"))
        idle.loc[::2, "user"] = "idle " + idle["user"]
        both = pd.concat([frame, idle], ignore_index=True)
        pd.testing.assert_frame_equal(answer(both, steps, 2, until).table, table)


@settings(max_examples=30)
@given(st.integers(0, 2**32))
def test_more_can_only_get_further(seed: int) -> None:
    """A longer window, alternatives and lenient ties lose nobody; more steps change no entry."""
    frame = random_frame(np.random.default_rng(seed))
    log = EventLog.from_frame(frame, covers_until=FAR)
    plain = np.array(counts(log, ABC, window="9min"))
    assert (np.diff(plain) <= 0).all()
    assert (np.array(counts(log, ABC, window="10min")) >= plain).all()
    assert (np.array(counts(log, ABC, window="9min", ties="strict")) <= plain).all()
    assert (np.array(counts(log, ["A", ["B", "X"], "C"], window="9min")) >= plain).all()
    assert counts(log, ["A", "B"], window="9min") == plain[:2].tolist()
    entries = frame[frame["event"] == "A"]["user"].nunique()
    assert plain[0] == entries
