"""Where are people lost? A panel over `funnel`, with every argument by hand.

The daily options are in sight, the others folded away. A change calls `funnel` once. A second entry
range is a second call with that range, and the library compares the two.

The panel refuses to show an answer that ``funnel(log, **panel.kwargs())`` would not give. A
breakdown has two properties at most; call `funnel` for more.
"""

from __future__ import annotations

import inspect
from collections.abc import Mapping, Sequence
from typing import Any, Final

import ipywidgets

from analysis.catalog import Catalog
from analysis.core.schema import UsageError, one_of
from analysis.eventlog.log import EventLog
from analysis.funnels.result import FunnelResult, funnel
from analysis.funnels.spec import MOST_STEPS, as_exclusions, as_steps
from analysis.plotting.intervals import rate_differences
from analysis.widgets.controls import (
    STYLE,
    WIDE,
    Choice,
    EntryRange,
    breakdown_choices,
    columns,
    dropdown,
    event_choices,
    event_labels,
    multi_select,
    property_choices,
    step_choices,
    unit_choices,
    window_choices,
)
from analysis.widgets.panel import AnswerPanel, Draft, SaveTo, bundle
from analysis.widgets.step_editor import ExclusionList, StepList
from analysis.widgets.tables import answer, difference_sentence, note

USUAL: Final = {
    name: argument.default
    for name, argument in inspect.signature(funnel).parameters.items()
    if argument.kind is argument.KEYWORD_ONLY
}
"""Arguments of `funnel` and what they are when nobody gives them."""

ALWAYS_WRITTEN: Final = ("window", "by", "entered")

ORDERS: Final[tuple[Choice, ...]] = (
    ("Steps in order", "sequential"),
    ("In order, nothing between", "strict"),
    ("Any order", "any"),
)

COUNTS: Final[tuple[Choice, ...]] = (("Each unit once", "units"), ("Every attempt", "attempts"))

ENTRIES: Final[tuple[Choice, ...]] = (
    ("The furthest chain", "best"),
    ("The first entry", "first"),
)

EFFECTS: Final[tuple[Choice, ...]] = (
    ("ends the attempt", "end_attempt"),
    ("drops the attempt", "drop_attempt"),
    ("drops the unit", "drop_unit"),
)

TIES: Final[tuple[Choice, ...]] = (
    ("In whichever order helps", "lenient"),
    ("Not at all", "strict"),
)

READ_AT: Final[tuple[Choice, ...]] = (
    ("at entry", "entry"),
    ("at first touch", "first_touch"),
    ("at last touch", "last_touch"),
)

_BOTH_RANGES: Final = "Who entered in both ranges counts in both, and a difference is no effect."


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
        If there is neither a catalog nor steps, an option is not an argument of `funnel`, `window`
        is not a duration, or the entry range is not of whole days. The panel says in words what
        else `funnel` refuses.

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
    start = {**USUAL, **options, "steps": as_steps(steps)}
    return FunnelPanel(log, event_labels(log, catalog), start, save)


class FunnelPanel(AnswerPanel):
    """Controls, sentence, caveats and figure of one funnel; made by `funnel_panel`.

    Attributes
    ----------
    steps, window, by, order, unit, entry : the daily controls.
    more : the others.
    against : the entry range to compare with.
    form : "Save as report", or None.
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
        self._log, steps = log, as_steps(start["steps"])
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
        opened = self.more.arguments()
        unusual = second or any(opened[name] != _as_plain(USUAL[name]) for name in opened)
        self.more.selected_index = 0 if unusual else None
        self.against = EntryRange(None, ("Compare from", "Compare before"))

        daily = ipywidgets.VBox([self.window, self.by, self.order, self.unit, self.entry])
        compared = ipywidgets.Accordion(
            [self.against], titles=("Compare with another entry range",)
        )
        watched = [
            (self.steps, "moves"),
            *((control, "value") for control in (self.window, self.by, self.order, self.unit)),
            (self.entry, "entered"),
            (self.against, "entered"),
            *self.more.watched(),
        ]
        controls = ipywidgets.VBox([columns(self.steps, daily), self.more, compared])
        super().__init__(controls, watched, save)

    def kwargs(self) -> dict[str, Any]:
        """The arguments of `funnel` that the answer is of, as plain data.

        What is as usual is left out, the window, breakdown and entry range aside.

        Raises
        ------
        UsageError
            If the conditions of a step or an exclusion cannot be read.
        """
        written = {
            name: value
            for name, value in self._options().items()
            if name in ALWAYS_WRITTEN or value != _as_plain(USUAL[name])
        }
        return {"steps": self.steps.steps(), **written}

    def __repr__(self) -> str:
        try:
            return super().__repr__()
        except UsageError as error:
            return f"FunnelPanel({error})"

    def _options(self) -> dict[str, Any]:
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

    def _ask(self) -> FunnelResult:
        arguments = self.kwargs()
        result = funnel(self._log, **arguments)
        self._answer = answer(result)
        self._drawings = [bundle(result.figure())]
        if self.against.entered is not None:
            other = funnel(self._log, **{**arguments, "entered": self.against.entered})
            names = self.entry.words(), self.against.words()
            table = result.compare(None, other)
            self._answer += note(f"{difference_sentence(table, *names)} {_BOTH_RANGES}")
            self._drawings.append(bundle(rate_differences(table, a=names[0], b=names[1])))
        return result

    def _draw(self) -> None:
        self._show(self._answer, *self._drawings)

    def _draft(self) -> Draft:
        options = self._options()
        del options["entered"]
        steps = as_steps(self.steps.steps())
        self._check_answered()
        return Draft(
            f"From {steps[0].name} to {steps[-1].name}",
            {"steps": self.steps.steps(short=True), **options, "by": options["by"] or ""},
        )


class MoreOptions(ipywidgets.Accordion):
    """The options that are not turned every day, folded away under one heading.

    Parameters
    ----------
    log : whose properties can be chosen.
    events : (label, event) of everything that can be excluded.
    start : arguments of `funnel` to begin with.
    second : the second property of the breakdown.

    Attributes
    ----------
    exclude, on_exclude, count, entry, ties, hold, second, by_at, top : the controls.
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
        self.hold = multi_select("Hold the same", property_choices(log, hold), hold)
        self.second = dropdown("And by", breakdown_choices(log, second or None), second)
        self.by_at = dropdown(
            "Read it", step_choices(steps, start["by_at"], READ_AT), start["by_at"]
        )
        self.top = ipywidgets.IntText(
            value=start["top"], description="Most groups", style=STYLE, layout=WIDE
        )
        counting = ipywidgets.VBox([self.count, self.entry, self.ties, self.hold])
        groups = ipywidgets.VBox([self.second, self.by_at, self.top, self.on_exclude])
        shown = ipywidgets.VBox([self.exclude, columns(counting, groups)])
        super().__init__([shown], titles=("More options",))

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


def _as_plain(value: Any) -> Any:
    return list(value) if isinstance(value, tuple) else value
