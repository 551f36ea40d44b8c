"""Words as numbers and back: the same words, whoever came first, and a limit that holds."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
from hypothesis import given
from hypothesis import strategies as st

from analysis.eventlog import vocabulary
from analysis.eventlog.spill import Spill
from analysis.eventlog.vocabulary import Vocabulary, encoded_text, text_from
from analysis.sources.cells import CODED, TEXT

CELLS = st.lists(st.sampled_from(["a", "b", "ä", "", "a b", None]), max_size=8)


@given(st.lists(st.tuples(st.booleans(), CELLS), max_size=5))
def test_cells_come_back(batches):
    words = Vocabulary()
    codes = []
    for coded, cells in batches:
        column = pa.chunked_array([pa.array(cells, TEXT)])
        codes.append(words.codes(*encoded_text(column.cast(CODED) if coded else column)))
    for (_, cells), found in zip(batches, codes, strict=True):
        assert found.dtype == np.uint16
        assert words.cells(found).to_pylist() == cells
    distinct = {cell for _, cells in batches for cell in cells} - {None}
    assert sorted(words.values.to_pylist()) == sorted(distinct)


def test_a_full_vocabulary_says_so_and_forgets_nothing(monkeypatch):
    monkeypatch.setattr(vocabulary, "MOST", 3)
    words = Vocabulary()
    first = words.codes(*encoded_text(pa.chunked_array([["x", "y", "x", "z"]])))
    assert words.codes(*encoded_text(pa.chunked_array([["x", "w"]]))) is None
    assert words.codes(*encoded_text(pa.chunked_array([["x"]]))) is None
    assert words.cells(first).to_pylist() == ["x", "y", "x", "z"]


def test_rows_survive_a_vocabulary_that_fills_on_the_way(tmp_path, monkeypatch):
    monkeypatch.setattr(vocabulary, "MOST", 5)
    batches = [[f"id {n % 4}" for n in range(6)], [f"id {n}" for n in range(9)], ["id 1", None]]
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
def test_text_is_encoded_and_comes_back(chunks, coded):
    column = pa.chunked_array([pa.array(cells, TEXT) for cells in chunks])
    if coded:  # every chunk then has values of its own
        column = pa.chunked_array([chunk.dictionary_encode() for chunk in column.chunks])
    codes, values = encoded_text(column)
    assert codes.dtype == np.int32
    assert not values.null_count
    assert text_from(codes, values).to_pylist() == [cell for cells in chunks for cell in cells]


def test_a_missing_value_among_the_values_is_a_missing_cell():
    array = pa.DictionaryArray.from_arrays(pa.array([0, 1, None]), pa.array(["a", None], TEXT))
    codes, values = encoded_text(pa.chunked_array([array]))
    assert codes.tolist() == [0, -1, -1]
    assert values.to_pylist() == ["a"]
