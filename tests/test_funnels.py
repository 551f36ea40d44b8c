"""What a funnel means: the table of differing answers, the edges, the groups."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd
import pytest

from analysis.eventlog.log import EventLog
from analysis.funnels import Exclusion, Step, funnel
from analysis.schema import DataError, UsageError

FAR = "2027-01-01"
ABC = ["A", "B", "C"]


def log_of(events: str, *, until: str = FAR, **columns: Sequence[Any]) -> EventLog:
    """One user's events such as ``"A 1:00, B 1:30"`` on a Monday, or ``"A Tue 0:10"``."""
    days = {"Mon": 2, "Tue": 3}
    rows = []
    for event in events.split(","):
        name, *day, clock = event.split()
        hour, minute = clock.split(":")
        rows.append(
            (name, pd.Timestamp(2026, 11, days[day[0] if day else "Mon"], int(hour), int(minute)))
        )
    frame = pd.DataFrame(rows, columns=["event", "time"]).assign(user="u", **columns)
    return EventLog.from_frame(frame, covers_until=until)


def counts(log: EventLog, steps: Sequence[Any], **options: Any) -> list[int]:
    return funnel(log, steps, **options).table["count"].tolist()


def by_group(log: EventLog, steps: Sequence[Any], **options: Any) -> dict[Any, list[int]]:
    found: dict[Any, list[int]] = {}
    for group, count in funnel(log, steps, **options).table[["group", "count"]].to_numpy().tolist():
        found.setdefault(group, []).append(count)
    return found


# ── the same events, different answers ──────────────────────────────────────────────────────────


def test_the_entry_that_gets_furthest_counts() -> None:
    log = log_of("A 1:00, A 1:30, B 1:45, C 2:15")
    result = funnel(log, ABC, window="1h")
    assert result.table["count"].tolist() == [1, 1, 1]
    assert result.attempts["entered_at"].dt.strftime("%H:%M").tolist() == ["01:30"]


def test_other_events_in_between_do_not_matter() -> None:
    assert counts(log_of("A 1:00, B 1:05, A 2:00, B 2:05, X 2:06, C 2:07"), ABC) == [1, 1, 1]
    assert counts(log_of("A 1:00, X 1:01"), ["A", "X"]) == [1, 1]


def test_two_events_of_one_second_convert_unless_ties_are_strict() -> None:
    log = log_of("B 1:00, A 1:00")
    assert counts(log, ["A", "B"]) == [1, 1]
    assert counts(log, ["A", "B"], ties="strict") == [1, 0]
    assert funnel(log, ["A", "B"]).attempts["tied"].tolist() == [True]
    assert funnel(log, ["A", "B"], ties="strict").attempts["tied"].tolist() == [False]
    assert "1 of 1 users got as far as they did only because" in funnel(log, ["A", "B"]).warnings[0]


def test_one_event_never_serves_two_steps() -> None:
    assert counts(log_of("A 1:00"), ["A", "A"]) == [1, 0]
    assert counts(log_of("A 1:00, A 1:00"), ["A", "A"]) == [1, 1]
    assert counts(log_of("A 1:00, A 1:00"), ["A", "A"], ties="strict") == [1, 0]
    assert counts(log_of("A 1:00, A 1:00"), ["*", "A", "*"]) == [1, 1, 0]


def test_the_group_is_the_entry_s() -> None:
    log = log_of("A 1:00, B 1:30", browser=["chrome", "safari"])
    assert by_group(log, ["A", "B"], by="browser") == {"chrome": [1, 1]}
    log = log_of("A 1:00, B 1:30", browser=pd.array([None, "safari"], dtype="str"))
    assert by_group(log, ["A", "B"], by="browser") == {"(missing)": [1, 1]}


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"entry": "first"}, "entry='first'"),
        ({"count": "attempts"}, "count='attempts'"),
        ({"order": "strict"}, "order='strict'"),
        ({"order": "any"}, "order='any'"),
        ({"unit": "session"}, "unit='session'"),
        ({"by_at": 2, "by": "browser"}, "by_at=2"),
        ({"by_at": "first_touch", "by": "browser"}, "by_at='first_touch'"),
        ({"hold": ["browser"]}, r"hold=\['browser'\]"),
        ({"exclude": [Exclusion("X")]}, r"exclude=\[Exclusion"),
        ({"exclude": [Exclusion("X")], "on_exclude": "drop_unit"}, "exclude="),
        ({"on_exclude": "drop_attempt"}, "on_exclude='drop_attempt'"),
    ],
)
def test_what_is_not_built_yet_says_so(options: Mapping[str, Any], said: str) -> None:
    log = log_of("A 1:00, B 1:30, X 2:00", browser=["chrome"] * 3)
    with pytest.raises(
        UsageError, match=rf"^funnel: {said}.* is not available in this version\. "
    ) as e:
        funnel(log, ["A", "B"], **options)
    assert "Allowed for now: " in str(e.value)
    assert "\n" not in str(e.value)


@pytest.mark.parametrize(
    ("step", "said"),
    [
        (Step("B", where={"browser": "chrome"}), "where="),
        (Step("B", within="1h"), "within='1h' of step 2"),
        (Step("B", optional=True), "optional=True of step 2"),
    ],
)
def test_what_a_step_cannot_yet(step: Step, said: str) -> None:
    log = log_of("A 1:00, B 1:30", browser=["chrome"] * 2)
    with pytest.raises(UsageError, match=f"^funnel: {said}.* is not available in this version"):
        funnel(log, ["A", step])


# ── edges ───────────────────────────────────────────────────────────────────────────────────────


def at(*instants: int, until: int, **options: Any) -> EventLog:
    """A, B, C, … at these microseconds after a moment, all of one user."""
    base = pd.Timestamp("2026-11-09T10:00Z")
    times = [base + pd.Timedelta(t, "us") for t in instants]
    frame = pd.DataFrame({"user": "u", "event": list("ABCDEFG"[: len(times)]), "time": times})
    return EventLog.from_frame(frame, covers_until=base + pd.Timedelta(until, "us"), **options)


HOUR = 3_600_000_000


@pytest.mark.parametrize(("wait", "reach"), [(HOUR - 1, 2), (HOUR, 2), (HOUR + 1, 1)])
@pytest.mark.parametrize("steps", [["A", "B"], [["A", "B"], "B"]])
def test_the_window_is_inclusive_to_the_microsecond(
    wait: int, reach: int, steps: list[Any]
) -> None:
    log = at(0, wait, until=10 * HOUR)
    attempts = funnel(log, steps, window="1h", entered=(None, "2026-11-09T10:00:01Z")).attempts
    assert attempts["reach"].tolist() == [reach]


@pytest.mark.parametrize(("until", "mature"), [(HOUR - 1, False), (HOUR, True), (HOUR + 1, True)])
def test_an_entry_is_mature_when_its_whole_window_is_covered(until: int, mature: bool) -> None:
    result = funnel(at(0, 5, until=until), ["A", "B"], window="1h")
    assert result.attempts["mature"].tolist() == [mature]
    assert result.attempts["censored"].tolist() == [False]
    assert result.table["k"].tolist() == [int(mature)] * 2
    stopped = funnel(at(0, 5, until=until), ["B", "A"], window="1h").attempts
    assert stopped["censored"].tolist() == [until < HOUR + 5]


def test_the_mature_chain_may_be_another_one() -> None:
    """The best chain is too young for a rate; the older, shorter one is what the rate sees."""
    log = log_of("A 1:00, A 5:00, B 5:10", until="2026-11-02T05:30", g=["old", "young", "young"])
    result = funnel(log, ["A", "B"], window="1h", by="g")
    lines = result.table[["group", "step", "count", "k", "n_first"]].to_numpy().tolist()
    assert lines == [
        ["young", 1, 1, 0, 0],
        ["young", 2, 1, 0, 0],
        ["old", 1, 0, 1, 1],
        ["old", 2, 0, 0, 1],
    ]
    assert result.attempts[["group", "reach", "mature"]].to_numpy().tolist() == [
        ["young", 2, False]
    ]
    assert result.mature_attempts[["group", "reach", "mature"]].to_numpy().tolist() == [
        ["old", 1, True]
    ]


@pytest.mark.parametrize(
    ("start", "end", "expected"),
    [
        ("2026-11-02T01:00", "2026-11-02T02:00", [1, 1]),
        ("2026-11-02T01:00", "2026-11-02T01:00:00.000001", [1, 1]),
        ("2026-11-02T00:00", "2026-11-02T01:00", [0, 0]),
        ("2026-11-02T01:00:00.000001", None, [0, 0]),
        (None, "2026-11-02T01:01", [1, 1]),
        ("2026-11-02T02:00+01:00", "2026-11-02T02:01+01:00", [1, 1]),
        (None, None, [1, 1]),
    ],
)
def test_entered_limits_entries_only(start: Any, end: Any, expected: list[int]) -> None:
    log = log_of("A 1:00, B 3:00")
    assert counts(log, ["A", "B"], entered=(start, end)) == expected


@pytest.mark.parametrize("entered", ["2026-11-02", ("2026-11-02",), ("2026-11-03", "2026-11-02")])
def test_what_entered_refuses(entered: Any) -> None:
    with pytest.raises(UsageError, match=r"^funnel: entered="):
        funnel(log_of("A 1:00"), ["A"], entered=entered)


def test_known_events_that_nobody_reached_and_units_that_never_enter() -> None:
    log = log_of("A 1:00, B 1:30, C 2:00")
    assert counts(log, ["C", "B", "A"]) == [1, 0, 0]
    assert counts(log.where(event=["B", "C"]), ABC) == [0, 0, 0]
    assert funnel(log.where(event="C"), ABC).attempts.empty
    assert counts(log.where(event=["A", "C"]), ABC) == [1, 0, 0]


def test_of_an_empty_view_everything_is_zero_or_undefined() -> None:
    log = log_of("A 1:00, B 1:30", browser=["chrome", "safari"], n=[1.0, 2.0])
    for by in (None, "browser", ["browser", "n"], "n"):
        result = funnel(log.where(browser="x"), ["A", "B"], by=by)
        assert result.table["group"].tolist() == ["all", "all"]
        assert result.table[["count", "k", "n_first", "n_previous"]].to_numpy().sum() == 0
        assert result.table.loc[:, "rate":].isna().all(axis=None)
        assert result.attempts.empty
        assert list(result.attempts)[:4] == ["unit", "group", "entered_at", "reach"]
        assert result.warnings == ()


def test_a_log_without_events_is_an_error() -> None:
    frame = pd.DataFrame({"user": ["u"], "time": [pd.Timestamp(0)], "event": ["A"]})
    with pytest.raises(DataError, match=r"the log is empty\. Import events first"):
        funnel(EventLog.from_frame(frame.iloc[:0]), ["A"])


# ── breakdowns ──────────────────────────────────────────────────────────────────────────────────


def people(groups: Sequence[Any], **more: Sequence[Any]) -> EventLog:
    """A user per group: A, and B for every second of them."""
    rows = [(i, name) for i in range(len(groups)) for name in ("AB" if i % 2 else "A")]
    frame = pd.DataFrame(
        {
            "user": [str(i) for i, _ in rows],
            "event": [name for _, name in rows],
            "time": [pd.Timestamp("2026-11-02") + pd.Timedelta(k, "s") for k in range(len(rows))],
            "g": [groups[i] for i, _ in rows],
            **{key: [values[i] for i, _ in rows] for key, values in more.items()},
        }
    )
    return EventLog.from_frame(frame, covers_until=FAR, shards=3)


def test_groups_beyond_the_top_are_other() -> None:
    log = people(["x"] * 4 + ["y"] * 3 + ["z"] * 2 + [None] * 2 + ["w"])
    assert by_group(log, ["A", "B"], by="g") == {
        "x": [4, 2],
        "y": [3, 1],
        "(missing)": [2, 1],
        "z": [2, 1],
        "w": [1, 1],
    }
    assert by_group(log, ["A", "B"], by="g", top=2) == {"x": [4, 2], "y": [3, 1], "(other)": [5, 3]}
    result = funnel(log, ["A", "B"], by="g", top=1)
    assert result.attempts["group"].value_counts().to_dict() == {"(other)": 8, "x": 4}


def test_groups_by_number_and_by_several_properties() -> None:
    log = people([1.0, 1.0, 2.5, math.nan], h=["p", "q", "p", None])
    assert by_group(log, ["A", "B"], by="g") == {"1": [2, 1], "(missing)": [1, 1], "2.5": [1, 0]}
    assert by_group(log, ["A", "B"], by=["h", "g"]) == {
        ("(missing)", "(missing)"): [1, 1],
        ("p", "1"): [1, 0],
        ("p", "2.5"): [1, 0],
        ("q", "1"): [1, 1],
    }
    assert by_group(log, ["A", "B"], by=["h", "g"], top=1) == {
        ("(missing)", "(missing)"): [1, 1],
        "(other)": [3, 1],
    }
    assert by_group(log, ["A"], by=["g"]) == {"1": [2], "(missing)": [1], "2.5": [1]}


def test_groups_add_up_to_the_whole() -> None:
    log = people(list("xyzxyzxxy"))
    for top in (1, 2, 12):
        parts = funnel(log, ["A", "B"], by="g", top=top).table
        whole = funnel(log, ["A", "B"]).table
        columns = ["count", "k", "n_first", "n_previous"]
        assert (parts.groupby("step")[columns].sum() == whole.set_index("step")[columns]).all(
            axis=None
        )
