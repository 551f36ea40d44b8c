"""Save as report: what was tuned by hand is what is then scheduled.

The form writes the panel's arguments into a report definition and nothing else. It never replaces
a definition unless the box beside it is ticked.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import Any, Final, NamedTuple

import ipywidgets
import pandas as pd

from analysis.core.result import Result
from analysis.core.schema import UsageError, WorkbookError
from analysis.reports.definition import Definition, save_definition
from analysis.widgets.controls import EntryRange, dropdown, numbers, plain, side_by_side
from analysis.widgets.tables import alert, answer, note

# ──── widgets.drawing
#
# A figure as a panel draws it: one plotly bundle in the output of a notebook.
#
# A panel sets it as the whole output of an `ipywidgets.Output`. That redraws without a flicker and
# fills the width; a `FigureWidget` does neither.


PLOTLY: Final = "application/vnd.plotly.v1+json"


def bundle(figure: Any) -> dict[str, Any]:
    """A plotly figure as an output of a notebook that fills the width.

    Examples
    --------
    >>> import plotly.graph_objects as go
    >>> sorted(bundle(go.Figure())["data"][PLOTLY])
    ['config', 'data', 'layout']
    """
    drawn = json.loads(figure.to_json())
    drawn["config"] = {"responsive": True, "displaylogo": False}
    return {"output_type": "display_data", "data": {PLOTLY: drawn}, "metadata": {}}


# ──── widgets.saving


PERIODS = (("every day", "day"), ("every week", "week"), ("every month", "month"))


@dataclass(frozen=True)
class SaveTo:
    """What a report made from a panel consists of, the panel's own arguments aside.

    Parameters
    ----------
    notebook : the notebook that renders it, such as ``"02_funnels"``.
    data : folder of the log, seen from where the notebook runs.
    folder : where the definition goes; the log's path is written relative to the project, which
        is two folders up.
    time_zone : whose midnights bound the report's periods.
    parameters : further parameters of the notebook, as plain data.
    """

    notebook: str
    data: str
    folder: str = "../reports/definitions"
    time_zone: str = "UTC"
    parameters: Mapping[str, Any] = field(default_factory=dict)

    @property
    def data_in_project(self) -> str:
        """The log's folder as the definition names it: from the project's root, if it is inside.

        Examples
        --------
        >>> SaveTo("02_funnels", "../data/demo").data_in_project
        'data/demo'
        """
        root = Path(os.path.abspath(self.folder)).parents[1]
        data = Path(os.path.abspath(self.data))
        return data.relative_to(root).as_posix() if data.is_relative_to(root) else str(data)


class Draft(NamedTuple):
    """A report as the panel proposes it."""

    title: str
    parameters: Mapping[str, Any]


def check_answered(result: Any) -> None:
    """Raise where a panel shows no answer: what failed by hand would fail on its schedule.

    Raises
    ------
    UsageError
        If there is no result.
    """
    if result is None:
        raise UsageError("save: there is no answer to save. Mend what the panel says first.")


Drafts = Callable[[Mapping[str, Any]], Draft]
"""The report that a panel's arguments make."""


def draft_of(
    title: Callable[[Mapping[str, Any]], str],
    *,
    lead: str | None = None,
    names: Mapping[str, str] = MappingProxyType({}),
) -> Drafts:
    """A report of all arguments of a panel but the entry range: a report's period says when.

    Parameters
    ----------
    title : of the report, from the arguments.
    lead : what the notebook calls the answer, whose sentence is then the report's headline.
    names : what an argument is called in the notebook, where it is not the same.

    Examples
    --------
    >>> made = draft_of(lambda asked: "Ways", lead="paths", names={"top": "most_paths"})
    >>> made({"to": None, "top": 20, "entered": None}).parameters
    {'to': '', 'most_paths': 20, 'lead': 'paths'}
    """

    def draft(asked: Mapping[str, Any]) -> Draft:
        told = {
            names.get(name, name): "" if value is None else value
            for name, value in asked.items()
            if name != "entered"
        }
        return Draft(title(asked), told if lead is None else {**told, "lead": lead})

    return draft


class SaveForm(ipywidgets.VBox):
    """A name, a period and a button that writes the definition.

    Parameters
    ----------
    target : what the report consists of besides the draft.
    draft : gives the panel's title and arguments at the moment of saving.
    """

    def __init__(self, target: SaveTo, draft: Callable[[], Draft]) -> None:
        self._target, self._draft = target, draft
        self.name = ipywidgets.Text(
            description="Report name",
            placeholder="checkout-by-device",
            style={"description_width": "6rem"},
        )
        self.period = ipywidgets.Dropdown(
            options=PERIODS,
            value="week",
            description="Due",
            style={"description_width": "3rem"},
            layout=ipywidgets.Layout(width="12rem"),
        )
        self.replace = ipywidgets.Checkbox(
            description="Replace if it exists",
            indent=False,
            layout=ipywidgets.Layout(width="auto", margin="2px 1rem"),
        )
        self.button = ipywidgets.Button(description="Save as report", icon="save")
        self.message = ipywidgets.HTML()
        self.button.on_click(lambda _: self.save())
        row = ipywidgets.HBox(
            [self.name, self.period, self.replace, self.button],
            layout=ipywidgets.Layout(flex_flow="row wrap"),
        )
        super().__init__([row, self.message])

    def save(self) -> None:
        """Write the definition, and say where it is or why it is not."""
        target, name = self._target, self.name.value.strip()
        try:
            draft = self._draft()
            definition = Definition(
                name,
                notebook=target.notebook,
                title=draft.title,
                data=target.data_in_project,
                period=self.period.value,
                time_zone=target.time_zone,
                parameters={**target.parameters, **draft.parameters},
            )
            path = save_definition(Path(target.folder), definition, overwrite=self.replace.value)
        except (WorkbookError, OSError) as error:
            self.message.value = alert(str(error))
            return
        self.message.value = note(
            f"Saved as {path.name}. Render one with: workbook report {name} --period …, "
            "or all that are due with: workbook report --due"
        )


# ──── widgets.panel
#
# A panel over one question: controls by argument, an answer in words, a figure, "Save as report".
#
# A control is named after the argument it holds, so the panel's arguments are read off the
# controls,
# and the one function is called with them when any of them changes. Which of an answer's figures is
# drawn is a choice of view: it asks nothing anew. An error of the library appears in words where
# the
# answer would be.
#
# A panel refuses to show an answer that its function would not give for ``panel.kwargs()``, and to
# save arguments that have no answer.


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
