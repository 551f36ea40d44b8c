"""What panels of one question have in common: named controls, an answer in words, a figure.

A control is named after the argument it holds, so the panel's arguments are read off the controls,
and the one function is called with them when any of them changes. An error of the library appears
in words where the answer would be.
"""

from __future__ import annotations

import datetime
import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import ipywidgets
import pandas as pd

from analysis.engagement import EngagementResult
from analysis.results import Result
from analysis.schema import UsageError, WorkbookError
from analysis.widgets.choices import Choice
from analysis.widgets.drawing import bundle
from analysis.widgets.saving import Draft, SaveForm, SaveTo
from analysis.widgets.words import alert, answer, note

FALSE_ALARMS: tuple[Choice, ...] = (
    ("one in a hundred", 0.01),
    ("one in twenty", 0.05),
    ("one in ten", 0.1),
)
_STYLE = {"description_width": "7rem"}
_WIDE = ipywidgets.Layout(width="24rem", max_width="100%")
_MOST_ROWS = 6
_NUMBER = re.compile(r"-?\d+(\.\d+)?")


class QuestionPanel(ipywidgets.VBox):
    """Controls, sentence, caveats and figure of one question.

    Parameters
    ----------
    name : what made it. ask : gives the answer for the arguments that the panel tells.
    controls : by the name of the argument that each holds. fixed : arguments without a control.
    draft : the report as the panel proposes it; needed with `save`. more : what stands below.
    numeric : controls of text that hold several numbers.

    Attributes
    ----------
    controls, form : the controls, and "Save as report" or None.
    result : the answer that is shown; None while an error is.
    """

    result: Result | None

    def __init__(
        self,
        name: str,
        ask: Callable[[Mapping[str, Any]], Result],
        controls: Mapping[str, ipywidgets.ValueWidget],
        fixed: Mapping[str, Any],
        *,
        draft: Callable[[Mapping[str, Any]], Draft] | None = None,
        save: SaveTo | None = None,
        more: Sequence[ipywidgets.Widget] = (),
        numeric: Sequence[str] = (),
    ) -> None:
        self._numeric = frozenset(numeric)
        self._name, self._ask, self._fixed = name, ask, dict(fixed)
        self.controls = dict(controls)
        self.form = None
        if save is not None and draft is not None:
            self.form = SaveForm(save, lambda: self._drafted(draft))
        self._words, self._drawing = ipywidgets.HTML(), ipywidgets.Output()
        half = (len(self.controls) + 1) // 2
        each = list(self.controls.values())
        sides = [ipywidgets.VBox(part) for part in (each[:half], each[half:]) if part]
        layout = ipywidgets.Layout(flex_flow="row wrap", grid_gap="0 2.5rem")
        shown: list[ipywidgets.Widget] = [ipywidgets.HBox(sides, layout=layout)]
        shown += [self._words, self._drawing, *more]
        super().__init__(shown if self.form is None else [*shown, self.form])
        for control in each:
            control.observe(lambda _: self._redraw(), "value")
        self._redraw()

    def kwargs(self) -> dict[str, Any]:
        """The arguments that the answer is of, as plain data."""
        held = {
            name: _numbers(control.value) if name in self._numeric else _plain(control.value)
            for name, control in self.controls.items()
        }
        return {**held, **self._fixed}

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

    def _drafted(self, draft: Callable[[Mapping[str, Any]], Draft]) -> Draft:
        if self.result is None:
            raise UsageError("save: there is no answer to save. Mend what the panel says first.")
        return draft(self.kwargs())

    def _redraw(self) -> None:
        try:
            self.result = self._ask(self.kwargs())
        except WorkbookError as error:
            self.result = None
            self._words.value, self._drawing.outputs = alert(str(error)), ()
            return
        self._words.value = answer(self.result)
        shown = [bundle(self.result.figure())]
        if isinstance(self.result, EngagementResult):
            table = {"text/html": self.result.readable().to_html(escape=True)}
            shown.append({"output_type": "display_data", "data": table, "metadata": {}})
        self._drawing.outputs = tuple(shown)


def _plain(value: Any) -> Any:
    """What a control holds as an argument: nothing chosen is None, a day is its text."""
    if value is None or value in ("", ()):
        return None
    if isinstance(value, datetime.date):
        return value.isoformat()
    return list(value) if isinstance(value, tuple) else value


def _numbers(text: str) -> list[Any] | None:
    """Numbers of a line of text; what is none stays text, for the library to refuse."""
    if not text.strip():
        return None
    parts = [part.strip() for part in text.split(",")]
    return [float(part) if _NUMBER.fullmatch(part) else part for part in parts]


def dropdown(said: str, choices: Sequence[Choice], value: Any) -> ipywidgets.Dropdown:
    """One of several; a value that was given and is not among them becomes a choice."""
    known = list(choices)
    if value not in [choice for _, choice in known]:
        known.append((str(value), value))
    return ipywidgets.Dropdown(
        options=known, value=value, description=said, style=_STYLE, layout=_WIDE
    )


def several(said: str, choices: Sequence[Choice], values: Sequence[Any]) -> Any:
    """Some of several."""
    return ipywidgets.SelectMultiple(
        options=list(choices),
        value=tuple(values),
        rows=min(max(len(choices), 2), _MOST_ROWS),
        description=said,
        tooltip="Hold Ctrl to choose several, or none",
        style=_STYLE,
        layout=_WIDE,
    )


def day_picker(said: str, day: datetime.date | None) -> ipywidgets.DatePicker:
    """A day (UTC), or none."""
    return ipywidgets.DatePicker(description=said, value=day, style=_STYLE, layout=_WIDE)


def whole_number(said: str, value: int, low: int, high: int) -> ipywidgets.BoundedIntText:
    """A whole number in a range."""
    return ipywidgets.BoundedIntText(
        value=value, min=low, max=high, description=said, style=_STYLE, layout=_WIDE
    )


def line(said: str, value: str, hint: str) -> ipywidgets.Text:
    """A line of text, read when it is entered."""
    return ipywidgets.Text(
        value=value,
        placeholder=hint,
        description=said,
        continuous_update=False,
        style=_STYLE,
        layout=_WIDE,
    )


def day_of(at: Any, what: str) -> datetime.date | None:
    """The day (UTC) that an argument names; None stays None.

    Raises
    ------
    UsageError
        If it is no midnight: a control shows days.

    Examples
    --------
    >>> day_of("2026-10-26", "panel: at")
    datetime.date(2026, 10, 26)
    """
    if at is None:
        return None
    try:
        stamp = pd.Timestamp(at)
    except (TypeError, ValueError) as error:
        raise UsageError(f"{what}={at!r}. Allowed: a day, '2026-10-26'.") from error
    utc = stamp if stamp.tz is None else stamp.tz_convert("UTC")
    if pd.isna(stamp) or utc != utc.normalize():
        raise UsageError(
            f"{what}={at!r} is no midnight UTC. Give a day such as '2026-10-26', or call the "
            "function, which takes any instant."
        )
    return utc.date()


def told(text: str, *, wrong: bool = False) -> str:
    """A remark, or what went wrong, as HTML."""
    return alert(text) if wrong else note(text)
