"""Worlds whose truth is planted, for methods to find again; seeds are fixed, nothing is timed.

A: the confounder is wholly in the strata. How likely a micro conversion and the macro conversion
   are depends on how active somebody has been, which the log shows; nothing else is common.
B: it is hidden. Each person has an activity that no row shows; it drives page views, which are
   some trace of it, and every event alike.
C: as B, and some controls do not share the confounder.
D: a micro conversion that works only by bringing people back.
E: a micro conversion that every purchase requires.

A can also be drawn as counts, which is quick enough for thousands of logs.
"""

from __future__ import annotations

from typing import Final, NamedTuple

import numpy as np
import pandas as pd

from analysis.catalog import Catalog
from analysis.eventlog.log import EventLog

DAY: Final = 86_400 * 10**6
HOUR: Final = 3_600 * 10**6
START: Final = 1_790_000_000 * 10**6
MACRO, MICRO, CONTROL, CONTEXT = "purchase", "micro", "control", "visit"

# World A: chances per cell by bin of activity before it (0, 1, 2, 3-4, 5-8, 9 and more).
A_PERIOD, A_HORIZON, A_CELLS = "4h", "7d", 42
A_MICRO: Final = np.array([0.005, 0.010, 0.015, 0.020, 0.030, 0.045])
A_MACRO: Final = np.array([0.0008, 0.0015, 0.0025, 0.0040, 0.0065, 0.0100])
A_RATES: Final = (0.05, 0.15, 0.40)  # context events per cell; a third of the people each
A_BUSIER: Final = 0.12  # chance to move to the next bin, where worlds are drawn as counts


class World(NamedTuple):
    """A log, what its events mean, and the odds or hazard ratio planted for each event."""

    log: EventLog
    catalog: Catalog
    truth: dict[str, float]


def world_a(seed: int, *, users: int = 20_000, odds_ratio: float = 1.4, controls: int = 3) -> World:
    """Activity is in the log and is all that is common; ask it in cells of `A_PERIOD`.

    The odds of a macro conversion in a cell are `odds_ratio` times as large once the micro
    conversion was done before it, within every cell and bin of activity.
    """
    rng = np.random.default_rng(seed)
    names = [MICRO, *(f"{CONTROL}_{k}" for k in range(1, controls + 1))]
    entry = _entries(rng, users, 60)
    rate = rng.choice(A_RATES, users)
    seen, done = np.ones(users, np.int64), np.zeros((len(names), users), np.bool_)
    here = np.ones(users, np.bool_)
    events = [_rows(np.arange(users), entry, CONTEXT)]
    for cell in range(A_CELLS):
        # The first visit is the instant of entry, so it is before every cell but the first.
        bins = np.searchsorted([0, 1, 2, 4, 8], seen * (cell > 0))
        who = np.flatnonzero(here)
        odds = A_MACRO[bins] / (1 - A_MACRO[bins]) * np.where(done[0], odds_ratio, 1.0)
        bought = who[rng.random(len(who)) < (odds / (1 + odds))[who]]
        counts = rng.poisson(rate) * here
        new = (rng.random(done.shape) < A_MICRO[bins]) & here
        events += [_inside(rng, bought, entry, cell, MACRO)]
        events += [_inside(rng, np.repeat(np.arange(users), counts), entry, cell, CONTEXT)]
        for k, name in enumerate(names):
            events.append(_inside(rng, np.flatnonzero(new[k]), entry, cell, name))
        here[bought] = False
        seen += counts
        done |= new
    truth = dict.fromkeys(names, 1.0) | {MICRO: odds_ratio}
    return World(_log(events, START + 120 * DAY), _catalog(names), truth)


def world_a_tables(
    seed: int, *, logs: int = 2_000, users: int = 20_000, odds_ratio: float = 1.4
) -> np.ndarray:
    """World A as counts: the tables of its micro conversion in as many logs.

    Returns
    -------
    int64 array (logs, cells × bins, 2, 2) of ``[[exposed and converted, exposed and not],
    [unexposed and converted, unexposed and not]]``.

    Notes
    -----
    Units in the same bin with the same exposure are alike, so their numbers are enough: of those
    at risk binomially many convert, of the others binomially many do the event, and binomially
    many move on to the next bin, which is all that activity does here.
    """
    rng = np.random.default_rng(seed)
    bins = len(A_MACRO)
    at_risk = np.zeros((logs, bins, 2), np.int64)  # [..., 1] is exposed
    at_risk[:, 0, 0] = users
    odds = A_MACRO[:, None] / (1 - A_MACRO[:, None]) * np.array([1.0, odds_ratio])
    tables = np.empty((logs, A_CELLS, bins, 2, 2), np.int64)
    for cell in range(A_CELLS):
        bought = rng.binomial(at_risk, odds / (1 + odds))
        tables[:, cell] = np.stack([bought, at_risk - bought], axis=-1)[:, :, ::-1]
        at_risk = at_risk - bought
        new = rng.binomial(at_risk[..., 0], A_MICRO)
        at_risk = at_risk + np.stack([-new, new], axis=-1)
        moved = rng.binomial(at_risk[:, :-1], A_BUSIER)
        at_risk[:, :-1] -= moved
        at_risk[:, 1:] += moved
    return tables.reshape(logs, A_CELLS * bins, 2, 2)


def world_b(
    seed: int,
    *,
    users: int = 60_000,
    hazard_ratio: float = 1.0,
    controls: int = 5,
    strangers: int = 0,
) -> World:
    """Hidden activity drives everything; ask it in cells of a day, with a horizon of 30.

    Activity is gamma with shape ½ and mean 1. Per day and unit of activity there are 0.5 page
    views; first micro and control events come at a rate of 0.10, the macro conversion at 0.012,
    times `hazard_ratio` after the micro conversion. `strangers` are controls, the last ones, that
    come at a rate of 0.02 whatever the activity: they do not share the confounder.
    """
    rng = np.random.default_rng(seed)
    activity = rng.gamma(0.5, 2.0, users) + 1e-12
    entry = _entries(rng, users, 30)
    viewing = np.repeat(np.arange(users), rng.poisson(0.5 * activity * 30))
    times = {MICRO: rng.exponential(1 / (0.10 * activity))}
    for k in range(1, controls + strangers + 1):
        rate = 0.10 * activity if k <= controls else np.full(users, 0.02)
        times[f"{CONTROL}_{k}"] = rng.exponential(1 / rate)
    hazard, micro, u = 0.012 * activity, times[MICRO], rng.exponential(1.0, users)
    before = u < hazard * micro
    macro = np.where(before, u / hazard, micro + (u - hazard * micro) / (hazard_ratio * hazard))
    events = [_rows(np.arange(users), entry, CONTEXT)]
    events += [_rows(viewing, entry[viewing] + _us(rng.random(len(viewing)) * 30), CONTEXT)]
    for name, days in {**times, MACRO: macro}.items():
        who = np.flatnonzero(days < 30)
        events.append(_rows(who, entry[who] + 1 + _us(days[who]), name))
    truth = dict.fromkeys(times, 1.0) | {MICRO: hazard_ratio}
    return World(_log(events, START + 90 * DAY), _catalog(list(times)), truth)


def world_c(seed: int, *, users: int = 60_000, hazard_ratio: float = 1.0) -> World:
    """World B with four controls that share the confounder and two that do not."""
    return world_b(seed, users=users, hazard_ratio=hazard_ratio, controls=4, strangers=2)


def world_d(
    seed: int, *, users: int = 60_000, visit_ratio: float = 1.5, controls: int = 3
) -> World:
    """A micro conversion after which people come `visit_ratio` times as often, and nothing else.

    Each person has a pace (gamma with shape 0.7): visits on 0.15 of the days on average, of one
    to several page views within minutes. A visit has the micro conversion with 5 % (and so each
    control), the macro conversion with 2 %. Ask it in cells of a day or ``"auto"``.
    """
    rng = np.random.default_rng(seed)
    names = [MICRO, *(f"{CONTROL}_{k}" for k in range(1, controls + 1))]
    entry, pace = _entries(rng, users, 30), rng.gamma(0.7, 0.15 / 0.7, users)
    events: list[pd.DataFrame] = []
    subscribed, here = np.zeros(users, np.bool_), np.ones(users, np.bool_)
    for day in range(30):
        chance = pace * np.where(subscribed, visit_ratio, 1.0)
        coming = (rng.random(users) < chance) & here if day else here.copy()
        who = np.flatnonzero(coming)
        at = entry[who] + day * DAY + (_us(rng.random(len(who)) * 0.9) if day else 0)
        views = np.repeat(np.arange(len(who)), 1 + rng.poisson(2.0, len(who)))
        later = np.where(np.diff(views, prepend=-1) > 0, 0, _us(rng.random(len(views)) * 0.01))
        events.append(_rows(who[views], at[views] + later, CONTEXT))
        for name in [*names, MACRO]:
            doing = rng.random(len(who)) < (0.02 if name == MACRO else 0.05)
            after = 1 + _us(rng.random(int(doing.sum())) * 0.02)
            events.append(_rows(who[doing], at[doing] + after, name))
            if name == MICRO:
                subscribed[who[doing]] = True
            if name == MACRO:
                here[who[doing]] = False
    truth = dict.fromkeys(names, 1.0) | {MICRO: visit_ratio}
    return World(_log(events, START + 90 * DAY), _catalog(names), truth)


def world_e(seed: int, *, users: int = 30_000) -> World:
    """A cart that every purchase goes through, and that makes nobody buy.

    On 0.15 of the days there is a visit; 12 % of visits fill a cart, a fifth of these buy within
    half an hour; carts that are left do not matter later. The cart has the name `MICRO`.
    """
    rng = np.random.default_rng(seed)
    entry = _entries(rng, users, 30)
    events: list[pd.DataFrame] = []
    here = np.ones(users, np.bool_)
    for day in range(30):
        who = np.flatnonzero(((rng.random(users) < 0.15) | (day == 0)) & here)
        at = entry[who] + day * DAY + (_us(rng.random(len(who)) * 0.9) if day else 0)
        cart = rng.random(len(who)) < 0.12
        control = rng.random(len(who)) < 0.05
        buys = cart & (rng.random(len(who)) < 0.2)
        events.append(_rows(who, at, CONTEXT))
        events.append(_rows(who[cart], at[cart] + 60 * 10**6, MICRO))
        events.append(_rows(who[control], at[control] + 90 * 10**6, f"{CONTROL}_1"))
        wait = _us(rng.random(int(buys.sum())) * 0.018)
        events.append(_rows(who[buys], at[buys] + 61 * 10**6 + wait, MACRO))
        here[who[buys]] = False
    names = [MICRO, f"{CONTROL}_1"]
    return World(_log(events, START + 90 * DAY), _catalog(names), dict.fromkeys(names, 1.0))


def _entries(rng: np.random.Generator, users: int, days: int) -> np.ndarray:
    return START + rng.integers(0, days * DAY, users)


def _us(days: np.ndarray) -> np.ndarray:
    return np.asarray(days * DAY).astype(np.int64)


def _inside(
    rng: np.random.Generator, who: np.ndarray, entry: np.ndarray, cell: int, name: str
) -> pd.DataFrame:
    """Events at random instants of a cell of 4 hours, after its first microsecond."""
    return _rows(who, entry[who] + cell * 4 * HOUR + rng.integers(1, 4 * HOUR, len(who)), name)


def _rows(who: np.ndarray, time_us: np.ndarray, name: str) -> pd.DataFrame:
    return pd.DataFrame({"user": who, "time": time_us, "event": name})


def _log(events: list[pd.DataFrame], covers_until: int) -> EventLog:
    frame = pd.concat(events, ignore_index=True)
    frame = frame.assign(
        user="u" + frame["user"].astype(str),
        time=pd.to_datetime(frame["time"], unit="us", utc=True),
    )
    return EventLog.from_frame(
        frame, covers_until=pd.Timestamp(covers_until, unit="us", tz="UTC"), shards=2
    )


def _catalog(names: list[str]) -> Catalog:
    roles = {
        name: {"role": "control" if name.startswith(CONTROL) else "secondary"} for name in names
    }
    return Catalog.from_mapping({"name": "world", "events": {MACRO: {"role": "macro"}, **roles}})
