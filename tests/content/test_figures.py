"""The figure of pooled rates: what it says, what it leaves out, what data may not do in it."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pandas as pd

from analysis.content.figures import pooled_rates
from analysis.plotting.theme import PALETTE


def table(rates: Any, n: int = 1_000, **more: Any) -> pd.DataFrame:
    rates = np.asarray(rates, float)
    found = pd.DataFrame({
        "value": [f"/p{i}" for i in range(len(rates))], "k": rates * n, "n": n, "rate": rates,
        "pooled": rates, "pooled_low": rates * 0.8, "pooled_high": rates * 1.2,
        "verdict": "unclear",
    })  # fmt: skip
    return found.assign(**more)


def dots(figure: Any) -> dict:
    return json.loads(figure.to_json())["data"][-1]


def test_what_is_clear_has_a_color_and_words() -> None:
    figure = pooled_rates(table([0.1, 0.05, 0.02], verdict=["more", "unclear", "less"]), 0.05)
    colors = dots(figure)["marker"]["color"]
    assert colors[0] == PALETTE[0]
    assert colors[2] == PALETTE[5]
    assert len(set(colors)) == 3
    alt = figure.layout.meta["alt"]
    assert alt.startswith("A typical value: 5.0%. /p0: pooled 10.0% (95% interval 8.0% to 12.0%)")
    assert "counted 2.0% (20 of 1,000), below a typical one" in alt
    # Told apart without colors too: what is clear stands in bold at the edge.
    edges = [note["text"] for note in figure.to_dict()["layout"]["annotations"]]
    assert "<b>10.0% · 1,000</b>" in edges
    assert "5.0% · 1,000" in edges


def test_of_many_the_ends_are_drawn_and_the_axis_says_so() -> None:
    figure = pooled_rates(table(np.linspace(0.2, 0.01, 40)), 0.1)
    assert len(dots(figure)["x"]) == 16
    assert figure.layout.xaxis.title.text.endswith("the 8 highest and 8 lowest of 40")
    assert "24 more lie between" in figure.layout.meta["alt"]


def test_a_crude_rate_far_outside_does_not_squeeze_the_scale() -> None:
    shown = table([0.05, 0.04], rate=[1.0, 0.04])
    figure = pooled_rates(shown, 0.045)
    assert figure.layout.xaxis.range[1] < 0.1
    rings = json.loads(figure.to_json())["data"][-2]
    assert rings["x"] == [None, 0.04]


def test_small_rates_have_ticks() -> None:
    figure = pooled_rates(table([0.006, 0.004]), 0.005)
    assert list(figure.layout.xaxis.ticktext)[:2] == ["0%", "0.25%"]


def test_values_are_shown_letter_by_letter() -> None:
    figure = pooled_rates(table([0.1, 0.2], value=["<b>x</b>", "$a$"]), 0.1)
    drawn = figure.to_json()
    assert "&lt;b" in drawn or "\\u0026lt;b" in drawn
    assert "<b>x</b>" not in drawn.split('"meta"')[0]
    assert "$a$" not in [note["text"] for note in figure.to_dict()["layout"]["annotations"]]


def test_hidden_values_are_left_out_and_nothing_is_said_to_be_nothing() -> None:
    none = table([0.1, 0.2], pooled=np.nan)
    alt = pooled_rates(none, 0.1).layout.meta["alt"]
    assert alt == "There are too few people to compare values."
