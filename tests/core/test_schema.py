"""Durations, instants and errors against the standard library's own arithmetic."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from analysis.core import schema
from analysis.core.schema import DataError, UsageError, WorkbookError

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
MICROSECOND = timedelta(microseconds=1)


@given(st.timedeltas(min_value=MICROSECOND, max_value=timedelta(days=100_000)))
def test_a_duration_is_its_microseconds(delta: timedelta) -> None:
    us = delta // MICROSECOND
    assert schema.duration_us(delta) == us
    assert schema.duration_us(pd.Timedelta(delta)) == us
    assert schema.duration_us(np.timedelta64(us, "us")) == us
    assert schema.duration_us(f"{us}us") == us


@pytest.mark.parametrize(
    ("text", "delta"),
    [
        ("30min", timedelta(minutes=30)),
        ("7d", timedelta(days=7)),
        ("1.5h", timedelta(minutes=90)),
        (" 2 days ", timedelta(days=2)),
        ("P1DT2H", timedelta(days=1, hours=2)),
        ("1us", MICROSECOND),
    ],
)
def test_durations_in_words(text: str, delta: timedelta) -> None:
    assert schema.duration_us(text) == delta // MICROSECOND


@pytest.mark.parametrize(
    "wrong",
    [
        "",
        "7",
        "+7",
        "-7",
        " 7 ",
        "7.5",
        7,
        7.5,
        True,
        np.int64(7),
        np.float32(7),
        None,
        "soon",
        "0s",
        "-1d",
        "1ns",
        "999ns",
        timedelta(0),
        timedelta(days=-1),
        ["7d"],
        pd.NaT,
        "inf",
        "nan",
    ],
)
def test_what_is_no_duration(wrong: object) -> None:
    with pytest.raises(UsageError, match=r"^window=.* Durations look like '30min'") as caught:
        schema.duration_us(wrong, "window")  # type: ignore[arg-type]
    assert "\n" not in str(caught.value)


instants = st.datetimes(
    min_value=datetime(1, 1, 2),
    max_value=datetime(9999, 12, 30),
    timezones=st.one_of(
        st.none(),
        st.integers(-14 * 60, 14 * 60).map(lambda m: timezone(timedelta(minutes=m))),
    ),
)


@given(instants)
def test_an_instant_is_its_microseconds(moment: datetime) -> None:
    aware = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
    us = (aware - EPOCH) // MICROSECOND
    assert schema.instant_us(moment) == us
    assert schema.instant_us(moment.isoformat()) == us
    assert schema.instant_us(np.datetime64(us, "us")) == us
    assert schema.timestamp(us) == aware


@pytest.mark.parametrize(
    "wrong",
    [
        "",
        "soon",
        "2026-13-01",
        "2026-02-30",
        None,
        pd.NaT,
        20260101,
        1.5,
        np.int64(3),
        True,
        "now",
        "Today",
        " now ",
        "12:00",
        "Jan",
        "-5",
        "1",
        [1],
        "99999-01-01",
    ],
)
def test_what_is_no_instant(wrong: object) -> None:
    with pytest.raises(UsageError, match=r"^start=.* is not a time\. Times look like") as caught:
        schema.instant_us(wrong, "start")  # type: ignore[arg-type]
    assert "\n" not in str(caught.value)


def test_digits_below_a_microsecond_are_cut() -> None:
    assert schema.instant_us("1970-01-01T00:00:00.000001999Z") == 1
    assert schema.duration_us("1999ns") == 1


@pytest.mark.parametrize(
    ("us", "words"),
    [
        (0, "0 s"),
        (42_000_000, "42 s"),
        (59_940_000, "59.9 s"),
        (60_000_000, "1 min"),
        (210_000_000, "3.5 min"),
        (3_600_000_000, "1 h"),
        (7_560_000_000, "2.1 h"),
        (36 * 3_600_000_000, "36 h"),
        (48 * 3_600_000_000, "2 days"),
        (7 * schema.US_PER_DAY, "7 days"),
    ],
)
def test_durations_for_people(us: int, words: str) -> None:
    assert schema.human_duration(us) == words


def test_near_names_are_suggested_and_far_ones_not() -> None:
    names = ["purchase", "add_to_cart"]
    assert schema.did_you_mean("add_to_crt", names) == " Did you mean 'add_to_cart'?"
    assert schema.did_you_mean("zzz", names) == ""
    assert schema.did_you_mean(7, names) == ""
    assert schema.did_you_mean("x", []) == ""


def test_one_of_lists_what_is_allowed() -> None:
    assert schema.one_of("funnel: ties", "strict", iter(["lenient", "strict"])) == "strict"
    with pytest.raises(UsageError) as caught:
        schema.one_of("funnel: ties", "strikt", ["lenient", "strict"])
    assert str(caught.value) == (
        "funnel: ties='strikt' is unknown. Did you mean 'strict'? Allowed: 'lenient', 'strict'."
    )
    with pytest.raises(UsageError, match=r"ties=None is unknown\. Allowed: 'lenient'\.$"):
        schema.one_of("ties", None, ["lenient"])


def test_exit_codes_say_whose_fault_it_is() -> None:
    assert (UsageError("x").exit_code, DataError("x").exit_code) == (2, 1)
    assert issubclass(UsageError, WorkbookError)
    assert issubclass(DataError, WorkbookError)
