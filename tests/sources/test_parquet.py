"""Parquet that is made to break readers: batches stay small, and what is no text is an error."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest

from analysis.core.schema import DataError, UsageError
from analysis.sources import parquet
from analysis.sources.cells import compact
from analysis.sources.files import expand
from analysis.sources.readers import read


def rows_of(file: Any, **options: Any) -> list[dict[str, Any]]:
    return [row for batch in read(file, **options) for row in batch.cells.to_pylist()]


def parquet_of(folder: Path, column: pa.Array, **options: Any) -> Any:
    path = folder / "x.parquet"
    pq.write_table(pa.table({"n": range(len(column)), "v": column}), path, **options)
    return expand([path])[0]


def codes_of(value: Any, rows: int) -> pa.Array:
    return pa.DictionaryArray.from_arrays(pa.array(np.zeros(rows, np.int32)), pa.array([value]))


@pytest.mark.parametrize(
    "column",
    [
        pa.array(["a", None, "c"], pa.string_view()),
        pa.array([b"a", None, b"c"], pa.binary_view()),
        pa.array([["a"], None, ["c", "d"]], pa.list_view(pa.string_view())),
        pa.array([[1], None, []], pa.large_list_view(pa.int64())),
        pa.array([["a"], None, ["c"]], pa.list_(pa.string_view(), 1)),
        pa.array([{"x": "a"}, None, {"x": None}], pa.struct([("x", pa.string_view())])),
        pa.array([[("k", "a")], None, []], pa.map_(pa.string(), pa.string_view())),
    ],
    ids=lambda column: str(column.type).partition("<")[0],
)
def test_views_are_read_as_what_they_show(tmp_path: Path, column: pa.Array) -> None:
    (batch,) = read(parquet_of(tmp_path, column))
    name = batch.cells.schema.names[1]
    found = batch.cells.column(name)
    assert found.type == pa.large_string()
    cells = pc.struct_field(column, 0) if pa.types.is_struct(column.type) else column
    cells = cells.cast(pa.string()) if pa.types.is_binary_view(cells.type) else cells
    words = [
        cell if cell is None or isinstance(cell, str) else compact(cell)
        for cell in cells.to_pylist()
    ]
    assert found.to_pylist() == words


def test_parquet_text_that_is_no_utf8_is_an_error(tmp_path: Path) -> None:
    raw = pa.array([b"ok", b"caf\xe9"], pa.binary())
    text = pa.Array.from_buffers(pa.string(), 2, raw.buffers())
    fixed = pa.array([b"caf\xe9"], pa.binary(4))
    inside = pa.StructArray.from_arrays([text], ["x"])
    for column in (text, text.dictionary_encode(), inside, raw, raw.cast(pa.binary_view()), fixed):
        with pytest.raises(DataError, match="not UTF-8"):
            rows_of(parquet_of(tmp_path, column))


@pytest.mark.parametrize("depth", [5, 30, 60])
def test_deep_parquet_is_read_or_refused(tmp_path: Path, depth: int) -> None:
    column = pa.array([1, 2])
    for _ in range(depth):
        column = pa.ListArray.from_arrays(pa.array([0, 1, 2], pa.int32()), column)
    file = parquet_of(tmp_path, column)
    if depth > 48:  # two levels each
        with pytest.raises(DataError, match="is nested too deep to be read"):
            rows_of(file)
    else:
        rows = rows_of(file)
        assert rows[1]["v"] == "[" * depth + "2" + "]" * depth


def test_a_small_parquet_file_cannot_fill_the_memory(tmp_path: Path) -> None:
    rows, value = 60_000, "x" * 100_000
    column = codes_of(value, rows)
    file = parquet_of(tmp_path, column, compression="zstd")
    assert file.size < 1_000_000
    before, seen = pa.total_allocated_bytes(), 0
    for batch in read(file):
        assert pa.total_allocated_bytes() - before < 50_000_000
        assert batch.cells.column("v").dictionary.to_pylist() == [value]
        seen += len(batch.rows)
    assert seen == rows
    offsets = pa.array(np.arange(rows + 1, dtype=np.int32))
    for other in (
        codes_of(value.encode(), rows),
        pa.StructArray.from_arrays([column], ["x"]),
        pa.ListArray.from_arrays(offsets, column),
    ):
        file = parquet_of(tmp_path, other, compression="zstd", store_schema=False)
        with pytest.raises(DataError, match=r"declares 5,7\d\d MB or more in 60,000 rows"):
            rows_of(file)
    only = read(file, columns={"n"})  # what is not needed does no harm
    assert sum(len(batch.rows) for batch in only) == rows


def test_wide_parquet_rows_come_in_smaller_batches(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(parquet, "BATCH_BYTES", 1_000_000)
    words = [f"{n:010d}" * 1_000 for n in range(20)]
    nested = [[words[n % 20]] for n in range(2_000)]
    table = pa.table({"v": nested, "n": range(2_000)})
    pq.write_table(table, tmp_path / "x.parquet", row_group_size=900)
    batches = list(read(expand([tmp_path / "x.parquet"])[0]))
    assert max(len(batch.rows) for batch in batches) <= 100
    rows = [row for batch in batches for row in batch.cells.to_pylist()]
    assert [row["n"] for row in rows] == list(range(2_000))
    assert [json.loads(row["v"]) for row in rows] == nested


def test_billions_of_declared_rows_are_refused(tmp_path: Path) -> None:
    column = pa.DictionaryArray.from_arrays(pa.array(np.zeros(1 << 20, np.int32)), pa.array([7]))
    table = pa.table({f"c{n}": column.cast(pa.int64()) for n in range(8)})
    with pq.ParquetWriter(tmp_path / "x.parquet", table.schema, compression="zstd") as writer:
        for _ in range(20):
            writer.write_table(table)
    with pytest.raises(DataError, match="that is no export"):
        rows_of(expand([tmp_path / "x.parquet"])[0])


def test_events_in_sessions_of_parquet(tmp_path: Path) -> None:
    sessions = [
        {"id": 7, "events": [{"ts": 1, "type": "a"}, {"ts": 2, "type": None}]},
        {"id": 8, "events": []},
        {"id": 9, "events": None},
        {"id": 10, "events": [{"ts": 3, "type": "b"}]},
    ]
    pq.write_table(pa.Table.from_pylist(sessions), tmp_path / "x.parquet")
    (batch,) = read(expand([tmp_path / "x.parquet"])[0], nested="events")
    assert batch.cells.to_pylist() == [
        {"id": 7, "events.ts": 1, "events.type": "a"},
        {"id": 7, "events.ts": 2, "events.type": None},
        {"id": 10, "events.ts": 3, "events.type": "b"},
    ]
    assert batch.rows.tolist() == [1, 1, 4]
    assert batch.columns == ["id", "events.ts", "events.type"]
    with pytest.raises(UsageError, match=r"\[nested\] events = 'hits'"):
        list(read(expand([tmp_path / "x.parquet"])[0], nested="hits"))
