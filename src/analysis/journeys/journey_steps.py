"""Where are people after one step, two steps, ten? Shares by position, and back from an event.

Position 0 is a line's first event, or the first event that is named. Who is no longer there stands
under ``(end)``, who was not yet there under ``(not yet)``, so every position adds up to one and
its shares have the same denominator.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from analysis.core.result import Result
from analysis.core.schema import SESSION
from analysis.core.wording import count, estimate
from analysis.eventlog.hindsight import hindsight
from analysis.eventlog.log import EventLog
from analysis.journeys import kernels as passes
from analysis.journeys.figures import position_map
from analysis.journeys.sequences import (
    DEPENDENT,
    END,
    NOT_YET,
    Entered,
    Groups,
    begun,
    check,
    check_event,
    grouped,
    over_lines,
    told,
    unit_word,
)
from analysis.statistics.stats import wilson


@dataclass(frozen=True, eq=False, kw_only=True)
class StepMatrixResult(Result):
    """The answer of `step_matrix`.

    ``table`` has a row per position and event that occurs there: ``direction`` (``"from"`` the
    start, ``"to"`` an event), ``position`` (0 at the start or the event, negative before it),
    ``event`` (``(end)``: the line is over, ``(not yet)``: it had not begun), ``k`` of ``n`` lines,
    ``rate, low, high``. What is about few lines is NaN.
    """

    within: str
    anchors: tuple[str, str | None]

    def sentence(self) -> str:
        """Where most are one step after the start, and one step before the event."""
        said = []
        after = self._most("from", 1)
        if after is not None:
            start = self.anchors[0] or f"the first event of their {unit_word(self.within)}"
            said.append(f"One step after {start} most are at {after['event']}: {estimate(after)}.")
        before = self._most("to", -1)
        if before is not None:
            at = f"One step before {self.anchors[1]} most are at {before['event']}"
            said.append(f"{at}: {estimate(before)}.")
        return " ".join(said) or "Too few lines to tell."

    def matrix(self, direction: str = "from") -> pd.DataFrame:
        """The shares as a matrix: a row per event, a column per position."""
        own = self.table[self.table["direction"] == direction]
        return own.set_index(["event", "position"])["rate"].unstack()  # noqa: PD010

    def figure(self) -> Any:
        """The shares by position as a heat map."""
        return position_map(self.table, names=self.anchors)

    def _most(self, direction: str, position: int) -> Any:
        own = self.table[
            (self.table["direction"] == direction) & (self.table["position"] == position)
        ].dropna(subset=["k"])
        return None if not len(own) else own.iloc[int(own["k"].to_numpy().argmax())]


def step_matrix(
    log: EventLog,
    *,
    start: str | None = None,
    to: str | None = None,
    steps: int = 10,
    within: str = SESSION,
    top: int = 30,
    entered: Entered = None,
    min_cell: int = 5,
) -> StepMatrixResult:
    """Which share of people is where, step by step from the start and back from an event?

    Parameters
    ----------
    start : count from the first such event of each line; default: from its first event.
    to : count back from the first such event, too.
    steps : how many positions each way.
    within : ``"session"`` or ``"user"``: what makes a line.
    top : how many event names to keep; the others become ``"(other)"``.
    entered : (start, end), end excluded: only lines that begin in it, each whole; naive times
        are UTC.
    min_cell : counts of fewer lines than this are hidden.

    Raises
    ------
    UsageError
        If an event is unknown or an argument is not allowed.
    DataError
        If the log is empty.

    Notes
    -----
    The step matrix of click-stream analysis: ``rate = k / n`` with n the lines that have the start
    (or the event), the same at every position; Wilson's interval.

    Examples
    --------
    >>> log = EventLog.from_frame(pd.DataFrame({
    ...     "user": ["ann", "ann", "bob"], "event": ["visit", "buy", "visit"],
    ...     "time": pd.to_datetime(["2026-01-01 10:00", "2026-01-01 10:05", "2026-01-01 09:00"])}))
    >>> step_matrix(log, steps=1, min_cell=1).table[["position", "event", "k", "n", "rate"]]
       position  event    k    n  rate
    0         0  visit  2.0  2.0   1.0
    1         1  (end)  1.0  2.0   0.5
    2         1    buy  1.0  2.0   0.5
    """
    check(log, "step_matrix", within, steps=steps, top=top, min_cell=min_cell)
    log = begun(log, "step_matrix", within, entered)
    named = [
        check_event(log, "step_matrix", event) for event in dict.fromkeys((start, to)) if event
    ]
    groups = grouped(log, top, named)
    tables = [_rows(log, groups, within, (start, steps, False))]
    if to is not None:
        tables.append(_rows(log, groups, within, (to, steps, True)))
    table = pd.concat(tables, ignore_index=True)
    few = (table["k"] < min_cell).to_numpy()
    table.loc[few, ["k", "rate", "low", "high"]] = np.nan
    said = [DEPENDENT] if within == SESSION else []
    if few.any():
        many = f"{count(int(few.sum()))} of {count(len(table))} cells"
        said.append(f"Hidden, of fewer than {min_cell} {unit_word(within)} each: {many}.")
    return StepMatrixResult(
        table=table,
        parameters={
            "start": start,
            "to": to,
            "steps": steps,
            "within": within,
            "top": top,
            "entered": told(entered),
            "min_cell": min_cell,
        },
        warnings=(*said, *hindsight(log)),
        within=within,
        anchors=(start or "", to),
    )


def _rows(
    log: EventLog, groups: Groups, within: str, asked: tuple[str | None, int, bool]
) -> pd.DataFrame:
    """One direction: (event to count from, steps, back)."""
    event, steps, back = asked
    anchor = -1 if event is None else groups.code(event)
    parts = over_lines(
        log,
        groups,
        within,
        lambda own: passes.positions(own.codes, own.starts, len(groups.names), anchor, steps, back),
    )
    counts = np.sum([cells for cells, _ in parts], axis=0)
    n = sum(units for _, units in parts)
    position, code = np.nonzero(counts)
    k = counts[position, code].astype(float)
    low, high = wilson(k, np.full(len(k), n))
    table = pd.DataFrame(
        {
            "direction": "to" if back else "from",
            "position": -position if back else position,
            "event": np.array([*groups.names, NOT_YET if back else END], object)[code],
            "k": k,
            "n": float(n),
            "rate": k / n if n else k,
            "low": low,
            "high": high,
        }
    ).astype({"event": "str", "direction": "str"})
    order = ["position", "k", "event"]
    return table.sort_values(order, ascending=[True, False, True], ignore_index=True)
