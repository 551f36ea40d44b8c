"""CSV and Parquet, judged by the standard library's csv module and by pandas."""

from __future__ import annotations

import csv
import gzip
import io

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from analysis.core.schema import DataError
from analysis.sources import tables
from analysis.sources.files import expand
from analysis.sources.tables import read

# Text of any kind but NUL and the carriage return, of which CSV readers disagree.
CELL = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\r\0"), max_size=8)
ROWS = st.lists(st.tuples(CELL, CELL, CELL), min_size=1, max_size=6)


def file_of(folder, content, name="x.csv"):
    path = folder / name
    path.write_bytes(content)
    return expand([path])[0]


def everything(file, **options):
    batches = list(read(file, **options))
    rows = [row for batch in batches for row in batch.cells.to_pylist()]
    numbers = [int(row) for batch in batches for row in batch.rows]
    return rows, numbers, [bad for batch in batches for bad in batch.bad]


@given(ROWS, st.sampled_from(",;\t"), st.sampled_from(["\n", "\r\n"]), st.booleans())
def test_what_python_writes_is_read(tmp_path_factory, rows, delimiter, end, bom):
    text = io.StringIO(newline="")
    writer = csv.writer(text, delimiter=delimiter, lineterminator=end)
    writer.writerows([["user", "time", "a b"], *rows])
    content = text.getvalue().encode("utf-8-sig" if bom else "utf-8")
    found, numbers, bad = everything(file_of(tmp_path_factory.mktemp("csv"), content))
    assert [tuple(cell or "" for cell in row.values()) for row in found] == rows
    assert list(found[0]) == ["user", "time", "a b"]
    assert numbers == list(range(2, len(rows) + 2))
    assert not bad


@given(st.lists(st.integers(1, 5), max_size=40))
def test_records_of_another_length_are_bad_and_all_numbers_are_right(tmp_path_factory, lengths):
    lines = ["a,b,c", *(",".join(f"{row}" for _ in range(n)) for row, n in enumerate(lengths, 2))]
    folder = tmp_path_factory.mktemp("csv")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(tables, "BLOCK", 64)
        file = file_of(folder, "\n".join(lines).encode())
        found, numbers, bad = everything(file)
    assert numbers == [row for row, n in enumerate(lengths, 2) if n == 3]
    assert [row["a"] for row in found] == [str(row) for row in numbers]
    assert [record.row for record in bad] == [row for row, n in enumerate(lengths, 2) if n != 3]
    for record in bad:
        assert record.reason == f"has {lengths[record.row - 2]} cells, the header has 3"


def test_a_missing_cell_is_the_empty_one_or_one_of_the_words(tmp_path):
    file = file_of(tmp_path, b'a,b,c\n"",(not set),007\n')
    assert everything(file)[0] == [{"a": None, "b": "(not set)", "c": "007"}]
    assert everything(file, missing=["(not set)"])[0] == [{"a": None, "b": None, "c": "007"}]


def test_only_the_columns_that_are_needed_are_read(tmp_path):
    file = file_of(tmp_path, b"a,b,c\n1,2,3\n")
    (batch,) = read(file, columns={"c", "a", "z"})
    assert batch.cells.to_pylist() == [{"a": "1", "c": "3"}]
    assert batch.columns == ["a", "b", "c"]


@pytest.mark.parametrize(
    ("content", "rows"),
    [
        (b'a,b\n1,"never closed\n2,3\n', 1),
        (b'a,b\n1,2\n3,"x\n4,5\n6,7', 2),
        (b'a,b\n1,2\n3,"', 2),
        (b'a,b\n1,"he said ""no\n', 1),
    ],
)
def test_a_quote_that_is_never_closed_swallows_nothing(tmp_path, content, rows):
    with pytest.raises(DataError, match=f"ends within quotes.* record {rows + 1} "):
        everything(file_of(tmp_path, content))


def test_quotes_that_are_fine(tmp_path):
    content = b'a,b\n1,5" screen\n2,"x\ny"\n3,"end"'
    rows, numbers, bad = everything(file_of(tmp_path, content))
    assert [row["b"] for row in rows] == ['5" screen', "x\ny", "end"]
    assert (numbers, bad) == ([2, 3, 4], [])


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("a,b\n1,é\n".encode("latin-1"), "not UTF-8 text.*iconv"),
        ("é,b\n1,2\n".encode("latin-1"), "not UTF-8 text.*iconv"),
        (b"\x89PNG\r\n\x1a\n\0", "not UTF-8 text"),
        (b"a,a\n1,2\n", "more than one column called 'a'"),
        (b"a|b\n1|2\n", "has a single column, 'a|b'.*semicolon"),
        (b"a,b\n1," + b"x" * 100_000 + b"\n", "damaged or cut short"),
    ],
)
def test_files_that_cannot_be_read(tmp_path, monkeypatch, content, message):
    monkeypatch.setattr(tables, "BLOCK", 10_000)
    with pytest.raises(DataError, match=message):
        everything(file_of(tmp_path, content))


def test_a_header_without_rows_has_none(tmp_path):
    assert everything(file_of(tmp_path, b"a,b\n")) == ([], [], [])
    assert everything(file_of(tmp_path, b"a,b")) == ([], [], [])


def test_blank_lines_are_no_records_and_the_index_of_pandas_is_a_column(tmp_path):
    rows, numbers, _ = everything(file_of(tmp_path, b"\n,a\n0,x\n\n1,y\n\n"))
    assert rows == [{"unnamed": "0", "a": "x"}, {"unnamed": "1", "a": "y"}]
    assert numbers == [2, 3]


@given(st.data())
def test_a_cut_in_gzip_is_always_an_error(tmp_path_factory, data):
    rows = "".join(f"u{n},2026-01-01T00:00Z,e{n * n}\n" for n in range(300))
    content = gzip.compress(f"user,time,event\n{rows}".encode(), mtime=0)
    cut = data.draw(st.integers(2, len(content) - 1))
    with pytest.raises(DataError, match="cut short"):
        everything(file_of(tmp_path_factory.mktemp("gz"), content[:cut], "x.csv.gz"))


def test_a_changed_byte_in_gzip_is_an_error(tmp_path):
    content = bytearray(
        gzip.compress(b"user,time,event\n" + b"u,2026-01-01T00:00Z,e\n" * 99, mtime=0)
    )
    content[-6] ^= 1  # in the checksum
    with pytest.raises(DataError, match="damaged gzip"):
        everything(file_of(tmp_path, bytes(content), "x.csv.gz"))


def test_parquet_keeps_its_types_and_is_flattened(tmp_path):
    frame = pd.DataFrame({"user": ["a", "b"], "n": [1, 2], "s": [{"x": 1}, {"x": None}]})
    frame.to_parquet(tmp_path / "x.parquet")
    (file,) = expand([tmp_path / "x.parquet"])
    rows, numbers, _ = everything(file)
    assert rows == [{"user": "a", "n": 1, "s.x": 1}, {"user": "b", "n": 2, "s.x": None}]
    assert numbers == [1, 2]
    (batch,) = read(file, columns={"user", "s.x"})
    assert batch.cells.to_pylist() == [{"user": "a", "s.x": 1}, {"user": "b", "s.x": None}]
    assert batch.columns == ["user", "n", "s.x"]


def test_parquet_comes_in_batches(tmp_path, monkeypatch):
    monkeypatch.setattr(tables, "PARQUET_ROWS", 10)
    pq.write_table(pa.table({"n": range(95)}), tmp_path / "x.parquet", row_group_size=33)
    (file,) = expand([tmp_path / "x.parquet"])
    rows, numbers, _ = everything(file)
    assert [row["n"] for row in rows] == list(range(95))
    assert numbers == list(range(1, 96))
    assert max(len(batch.rows) for batch in read(file)) <= 10


@pytest.mark.parametrize("keep", [5, 100, -1, -20])
def test_parquet_that_is_cut_short_is_an_error(tmp_path, keep):
    path = tmp_path / "x.parquet"
    pq.write_table(pa.table({"n": range(95)}), path)
    path.write_bytes(path.read_bytes()[:keep])
    with pytest.raises(DataError, match="damaged or cut short"):
        everything(expand([path])[0])


def test_parquet_takes_no_more_memory_the_longer_the_file_is(tmp_path, monkeypatch):
    monkeypatch.setattr(tables, "PARQUET_ROWS", 2_000)
    path, rows = tmp_path / "x.parquet", 2_000
    cells = pa.array([f"{n:0400d}" for n in range(rows)])
    with pq.ParquetWriter(path, pa.schema([("url", pa.string())]), compression="none") as writer:
        for _ in range(40):
            writer.write_table(pa.table({"url": cells}))
    assert path.stat().st_size > 30_000_000
    before, most = pa.total_allocated_bytes(), 0
    for _ in read(expand([path])[0]):
        most = max(most, pa.total_allocated_bytes() - before)
    assert 0 < most < 10_000_000


def test_parquet_text_is_read_as_it_lies(tmp_path):
    many = [f"https://shop.example/item/{n:06d}" for n in range(5_000)]
    table = pa.table({"few": ["a", "b", None, "c"] * 1_250, "many": many})
    pq.write_table(table, tmp_path / "x.parquet", row_group_size=1_000)
    batches = [batch.cells for batch in read(expand([tmp_path / "x.parquet"])[0])]
    for batch in batches:
        assert pa.types.is_dictionary(batch.column("few").type)
        assert not pa.types.is_dictionary(batch.column("many").type)
    assert [row for batch in batches for row in batch.to_pylist()] == table.to_pylist()
