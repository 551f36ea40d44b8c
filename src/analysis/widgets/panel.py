"""A panel over one question: controls by argument, an answer in words, a figure, "Save as report".

A control is named after the argument it holds, so the panel's arguments are read off the controls,
and the one function is called with them when any of them changes. Which of an answer's figures is
drawn is a choice of view: it asks nothing anew. An error of the library appears in words where the
answer would be.

A panel refuses to show an answer that its function would not give for ``panel.kwargs()``, and to
save arguments that have no answer.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

import ipywidgets
import pandas as pd

from analysis.core.result import Result
from analysis.core.schema import WorkbookError
from analysis.widgets.controls import dropdown, numbers, plain, side_by_side
from analysis.widgets.drawing import bundle
from analysis.widgets.entry_range import EntryRange
from analysis.widgets.saving import Draft, Drafts, SaveForm, SaveTo, check_answered
from analysis.widgets.words import alert, answer

Figures = Mapping[str, Callable[[Any], Any]]
"""What a figure is called, and how a result draws it."""


FIGURE: Final[Figures] = {"Figure": lambda own: own.figure()}


class QuestionPanel(ipywidgets.VBox):
    """Controls, sentence, caveats and figure of one question.

    Parameters
    ----------
    name : what made it. ask : the function, but for the arguments that the panel tells.
    controls : by the name of the argument that each holds. fixed : arguments without a control.
    figures : what can be drawn, the first one first. table : what stands below it as a table.
    draft : the report as the panel proposes it; needed with `save`. more : what stands below.
    numeric : controls of text that hold several numbers.

    Attributes
    ----------
    controls : by argument. view : which figure is drawn; None if there is one only.
    form : "Save as report", or None.
    result : the answer that is shown; None while an error is.
    """

    result: Result | None

    def __init__(
        self,
        name: str,
        ask: Callable[..., Result],
        controls: Mapping[str, Any],
        fixed: Mapping[str, Any],
        *,
        figures: Figures = FIGURE,
        table: Callable[[Any], pd.DataFrame] | None = None,
        draft: Drafts | None = None,
        save: SaveTo | None = None,
        more: Sequence[ipywidgets.Widget] = (),
        numeric: Sequence[str] = (),
    ) -> None:
        self._name, self._ask, self._fixed = name, ask, dict(fixed)
        self._figures, self._table, self._numeric = figures, table, frozenset(numeric)
        self.controls = dict(controls)
        names = [(one, one) for one in figures]
        self.view = dropdown("Show", names, names[0][1]) if len(names) > 1 else None
        self.form = None
        if save is not None and draft is not None:
            self.form = SaveForm(save, lambda: self._drafted(draft))
        self._words, self._drawing = ipywidgets.HTML(), ipywidgets.Output()
        each = [*self.controls.values(), *([] if self.view is None else [self.view])]
        shown = [side_by_side(each), self._words, self._drawing, *more]
        super().__init__(shown if self.form is None else [*shown, self.form])
        for control in self.controls.values():
            control.observe(lambda _: self._redraw(), _trait(control))
        if self.view is not None:
            self.view.observe(lambda _: self._draw(), "value")
        self._redraw()

    def kwargs(self) -> dict[str, Any]:
        """The arguments that the answer is of, as plain data."""
        return {name: self._held(name) for name in self.controls} | self._fixed

    def __repr__(self) -> str:
        return f"{self._name}({', '.join(f'{k}={v!r}' for k, v in self.kwargs().items())})"

    @property
    def words(self) -> str:
        """What is said above the figure, as HTML."""
        return str(self._words.value)

    @property
    def drawn(self) -> tuple[Any, ...]:
        """The outputs below the words."""
        return tuple(self._drawing.outputs)

    def _held(self, name: str) -> Any:
        control = self.controls[name]
        if isinstance(control, EntryRange):
            return control.entered
        return numbers(control.value) if name in self._numeric else plain(control.value)

    def _drafted(self, draft: Drafts) -> Draft:
        check_answered(self.result)
        return draft(self.kwargs())

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
        shown = [bundle(self._figures[name](self.result))]
        if self._table is not None:
            data = {"text/html": self._table(self.result).to_html(escape=True)}
            shown.append({"output_type": "display_data", "data": data, "metadata": {}})
        self._drawing.outputs = tuple(shown)


def _trait(control: Any) -> str:
    return "entered" if isinstance(control, EntryRange) else "value"
