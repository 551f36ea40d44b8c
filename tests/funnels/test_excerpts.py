"""Part of a log tells a period's chains as the whole log does, and is a part."""

from __future__ import annotations

from typing import Any

import pytest
from support.funnel_view_logs import view_log

from analysis.funnels import counts
from analysis.funnels.excerpts import excerpt, is_local, settled
from analysis.funnels.result import funnel

PERIOD = ("2026-10-23 05:00", "2026-10-24 05:00")


@pytest.mark.parametrize("seed", range(8))
@pytest.mark.parametrize(
    "options",
    [
        {"order": "any"},
        {"order": "strict", "by": "device"},
        {"by": ["device", "currency"], "ties": "strict"},
        {"by": "device", "by_at": 2},
        {"by": "value", "steps": ["a", {"event": "q", "optional": True}, "b"]},
        {"steps": ["a", {"event": "b", "within": "3h"}, "c"], "by": "device"},
        {"steps": ["a", {"event": "b", "where": {"value": "> 2"}}, {"event": "c", "label": "C"}]},
        {"steps": ["a", {"event": "b", "where": {"user": "!= 7", "device": ["m", "d"]}}]},
    ],
)
def test_a_periods_chains_are_those_of_the_whole_log(seed: int, options: dict[str, Any]) -> None:
    asked = {"steps": ["a", "b", "c"], "window": "1d", "entered": PERIOD} | options
    found = funnel(view_log(seed, users=90), asked.pop("steps"), **asked)
    spec, log = found.question, found.log
    whole = counts._sums_of(log, spec, None)
    assert is_local(spec) or spec.order == "sequential"
    part = excerpt(log, settled(spec, log))
    assert part.events < log.events / 2
    assert found.sums.names == whole.names
    assert found.sums.counts.tolist() == whole.counts.tolist()
    facts = ("entered", "immature", "tied", "ungrouped", "held")
    assert [getattr(found.sums, f) for f in facts] == [getattr(whole, f) for f in facts]
    assert found.table.equals(counts.funnel_table(whole, spec))


def test_a_condition_that_holds_outside_of_the_period_matches_something() -> None:
    """Nothing is said of a condition that only other weeks meet."""
    log = view_log(1)
    frame = log.to_frame()
    late = frame["time"] >= "2026-10-28"
    frame.loc[~late & (frame["value"] > 5), "value"] = 1.0
    steps = ["a", {"event": "b", "where": {"value": "> 5"}}]
    found = funnel(type(log).from_frame(frame), steps, window="1d", entered=PERIOD)
    assert found.table["count"].iloc[1] == 0
    assert not [note for note in found.warnings if "matches nothing" in note]


def test_what_is_decided_outside_of_the_period_is_asked_of_the_whole_log() -> None:
    for options in (
        {"entry": "first"},
        {"count": "attempts"},
        {"exclude": ["q"]},
        {"by": "device", "by_at": "last_touch"},
        {"hold": "device"},
        {"entered": None},
    ):
        asked: dict[str, Any] = {"window": "1d", "entered": PERIOD} | options
        assert not is_local(funnel(view_log(2), ["a", "b"], **asked).question)
