"""How numbers are written: never more certain than they are, and the same everywhere."""

from __future__ import annotations

from typing import Any

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from analysis.core import wording

NAN = float("nan")


@given(st.floats(0, 1))
def test_only_all_and_nothing_are_0_and_100_percent(rate: float) -> None:
    written = wording.percent(rate)
    assert (written == "0%") == (rate == 0)
    assert (written == "100%") == (rate == 1)
    assert written not in {"0.0%", "0.00%", "100.0%"}


@given(st.floats(-1, 1))
def test_a_change_has_a_sign_where_it_has_a_digit(change: float) -> None:
    for written in (wording.points(change), wording.relative(change)):
        assert "-" not in written
        shown = any(digit in written for digit in "123456789")
        assert shown == written.startswith(("−", "+"))


def test_undefined_is_never_a_number() -> None:
    write = [wording.percent, wording.count, wording.points, wording.relative, wording.times]
    assert {one(NAN) for one in [*write, wording.significance]} == {wording.UNDEFINED}


@given(st.floats(0, 1))
def test_a_p_value_is_never_zero(p: float) -> None:
    assert float(wording.significance(p).removeprefix("below ")) > 0
    assert wording.q_equals(p).startswith("q < 0.001" if p < 0.001 else "q = ")


@given(st.dates(), st.integers(1, 40))
def test_days_name_the_first_and_the_last(first: Any, length: int) -> None:
    if first.toordinal() + length > 3_000_000:
        return
    start = pd.Timestamp(first)
    written = wording.days(start, start + pd.Timedelta(length, "D"))
    last = start + pd.Timedelta(length - 1, "D")
    assert written.startswith(str(start.day))
    assert written.endswith(wording.day(last, year=True))
    assert (" to " in written) == (length > 1)


@pytest.mark.parametrize("names", [[], ["a"], ["a", "b"], ["a", "b", "c"]])
def test_lists_join_all_names(names: Any) -> None:
    assert wording.listed(names).replace(" and ", ", ").split(", ") == (names or [""])
