"""Which step hides between two steps of a funnel? What those who went on did, and others did not.

For each pair of neighboring steps the users who reached the first one are compared: those who
went on to the second, and those who stopped there. An event that most of the former did on the
way and most of the latter did not, although they had the time, may be a step that the funnel does
not show: a form, a page, a choice.

What this module refuses to do: say that the event makes people go on. Those who go on stay
longer and do more of everything; the comparison is an association and is called one.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from analysis.core.result import Result
from analysis.core.schema import US_PER_SECOND, UsageError, human_duration
from analysis.core.wording import count, label, points, share
from analysis.eventlog.log import EventLog
from analysis.funnels import figures_steps as suggested
from analysis.funnels.funnel_orders import shares
from analysis.funnels.funnel_pairs import Pair, step_pairs
from analysis.funnels.funnel_steps import ANY_EVENT, Step
from analysis.funnels.result import funnel

MOST_OF_THEM = 0.5


FALSE_DISCOVERIES = 0.05


_ASSOCIATION = (
    "Those who go on stay longer and do more of everything. What they did and others did not goes "
    "together with going on; whether it makes anyone go on takes an experiment."
)


@dataclass(frozen=True, eq=False, kw_only=True)
class HiddenStepsResult(Result):
    """The answer of `hidden_steps`.

    ``table`` has up to ``top`` rows per pair of steps, the best candidate first:

    - ``step`` (the first one's number), ``from_event, to_event`` (the steps' names), ``event``,
    - ``k`` of the ``n`` users who went on did it in between (``rate, low, high``),
    - ``stopped_k`` of the ``stopped_n`` who stopped did it in the first ``within_seconds``
      (``stopped_rate, stopped_low, stopped_high``), and ``early_k`` of those who went on did it
      in that time too (``early_rate, early_low, early_high``),
    - ``difference, difference_low, difference_high`` of ``rate`` and ``stopped_rate``,
      ``p_value, q_value``,
    - ``hidden``: most of those who went on did it, most of those who stopped did not.
    """

    steps: tuple[Step, ...]
    tested: int

    def sentence(self) -> str:
        """The hidden step of every pair that has one, with both shares and their difference."""
        found = self.table[self.table["hidden"]]
        if not len(found):
            first, last = self.steps[0].name, self.steps[-1].name
            return (
                f"No step hides between {label(first)} and {label(last)}: none of "
                f"{count(self.tested)} candidates was done by most who went on and left out by "
                "most who stopped."
            )
        told: list[Any] = list(found.drop_duplicates("step").itertuples())
        return " ".join(_told(row) for row in told)

    def figure(self) -> Any:
        """Per candidate the shares of those who went on and of those who stopped."""
        return suggested.hidden_dots(self.table)


def hidden_steps(
    log: EventLog, steps: Sequence[Any], *, window: Any = "7d", top: int = 5
) -> HiddenStepsResult:
    """Is there an event between two steps that those who go on do, and those who stop do not?

    Parameters
    ----------
    steps, window : a funnel, as `funnel` takes it; at least two steps. Optional steps are no
        neighbors: they may be what hides.
    top : how many candidates to show per pair of steps.

    Returns
    -------
    HiddenStepsResult
        Every event of the log that is in neither step of a pair, and that anybody did there, is a
        candidate, other steps of the funnel included. Candidates are ranked by the lower limit of
        the difference.

    Raises
    ------
    UsageError
        If an event or argument is unknown or out of range, or there are fewer than two steps.
    DataError
        If the log is empty.

    Notes
    -----
    The users are those of the funnel's rates: their best chains among mature entries. Those who
    went on count what they did strictly between the instants of the two steps. Those who stopped
    get equal time: their clock starts at the first step of the pair and is cut at the median wait
    of those who went on, because the longer one looks the more anybody has done. Who stopped so
    late that the log ends before this clock does is left out. Half of those who went on had more
    time than that, some perhaps days; so a second comparison (``early_k``) cuts their clock too,
    at the same median or at the next step, whichever is earlier. In it they never have more time
    than those who stopped, and what people do at any time cannot look like a step.

    Difference: Newcombe 1998, *Stat Med* 17:873, method 10, from the Wilson limits l, u of both
    rates: ``d − sqrt((p₁−l₁)² + (u₂−p₂)²)`` to ``d + sqrt((u₁−p₁)² + (p₂−l₂)²)``. p: score test
    with pooled variance, two-sided. q: Benjamini & Hochberg 1995, *JRSS B* 57:289, over all
    candidates of all pairs. A candidate is called hidden if the rate of those who went on lies
    above one half and that of those who stopped below, both with their whole interval, q < 0.05,
    and the interval of the second comparison's difference lies above zero.

    Examples
    --------
    >>> rows = [(f"u{i}", 0, "cart") for i in range(60)]
    >>> rows += [(f"u{i}", 5, "form") for i in range(40)]
    >>> rows += [(f"u{i}", 9, "buy") for i in range(38)]
    >>> frame = pd.DataFrame(rows, columns=["user", "time", "event"])
    >>> log = EventLog.from_frame(frame.assign(
    ...     time=pd.Timestamp("2026-01-01") + pd.to_timedelta(frame.time, "min")),
    ...     covers_until="2026-02-01")
    >>> hidden_steps(log, ["cart", "buy"]).table[["event", "k", "n", "stopped_k", "stopped_n"]]
      event   k   n  stopped_k  stopped_n
    0  form  38  38          2         22
    """
    if not isinstance(top, int) or top < 1:
        raise UsageError(f"hidden_steps: top={top!r}. Allowed: a whole number from 1.")
    found = funnel(log, steps, window=window)
    asked = found.steps
    if len(asked) < 2:
        raise UsageError(
            "hidden_steps: one step has nothing between. Give at least two: log.summary()."
        )
    pairs = step_pairs(log, asked, found.parts)
    table = _judged(_candidates(log, asked, pairs))
    # Equally high ones by name, so that nothing depends on the order of the log's names.
    best = ["step", "difference_low", "event"]
    ranked = table.sort_values(best, ascending=[True, False, True])
    return HiddenStepsResult(
        table=ranked.groupby("step", sort=False).head(top).reset_index(drop=True),
        parameters={
            "steps": [step.plain() for step in asked],
            "window": str(window),
            "top": top,
        },
        warnings=(*found.warnings, *_undefined(asked, pairs), _ASSOCIATION),
        steps=asked,
        tested=len(table),
    )


def _candidates(log: EventLog, steps: Sequence[Step], pairs: Sequence[Pair]) -> pd.DataFrame:
    """A row per candidate of every pair, with both shares."""
    size = [len(pair.codes) for pair in pairs]

    def spread(values: Sequence[Any]) -> np.ndarray:
        return np.repeat(np.array(values), size)

    codes = np.concatenate([pair.codes for pair in pairs])
    events = np.concatenate([pair.events for pair in pairs], axis=1)
    table = pd.DataFrame(
        {
            "step": spread([pair.first for pair in pairs]),
            "from_event": spread([steps[pair.first - 1].name for pair in pairs]),
            "to_event": spread([steps[pair.second - 1].name for pair in pairs]),
            "event": np.array(log.event_names)[codes],
            "within_seconds": spread([pair.within_us for pair in pairs]) / US_PER_SECOND,
        }
    )
    on = shares(events[0], spread([pair.went_on for pair in pairs]))
    stopped = shares(events[1], spread([pair.stopped for pair in pairs]))
    early = shares(events[2], on["n"].to_numpy()).drop(columns="n")
    return pd.concat(
        [table, on, early.add_prefix("early_"), stopped.add_prefix("stopped_")], axis=1
    )


def _judged(table: pd.DataFrame) -> pd.DataFrame:
    """Adds the differences with their intervals, p and q, and which are hidden steps."""
    from scipy.stats import false_discovery_control, norm

    difference, low, high = _difference(table, "")
    _, early_low, _ = _difference(table, "early_")
    n, stopped_n = table["n"].to_numpy(), table["stopped_n"].to_numpy()
    pooled = (table["k"] + table["stopped_k"]).to_numpy() / (n + stopped_n)
    error = np.sqrt(pooled * (1 - pooled) * (1 / n + 1 / stopped_n))
    # Done by everybody of both groups: no difference, and no spread to measure it by.
    z = np.divide(difference, error, out=np.zeros(len(table)), where=error > 0)
    p = 2 * norm.sf(np.abs(z))
    q = false_discovery_control(p) if len(p) else p
    judged = table.assign(difference=difference, difference_low=low, difference_high=high)
    most = (table["low"] > MOST_OF_THEM) & (table["stopped_high"] < MOST_OF_THEM)
    return judged.assign(
        p_value=p, q_value=q, hidden=most & (early_low > 0) & (q < FALSE_DISCOVERIES)
    )


def _difference(table: pd.DataFrame, who: str) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Rates of those who went on minus those of the others, with Newcombe's limits."""
    on, low, high, off, off_low, off_high = (
        table[f"{prefix}{name}"].to_numpy()
        for prefix in (who, "stopped_")
        for name in ("rate", "low", "high")
    )
    difference = on - off
    below, above = np.hypot(on - low, off_high - off), np.hypot(high - on, off - off_low)
    return difference, difference - below, difference + above


def _undefined(steps: Sequence[Step], pairs: Sequence[Pair]) -> list[str]:
    """Why a pair has no candidates."""
    said = []
    for pair in pairs:
        first, second = steps[pair.first - 1], steps[pair.second - 1]
        place = f"Between {label(first.name)} and {label(second.name)} nothing can be compared: "
        if not pair.went_on or not pair.stopped:
            who = "went on" if not pair.went_on else "stopped"
            said.append(f"{place}nobody {who}.")
        elif not pair.within_us:
            said.append(f"{place}most of those who went on did both at the same instant.")
        elif ANY_EVENT in (*first.events, *second.events):
            said.append(f"{place}a step of any event leaves no other event.")
    return said


def _told(row: Any) -> str:
    return (
        f"“{label(row.event)}” may hide between {label(row.from_event)} and {label(row.to_event)}: "
        f"{share(row.k, row.n, row.rate)} of those who went on did it on the way, and "
        f"{share(row.stopped_k, row.stopped_n, row.stopped_rate)} of those who stopped, in "
        f"{human_duration(row.within_seconds * US_PER_SECOND)}, the median wait of the others "
        f"(difference {points(row.difference, signed=False)} points, 95% interval "
        f"{points(row.difference_low)} to {points(row.difference_high)})."
    )
