"""The controls of which panels are made, all of one width, and what each holds as an argument.

An empty choice stands for None, a day for its text; so what a panel tells is plain data, as a
report's definition holds it.
"""

from __future__ import annotations

import datetime
import re
from collections.abc import Sequence
from typing import Any, Final

import ipywidgets
import pandas as pd

from analysis.core.schema import UsageError
from analysis.widgets.choices import Choice

STYLE: Final = {"description_width": "7.5rem"}


WIDE: Final = ipywidgets.Layout(width="22rem", max_width="100%")


APART: Final = ipywidgets.Layout(flex_flow="row wrap", grid_gap="0 2.5rem")


_MOST = 1_000_000


_MOST_ROWS = 6


_NUMBER = re.compile(r"-?\d+(\.\d+)?")


def dropdown(said: str, choices: Sequence[Choice], value: Any) -> ipywidgets.Dropdown:
    """One of several; a value that was given and is not among them becomes a choice."""
    known = list(choices)
    if value not in [choice for _, choice in known]:
        known.append((str(value), value))
    return ipywidgets.Dropdown(
        options=known, value=value, description=said, style=STYLE, layout=WIDE
    )


def several(said: str, choices: Sequence[Choice], values: Sequence[Any]) -> Any:
    """Some of several."""
    return ipywidgets.SelectMultiple(
        options=list(choices),
        value=tuple(values),
        rows=min(max(len(choices), 2), _MOST_ROWS),
        description=said,
        tooltip="Hold Ctrl to choose several, or none",
        style=STYLE,
        layout=WIDE,
    )


def day_picker(said: str, day: datetime.date | None) -> ipywidgets.DatePicker:
    """A day, or none."""
    return ipywidgets.DatePicker(description=said, value=day, style=STYLE, layout=WIDE)


def whole_number(
    said: str, value: int, low: int = 1, high: int = _MOST
) -> ipywidgets.BoundedIntText:
    """A whole number in a range, read when it is entered."""
    return ipywidgets.BoundedIntText(
        value=value,
        min=low,
        max=high,
        continuous_update=False,
        description=said,
        style=STYLE,
        layout=WIDE,
    )


def line(said: str, value: str, hint: str) -> ipywidgets.Text:
    """A line of text, read when it is entered."""
    return ipywidgets.Text(
        value=value,
        placeholder=hint,
        description=said,
        continuous_update=False,
        style=STYLE,
        layout=WIDE,
    )


def side_by_side(controls: Sequence[ipywidgets.Widget]) -> ipywidgets.HBox:
    """Controls in two columns, one below the other where there is no room."""
    half = (len(controls) + 1) // 2
    sides = [ipywidgets.VBox(part) for part in (controls[:half], controls[half:]) if part]
    return ipywidgets.HBox(sides, layout=APART)


def plain(value: Any) -> Any:
    """What a control holds as an argument: nothing chosen is None, a day is its text.

    Examples
    --------
    >>> plain(""), plain(datetime.date(2026, 10, 26)), plain(("share", "search"))
    (None, '2026-10-26', ['share', 'search'])
    """
    if value is None or value in ("", ()):
        return None
    if isinstance(value, datetime.date):
        return value.isoformat()
    return list(value) if isinstance(value, tuple) else value


def numbers(text: str) -> list[Any] | None:
    """Numbers of a line of text; what is none stays text, for the library to refuse.

    Examples
    --------
    >>> numbers("40, high")
    [40.0, 'high']
    """
    if not text.strip():
        return None
    parts = [part.strip() for part in text.split(",")]
    return [float(part) if _NUMBER.fullmatch(part) else part for part in parts]


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
