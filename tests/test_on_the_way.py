"""What leads because only those do it who are near: against pandas, and in the simulated shop."""

from __future__ import annotations

import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from analysis.catalog import Catalog
from analysis.correlation.correlation import micro_to_macro
from analysis.correlation.on_the_way import OnTheWay, on_the_way
from analysis.correlation.plan import exposure_plan
from analysis.eventlog.log import EventLog
from analysis.simulation.log import simulate

SHOP = Catalog.load("data/catalogs/ecommerce.toml")
LOG = simulate(seed=2026, users=20_000).log
HAND = Catalog.from_mapping(
    {
        "name": "hand",
        "events": {
            "buy": {"role": "macro"},
            "look": {"role": "milestone"},
            "cart": {"role": "milestone"},
            "remove": {"role": "adverse"},
            "video": {"role": "secondary"},
        },
    }
)
NAMES = ["buy", "look", "cart", "remove", "video", "visit"]
row = st.tuples(st.sampled_from("abcdefgh"), st.integers(0, 9), st.sampled_from(NAMES))


def log_of(rows: list[tuple[str, int, str]], until: int = 400) -> EventLog:
    frame = pd.DataFrame(rows, columns=["user", "time", "event"])
    time = pd.Timestamp("2026-01-01") + pd.to_timedelta(frame["time"], unit="h")
    end = pd.Timestamp("2026-01-01") + pd.Timedelta(until, "h")
    return EventLog.from_frame(frame.assign(time=time), covers_until=end, shards=2)


def by_hand(rows: list[tuple[str, int, str]], horizon: int, start: str | None, event: str):
    """(milestone, k, n, reached, users) of the one that fewest reach, or None."""
    firsts = []
    for user in sorted({user for user, *_ in rows}):
        own = sorted([(t, i, e) for i, (u, t, e) in enumerate(rows) if u == user])
        entry = [n for n, (_, _, e) in enumerate(own) if start in (None, e)]
        if not entry:
            continue
        own = own[entry[0] :]
        end = own[0][0] + horizon
        end = min([end, *(t for t, _, e in own if e == "buy")])
        first: dict[str, int] = {}
        for t, _, e in own:
            if t < end:
                first.setdefault(e, t)
        firsts.append(first)
    did = [first for first in firsts if event in first]
    found = []
    for step in ("look", "cart"):
        k = sum(first.get(step, 99) <= first[event] for first in did)
        reached = sum(step in first for first in firsts)
        near = did and k >= 0.95 * len(did) and reached < 0.5 * len(firsts)
        if step not in (event, start) and near:
            found.append((step, k, len(did), reached, len(firsts)))
    return min(found, key=lambda one: one[3]) if found else None


@settings(max_examples=200, deadline=None)
@given(
    rows=st.lists(row, max_size=30),
    horizon=st.sampled_from([3, 24]),
    start=st.sampled_from([None, "visit", "look"]),
)
def test_it_is_what_counting_by_hand_finds(
    rows: list[tuple[str, int, str]], horizon: int, start: str | None
) -> None:
    # Somebody does everything, so that the log knows every name; the rest mostly visit.
    rows = rows + [("zed", i, name) for i, name in enumerate(NAMES)] + [("yan", 0, "visit")] * 2
    log = log_of(rows)
    plan = exposure_plan(log, HAND, horizon=f"{horizon}h", start=start)
    found = on_the_way(log, HAND, plan, ["remove", "video"])
    for event in ("remove", "video"):
        expected = by_hand(rows, horizon, start, event)
        one = found.get(event)
        told = None if one is None else (one.milestone, one.k, one.n, one.reached, one.users)
        assert told == expected


def test_one_in_twenty_may_have_missed_the_milestone_and_no_more() -> None:
    def rows(missed: int) -> list[tuple[str, int, str]]:
        both = [(f"u{i}", 1, "cart") for i in range(missed, 20)]
        return [*both, *((f"u{i}", 2, "remove") for i in range(20)), ("u0", 3, "look")]

    others = [(f"o{i}", 0, "visit") for i in range(30)]
    for missed, expected in ((0, "cart"), (1, "cart"), (2, None)):
        log = log_of(rows(missed) + others)
        found = on_the_way(log, HAND, exposure_plan(log, HAND), ["remove"])
        assert (found["remove"].milestone if found else None) == expected


def test_what_most_people_reach_explains_nothing() -> None:
    log = log_of([("a", 1, "look"), ("a", 2, "video"), ("b", 1, "visit")])
    assert on_the_way(log, HAND, exposure_plan(log, HAND), ["video"]) == {}
    assert on_the_way(log, HAND, exposure_plan(log, HAND), []) == {}


def test_the_words_have_the_share_and_what_to_ask() -> None:
    said = OnTheWay("cart", "Filled a cart", 129, 129, 2464, 20_000).words()
    assert "“Filled a cart” before, and 12.3% (2,464 of 20,000) of all users do" in said
    assert "start='cart'" in said


@pytest.fixture(scope="module")
def answer():
    return micro_to_macro(LOG, SHOP)


def test_removing_from_a_cart_leads_with_its_reason_beside_it(answer) -> None:
    """In the simulated shop it makes nobody buy; who has a cart is just nearer to a purchase."""
    found = answer.table.set_index("event")
    own = found.loc["remove_from_cart"]
    assert own["verdict"] == "leads"
    assert own["only_after"] == "view_cart"
    assert "start='view_cart'" in own["reason"]
    first, _, then = answer.sentence().partition("What only those can do who are further on")
    assert "Removed from cart" not in first
    assert "Product video started" in first
    assert "Removed from cart" in then
    assert "done after “Viewed the cart”" in then
    others = found.drop("remove_from_cart")
    assert others["only_after"].isna().all()
    assert not others["reason"].str.contains("start=").any()


@pytest.mark.parametrize("start", ["add_to_cart", "view_cart"])
def test_among_those_with_a_cart_it_no_longer_leads(start: str) -> None:
    found = micro_to_macro(LOG, SHOP, start=start).table.set_index("event")
    own = found.loc["remove_from_cart"]
    assert own["verdict"] not in ("leads", "inverse")
    assert own["calibrated_low"] < 1 < own["calibrated_high"]
    assert start not in found.index


def test_few_people_hide_it_too(answer) -> None:
    own = micro_to_macro(LOG, SHOP, min_cell=16).table.set_index("event").loc["remove_from_cart"]
    assert own["only_after"] is None
    assert "start=" not in own["reason"]
    assert own["reason"].endswith("fewer than 16, of 722 who converted.")
