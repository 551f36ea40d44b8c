"""Whoever was picked by what came before is not looked at there without a word."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
import pytest

import analysis
from analysis import (
    Catalog,
    EventLog,
    audience,
    behavioral_clusters,
    channel_strength,
    compare_horizons,
    compare_periods,
    compare_segments,
    content_conversion,
    conversion_curve,
    distance_to_macro,
    dose_response,
    doubly_robust,
    engagement_levels,
    engagement_table,
    event_order,
    form_fields,
    funnel,
    hidden_steps,
    lead_lag,
    micro_to_macro,
    overlaps,
    paths,
    rfm,
    segment,
    simulate,
    stability,
    step_matrix,
    suggest,
    time_to_convert,
    transitions,
)
from analysis.core.schema import UsageError
from analysis.funnels.micro_shares import micro_shares
from analysis.segments.result import picked
from analysis.segments.rules import did

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


WEEK = ("2026-10-26", "2026-11-02")
QUESTIONS: dict[str, Callable[[EventLog], Any]] = {
    "behavioral_clusters": lambda log: behavioral_clusters(log, clusters=2, min_events=1, draws=2),
    "channel_strength": channel_strength,
    "compare_horizons": lambda log: compare_horizons(log, SHOP, micros=["share"]),
    "compare_periods": lambda log: compare_periods(log, STEPS, period=WEEK),
    "content_conversion": lambda log: content_conversion(log, "page", to="purchase"),
    "conversion_curve": lambda log: conversion_curve(log, "view_item", "purchase"),
    "distance_to_macro": lambda log: distance_to_macro(log, SHOP),
    "dose_response": lambda log: dose_response(log, SHOP, "share"),
    "doubly_robust": lambda log: doubly_robust(log, SHOP, "share", horizon="7d"),
    "engagement_levels": lambda log: engagement_levels(log, SHOP),
    "engagement_table": lambda log: engagement_table(log, SHOP, events=["share"]),
    "event_order": event_order,
    "form_fields": lambda log: form_fields(log, "contact"),
    "funnel": lambda log: funnel(log, STEPS),
    "funnel by": lambda log: funnel(log, STEPS, by="device"),
    "funnel of a property": lambda log: funnel(log, ["view_item", "purchase"], unit="country"),
    "hidden_steps": lambda log: hidden_steps(log, ["view_item", "purchase"]),
    "lead_lag": lambda log: lead_lag(log, SHOP, "share", freq="1D", permutations=99),
    "lead_lag of few": lambda log: lead_lag(log, SHOP, "share"),
    "micro_shares": lambda log: micro_shares(
        log, SHOP, ["view_item", "purchase"], period=("2026-10-25", "2026-11-01")
    ),
    "micro_to_macro": lambda log: micro_to_macro(log, SHOP, micros=["share"]),
    "paths": lambda log: paths(log, to="add_to_cart", length=2),
    "rfm": rfm,
    "stability": lambda log: stability(log, SHOP, "share", dimensions=["device"]),
    "step_matrix": lambda log: step_matrix(log, steps=2),
    "suggest": lambda log: suggest(log, SHOP),
    "suggest nothing": lambda log: suggest(
        log, Catalog.from_mapping({"name": "blog", "events": {"donate": {"role": "macro"}}})
    ),
    "time_to_convert": lambda log: time_to_convert(log, "purchase"),
    "transitions": transitions,
}
ELSEWHERE = {
    "audience": "as of its segment: test_what_takes_a_segment_of_an_earlier_instant_says_so",
    "overlaps": "as of its segments: test_what_takes_a_segment_of_an_earlier_instant_says_so",
    "segment": "refuses an instant before the pick: test_nothing_is_asked_as_of_...",
    "compare_segments": "refuses an instant before the pick: test_nothing_is_asked_as_of_...",
    "audit": "is about the rows and how they came, and compares no people",
    "person_periods": "gives rows and has no words; who models them knows whom they picked",
    "sessionize": "makes a log, which keeps the instant",
    "units": "makes a log of other units",
}


def test_no_question_is_forgotten() -> None:
    public = {name: getattr(analysis, name) for name in analysis.__all__}
    ask_a_log = {
        name
        for name, found in public.items()
        if inspect.isfunction(found) and next(iter(inspect.signature(found).parameters)) == "log"
    }
    assert len(ask_a_log) > 25
    assert not ELSEWHERE.keys() & QUESTIONS.keys()
    assert ask_a_log == (QUESTIONS.keys() & public.keys()) | ELSEWHERE.keys()


@pytest.mark.parametrize("name", QUESTIONS)
def test_a_question_about_what_picked_them_says_so(name: str, log, buyers) -> None:
    said = [one for one in QUESTIONS[name](buyers).warnings if SAID in one]
    assert len(said) == 1


@pytest.mark.parametrize("name", QUESTIONS)
def test_a_question_about_everybody_does_not(name: str, log) -> None:
    assert not any("picked by" in one for one in QUESTIONS[name](log).warnings)


BOUNDED: dict[str, Callable[[EventLog, Any], Any]] = {
    "transitions": lambda log, given: transitions(log, entered=given),
    "step_matrix": lambda log, given: step_matrix(log, steps=2, entered=given),
    "paths": lambda log, given: paths(log, length=2, entered=given),
    "event_order": lambda log, given: event_order(log, entered=given),
    "distance_to_macro": lambda log, given: distance_to_macro(log, SHOP, entered=given),
    "form_fields": lambda log, given: form_fields(log, "contact", entered=given),
    "micro_shares": lambda log, given: micro_shares(
        log, SHOP, ["view_item", "purchase"], period=given
    ),
    "compare_periods": lambda log, given: compare_periods(
        log, STEPS, period=("2026-11-09", "2026-11-16"), previous=given
    ),
}


@pytest.mark.parametrize("name", BOUNDED)
def test_what_looks_from_then_on_is_no_hindsight(name: str, log) -> None:
    viewers = log.in_segment(segment(log, did("view_item"), at=AT))
    later = BOUNDED[name](viewers, (AT, "2026-11-09"))
    assert not any("picked by" in one for one in later.warnings)
    earlier = BOUNDED[name](viewers, ("2026-10-25", "2026-11-09"))
    assert any(SAID in one for one in earlier.warnings)


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
