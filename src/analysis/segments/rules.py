"""The words a rule is written in: ``did``, ``sequence``, ``first``, ``recency`` and the others.

Each function checks what it is given and returns a frozen rule (`segment_rules`), so a mistake is
told where it is made and not when the rule is asked of a log. Only what a log knows, the names of
its events and properties, is left for then.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final

import numpy as np

from analysis.core import checks
from analysis.core.schema import (
    US_PER_DAY,
    US_PER_MINUTE,
    US_PER_SECOND,
    UsageError,
    duration_us,
    one_of,
)

# ──── segment_rules
#
# Rules about people: small frozen objects that are put together with ``&``, ``|`` and ``~``.
#
# A rule is data. It knows no log, so it can be written into a catalog, compared, printed and read
# back (`segment_form`), and the same rule asked of two logs means the same. Every rule is asked at
# an
# instant, and only what happened strictly before that instant counts; a rule cannot name a time of
# its own, so it cannot look past it.
#
# What depends on order wants strictly later instants: two events of one instant have no order that
# a rule could rely on. What belongs to nobody, such as a missing value, never matches.


ANY_EVENT: Final = "*"


FIRST, LAST, EVER = "first", "last", "is_in"


Where = tuple[tuple[str, Any], ...]


class Rule:
    """What all rules can do: be joined with ``&``, ``|`` and turned round with ``~``."""

    def __and__(self, other: Rule) -> All:
        return All((*_parts(self, All), *_parts(_rule(other), All)))

    def __or__(self, other: Rule) -> AnyOf:
        return AnyOf((*_parts(self, AnyOf), *_parts(_rule(other), AnyOf)))

    def __invert__(self) -> Rule:
        return self.rule if isinstance(self, Not) else Not(self)

    def __bool__(self) -> bool:
        # `did("a") and did("b")` would quietly be the second one.
        raise UsageError(
            "segment: a rule is neither true nor false until it is asked of a log. "
            "Join rules with &, | and ~ instead of and, or and not."
        )


@dataclass(frozen=True)
class Matching:
    """Events by name, with conditions on their properties."""

    events: tuple[str, ...]
    where: Where = ()


@dataclass(frozen=True)
class Did(Rule):
    """Did it between `at_least` and `at_most` times; `within` looks back from the instant asked."""

    match: Matching
    at_least: int = 1
    at_most: int | None = None
    within: str | None = None

    def before(self, then: Did) -> Before:
        """Did this, and the other strictly later; each as often as its `at_least` says.

        Examples
        --------
        >>> from analysis.segments.rules import did
        >>> rule = did("add_to_cart", at_least=2).before(did("purchase"))
        >>> rule.then.match.events
        ('purchase',)
        """
        if not isinstance(then, Did):
            raise UsageError(f"segment: before({then!r}). Allowed: did(...) before did(...).")
        for one in (self, then):
            if one.at_most is not None:
                raise UsageError(
                    f"segment: at_most={one.at_most} has no meaning in an order. Leave it out, or "
                    "add it as a rule of its own: ... & did(..., at_most=...)."
                )
        return Before(self, then)


@dataclass(frozen=True)
class Before(Rule):
    """`first` was done as often as it says, and strictly after that `then` was."""

    first: Did
    then: Did


@dataclass(frozen=True)
class Sequence(Rule):
    """The steps in this order at strictly later instants, all `within` a time of the first."""

    steps: tuple[Matching, ...]
    within: str | None = None


@dataclass(frozen=True)
class Holds(Rule):
    """A property's value: on the first or last event that has one, or on any (`which`)."""

    which: str
    property: str
    values: tuple[Any, ...]


@dataclass(frozen=True)
class Since(Rule):
    """The time since the last (or first) matching event; False for those who never did it."""

    which: str
    match: Matching
    at_least: str | None = None
    at_most: str | None = None


@dataclass(frozen=True)
class Frequency(Rule):
    """In how many sessions, on how many UTC days, or how often did it happen?"""

    unit: str
    match: Matching
    at_least: int | None = None
    at_most: int | None = None
    within: str | None = None


@dataclass(frozen=True)
class Value(Rule):
    """The sum of a number over matching events; 0 for those who have none."""

    property: str
    match: Matching
    at_least: float | None = None
    at_most: float | None = None
    within: str | None = None


@dataclass(frozen=True)
class Abandoned(Rule):
    """`match` happened and `without` had not when `wait` was over; stamped at that instant."""

    match: Matching
    without: Matching
    wait: str
    within: str | None = None
    still: bool = False


@dataclass(frozen=True)
class All(Rule):
    """Every rule holds."""

    rules: tuple[Rule, ...]


@dataclass(frozen=True)
class AnyOf(Rule):
    """At least one rule holds."""

    rules: tuple[Rule, ...]


@dataclass(frozen=True)
class Not(Rule):
    """The rule does not hold, for somebody who was there before the instant asked."""

    rule: Rule


def _rule(other: Any) -> Rule:
    if not isinstance(other, Rule):
        raise UsageError(
            f"segment: {other!r} is not a rule. Allowed: did(...), recency(...), and so on."
        )
    return other


def _parts(rule: Rule, kind: type[All] | type[AnyOf]) -> tuple[Rule, ...]:
    return rule.rules if isinstance(rule, kind) else (rule,)


def leaves(rule: Rule) -> list[Rule]:
    """The rules that a rule is put together from, in their order.

    Examples
    --------
    >>> from analysis.segments.rules import did
    >>> [leaf.match.events for leaf in leaves(did("a") & ~did("b"))]
    [('a',), ('b',)]
    """
    if isinstance(rule, (All, AnyOf)):
        return [leaf for part in rule.rules for leaf in leaves(part)]
    if isinstance(rule, Not):
        return leaves(rule.rule)
    if isinstance(rule, Before):
        return [rule.first, rule.then]
    return [rule]


def properties_of(rule: Rule) -> set[str]:
    """Names of the properties that a rule looks at.

    Examples
    --------
    >>> from analysis.segments.rules import did
    >>> from analysis.segments.rules import first
    >>> sorted(properties_of(did("a", where={"page": "/"}) & first("device", "mobile")))
    ['device', 'page']
    """
    found = set()
    for leaf in leaves(rule):
        matches = [getattr(leaf, "match", None), *getattr(leaf, "steps", ())]
        found |= {name for match in matches if match is not None for name, _ in match.where}
        if isinstance(leaf, (Holds, Value)):
            found.add(leaf.property)
    return found


# ──── segment_values
#
# What may stand in a rule: names, numbers, durations and conditions, checked one by one.
#
# Each function returns what a rule keeps, which is plain and frozen, or raises one line: what was
# given, what would be allowed.


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
    kept = {
        checks.property_text(what, name): values_of(wanted, what)
        for name, wanted in (where or {}).items()
    }
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


# ──── segment_terms


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
    least = checks.whole("did: at_least", at_least, least=1)
    most = None if at_most is None else checks.whole("did: at_most", at_most, least=1)
    checks.ordered("did", least, most)
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
        raise UsageError(
            f"sequence: steps={steps!r} is not a list. Allowed: a list of event names."
        )
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
        None if bound is None else checks.whole(f"frequency: {name}", bound, least=0)
        for name, bound in (("at_least", at_least), ("at_most", at_most))
    )
    checks.bounded("frequency", low, high, "at_least=3")
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
        None if bound is None else checks.number(f"value: {name}", bound)
        for name, bound in (("at_least", at_least), ("at_most", at_most))
    )
    checks.bounded("value", low, high, "at_least=100")
    back = span(within, "value: within")
    return Value(
        checks.property_text("value", property), matching(event, where, "value"), low, high, back
    )


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
    return Holds(which, checks.property_text(which, property), values_of(values, which))


def _since(which: str, what: str, match: Matching, bounds: tuple[Any, Any]) -> Since:
    low, high = span(bounds[0], f"{what}: at_least"), span(bounds[1], f"{what}: at_most")
    least, most = (None if end is None else duration_us(end) for end in (low, high))
    checks.bounded(what, least, most, "at_most='30d'")
    return Since(which, match, low, high)
