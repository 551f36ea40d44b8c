"""A rule in plain words, for sentences, tables and the captions of figures."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from analysis.core.schema import duration_us, human_duration
from analysis.core.wording import count
from analysis.segments.segment_rules import (
    ANY_EVENT,
    EVER,
    FIRST,
    Abandoned,
    All,
    AnyOf,
    Before,
    Did,
    Frequency,
    Holds,
    Matching,
    Not,
    Rule,
    Sequence,
    Since,
    Value,
)


def in_words(rule: Rule) -> str:
    """What a rule says about a person.

    Examples
    --------
    >>> from analysis.segments.rules import did
    >>> from analysis.segments.rules import recency
    >>> in_words(did("add_to_cart", at_least=2, within="30d") & ~did("purchase"))
    'did add_to_cart at least 2 times in the last 30 days and not (did purchase)'
    >>> in_words(recency("purchase", at_least="60d"))
    'last did purchase at least 60 days ago'
    """
    return _WORDS[type(rule)](rule)


def _joined(word: str) -> Callable[[Any], str]:
    def words(rule: Any) -> str:
        parts = [
            f"({in_words(part)})" if isinstance(part, (All, AnyOf)) else in_words(part)
            for part in rule.rules
        ]
        return f" {word} ".join(parts)

    return words


def _event(match: Matching) -> str:
    names = "anything" if ANY_EVENT in match.events else " or ".join(match.events)
    if not match.where:
        return names
    conditions = [f"{name} {_values(values)}" for name, values in match.where]
    return f"{names} (where {', '.join(conditions)})"


def _values(values: tuple[Any, ...]) -> str:
    return " or ".join(str(value) for value in values)


def _back(within: str | None) -> str:
    return "" if within is None else f" in the last {_span(within)}"


def _span(text: str) -> str:
    return human_duration(duration_us(text))


def _times(low: int, high: int | None) -> str:
    if high is not None:
        return f" {low} to {high} times" if high > low else f" exactly {_often(low)}"
    return "" if low == 1 else f" at least {low} times"


def _often(number: int) -> str:
    return "once" if number == 1 else f"{number} times"


def _range(low: str | None, high: str | None) -> str:
    if low is None:
        return f"at most {high}"
    return f"at least {low}" if high is None else f"{low} to {high}"


def _number(bound: float | None) -> str | None:
    if bound is None:
        return None
    return count(bound) if float(bound).is_integer() else f"{bound:g}"


def _did(rule: Did) -> str:
    return f"did {_event(rule.match)}{_times(rule.at_least, rule.at_most)}{_back(rule.within)}"


def _before(rule: Before) -> str:
    return f"{in_words(rule.first)} and after that {in_words(rule.then)}"


def _sequence(rule: Sequence) -> str:
    steps = ", then ".join(_event(step) for step in rule.steps)
    return f"did {steps}" + ("" if rule.within is None else f" within {_span(rule.within)}")


def _holds(rule: Holds) -> str:
    if rule.which == EVER:
        return f"ever had {rule.property} {_values(rule.values)}"
    return f"had {_values(rule.values)} as {rule.which} {rule.property}"


def _since(rule: Since) -> str:
    low, high = (None if b is None else _span(b) for b in (rule.at_least, rule.at_most))
    which = "first" if rule.which == FIRST else "last"
    return f"{which} did {_event(rule.match)} {_range(low, high)} ago"


def _frequency(rule: Frequency) -> str:
    number = _range(_number(rule.at_least), _number(rule.at_most))
    if rule.unit == "event":
        return f"did {_event(rule.match)} {number} times{_back(rule.within)}"
    unit = "sessions" if rule.unit == "session" else "days"
    return f"did {_event(rule.match)} in {number} {unit}{_back(rule.within)}"


def _value(rule: Value) -> str:
    number = _range(_number(rule.at_least), _number(rule.at_most))
    of = "" if rule.match.events == (ANY_EVENT,) else f" of {_event(rule.match)}"
    return f"has a sum of {rule.property}{of} of {number}{_back(rule.within)}"


def _abandoned(rule: Abandoned) -> str:
    left = f"did {_event(rule.match)} without {_event(rule.without)} within {_span(rule.wait)}"
    still = ", nor since" if rule.still else ""
    return f"{left}{still}" + (f" (over{_back(rule.within)})" if rule.within else "")


_WORDS: Final[dict[type[Rule], Callable[[Any], str]]] = {
    All: _joined("and"),
    AnyOf: _joined("or"),
    Not: lambda rule: f"not ({in_words(rule.rule)})",
    Did: _did,
    Before: _before,
    Sequence: _sequence,
    Holds: _holds,
    Since: _since,
    Frequency: _frequency,
    Value: _value,
    Abandoned: _abandoned,
}
