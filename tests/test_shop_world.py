"""The table of truths against the shop it speaks of."""

from __future__ import annotations

import pandas as pd
import pytest

from analysis.simulation.kernels import EVENTS
from analysis.simulation.shop import CONTROLS, SHOP, truth


def test_the_truth_names_events_of_the_log_and_says_each_once() -> None:
    facts = truth(SHOP)
    assert set(facts["event"]) <= set(EVENTS)
    assert facts["event"].is_unique
    assert list(facts["kind"].value_counts()[["placebo", "structural", "raises"]]) == [8, 4, 2]
    assert len(CONTROLS) == 8


def test_only_what_is_said_to_work_works() -> None:
    facts = truth(SHOP).set_index("kind")
    assert (facts.loc["raises", "hazard_ratio"] > 1).all()
    assert facts.loc["lowers", "hazard_ratio"] < 1
    inert = facts.loc[["placebo", "shares_activity", "shares_interest", "brings_back", "adverse"]]
    assert (inert["hazard_ratio"] == 1).all()
    assert facts.loc["structural", "hazard_ratio"].isna().all()
    assert facts.loc["brings_back", "visit_ratio"] == 1.5
    assert facts.loc["adverse", "visit_ratio"] * 1.5 == pytest.approx(1)


def test_the_incident_is_the_week_before_the_last_monday() -> None:
    incident = truth(SHOP).set_index("kind").loc["incident"]
    assert incident["since"] == pd.Timestamp("2026-11-09", tz="UTC")
    assert incident["until"] - incident["since"] == pd.Timedelta(days=7)
    assert (incident["event"], incident["device"], incident["hazard_ratio"]) == (
        "purchase",
        "mobile",
        0.4,
    )
