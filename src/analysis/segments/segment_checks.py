"""Does the log know what a rule speaks of? Asked before a single row is read."""

from __future__ import annotations

from analysis.core.schema import EVENT, USER, UsageError, did_you_mean
from analysis.eventlog.log import EventLog
from analysis.segments.segment_rules import (
    ANY_EVENT,
    Holds,
    Matching,
    Rule,
    Sequence,
    Value,
    leaves,
)


def check_rule(log: EventLog, rule: Rule, what: str = "segment") -> None:
    """Raise a `UsageError` for an event or property that the log does not know."""
    for leaf in leaves(rule):
        for match in _matches(leaf):
            _check_match(log, match, what)
        if isinstance(leaf, (Holds, Value)):
            check_property(log, leaf.property, what)
        if isinstance(leaf, Value) and log.kinds[leaf.property] != "number":
            raise UsageError(
                f"{what}: value({leaf.property!r}), but {leaf.property!r} holds text. "
                "Allowed: a property of numbers."
            )


def _matches(leaf: Rule) -> tuple[Matching, ...]:
    if isinstance(leaf, Sequence):
        return leaf.steps
    found = [getattr(leaf, name, None) for name in ("match", "without")]
    return tuple(match for match in found if match is not None)


def _check_match(log: EventLog, match: Matching, what: str) -> None:
    for name in match.events:
        if name != ANY_EVENT and name not in log.event_names:
            raise UsageError(
                f"{what}: {name!r} is no event of this log.{did_you_mean(name, log.event_names)} "
                f"{len(log.event_names)} events: log.summary()"
            )
    for name, _ in match.where:
        if name not in (EVENT, USER):
            check_property(log, name, what)


def check_property(log: EventLog, name: str, what: str) -> None:
    """Raise a `UsageError` for a property that the log does not have."""
    if name not in log.kinds:
        raise UsageError(
            f"{what}: {name!r} is no property of this log.{did_you_mean(name, log.kinds)} "
            f"Properties: {', '.join(map(repr, log.kinds))}."
        )
