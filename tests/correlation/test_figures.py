"""Figures of micro conversions: what they show, that names cannot get through, words for all."""

from __future__ import annotations

import json
import math
import re
from typing import Any

import numpy as np
import pandas as pd
import pytest

from analysis.correlation.figures import dose_curves, ratio_forest, reach_scatter
from analysis.correlation.figures_checks import (
    horizon_forest,
    lag_bars,
    overlap_bars,
    stability_forest,
)
from analysis.plotting.intervals import Block, Mark, Row, forest
from analysis.plotting.theme import DOWN, REST

EVIL = '<script>alert("x")</script>'
LABELS = ["Video", EVIL, "<b>bold</b> & co", "$x$"]


def micros(labels: Any = LABELS, **changes: Any) -> pd.DataFrame:
    rows = []
    for i, label in enumerate([*labels, "Footer", "Logo"]):
        control = i >= len(labels)
        row = {"label": label, "role": "control" if control else "secondary", "q_value": 0.01}
        row |= {"verdict": "control" if control else "leads", "reach": 0.2 + 0.1 * i}
        row |= {"reach_low": 0.15 + 0.1 * i, "reach_high": 0.25 + 0.1 * i, "reach_k": 20 + 10 * i}
        row |= {"converters": 100.0, "exposed_macros": 19 + 10 * i, "macros": 98, "controls": 2}
        for name, ratio in (("crude", 3.0), ("adjusted", 2.0), ("calibrated", 1.4)):
            row |= {name: ratio, f"{name}_low": ratio / 1.3, f"{name}_high": ratio * 1.3}
        rows.append(row)
    return pd.DataFrame(rows).assign(**changes)


def doses(labels: Any = LABELS) -> pd.DataFrame:
    one = pd.DataFrame(
        {
            "level": ["0", "1", "2", "3+"],
            "k": [50, 20, 9, 0],
            "n": [9000, 1500, 400, 3],
            "odds_ratio": [1.0, 1.5, 2.2, np.nan],
            "low": [np.nan, 1.2, 1.1, np.nan],
            "high": [np.nan, 1.9, 4.0, np.nan],
            "rising": [1.0, 1.5, 2.2, np.nan],
        }
    )
    return pd.concat([one.assign(event=label, label=label) for label in labels])


def groups(labels: Any = LABELS) -> tuple[pd.DataFrame, pd.DataFrame]:
    names = ["all", *labels]
    table = pd.DataFrame({"dimension": ["all"] + ["device"] * len(labels), "group": names})
    table = table.assign(macros=90, exposed_macros=40, odds_ratio=1.5, low=1.2, high=1.9)
    table = table.assign(enough=True, flips=False)
    last = table.index[-1]
    table.loc[last, ["odds_ratio", "low", "high", "flips"]] = [0.5, 0.3, 0.8, True]
    return table, pd.DataFrame({"dimension": ["device"], "groups": [4], "p_value": [0.012]})


def lags() -> pd.DataFrame:
    table = pd.DataFrame({"lag": [-1, 0, 1], "correlation": [-0.1, 0.0, 0.6], "n": 39})
    return table.assign(
        low=table["correlation"] - 0.2,
        high=table["correlation"] + 0.2,
        p_value=[0.4, 0.9, 0.001],
        p_adjusted=[0.8, 1.0, 0.002],
    )


def overlap() -> pd.DataFrame:
    return pd.DataFrame(
        {"low": [0.0, 0.5], "high": [0.5, 1.0], "exposed": [30, 70], "other": [400, 100]}
    ).assign(trimmed=[5, 0])


def spans(labels: Any = LABELS) -> pd.DataFrame:
    table = pd.DataFrame({"event": np.repeat(labels, 3), "label": np.repeat(labels, 3)})
    many = len(labels)
    return table.assign(
        measure=["30 days", "90 days", "value"] * many,
        basis=["calibrated", "adjusted", "mean value"] * many,
        ratio=[1.5, 1.4, np.nan] * many,
        low=[1.2, 0.9, np.nan] * many,
        high=[1.9, 2.0, np.nan] * many,
        n=40,
        others=60,
    )


def every(labels: Any = LABELS) -> list:
    return [
        ratio_forest(micros(labels), title=labels[0]),
        reach_scatter(micros(labels), title=labels[0]),
        dose_curves(doses(labels), title=labels[0]),
        stability_forest(*groups(labels), title=labels[0]),
        lag_bars(lags(), title=labels[0]),
        overlap_bars(overlap(), title=labels[0]),
        horizon_forest(spans(labels), title=labels[0]),
    ]


def strings(value: Any) -> list[str]:
    if isinstance(value, str):
        return [value]
    if isinstance(value, dict):
        return [s for v in value.values() for s in strings(v)]
    return [s for v in value for s in strings(v)] if isinstance(value, list) else []


def shown(figure: Any) -> str:
    plain = json.loads(figure.to_json())
    plain["layout"].pop("meta")
    plain["layout"].pop("template")
    return "\n".join(strings(plain))


NUMBERS = range(7)


@pytest.mark.parametrize("number", NUMBERS)
def test_names_from_the_data_are_shown_letter_by_letter(number: Any) -> None:
    figure = every([EVIL, *LABELS[:1], *LABELS[2:]])[number]
    assert set(re.findall(r"<[^>]*>", shown(figure))) <= {"<b>", "</b>", "<br>"}
    assert "$" not in shown(figure)


@pytest.mark.parametrize("number", NUMBERS)
def test_the_same_table_gives_the_same_bytes_and_plain_lists(number: Any) -> None:
    one, two = every()[number], every()[number]
    assert one.to_json() == two.to_json()
    assert "bdata" not in one.to_json()


@pytest.mark.parametrize("number", NUMBERS)
def test_numbers_stand_in_words_on_the_marks_and_on_hover_with_n(number: Any) -> None:
    figure = every()[number]
    alt, text = figure.layout.meta["alt"], shown(figure)
    wanted = {
        0: ["1.40 (95% interval 1.08 to 1.82)", "19 of 98 conversions after it"],
        1: ["20.0% (20 of 100)", "1.40 (95% interval 1.08 to 1.82)"],
        2: ["1.50 (95% interval 1.20 to 1.90)", "20 of 1,500"],
        3: ["1.50 (95% interval 1.20 to 1.90)", "40 of 90 conversions after it"],
        4: ["0.60 (95% interval 0.40 to 0.80)", "n = 39"],
        5: ["30 had done it, 400 had not"],
        6: ["1.50 (95% interval 1.20 to 1.90)", "40 conversions after it and 60 others"],
    }[number]
    for part in wanted:
        assert part in alt
    hovers = [t for trace in figure.data for t in (trace.hovertext or ())]
    assert hovers
    assert all(re.search(r"\d", hover) for hover in hovers)
    marked = {0: "1.40 (1.08–1.82)", 1: "Video 1.40", 2: "2.20", 3: "1.50 (1.20–1.90)"}
    marked |= {4: "0.60", 5: "100 users", 6: "1.50 (1.20–1.90)"}
    assert marked[number] in text


@pytest.mark.parametrize("number", NUMBERS)
def test_no_percent_without_its_count(number: Any) -> None:
    figure = every()[number]
    hovers = [t for trace in figure.data for t in (trace.hovertext or ())]
    for said in [*hovers, figure.layout.meta["alt"]]:
        rates = re.sub(r"95% interval|\d[\d.]*% to \d[\d.]*%", "", said)
        assert len(re.findall(r"\d%", rates)) == len(re.findall(r"% \([\d,]+ of [\d,]+\)", rates))


def test_only_what_is_clear_of_one_is_filled() -> None:
    table = micros(["a"], calibrated_low=0.9)
    points = ratio_forest(table).data[-1]
    assert list(points.marker.symbol)[:3] == ["circle", "circle", "circle-open"]
    # On a scale of logarithms.
    assert list(points.x)[:3] == pytest.approx([math.log(3), math.log(2), math.log(1.4)], abs=1e-5)


def test_controls_are_a_cloud_and_required_events_are_left_out() -> None:
    table = micros(["a", "cart"])
    table.loc[1, "verdict"] = "structural"
    figure = ratio_forest(table)
    assert "cart" not in shown(figure)
    assert "Controls (2): nothing to find here" in shown(figure)
    assert "2 controls, adjusted from 2.00 to 2.00." in figure.layout.meta["alt"]


def test_what_is_on_the_way_says_so() -> None:
    table = micros(["Removed from cart", "b"])
    table["only_after"] = table["label"].map({"Removed from cart": "cart"})
    figure = ratio_forest(table)
    assert "<b>Removed from cart · leads, on the way</b>" in shown(figure)
    assert "Removed from cart, leads, on the way: crude" in figure.layout.meta["alt"]
    assert figure.layout.meta["alt"].count("on the way") == 1


def test_more_than_twelve_are_cut_and_said_so() -> None:
    figure = ratio_forest(micros([f"m{i}" for i in range(15)]))
    assert "The first 12 of 15." in figure.layout.meta["alt"]
    assert "m12" not in shown(figure)


def test_without_calibration_the_adjusted_ratio_is_shown_as_such() -> None:
    nothing = dict.fromkeys(["calibrated", "calibrated_low", "calibrated_high"], np.nan)
    table = micros(["a"], **nothing)
    assert "too few controls" in shown(ratio_forest(table))
    scatter = reach_scatter(table)
    assert "adjusted odds ratio 2.00" in scatter.layout.meta["alt"]
    assert scatter.layout.yaxis.title.text == "odds ratio, adjusted"


def test_groups_that_turn_round_are_vermilion_and_few_are_gray() -> None:
    table, dimensions = groups(["a", "b", "c"])
    table.loc[1, "enough"] = False
    points = stability_forest(table, dimensions).data[-1]
    assert points.marker.color[1] == REST
    assert points.marker.color[3] == DOWN
    assert points.marker.symbol[1] == "circle-open"
    assert "p = 0.012" in shown(stability_forest(table, dimensions))


def test_intervals_without_end_stay_inside_the_scale() -> None:
    mark = Mark(5.0, 0.0, math.inf, REST, ["wide"])
    figure = forest([Block("b", [Row("r", [mark], "x")])], axis="ratio", alt="wide")
    low, high = figure.layout.xaxis.range
    assert low < 0 < math.log(5) < high
    endless = Mark(5.0, 0.5, math.inf, REST, ["wide"])
    drawn = forest([Block("b", [Row("r", [endless], "x")])], axis="ratio", alt="wide")
    assert drawn.data[0].x[1] == pytest.approx(drawn.layout.xaxis.range[1], abs=1e-4)


@pytest.mark.parametrize(
    "figure",
    [
        ratio_forest(micros([]).iloc[:0]),
        reach_scatter(micros(["a"], reach=np.nan)),
        dose_curves(doses(["a"]).iloc[:1]),
        lag_bars(lags().assign(correlation=np.nan)),
        overlap_bars(overlap().assign(exposed=0)),
        horizon_forest(spans(["a"]).assign(ratio=np.nan)),
    ],
)
def test_nothing_to_show_is_said(figure: Any) -> None:
    assert figure.layout.meta["alt"] in shown(figure)
