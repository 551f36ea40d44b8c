"""What panels over one question are made of: controls by argument, the answer, "Save as report".

Each control holds one keyword argument of one function; a change calls the function once, and what
comes back is shown: the sentence, the caveats, the figure. An empty choice stands for None. Which
of an answer's figures is drawn is a choice of view: it asks nothing anew. An error of the library
appears in words where the answer would be.

A panel made of this refuses to show an answer that ``ask(**panel.kwargs())`` would not give.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import ipywidgets

from analysis.results import Result
from analysis.schema import WorkbookError
from analysis.widgets.choices import Choice
from analysis.widgets.drawing import bundle
from analysis.widgets.entry_range import EntryRange
from analysis.widgets.saving import Draft, SaveForm, SaveTo
from analysis.widgets.words import alert, answer

Figures = Mapping[str, Callable[[Any], Any]]
"""What a figure is called, and how a result draws it."""

ENTERED = "entered"
_STYLE = {"description_width": "6.5rem"}
_WIDTH = ipywidgets.Layout(width="20rem", max_width="100%")
_MOST = 1_000_000


class Saving(NamedTuple):
    """Where a panel's arguments go.

    Parameters
    ----------
    to : None: the panel has no form. title : of the report, from the arguments.
    lead : what the notebook calls the answer, whose sentence is then the report's headline.
    names : what an argument is called in the notebook, where it is not the same.
    """

    to: SaveTo | None
    title: Callable[[Mapping[str, Any]], str]
    lead: str
    names: Mapping[str, str] = {}


class AnswerPanel(ipywidgets.VBox):
    """Controls, sentence, caveats and figure of one answer.

    Parameters
    ----------
    ask : the function, but for the arguments that the controls hold.
    controls : a control by argument. fixed : the arguments that have none.
    figures : what can be drawn, the first one first.

    Attributes
    ----------
    controls : by argument. view : which figure is drawn; None if there is one only.
    form : "Save as report", or None.
    result : the answer that is shown; None while an error is.
    """

    result: Result | None

    def __init__(
        self,
        ask: Callable[..., Result],
        controls: Mapping[str, Any],
        fixed: Mapping[str, Any],
        figures: Figures,
        saving: Saving,
    ) -> None:
        self._ask, self._fixed, self._figures, self._saving = ask, dict(fixed), figures, saving
        self.controls = dict(controls)
        names = [(name, name) for name in figures]
        self.view = dropdown("Show", names, names[0][1]) if len(names) > 1 else None
        self.form = None if saving.to is None else SaveForm(saving.to, self._draft)
        self._words, self._drawing = ipywidgets.HTML(), ipywidgets.Output()
        shown = [*self.controls.values(), *([] if self.view is None else [self.view])]
        half = (len(shown) + 1) // 2
        sides = [ipywidgets.VBox(shown[:half]), ipywidgets.VBox(shown[half:])]
        layout = ipywidgets.Layout(flex_flow="row wrap", grid_gap="0 2.5rem")
        parts = [ipywidgets.HBox(sides, layout=layout), self._words, self._drawing]
        super().__init__(parts if self.form is None else [*parts, self.form])
        for control in self.controls.values():
            control.observe(lambda _: self._redraw(), _trait(control))
        if self.view is not None:
            self.view.observe(lambda _: self._draw(), "value")
        self._redraw()

    def kwargs(self) -> dict[str, Any]:
        """What the panel calls its function with, as plain data."""
        held = {name: getattr(own, _trait(own)) for name, own in self.controls.items()}
        return {name: None if value == "" else value for name, value in held.items()} | self._fixed

    def __repr__(self) -> str:
        asked = ", ".join(f"{name}={value!r}" for name, value in self.kwargs().items())
        return f"{type(self).__name__}({asked})"

    def _redraw(self) -> None:
        try:
            self.result = self._ask(**self.kwargs())
        except WorkbookError as error:
            self.result = None
            self._words.value, self._drawing.outputs = alert(str(error)), ()
            return
        self._words.value = answer(self.result)
        self._draw()

    def _draw(self) -> None:
        if self.result is None:
            return
        name = next(iter(self._figures)) if self.view is None else self.view.value
        self._drawing.outputs = (bundle(self._figures[name](self.result)),)

    def _draft(self) -> Draft:
        asked = self.kwargs()
        told = {
            self._saving.names.get(name, name): "" if value is None else value
            for name, value in asked.items()
            if name != ENTERED  # a report's period says when
        }
        return Draft(self._saving.title(asked), told | {"lead": self._saving.lead})


def _trait(control: Any) -> str:
    return ENTERED if isinstance(control, EntryRange) else "value"


def dropdown(said: str, choices: Sequence[Choice], value: Any) -> ipywidgets.Dropdown:
    """One of several; a value that is not among them becomes a choice of its own."""
    known = [chosen for _, chosen in choices]
    options = list(choices) if value in known else [*choices, (str(value), value)]
    return ipywidgets.Dropdown(
        options=options, value=value, description=said, style=_STYLE, layout=_WIDTH
    )


def number(said: str, value: int) -> ipywidgets.BoundedIntText:
    """A whole number from 1, which counts once it is typed."""
    return ipywidgets.BoundedIntText(
        value=value,
        min=1,
        max=_MOST,
        continuous_update=False,
        description=said,
        style=_STYLE,
        layout=_WIDTH,
    )
