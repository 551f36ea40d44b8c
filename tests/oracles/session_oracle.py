"""Sessions as plain Python says them, one user and one event after the other."""

from __future__ import annotations

from zoneinfo import ZoneInfo

import pandas as pd


def sessions_of(
    table: pd.DataFrame, *, gap: pd.Timedelta, campaign: str | None, midnight: str | None
) -> list[str]:
    """The session of each row of a frame in the order of a log; one dictionary per user."""
    found: list[str] = []
    people: dict[str, dict] = {}
    for row in table.to_dict("records"):
        instant = row["time"].to_pydatetime()
        date = instant.astimezone(ZoneInfo(midnight)).date() if midnight else None
        named = row[campaign] if campaign and not pd.isna(row[campaign]) else None
        state = people.get(row["user"])
        if state is None:
            state = people[row["user"]] = {"number": 1, "named": None}
        else:
            ended = instant - state["last"] > gap or date != state["date"]
            ended |= None not in (named, state["named"]) and named != state["named"]
            if ended:
                state |= {"number": state["number"] + 1, "named": None}
        state |= {"last": instant, "date": date}
        state["named"] = state["named"] if named is None else named
        found.append(str(state["number"]))
    return found
