"""Cells of every type: text stays what it was, numbers stay exact, and the rest says why not."""

from __future__ import annotations

import datetime as dt
import decimal
import math
import uuid
from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from analysis.core.schema import DataError, UsageError
from analysis.eventlog.log import EventLog

STAMP = pd.Timestamp("2026-01-01")


def frame_of(**columns: Any) -> pd.DataFrame:
    size = len(next(iter(columns.values())))
    plain = {"user": [f"u{i}" for i in range(size)], "time": [STAMP] * size, "event": ["a"] * size}
    return pd.DataFrame({**plain, **columns})


def cells(values: Any) -> list[Any]:
    """The property as a log gives it back; missing is None."""
    found = EventLog.from_frame(frame_of(p=values)).to_frame()["p"]
    return [None if pd.isna(cell) else cell for cell in found]


def kind(values: Any) -> str:
    return EventLog.from_frame(frame_of(p=values)).kinds["p"]


BIG = 2**53


@pytest.mark.parametrize(
    ("values", "want"),
    [
        ([1, 2, 3], [1.0, 2.0, 3.0]),
        (np.array([1, 2], "uint8"), [1.0, 2.0]),
        (pd.array([1, None], "Int64"), [1.0, None]),
        ([1.5, math.nan], [1.5, None]),
        (np.array([0.5, 1], "float32"), [0.5, 1.0]),
        (np.array([0.5, 1], "float16"), [0.5, 1.0]),
        ([BIG, -BIG], [float(BIG), float(-BIG)]),
        ([math.inf, -math.inf], [math.inf, -math.inf]),
        ([decimal.Decimal("1.5"), None], [1.5, None]),
        ([dt.timedelta(days=1), None], [86_400.0, None]),
        (pd.to_timedelta([1500, -1], unit="ms"), [1.5, -0.001]),
        (pd.Series([1, None, 2], dtype=object), [1.0, None, 2.0]),
    ],
    ids=str,
)
def test_numbers_are_numbers(values: Any, want: list[Any]) -> None:
    assert kind(values) == "number"
    assert cells(values) == want


@pytest.mark.parametrize(
    ("values", "want"),
    [
        ([BIG + 1, 1], ["9007199254740993", "1"]),
        (pd.array([-BIG - 1, None], "Int64"), ["-9007199254740993", None]),
        (np.array([2**64 - 1, 0], "uint64"), ["18446744073709551615", "0"]),
        ([True, False], ["true", "false"]),
        (pd.array([True, None], "boolean"), ["true", None]),
        (pd.Series([True, None], dtype=object), ["true", None]),
        ([dt.date(2026, 1, 2), None], ["2026-01-02", None]),
        ([dt.time(1, 2), None], ["01:02:00.000000", None]),
        (["", None], ["", None]),
        (["007", "1e3"], ["007", "1e3"]),
        (pd.Series(["x", 1, 2.5, None], dtype=object), ["x", "1", "2.5", None]),
        (pd.Categorical(["b", None, "a"], ["a", "b", "unused"]), ["b", None, "a"]),
        (pd.Categorical([2, 1, None]), ["2", "1", None]),
        (pd.Categorical([True, False]), ["true", "false"]),
        ([None, None], [None, None]),
        ([b"caf\xc3\xa9", None], ["café", None]),
    ],
    ids=str,
)
def test_the_rest_is_text(values: Any, want: list[Any]) -> None:
    assert kind(values) == "text"
    assert cells(values) == want


def test_instants_as_properties_are_iso_text_in_utc() -> None:
    naive = pd.to_datetime(["2026-01-02T03:04:05", "2026-01-02T03:04:05.5"], format="ISO8601")
    assert [pd.Timestamp(cell) for cell in cells(naive)] == list(naive)
    # The hour that comes twice in Berlin is two hours, and two texts.
    twice = pd.to_datetime(["2026-10-25T00:30Z", "2026-10-25T01:30Z"]).tz_convert("Europe/Berlin")
    found = cells(twice)
    assert [pd.Timestamp(cell) for cell in found] == list(twice)
    assert len(set(found)) == 2
    assert cells([*twice[:1], pd.NaT])[1] is None


@given(st.lists(st.one_of(st.none(), st.integers(-(2**63), 2**63 - 1)), min_size=1, max_size=6))
def test_whole_numbers_lose_no_digit(numbers: list[int | None]) -> None:
    found = cells(pd.array(numbers, "Int64"))
    for number, cell in zip(numbers, found, strict=True):
        assert (cell is None) == (number is None)
        assert number is None or int(cell) == number


@given(st.lists(st.integers(-(2**63), 2**63 - 1), min_size=1, max_size=6))
def test_ids_are_text_whatever_they_were(ids: list[int]) -> None:
    frame = frame_of(p=[1] * len(ids)).assign(user=ids)
    assert sorted(EventLog.from_frame(frame).to_frame()["user"]) == sorted(map(str, ids))


def test_polars_and_arrow_columns_without_a_twin_in_pandas() -> None:
    base = pl.from_pandas(frame_of(p=[1, 2]))
    enum = base.with_columns(p=pl.Series(["y", "x"], dtype=pl.Enum(["y", "x", "z"])))
    assert EventLog.from_frame(enum).to_frame()["p"].tolist() == ["y", "x"]
    table = pa.Table.from_pandas(frame_of(p=[1, 2]), preserve_index=False)
    for column in (
        pa.array(["y", None], pa.string_view()),
        pa.DictionaryArray.from_arrays(pa.array([0, 2]), pa.array(["y", "x", None])),
        pa.DictionaryArray.from_arrays(pa.array([1, None]), pa.array(["x", "y"])),
        pa.DictionaryArray.from_arrays(pa.array([1, 2]), pa.array(["y", "y", None])),
    ):
        made = EventLog.from_frame(table.set_column(3, "p", column)).to_frame()
        assert made["p"].iloc[0] == "y"
        assert pd.isna(made["p"].iloc[1])
    twice = pa.DictionaryArray.from_arrays(pa.array([0, 1]), pa.array(["ann", "ann"]))
    log = EventLog.from_frame(table.set_column(0, "user", twice).set_column(2, "event", twice))
    assert (log.users, log.event_names) == (1, ("ann",))
    as_text = table.set_column(1, "time", pa.array(["2026-01-01"] * 2, pa.string_view()))
    assert EventLog.from_frame(as_text).start == STAMP.tz_localize("UTC")
    nulls = table.set_column(3, "p", pa.array([1.5, None]))
    assert EventLog.from_frame(nulls).to_frame()["p"].isna().tolist() == [False, True]


def test_names_of_columns_may_be_anything() -> None:
    frame = (
        frame_of(p=["x"]).rename(columns={"p": 7}).assign(**{"": 1.0, "Ünal 🌊": "y", "a\nb": "z"})
    )
    log = EventLog.from_frame(frame)
    assert log.properties == ("7", "", "Ünal 🌊", "a\nb")
    assert log.to_frame().iloc[0, 4:].tolist() == ["x", 1.0, "y", "z"]
    assert len(log.where(**{"Ünal 🌊": "y"})) == 1


@pytest.mark.parametrize(
    ("frame", "options", "said"),
    [
        ([1, 2], {}, r"got list\. Allowed: a pandas, polars or pyarrow table"),
        (frame_of(p=[1]).drop(columns="time"), {}, r"there is no column 'time'\. Columns: 'user'"),
        (frame_of(p=[1]), {"user": "usr"}, r"there is no column 'usr'\. Did you mean 'user'\?"),
        (frame_of(p=[1]), {"session": "visit"}, "there is no column 'visit'"),
        (
            frame_of(event=["x"], name=["y"]),
            {"event": "name"},
            "column 'event' would become a prop",
        ),
        (
            frame_of(user=["x"], id=["y"]),
            {"user": "id"},
            r"column 'user' would become a prop.* Rename it: df\.rename\(columns=\{'user'",
        ),
        (
            frame_of(time=[5]),
            {},
            r"column 'time' holds int64, a time needs its unit\. Convert it first",
        ),
        (frame_of(time=[5.5]), {}, "column 'time' holds double"),
        (frame_of(time=[True]), {}, "column 'time' holds bool"),
        (frame_of(p=[[1]]), {}, r"column 'p' holds list<.*one value per event\. Flatten it first"),
        (frame_of(p=[{"a": 1}]), {}, "column 'p' holds struct<"),
        (frame_of(p=[1j]), {}, r"a column cannot be read \(.*\)\. Convert it to text or numbers"),
        (frame_of(p=pd.arrays.SparseArray([1.0])), {}, "a column cannot be read"),
        (frame_of(p=pd.Series(["\ud800"], dtype=object)), {}, "a column cannot be read"),
        (
            frame_of(p=[b"\xff"]),
            {},
            r"column 'p' holds binary, which is no text\. Convert it first",
        ),
        (frame_of(p=[uuid.UUID(int=7)]), {}, r"column 'p' holds .*uuid.*df\['p'\]\.astype\(str\)"),
        (frame_of(p=pd.period_range("2026-01", periods=1)), {}, "column 'p' holds .*period"),
        (frame_of(user=[b"\xff"]), {}, "column 'user' holds binary, which is no text"),
        (
            pd.concat([frame_of(p=[1]), frame_of(p=[1])[["p"]]], axis=1),
            {},
            r"there are 2 columns 'p'",
        ),
        (
            frame_of(p=[1]).assign(**{"1": 1}).rename(columns={"p": 1}),
            {},
            "there are 2 columns '1'",
        ),
    ],
    ids=lambda value: str(value)[:30] if isinstance(value, str) else "",
)
def test_what_cannot_be_a_log_says_why(frame: Any, options: dict[str, str], said: str) -> None:
    with pytest.raises(UsageError, match=f"^from_frame: {said}") as caught:
        EventLog.from_frame(frame, **options)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("column", ["user", "time", "event"])
@pytest.mark.parametrize("empty", [None, math.nan, pd.NaT])
def test_a_row_without_user_time_or_event_is_refused(column: str, empty: Any) -> None:
    frame = frame_of(p=[1, 2, 3, 4]).astype({column: object})
    frame.loc[[2, 3], column] = empty
    said = rf"^from_frame: 2 of 4 rows have no {column}, the first is row 2\. Leave them out first"
    with pytest.raises(DataError, match=said):
        EventLog.from_frame(frame)


def test_times_that_are_none() -> None:
    frame = frame_of(time=["2026-01-01", "yesterday", "13:00"])
    said = r"^from_frame: 2 of 3 values of 'time' are no ISO 8601 time, the first is 'yesterday'\."
    with pytest.raises(DataError, match=said):
        EventLog.from_frame(frame)
    with pytest.raises(DataError, match="1 of 1 rows have no time"):
        EventLog.from_frame(frame_of(time=[None]))
    assert len(EventLog.from_frame(pd.DataFrame(columns=["user", "time", "event"]))) == 0
