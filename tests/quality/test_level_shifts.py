"""Lasting changes: found where they were planted, hardly ever where nothing was.

The worlds have a season of the week that differs by event, growth, people who differ in how much
they do, and rates that wander from week to week; a world's truth is known. Seeds are fixed.
"""

from __future__ import annotations

import dataclasses
from typing import NamedTuple

import numpy as np
import pandas as pd
import pytest

from analysis.catalog import Catalog
from analysis.eventlog.log import EventLog
from analysis.quality.level_shifts import Shift, often_enough, shifts_of
from analysis.quality.result import audit
from analysis.quality.scan import Limits
from analysis.simulation.log import simulate
from analysis.simulation.shop import SHOP

WEEKDAYS = np.array([1.08, 1.02, 0.99, 0.97, 0.90, 0.92, 1.12])
PER_VISIT = {
    "page_view": 4.0,
    "view_item": 1.6,
    "add_to_cart": 0.09,
    "begin_checkout": 0.06,
    "purchase": 0.03,
    "search": 0.3,
    "share": 0.08,
    "support_chat": 0.05,
}
NAMES = list(PER_VISIT)
DAYS = 98


class Loss(NamedTuple):
    event: str
    start: int
    end: int
    kept: float


def world(
    seed: int, *, visits: int, wander: float, walks: bool = True, loss: Loss | None = None
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Events and active people of every day, and how the events of one person come together."""
    random = np.random.default_rng(seed)
    base = np.array(list(PER_VISIT.values()))
    steps = random.normal(0, wander, (DAYS // 7 + 1, len(base)))
    level = np.cumsum(steps, axis=0) if walks else steps
    season = np.exp(random.normal(0, 0.08, (7, len(base))))
    events = np.zeros((len(base), DAYS), np.int64)
    people, squares = np.zeros(DAYS, np.int64), np.zeros(len(base))
    for d in range(DAYS):
        people[d] = random.poisson(visits * WEEKDAYS[d % 7] * (0.8 + 0.4 * d / DAYS))
        active = random.lognormal(-0.3, 0.75, people[d])
        done = random.poisson(active[:, None] * base * np.exp(level[d // 7]) * season[d % 7])
        if loss and loss.start <= d < loss.end:
            at = NAMES.index(loss.event)
            done[:, at] = random.binomial(done[:, at], loss.kept)
        events[:, d] = done.sum(axis=0)
        squares += (done.astype(float) ** 2).sum(axis=0)
    return events, people, np.maximum(squares / events.sum(axis=1), 1.0)


def found(events: np.ndarray, people: np.ndarray, clumps: np.ndarray) -> dict[str, Shift]:
    """The strongest change of each event, by the lines that an audit draws."""
    limits = Limits()
    line = limits.lasting + np.log(often_enough(events, clumps).sum())
    shifts = shifts_of(
        events,
        np.broadcast_to(people, events.shape),
        clumps,
        least=limits.lasting_ratio,
        evidence=float(line),
    )
    return {NAMES[s.series]: s for s in sorted(shifts, key=lambda s: s.evidence)}


@pytest.mark.parametrize(
    ("visits", "kept", "start", "end"),
    [(1000, 0.7, 50, 80), (1000, 0.7, 68, 98), (200, 0.5, 50, 80), (200, 0.5, 68, 98)],
)
def test_a_lasting_loss_is_found_with_its_days(
    visits: int, kept: float, start: int, end: int
) -> None:
    loss = Loss("add_to_cart", start, end, kept)
    shift = found(*world(1, visits=visits, wander=0.03, loss=loss))["add_to_cart"]
    assert abs(shift.start - start) <= 4
    assert abs(shift.end - end) <= 4
    assert shift.rate / shift.usual == pytest.approx(kept, abs=0.15)


def test_a_payment_fault_that_halves_the_orders_is_found() -> None:
    loss = Loss("purchase", 60, 90, 0.5)
    shifts = found(*world(5, visits=1000, wander=0.03, loss=loss))
    assert set(shifts) == {"purchase"}
    assert abs(shifts["purchase"].start - 60) <= 4


def test_growth_and_a_campaign_are_no_change_of_what_people_do() -> None:
    events, people, clumps = world(2, visits=500, wander=0.0)
    grown = np.where(np.arange(DAYS) >= 60, 3, 1)
    assert not found(events * grown, people * grown, clumps)


def test_a_day_without_an_event_is_no_lasting_change() -> None:
    events, people, clumps = world(3, visits=500, wander=0.0)
    events[:, 60] = 0
    assert not found(events, people, clumps)


def test_a_day_without_anybody_says_nothing() -> None:
    events, people, clumps = world(4, visits=500, wander=0.0)
    events[:, 40:50] = people[40:50] = 0
    assert not found(events, people, clumps)


def test_a_long_log_is_looked_at_in_pieces() -> None:
    parts = [world(seed, visits=200, wander=0.0) for seed in range(6)]
    events = np.concatenate([part[0] for part in parts], axis=1)
    people = np.concatenate([part[1] for part in parts])
    assert not found(events, people, parts[0][2])
    events[2, 400:430] //= 2
    shift = found(events, people, parts[0][2])["add_to_cart"]
    assert (abs(shift.start - 400) <= 3, abs(shift.end - 430) <= 3) == (True, True)


def test_few_events_are_not_looked_at() -> None:
    assert not often_enough(np.ones((1, 49), np.int64), np.ones(1)).any()
    assert (
        shifts_of(np.ones((1, 49), np.int64), np.ones((1, 49)), np.ones(1), least=1.2, evidence=0.0)
        == []
    )


# ── measured: power, and false alarms (one of 76 logs or fewer) ──────────────────────────────────


@pytest.mark.slow
@pytest.mark.parametrize(("visits", "kept"), [(1000, 0.7), (200, 0.5)])
@pytest.mark.parametrize(("start", "end"), [(50, 80), (68, 98)])
def test_nearly_all_losses_are_found(visits: int, kept: float, start: int, end: int) -> None:
    loss = Loss("add_to_cart", start, end, kept)
    seen = 0
    for seed in range(40):
        shift = found(*world(seed, visits=visits, wander=0.0, loss=loss)).get("add_to_cart")
        seen += shift is not None and abs(shift.start - start) <= 7
    assert seen >= 36


@pytest.mark.slow
@pytest.mark.parametrize("visits", [60, 200, 1000])
@pytest.mark.parametrize(
    ("wander", "walks"), [(0.0, True), (0.06, False), (0.03, True), (0.06, True)]
)
def test_clean_logs_raise_hardly_an_alarm(visits: int, wander: float, walks: bool) -> None:
    """152 logs: two alarms are one of 76. `walks`: a week's level is where the last one left it."""
    alarms = sum(
        bool(found(*world(1000 + seed, visits=visits, wander=wander, walks=walks)))
        for seed in range(152)
    )
    assert alarms <= 2


CATALOG = Catalog.load("data/catalogs/ecommerce.toml")
CALM = dataclasses.replace(SHOP, incident=None)


def thinned(log: EventLog, event: str, start: str, end: str, kept: float) -> EventLog:
    """The log in which a share of one event's rows between two instants is hidden."""
    low, high = (pd.Timestamp(at).value // 1000 for at in (start, end))
    code, hidden = log.event_names.index(event), len(log.event_names)
    shards = []
    for number, shard in enumerate(log.shards):
        lost = (shard.event == code) & (shard.time >= low) & (shard.time < high)
        lost &= np.random.default_rng(number).random(shard.rows) >= kept
        codes = np.where(lost, shard.event.dtype.type(hidden), shard.event)
        shards.append(dataclasses.replace(shard, event=codes))
    return log.derive(shards=tuple(shards), filtered=True)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("users", "kept"), [(39_000, 0.7), (7_800, 0.5)], ids=["1,000 visits a day", "200 visits a day"]
)
@pytest.mark.parametrize(
    ("start", "end"), [("2026-09-21", "2026-10-21"), ("2026-10-24", "2026-11-23")]
)
def test_the_audit_finds_what_the_demo_shop_loses(
    users: int, kept: float, start: str, end: str
) -> None:
    seen = 0
    for seed in range(8):
        log = simulate(seed, users, shop=CALM).log
        told = audit(thinned(log, "add_to_cart", start, end, kept), CATALOG)
        changes = told.table.set_index("check").loc["lasting changes", "finding"]
        seen += "add_to_cart: " in changes
    assert seen >= 7


@pytest.mark.slow
def test_the_audit_of_the_demo_shop_raises_hardly_an_alarm() -> None:
    """152 clean logs of 60 to 200 visits a day, and not one of the three checks over time warns."""
    checks = ["lasting changes", "changes in one group", "new and vanished names"]
    alarms = []
    for seed in range(152):
        table = audit(simulate(seed, 2_400 + 36 * seed, shop=CALM).log, CATALOG).table
        table = table.set_index("check").loc[checks]
        alarms += list(table.loc[table["verdict"] != "pass", "finding"])
    assert len(alarms) <= 2
