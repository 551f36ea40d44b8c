"""Who are they? People picked by what they did, as of an instant that is always said.

A segment is a rule evaluated on a log at an instant. Only events strictly before the instant count,
and only people seen before it can be in, with negated rules too: people who came later are unknown
then, and "has not bought" would quietly mean "will not buy". The instant travels with the mask, and
every comparison of people by what they did later begins no earlier (`Segment.must_precede`).

`overlaps` asks how far several segments are the same filters.

What this module refuses to do: look past the instant, or past what the log covers; or lay segments
of different instants over each other, since people at different times are not one population.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any, Final

import numpy as np
import pandas as pd

from analysis.catalog import Catalog
from analysis.core import checks
from analysis.core.result import Result, small, suppress_parts
from analysis.core.schema import UsageError, instant_us, one_of, timestamp
from analysis.core.wording import count, isolate, isolate_within, label, listed, percent, share
from analysis.eventlog import filters, parallel
from analysis.eventlog.log import EventLog, look_ahead_warnings, must_know
from analysis.eventlog.shard import Shard
from analysis.segments.evaluate import (
    RuleContext,
    check_rule,
    holds,
    read_on,
    seen,
    unseen_values,
)
from analysis.segments.figures import upset
from analysis.segments.rules import Rule
from analysis.segments.written import as_rule, as_table, in_words
from analysis.statistics.rates import wilson


@dataclass(frozen=True, eq=False, repr=False, kw_only=True)
class Segment:
    """People of a log at an instant; made by `segment`, taken by `EventLog.in_segment`.

    Attributes
    ----------
    rule : what they have in common; None for people picked otherwise.
    at_us : the instant, in microseconds since 1970 UTC.
    by_shard : per shard of the log, which users are in it. seen_by_shard : which were seen by then.
    name : what it is called, if anything.
    """

    rule: Rule | None
    at_us: int
    by_shard: tuple[np.ndarray, ...]
    seen_by_shard: tuple[np.ndarray, ...]
    log: EventLog = field(repr=False)
    name: str | None = None
    warnings: tuple[str, ...] = ()

    @property
    def at(self) -> pd.Timestamp:
        """The instant (UTC) the rule was asked at; events from then on do not count."""
        return timestamp(self.at_us)

    @property
    def size(self) -> int:
        """How many people are in it."""
        return sum(int(own.sum()) for own in self.by_shard)

    @property
    def seen(self) -> int:
        """How many people the log had seen by then: those who could be in it."""
        return sum(int(own.sum()) for own in self.seen_by_shard)

    @cached_property
    def mask(self) -> np.ndarray:
        """A boolean per user, in the order of ``log.user_ids``; it cannot be written to."""
        found = filters.in_order(self.log.shards, len(self.log.event_names), self.by_shard)
        found.setflags(write=False)
        return found

    @cached_property
    def user_ids(self) -> pd.Index:
        """Ids of the people in it, in ascending order of their bytes."""
        return self.log.user_ids[self.mask]

    @property
    def users_by_shard(self) -> tuple[Any, ...]:
        """The ids that `by_shard` is about, as the log's shards hold them."""
        return tuple(shard.users for shard in self.log.shards)

    @property
    def parameters(self) -> dict[str, Any]:
        """Rule and instant as plain data."""
        rule = None if self.rule is None else as_table(self.rule)
        return {"name": self.name, "rule": rule, "at": self.at.isoformat()}

    def series(self) -> pd.Series:
        """A boolean per user, indexed by user: a mask that fits any view of the log."""
        found = pd.Series(self.mask, index=self.log.user_ids, name=self.name or "segment")
        found.attrs["at_us"] = self.at_us
        return found

    def everybody(self) -> Segment:
        """All people the log had seen by then: those who could be in it."""
        return replace(self, rule=None, by_shard=self.seen_by_shard, name="everybody")

    def must_precede(self, start: Any, what: str) -> None:
        """Refuse to be compared with something that begins before the segment's instant.

        Parameters
        ----------
        start : an instant. what : what begins there, for the message.

        Raises
        ------
        UsageError
            If `start` is before `at`: the rule would have looked into its future.
        """
        if instant_us(start, what) < self.at_us:
            raise UsageError(
                f"{what} starts at {pd.Timestamp(start)}, before the segment's at={self.at}: the "
                "rule would look into its future. Ask segment(log, rule, at=...) for that instant "
                "or an earlier one."
            )

    def sentence(self) -> str:
        """How many of those seen by then are in it, with the interval, and what they did."""
        n, k = self.seen, self.size
        if not n:
            return f"Nobody was seen before {self.at:%Y-%m-%d %H:%M} UTC."
        low, high = (float(end) for end in wilson(k, n))
        called = f"“{isolate(self.name)}”: " if self.name else ""
        words = "" if self.rule is None else f": {isolate_within(in_words(self.rule))}"
        return (
            f"{called}{share(k, n, k / n)} of the users seen before {self.at:%Y-%m-%d %H:%M} UTC "
            f"(95% interval {percent(low)} to {percent(high)}){words}."
        )

    def __repr__(self) -> str:
        called = f"{self.name!r}, " if self.name else ""
        return f"Segment({called}{self.size:,} of {self.seen:,} users, at {self.at})"

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray:
        return np.array(self.mask, dtype=dtype, copy=copy)


def segment(
    log: EventLog,
    rule: Rule | Mapping[str, Any] | str,
    *,
    at: Any = None,
    catalog: Catalog | None = None,
    name: str | None = None,
) -> Segment:
    """For whom does a rule hold, as of an instant?

    Parameters
    ----------
    log : see `analysis.core.checks`.
    rule : a rule, its table (``{"did": "purchase"}``), or with `catalog` the name of one there.
    at : only events strictly before this instant count, and only people seen before it are in;
        naive times are UTC; default: the end of what the log covers.
    name : what to call it; default: the name in the catalog.

    Returns
    -------
    Segment
        ``mask`` (a boolean per user in the order of ``log.user_ids``), ``at``, ``rule``, ``size``,
        ``sentence()``; ``log.in_segment`` takes it.

    Raises
    ------
    UsageError
        If the rule names an event or property that the log does not have, or `at` lies beyond
        what the log covers.

    Examples
    --------
    >>> from analysis.segments import did
    >>> log = EventLog.from_frame(pd.DataFrame({
    ...     "user": ["ann", "ann", "bob"], "event": ["cart", "purchase", "cart"],
    ...     "time": pd.to_datetime(["2026-01-01", "2026-01-03", "2026-01-02"])}))
    >>> left = segment(log, did("cart") & ~did("purchase"))
    >>> left.mask.tolist(), left.size, list(log.in_segment(left).user_ids)
    ([False, True], 1, ['bob'])
    >>> segment(log, did("cart") & ~did("purchase"), at="2026-01-02").mask.tolist()
    [True, False]
    """
    if isinstance(rule, str):
        known = catalog_segments(catalog) if catalog is not None else {}
        if not known:
            raise UsageError(
                f"segment: rule={rule!r} is a name, and no catalog with segments is given. "
                "Allowed: did(...), a table, or a name with catalog=..."
            )
        name, rule = name or rule, known[one_of("segment: rule", rule, known)]
    wanted = as_rule(rule)
    check_rule(log, wanted)
    instant, read = instant_of(log, at), read_on(log, wanted)

    def members(shard: Shard) -> tuple[np.ndarray, np.ndarray]:
        context = RuleContext.of(log, shard, instant)
        present = seen(context)
        return holds(context.at_users(present), read) & present, present

    parts = parallel.map_shards(log.shards, members)
    return Segment(
        rule=wanted,
        at_us=instant,
        by_shard=tuple(own for own, _ in parts),
        seen_by_shard=tuple(present for _, present in parts),
        log=log,
        name=name,
        warnings=tuple(unseen_values(log, wanted)),
    )


def catalog_segments(catalog: Catalog) -> dict[str, Rule]:
    """The rules of a catalog, by name.

    Raises
    ------
    UsageError
        If one of them is not a rule.

    Examples
    --------
    >>> from analysis.segments import did
    >>> shop = Catalog.load("data/catalogs/ecommerce.toml")
    >>> catalog_segments(shop)["subscribers"] == did("newsletter_sign_up")
    True
    """
    return {
        name: as_rule(entry["rule"], f"catalog {catalog.name!r}: segments.{name}.rule")
        for name, entry in catalog.segments.items()
    }


def instant_of(log: EventLog, at: Any, what: str = "segment") -> int:
    """The instant asked about, in microseconds; default: the end of what the log covers."""
    instant = log.covers_until_us if at is None else instant_us(at, f"{what}: at")
    if instant > log.covers_until_us:
        raise UsageError(
            f"{what}: at={at!r} is after what the log covers (until {log.covers_until}). "
            "Give an earlier instant, or import what came since."
        )
    must_know(log, instant, what)
    return instant


def picked(log: EventLog, mask: Any, *, at: Any, name: str | None = None) -> Segment:
    """People picked by other means than a rule, as a segment.

    Parameters
    ----------
    log : see `analysis.core.checks`.
    mask : as `EventLog.in_segment` takes it.
    at : from when on it was known who they are; a comparison by what they did later must begin no
        earlier. Naive times are UTC.

    Raises
    ------
    UsageError
        If the mask does not fit the log, or `at` lies beyond what the log covers.

    Examples
    --------
    >>> log = EventLog.from_frame(pd.DataFrame({
    ...     "user": ["ann", "bob"], "time": pd.to_datetime(["2026-01-01"] * 2), "event": "visit"}))
    >>> picked(log, [True, False], at="2026-01-02", name="panel")
    Segment('panel', 1 of 2 users, at 2026-01-02 00:00:00+00:00)
    """
    instant = instant_of(log, at)
    chosen = filters.chosen(log.shards, len(log.event_names), mask)
    present = _seen_by_shard(log, instant)
    return Segment(
        rule=None,
        at_us=instant,
        by_shard=tuple(own & here for own, here in zip(chosen, present, strict=True)),
        seen_by_shard=tuple(present),
        log=log,
        name=name,
    )


def _seen_by_shard(log: EventLog, instant: int) -> list[np.ndarray]:
    return parallel.map_shards(log.shards, lambda shard: seen(RuleContext.of(log, shard, instant)))


def as_segment(given: Any, what: str) -> Segment:
    """`given`, if it is a segment.

    Raises
    ------
    UsageError
        If it is a mask or a rule, which do not say an instant.
    """
    if not isinstance(given, Segment):
        raise UsageError(
            f"{what}: {type(given).__name__} is not a segment. Allowed: "
            "segment(log, rule, at=...), or picked(log, mask, at=...) for people picked otherwise."
        )
    return given


MOST_SETS: Final = 12


@dataclass(frozen=True, eq=False, kw_only=True)
class OverlapsResult(Result):
    """The answer of `overlaps`.

    ``table`` has a row per combination that occurs, largest first, people in no segment last:
    ``set_1`` … (a boolean per segment, in the order of `sets`), ``sets`` (their names), ``k`` of
    ``n`` people who are in these and in no other, ``rate, low, high``. The combinations are
    disjoint, so they add up to everybody; where one has fewer than `min_cell` people its numbers
    are NaN, and those of a second one with it.
    ``pairs`` has a row per pair: ``a``, ``b``, ``k`` people in both, ``jaccard`` (of those in
    either), and ``share_of_a``, ``share_of_b``; NaN where they would give a hidden number away.
    """

    sets: tuple[str, ...]
    pairs: pd.DataFrame

    def sentence(self) -> str:
        """How many people are in more than one segment, and the largest overlap."""
        several = self.table["sets"].map(len) > 1
        known = self.table[self.table["k"].notna()]
        own = known[several[known.index]]
        hidden = self.table.loc[several, "k"].isna().any()
        if not len(own):
            if hidden or not len(self.table):
                return "No combination of these segments has enough people to show."
            return "Nobody is in more than one of these segments."
        n = int(own["n"].iloc[0])
        k = int(own["k"].sum())
        low, high = (float(end) for end in wilson(k, n))
        top = own.iloc[int(own["k"].to_numpy().argmax())]
        names = listed([label(name) for name in top["sets"]])
        return (
            f"{'At least ' if hidden else ''}{share(k, n, k / n)} of the people are in more than "
            f"one segment (95% interval {percent(low)} to {percent(high)}); most of them in "
            f"{names}: {share(top['k'], n, top['rate'])}."
        )

    def figure(self) -> Any:
        """An UpSet figure: a row per combination, its segments as dots, its size as a bar."""
        inside = self.table["sets"].map(len) > 0
        return upset(self.table[inside], self.sets)


def overlaps(
    log: EventLog, segments: Mapping[str, Segment], *, min_cell: int = 5
) -> OverlapsResult:
    """Which people are in which of these segments at once?

    Parameters
    ----------
    log : the people counted are all that it shows before the instant; a view counts its own.
    segments : by name, 2 to 12, all of one instant.
    min_cell : see `analysis.core.checks`.

    Raises
    ------
    UsageError
        If the segments are of different instants, or too few or too many.

    Examples
    --------
    >>> from analysis.segments.rules import did
    >>> log = EventLog.from_frame(pd.DataFrame({
    ...     "user": ["ann", "ann", "bob", "cy"], "event": ["cart", "video", "cart", "visit"],
    ...     "time": pd.to_datetime(["2026-01-01"] * 4)}))
    >>> two = {name: segment(log, did(name)) for name in ("cart", "video")}
    >>> overlaps(log, two, min_cell=1).table[["sets", "k", "n"]].values.tolist()
    [[('cart',), 1.0, 3.0], [('cart', 'video'), 1.0, 3.0], [(), 1.0, 3.0]]
    """
    if not isinstance(segments, Mapping) or not 2 <= len(segments) <= MOST_SETS:
        raise UsageError(
            f"overlaps: {len(segments)} segments. Allowed: 2 to {MOST_SETS}, by name: "
            "{'carts': segment(log, ...), 'readers': segment(log, ...)}."
        )
    checks.min_cell("overlaps", min_cell)
    given = [as_segment(one, "overlaps") for one in segments.values()]
    first = given[0]
    for name, other in segments.items():
        if other.at_us != first.at_us:
            raise UsageError(
                f"overlaps: {name!r} is of {other.at}, the first one of {first.at}. Ask all of "
                "them at=... the same instant."
            )
    counts, n = _combinations(log, given)
    names = tuple(segments)
    whole, found = _overlaps_table(counts, names, n)
    table, hidden = suppress_parts(
        whole, min_cell=min_cell, size="k", total="n", columns=["k", "rate", "low", "high"]
    )
    own = dict.fromkeys(note for one in given for note in one.warnings)
    warnings = (*look_ahead_warnings(log, first.at_us), *own)
    if hidden.any():
        many = f"{count(int(hidden.sum()))} of {count(len(table))} combinations"
        warnings = (
            f"Hidden, so that no combination of fewer than {min_cell} people can be told: {many}.",
            *warnings,
        )
    return OverlapsResult(
        table=table,
        parameters={
            "segments": {name: one.parameters for name, one in segments.items()},
            "min_cell": min_cell,
        },
        warnings=warnings,
        sets=names,
        pairs=_pairs(counts, names, found[hidden], min_cell),
    )


def _combinations(log: EventLog, segments: list[Segment]) -> tuple[np.ndarray, int]:
    """How many people are in each combination (its segments as bits), and how many there are."""
    present = _seen_by_shard(log, segments[0].at_us)
    bits = [np.zeros(len(own), np.int64) for own in present]
    for place, one in enumerate(segments):
        chosen = filters.chosen(log.shards, len(log.event_names), one)
        for own, mine in zip(bits, chosen, strict=True):
            own |= mine.astype(np.int64) << place
    counts = np.zeros(1 << len(segments), np.int64)
    for own, here in zip(bits, present, strict=True):
        counts += np.bincount(own[here], minlength=len(counts))
    return counts, int(counts.sum())


def _overlaps_table(
    counts: np.ndarray, names: tuple[str, ...], n: int
) -> tuple[pd.DataFrame, np.ndarray]:
    """A row per combination that occurs, and its segments as bits."""
    found = np.flatnonzero(counts)
    # Largest first, those in none last; equal ones by their segments.
    order = sorted(found, key=lambda code: (code == 0, -counts[code], code))
    inside = {f"set_{i + 1}": [bool(code >> i & 1) for code in order] for i in range(len(names))}
    sets = [tuple(name for i, name in enumerate(names) if code >> i & 1) for code in order]
    table = pd.DataFrame(inside)
    table["sets"] = pd.Series(sets, dtype=object)
    table["k"] = counts[order].astype(float)
    table["n"] = float(n)
    table["rate"] = table["k"] / n if n else np.nan
    table["low"], table["high"] = wilson(table["k"], table["n"])
    return table, np.array(order, np.int64)


def _pairs(
    counts: np.ndarray, names: tuple[str, ...], hidden: np.ndarray, min_cell: int
) -> pd.DataFrame:
    """A row per pair of segments.

    A number of people is told if they are none or enough, and if it tells nothing about what is
    hidden: of the hidden combinations it adds up none, or all, whose sum is known from everybody.
    """
    codes = np.arange(len(counts))
    inside = [codes >> i & 1 == 1 for i in range(len(names))]

    def told(people: np.ndarray) -> float:
        number = int(counts[people].sum())
        tells = 0 < int(people[hidden].sum()) < len(hidden)
        return np.nan if tells or small(number, min_cell) else float(number)

    rows = []
    for i, one in enumerate(names):
        for j in range(i + 1, len(names)):
            both = told(inside[i] & inside[j])
            wholes = [told(own) for own in (inside[i] | inside[j], inside[i], inside[j])]
            rows.append((one, names[j], both, *(both / n if n else np.nan for n in wholes)))
    return pd.DataFrame(rows, columns=["a", "b", "k", "jaccard", "share_of_a", "share_of_b"])
