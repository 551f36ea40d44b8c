"""The hour that clocks show twice, judged by instants that are known beforehand."""

from __future__ import annotations

import datetime as dt
import zoneinfo
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from analysis.eventlog.log import EventLog
from analysis.sources import readers
from analysis.sources.clocks import FileClock, folds
from analysis.sources.ingest import import_files
from analysis.sources.mapping import ColumnMapping, mapping_of

BERLIN = zoneinfo.ZoneInfo("Europe/Berlin")
CHANGE = dt.datetime(2026, 10, 25, 1, tzinfo=dt.UTC)
ZONES = ["Europe/Berlin", "America/New_York", "Australia/Lord_Howe", "America/Havana", "UTC"]


@pytest.mark.parametrize("zone", ZONES)
@pytest.mark.parametrize("year", [1995, 2026, 2099])
def test_folds_are_what_zoneinfo_knows(zone: str, year: int) -> None:
    clock, minute = zoneinfo.ZoneInfo(zone), dt.timedelta(minutes=30)
    moment, found = dt.datetime(year, 1, 1), []
    while moment.year == year:
        early, late = (moment.replace(tzinfo=clock, fold=f).utcoffset() for f in (0, 1))
        if early != late and early > late:  # type: ignore[operator]
            found.append(moment)
        moment += minute
    inside = [
        moment
        for start, end in folds(zone, year)
        for moment in found
        if start <= int((moment - dt.datetime(1970, 1, 1)).total_seconds()) * 10**6 < end
    ]
    assert inside == found
    assert sum(end - start for start, end in folds(zone, year)) == len(found) * 30 * 60 * 10**6


def local(moments: list[dt.datetime]) -> list[str]:
    return [moment.astimezone(BERLIN).strftime("%Y-%m-%dT%H:%M:%S") for moment in moments]


def brought_in(folder: Path, rows: list[tuple[str, str]]) -> tuple[EventLog, list[str]]:
    text = "".join(f"{user},{time},visit\n" for user, time in rows)
    (folder / "a.csv").write_text("user,time,event\n" + text)
    said: list[str] = []
    mapping = ColumnMapping(zone="Europe/Berlin")
    import_files([folder / "a.csv"], mapping, folder / "log", say=said.append)
    return EventLog.open(folder / "log"), said


MINUTES = st.lists(st.integers(-180, 180), min_size=1, max_size=30)


@given(MINUTES, st.sampled_from([4 << 20, 100]))
def test_a_file_in_order_says_which_hour_it_is(
    tmp_path_factory: pytest.TempPathFactory, minutes: list[int], block: int
) -> None:
    """Where both hours are there and the times seem to go back, all instants are right."""
    moments = [CHANGE + dt.timedelta(minutes=n) for n in sorted(minutes)]
    texts = local(moments)
    first = [
        t
        for t, m in zip(texts, moments, strict=True)
        if CHANGE - m <= dt.timedelta(hours=1) and m < CHANGE
    ]
    second = [
        t
        for t, m in zip(texts, moments, strict=True)
        if CHANGE <= m < CHANGE + dt.timedelta(hours=1)
    ]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(readers, "CSV_BLOCK", block)
        log, said = brought_in(
            tmp_path_factory.mktemp("in"), [(f"u{n % 3}", text) for n, text in enumerate(texts)]
        )
    found = sorted(log.to_frame().time)
    if first and second and second[0] < first[-1]:
        assert [moment.to_pydatetime() for moment in found] == moments
        assert said == []
    elif not second:
        assert [moment.to_pydatetime() for moment in found] == moments
    twice = len(first) + len(second)
    if not (first and second and second[0] < first[-1]) and twice:
        assert said[0].startswith(f"{twice} times are in the hour that the clocks of Europe/Berlin")


def test_a_file_with_the_newest_rows_first_says_it_too(tmp_path: Path) -> None:
    moments = [CHANGE + dt.timedelta(minutes=n) for n in (90, 40, 10, -10, -30, -70)]
    rows = [(f"u{n % 2}", text) for n, text in enumerate(local(moments))]
    log, said = brought_in(tmp_path, rows)
    found = sorted((moment.to_pydatetime() for moment in log.to_frame().time), reverse=True)
    assert (found, said) == (moments, [])


def test_the_order_of_each_user_counts_where_the_file_has_none(tmp_path: Path) -> None:
    ann = [CHANGE + dt.timedelta(minutes=n) for n in (-70, -10, 10, 90)]  # 02:50, then 02:10
    bob = [CHANGE + dt.timedelta(minutes=n) for n in (-70, -30, 90)]  # 02:30, which one?
    rows = [("ann", text) for text in local(ann)] + [("bob", text) for text in local(bob)]
    log, said = brought_in(tmp_path, rows)
    times = log.to_frame().groupby("user").time.apply(list)
    assert [moment.to_pydatetime() for moment in times["ann"]] == ann
    assert [moment.to_pydatetime() for moment in times["bob"]] == bob
    assert said[0].startswith("1 times are in the hour")


def test_rows_in_no_order_say_nothing(tmp_path: Path) -> None:
    moments = [CHANGE + dt.timedelta(minutes=n) for n in (-10, 10, -70, 90, -80)]
    log, said = brought_in(tmp_path, [("ann", text) for text in local(moments)])
    late = [moment.to_pydatetime() for moment in log.to_frame().time]
    assert CHANGE - dt.timedelta(minutes=50) in late  # 02:10, the first reading
    assert said[0].startswith("2 times are in the hour")


def test_a_broken_time_does_not_end_the_order(tmp_path: Path) -> None:
    moments = [CHANGE + dt.timedelta(minutes=n) for n in (-10, 10)]
    times = [*local(moments[:1]), "1970-01-01T00:00", *local(moments[1:])]
    rows = [(f"u{n}", text) for n, text in enumerate(times)]
    log, said = brought_in(tmp_path, rows)
    assert [moment.to_pydatetime() for moment in sorted(log.to_frame().time)] == moments
    assert said == []


def test_going_back_from_outside_the_hour_is_no_change_of_clocks() -> None:
    clock = FileClock()
    times = np.array(["2026-10-25T05:00", "2026-10-25T02:10"], "datetime64[us]").astype(np.int64)
    assert not clock.second(times, pa.array(["ann", "ann"]), "Europe/Berlin").any()
    assert clock.ambiguous == 1


def test_times_with_an_offset_are_never_moved(tmp_path: Path) -> None:
    rows = [("ann", "2026-10-25T02:50:00+02:00"), ("ann", "2026-10-25T02:10:00+02:00")]
    log, said = brought_in(tmp_path, rows)
    assert [str(time)[11:16] for time in log.to_frame().time] == ["00:10", "00:50"]
    assert said == []


# ── two columns, and no time at all


def from_file(folder: Path, name: str, content: Any, tables: Any) -> tuple[EventLog, list[str]]:
    path = folder / name
    if isinstance(content, str):
        path.write_text(content)
    else:
        pq.write_table(content, path)
    said: list[str] = []
    counts = import_files([path], mapping_of(tables), folder / "log", say=said.append)
    assert counts.rows_in == sum(counts[1:])
    return EventLog.open(folder / "log"), said


TWO: dict[str, Any] = {"columns": {"time": ["day", "hour"]}, "time": {"zone": "Europe/Berlin"}}


def test_date_and_time_in_two_columns(tmp_path: Path) -> None:
    text = (
        "user,day,hour,event\n"
        "ann,2026-01-05,08:15,visit\n"
        "ann,2026-01-05 00:00:00,9:30:15,visit\n"
        "bob,2026-01-05,,visit\n"
        "bob,soon,08:15,visit\n"
    )
    log, said = from_file(tmp_path, "a.csv", text, TWO)
    assert [str(time) for time in log.to_frame().time] == [
        "2026-01-05 07:15:00+00:00",
        "2026-01-05 08:30:15+00:00",
    ]
    assert log.losses().reason.tolist() == ["time is missing", "time is unreadable"]
    assert (log.properties, said) == ((), [])


def test_date_and_time_of_their_types(tmp_path: Path) -> None:
    table = pa.table(
        {
            "user": ["ann", "bob"],
            "day": pa.array([dt.date(2026, 7, 5)] * 2),
            "hour": pa.array([dt.time(8, 15), None], pa.time64("us")),
            "event": ["visit", "visit"],
        }
    )
    log, _ = from_file(tmp_path, "a.parquet", table, TWO)
    assert [str(time) for time in log.to_frame().time] == ["2026-07-05 06:15:00+00:00"]


@pytest.mark.parametrize("zone", ["UTC", "Europe/Berlin"])
def test_dates_without_a_time_are_said(tmp_path: Path, zone: str) -> None:
    text = "user,time,event\nann,2026-01-05,visit\nann,2026-07-05,visit\n"
    _, said = from_file(tmp_path, "a.csv", text, {"time": {"zone": zone}})
    assert said == [
        "All times are midnight, so they are dates: the order of events within a day is unknown, "
        "and all events of a day count as of one instant. Is there a column of the hour? In a "
        'mapping: [columns] time = ["date", "hour"].'
    ]


def test_one_time_of_day_is_enough_to_know_an_order(tmp_path: Path) -> None:
    text = "user,time,event\nann,2026-01-05,visit\nann,2026-01-06T00:01,visit\n"
    assert from_file(tmp_path, "a.csv", text, {"time": {"zone": "UTC"}})[1] == []
