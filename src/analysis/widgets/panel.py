"""How does a panel work? From controls to arguments, to one answer, to a saved report.

`AnswerPanel` is what all panels are: controls, then the answer in words, its drawing, and "Save as
report". A change of a control asks the library anew. `QuestionPanel` is the panel over one
function: each control is named after the argument it holds, so the arguments are read off the
controls. Which of an answer's figures is drawn is a choice of view and asks nothing anew.

A panel refuses to show an answer that its function would not give for ``panel.kwargs()``: an error
of the library appears in words where the answer would be. It refuses to save arguments that have
no answer, and to replace a report's definition unless the box beside it is ticked.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import Any, Final, NamedTuple, TypeAlias

import ipywidgets
import pandas as pd

from analysis.core.result import Result
from analysis.core.schema import UsageError, WorkbookError
from analysis.core.wording import isolate_html
from analysis.reports.definition import Definition, save_definition
from analysis.widgets.controls import argument_of, dropdown, side_by_side, trait_of
from analysis.widgets.tables import alert, answer, note


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
    """A report as a panel proposes it: its title, and the parameters of its notebook."""

    title: str
    parameters: Mapping[str, Any]


Drafts: TypeAlias = Callable[[Mapping[str, Any]], Draft]
"""Makes the report of a panel's arguments."""

Figures: TypeAlias = Mapping[str, Callable[[Any], Any]]
"""What a figure is called, and how a result draws it."""

ONE_FIGURE: Final[Figures] = {"Figure": lambda result: result.figure()}


# Panels


class AnswerPanel(ipywidgets.VBox):
    """Controls, an answer in words, its drawing, and "Save as report": what all panels are.

    A panel that inherits from this sets its controls first. It tells its arguments by `kwargs`,
    asks the library in `_ask`, shows the answer in `_draw`, and proposes a report in `_draft`.

    Parameters
    ----------
    controls : what stands above the words.
    watched : controls, and the trait of each whose change asks anew.
    save : where "Save as report" writes; without it the panel has no such form.
    more : what stands between the drawing and the form.

    Attributes
    ----------
    form : "Save as report", or None.
    result : the answer that is shown; None while an error is.
    """

    result: Any

    def __init__(
        self,
        controls: ipywidgets.Widget,
        watched: Iterable[tuple[ipywidgets.Widget, str]],
        save: SaveTo | None,
        more: Sequence[ipywidgets.Widget] = (),
    ) -> None:
        self.form = None if save is None else SaveForm(save, self._draft)
        self._words, self._drawing = ipywidgets.HTML(), ipywidgets.Output()
        shown = [controls, self._words, self._drawing, *more]
        super().__init__(shown if self.form is None else [*shown, self.form])
        for control, trait in watched:
            control.observe(lambda _: self._redraw(), trait)
        self._redraw()

    def kwargs(self) -> dict[str, Any]:
        """The arguments that the answer is of, as plain data."""
        raise TypeError(f"{type(self).__name__} must say which arguments it holds.")

    def __repr__(self) -> str:
        return f"{type(self).__name__}({_as_written(self.kwargs())})"

    @property
    def words(self) -> str:
        """What is said above the figure, as HTML."""
        return str(self._words.value)

    @property
    def drawn(self) -> tuple[Any, ...]:
        """The outputs below the words."""
        return tuple(self._drawing.outputs)

    def _redraw(self) -> None:
        try:
            self.result = self._ask()
        except WorkbookError as error:
            self.result = None
            self._show(alert(str(error)))
            return
        self._draw()

    def _ask(self) -> Result:
        raise TypeError(f"{type(self).__name__} must say which arguments it holds.")

    def _draw(self) -> None:
        raise TypeError(f"{type(self).__name__} must say which arguments it holds.")

    def _show(self, words: str, *outputs: dict[str, Any]) -> None:
        self._words.value, self._drawing.outputs = words, outputs

    def _draft(self) -> Draft:
        raise TypeError(f"{type(self).__name__} must say which arguments it holds.")

    def _check_answered(self) -> None:
        """Raise where no answer is shown: what failed by hand would fail on its schedule."""
        if self.result is None:
            raise UsageError("save: there is no answer to save. Mend what the panel says first.")


class QuestionPanel(AnswerPanel):
    """Controls, sentence, caveats and figure of one function.

    Parameters
    ----------
    name : the function that made the panel.
    ask : the function that answers; it takes the arguments of the panel.
    controls : by the name of the argument that each holds.
    fixed : arguments without a control.
    draft : makes the report that the panel proposes.
    figures : what can be drawn, the first one first.
    table : makes the table that stands below the figure.
    save : where "Save as report" writes; without it the panel has no such form.
    more : what stands between the figure and the form.

    Attributes
    ----------
    controls : by argument.
    view : the choice of a figure; None if there is only one.
    form : "Save as report", or None.
    result : the answer that is shown; None while an error is.
    """

    result: Result | None

    def __init__(  # noqa: PLR0913
        self,
        name: str,
        ask: Callable[..., Result],
        controls: Mapping[str, ipywidgets.Widget],
        fixed: Mapping[str, Any],
        *,
        draft: Drafts,
        figures: Figures = ONE_FIGURE,
        table: Callable[[Any], pd.DataFrame] | None = None,
        save: SaveTo | None = None,
        more: Sequence[ipywidgets.Widget] = (),
    ) -> None:
        self._name, self._function, self._fixed = name, ask, dict(fixed)
        self._drafts, self._figures, self._table = draft, figures, table
        self.controls = dict(controls)
        views = [(figure, figure) for figure in figures]
        self.view = dropdown("Show", views, views[0][1]) if len(views) > 1 else None
        shown = [*self.controls.values(), *([] if self.view is None else [self.view])]
        watched = [(control, trait_of(control)) for control in self.controls.values()]
        super().__init__(side_by_side(shown), watched, save, more)
        if self.view is not None:
            self.view.observe(lambda _: self._draw(), "value")

    def kwargs(self) -> dict[str, Any]:
        """The arguments that the answer is of, as plain data."""
        return {name: argument_of(one) for name, one in self.controls.items()} | self._fixed

    def __repr__(self) -> str:
        return f"{self._name}({_as_written(self.kwargs())})"

    def _ask(self) -> Result:
        return self._function(**self.kwargs())

    def _draw(self) -> None:
        if self.result is None:
            return
        view = next(iter(self._figures)) if self.view is None else self.view.value
        outputs = [bundle(self._figures[view](self.result))]
        if self._table is not None:
            table = self._table(self.result).to_html(escape=True)
            data = {"text/html": isolate_html(table)}
            outputs.append({"output_type": "display_data", "data": data, "metadata": {}})
        self._show(answer(self.result), *outputs)

    def _draft(self) -> Draft:
        self._check_answered()
        return self._drafts(self.kwargs())


def _as_written(arguments: Mapping[str, Any]) -> str:
    return ", ".join(f"{name}={value!r}" for name, value in arguments.items())


# Drawing

PLOTLY: Final = "application/vnd.plotly.v1+json"


def bundle(figure: Any) -> dict[str, Any]:
    """A plotly figure as an output of a notebook that fills the width.

    A panel sets it as the whole output of an `ipywidgets.Output`. That redraws without a flicker
    and fills the width; a `FigureWidget` does neither.

    Examples
    --------
    >>> import plotly.graph_objects as go
    >>> sorted(bundle(go.Figure())["data"][PLOTLY])
    ['config', 'data', 'layout']
    """
    drawn = json.loads(figure.to_json())
    drawn["config"] = {"responsive": True, "displaylogo": False}
    return {"output_type": "display_data", "data": {PLOTLY: drawn}, "metadata": {}}


# Save as report: what was tuned by hand is then scheduled

REPORT_PERIODS: Final = (("every day", "day"), ("every week", "week"), ("every month", "month"))


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
        parameters = {
            names.get(name, name): "" if value is None else value
            for name, value in asked.items()
            if name != "entered"
        }
        return Draft(title(asked), parameters if lead is None else {**parameters, "lead": lead})

    return draft


class SaveForm(ipywidgets.VBox):
    """A name, a period and a button that writes a report's definition, and nothing else.

    Parameters
    ----------
    target : what the report consists of besides the draft.
    draft : gives the panel's title and arguments at the moment of saving.

    Attributes
    ----------
    name, period, replace, button : the controls.
    message : says where the definition is, or why there is none.
    """

    def __init__(self, target: SaveTo, draft: Callable[[], Draft]) -> None:
        self._target, self._draft = target, draft
        self.name = ipywidgets.Text(
            description="Report name",
            placeholder="checkout-by-device",
            style={"description_width": "6rem"},
        )
        self.period = ipywidgets.Dropdown(
            options=REPORT_PERIODS,
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
