"""From records to rows: every rule of a mapping, and the reason of every record that is none."""

from __future__ import annotations

import json
import math
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from analysis.core.schema import UsageError
from analysis.eventlog.maintenance import BadRecord
from analysis.sources.losses import NO_WEEK
from analysis.sources.mapping import ColumnMapping, EventRule, mapping_of
from analysis.sources.readers import Batch
from analysis.sources.rows import canonical_rows

GOOD: dict[str, Any] = {"user": "ann", "time": "2026-01-01T00:00Z", "event": "visit"}
NEW_YEAR = 1_767_225_600_000_000


def rows_of(records: Any, mapping: Any = None, *, typed: bool = False, bad: Any = ()) -> Any:
    names = list(dict.fromkeys(name for record in records for name in record))
    cells = pa.RecordBatch.from_pylist([{name: r.get(name) for name in names} for r in records])
    schema = pa.schema(
        [
            (f.name, pa.large_string() if pa.types.is_string(f.type) else f.type)
            for f in cells.schema
        ]
    )
    numbers = np.arange(2, len(records) + 2)
    batch = Batch(cells.cast(schema), numbers, bad, names, typed, 0)
    return canonical_rows(batch, mapping or ColumnMapping())


def test_the_canonical_table() -> None:
    rows = rows_of([GOOD | {"session": 7, "device": "mobile", "price": 2.5, "value": "1.50"}])
    assert rows.table.to_pylist() == [
        {
            "user": "ann",
            "time": NEW_YEAR,
            "event": "visit",
            "session": "7",
            "value": 1.5,
            "device": "mobile",
            "price": 2.5,
        }
    ]
    kinds = [str(kind) for kind in rows.table.schema.types]
    assert kinds == [
        "large_string",
        "int64",
        *["large_string"] * 2,
        "double",
        "large_string",
        "double",
    ]
    assert (rows.order_ids, rows.has_order_id, list(rows.bad)) == (None, None, [])
    assert rows.untyped == {"price"}


def test_every_bad_record_has_its_first_reason() -> None:
    records = [
        GOOD,
        GOOD | {"user": None, "time": "x"},
        GOOD | {"time": None},
        GOOD | {"time": "x", "event": None},
        GOOD | {"time": "1980-01-01T00:00Z"},
        GOOD | {"event": ""},
        GOOD | {"user": "undefined", "value": "x"},
        GOOD | {"value": "x"},
    ]
    earlier = BadRecord(99, "has 2 cells, the header has 3", '"a,b"')
    rows = rows_of(records, typed=True, bad=[earlier])
    # A value that is no number is missing, and the row is an event all the same.
    assert len(rows.table) == 2
    assert math.isnan(rows.table.column("value")[1].as_py())
    assert rows.blanked["value"].tolist() == [False, True]
    assert [(bad.row, bad.reason) for bad in rows.bad] == [
        (99, "has 2 cells, the header has 3"),
        (3, "user is missing"),
        (4, "time is missing"),
        (5, "time is unreadable"),
        (6, "time is outside 1990 to 2099"),
        (7, "event is missing"),
        (8, "user is missing"),
    ]
    assert json.loads(rows.bad[-1].content) == GOOD | {"user": "undefined", "value": "x"}


def test_events_get_our_names_and_keep_the_vendors() -> None:
    mapping = ColumnMapping(
        events={"pdp": "view_item", "click": "select_item"},
        event_when=(
            EventRule({"event": ("click",), "what": ("promo", "banner")}, "select_promotion"),
            EventRule({"what": ("promo",)}, "never_here_for_clicks"),
            EventRule({"absent": ("x",)}, "never"),
        ),
    )
    records = [
        GOOD | {"event": "pdp"},
        GOOD | {"event": "click", "what": "promo"},
        GOOD | {"event": "click", "what": "other"},
        GOOD | {"event": None, "what": "promo"},
        GOOD | {"event": "own"},
    ]
    table = rows_of(records, mapping).table
    assert table.column("event").to_pylist() == [
        "view_item",
        "select_promotion",
        "select_item",
        "never_here_for_clicks",
        "own",
    ]
    assert table.column("source_event").to_pylist() == ["pdp", "click", "click", None, "own"]
    assert "source_event" not in rows_of(records[:1]).table.column_names


def test_words_for_missing() -> None:
    mapping = ColumnMapping(missing=frozenset({"(not set)"}))
    record = GOOD | {"session": "(not set)", "value": "(not set)", "device": "(not set)"}
    (row,) = rows_of([record], mapping, typed=True).table.to_pylist()
    assert (row["session"], row["device"]) == (None, None)
    assert math.isnan(row["value"])
    (bad,) = rows_of([GOOD | {"user": "(not set)"}], mapping, typed=True).bad
    assert bad.reason == "user is missing"


def test_a_value_is_divided() -> None:
    mapping = ColumnMapping(value="micros", divide_by=1e6)
    table = rows_of([GOOD | {"micros": "132900000"}, GOOD | {"micros": None}], mapping).table
    assert table.column("value")[0].as_py() == 132.9
    assert math.isnan(table.column("value")[1].as_py())
    assert "micros" not in table.column_names


def test_keys_are_equal_where_event_and_cells_are() -> None:
    mapping = ColumnMapping(duplicates={"buy": ("order", "line"), "sign_up": ("order",)})
    cells = [
        ("buy", "1", "a"),
        ("buy", "1", "a"),
        ("buy", "1", "b"),
        ("buy", "a", "1"),
        ("buy", "1", None),
        ("sign_up", "1", "a"),
        ("visit", "1", "a"),
    ]
    records = [GOOD | {"event": event, "order": a, "line": b} for event, a, b in cells]
    rows = rows_of(records, mapping)
    assert rows.has_order_id.tolist() == [True, True, True, True, False, True, False]
    keys = [tuple(key) for key in rows.order_ids[rows.has_order_id]]
    assert keys[0] == keys[1]
    assert len(set(keys)) == 4


def test_keys_of_two_events_differ() -> None:
    mapping = ColumnMapping(duplicates={"buy": ("order",), "refund": ("order",)})
    both = [GOOD | {"event": event, "order": "1"} for event in ("buy", "refund")]
    buy, refund = rows_of(both, mapping).order_ids.tolist()
    assert buy != refund


def test_standard_properties_stay_text() -> None:
    record = GOOD | {"item_id": "12", "order_id": "5", "rank": "3"}
    assert rows_of([record]).untyped == {"rank"}
    assert rows_of([record], typed=True).untyped == frozenset()
    typed = rows_of([GOOD | {"item_id": 12, "rank": 3}], typed=True).table
    assert typed.column("item_id").to_pylist() == ["12"]
    assert typed.column("rank").to_pylist() == [3.0]


def test_bad_rows_leave_with_their_keys() -> None:
    mapping = ColumnMapping(duplicates={"buy": ("order",)})
    buys = [
        GOOD | {"event": "buy", "order": str(n), "user": None if n == 0 else "u"} for n in range(3)
    ]
    rows = rows_of(buys, mapping)
    assert (len(rows.table), len(rows.order_ids), len(rows.has_order_id), len(rows.bad)) == (
        2,
        2,
        2,
        1,
    )


def test_a_naive_time_stops_everything() -> None:
    with pytest.raises(UsageError, match="--time-zone"):
        rows_of([GOOD, GOOD | {"time": "2026-01-01"}])


# ── what a mapping says where a file does not


def test_one_event_that_no_column_names() -> None:
    mapping = mapping_of({"columns": {"event": {"constant": "purchase"}}, "events": {"x": "y"}})
    record = {"user": "ann", "time": "2026-01-01T00:00Z", "event": "web"}
    (row,) = rows_of([record], mapping).table.to_pylist()
    assert (row["event"], row["event_column"]) == ("purchase", "web")
    assert mapping.needed == {"user": "user", "time": "time"}
    assert mapping.with_options(columns={"event": "kind"}).constant_event is None
    assert list(rows_of([{"user": "ann", "time": None}], mapping).bad_of) == [("purchase", NO_WEEK)]


def test_a_value_on_some_events_only() -> None:
    tables = {"columns": {"value": {"column": "amount", "events": ["buy"]}}}
    records = [
        GOOD | {"event": "buy", "amount": "5"},
        GOOD | {"event": "view", "amount": "7"},
        GOOD | {"event": "view", "amount": "from 7"},
        GOOD | {"event": "buy", "amount": "x"},
    ]
    rows = rows_of(records, mapping_of(tables))
    values = rows.table.column("value").to_pylist()
    assert [None if math.isnan(value) else value for value in values] == [5.0, None, None, None]
    # What no event has as its value was not lost.
    assert rows.blanked["amount"].tolist() == [False, False, False, True]
    kept = rows_of(records, mapping_of({**tables, "properties": {"amount": "price"}}))
    assert kept.table.column("price").to_pylist() == ["5", "7", "from 7", "x"]


def test_codes_and_numbers_that_are_declared() -> None:
    mapping = mapping_of({"types": {"zip": "text", "size": "number"}})
    records = [GOOD | {"zip": "1", "size": "5", "n": "1"}, GOOD | {"zip": "2", "size": "big"}]
    rows = rows_of(records, mapping)
    assert rows.untyped == {"n"}
    assert rows.table.column("zip").to_pylist() == ["1", "2"]
    assert rows.table.column("size")[0].as_py() == 5.0
    assert rows.blanked["size"].tolist() == [False, True]
    typed = rows_of([GOOD | {"zip": 1.0, "size": 5}], mapping, typed=True).table.to_pylist()[0]
    assert (typed["zip"], typed["size"]) == ("1", 5.0)


def test_a_column_has_one_role() -> None:
    mapping = ColumnMapping(user="session", event="value", zone="UTC")
    record = {"session": "ann", "time": "2026-01-01", "value": "visit"}
    (row,) = rows_of([record], mapping).table.to_pylist()
    assert row == {"user": "ann", "time": NEW_YEAR, "event": "visit"}
