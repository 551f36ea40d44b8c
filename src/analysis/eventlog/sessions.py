"""Where does a visit end? Sessions by pauses, at midnight, at a change of campaign.

A session lies inside one user. It ends with a pause longer than the gap; on request also where
the local day changes in a given place, and where another campaign brings the same person back.
A campaign's name often stands on the first event only, so a row without one says nothing: what
counts is the last one named in the session.
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import lru_cache
from typing import Any, Final
from zoneinfo import ZoneInfo

import numpy as np
import pyarrow as pa

from analysis.core.schema import (
    SESSION,
    SESSION_GAP_US,
    US_PER_DAY,
    US_PER_SECOND,
    UsageError,
    did_you_mean,
    duration_us,
    time_zone_of,
)
from analysis.eventlog import kernels, parallel
from analysis.eventlog.shard import TEXT, Column, Log, Shard, TextColumn, narrow

CAMPAIGN: Final = "campaign"
_EPOCH: Final = datetime(1970, 1, 1)
_UTC: Final = ZoneInfo("UTC")


@dataclass(frozen=True)
class SessionRule:
    """Where sessions end.

    Parameters
    ----------
    gap_us : the longest pause inside a session, in microseconds.
    campaign : the property whose change ends one; None: campaigns do not matter.
    midnight : the time zone whose midnights end one; None: days do not matter.
    """

    gap_us: int = SESSION_GAP_US
    campaign: str | None = None
    midnight: str | None = None


def sessionize(
    log: Log,
    *,
    gap: Any = "30min",
    cut_at_campaign: bool | str = False,
    cut_at_midnight: str | None = None,
) -> Log:
    """The same log with its events cut into sessions anew.

    Parameters
    ----------
    gap : a pause longer than this starts a session.
    cut_at_campaign : start one too where a row names another campaign than the last one named in
        the session. True looks at the property ``campaign``, a text at the property of that name.
        A row without a campaign changes nothing.
    cut_at_midnight : a time zone, like ``"Europe/Berlin"``: start one too where the date changes
        there.

    Returns
    -------
    A log whose sessions are ``"1"``, ``"2"``, … within each user. All else is shared with `log`,
    which stays as it is. Of a view, only the rows shown count.

    Raises
    ------
    UsageError
        If an argument cannot be read, or the log has no such property.

    Examples
    --------
    >>> import pandas as pd
    >>> from analysis import EventLog
    >>> log = EventLog.from_frame(pd.DataFrame({
    ...     "user": "ann", "event": "visit",
    ...     "time": pd.to_datetime(["2026-01-01T22:50", "2026-01-01T23:10", "2026-01-02T00:10"])}))
    >>> sessionize(log, gap="2h").sessions
    1
    >>> sessionize(log, gap="2h", cut_at_midnight="Europe/Berlin").to_frame()["session"].tolist()
    ['1', '2', '2']
    """
    rule = session_rule(gap=gap, campaign=cut_at_campaign, midnight=cut_at_midnight)
    names = len(log.event_names)

    def cut(shard: Shard) -> Shard:
        numbered = session_column(shard, rule, names=names)
        return dataclasses.replace(shard, columns={**shard.columns, SESSION: numbered})

    _check_campaign(rule, log.properties)
    return log.derive(shards=tuple(parallel.map_shards(log.shards, cut)))


def session_rule(
    *,
    gap: Any = timedelta(microseconds=SESSION_GAP_US),
    campaign: bool | str | None = False,
    midnight: str | None = None,
    what: str = "sessionize",
) -> SessionRule:
    """The rule of some arguments, checked.

    Raises
    ------
    UsageError
        If `gap` is not a duration, `midnight` no time zone, or `campaign` neither a property's name
        nor a truth value.

    Examples
    --------
    >>> session_rule(gap="45min", campaign=True)
    SessionRule(gap_us=2700000000, campaign='campaign', midnight=None)
    """
    if campaign is not None and (not isinstance(campaign, (bool, str)) or campaign == ""):
        raise UsageError(
            f"{what}: campaign={campaign!r}. Allowed: true (the property {CAMPAIGN!r}), false, or "
            "the name of a property."
        )
    if midnight is not None:
        time_zone_of(midnight, f"{what}: midnight")
    name = campaign if isinstance(campaign, str) else (CAMPAIGN if campaign else None)
    return SessionRule(duration_us(gap, f"{what}: gap"), name, midnight)


def session_column(shard: Shard, rule: SessionRule, *, names: int) -> TextColumn:
    """The sessions of a shard's rows, ``"1"``, ``"2"``, … within each user.

    Parameters
    ----------
    names : how many event names the log has; rows with a code beyond are hidden.

    Raises
    ------
    UsageError
        If the shard has no property of the rule's name.
    """
    _check_campaign(rule, shard.columns)
    days = np.empty(0, np.int64)
    if rule.midnight is not None and shard.rows:
        days = midnights(int(shard.time.min()), int(shard.time.max()), rule.midnight)
    campaigns = np.empty(0, np.int8)
    if rule.campaign is not None:
        campaigns = _codes(shard.columns[rule.campaign])
    numbers = kernels.by_rules(
        shard.time, shard.event, shard.offsets, names, rule.gap_us, days, campaigns
    )
    most = int(numbers.max(initial=-1)) + 1
    texts = pa.array([str(n) for n in range(1, most + 1)], TEXT)
    return TextColumn(narrow(numbers, most), texts)


def _check_campaign(rule: SessionRule, properties: Any) -> None:
    if rule.campaign is not None and rule.campaign not in properties:
        names = [name for name in properties if name != SESSION]
        raise UsageError(
            f"sessions: {rule.campaign!r} is not a property of this log."
            f"{did_you_mean(rule.campaign, names)} "
            f"Properties: {', '.join(map(repr, names)) or 'none'}."
        )


def _codes(column: Column) -> np.ndarray:
    if isinstance(column, TextColumn):
        return column.codes
    codes = np.unique(column.numbers, return_inverse=True)[1]
    return np.where(np.isnan(column.numbers), -1, codes)


@lru_cache(maxsize=64)
def midnights(first: int, last: int, zone: str) -> np.ndarray:
    """When does the date change in a place, after `first` and up to `last`?

    Parameters
    ----------
    first, last : instants in microseconds UTC.

    Returns
    -------
    int64 array of instants, ascending. A midnight that clocks skip is the first instant after
    it; clocks that go back over midnight change the date more than once.

    Examples
    --------
    >>> midnights(0, 2 * US_PER_DAY, "Europe/Berlin") // 3_600_000_000
    array([23, 47])
    """
    place = ZoneInfo(zone)
    low, high = first // US_PER_DAY - 2, last // US_PER_DAY + 3
    # Where an offset holds, days start at midnight; where it changes, at worst there.
    found: set[int] = set()
    offset = _offset(low * US_PER_DAY, place)
    for day in range(low, high):
        after = _offset((day + 1) * US_PER_DAY, place)
        around = {offset, after}
        if after != offset:
            found.add(_change(day * US_PER_DAY, (day + 1) * US_PER_DAY, place))
        found.update(day * US_PER_DAY - one for one in around)
        found.update((day + 1) * US_PER_DAY - one for one in around)
        offset = after
    starts = [
        us
        for us in sorted(found)
        if first < us <= last and _local_day(us, place) != _local_day(us - 1, place)
    ]
    return np.array(starts, np.int64)


def _change(low: int, high: int, place: ZoneInfo) -> int:
    """The second at which the offset changes, known to lie after `low` and up to `high`."""
    before = _offset(low, place)
    while high - low > US_PER_SECOND:
        middle = (low + high) // 2 // US_PER_SECOND * US_PER_SECOND
        low, high = (middle, high) if _offset(middle, place) == before else (low, middle)
    return high


def _offset(us: int, place: ZoneInfo) -> int:
    instant = (_EPOCH + timedelta(microseconds=us)).replace(tzinfo=_UTC).astimezone(place)
    ahead = instant.utcoffset()
    assert ahead is not None  # an instant in a zone has an offset
    return ahead // timedelta(microseconds=1)


def _local_day(us: int, place: ZoneInfo) -> int:
    return (us + _offset(us, place)) // US_PER_DAY
