"""The figures of segments: every number in words, names escaped, few people not shown."""

from __future__ import annotations

import numpy as np
import pandas as pd

from analysis.plotting.intervals import share_differences
from analysis.segments.figures import audience_rates, cluster_bars, score_bars, upset

EVIL = '<script>alert("x")</script>'


def clusters() -> pd.DataFrame:
    return pd.DataFrame(
        {
            "cluster": [EVIL, EVIL, "Much share"],
            "k": [30, 30, np.nan],
            "n": 34,
            "rate": [30 / 34, 30 / 34, np.nan],
            "low": [0.73, 0.73, np.nan],
            "high": [0.95, 0.95, np.nan],
            "event": [EVIL, "share", "share"],
            "per_session": [1.5, 0.2, 2.0],
            "per_session_all": [1.0, 0.4, 0.4],
        }
    )


def test_clusters_say_their_numbers_and_escape_names() -> None:
    figure = cluster_bars(clusters(), title="Kinds")
    alt = figure.layout.meta["alt"]
    assert "88.2% (30 of 34)" in alt
    assert "Much share: too few people to show." in alt
    assert "2.00 per session" not in alt  # of the cluster of few people
    assert "<script" not in figure.to_json().replace(alt.replace('"', '\\"'), "")
    assert list(figure.data[0].x) == [1.5, 0.2, None]
    assert "no clusters" in cluster_bars(clusters().iloc[:0]).layout.meta["alt"]


def test_audiences_leave_out_what_is_not_known() -> None:
    table = pd.DataFrame(
        {
            "group": ["all", "holdout"],
            "users": [40, 0],
            "k": [np.nan, np.nan],
            "rate": np.nan,
            "low": np.nan,
            "high": np.nan,
            "k_before": [4, 0],
            "rate_before": [0.1, np.nan],
            "low_before": [0.04, np.nan],
            "high_before": [0.23, np.nan],
        }
    )
    figure = audience_rates(table)
    assert figure.layout.meta["alt"] == "All, before: 10.0% (4 of 40)."
    assert len(figure.data[0].x) == 1
    assert "95% interval 4.0% to 23.0%" in figure.data[0].hovertext[0]


def test_an_audience_of_hidden_rates_says_so() -> None:
    row = {"group": ["all"], "users": [3], "k": [np.nan], "k_before": [np.nan]}
    names = [f"{n}{e}" for n in ("rate", "low", "high") for e in ("", "_before")]
    figure = audience_rates(pd.DataFrame(row | {name: [np.nan] for name in names}))
    assert figure.layout.meta["alt"] == "There are too few people to show."


def differences() -> pd.DataFrame:
    return pd.DataFrame(
        {
            "kind": ["event", "property", "time"],
            "name": ["view_item", EVIL, "buy"],
            "value": ["", EVIL, ""],
            "unit": ["share", "share", "later"],
            "k_a": [56, 3, 10],
            "n_a": [70, 70, 10],
            "rate_a": [0.8, 3 / 70, np.nan],
            "k_b": [48, 4, 10],
            "n_b": [80, 80, 10],
            "rate_b": [0.6, 0.05, np.nan],
            "difference": [0.2, -0.007, 0.1],
            "low": [0.05, -0.09, -0.1],
            "high": [0.33, 0.07, 0.3],
            "q_value": [0.0001, 0.8, 0.2],
            "clear": [True, False, False],
        }
    )


def test_differences_are_shares_only_and_escaped() -> None:
    figure = share_differences(differences(), names=(EVIL, "others"))
    alt = figure.layout.meta["alt"]
    assert "80.0% (56 of 70) against 60.0% (48 of 80), +20.0 points" in alt
    assert list(figure.data[-1].x) == [0.2, -0.007]
    assert list(figure.data[-1].marker.symbol) == ["circle", "circle-open"]
    shown = [note.text for note in figure.layout.annotations] + list(figure.data[-1].hovertext)
    assert not any("<script" in text for text in shown)
    assert "<script" not in figure.layout.xaxis.title.text
    none = share_differences(differences().iloc[2:])
    assert none.layout.meta["alt"] == "There is nothing to compare."


def test_upset_draws_every_combination_and_escapes_names() -> None:
    table = pd.DataFrame(
        {
            "set_1": [True, True, False],
            "set_2": [False, True, True],
            "k": [30, 10, np.nan],
            "n": 100,
            "rate": [0.3, 0.1, np.nan],
            "low": [0.2, 0.05, np.nan],
            "high": [0.4, 0.2, np.nan],
        }
    )
    figure = upset(table, (EVIL, "Readers"), title="Overlap")
    alt = figure.layout.meta["alt"]
    assert "Readers: 10.0% (10 of 100)" in alt
    assert "Only Readers: too few people to show" in alt
    assert not any("<script" in note.text for note in figure.layout.annotations)
    dots = [
        trace for trace in figure.data if trace.type == "scatter" and trace.mode == "lines+markers"
    ]
    assert [list(trace.x) for trace in dots] == [[0], [0, 1], [1]]
    bars = next(trace for trace in figure.data if trace.type == "bar")
    assert list(bars.x) == [0.3, 0.1, None]
    assert "95% interval 20.0% to 40.0%" in bars.hovertext[0]
    assert "Nobody" in upset(table.iloc[:0], ("a", "b")).layout.meta["alt"]


def test_scores_of_different_number_have_places_of_their_own() -> None:
    table = pd.DataFrame(
        {
            "measure": ["recency", "recency", "frequency"],
            "score": [2, 1, 1],
            "low": [0.0, 5.0, 1.0],
            "high": [4.0, 9.0, 1.0],
            "k": [5, 5, 10],
            "n": 10,
            "rate": [0.5, 0.5, 1.0],
            "rate_low": [0.2, 0.2, 0.7],
            "rate_high": [0.8, 0.8, 1.0],
        }
    )
    figure = score_bars(table)
    y = list(figure.data[0].y)
    assert y == sorted(y)
    assert len(set(y)) == 3
    assert figure.layout.xaxis.range[1] > 1.5
    assert "Recency, score 2: 0 to 4 days ago, 50.0% (5 of 10)." in figure.layout.meta["alt"]
