"""The steps of a funnel as controls: one labelled dropdown each, with Add and Remove.

Dropdowns, because each has a label of its own that a screen reader and a test can find, which a
field of tags does not. Rows are kept when others come and go, so the keyboard's focus stays.
"""

from __future__ import annotations

from collections.abc import Sequence

import ipywidgets
import traitlets

_LABEL_WIDTH = "4.5rem"


class StepList(ipywidgets.VBox):
    """Steps to choose; `events` is the tuple of the chosen ones and can be observed.

    Parameters
    ----------
    options : (label, event) of everything that can be chosen.
    chosen : the events to begin with, at least one.
    most : no more steps than this can be added.
    """

    events = traitlets.Tuple()

    def __init__(
        self, options: Sequence[tuple[str, str]], chosen: Sequence[str], *, most: int
    ) -> None:
        self._options = list(options)
        self._most = most
        self._rows: list[ipywidgets.HBox] = []
        self._add = ipywidgets.Button(
            description="Add step", icon="plus", layout=ipywidgets.Layout(margin="2px 2px 2px 5rem")
        )
        self._add.on_click(lambda _: self.add(self._unused()))
        super().__init__()
        self._rows = [self._row(event) for event in chosen]
        self._arrange()

    def add(self, event: str) -> None:
        """Add a step at the end."""
        self._rows.append(self._row(event))
        self._arrange()

    def remove(self, number: int) -> None:
        """Remove a step, counted from 1."""
        row = self._rows.pop(number - 1)
        self._arrange()
        for part in (*row.children, row):
            part.close()

    def _row(self, event: str) -> ipywidgets.HBox:
        choice = ipywidgets.Dropdown(
            options=self._options,
            value=event,
            style={"description_width": _LABEL_WIDTH},
            layout=ipywidgets.Layout(width="22rem"),
        )
        choice.observe(lambda _: self._tell(), "value")
        gone = ipywidgets.Button(icon="times", layout=ipywidgets.Layout(width="2.4rem"))
        row = ipywidgets.HBox([choice, gone])
        gone.on_click(lambda _: self.remove(self._rows.index(row) + 1))
        return row

    def _arrange(self) -> None:
        for number, row in enumerate(self._rows, start=1):
            choice, gone = row.children
            choice.description = f"Step {number}"
            gone.tooltip = f"Remove step {number}"
            gone.disabled = len(self._rows) == 1
        self._add.disabled = len(self._rows) >= self._most
        self.children = (*self._rows, self._add)
        self._tell()

    def _tell(self) -> None:
        self.events = tuple(row.children[0].value for row in self._rows)

    def _unused(self) -> str:
        known = [event for _, event in self._options]
        return next((event for event in known if event not in self.events), known[0])
