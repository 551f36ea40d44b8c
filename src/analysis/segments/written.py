"""How is a rule written down? As a table for catalogs and report definitions, and in words.

In a table the first key names the kind of rule: ``{did = "add_to_cart", at_least = 2}``,
``{not = {did = "purchase"}}``, ``{all = [...]}``. Whatever has its default value is left out, as
people would leave it out, and reading a table back gives an equal rule: `as_rule` reads, `as_table`
writes. `in_words` says a rule as sentences, tables and captions do.

What this module refuses to do: guess at a key that it does not know.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final, NamedTuple

from analysis.core.schema import UsageError, did_you_mean, duration_us, human_duration
from analysis.core.wording import count
from analysis.segments import rules
from analysis.segments.rules import (
    ANY_EVENT,
    IS_IN,
    LAST,
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

Table = dict[str, Any]

_RANGE: Final = ("at_least", "at_most")


def as_rule(written: Any, source: str = "segment") -> Rule:
    """The rule that a table says; a rule is returned as it is.

    Parameters
    ----------
    source : what an error message calls it.

    Raises
    ------
    UsageError
        If it is not a table, or a key or value in it is not allowed.

    Examples
    --------
    >>> rule = as_rule({"all": [{"did": "add_to_cart"}, {"not": {"did": "purchase"}}]})
    >>> rule == rules.did("add_to_cart") & ~rules.did("purchase")
    True
    """
    if isinstance(written, Rule):
        return written
    if not isinstance(written, Mapping):
        raise UsageError(
            f"{source}: {written!r} is not a rule. Allowed: did(...), or a table such as "
            "{did = 'purchase'}."
        )
    found = [key for key in written if key in _KINDS]
    if len(found) != 1:
        unknown = next(iter(written), "")
        near = "" if found else did_you_mean(unknown, _KINDS)
        text = f"the keys {found} together" if found else f"no kind of rule in {dict(written)!r}"
        raise UsageError(f"{source}: {text}.{near} Give one of {', '.join(_KINDS)}.")
    kind, name = _KINDS[found[0]], found[0]
    for key in written:
        if key != name and key not in kind.keys:
            raise UsageError(
                f"{source}: {name} has no key {key!r}.{did_you_mean(key, kind.keys)} "
                f"Allowed: {', '.join(kind.keys) or 'none besides'}."
            )
    try:
        return kind.read(dict(written), source)
    except UsageError as error:
        raise error if str(error).startswith(source) else UsageError(f"{source}: {error}") from None


class Kind(NamedTuple):
    """How a kind of rule is read: its other keys, and what makes a rule of its table."""

    keys: tuple[str, ...]
    read: Callable[[Table, str], Rule]


def _several(kind: type[All] | type[AnyOf]) -> Callable[[Table, str], Rule]:
    def read(table: Table, source: str) -> Rule:
        name = "all" if kind is All else "any"
        parts = table[name]
        if not isinstance(parts, (list, tuple)) or not parts:
            raise UsageError(f"{source}: {name}={parts!r}. Allowed: a list of rules, one at least.")
        return kind(tuple(as_rule(part, source) for part in parts))

    return read


def _read_not(table: Table, source: str) -> Rule:
    return Not(as_rule(table["not"], source))


def _read_before(table: Table, source: str) -> Rule:
    parts = table["before"]
    if not isinstance(parts, (list, tuple)) or len(parts) != 2:
        raise UsageError(f"{source}: before={parts!r}. Allowed: a list of two did-rules.")
    one, then = (as_rule(part, source) for part in parts)
    if not isinstance(one, Did) or not isinstance(then, Did):
        raise UsageError(f"{source}: before={parts!r}. Allowed: a list of two did-rules.")
    return one.before(then)


def _called(make: Callable[..., Rule], name: str) -> Callable[[Table, str], Rule]:
    return lambda table, source: make(table.pop(name), **table)


def _read_property(make: Callable[..., Rule], name: str) -> Callable[[Table, str], Rule]:
    def read(table: Table, source: str) -> Rule:
        if "values" not in table:
            raise UsageError(f"{source}: {name} has no values. Add values = [...].")
        return make(table[name], table["values"])

    return read


def _read_abandoned(table: Table, source: str) -> Rule:
    for key in ("without", "wait"):
        if key not in table:
            raise UsageError(f"{source}: abandoned has no {key}. Add it, as in wait = '24h'.")
    return rules.abandoned(table.pop("abandoned"), **table)


_KINDS: Final[dict[str, Kind]] = {
    "all": Kind((), _several(All)),
    "any": Kind((), _several(AnyOf)),
    "not": Kind((), _read_not),
    "did": Kind((*_RANGE, "within", "where"), _called(rules.did, "did")),
    "before": Kind((), _read_before),
    "sequence": Kind(("within",), _called(rules.sequence, "sequence")),
    "first": Kind(("values",), _read_property(rules.first, "first")),
    "last": Kind(("values",), _read_property(rules.last, "last")),
    "is_in": Kind(("values",), _read_property(rules.is_in, "is_in")),
    "recency": Kind((*_RANGE, "where"), _called(rules.recency, "recency")),
    "tenure": Kind((*_RANGE, "where"), _called(rules.tenure, "tenure")),
    "frequency": Kind((*_RANGE, "within", "event", "where"), _called(rules.frequency, "frequency")),
    "value": Kind((*_RANGE, "within", "event", "where"), _called(rules.value, "value")),
    "abandoned": Kind(("without", "wait", "within", "still"), _read_abandoned),
}


def as_table(rule: Rule) -> Table:
    """A rule as plain data: tables, lists, text and numbers, as TOML holds them.

    Examples
    --------
    >>> as_table(~rules.did("purchase", within="30d"))
    {'not': {'did': 'purchase', 'within': '30d'}}
    """
    return _WRITE[type(rule)](rule)


def _write_did(rule: Did) -> Table:
    bounds = _given(rule, *_RANGE, "within")
    if rule.at_least == 1:
        del bounds["at_least"]
    return {"did": _event(rule.match), **bounds, **_where(rule.match)}


def _write_sequence(rule: Sequence) -> Table:
    steps = [
        {"event": _event(step), **_where(step)} if step.where else _event(step)
        for step in rule.steps
    ]
    return {"sequence": steps, **_given(rule, "within")}


def _write_since(rule: Since) -> Table:
    name = "recency" if rule.which == LAST else "tenure"
    return {name: _event(rule.match), **_given(rule, *_RANGE), **_where(rule.match)}


def _write_counted(rule: Frequency | Value) -> Table:
    of = {"event": _event(rule.match)} if rule.match.events != (ANY_EVENT,) else {}
    what = {"frequency": rule.unit} if isinstance(rule, Frequency) else {"value": rule.property}
    return {**what, **_given(rule, *_RANGE, "within"), **of, **_where(rule.match)}


def _write_abandoned(rule: Abandoned) -> Table:
    pair = {"abandoned": _event(rule.match), "without": _event(rule.without)}
    return {**pair, **_given(rule, "wait", "within", "still")}


def _event(match: Matching) -> Any:
    return match.events[0] if len(match.events) == 1 else list(match.events)


def _where(match: Matching) -> Table:
    conditions = {name: _listed(values) for name, values in match.where}
    return {"where": conditions} if conditions else {}


def _listed(values: tuple[Any, ...]) -> Any:
    return values[0] if len(values) == 1 else list(values)


def _given(rule: Rule, *names: str) -> Table:
    found = {name: getattr(rule, name) for name in names}
    return {name: cell for name, cell in found.items() if cell is not None and cell is not False}


_WRITE: Final[dict[type[Rule], Callable[[Any], Table]]] = {
    All: lambda rule: {"all": [as_table(part) for part in rule.rules]},
    AnyOf: lambda rule: {"any": [as_table(part) for part in rule.rules]},
    Not: lambda rule: {"not": as_table(rule.rule)},
    Did: _write_did,
    Before: lambda rule: {"before": [as_table(rule.first), as_table(rule.then)]},
    Sequence: _write_sequence,
    Holds: lambda rule: {rule.which: rule.property, "values": list(rule.values)},
    Since: _write_since,
    Frequency: _write_counted,
    Value: _write_counted,
    Abandoned: _write_abandoned,
}


def in_words(rule: Rule) -> str:
    """A rule in words, as it says something about a person.

    Examples
    --------
    >>> from analysis.segments.rules import did, recency
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


def _did(rule: Did) -> str:
    return (
        f"did {_event_words(rule.match)}{_times(rule.at_least, rule.at_most)}{_back(rule.within)}"
    )


def _event_words(match: Matching) -> str:
    names = "anything" if ANY_EVENT in match.events else " or ".join(match.events)
    if not match.where:
        return names
    conditions = [f"{name} {_values(values)}" for name, values in match.where]
    return f"{names} (where {', '.join(conditions)})"


def _values(values: tuple[Any, ...]) -> str:
    return " or ".join(str(value) for value in values)


def _times(low: int, high: int | None) -> str:
    if high is not None:
        return f" {low} to {high} times" if high > low else f" exactly {_often(low)}"
    return "" if low == 1 else f" at least {low} times"


def _often(number: int) -> str:
    return "once" if number == 1 else f"{number} times"


def _back(within: str | None) -> str:
    return "" if within is None else f" in the last {_span(within)}"


def _span(text: str) -> str:
    return human_duration(duration_us(text))


def _before(rule: Before) -> str:
    return f"{in_words(rule.first)} and after that {in_words(rule.then)}"


def _sequence(rule: Sequence) -> str:
    steps = ", then ".join(_event_words(step) for step in rule.steps)
    return f"did {steps}" + ("" if rule.within is None else f" within {_span(rule.within)}")


def _property(rule: Holds) -> str:
    if rule.which == IS_IN:
        return f"ever had {rule.property} {_values(rule.values)}"
    return f"had {_values(rule.values)} as {rule.which} {rule.property}"


def _since(rule: Since) -> str:
    low, high = (None if b is None else _span(b) for b in (rule.at_least, rule.at_most))
    return f"{rule.which} did {_event_words(rule.match)} {_range(low, high)} ago"


def _frequency(rule: Frequency) -> str:
    number = _range(_number(rule.at_least), _number(rule.at_most))
    if rule.unit == "event":
        return f"did {_event_words(rule.match)} {number} times{_back(rule.within)}"
    unit = "sessions" if rule.unit == "session" else "days"
    return f"did {_event_words(rule.match)} in {number} {unit}{_back(rule.within)}"


def _value(rule: Value) -> str:
    number = _range(_number(rule.at_least), _number(rule.at_most))
    of = "" if rule.match.events == (ANY_EVENT,) else f" of {_event_words(rule.match)}"
    return f"has a sum of {rule.property}{of} of {number}{_back(rule.within)}"


def _abandoned(rule: Abandoned) -> str:
    did, without = _event_words(rule.match), _event_words(rule.without)
    still = ", nor since" if rule.still else ""
    over = f" (over{_back(rule.within)})" if rule.within else ""
    return f"did {did} without {without} within {_span(rule.wait)}{still}{over}"


def _range(low: str | None, high: str | None) -> str:
    if low is None:
        return f"at most {high}"
    return f"at least {low}" if high is None else f"{low} to {high}"


def _number(bound: float | None) -> str | None:
    if bound is None:
        return None
    return count(bound) if float(bound).is_integer() else f"{bound:g}"


_WORDS: Final[dict[type[Rule], Callable[[Any], str]]] = {
    All: _joined("and"),
    AnyOf: _joined("or"),
    Not: lambda rule: f"not ({in_words(rule.rule)})",
    Did: _did,
    Before: _before,
    Sequence: _sequence,
    Holds: _property,
    Since: _since,
    Frequency: _frequency,
    Value: _value,
    Abandoned: _abandoned,
}
