"""Does a micro conversion's association hold everywhere, or in one week, on one device only?

An association that is there in every week and on every device is harder to explain by chance or by
one campaign. One that turns round within groups is the paradox named after Simpson: the whole
says the opposite of its parts, because the groups differ in how often they do it and in how often
they convert.

Groups are compared by Cochran's Q over the groups with at least ten conversions after the event;
a test of the strata themselves rejects too often where they are thin. The question is asked without
negative controls on purpose: bias that all groups share cancels out of their comparison. So this
refuses to say whether the association itself is more than that of the controls; `micro_to_macro`
does.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

import numpy as np
import pandas as pd

from analysis.catalog import Catalog
from analysis.core import checks
from analysis.core.result import Result, records
from analysis.core.schema import ALL, UsageError
from analysis.core.wording import count, group_name, listed, significance, with_interval
from analysis.correlation.counts import ExposureCounts, exposure_counts
from analysis.correlation.figures_checks import stability_forest
from analysis.correlation.plan import CALENDAR, RETURNING, ExposureOptions
from analysis.correlation.table import arms, group_names, hide_small_groups, people_of_arms
from analysis.correlation.verdict import ASSOCIATION, first_period_notes
from analysis.eventlog.log import EventLog, look_ahead_warnings
from analysis.statistics.odds_ratios import OddsRatio, cochran_q, mantel_haenszel
from analysis.statistics.rates import q_values

DIMENSIONS: Final = ("week", "device", "channel", RETURNING)

_SURE: Final = 0.05
"""Up to this q-value groups are said to differ."""


@dataclass(frozen=True, eq=False, kw_only=True)
class StabilityResult(Result):
    """The answer of `stability`.

    ``table`` has a row per group, everybody first (``dimension`` and ``group`` are ``"all"``):
    ``dimension, group, macros``, ``exposed_macros`` of them after the event, ``odds_ratio, low,
    high`` (adjusted), ``enough`` (takes part in the comparison), ``flips`` (its interval lies
    clear of 1 on the other side than that of everybody).

    ``dimensions`` has a row per dimension: ``groups`` compared, Cochran's ``q``, ``df``,
    ``p_value``, ``q_value`` over the dimensions, ``i_squared``; ``within, within_low,
    within_high``: the odds ratio within its groups; ``reverses``: that of everybody and that
    within groups lie clear of 1 on opposite sides.
    """

    label: str
    dimensions: pd.DataFrame

    @property
    def everybody(self) -> Any:
        """The row of everybody together."""
        return records(self.table.head(1))[0]

    @property
    def sign_flips(self) -> tuple[str, ...]:
        """Groups that point the other way than everybody, in words."""
        return tuple(
            f"{row.dimension} {group_name(row.group)}: "
            f"{with_interval(row.odds_ratio, row.low, row.high)}, "
            f"{count(row.exposed_macros)} conversions after it"
            for row in records(self.table[self.table["flips"]])
        )

    @property
    def simpson(self) -> tuple[str, ...]:
        """Dimensions within whose groups the association turns round, in words."""
        own = self.everybody
        whole = with_interval(own.odds_ratio, own.low, own.high)
        return tuple(
            f"Simpson's paradox by {row.dimension}: {whole} over everybody, and "
            f"{with_interval(row.within, row.within_low, row.within_high)} within its groups."
            for row in records(self.dimensions[self.dimensions["reverses"]])
        )

    def sentence(self) -> str:
        """The association of everybody, where it differs and where it turns round."""
        own = self.everybody
        if own.odds_ratio != own.odds_ratio:
            few = "too few people to show"
            if own.macros == own.macros:
                few = f"{count(own.exposed_macros)} of {count(own.macros)} conversions after it"
            return f"{self.label}: there is no odds ratio to compare ({few})."
        sentences = [
            f"{self.label}: the adjusted odds ratio is "
            f"{with_interval(own.odds_ratio, own.low, own.high)}, with "
            f"{count(own.exposed_macros)} of {count(own.macros)} conversions after it."
        ]
        known = self.dimensions[self.dimensions["p_value"].notna()]
        for differ, words in ((True, "It differs by"), (False, "No clear difference by")):
            rows = records(known[(known["q_value"] <= _SURE) == differ])
            if rows:
                names = [
                    f"{r.dimension} ({count(r.groups)} groups, p = {significance(r.p_value)})"
                    for r in rows
                ]
                sentences.append(f"{words} {listed(names)}.")
        if self.sign_flips:
            sentences.append(f"The other way round: {'; '.join(self.sign_flips)}.")
        return " ".join([*sentences, *self.simpson])

    def figure(self) -> Any:
        """Odds ratios by group under each dimension."""
        return stability_forest(self.table, self.dimensions)


def stability(  # noqa: PLR0913
    log: EventLog,
    catalog: Catalog,
    micro: str,
    *,
    dimensions: Sequence[str] | None = None,
    macro: str | None = None,
    period: Any = "auto",
    horizon: Any = "30d",
    adjust: Sequence[str] = ("activity",),
    min_macros: int = 10,
    min_cell: int = 1,
    start: str | None = None,
    since: Any = None,
) -> StabilityResult:
    """Does the association hold in every week, on every device, in every channel?

    Parameters
    ----------
    micro : name of an event.
    dimensions : properties at the first event, ``"day"``, ``"week"``, ``"month"`` of it, or
        ``"returning"``; default: week, device, channel and returning, as far as the log has them.
    macro, period, horizon, adjust, start, since : as in `micro_to_macro`.
    min_macros : conversions after the event that a group needs to be compared.
    min_cell : numbers about fewer users than this are hidden; 1 shows all.

    Raises
    ------
    UsageError
        If a name is unknown or an argument out of range.

    Notes
    -----
    Mantel–Haenszel odds ratios by group; Cochran's Q over their logarithms, and Benjamini and
    Hochberg's q-values over the dimensions. Simpson 1951, *J R Stat Soc B* 13:238–241.

    Examples
    --------
    >>> from analysis.simulation.log import simulate
    >>> shop = Catalog.load("data/catalogs/ecommerce.toml")
    >>> result = stability(simulate(users=500).log, shop, "video_start", dimensions=["device"])
    >>> result.table["group"].to_list()
    ['all', 'mobile', 'desktop', 'tablet']
    """
    log = log.until_end()
    least = checks.whole("stability: min_macros", min_macros, least=1)
    few = checks.min_cell("stability", min_cell)
    if isinstance(dimensions, str):
        dimensions = [dimensions]
    if dimensions is None:
        known = (*log.kinds, *CALENDAR, RETURNING)
        dimensions = [name for name in DIMENSIONS if name in known]
    if not dimensions:
        raise UsageError("stability: dimensions=[] asks for none. Give one, such as 'week'.")
    options = ExposureOptions(
        macro=macro,
        micros=[micro],
        controls=[],
        period=period,
        horizon=horizon,
        adjust=adjust,
        start=start,
        since=since,
    )
    asked = {name: exposure_counts(log, catalog, replace(options, by=name)) for name in dimensions}
    parts = [_rows(name, counts, least) for name, counts in asked.items()]
    whole = parts[0].head(1).assign(dimension=ALL)
    table = pd.concat([whole, *(part.iloc[1:] for part in parts)], ignore_index=True)
    low, high = whole["low"].item(), whole["high"].item()
    other_way = ((table["high"] < 1) & (low > 1)) | ((table["low"] > 1) & (high < 1))
    table["flips"] = other_way & table["enough"]
    first = next(iter(asked.values()))
    return StabilityResult(
        table=hide_small_groups(table, few),
        parameters={
            "micro": micro,
            "macro": first.macro,
            "dimensions": list(dimensions),
            **options.cells_and_strata(),
            "min_macros": least,
            "min_cell": few,
            "start": start,
            "since": None if since is None else str(since),
        },
        # Without controls on purpose, so the caveat that there are none is left out.
        warnings=(
            *(w for w in first.warnings if "control" not in w),
            *first_period_notes(first, few),
            ASSOCIATION,
            *look_ahead_warnings(log),
        ),
        label=catalog.label(micro),
        dimensions=_dimensions(table, asked),
    )


def _rows(dimension: str, counts: ExposureCounts, min_macros: int) -> pd.DataFrame:
    people = arms(counts)
    found = mantel_haenszel(*(x[0] for x in people))
    names, sizes = group_names(counts), people_of_arms(counts)
    exposed = people.exposed_k[0].sum(-1)
    groups = np.empty(len(names), object)
    groups[:] = names
    table = pd.DataFrame(
        {
            "dimension": dimension,
            "group": groups,
            "exposed_macros": exposed,
            "macros": exposed + people.other_k[0].sum(-1),
            "odds_ratio": found.estimate,
            "low": found.low,
            "high": found.high,
            "se": found.se,
            "enough": (exposed >= min_macros) & np.isfinite(found.estimate),
            "exposed_people": sizes[0][0],
            "other_people": sizes[1][0],
        }
    )
    if len(names) == 1:
        # The one group that there is is everybody.
        only = table.assign(group=pd.Series([counts.groups[0]], dtype=object))
        return pd.concat([table, only], ignore_index=True)
    return table


def _dimensions(table: pd.DataFrame, asked: dict[str, ExposureCounts]) -> pd.DataFrame:
    own = records(table.head(1))[0]
    rows = []
    for name, counts in asked.items():
        groups = table[(table["dimension"] == name) & table["enough"]]
        found = cochran_q(np.log(groups["odds_ratio"].to_numpy(float)), groups["se"].to_numpy())
        within = _within(counts)
        low, high = float(within.low), float(within.high)
        reverses = (own.low > 1 and high < 1) or (own.high < 1 and low > 1)
        rows.append((name, len(groups), *found, float(within.estimate), low, high, bool(reverses)))
    names = ["dimension", "groups", "q", "df", "p_value", "i_squared"]
    frame = pd.DataFrame(rows, columns=[*names, "within", "within_low", "within_high", "reverses"])
    frame.insert(5, "q_value", q_values(frame["p_value"]))
    return frame


def _within(counts: ExposureCounts) -> OddsRatio:
    """The odds ratio with the groups as strata too."""
    people = arms(counts)
    start = 1 if len(counts.groups) > 1 else 0
    return mantel_haenszel(*(x[0, start:].reshape(-1) for x in people))
