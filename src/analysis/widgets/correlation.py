"""Which micro conversions go with the macro? A panel over `micro_to_macro`.

Its controls are the start, the macro conversion, the horizon, the periods, what people must be
alike in, and the breakdown. A change asks anew, once. Which group of a breakdown is drawn is a
choice of view and asks nothing.

The panel refuses to show an answer that ``micro_to_macro(log, catalog, **panel.kwargs())`` would
not give.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

import ipywidgets

from analysis.catalog import Catalog
from analysis.core import wording
from analysis.core.schema import ALL, duration_us, human_duration
from analysis.correlation.plan import ACTIVITY, AUTO
from analysis.correlation.result import MicroToMacroResult, micro_to_macro
from analysis.eventlog.log import EventLog
from analysis.widgets.controls import (
    FIRST_EVENT,
    Choice,
    breakdown_choices,
    columns,
    dropdown,
    event_choices,
    event_labels,
    multi_select,
    window_choices,
)
from analysis.widgets.panel import AnswerPanel, Draft, SaveTo, bundle
from analysis.widgets.tables import answer, note

AUTOMATIC: Final[Choice] = ("(minutes, then days)", AUTO)

PERIOD_LENGTHS: Final = ("10min", "1h", "4h", "1d", "7d")

CALENDAR: Final[tuple[Choice, ...]] = (
    ("New or returning", "returning"),
    ("Week of the first event", "week"),
    ("Month of the first event", "month"),
)

EVERYBODY: Final[Choice] = ("(everybody)", ALL)


def correlation_panel(  # noqa: PLR0913
    log: EventLog,
    catalog: Catalog,
    *,
    macro: str | None = None,
    horizon: str = "30d",
    period: str = "auto",
    adjust: Sequence[str] = (ACTIVITY,),
    by: str | None = None,
    min_cell: int = 1,
    start: str | None = None,
    save: SaveTo | None = None,
) -> CorrelationPanel:
    """How do the verdicts change with another macro conversion, horizon, period or adjustment?

    Parameters
    ----------
    log : the events.
    catalog : their roles and what they are called.
    macro, horizon, period, adjust, by, min_cell, start : as of `micro_to_macro`; where the panel
        starts. The macro conversion defaults to the catalog's.
    save : where "Save as report" writes; without it the panel has no such form.

    Raises
    ------
    UsageError
        If `horizon` or `period` is not a duration. The panel says in words what else
        `micro_to_macro` refuses.

    Examples
    --------
    >>> from analysis.simulation.log import simulate
    >>> shop = Catalog.load("data/catalogs/ecommerce.toml")
    >>> correlation_panel(simulate(users=300).log, shop, horizon="7d")
    CorrelationPanel(start=None, macro='purchase', horizon='7d', period='auto', \
adjust=['activity'], by=None, min_cell=1)
    """
    duration_us(horizon, "correlation_panel: horizon")
    if period != AUTO:
        duration_us(period, "correlation_panel: period")
    given = {
        "macro": catalog.macro if macro is None else macro,
        "horizon": horizon,
        "period": period,
        "adjust": (adjust,) if isinstance(adjust, str) else tuple(adjust),
        "by": by,
        "min_cell": min_cell,
        "start": start,
    }
    return CorrelationPanel(log, catalog, given, save)


class CorrelationPanel(AnswerPanel):
    """Controls, sentence, caveats and forest of odds ratios; made by `correlation_panel`.

    Attributes
    ----------
    start, macro, horizon, period, adjust, by : the controls.
    group : the choice of the group that is drawn.
    form : "Save as report", or None.
    result : the answer that is shown; None while an error is.
    """

    result: MicroToMacroResult | None

    def __init__(
        self,
        log: EventLog,
        catalog: Catalog,
        given: Mapping[str, Any],
        save: SaveTo | None,
    ) -> None:
        self._log, self._catalog, self._min_cell = log, catalog, given["min_cell"]
        self._labels = labels = event_labels(log, catalog, [given["macro"]])
        horizons, horizon = window_choices(given["horizon"])
        start = given["start"] or ""
        starts = [name for name in dict.fromkeys([*log.event_names, start]) if name]
        self.start = dropdown("From", [FIRST_EVENT, *event_choices(starts, labels)], start)
        self.macro = dropdown("Convert to", event_choices(list(labels), labels), given["macro"])
        self.horizon = dropdown("Horizon", horizons, horizon)
        self.period = dropdown("Periods", _period_choices(given["period"]), given["period"])
        self.adjust = multi_select(
            "Alike in", _adjust_choices(log, given["adjust"]), given["adjust"]
        )
        self.by = dropdown("Break down by", _by_choices(log, given["by"]), given["by"] or "")
        self.group = dropdown("Show", [EVERYBODY], ALL)
        asked = (self.start, self.macro, self.horizon, self.period, self.adjust, self.by)
        super().__init__(
            columns(
                ipywidgets.VBox([self.start, self.macro, self.horizon, self.period]),
                ipywidgets.VBox([self.by, self.group, self.adjust]),
            ),
            [(control, "value") for control in asked],
            save,
        )
        self.group.observe(lambda _: self._draw(), "value")

    def kwargs(self) -> dict[str, Any]:
        """The arguments of `micro_to_macro` that the answer is of, as plain data."""
        return {
            "start": self.start.value or None,
            "macro": self.macro.value,
            "horizon": self.horizon.value,
            "period": self.period.value,
            "adjust": list(self.adjust.value),
            "by": self.by.value or None,
            "min_cell": self._min_cell,
        }

    def _ask(self) -> MicroToMacroResult:
        return micro_to_macro(self._log, self._catalog, **self.kwargs())

    def _draw(self) -> None:
        if self.result is None:
            return
        self._offer_groups(self.result)
        group = self.group.value
        which = f"Drawn below: {wording.group_name(group)} only. The sentence is of everybody."
        words = answer(self.result) + (note(which) if group != ALL else "")
        self._show(words, bundle(self.result.figure(group)))

    def _offer_groups(self, result: MicroToMacroResult) -> None:
        groups = [name for name in result.table["group"].drop_duplicates() if name != ALL]
        choices = [EVERYBODY, *((wording.group_name(name), name) for name in groups)]
        if tuple(self.group.options) != tuple(choices):
            # Other groups: the choice goes back to the first, which is everybody.
            self.group.options = choices
        self.group.disabled = not groups

    def _draft(self) -> Draft:
        self._check_answered()
        asked = self.kwargs()
        return Draft(
            f"Which small conversions go with {self._labels[asked['macro']]}",
            asked | {"by": asked["by"] or "", "start": asked["start"] or ""},
        )


def _period_choices(given: str) -> list[Choice]:
    lengths = list(PERIOD_LENGTHS) if given in (AUTO, *PERIOD_LENGTHS) else [*PERIOD_LENGTHS, given]
    lengths.sort(key=duration_us)
    return [AUTOMATIC, *((human_duration(duration_us(length)), length) for length in lengths)]


def _adjust_choices(log: EventLog, given: tuple[str, ...]) -> list[Choice]:
    """Activity so far, the properties with few values, and whatever was given."""
    names = [name for _, name in breakdown_choices(log, None) if name]
    names = list(dict.fromkeys([ACTIVITY, *names, *given]))
    labels = {ACTIVITY: "Activity so far"}
    return [(labels.get(name) or wording.label(name), name) for name in names]


def _by_choices(log: EventLog, given: str | None) -> list[Choice]:
    dates = [name for _, name in CALENDAR]
    properties = breakdown_choices(log, None if given in dates else given)
    return [properties[0], *CALENDAR, *properties[1:]]
