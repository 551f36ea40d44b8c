"""What may not happen on the way, as controls: an event between two steps, one row each."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import ipywidgets
import traitlets

from analysis.funnels.funnel_steps import Exclusion
from analysis.widgets.choices import Choice, step_choices
from analysis.widgets.conditions import conditions, where_field

WHOLE = 0
"""Stands for a step that is not named: the first one after, the last one before."""


class ExclusionRow(ipywidgets.HBox):
    """One exclusion; its parts are `event`, `after`, `before`, `where`, and `gone` removes it."""

    def __init__(self, options: Sequence[Choice], given: Exclusion, steps: int) -> None:
        names = given.events
        event = names[0] if len(names) == 1 else names
        known: list[tuple[str, Any]] = list(options)
        if event not in [value for _, value in known]:
            known.append((" or ".join(names), event))
        self.event = ipywidgets.Dropdown(
            options=known,
            value=event,
            style={"description_width": "4.5rem"},
            layout=ipywidgets.Layout(width="22rem"),
        )
        self.after = _step("After", given.after or WHOLE, steps, "first step")
        self.before = _step("Before", given.before or WHOLE, steps, "last step")
        self.where = where_field(given.where)
        self.gone = ipywidgets.Button(icon="times", layout=ipywidgets.Layout(width="2.4rem"))
        super().__init__(
            [self.event, self.after, self.before, self.where, self.gone],
            layout=ipywidgets.Layout(flex_flow="row wrap"),
        )

    def number(self, number: int) -> None:
        """Say which exclusion it is."""
        self.event.description = f"Exclude {number}"
        self.gone.tooltip = f"Remove exclusion {number}"

    def exclusion(self) -> dict[str, Any]:
        """The exclusion as `funnel` takes it, plain."""
        event = self.event.value
        return Exclusion(
            event,
            after=self.after.value or None,
            before=self.before.value or None,
            where=conditions(self.where.value),
        ).plain()


class ExclusionList(ipywidgets.VBox):
    """Exclusions to choose; `moves` counts the changes and can be observed.

    Parameters
    ----------
    options : (label, event) of everything that can be excluded.
    given : the exclusions to begin with.
    steps : how many steps the funnel has.
    """

    moves = traitlets.Int(0)

    def __init__(self, options: Sequence[Choice], given: Sequence[Exclusion], steps: int) -> None:
        self._options, self._steps = list(options), steps
        self._add = ipywidgets.Button(
            description="Exclude an event", icon="ban", layout=ipywidgets.Layout(width="auto")
        )
        self._add.on_click(lambda _: self.add(Exclusion(self._options[0][1])))
        super().__init__()
        self._rows = [self._row(one) for one in given]
        self._arrange()

    def exclusions(self) -> list[dict[str, Any]]:
        """The exclusions as `funnel` takes them, plain."""
        return [row.exclusion() for row in self._rows]

    def add(self, exclusion: Exclusion) -> None:
        """Add an exclusion at the end."""
        self._rows.append(self._row(exclusion))
        self._arrange()

    def remove(self, number: int) -> None:
        """Remove an exclusion, counted from 1."""
        row = self._rows.pop(number - 1)
        self._arrange()
        for part in (*row.children, row):
            part.close()

    def _row(self, exclusion: Exclusion) -> ExclusionRow:
        row = ExclusionRow(self._options, exclusion, self._steps)
        row.gone.on_click(lambda _: self.remove(self._rows.index(row) + 1))
        for control in (row.event, row.after, row.before, row.where):
            control.observe(lambda _: self._moved(), "value")
        return row

    def _arrange(self) -> None:
        for number, row in enumerate(self._rows, start=1):
            row.number(number)
        self.children = (*self._rows, self._add)
        self._moved()

    def _moved(self) -> None:
        self.moves += 1


def _step(said: str, given: int, steps: int, whole: str) -> ipywidgets.Dropdown:
    return ipywidgets.Dropdown(
        options=step_choices(steps, given, [(whole, WHOLE)]),
        value=given,
        description=said,
        style={"description_width": "3.5rem"},
        layout=ipywidgets.Layout(width="11rem"),
    )
