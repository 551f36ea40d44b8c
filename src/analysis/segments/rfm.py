"""Who bought lately, often and for much? Quantile scores, with the cut points that made them.

Each buyer gets three scores from 1 (worst) to `scores` (best): recency, frequency and monetary
value, cut at quantiles among the buyers. Equal numbers always get equal scores, so where most
people bought once some scores do not occur; that is said, and not hidden by breaking ties at
random.

What this module refuses to do: score people who never bought, add up several currencies, or call
a score a forecast.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Final

import numpy as np
import pandas as pd

from analysis.core import checks
from analysis.core.result import Result, small, suppress_parts
from analysis.core.schema import US_PER_DAY, UsageError, timestamp
from analysis.core.wording import count, percent, share
from analysis.eventlog import filters, money, parallel
from analysis.eventlog.groups import totals
from analysis.eventlog.log import EventLog, look_ahead_warnings
from analysis.eventlog.shard import NumberColumn, Shard
from analysis.segments import kernels
from analysis.segments.evaluate import RuleContext, check_rule, scan
from analysis.segments.figures import score_bars
from analysis.segments.result import Segment, instant_of, picked
from analysis.segments.rules import did
from analysis.statistics.rates import wilson

MEASURES: Final = {"recency": "recency_days", "frequency": "frequency", "monetary": "value"}


@dataclass(frozen=True, eq=False, kw_only=True)
class RFMResult(Result):
    """The answer of `rfm`.

    ``table`` has a row per measure and score that occurs: ``measure``, ``score``, ``low``,
    ``high`` (the smallest and largest number that got it, in the measure's unit), ``k`` of ``n``
    buyers, ``rate, rate_low, rate_high``. ``users`` has a row per buyer: ``user``,
    ``recency_days``, ``frequency``, ``value``, ``r``, ``f``, ``m``. ``cut_points``: per measure the
    numbers above which a better score begins (for recency a worse one). In the table the numbers
    of a score of fewer than `min_cell` people are NaN, and those of a second one with it.
    """

    users: pd.DataFrame
    cut_points: dict[str, list[float]]
    scores: int
    at: pd.Timestamp
    log: EventLog = field(repr=False)

    def segment(
        self, name: str, *, r: int | None = None, f: int | None = None, m: int | None = None
    ) -> Segment:
        """Buyers with at least these scores, as a segment."""
        kept = np.ones(len(self.users), np.bool_)
        for letter, bound in {"r": r, "f": f, "m": m}.items():
            if bound is None:
                continue
            if checks.whole(f"rfm: {letter}", bound, least=1) > self.scores:
                raise UsageError(
                    f"rfm: {letter}={bound}. Allowed: a score from 1 to {self.scores}."
                )
            kept &= (self.users[letter] >= bound).to_numpy()
        mask = pd.Series(kept, index=self.users["user"])
        return picked(self.log, mask, at=self.at, name=name)

    def sentence(self) -> str:
        """How many buyers are in the upper two fifths of recency and frequency at once."""
        n = len(self.users)
        if not n:
            return f"Nobody bought before {self.at:%Y-%m-%d %H:%M} UTC."
        bound = self.scores * 3 // 5 + 1
        best = (self.users[["r", "f"]] >= bound).all(axis=1)
        low, high = (float(end) for end in wilson(best.sum(), n))
        least = int(self.parameters["min_cell"])
        if small(n, least):
            return "Too few people bought to show how they score."
        text = (
            f"{share(best.sum(), n, best.mean())} of the buyers score {bound} or more of "
            f"{self.scores} for both recency and frequency (95% interval {percent(low)} to "
            f"{percent(high)})"
        )
        total = self.users["value"].sum(skipna=True)
        if total > 0 and not small(best.sum(), least):
            own = self.users.loc[best, "value"].sum()
            text += f"; they bring {share(own, total, own / total)} of the value"
        return f"{text}."

    def figure(self) -> Any:
        """How many buyers have each score, and which numbers get it."""
        return score_bars(self.table)


def rfm(
    log: EventLog,
    *,
    event: str = "purchase",
    value: str | None = "value",
    scores: int = 5,
    at: Any = None,
    min_cell: int = 1,
) -> RFMResult:
    """Who bought lately, often and for much, as of an instant?

    Parameters
    ----------
    log : see `analysis.core.checks`.
    event : what counts as buying. value : the property that is added up; None: no third score.
    scores : how many scores, 2 to 10.
    at : only events strictly before this instant count; default: the end of what the log covers.
    min_cell : scores of fewer buyers than this are hidden in the table, and never one alone; 1
        shows all.

    Raises
    ------
    UsageError
        If the log does not have the event or the property, or `scores` is out of range.

    Notes
    -----
    Cut points are the quantiles ``i / scores`` of the observed numbers (inverted distribution
    function); the score is one more than the number of cut points below. Hughes 1994, *Strategic
    Database Marketing*.

    Examples
    --------
    >>> log = EventLog.from_frame(pd.DataFrame({
    ...     "user": ["ann", "ann", "bob"], "event": "purchase", "value": [10.0, 20.0, 5.0],
    ...     "time": pd.to_datetime(["2026-01-01", "2026-01-09", "2026-01-03"])}))
    >>> result = rfm(log, scores=2)
    >>> result.users[["user", "frequency", "value", "r", "f", "m"]].to_dict("records")
    [{'user': 'ann', 'frequency': 2, 'value': 30.0, 'r': 2, 'f': 2, 'm': 2}, \
{'user': 'bob', 'frequency': 1, 'value': 5.0, 'r': 1, 'f': 1, 'm': 1}]
    """
    if isinstance(scores, bool) or not isinstance(scores, int) or not 2 <= scores <= 10:
        raise UsageError(f"rfm: scores={scores!r}. Allowed: a whole number from 2 to 10.")
    check_rule(log, did(event), "rfm")
    if value is not None and log.kinds.get(value) != "number":
        raise UsageError(
            f"rfm: value={value!r} is not a property of numbers. Give one of "
            f"{[n for n, kind in log.kinds.items() if kind == 'number']}, or value=None."
        )
    instant, least = instant_of(log, at, "rfm"), checks.min_cell("rfm", min_cell)
    warnings = []
    if value is not None:
        currencies = totals(log, event).currency
        if currencies and ", " in currencies:
            warnings.append(f"Values are in {currencies}: not added up, so there is no m score.")
            value = None
    buyers = _buyers(log, event, value, instant)
    cuts = {}
    for letter, (measure, column) in zip("rfm", MEASURES.items(), strict=True):
        numbers = buyers[column].to_numpy(float)
        buyers[letter], cuts[measure] = _scored(numbers, scores, reverse=letter == "r")
        warnings += _coinciding(measure, numbers, cuts[measure])
    table, hidden = _table(buyers, least)
    if hidden:
        warnings.append(
            f"Hidden, so that no score of fewer than {least} buyers can be told: {count(hidden)} "
            f"of {count(len(table))} scores."
        )
    return RFMResult(
        table=table,
        parameters={
            "event": event,
            "value": value,
            "scores": scores,
            "at": timestamp(instant).isoformat(),
            "min_cell": least,
        },
        warnings=(*warnings, *look_ahead_warnings(log)),
        users=buyers,
        cut_points=cuts,
        scores=scores,
        at=timestamp(instant),
        log=log,
    )


def _buyers(log: EventLog, event: str, value: str | None, instant: int) -> pd.DataFrame:
    """A row per buyer, in the order of ``log.user_ids``."""
    match = did(event).match

    def shard_buyers(shard: Shard) -> np.ndarray:
        context = RuleContext.of(log, shard, instant)
        rows = scan(context, match, kernels.found_last)
        cells = np.full((len(rows), 3), np.nan)
        cells[:, 1] = scan(context, match, kernels.counted)
        bought = rows >= 0
        cells[bought, 0] = (instant - shard.time[rows[bought]]) / US_PER_DAY
        if value is not None:
            column = shard.columns[value]
            assert isinstance(column, NumberColumn)  # checked before
            cells[:, 2] = money.amounts(scan(context, match, kernels.summed, column.numbers))
        return cells

    parts = parallel.map_shards(log.shards, shard_buyers)
    cells = filters.in_order(log.shards, len(log.event_names), parts).reshape(-1, 3)
    bought = cells[:, 1] > 0
    return pd.DataFrame(
        {
            "user": log.user_ids[bought],
            "recency_days": cells[bought, 0],
            "frequency": cells[bought, 1].astype(np.int64),
            "value": cells[bought, 2],
        }
    )


def _scored(numbers: np.ndarray, scores: int, *, reverse: bool) -> tuple[np.ndarray, list[float]]:
    """Scores from 1 (0 where a number is not known), and the cut points."""
    if not len(numbers) or np.isnan(numbers).all():
        return np.zeros(len(numbers), np.int64), []
    levels = np.arange(1, scores) / scores
    cuts = np.nanquantile(numbers, levels, method="inverted_cdf")
    above = np.searchsorted(cuts, numbers, side="left")
    score = scores - above if reverse else above + 1
    return np.where(np.isnan(numbers), 0, score), [float(cut) for cut in cuts]


def _coinciding(measure: str, numbers: np.ndarray, cuts: list[float]) -> list[str]:
    if len(set(cuts)) == len(cuts):
        return []
    most = max(cuts, key=cuts.count)
    k, n = int((numbers == most).sum()), len(numbers)
    return [
        f"Cut points of {measure} coincide: {share(k, n, k / n)} of the buyers have {most:g}, so "
        "some scores do not occur."
    ]


def _table(buyers: pd.DataFrame, min_cell: int) -> tuple[pd.DataFrame, int]:
    """A row per measure and score, and how many rows are hidden."""
    parts = []
    for letter, (measure, column) in zip("rfm", MEASURES.items(), strict=True):
        own = buyers[buyers[letter] > 0].groupby(letter)[column].agg(["min", "max", "size"])
        own = own.reset_index().set_axis(["score", "low", "high", "k"], axis=1)
        parts.append(own.assign(measure=measure, n=len(buyers)))
    table = pd.concat(parts, ignore_index=True)
    table["rate"] = table["k"] / table["n"]
    table["rate_low"], table["rate_high"] = wilson(table["k"], table["n"])
    numbers = ["low", "high", "k", "rate", "rate_low", "rate_high"]
    shown, hidden = [], 0
    for _, own in table.groupby("measure", sort=False):
        part, few = suppress_parts(own, min_cell=min_cell, size="k", total="n", columns=numbers)
        shown.append(part)
        hidden += int(few.sum())
    table = pd.concat(shown) if shown else table
    columns = ["measure", "score", "low", "high", "k", "n", "rate", "rate_low", "rate_high"]
    return table[columns], hidden
