"""Who of a shard's users keeps a rule at an instant? Each leaf is one pass, joints are numpy.

A leaf asks a pass of `passes.segments` about the rows strictly before the instant. Conditions on
properties become event codes of their own (`coded`), so that a pass knows names only and every
rule can have them. Names are taken as checked (`segment_checks`).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Final, NamedTuple

import numpy as np

from analysis.core import checks
from analysis.core.schema import (
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
from analysis.eventlog.filters import matching_rows, matching_values
from analysis.eventlog.log import EventLog
from analysis.eventlog.shard import NumberColumn, Shard, TextColumn, event_dtype
from analysis.segments import kernels as passes
from analysis.segments.rules import (
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
from analysis.segments.rules import Sequence as Sequence_segment_checks
from analysis.segments.rules import Sequence as Steps

# ──── segment_people


MOST_CONDITIONS: Final = 8


class Look(NamedTuple):
    """A shard, the log's event names, the instant (microseconds), and whom it is still about.

    `masks` are the shard's, and empty for users whose answer does not matter any more.
    """

    shard: Shard
    names: tuple[str, ...]
    at: int
    masks: np.ndarray

    def at_users(self, users: np.ndarray) -> Look:
        """The same look at these users only (a boolean per user)."""
        return self._replace(masks=np.where(users, self.masks, np.uint64(0)))


def keeps(look: Look, rule: Rule) -> np.ndarray:
    """A boolean per user of the shard: does the user keep the rule at the instant?

    Only the answers of users that the look is about have a meaning.
    """
    if isinstance(rule, All):
        kept = keeps(look, rule.rules[0])
        for part in rule.rules[1:]:
            kept &= keeps(look.at_users(kept), part)
        return kept
    if isinstance(rule, AnyOf):
        kept = keeps(look, rule.rules[0])
        for part in rule.rules[1:]:
            kept |= keeps(look.at_users(~kept), part)
        return kept
    if isinstance(rule, Not):
        return ~keeps(look, rule.rule)
    return _LEAVES[type(rule)](look, rule)


def there(look: Look) -> np.ndarray:
    """A boolean per user of the shard: was anything of them seen before the instant?"""
    return asked(look, Matching((ANY_EVENT,)), passes.found_first) >= 0


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
    kind = event_dtype(size << len(conditions)).type
    codes = look.shard.event.astype(kind)
    for place, where in enumerate(conditions):
        conditions_of = {name: list(values) for name, values in where}
        hits = matching_rows(look.shard, conditions_of, look.names)
        codes += hits.astype(kind) * kind(size << place)
    return codes


def _low(look: Look, within: str | None) -> int:
    return -int(passes.EVER) if within is None else look.at - duration_us(within)


def _rows_of(look: Look) -> tuple[np.ndarray, ...]:
    return look.shard.time, look.shard.offsets, look.masks


def asked(
    look: Look,
    match: Matching,
    run: Any,
    *more: Any,
    within: str | None = None,
    since: int | None = None,
) -> Any:
    """What a pass of `passes.segments` finds for one match, up to the instant.

    Parameters
    ----------
    more : what the pass takes before its bounds. within, since : from when on rows count, as a
    duration before the instant, or as an instant of its own; default: from the start.
    """
    codes, lut, needs = coded(look, [match])
    time, offsets, masks = _rows_of(look)
    rows = (time, codes, offsets, masks, lut.astype(np.uint8), needs[0])
    low = _low(look, within) if since is None else since
    return run(*rows, *more, low, look.at)


def _between(number: np.ndarray, low: float | None, high: float | None) -> np.ndarray:
    kept = np.ones(len(number), np.bool_)
    if low is not None:
        kept &= number >= low
    if high is not None:
        kept &= number <= high
    return kept


def _did(look: Look, rule: Did) -> np.ndarray:
    if rule.at_least == 1 and rule.at_most is None:
        return asked(look, rule.match, passes.found_last, within=rule.within) >= 0
    count = asked(look, rule.match, passes.counted, within=rule.within)
    return _between(count, rule.at_least, rule.at_most)


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
    codes, hits, known = _cells(look, rule)
    if rule.which == EVER:
        known = hits
    time, offsets, masks = _rows_of(look)
    find = passes.found_first if rule.which == FIRST else passes.found_last
    row = find(time, codes, offsets, masks, known, ~np.uint64(0), -int(passes.EVER), look.at)
    kept = row >= 0
    kept[kept] = hits[codes[row[kept]]] > 0
    return kept


def _cells(look: Look, rule: Holds) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """A code per row, which codes have one of the values, and which have any value at all."""
    column = look.shard.columns[rule.property]
    shown = look.shard.event < len(look.names)
    if isinstance(column, NumberColumn):
        wanted = {rule.property: list(rule.values)}
        hits = matching_rows(look.shard, wanted, look.names)
        codes = np.where(shown & ~np.isnan(column.numbers), 1 + hits, 0).astype(np.uint8)
        return codes, np.array([0, 0, 1], np.uint8), np.array([0, 1, 1], np.uint8)
    codes = column.codes if shown.all() else np.where(shown, column.codes, -1)
    # One more entry, for the missing and the hidden: code −1 reads the last.
    hits = np.append(matching_values(column, rule.values), False).astype(np.uint8)
    known = np.ones(len(hits), np.uint8)
    known[-1] = 0
    return codes, hits, known


def _since(look: Look, rule: Since) -> np.ndarray:
    find = passes.found_first if rule.which == FIRST else passes.found_last
    row = asked(look, rule.match, find)
    did = row >= 0
    low, high = (None if end is None else duration_us(end) for end in (rule.at_least, rule.at_most))
    did[did] = _between(look.at - look.shard.time[row[did]], low, high)
    return did


def _frequency(look: Look, rule: Frequency) -> np.ndarray:
    run: Any = passes.counted
    more: tuple[Any, ...] = ()
    if rule.unit == "day":
        run, more = passes.days, (US_PER_DAY,)
    elif rule.unit == "session":
        column = look.shard.columns[SESSION]
        assert isinstance(column, TextColumn)  # sessions always are
        run, more = passes.sessions, (column.codes, len(column.values))
    number = asked(look, rule.match, run, *more, within=rule.within)
    return _between(number, rule.at_least, rule.at_most)


def _value(look: Look, rule: Value) -> np.ndarray:
    column = look.shard.columns[rule.property]
    assert isinstance(column, NumberColumn)  # checked before
    more = (column.numbers, MONEY_SCALE)
    sums, sizes = asked(look, rule.match, passes.summed, *more, within=rule.within)
    if (sizes >= 2.0**62).any():
        raise DataError(
            f"segment: the {rule.property!r} of a user is too large to add up. Leave such rows "
            "out first: log.where(...)."
        )
    ends = (rule.at_least, rule.at_most)
    return _between(sums, *(None if end is None else round(end * MONEY_SCALE) for end in ends))


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


# ──── segment_checks
#
# Does the log know what a rule speaks of? Asked before a single row is read.


def check_rule(log: EventLog, rule: Rule, what: str = "segment") -> None:
    """Raise a `UsageError` for an event or property that the log does not know."""
    for leaf in leaves(rule):
        for match in _matches(leaf):
            _check_match(log, match, what)
        if isinstance(leaf, (Holds, Value)):
            checks.property_name(what, log, leaf.property)
        if isinstance(leaf, Value) and log.kinds[leaf.property] != "number":
            raise UsageError(
                f"{what}: value({leaf.property!r}), but {leaf.property!r} holds text. "
                "Allowed: a property of numbers."
            )


def _matches(leaf: Rule) -> tuple[Matching, ...]:
    if isinstance(leaf, Sequence_segment_checks):
        return leaf.steps
    found = [getattr(leaf, name, None) for name in ("match", "without")]
    return tuple(match for match in found if match is not None)


def _check_match(log: EventLog, match: Matching, what: str) -> None:
    for name in match.events:
        if name != ANY_EVENT and name not in log.event_names:
            raise UsageError(
                f"{what}: {name!r} is not an event of this "
                f"log.{did_you_mean(name, log.event_names)} "
                f"{len(log.event_names)} events: log.summary()"
            )
    for name, _ in match.where:
        if name not in (EVENT, USER):
            checks.property_name(what, log, name)
