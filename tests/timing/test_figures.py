"""Ranges of waits and bars of sessions: the numbers on them, the scale, and what is missing."""

from __future__ import annotations

import json
import math
from typing import Any

import pandas as pd
import pytest

from analysis.timing.figures import session_bars, wait_ranges

EVIL = "<b>bold</b> & <script>"


def waits(group: Any, days: tuple[float, float, float], **more: Any) -> pd.DataFrame:
    table = pd.DataFrame({"quantile": [0.25, 0.5, 0.75], "days": days})
    table["group"] = [group] * 3
    columns = {"origin": "start", "converted": 90, "n": 900, **more}
    return table.assign(days_low=table["days"] * 0.8, days_high=table["days"] * 1.5, **columns)


def sessions(group: Any, k: list[float]) -> pd.DataFrame:
    n = sum(k)
    table = pd.DataFrame({"session": ["1", "2", "3", "4+"], "k": k, "n": n})
    table["group"] = [group] * 4
    rate = table["k"] / n if n else table["k"] * math.nan
    return table.assign(rate=rate, low=rate * 0.8, high=rate * 1.1)


def texts(figure: Any) -> list[str]:
    return [note.text for note in figure.layout.annotations]


def test_a_bar_of_the_middle_half_and_a_point_with_its_interval() -> None:
    figure = wait_ranges(waits("all", (0.1, 1.0, 5.0)))
    bar, dot = figure.data
    assert list(bar.x) == [0.1, 5.0]
    assert list(dot.x) == [1.0]
    assert dot.error_x.array[0] == pytest.approx(0.5)
    assert dot.error_x.arrayminus[0] == pytest.approx(0.2)
    assert figure.layout.xaxis.type == "log"
    assert "24 h · 90" in texts(figure)
    assert "90 conversions of 900 users" in dot.hovertext[0]


def test_groups_and_the_first_touch_stand_apart() -> None:
    table = pd.concat(
        [
            waits("mobile", (0.1, 1.0, 5.0)),
            waits("desktop", (0.2, 2.0, 6.0)),
            waits("all", (1.0, 3.0, 9.0), origin="first_touch"),
        ]
    )
    figure = wait_ranges(table)
    assert {"<b>from the start</b>", "<b>from the first touch</b>"} <= set(texts(figure))
    heights = [trace.y[0] for trace in figure.data if trace.mode == "markers"]
    assert heights == sorted(heights)
    assert heights[2] - heights[1] > heights[1] - heights[0]
    assert list(figure.layout.yaxis.ticktext) == ["mobile", "desktop", ""]
    assert "desktop, from the start: a quarter within 4.8 h" in figure.layout.meta["alt"]


def test_an_interval_that_is_open_or_missing_is_not_drawn() -> None:
    table = waits("all", (0.1, 1.0, 5.0)).assign(days_high=math.nan)
    figure = wait_ranges(table)
    assert figure.data[1].error_x.array == (None,)
    assert "NaN" not in figure.to_json()
    assert "to n/a" in figure.data[1].hovertext[0]


def test_a_wait_of_no_time_has_a_place_on_an_axis_of_factors() -> None:
    figure = wait_ranges(waits("all", (0.0, 0.0, 1.0)))
    assert figure.data[0].x[0] > 0
    assert all(math.isfinite(end) for end in figure.layout.xaxis.range)
    assert "half within 0 s" in figure.layout.meta["alt"]


def test_a_group_with_too_few_is_named() -> None:
    table = pd.concat([waits("mobile", (0.1, 1.0, 5.0)), waits("tablet", (math.nan,) * 3)])
    figure = wait_ranges(table)
    assert "too few" in texts(figure)
    assert "tablet, from the start: too few people to show." in figure.layout.meta["alt"]
    assert "NaN" not in figure.to_json()
    nobody = wait_ranges(waits("all", (math.nan,) * 3), macro=EVIL)
    assert nobody.layout.meta["alt"] == f"Too few reach {EVIL} to tell how long they take."


def test_a_bar_per_session_and_group_with_its_count() -> None:
    figure = session_bars(pd.concat([sessions("a", [60, 20, 12, 8]), sessions("b", [1, 1, 1, 1])]))
    assert list(figure.data[0].x) == [0.6, 0.2, 0.12, 0.08]
    assert figure.data[1].text[0].endswith("60.0% · 60")
    assert "<b>4th session or later</b>" in texts(figure)
    assert "a, 1st session: 60.0% (60 of 100) of conversions." in figure.layout.meta["alt"]
    assert "95% interval" in figure.data[0].hovertext[0]


def test_hidden_counts_are_said_to_be_hidden() -> None:
    table = sessions("all", [60, 20, 12, 8])
    table.loc[3, ["k", "rate", "low", "high"]] = math.nan
    figure = session_bars(table)
    assert figure.data[1].text[3].endswith("too few people to show")
    assert "NaN" not in figure.to_json()
    nobody = session_bars(sessions("all", [0, 0, 0, 0]))
    assert nobody.layout.meta["alt"].startswith("Nobody whose horizon is over has converted, or")


def test_nothing_from_the_data_gets_through() -> None:
    for figure in (
        wait_ranges(waits(EVIL, (0.1, 1.0, 5.0)), title=EVIL),
        session_bars(sessions(EVIL, [5, 5, 5, 5]), title=EVIL),
    ):
        drawn = json.loads(figure.to_json())
        del drawn["layout"]["meta"]
        said = json.dumps(drawn)
        assert "<script>" not in said
        assert "<b>bold" not in said
