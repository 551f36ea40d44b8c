"""A panel over `conversion_curve`: start, macro, horizon, breakdown and entry range by hand.

The controls hold arguments, a change calls `conversion_curve` with them once, and the panel shows
what came back: the sentence, the caveats, the curve. An error of the library appears in words
where the answer would be.

The panel refuses to show an answer that `conversion_curve(log, **panel.kwargs())` would not give.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import ipywidgets

from analysis.catalog import Catalog
from analysis.eventlog.log import EventLog
from analysis.schema import UsageError, WorkbookError, duration_us
from analysis.timing import CurveResult, conversion_curve
from analysis.widgets.choices import Choice, breakdown_choices, event_choices, window_choices
from analysis.widgets.drawing import bundle
from analysis.widgets.entry_range import EntryRange
from analysis.widgets.saving import Draft, SaveForm, SaveTo
from analysis.widgets.words import alert, answer

FIRST_EVENT: Choice = ("(their first event)", "")


class CurvePanel(ipywidgets.VBox):
    """Controls, sentence, caveats and figure of one curve; made by `timing_panel`.

    Attributes
    ----------
    start, macro, horizon, by, entry : the controls. form : "Save as report", or None.
    result : the answer that is shown; None while an error is.
    """

    result: CurveResult | None

    def __init__(
        self,
        log: EventLog,
        labels: Mapping[str, str],
        given: Mapping[str, Any],
        save: SaveTo | None,
    ) -> None:
        self._log, self._labels, self._min_cell = log, labels, given["min_cell"]
        begin, macro = given["start"] or "", given["macro"]
        events = event_choices(list(dict.fromkeys([*log.event_names, macro])), labels)
        starts = event_choices([n for n in dict.fromkeys([*log.event_names, begin]) if n], labels)
        horizons, horizon = window_choices(given["horizon"])
        self.start = _dropdown("From", [FIRST_EVENT, *starts], begin)
        self.macro = _dropdown("To", events, macro)
        self.horizon = _dropdown("Horizon", horizons, horizon)
        self.by = _dropdown("Break down by", breakdown_choices(log, given["by"]), given["by"] or "")
        self.entry = EntryRange(given["entered"])
        self.form = None if save is None else SaveForm(save, self._draft)
        self._words, self._drawing = ipywidgets.HTML(), ipywidgets.Output()
        sides = [
            ipywidgets.VBox([self.start, self.macro]),
            ipywidgets.VBox([self.horizon, self.by, self.entry]),
        ]
        controls = ipywidgets.HBox(
            sides, layout=ipywidgets.Layout(flex_flow="row wrap", grid_gap="0 2.5rem")
        )
        shown = [controls, self._words, self._drawing]
        super().__init__(shown if self.form is None else [*shown, self.form])
        for control in (self.start, self.macro, self.horizon, self.by):
            control.observe(lambda _: self._redraw(), "value")
        self.entry.observe(lambda _: self._redraw(), "entered")
        self._redraw()

    def kwargs(self) -> dict[str, Any]:
        """What the panel calls `conversion_curve` with, as plain data."""
        return {
            "start": self.start.value or None,
            "macro": self.macro.value,
            "horizon": self.horizon.value,
            "by": self.by.value or None,
            "entered": self.entry.entered,
            "min_cell": self._min_cell,
        }

    def __repr__(self) -> str:
        return f"CurvePanel({', '.join(f'{k}={v!r}' for k, v in self.kwargs().items())})"

    def _redraw(self) -> None:
        try:
            self.result = conversion_curve(self._log, **self.kwargs())
        except WorkbookError as error:
            self.result = None
            self._words.value, self._drawing.outputs = alert(str(error)), ()
            return
        self._words.value = answer(self.result)
        self._drawing.outputs = (bundle(self.result.figure()),)

    def _draft(self) -> Draft:
        start, macro = self.start.value, self.macro.value
        begin = self._labels.get(start, start) if start else "the first event"
        return Draft(
            f"How long from {begin} to {self._labels.get(macro, macro)}",
            {
                "start": start,
                "macro": macro,
                "horizon": self.horizon.value,
                "by": self.by.value,
                "min_cell": self._min_cell,
            },
        )


def timing_panel(
    log: EventLog,
    *,
    catalog: Catalog | None = None,
    start: str | None = None,
    macro: str | None = None,
    horizon: str = "30d",
    by: str | None = None,
    entered: tuple[Any, Any] | None = None,
    min_cell: int = 1,
    save: SaveTo | None = None,
) -> CurvePanel:
    """How does the conversion curve change with another start, macro, horizon or breakdown?

    Parameters
    ----------
    log : the events.
    catalog : what events are called; its macro is where the panel starts.
    start, macro, horizon, by, entered, min_cell : as of `conversion_curve`; where the panel
        starts. The entry range is whole days of one time zone.
    save : where "Save as report" writes; without it the panel has no such form.

    Raises
    ------
    UsageError
        If there is neither a catalog nor a macro, `horizon` is no duration, or the entry range is
        not of whole days. Whatever else `conversion_curve` does not accept is said in the panel.

    Examples
    --------
    >>> import pandas as pd
    >>> log = EventLog.from_frame(pd.DataFrame({
    ...     "user": ["ann", "ann", "bob"], "event": ["cart", "purchase", "cart"],
    ...     "time": pd.to_datetime(["2026-01-01 10:00", "2026-01-01 10:30", "2026-01-01 11:00"])}))
    >>> timing_panel(log, start="cart", macro="purchase", horizon="1h")
    CurvePanel(start='cart', macro='purchase', horizon='1h', by=None, entered=None, min_cell=1)
    """
    if macro is None:
        if catalog is None:
            raise UsageError("timing_panel: no macro. Give macro='...', or a catalog.")
        macro = catalog.macro
    duration_us(horizon, "timing_panel: horizon")
    labels = {} if catalog is None else {name: catalog.label(name) for name in log.event_names}
    given = {
        "start": start,
        "macro": macro,
        "horizon": horizon,
        "by": by,
        "entered": entered,
        "min_cell": min_cell,
    }
    return CurvePanel(log, labels, given, save)


def _dropdown(said: str, choices: Sequence[Choice], value: str) -> ipywidgets.Dropdown:
    return ipywidgets.Dropdown(
        options=choices,
        value=value,
        description=said,
        style={"description_width": "6.5rem"},
        layout=ipywidgets.Layout(width="20rem"),
    )
