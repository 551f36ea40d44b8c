"""One step of a funnel as controls: its event in sight, the rest of it folded away."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import ipywidgets
import traitlets

from analysis.funnels.funnel_steps import Step
from analysis.widgets.choices import NO_LIMIT, Choice, window_choices
from analysis.widgets.conditions import conditions, where_field

_STYLE = {"description_width": "6rem"}


_WIDE = ipywidgets.Layout(width="24rem")


class StepRow(ipywidgets.HBox):
    """A step to choose; `event` and `moves` can be observed, `step` tells all of it.

    Parameters
    ----------
    options : (label, event) of everything that can be chosen.
    given : the step to begin with.
    labels : what people call events; a step called otherwise keeps a label of its own.
    """

    moves = traitlets.Int(0)

    def __init__(self, options: Sequence[Choice], given: Step, labels: Mapping[str, str]) -> None:
        self._labels = labels
        first, *others = given.events
        self.event = ipywidgets.Dropdown(
            options=options,
            value=first,
            style={"description_width": "4.5rem"},
            layout=ipywidgets.Layout(width="22rem"),
        )
        self.gone = _icon("times")
        self.more = ipywidgets.ToggleButton(
            icon="ellipsis-h", layout=ipywidgets.Layout(width="2.4rem")
        )
        self._build(options, given, others)
        super().__init__(
            [self.event, self.gone, self.more, self.details],
            layout=ipywidgets.Layout(flex_flow="row wrap", width="29rem"),
        )
        self._fold()
        self.more.observe(lambda _: self._fold(), "value")
        for control in (self.event, *self.details.children):
            control.observe(lambda _: self._moved(), "value")

    def _build(self, options: Sequence[Choice], given: Step, others: Sequence[str]) -> None:
        self.others = ipywidgets.SelectMultiple(
            options=options,
            value=tuple(others),
            description="Or any of",
            rows=4,
            style=_STYLE,
            layout=_WIDE,
        )
        self.where = where_field(given.where)
        limits, limit = window_choices(given.within or "", none=NO_LIMIT)
        self.within = ipywidgets.Dropdown(
            options=limits, value=limit, description="Within", style=_STYLE, layout=_WIDE
        )
        self.optional = ipywidgets.Checkbox(
            value=given.optional, description="May be skipped", style=_STYLE, layout=_WIDE
        )
        own = given.label or ""
        self.called = ipywidgets.Text(
            value="" if own == self._usual(given.events) else own,
            description="Called",
            placeholder="as the event",
            continuous_update=False,
            style=_STYLE,
            layout=_WIDE,
        )
        self.details = ipywidgets.VBox(
            [self.others, self.where, self.within, self.optional, self.called]
        )
        self.more.value = len(given.events) > 1 or bool(
            given.where or given.within or given.optional
        )

    def number(self, number: int, *, alone: bool) -> None:
        """Say which step it is; the only one cannot be removed."""
        self.event.description = f"Step {number}"
        self.gone.tooltip = f"Remove step {number}"
        self.more.tooltip = f"Details of step {number}"
        self.gone.disabled = alone

    def step(self, *, short: bool = False) -> Any:
        """The step as `funnel` takes it, plain; `short` leaves out what the catalog says.

        Raises
        ------
        UsageError
            If the conditions cannot be read.
        """
        events = tuple(dict.fromkeys([self.event.value, *self.others.value]))
        bare = Step(
            events[0] if len(events) == 1 else list(events),
            where=conditions(self.where.value),
            within=self.within.value or None,
            optional=self.optional.value,
            label=self.called.value.strip() or None,
        )
        if short and isinstance(bare.plain(), str):
            return bare.event
        label = bare.label or self._usual(events)
        return Step(bare.event, bare.where, bare.within, bare.optional, label).plain()

    def _usual(self, events: Sequence[str]) -> str | None:
        if not any(event in self._labels for event in events):
            return None
        return " or ".join(self._labels.get(event, event) for event in events)

    def _fold(self) -> None:
        self.details.layout.display = None if self.more.value else "none"

    def _moved(self) -> None:
        self.moves += 1


def _icon(name: str) -> ipywidgets.Button:
    return ipywidgets.Button(icon=name, layout=ipywidgets.Layout(width="2.4rem"))
