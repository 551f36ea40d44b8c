"""How many people did what nobody wants more of, and is that more than usual?

A week in which twice as many people asked for help, or unsubscribed, can have a conversion rate as
always. So the share of people who did each event that the catalog calls adverse stands in the
report beside the share that its own past makes usual (`analysis.statistics.usual_range`).

What this module refuses to do: say why. More people in the support chat may have found it at last.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import pandas as pd

from analysis.catalog import Catalog
from analysis.core import checks
from analysis.core.periods import Period, earlier, period_of
from analysis.core.result import records, small
from analysis.core.schema import instant_us
from analysis.core.wording import percent, share
from analysis.eventlog import parallel
from analysis.eventlog.log import EventLog
from analysis.eventlog.shard import Shard
from analysis.statistics.rates import wilson
from analysis.statistics.usual_range import (
    CLEARLY_HIGH,
    FEWEST_PERIODS,
    HIGH,
    LEAST_EXPECTED,
    LOW,
    MOST_PERIODS,
    NOT_FINAL,
    TOO_FEW,
    UNKNOWN,
    usual_range,
)


@dataclass(frozen=True)
class AdverseShares:
    """The share of the people who came that did each adverse event.

    ``table`` has a row per event: ``event, label, k, n, rate, low, high, usual, usual_low,
    usual_high, verdict, history``. Shares are of everybody with any event in the period; where
    that is fewer than ``min_cell`` people there is none.
    """

    table: pd.DataFrame
    period: Period
    min_cell: int

    @property
    def sentences(self) -> tuple[str, ...]:
        """What is to be said of each event, the most unusual first."""
        return tuple(_told(self, row) for row in records(self.table))

    @property
    def alarms(self) -> tuple[str, ...]:
        """Those that belong beside the headline: clearly more than usual."""
        return tuple(_told(self, r) for r in records(self.table) if r.verdict == CLEARLY_HIGH)

    def numbers(self) -> dict[str, dict[str, Any]]:
        """What `analysis.reports.emit` takes."""
        return {
            f"{row.event}_share": {
                name: None if pd.isna(value) else value
                for name, value in (
                    ("value", row.rate),
                    ("low", row.low),
                    ("high", row.high),
                    ("k", row.k),
                    ("n", row.n),
                    ("usual", row.usual),
                    ("usual_low", row.usual_low),
                    ("usual_high", row.usual_high),
                )
            }
            | {"verdict": row.verdict, "label": row.label}
            for row in records(self.table)
        }


def adverse_shares(
    log: EventLog,
    catalog: Catalog,
    *,
    period: tuple[Any, Any],
    time_zone: str = "UTC",
    min_cell: int = 5,
) -> AdverseShares:
    """Which share of the people who came did each adverse event of the catalog, and what is usual?

    Parameters
    ----------
    log, min_cell : see `analysis.core.checks`.
    catalog : whose adverse events; those that the log does not have are left out.
    period : (start, end); naive instants are local times of `time_zone`.

    Raises
    ------
    UsageError
        If the period is none.

    Examples
    --------
    >>> rows = [(f"u{i}", "visit") for i in range(20)] + [("u0", "complain"), ("u1", "complain")]
    >>> log = EventLog.from_frame(pd.DataFrame(rows, columns=["user", "event"]).assign(
    ...     time=pd.Timestamp("2026-01-05")), covers_until="2026-01-12")
    >>> shop = Catalog.from_mapping({"name": "shop", "events": {
    ...     "buy": {"role": "macro"}, "complain": {"role": "adverse"}}})
    >>> adverse_shares(log, shop, period=("2026-01-05", "2026-01-12")).sentences[0]
    '“Complain”: 10.0% (2 of 20) of the people who came; what is usual is known after 4 weeks.'
    """
    min_cell = checks.min_cell("adverse_shares", min_cell)
    asked = period_of(period, time_zone, "adverse_shares: period")
    periods = [*earlier(asked, MOST_PERIODS, log.start), asked]
    names = [name for name in catalog.adverse if name in log.event_names]
    counting = partial(
        _people,
        starts=np.array([instant_us(p.start) for p in periods]),
        ends=np.array([instant_us(p.end) for p in periods]),
        codes=[log.event_names.index(name) for name in names],
        hidden=len(log.event_names),
    )
    nobody = np.zeros((1 + len(names), len(periods)), np.int64)
    counts = sum(parallel.map_shards(log.shards, counting), nobody)
    came, did = counts[0], counts[1:]
    usable = np.array([instant_us(p.end) <= log.covers_until_us for p in periods]) & (came > 0)
    table = _table(names, catalog, did, came, usable, min_cell)
    return AdverseShares(table, asked, min_cell)


def _people(
    shard: Shard, *, starts: np.ndarray, ends: np.ndarray, codes: list[int], hidden: int
) -> np.ndarray:
    """People with any event in each period, then those with each of the events."""
    place = np.searchsorted(starts, shard.time, side="right") - 1
    inside = (place >= 0) & (shard.time < ends[place]) & (shard.event < hidden)
    users = np.repeat(np.arange(len(shard.users)), np.diff(shard.offsets))
    # A user's rows are in order of time, so equal pairs stand side by side.
    pair = users * len(starts) + place
    rows = [inside, *(inside & (shard.event == code) for code in codes)]
    return np.array([_distinct(pair[own], len(starts)) for own in rows])


def _distinct(pair: np.ndarray, periods: int) -> np.ndarray:
    first = np.append(True, pair[1:] != pair[:-1])[: len(pair)]
    return np.bincount(pair[first] % periods, minlength=periods)


def _table(
    names: list[str],
    catalog: Catalog,
    did: np.ndarray,
    came: np.ndarray,
    usable: np.ndarray,
    min_cell: int,
) -> pd.DataFrame:
    if not names:
        return pd.DataFrame(columns=_COLUMNS)
    n = np.broadcast_to(came, did.shape)
    usual = usual_range(did, n, usable=usable, least_expected=LEAST_EXPECTED)
    k, people = did[:, -1].astype(float), float(came[-1])
    few = people == 0 or bool(small(people, min_cell))
    low, high = wilson(k, np.full(len(k), people))
    cells = {"k": k, "n": np.full(len(k), people), "rate": k / max(people, 1), "low": low}
    cells["high"] = high
    table = pd.DataFrame(
        {
            "event": names,
            "label": [catalog.label(name) for name in names],
            **{name: np.full(len(k), np.nan) if few else cell for name, cell in cells.items()},
            "usual": usual.usual[:, -1],
            "usual_low": usual.low[:, -1],
            "usual_high": usual.high[:, -1],
            "p_value": usual.p_value[:, -1],
            "verdict": usual.verdict[:, -1],
            "history": usual.history[:, -1],
        }
    )
    order = table.sort_values(["p_value", "event"], na_position="last", kind="stable")
    return order.drop(columns="p_value").reset_index(drop=True)[_COLUMNS]


_COLUMNS = ["event", "label", "k", "n", "rate", "low", "high", "usual", "usual_low", "usual_high"]
_COLUMNS += ["verdict", "history"]


def _told(found: AdverseShares, row: Any) -> str:
    if pd.isna(row.rate):
        few = f"fewer than {found.min_cell} people came, too few to show a share"
        return f"“{row.label}”: {few}."
    text = f"“{row.label}”: {share(row.k, row.n, row.rate)} of the people who came"
    if row.verdict == NOT_FINAL:
        return f"{text} so far; the {found.period.noun} is not over."
    if row.verdict == UNKNOWN or pd.isna(row.usual):
        return f"{text}; what is usual is known after {FEWEST_PERIODS} {found.period.noun}s."
    text += f", usually {percent(row.usual)}"
    if row.verdict == TOO_FEW:
        return f"{text}; too few to judge."
    between = f"{percent(row.usual_low)} to {percent(row.usual_high)}"
    word = row.verdict if row.verdict not in (HIGH, LOW) else f"{row.verdict}, perhaps by chance"
    return f"{text} ({between}): {word}."
