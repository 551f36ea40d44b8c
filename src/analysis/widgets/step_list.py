"""The steps of a funnel as controls: one row each, with Add and Remove.

Dropdowns, because each has a label of its own that a screen reader and a test can find, which a
field of tags does not. Rows are kept when others come and go, so the keyboard's focus stays.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import ipywidgets
import traitlets

from analysis.funnels.funnel_steps import Step
from analysis.widgets.choices import Choice
from analysis.widgets.step_editor import StepRow


class StepList(ipywidgets.VBox):
    """Steps to choose; `moves` counts the changes and can be observed.

    Parameters
    ----------
    options : (label, event) of everything that can be chosen.
    chosen : the steps to begin with, at least one.
    labels : what people call events.
    most : no more steps than this can be added.
    """

    moves = traitlets.Int(0)

    def __init__(
        self,
        options: Sequence[Choice],
        chosen: Sequence[Step],
        *,
        labels: Mapping[str, str],
        most: int,
    ) -> None:
        self._options, self._labels, self._most = list(options), labels, most
        self._rows: list[StepRow] = []
        self._add = ipywidgets.Button(
            description="Add step", icon="plus", layout=ipywidgets.Layout(margin="2px 2px 2px 5rem")
        )
        self._add.on_click(lambda _: self.add(self._unused()))
        super().__init__()
        self._rows = [self._row(step) for step in chosen]
        self._arrange()

    @property
    def events(self) -> tuple[str, ...]:
        """The event of each step; the first one where a step has alternatives."""
        return tuple(row.event.value for row in self._rows)

    def steps(self, *, short: bool = False) -> list[Any]:
        """The steps as `funnel` takes them, plain; `short` leaves out what the catalog says."""
        return [row.step(short=short) for row in self._rows]

    def add(self, event: str) -> None:
        """Add a step at the end."""
        self._rows.append(self._row(Step(event)))
        self._arrange()

    def remove(self, number: int) -> None:
        """Remove a step, counted from 1."""
        row = self._rows.pop(number - 1)
        self._arrange()
        for part in (*row.details.children, *row.children, row):
            part.close()

    def _row(self, step: Step) -> StepRow:
        row = StepRow(self._options, step, self._labels)
        row.observe(lambda _: self._moved(), "moves")
        row.gone.on_click(lambda _: self.remove(self._rows.index(row) + 1))
        return row

    def _arrange(self) -> None:
        for number, row in enumerate(self._rows, start=1):
            row.number(number, alone=len(self._rows) == 1)
        self._add.disabled = len(self._rows) >= self._most
        self.children = (*self._rows, self._add)
        self._moved()

    def _moved(self) -> None:
        self.moves += 1

    def _unused(self) -> str:
        known = [event for _, event in self._options]
        return next((event for event in known if event not in self.events), known[0])
