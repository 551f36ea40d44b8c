"""Is what a person wrote what a question can take? One checker per kind of argument."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final, Protocol

import numpy as np

from analysis.core.schema import (
    UsageError,
    did_you_mean,
    instant_us,
)


class Named(Protocol):
    """What a check must know of a log: its events, and the kinds of its properties."""

    @property
    def event_names(self) -> tuple[str, ...]: ...

    @property
    def kinds(self) -> Mapping[str, str]: ...


# ──── segment_values


def whole(number: Any, what: str, least: int) -> int:
    """A whole number, not below `least`."""
    if isinstance(number, bool) or not isinstance(number, (int, np.integer)) or number < least:
        raise UsageError(f"{what}={number!r}. Allowed: a whole number from {least}.")
    return int(number)


def names_of(given: Any, what: str) -> list[str] | None:
    """One name or a list of them as a list; None stays None.

    Examples
    --------
    >>> names_of("share", "clusters: events"), names_of(None, "clusters: events")
    (['share'], None)
    """
    if given is None:
        return None
    names = [given] if isinstance(given, str) else list(given) if _several(given) else []
    if not names:
        raise UsageError(
            f"{what}={given!r}. Allowed: a name, or a list of names; leave it out for all."
        )
    return [str(name) for name in names]


def _several(given: Any) -> bool:
    return isinstance(given, Iterable) and not isinstance(given, Mapping)


def few(min_cell: Any, what: str) -> int:
    """The number of people below which nothing is shown, checked."""
    return whole(min_cell, f"{what}: min_cell", 1)


def number(given: Any, what: str) -> float:
    """A number that is neither infinite nor undefined."""
    kinds = (int, float, np.integer, np.floating)
    if isinstance(given, bool) or not isinstance(given, kinds) or not math.isfinite(given):
        raise UsageError(f"{what}={given!r}. Allowed: a number.")
    return float(given)


def share_between(given: Any, what: str) -> float:
    """A share above 0 and below 1, such as a false discovery rate."""
    kinds = (int, float, np.integer, np.floating)
    if isinstance(given, bool) or not isinstance(given, kinds) or not 0 < given < 1:
        raise UsageError(f"{what}={given!r}. Allowed: a share between 0 and 1, such as 0.05.")
    return float(given)


def text(name: Any, what: str) -> str:
    """The name of a property."""
    if not isinstance(name, str) or not name:
        raise UsageError(
            f"{what}: {name!r} is no property's name. Allowed: text, such as 'device'."
        )
    return name


def ordered(low: float | None, high: float | None, what: str) -> None:
    """Raise a `UsageError` if the upper bound is below the lower one."""
    if low is not None and high is not None and high < low:
        raise UsageError(f"{what}: at_most is below at_least, so nobody is in. Swap the two.")


def bounded(low: float | None, high: float | None, what: str, example: str) -> None:
    """Raise a `UsageError` if there is no bound at all, or the two are the wrong way round."""
    if low is None and high is None:
        raise UsageError(f"{what}: at_least and at_most are missing. Give one, such as {example}.")
    ordered(low, high, what)


# ──── micro_cells


def checked_cell(min_cell: Any, what: str) -> int:
    """`min_cell` if it is a whole number from 1, else an error.

    Examples
    --------
    >>> checked_cell(5, "micro_to_macro")
    5
    """
    if isinstance(min_cell, bool) or not isinstance(min_cell, int) or min_cell < 1:
        raise UsageError(f"{what}: min_cell={min_cell!r}. Allowed: a whole number from 1.")
    return min_cell


# ──── funnel_options


EVER: Final = 2**62


def entry_range(entered: tuple[Any, Any] | None, what: str = "funnel") -> tuple[int, int]:
    """From when (included) to when (excluded) an entry counts, in microseconds.

    Raises
    ------
    UsageError
        If `entered` is no pair of instants, or ends before it starts.
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


# ──── segment_checks


def check_property(log: Named, name: str, what: str) -> None:
    """Raise a `UsageError` for a property that the log does not have."""
    if name not in log.kinds:
        raise UsageError(
            f"{what}: {name!r} is no property of this log.{did_you_mean(name, log.kinds)} "
            f"Properties: {', '.join(map(repr, log.kinds))}."
        )


# ──── journey_lines


def check_event(log: Named, what: str, event: str) -> str:
    """`event` if the log knows it.

    Raises
    ------
    UsageError
        If it does not.
    """
    if event not in log.event_names:
        raise UsageError(
            f"{what}: {event!r} is no event of this log.{did_you_mean(event, log.event_names)} "
            f"{len(log.event_names)} events: log.summary()"
        )
    return event
