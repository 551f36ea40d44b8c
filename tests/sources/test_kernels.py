"""The loops over bytes, judged by Python's own csv and json modules."""

from __future__ import annotations

import csv
import io
import json
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from analysis.sources import kernels

TEXT = st.text(st.sampled_from("ab\",\n '\\[{}]"), max_size=6)
ROWS = st.lists(st.lists(TEXT, min_size=3, max_size=3), min_size=1, max_size=5)


def array(text: str | bytes) -> np.ndarray:
    return np.frombuffer(text.encode() if isinstance(text, str) else text, np.uint8)


def quoted(text: str, cells: int, *, whole: bool = True) -> tuple[str, int, int]:
    out = np.empty(4 * len(text) + 4, np.uint8)
    read, written, state = kernels.well_quoted(array(text), ord(","), cells, whole, False, out)
    return bytes(out[:written]).decode(), read, state


@given(ROWS)
def test_what_is_well_quoted_stays_as_it_is(rows: list[list[str]]) -> None:
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows(rows)
    content = text.getvalue()
    assert quoted(content, 3) == (content, len(content), kernels.FINE)
    none = np.empty(0, np.uint8)
    found = kernels.well_quoted(array(content), ord(","), 3, True, False, none)
    assert found == (len(content), 0, kernels.FINE)
    stop, cells = kernels.first_record(array(content), ord(","), True)
    assert next(csv.reader(io.StringIO(content[:stop]))) == rows[0]
    assert cells == 3


@given(st.lists(st.text(st.sampled_from('a",\n\\'), max_size=9), max_size=6))
def test_what_is_written_is_well_quoted(lines: list[str]) -> None:
    """Whatever the quotes: the csv module reads it strictly, and a second walk changes nothing."""
    content = "\n".join(lines)
    found, read, state = quoted(content, 2)
    assert read == len(content) or state == kernels.UNCLOSED
    list(csv.reader(io.StringIO(found), strict=True))
    assert quoted(found, 2) == (found, len(found), kernels.FINE)


@pytest.mark.parametrize(
    ("text", "whole", "found"),
    [
        ('a,"b\n', True, ("", 0, kernels.UNCLOSED)),
        ('x,y\na,"b', True, ("x,y\n", 4, kernels.UNCLOSED)),
        ("x,y\na,b", False, ("x,y\n", 4, kernels.FINE)),
        ('x,y\na,"b"', False, ("x,y\n", 4, kernels.UNCLOSED)),
        ('a,"b" c\n', True, ('a,"""b"" c"\n', 8, kernels.FINE)),
        ('a,"\\"b\\""\n', True, ('a,"""b"""\n', 10, kernels.FINE)),
    ],
)
def test_where_records_end(text: str, whole: bool, found: Any) -> None:
    assert quoted(text, 2, whole=whole) == found
    none = np.empty(0, np.uint8)
    read, _, state = kernels.well_quoted(array(text), ord(","), 2, whole, False, none)
    assert (state == kernels.IRREGULAR) == (found[0] != text[: found[1]])
    assert read == found[1] or state == kernels.IRREGULAR


VALUES = st.recursive(
    TEXT | st.integers(),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(TEXT, inner, max_size=2),
    max_leaves=8,
)


def depth(value: Any) -> int:
    inner = value.values() if isinstance(value, dict) else value
    nests = isinstance(value, dict | list)
    return 1 + max(map(depth, inner), default=0) if nests else 0


@given(VALUES, st.sampled_from([None, 1]))
def test_depth_of_json(value: Any, indent: int | None) -> None:
    assert kernels.deepest(array(json.dumps(value, indent=indent))) == depth(value)


def test_broken_lines_hide_no_depth() -> None:
    assert kernels.deepest(array('{"a": "[[[\n[[[[')) == 1 + 4
    assert kernels.deepest(array("]]]]\n[[")) == 2
