"""Which of two events comes first, among the people who did both?

This file refuses to say that the first event brings about the second. Coming first is not even much
of a sign where one event is far more frequent than the other: a person who browses every day has
browsed before anything rare. So every pair says how many did each event, and the caveat says that
an order is not an effect.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from analysis.core import checks
from analysis.core.result import Result, suppress
from analysis.core.schema import USER
from analysis.core.wording import count, isolate, percent, share
from analysis.eventlog.log import EventLog, look_ahead_warnings
from analysis.journeys import kernels
from analysis.journeys.figures import order_bars, order_map
from analysis.journeys.sequences import (
    Entered,
    EventGroups,
    check_arguments,
    entered_as_text,
    entered_in,
    event_groups,
    map_sequences,
    unit_word,
)
from analysis.statistics.rates import CONFIDENCE, judged, ratio, wilson

_NOT_CAUSED = (
    "An event that comes first does not cause the other by that: a frequent event comes before a "
    "rare one by its frequency alone."
)


@dataclass(frozen=True, eq=False, kw_only=True)
class OrderResult(Result):
    """The answer of `event_order`.

    ``table`` has a row per pair of events, the clearest first: ``a`` comes before ``b`` in ``k``
    of the ``n`` sequences that have both at different instants: ``rate, low, high``;
    ``same_instant`` sequences have both first at one instant, which says no order. ``n_a, n_b,
    both`` of ``lines``: how many of all sequences have each event, and how many have both; ``lift``
    (how many times as often together as if they were independent) with ``lift_low, lift_high``.
    ``p_value`` (sign test), ``q_value`` and ``clear`` are about the order. Numbers of few people
    are NaN.
    """

    within: str

    def sentence(self) -> str:
        """How many pairs have a clear order, and the clearest of them."""
        known = self.table[self.table["p_value"].notna()]
        found = known[known["clear"].astype(bool)]
        if not len(found):
            return f"None of {count(len(known))} pairs of events has a clear order."
        top = found.iloc[0]
        return (
            f"{count(len(found))} of {count(len(known))} pairs of events have a clear order. Most: "
            f"{isolate(top['a'])} before {isolate(top['b'])} in "
            f"{share(top['k'], top['n'], top['rate'])} of the {unit_word(self.within)} that have "
            f"both (95% interval {percent(top['low'])} to {percent(top['high'])})."
        )

    def matrix(self) -> pd.DataFrame:
        """How often the row's event comes before the column's; NaN where that is not known."""
        back = self.table.rename(columns={"a": "b", "b": "a"}).assign(rate=1 - self.table["rate"])
        both = pd.concat([self.table, back], ignore_index=True)
        return both.set_index(["a", "b"])["rate"].unstack()  # noqa: PD010

    def figure(self) -> Any:
        """The pairs with the clearest order, with intervals and lifts."""
        return order_bars(self.table)

    def heat_map(self) -> Any:
        """Every event against every other, as shares of the sequences that have both."""
        return order_map(self.table)


def event_order(
    log: EventLog,
    *,
    about: str | None = None,
    within: str = USER,
    top: int = 30,
    most_false: float = 0.05,
    entered: Entered = None,
    min_cell: int = 5,
) -> OrderResult:
    """Which of two events comes first, and how often do they go together?

    Parameters
    ----------
    about : an event: only its pairs; default: every pair.
    within : ``"user"`` or ``"session"``: what makes a sequence. The test wants sequences that are
        independent of each other, as those of users are.
    top : how many event names to keep; the others become ``"(other)"``.
    most_false : the false discovery rate below which an order is called clear.
    entered : (start, end), end excluded: only sequences that begin in it, each whole; naive times
        are UTC.
    min_cell : pairs that fewer people have are hidden, and the order of those that fewer have at
        different instants.

    Returns
    -------
    OrderResult

    Raises
    ------
    UsageError
        If `about` is not an event of the log, or another argument is not allowed.
    DataError
        If the log is empty.

    Notes
    -----
    First occurrences are compared; those at one instant say no order and are left out of the sign
    test (Dixon & Mood 1946, *JASA* 41:557; binomial, exact), q-values by Benjamini & Hochberg 1995
    over all pairs that are asked for. ``lift = both·lines / (n_a·n_b)``, Brin, Motwani &
    Silverstein 1997, *SIGMOD* 26:265; its interval is that of its logarithm by the delta method.
    Wilson's interval of rates.

    Examples
    --------
    >>> log = EventLog.from_frame(pd.DataFrame({
    ...     "user": ["ann", "ann", "bob", "bob", "cy"],
    ...     "event": ["video", "buy", "video", "buy", "visit"],
    ...     "time": pd.to_datetime(["2026-01-01", "2026-01-02"] * 2 + ["2026-01-01"])}))
    >>> event_order(log, min_cell=1).table[["a", "b", "k", "n", "lift"]].head(1)
           a    b    k    n  lift
    0  video  buy  2.0  2.0   1.5
    """
    check_arguments(log, "event_order", within, top=top, min_cell=min_cell)
    checks.share("event_order: most_false", most_false)
    log = entered_in(log, "event_order", within, entered)
    keep = [] if about is None else [checks.event_name("event_order", log, about)]
    table = _table(log, event_groups(log, top, keep), within)
    asked = table["both"] > 0
    if about is not None:
        asked &= (table["a"] == about) | (table["b"] == about)
    table = table[asked].reset_index(drop=True)
    table, hidden = _hide_small(table, min_cell)
    table = judged(table, most_false)
    clearness = (table["rate"] - 0.5).abs().fillna(0)
    order = np.lexsort((table["b"], table["a"], -clearness, table["q_value"].fillna(2)))
    caveats = [_NOT_CAUSED]
    if hidden:
        caveats.append(
            f"Hidden, of fewer than {min_cell} people with both events: {count(hidden)} pairs."
        )
    return OrderResult(
        table=table.iloc[order].reset_index(drop=True),
        parameters={
            "about": about,
            "within": within,
            "top": top,
            "most_false": most_false,
            "entered": entered_as_text(entered),
            "min_cell": min_cell,
        },
        warnings=(*caveats, *look_ahead_warnings(log)),
        within=within,
    )


def _table(log: EventLog, groups: EventGroups, within: str) -> pd.DataFrame:
    """A row per pair of events; `a` is the one that comes first more often."""
    size = len(groups.names)
    parts = map_sequences(
        log,
        groups,
        within,
        lambda own: (
            own.number,
            *kernels.orders(own.codes, own.times, own.starts, own.users, size),
        ),
    )
    sequences = sum(part[0] for part in parts)
    found = (np.sum([part[i] for part in parts], axis=0) for i in range(1, 6))
    has, first, same, people, in_order = found
    one, two = np.triu_indices(size, 1)
    turn = first[one, two] < first[two, one]
    a, b = np.where(turn, two, one), np.where(turn, one, two)
    k, n = first[a, b], first[a, b] + first[b, a]
    both = n + same[a, b]
    low, high = wilson(k, n)
    lift, lift_low, lift_high = lift_interval(both, has[a], has[b], sequences)
    names = np.array(groups.names, object)
    table = pd.DataFrame(
        {
            "a": pd.array(names[a], dtype="str"),
            "b": pd.array(names[b], dtype="str"),
            "k": k,
            "n": n,
            "rate": ratio(k, n),
            "low": low,
            "high": high,
            "same_instant": same[a, b],
            "n_a": has[a],
            "n_b": has[b],
            "both": both,
            "lines": sequences,
            "lift": lift,
            "lift_low": lift_low,
            "lift_high": lift_high,
            "p_value": [_sign_test(*pair) for pair in zip(k, n, strict=True)],
            "people": people[a, b],
            "in_order": in_order[a, b],
        }
    )
    return table.astype({name: float for name in table if name not in ("a", "b")})


def _sign_test(k: int, n: int) -> float:
    from scipy import stats

    return float(stats.binomtest(int(k), int(n)).pvalue) if n else np.nan


def lift_interval(
    both: np.ndarray, n_a: np.ndarray, n_b: np.ndarray, sequences: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """How many times as often together as if independent, with limits; NaN where never together.

    Notes
    -----
    ``Var(ln lift) ≈ (1/p_ab − 1/p_a − 1/p_b + 2·p_ab/(p_a·p_b) − 1) / sequences``: the delta
    method for the three shares of one multinomial.

    Examples
    --------
    >>> lift, low, high = lift_interval(np.array([30]), np.array([60]), np.array([40]), 100)
    >>> round(float(lift[0]), 2), round(float(low[0]), 2), round(float(high[0]), 2)
    (1.25, 1.07, 1.47)
    """
    from scipy import stats

    with np.errstate(divide="ignore", invalid="ignore"):
        p, p_a, p_b = both / sequences, n_a / sequences, n_b / sequences
        lift = np.where(both > 0, p / (p_a * p_b), np.nan)
        spread = 1 / p - 1 / p_a - 1 / p_b + 2 * p / (p_a * p_b) - 1
        half = stats.norm.ppf((1 + CONFIDENCE) / 2) * np.sqrt(np.maximum(spread, 0) / sequences)
    return lift, lift * np.exp(-half), lift * np.exp(half)


def _hide_small(table: pd.DataFrame, min_cell: int) -> tuple[pd.DataFrame, int]:
    """Hide pairs that few people have, then the orders of few; and how many pairs are hidden.

    `people` have both events, `in_order` of them at different instants.
    """
    kept = ("a", "b", "n_a", "n_b", "lines", "people", "in_order")
    numbers = [str(name) for name in table if name not in kept]
    # With `both` shown, those at one instant would give n away.
    order = ["k", "n", "rate", "low", "high", "same_instant", "p_value"]
    table, _ = suppress(table, min_cell=min_cell, counts=["in_order"], columns=order)
    table, hidden = suppress(table, min_cell=min_cell, counts=["people"], columns=numbers)
    return table.drop(columns=["people", "in_order"]), int(hidden.sum())
