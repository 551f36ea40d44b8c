"""Rules as plain data: what is written is read back to an equal rule, through TOML too."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import tomlkit
from hypothesis import given, settings
from support.segment_draws import rules

from analysis.catalog import Catalog
from analysis.core.schema import UsageError
from analysis.segments.result import catalog_segments
from analysis.segments.rules import did, frequency, recency, sequence, value
from analysis.segments.written import as_rule, as_table, in_words

CATALOGS = Path(__file__).parents[2] / "data" / "catalogs"


@settings(max_examples=300)
@given(rules)
def test_a_rule_is_read_back_equal(written: Any) -> None:
    rule = as_rule(written)
    again = as_rule(as_table(rule))
    assert again == rule
    assert hash(again) == hash(rule)
    through = tomllib.loads(tomlkit.dumps({"rule": as_table(rule)}))
    assert as_rule(through["rule"]) == rule
    assert "\n" not in in_words(rule)


def test_it_is_written_as_people_would() -> None:
    rule = did("cart", at_least=2, within="30d") & ~did("buy") | recency("buy", at_least="60d")
    assert as_table(rule) == {
        "any": [
            {"all": [{"did": "cart", "at_least": 2, "within": "30d"}, {"not": {"did": "buy"}}]},
            {"recency": "buy", "at_least": "60d"},
        ]
    }
    where = did(["a", "b"], where={"value": ">= 50", "device": ["m", "d"]})
    assert as_table(where) == {
        "did": ["a", "b"],
        "where": {"value": ">= 50", "device": ["m", "d"]},
    }
    steps = sequence(["a", {"event": "b", "where": {"x": 1}}], within=pd.Timedelta("36h"))
    assert as_table(steps) == {
        "sequence": ["a", {"event": "b", "where": {"x": 1}}],
        "within": "36h",
    }


def test_joints_are_flat_and_a_rule_turned_twice_is_itself() -> None:
    a, b, c = did("a"), did("b"), did("c")
    assert (a & b) & c == a & (b & c)
    assert (a | b) | c == a | (b | c)
    assert ~~a == a
    assert a & b != b & a


@pytest.mark.parametrize("path", sorted(CATALOGS.glob("*.toml")), ids=lambda path: path.stem)
def test_the_rules_of_the_shipped_catalogs_are_rules(path: Any) -> None:
    catalog = Catalog.load(path)
    found = catalog_segments(catalog)
    assert list(found) == list(catalog.segments)
    for rule in found.values():
        assert as_rule(as_table(rule)) == rule


def test_abandoners_wait_as_long_as_the_derived_events_say() -> None:
    for name, derived, segment in (
        ("ecommerce", "cart_abandoned", "abandoned_carts"),
        ("saas", "trial_lapsed", "lapsed_trials"),
    ):
        catalog = Catalog.load(CATALOGS / f"{name}.toml")
        rule, event = catalog.segments[segment]["rule"], catalog.derived[derived]
        assert rule == {"abandoned": event["after"], "without": event["without"],
                        "wait": event["wait"]}  # fmt: skip


@pytest.mark.parametrize(
    ("written", "message"),
    [
        ({}, "Give one of all, any, not, did"),
        ("did", "is not a rule"),
        ({"dd": "a"}, "Did you mean 'did'"),
        ({"did": "a", "recency": "b"}, r"the keys \['did', 'recency'\] together"),
        ({"did": 5}, "event=5"),
        ({"did": []}, "an event's name, or a list"),
        ({"did": "a", "at_least": 0}, "whole number from 1"),
        ({"did": "a", "at_least": True}, "whole number from 1"),
        ({"did": "a", "at_least": 3, "at_most": 2}, "Swap"),
        ({"did": "a", "within": "30"}, "no unit"),
        ({"did": "a", "within": "soon"}, "not a duration"),
        ({"did": "a", "where": "x"}, "a table such as"),
        ({"did": "a", "where": {"x": []}}, "values="),
        ({"all": []}, "one at least"),
        ({"any": {"did": "a"}}, "a list of rules"),
        ({"not": [{"did": "a"}]}, "is not a rule"),
        ({"before": [{"did": "a"}]}, "two did-rules"),
        ({"before": [{"did": "a"}, {"recency": "b", "at_most": "1d"}]}, "two did-rules"),
        ({"before": [{"did": "a", "at_most": 2}, {"did": "b"}]}, "no meaning in an order"),
        ({"sequence": ["a"]}, "1 steps"),
        ({"sequence": "ab"}, "not a list"),
        ({"sequence": [{"evnt": "a"}, "b"]}, "Did you mean 'event'"),
        ({"first": "device"}, "has no values"),
        ({"recency": "a"}, "at_least and at_most are missing"),
        ({"recency": "a", "at_least": "2d", "at_most": "1d"}, "Swap"),
        ({"frequency": "week", "at_least": 1}, "Allowed: 'session', 'day', 'event'"),
        ({"frequency": "day"}, "are missing"),
        ({"value": "value", "at_least": "5"}, "a number"),
        ({"value": "value", "at_least": float("nan")}, "a number"),
        ({"abandoned": "a", "without": "b"}, "has no wait"),
        ({"abandoned": "a", "without": "b", "wait": "1d", "still": "yes"}, "True or False"),
    ],
)
def test_a_mistake_is_one_line(written: Any, message: str) -> None:
    with pytest.raises(UsageError, match=message) as raised:
        as_rule(written, "shop.toml: segments.x.rule")
    assert str(raised.value).startswith("shop.toml: segments.x.rule: ")
    assert "\n" not in str(raised.value)


def test_rules_are_neither_true_nor_false() -> None:
    with pytest.raises(UsageError, match="instead of and, or and not"):
        bool(did("a"))
    with pytest.raises(UsageError, match="is not a rule"):
        did("a") & "b"


def test_rules_in_words() -> None:
    rule = frequency("day", at_least=3, within="30d") | value(at_least=100, event="buy")
    assert in_words(rule) == (
        "did anything in at least 3 days in the last 30 days or has a sum of value of buy of at "
        "least 100"
    )
