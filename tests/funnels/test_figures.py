"""Figures of a funnel's views: what they draw, what they say, and what they do not let through."""

from __future__ import annotations

import json
import re
from typing import Any

import numpy as np
import pandas as pd
import pytest

from analysis.funnels.figures import drop_off_bars, value_lost_bars
from analysis.plotting.curves import time_curves
from analysis.plotting.intervals import rate_differences
from analysis.plotting.theme import PALETTE
from analysis.plotting.trend import rate_trend
from analysis.statistics.rates import newcombe, wilson

EVIL = '<script>alert("$x$")</script>'
FILES = ["time_curves", "drop_off_bars", "rate_differences", "value_lost_bars"]


def curve_table(groups: list[Any], event: str = "purchase") -> pd.DataFrame:
    parts = []
    for i, group in enumerate(groups):
        seconds, reached = [0.0, 90.0, 7200.0, 604800.0], np.array([0, 4, 6, 8])
        low, high = wilson(reached, 40)
        own = pd.DataFrame({"seconds": seconds, "rate": reached / 40, "low": low, "high": high})
        own = own.assign(group=group, event=event, at_risk=40 - reached, reached=reached)
        parts.append(own.assign(n=40 - i))
    return pd.concat(parts, ignore_index=True)


def drop_table(after: str = "cart", event: str = "help") -> pd.DataFrame:
    rows = []
    for step in (1, 2):
        for name, k, wait in (
            (event, 8, 300.0),
            ("(other)", 12, 40.0),
            ("(nothing more)", 20, None),
        ):
            low, high = wilson(k, 40)
            rows.append((step, after, 100, name, k, 40, k / 40, float(low), float(high), wait))
    columns = ["step", "after", "reached", "event", "k", "n", "share", "low", "high"]
    return pd.DataFrame(rows, columns=[*columns, "median_seconds"])


def difference_table(event: str = "purchase", *, clear: bool = True) -> pd.DataFrame:
    change = newcombe(56, 70, 48, 80)
    row = {"step": 2, "event": event, "denominator": "from previous", "k_a": 56, "n_a": 70}
    row |= {"rate_a": 0.8, "k_b": 48, "n_b": 80, "rate_b": 0.6, "difference": change.estimate}
    row |= {"low": change.low, "high": change.high, "clear": clear}
    return pd.DataFrame([row, row | {"denominator": "from first"}])


def lost_table(groups: list[Any], event: str = "purchase", *, worth: bool = True) -> pd.DataFrame:
    rows = []
    for group in groups:
        best = group == groups[-1]
        lost = 0.0 if best else 50.0
        row = {"group": group, "step": 2, "event": event, "n_previous": 200}
        row |= {"step_rate": 0.5 if best else 0.25, "best_group": groups[-1], "best_rate": 0.5}
        row |= {"lost_units": lost, "lost_units_low": 0.6 * lost, "lost_units_high": 1.4 * lost}
        row |= {"lost_conversions": lost / 2, "lost_value": 10 * lost / 2 if worth else np.nan}
        rows.append(row | {"currency": "EUR" if worth else None})
    return pd.DataFrame(rows)


def all_figures(name: str) -> dict[str, Any]:
    return {
        "time_curves": time_curves(curve_table([name, "b"], name), title=name),
        "drop_off_bars": drop_off_bars(drop_table(name, name), title=name),
        "rate_differences": rate_differences(difference_table(name), a=name, b="b", title=name),
        "value_lost_bars": value_lost_bars(lost_table([name, "b"], name), title=name),
    }


def shown(figure: Any) -> str:
    plain = json.loads(figure.to_json())
    plain["layout"].pop("meta")
    plain["layout"].pop("template")
    return json.dumps(plain)


@pytest.mark.parametrize("which", FILES)
def test_names_from_the_data_are_shown_letter_by_letter(which: str) -> None:
    drawn = shown(all_figures(EVIL)[which])
    assert set(re.findall(r"<[^>]*>", drawn)) <= {"<b>", "</b>", "<br>"}
    assert "&lt;script&gt;" in drawn
    assert "$" not in drawn


@pytest.mark.parametrize("which", FILES)
def test_no_percent_without_its_count_on_hover(which: str) -> None:
    figure = all_figures("add_to_cart")[which]
    hovers = [h for trace in figure.data for h in (trace.hovertext or ()) if "%" in h]
    assert hovers
    for hover in hovers:
        assert re.search(r"% (\(\d[\d,]* of \d|of \d)", hover)
    assert "Add to cart" in figure.layout.meta["alt"]
    assert re.search(r"\d% (\(\d+ of \d+\)|of \d)", figure.layout.meta["alt"])


@pytest.mark.parametrize("which", FILES)
def test_numbers_are_plain_and_the_same_every_time(which: str) -> None:
    one, two = (all_figures("x")[which].to_json() for _ in range(2))
    assert one == two
    assert "bdata" not in one
    assert "NaN" not in one


def test_a_curve_is_drawn_as_steps_and_says_what_it_is() -> None:
    figure = time_curves(curve_table(["m", "d"]))
    lines = [trace for trace in figure.data if trace.line.shape == "hv"]
    assert [list(line.y) for line in lines] == [[0.0, 0.1, 0.15, 0.2]] * 2
    # What came at once stands at the left end of a logarithmic axis.
    assert list(lines[0].x) == [60.0, 90.0, 7200.0, 604800.0]
    assert figure.layout.xaxis.type == "log"
    band = next(trace for trace in figure.data if trace.fill == "toself")
    assert len(band.x) == len(band.y) == 14
    assert "Kaplan-Meier estimate" in shown(figure)
    assert all("Kaplan-Meier estimate" in text for text in lines[0].hovertext)
    assert [line.name for line in lines] == [
        "m 20.0% of 40 within 7 days",
        "d 20.0% of 39 within 7 days",
    ]


def test_more_curves_than_an_eye_holds() -> None:
    figure = time_curves(curve_table([f"g{i}" for i in range(9)]))
    assert sum(trace.line.shape == "hv" for trace in figure.data) == 6
    assert "The 6 largest of 9 groups." in figure.layout.meta["alt"]


def test_what_came_next_stands_in_blocks_with_its_wait() -> None:
    figure = drop_off_bars(drop_table())
    bars = figure.data[0]
    assert list(bars.x) == [0.2, 0.3, 0.5] * 2
    assert list(bars.y) == sorted(bars.y)
    assert bars.y[3] - bars.y[2] > bars.y[1] - bars.y[0]
    assert [c == PALETTE[0] for c in bars.marker.color] == [True, False, False] * 2
    low, high = wilson(8, 40)
    assert bars.error_x.array[0] == pytest.approx(float(high) - 0.2, abs=1e-6)
    assert bars.error_x.arrayminus[0] == pytest.approx(0.2 - float(low), abs=1e-6)
    assert "20.0% · 8 · 5 min" in figure.data[1].text[0]
    assert "50.0% · 20&" in figure.data[1].text[2]
    assert "<b>40.0% of 100</b> stopped after <b>Cart</b>" in shown(figure)


def test_only_clear_differences_are_filled() -> None:
    clear, vague = (rate_differences(difference_table(clear=own)).data[-1] for own in (True, False))
    assert (clear.marker.symbol[0], vague.marker.symbol[0]) == ("circle", "circle-open")
    assert list(clear.x) == [0.2, 0.2]
    assert "80.0% vs 60.0% of the step before" in shown(rate_differences(difference_table()))


def test_a_difference_that_is_not_known_is_said() -> None:
    table = difference_table()
    table.loc[0, ["difference", "low", "high", "rate_a", "k_a"]] = np.nan
    alt = rate_differences(table.assign(clear=[False, True])).layout.meta["alt"]
    assert "Purchase, of the step before: no rate to compare." in alt


def test_bars_of_worth_have_the_limits_of_the_units_on_their_scale() -> None:
    figure = value_lost_bars(lost_table(["m", "d"]))
    bars = figure.data[0]
    assert list(bars.x) == [250.0, 0.0]
    assert bars.error_x.array[0] == bars.error_x.arrayminus[0] == pytest.approx(100.0)
    assert "250 EUR" in figure.data[1].text[0]
    assert "the best: 50.0% of 200" in figure.data[1].text[1]
    plain = value_lost_bars(lost_table(["m", "d"], worth=False))
    assert list(plain.data[0].x) == [25.0, 0.0]
    assert "25 conversions" in plain.data[1].text[0]
    assert "effect" not in shown(figure) + str(figure.layout.meta["alt"])


@pytest.mark.parametrize(
    "figure",
    [
        time_curves(curve_table(["m"]).iloc[:0]),
        drop_off_bars(drop_table().assign(n=0)),
        rate_differences(difference_table().assign(difference=np.nan)),
        value_lost_bars(lost_table(["m"]).assign(lost_conversions=np.nan)),
    ],
)
def test_nothing_to_show_is_said(figure: Any) -> None:
    assert figure.layout.meta["alt"] in shown(figure)


# ── A trend with estimates ─────────────────────────────────────────────────────────────────────


def estimated_trend() -> pd.DataFrame:
    starts = pd.date_range("2026-08-31", periods=4, freq="7D", tz="UTC")
    k, n = np.array([9, 8, 2, 0]), np.array([90, 80, 20, 0])
    low, high = wilson(k, n)
    nan = np.nan
    table = pd.DataFrame({"group": "all", "start": starts, "end": starts + pd.Timedelta(days=7)})
    table = table.assign(entered=[90, 80, 70, 60], k=k, n=n, low=low, high=high)
    table = table.assign(rate=[0.1, 0.1, 0.1, nan], mature=[True, True, False, False])
    return table.assign(
        km_rate=[nan, nan, 0.12, nan],
        km_low=[nan, nan, 0.08, nan],
        km_high=[nan, nan, 0.17, nan],
        km_so_far=[nan, nan, 0.12, 0.05],
        km_so_far_low=[nan, nan, 0.08, 0.02],
        km_so_far_high=[nan, nan, 0.17, 0.11],
        km_seconds=[nan, nan, 7 * 86_400, 3 * 86_400],
    )


def test_estimates_are_diamonds_and_called_so() -> None:
    figure = rate_trend(estimated_trend())
    diamonds = figure.data[-1]
    assert list(diamonds.marker.symbol) == ["diamond", "diamond-open"]
    assert list(diamonds.y) == [0.12, 0.05]
    assert diamonds.error_y.array[0] == pytest.approx(0.05)
    text = shown(figure)
    assert "\\u25c6 Kaplan-Meier estimate of the final rate, \\u25c7 so far" in text
    alt = figure.layout.meta["alt"]
    assert (
        "Kaplan-Meier estimate of the final rate 12.0% of 70 (95% interval 8.0% to 17.0%)." in alt
    )
    assert "Kaplan-Meier estimate within 3 days 5.0% of 60" in alt
    line = next(t for t in figure.data if t.type == "scatter" and t.mode == "lines" and not t.fill)
    assert list(line.y) == [0.1, 0.1, None, None]


def test_the_usual_range_is_a_band_of_a_step_per_period() -> None:
    table = estimated_trend().assign(
        usual_low=[np.nan, 0.06, 0.07, np.nan], usual_high=[np.nan, 0.14, 0.3, np.nan]
    )
    figure = rate_trend(table)
    areas = [t for t in figure.data if t.type == "scatter" and t.fill == "toself"]
    (band,) = (t for t in areas if t.x[0] == 0.5)
    assert band.x[:5] == (0.5, 1.5, 1.5, 0.5, None)
    assert band.y == (0.14, 0.14, 0.06, 0.06, None, 0.3, 0.3, 0.07, 0.07, None)
    # The axis has room for it.
    assert figure.layout.yaxis.range[1] > 0.3
    hover = next(t.hovertext for t in figure.data if t.type == "scatter" and t.hovertext)
    assert "usual 6.0% to 14.0%" in hover[1]
    assert "usual" not in hover[0]


def test_a_trend_of_estimates_alone_is_drawn() -> None:
    figure = rate_trend(estimated_trend().iloc[3:])
    assert list(figure.data[-1].y) == [0.05]


def test_a_trend_without_estimates_is_as_it_was() -> None:
    table = estimated_trend()
    plain = table[[name for name in table if not name.startswith("km_")]]
    figure = rate_trend(plain)
    assert "Kaplan" not in shown(figure) + figure.layout.meta["alt"]
    assert figure.layout.annotations == ()
