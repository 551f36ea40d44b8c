"""What the gate lets pass, what it remarks on, what it stops."""

from __future__ import annotations

import pandas as pd
import pytest

from analysis.catalog import Catalog
from analysis.core.schema import UsageError
from analysis.eventlog.log import EventLog
from analysis.quality.gate import gate

SHOP = Catalog.from_mapping(
    {"name": "shop", "events": {"buy": {"role": "macro"}, "look": {"role": "milestone"}}}
)


def log_of(*events: tuple[str, str], covers_until: str = "2026-12-01") -> EventLog:
    frame = pd.DataFrame(events, columns=["time", "event"]).assign(user="ann")
    return EventLog.from_frame(
        frame.assign(time=pd.to_datetime(frame.time)), covers_until=covers_until
    )


WHOLE = [("2026-11-01", "look"), ("2026-11-10", "buy"), ("2026-11-25", "look")]


@pytest.mark.parametrize(
    ("log", "period", "status", "words"),
    [
        (log_of(*WHOLE), ("2026-11-09", "2026-11-16"), "pass", "The data check passed."),
        (log_of(*WHOLE), ("2026-12-01", "2026-12-08"), "fail", "lies after the log"),
        (log_of(*WHOLE), ("2026-10-01", "2026-10-08"), "fail", "lies before the log"),
        (log_of(*WHOLE), ("2026-11-26", "2026-12-03"), "warn", "is not over"),
        (log_of(*WHOLE), ("2026-10-28", "2026-11-04"), "warn", "is not whole"),
        (log_of(*WHOLE), ("2026-11-23", "2026-11-30"), "warn", "final on 7 Dec 2026"),
        (log_of(*WHOLE), ("2026-11-16", "2026-11-23"), "warn", "“Buy” did not happen in 16 to 22"),
        (log_of(WHOLE[0], WHOLE[2]), ("2026-11-09", "2026-11-16"), "fail", "is never in the log"),
        (log_of(("2026-11-01", "x"), WHOLE[1]), ("2026-11-09", "2026-11-16"), "warn", "Never seen"),
    ],
)
def test_findings(log, period, status, words):
    result = gate(log, SHOP, period=period)
    assert result.status == status
    assert words in result.sentence()
    assert bool(result.warnings) == (status != "pass")
    assert len(result.table) == 5


def test_an_empty_log_fails():
    empty = log_of(*WHOLE).where(event="nothing")
    assert gate(empty, SHOP, period=("2026-11-09", "2026-11-16")).status == "fail"


def test_follow_up_is_as_long_as_the_window():
    log, period = log_of(*WHOLE, covers_until="2026-11-23"), ("2026-11-09", "2026-11-16")
    assert gate(log, SHOP, period=period, window="7d").status == "pass"
    assert gate(log, SHOP, period=period, window="8d").status == "warn"


def test_midnights_are_local():
    log, period = log_of(*WHOLE, covers_until="2026-11-23"), ("2026-11-09", "2026-11-16")
    assert gate(log, SHOP, period=period, time_zone="America/New_York").status == "warn"


def test_wrong_use():
    with pytest.raises(UsageError, match="gate: window"):
        gate(log_of(*WHOLE), SHOP, period=("2026-11-09", "2026-11-16"), window="soon")


def test_the_answer_is_shown_as_html_that_is_escaped():
    evil = Catalog.from_mapping({"name": "x", "events": {"<b>buy": {"role": "macro"}}})
    page = gate(log_of(*WHOLE), evil, period=("2026-11-09", "2026-11-16"))._repr_html_()
    assert "<b>buy" not in page
