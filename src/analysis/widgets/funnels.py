"""A panel over `funnel`: every argument by hand, the daily ones in sight.

The controls hold arguments, a change calls `funnel` with them once, and the panel shows what came
back. The figure is put into an output area as one plotly bundle: it fills the width and does not
flicker. An error of the library appears in words where the answer would be. A second entry range
is a second call with that range, and the two are compared by the library.

The panel refuses to show an answer that `funnel(log, **panel.kwargs())` would not give.
"""

from __future__ import annotations

import inspect
from collections.abc import Mapping, Sequence
from typing import Any

import ipywidgets

from analysis.catalog import Catalog
from analysis.core.schema import UsageError, WorkbookError, one_of
from analysis.eventlog.log import EventLog
from analysis.funnels.result import FunnelResult, funnel
from analysis.funnels.spec import MOST_STEPS, as_exclusions, as_steps
from analysis.plotting.intervals import rate_differences
from analysis.widgets.controls import (
    APART,
    ORDERS,
    STYLE,
    WIDE,
    Choice,
    EntryRange,
    breakdown_choices,
    dropdown,
    event_choices,
    property_choices,
    several,
    step_choices,
    unit_choices,
    window_choices,
)
from analysis.widgets.panel import Draft, SaveForm, SaveTo, bundle, check_answered
from analysis.widgets.step_editor import ExclusionList, StepList
from analysis.widgets.tables import alert, answer, difference_sentence, note

# ──── widgets.more_options
#
# The options of a funnel that are not turned every day, folded away under one heading.


COUNTS: tuple[Choice, ...] = (("Each unit once", "units"), ("Every attempt", "attempts"))


ENTRIES: tuple[Choice, ...] = (("The furthest chain", "best"), ("The first entry", "first"))


EFFECTS: tuple[Choice, ...] = (
    ("ends the attempt", "end_attempt"),
    ("drops the attempt", "drop_attempt"),
    ("drops the unit", "drop_unit"),
)


TIES: tuple[Choice, ...] = (("In whichever order helps", "lenient"), ("Not at all", "strict"))


READ_AT: tuple[Choice, ...] = (
    ("at entry", "entry"),
    ("at first touch", "first_touch"),
    ("at last touch", "last_touch"),
)


class MoreOptions(ipywidgets.Accordion):
    """Exclusions, what counts, and how groups are read; `arguments` tells them.

    Parameters
    ----------
    log : whose properties can be chosen.
    events : (label, event) of everything that can be excluded.
    start : arguments of `funnel` to begin with. second : the second property of the breakdown.
    """

    def __init__(
        self, log: EventLog, events: Sequence[Choice], start: Mapping[str, Any], second: str
    ) -> None:
        steps = len(start["steps"])
        hold = [start["hold"]] if isinstance(start["hold"], str) else list(start["hold"])
        self.exclude = ExclusionList(events, as_exclusions(start["exclude"]), steps)
        self.on_exclude = dropdown("An exclusion", EFFECTS, start["on_exclude"])
        self.count = dropdown("Count", COUNTS, start["count"])
        self.entry = dropdown("Take", ENTRIES, start["entry"])
        self.ties = dropdown("Same instant", TIES, start["ties"])
        self.hold = several("Hold the same", property_choices(log, hold), hold)
        self.second = dropdown("And by", breakdown_choices(log, second or None), second)
        self.by_at = dropdown(
            "Read it", step_choices(steps, start["by_at"], READ_AT), start["by_at"]
        )
        self.top = ipywidgets.IntText(
            value=start["top"], description="Most groups", style=STYLE, layout=WIDE
        )
        counting = ipywidgets.VBox([self.count, self.entry, self.ties, self.hold])
        groups = ipywidgets.VBox([self.second, self.by_at, self.top, self.on_exclude])
        sides = ipywidgets.HBox([counting, groups], layout=APART)
        super().__init__([ipywidgets.VBox([self.exclude, sides])], titles=("More options",))

    def arguments(self) -> dict[str, Any]:
        """The arguments of `funnel` that are set here, the breakdown aside."""
        return {
            "count": self.count.value,
            "entry": self.entry.value,
            "hold": list(self.hold.value),
            "exclude": self.exclude.exclusions(),
            "on_exclude": self.on_exclude.value,
            "by_at": self.by_at.value,
            "top": self.top.value,
            "ties": self.ties.value,
        }

    def watched(self) -> list[tuple[ipywidgets.Widget, str]]:
        """What to observe: controls, and the trait of each that changes."""
        single = (self.on_exclude, self.count, self.entry, self.ties, self.hold)
        return [
            (self.exclude, "moves"),
            *((control, "value") for control in (*single, self.second, self.by_at, self.top)),
        ]


# ──── widgets.funnels


USUAL = {
    name: argument.default
    for name, argument in inspect.signature(funnel).parameters.items()
    if argument.kind is argument.KEYWORD_ONLY
}
"""Arguments of `funnel` and what they are when nobody gives them."""


_BOTH = "Who entered in both ranges counts in both, and a difference is no effect."


_ALWAYS = ("window", "by", "entered")


class FunnelPanel(ipywidgets.VBox):
    """Controls, sentence, caveats and figure of one funnel; made by `funnel_panel`.

    Attributes
    ----------
    steps, window, by, order, unit, entry : the daily controls. more : the others. against : the
        entry range to compare with. form : "Save as report", or None.
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
        self._log = log
        self._build(labels, start)
        self.form = None if save is None else SaveForm(save, self._draft)
        self._words = ipywidgets.HTML()
        self._drawing = ipywidgets.Output()
        daily = [self.window, self.by, self.order, self.unit, self.entry]
        sides = ipywidgets.HBox([self.steps, ipywidgets.VBox(daily)], layout=APART)
        compared = ipywidgets.Accordion(
            [self.against], titles=("Compare with another entry range",)
        )
        shown = [ipywidgets.VBox([sides, self.more, compared]), self._words, self._drawing]
        super().__init__(shown if self.form is None else [*shown, self.form])
        for control, trait in self._watched():
            control.observe(lambda _: self._redraw(), trait)
        self._redraw()

    def _build(self, labels: Mapping[str, str], start: Mapping[str, Any]) -> None:
        """The controls, each showing the argument that it starts with."""
        log, steps = self._log, as_steps(start["steps"])
        named = [step.events for step in steps]
        named += [exclusion.events for exclusion in as_exclusions(start["exclude"])]
        events = dict.fromkeys([*log.event_names, *(name for names in named for name in names)])
        options = event_choices(list(events), labels)
        windows, window = window_choices(start["window"])
        by, second = _two(start["by"])
        self.steps = StepList(options, steps, labels=labels, most=MOST_STEPS)
        self.window = dropdown("Window", windows, window)
        self.by = dropdown("Break down by", breakdown_choices(log, by or None), by)
        self.order = dropdown("Order", ORDERS, start["order"])
        self.unit = dropdown("Unit", unit_choices(log, start["unit"]), start["unit"])
        self.entry = EntryRange(start["entered"])
        self.more = MoreOptions(log, options, start, second)
        told = self.more.arguments()
        unusual = second or any(told[name] != _plain(USUAL[name]) for name in told)
        self.more.selected_index = 0 if unusual else None
        self.against = EntryRange(None, ("Compare from", "Compare before"))

    def kwargs(self) -> dict[str, Any]:
        """What the panel calls `funnel` with, as plain data; what is as usual is left out.

        Raises
        ------
        UsageError
            If the conditions of a step or an exclusion cannot be read.
        """
        told = self._told()
        kept = {k: v for k, v in told.items() if k in _ALWAYS or v != _plain(USUAL[k])}
        return {"steps": self.steps.steps(), **kept}

    def __repr__(self) -> str:
        try:
            said = ", ".join(f"{name}={value!r}" for name, value in self.kwargs().items())
        except UsageError as error:
            said = str(error)
        return f"FunnelPanel({said})"

    def _told(self) -> dict[str, Any]:
        """Every argument of `funnel` but the steps."""
        by: Any = [name for name in (self.by.value, self.more.second.value) if name]
        by = by if len(by) > 1 else by[0] if by else None
        return {
            "window": self.window.value,
            "by": by,
            "entered": self.entry.entered,
            "order": self.order.value,
            "unit": self.unit.value,
            **self.more.arguments(),
        }

    def _watched(self) -> list[tuple[ipywidgets.Widget, str]]:
        daily = (self.window, self.by, self.order, self.unit)
        return [
            (self.steps, "moves"),
            *((control, "value") for control in daily),
            (self.entry, "entered"),
            (self.against, "entered"),
            *self.more.watched(),
        ]

    def _redraw(self) -> None:
        try:
            arguments = self.kwargs()
            self.result = funnel(self._log, **arguments)
            words, drawn = answer(self.result), [bundle(self.result.figure())]
            if self.against.entered is not None:
                said, figure = self._compared(self.result, arguments)
                words, drawn = words + said, [*drawn, figure]
        except WorkbookError as error:
            self.result = None
            self._show(alert(str(error)))
            return
        self._show(words, *drawn)

    def _compared(
        self, result: FunnelResult, arguments: Mapping[str, Any]
    ) -> tuple[str, dict[str, Any]]:
        """The answer beside that of the other entry range: in words, and drawn."""
        other = funnel(self._log, **{**arguments, "entered": self.against.entered})
        names = self.entry.words(), self.against.words()
        table = result.compare(None, other)
        drawn = rate_differences(table, a=names[0], b=names[1])
        said = difference_sentence(table, *names)
        return note(f"{said} {_BOTH}"), bundle(drawn)

    def _show(self, words: str, *outputs: dict[str, Any]) -> None:
        self._words.value = words
        self._drawing.outputs = outputs

    def _draft(self) -> Draft:
        told = self._told()
        del told["entered"]
        ends = [as_steps(self.steps.steps())[end].name for end in (0, -1)]
        check_answered(self.result)
        return Draft(
            f"From {ends[0]} to {ends[1]}",
            {"steps": self.steps.steps(short=True), **told, "by": told["by"] or ""},
        )


def funnel_panel(
    log: EventLog,
    *,
    catalog: Catalog | None = None,
    steps: Sequence[Any] | None = None,
    save: SaveTo | None = None,
    **options: Any,
) -> FunnelPanel:
    """How does the funnel change with other steps, another window, another breakdown?

    Parameters
    ----------
    log : the events.
    catalog : what events are called; its default funnel is where the panel starts.
    steps : as of `funnel`; where the panel starts.
    save : where "Save as report" writes; without it the panel has no such form.
    options : any other argument of `funnel`, where the panel starts. The entry range is whole
        days of one time zone, a breakdown has two properties at most. Default window: the
        catalog's, or 7 days.

    Raises
    ------
    UsageError
        If there is neither a catalog nor steps, an option is no argument of `funnel`, `window` is
        no duration, or the entry range is not of whole days. Whatever else `funnel` does not
        accept is said in the panel.

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
    for name in options:
        one_of("funnel_panel: option", name, list(USUAL))
    if steps is None:
        if catalog is None:
            raise UsageError(
                "funnel_panel: no steps. Give steps=[...], or a catalog with a funnel."
            )
        steps = catalog.steps(catalog.default_funnel)
        options["window"] = options.get("window") or catalog.window(catalog.default_funnel)
    options["window"] = options.get("window") or USUAL["window"]
    asked = as_steps(steps)
    labels = {} if catalog is None else {name: catalog.label(name) for name in log.event_names}
    return FunnelPanel(log, labels, {**USUAL, **options, "steps": asked}, save)


def _two(by: Any) -> tuple[str, str]:
    """The first and the second property of a breakdown, empty where there is none."""
    names = [by] if isinstance(by, str) else list(by or ())
    if len(names) > 2:
        raise UsageError(
            f"funnel_panel: by={names!r}. Allowed: two properties at most. "
            "Call funnel(...) for more."
        )
    first, second = [*names, "", ""][:2]
    return first, second


def _plain(value: Any) -> Any:
    return list(value) if isinstance(value, tuple) else value
