"""Do two groups, or two funnels of the same steps, lose people at the same places?

Each step's rate in one against that in the other, with the interval of the difference; over the
steps false discoveries are controlled, because the largest of several differences is large by
chance. The rate of the whole funnel is the one question that is asked and stands by itself.

What this module refuses to do: call a difference an effect. Groups differ in more than a name.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pandas as pd

from analysis.funnel_lookup import group_number
from analysis.funnel_table import ratio
from analysis.period_changes import FUNNEL, change_rows
from analysis.results import Result
from analysis.schema import ALL, UsageError, human_duration
from analysis.stats import wilson

if TYPE_CHECKING:
    from analysis.funnel_result import FunnelResult

FROM_FIRST, FROM_PREVIOUS = "from first", "from previous"
_NAMES = {
    "step": "step",
    "event": "event",
    "denominator": "denominator",
    "k": "k_a",
    "n": "n_a",
    "rate": "rate_a",
    "previous_k": "k_b",
    "previous_n": "n_b",
    "previous": "rate_b",
    "change": "difference",
    "change_low": "low",
    "change_high": "high",
    "p_value": "p_value",
    "q_value": "q_value",
    "clear": "clear",
}


def compare(result: FunnelResult, a: Any, b: Any) -> pd.DataFrame:
    """By how much do the rates of two groups, or of two funnels, differ at each step?

    Parameters
    ----------
    a : a group of the breakdown; None: all groups together.
    b : another group; or the result of another funnel with the same steps and window, of which
        the same group `a` is taken, or all together.

    Returns
    -------
    A row per step from the second on and one for the whole funnel: ``step, event, denominator``
    (``"from previous"``: of those at the required step before; ``"from first"``: of those who
    entered), ``k_a`` of ``n_a`` (``rate_a``), ``k_b`` of ``n_b`` (``rate_b``), ``difference``
    (``rate_a − rate_b``) with 95 % limits ``low, high``, ``p_value``, ``q_value`` over the
    steps, and ``clear``: the difference stands out from chance, of the steps at 5 % false
    discoveries, of the whole funnel where its limits leave out 0. Mature chains only; NaN where one of the rates is undefined.

    Raises
    ------
    UsageError
        If a group is unknown, both are the same, or the funnels differ in steps or window.

    Notes
    -----
    Newcombe's interval (1998, *Stat Med* 17:873), which takes the two as independent of one
    another; p values of the score test for two proportions; q values of Benjamini & Hochberg
    (1995, *JRSS B* 57:289) over the steps.

    Examples
    --------
    >>> from analysis.eventlog.log import EventLog
    >>> from analysis.funnels import funnel
    >>> rows = [(f"u{i}", "cart", "mobile" if i < 70 else "desktop") for i in range(150)]
    >>> rows += [(f"u{i}", "purchase", "") for i in (*range(56), *range(70, 118))]
    >>> log = EventLog.from_frame(
    ...     pd.DataFrame(rows, columns=["user", "event", "device"]).assign(
    ...         time=pd.Timestamp("2026-01-01")), covers_until="2026-02-01")
    >>> result = funnel(log, ["cart", "purchase"], by="device")
    >>> compare(result, "mobile", "desktop")[["rate_a", "rate_b", "low", "high"]].round(4)[:1]
       rate_a  rate_b     low    high
    0     0.8     0.6  0.0524  0.3339
    """
    if len(result.steps) < 2:
        raise UsageError("compare: a funnel of one step has no rate. Give it a second step.")
    if isinstance(b, Result):
        other: Any = b
        _check_same(result, other)
        tables = _table_of(result, a), _table_of(other, a)
    else:
        if a == b:
            raise UsageError(f"compare: a and b are both {a!r}. Name two groups.")
        tables = _table_of(result, a), _table_of(result, b)
    rows = change_rows(*tables)
    rows["denominator"] = [FROM_FIRST if basis == FUNNEL else FROM_PREVIOUS for basis in rows.basis]
    return rows[list(_NAMES)].rename(columns=_NAMES)


def _check_same(result: FunnelResult, other: FunnelResult) -> None:
    ours, theirs = (
        [step.plain() for step in own.steps] if hasattr(own, "steps") else []
        for own in (result, other)
    )
    if ours != theirs:
        raise UsageError(
            f"compare: the steps of b are {theirs!r}. Allowed: those of a, {ours!r}. "
            "Ask for both with the same steps."
        )
    if result.window_us != other.window_us:
        windows = " and ".join(human_duration(own.window_us) for own in (result, other))
        raise UsageError(
            f"compare: the windows are {windows}. Rates within different times cannot be "
            "compared: ask for both with the same window."
        )


def _table_of(result: FunnelResult, group: Any) -> pd.DataFrame:
    """The table of a group, or of all groups together, as the one group of its name."""
    table = result.table
    if group is not None:
        group_number(result, group, "compare")
        return table[[name == group for name in table["group"]]].assign(group=ALL)
    counts = ["count", "k", "n_first", "n_previous"]
    whole = table.groupby(["step", "event"], as_index=False, sort=False)[counts].sum()
    k, n_first, n_previous = (whole[name].to_numpy() for name in counts[1:])
    whole["rate"], whole["step_rate"] = ratio(k, n_first), ratio(k, n_previous)
    whole["rate_low"], whole["rate_high"] = wilson(k, n_first)
    whole["low"], whole["high"] = wilson(k, n_previous)
    return whole.assign(group=ALL)
