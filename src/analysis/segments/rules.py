"""The words a rule is written in: ``did``, ``sequence``, ``first``, ``recency`` and the others.

Each function checks what it is given and returns a frozen rule (`segment_rules`), so a mistake is
told where it is made and not when the rule is asked of a log. Only what a log knows, the names of
its events and properties, is left for then.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Final

from analysis.core.schema import UsageError, duration_us, one_of
from analysis.segments.segment_rules import (
    ANY_EVENT,
    EVER,
    FIRST,
    LAST,
    Abandoned,
    Did,
    Frequency,
    Holds,
    Matching,
    Sequence,
    Since,
    Value,
)
from analysis.segments.segment_values import (
    bounded,
    matching,
    number,
    ordered,
    span,
    text,
    values_of,
    whole,
)

MOST_STEPS: Final = 64


UNITS: Final = ("session", "day", "event")


def did(
    event: str | Iterable[str],
    *,
    at_least: int = 1,
    at_most: int | None = None,
    within: Any = None,
    where: Mapping[str, Any] | None = None,
) -> Did:
    """Who did this?

    Parameters
    ----------
    event : a name, several of which any counts, or ``"*"`` for any event.
    at_least, at_most : how often, both included.
    within : only events of so long before the instant asked (``"30d"``); default: ever.
    where : conditions on properties, as `EventLog.where` takes them.

    Raises
    ------
    UsageError
        If a number or duration is out of range.

    Examples
    --------
    >>> rule = did("add_to_cart", at_least=2, within="30d") & ~did("purchase")
    >>> rule.rules[0].at_least
    2
    """
    least = whole(at_least, "did: at_least", 1)
    most = None if at_most is None else whole(at_most, "did: at_most", 1)
    ordered(least, most, "did")
    return Did(matching(event, where, "did"), least, most, span(within, "did: within"))


def sequence(steps: Iterable[Any], *, within: Any = None) -> Sequence:
    """Who did these one after the other, with anything in between?

    Parameters
    ----------
    steps : event names, lists of alternative names, or dicts ``{"event": …, "where": …}``; each
        at a strictly later instant than the one before.
    within : the longest time from the first step to the last; default: any.

    Examples
    --------
    >>> len(sequence(["view_item", "add_to_cart", "purchase"], within="7d").steps)
    3
    """
    if isinstance(steps, (str, Mapping)) or not isinstance(steps, Iterable):
        raise UsageError(f"sequence: steps={steps!r} is no list. Allowed: a list of event names.")
    found = tuple(_step(step) for step in steps)
    if not 2 <= len(found) <= MOST_STEPS:
        raise UsageError(
            f"sequence: {len(found)} steps. Allowed: 2 to {MOST_STEPS}; for one step use did(...)."
        )
    return Sequence(found, span(within, "sequence: within"))


def first(property: str, values: Any) -> Holds:
    """Whose first known value of a property is one of these?

    The value is that of the first event that has one. `values` are a value, a list, or for
    numbers a comparison such as ``">= 50"``.

    Examples
    --------
    >>> first("channel", ["email", "social"]).values
    ('email', 'social')
    """
    return _holds(FIRST, property, values)


def last(property: str, values: Any) -> Holds:
    """Whose last known value of a property, before the instant asked, is one of these?

    Examples
    --------
    >>> last("device", "mobile").values
    ('mobile',)
    """
    return _holds(LAST, property, values)


def is_in(property: str, values: Any) -> Holds:
    """Who ever had one of these values, on any event?

    Examples
    --------
    >>> is_in("country", ["DE", "AT"]).property
    'country'
    """
    return _holds(EVER, property, values)


def recency(
    event: str | Iterable[str] = ANY_EVENT,
    *,
    at_least: Any = None,
    at_most: Any = None,
    where: Mapping[str, Any] | None = None,
) -> Since:
    """How long ago was the last time? Those who never did it are never in.

    Examples
    --------
    >>> recency("purchase", at_least="60d").at_least
    '60d'
    """
    return _since(LAST, "recency", matching(event, where, "recency"), (at_least, at_most))


def tenure(
    event: str | Iterable[str] = ANY_EVENT,
    *,
    at_least: Any = None,
    at_most: Any = None,
    where: Mapping[str, Any] | None = None,
) -> Since:
    """How long ago was the first time? Those who never did it are never in.

    Examples
    --------
    >>> tenure(at_most="7d").which
    'first'
    """
    return _since(FIRST, "tenure", matching(event, where, "tenure"), (at_least, at_most))


def frequency(
    unit: str = "session",
    *,
    at_least: int | None = None,
    at_most: int | None = None,
    within: Any = None,
    event: str | Iterable[str] = ANY_EVENT,
    where: Mapping[str, Any] | None = None,
) -> Frequency:
    """In how many sessions, on how many days, how often?

    Parameters
    ----------
    unit : ``"session"`` (events without a session are in none), ``"day"`` (UTC) or ``"event"``.
    at_least, at_most : both included, one of them needed; nobody's count of nothing is 0.

    Examples
    --------
    >>> frequency("day", at_least=3, within="30d").unit
    'day'
    """
    one_of("frequency: unit", unit, UNITS)
    low, high = (
        None if bound is None else whole(bound, f"frequency: {name}", 0)
        for name, bound in (("at_least", at_least), ("at_most", at_most))
    )
    bounded(low, high, "frequency", "at_least=3")
    back = span(within, "frequency: within")
    return Frequency(unit, matching(event, where, "frequency"), low, high, back)


def value(
    property: str = "value",
    *,
    at_least: float | None = None,
    at_most: float | None = None,
    within: Any = None,
    event: str | Iterable[str] = ANY_EVENT,
    where: Mapping[str, Any] | None = None,
) -> Value:
    """How much is the sum of a number over matching events? It is 0 where there is none.

    Examples
    --------
    >>> value(at_least=100, event="purchase", within="90d").at_least
    100.0
    """
    low, high = (
        None if bound is None else number(bound, f"value: {name}")
        for name, bound in (("at_least", at_least), ("at_most", at_most))
    )
    bounded(low, high, "value", "at_least=100")
    back = span(within, "value: within")
    return Value(text(property, "value"), matching(event, where, "value"), low, high, back)


def abandoned(
    event: str | Iterable[str],
    *,
    without: str | Iterable[str],
    wait: Any,
    within: Any = None,
    still: bool = False,
) -> Abandoned:
    """Who did this, and had not gone on when the wait was over?

    An event at t counts as abandoned at t + `wait`, and not before: whoever's wait is not over at
    the instant asked has not abandoned yet. Going on at t + `wait` exactly is in time.

    Parameters
    ----------
    within : only waits that ran out so long before the instant asked; default: ever.
    still : only those who have not gone on since, until the instant asked.

    Examples
    --------
    >>> abandoned("add_to_cart", without="purchase", wait="24h").wait
    '24h'
    """
    patience = span(wait, "abandoned: wait")
    if patience is None:
        raise UsageError("abandoned: wait=None. Say after how long it counts, such as '24h'.")
    if not isinstance(still, bool):
        raise UsageError(f"abandoned: still={still!r}. Allowed: True or False.")
    ends = matching(without, None, "abandoned: without")
    back = span(within, "abandoned: within")
    return Abandoned(matching(event, None, "abandoned"), ends, patience, back, still)


def _step(step: Any) -> Matching:
    if not isinstance(step, Mapping):
        return matching(step, None, "sequence: step")
    for key in step:
        one_of("sequence: key of a step", key, ("event", "where"))
    return matching(step.get("event"), step.get("where"), "sequence: step")


def _holds(which: str, property: str, values: Any) -> Holds:
    return Holds(which, text(property, which), values_of(values, which))


def _since(which: str, what: str, match: Matching, bounds: tuple[Any, Any]) -> Since:
    low, high = span(bounds[0], f"{what}: at_least"), span(bounds[1], f"{what}: at_most")
    least, most = (None if end is None else duration_us(end) for end in (low, high))
    bounded(least, most, what, "at_most='30d'")
    return Since(which, match, low, high)
