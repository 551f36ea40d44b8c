"""Whoever was picked by what came before is not looked at there without a word."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
import pytest

from analysis import (
    Catalog,
    EventLog,
    audience,
    behavioral_clusters,
    compare_segments,
    conversion_curve,
    engagement_levels,
    engagement_table,
    funnel,
    micro_to_macro,
    overlaps,
    rfm,
    segment,
    simulate,
    time_to_convert,
)
from analysis.schema import UsageError
from analysis.segments import did, picked

AT, EARLIER = "2026-10-26", "2026-10-01"
SHOP = Catalog.load("data/catalogs/ecommerce.toml")
STEPS = ["view_item", "add_to_cart", "purchase"]
SAID = "picked by what they did before 2026-10-26 00:00 UTC"


@pytest.fixture(scope="module")
def log() -> EventLog:
    return simulate(users=2_500).log


@pytest.fixture(scope="module")
def buyers(log: EventLog) -> EventLog:
    return log.in_segment(segment(log, did("purchase"), at=AT))


QUESTIONS: dict[str, Callable[[EventLog], Any]] = {
    "funnel": lambda log: funnel(log, STEPS),
    "funnel by": lambda log: funnel(log, STEPS, by="device"),
    "funnel of a property": lambda log: funnel(log, ["view_item", "purchase"], unit="country"),
    "curve": lambda log: conversion_curve(log, "view_item", "purchase"),
    "times": lambda log: time_to_convert(log, "purchase"),
    "micros": lambda log: micro_to_macro(log, SHOP, micros=["share"]),
    "levels": lambda log: engagement_levels(log, SHOP),
    "engagement": lambda log: engagement_table(log, SHOP, events=["share"]),
    "buyers": rfm,
    "clusters": lambda log: behavioral_clusters(log, clusters=2, min_events=1, draws=2),
}


@pytest.mark.parametrize("name", QUESTIONS)
def test_a_question_about_what_picked_them_says_so(name: str, log, buyers) -> None:
    assert any(SAID in one for one in QUESTIONS[name](buyers).warnings)


@pytest.mark.parametrize("name", ["funnel", "curve", "engagement", "micros"])
def test_a_question_about_everybody_does_not(name: str, log) -> None:
    assert not any("picked by" in one for one in QUESTIONS[name](log).warnings)


def test_entries_from_then_on_are_no_hindsight(log, buyers) -> None:
    for found in (
        funnel(buyers, STEPS, entered=(AT, None)),
        conversion_curve(buyers, "view_item", "purchase", entered=(AT, "2026-11-10")),
        funnel(buyers.between(AT), STEPS),
        funnel(buyers.where(device="mobile"), STEPS, entered=(AT, None)),
    ):
        assert not any("picked by" in one for one in found.warnings)
    late = funnel(buyers, STEPS, entered=("2026-10-25", None))
    assert any(SAID in one for one in late.warnings)
    assert any(SAID in one for one in funnel(buyers.where(device="mobile"), STEPS).warnings)


def test_the_latest_pick_counts(log, buyers) -> None:
    again = buyers.in_segment(segment(buyers, did("share"), at="2026-11-01"))
    assert again.picked_at_us == pd.Timestamp("2026-11-01", tz="UTC").value // 1000
    first = segment(log, did("share"), at=EARLIER)
    assert buyers.in_segment(first).picked_at_us == buyers.picked_at_us


def test_a_mask_without_an_instant_is_said_and_one_with_it_is_not(log) -> None:
    one = segment(log, did("purchase"), at=AT)
    bare = funnel(log.in_segment(one.mask), STEPS, entered=(AT, None))
    assert any("a mask that says no instant" in warning for warning in bare.warnings)
    assert log.in_segment(one.series()).picked_at_us == one.at_us
    lot = picked(log, np.arange(log.users) % 2 == 0, at=log.start)
    assert not any("picked" in warning for warning in funnel(log.in_segment(lot), STEPS).warnings)


def test_nothing_is_asked_as_of_an_instant_at_which_they_were_unknown(log, buyers) -> None:
    """Whoever bought in October is no group of September: all of them go on to buy."""
    for ask in (
        lambda: segment(buyers, did("view_item"), at=EARLIER),
        lambda: picked(buyers, np.ones(buyers.users, bool), at=EARLIER),
        lambda: engagement_levels(buyers, SHOP, at=EARLIER),
        lambda: engagement_table(buyers, SHOP, at=EARLIER),
        lambda: rfm(buyers, at=EARLIER),
        lambda: behavioral_clusters(buyers, at=EARLIER),
        lambda: compare_segments(buyers, segment(log, did("view_item"), at=EARLIER)),
    ):
        with pytest.raises(UsageError, match="would look into its future") as raised:
            ask()
        assert "\n" not in str(raised.value)


def test_what_takes_a_segment_of_an_earlier_instant_says_so(log, buyers) -> None:
    early = segment(log, did("view_item"), at=EARLIER)
    both = {"a": early, "b": segment(log, did("share"), at=EARLIER)}
    assert any(SAID in one for one in audience(buyers, early).warnings)
    assert any(SAID in one for one in overlaps(buyers, both).warnings)
    assert not any(SAID in one for one in audience(log, early).warnings)
    same = segment(log, did("purchase"), at=AT)
    assert not any("picked" in one for one in audience(buyers, same).warnings)
    assert not any("picked" in one for one in overlaps(buyers, {"a": same, "b": same}).warnings)


def test_an_empty_view_has_nothing_to_say(log) -> None:
    nobody = log.in_segment(segment(log, ~did("*"), at=AT))
    assert nobody.users == 0
    assert not any("picked" in one for one in engagement_levels(nobody, SHOP).warnings)
