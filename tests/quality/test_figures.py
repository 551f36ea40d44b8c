"""The audit's figures: what they show, that names cannot get through, and words for all of it."""

from __future__ import annotations

import json
import re
from typing import Any

import numpy as np
import pandas as pd
import pytest

from analysis.quality.figures import (
    audit_rows,
    daily_volume,
    hours_of_day,
    missing_cells,
    silences,
    value_classes,
)

EVIL = '<script>alert("x")</script>'


def checks() -> pd.DataFrame:
    verdicts = ["pass", "warn", "fail", "not applicable"]
    return pd.DataFrame(
        {
            "check": ["one", "two", "three", EVIL],
            "verdict": verdicts,
            "finding": ["fine", f"odd {EVIL}", "12.5% (1 of 8) of it " * 9, "no $occasion$"],
            "advice": ["", "look there", "mend it", ""],
        }
    )


def volume() -> pd.DataFrame:
    dates = pd.date_range("2026-10-01", periods=30, freq="D")
    count = np.arange(30) + 100
    count[7] = 0
    frame = pd.DataFrame({"series": "all events", "date": dates, "count": count, "expected": 110.5})
    frame["odd"] = frame["count"] == 0
    frame["shift"] = frame.index == 20
    return pd.concat([frame, frame.assign(series=EVIL, odd=True)])


def gone() -> pd.DataFrame:
    dates = pd.date_range("2026-10-01", periods=10, freq="D")
    parts = []
    for number in range(8):
        name = f"{number} {EVIL}"
        frame = pd.DataFrame({"event": name, "property": "device", "date": dates})
        frame = frame.assign(k=[2] * 9 + [80], n=100, usual=0.02)
        parts.append(frame.assign(rate=frame["k"] / frame["n"]))
    return pd.concat(parts, ignore_index=True)


def silent() -> pd.DataFrame:
    start, end = pd.Timestamp("2026-10-01"), pd.Timestamp("2026-10-15")
    return pd.DataFrame(
        [
            (EVIL, "new", start, end, 30.0, start, end),
            ("b", "paused", start, end, 40.0, start, end),
        ],
        columns=["event", "kind", "start", "end", "evidence", "log_start", "log_end"],
    )


def classes() -> pd.DataFrame:
    return pd.DataFrame(
        {"low": [10.0, 100.0], "high": [12.6, 126.0], "count": [19, 1], "odd": [0, 1]}
    )


def hours() -> pd.DataFrame:
    return pd.DataFrame({"hour": np.arange(24), "count": np.arange(24) * 10})


DRAWN = [
    (audit_rows, checks, "two: warn. odd"),
    (daily_volume, volume, "30 days of 0 to 129 events; 8 Oct 2026: 0, usual are 110"),
    (missing_cells, gone, "2 more pairs are not drawn."),
    (silences, silent, "b is paused: nobody from 1 Oct to 14 Oct 2026"),
    (value_classes, classes, "5.0% (1 of 20) are far from the others."),
    (hours_of_day, hours, "23 o'clock: 8.3% (230 of 2,760)"),
]


@pytest.mark.parametrize(("draw", "table", "words"), DRAWN)
def test_tells_its_numbers_in_words(draw: Any, table: Any, words: Any) -> None:
    figure = draw(table(), title=f"A title {EVIL}")
    assert words in figure.layout.meta["alt"]
    assert figure.layout.title.text.startswith("A title &lt;script")


@pytest.mark.parametrize(("draw", "table", "words"), DRAWN)
def test_names_from_the_data_are_shown_letter_by_letter(draw: Any, table: Any, words: Any) -> None:
    plain = json.loads(draw(table()).to_json())
    plain["layout"].pop("meta")
    plain["layout"].pop("template")
    text = json.dumps(plain)
    assert set(re.findall(r"<[^>]*>", text)) <= {"<b>", "</b>", "<br>"}
    assert "$" not in text
    assert "bdata" not in text
    assert draw(table()).to_json() == draw(table()).to_json()


@pytest.mark.parametrize(("draw", "table", "words"), DRAWN)
def test_nothing_to_show_is_said(draw: Any, table: Any, words: Any) -> None:
    figure = draw(table().iloc[:0])
    assert not figure.data
    assert len(figure.layout.meta["alt"]) > 15


def test_a_verdict_has_a_shape_a_color_and_a_word() -> None:
    marks = audit_rows(checks()).data[0]
    assert len(set(marks.marker.symbol)) == len(set(marks.marker.color)) == 4
    for verdict, text in zip(checks()["verdict"], marks.text, strict=True):
        assert f"<b>{verdict}</b>" in text
    assert list(marks.y) == [0, 1, 2, 3]


def test_odd_days_and_shifts_are_marked() -> None:
    figure = daily_volume(volume())
    assert list(figure.data[2].x) == ["2026-10-08"]
    assert [shape.x0 for shape in figure.layout.shapes] == ["2026-10-21"]
    assert list(figure.data[1].y)[7:9] == [0, 108]


def test_outliers_have_a_color_of_their_own() -> None:
    usual, odd = value_classes(classes()).data
    assert (list(usual.y), list(odd.y)) == ([19, 0], [0, 1])
    assert usual.marker.color != odd.marker.color
