"""Who of a shard's users keeps a rule at an instant? Each leaf is one pass, joints are numpy.

A leaf asks a pass of `passes.segments` about the rows strictly before the instant. Conditions on
properties become event codes of their own (`coded`), so that a pass knows names only and every
rule can have them. Names that the log does not know are errors before a row is read.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Final, NamedTuple

import numpy as np

from analysis.eventlog.log import EventLog
from analysis.eventlog.predicates import matching_rows
from analysis.eventlog.shard import NumberColumn, Shard, TextColumn
from analysis.passes import segments as passes
from analysis.schema import (
    EVENT,
    MONEY_SCALE,
    SESSION,
    US_PER_DAY,
    USER,
    DataError,
    UsageError,
    did_you_mean,
    duration_us,
)
from analysis.segment_rules import (
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
    Since,
    Value,
    leaves,
)
from analysis.segment_rules import Sequence as Steps

MOST_CONDITIONS: Final = 8


class Look(NamedTuple):
    """A shard, the log's event names, and the instant (microseconds) that is asked about."""

    shard: Shard
    names: tuple[str, ...]
    at: int


def check_rule(log: EventLog, rule: Rule, what: str = "segment") -> None:
    """Raise a `UsageError` for an event or property that the log does not know."""
    for leaf in leaves(rule):
        for match in _matches(leaf):
            _check_match(log, match, what)
        if isinstance(leaf, (Holds, Value)):
            _check_property(log, leaf.property, what)
        if isinstance(leaf, Value) and log.kinds[leaf.property] != "number":
            raise UsageError(
                f"{what}: value({leaf.property!r}), but {leaf.property!r} holds text. "
                "Allowed: a property of numbers."
            )


def _matches(leaf: Rule) -> tuple[Matching, ...]:
    if isinstance(leaf, Steps):
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
            _check_property(log, name, what)


def _check_property(log: EventLog, name: str, what: str) -> None:
    if name not in log.kinds:
        raise UsageError(
            f"{what}: {name!r} is no property of this log.{did_you_mean(name, log.kinds)} "
            f"Properties: {', '.join(map(repr, log.kinds))}."
        )


def keeps(look: Look, rule: Rule) -> np.ndarray:
    """A boolean per user of the shard: does the user keep the rule at the instant?

    Users who were not there before the instant may be True where a rule is turned round.
    """
    if isinstance(rule, All):
        return np.logical_and.reduce([keeps(look, part) for part in rule.rules])
    if isinstance(rule, AnyOf):
        return np.logical_or.reduce([keeps(look, part) for part in rule.rules])
    if isinstance(rule, Not):
        return ~keeps(look, rule.rule)
    return _LEAVES[type(rule)](look, rule)


def there(look: Look) -> np.ndarray:
    """A boolean per user of the shard: was anything of them seen before the instant?"""
    return _matched(look, Matching((ANY_EVENT,)), None)[0] > 0


def coded(look: Look, matches: Sequence[Matching]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Codes of the rows, the matches of each code, and the events of each match.

    Returns
    -------
    (codes, lut, needs) : ``lut[codes[row]]`` is a set of bits, bit k for the k-th match;
        ``needs[k]`` the events that can match it, as in a shard's masks.
    """
    conditions = list(dict.fromkeys(match.where for match in matches if match.where))
    size = len(look.names) + 1
    lut = np.zeros(size << len(conditions), np.uint64)
    needs = np.zeros(len(matches), np.uint64)
    for k, match in enumerate(matches):
        for code, name in enumerate(look.names):
            if name not in match.events and ANY_EVENT not in match.events:
                continue
            needs[k] |= np.uint64(1) << np.uint64(code & 63)
            for combination in range(1 << len(conditions)):
                place = conditions.index(match.where) if match.where else None
                if place is None or combination >> place & 1:
                    lut[combination * size + code] |= np.uint64(1) << np.uint64(k)
    return _codes(look, conditions), lut, needs


def _codes(look: Look, conditions: Sequence[Any]) -> np.ndarray:
    if not conditions:
        return look.shard.event
    if len(conditions) > MOST_CONDITIONS:
        raise UsageError(
            f"segment: {len(conditions)} different conditions in one sequence. Allowed: "
            f"{MOST_CONDITIONS}. Split it into several rules."
        )
    size = len(look.names) + 1
    codes = look.shard.event.astype(np.uint32)
    for place, where in enumerate(conditions):
        asked = {name: list(values) for name, values in where}
        hits = matching_rows(look.shard, asked, look.names)
        codes += hits.astype(np.uint32) * np.uint32(size << place)
    return codes


def _low(look: Look, within: str | None) -> int:
    return -int(passes.EVER) if within is None else look.at - duration_us(within)


def _rows_of(look: Look) -> tuple[np.ndarray, ...]:
    return look.shard.time, look.shard.offsets, look.shard.masks


def _matched(
    look: Look, match: Matching, within: str | None
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    codes, lut, needs = coded(look, [match])
    time, offsets, masks = _rows_of(look)
    hits = lut.astype(np.uint8)
    low = _low(look, within)
    return passes.matched(time, codes, offsets, masks, hits, needs[0], low, look.at)


def _between(number: np.ndarray, low: float | None, high: float | None) -> np.ndarray:
    kept = np.ones(len(number), np.bool_)
    if low is not None:
        kept &= number >= low
    if high is not None:
        kept &= number <= high
    return kept


def _did(look: Look, rule: Did) -> np.ndarray:
    return _between(_matched(look, rule.match, rule.within)[0], rule.at_least, rule.at_most)


def _before(look: Look, rule: Before) -> np.ndarray:
    codes, lut, needs = coded(look, [rule.first.match, rule.then.match])
    time, offsets, masks = _rows_of(look)
    least = np.array([rule.first.at_least, rule.then.at_least])
    low = np.array([_low(look, rule.first.within), _low(look, rule.then.within)])
    bits = lut.astype(np.uint8)
    return passes.ordered(time, codes, offsets, masks, bits, needs, least, low, look.at)


def _sequence(look: Look, rule: Steps) -> np.ndarray:
    codes, lut, needs = coded(look, rule.steps)
    time, offsets, masks = _rows_of(look)
    within = int(passes.EVER) if rule.within is None else duration_us(rule.within)
    return passes.chained(time, codes, offsets, masks, lut, needs, within, look.at)


def _holds(look: Look, rule: Holds) -> np.ndarray:
    asked = {rule.property: list(rule.values)}
    hit = matching_rows(look.shard, asked, look.names)
    column = look.shard.columns[rule.property]
    known = column.codes >= 0 if isinstance(column, TextColumn) else ~np.isnan(column.numbers)
    rows = hit if rule.which == EVER else known
    shown = rows & (look.shard.event < len(look.names))
    time, offsets, masks = _rows_of(look)
    everything, one = np.array([0, 1], np.uint8), np.uint64(2**64 - 1)
    low = -int(passes.EVER)
    count, first, last = passes.matched(
        time, shown.view(np.uint8), offsets, masks, everything, one, low, look.at
    )
    if rule.which == EVER:
        return count > 0
    row = first if rule.which == FIRST else last
    return (count > 0) & hit[row] if len(hit) else count > 0


def _since(look: Look, rule: Since) -> np.ndarray:
    count, first, last = _matched(look, rule.match, None)
    did = count > 0
    row = (first if rule.which == FIRST else last)[did]
    low, high = (None if end is None else duration_us(end) for end in (rule.at_least, rule.at_most))
    did[did] = _between(look.at - look.shard.time[row], low, high)
    return did


def _frequency(look: Look, rule: Frequency) -> np.ndarray:
    if rule.unit == "event":
        number = _matched(look, rule.match, rule.within)[0]
        return _between(number, rule.at_least, rule.at_most)
    codes, lut, needs = coded(look, [rule.match])
    time, offsets, masks = _rows_of(look)
    keys, size = _keys(look.shard, rule.unit)
    number = passes.distinct(
        time, codes, offsets, masks, lut.astype(np.uint8), needs[0], keys, size,
        _low(look, rule.within), look.at,
    )  # fmt: skip
    return _between(number, rule.at_least, rule.at_most)


def _keys(shard: Shard, unit: str) -> tuple[np.ndarray, int]:
    if unit == "session":
        column = shard.columns[SESSION]
        assert isinstance(column, TextColumn)  # sessions always are
        return column.codes, len(column.values)
    day = shard.time // US_PER_DAY
    start = int(day.min(initial=0))
    return (day - start).astype(np.int32), int(day.max(initial=start)) - start + 1


def _value(look: Look, rule: Value) -> np.ndarray:
    codes, lut, needs = coded(look, [rule.match])
    time, offsets, masks = _rows_of(look)
    column = look.shard.columns[rule.property]
    assert isinstance(column, NumberColumn)  # checked before
    sums, sizes = passes.summed(
        time, codes, offsets, masks, lut.astype(np.uint8), needs[0], column.numbers, MONEY_SCALE,
        _low(look, rule.within), look.at,
    )  # fmt: skip
    if (sizes >= 2.0**62).any():
        raise DataError(
            f"segment: the {rule.property!r} of a user is too large to add up. Leave such rows "
            "out first: log.where(...)."
        )
    low, high = (
        None if end is None else round(end * MONEY_SCALE) for end in (rule.at_least, rule.at_most)
    )
    return _between(sums, low, high)


def _abandoned(look: Look, rule: Abandoned) -> np.ndarray:
    codes, lut, needs = coded(look, [rule.match, rule.without])
    time, offsets, masks = _rows_of(look)
    wait, low = duration_us(rule.wait), _low(look, rule.within)
    bits = lut.astype(np.uint8)
    return passes.left(time, codes, offsets, masks, bits, needs[0], wait, rule.still, low, look.at)


_LEAVES: Final[dict[type[Rule], Callable[[Look, Any], np.ndarray]]] = {
    Did: _did,
    Before: _before,
    Steps: _sequence,
    Holds: _holds,
    Since: _since,
    Frequency: _frequency,
    Value: _value,
    Abandoned: _abandoned,
}
