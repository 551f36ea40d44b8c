"""Can a question take this argument? One checker per kind of argument.

Each takes the name of the asking function first (``"funnel"``, or ``"rfm: macro"`` where several
arguments are alike), returns the value in the form the code works with, or raises a `UsageError`
that says what was asked, what was given, what is allowed and what to do next. Arguments that many
questions share mean the same in all of them:

``by``
    A property, or a list of them: one answer per group of people. Text groups by value.
``min_cell``
    Nothing is shown about fewer people than this. 5 by default.
``start``, ``end``, ``entered``
    Instants: text with a zone, a date (its first instant in UTC), or a timestamp. Starts are
    included, ends are not.
``unit``
    What is counted once: ``"user"``, ``"session"``, or the property the log was regrouped by.
``log``
    An `EventLog`, whole or a view; a view hides rows and people, and no answer sees them.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final, Protocol

import numpy as np

from analysis.core.schema import UsageError, did_you_mean, instant_us

EVER: Final = 2**62
"""Later than any instant of a log, in microseconds; minus this is earlier than any."""


class Named(Protocol):
    """What a check must know of a log: its events, and the kinds of its properties."""

    @property
    def event_names(self) -> tuple[str, ...]: ...

    @property
    def kinds(self) -> Mapping[str, str]: ...


def event_name(what: str, log: Named, event: str) -> str:
    """An event that the log knows."""
    if event not in log.event_names:
        raise UsageError(
            f"{what}: {event!r} is not an event of this log.{did_you_mean(event, log.event_names)} "
            f"{len(log.event_names)} events: log.summary()"
        )
    return event


def property_name(what: str, log: Named, name: str) -> str:
    """A property that the log knows."""
    if name not in log.kinds:
        raise UsageError(
            f"{what}: {name!r} is not a property of this log.{did_you_mean(name, log.kinds)} "
            f"Properties: {', '.join(map(repr, log.kinds))}."
        )
    return name


def property_text(what: str, name: Any) -> str:
    """Text that can be a property's name, where no log is there yet to ask."""
    if not isinstance(name, str) or not name:
        raise UsageError(
            f"{what}: {name!r} is not a property's name. Allowed: text, such as 'device'."
        )
    return name


def names(what: str, given: Any) -> list[str] | None:
    """One name or several as a list; None stays None.

    Examples
    --------
    >>> names("clusters: events", "share"), names("clusters: events", None)
    (['share'], None)
    """
    if given is None:
        return None
    several = isinstance(given, Iterable) and not isinstance(given, Mapping)
    found = [given] if isinstance(given, str) else list(given) if several else []
    if not found:
        raise UsageError(
            f"{what}={given!r}. Allowed: a name, or a list of names; leave it out for all."
        )
    return [str(name) for name in found]


def whole(what: str, given: Any, *, least: int) -> int:
    """A whole number from `least`."""
    if isinstance(given, bool) or not isinstance(given, (int, np.integer)) or given < least:
        raise UsageError(f"{what}={given!r}. Allowed: a whole number from {least}.")
    return int(given)


def min_cell(what: str, given: Any) -> int:
    """The number of people below which nothing is shown.

    Examples
    --------
    >>> min_cell("micro_to_macro", 5)
    5
    """
    return whole(f"{what}: min_cell", given, least=1)


def number(what: str, given: Any) -> float:
    """A number that is neither infinite nor undefined."""
    kinds = (int, float, np.integer, np.floating)
    if isinstance(given, bool) or not isinstance(given, kinds) or not math.isfinite(given):
        raise UsageError(f"{what}={given!r}. Allowed: a number.")
    return float(given)


def share(what: str, given: Any) -> float:
    """A share above 0 and below 1, such as a false discovery rate."""
    kinds = (int, float, np.integer, np.floating)
    if isinstance(given, bool) or not isinstance(given, kinds) or not 0 < given < 1:
        raise UsageError(f"{what}={given!r}. Allowed: a share between 0 and 1, such as 0.05.")
    return float(given)


def ordered(what: str, low: float | None, high: float | None) -> None:
    """An upper bound that is not below the lower one; either may be missing."""
    if low is not None and high is not None and high < low:
        raise UsageError(f"{what}: at_most is below at_least, so nobody is in. Swap the two.")


def bounded(what: str, low: float | None, high: float | None, example: str) -> None:
    """At least one bound, the two the right way round."""
    if low is None and high is None:
        raise UsageError(f"{what}: at_least and at_most are missing. Give one, such as {example}.")
    ordered(what, low, high)


def entry_range(what: str, entered: tuple[Any, Any] | None) -> tuple[int, int]:
    """From when (included) to when (excluded) an entry counts, in microseconds.

    Examples
    --------
    >>> low, high = entry_range("funnel", ("1970-01-02", None))
    >>> low, high == EVER
    (86400000000, True)
    """
    if entered is None:
        return -EVER, EVER
    if isinstance(entered, str) or not isinstance(entered, Sequence) or len(entered) != 2:
        raise UsageError(f"{what}: entered={entered!r}. Allowed: (start, end), end excluded.")
    start, end = entered
    low = -EVER if start is None else instant_us(start, f"{what}: entered start")
    high = EVER if end is None else instant_us(end, f"{what}: entered end")
    if high <= low:
        raise UsageError(f"{what}: entered={entered!r} ends before it starts. Swap the two.")
    return low, high
