"""Which controls is a panel made of, what do they offer, and which argument does each one hold?

Three parts, in this order: the choices that a dropdown offers (events, windows, breakdowns), each
with words for people; the controls themselves, all of one width; and `EntryRange`, two days that
limit when people entered.

An empty choice stands for None and a day for its text, so what a panel holds is plain data that a
report's definition can hold too. A value that was given and is not among the usual ones becomes a
choice of its own: a panel can show any arguments it was opened with. These controls refuse only
what they cannot show, such as an instant that is not a midnight; whether an argument makes sense
is for the library to say.
"""

from __future__ import annotations

import datetime
import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final, TypeAlias

import ipywidgets
import pandas as pd
import traitlets

from analysis.catalog import Catalog
from analysis.core import wording
from analysis.core.schema import (
    SESSION,
    SOURCE_EVENT,
    USER,
    UsageError,
    duration_us,
    human_duration,
)
from analysis.eventlog.log import EventLog
from analysis.eventlog.shard import TextColumn

Choice: TypeAlias = tuple[str, Any]
"""What people read, and the argument it stands for."""

FIRST_EVENT: Final[Choice] = ("(their first event)", "")

NO_LIMIT: Final[Choice] = ("(no limit)", "")

NO_BREAKDOWN: Final[Choice] = ("(none)", "")

FALSE_ALARMS: Final[tuple[Choice, ...]] = (
    ("one in a hundred", 0.01),
    ("one in twenty", 0.05),
    ("one in ten", 0.1),
)

WINDOWS: Final = ("30min", "1h", "4h", "1d", "3d", "7d", "14d", "30d", "90d")

MOST_GROUPS: Final = 30
"""A property with more values than this is not offered as a breakdown."""

FEWEST_STEP_NUMBERS: Final = 10


# Choices


def event_labels(
    log: EventLog, catalog: Catalog | None, more: Iterable[str] = ()
) -> dict[str, str]:
    """What a catalog calls each event of a log, and each of `more`; nothing without a catalog."""
    return (
        {} if catalog is None else {name: catalog.label(name) for name in [*log.event_names, *more]}
    )


def event_choices(names: Sequence[str], labels: Mapping[str, str]) -> list[Choice]:
    """Events by their labels; where two have the same label, the name is added.

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
    given : a duration; empty for `none`.
    none : the choice of no limit, which then comes first.

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
    names = [
        name
        for name in log.properties
        if name != SOURCE_EVENT and 2 <= _values(log, name) <= MOST_GROUPS
    ]
    if given is not None and given not in names:
        names.append(given)
    return [NO_BREAKDOWN, *((wording.label(name), name) for name in names)]


def _values(log: EventLog, name: str) -> int:
    """Count a text property's values, but no further than just above `MOST_GROUPS`."""
    found: set[str] = set()
    for shard in log.shards:
        column = shard.columns[name]
        if not isinstance(column, TextColumn):
            return 0
        if len(column.values) > MOST_GROUPS:
            return MOST_GROUPS + 1
        found.update(column.values.to_pylist())
    return len(found)


def property_choices(log: EventLog, given: Sequence[str] = ()) -> list[Choice]:
    """Every property of the log by its label, and those that were given."""
    return [(wording.label(name), name) for name in dict.fromkeys([*log.kinds, *given])]


def text_property_choices(log: EventLog) -> list[Choice]:
    """Every text property of the log by its label."""
    return [(wording.label(name), name) for name in log.properties if log.kinds[name] == "text"]


def unit_choices(log: EventLog, given: str) -> list[Choice]:
    """What can be counted: users, sessions where the log has them, a text property's values."""
    texts = [name for _, name in text_property_choices(log)]
    names = dict.fromkeys([USER, *([SESSION] if SESSION in log.kinds else []), *texts, given])
    labels = {USER: "Users", SESSION: "Sessions"}
    return [(labels.get(name) or f"By {wording.label(name)}", name) for name in names]


def step_choices(steps: int, given: Any, words: Sequence[Choice]) -> list[Choice]:
    """Some words, then numbers of steps: as many as there are, ten at least.

    Steps can be added later, so there are more numbers than steps; the library refuses a number
    beyond the last step.
    """
    numbers = range(1, max(steps, FEWEST_STEP_NUMBERS) + 1)
    known = [*words, *((f"step {number}", number) for number in numbers)]
    return known if given in [value for _, value in known] else [*known, (str(given), given)]


# Controls

STYLE: Final = {"description_width": "7.5rem"}

WIDE: Final = ipywidgets.Layout(width="22rem", max_width="100%")

_APART: Final = ipywidgets.Layout(flex_flow="row wrap", grid_gap="0 2.5rem")

_MOST_ROWS: Final = 6

_NUMBER: Final = re.compile(r"-?\d+(\.\d+)?")


def dropdown(description: str, choices: Sequence[Choice], value: Any) -> ipywidgets.Dropdown:
    """One of several; a value that was given and is not among them becomes a choice."""
    known = list(choices)
    if value not in [choice for _, choice in known]:
        known.append((str(value), value))
    return ipywidgets.Dropdown(
        options=known, value=value, description=description, style=STYLE, layout=WIDE
    )


def multi_select(
    description: str, choices: Sequence[Choice], values: Sequence[Any]
) -> ipywidgets.SelectMultiple:
    """Some of several, or none."""
    return ipywidgets.SelectMultiple(
        options=list(choices),
        value=tuple(values),
        rows=min(max(len(choices), 2), _MOST_ROWS),
        description=description,
        tooltip="Hold Ctrl to choose several, or none",
        style=STYLE,
        layout=WIDE,
    )


def day_picker(description: str, day: datetime.date | None) -> ipywidgets.DatePicker:
    """A day, or none."""
    return ipywidgets.DatePicker(description=description, value=day, style=STYLE, layout=WIDE)


def whole_number(
    description: str, value: int, low: int = 1, high: int = 1_000_000
) -> ipywidgets.BoundedIntText:
    """A whole number in a range, read when it is entered."""
    return ipywidgets.BoundedIntText(
        value=value,
        min=low,
        max=high,
        continuous_update=False,
        description=description,
        style=STYLE,
        layout=WIDE,
    )


def text_line(description: str, value: str, hint: str) -> ipywidgets.Text:
    """A line of text, read when it is entered."""
    return _line(ipywidgets.Text, description, value, hint)


class NumbersLine(ipywidgets.Text):
    """A line of text that holds several numbers; made by `numbers_line`."""


def numbers_line(description: str, values: Sequence[float] | None, hint: str) -> NumbersLine:
    """Several numbers with commas between them, or none, read when they are entered."""
    text = "" if values is None else ", ".join(f"{value:g}" for value in values)
    return _line(NumbersLine, description, text, hint)


def _line(kind: type[ipywidgets.Text], description: str, value: str, hint: str) -> Any:
    return kind(
        value=value,
        placeholder=hint,
        description=description,
        continuous_update=False,
        style=STYLE,
        layout=WIDE,
    )


def side_by_side(controls: Sequence[ipywidgets.Widget]) -> ipywidgets.HBox:
    """Controls in two columns of the same height."""
    half = (len(controls) + 1) // 2
    return columns(*(ipywidgets.VBox(part) for part in (controls[:half], controls[half:]) if part))


def columns(*sides: ipywidgets.VBox) -> ipywidgets.HBox:
    """Columns of controls, one below the other where there is no room."""
    return ipywidgets.HBox(sides, layout=_APART)


def argument_of(control: ipywidgets.Widget) -> Any:
    """The argument that a control holds: nothing chosen is None, a day is its text.

    Examples
    --------
    >>> argument_of(dropdown("By", [NO_BREAKDOWN], ""))
    >>> argument_of(day_picker("As of", datetime.date(2026, 10, 26)))
    '2026-10-26'
    >>> argument_of(multi_select("Events", [("Shared", "share")], ["share"]))
    ['share']
    """
    if isinstance(control, EntryRange):
        return control.entered
    value = control.value
    if isinstance(control, NumbersLine):
        return numbers(value)
    if value is None or value in ("", ()):
        return None
    if isinstance(value, datetime.date):
        return value.isoformat()
    return list(value) if isinstance(value, tuple) else value


def trait_of(control: ipywidgets.Widget) -> str:
    """The trait that changes with a control's argument, to be observed."""
    return "entered" if isinstance(control, EntryRange) else "value"


def numbers(text: str) -> list[Any] | None:
    """The numbers in a line of text; what is not a number stays text, for the library to refuse.

    Examples
    --------
    >>> numbers("40, high")
    [40.0, 'high']
    """
    if not text.strip():
        return None
    parts = [part.strip() for part in text.split(",")]
    return [float(part) if _NUMBER.fullmatch(part) else part for part in parts]


def day_of(what: str, at: Any) -> datetime.date | None:
    """The day (UTC) that an argument names; None stays None.

    Raises
    ------
    UsageError
        If it is not a midnight: a control shows days.

    Examples
    --------
    >>> day_of("panel: at", "2026-10-26")
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


# When people must have entered

UTC: Final = "UTC"


class EntryRange(ipywidgets.VBox):
    """From a day (included) to a day (excluded), empty for no limit; `entered` can be observed.

    Parameters
    ----------
    given : the range to begin with: None, or (start, end), each an instant at midnight or None.
        Its time zone is kept; naive instants are UTC.
    descriptions : what to call the two days.

    Attributes
    ----------
    first, end : the two day pickers.
    entered : the range as an argument: None, or (start, end).

    Raises
    ------
    UsageError
        If `given` is not a range of whole days of one time zone.
    """

    entered = traitlets.Any(None, allow_none=True)

    def __init__(
        self,
        given: tuple[Any, Any] | None,
        descriptions: tuple[str, str] = ("Entered from", "Entered before"),
    ) -> None:
        days, self._zone = _days(given)
        self.first, self.end = map(day_picker, descriptions, days)
        super().__init__([self.first, self.end])
        for picker in self.children:
            picker.observe(lambda _: self._update(), "value")
        self._update()

    def words(self) -> str:
        """The days of the range for people."""
        first, end = (day and pd.Timestamp(day) for day in (self.first.value, self.end.value))
        if first and end and first < end:
            return wording.days(first, end)
        if first:
            return f"from {wording.day(first, year=True)}"
        return f"before {wording.day(end, year=True)}" if end else "all entries"

    def _update(self) -> None:
        ends = tuple(self._instant(picker.value) for picker in self.children)
        self.entered = None if ends == (None, None) else ends

    def _instant(self, day: datetime.date | None) -> str | None:
        if day is None:
            return None
        return (
            day.isoformat() if self._zone == UTC else pd.Timestamp(day, tz=self._zone).isoformat()
        )


def _days(given: tuple[Any, Any] | None) -> tuple[list[datetime.date | None], Any]:
    """Two days, and the time zone they are days of."""
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
    days = [None if stamp is None else stamp.date() for stamp in stamps]
    return days, UTC if name == UTC else zone
