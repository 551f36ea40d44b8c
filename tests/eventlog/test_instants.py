"""Times that a frame cannot bring in: words that mean another instant tomorrow, far-off years."""

from __future__ import annotations

from typing import Any

import pandas as pd
import pyarrow as pa
import pytest

from analysis.core.schema import DataError
from analysis.eventlog.instants import iso_stamps
from analysis.eventlog.log import EventLog


def log_at(*times: Any) -> EventLog:
    return EventLog.from_frame(pd.DataFrame({"user": "ann", "time": list(times), "event": "visit"}))


@pytest.mark.parametrize("word", ["now", "today", "NaT", "12", "Jan 2026"])
def test_no_word_reads_the_clock(word: str) -> None:
    with pytest.raises(DataError, match=f"1 of 2 values of 'time' are no ISO 8601.*{word!r}"):
        log_at("2026-01-01", word)


@pytest.mark.parametrize(
    "time", ["2558-01-01", pd.Timestamp("2558-01-01"), pd.Timestamp("2100-01-01", tz="UTC")]
)
def test_a_year_beyond_2099_is_a_wrong_unit(time: Any) -> None:
    with pytest.raises(DataError, match=r"1 of 1 times of 'time' are after 2099"):
        log_at(time)


def test_the_last_instant_and_early_ones_are_taken() -> None:
    late, early = log_at("2099-12-31T23:59:59.999999"), log_at("1969-12-31")
    assert (str(late.end), early.end.year) == ("2099-12-31 23:59:59.999999+00:00", 1969)


def test_texts_are_read_as_pandas_reads_them() -> None:
    words = ["2026-01-01", "2026-01-01T01:00+01:00", "20260101", None]
    assert iso_stamps(pa.array(words)).to_list()[:3] == [pd.Timestamp("2026-01-01", tz="UTC")] * 3
