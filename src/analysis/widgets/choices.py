"""What a panel's dropdowns offer: events, windows and breakdowns, each with words for people.

A value that was given and is not among the usual ones becomes a choice of its own, so that a
panel can show any arguments that it was opened with. Whether they make sense is for the library
to say.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from analysis.core import wording
from analysis.core.schema import SESSION, USER, duration_us, human_duration
from analysis.eventlog.log import EventLog
from analysis.eventlog.shard import TextColumn

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
        If `given` is no duration.

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
