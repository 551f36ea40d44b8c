"""What did those do instead who stopped after a step, and who are they?

Stopped after a step: did it and no step that comes later, in a chain whose whole window the log
covers. What they did next is the first event of any name after it, within the window that their
chain had opened. Most of them did nothing more; that is a row like any other.

What this module refuses to do: call what came next a reason for stopping.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from analysis.core.schema import OTHER, US_PER_SECOND, USER, UsageError
from analysis.eventlog import parallel as engine
from analysis.eventlog.shard import Shard
from analysis.funnels.data import (
    NEVER,
    Located,
    first_not_before,
    group_codes,
    group_number,
    located,
    microseconds,
    next_required,
    required_steps,
    step_name,
    step_number,
)
from analysis.statistics.stats import effective_size, wilson

if TYPE_CHECKING:
    from analysis.funnels.funnel_result import FunnelResult


NOTHING = "(nothing more)"


_COLUMNS = ["step", "after", "reached", "event", "k", "n", "share", "low", "high", "median_seconds"]


def units(
    result: FunnelResult, step: int | str, *, converted: bool = False, group: Any = None
) -> pd.DataFrame:
    """Who stopped after a step, or who went on from it?

    Parameters
    ----------
    step : number or name of a step before the last required one.
    converted : False: who did the step and no later one. True: who did it and the next required
        step too. Who did a later optional step and not the required one is in neither.
    group : one group of the breakdown; default: all of them.

    Returns
    -------
    The rows of ``result.mature_attempts`` that are meant, with its columns.

    Raises
    ------
    UsageError
        If the step or the group is unknown, or the step is the last.

    Examples
    --------
    >>> from analysis.eventlog.log import EventLog
    >>> from analysis.funnels.result import funnel
    >>> log = EventLog.from_frame(pd.DataFrame({
    ...     "user": ["ann", "ann", "bob"], "event": ["cart", "purchase", "cart"],
    ...     "time": pd.to_datetime(["2026-01-01"] * 3)}), covers_until="2026-02-01")
    >>> result = funnel(log, ["cart", "purchase"])
    >>> list(units(result, "cart")["unit"]), list(units(result, 1, converted=True)["unit"])
    (['bob'], ['ann'])
    """
    attempts, k = _mature(result, step, group, "units")
    if converted:
        went_on = attempts[f"step_{next_required(result, k)}"].notna()
        return attempts[went_on & attempts[f"step_{k}"].notna()].reset_index(drop=True)
    return attempts[attempts["reach"] == k].reset_index(drop=True)


def next_events(
    result: FunnelResult, step: int | str, *, top: int = 10, group: Any = None
) -> pd.DataFrame:
    """What did those who stopped after a step do next?

    Parameters
    ----------
    step : number or name of a step before the last required one.
    top : how many events to name; the others become ``"(other)"``.
    group : one group of the breakdown; default: all of them.

    Returns
    -------
    A row per event, most frequent first, then ``"(other)"`` where there are more, and
    ``"(nothing more)"``: ``step, after`` (the step's name), ``reached`` (mature chains that did
    the step), ``event``, ``k`` of ``n`` chains that stopped there did it next, ``share`` with
    Wilson limits ``low, high`` (by user, where a user can be several units), and
    ``median_seconds`` from the step to it. Next is the user's first event of any name at a later
    instant than the step's and within the window; events at the same instant have no order.

    Raises
    ------
    UsageError
        If the step or the group is unknown, the step is the last, or `top` is not positive.

    Examples
    --------
    >>> from analysis.eventlog.log import EventLog
    >>> from analysis.funnels.result import funnel
    >>> log = EventLog.from_frame(pd.DataFrame({
    ...     "user": ["ann", "ann", "bob"], "event": ["cart", "help", "cart"],
    ...     "time": pd.to_datetime(["2026-01-01 10:00", "2026-01-01 10:05", "2026-01-01 09:00"])}),
    ...     covers_until="2026-02-01")
    >>> found = next_events(funnel(log, ["cart", "cart"]), 1)
    >>> found[["event", "k", "n", "share", "median_seconds"]]
                event  k  n  share  median_seconds
    0            help  1  2    0.5           300.0
    1  (nothing more)  1  2    0.5             NaN
    """
    attempts, k = _mature(result, step, group, "next_events")
    return _tables(result, attempts, [k], top, "next_events")


def drop_offs(result: FunnelResult, *, top: int = 5, group: Any = None) -> pd.DataFrame:
    """How many stopped after each step, and what did they do next?

    Parameters
    ----------
    top, group : as `next_events` takes them.

    Returns
    -------
    The rows of `next_events` of every step before the last required one, in order; a funnel of
    one step has none.

    Raises
    ------
    UsageError
        If the group is unknown, or `top` is not positive.

    Examples
    --------
    >>> from analysis.eventlog.log import EventLog
    >>> from analysis.funnels.result import funnel
    >>> log = EventLog.from_frame(pd.DataFrame({
    ...     "user": ["ann", "ann", "bob"], "event": ["visit", "cart", "visit"],
    ...     "time": pd.to_datetime(["2026-01-01", "2026-01-02", "2026-01-01"])}),
    ...     covers_until="2026-02-01")
    >>> drop_offs(funnel(log, ["visit", "cart", "cart"]))[["after", "reached", "event", "k", "n"]]
       after  reached           event  k  n
    0  visit        2  (nothing more)  1  1
    1   cart        1  (nothing more)  1  1
    """
    steps = list(range(1, max(required_steps(result))))
    attempts = _attempts(result, group, "drop_offs")
    return _tables(result, attempts, steps, top, "drop_offs")


def _mature(
    result: FunnelResult, step: int | str, group: Any, what: str
) -> tuple[pd.DataFrame, int]:
    """The mature attempts of a group, or of all that the table counts; the step's number."""
    k = step_number(result, step, what, range(1, max(required_steps(result))))
    return _attempts(result, group, what), k


def _attempts(result: FunnelResult, group: Any, what: str) -> pd.DataFrame:
    attempts = result.mature_attempts
    codes = group_codes(result, attempts)
    return attempts[codes >= 0 if group is None else codes == group_number(result, group, what)]


def _tables(
    result: FunnelResult, attempts: pd.DataFrame, steps: list[int], top: int, what: str
) -> pd.DataFrame:
    """The rows of `next_events` for each of the steps."""
    if not isinstance(top, int) or top < 1:
        raise UsageError(f"{what}: top={top!r}. Allowed: a whole number from 1.")
    stopped = attempts[attempts["reach"].isin(steps)]
    reach = stopped["reach"].to_numpy()
    codes, waits = _next(result, stopped, steps)
    # Units of one user are alike: their shares rest on fewer than there are.
    who = stopped[USER if USER in stopped else "unit"]
    user = pd.factorize(who)[0] if result.question.repeats_users else None
    parts = [pd.DataFrame(columns=_COLUMNS)]
    for k in steps:
        own = reach == k
        rows = _ranked(codes[own], list(result.log.event_names), top)
        part = _shares(rows, waits[own], None if user is None else user[own])
        part = part.assign(step=k, after=step_name(result, k))
        part["reached"] = int(attempts[f"step_{k}"].notna().sum())
        parts.append(part[_COLUMNS])
    return pd.concat(parts[1:], ignore_index=True) if steps else parts[0]


def _next(
    result: FunnelResult, stopped: pd.DataFrame, steps: list[int]
) -> tuple[np.ndarray, np.ndarray]:
    """Each one's next event as its code, the number of names where there is none; and the wait."""
    log, reach = result.log, stopped["reach"].to_numpy()
    after = np.full(len(stopped), NEVER)
    for k in steps:
        after = np.where(reach == k, microseconds(stopped, f"step_{k}"), after)
    until = microseconds(stopped, "entered_at") + result.window_us
    codes = np.full(len(stopped), len(log.event_names), np.int64)
    waits = np.full(len(stopped), NEVER)

    def look(part: Located) -> None:
        own = part.rows
        found = _in_shard(log.shards[part.shard], part.users, after[own], until[own], codes[own])
        codes[own], waits[own] = found

    engine.over(located(log, stopped), look)
    return codes, waits


def _in_shard(
    shard: Shard, users: np.ndarray, after: np.ndarray, until: np.ndarray, nothing: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    end = shard.offsets[users + 1]
    row = first_not_before(shard.time, shard.offsets[users], end, after + 1)
    hidden = shard.event[np.minimum(row, shard.rows - 1)] == nothing
    if (hidden & (row < end)).any():
        shown = np.flatnonzero(shard.event != nothing[0])
        # Beyond the last row that is shown there is none.
        row = np.append(shown, shard.rows)[np.searchsorted(shown, row)]
    there = row < end
    time = shard.time[np.where(there, row, 0)]
    there &= time <= until
    code = np.where(there, shard.event[np.where(there, row, 0)], nothing)
    return code, np.where(there, time - after, NEVER)


def _ranked(codes: np.ndarray, names: list[str], top: int) -> list[tuple[str, np.ndarray]]:
    """The events, most frequent first, with who did each next; then the rest, and nothing."""
    counts = np.bincount(codes, minlength=len(names) + 1)
    seen = [int(code) for code in np.flatnonzero(counts[:-1])]
    order = sorted(seen, key=lambda code: (-counts[code], names[code]))
    rows = [(names[code], codes == code) for code in order[:top]]
    if order[top:]:
        rows.append((OTHER, np.isin(codes, order[top:])))
    return [*rows, (NOTHING, codes == len(names))]


def _shares(
    rows: list[tuple[str, np.ndarray]], waits: np.ndarray, user: np.ndarray | None
) -> pd.DataFrame:
    """How many did each, their share with its limits, and the median wait."""
    table = pd.DataFrame({"event": [name for name, _ in rows], "n": len(waits)})
    table["k"] = [int(own.sum()) for _, own in rows]
    table["share"] = table["k"] / table["n"].where(table["n"] > 0)
    size = table["n"].to_numpy(float)
    if user is not None:
        each = np.bincount(user)
        size = np.array([effective_size(np.bincount(user, own), each) for _, own in rows])
    table["low"], table["high"] = wilson(table["share"].fillna(0) * size, size)
    table["median_seconds"] = [np.nan if n == NOTHING else _median(waits[own]) for n, own in rows]
    return table


def _median(waits: np.ndarray) -> float:
    return float(np.median(waits)) / US_PER_SECOND if len(waits) else np.nan
