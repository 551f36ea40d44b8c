"""Small random logs for the views of a funnel: ties, repeats, missing cells, several shards."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from analysis.eventlog.log import EventLog

STEPS = ["a", "b", "c"]
NAMES = [*STEPS, "q", "r", "s"]


def view_log(seed: int, users: int = 40, days: int = 14, **options: Any) -> EventLog:
    """Hourly events of a few names, so that some share an instant."""
    rng = np.random.default_rng(seed)
    size = users * 7
    return EventLog.from_frame(
        pd.DataFrame(
            {
                "user": rng.integers(0, users, size).astype(str),
                "time": pd.Timestamp("2026-10-20")
                + pd.to_timedelta(rng.integers(0, days * 24, size), "h"),
                "event": rng.choice(NAMES, size, p=[0.3, 0.25, 0.15, 0.1, 0.1, 0.1]),
                "device": rng.choice(np.array(["m", "d", None], object), size),
                "value": rng.choice([1.0, 2.55, 10.1, np.nan], size),
                "currency": rng.choice(np.array(["EUR", None], object), size),
            }
        ),
        shards=int(rng.integers(1, 4)),
        **options,
    )


def watched_log(weeks: list[float], happened: list[bool]) -> EventLog:
    """One entry each, followed by a conversion after so many weeks, or by the log's end."""
    end = pd.Timestamp("2026-06-01")
    rows: list[tuple[Any, ...]] = []
    for i, (after, converts) in enumerate(zip(weeks, happened, strict=True)):
        wait = pd.Timedelta(weeks=after)
        entry = end - pd.Timedelta(weeks=50) if converts else end - wait
        rows.append((f"u{i:05}", entry, "enter", "xy"[i % 2]))
        if converts:
            rows.append((f"u{i:05}", entry + wait, "convert", None))
    frame = pd.DataFrame(rows, columns=["user", "time", "event", "side"])
    return EventLog.from_frame(frame, covers_until=end)
