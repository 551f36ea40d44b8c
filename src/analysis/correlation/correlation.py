"""Which micro conversions go with the macro conversion, how strongly, and how sure is that?

The answer of product-analytics tools is an odds ratio per event. It is wrong in known ways, and
each is handled here by design and shown beside the answer:

- those who convert have less time to do anything: people are compared in the same period since
  they entered, and only what was done before the period counts;
- what a conversion sets off looks like its forerunner: later events never count;
- active people do more of everything: compared within equal activity so far, and what still shows
  for events that cannot matter (negative controls) is taken off;
- the checkout looks like the best predictor of a purchase: what converting requires is not judged;
- of sixty events the luckiest comes first: intervals that allow for it, q-values, and a ranking by
  the lower limit.

What this module refuses to do: call any of it an effect, or name a leader where it cannot be told
from the controls.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import pandas as pd

from analysis.catalog import Catalog
from analysis.core.result import Result
from analysis.core.schema import ALL, UsageError
from analysis.correlation.counts import ExposureCounts, exposure_counts
from analysis.correlation.dose_response import dose_table
from analysis.correlation.figures import reach_scatter
from analysis.correlation.figures_doses import dose_curves
from analysis.correlation.figures_micro_ratios import ratio_forest
from analysis.correlation.micro_cells import checked_cell, hide_small_levels, hide_small_rows
from analysis.correlation.on_the_way import on_the_way
from analysis.correlation.plan import exposure_plan
from analysis.correlation.result import notes, sentence, simpson
from analysis.correlation.table import micro_table, with_milestones
from analysis.correlation.verdict import INVERSE, LEADS, VerdictLimits
from analysis.eventlog.hindsight import hindsight
from analysis.eventlog.log import EventLog


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

    What is told of all together only is NaN in the rows of groups: users, reach, peers, total,
    excess, lag.
    """

    counts: ExposureCounts = field(repr=False)
    catalog: Catalog = field(repr=False)

    def sentence(self) -> str:
        """Which micro conversions stand out, by how much, and how sure that is."""
        asked = {name: self.parameters[name] for name in ("start", "min_cell")}
        return sentence(self.table, self.counts, self.catalog, **asked)

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
        return hide_small_levels(doses, int(self.parameters["min_cell"]))

    @property
    def simpson(self) -> tuple[str, ...]:
        """Where crude and adjusted lie on opposite sides of 1, each clear of it, in words."""
        return tuple(simpson(self.table))


def micro_to_macro(
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
    min_cell : numbers about fewer users than this are hidden; 1 shows all.
    start : the event with which a user enters; default: the first one, whichever it is. With a
        milestone all are compared who got there, from there on: what only they can do (remove
        from a cart) then has nothing to gain by it.

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
    few = checked_cell(min_cell, "micro_to_macro")
    options: dict[str, Any] = {"macro": macro, "micros": micros, "controls": controls}
    options |= {"period": period, "horizon": horizon, "adjust": adjust, "by": by, "start": start}
    counts = exposure_counts(log, catalog, **options)
    table = micro_table(counts, catalog, limits=limits)
    outstanding = table.loc[table["verdict"].isin([LEADS, INVERSE]), "event"].unique()
    near = on_the_way(log, catalog, exposure_plan(log, catalog, **options), list(outstanding))
    table = hide_small_rows(with_milestones(table, near), few)
    return MicroToMacroResult(
        table=table,
        parameters={
            "macro": counts.macro,
            "micros": [name for name in counts.events if name not in counts.controls],
            "controls": list(counts.controls),
            "period": str(period),
            "horizon": str(horizon),
            "adjust": [adjust] if isinstance(adjust, str) else list(adjust),
            "by": by,
            "limits": dataclasses.asdict(limits),
            "min_cell": few,
            "start": start,
        },
        warnings=(*notes(table, counts, limits, few), *hindsight(log)),
        counts=counts,
        catalog=catalog,
    )
