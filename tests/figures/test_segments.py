"""The figures of segments: every number in words, names escaped, few people not shown."""

from __future__ import annotations

import numpy as np
import pandas as pd

from analysis import figures

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


def test_clusters_say_their_numbers_and_escape_names():
    figure = figures.cluster_bars(clusters(), title="Kinds")
    alt = figure.layout.meta["alt"]
    assert "88.2% (30 of 34)" in alt
    assert "Much share: too few people to show." in alt
    assert "2.00 per session, everybody 0.40" in alt
    assert "<script" not in figure.to_json().replace(alt.replace('"', '\\"'), "")
    assert list(figure.data[0].x) == [1.5, 0.2, 2.0]
    assert "no clusters" in figures.cluster_bars(clusters().iloc[:0]).layout.meta["alt"]


def test_audiences_leave_out_what_is_not_known():
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
    figure = figures.audience_rates(table)
    assert figure.layout.meta["alt"] == "All, before: 10.0% (4 of 40)."
    assert len(figure.data[0].x) == 1
    assert "95% interval 4.0% to 23.0%" in figure.data[0].hovertext[0]
