"""Figures of a suggested funnel and of hidden steps: what they show, say and escape."""

from __future__ import annotations

import json
import re

import numpy as np
import pandas as pd
import pytest

from analysis.catalog import Catalog
from analysis.eventlog.log import EventLog
from analysis.funnels import figures_steps
from analysis.funnels.between_steps import hidden_steps
from analysis.funnels.suggestion import suggest

EVIL = '<b onclick="x">Cart & $co$</b>'
DAY = pd.Timestamp("2026-01-10")


def log() -> EventLog:
    people = [[("look", 0), (EVIL, 2), ("form", 3), ("buy", 5)]] * 40
    people += [[(EVIL, 0), ("look", 2), ("buy", 5)]] * 10 + [[(EVIL, 0), ("form", 1)]] * 5
    people += [[(EVIL, 0)]] * 30
    rows = [(f"u{i}", event, at) for i, own in enumerate(people) for event, at in own]
    frame = pd.DataFrame(rows, columns=["user", "event", "time"])
    frame["time"] = DAY + pd.to_timedelta(frame["time"], unit="min")
    return EventLog.from_frame(frame, covers_until="2026-03-01")


def shop() -> Catalog:
    roles = {"look": "milestone", EVIL: "milestone", "form": "milestone", "buy": "macro"}
    return Catalog.from_mapping(
        {"name": "shop", "events": {name: {"role": role} for name, role in roles.items()}}
    )


@pytest.fixture(params=["suggest", "hidden"])
def figure(request):
    if request.param == "suggest":
        return suggest(log(), shop()).figure()
    return hidden_steps(log(), [EVIL, "buy"]).figure()


def test_text_from_the_data_is_escaped(figure):
    drawn = json.dumps(
        {**figure.to_dict(), "layout": {**figure.layout.to_plotly_json(), "meta": 0}}
    )
    assert "<b onclick" not in drawn
    assert "&lt;b onclick" in drawn
    assert "$co$" not in drawn


def test_the_alternative_text_has_no_percent_without_its_count(figure):
    said = figure.layout.meta["alt"]
    assert len(re.findall(r"\d% \(\d+ of \d+\)", said)) >= 2
    assert EVIL in said


def test_every_mark_has_its_number_on_it_and_its_counts_on_hover(figure):
    words = [text for trace in figure.data if trace.text for text in trace.text]
    assert words
    assert all(re.search(r"% · \d+", text) for text in words)
    hovers = [
        text for trace in figure.data if trace.hoverinfo == "text" for text in trace.hovertext
    ]
    assert all(re.search(r"\d+ of \d+", text) for text in hovers)


def test_intervals_are_those_of_the_table():
    result = suggest(log(), shop())
    bars = result.figure().data[0]
    array = [np.nan if v is None else v for v in bars.error_x.array]
    np.testing.assert_allclose(array, result.table["high"] - result.table["rate"], atol=1e-5)
    hidden = hidden_steps(log(), [EVIL, "buy"])
    for trace, prefix in zip(hidden.figure().data[::2], ("", "stopped_"), strict=True):
        below = hidden.table[f"{prefix}rate"] - hidden.table[f"{prefix}low"]
        np.testing.assert_allclose(trace.error_x.arrayminus, below, atol=1e-5)
        np.testing.assert_allclose(trace.x, hidden.table[f"{prefix}rate"], atol=1e-5)


def test_a_hidden_step_is_marked_as_one_and_a_title_is_escaped():
    result = hidden_steps(log(), [EVIL, "buy"])
    figure = figures_steps.hidden_dots(result.table, title="<i>steps</i>")
    notes = [note.text for note in figure.layout.annotations]
    assert notes[:2] == ["<b>Form</b> may be a hidden step", "<b>Look</b>"]
    assert figure.layout.title.text == "&lt;i&gt;steps&lt;/i&gt;"


def test_an_empty_table_says_why():
    result = suggest(log().where(event="look"), shop())
    assert "Nobody converted" in result.figure().layout.annotations[0].text
    nothing = hidden_steps(log(), ["look", "form"]).table.iloc[:0]
    assert "nothing to compare" in figures_steps.hidden_dots(nothing).layout.meta["alt"]
