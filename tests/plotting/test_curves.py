"""Conversion curves: what is drawn, written beneath, dotted, hollow, and said in words."""

from __future__ import annotations

import json
import math
from typing import Any

import numpy as np
import pandas as pd
import pytest

from analysis.core.wording import axis_ticks
from analysis.plotting.curves import conversion_curves

EVIL = "<b>bold</b> & <script>"


def rows(group: Any, days: list[float], rates: list[float], **more: Any) -> pd.DataFrame:
    n = 1000
    rate = np.array(rates)
    columns = {
        "elapsed_days": days,
        "rate": rate,
        "low": rate - 0.01,
        "high": rate + 0.01,
        "at_risk": n - np.arange(len(days)) * 100,
        "converted": (rate * n).round(),
        "followed": n - np.arange(len(days)) * 90,
        "n": n,
    }
    return pd.DataFrame({"group": [group] * len(days), **columns, **more})


@pytest.fixture
def two() -> pd.DataFrame:
    one = rows("mobile", [0.0, 1.0, 10.0, 20.0, 30.0], [0.0, 0.1, 0.15, 0.2, 0.2])
    return pd.concat(
        [one, rows("desktop", [0.0, 2.0, 10.0, 20.0, 30.0], [0.0, 0.05, 0.1, 0.1, 0.12])]
    )


def lines(figure: Any) -> list[Any]:
    return [trace for trace in figure.data if trace.line.shape == "hv"]


def test_a_step_and_a_band_per_group(two: pd.DataFrame) -> None:
    figure = conversion_curves(two)
    assert [line.name for line in lines(figure)] == ["mobile", "desktop"]
    assert list(lines(figure)[0].x) == [0, 1, 10, 20, 30]
    assert list(lines(figure)[0].y) == [0, 0.1, 0.15, 0.2, 0.2]
    band = next(trace for trace in figure.data if trace.fill == "toself")
    # Along the upper limit and back along the lower one, each step level until the next.
    assert list(band.x[:4]) == [0, 1, 1, 10]
    assert list(band.y[:4]) == pytest.approx([0.01, 0.01, 0.11, 0.11])
    assert len(band.x) == len(band.y)


def test_the_users_at_risk_stand_beneath_the_axis(two: pd.DataFrame) -> None:
    figure = conversion_curves(two)
    (table,) = (trace for trace in figure.data if trace.yaxis == "y2")
    assert list(table.x) == [0, 10, 20, 30] * 2
    assert list(table.text) == ["1,000", "800", "700", "600"] * 2
    assert list(figure.layout.yaxis2.ticktext) == ["mobile", "desktop"]
    assert figure.layout.xaxis.ticktext[-1] == "30 days"
    assert figure.layout.yaxis.domain[0] > figure.layout.yaxis2.domain[1]


def test_the_rate_is_written_at_the_end_and_n_in_the_hover(two: pd.DataFrame) -> None:
    figure = conversion_curves(two)
    ends = [trace for trace in figure.data if trace.mode == "markers+text"]
    assert [end.text[1] for end in ends] == [
        "&nbsp;&nbsp;<b>20.0%</b> mobile",
        "&nbsp;&nbsp;<b>12.0%</b> desktop",
    ]
    assert all(end.marker.symbol == "circle" for end in ends)
    for line in lines(figure):
        assert all("of 1,000 users converted" in text for text in line.hovertext)
        assert all("95% interval" in text for text in line.hovertext)
        assert all("at risk" in text for text in line.hovertext)


def test_ends_that_meet_are_written_apart() -> None:
    table = pd.concat([rows(name, [0.0, 30.0], [0.0, 0.2]) for name in "abcdef"])
    ends = [t for t in conversion_curves(table).data if t.mode == "markers+text"]
    heights = sorted(end.y[1] for end in ends)
    upper = conversion_curves(table).layout.yaxis.range[1]
    assert min(np.diff(heights)) > upper / 20
    assert {end.y[0] for end in ends} == {0.2}


def test_where_few_are_followed_the_curve_is_dotted() -> None:
    table = rows("all", [0.0, 10.0, 20.0, 30.0], [0.0, 0.1, 0.2, 0.3])
    table["followed"] = [1000, 500, 99, 40]
    solid, dotted = lines(conversion_curves(table))
    assert (solid.line.dash, dotted.line.dash) == ("solid", "dot")
    # They meet: no gap, and no step drawn twice.
    assert list(solid.x) == [0, 10]
    assert list(dotted.x) == [10, 20, 30]


def test_a_curve_that_ends_early_ends_in_a_hollow_point() -> None:
    table = pd.concat([rows("old", [0.0, 30.0], [0, 0.2]), rows("new", [0.0, 8.0], [0, 0.1])])
    figure = conversion_curves(table)
    ends = {t.text[1]: t for t in figure.data if t.mode == "markers+text"}
    symbols = {text.rpartition(" ")[2]: end.marker.symbol for text, end in ends.items()}
    assert symbols == {"old": "circle", "new": "circle-open"}
    (beneath,) = (trace for trace in figure.data if trace.yaxis == "y2")
    assert list(beneath.text)[4:] == ["1,000", "0", "0", "0"]


@pytest.mark.parametrize(
    ("days", "expected"),
    [
        (30, [0, 10, 20, 30]),
        (90, [0, 30, 60, 90]),
        (1, [0, 8 / 24, 16 / 24, 1]),
        (1 / 24, [0, 20 / 1440, 40 / 1440, 60 / 1440]),
        (2000, [0, 1000, 2000]),
    ],
)
def test_few_round_ticks(days: float, expected: list[float]) -> None:
    assert axis_ticks(days) == pytest.approx(expected)


def test_an_axis_of_hours_and_of_minutes() -> None:
    hours = conversion_curves(rows("all", [0.0, 0.5, 1.0], [0, 0.1, 0.2]), horizon_days=1.0)
    assert hours.layout.xaxis.ticktext == ("0", "8", "16", "24 hours")
    assert lines(hours)[0].x == (0, 12, 24)
    minutes = conversion_curves(rows("all", [0.0, 1 / 48], [0, 0.1]), horizon_days=1 / 48)
    assert minutes.layout.xaxis.ticktext == ("0", "10", "20", "30 minutes")


def test_nothing_from_the_data_gets_through() -> None:
    figure = conversion_curves(rows(EVIL, [0.0, 30.0], [0, 0.1]), title=EVIL)
    said = json.dumps([json.loads(figure.to_json())[part] for part in ("data", "layout")])
    without_alt = said.replace(json.dumps(figure.layout.meta["alt"])[1:-1], "")
    assert "<script>" not in without_alt
    assert "<b>bold" not in without_alt


def test_what_cannot_be_drawn_says_why() -> None:
    unknown = rows("all", [0.0], [math.nan])
    assert conversion_curves(unknown).layout.meta["alt"] == "There is no rate to show."
    nobody = unknown.assign(n=0)
    assert "Nobody started" in conversion_curves(nobody).layout.meta["alt"]
    assert "Nobody started" in conversion_curves(unknown[:0]).layout.meta["alt"]


def test_a_group_without_a_rate_is_named_and_not_drawn() -> None:
    hidden = rows("few", [0.0, 30.0], [math.nan, math.nan])
    figure = conversion_curves(pd.concat([rows("many", [0.0, 30.0], [0, 0.1]), hidden]))
    assert [line.name for line in lines(figure)] == ["many"]
    assert "few: no rate to show." in figure.layout.meta["alt"]
    assert "NaN" not in figure.to_json()


def test_beyond_six_groups_it_says_that_there_are_more() -> None:
    table = pd.concat([rows(f"g{i}", [0.0, 30.0], [0, i / 100]) for i in range(8)])
    figure = conversion_curves(table)
    assert len(lines(figure)) == 6
    assert "The 6 largest of 8 groups." in figure.layout.meta["alt"]


def test_the_median_of_converters_is_a_diamond_on_the_curve(two: pd.DataFrame) -> None:
    halves = pd.DataFrame(
        {
            "group": ["all", "mobile", "desktop"],
            "days": [3.0, 1.0, math.nan],
            "days_low": [2.0, 0.5, math.nan],
            "days_high": [4.0, math.nan, math.nan],
            "converted": [300, 200, 100],
        }
    )
    figure = conversion_curves(two, medians=halves)
    (diamond,) = (t for t in figure.data if t.marker.symbol == "diamond")
    assert (diamond.x, diamond.y) == ((1,), (0.1,))
    assert (diamond.error_x.arrayminus, diamond.error_x.array) == ((0.5,), (None,))
    said = "Half of those who convert: within 24 h, 95% interval 12 h to n/a, 200 conversions."
    assert said in figure.layout.meta["alt"]
