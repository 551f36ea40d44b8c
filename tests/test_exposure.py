"""Who had done it before: against an oracle, against the rows, and at the edges."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest
from exposure_oracle import Answer, Question, Seen, answer, bin_of
from hypothesis import example, given, settings
from hypothesis import strategies as st

from analysis import Catalog, EventLog
from analysis.exposure import (
    ExposureCounts,
    exposure_counts,
    peers_table,
    period_tables,
    person_periods,
    trial_tables,
)
from analysis.exposure_plan import period_edges
from analysis.exposure_strata import bin_labels
from analysis.schema import DataError, UsageError

BASE = 1_800_000_000_000_000
MINUTE = 60_000_000
SHOP = Catalog.from_mapping(
    {
        "name": "shop",
        "events": {
            "buy": {"role": "macro"},
            "video": {"role": "secondary"},
            "cart": {"role": "milestone"},
            "imprint": {"role": "control"},
        },
    }
)
EVENTS = ("cart", "video", "imprint")
NAMES = ["buy", "video", "cart", "imprint", "visit", "scroll"]
COLUMNS = ["user", "time", "event", "session", "device"]


def frame_of(rows: list[tuple[Any, ...]]) -> pd.DataFrame:
    """Rows of (user, minutes, event[, session[, device]])."""
    full = [(*row, *[None, None][len(row) - 3 :]) for row in rows]
    frame = pd.DataFrame(full, columns=COLUMNS)
    us = np.array([round(minutes * MINUTE) for minutes in frame["time"]], "int64")
    frame["time"] = pd.to_datetime(us + BASE, unit="us", utc=True)
    return frame.astype({"user": "str", "event": "str", "session": "str", "device": "str"})


def people_of(frame: pd.DataFrame) -> dict[str, list[Seen]]:
    """Every user's events in the order of time, ties in the order of arrival."""
    people: dict[str, list[Seen]] = {}
    for row in frame.sort_values("time", kind="stable").itertuples():
        seen = people.setdefault(row.user, [])
        us = int(pd.Timestamp(row.time).value // 1000)
        session = None if pd.isna(row.session) else row.session
        seen.append(Seen(us, row.event, session, None if pd.isna(row.device) else row.device))
    return people


def question(edges: np.ndarray, covers: int) -> Question:
    return Question("buy", EVENTS, frozenset({"visit", "scroll"}), tuple(edges.tolist()), covers)


# Minutes that lie on edges of cells, between them, and together.
clock = st.sampled_from([0, 0, 0.5, 1, 1, 1.5, 2, 3, 4, 5, 6.99, 7, 9, 10, 29, 30, 31, 60, 90, 200])
row = st.tuples(
    st.sampled_from(["ann", "bob", "cyd", "dan"]),
    clock,
    st.sampled_from(NAMES),
    st.sampled_from(["1", "2", None]),
    st.sampled_from(["mobile", "desktop", None]),
)


@st.composite
def logs(draw: st.DrawFn) -> tuple[pd.DataFrame, EventLog, int]:
    """A small log, or a view of one, its shown rows, and until when it is complete."""
    # Somebody does everything, so that the log knows every name.
    rows = [("zed", minute, name, "1", "mobile") for minute, name in enumerate(NAMES)]
    frame = frame_of(draw(st.lists(row, max_size=40)) + rows)
    covers = BASE + draw(st.sampled_from([3, 61, 90, 91, 250, 2000])) * MINUTE
    log = EventLog.from_frame(
        frame,
        covers_until=pd.Timestamp(covers, unit="us", tz="UTC"),
        shards=draw(st.sampled_from([1, 2, 4])),
    )
    if draw(st.booleans()):
        return frame, log, covers
    return frame[frame["device"] == "mobile"], log.where(device="mobile"), covers


def compare(counts: ExposureCounts, found: Answer, edges: np.ndarray, by: str | None) -> None:
    """Every number of the counts against the oracle's."""
    strata = list(counts.strata.itertuples(index=False, name=None))
    at_risk, macros = np.zeros_like(counts.at_risk), np.zeros_like(counts.macros)
    for seen in found.rows:
        group = {None: "all", "device": seen.value or "(missing)"}.get(
            by, "returning" if seen.returning else "new"
        )
        stratum = strata.index((bin_labels()[bin_of(seen.context)], seen.value or "(missing)"))
        for k in range(len(EVENTS)):
            place = (k, min(seen.times[k], 3), counts.groups.index(group), seen.cell, stratum)
            at_risk[place] += 1
            macros[place] += seen.converted
    np.testing.assert_array_equal(counts.at_risk, at_risk)
    np.testing.assert_array_equal(counts.macros, macros)
    trials = {"users": counts.trial_users, "macros": counts.trial_macros}
    for name, table in trials.items():
        expected = np.zeros_like(table)
        for (what, *place), number in found.trials.items():
            if what == name:
                expected[tuple(place)] += number
        np.testing.assert_array_equal(table, expected)
    for k, name in enumerate(EVENTS):
        assert counts.users[k] == found.facts["users", k]
        assert counts.structural[k] == found.facts["structural", k]
        assert counts.waits_us[k].tolist() == sorted(found.waits[name])
        expected_peers = [[found.facts["peers", k, d, c] for c in (0, 1)] for d in (0, 1)]
        assert counts.peers[k].tolist() == expected_peers
    for name in ("units", "mature", "converters", "first_cell"):
        assert getattr(counts, name) == found.facts[name]
    assert counts.converters_counted == sum(seen.converted for seen in found.rows)


@settings(max_examples=250, deadline=None)
@given(
    given_log=logs(),
    period=st.sampled_from(["auto", "1min", "5min", "7min"]),
    horizon=st.sampled_from(["30min", "61min", "90min", "3h"]),
    by=st.sampled_from([None, "device", "returning"]),
)
def test_counts_are_the_oracle_s_and_the_rows(
    given_log: tuple[pd.DataFrame, EventLog, int], period: str, horizon: str, by: str | None
) -> None:
    frame, log, covers = given_log
    options: dict[str, Any] = {
        "period": period,
        "horizon": horizon,
        "adjust": ("activity", "device"),
        "by": by,
    }
    counts = exposure_counts(log, SHOP, **options)
    edges = period_edges(period, horizon)
    found = answer(people_of(frame), question(edges, covers))
    compare(counts, found, edges, by)
    table = person_periods(log, SHOP, **options)
    rows = [
        (seen.unit, seen.cell, seen.converted, seen.context, *seen.times, seen.value or "(missing)")
        for seen in found.rows
    ]
    columns = ["user", "period", "converted", "activity", *(f"{e}_count" for e in EVENTS), "device"]
    assert sorted(table[columns].itertuples(index=False, name=None)) == sorted(rows)
