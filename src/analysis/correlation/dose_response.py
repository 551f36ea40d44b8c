"""Does a second and a third time go with more conversions than the first?

Everybody is compared at equal exposure: in the same period since entry and as active until then,
those who had done it once, twice, or three times and more, each against those who had not. Beside
the answer stands what the same trend is for negative controls, where there is nothing to find. This
refuses to say that making people do it again would change anything.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from analysis.catalog import Catalog
from analysis.core import checks
from analysis.core.result import Result
from analysis.core.wording import between, count, significance, with_interval
from analysis.correlation.counts import LEVELS, ExposureCounts, exposure_counts
from analysis.correlation.figures import dose_curves
from analysis.correlation.plan import ExposureOptions
from analysis.correlation.table import by_level, hide_small_levels
from analysis.correlation.verdict import ASSOCIATION, first_period_notes
from analysis.eventlog.log import EventLog, look_ahead_warnings
from analysis.statistics.odds_ratios import Trend, isotonic, mantel_haenszel, mantel_trend
from analysis.statistics.rates import CONFIDENCE


@dataclass(frozen=True, eq=False, kw_only=True)
class DoseResult(Result):
    """The answer of `dose_response`; ``table`` is that of `dose_table`.

    ``macros`` conversions in ``at_risk`` periods of users. ``per_level, low, high, p_value`` are
    those of the trend: the ratio per further time; ``of_controls`` has that ratio of each negative
    control, where there is nothing to find.
    """

    label: str
    macros: int
    at_risk: int
    per_level: float
    low: float
    high: float
    p_value: float
    of_controls: tuple[float, ...]

    def sentence(self) -> str:
        """The ratio per further time, with its interval, the test and n."""
        few = int(self.parameters["min_cell"])
        if 0 < self.macros < few:
            return f"{self.label}: fewer than {few} users converted: there is nothing to tell."
        of = f"{count(self.macros)} conversions in {count(self.at_risk)} periods of users at risk"
        if self.per_level != self.per_level:
            return f"{self.label}: no trend can be told ({of})."
        return (
            f"{self.label}: per further time the rate of converting differs by a factor of "
            f"{with_interval(self.per_level, self.low, self.high)}, trend p = "
            f"{significance(self.p_value)}; {of}.{self._next_to_controls()}"
        )

    def _next_to_controls(self) -> str:
        if not self.of_controls:
            return ""
        ends = between(min(self.of_controls), max(self.of_controls))
        return f" For {count(len(self.of_controls))} negative controls it is {ends}."

    def figure(self) -> Any:
        """Odds ratio by how often it was done."""
        return dose_curves(self.table)


def dose_response(  # noqa: PLR0913
    log: EventLog,
    catalog: Catalog,
    micro: str,
    *,
    macro: str | None = None,
    period: Any = "auto",
    horizon: Any = "30d",
    adjust: Sequence[str] = ("activity",),
    min_cell: int = 1,
    start: str | None = None,
    since: Any = None,
) -> DoseResult:
    """Does doing it again go with more conversions?

    Parameters
    ----------
    micro : name of an event.
    macro, period, horizon, adjust, min_cell, start, since : as in `micro_to_macro`.

    Raises
    ------
    UsageError
        If a name is unknown, or a duration or property cannot be read.
    DataError
        If the log is empty.

    Notes
    -----
    Each level against level 0: Mantel–Haenszel odds ratios within period and strata. Trend: the
    test of Mantel 1963 (*J Am Stat Assoc* 58:690–700); its ratio per further time after Breslow
    1974 (*Biometrics* 30:89–99). Curve: pool-adjacent-violators (Barlow et al. 1972).

    Examples
    --------
    >>> from analysis.simulation.log import simulate
    >>> shop = Catalog.load("data/catalogs/ecommerce.toml")
    >>> result = dose_response(simulate(users=500).log, shop, "video_start")
    >>> result.table["level"].to_list()
    ['0', '1', '2', '3+']
    """
    log = log.until_end()
    few = checks.min_cell("dose_response", min_cell)
    options = ExposureOptions(
        macro=macro,
        micros=[micro],
        period=period,
        horizon=horizon,
        adjust=adjust,
        start=start,
        since=since,
    )
    counts = exposure_counts(log, catalog, options)
    k, n = (x[:, :, 0] for x in by_level(counts))
    trends = mantel_trend(k, n, np.arange(len(LEVELS)))
    trend = Trend(*(x[0] for x in trends))
    of_controls = trends.per_level[1:]
    table = dose_table(counts, catalog)
    own = table[table["event"] == micro].reset_index(drop=True)
    return DoseResult(
        table=hide_small_levels(own, few, counts),
        parameters={
            "micro": micro,
            "macro": counts.macro,
            **options.cells_and_strata(),
            "min_cell": few,
            "start": start,
            "since": None if since is None else str(since),
        },
        warnings=(
            *counts.warnings,
            *first_period_notes(counts, few),
            ASSOCIATION,
            *look_ahead_warnings(log),
        ),
        label=catalog.label(micro),
        macros=int(own["k"].sum()),
        at_risk=int(own["n"].sum()),
        per_level=float(trend.per_level),
        low=float(trend.low),
        high=float(trend.high),
        p_value=float(trend.p_value),
        of_controls=tuple(float(x) for x in of_controls[np.isfinite(of_controls)]),
    )


def dose_table(
    counts: ExposureCounts, catalog: Catalog, *, confidence: float = CONFIDENCE
) -> pd.DataFrame:
    """A row per event and number of times done before: people-periods, conversions, odds ratio.

    Returns
    -------
    ``event, label, level`` ("0" is the reference), ``k`` conversions of ``n`` people at risk
    (person-periods), ``odds_ratio, low, high`` against level 0 within strata, and ``rising``: the
    nearest curve that never falls.
    """
    k, n = (x[:, :, 0] for x in by_level(counts))
    rows = []
    for e, event in enumerate(counts.events):
        found = mantel_haenszel(k[e, 1:], n[e, 1:], k[e, :1], n[e, :1], confidence=confidence)
        rising = isotonic(np.log(found.estimate), found.se)
        ratios = [(1.0, np.nan, np.nan, 1.0), *zip(*found[:3], rising, strict=True)]
        for i, (level, cells) in enumerate(zip(LEVELS, ratios, strict=True)):
            counted = (int(k[e, i].sum()), int(n[e, i].sum()))
            rows.append((event, catalog.label(event), level, *counted, *map(float, cells)))
    names = ["event", "label", "level", "k", "n", "odds_ratio", "low", "high", "rising"]
    return pd.DataFrame(rows, columns=names)
