"""Which users of a shard does a rule hold for, as of an instant?

`holds` answers with a boolean per user. Each leaf of a rule is one compiled loop (`kernels`) over
the rows strictly before the instant; ``&``, ``|`` and ``~`` are numpy on the masks. Conditions on
properties become event codes of their own (`coded`), so a loop compares codes only and every kind
of rule can have conditions.

The masks take names as given: `check_rule` asks first whether the log knows them.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Collection
from typing import Any, Final, NamedTuple

import numpy as np

from analysis.core import checks
from analysis.core.schema import (
    SESSION,
    US_PER_DAY,
    VALUE,
    DataError,
    UsageError,
    duration_us,
)
from analysis.eventlog import filters, money
from analysis.eventlog.filters import matching_rows, matching_values
from analysis.eventlog.log import EventLog
from analysis.eventlog.shard import NumberColumn, Shard, TextColumn, event_dtype
from analysis.segments import kernels
from analysis.segments.rules import (
    ANY_EVENT,
    FIRST,
    IS_IN,
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
    leaves,
)

EARLIEST: Final = -int(kernels.EVER)
"""Earlier than any instant of a log, in microseconds."""

MOST_CONDITIONS: Final = 8


class RuleContext(NamedTuple):
    """What a rule is evaluated on: a shard at an instant (microseconds, itself excluded).

    ``names`` are the log's events. ``masks`` are the shard's sets of events per user, empty for
    users whose answer does not matter any more.
    """

    shard: Shard
    names: tuple[str, ...]
    at: int
    masks: np.ndarray

    @classmethod
    def of(cls, log: EventLog, shard: Shard, instant: int) -> RuleContext:
        """All users of one of the log's shards."""
        return cls(shard, log.event_names, instant, shard.masks)

    def at_users(self, users: np.ndarray) -> RuleContext:
        """The same context for these users only (a boolean per user)."""
        return self._replace(masks=np.where(users, self.masks, np.uint64(0)))

    @property
    def rows(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        return self.shard.time, self.shard.offsets, self.masks

    def start_of(self, within: str | None) -> int:
        """From when on rows count that may lie `within` a duration before the instant."""
        return EARLIEST if within is None else self.at - duration_us(within)


def check_rule(log: EventLog, rule: Rule, what: str = "segment") -> None:
    """Refuse an event or property that the log does not know, before a row is read.

    Raises
    ------
    UsageError
        If an event or property is unknown, text is to be added up or compared by size, or several
        currencies are to be added up.
    """
    for leaf in leaves(rule):
        for match in _matches(leaf):
            for name in match.events:
                if name != ANY_EVENT:
                    checks.event_name(what, log, name)
            filters.check(dict(match.where), log, what)
        if isinstance(leaf, (Holds, Value)):
            checks.property_name(what, log, leaf.property)
        if isinstance(leaf, Holds):
            filters.check({leaf.property: leaf.values}, log, what)
        if isinstance(leaf, Value) and log.kinds[leaf.property] != "number":
            raise UsageError(
                f"{what}: value({leaf.property!r}), but {leaf.property!r} holds text. "
                "Allowed: a property of numbers."
            )
        if isinstance(leaf, Value) and leaf.property == VALUE:
            money.refuse_mixed(what, VALUE, _currencies(log, leaf.match))


def _currencies(log: EventLog, match: Matching) -> list[str]:
    """The currencies of the rows that a rule about value adds up."""
    if log.kinds.get(money.CURRENCY) != "text":
        return []
    groups = []
    for shard in log.shards:
        codes, lut, _ = coded(RuleContext.of(log, shard, int(kernels.EVER)), [match])
        groups.append(np.where(lut[codes] > 0, 0, -1))
    return money.currencies_by(log.shards, groups, 1, VALUE)[0]


def read_on(log: EventLog, rule: Rule) -> Rule:
    """The same rule, with what its comparisons mean on this log in the place of their text."""
    if isinstance(rule, (All, AnyOf)):
        return dataclasses.replace(rule, rules=tuple(read_on(log, part) for part in rule.rules))
    if isinstance(rule, Not):
        return Not(read_on(log, rule.rule))
    if isinstance(rule, Before):
        first, then = read_on(log, rule.first), read_on(log, rule.then)
        assert isinstance(first, Did)
        assert isinstance(then, Did)
        return Before(first, then)
    changed: dict[str, Any] = {}
    if isinstance(rule, Holds):
        changed["values"] = tuple(
            filters.check({rule.property: rule.values}, log, "segment")[rule.property]
        )
    if isinstance(rule, Sequence):
        changed["steps"] = tuple(_match_on(log, step) for step in rule.steps)
    for name in ("match", "without"):
        if hasattr(rule, name):
            changed[name] = _match_on(log, getattr(rule, name))
    return dataclasses.replace(rule, **changed)  # type: ignore[type-var]


def _match_on(log: EventLog, match: Matching) -> Matching:
    read = filters.check(dict(match.where), log, "segment")
    return Matching(match.events, tuple((name, tuple(values)) for name, values in read.items()))


def unseen_values(log: EventLog, rule: Rule) -> list[str]:
    """A sentence for each value in the rule's conditions that no event of the log has."""
    notes = []
    for leaf in leaves(rule):
        for match in _matches(leaf):
            notes += filters.unseen(dict(match.where), log)
        if isinstance(leaf, Holds):
            notes += filters.unseen({leaf.property: leaf.values}, log)
    return list(dict.fromkeys(notes))


def _matches(leaf: Rule) -> tuple[Matching, ...]:
    if isinstance(leaf, Sequence):
        return leaf.steps
    found = [getattr(leaf, name, None) for name in ("match", "without")]
    return tuple(match for match in found if match is not None)


def holds(context: RuleContext, rule: Rule) -> np.ndarray:
    """For which users of the shard does the rule hold at the instant? A boolean per user.

    Only the answers for users of the context have a meaning.
    """
    if isinstance(rule, All):
        kept = holds(context, rule.rules[0])
        for part in rule.rules[1:]:
            kept &= holds(context.at_users(kept), part)
        return kept
    if isinstance(rule, AnyOf):
        kept = holds(context, rule.rules[0])
        for part in rule.rules[1:]:
            kept |= holds(context.at_users(~kept), part)
        return kept
    if isinstance(rule, Not):
        return ~holds(context, rule.rule)
    return _LEAVES[type(rule)](context, rule)


def seen(context: RuleContext) -> np.ndarray:
    """Which users of the shard have any row before the instant? A boolean per user."""
    return scan(context, Matching((ANY_EVENT,)), kernels.found_first) >= 0


def scan(
    context: RuleContext,
    match: Matching,
    kernel: Any,
    *more: Any,
    within: str | None = None,
    since: int | None = None,
) -> Any:
    """What a kernel finds for one match, per user, in the rows before the instant.

    Parameters
    ----------
    kernel : one of `kernels`. more : its own arguments, which it takes before the bounds.
    within, since : from when on rows count: a duration before the instant, or an instant
        (microseconds); default: from the start.
    """
    codes, lut, needs = coded(context, [match])
    time, offsets, masks = context.rows
    rows = (time, codes, offsets, masks, lut.astype(np.uint8), needs[0])
    low = context.start_of(within) if since is None else since
    return kernel(*rows, *more, low, context.at)


def coded(
    context: RuleContext, matches: Collection[Matching]
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Codes of the rows, the matches of each code, and the events of each match.

    Returns
    -------
    (codes, lut, needs) : ``lut[codes[row]]`` is a set of bits, bit k for the k-th match;
        ``needs[k]`` the events that can match it, as in a shard's masks.
    """
    conditions = list(dict.fromkeys(match.where for match in matches if match.where))
    size = len(context.names) + 1
    lut = np.zeros(size << len(conditions), np.uint64)
    needs = np.zeros(len(matches), np.uint64)
    for k, match in enumerate(matches):
        bit = np.uint64(1) << np.uint64(k)
        # The codes of an event are its own plus `size` times the set of conditions that hold.
        sets = np.arange(1 << len(conditions))
        if match.where:
            sets = sets[sets >> conditions.index(match.where) & 1 == 1]
        for code, name in enumerate(context.names):
            if name in match.events or ANY_EVENT in match.events:
                needs[k] |= np.uint64(1) << np.uint64(code & 63)
                lut[sets * size + code] |= bit
    return _codes(context, conditions), lut, needs


def _codes(context: RuleContext, conditions: list[Any]) -> np.ndarray:
    shard = context.shard
    if not conditions:
        return shard.event
    if len(conditions) > MOST_CONDITIONS:
        raise UsageError(
            f"segment: {len(conditions)} different conditions in one sequence. Allowed: "
            f"{MOST_CONDITIONS}. Split it into several rules."
        )
    size = len(context.names) + 1
    kind = event_dtype(size << len(conditions)).type
    codes = shard.event.astype(kind)
    for place, where in enumerate(conditions):
        hits = matching_rows(shard, {name: list(cells) for name, cells in where}, context.names)
        codes += hits.astype(kind) * kind(size << place)
    return codes


def _did(context: RuleContext, rule: Did) -> np.ndarray:
    if rule.at_least == 1 and rule.at_most is None:
        return scan(context, rule.match, kernels.found_last, within=rule.within) >= 0
    count = scan(context, rule.match, kernels.counted, within=rule.within)
    return _between(count, rule.at_least, rule.at_most)


def _between(number: np.ndarray, low: float | None, high: float | None) -> np.ndarray:
    kept = np.ones(len(number), np.bool_)
    if low is not None:
        kept &= number >= low
    if high is not None:
        kept &= number <= high
    return kept


def _before(context: RuleContext, rule: Before) -> np.ndarray:
    codes, lut, needs = coded(context, [rule.first.match, rule.then.match])
    time, offsets, masks = context.rows
    least = np.array([rule.first.at_least, rule.then.at_least])
    low = np.array([context.start_of(rule.first.within), context.start_of(rule.then.within)])
    bits = lut.astype(np.uint8)
    return kernels.ordered(time, codes, offsets, masks, bits, needs, least, low, context.at)


def _sequence(context: RuleContext, rule: Sequence) -> np.ndarray:
    codes, lut, needs = coded(context, rule.steps)
    time, offsets, masks = context.rows
    within = int(kernels.EVER) if rule.within is None else duration_us(rule.within)
    return kernels.chained(time, codes, offsets, masks, lut, needs, within, context.at)


def _property(context: RuleContext, rule: Holds) -> np.ndarray:
    codes, hits, known = _values(context, rule)
    if rule.which == IS_IN:
        known = hits
    time, offsets, masks = context.rows
    find = kernels.found_first if rule.which == FIRST else kernels.found_last
    row = find(time, codes, offsets, masks, known, ~np.uint64(0), EARLIEST, context.at)
    # Of several values at that instant none is the first or the last: any of them will do.
    return kernels.any_at(time, codes, offsets, hits, row)


def _values(context: RuleContext, rule: Holds) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """A code per row, which codes have one of the values, and which have any value at all."""
    column = context.shard.columns[rule.property]
    shown = context.shard.event < len(context.names)
    if isinstance(column, NumberColumn):
        wanted = {rule.property: list(rule.values)}
        hits = matching_rows(context.shard, wanted, context.names)
        codes = np.where(shown & ~np.isnan(column.numbers), 1 + hits, 0).astype(np.uint8)
        return codes, np.array([0, 0, 1], np.uint8), np.array([0, 1, 1], np.uint8)
    codes = column.codes if shown.all() else np.where(shown, column.codes, -1)
    # One more entry, for the missing and the hidden: code −1 reads the last.
    hits = np.append(matching_values(column, rule.values), False).astype(np.uint8)
    known = np.ones(len(hits), np.uint8)
    known[-1] = 0
    return codes, hits, known


def _since(context: RuleContext, rule: Since) -> np.ndarray:
    find = kernels.found_first if rule.which == FIRST else kernels.found_last
    row = scan(context, rule.match, find)
    did = row >= 0
    low, high = (None if end is None else duration_us(end) for end in (rule.at_least, rule.at_most))
    did[did] = _between(context.at - context.shard.time[row[did]], low, high)
    return did


def _frequency(context: RuleContext, rule: Frequency) -> np.ndarray:
    if rule.unit == "session":
        number = sessions(context, rule.match, within=rule.within)
    elif rule.unit == "day":
        number = scan(context, rule.match, kernels.days, US_PER_DAY, within=rule.within)
    else:
        number = scan(context, rule.match, kernels.counted, within=rule.within)
    return _between(number, rule.at_least, rule.at_most)


def sessions(context: RuleContext, match: Matching, **bounds: Any) -> np.ndarray:
    """In how many sessions does each user match? `bounds` as of `scan`."""
    column = context.shard.columns[SESSION]
    assert isinstance(column, TextColumn)  # sessions always are
    return scan(context, match, kernels.sessions, column.codes, len(column.values), **bounds)


def _value(context: RuleContext, rule: Value) -> np.ndarray:
    column = context.shard.columns[rule.property]
    assert isinstance(column, NumberColumn)  # checked before
    sums = money.amounts(
        scan(context, rule.match, kernels.summed, column.numbers, within=rule.within)
    )
    if np.isnan(sums).any():
        raise DataError(
            f"segment: the {rule.property!r} of a user is too large to add up. Leave such rows "
            "out first: log.where(...)."
        )
    return _between(sums, rule.at_least, rule.at_most)


def _abandoned(context: RuleContext, rule: Abandoned) -> np.ndarray:
    codes, lut, needs = coded(context, [rule.match, rule.without])
    time, offsets, masks = context.rows
    rows = (time, codes, offsets, masks, lut.astype(np.uint8), needs[0])
    wait, low = duration_us(rule.wait), context.start_of(rule.within)
    return kernels.abandoned(*rows, wait, rule.still, low, context.at)


_LEAVES: Final[dict[type[Rule], Callable[[RuleContext, Any], np.ndarray]]] = {
    Did: _did,
    Before: _before,
    Sequence: _sequence,
    Holds: _property,
    Since: _since,
    Frequency: _frequency,
    Value: _value,
    Abandoned: _abandoned,
}
