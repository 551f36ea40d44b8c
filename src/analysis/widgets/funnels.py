"""A panel over `funnel`: steps, window, breakdown and entry range by hand.

The controls hold arguments, a change calls `funnel` with them once, and the panel shows what came
back. The figure is put into an output area as one plotly bundle: it fills the width and does not
flicker. An error of the library appears in words where the answer would be.

The panel refuses to show an answer that `funnel(log, **panel.kwargs())` would not give.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

import ipywidgets

from analysis.catalog import Catalog
from analysis.eventlog.log import EventLog
from analysis.funnel_result import FunnelResult
from analysis.funnel_steps import MOST_STEPS, Step, as_steps
from analysis.funnels import funnel
from analysis.schema import UsageError, WorkbookError
from analysis.widgets.choices import breakdown_choices, event_choices, window_choices
from analysis.widgets.entry_range import EntryRange
from analysis.widgets.saving import Draft, SaveForm, SaveTo
from analysis.widgets.step_list import StepList
from analysis.widgets.words import alert, answer

PLOTLY = "application/vnd.plotly.v1+json"
_STYLE = {"description_width": "6.5rem"}
_WIDE = ipywidgets.Layout(width="20rem")
_APART = ipywidgets.Layout(flex_flow="row wrap", grid_gap="0 2.5rem")


class FunnelPanel(ipywidgets.VBox):
    """Controls, sentence, caveats and figure of one funnel; made by `funnel_panel`.

    Attributes
    ----------
    steps, window, by, entry : the controls. form : "Save as report", or None.
    result : the answer that is shown; None while an error is.
    """

    result: FunnelResult | None

    def __init__(
        self,
        log: EventLog,
        labels: Mapping[str, str],
        start: Mapping[str, Any],
        save: SaveTo | None,
    ) -> None:
        self._log, self._labels = log, labels
        events = list(dict.fromkeys([*log.event_names, *start["steps"]]))
        windows, window = window_choices(start["window"])
        self.steps = StepList(event_choices(events, labels), start["steps"], most=MOST_STEPS)
        self.window = _dropdown("Window", windows, window)
        self.by = _dropdown("Break down by", breakdown_choices(log, start["by"]), start["by"] or "")
        self.entry = EntryRange(start["entered"])
        self.form = None if save is None else SaveForm(save, self._draft)
        self._words = ipywidgets.HTML()
        self._drawing = ipywidgets.Output()
        sides = [self.steps, ipywidgets.VBox([self.window, self.by, self.entry])]
        shown = [ipywidgets.HBox(sides, layout=_APART), self._words, self._drawing]
        super().__init__(shown if self.form is None else [*shown, self.form])
        for control, trait in self._watched():
            control.observe(lambda _: self._redraw(), trait)
        self._redraw()

    def kwargs(self) -> dict[str, Any]:
        """What the panel calls `funnel` with, as plain data."""
        return {
            "steps": [self._step(event) for event in self.steps.events],
            "window": self.window.value,
            "by": self.by.value or None,
            "entered": self.entry.entered,
        }

    def __repr__(self) -> str:
        return f"FunnelPanel({', '.join(f'{k}={v!r}' for k, v in self.kwargs().items())})"

    def _watched(self) -> list[tuple[ipywidgets.Widget, str]]:
        return [
            (self.steps, "events"),
            (self.window, "value"),
            (self.by, "value"),
            (self.entry, "entered"),
        ]

    def _step(self, event: str) -> str | dict[str, str]:
        label = self._labels.get(event)
        return event if label is None else {"event": event, "label": label}

    def _redraw(self) -> None:
        try:
            self.result = funnel(self._log, **self.kwargs())
        except WorkbookError as error:
            self.result = None
            self._show(alert(str(error)))
            return
        self._show(answer(self.result), _bundle(self.result))

    def _show(self, words: str, *outputs: dict[str, Any]) -> None:
        self._words.value = words
        self._drawing.outputs = outputs

    def _draft(self) -> Draft:
        ends = [self._labels.get(self.steps.events[i], self.steps.events[i]) for i in (0, -1)]
        return Draft(
            f"From {ends[0]} to {ends[1]}",
            {
                "steps": list(self.steps.events),
                "window": self.window.value,
                "by": self.by.value,
            },
        )


def funnel_panel(
    log: EventLog,
    *,
    catalog: Catalog | None = None,
    steps: Sequence[Any] | None = None,
    window: str | None = None,
    by: str | None = None,
    entered: tuple[Any, Any] | None = None,
    save: SaveTo | None = None,
) -> FunnelPanel:
    """How does the funnel change with other steps, another window, another breakdown?

    Parameters
    ----------
    log : the events.
    catalog : what events are called; its default funnel is where the panel starts.
    steps, window, by, entered : as of `funnel`; where the panel starts. A step is one event; the
        entry range is whole days of one time zone. Default window: the catalog's, or 7 days.
    save : where "Save as report" writes; without it the panel has no such form.

    Raises
    ------
    UsageError
        If there is neither a catalog nor steps, a step is not a single event, `window` is no
        duration, or the entry range is not of whole days. Whatever else `funnel` does not accept
        is said in the panel.

    Examples
    --------
    >>> import pandas as pd
    >>> log = EventLog.from_frame(pd.DataFrame({
    ...     "user": ["ann", "ann", "bob"], "event": ["cart", "purchase", "cart"],
    ...     "time": pd.to_datetime(["2026-01-01 10:00", "2026-01-01 10:30", "2026-01-01 11:00"])}))
    >>> panel = funnel_panel(log, steps=["cart", "purchase"], window="1h")
    >>> panel.kwargs()
    {'steps': ['cart', 'purchase'], 'window': '1h', 'by': None, 'entered': None}
    """
    if steps is None:
        if catalog is None:
            raise UsageError(
                "funnel_panel: no steps. Give steps=[...], or a catalog with a funnel."
            )
        steps = catalog.steps(catalog.default_funnel)
        window = window or catalog.window(catalog.default_funnel)
    asked = as_steps(steps)
    labels = {} if catalog is None else {name: catalog.label(name) for name in log.event_names}
    labels |= {_single(step): step.label for step in asked if step.label}
    start = {
        "steps": [_single(step) for step in asked],
        "window": window or "7d",
        "by": by,
        "entered": entered,
    }
    return FunnelPanel(log, labels, start, save)


def _single(step: Step) -> str:
    if isinstance(step.event, str) and not (step.where or step.within or step.optional):
        return step.event
    raise UsageError(
        f"funnel_panel: the step {step.name!r} is more than one event's name. A panel chooses "
        "single events; call funnel(...) for this one."
    )


def _dropdown(said: str, choices: Sequence[tuple[str, str]], value: str) -> ipywidgets.Dropdown:
    return ipywidgets.Dropdown(
        options=choices, value=value, description=said, style=_STYLE, layout=_WIDE
    )


def _bundle(result: FunnelResult) -> dict[str, Any]:
    """The figure as an output of a notebook: one plotly bundle that fills the width."""
    drawn = json.loads(result.figure().to_json())
    drawn["config"] = {"responsive": True, "displaylogo": False}
    return {"output_type": "display_data", "data": {PLOTLY: drawn}, "metadata": {}}
