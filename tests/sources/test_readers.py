"""CSV and Parquet, judged by the standard library's csv module and by pandas."""

from __future__ import annotations

import csv
import gzip
import io
import json
import subprocess
import sys
from collections import Counter
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.samples import OTTO

from analysis.core.schema import DataError
from analysis.eventlog.log import EventLog
from analysis.sources import readers
from analysis.sources.files import expand
from analysis.sources.ingest import import_files
from analysis.sources.mapping import load_mapping
from analysis.sources.readers import read

# Text of any kind but NUL and the carriage return, of which CSV readers disagree.
CELL = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\r\0"), max_size=8)


ROWS = st.lists(st.tuples(CELL, CELL, CELL), min_size=1, max_size=6)


def file_of(folder: Path, content: Any, name: str = "x.csv") -> Any:
    path = folder / name
    path.write_bytes(content)
    return expand([path])[0]


def everything(file: Any, **options: Any) -> tuple[Any, Any, Any]:
    batches = list(read(file, **options))
    rows = [row for batch in batches for row in batch.cells.to_pylist()]
    numbers = [int(row) for batch in batches for row in batch.rows]
    return rows, numbers, [bad for batch in batches for bad in batch.bad]


@given(ROWS, st.sampled_from(",;\t"), st.sampled_from(["\n", "\r\n"]), st.booleans())
def test_what_python_writes_is_read(
    tmp_path_factory: pytest.TempPathFactory, rows: Any, delimiter: Any, end: str, bom: bool
) -> None:
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
def test_records_of_another_length_are_bad_and_all_numbers_are_right(
    tmp_path_factory: pytest.TempPathFactory, lengths: list[int]
) -> None:
    lines = ["a,b,c", *(",".join(f"{row}" for _ in range(n)) for row, n in enumerate(lengths, 2))]
    folder = tmp_path_factory.mktemp("csv")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(readers, "CSV_BLOCK", 64)
        file = file_of(folder, "\n".join(lines).encode())
        found, numbers, bad = everything(file)
    assert numbers == [row for row, n in enumerate(lengths, 2) if n == 3]
    assert [row["a"] for row in found] == [str(row) for row in numbers]
    assert [record.row for record in bad] == [row for row, n in enumerate(lengths, 2) if n != 3]
    for record in bad:
        assert record.reason == f"has {lengths[record.row - 2]} cells, the header has 3"


def test_a_missing_cell_is_the_empty_one_or_one_of_the_words(tmp_path: Path) -> None:
    file = file_of(tmp_path, b'a,b,c\n"",(not set),007\n')
    assert everything(file)[0] == [{"a": None, "b": "(not set)", "c": "007"}]
    assert everything(file, missing=["(not set)"])[0] == [{"a": None, "b": None, "c": "007"}]


def test_only_the_columns_that_are_needed_are_read(tmp_path: Path) -> None:
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
def test_a_quote_that_is_never_closed_swallows_nothing(
    tmp_path: Path, content: bytes, rows: int
) -> None:
    with pytest.raises(DataError, match=f"ends within quotes.* record {rows + 1} "):
        everything(file_of(tmp_path, content))


def test_quotes_that_are_fine(tmp_path: Path) -> None:
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
        (b"a,b\n0,0\n1," + b"x" * 100_000 + b"\n", "has a record of more than .*: record 3"),
        ("a,b\n1,2\né\n".encode("latin-1"), "not UTF-8 text"),
        (b'"', "ends within quotes.* record 1 "),
        (b'a,"b\n1,2\n', "ends within quotes.* record 1 "),
    ],
)
def test_files_that_cannot_be_read(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
    content: Any,
    message: str,
) -> None:
    monkeypatch.setattr(readers, "CSV_BLOCK", 10_000)
    with pytest.raises(DataError, match=message):
        everything(file_of(tmp_path, content))
    assert capfd.readouterr() == ("", "")


def test_a_header_without_rows_has_none(tmp_path: Path) -> None:
    assert everything(file_of(tmp_path, b"a,b\n")) == ([], [], [])
    assert everything(file_of(tmp_path, b"a,b")) == ([], [], [])


@pytest.mark.parametrize("width", [8, 65_536 // 3, 70_000, 200_000])
def test_a_header_may_be_as_long_as_it_likes(tmp_path: Path, width: int) -> None:
    names = ["user", "time", *(f"c{n:05d}" for n in range(9_400))]  # ends beyond byte 65,536
    names[5] = "x" * width
    content = f"{','.join(names)}\n{','.join(map(str, range(len(names))))}\n"
    rows, _, bad = everything(file_of(tmp_path, content.encode()))
    assert list(rows[0]) == names
    assert list(rows[0].values()) == list(map(str, range(len(names))))
    assert not bad


def test_a_column_that_ends_at_byte_65536_of_the_header_does_not_end_it(tmp_path: Path) -> None:
    first = "user,time,".ljust(65_535, "x")
    rows, _, _ = everything(file_of(tmp_path, f"{first},last\n1,2,3,4\n".encode()))
    assert list(rows[0].values()) == ["1", "2", "3", "4"]
    assert list(rows[0])[-1] == "last"


def test_no_record_can_pass_for_the_end_of_the_file(tmp_path: Path) -> None:
    content = b'a,b\n\0end of file\0\n1,2\n3,"open\n'
    with pytest.raises(DataError, match=r"ends within quotes.* record 4 "):
        everything(file_of(tmp_path, content))
    _, _, bad = everything(file_of(tmp_path, b"a,b\n\0end of file\0\n1,2\n"))
    assert [record.row for record in bad] == [2]


def test_a_process_that_met_an_error_ends_in_peace(tmp_path: Path) -> None:
    cells = b"x" * 60 + b"\n"
    content = b'user,time,event\nann,2026-01-01T00:00Z,"' + cells * 400_000
    (tmp_path / "x.csv.gz").write_bytes(gzip.compress(content, 1, mtime=0))
    words = ["import", "x.csv.gz", "--to", "log"]
    ran = subprocess.run(
        [sys.executable, "-c", "from analysis.cli import main; main()", *words],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert ran.returncode == 1
    assert "opens a quote in record 2 that is not closed within 16 MB" in ran.stderr
    assert len(ran.stderr.splitlines()) == 1


def test_blank_lines_are_no_records_and_the_index_of_pandas_is_a_column(tmp_path: Path) -> None:
    rows, numbers, _ = everything(file_of(tmp_path, b"\n,a\n0,x\n\n1,y\n\n"))
    assert rows == [{"unnamed": "0", "a": "x"}, {"unnamed": "1", "a": "y"}]
    assert numbers == [2, 3]


@given(st.data())
def test_a_cut_in_gzip_is_always_an_error(
    tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    rows = "".join(f"u{n},2026-01-01T00:00Z,e{n * n}\n" for n in range(300))
    content = gzip.compress(f"user,time,event\n{rows}".encode(), mtime=0)
    cut = data.draw(st.integers(2, len(content) - 1))
    with pytest.raises(DataError, match="cut short"):
        everything(file_of(tmp_path_factory.mktemp("gz"), content[:cut], "x.csv.gz"))


def test_a_changed_byte_in_gzip_is_an_error(tmp_path: Path) -> None:
    content = bytearray(
        gzip.compress(b"user,time,event\n" + b"u,2026-01-01T00:00Z,e\n" * 99, mtime=0)
    )
    content[-6] ^= 1  # in the checksum
    with pytest.raises(DataError, match="damaged gzip"):
        everything(file_of(tmp_path, bytes(content), "x.csv.gz"))


def test_parquet_keeps_its_types_and_is_flattened(tmp_path: Path) -> None:
    frame = pd.DataFrame({"user": ["a", "b"], "n": [1, 2], "s": [{"x": 1}, {"x": None}]})
    frame.to_parquet(tmp_path / "x.parquet")
    (file,) = expand([tmp_path / "x.parquet"])
    rows, numbers, _ = everything(file)
    assert rows == [{"user": "a", "n": 1, "s.x": 1}, {"user": "b", "n": 2, "s.x": None}]
    assert numbers == [1, 2]
    (batch,) = read(file, columns={"user", "s.x"})
    assert batch.cells.to_pylist() == [{"user": "a", "s.x": 1}, {"user": "b", "s.x": None}]
    assert batch.columns == ["user", "n", "s.x"]


def test_parquet_comes_in_batches(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(readers, "PARQUET_ROWS", 10)
    pq.write_table(pa.table({"n": range(95)}), tmp_path / "x.parquet", row_group_size=33)
    (file,) = expand([tmp_path / "x.parquet"])
    rows, numbers, _ = everything(file)
    assert [row["n"] for row in rows] == list(range(95))
    assert numbers == list(range(1, 96))
    assert max(len(batch.rows) for batch in read(file)) <= 10


@pytest.mark.parametrize("keep", [5, 100, -1, -20])
def test_parquet_that_is_cut_short_is_an_error(tmp_path: Path, keep: int) -> None:
    path = tmp_path / "x.parquet"
    pq.write_table(pa.table({"n": range(95)}), path)
    path.write_bytes(path.read_bytes()[:keep])
    with pytest.raises(DataError, match="damaged or cut short"):
        everything(expand([path])[0])


def test_parquet_takes_no_more_memory_the_longer_the_file_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(readers, "PARQUET_ROWS", 2_000)
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


def test_parquet_text_is_read_as_it_lies(tmp_path: Path) -> None:
    many = [f"https://shop.example/item/{n:06d}" for n in range(5_000)]
    table = pa.table({"few": ["a", "b", None, "c"] * 1_250, "many": many})
    pq.write_table(table, tmp_path / "x.parquet", row_group_size=1_000)
    batches = [batch.cells for batch in read(expand([tmp_path / "x.parquet"])[0])]
    for batch in batches:
        assert pa.types.is_dictionary(batch.column("few").type)
        assert not pa.types.is_dictionary(batch.column("many").type)
    assert [row for batch in batches for row in batch.to_pylist()] == table.to_pylist()


# ── JSON lines, judged by the standard library's json module.


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


def block_of(records: Any) -> bytes:
    return "".join(json.dumps(record) + "\n" for record in records).encode()


def cells_of(batch: Any) -> list[dict[str, Any]]:
    return [
        {name: cell for name, cell in row.items() if cell is not None} for row in batch.to_pylist()
    ]


def file_of_of_json_lines(folder: Path, content: Any, name: str = "x.jsonl") -> Any:
    path = folder / name
    path.write_bytes(content)
    return expand([path])[0]


@given(RECORDS)
def test_both_ways_of_reading_yield_the_same_cells(records: Any) -> None:
    block = block_of(records)
    fast, _ = readers._read_block(block, pa.schema([]))
    slow, rows, bad = readers._read_lines(block)
    assert list(rows) == list(range(len(records)))
    assert not bad
    if fast is not None:
        assert cells_of(fast[0]) == cells_of(slow)


@given(FLAT)
def test_plain_objects_go_the_fast_way_and_keep_their_texts(records: Any) -> None:
    fast, hints = readers._read_block(block_of(records), pa.schema([]))
    assert fast is not None
    flat = [{k: v for k, v in record.items() if k != "d"} for record in records]
    for record, row in zip(records, flat, strict=True):
        if "d" in record:
            row["d.t"] = record["d"]["t"]
    assert cells_of(fast[0]) == flat
    again, _ = readers._read_block(block_of(records), hints)
    assert again is not None
    assert cells_of(again[0]) == flat


def test_text_that_looks_like_a_time_stays_as_it_is() -> None:
    block = block_of([{"a": "2026-01-01", "b": {"c": "2026-01-01T00:00:00Z", "d": 1}}])
    fast, _ = readers._read_block(block, pa.schema([]))
    assert fast is not None
    assert fast[0].to_pylist() == [{"a": "2026-01-01", "b.c": "2026-01-01T00:00:00Z", "b.d": 1}]


def test_integers_of_twenty_digits_keep_them(tmp_path: Path) -> None:
    file = file_of_of_json_lines(tmp_path, b'{"user": 12345678901234567890}\n{"user": 7}\n')
    assert next(read(file)).cells.column("user").to_pylist() == ["12345678901234567890", "7"]


def test_bad_lines_have_their_number_and_a_reason(tmp_path: Path) -> None:
    lines = [b'{"a": 1}', b"", b"{broken", b"[1]", b"5", b'{"a": "\xff"}', b'{"a": "\\ud800"}']
    file = file_of_of_json_lines(tmp_path, b"\xef\xbb\xbf" + b"\n".join([*lines, b'{"a": 2}']))
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


def test_two_objects_on_a_line_are_a_bad_line(tmp_path: Path) -> None:
    (batch,) = read(file_of_of_json_lines(tmp_path, b'{"a": 1}{"a": 2}\n{"a": 3}\n'))
    assert batch.rows.tolist() == [2]
    assert [bad.row for bad in batch.bad] == [1]


def test_blank_lines_count_as_lines(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(readers, "JSON_BLOCK", 40)
    lines = [b"" if n % 3 else b'{"n": %d}' % n for n in range(1, 60)]
    batches = list(read(file_of_of_json_lines(tmp_path, b"\n".join(lines))))
    assert len(batches) > 3
    found = [row for batch in batches for row in batch.rows.tolist()]
    assert found == [n for n in range(1, 60) if n % 3 == 0]
    assert found == [row["n"] for batch in batches for row in batch.cells.to_pylist()]


@pytest.mark.parametrize("compressed", [False, True])
def test_blocks_do_not_show(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, compressed: bool
) -> None:
    monkeypatch.setattr(readers, "JSON_BLOCK", 64)
    records = [{"n": n, "text": "x" * (n % 90)} for n in range(50)]
    content = block_of(records)[:-1]  # the last line has no end
    content = gzip.compress(content, mtime=0) if compressed else content
    file = file_of_of_json_lines(tmp_path, content, "x.jsonl.gz" if compressed else "x.jsonl")
    batches = list(read(file))
    assert len(batches) > 10
    assert [row for batch in batches for row in batch.cells.to_pylist()] == records
    assert [row for batch in batches for row in batch.rows] == list(range(1, 51))


def test_an_endless_line_is_an_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(readers, "JSON_BLOCK", 64)
    monkeypatch.setattr(readers, "LONGEST_LINE", 500)
    with pytest.raises(DataError, match="has a line of more than"):
        list(read(file_of_of_json_lines(tmp_path, b'{"a": "' + b"x" * 1000 + b'"}')))


@given(RECORDS, st.integers(0, 3))
def test_an_array_is_read_element_by_element(
    tmp_path_factory: pytest.TempPathFactory, records: Any, indent: int
) -> None:
    folder = tmp_path_factory.mktemp("array")
    file = file_of_of_json_lines(
        folder, json.dumps([*records, 5], indent=indent).encode(), "x.json"
    )
    (batch,) = read(file)
    slow, _, _ = readers._read_lines(block_of(records))
    assert cells_of(batch.cells) == cells_of(slow)
    assert batch.rows.tolist() == list(range(1, len(records) + 1))
    assert [(bad.row, bad.reason) for bad in batch.bad] == [(len(records) + 1, "is no JSON object")]


def test_an_array_longer_than_a_block(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(readers, "JSON_BLOCK", 50)
    monkeypatch.setattr(readers, "ELEMENTS", 7)
    records = [{"n": n, "text": "é" * (n % 60)} for n in range(50)]
    content = json.dumps(records, ensure_ascii=False).encode()
    batches = list(read(file_of_of_json_lines(tmp_path, content, "x.json")))
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
def test_a_broken_array_is_an_error(tmp_path: Path, content: bytes, message: str) -> None:
    with pytest.raises(DataError, match=message):
        list(read(file_of_of_json_lines(tmp_path, content, "x.json")))


# ── JSON that is made to break parsers.


def outcome_of(folder: Path, name: str, content: bytes) -> list[str]:
    """The rows and bad records of a file, read by a process of its own, which may crash."""
    (folder / name).write_bytes(content)
    code = (
        "import sys\n"
        "from analysis.sources.files import expand\n"
        "from analysis.sources.readers import read\n"
        "from analysis.core.schema import DataError\n"
        "try:\n"
        "    for batch in read(expand([sys.argv[1]])[0]):\n"
        "        for row in batch.rows: print('row', row)\n"
        "        for bad in batch.bad: print('bad', bad.row, bad.reason)\n"
        "except DataError as error:\n"
        "    print('error', error)\n"
    )
    command = [sys.executable, "-c", code, str(folder / name)]
    ran = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (ran.returncode, ran.stderr) == (0, "")
    return ran.stdout.splitlines()


def test_deep_json_lines_are_bad_records(tmp_path: Path) -> None:
    deep = b'{"a": ' + b"[" * 100_000 + b"]" * 100_000 + b"}"
    cut = b'{"a": ' + b'{"b": ' * 100_000
    spread = b'{"a": [' + b"\n[" * 100_000
    content = b'{"a": 1}\n' + deep + b"\n" + cut + b'\n{"a": "[[[["}\n' + spread
    lines = outcome_of(tmp_path, "x.jsonl", content)
    assert lines[:4] == [
        "row 1",
        "row 4",
        f"bad 2 is nested more than {readers.DEEPEST} levels deep",
        f"bad 3 is nested more than {readers.DEEPEST} levels deep",
    ]
    assert len(lines) == 4 + 1 + 100_000


@pytest.mark.parametrize("deep", [b"[" * 100_000, b'{"a":' * 100_000])
def test_a_deep_json_array_is_an_error(tmp_path: Path, deep: bytes) -> None:
    for start in (b"", b'[{"a": 1}, ', b'[{"a": 1}, {"a": '):
        (line,) = outcome_of(tmp_path, "x.json", start + deep)[-1:]
        assert line.startswith(("error", "bad 1"))
        assert line.endswith((" levels deep", "export one object a line."))


def nest(depth: int) -> bytes:
    return b'{"a":' + b"[" * (depth - 1) + b"]" * (depth - 1) + b"}"


@pytest.mark.parametrize("name", ["x.jsonl", "x.json"])
def test_how_deep_is_too_deep(tmp_path: Path, name: str) -> None:
    values = [nest(2), nest(readers.DEEPEST), nest(readers.DEEPEST + 1), nest(3)]
    content = b"\n".join(values) if name == "x.jsonl" else b"[" + b",".join(values) + b"]"
    (batch,) = read(file_of_of_json_lines(tmp_path, content, name))
    assert batch.rows.tolist() == [1, 2, 4]
    assert [bad.row for bad in batch.bad] == [3]


@pytest.mark.parametrize("name", ["x.jsonl", "x.json"])
def test_half_a_surrogate_pair_is_a_bad_record(tmp_path: Path, name: str) -> None:
    values = [
        b'{"a": "\\ud800"}',
        b'{"\\udfff": 1}',
        b'{"a": {"\\ud800": 1}}',
        b'{"a": ["\\ud800"]}',
        b'{"a": "\\ud83d\\ude00"}',
        b'{"a": "ok"}',
    ]
    content = b"\n".join(values) if name == "x.jsonl" else b"[" + b",".join(values) + b"]"
    (batch,) = read(file_of_of_json_lines(tmp_path, content, name))
    assert batch.cells.column("a").to_pylist() == ["\U0001f600", "ok"]
    assert [(bad.row, bad.reason) for bad in batch.bad] == [
        (row, "is not UTF-8 text") for row in range(1, 5)
    ]
    for bad in batch.bad:
        assert bad.content.encode("utf-8")


@pytest.mark.parametrize("name", ["x.jsonl", "x.json"])
def test_integers_of_any_length_keep_their_digits(tmp_path: Path, name: str) -> None:
    long = "9" * 5_000
    values = [f'{{"a": {long}}}', '{"a": 7}', f'{{"a": {{"b": -{long}}}}}', f'{{"a": [{long}]}}']
    content = "\n".join(values) if name == "x.jsonl" else f"[{','.join(values)}]"
    (batch,) = read(file_of_of_json_lines(tmp_path, content.encode(), name))
    assert not batch.bad
    assert batch.cells.column("a").to_pylist() == [long, "7", None, f'["{long}"]']
    assert batch.cells.column("a.b").to_pylist() == [None, None, f"-{long}", None]


# ── events in sessions.


@pytest.mark.parametrize("name", ["x.jsonl", "x.json"])
def test_each_event_of_a_session_is_a_record(tmp_path: Path, name: str) -> None:
    sessions = [
        {"id": 7, "events": [{"ts": 1, "type": "a"}, {"ts": 2, "at": {"page": "x"}}]},
        {"id": 8, "events": []},
        {"id": 9},
        {"id": 10, "events": [{"ts": 3}, 5]},
        {"id": 11, "events": "none"},
    ]
    lines = "\n".join(map(json.dumps, sessions))
    content = lines if name == "x.jsonl" else json.dumps(sessions)
    (batch,) = read(file_of_of_json_lines(tmp_path, content.encode(), name), nested="events")
    assert cells_of(batch.cells) == [
        {"id": 7, "events.ts": 1, "events.type": "a"},
        {"id": 7, "events.ts": 2, "events.at.page": "x"},
        {"id": 10, "events.ts": 3},
    ]
    assert batch.rows.tolist() == [1, 1, 4]
    assert [(bad.row, bad.reason, json.loads(bad.content)) for bad in batch.bad] == [
        (3, "has no list 'events'", {"id": 9, "events": None}),
        (4, "events holds no JSON object", {"id": 10, "events": [5]}),
        (5, "has no list 'events'", {"id": 11, "events": "none"}),
    ]


def test_real_sessions_of_a_shop_are_read_event_by_event(tmp_path: Path) -> None:
    text = """
    [columns]
    user = "session"
    time = "events.ts"
    event = "events.type"
    [nested]
    events = "events"
    [time]
    unit = "ms"
    """
    (tmp_path / "otto.toml").write_text(text)
    import_files([OTTO], load_mapping(tmp_path / "otto.toml"), tmp_path / "log")
    found = EventLog.open(tmp_path / "log").to_frame()
    rows = [
        (str(own["session"]), one["ts"], one["type"], one["aid"])
        for own in map(json.loads, OTTO.read_text("utf-8").splitlines())
        for one in own["events"]
    ]
    ms = found["time"].astype("datetime64[ms, UTC]").astype("int64")
    assert sorted(zip(found["user"], ms, found["event"], found["events.aid"], strict=True)) == (
        sorted(rows)
    )
    assert found["event"].value_counts().to_dict() == Counter(row[2] for row in rows)
    assert (len(rows), found["user"].nunique()) == (862, 20)
