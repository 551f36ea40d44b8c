"""What an import lost is counted by reason, event and week; the judge counts the rows by hand."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from analysis.eventlog.filters import Consent
from analysis.eventlog.log import EventLog
from analysis.eventlog.store import read_manifest
from analysis.sources import readers
from analysis.sources.ingest import import_files
from analysis.sources.mapping import ColumnMapping

COLUMNS = ["fate", "column", "reason", "event", "week", "rows"]


def brought_in(
    tmp_path: Path, text: str, mapping: Any = None, name: str = "a.csv", **options: Any
) -> tuple[Any, EventLog]:
    (tmp_path / name).write_text(text)
    counts = import_files(
        [tmp_path / name], mapping or ColumnMapping(), tmp_path / "log", **options
    )
    assert counts.rows_in == sum(counts[1:])
    return counts, EventLog.open(tmp_path / "log")


def told(log: EventLog) -> list[tuple[Any, ...]]:
    return [tuple(row) for row in log.losses().itertuples(index=False)]


TEXT = (
    "user,time,event,value\n"
    "ann,2026-01-05T00:00Z,buy,x\n"  # a Monday
    "ann,2026-01-11T23:59Z,buy,n/a\n"
    "ann,2026-01-12T00:00Z,buy,?\n"
    "bob,2026-01-05T00:00Z,visit,5\n"
    ",2026-01-06T00:00Z,buy,5\n"
    "cid,never,buy,5\n"
    "cid,2026-01-07T00:00Z,mail cid@example.com,\n"
    "cid,2026-01-07T00:00Z\n"
    ",2026-01-07T00:00Z,a secret,\n"
)


def test_every_loss_has_its_reason_event_and_week(tmp_path: Path) -> None:
    counts, log = brought_in(tmp_path, TEXT)
    assert counts == (9, 5, 0, 0, 4)
    assert told(log) == [
        ("blanked", "value", "is no number", "buy", "2026-01-05", 2),
        ("blanked", "value", "is no number", "buy", "2026-01-12", 1),
        ("quarantined", "", "has 2 cells, the header has 4", "", "", 1),
        ("quarantined", "", "time is unreadable", "buy", "", 1),
        # No cell but the name of an event that the log has is kept.
        ("quarantined", "", "user is missing", "", "2026-01-05", 1),
        ("quarantined", "", "user is missing", "buy", "2026-01-05", 1),
    ]


def test_a_row_with_a_bad_value_is_an_event_without_one(tmp_path: Path) -> None:
    _, log = brought_in(tmp_path, TEXT)
    rows = log.to_frame()
    assert rows[rows.event == "buy"].value.isna().tolist() == [True] * 3
    assert rows[rows.event == "visit"].value.tolist() == [5.0]


@pytest.mark.parametrize("block", [4 << 20, 60])
def test_losses_are_those_of_the_rows_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, block: int
) -> None:
    """A row that is there already is a duplicate, and not blanked once more."""
    monkeypatch.setattr(readers, "CSV_BLOCK", block)
    _, log = brought_in(tmp_path, TEXT)
    first = told(log)
    counts, log = brought_in(tmp_path, TEXT, name="b.csv", append=True)
    assert counts == (9, 0, 9, 0, 0) or counts == (9, 0, 5, 0, 4)  # the file's name tells records
    table = log.losses()
    blanked = table[table.fate == "blanked"]
    assert [row for row in first if row[0] == "blanked"] == [
        tuple(row) for row in blanked.itertuples(index=False)
    ]
    rows = read_manifest(tmp_path / "log").rows
    for fate in ("quarantined", "duplicate", "excluded"):
        assert table[table.fate == fate].rows.sum() == rows[f"rows_{fate}"], fate


def test_bad_records_that_are_there_already_are_duplicate(tmp_path: Path) -> None:
    brought_in(tmp_path, TEXT)
    counts, log = brought_in(tmp_path, TEXT, append=True)
    assert counts == (9, 0, 9, 0, 0)
    again = log.losses().query("fate == 'duplicate' and event == 'buy'")
    assert again.groupby(["reason", "week"]).rows.sum().to_dict() == {
        ("the same row as before", "2026-01-05"): 2,
        ("the same row as before", "2026-01-12"): 1,
        ("time is unreadable", ""): 1,
        ("user is missing", "2026-01-05"): 1,
    }


def test_rows_without_consent_have_a_week(tmp_path: Path) -> None:
    text = (
        "user,time,event,ok\n"
        "ann,2026-01-05T00:00Z,visit,yes\n"
        "bob,2026-01-13T00:00Z,visit,no\n"
        "bob,2026-01-14T00:00Z,visit,\n"
        "bob,2026-01-14T00:00Z,other,no\n"
    )
    mapping = ColumnMapping(consent=Consent("ok", ("yes",)))
    counts, log = brought_in(tmp_path, text, mapping)
    assert counts == (4, 1, 0, 3, 0)
    assert told(log) == [
        ("excluded", "", "no consent", "", "2026-01-12", 1),
        ("excluded", "", "no consent", "visit", "2026-01-12", 2),
    ]


def test_orders_that_are_there_twice_are_counted(tmp_path: Path) -> None:
    text = "user,time,event,order\n" + "ann,2026-01-05T00:00Z,buy,1\n" * 3
    mapping = ColumnMapping(duplicates={"buy": ("order",)})
    _, log = brought_in(tmp_path, text, mapping)
    assert told(log) == [("duplicate", "", "the same id in [duplicates]", "buy", "2026-01-05", 2)]


def test_a_copy_keeps_the_losses_and_a_log_in_memory_has_none(tmp_path: Path) -> None:
    _, log = brought_in(tmp_path, TEXT)
    log.save(tmp_path / "copy")
    assert told(EventLog.open(tmp_path / "copy")) == told(log)
    assert told(log.where(event="buy")) == told(log)
    frame = pd.DataFrame({"user": ["ann"], "time": ["2026-01-01"], "event": ["visit"]})
    empty = EventLog.from_frame(frame).losses()
    assert empty.columns.to_list() == COLUMNS
    assert empty.dtypes.astype(str).to_dict() == {**dict.fromkeys(COLUMNS, "str"), "rows": "int64"}
    assert len(empty) == 0
    assert log.losses().dtypes.equals(empty.dtypes)


def test_what_could_not_be_read_is_said(tmp_path: Path) -> None:
    said: list[str] = []
    brought_in(tmp_path, TEXT, say=said.append)
    assert said == [
        "3 of 5 rows have a cell in column 'value' that is no number: the rows are kept, these "
        "cells are missing."
    ]
