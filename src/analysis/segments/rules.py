"""How is a group of people described? Rules, and the words they are written in.

``did("add_to_cart", at_least=2) & ~did("purchase")`` is a rule: a small frozen object, joined with
``&`` and ``|`` and negated with ``~``. A rule is data. It knows no log, so it can stand in a
catalog (`written`), be compared and printed, and the same rule means the same on any log. It is
evaluated at an instant (`evaluate`), and only events strictly before that instant count.

Each word (`did`, `sequence`, `first`, `recency` and the others) checks its arguments, so a mistake
is reported where it is made. Only the names of events and properties are checked later, when a log
is there that knows them.

What a rule refuses to do: name a time of its own, so it cannot look past the instant; rely on the
order in which two events of one instant arrived, which count in whichever order helps, as in a
funnel; or match a missing value.
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

ANY_EVENT: Final = "*"
FIRST, LAST, IS_IN = "first", "last", "is_in"

Where = tuple[tuple[str, Any], ...]


class Rule:
    """What all rules can do: be joined with ``&`` and ``|``, and negated with ``~``."""

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


def _rule(other: Any) -> Rule:
    if not isinstance(other, Rule):
        raise UsageError(
            f"segment: {other!r} is not a rule. Allowed: did(...), recency(...), and so on."
        )
    return other


def _parts(rule: Rule, kind: type[All] | type[AnyOf]) -> tuple[Rule, ...]:
    return rule.rules if isinstance(rule, kind) else (rule,)


@dataclass(frozen=True)
class Matching:
    """Events by name, with conditions on their properties."""

    events: tuple[str, ...]
    where: Where = ()


@dataclass(frozen=True)
class Did(Rule):
    """The event was done `at_least` to `at_most` times; `within` looks back from the instant."""

    match: Matching
    at_least: int = 1
    at_most: int | None = None
    within: str | None = None

    def before(self, then: Did) -> Before:
        """Both were done as often as `at_least` says, the other one after that.

        Events of one instant count in whichever order helps; none counts for both.

        Examples
        --------
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
    """`first` was done as often as it says, and `then` after that, or in the same instant."""

    first: Did
    then: Did


@dataclass(frozen=True)
class Sequence(Rule):
    """The steps were done in this order, each by an event of its own, `within` a time of the first.

    Events of one instant count in whichever order helps.
    """

    steps: tuple[Matching, ...]
    within: str | None = None


@dataclass(frozen=True)
class Holds(Rule):
    """A property had one of the values: on its first or last known event, or on any (`which`)."""

    which: str
    property: str
    values: tuple[Any, ...]


@dataclass(frozen=True)
class Since(Rule):
    """The last (or first) matching event was so long ago; False where there is none."""

    which: str
    match: Matching
    at_least: str | None = None
    at_most: str | None = None


@dataclass(frozen=True)
class Frequency(Rule):
    """It happened in so many sessions, on so many UTC days, or so often (`unit`)."""

    unit: str
    match: Matching
    at_least: int | None = None
    at_most: int | None = None
    within: str | None = None


@dataclass(frozen=True)
class Value(Rule):
    """A number adds up to so much over matching events; to 0 where there are none."""

    property: str
    match: Matching
    at_least: float | None = None
    at_most: float | None = None
    within: str | None = None


@dataclass(frozen=True)
class Abandoned(Rule):
    """`match` happened, and `without` had not by the end of `wait`; dated at that end."""

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
    """The rule does not hold for a person seen before the instant."""

    rule: Rule


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
    event : a name, several (any of them counts), or ``"*"`` for any event.
    at_least, at_most : how often, both included.
    within : only events this long before the instant (``"30d"``) or later; default: ever.
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
    steps : event names, lists of alternative names, or dicts ``{"event": …, "where": …}``. Each
        is another event than the one before, and not earlier: events of one instant count in
        whichever order helps, as in a funnel.
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


def _step(step: Any) -> Matching:
    if not isinstance(step, Mapping):
        return matching(step, None, "sequence: step")
    for key in step:
        one_of("sequence: key of a step", key, ("event", "where"))
    return matching(step.get("event"), step.get("where"), "sequence: step")


def first(property: str, values: Any) -> Holds:
    """Whose first known value of a property is one of these?

    The value is that of the first event that has one; of several values at that instant any will
    do. `values` are a value, a list, or a comparison, as `EventLog.where` takes them: ``">= 50"``,
    ``"!= mobile"``.

    Examples
    --------
    >>> first("channel", ["email", "social"]).values
    ('email', 'social')
    """
    return _holds(FIRST, property, values)


def last(property: str, values: Any) -> Holds:
    """Whose last known value of a property, before the instant asked, is one of these?

    Of several values at the last instant any will do.

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
    return _holds(IS_IN, property, values)


def _holds(which: str, property: str, values: Any) -> Holds:
    return Holds(which, checks.property_text(which, property), values_of(values, which))


def recency(
    event: str | Iterable[str] = ANY_EVENT,
    *,
    at_least: Any = None,
    at_most: Any = None,
    where: Mapping[str, Any] | None = None,
) -> Since:
    """How long ago was the last time? People who never did it are never in.

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
    """How long ago was the first time? People who never did it are never in.

    Examples
    --------
    >>> tenure(at_most="7d").which
    'first'
    """
    return _since(FIRST, "tenure", matching(event, where, "tenure"), (at_least, at_most))


def _since(which: str, what: str, match: Matching, bounds: tuple[Any, Any]) -> Since:
    low, high = span(bounds[0], f"{what}: at_least"), span(bounds[1], f"{what}: at_most")
    least, most = (None if end is None else duration_us(end) for end in (low, high))
    checks.bounded(what, least, most, "at_most='30d'")
    return Since(which, match, low, high)


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
    at_least, at_most : both included, one of them needed; without a matching event it is 0.

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

    An event at t counts as abandoned at t + `wait`, and not before: people whose wait is not over
    at the instant have not abandoned yet. Going on at t + `wait` exactly is in time.

    Parameters
    ----------
    within : only waits that ran out this long before the instant or later; default: ever.
    still : only people who have not gone on since, until the instant.

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


def matching(event: Any, where: Mapping[str, Any] | None, what: str) -> Matching:
    """Events and conditions in the form a rule keeps."""
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


_SIZES: Final = (
    ("d", US_PER_DAY),
    ("h", 60 * US_PER_MINUTE),
    ("min", US_PER_MINUTE),
    ("s", US_PER_SECOND),
    ("us", 1),
)


def span(value: Any, what: str) -> str | None:
    """A duration as text, in its largest whole unit if it was not text; None stays None."""
    if value is None:
        return None
    us = duration_us(value, what)
    if isinstance(value, str):
        return value
    return next(f"{us // size}{unit}" for unit, size in _SIZES if us % size == 0)


def leaves(rule: Rule) -> list[Rule]:
    """The rules that a rule is joined from, in their order.

    Examples
    --------
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
    """The names of the properties that a rule asks about.

    Examples
    --------
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
