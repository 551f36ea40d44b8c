"""Orders and shares of converters, against plain Python."""

from __future__ import annotations

import itertools
import math
from collections import Counter

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from statsmodels.stats.proportion import proportion_confint

from analysis.funnels import funnel_orders

matrices = st.integers(1, 4).flatmap(
    lambda wide: (
        st.lists(st.lists(st.integers(-1, 6), min_size=wide, max_size=wide), max_size=20)
        .filter(bool)
        .map(lambda rows: np.array(rows, np.int64))
    )
)


@given(matrices)
def test_orders_are_those_that_sorting_each_row_gives(lead):
    counted = Counter(
        tuple(sorted(range(len(row)), key=lambda i: (-row[i], i)))
        for row in lead.tolist()
        if min(row) >= 0
    )
    expected = sorted(counted.items(), key=lambda item: (-item[1], item[0]))
    assert [(order.columns, order.k) for order in funnel_orders.common_orders(lead)] == expected


def test_fifteen_columns_fit_into_one_number():
    forward = np.arange(15)[::-1]
    found = funnel_orders.common_orders(np.array([forward, forward, forward[::-1]]))
    assert [(order.columns, order.k) for order in found] == [
        (tuple(range(15)), 2),
        (tuple(reversed(range(15))), 1),
    ]


@given(matrices)
def test_the_numbers_of_the_steps(lead):
    table = funnel_orders.step_numbers(lead)
    for i, row in enumerate(table.itertuples()):
        own = [r for r in lead.tolist() if r[i] >= 0]
        assert (row.k, row.n) == (len(own), len(lead))
        places = [1 + sum(other > r[i] for other in r) for r in own]
        seconds = [r[i] / 1e6 for r in own]
        for shown, values in (
            (row.median_position, places),
            (row.median_seconds_before, seconds),
        ):
            assert shown == pytest.approx(np.median(values)) if values else math.isnan(shown)
        if i == 0:
            assert math.isnan(row.k_after)
            continue
        both = [r for r in own if r[i - 1] >= 0]
        after = sum(r[i] <= r[i - 1] for r in both)
        assert (row.k_after, row.n_after) == (after, len(both))
        if both:
            limits = proportion_confint(after, len(both), method="wilson")
            assert (row.after_low, row.after_high) == pytest.approx(limits, abs=1e-12)


@given(matrices)
def test_by_median_goes_from_the_longest_time_to_the_shortest(lead):
    frame = pd.DataFrame(lead).where(lambda cells: cells >= 0)
    middle = frame.median().fillna(-1).tolist()
    order = funnel_orders.by_median(lead)
    assert sorted(order) == list(range(lead.shape[1]))
    assert all(middle[a] >= middle[b] for a, b in itertools.pairwise(order))


def test_no_column_has_no_order():
    nothing = np.empty((3, 0), np.int64)
    assert funnel_orders.common_orders(nothing) == []
    assert funnel_orders.by_median(nothing) == ()
    assert len(funnel_orders.step_numbers(nothing)) == 0
