"""Sums against exact fractions; currencies against pandas."""

from __future__ import annotations

import math
from decimal import Decimal
from fractions import Fraction

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from analysis import EventLog, UsageError
from analysis.eventlog import kernels, money
from analysis.eventlog.groups import totals

cents = st.decimals(min_value=-(10**9), max_value=10**9, places=2)
prices = st.one_of(cents, st.decimals(min_value=-1, max_value=1, places=6))


@given(st.lists(st.tuples(st.integers(0, 3), prices), max_size=60))
def test_sums_of_decimals_are_those_of_fractions(rows: list[tuple[int, Decimal]]) -> None:
    codes = np.array([code for code, _ in rows], np.int64)
    values = np.array([float(value) for _, value in rows], np.float64)
    found = money.totals_by(codes, values, 3)
    for code in range(3):  # code 3 is no group
        want = sum((Fraction(value) for own, value in rows if own == code), Fraction(0))
        assert found[code] == float(want)


@pytest.mark.parametrize(
    ("count", "value", "want"),
    [(100_000, 6e-7, 0.06), (50_000, 95e6, 4.75e12), (3, 1e-12, 3e-12), (1000, 9e14, 9e17)],
)
def test_small_and_large_values_add_up_exactly(count: int, value: float, want: float) -> None:
    log = EventLog.from_frame(
        pd.DataFrame(
            {
                "user": [f"u{i % 97}" for i in range(count)],
                "time": pd.Timestamp("2026-01-01"),
                "event": "purchase",
                "value": value,
            }
        ),
        shards=3,
    )
    assert log.summary()["value"].tolist() == [want]
    assert totals(log, "purchase").value == want
    assert log.tiny_values() == (count if value < 1e-6 else 0)


def test_the_order_of_values_and_shards_changes_no_digit() -> None:
    values = np.array([0.1] * 10 + [1e11, -1e11, 19.99, 4e-9, 8e14, -8e14])
    assert sum(values) != sum(values[::-1])
    rng = np.random.default_rng(5)
    for _ in range(20):
        own = rng.permutation(values)
        parts = [kernels.money(np.zeros(len(p), np.int8), p, 1) for p in np.array_split(own, 3)]
        assert money.amounts(money.added(parts, 1))[0] == money.total(own) == 20.990000004


def test_the_lower_half_carries_over() -> None:
    part = kernels.money(np.zeros(1000, np.int8), np.full(1000, 4294.967295), 1)
    whole = money.added([part] * 4000, 1)
    assert 0 <= whole[0, 1] < 2**32
    assert money.amounts(whole)[0] == 17_179_869_180.0


@pytest.mark.parametrize("cell", [1e15, -1e300, math.inf])
def test_what_is_too_large_to_add_is_nan(cell: float) -> None:
    found = money.totals_by(np.array([0, 0, 1], np.uint8), np.array([cell, 1.0, 2.0]), 2)
    assert math.isnan(found[0])
    assert found[1] == 2.0


def frame_in(currencies: list[str | None], values: list[float]) -> pd.DataFrame:
    return pd.DataFrame(
        {
            "user": [f"u{i}" for i in range(len(values))],
            "time": pd.Timestamp("2026-01-01"),
            "event": ["purchase"] * (len(values) - 1) + ["refund"],
            "value": values,
            "currency": currencies,
        }
    )


@pytest.mark.parametrize("shards", [1, 4])
def test_currencies_are_those_of_the_rows_with_a_value(shards: int) -> None:
    frame = frame_in(["EUR", "JPY", None, "USD", "SEK"], [1.0, 2.0, 3.0, math.nan, 5.0])
    log = EventLog.from_frame(frame, shards=shards)
    table = log.summary().set_index("event")
    assert table.loc["purchase", "currency"] == "EUR, JPY"
    assert math.isnan(table["value"]["purchase"])
    assert table.loc["refund", "currency"] == "SEK"
    assert table.loc["refund", "value"] == 5.0
    euros = log.where(currency="EUR").summary()
    assert euros[["value", "currency"]].to_numpy().tolist() == [[1.0, "EUR"]]


def test_a_question_about_two_currencies_is_refused() -> None:
    with pytest.raises(UsageError, match=r"several currencies \(EUR and JPY\).*log.where"):
        money.refuse_mixed("segment", "value", ["EUR", "JPY"])
