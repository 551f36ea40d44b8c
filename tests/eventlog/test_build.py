"""Shards: every user whole in one of them, sorted, with codes and masks that mean what they say."""

from __future__ import annotations

import datetime as dt
import decimal
import math
import uuid
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.log_frames import cells_of, expected, frames

from analysis.core.schema import DataError, UsageError
from analysis.eventlog.build import (
    build_shard,
    build_shards,
    canonical_table,
    default_shards,
    shard_of,
)
from analysis.eventlog.log import EventLog
from analysis.eventlog.shard import NumberColumn, Shard, TextColumn
from analysis.sources.ingest import import_files
from analysis.sources.mapping import ColumnMapping

OWN: dict[str, Any] = {"user": "user", "time": "time", "event": "event", "session": None}


def canonical(frame: pd.DataFrame) -> pa.Table:
    return canonical_table(pa.Table.from_pandas(frame, preserve_index=False), **OWN)


def rows_of(shard: Shard, names: list[str]) -> pd.DataFrame:
    """The shard's rows read straight from its arrays."""
    user = np.repeat(np.array(shard.users.to_pylist(), object), np.diff(shard.offsets))
    columns: dict[str, list[object]] = {
        "user": user.tolist(),
        "time": shard.time.tolist(),
        "event": [names[code] for code in shard.event],
    }
    for name, column in shard.columns.items():
        if isinstance(column, TextColumn):
            values = [*column.values.to_pylist(), None]
            columns[name] = [values[code] for code in column.codes]
        else:
            columns[name] = [None if np.isnan(n) else n for n in column.numbers]
    return pd.DataFrame(columns, dtype=object)


@settings(max_examples=80)
@given(frames(), st.sampled_from([1, 2, 3, 50]))
def test_shards_hold_what_pandas_sorts(frame: pd.DataFrame, shards: int) -> None:
    names = sorted(set(frame["event"]))
    built = list(build_shards(canonical(frame), event_names=names, shards=shards))
    found = [
        row for shard in built for row in rows_of(shard, names).itertuples(index=False, name=None)
    ]
    want = cells_of(expected(frame))
    by_user = sorted(range(len(found)), key=lambda i: found[i][0].encode())
    plain = [tuple(None if pd.isna(cell) else cell for cell in found[i]) for i in by_user]
    assert plain == want
    seen: set[str] = set()
    for shard in built:
        hold_together(shard, names)
        own = set(shard.users.to_pylist())
        assert not own & seen
        seen |= own


def hold_together(shard: Shard, names: list[str]) -> None:
    """What a pass may rely on."""
    users = [user.encode() for user in shard.users.to_pylist()]
    assert users == sorted(set(users))
    assert shard.offsets[0] == 0
    assert shard.offsets[-1] == shard.rows == len(shard.event)
    assert (np.diff(shard.offsets) > 0).all()
    assert shard.offsets.dtype == shard.time.dtype == np.int64
    for u in range(len(users)):
        own = slice(shard.offsets[u], shard.offsets[u + 1])
        assert (np.diff(shard.time[own]) >= 0).all()
        assert shard.masks[u] == sum({1 << int(code) % 64 for code in shard.event[own]})
    for column in shard.columns.values():
        if isinstance(column, NumberColumn):
            assert column.numbers.dtype == np.float64
            continue
        values = [value.encode() for value in column.values.to_pylist()]
        assert values == sorted(set(values))
        assert column.codes.dtype.kind == "i"
        assert set(column.codes.tolist()) - {-1} <= set(range(len(values)))


@pytest.mark.parametrize(
    ("names", "dtype"), [(1, "uint8"), (255, "uint8"), (256, "uint16"), (70_000, "uint32")]
)
def test_event_codes_leave_room_for_hidden_rows(names: int, dtype: str) -> None:
    every = [f"n{i:05}" for i in range(names)]
    frame = pd.DataFrame({"user": "u", "time": pd.Timestamp(0), "event": [every[0], every[-1]]})
    shard = build_shard(canonical(frame), event_names=every)
    assert shard.event.dtype == dtype
    assert shard.event.tolist() == [0, names - 1]
    assert np.iinfo(dtype).max >= names


def test_a_property_s_values_are_those_of_the_shard() -> None:
    frame = pd.DataFrame(
        {
            "user": [f"u{i}" for i in range(40)],
            "time": pd.Timestamp(0),
            "event": "a",
            "p": pd.Categorical([f"v{i}" for i in range(40)]),
        }
    )
    built = list(build_shards(canonical(frame), event_names=["a"], shards=8))
    assert len(built) > 3
    for shard in built:
        column = shard.columns["p"]
        assert isinstance(column, TextColumn)
        assert len(column.values) == shard.rows
        assert [f"v{user[1:]}" for user in shard.users.to_pylist()] == [
            column.values[int(code)].as_py() for code in column.codes
        ]


@given(st.lists(st.text(max_size=6), min_size=1, max_size=20, unique=True), st.integers(1, 6))
def test_neighboring_shards_join_to_one(users: list[str], power: int) -> None:
    """A shard is a range of hashes: halving the number of shards joins pairs of them."""
    array = pa.array(users, pa.large_string())
    fine, coarse = (shard_of(array, 2**n) for n in (power, power - 1))
    assert (fine // 2 == coarse).all()
    assert ((fine >= 0) & (fine < 2**power)).all()
    # A user's shard depends on nothing but the user.
    assert shard_of(array[:1], 2**power)[0] == fine[0]


def test_users_are_spread_evenly() -> None:
    users = pa.array([f"user {i}" for i in range(20_000)], pa.large_string())
    for shards in (2, 7, 50):
        sizes = np.bincount(shard_of(users, shards), minlength=shards)
        expected_size = 20_000 / shards
        chi2 = ((sizes - expected_size) ** 2 / expected_size).sum()
        # About shards − 1 ± 5 standard deviations.
        assert abs(chi2 - (shards - 1)) < 5 * np.sqrt(2 * shards)


@pytest.mark.parametrize(
    ("rows", "shards"),
    [(0, 1), (1, 1), (2_000_000, 1), (2_000_001, 2), (4_000_000, 2), (4_000_001, 4), (10**8, 64)],
)
def test_a_shard_per_two_million_rows(rows: int, shards: int) -> None:
    assert default_shards(rows) == shards


# ── Cells of every type: text stays what it was, numbers stay exact, and the rest says why not.


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
        frame_of(p=["x"]).rename(columns={"p": 7}).assign(**{"": 1.0, "Ünal 🌊": "y", "a\nb": "z"})  # type: ignore[arg-type]
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
def test_what_cannot_be_a_log_says_why(frame: Any, options: dict[str, Any], said: str) -> None:
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


@pytest.mark.parametrize("cells", [["19.99", None, "5"], pd.Categorical(["19.99", None, "5"])])
def test_values_that_are_text_are_numbers(cells: Any) -> None:
    log = EventLog.from_frame(frame_of(value=cells))
    assert log.to_frame().value.fillna(-1).tolist() == [19.99, -1, 5]
    assert log.summary().value.tolist() == [24.99]


@pytest.mark.parametrize("wrong", ["19,99", "x", "", "inf", "1_0", True])
def test_a_value_that_is_no_number_is_refused(wrong: Any) -> None:
    cells = [True, True] if wrong is True else ["5", wrong]
    with pytest.raises(UsageError, match=r"cells of 'value' are no numbers, the first is '"):
        EventLog.from_frame(frame_of(value=cells))


def test_values_that_are_all_missing_are_numbers() -> None:
    assert EventLog.from_frame(frame_of(value=[None, None])).kinds["value"] == "number"


def test_properties_of_a_frame_are_those_of_its_parquet_file(tmp_path: Path) -> None:
    frame = frame_of(
        when=pd.to_datetime(["2026-01-01T10:00", "2026-01-01T10:00:00.5"], format="ISO8601"),
        there=pd.to_datetime(["2026-01-01T10:00+01:00", "2026-01-02T10:00+01:00"]),
        took=pd.to_timedelta(["1.5s", None]),
        whole=[2**53, 1],
        more=[2**53 + 1, 1],
        truth=[True, False],
    )
    frame.to_parquet(tmp_path / "a.parquet")
    import_files([tmp_path / "a.parquet"], ColumnMapping(zone="UTC"), tmp_path / "log")
    log, of_file = EventLog.from_frame(frame), EventLog.open(tmp_path / "log")
    pd.testing.assert_frame_equal(log.to_frame(), of_file.to_frame())
    assert log.kinds == of_file.kinds
    assert log.to_frame().when.tolist() == ["2026-01-01T10:00:00", "2026-01-01T10:00:00.500000"]


def test_times_before_1678_are_refused() -> None:
    early = np.array(["1677-12-31T23:59", "1678-01-01"], "datetime64[us]")
    with pytest.raises(
        DataError, match=r"1 of 2 times of 'time' are before 1678, the first is '16"
    ):
        EventLog.from_frame(frame_of(time=early))
    assert len(EventLog.from_frame(frame_of(time=early[1:]))) == 1


def test_times_that_are_none() -> None:
    frame = frame_of(time=["2026-01-01", "yesterday", "13:00"])
    said = r"^from_frame: 2 of 3 values of 'time' are no ISO 8601 time, the first is 'yesterday'\."
    with pytest.raises(DataError, match=said):
        EventLog.from_frame(frame)
    with pytest.raises(DataError, match="1 of 1 rows have no time"):
        EventLog.from_frame(frame_of(time=[None]))
    assert len(EventLog.from_frame(pd.DataFrame(columns=["user", "time", "event"]))) == 0
