"""What is split comes back: every row, in its part, in the order of its arrival."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from analysis.eventlog import spill as module
from analysis.eventlog.shard import CODED, TEXT
from analysis.eventlog.spill import Spill, Vocabulary, encoded_text, text_from

BATCHES = st.lists(
    st.tuples(st.booleans(), st.lists(st.integers(0, 4), min_size=1, max_size=6)), max_size=6
)


@given(BATCHES)
def test_rows_come_back_in_order(tmp_path_factory: pytest.TempPathFactory, batches: Any) -> None:
    wanted: dict[int, list[Any]] = {part: [] for part in range(5)}
    number = 0
    with Spill(tmp_path_factory.mktemp("spill") / "rows", 5) as spill:
        for more, parts in batches:
            rows = list(range(number, number + len(parts)))
            number += len(parts)
            cells = {"n": rows, "text": [f"row {row}" for row in rows]}
            table = pa.table(cells | ({"extra": rows} if more else {}))
            places = spill.places(np.array(parts))
            spill.add(table, np.array(parts))
            for row, part, place in zip(rows, parts, places, strict=True):
                assert place == len(wanted[part])
                wanted[part].append((row, row if more else None))
    assert spill.rows.tolist() == [len(rows) for rows in wanted.values()]
    for part, rows in wanted.items():
        found = [row for table in spill.read(part) for row in table.to_pylist()]
        assert [(row["n"], row.get("extra")) for row in found] == rows
        assert all(row["text"] == f"row {row['n']}" for row in found)


def test_many_rows_keep_their_order(tmp_path: Path) -> None:
    part = np.random.default_rng(1).integers(0, 5, 20_000)
    with Spill(tmp_path / "rows", 5) as spill:
        spill.add(pa.table({"n": range(20_000)}), part)
    for number in range(5):
        (table,) = spill.read(number)
        assert (table.column("n").to_numpy() == np.flatnonzero(part == number)).all()


def test_text_that_is_nearly_never_the_same_comes_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "MOST", 3)
    batches: list[Any] = [["a", "b", "c", "d"], ["a", None, "a", "z", "ä"], [None], ["b", "b"]]
    with Spill(tmp_path / "rows", 2) as spill:
        for cells in batches:
            # Other columns of text whose places take turns in the same file.
            table = pa.table({name: pa.array(cells, TEXT) for name in ("id", "url")})
            spill.add(table, np.arange(len(cells)) % 2)
    for part in range(2):
        tables = list(spill.read(part))
        for name in ("id", "url"):
            found = [cell for table in tables for cell in table.column(name).to_pylist()]
            assert found == [cell for cells in batches for cell in cells[part::2]]


def test_a_part_is_gone_once_it_is_read(tmp_path: Path) -> None:
    with Spill(tmp_path / "rows", 2) as spill:
        spill.add(pa.table({"n": [1.5, 2.5, None]}), np.array([0, 1, 1]))
    assert [table.column("n").to_pylist() for table in spill.read(0)] == [[1.5]]
    assert [path.name for path in (tmp_path / "rows").iterdir()] == ["0-1.rows"]
    (table,) = spill.read(1)
    assert np.isnan(table.column("n").to_numpy()).tolist() == [False, True]
    assert not list((tmp_path / "rows").iterdir())


# ── Words as numbers and back: the same words, whoever came first, and a limit that holds.


CELLS = st.lists(st.sampled_from(["a", "b", "ä", "", "a b", None]), max_size=8)


@given(st.lists(st.tuples(st.booleans(), CELLS), max_size=5))
def test_cells_come_back(batches: list[Any]) -> None:
    words = Vocabulary()
    codes = []
    for coded, cells in batches:
        column = pa.chunked_array([pa.array(cells, TEXT)])
        codes.append(words.codes(*encoded_text(column.cast(CODED) if coded else column)))
    for (_, cells), found in zip(batches, codes, strict=True):
        assert found.dtype == np.uint16
        assert words.cells(found).to_pylist() == cells  # type: ignore[arg-type]
    distinct = {cell for _, cells in batches for cell in cells} - {None}
    assert sorted(words.values.to_pylist()) == sorted(distinct)


def test_a_full_vocabulary_says_so_and_forgets_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MOST", 3)
    words = Vocabulary()
    first = words.codes(*encoded_text(pa.chunked_array([["x", "y", "x", "z"]])))
    assert words.codes(*encoded_text(pa.chunked_array([["x", "w"]]))) is None
    assert words.codes(*encoded_text(pa.chunked_array([["x"]]))) is None
    assert words.cells(first).to_pylist() == ["x", "y", "x", "z"]  # type: ignore[arg-type]


def test_rows_survive_a_vocabulary_that_fills_on_the_way(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "MOST", 5)
    batches: list[Any] = [
        [f"id {n % 4}" for n in range(6)],
        [f"id {n}" for n in range(9)],
        ["id 1", None],
    ]
    with Spill(tmp_path / "rows", 2) as spill:
        for batch in batches:
            table = pa.table(
                {"id": pa.array(batch, TEXT).dictionary_encode(), "few": batch[:1] * len(batch)}
            )
            spill.add(table, np.arange(len(batch)) % 2)
    for part in range(2):
        tables = list(spill.read(part))
        assert {table.schema.field("id").type for table in tables} == {CODED}
        found = [word for table in tables for word in table.column("id").to_pylist()]
        assert found == [word for batch in batches for word in batch[part::2]]


@given(st.lists(CELLS, min_size=1, max_size=3), st.booleans())
def test_text_is_encoded_and_comes_back(chunks: list[Any], coded: bool) -> None:
    column = pa.chunked_array([pa.array(cells, TEXT) for cells in chunks])
    if coded:  # every chunk then has values of its own
        column = pa.chunked_array([chunk.dictionary_encode() for chunk in column.chunks])
    codes, values = encoded_text(column)
    assert codes.dtype == np.int32
    assert not values.null_count
    assert text_from(codes, values).to_pylist() == [cell for cells in chunks for cell in cells]


def test_a_missing_value_among_the_values_is_a_missing_cell() -> None:
    array = pa.DictionaryArray.from_arrays(pa.array([0, 1, None]), pa.array(["a", None], TEXT))
    codes, values = encoded_text(pa.chunked_array([array]))
    assert codes.tolist() == [0, -1, -1]
    assert values.to_pylist() == ["a"]
