"""Save as report: what was tuned by hand is what is then scheduled.

The form writes the panel's arguments into a report definition and nothing else. It never replaces
a definition unless the box beside it is ticked.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import Any, NamedTuple

import ipywidgets

from analysis.core.schema import UsageError, WorkbookError
from analysis.reports.definition import save_definition
from analysis.widgets.words import alert, note

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
            path = save_definition(
                Path(target.folder),
                name,
                notebook=target.notebook,
                title=draft.title,
                data=target.data_in_project,
                period=self.period.value,
                time_zone=target.time_zone,
                parameters={**target.parameters, **draft.parameters},
                overwrite=self.replace.value,
            )
        except (WorkbookError, OSError) as error:
            self.message.value = alert(str(error))
            return
        self.message.value = note(
            f"Saved as {path.name}. Render one with: workbook report {name} --period …, "
            "or all that are due with: workbook report --due"
        )
