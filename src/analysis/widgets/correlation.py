"""A panel over `micro_to_macro`: start, macro, horizon, period, adjustment and segments by hand.

The controls hold arguments, a change calls `micro_to_macro` with them once, and the panel shows
what came back: the sentence, the caveats, the forest of odds ratios. Which group of a breakdown is
drawn is a choice of view: it asks nothing anew. An error of the library appears in words where the
answer would be.

The panel refuses to show an answer that `micro_to_macro(log, catalog, **panel.kwargs())` would not
give.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import ipywidgets

from analysis.catalog import Catalog
from analysis.core import wording
from analysis.core.schema import ALL, WorkbookError, duration_us, human_duration
from analysis.correlation.result import MicroToMacroResult, micro_to_macro
from analysis.eventlog.log import EventLog
from analysis.widgets.controls import (
    APART,
    FIRST_EVENT,
    Choice,
    breakdown_choices,
    dropdown,
    event_choices,
    several,
    window_choices,
)
from analysis.widgets.panel import Draft, SaveForm, SaveTo, bundle, check_answered
from analysis.widgets.tables import alert, answer, note

ACTIVITY = "activity"


AUTO: Choice = ("(minutes, then days)", "auto")


PERIODS = ("10min", "1h", "4h", "1d", "7d")


TIMES: tuple[Choice, ...] = (
    ("New or returning", "returning"),
    ("Week of the first event", "week"),
    ("Month of the first event", "month"),
)


EVERYBODY: Choice = ("(everybody)", ALL)


class CorrelationPanel(ipywidgets.VBox):
    """Controls, sentence, caveats and forest of one scan; made by `correlation_panel`.

    Attributes
    ----------
    start, macro, horizon, period, adjust, by : the controls. group : which group is drawn.
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
        own = {name: catalog.label(name) for name in [*log.event_names, given["macro"]]}
        self._labels = own
        horizons, horizon = window_choices(given["horizon"])
        events = event_choices(list(own), own)
        begin = given["start"] or ""
        starts = event_choices([n for n in dict.fromkeys([*log.event_names, begin]) if n], own)
        self.start = dropdown("From", [FIRST_EVENT, *starts], begin)
        self.macro = dropdown("Convert to", events, given["macro"])
        self.horizon = dropdown("Horizon", horizons, horizon)
        self.period = dropdown("Periods", _period_choices(given["period"]), given["period"])
        self.adjust = several("Alike in", *_adjust_choices(log, given["adjust"]))
        self.by = dropdown("Break down by", _by_choices(log, given["by"]), given["by"] or "")
        self.group = dropdown("Show", [EVERYBODY], ALL)
        self.form = None if save is None else SaveForm(save, self._draft)
        self._words, self._drawing = ipywidgets.HTML(), ipywidgets.Output()
        shown = [self._controls(), self._words, self._drawing]
        super().__init__(shown if self.form is None else [*shown, self.form])
        for control in (self.start, self.macro, self.horizon, self.period, self.adjust, self.by):
            control.observe(lambda _: self._redraw(), "value")
        self.group.observe(lambda _: self._draw(), "value")
        self._redraw()

    def kwargs(self) -> dict[str, Any]:
        """What the panel calls `micro_to_macro` with, as plain data."""
        return {
            "start": self.start.value or None,
            "macro": self.macro.value,
            "horizon": self.horizon.value,
            "period": self.period.value,
            "adjust": list(self.adjust.value),
            "by": self.by.value or None,
            "min_cell": self._min_cell,
        }

    def __repr__(self) -> str:
        return f"CorrelationPanel({', '.join(f'{k}={v!r}' for k, v in self.kwargs().items())})"

    def _controls(self) -> ipywidgets.HBox:
        sides = [
            ipywidgets.VBox([self.start, self.macro, self.horizon, self.period]),
            ipywidgets.VBox([self.by, self.group, self.adjust]),
        ]
        return ipywidgets.HBox(sides, layout=APART)

    def _redraw(self) -> None:
        try:
            self.result = micro_to_macro(self._log, self._catalog, **self.kwargs())
        except WorkbookError as error:
            self.result = None
            self._words.value, self._drawing.outputs = alert(str(error)), ()
            return
        groups = [name for name in self.result.table["group"].drop_duplicates() if name != ALL]
        choices = [EVERYBODY, *((wording.group_name(name), name) for name in groups)]
        if tuple(self.group.options) != tuple(choices):
            # Other groups: the choice goes back to the first, which is everybody.
            self.group.options = choices
        self.group.disabled = not groups
        self._draw()

    def _draw(self) -> None:
        if self.result is None:
            return
        group = self.group.value
        which = f"Drawn below: {wording.group_name(group)} only. The sentence is of everybody."
        self._words.value = answer(self.result) + (note(which) if group != ALL else "")
        self._drawing.outputs = (bundle(self.result.figure(group)),)

    def _draft(self) -> Draft:
        check_answered(self.result)
        asked = self.kwargs()
        return Draft(
            f"Which small conversions go with {self._labels[asked['macro']]}",
            asked | {"by": asked["by"] or "", "start": asked["start"] or ""},
        )


def correlation_panel(
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
    log : the events. catalog : their roles and what they are called.
    macro, horizon, period, adjust, by, min_cell, start : as of `micro_to_macro`; where the panel
        starts. The macro conversion defaults to the catalog's.
    save : where "Save as report" writes; without it the panel has no such form.

    Raises
    ------
    UsageError
        If `horizon` or `period` is not a duration. Whatever else `micro_to_macro` refuses is
        said in the panel.

    Examples
    --------
    >>> from analysis.simulation.log import simulate
    >>> shop = Catalog.load("data/catalogs/ecommerce.toml")
    >>> correlation_panel(simulate(users=300).log, shop, horizon="7d")
    CorrelationPanel(start=None, macro='purchase', horizon='7d', period='auto', \
adjust=['activity'], by=None, min_cell=1)
    """
    duration_us(horizon, "correlation_panel: horizon")
    if period != AUTO[1]:
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


def _period_choices(given: str) -> list[Choice]:
    lengths = list(PERIODS) if given in (AUTO[1], *PERIODS) else [*PERIODS, given]
    lengths.sort(key=duration_us)
    return [AUTO, *((human_duration(duration_us(length)), length) for length in lengths)]


def _adjust_choices(log: EventLog, given: tuple[str, ...]) -> tuple[list[Choice], tuple[str, ...]]:
    """Activity so far, the properties with few values, and whatever was given."""
    names = [name for _, name in breakdown_choices(log, None) if name]
    names = list(dict.fromkeys([ACTIVITY, *names, *given]))
    labels = {ACTIVITY: "Activity so far"}
    return [(labels.get(name) or wording.label(name), name) for name in names], given


def _by_choices(log: EventLog, given: str | None) -> list[Choice]:
    calendar = [name for _, name in TIMES]
    properties = breakdown_choices(log, None if given in calendar else given)
    return [properties[0], *TIMES, *properties[1:]]
