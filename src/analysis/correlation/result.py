"""Which micro conversions go with the macro conversion, how strongly, and how sure is that?

The answer of product-analytics tools is an odds ratio per event. It is wrong in known ways, and
each is handled by design and shown beside the answer:

- those who convert have less time to do anything: people are compared in the same period since
  they entered, and only what was done before the period counts;
- what a conversion sets off looks like its forerunner: later events never count;
- active people do more of everything: compared within equal activity so far, and what still shows
  for events that cannot matter (negative controls) is taken off;
- the checkout looks like the best predictor of a purchase: what converting requires is not judged;
- of sixty events the luckiest comes first: intervals that allow for it, q-values, and a ranking by
  the lower limit.

What this refuses to do: call any of it an effect, or name a leader where it cannot be told from the
controls.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np
import pandas as pd

from analysis.catalog import Catalog
from analysis.core import checks
from analysis.core.result import Result, records
from analysis.core.schema import ALL, UsageError
from analysis.core.wording import count, listed, times, with_interval
from analysis.correlation.counts import ExposureCounts, counts_of
from analysis.correlation.dose_response import dose_table
from analysis.correlation.figures import dose_curves, ratio_forest, reach_scatter
from analysis.correlation.plan import ExposureOptions, exposure_plan
from analysis.correlation.table import (
    hide_small_levels,
    hide_small_rows,
    micro_table,
    with_milestones,
)
from analysis.correlation.verdict import (
    ASSOCIATION,
    CONTROL,
    INVERSE,
    LEADS,
    STRUCTURAL,
    VERDICTS,
    VerdictLimits,
    first_period_notes,
    judged,
    milestones_before,
)
from analysis.eventlog.log import EventLog, look_ahead_warnings
from analysis.statistics.calibration import unlike_the_others, unmoved_by_adjustment
from analysis.statistics.rates import Z95

_POWER = Z95 + 0.8416212335729143
"""Standard errors from 1 at which a ratio is found four times of five."""

_MOST_NAMED = 3


@dataclass(frozen=True, eq=False, kw_only=True)
class MicroToMacroResult(Result):
    """The answer of `micro_to_macro`.

    ``table`` has a row per event and group, ``"all"`` first, ranked by ``calibrated_low``; what
    converting requires comes after, then the controls. Ratios are odds ratios, each with ``_low``
    and ``_high``; what is undefined is NaN, and ``reason`` says why.

    - ``event, label, role, group``; ``verdict``, ``reason`` in words; ``needed_users``: about how
      many would do, where there is not enough data; ``only_after``: of what leads or is inverse,
      the milestone that nearly all who did it had reached, and most users never do; else None.
    - ``users`` who did it within the horizon; ``reach``: share of the ``converters`` who did it
      before (``reach_k``).
    - ``macros`` conversions counted in the ratios, ``exposed_macros`` of them after the event;
      ``exposed_users`` who did it while they had not converted.
    - ``peers``: did it before converting, against the whole window for everybody else.
      ``crude``: all periods and people together. ``adjusted``: within period and strata, not
      through later activity. ``total``: from sequential trials, with what comes through later
      activity, diluted; it is not calibrated: compare it with that of the controls.
      ``calibrated``: the adjusted one next to the controls.
    - ``p_value`` and ``q_value`` of the calibrated ratio; ``e_value``, ``e_value_limit``.
    - ``excess_per_1000``: conversions beyond those of people like them, per 1,000 exposed users.
    - ``dose``: ratio per further time it was done (0, 1, 2, 3 or more), ``dose_p_value``.
    - ``median_lag_seconds`` from the first time to the conversion, of ``reach_k`` converters.
    - ``controls``: how many took part in the calibration.

    Users, reach, peers, total, excess and lag are known of all together only: NaN in the rows of
    groups.
    """

    counts: ExposureCounts = field(repr=False)
    catalog: Catalog = field(repr=False)

    def sentence(self) -> str:
        """Which micro conversions stand out, by how much, and how sure that is."""
        return _sentence(self.table, self.counts, self.catalog, start=self.parameters["start"])

    def figure(self, group: Any = ALL) -> Any:
        """The way from crude over adjusted to calibrated for each micro conversion."""
        return ratio_forest(self.table[self.table["group"] == group])

    def reach_figure(self) -> Any:
        """Reach against association: what is common, what is strong, what is both."""
        return reach_scatter(self.table[self.table["group"] == ALL])

    def dose_figure(self, events: Sequence[str] | None = None) -> Any:
        """Odds ratio by how often it was done, for these events, or the first of the ranking."""
        names = list(events) if events else list(self.table["event"].drop_duplicates())
        doses = self.doses[self.doses["event"].isin(names)]
        order = {name: i for i, name in enumerate(names)}
        return dose_curves(doses.sort_values("event", key=lambda e: e.map(order), kind="stable"))

    @cached_property
    def doses(self) -> pd.DataFrame:
        """A row per event and level; see `dose_response.dose_table`."""
        doses = dose_table(self.counts, self.catalog)
        return hide_small_levels(doses, int(self.parameters["min_cell"]), self.counts)

    @property
    def simpson(self) -> tuple[str, ...]:
        """Where crude and adjusted lie on opposite sides of 1, each clear of it, in words."""
        return tuple(simpson(self.table))


def micro_to_macro(  # noqa: PLR0913
    log: EventLog,
    catalog: Catalog,
    *,
    period: Any = "auto",
    horizon: Any = "30d",
    adjust: Sequence[str] = ("activity",),
    by: str | None = None,
    macro: str | None = None,
    micros: Sequence[str] | None = None,
    controls: Sequence[str] | None = None,
    limits: VerdictLimits | None = None,
    min_cell: int = 1,
    start: str | None = None,
    since: Any = None,
) -> MicroToMacroResult:
    """Which micro conversions go with the macro conversion, and how sure is that?

    Parameters
    ----------
    catalog : says which events are micro conversions and which are negative controls.
    period : length of the periods since entry, or ``"auto"``: minutes first, then days.
    horizon : how long after a user's first event to look.
    adjust : who is compared with whom: ``"activity"`` (context events so far), and properties at
        the user's first event.
    by : asks for each group of a property at the first event too, or of ``"day"``, ``"week"``,
        ``"month"`` of it, or ``"returning"``.
    macro, micros, controls : names of events, if not those of the catalog.
    limits : the thresholds of the verdict.
    min_cell : events that fewer users than this did, or did not do, are hidden; 1 shows all.
    start : the event with which a user enters; default: the first one, whichever it is. With a
        milestone, those who got there are compared with each other, from there on. An event that
        only they can do (remove from a cart) then has nothing to gain by it.
    since : an instant; users first seen before it are left out, because they may have been there
        before the log began. Default: from the data, where the log begins with a rush of first
        events (`analysis.eventlog.burn_in`); the log's first day keeps all.

    Returns
    -------
    MicroToMacroResult

    Raises
    ------
    UsageError
        If a name is unknown, the macro conversion or the start is among the micros, an event is
        both a micro conversion and a control, or a duration or property cannot be read.
    DataError
        If the log is empty.

    Notes
    -----
    Discrete-time comparison of Allison 1982 (*Sociol. Methodol.* 13:61–98): exposure strictly
    before the period, at risk until the conversion, the horizon or the end of the log. Adjusted:
    Mantel–Haenszel with the variance of Robins, Breslow & Greenland. Total: sequential trials of
    Hernán & Robins 2016 (*Am J Epidemiol* 183:758–764). Calibrated after Schuemie et al. 2014.
    q: Benjamini & Hochberg over all rows but controls and what converting requires.

    Examples
    --------
    >>> from analysis.simulation.log import simulate
    >>> shop = Catalog.load("data/catalogs/ecommerce.toml")
    >>> result = micro_to_macro(simulate(users=2000).log, shop, micros=["video_start"])
    >>> result.table[["event", "role"]].iloc[0].to_list()
    ['video_start', 'secondary']
    """
    limits = VerdictLimits() if limits is None else limits
    if not isinstance(limits, VerdictLimits):
        raise UsageError(
            f"micro_to_macro: limits={limits!r}. Allowed: wb.VerdictLimits(max_q=0.05), or others "
            "of its thresholds."
        )
    log, few = log.until_end(), checks.min_cell("micro_to_macro", min_cell)
    options = ExposureOptions(
        macro=macro,
        micros=micros,
        controls=controls,
        period=period,
        horizon=horizon,
        adjust=adjust,
        by=by,
        start=start,
        since=since,
    )
    plan = exposure_plan(log, catalog, options)
    counts = counts_of(log, catalog, plan)
    table = micro_table(counts, catalog, limits=limits)
    outstanding = table.loc[table["verdict"].isin([LEADS, INVERSE]), "event"].unique()
    near = milestones_before(log, catalog, plan, list(outstanding))
    table = hide_small_rows(with_milestones(table, near), few, counts)
    return MicroToMacroResult(
        table=table,
        parameters={
            "macro": counts.macro,
            "micros": [name for name in counts.events if name not in counts.controls],
            "controls": list(counts.controls),
            **options.cells_and_strata(),
            "by": by,
            "limits": dataclasses.asdict(limits),
            "min_cell": few,
            "start": start,
            "since": None if since is None else str(since),
        },
        warnings=(*_caveats(table, counts, limits, few), *look_ahead_warnings(log)),
        counts=counts,
        catalog=catalog,
    )


def _sentence(
    table: pd.DataFrame,
    counts: ExposureCounts,
    catalog: Catalog,
    *,
    start: str | None,
) -> str:
    """Which micro conversions stand out, each with its interval and n; or that none does."""
    own = judged(table)
    of = f"{count(counts.converters)} conversions of {count(counts.units)} users"
    of += f" from “{catalog.label(start)}” on" if start else ""
    if not counts.converters:
        return f"Nobody of {count(counts.units)} users converted: there is nothing to compare."
    if not len(own):
        return f"There is no micro conversion to judge ({of})."
    found = f"{of}, without calibration"
    if own["calibrated"].notna().any():
        found = f"{of}, {own['controls'].max()} controls"
    text = _standing_out(own, catalog)
    if text:
        return f"{' '.join(text)} Odds ratios next to the controls; {found}."
    return f"{_none_stands_out(own)} {found[:1].upper()}{found[1:]}."


def _standing_out(own: pd.DataFrame, catalog: Catalog) -> list[str]:
    """A sentence on the leading events, one on the inverse ones.

    Each has one more on the events that only people who got to an earlier step can do.
    """
    sentences = []
    for verdict, more in ((LEADS, "more"), (INVERSE, "fewer")):
        rows = own[own["verdict"] == verdict]
        alone, after = rows[rows["only_after"].isna()], records(rows[rows["only_after"].notna()])
        if len(alone):
            names = [_named(row) for row in records(alone.head(_MOST_NAMED))]
            left = len(alone) - _MOST_NAMED
            rest = f" and {left} other{'s' * (left > 1)}" if left > 0 else ""
            go = "goes" if len(alone) == 1 else "go"
            sentences.append(
                f"{len(alone)} of {len(own)} micro conversions {go} with {more} conversions than "
                f"the controls do: {'; '.join(names)}{rest}."
            )
        if after:
            names = [
                f"{_named(row)}, done after “{catalog.label(row.only_after)}”" for row in after
            ]
            many = len(after) > 1
            than = "" if len(alone) else " than the controls do"
            sentences.append(
                f"{len(after)}{' more' if len(alone) else ''} {'go' if many else 'goes'} with "
                f"{more} conversions{than}, but only people who got to an earlier step can do "
                f"{'them' if many else 'it'}, and that alone may explain it: {'; '.join(names)}."
            )
    return sentences


def _none_stands_out(own: pd.DataFrame) -> str:
    tally = own["verdict"].value_counts()
    if len(own) == 1:
        return f"{records(own)[0].label} does not stand out: {tally.index[0].replace('_', ' ')}."
    words = [f"{v.replace('_', ' ')}: {tally[v]}" for v in VERDICTS if v in tally]
    return f"None of {len(own)} micro conversions stands out ({', '.join(words)})."


def _named(row: Any) -> str:
    interval = with_interval(row.calibrated, row.calibrated_low, row.calibrated_high)
    return f"{row.label} {interval[:-1]}, {count(row.exposed_macros)} conversions after it)"


def _caveats(
    table: pd.DataFrame, counts: ExposureCounts, limits: VerdictLimits, min_cell: int
) -> tuple[str, ...]:
    """The caveats that travel with the answer."""
    whole = table[table["group"] == ALL]
    notes = [*counts.warnings]
    hidden = int((table["users"].isna() & (table["group"] == ALL)).sum())
    if hidden:
        notes.append(
            f"{hidden} of the events: too few people to show, fewer than {min_cell} who did it, or "
            "did not."
        )
    notes += first_period_notes(counts, min_cell)
    if counts.converters:
        notes += _on_controls(whole, limits)
        notes += simpson(table)
        notes += _resolution(whole)
    return (*notes, ASSOCIATION)


def _on_controls(whole: pd.DataFrame, limits: VerdictLimits) -> list[str]:
    controls = whole[whole["role"] == CONTROL]
    if not len(controls):
        return []
    logs, se = np.log(controls["adjusted"].to_numpy(float)), _standard_errors(controls)
    widest = (limits.widest_factor * controls["adjusted_low"]).to_numpy(float)
    precise = controls["adjusted_high"].to_numpy(float) < widest
    labels = controls["label"].to_numpy()
    sentences = []
    used = int(whole["controls"].max())
    if vague := list(labels[~precise]):
        sentences.append(
            f"Controls with too few conversions after them, which take no part: {listed(vague)}."
        )
    if used < limits.min_controls:
        sentences.append(
            f"Nothing is calibrated: {used} of the {limits.min_controls} controls that it takes "
            "can be used. Without them nothing is said to lead."
        )
    odd = unlike_the_others(np.where(precise, logs, np.nan), se)
    if odd:
        sentences.append(
            f"{listed(list(labels[odd]))}: unlike the other controls, so that it may not share "
            "what makes people active. It widens every calibrated interval; look at it, and "
            "leave it out if there is a reason to."
        )
    others = whole[(whole["role"] != CONTROL) & (whole["verdict"] != STRUCTURAL)]
    shifts = [np.log((t["crude"] / t["adjusted"]).to_numpy(float)) for t in (controls, others)]
    still = [i for i in unmoved_by_adjustment(*shifts) if precise[i] and i not in odd]
    if still:
        sentences.append(
            f"{listed(list(labels[still]))}: adjustment hardly moves it, though it moves the "
            "micro conversions. As a control it may not share what makes people active."
        )
    return sentences


def _standard_errors(table: pd.DataFrame) -> np.ndarray:
    """Of the logarithms of the adjusted ratios, from their 95 percent intervals."""
    return np.log((table["adjusted_high"] / table["adjusted_low"]).to_numpy(float)) / (2 * Z95)


def simpson(table: pd.DataFrame) -> list[str]:
    """Where crude and adjusted lie on opposite sides of 1, both clear of it."""
    over = (table["crude_low"] > 1) & (table["adjusted_high"] < 1)
    under = (table["crude_high"] < 1) & (table["adjusted_low"] > 1)
    rows = table[(over | under) & ~table["verdict"].isin([CONTROL, STRUCTURAL])]
    return [
        f"Simpson's paradox: {row.label}{'' if row.group == ALL else f' ({row.group})'} goes with "
        f"{'more' if row.crude > 1 else 'fewer'} conversions over all people and periods, crude "
        f"{with_interval(row.crude, row.crude_low, row.crude_high)}, and with "
        f"{'fewer' if row.crude > 1 else 'more'} among people in the same period and as active, "
        f"adjusted {with_interval(row.adjusted, row.adjusted_low, row.adjusted_high)}."
        for row in records(rows)
    ]


def _resolution(whole: pd.DataFrame) -> list[str]:
    own = judged(whole)
    ratio = (own["calibrated_high"] / own["calibrated_low"]).to_numpy(float)
    half = np.log(ratio[np.isfinite(ratio)]) / (2 * Z95)
    if not len(half):
        return []
    smallest = math.exp(_POWER * float(np.median(half)))
    return [
        f"For half of the micro conversions n is too small to find, four times of five, an odds "
        f"ratio below {times(smallest)} (or above {times(1 / smallest)})."
    ]
