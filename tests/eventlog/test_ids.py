"""Ids: one person is one person in a frame and in files, whatever a tool made of the column."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from analysis.core.schema import DataError
from analysis.eventlog.ids import NO_IDS, tidy_ids, without_point
from analysis.eventlog.log import EventLog
from analysis.sources.ingest import import_files
from analysis.sources.mapping import ColumnMapping

WHEN = "2026-01-01T00:00Z"


def frame_of(users: Any) -> pd.DataFrame:
    return pd.DataFrame({"user": users, "time": WHEN, "event": "visit"})


def by_frame(users: Any, _: Path) -> list[str]:
    return list(EventLog.from_frame(frame_of(users)).user_ids)


def by_csv(users: Any, folder: Path) -> list[str]:
    frame_of(users).to_csv(folder / "a.csv", index=False)
    import_files([folder / "a.csv"], ColumnMapping(), folder / "log")
    return list(EventLog.open(folder / "log").user_ids)


def by_parquet(users: Any, folder: Path) -> list[str]:
    frame_of(users).to_parquet(folder / "a.parquet", index=False)
    import_files([folder / "a.parquet"], ColumnMapping(), folder / "log")
    return list(EventLog.open(folder / "log").user_ids)


DOORS = pytest.mark.parametrize("door", [by_frame, by_csv, by_parquet])


@DOORS
@pytest.mark.parametrize(
    "users",
    [
        [1234567890123456789.0, 1234567890123456788.0],
        ["1.23457E+18", "ann"],
        ["1,23457e+18", "ann"],
        ["9007199254740993.0"],
    ],
)
def test_ids_that_lost_their_digits_are_refused(door: Any, users: Any, tmp_path: Path) -> None:
    with pytest.raises(DataError, match="Export the column as text"):
        door(users, tmp_path)
    assert not (tmp_path / "log").exists()


@DOORS
@pytest.mark.parametrize(
    ("users", "wanted"),
    [
        ([1.0, 2.0], ["1", "2"]),
        ([1, 2], ["1", "2"]),
        (["1", "1.0", "2.00"], ["1", "2"]),
        (
            ["1.5", "1.0.0", "007", "1e5", "E+1", "a+b"],
            ["007", "1.0.0", "1.5", "1e5", "E+1", "a+b"],
        ),
        ([1234567890123456.0], ["1234567890123456"]),
    ],
)
def test_an_id_is_one_text(door: Any, users: Any, wanted: Any, tmp_path: Path) -> None:
    assert door(users, tmp_path) == wanted


@given(st.lists(st.integers(-(2**53) + 1, 2**53 - 1), min_size=1, max_size=9))
def test_whole_numbers_are_the_same_id_with_a_point(ids: list[int]) -> None:
    words = [str(number) for number in ids]
    assert tidy_ids(pa.array([f"{word}.0" for word in words]), "x").to_pylist() == words
    assert without_point(pa.array(words)).to_pylist() == words
    floats = EventLog.from_frame(frame_of(np.array(ids, float)))
    assert set(floats.user_ids) == set(words)


def test_one_file_with_gaps_and_one_without_have_the_same_people(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text(f"user,time,event\n1,{WHEN},visit\n2,{WHEN},visit\n")
    (tmp_path / "b.csv").write_text(f"user,time,event\n1.0,{WHEN},buy\n2.0,{WHEN},buy\n,,\n")
    files = [tmp_path / "a.csv", tmp_path / "b.csv"]
    counts = import_files(files, ColumnMapping(), tmp_path / "log")
    assert counts == (5, 4, 0, 0, 1)
    log = EventLog.open(tmp_path / "log")
    assert (log.users, list(log.user_ids)) == (2, ["1", "2"])


def test_orders_and_sessions_have_ids_too(tmp_path: Path) -> None:
    text = f"user,time,event,session,order_id\nann,{WHEN},buy,5.0,7.0\nann,{WHEN},buy,5,7\n"
    (tmp_path / "a.csv").write_text(text)
    mapping = ColumnMapping(duplicates={"buy": ("order_id",)})
    assert import_files([tmp_path / "a.csv"], mapping, tmp_path / "log") == (2, 1, 1, 0, 0)
    row = EventLog.open(tmp_path / "log").to_frame().iloc[0]
    assert (row.session, row.order_id) == ("5", "7")
    (tmp_path / "b.csv").write_text(text.replace("7.0", "1.2E+12"))
    with pytest.raises(DataError, match="'order_id' holds 1 ids that are rounded"):
        import_files([tmp_path / "b.csv"], mapping, tmp_path / "other")


@pytest.mark.parametrize("word", ["", *NO_IDS])
def test_words_for_no_id_are_no_person_and_no_order(word: str, tmp_path: Path) -> None:
    lines = [f"{word},{WHEN},buy,s,1", f"ann,{WHEN},buy,{word},{word}", f"ann,{WHEN},buy,s,{word}"]
    (tmp_path / "a.csv").write_text("user,time,event,session,order\n" + "\n".join(lines) + "\n")
    mapping = ColumnMapping(duplicates={"buy": ("order",)})
    counts = import_files([tmp_path / "a.csv"], mapping, tmp_path / "log")
    # Without an id of the order, two orders are two.
    assert counts == (3, 2, 0, 0, 1)
    log = EventLog.open(tmp_path / "log")
    assert list(log.user_ids) == ["ann"]
    assert log.to_frame().session.isna().tolist() == [True, False]
    assert log.losses().reason.tolist() == ["user is missing"]


def test_hashed_ids_are_tidied_first(tmp_path: Path) -> None:
    (tmp_path / "key").write_text("0123456789abcdef")
    lines = [f"1,{WHEN},visit", f"1.0,{WHEN},buy", f"null,{WHEN},buy"]
    (tmp_path / "a.csv").write_text("user,time,event\n" + "\n".join(lines) + "\n")
    mapping = ColumnMapping(hash_key_file=str(tmp_path / "key"))
    assert import_files([tmp_path / "a.csv"], mapping, tmp_path / "log") == (3, 2, 0, 0, 1)
    assert EventLog.open(tmp_path / "log").users == 1


def test_a_user_column_that_is_called_session(tmp_path: Path) -> None:
    frame = pd.DataFrame({"session": ["a", "b"], "time": WHEN, "event": "visit"})
    frame.to_csv(tmp_path / "a.csv", index=False)
    import_files([tmp_path / "a.csv"], ColumnMapping(user="session"), tmp_path / "log")
    for log in (
        EventLog.open(tmp_path / "log"),
        EventLog.from_frame(frame, user="session"),
    ):
        assert list(log.user_ids) == ["a", "b"]
        assert log.to_frame().session.tolist() == ["1", "1"]
        assert log.properties == ()
