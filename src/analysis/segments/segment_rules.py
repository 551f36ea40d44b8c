"""Rules about people: small frozen objects that are put together with ``&``, ``|`` and ``~``.

A rule is data. It knows no log, so it can be written into a catalog, compared, printed and read
back (`segment_form`), and the same rule asked of two logs means the same. Every rule is asked at an
instant, and only what happened strictly before that instant counts; a rule cannot name a time of
its own, so it cannot look past it.

What depends on order wants strictly later instants: two events of one instant have no order that
a rule could rely on. What belongs to nobody, such as a missing value, never matches.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

from analysis.core.schema import UsageError

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
            f"segment: {other!r} is no rule. Allowed: did(...), recency(...), and so on."
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
