"""Flows, cells and bars of journeys: readable with many events, whole, and escaped."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from analysis.eventlog.log import EventLog
from analysis.forms.figures import form_bars
from analysis.forms.result import form_fields
from analysis.journeys.figures import (
    MOST_EVENTS,
    order_map,
    path_bars,
    position_map,
    transition_flows,
    transition_map,
)
from analysis.journeys.flows import step_matrix, transitions
from analysis.journeys.order import event_order
from analysis.journeys.routes import paths

HOSTILE = "<b>bad</b>$x$"
EVENTS = [*(f"event_{k:02d}" for k in range(29)), HOSTILE]


@pytest.fixture(scope="module")
def log() -> EventLog:
    """Thirty kinds of events, some far more frequent, loops everywhere."""
    rng = np.random.default_rng(2)
    weight = 1 / np.arange(1, 31)
    draws = rng.choice(30, 12_000, p=weight / weight.sum())
    return EventLog.from_frame(
        pd.DataFrame(
            {
                "user": rng.integers(0, 600, 12_000).astype(str),
                "time": pd.Timestamp("2026-03-01", tz="UTC")
                + pd.to_timedelta(rng.integers(0, 90_000, 12_000), unit="s"),
                "event": np.array(EVENTS)[draws],
            }
        )
    )


def test_a_sankey_of_thirty_events_has_few_names_and_every_transition(log: EventLog) -> None:
    table = transitions(log, min_cell=1).table
    figure = transition_flows(table)
    trace = figure.data[0]
    names = [label.rsplit(" · ", 1)[0] for label in trace.node.label]
    assert len(set(names)) <= MOST_EVENTS + 3  # and the rest, the start, the end
    assert {"(other)", "(start)", "(end)"} <= set(names)
    left = sorted(set(trace.link.source))
    assert max(left) < min(trace.link.target)  # two columns: nothing goes back
    sizes = [int(label.rsplit(" · ", 1)[1].replace(",", "")) for label in trace.node.label]
    assert sum(sizes[place] for place in left) == table["k"].sum()
    assert sum(trace.link.value) <= table["k"].sum()
    assert "thinner flows are not drawn" in figure.layout.meta["alt"]
    assert figure.layout.height < 700


def test_a_map_has_a_cell_for_every_pair_and_says_the_count(log: EventLog) -> None:
    table = transitions(log, min_cell=1).table
    trace = transition_map(table).data[0]
    cells = np.array(trace.z, float)
    assert np.isfinite(cells).sum() == len(table)
    assert cells[np.isfinite(cells)].sum() == pytest.approx(table["event"].nunique())
    hover = np.array(trace.hovertext)[np.isfinite(cells)]
    assert all(" of " in text and "95% interval" in text for text in hover)


def test_positions_from_and_to_stand_apart(log: EventLog) -> None:
    table = step_matrix(log, to="event_03", steps=3, min_cell=1).table
    figure = position_map(table, names=("", "event_03"))
    marks = list(figure.layout.xaxis.ticktext)
    assert marks.index("") == 4
    assert [mark.strip(" \u200b") for mark in marks[5:]] == ["−3", "−2", "−1", "Event 03"]
    cells = np.array(figure.data[0].z, float)
    assert np.isnan(cells[:, 4]).all()
    assert np.nansum(np.delete(cells, 4, axis=1), axis=0) == pytest.approx(np.ones(8))


def test_orders_of_a_pair_add_up_to_one(log: EventLog) -> None:
    table = event_order(log, min_cell=1).table
    trace = order_map(table).data[0]
    cells = np.array(trace.z, float)
    assert np.isnan(np.diag(cells)).all()
    both = np.isfinite(cells)
    assert (cells + cells.T)[both] == pytest.approx(np.ones(both.sum()))
    assert both.sum() == 2 * table["rate"].notna().sum()
    assert any("times as many as by chance" in text for row in trace.hovertext for text in row)


def test_names_of_the_data_are_escaped_wherever_they_stand(log: EventLog) -> None:
    found = paths(log, to="event_00", length=2, top=200, min_cell=1)
    figures = [
        transition_map(transitions(log).table),
        order_map(event_order(log).table),
        path_bars(found.table[found.table["path"].str.contains("bad")], to=HOSTILE),
        position_map(step_matrix(log, to=HOSTILE).table, names=("", HOSTILE)),
    ]
    for figure in figures:
        drawn = figure.to_json()
        assert "bad" in drawn
        assert "<b>bad" not in str(figure.layout.xaxis.ticktext) + str(figure.layout.annotations)
        assert "$x$" not in str(figure.layout.xaxis.ticktext) + str(figure.layout.annotations)
        assert all("<b>bad" not in str(trace.hovertext) for trace in figure.data)


def test_what_is_wide_says_how_much_room_it_needs(log: EventLog) -> None:
    assert transition_map(transitions(log).table).layout.meta["room"] > 700
    few = transition_map(transitions(log, top=3).table)
    assert few.layout.meta["room"] < 400


def test_a_form_of_few_says_so() -> None:
    frame = pd.DataFrame(
        {
            "user": ["u"],
            "time": pd.to_datetime(["2026-03-01"]),
            "event": ["form_focus"],
            "form": ["f"],
            "field": ["mail"],
        }
    )
    found = form_fields(EventLog.from_frame(frame), "f")
    assert "Too few" in form_bars(found.table).layout.meta["alt"]
    assert "Too few" in found.sentence()
