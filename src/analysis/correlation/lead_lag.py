"""Does the rate of the micro conversion move before that of the macro conversion?

Any two rates that both grow correlate. So their changes from period to period are
compared, at every lag up to a few periods. Whether a correlation is more than chance is tested by
block permutation: shuffled blocks of the micro conversion's changes keep what the series has of its
own, which single values would lose. And because one looks at all lags, the largest correlation is
compared with the largest of each permutation.

This refuses to speak of persons: rates of a week can move together although nobody who does the one
does the other (Robinson 1950). And below half a year of weeks there is no result.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import Any, Final

import numpy as np
import pandas as pd

from analysis.catalog import Catalog
from analysis.core import checks
from analysis.core.result import Result, records
from analysis.core.schema import DataError, UsageError, instant_us, one_of
from analysis.core.wording import coefficient, count, significance
from analysis.correlation.figures_checks import SURE, lag_bars
from analysis.eventlog import parallel
from analysis.eventlog.log import EventLog, look_ahead_warnings
from analysis.eventlog.shard import Shard
from analysis.statistics.rates import CONFIDENCE, wilson

MIN_PERIODS: Final = 26

_STARTS: Final = {"1D": "D", "1W": "W-MON", "1M": "MS"}
_UNIT: Final = {"1D": "days", "1W": "weeks", "1M": "months"}
_SERIES = ("micro", "macro")
_AGGREGATE = (
    "Rates of whole periods are compared, not persons: that two rates move together does not say "
    "that those who do the one do the other. micro_to_macro compares persons."
)


@dataclass(frozen=True, eq=False, kw_only=True)
class LeadLagResult(Result):
    """The answer of `lead_lag`.

    ``table`` has a row per lag: ``lag`` (periods by which the micro conversion's rate is ahead;
    negative: behind), ``correlation`` of the changes (Spearman) with ``low, high``, ``n`` pairs,
    ``p_value`` by block permutation, ``p_adjusted`` for the largest of all lags.

    ``rates`` has a row per period: ``start, end``, ``n`` active users, and how many of them did
    the micro and the macro conversion: ``micro_k, micro_rate, micro_low, micro_high``, likewise
    ``macro_``.
    """

    label: str
    rates: pd.DataFrame

    def sentence(self) -> str:
        """The lag with the strongest correlation, or that there are too few periods."""
        unit, periods = _UNIT[self.parameters["freq"]], len(self.rates)
        known = self.table[self.table["correlation"].notna()]
        if not len(known):
            return (
                f"{self.label}: not enough data: {count(periods)} whole {unit}, and it takes "
                f"{MIN_PERIODS} in which the rates change."
            )
        best = records(known.loc[[known["correlation"].abs().idxmax()]])[0]
        where = f"{best.lag} {unit} later" if best.lag else f"in the same {unit[:-1]}"
        if best.lag < 0:
            where = f"{-best.lag} {unit} earlier"
        clear = "clear of" if best.p_adjusted <= SURE else "not clear of"
        return (
            f"{self.label}: its changes go most closely with those of the macro rate {where}, "
            f"correlation {coefficient(best.correlation)} (95% interval "
            f"{coefficient(best.low)} to {coefficient(best.high)}, "
            f"n = {count(best.n)} pairs of {unit}), {clear} chance over all shifts "
            f"(p = {significance(best.p_adjusted)})."
        )

    def figure(self) -> Any:
        """Correlation of the changes by lag."""
        return lag_bars(self.table, unit=_UNIT[self.parameters["freq"]])


def lead_lag(  # noqa: PLR0913
    log: EventLog,
    catalog: Catalog,
    micro: str,
    *,
    macro: str | None = None,
    freq: str = "1W",
    max_lag: int = 4,
    block: int = 4,
    permutations: int = 2000,
    rng: int | np.random.Generator = 2026,
) -> LeadLagResult:
    """Do changes of the micro conversion's rate come before those of the macro conversion's?

    Parameters
    ----------
    micro, macro : names of events; the macro conversion defaults to the catalog's.
    freq : ``"1D"``, ``"1W"`` (from Monday) or ``"1M"``, UTC. Only whole periods count.
    max_lag : lags from minus to plus so many periods. block : length of the blocks that are
        shuffled, in periods.
    rng : seed, or a Generator.

    Raises
    ------
    UsageError
        If a name is unknown or an argument out of range.
    DataError
        If the log is empty.

    Notes
    -----
    Rates are of the users active in the period. First differences, Spearman's correlation
    (interval: Fisher's z with Bonett & Wright's factor 1 + r²/2, *Psychometrika* 65:23–28, 2000).
    Differences of rates that did not drift follow one another in zigzag, so n pairs are worth
    n / (1 + 2·a·b) of them, with a and b the correlations of each series with itself one period
    later (Bartlett 1935, *J R Stat Soc* 98:536). So the interval holds 0 in 94 to 97 % of null
    series, whether they drift or not.
    Permutation p-values count the observed one in (Phipson & Smyth 2010, *Stat Appl Genet Mol
    Biol* 9:39); `p_adjusted` compares with the largest over lags (Westfall & Young 1993).

    Examples
    --------
    >>> from analysis.simulation.log import simulate
    >>> shop = Catalog.load("data/catalogs/ecommerce.toml")
    >>> lead_lag(simulate(users=300).log, shop, "video_start").sentence()
    'Product video started: not enough data: 14 whole weeks, and it takes 26 in which the rates \
change.'
    """
    log = log.until_end()
    macro = catalog.macro if macro is None else macro
    # The catalog's macro conversion may be missing; a name that nobody knows is a mistake.
    asked = [micro] if macro in catalog.events else [micro, macro]
    _check(log, asked, freq, max_lag, block, permutations)
    if micro == macro:
        raise UsageError(
            f"lead_lag: {micro!r} is the macro conversion. Choose another micro or macro."
        )
    rates = _rates(log, [micro, macro], freq)
    ahead, after = (np.diff(rates[f"{which}_rate"].to_numpy(float)) for which in _SERIES)
    enough = len(rates) >= MIN_PERIODS and min(len(np.unique(x)) for x in (ahead, after)) > 1
    lags = np.arange(-max_lag, max_lag + 1)
    columns = ["correlation", "low", "high", "n", "p_value", "p_adjusted"]
    table = pd.DataFrame({"lag": lags}).assign(**dict.fromkeys(columns, np.nan))
    warnings = [_AGGREGATE]
    if enough:
        found = correlations_by_lag(
            ahead,
            after,
            lags,
            block=block,
            permutations=permutations,
            rng=np.random.default_rng(rng),
        )
        table = table.assign(**dict(zip(columns, found.T, strict=True)))
    else:
        warnings.insert(0, _why_not(log, catalog, macro, len(rates)))
    seed = int(rng) if isinstance(rng, (int, np.integer)) else None
    return LeadLagResult(
        table=table,
        parameters={
            "micro": micro,
            "macro": macro,
            "freq": freq,
            "max_lag": max_lag,
            "block": block,
            "permutations": permutations,
            "rng": seed,
        },
        warnings=(*warnings, *look_ahead_warnings(log)),
        label=catalog.label(micro),
        rates=rates,
    )


def _check(
    log: EventLog, names: list[str], freq: str, max_lag: int, block: int, permutations: int
) -> None:
    one_of("lead_lag: freq", freq, _STARTS)
    if not log.events:
        raise DataError("lead_lag: the log is empty. Import events first: workbook import FILE.")
    for name in names:
        checks.event_name("lead_lag", log, name)
    limits = {"max_lag": (max_lag, 0, 13), "block": (block, 1, 26)}
    limits["permutations"] = (permutations, 99, 100_000)
    for what, (value, low, high) in limits.items():
        if isinstance(value, bool) or not isinstance(value, int) or not low <= value <= high:
            raise UsageError(
                f"lead_lag: {what}={value!r}. Allowed: a whole number from {low} to {high:,}."
            )


def _rates(log: EventLog, names: list[str], freq: str) -> pd.DataFrame:
    """Active users per whole period, and how many of them did each event."""
    starts = pd.date_range(_first_day(log), log.covers_until, freq=_STARTS[freq], tz="UTC")
    bounds = np.array([instant_us(start) for start in starts], np.int64)
    whole = max(len(bounds) - 1, 0)
    place = {name: code for code, name in enumerate(log.event_names)}
    counting = partial(
        _users,
        codes=[place.get(name, len(place) + 1) for name in names],
        hidden=len(place),
        bounds=bounds,
    )
    counts = sum(parallel.map_shards(log.shards, counting), np.zeros((3, whole), np.int64))
    table = pd.DataFrame({"start": starts[:whole], "end": starts[1 : whole + 1], "n": counts[0]})
    for which, name, k in zip(_SERIES, names, counts[1:], strict=True):
        # The rate of an event that is not recorded is unknown, not 0.
        n = counts[0] if name in place else np.zeros(whole, np.int64)
        low, high = wilson(np.minimum(k, n), n)
        rate = np.divide(k, n, out=np.full(whole, np.nan), where=n > 0)
        values = {"k": k, "rate": rate, "low": low, "high": high}
        table = table.assign(**{f"{which}_{name}": column for name, column in values.items()})
    # A period without anybody has no rate to compare: the series begins and ends with people.
    active = np.flatnonzero(counts[0])
    return table.iloc[active[0] : active[-1] + 1].reset_index(drop=True) if len(active) else table


def _first_day(log: EventLog) -> pd.Timestamp:
    start = log.start
    assert isinstance(start, pd.Timestamp)
    return start.floor("D")


def _users(shard: Shard, *, codes: list[int], hidden: int, bounds: np.ndarray) -> np.ndarray:
    """Distinct users by period: of any event, and of each code."""
    periods = max(len(bounds) - 1, 0)
    out = np.zeros((1 + len(codes), periods), np.int64)
    if not periods:
        return out
    user = np.repeat(np.arange(len(shard.offsets) - 1), np.diff(shard.offsets))
    when = np.searchsorted(bounds, shard.time, side="right") - 1
    inside = (when >= 0) & (when < periods)
    for i, shown in enumerate([shard.event < hidden, *(shard.event == code for code in codes)]):
        rows = np.flatnonzero(shown & inside)
        # Rows are sorted by user and time, so that equal pairs stand together.
        new = np.ones(len(rows), np.bool_)
        new[1:] = (np.diff(user[rows]) != 0) | (np.diff(when[rows]) != 0)
        out[i] = np.bincount(when[rows[new]], minlength=periods)
    return out


def _why_not(log: EventLog, catalog: Catalog, macro: str, periods: int) -> str:
    if macro not in log.event_names:
        return f"“{catalog.label(macro)}” is never in this log: its rate is undefined (NaN)."
    if periods < MIN_PERIODS:
        return f"Below {MIN_PERIODS} periods nothing is compared."
    return "One of the rates is the same in every period: there is nothing to compare."


def correlations_by_lag(
    first: np.ndarray,
    second: np.ndarray,
    lags: np.ndarray,
    *,
    block: int,
    permutations: int,
    rng: np.random.Generator,
) -> np.ndarray:
    """At every lag: correlation, low, high, n, p value, and p value for the largest of all.

    Parameters
    ----------
    first, second : changes from period to period. lags : by how many periods the first is ahead.
    block : length of the blocks that are shuffled, in periods.

    Examples
    --------
    >>> rng = np.random.default_rng(1)
    >>> ahead = rng.normal(size=40)
    >>> after = np.roll(ahead, 2)
    >>> correlations_by_lag(
    ...     ahead, after, np.array([0, 2]), block=4, permutations=99, rng=rng
    ... )[1].round(2).tolist()
    [1.0, 1.0, 1.0, 38.0, 0.01, 0.01]
    """
    shuffled = np.stack([shuffled_blocks(first, block, rng) for _ in range(permutations)])
    found = np.array([spearman(*_pairs(first, second, lag)) for lag in lags])
    null = np.stack([spearman(*_pairs(shuffled, second, lag)) for lag in lags])
    size, largest = np.abs(found), np.abs(null).max(0)
    n = np.array([len(second) - abs(lag) for lag in lags])
    p = (1 + (np.abs(null) >= size[:, None] - 1e-12).sum(1)) / (permutations + 1)
    p_adjusted = (1 + (largest >= size[:, None] - 1e-12).sum(1)) / (permutations + 1)
    low, high = _interval(found, n / _repetition(first, second))
    return np.column_stack([found, low, high, n, p, p_adjusted])


def shuffled_blocks(changes: np.ndarray, block: int, rng: np.random.Generator) -> np.ndarray:
    """The changes turned by a random number of periods, and their blocks shuffled."""
    turned = np.roll(changes, rng.integers(len(changes)))
    blocks = np.split(turned, range(block, len(changes), block))
    return np.concatenate([blocks[i] for i in rng.permutation(len(blocks))])


def spearman(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Spearman's correlation along the last axis of `x`; 0 where one of both never changes."""
    from scipy.stats import rankdata

    one, two = rankdata(x, axis=-1), rankdata(y)
    one = one - one.mean(-1, keepdims=True)
    two = two - two.mean()
    scale = np.sqrt((one**2).sum(-1) * (two**2).sum())
    return np.divide((one * two).sum(-1), scale, out=np.zeros(np.shape(scale)), where=scale > 0)


def _pairs(first: np.ndarray, second: np.ndarray, lag: int) -> tuple[np.ndarray, np.ndarray]:
    """The second's changes of `lag` periods after each of the first; the last axis is time."""
    n = len(second)
    if lag >= 0:
        return first[..., : n - lag], second[lag:]
    return first[..., -lag:], second[: n + lag]


def _repetition(first: np.ndarray, second: np.ndarray) -> float:
    """How many pairs of two series that repeat themselves are worth one; at least 1."""
    one, two = (float(spearman(own[1:], own[:-1])) for own in (first, second))
    return max(1 + 2 * one * two, 1.0)


def _interval(r: np.ndarray, n: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    from scipy.stats import norm

    with np.errstate(divide="ignore"):
        z, half = np.arctanh(r), norm.ppf(0.5 + CONFIDENCE / 2)
    half = half * np.sqrt((1 + r**2 / 2) / (n - 3))
    return np.tanh(z - half), np.tanh(z + half)
