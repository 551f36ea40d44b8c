"""JSON lines, judged by the standard library's json module."""

from __future__ import annotations

import gzip
import json

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from analysis.core.schema import DataError
from analysis.sources import readers as json_lines
from analysis.sources.files import expand
from analysis.sources.tables import read

SCALARS = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-(2**66), 2**66),
    st.floats(allow_nan=False, allow_infinity=False),
    st.sampled_from(["2026-01-01", "2026-01-01T00:00:00Z", "5", "", "é", "\u2028", "\x00"]),
    st.text(max_size=4),
)
CELLS = st.one_of(
    SCALARS,
    st.lists(SCALARS, max_size=2),
    st.dictionaries(st.sampled_from("pq"), SCALARS, max_size=2),
)
RECORDS = st.lists(st.dictionaries(st.sampled_from("abc"), CELLS), min_size=1, max_size=6)
FLAT = st.lists(
    st.fixed_dictionaries(
        {"n": st.integers(-9, 9), "t": st.sampled_from(["2026-01-01", "x", "2026-01-01T00:00:00"])},
        optional={"f": st.floats(-1, 1), "d": st.fixed_dictionaries({"t": st.just("2026-01-02")})},
    ),
    min_size=1,
)


def block_of(records):
    return "".join(json.dumps(record) + "\n" for record in records).encode()


def cells_of(batch):
    return [
        {name: cell for name, cell in row.items() if cell is not None} for row in batch.to_pylist()
    ]


def file_of(folder, content, name="x.jsonl"):
    path = folder / name
    path.write_bytes(content)
    return expand([path])[0]


@given(RECORDS)
def test_both_ways_of_reading_yield_the_same_cells(records):
    block = block_of(records)
    fast, _ = json_lines._read_block(block, pa.schema([]))
    slow, rows, bad = json_lines._read_lines(block)
    assert list(rows) == list(range(len(records)))
    assert not bad
    if fast is not None:
        assert cells_of(fast[0]) == cells_of(slow)


@given(FLAT)
def test_plain_objects_go_the_fast_way_and_keep_their_texts(records):
    fast, hints = json_lines._read_block(block_of(records), pa.schema([]))
    assert fast is not None
    flat = [{k: v for k, v in record.items() if k != "d"} for record in records]
    for record, row in zip(records, flat, strict=True):
        if "d" in record:
            row["d.t"] = record["d"]["t"]
    assert cells_of(fast[0]) == flat
    again, _ = json_lines._read_block(block_of(records), hints)
    assert again is not None
    assert cells_of(again[0]) == flat


def test_text_that_looks_like_a_time_stays_as_it_is():
    block = block_of([{"a": "2026-01-01", "b": {"c": "2026-01-01T00:00:00Z", "d": 1}}])
    fast, _ = json_lines._read_block(block, pa.schema([]))
    assert fast is not None
    assert fast[0].to_pylist() == [{"a": "2026-01-01", "b.c": "2026-01-01T00:00:00Z", "b.d": 1}]


def test_integers_of_twenty_digits_keep_them(tmp_path):
    file = file_of(tmp_path, b'{"user": 12345678901234567890}\n{"user": 7}\n')
    assert next(read(file)).cells.column("user").to_pylist() == ["12345678901234567890", "7"]


def test_bad_lines_have_their_number_and_a_reason(tmp_path):
    lines = [b'{"a": 1}', b"", b"{broken", b"[1]", b"5", b'{"a": "\xff"}', b'{"a": "\\ud800"}']
    file = file_of(tmp_path, b"\xef\xbb\xbf" + b"\n".join([*lines, b'{"a": 2}']))
    (batch,) = read(file)
    assert batch.cells.column("a").to_pylist() == [1, 2]
    assert batch.rows.tolist() == [1, 8]
    assert [(bad.row, bad.reason) for bad in batch.bad] == [
        (3, "is no JSON"),
        (4, "is no JSON object"),
        (5, "is no JSON object"),
        (6, "is not UTF-8 text"),
        (7, "is not UTF-8 text"),
    ]
    assert json.loads(batch.bad[0].content) == "{broken"


def test_two_objects_on_a_line_are_a_bad_line(tmp_path):
    (batch,) = read(file_of(tmp_path, b'{"a": 1}{"a": 2}\n{"a": 3}\n'))
    assert batch.rows.tolist() == [2]
    assert [bad.row for bad in batch.bad] == [1]


def test_blank_lines_count_as_lines(tmp_path, monkeypatch):
    monkeypatch.setattr(json_lines, "BLOCK", 40)
    lines = [b"" if n % 3 else b'{"n": %d}' % n for n in range(1, 60)]
    batches = list(read(file_of(tmp_path, b"\n".join(lines))))
    assert len(batches) > 3
    found = [row for batch in batches for row in batch.rows.tolist()]
    assert found == [n for n in range(1, 60) if n % 3 == 0]
    assert found == [row["n"] for batch in batches for row in batch.cells.to_pylist()]


@pytest.mark.parametrize("compressed", [False, True])
def test_blocks_do_not_show(tmp_path, monkeypatch, compressed):
    monkeypatch.setattr(json_lines, "BLOCK", 64)
    records = [{"n": n, "text": "x" * (n % 90)} for n in range(50)]
    content = block_of(records)[:-1]  # the last line has no end
    content = gzip.compress(content, mtime=0) if compressed else content
    file = file_of(tmp_path, content, "x.jsonl.gz" if compressed else "x.jsonl")
    batches = list(read(file))
    assert len(batches) > 10
    assert [row for batch in batches for row in batch.cells.to_pylist()] == records
    assert [row for batch in batches for row in batch.rows] == list(range(1, 51))


def test_an_endless_line_is_an_error(tmp_path, monkeypatch):
    monkeypatch.setattr(json_lines, "BLOCK", 64)
    monkeypatch.setattr(json_lines, "LONGEST_LINE", 500)
    with pytest.raises(DataError, match="has a line of more than"):
        list(read(file_of(tmp_path, b'{"a": "' + b"x" * 1000 + b'"}')))


@given(RECORDS, st.integers(0, 3))
def test_an_array_is_read_element_by_element(tmp_path_factory, records, indent):
    folder = tmp_path_factory.mktemp("array")
    file = file_of(folder, json.dumps([*records, 5], indent=indent).encode(), "x.json")
    (batch,) = read(file)
    slow, _, _ = json_lines._read_lines(block_of(records))
    assert cells_of(batch.cells) == cells_of(slow)
    assert batch.rows.tolist() == list(range(1, len(records) + 1))
    assert [(bad.row, bad.reason) for bad in batch.bad] == [(len(records) + 1, "is no JSON object")]


def test_an_array_longer_than_a_block(tmp_path, monkeypatch):
    monkeypatch.setattr(json_lines, "BLOCK", 50)
    monkeypatch.setattr(json_lines, "ELEMENTS", 7)
    records = [{"n": n, "text": "é" * (n % 60)} for n in range(50)]
    content = json.dumps(records, ensure_ascii=False).encode()
    batches = list(read(file_of(tmp_path, content, "x.json")))
    assert [row for batch in batches for row in batch.cells.to_pylist()] == records


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b'[{"a": 1}, {"a"', "element 2 is broken or cut short"),
        (b'[{"a": 1}', "element 2 is broken or cut short"),
        (b'[{"a": 1} oops]', "element 2 is broken"),
        (b'[{"a": 1}]\n[{"a": 2}]', "something follows its end, after element 1"),
    ],
)
def test_a_broken_array_is_an_error(tmp_path, content, message):
    with pytest.raises(DataError, match=message):
        list(read(file_of(tmp_path, content, "x.json")))
