"""How long does it take to get to a step, and how many get there by when?

The waits of those who did the step say how long it took them, and nothing of those who did not;
the curve says how many of all who entered got there by each time. Recent entries are in the curve
for as long as they have been watched, so it neither waits for them nor counts them as lost.

What this module refuses to do: average a wait without its median, leave out waits of 0 s, or say
a rate for a time that nobody has been watched for yet.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import pandas as pd

from analysis.core.schema import US_PER_SECOND, one_of
from analysis.funnels.data import (
    NEVER,
    group_codes,
    group_names,
    microseconds,
    required_steps,
    step_before,
    step_name,
    step_number,
)
from analysis.statistics.kaplan_meier import Curve, share_by_time
from analysis.statistics.stats import wilson

if TYPE_CHECKING:
    from analysis.funnels.funnel_result import FunnelResult


QUANTILES = {"median": 0.5, "p10": 0.1, "p25": 0.25, "p75": 0.75, "p90": 0.9}


_MOST_POINTS = 240


def times(
    result: FunnelResult, step: int | str | None = None, *, since: str = "previous"
) -> pd.DataFrame:
    """How long did those who did a step take for it?

    Parameters
    ----------
    step : number or name of a step from the second on; default: the last required one.
    since : ``"previous"``: the wait since the step they did before it; ``"entry"``: since the
        first event of their chain.

    Returns
    -------
    A row per group: ``group, step, event, n, median_seconds, p10_seconds, p25_seconds,
    p75_seconds, p90_seconds, mean_seconds``, of the ``n`` mature chains that did the step; NaN
    where none did. Waits of 0 s are kept.

    Raises
    ------
    UsageError
        If the step or `since` is unknown, or the step is the first.

    Notes
    -----
    Quantiles interpolate linearly (Hyndman & Fan 1996, *Am Stat* 50:361, type 7).

    Examples
    --------
    >>> from analysis.eventlog.log import EventLog
    >>> from analysis.funnels.result import funnel
    >>> log = EventLog.from_frame(pd.DataFrame({
    ...     "user": ["ann", "ann", "bob", "bob"], "event": ["cart", "purchase"] * 2,
    ...     "time": pd.to_datetime(["2026-01-01 10:00", "2026-01-01 10:30",
    ...                             "2026-01-01 09:00", "2026-01-01 09:10"])}),
    ...     covers_until="2026-02-01")
    >>> times(funnel(log, ["cart", "purchase"]))[["event", "n", "median_seconds"]]
          event  n  median_seconds
    0  purchase  2          1200.0
    """
    one_of("times: since", since, ["previous", "entry"])
    k = _step_with_wait(result, step, "times")
    attempts = result.mature_attempts
    start = step_before(attempts, k) if since == "previous" else _entered(attempts)
    until = microseconds(attempts, f"step_{k}")
    did = until != NEVER
    waits, groups = until[did] - start[did], group_codes(result, attempts)[did]
    rows = []
    for code, name in enumerate(group_names(result)):
        own = waits[groups == code]
        row: dict[str, Any] = {"group": name, "step": k, "event": step_name(result, k)}
        rows.append(row | {"n": len(own)} | _quantiles(own))
    return pd.DataFrame(rows)


def _quantiles(waits: np.ndarray) -> dict[str, float]:
    if not len(waits):
        return {f"{name}_seconds": np.nan for name in [*QUANTILES, "mean"]}
    cuts = np.quantile(waits, list(QUANTILES.values())) / US_PER_SECOND
    said = {f"{name}_seconds": float(cut) for name, cut in zip(QUANTILES, cuts, strict=True)}
    return said | {"mean_seconds": int(waits.sum()) / len(waits) / US_PER_SECOND}


def time_curve(result: FunnelResult, step: int | str | None = None) -> pd.DataFrame:
    """Which share of all who entered has reached a step by which time since their entry?

    Parameters
    ----------
    step : number or name of a step from the second on; default: the last required one.

    Returns
    -------
    At most a few hundred rows per group, ascending in time from 0: ``group, step, event,
    seconds, rate, low, high, at_risk, reached, n``. ``rate`` (95 % limits ``low``, ``high``) is
    the Kaplan-Meier estimate of the share that reached the step within so many seconds;
    ``at_risk`` were watched that long without having reached it before, ``reached`` had, of
    ``n`` in all. The last row of a group is the longest time that anybody was watched, at most
    the window. A group without an entry has no row.

    Raises
    ------
    UsageError
        If the step is unknown or the first.

    Notes
    -----
    Kaplan & Meier 1958, *JASA* 53:457, with limits from Greenwood's variance of log(−log S); see
    `kaplan_meier.share_by_time`. An attempt is watched until its window or the log ends, an
    excluded one too, as another of its entry day would have been: so the curve ends at the
    share that the table tells, where all entries are mature. Attempts are taken as independent
    of one another. Of someone who entered several times the chain is that of the table, the
    best; where many return, ``entry="first"`` or ``count="attempts"`` gives a curve that no
    choice among entries has touched. With a breakdown at a later step the groups know the
    future, and their curves do too.

    Examples
    --------
    >>> from analysis.eventlog.log import EventLog
    >>> from analysis.funnels.result import funnel
    >>> log = EventLog.from_frame(pd.DataFrame({
    ...     "user": ["ann", "ann", "bob"], "event": ["cart", "purchase", "cart"],
    ...     "time": pd.to_datetime(["2026-01-01 10:00", "2026-01-01 10:30", "2026-01-01 23:30"])}),
    ...     covers_until="2026-01-02")
    >>> curve = time_curve(funnel(log, ["cart", "purchase"], window="1h"))
    >>> curve[["seconds", "rate", "at_risk", "reached", "n"]]
       seconds  rate  at_risk  reached  n
    0      0.0   0.0        2        0  2
    1   1800.0   0.5        2        1  2
    """
    k = _step_with_wait(result, step, "time_curve")
    attempts = result.attempts
    seen = follow_up(result, attempts, k)
    groups = np.where(seen.watched < 0, -1, group_codes(result, attempts))
    parts = [_points(share_by_time([], []))]
    for code in range(len(group_names(result))):
        own = groups == code
        parts.append(_points(share_by_time(seen.time[own], seen.reached[own])))
    sizes = [len(part) for part in parts[1:]]
    curve = pd.concat(parts, ignore_index=True)
    names = np.empty(len(sizes), object)
    names[:] = group_names(result)
    curve.insert(0, "group", np.repeat(names, sizes))
    curve.insert(1, "step", k)
    curve.insert(2, "event", step_name(result, k))
    return curve


class FollowUp(NamedTuple):
    """How long attempts were seen; microseconds since the entry, a cell for each.

    ``watched``: until the window or the log ended, negative where the log ended before the entry.
    ``time``: until the attempt reached the step, or as long as it was watched. ``reached``:
    whether it did.
    """

    watched: np.ndarray
    time: np.ndarray
    reached: np.ndarray


def follow_up(result: FunnelResult, attempts: pd.DataFrame, step: int) -> FollowUp:
    """How long was each attempt watched, and did it reach the step by then?

    What the log holds beyond the instant that it covers is not complete and not used.
    """
    entered = _entered(attempts)
    watched = np.minimum(result.log.covers_until_us - entered, result.window_us)
    until = microseconds(attempts, f"step_{step}")
    wait = np.where(until == NEVER, np.iinfo(np.int64).max, until - entered)
    return FollowUp(watched, np.minimum(wait, watched), wait <= watched)


def _entered(attempts: pd.DataFrame) -> np.ndarray:
    return microseconds(attempts, "entered_at")


def _step_with_wait(result: FunnelResult, step: int | str | None, what: str) -> int:
    default = max(required_steps(result)) if step is None else step
    return step_number(result, default, what, range(2, len(result.steps) + 1))


def _points(curve: Curve) -> pd.DataFrame:
    """A curve's rows, from 0 on, as many as a picture has room for."""
    rows = pd.DataFrame(curve._asdict()).rename(columns={"time": "seconds"})
    n = int(curve.at_risk[0]) if len(rows) else 0
    if n and curve.time[0] > 0:
        start = [0.0, 0.0, 0.0, float(wilson(0, n)[1]), n, 0]
        rows = pd.concat([pd.DataFrame([start], columns=rows.columns), rows], ignore_index=True)
    rows["seconds"] /= US_PER_SECOND
    rows["n"] = n
    return rows.iloc[_kept(rows["seconds"].to_numpy(), rows["rate"].to_numpy())]


def _kept(seconds: np.ndarray, rate: np.ndarray) -> np.ndarray:
    """The points where the rate rises, the first and the last; thinned out evenly, half of them
    along the rate and half along the logarithm of time.
    """
    if not len(rate):
        return np.empty(0, np.int64)
    rises = np.flatnonzero(np.diff(rate, prepend=rate[0]) > 0)
    if len(rises) > _MOST_POINTS:
        half, spread = _MOST_POINTS // 2, np.log1p(seconds[rises])
        wanted = np.linspace(rate[rises[0]], rate[-1], half)
        waits = np.linspace(spread[0], spread[-1], half)
        near = [np.searchsorted(rate[rises], wanted), np.searchsorted(spread, waits)]
        rises = rises[np.unique(np.minimum(np.concatenate(near), len(rises) - 1))]
    return np.unique(np.concatenate([[0], rises, [len(rate) - 1]]))
