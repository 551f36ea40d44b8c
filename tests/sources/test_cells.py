"""Cells of every type, judged by what Python says they are."""

from __future__ import annotations

import datetime as dt
import json
import math
from decimal import Decimal
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from analysis.core.schema import DataError
from analysis.eventlog.shard import number_as_text, numbers_as_text
from analysis.sources.cells import (
    NumberFormat,
    as_written,
    columns_of,
    flatten,
    id_text,
    number_cells,
    number_format,
    property_cells,
)


@given(st.floats(allow_nan=False))
def test_a_number_as_text_is_the_same_number(number: float) -> None:
    assert float(number_as_text(number)) == number


def test_a_number_beyond_what_floats_hold_is_no_integer_any_more() -> None:
    assert number_as_text(2.0**53 - 1) == "9007199254740991"
    assert number_as_text(2.0**54) == "1.8014398509481984e+16"


@given(st.lists(st.one_of(st.none(), st.floats())))
def test_numbers_as_text_by_column(numbers: list[Any]) -> None:
    wanted = [None if x is None or math.isnan(x) else number_as_text(x) for x in numbers]
    assert numbers_as_text(pa.array(numbers, pa.float64())).to_pylist() == wanted


@pytest.mark.parametrize(
    ("cells", "wanted"),
    [
        (pa.array([7, None, 2**62]), ["7", None, str(2**62)]),
        (pa.array([7.0, 1005694.5834348403, None]), ["7", "1005694.5834348403", None]),
        (pa.array(["007", "", None]), ["007", None, None]),
        (pa.array([True, False, None]), ["true", "false", None]),
        (pa.array(["a", "b", "a"]).dictionary_encode(), ["a", "b", "a"]),
        (pa.nulls(2), [None, None]),
        (pa.array([b"a"]), ["a"]),
        (pa.array([Decimal("1.50")]), ["1.50"]),
    ],
)
def test_ids_are_text(cells: Any, wanted: Any) -> None:
    assert id_text(cells, "user").to_pylist() == wanted


def test_ids_that_lost_their_digits_are_refused() -> None:
    with pytest.raises(DataError, match="'user' holds floating-point numbers beyond"):
        id_text(pa.array([1e19]), "user")


@pytest.mark.parametrize(
    ("cells", "wanted"),
    [
        (pa.array([1, 2, None]), [1.0, 2.0, None]),
        (pa.array([2**53 + 1, 5]), [str(2**53 + 1), "5"]),
        (pa.array([2**64 - 1, 5], pa.uint64()), [str(2**64 - 1), "5"]),
        (pa.array([True, None]), ["true", None]),
        (pa.array(["5", ""]), ["5", None]),
        (pa.array([Decimal("2.50")]), [2.5]),
        (pa.array([dt.date(2026, 1, 2)]), ["2026-01-02"]),
        (pa.array([dt.datetime(2026, 1, 2, 3, 4, 5)]), ["2026-01-02T03:04:05"]),
        (
            pa.array([dt.datetime(2026, 1, 2, 3, 4, 5, 60, tzinfo=dt.UTC)]),
            ["2026-01-02T03:04:05.000060Z"],
        ),
    ],
)
def test_properties_are_text_or_numbers(cells: Any, wanted: Any) -> None:
    found = property_cells(cells, "x", as_text=False).to_pylist()
    assert [None if isinstance(x, float) and math.isnan(x) else x for x in found] == wanted


def test_a_property_that_is_text_by_its_name() -> None:
    assert property_cells(pa.array([12.0, None]), "item_id", as_text=True).to_pylist() == [
        "12",
        None,
    ]


def test_bytes_that_are_no_text_are_refused() -> None:
    with pytest.raises(DataError, match="'raw' holds binary"):
        property_cells(pa.array([b"\xff"]), "raw", as_text=False)


def test_values_are_numbers_or_bad() -> None:
    numbers, bad = number_cells(pa.array(["1.5", "", None, "abc", "1e3", "inf", "1_000", "nan"]))
    assert bad.tolist() == [False, False, False, True, False, True, True, True]
    assert numbers.to_numpy()[~bad].tolist()[0::3] == [1.5, 1000.0]
    numbers, bad = number_cells(pa.array([1, None], pa.int32()))
    assert numbers.to_numpy()[0] == 1
    assert np.isnan(numbers.to_numpy()[1])
    assert not bad.any()
    assert number_cells(pa.nulls(2))[1].tolist() == [False, False]


VALUES = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(-10, 10), st.text(max_size=3)),
    lambda inner: st.one_of(
        st.lists(inner, max_size=2), st.dictionaries(st.sampled_from("ab"), inner, max_size=2)
    ),
    max_leaves=4,
)


@given(st.lists(st.dictionaries(st.sampled_from("xyz"), VALUES), max_size=5))
def test_nested_objects_become_columns(records: list[Any]) -> None:
    def text(value: Any) -> str:
        if isinstance(value, bool):
            return "true" if value else "false"
        if isinstance(value, (list, dict)):
            return json.dumps(value, ensure_ascii=False, separators=(",", ":"))
        return str(value)

    found = columns_of(records).to_pylist()
    for record, row in zip(records, found, strict=True):
        wanted: dict[str, Any] = {}
        for name, value in record.items():
            inner = value if isinstance(value, dict) else {None: value}
            wanted |= {
                name if k is None else f"{name}.{k}": text(v)
                for k, v in inner.items()
                if v is not None
            }
        assert {name: text(cell) for name, cell in row.items() if cell is not None} == wanted


def test_structures_of_parquet_become_columns() -> None:
    batch = pa.RecordBatch.from_pylist(
        [{"a": {"b": 1, "c": {"d": [1]}}, "e": ["x"]}, {"a": None, "e": None}]
    )
    assert flatten(batch).to_pylist() == [
        {"a.b": 1, "a.c": '{"d":[1]}', "e": '["x"]'},
        {"a.b": None, "a.c": None, "e": None},
    ]


def test_integers_of_any_length_are_read() -> None:
    records: list[Any] = [{"n": 10**400, "m": 2**62}, {"n": 0.5, "m": 1}]
    assert columns_of(records).to_pylist() == [
        {"n": "1" + "0" * 400, "m": 2**62},
        {"n": "0.5", "m": 1},
    ]


# ── A column becomes numbers if every cell is one; codes are told apart.


DIGITS = st.from_regex(r"-?[0-9]{1,17}(\.[0-9]{1,4})?", fullmatch=True)


def are_numbers(*batches: Any) -> Any:
    form = NumberFormat()
    for cells in batches:
        form = number_format(pa.array(cells, pa.large_string()), form)
    return form.numbers


@given(st.lists(st.one_of(st.none(), DIGITS), max_size=8))
def test_only_decimals_are_rounded(cells: list[Any]) -> None:
    texts = {cell for cell in cells if cell is not None}
    if are_numbers(cells):
        assert all(math.isclose(float(text), Decimal(text), rel_tol=1e-15) for text in texts)
        whole = {text for text in texts if "." not in text and float(text) != 0}
        assert {str(int(float(text))) for text in whole} == whole


@given(st.lists(st.floats(allow_nan=False, allow_infinity=False), min_size=1))
def test_what_python_and_pandas_write_are_numbers(numbers: list[float]) -> None:
    assert are_numbers([repr(number) for number in numbers])


@given(st.lists(st.one_of(st.none(), DIGITS), max_size=8), st.integers(0, 8))
def test_batches_do_not_matter(cells: list[Any], cut: int) -> None:
    assert are_numbers(cells) == are_numbers(cells[:cut], cells[cut:])


@pytest.mark.parametrize(
    "cells",
    [
        ["1", "20", "-3"],
        ["9.99", "10.00", None],
        ["0.5", "7"],
        ["0"],
        ["123456789012345"],
        ["0.30000000000000004", "2.0"],
        ["-0.0", "1.5"],
        ["1e-05", "0.5"],
        ["5.0", "0.125"],
        # Cells of several formats: prices as people write them.
        ["9.99", "12.50", "10"],
        ["1.10", "1.9"],
        ["5.0", "2.50", "1.125"],
        ["19.990000000000000000", "0.3000000000000000400"],
        [".5", "-.25"],
    ],
)
def test_numbers(cells: Any) -> None:
    assert are_numbers(cells)


WORDS = st.from_regex(r"-?(0|[1-9][0-9]{0,3})?[.,]?[0-9]{1,3}", fullmatch=True)


@given(st.lists(WORDS, min_size=1, max_size=9, unique_by=lambda w: float(w.replace(",", "."))))
def test_numbers_become_the_texts_that_they_were(words: list[str]) -> None:
    form = number_format(pa.array(words, pa.large_string()), NumberFormat())
    if form.numbers or form.comma_numbers:
        form = NumberFormat(*json.loads(json.dumps(form)))  # as the manifest keeps it
        numbers = [float(word.replace(",", ".")) for word in words]
        zero = {"-0", "0"}  # -0 is the number 0
        told = as_written(numbers, form)
        assert [w for w in told if w not in zero] == [w for w in words if w not in zero]


@pytest.mark.parametrize(
    "cells",
    [
        [],
        [None],
        ["007"],
        ["1234567890123456"],
        ["1e5"],
        ["+1"],
        ["inf"],
        ["1_0"],
        ["٣"],
        ["nan"],
        ["1,5"],
        [" 1"],
        ["1", "x"],
    ],
)
def test_no_numbers(cells: Any) -> None:
    assert not are_numbers(cells)
