"""Figures: what they may show, how they show it, and that nothing from the data gets through."""

from __future__ import annotations

import html
import itertools
import json
import re
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from analysis.funnels.figures import funnel_bars
from analysis.funnels.figures_steps import micro_bars
from analysis.plotting.intervals import step_changes
from analysis.plotting.theme import PALETTE, REST, group_colors, ink_on, safe, template
from analysis.plotting.trend import rate_trend
from analysis.statistics.rates import newcombe, wilson

EVIL = ['<script>alert("x")</script>', "<b>bold</b> & co", '<a href="//x">x</a>', "$x$"]


def funnel_table(groups: dict[Any, list[int]], steps: list[str]) -> pd.DataFrame:
    rows = []
    for group, reached in groups.items():
        for i, (event, k) in enumerate(zip(steps, reached, strict=True)):
            n, before = reached[0], reached[max(i - 1, 0)]
            rows.append((group, i + 1, event, k, k, n, before))
    columns = ["group", "step", "event", "count", "k", "n_first", "n_previous"]
    table = pd.DataFrame(rows, columns=columns)
    table["rate"] = table["k"] / table["n_first"]
    table["rate_low"], table["rate_high"] = wilson(table["k"], table["n_first"])
    table["step_rate"] = (table["k"] / table["n_previous"]).where(table["step"] > 1)
    table["low"], table["high"] = wilson(table["k"], table["n_previous"])
    return table


def change_table(
    groups: list[Any], events: tuple[str, str], *, clear: bool = False
) -> pd.DataFrame:
    change = newcombe(56, 70, 48, 80)
    row = {"step": 2, "event": events[1], "from_event": events[0], "rate": 0.8, "k": 56, "n": 70}
    row |= {"previous": 0.6, "previous_k": 48, "previous_n": 80, "change": change.estimate}
    row |= {"change_low": change.low, "change_high": change.high, "clear": clear}
    return pd.DataFrame([{"group": group, **row} for group in groups])


def trend_table(rates: list[tuple[int, int]], mature: list[bool]) -> pd.DataFrame:
    starts = pd.date_range("2026-08-31", periods=len(rates), freq="7D", tz="UTC")
    k, n = np.array(rates).T
    low, high = wilson(k, n)
    table = pd.DataFrame({"group": "all", "start": starts, "end": starts + pd.Timedelta(days=7)})
    table["entered"], table["k"], table["n"] = n + 3, k, n
    table["rate"] = np.divide(k, n, out=np.full(len(k), np.nan), where=n > 0)
    return table.assign(low=low, high=high, mature=mature)


def micro_table(names: list[str]) -> pd.DataFrame:
    low, high = wilson(40, 200)
    macro_low, macro_high = wilson(8, 40)
    row = {"k": 40, "n": 200, "rate": 0.2, "low": low, "high": high, "macro_k": 8}
    row |= {"macro_rate": 0.2, "macro_low": macro_low, "macro_high": macro_high}
    row |= {"all_k": 20, "all_rate": 0.1}
    return pd.DataFrame([{"event": name, **row} for name in names])


def all_figures(names: list[str]) -> list[Any]:
    return [
        funnel_bars(funnel_table({n: [90, 30] for n in names}, names[:2]), title=names[0]),
        funnel_bars(funnel_table({"all": [90, 30]}, names[:2])),
        step_changes(change_table(names, (names[0], names[1])), title=names[1]),
        rate_trend(trend_table([(9, 90), (8, 80)], [True, False]), title=names[2]),
        micro_bars(micro_table(names), title=names[3]),
    ]


def strings(value: Any) -> list[str]:
    if isinstance(value, str):
        return [value]
    if isinstance(value, dict):
        return [s for v in value.values() for s in strings(v)]
    return [s for v in value for s in strings(v)] if isinstance(value, list) else []


def scatters(figure: Any) -> list[Any]:
    return [trace for trace in figure.data if trace.type == "scatter"]


def shown(figure: Any) -> str:
    """All text that plotly draws: everything but the words for screen readers."""
    plain = json.loads(figure.to_json())
    plain["layout"].pop("meta")
    plain["layout"].pop("template")
    return "\n".join(strings(plain))


def test_names_from_the_data_are_shown_letter_by_letter() -> None:
    for figure in all_figures(EVIL):
        tags = set(re.findall(r"<[^>]*>", shown(figure)))
        assert tags <= {"<b>", "</b>", "<br>"}
        assert "$" not in shown(figure)
    text = shown(all_figures(EVIL)[1])
    assert '<b>&lt;script&gt;alert("x")&lt;/script&gt;</b>' in text
    assert "<b>&lt;b&gt;bold&lt;/b&gt; &amp; co</b>" in text


@given(st.text())
def test_safe_text_reads_as_it_was(text: str) -> None:
    escaped = safe(text)
    assert not set(escaped) & set("<>$\n")
    read = "".join(c if c.isprintable() else " " for c in text)
    hidden = str.maketrans("", "", "\u2066\u2067\u2068\u2069 ")
    assert html.unescape(escaped).translate(hidden) == read.translate(hidden)


def test_no_name_in_a_figure_turns_the_number_behind_it() -> None:
    for figure in all_figures(["קנייה", "הקי", "יהקנ", "נייה", "קקיי"]):
        for text in strings(json.loads(figure.to_json())):
            at = [place for place, letter in enumerate(text) if letter in "קנייה"]
            opened = [
                text.rfind("\u2068", 0, place) > text.rfind("\u2069", 0, place) for place in at
            ]
            assert all(opened), ascii(text)
            assert text.count("\u2068") == text.count("\u2069")


@pytest.mark.parametrize("index", range(5))
def test_every_figure_tells_its_numbers_in_words(index: int) -> None:
    names = ["view_item", "add_to_cart", "x y", "Z"]
    figure = all_figures(names)[index]
    alt = figure.layout.meta["alt"]
    assert re.search(r"\d[\d.]*% \(\d+ of \d+\)", alt)
    assert "View item" in alt or index == 3
    # No percent without its count and denominator, neither on hover nor in words.
    hovers = [t for trace in figure.data for t in (trace.hovertext or ())]
    assert hovers
    for said in [*hovers, alt]:
        rates = re.sub(r"95% interval|interval|\d[\d.]*% to \d[\d.]*%", "", said)
        assert len(re.findall(r"\d%", rates)) == len(re.findall(r"% \([\d,]+ of [\d,]+\)", rates))


def test_the_same_table_gives_the_same_bytes_and_plain_lists() -> None:
    for one, two in zip(all_figures(EVIL), all_figures(EVIL), strict=True):
        assert one.to_json() == two.to_json()
        assert "bdata" not in one.to_json()
        assert "uid" not in json.loads(one.to_json())["data"][0]


def test_bars_are_as_long_as_the_rates() -> None:
    figure = funnel_bars(funnel_table({"m": [90, 30], "d": [40, 8]}, ["a", "b"]))
    bars = {trace.name: trace for trace in figure.data if trace.type == "bar"}
    assert list(bars["m"].x) == [1.0, 0.333333]
    assert list(bars["d"].x) == [1.0, 0.2]
    low, high = wilson(8, 40)
    assert bars["d"].error_x.array[1] == pytest.approx(high - 0.2, abs=1e-6)
    assert bars["d"].error_x.arrayminus[1] == pytest.approx(0.2 - low, abs=1e-6)
    low, high = wilson(10, 90)
    longer = funnel_bars(funnel_table({"all": [90, 30, 10]}, ["a", "b", "c"])).data[0]
    assert longer.error_x.array[2] == pytest.approx(high - 1 / 9, abs=1e-6)
    assert longer.error_x.arrayminus[2] == pytest.approx(1 / 9 - low, abs=1e-6)
    words = [t for trace in figure.data for t in (trace.text or ()) if isinstance(t, str)]
    assert any("20.0% · 8" in word for word in words)
    # Rows of one step stand together, in the order of the groups, from the top down.
    assert bars["m"].y[0] < bars["d"].y[0] < bars["m"].y[1] < bars["d"].y[1]


def test_more_groups_than_an_eye_holds() -> None:
    groups = {f"group {i}": [90 - i, 30] for i in range(9)}
    figure = funnel_bars(funnel_table(groups, ["a", "b"]))
    assert sum(trace.type == "bar" for trace in figure.data) == 6
    assert "The 6 largest of 9 groups." in shown(figure)
    assert "The 6 largest of 9 groups." in figure.layout.meta["alt"]


def test_groups_that_nobody_entered_are_not_drawn() -> None:
    table = funnel_table({"m": [90, 30], "(missing)": [0, 0]}, ["a", "b"])
    assert "(missing)" not in shown(funnel_bars(table))
    assert "Nobody entered" in shown(funnel_bars(table[table["group"] == "(missing)"]))


def test_hidden_and_undefined_numbers_are_said_in_words() -> None:
    table = funnel_table({"all": [90, 30, 3]}, ["a", "b", "c"])
    numbers = ["count", "k", "rate", "rate_low", "rate_high", "step_rate", "low", "high"]
    table[numbers] = table[numbers].astype(float)
    table.loc[2, numbers] = np.nan
    assert "too few people to show" in funnel_bars(table).layout.meta["alt"]
    young = funnel_table({"all": [90, 30]}, ["a", "b"]).assign(k=0, n_first=0, n_previous=0)
    young[["rate", "rate_low", "rate_high", "step_rate"]] = np.nan
    assert "30, no rate yet" in funnel_bars(young).layout.meta["alt"]


def test_periods_that_are_not_final_are_hatched_and_hollow() -> None:
    table = trend_table([(9, 90), (8, 80), (2, 20), (0, 0)], [True, True, False, False])
    figure = rate_trend(table, current="2026-09-07")
    hatch = next(trace for trace in figure.data if trace.type == "bar")
    assert list(hatch.x) == [2, 3]
    assert hatch.marker.pattern.shape == "/"
    assert list(hatch.text) == ["not final", "window not over"]
    line = next(t for t in scatters(figure) if t.mode == "lines" and t.fill is None)
    assert list(line.y[2:]) == [None, None]
    points = next(t for t in scatters(figure) if t.mode == "markers")
    assert list(points.marker.symbol) == ["circle", "circle", "circle-open", "circle"]
    assert points.marker.size[1] == max(points.marker.size)
    assert "<b>7 Sep</b>" in figure.layout.xaxis.ticktext
    assert "not final, 10.0% (2 of 20)" in figure.layout.meta["alt"]


def test_the_band_covers_final_periods_only_and_has_no_holes_filled() -> None:
    table = trend_table([(9, 90), (8, 80), (0, 0), (7, 70)], [True, True, True, True])
    figure = rate_trend(table)
    band = next(trace for trace in scatters(figure) if trace.fill == "toself")
    # One polygon of two periods, a gap, and one of a single period half as wide.
    assert list(band.x) == [0, 1, 1, 0, None, 2.75, 3.25, 3.25, 2.75, None]
    low, high = map(float, wilson(9, 90))
    assert (band.y[0], band.y[3]) == pytest.approx((high, low), abs=1e-6)


def test_dates_of_a_trend_are_local() -> None:
    table = trend_table([(9, 90)], [True])
    assert rate_trend(table).layout.xaxis.ticktext == ("<b>31 Aug</b>",)
    there = rate_trend(table, time_zone="America/New_York")
    assert there.layout.xaxis.ticktext == ("<b>30 Aug</b>",)


def test_only_clear_changes_are_filled_and_colored() -> None:
    clear = step_changes(change_table(["all"], ("a", "b"), clear=True)).data[-1]
    vague = step_changes(change_table(["all"], ("a", "b"), clear=False)).data[-1]
    assert (clear.marker.symbol[0], vague.marker.symbol[0]) == ("circle", "circle-open")
    assert (clear.marker.color[0], vague.marker.color[0]) == (PALETTE[0], REST)
    fall = change_table(["all"], ("a", "b"), clear=True)
    fall[["change", "change_low", "change_high"]] *= -1
    assert step_changes(fall).data[-1].marker.color[0] == PALETTE[5]


@pytest.mark.parametrize(
    "figure",
    [
        rate_trend(trend_table([(0, 0)], [False])),
        rate_trend(trend_table([(9, 90)], [True]).iloc[:0]),
        micro_bars(micro_table([])),
        step_changes(change_table([], ("a", "b"))),
    ],
)
def test_nothing_to_show_is_said(figure: Any) -> None:
    assert figure.layout.meta["alt"] in shown(figure)


# Colors

# Machado, Oliveira & Fernandes 2009, IEEE TVCG 15:1291, severity 1.0; linear RGB.
SIGHT: dict[str, Any] = {
    "normal": [[1, 0, 0], [0, 1, 0], [0, 0, 1]],
    "protanopia": [
        [0.152286, 1.052583, -0.204868],
        [0.114503, 0.786281, 0.099216],
        [-0.003882, -0.048116, 1.051998],
    ],
    "deuteranopia": [
        [0.367322, 0.860646, -0.227968],
        [0.280085, 0.672501, 0.047413],
        [-0.011820, 0.042940, 0.968881],
    ],
    "tritanopia": [
        [1.255528, -0.076749, -0.178779],
        [-0.078411, 0.930809, 0.147602],
        [0.004733, 0.691367, 0.303900],
    ],
}


def linear(color: str) -> np.ndarray:
    srgb = np.array([int(color[i : i + 2], 16) for i in (1, 3, 5)]) / 255
    return np.where(srgb <= 0.04045, srgb / 12.92, ((srgb + 0.055) / 1.055) ** 2.4)


def contrast(one: str, two: str) -> float:
    light = sorted(float(linear(c) @ [0.2126, 0.7152, 0.0722]) for c in (one, two))
    return (light[1] + 0.05) / (light[0] + 0.05)


def lab(color: str, sight: list[list[float]]) -> np.ndarray:
    to_xyz = [[0.4124, 0.3576, 0.1805], [0.2126, 0.7152, 0.0722], [0.0193, 0.1192, 0.9505]]
    xyz = np.array(to_xyz) @ np.clip(np.array(sight) @ linear(color), 0, 1) / [0.9505, 1, 1.089]
    f = np.where(xyz > 0.008856, np.cbrt(xyz), 7.787 * xyz + 16 / 116)
    return np.array([116 * f[1] - 16, 500 * (f[0] - f[1]), 200 * (f[1] - f[2])])


@pytest.mark.parametrize("sight", SIGHT)
def test_colors_can_be_told_apart(sight: Any) -> None:
    for one, two in itertools.combinations(PALETTE, 2):
        assert np.linalg.norm(lab(one, SIGHT[sight]) - lab(two, SIGHT[sight])) > 11


@pytest.mark.parametrize("page", ["#ffffff", "#14181e", "#111111"])
def test_colors_stand_out_on_light_and_dark_pages(page: str) -> None:
    assert min(contrast(color, page) for color in PALETTE) > 2.6


def test_words_in_bars_can_be_read() -> None:
    assert min(contrast(color, ink_on(color)) for color in PALETTE) >= 4.5


def test_what_is_no_group_of_its_own_is_gray() -> None:
    colors = group_colors(["(missing)", "a", "(other)", "b"])
    assert colors == {
        "(missing)": REST,
        "a": PALETTE[0],
        "(other)": REST,
        "b": PALETTE[1],
    }


def test_the_background_is_transparent() -> None:
    look = template().layout
    assert look.paper_bgcolor == look.plot_bgcolor == "rgba(0, 0, 0, 0)"
