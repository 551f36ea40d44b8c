"""A column becomes numbers only if no two of its texts would be the same number."""

from __future__ import annotations

from decimal import Decimal

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from analysis.sources.plain_numbers import Look, look_at

DIGITS = st.from_regex(r"-?[0-9]{1,17}(\.[0-9]{1,4})?", fullmatch=True)


def are_numbers(*batches):
    look = Look()
    for cells in batches:
        look = look_at(pa.array(cells, pa.large_string()), look)
    return look.numbers


@given(st.lists(st.one_of(st.none(), DIGITS), max_size=8))
def test_numbers_lose_nothing(cells):
    texts = {cell for cell in cells if cell is not None and float(cell) != 0}
    if are_numbers(cells):
        assert len({float(text) for text in texts}) == len(texts)
        assert all(Decimal(text) == Decimal(repr(float(text))) for text in texts)


@given(st.lists(st.floats(allow_nan=False, allow_infinity=False), min_size=1))
def test_what_python_and_pandas_write_are_numbers(numbers):
    assert are_numbers([repr(number) for number in numbers])


@given(st.lists(st.one_of(st.none(), DIGITS), max_size=8), st.integers(0, 8))
def test_batches_do_not_matter(cells, cut):
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
    ],
)
def test_numbers(cells):
    assert are_numbers(cells)


@pytest.mark.parametrize(
    "cells",
    [
        [],
        [None],
        ["007"],
        ["1.10", "1.9"],
        ["1234567890123456"],
        ["1e5"],
        ["+1"],
        ["5", "2.0", "2.5"],
        ["5.0", "2.50", "1.125"],
        ["0.3000000000000000400"],
        ["inf"],
        ["1_0"],
        ["٣"],
        ["nan"],
        ["1,5"],
        [" 1"],
        ["1", "x"],
    ],
)
def test_no_numbers(cells):
    assert not are_numbers(cells)
