"""The controls of which panels are made, all of one width, and what each holds as an argument.

An empty choice stands for None, a day for its text; so what a panel tells is plain data, as a
report's definition holds it.
"""

from __future__ import annotations

import datetime
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any, Final

import ipywidgets
import pandas as pd
import traitlets

from analysis.core import wording
from analysis.core.schema import SESSION, USER, UsageError, duration_us, human_duration
from analysis.eventlog.log import EventLog
from analysis.eventlog.shard import TextColumn

# ──── widgets.choices
#
# What a panel's dropdowns offer: events, windows and breakdowns, each with words for people.
#
# A value that was given and is not among the usual ones becomes a choice of its own, so that a
# panel can show any arguments that it was opened with. Whether they make sense is for the library
# to say.


Choice = tuple[str, Any]
"""What a person reads, and the argument it stands for."""


WINDOWS = ("30min", "1h", "4h", "1d", "3d", "7d", "14d", "30d", "90d")


NO_BREAKDOWN: Choice = ("(none)", "")


NO_LIMIT: Choice = ("(no limit)", "")


ORDERS: tuple[Choice, ...] = (
    ("Steps in order", "sequential"),
    ("In order, nothing between", "strict"),
    ("Any order", "any"),
)


FIRST_EVENT: Choice = ("(their first event)", "")


FALSE_ALARMS: tuple[Choice, ...] = (
    ("one in a hundred", 0.01),
    ("one in twenty", 0.05),
    ("one in ten", 0.1),
)


MOST_GROUPS = 30


FEWEST_NUMBERS = 10


def event_choices(names: Sequence[str], labels: Mapping[str, str]) -> list[Choice]:
    """Events by what people call them; where two are called the same, the name is added.

    Examples
    --------
    >>> event_choices(["purchase", "view_item"], {"view_item": "Viewed a product"})
    [('Purchase', 'purchase'), ('Viewed a product', 'view_item')]
    """
    called = {name: labels.get(name) or wording.label(name) for name in names}
    often = Counter(called.values())
    choices = [
        (label if often[label] == 1 else f"{label} ({name})", name)
        for name, label in called.items()
    ]
    return sorted(choices, key=lambda choice: (choice[0].casefold(), choice[1]))


def window_choices(given: str, *, none: Choice | None = None) -> tuple[list[Choice], str]:
    """The usual windows and the given one, by length; and the choice that is the given one.

    Parameters
    ----------
    given : a duration; empty for `none`, the choice of no limit, which is then the first.

    Raises
    ------
    UsageError
        If `given` is not a duration.

    Examples
    --------
    >>> choices, chosen = window_choices("168h")
    >>> chosen, choices[1]
    ('7d', ('1 h', '1h'))
    """
    by_length = {duration_us(window): window for window in WINDOWS}
    chosen = "" if none is None else none[1]
    if given or none is None:
        length = duration_us(given, "funnel: window")
        chosen = by_length.setdefault(length, given)
    choices = [(human_duration(us), window) for us, window in sorted(by_length.items())]
    return choices if none is None else [none, *choices], chosen


def breakdown_choices(log: EventLog, given: str | None) -> list[Choice]:
    """No breakdown, and every text property with at least two and not too many values."""
    names = [name for name in log.properties if 2 <= _values(log, name) <= MOST_GROUPS]
    if given is not None and given not in names:
        names.append(given)
    return [NO_BREAKDOWN, *((wording.label(name), name) for name in names)]


def property_choices(log: EventLog, given: Sequence[str] = ()) -> list[Choice]:
    """Every property of the log, by what it is called, and those that were given."""
    return [(wording.label(name), name) for name in dict.fromkeys([*log.kinds, *given])]


def unit_choices(log: EventLog, given: str) -> list[Choice]:
    """What can be counted: users, sessions where the log has them, a text property's values."""
    texts = [name for name in log.properties if log.kinds[name] == "text"]
    names = dict.fromkeys([USER, *([SESSION] if SESSION in log.kinds else []), *texts, given])
    said = {USER: "Users", SESSION: "Sessions"}
    return [(said.get(name) or f"By {wording.label(name)}", name) for name in names]


def step_choices(steps: int, given: Any, words: Sequence[Choice]) -> list[tuple[str, Any]]:
    """Some words, then numbers of steps: as many as there are, ten at least.

    Steps can be added later, so there are more numbers than steps; a number beyond the last step
    is for the library to refuse.
    """
    numbers = range(1, max(steps, FEWEST_NUMBERS) + 1)
    known = [*words, *((f"step {number}", number) for number in numbers)]
    return known if given in [value for _, value in known] else [*known, (str(given), given)]


def _values(log: EventLog, name: str) -> int:
    """How many values a text property has, a little more than `MOST_GROUPS` standing for many."""
    found: set[str] = set()
    for shard in log.shards:
        column = shard.columns[name]
        if not isinstance(column, TextColumn):
            return 0
        if len(column.values) > MOST_GROUPS:
            return MOST_GROUPS + 1
        found.update(column.values.to_pylist())
    return len(found)


# ──── widgets.controls


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
            f"{what}={at!r} is not a midnight UTC. Give a day such as '2026-10-26', or call the "
            "function, which takes any instant."
        )
    return utc.date()


# ──── widgets.entry_range
#
# When people must have entered, as two dates of one time zone; empty means no limit.


UTC = "UTC"


class EntryRange(ipywidgets.VBox):
    """From a day (included) to a day (excluded); `entered` can be observed.

    Parameters
    ----------
    given : the range to begin with: None, or (start, end), each an instant at midnight or None.
        Its time zone is kept; naive instants are UTC.
    said : what to call the two.

    Raises
    ------
    UsageError
        If `given` is not a range of whole days of one time zone.
    """

    entered = traitlets.Any(None, allow_none=True)

    def __init__(
        self,
        given: tuple[Any, Any] | None,
        said: tuple[str, str] = ("Entered from", "Entered before"),
    ) -> None:
        days, self._zone = _days(given)
        self.first, self.end = (day_picker(name, day) for name, day in zip(said, days, strict=True))
        super().__init__([self.first, self.end])
        for picker in self.children:
            picker.observe(lambda _: self._tell(), "value")
        self._tell()

    def words(self) -> str:
        """The days of the range for people."""
        first, end = (day and pd.Timestamp(day) for day in (self.first.value, self.end.value))
        if first and end and first < end:
            return wording.days(first, end)
        if first:
            return f"from {wording.day(first, year=True)}"
        return f"before {wording.day(end, year=True)}" if end else "all entries"

    def _tell(self) -> None:
        ends = tuple(self._instant(picker.value) for picker in self.children)
        self.entered = None if ends == (None, None) else ends

    def _instant(self, day: datetime.date | None) -> str | None:
        if day is None:
            return None
        return (
            day.isoformat() if self._zone == UTC else pd.Timestamp(day, tz=self._zone).isoformat()
        )


def _days(given: tuple[Any, Any] | None) -> tuple[list[datetime.date | None], Any]:
    """Two days and the time zone of which they are days."""
    if given is None:
        return [None, None], UTC
    try:
        stamps = [None if instant is None else pd.Timestamp(instant) for instant in given]
    except (TypeError, ValueError) as error:
        raise UsageError(
            f"panel: entered={given!r}. Allowed: (start, end), such as "
            "('2026-11-09', '2026-11-16'), end excluded."
        ) from error
    zones = {str(stamp.tz or UTC): stamp.tz for stamp in stamps if stamp is not None}
    whole = all(stamp is None or stamp == stamp.normalize() for stamp in stamps)
    if len(stamps) != 2 or len(zones) > 1 or not whole:
        raise UsageError(
            f"panel: entered={given!r} is not two whole days of one time zone. Give "
            "midnights, or call the function with entered=..., which takes any instants."
        )
    name, zone = next(iter(zones.items()), (UTC, None))
    return [None if stamp is None else stamp.date() for stamp in stamps], (
        UTC if name == UTC else zone
    )
