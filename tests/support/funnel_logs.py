"""One user's events in a few words, and what a funnel counts of them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pandas as pd

from analysis.eventlog.log import EventLog
from analysis.funnels.result import funnel

FAR = "2027-01-01"
ABC = ["A", "B", "C"]


def log_of(events: str, *, until: str = FAR, **columns: Sequence[Any]) -> EventLog:
    """One user's events such as ``"A 1:00, B 1:30"`` on a Monday, or ``"A Tue 0:10"``; A, B, C,
    and X are names that the log knows in any case.
    """
    days = {"Mon": 2, "Tue": 3}
    rows = []
    for event in events.split(","):
        name, *day, clock = event.split()
        hour, minute = clock.split(":")
        rows.append(
            (name, pd.Timestamp(2026, 11, days[day[0] if day else "Mon"], int(hour), int(minute)))
        )
    frame = pd.DataFrame(rows, columns=["event", "time"]).assign(user="u", **columns)
    more = pd.DataFrame({"user": "other", "event": [*ABC, "X"], "time": frame["time"].iloc[0]})
    log = EventLog.from_frame(pd.concat([frame, more]), covers_until=until)
    return log.where(user="u")


def counts(log: EventLog, steps: Sequence[Any], **options: Any) -> list[int]:
    return funnel(log, steps, **options).table["count"].tolist()


def by_group(log: EventLog, steps: Sequence[Any], **options: Any) -> dict[Any, list[int]]:
    found: dict[Any, list[int]] = {}
    for group, count in funnel(log, steps, **options).table[["group", "count"]].to_numpy().tolist():
        found.setdefault(group, []).append(count)
    return found
