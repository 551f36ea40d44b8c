"""Quotes: no row is swallowed, and what is well quoted is read as the csv module reads it."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from analysis.core.schema import DataError
from analysis.sources import readers
from analysis.sources.files import expand
from analysis.sources.readers import read


def file_of(folder: Path, content: str | bytes, name: str = "x.csv") -> Any:
    path = folder / name
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return expand([path])[0]


def rows_of(file: Any) -> tuple[list[list[str | None]], list[Any]]:
    batches = list(read(file))
    rows = [list(row.values()) for batch in batches for row in batch.cells.to_pylist()]
    return rows, [bad for batch in batches for bad in batch.bad]


def table_of(titles: list[str], sign: str = "\t") -> str:
    lines = [f"u{n}{sign}2026-01-01T00:{n % 60:02d}Z{sign}{t}" for n, t in enumerate(titles)]
    return "\n".join([f"user{sign}time{sign}title", *lines, ""])


def test_a_quote_at_a_titles_start_and_one_in_another_swallow_no_row(tmp_path: Path) -> None:
    titles = ["a", '"Big', "b", "c", 'the "best"', "d", "e"]
    rows, bad = rows_of(file_of(tmp_path, table_of(titles), "x.tsv"))
    assert [row[2] for row in rows] == titles
    assert not bad


@pytest.mark.parametrize("apart", [1, 3, 700, 30_000])
def test_a_quote_at_a_titles_start_and_one_at_anothers_end_swallow_no_row(
    tmp_path: Path, apart: int
) -> None:
    titles = ["a", '"Big', *["b"] * (apart - 1), 'best"', "c", '"fine, and quoted"', "d"]
    rows, bad = rows_of(file_of(tmp_path, table_of(titles), "x.tsv"))
    assert [row[2] for row in rows] == [*titles[:-2], "fine, and quoted", "d"]
    assert not bad


def test_some_ragged_rows_do_not_hide_a_swallowed_stretch(tmp_path: Path) -> None:
    titles = ['"Big', *["b"] * 50, "one\tcell more", *["c"] * 50, 'best"']
    rows, bad = rows_of(file_of(tmp_path, table_of(titles), "x.tsv"))
    assert len(rows) == 102
    assert [(record.row, record.reason) for record in bad] == [
        (53, "has 4 cells, the header has 3")
    ]


@pytest.mark.parametrize("block", [None, 1_000])
def test_a_quote_that_is_never_closed_is_text_where_lines_are_records(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, block: int | None
) -> None:
    if block:
        monkeypatch.setattr(readers, "CSV_BLOCK", block)
    titles = ["a", '" inch', *["b"] * 500, '"', "c"]
    file = file_of(tmp_path, table_of(titles) + "u\t2026-01-01T00:00Z\tend")
    rows, bad = rows_of(file)
    assert [row[2] for row in rows] == [*titles, "end"]
    assert not bad
    with pytest.raises(DataError, match=r"in record 2 (is never|that is not) closed"):
        rows_of(file_of(tmp_path, 'user,time,title\nu,2026,"' + "text\n" * 2_000))


@pytest.mark.parametrize(
    ("line", "cells"),
    [
        ('1,"Best" deal,x', ["1", '"Best" deal', "x"]),
        ('1,"Best, really" deal,x', ["1", '"Best, really" deal', "x"]),
        ('1,"5"" x 7"", red" frame,x', ["1", '"5"" x 7"", red" frame', "x"]),
        ('1,"the "best" deal",x', ["1", '"the "best" deal"', "x"]),
        ('1,5" screen,x', ["1", '5" screen', "x"]),
        ('1,"a ""b"" c",x', ["1", 'a "b" c', "x"]),
        ('1,"",x', ["1", None, "x"]),
        ('1,"""",x', ["1", '"', "x"]),
        ('1,"a" ,x', ["1", '"a" ', "x"]),
        (r'1,"{\"a\":\"b\",\"c\":[1,2]}",x', ["1", '{"a":"b","c":[1,2]}', "x"]),
        (r'1,"{\"a\":\"say \\\"no\\\"\"}",x', ["1", r'{"a":"say \"no\""}', "x"]),
        (r'1,"size 5\", wide",x', ["1", 'size 5", wide', "x"]),
        (r'1,"C:\temp\",x', ["1", "C:\\temp\\", "x"]),
        ('1,"a\nb\nc",x', ["1", "a\nb\nc", "x"]),
    ],
)
def test_one_record_at_a_time(tmp_path: Path, line: str, cells: list[str | None]) -> None:
    for end in ("\n", ""):
        rows, bad = rows_of(file_of(tmp_path, f"a,b,c\n0,0,0\n{line}\n9,9,9{end}"))
        assert [cell for row in rows for cell in row] == ["0", "0", "0", *cells, "9", "9", "9"]
        assert not bad


def test_a_stray_quote_in_a_cell_with_a_delimiter_costs_that_record_alone(tmp_path: Path) -> None:
    content = 'a,b,c\n1,"the "best", really",x\n2,y,z\n'
    rows, bad = rows_of(file_of(tmp_path, content))
    assert rows == [["2", "y", "z"]]
    assert [(record.row, record.reason) for record in bad] == [(2, "has 4 cells, the header has 3")]


def test_a_text_of_many_lines_is_one_cell(tmp_path: Path) -> None:
    note = "\n".join(f"line {n}, of many, with commas" for n in range(3_000))
    rows = [["u1", "2026-01-01T00:00Z", note], ["u2", "2026-01-02T00:00Z", "short"]]
    text = io.StringIO()
    csv.writer(text).writerows([["user", "time", "note"], *rows])
    assert rows_of(file_of(tmp_path, text.getvalue())) == (
        [[cell.replace("\r\n", "\n") for cell in row] for row in rows],
        [],
    )


TEXT = st.text(st.sampled_from("a\"',;\t\n\\ é0{}:"), max_size=9)


@given(
    st.lists(st.tuples(TEXT, TEXT, TEXT), min_size=1, max_size=8),
    st.sampled_from(",;\t"),
    st.sampled_from([csv.QUOTE_MINIMAL, csv.QUOTE_ALL]),
    st.sampled_from([24, 1 << 20]),
)
def test_what_is_well_quoted_is_read_as_pandas_reads_it(
    tmp_path_factory: pytest.TempPathFactory,
    rows: list[tuple[str, str, str]],
    delimiter: str,
    quoting: Any,
    block: int,
) -> None:
    text = io.StringIO(newline="")
    writer = csv.writer(text, delimiter=delimiter, lineterminator="\n", quoting=quoting)
    writer.writerows([("x", "y", "z"), *rows])
    content = text.getvalue()
    frame = pd.read_csv(io.StringIO(content), sep=delimiter, dtype=str, keep_default_na=False)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(readers, "CSV_BLOCK", block)
        found, bad = rows_of(file_of(tmp_path_factory.mktemp("csv"), content))
    assert [[cell or "" for cell in row] for row in found] == frame.to_numpy().tolist()
    assert not bad


JSON = st.recursive(
    st.one_of(st.integers(0, 99), TEXT),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(TEXT, inner, max_size=2),
    max_leaves=4,
)


@given(st.lists(st.dictionaries(TEXT, JSON, max_size=3), min_size=1, max_size=6))
def test_json_is_read_as_spark_writes_it(
    tmp_path_factory: pytest.TempPathFactory, objects: list[Any]
) -> None:
    texts = [json.dumps({"key": of}) for of in objects]
    lines = [
        f'{n},"{text}",end'.replace("\\", "\\\\").replace('"', '\\"').replace(',\\"', ',"', 1)
        for n, text in enumerate(texts)
    ]
    lines = ['"'.join(line.rsplit('\\"', 1)) for line in lines]
    found, bad = rows_of(
        file_of(tmp_path_factory.mktemp("spark"), "\n".join(["id,json,last", *lines]))
    )
    assert [row[1] for row in found] == texts
    assert not bad


@given(st.lists(st.text(st.sampled_from('a",\n\\'), max_size=12), max_size=8), st.booleans())
def test_any_quotes_end_in_rows_or_in_an_error_whatever_the_blocks(
    tmp_path_factory: pytest.TempPathFactory, lines: list[str], ends: bool
) -> None:
    content = "\n".join(["a,b,c", *lines]) + "\n" * ends
    file = file_of(tmp_path_factory.mktemp("any"), content)

    def outcome() -> Any:
        try:
            return rows_of(file)
        except DataError as error:
            return "closed" in str(error)

    whole = outcome()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(readers, "CSV_BLOCK", 48)
        assert outcome() == whole
    assert whole  # an error says which record it is
