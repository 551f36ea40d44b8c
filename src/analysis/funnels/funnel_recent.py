"""What will the rate of the last few periods be, when their windows are over?

A recent period's rate so far leaves out everybody whose window is still open. Where some of its
entries have been watched for the whole window, Kaplan & Meier's estimate tells the final rate
from all of its entries, each for as long as they were watched. It is an estimate and is called
one wherever it is shown.

What this module refuses to do: extend a curve beyond the time for which the period has been
watched, or end it on the last few people watched longest, whose next step would move it by much.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from analysis.core.schema import OTHER, US_PER_SECOND, human_duration
from analysis.funnels.data import group_codes, group_names, required_steps
from analysis.funnels.funnel_trend import EVERY_GROUP
from analysis.funnels.over_time import FollowUp, follow_up
from analysis.statistics.kaplan_meier import share_by_time

if TYPE_CHECKING:
    from analysis.funnels.funnel_result import FunnelResult


_NUMBERS = ["km_rate", "km_low", "km_high", "km_seconds"]


_SO_FAR = ["km_so_far", "km_so_far_low", "km_so_far_high", "km_at_risk"]


_STILL_WATCHED = 0.1
"""The share of the entries that a curve may rest on."""


FINAL, NOBODY = "the rate is final", "nobody has entered"


def with_estimates(result: FunnelResult, trend: pd.DataFrame) -> pd.DataFrame:
    """Which final rate do the periods that are not final yet point to?

    Parameters
    ----------
    trend : what ``result.trend(freq, time_zone)`` gives; any of its rows.

    Returns
    -------
    The trend with more columns. For periods that are not ``mature``: ``km_rate, km_low, km_high``,
    the Kaplan-Meier estimate of the rate within the whole window, from all entries of the period
    (``entered``); ``km_seconds``, how far the curve looks: as long as a tenth of them has been
    watched, at most the window; ``km_so_far, km_so_far_low, km_so_far_high``, the estimate within
    that time, with ``km_at_risk`` watched until then without a conversion before. Where the curve
    does not get to the end of the window ``km_rate`` is NaN and ``km_reason`` says why; for
    mature periods all of them are NaN.

    Notes
    -----
    Kaplan & Meier 1958, *JASA* 53:457; see `kaplan_meier.share_by_time`. A curve is not read
    where only a few are left (Pocock, Clayton & Altman 2002, *Lancet* 359:1686, advise to stop
    at 10 to 20 % of the sample). It takes it that those who entered late in the period convert
    like those who entered early.

    Examples
    --------
    >>> from analysis.eventlog.log import EventLog
    >>> from analysis.funnels.result import funnel
    >>> log = EventLog.from_frame(pd.DataFrame({
    ...     "user": ["ann", "ann", "bob", "cy"], "event": ["cart", "purchase", "cart", "cart"],
    ...     "time": pd.to_datetime(["2026-01-01", "2026-01-03", "2026-01-01", "2026-01-04"])}),
    ...     covers_until="2026-01-05")
    >>> result = funnel(log, ["cart", "purchase"], window="2d")
    >>> with_estimates(result, result.trend("W"))[["entered", "n", "rate", "km_rate"]]
       entered  n  rate  km_rate
    0        3  2   0.5      0.5
    """
    found = {}
    young = trend[~trend["mature"]]
    for start, end in young[["start", "end"]].drop_duplicates().itertuples(index=False):
        groups = list(young.loc[young["start"] == start, "group"])
        for name, row in _estimates(result, (start, end), groups).items():
            found[name, start] = row
    none = dict.fromkeys([*_NUMBERS, *_SO_FAR], np.nan) | {"km_reason": FINAL}
    rows = [found.get(key, none) for key in zip(trend["group"], trend["start"], strict=True)]
    columns = [*_NUMBERS, *_SO_FAR, "km_reason"]
    return trend.join(pd.DataFrame(rows, index=trend.index, columns=columns))


def _estimates(
    result: FunnelResult, period: tuple[pd.Timestamp, pd.Timestamp], groups: list[Any]
) -> dict[Any, dict[str, Any]]:
    """The estimates of one period, by the groups of the trend."""
    own = result.ask(entered=period, top=EVERY_GROUP)
    attempts = own.attempts
    seen = follow_up(own, attempts, max(required_steps(own)))
    # The trend keeps the groups of the whole funnel; what is none of them is the rest.
    place = {name: i for i, name in enumerate(groups)}
    rest = place.get(OTHER, -1)
    lookup = np.array([*(place.get(name, rest) for name in group_names(own)), -1], np.int64)
    codes = np.where(seen.watched < 0, -1, lookup[group_codes(own, attempts)])
    return {
        name: _estimate(FollowUp(*(cells[codes == i] for cells in seen)), result.window_us)
        for name, i in place.items()
    }


def _estimate(seen: FollowUp, window_us: int) -> dict[str, Any]:
    """The estimate of some entries of a period, as far as enough of them were watched."""
    n, window = len(seen.time), human_duration(window_us)
    if not n:
        return dict.fromkeys([*_NUMBERS, *_SO_FAR], np.nan) | {"km_reason": NOBODY}
    curve = share_by_time(seen.time, seen.reached)
    far = np.sort(seen.watched)[n - max(int(np.ceil(_STILL_WATCHED * n)), 1)]
    place = max(int(np.searchsorted(curve.time, far, side="right")) - 1, 0)
    # Once all have converted there is nothing left to wait for; else the curve ends with the
    # last one watched.
    if place == len(curve.time) - 1 and curve.rate[place] < 1:
        far = curve.time[place]
    why = ""
    if far < window_us:
        few = seen.watched >= window_us
        why = f"{few.sum():,} of {n:,} were watched for {window}, fewer than {_STILL_WATCHED:.0%}"
        if few.mean() >= _STILL_WATCHED:
            why = f"all who were watched for {window} have converted"
    at = [float(cells[place]) for cells in (curve.rate, curve.low, curve.high)]
    numbers = dict(zip(_NUMBERS, at if not why else [np.nan] * 3, strict=False))
    numbers["km_seconds"] = float(far) / US_PER_SECOND
    left = int((seen.time >= far).sum())
    return numbers | dict(zip(_SO_FAR, [*at, left], strict=True)) | {"km_reason": why}
