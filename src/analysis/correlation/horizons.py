"""Does what goes with converting soon also go with converting late, and with what it is worth?

A micro conversion may bring forward what would have come anyway: strong within 30 days, gone
within 90. Or it may go with more orders and smaller ones. So the same question is asked over each
horizon, and it is compared whether the conversions after it were worth more or less than others.

This refuses to adjust the values: converters are compared as they are, and a buyer may spend more
for other reasons.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, Final, NamedTuple

import numpy as np
import pandas as pd

from analysis.catalog import Catalog
from analysis.core.result import Result, records, small
from analysis.core.schema import VALUE, UsageError, duration_us, human_duration
from analysis.core.wording import count, listed, with_interval
from analysis.correlation.figures_checks import horizon_forest
from analysis.correlation.kernels import NEVER
from analysis.correlation.plan import (
    ExposureOptions,
    ExposurePlan,
    entry_rows,
    exposure_plan,
    first_times,
)
from analysis.correlation.result import MicroToMacroResult, micro_to_macro
from analysis.correlation.verdict import ASSOCIATION, VerdictLimits, judged
from analysis.eventlog import money, parallel
from analysis.eventlog.log import EventLog
from analysis.eventlog.shard import NumberColumn, Shard
from analysis.statistics.rates import Z95

CONVERSION_VALUE: Final = "value"
"""The measure beside the horizons."""

_FEW = 10
_MIXED: Final = "Values are in"
_TOO_FEW: Final = f"fewer than {_FEW} conversions with a value on a side"
_NOT_ABOVE_ZERO: Final = "a mean value is not above zero"
_NUMBERS = ["ratio", "low", "high", "n", "others"]
_COLUMNS = ["event", "label", "measure", "basis", *_NUMBERS, "note"]


@dataclass(frozen=True, eq=False, kw_only=True)
class HorizonsResult(Result):
    """The answer of `compare_horizons`.

    ``table`` has a row per micro conversion and measure, in the order of the first horizon's
    ranking: ``event, label``; ``measure``, a horizon such as ``"30 days"`` or ``"value"``;
    ``basis``: what ``ratio, low, high`` is: the ``"calibrated"`` odds ratio, the ``"adjusted"``
    one where there are too few controls, or ``"mean value"`` of the conversions after it over
    that of the others; ``n`` conversions after it, ``others`` without; ``note``: why there is
    no ratio of values; ``rank`` and ``verdict`` in that measure.

    ``answers`` are the results of `micro_to_macro`, by measure.
    """

    answers: dict[str, MicroToMacroResult]

    def sentence(self) -> str:
        """Which verdicts change with the horizon, and whose conversions are worth less or more."""
        odds = self.table[self.table["measure"] != CONVERSION_VALUE]
        rows = [row for _, row in odds.groupby("event", sort=False)]
        converters = {name: answer.counts.converters for name, answer in self.answers.items()}
        text = _same_verdicts(rows, converters)
        values = self.table[self.table["measure"] == CONVERSION_VALUE]
        return f"{text} {_on_values(values)}" if len(values) and len(odds) else text

    def figure(self) -> Any:
        """Ratios by horizon, and of the value, for each micro conversion."""
        return horizon_forest(self.table)


def compare_horizons(  # noqa: PLR0913
    log: EventLog,
    catalog: Catalog,
    *,
    horizons: Sequence[str] = ("30d", "90d"),
    value: str | None = VALUE,
    period: Any = "auto",
    adjust: Sequence[str] = ("activity",),
    macro: str | None = None,
    micros: Sequence[str] | None = None,
    limits: VerdictLimits | None = None,
    min_cell: int = 1,
    start: str | None = None,
    since: Any = None,
) -> HorizonsResult:
    """Is the answer the same over another horizon, and for the value of a conversion?

    Parameters
    ----------
    horizons : durations since entry, one or more.
    value : the property with a conversion's value, or None; where the log has no such numbers,
        or has them in several currencies, a warning says so. It is that of the first conversion
        within the longest horizon.
    period, adjust, macro, micros, limits, min_cell, start, since : as in `micro_to_macro`.

    Raises
    ------
    UsageError
        If there is no horizon, one is no duration, or as `micro_to_macro` does.

    Notes
    -----
    The ratio of mean values has an interval by the delta method on its logarithm; n is the number
    of conversions with a value. Values of converters are compared as they are: nothing adjusts for
    other reasons to buy more.

    Examples
    --------
    >>> from analysis.simulation.log import simulate
    >>> shop = Catalog.load("data/catalogs/ecommerce.toml")
    >>> result = compare_horizons(simulate(users=1000).log, shop, micros=["video_start"])
    >>> result.table["measure"].to_list()
    ['30 days', '90 days', 'value']
    """
    log = log.until_end()
    if isinstance(horizons, str) or not len(horizons):
        raise UsageError(
            f"compare_horizons: horizons={horizons!r}. Allowed: a list of durations such as "
            "['30d', '90d']."
        )
    lengths = {human_duration(duration_us(h, "compare_horizons: horizon")): h for h in horizons}
    answers = {
        name: micro_to_macro(
            log,
            catalog,
            period=period,
            horizon=horizon,
            adjust=adjust,
            macro=macro,
            micros=micros,
            limits=limits,
            min_cell=min_cell,
            start=start,
            since=since,
        )
        for name, horizon in lengths.items()
    }
    parts = [_ratios(name, answer) for name, answer in answers.items()]
    warnings = [w for answer in answers.values() for w in answer.warnings if w != ASSOCIATION]
    longest = max(horizons, key=lambda h: duration_us(h))
    if value is not None and log.kinds.get(value) == "number":
        options = ExposureOptions(
            macro=macro,
            micros=micros,
            period=period,
            horizon=longest,
            adjust=adjust,
            start=start,
            since=since,
        )
        plan = exposure_plan(log, catalog, options)
        values = _conversion_values(log, catalog, plan, value, list(parts[0]["event"]))
        few = small(values["n"], min_cell) | small(values["others"], min_cell)
        parts.append(values.assign(**{name: values[name].mask(few) for name in _NUMBERS}))
        warnings += [note for note in values["note"].unique() if note.startswith(_MIXED)]
    elif value is not None:
        warnings.append(f"The log has no numbers {value!r}: the value is not compared.")
    table = pd.concat(parts, ignore_index=True)
    place = table["event"].map({name: i for i, name in enumerate(parts[0]["event"])})
    first = next(iter(answers.values())).parameters
    return HorizonsResult(
        table=table.loc[place.sort_values(kind="stable").index].reset_index(drop=True),
        parameters={
            **{name: first[name] for name in ("macro", "micros", "period", "adjust", "limits")},
            "horizons": [str(h) for h in horizons],
            "value": value,
            "min_cell": min_cell,
            "start": start,
            "since": None if since is None else str(since),
        },
        warnings=(*dict.fromkeys(warnings), ASSOCIATION),
        answers=answers,
    )


def _ratios(measure: str, answer: MicroToMacroResult) -> pd.DataFrame:
    own = judged(answer.table)
    rows: list[tuple[Any, ...]] = []
    for row in records(own):
        basis = "calibrated" if row.calibrated == row.calibrated else "adjusted"
        ratio = [float(getattr(row, f"{basis}{end}")) for end in ("", "_low", "_high")]
        counts = (row.exposed_macros, row.macros - row.exposed_macros)
        rows.append((row.event, row.label, measure, basis, *ratio, *counts, ""))
    table = pd.DataFrame(rows, columns=_COLUMNS)
    return table.assign(rank=np.arange(1, len(own) + 1), verdict=own["verdict"].to_numpy())


class _Sales(NamedTuple):
    """The conversions of a shard: their values, and what was done before, of shape (n, events).

    ``group`` is 0 for the shard's rows of conversions, −1 for all others.
    """

    value: np.ndarray
    before: np.ndarray
    group: np.ndarray


def _conversion_values(
    log: EventLog, catalog: Catalog, plan: ExposurePlan, value: str, events: list[str]
) -> pd.DataFrame:
    """Mean value of the conversions after each event over that of the others."""
    parts = parallel.map_shards(
        log.shards, partial(_sales, log=log, plan=plan, names=events, value=value)
    )
    values = np.concatenate([part.value for part in parts])
    before = np.concatenate([part.before for part in parts])
    # Sums of floats hang on their order; that of the shards must not show.
    order = np.argsort(values, kind="stable")
    values, before = values[order], before[order]
    units = money.currencies_by(log.shards, [part.group for part in parts], 1, value)[0]
    rows = []
    for i, event in enumerate(events):
        own, others = values[before[:, i]], values[~before[:, i]]
        note = _no_ratio(own, others, units)
        ratio = (math.nan, math.nan, math.nan) if note else _mean_ratio(own, others)
        cells = (*ratio, len(own), len(others), note)
        rows.append((event, catalog.label(event), CONVERSION_VALUE, "mean value", *cells))
    table = pd.DataFrame(rows, columns=_COLUMNS)
    rank = table["low"].rank(ascending=False, method="first")
    return table.assign(rank=rank, verdict=None)


def _sales(
    shard: Shard, *, log: EventLog, plan: ExposurePlan, names: list[str], value: str
) -> _Sales:
    first = entry_rows(shard, log=log, start=plan.start, left_out=plan.burn_in)
    bought = plan.macro_rows(log, shard, first)
    buyers = np.flatnonzero(bought >= 0)
    column = shard.columns[value]
    assert isinstance(column, NumberColumn)
    values = np.asarray(column.numbers)[bought[buyers]]
    times = first_times(shard, log=log, plan=plan, names=names, rows=(first, bought))
    before = (times < NEVER).T[buyers]
    known = ~np.isnan(values)
    group = np.full(shard.rows, -1, np.int8)
    group[bought[buyers]] = 0
    return _Sales(values[known], before[known], group)


def _no_ratio(own: np.ndarray, others: np.ndarray, currencies: list[str]) -> str:
    """Why the mean values cannot be divided; empty where they can."""
    if len(currencies) > 1:
        return (
            f"{_MIXED} {listed(currencies)}: not added up, so they are not compared. Ask about "
            f"one: log.where({money.CURRENCY}={currencies[0]!r})."
        )
    if min(len(own), len(others)) < _FEW:
        return _TOO_FEW
    if own.mean() <= 0 or others.mean() <= 0:
        return _NOT_ABOVE_ZERO
    return ""


def _mean_ratio(own: np.ndarray, others: np.ndarray) -> tuple[float, float, float]:
    means = [money.total(x) / len(x) for x in (own, others)]
    log = math.log(means[0] / means[1])
    se = math.sqrt(
        sum(x.var(ddof=1) / len(x) / m**2 for x, m in zip((own, others), means, strict=True))
    )
    return math.exp(log), math.exp(log - Z95 * se), math.exp(log + Z95 * se)


def _same_verdicts(rows: list[pd.DataFrame], converters: dict[str, int]) -> str:
    """Which verdicts change with the horizon, as a sentence.

    Parameters
    ----------
    rows : per micro conversion its rows, one for each horizon. converters : conversions by horizon.
    """
    shown = [count(k) for k in converters.values()]
    of = f"{shown[0]} conversions" if len(set(shown)) == 1 else f"{listed(shown)} conversions"
    over = f"Over {listed(list(converters))} ({of})"
    if not rows:
        return f"{over} there is no micro conversion to compare."
    if not any(converters.values()):
        return f"{over} there is nothing to compare."
    ways = [
        (str(own["label"].iloc[0]), [str(v).replace("_", " ") for v in own["verdict"]])
        for own in rows
    ]
    moved = [f"{label} ({' → '.join(way)})" for label, way in ways if len(set(way)) > 1]
    if {verdict for _, way in ways for verdict in way} == {"not enough data"}:
        whom = f"any of {len(ways)} micro conversions" if len(ways) > 1 else ways[0][0]
        return f"{over} there is not enough data for {whom}."
    if len(ways) == 1:
        label, way = ways[0]
        return f"{over}, the verdict of {label} is {' → '.join(way) if moved else way[0]}."
    same = len(ways) - len(moved)
    text = f"{over}, {count(same)} of {count(len(ways))} micro conversions "
    text += "has the same verdict" if same == 1 else "have the same verdict"
    return f"{text}; not so: {listed(moved)}." if moved else f"{text}."


def _on_values(values: pd.DataFrame) -> str:
    """Whose conversions are clearly worth more or less than the others'."""
    known = values[values["ratio"].notna()]
    if not len(known):
        notes = list(values["note"])
        if any(note.startswith(_MIXED) for note in notes):
            return "The values are in several currencies, so what they are worth is not compared."
        if _NOT_ABOVE_ZERO in notes:
            return (
                "The mean value of the conversions is not above zero, so there is no ratio of what "
                "they are worth."
            )
        return "There are too few conversions with a value to compare what they are worth."
    names = [
        f"{row.label} {with_interval(row.ratio, row.low, row.high)}, n = {count(row.n)}"
        for row in records(known[(known["low"] > 1) | (known["high"] < 1)])
    ]
    found = "; ".join(names) or f"no clear difference for any of {len(known)}"
    return f"Mean value of the conversions after it over that of the others: {found}."
