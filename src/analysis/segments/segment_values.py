"""What may stand in a rule: names, numbers, durations and conditions, checked one by one.

Each function returns what a rule keeps, which is plain and frozen, or raises one line: what was
given, what would be allowed.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from typing import Any, Final

import numpy as np

from analysis.core.schema import US_PER_DAY, US_PER_MINUTE, US_PER_SECOND, UsageError, duration_us
from analysis.segments.segment_rules import Matching

_SIZES: Final = (
    ("d", US_PER_DAY),
    ("h", 60 * US_PER_MINUTE),
    ("min", US_PER_MINUTE),
    ("s", US_PER_SECOND),
    ("us", 1),
)


def matching(event: Any, where: Mapping[str, Any] | None, what: str) -> Matching:
    """Events and conditions as a rule keeps them."""
    names = (event,) if isinstance(event, str) else event
    names = tuple(names) if isinstance(names, Iterable) else ()
    if not names or not all(isinstance(name, str) and name for name in names):
        raise UsageError(f"{what}: event={event!r}. Allowed: an event's name, or a list of names.")
    if where is not None and not isinstance(where, Mapping):
        raise UsageError(f"{what}: where={where!r}. Allowed: a table such as {{'value': '>= 50'}}.")
    kept = {text(name, what): values_of(wanted, what) for name, wanted in (where or {}).items()}
    return Matching(names, tuple(sorted(kept.items())))


def values_of(values: Any, what: str) -> tuple[Any, ...]:
    """A value or a list of values as a tuple of text, numbers and truth values."""
    several = isinstance(values, Iterable) and not isinstance(values, (str, bytes, Mapping))
    found = [
        v.item() if isinstance(v, np.generic) else v for v in (values if several else [values])
    ]
    if not found or not all(isinstance(v, (str, int, float, bool)) and v == v for v in found):
        raise UsageError(f"{what}: values={values!r}. Allowed: text, a number, or a list of these.")
    return tuple(found)


def span(value: Any, what: str) -> str | None:
    """A duration as text, or None; one that is no text yet in its largest whole unit."""
    if value is None:
        return None
    us = duration_us(value, what)
    if isinstance(value, str):
        return value
    return next(f"{us // size}{unit}" for unit, size in _SIZES if us % size == 0)


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
