"""Points with intervals: differences on one scale around 0, ratios on one around 1."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from analysis.plotting.intervals import (
    Block,
    Mark,
    Row,
    forest,
    rate_differences,
    share_differences,
    step_changes,
)
from analysis.plotting.theme import DOWN, PALETTE, REST, UP
from analysis.statistics.rates import newcombe, wilson


def table(k_a: int, k_b: int) -> pd.DataFrame:
    """One difference of 70 and 80 people, with the columns of all three drawings."""
    found = newcombe(k_a, 70, k_b, 80)
    row: dict[str, Any] = {"k_a": k_a, "n_a": 70, "rate_a": k_a / 70}
    row |= {"k_b": k_b, "n_b": 80, "rate_b": k_b / 80, "difference": float(found.estimate)}
    row |= {"low": float(found.low), "high": float(found.high), "q_value": 0.01}
    row |= {"kind": "event", "name": "buy", "value": "", "unit": "share", "group": "all"}
    row |= {"step": 2, "event": "buy", "from_event": "see", "denominator": "from previous"}
    row |= {"k": k_a, "n": 70, "rate": k_a / 70, "previous_k": k_b, "previous_n": 80}
    row |= {"previous": k_b / 80, "change": row["difference"], "change_low": row["low"]}
    row |= {"change_high": row["high"], "clear": bool(found.low > 0 or found.high < 0)}
    return pd.DataFrame([row])


DRAWINGS = [step_changes, share_differences, rate_differences]


@given(st.integers(0, 70), st.integers(0, 80))
def test_all_draw_a_difference_alike(k_a: int, k_b: int) -> None:
    rows = table(k_a, k_b)
    figures = [draw(rows) for draw in DRAWINGS]
    for figure in figures:
        line, dots = figure.data
        assert list(line.x) == pytest.approx([rows["low"][0], rows["high"][0]], abs=1e-5)
        assert list(dots.x) == pytest.approx([k_a / 70 - k_b / 80], abs=1e-5)
        low, high = figure.layout.xaxis.range
        assert low == -high
        assert low < line.x[0] <= line.x[1] < high
        assert 0 in figure.layout.xaxis.tickvals
        assert (dots.marker.symbol[0] == "circle") == rows["clear"][0]
    assert len({figure.layout.xaxis.range for figure in figures}) == 1


def test_colors_say_better_and_worse_of_one_funnel_and_which_of_two_groups() -> None:
    colors = [
        [draw(table(*ks)).data[-1].marker.color[0] for draw in DRAWINGS]
        for ks in ((60, 20), (10, 70), (40, 45))
    ]
    assert colors == [[UP, UP, PALETTE[0]], [DOWN, DOWN, PALETTE[1]], [REST] * 3]


def test_a_step_that_a_group_lacks_leaves_its_place_empty() -> None:
    rows = pd.concat([table(60, 20)] * 3, ignore_index=True)
    rows["group"], rows["step"] = ["a", "a", "b"], [2, 3, 3]
    figure = step_changes(rows)
    heights = list(figure.data[-1].y)
    assert len(set(heights)) == 3
    assert len(figure.layout.yaxis.tickvals) == 4


def test_what_is_about_too_few_is_drawn_hollow_and_said() -> None:
    rows = pd.concat([table(60, 20)] * 2, ignore_index=True)
    rows.loc[1, ["k", "rate", "change", "change_low", "change_high"]] = np.nan
    rows["clear"], rows["step"] = [True, False], [2, 3]
    figure = step_changes(rows)
    assert figure.data[-1].x[1] is None
    assert "too few people to show" in figure.layout.meta["alt"]
    assert "too few" in [note.text for note in figure.layout.annotations]


@given(st.floats(-6, 6), st.floats(0.01, 4))
def test_a_ratio_stays_on_its_scale_of_factors(log_ratio: float, half: float) -> None:
    low, high = math.exp(log_ratio - half), math.exp(log_ratio + half)
    mark = Mark(math.exp(log_ratio), low, high, PALETTE[0], ["buy"])
    figure = forest([Block("Buy", [Row("", [mark], "")])], axis="odds ratio", alt="")
    left, right = figure.layout.xaxis.range
    line, dot = figure.data
    assert left < 0 < right
    assert left - 1e-5 <= line.x[0] <= dot.x[0] <= line.x[1] <= right + 1e-5
    assert "1" in figure.layout.xaxis.ticktext


def test_several_ratios_of_a_row_are_a_cloud_without_intervals() -> None:
    low, high = map(float, wilson(8, 40))
    marks = [Mark(ratio, low, high, REST, ["buy"]) for ratio in (0.9, 1.1, math.nan)]
    figure = forest([Block("Buy", [Row("controls", marks, "")])], axis="", alt="")
    assert len(figure.data) == 1
    assert len(figure.data[0].x) == 2
    nothing = forest([], axis="", alt="", nothing="No controls.")
    assert nothing.layout.meta["alt"] == "No controls."
