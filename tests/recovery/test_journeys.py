"""Journeys of a world whose truth is known: a chain of events with planted chances and waits.

Every user has one line, so lines are independent. Counts are held against the planted chances by
exact or chi-square tests; the seed is fixed, so a limit never fails by chance.
"""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from analysis.catalog import Catalog
from analysis.eventlog.log import EventLog
from analysis.journeys.distance import distance_to_macro
from analysis.journeys.flows import step_matrix, transitions
from analysis.journeys.order import event_order
from analysis.journeys.routes import paths

STATES = ("list", "item", "cart", "buy")
END = len(STATES)
# From each state to each state, and out.
CHANCE = np.array(
    [
        [0.20, 0.50, 0.00, 0.00, 0.30],
        [0.30, 0.20, 0.20, 0.00, 0.30],
        [0.10, 0.20, 0.00, 0.30, 0.40],
        [0.00, 0.00, 0.00, 0.00, 1.00],
    ]
)
FIRST = np.array([0.7, 0.3, 0.0, 0.0])
MEDIANS = {"list": 20.0, "item": 45.0, "cart": 90.0}
USERS = 20_000
ENOUGH = 1e-3
PLAN = Catalog.from_mapping(
    {
        "name": "chain",
        "events": {
            "buy": {"role": "macro"},
            "cart": {"role": "milestone"},
            "item": {"role": "milestone"},
            "list": {"role": "secondary"},
        },
    }
)


@pytest.fixture(scope="module")
def log() -> EventLog:
    """Every user goes on from state to state until out; waits depend on the state that is left."""
    rng = np.random.default_rng(11)
    state = rng.choice(len(STATES), USERS, p=FIRST)
    user, at, parts = np.arange(USERS), np.zeros(USERS), []
    while len(user):
        parts.append(pd.DataFrame({"user": user, "seconds": at, "state": state}))
        draws = rng.random(len(user))
        following = (draws[:, None] >= CHANCE[state].cumsum(axis=1)).sum(axis=1)
        typical = np.array([*MEDIANS.values(), 1.0])[state]
        at = at + typical * rng.lognormal(0, 0.5, len(user))
        on = following < END
        user, at, state = user[on], at[on], following[on]
    frame = pd.concat(parts).sort_values(["user", "seconds"], kind="stable")
    instants = np.rint(frame["seconds"] * 1e6).to_numpy().astype("timedelta64[us]")
    return EventLog.from_frame(
        pd.DataFrame(
            {
                "user": frame["user"].astype(str).to_numpy(),
                "time": pd.Timestamp("2026-03-01", tz="UTC") + pd.Series(instants),
                "event": np.array(STATES)[frame["state"]],
            }
        ),
        covers_until="2026-03-03",
    )


def test_chances_and_waits_are_found(log: EventLog) -> None:
    found = transitions(log, within="user").table.set_index(["event", "next_event"])
    for place, state in enumerate(STATES):
        wanted = dict(zip([*STATES, "(end)"], CHANCE[place], strict=True))
        own = found.loc[state]
        assert set(own.index) == {name for name, chance in wanted.items() if chance}
        expected = [wanted[name] * own["n"].iloc[0] for name in own.index]
        if len(own) > 1:
            assert stats.chisquare(own["k"], expected).pvalue > ENOUGH
        for name in own.index.intersection(STATES):
            assert own.loc[name, "median_seconds"] == pytest.approx(MEDIANS[state], rel=0.05)


def test_places_after_each_step_are_powers_of_the_chain(log: EventLog) -> None:
    table = step_matrix(log, within="user", steps=4, min_cell=1).table
    whole = np.vstack([CHANCE, np.eye(END + 1)[END]])
    share = np.append(FIRST, 0.0)
    for step in range(5):
        own = table[table["position"] == step].set_index("event")["k"]
        expected = pd.Series(share * USERS, index=[*STATES, "(end)"])
        expected = expected[expected > 0]
        assert set(own.index) == set(expected.index)
        assert stats.chisquare(own[expected.index], expected).pvalue > ENOUGH
        share = share @ whole


def test_ways_are_taken_and_end_well_as_often_as_planted(log: EventLog) -> None:
    table = paths(log, start="item", to="buy", length=3, collapse=False, within="user").table
    found = table.set_index("path")
    item, cart = STATES.index("item"), STATES.index("cart")
    # Chance to ever buy from each state: absorption of the chain.
    to_buy = np.linalg.solve(np.eye(3) - CHANCE[:3, :3], CHANCE[:3, 3])
    for path, chance, last in [
        ("item", CHANCE[item, END], None),
        ("item → cart", CHANCE[item, cart] * (CHANCE[cart, 3] + CHANCE[cart, END]), cart),
        ("item → cart → item", CHANCE[item, cart] * CHANCE[cart, item], item),
    ]:
        row = found.loc[path]
        assert stats.binomtest(int(row["count"]), int(row["lines"]), chance).pvalue > ENOUGH
        came = to_buy[item] if last is None else to_buy[last]
        assert stats.binomtest(int(row["k"]), int(row["n"]), came).pvalue > ENOUGH


def test_distances_are_those_of_the_chain(log: EventLog) -> None:
    found = distance_to_macro(log, PLAN, near=1).table.set_index("event")
    # A purchase comes right after a cart, and after nothing else.
    assert found.loc["cart", "coverage"] == 1
    assert found.loc["cart", ["median_steps", "near"]].tolist() == [1, 1]
    assert found.loc["cart", "median_seconds"] == pytest.approx(MEDIANS["cart"], rel=0.05)
    item = np.linalg.solve(np.eye(3) - CHANCE[:3, :3], CHANCE[:3, 3])[1]
    k, n = (int(found.loc["item", name]) for name in ("k", "n"))
    assert stats.binomtest(k, n, item).pvalue > ENOUGH
    assert found.loc["cart", "behaves"] == "like a milestone"
    assert found.loc["item", "behaves"] == "not like a milestone"  # never within one step


def test_orders_and_lifts_of_planted_pairs() -> None:
    """x and y have nothing to do with each other; u comes before v in 7 of 10, twice together."""
    rng = np.random.default_rng(5)
    many = 8_000
    has = {name: rng.random(many) < 0.4 for name in "xyu"}
    has["v"] = np.where(has["u"], rng.random(many) < 0.4, rng.random(many) < 0.4 / 6)
    at = {name: rng.random(many) * 1e6 for name in "xyu"}
    late = np.where(rng.random(many) < 0.7, 1.0, -1.0)
    at["v"] = at["u"] + late * (1 + rng.random(many))
    frame = pd.concat(
        pd.DataFrame({"user": np.flatnonzero(own), "seconds": at[name][own], "event": name})
        for name, own in has.items()
    )
    instants = pd.to_timedelta(frame.pop("seconds") + 10, unit="s").dt.round("us")
    frame["time"] = pd.Timestamp("2026-03-01", tz="UTC") + instants
    everybody = pd.DataFrame({"user": range(many), "event": "visit"})
    everybody["time"] = pd.Timestamp("2026-02-28", tz="UTC")
    log = EventLog.from_frame(pd.concat([frame, everybody]).astype({"user": "str"}))
    table = event_order(log).table
    pairs = {frozenset((row.a, row.b)): row for row in table.itertuples()}
    inert, planted = pairs[frozenset("xy")], pairs[frozenset("uv")]
    assert stats.binomtest(int(inert.k), int(inert.n)).pvalue > ENOUGH
    assert inert.lift_low < 1 < inert.lift_high
    assert not inert.clear
    assert (planted.a, planted.b, planted.clear) == ("u", "v", True)
    assert stats.binomtest(int(planted.k), int(planted.n), 0.7).pvalue > ENOUGH
    # P(v) = 0.4·0.4 + 0.6·0.4/6 = 0.2, so together 0.16 against 0.4·0.2.
    assert planted.lift_low < 2 < planted.lift_high
