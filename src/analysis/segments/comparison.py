"""In what do two groups differ? Events, properties, funnel steps and times, with their uncertainty.

`compare_segments` collects the counts (`_event_counts`, `_property_counts`, `_funnel_counts`) and
the waits (`_wait_rows`) of both groups, tests each difference and judges all of them together.

The groups are compared by what comes from their instant on. What came before is what picked them,
and would differ whatever they are like: it is shown only when asked for by ``look_back=True``, and
then with a warning. People in both groups are left out, since one person cannot differ from itself.

What this module refuses to do: compare with what the rules have already seen without saying so,
show few people, or call a difference an effect of belonging to a group.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final, NamedTuple

import numpy as np
import pandas as pd

from analysis.core import checks
from analysis.core.result import Result, suppress
from analysis.core.schema import (
    MISSING,
    SOURCE_EVENT,
    UsageError,
    human_duration,
    instant_us,
    one_of,
    timestamp,
)
from analysis.core.wording import (
    UNDEFINED,
    count,
    isolate,
    points,
    q_equals,
    share,
    subject,
    tenths,
)
from analysis.eventlog import filters, parallel
from analysis.eventlog.groups import groups_of
from analysis.eventlog.log import EventLog, must_know
from analysis.eventlog.shard import NumberColumn, Shard
from analysis.funnels.result import funnel
from analysis.funnels.spec import Step
from analysis.plotting.intervals import share_differences
from analysis.plotting.theme import TOO_FEW
from analysis.segments import kernels
from analysis.segments.evaluate import EARLIEST, RuleContext, scan
from analysis.segments.result import Segment, as_segment
from analysis.segments.rules import Matching, properties_of
from analysis.statistics.rates import LATER, compare_shares, compare_waits, judged

KINDS: Final = ("event", "property", "funnel", "time")
MOST_VALUES: Final = 20

_NOT_CAUSED: Final = (
    "These groups were not drawn by lot: a difference says what goes with belonging to one, not "
    "what belonging to it does."
)
_CIRCULAR: Final = (
    "This looks back at what the rules of the groups have seen: what defines a group differs by "
    "construction."
)


@dataclass(frozen=True, eq=False, kw_only=True)
class ComparisonResult(Result):
    """The answer of `compare_segments`.

    ``table`` has a row per thing compared, the clearest first: ``kind`` (event, property, funnel,
    time), ``name``, ``value``; ``k_a`` of ``n_a`` people (``rate_a, low_a, high_a``) and the same
    of b; ``difference`` (a − b) with ``low, high``, in the unit of ``unit``: ``share`` (a
    fraction), or ``later`` (how much more often than every second time somebody of a waits longer
    than somebody of b); ``effect`` (Cohen's h, or Cliff's delta); ``p_value``, ``q_value`` and
    ``clear`` of chance. Where fewer than `min_cell` people are compared the numbers are NaN.
    """

    names: tuple[str, str]
    sizes: tuple[int, int]
    start: pd.Timestamp
    end: pd.Timestamp

    def sentence(self) -> str:
        """How many things differ clearly, and the largest of them."""
        known = self.table[self.table["p_value"].notna()]
        found = known[known["clear"].astype(bool)]
        a, b = map(isolate, self.names)
        groups = f"“{a}” ({count(self.sizes[0])} people) and “{b}” ({count(self.sizes[1])})"
        if not min(self.sizes):
            return f"{groups} cannot be compared: nobody is in one of them alone."
        compared = f"of {count(len(known))} things compared."
        if not len(found):
            return f"{groups} do not differ clearly in any {compared}"
        text = f"{groups} differ clearly in {count(len(found))} {compared}"
        own = found[found["unit"] == "share"]
        if not len(own):
            return text
        top = own.iloc[int(own["effect"].abs().to_numpy().argmax())]
        of_a, of_b = (share(top[f"k_{g}"], top[f"n_{g}"], top[f"rate_{g}"]) for g in "ab")
        return (
            f"{text} Most in “{subject(top['kind'], top['name'], top['value'])}”: {of_a} against "
            f"{of_b}, {points(top['difference'])} points (95% interval {points(top['low'])} to "
            f"{points(top['high'])}, {q_equals(top['q_value'])})."
        )

    def figure(self) -> Any:
        """The largest differences between the shares of the two groups, with intervals."""
        return share_differences(self.table, names=self.names)

    def readable(self, kind: str | None = None, *, most: int = 15) -> pd.DataFrame:
        """The clearest rows for people; `kind`: event, property, funnel or time, default: all.

        A wait is longer in the first group by so many points more often than every second time;
        its effect size is Cliff's delta, that of a share Cohen's h.
        """
        if kind is not None:
            one_of("comparison: kind", kind, KINDS)
        own = self.table if kind is None else self.table[self.table["kind"] == kind]
        return _readable(own, self.names, most=most)


def compare_segments(  # noqa: PLR0913
    log: EventLog,
    a: Segment,
    b: Segment | None = None,
    *,
    since: Any = None,
    until: Any = None,
    look_back: bool = False,
    properties: str | Sequence[str] | None = None,
    steps: Sequence[Any] | None = None,
    window: Any = "7d",
    most_false: float = 0.05,
    min_cell: int = 5,
) -> ComparisonResult:
    """In what do the people of two segments differ?

    Parameters
    ----------
    a, b : segments; b None: everybody else whom the log had seen by a's instant.
    since, until : the period that is looked at, `until` excluded; naive times are UTC. Default:
        from the later of the two instants to the end of what the log covers. A period that begins
        before the instants is refused.
    look_back : look at what came before the earlier of the two instants instead.
    properties : which to compare, by each person's last known value at the instant; default: all
        of text with at most 20 values.
    steps, window : a funnel as `funnel` takes it, entered in the period.
    most_false : the false discovery rate below which a difference is called clear.
    log, min_cell : see `analysis.core.checks`.

    Returns
    -------
    ComparisonResult

    Raises
    ------
    UsageError
        If the period begins before the segments' instants or is empty, or an argument is unknown.

    Notes
    -----
    Shares: Newcombe 1998, z or Fisher test. Times, among people who did it: Brunner & Munzel 2000.
    Benjamini & Hochberg 1995 over all rows of one call.

    Examples
    --------
    >>> from analysis.segments.result import segment
    >>> from analysis.segments.rules import did
    >>> from analysis.simulation.log import simulate
    >>> log = simulate(users=2_000).log
    >>> watched = segment(log, did("video_start"), at="2026-10-15")
    >>> found = compare_segments(log, watched)
    >>> sorted(set(found.table["kind"]))
    ['event', 'property', 'time']
    """
    checks.share("compare_segments: most_false", most_false)
    checks.min_cell("compare_segments", min_cell)
    compared = checks.names("compare_segments: properties", properties)
    for one in (a,) if b is None else (a, b):
        as_segment(one, "compare_segments")
    start, end, instant = _period(log, a, b, (since, until), look_back)
    groups, shared = _groups(log, a, b, (start, end, instant))
    valued, tied = _property_counts(groups, compared)
    rows = [compare_shares(_event_counts(groups)), compare_shares(valued)]
    if steps is not None:
        rows.append(compare_shares(_funnel_counts(groups, steps, window)))
    rows.append(_wait_rows(groups, look_back))
    table = pd.concat([part for part in rows if len(part)], ignore_index=True)
    table, hidden = _without_few(judged(table, most_false), min_cell)
    order = np.lexsort((-table["effect"].abs().fillna(0), table["q_value"].fillna(2)))
    return ComparisonResult(
        table=table.iloc[order].reset_index(drop=True),
        parameters={
            "a": a.parameters,
            "b": None if b is None else b.parameters,
            "since": timestamp(start).isoformat() if start > EARLIEST else None,
            "until": timestamp(end).isoformat(),
            "look_back": look_back,
            "properties": compared,
            "steps": _plain(steps),
            "window": str(window),
            "most_false": most_false,
            "min_cell": min_cell,
            "tied": {name: share for name, (_, share) in tied.items()},
        },
        warnings=(
            *_warnings(groups, shared, hidden, min_cell, look_back),
            *(note for note, _ in tied.values()),
            *_by_construction(table, a, b),
            *dict.fromkeys([*a.warnings, *(() if b is None else b.warnings)]),
        ),
        names=(a.name or "a", "everybody else" if b is None else b.name or "b"),
        sizes=groups.sizes,
        start=timestamp(max(start, _first_time(log))),
        end=timestamp(end),
    )


def _period(
    log: EventLog, a: Segment, b: Segment | None, asked: tuple[Any, Any], look_back: bool
) -> tuple[int, int, int]:
    """Start, end and the instant at which both are known, in microseconds."""
    instants = [a.at_us] if b is None else [a.at_us, b.at_us]
    low = None if asked[0] is None else instant_us(asked[0], "compare_segments: since")
    high = None if asked[1] is None else instant_us(asked[1], "compare_segments: until")
    if look_back:
        end = min(instants) if high is None else min(high, *instants)
        start = EARLIEST if low is None else low
    else:
        start = max(instants) if low is None else low
        for one in (a, b):
            if one is not None:
                one.must_precede(timestamp(start), "compare_segments: since")
        must_know(log, start, "compare_segments: since")
        end = log.covers_until_us if high is None else min(high, log.covers_until_us)
    if end <= start:
        why = (
            "looking back ends at the segments' instant. Give an earlier since="
            if look_back
            else "the period ends at until=, or with the log. Ask segment(log, rule, at=...) for "
            "an earlier instant, or look_back=True to compare what picked them"
        )
        raise UsageError(
            f"compare_segments: nothing lies between {timestamp(start)} and {timestamp(end)}: "
            f"{why}."
        )
    return start, end, max(instants)


class TwoGroups(NamedTuple):
    """Per shard which users are in a and which in b, the period, and when both were known.

    Instants are microseconds; the end is excluded.
    """

    log: EventLog
    a: list[np.ndarray]
    b: list[np.ndarray]
    start: int
    end: int
    instant: int

    @property
    def sizes(self) -> tuple[int, int]:
        """How many people are in each."""
        a, b = (sum(int(own.sum()) for own in group) for group in (self.a, self.b))
        return a, b

    def over(self, run: Any) -> list[Any]:
        """`run` of each shard with the people of both groups in it."""
        parts = list(zip(self.log.shards, self.a, self.b, strict=True))
        return parallel.map_shards(parts, lambda part: run(*part))


def _groups(
    log: EventLog, a: Segment, b: Segment | None, bounds: tuple[int, int, int]
) -> tuple[TwoGroups, int]:
    """The two groups without the people in both, and how many these are."""
    names = len(log.event_names)
    own = filters.chosen(log.shards, names, a)
    if b is None:
        seen = filters.chosen(log.shards, names, a.everybody())
        other = [there & ~mine for there, mine in zip(seen, own, strict=True)]
    else:
        other = filters.chosen(log.shards, names, b)
    both = [one & two for one, two in zip(own, other, strict=True)]
    start, end, instant = bounds
    groups = TwoGroups(
        log=log,
        a=[one & ~shared for one, shared in zip(own, both, strict=True)],
        b=[one & ~shared for one, shared in zip(other, both, strict=True)],
        start=start,
        end=end,
        instant=instant,
    )
    return groups, sum(int(shared.sum()) for shared in both)


def _event_counts(groups: TwoGroups) -> pd.DataFrame:
    """How many of each group did each event in the period?"""
    names, n = groups.log.event_names, groups.sizes

    def did_it(shard: Shard, a: np.ndarray, b: np.ndarray) -> np.ndarray:
        rows = (shard.time, shard.event, shard.offsets, len(names))
        done = kernels.tallied(*rows, groups.start, groups.end) > 0
        return np.stack([done[a].sum(axis=0), done[b].sum(axis=0)])

    counts = sum(groups.over(did_it), np.zeros((2, len(names)), np.int64))
    table = pd.DataFrame({"kind": "event", "name": names, "value": ""})
    return table.assign(k_a=counts[0], n_a=n[0], k_b=counts[1], n_b=n[1])


def _property_counts(
    groups: TwoGroups, properties: Sequence[str] | None
) -> tuple[pd.DataFrame, dict[str, tuple[str, float]]]:
    """How many of each group had each value of a property, as last known at the instant?

    Also, per property in which people had several values at that instant: the caveat, and their
    share of all people.
    """
    log, n = groups.log, groups.sizes
    tied: dict[str, tuple[str, float]] = {}
    for name in properties or ():
        checks.property_name("compare_segments", log, name)
    # An event's name before the import says nothing about people.
    texts = [n for n in log.properties if log.kinds[n] == "text" and n != SOURCE_EVENT]
    rows: list[dict[str, Any]] = []
    for name in texts if properties is None else properties:
        counts, several = _last_values(groups, name)
        if properties is None and len(counts) > MOST_VALUES:
            continue
        if several:
            of_all = share(several, sum(n), several / sum(n))
            tied[name] = (
                f"{of_all} of the people had several values of {name!r} at the last instant: "
                "the one that arrived last counts.",
                several / sum(n),
            )
        for value in sorted(counts):
            a, b = counts[value]
            rows.append({"kind": "property", "name": name, "value": value, "k_a": a, "k_b": b})
    table = pd.DataFrame(rows, columns=["kind", "name", "value", "k_a", "k_b"])
    return table.assign(n_a=n[0], n_b=n[1]), tied


def _last_values(groups: TwoGroups, name: str) -> tuple[dict[str, tuple[int, int]], int]:
    """People of each group by their last known value; people without one are ``(missing)``.

    Also how many people had another value at the same instant.
    """

    def last_known(shard: Shard, a: np.ndarray, b: np.ndarray) -> tuple[np.ndarray, int]:
        context = RuleContext.of(groups.log, shard, groups.instant).at_users(a | b)
        column = shard.columns[name]
        cells = column.numbers if isinstance(column, NumberColumn) else column.codes
        shown = shard.event < len(groups.log.event_names)
        known = shown & (~np.isnan(cells) if isinstance(column, NumberColumn) else cells >= 0)
        lut = np.array([0, 1], np.uint8)
        rows = (shard.time, known.view(np.uint8), shard.offsets)
        row = kernels.found_last(*rows, context.masks, lut, ~np.uint64(0), EARLIEST, context.at)
        last = np.where(row < 0, 0, row).repeat(np.diff(shard.offsets))
        others = known & (cells != cells[last]) if len(cells) else known
        return row, int(
            kernels.any_at(shard.time, others.view(np.uint8), *rows[2:], lut, row).sum()
        )

    found, several = zip(*groups.over(last_known), strict=True)
    rows = [row[row >= 0] for row in found]
    values = groups_of(groups.log.shards, rows, [name])
    counts = np.zeros((2, len(values.names)), np.int64)
    for row, codes, *members in zip(found, values.codes, groups.a, groups.b, strict=True):
        for which, own in enumerate(members):
            counts[which] += np.bincount(codes[own[row >= 0]], minlength=len(values.names))
    named = {str(v): (int(a), int(b)) for v, a, b in zip(values.names, *counts, strict=True)}
    missing = [n - int(own.sum()) for n, own in zip(groups.sizes, counts, strict=True)]
    if any(missing):
        named[MISSING] = (missing[0], missing[1])
    return named, sum(several)


def _funnel_counts(groups: TwoGroups, steps: Sequence[Any], window: Any) -> pd.DataFrame:
    """How many of each group that reached a step reached the next? Entries in the period."""
    low = None if groups.start <= EARLIEST else timestamp(groups.start)
    tables = []
    for own in (groups.a, groups.b):
        people = Segment(
            rule=None,
            at_us=groups.instant,
            by_shard=tuple(own),
            seen_by_shard=tuple(own),
            log=groups.log,
        )
        view = groups.log.in_segment(people)
        table = funnel(view, steps, window=window, entered=(low, timestamp(groups.end))).table
        tables.append(table[table["step"] > 1].reset_index(drop=True))
    a, b = tables
    numbers = [f"step {step}" for step in a["step"]]
    table = pd.DataFrame({"kind": "funnel", "name": a["event"], "value": numbers})
    columns = {"k_a": a["k"], "n_a": a["n_previous"], "k_b": b["k"], "n_b": b["n_previous"]}
    return table.assign(**columns)


def _wait_rows(groups: TwoGroups, look_back: bool) -> pd.DataFrame:
    """Who waits longer until they first do each event? Among people who do it in the period.

    Looking back it is the time since they last did it.
    """
    find = kernels.found_last if look_back else kernels.found_first
    edge = groups.end if look_back else groups.start

    def waits_of(name: str) -> dict[str, object]:
        def of_shard(shard: Shard, a: np.ndarray, b: np.ndarray) -> list[np.ndarray]:
            context = RuleContext.of(groups.log, shard, groups.end).at_users(a | b)
            row = scan(context, Matching((name,)), find, since=groups.start)
            return [np.abs(shard.time[row[own & (row >= 0)]] - edge) for own in (a, b)]

        parts = groups.over(of_shard)
        return compare_waits(name, *(np.concatenate(own) for own in zip(*parts, strict=True)))

    table = pd.DataFrame([waits_of(name) for name in groups.log.event_names])
    return table[(table["k_a"] > 0) | (table["k_b"] > 0)] if len(table) else table


def _without_few(table: pd.DataFrame, min_cell: int) -> tuple[pd.DataFrame, int]:
    """The table without the numbers of few people, and how many rows lost them."""
    numbers = [
        name for name in table.columns if name not in ("kind", "name", "value", "unit", "clear")
    ]
    table = table.astype(dict.fromkeys(numbers, float))
    table, hidden = suppress(table, min_cell=min_cell, counts=["n_a", "n_b"], columns=numbers)
    table.loc[hidden, "clear"] = False
    return table, int(hidden.sum())


def _plain(steps: Sequence[Any] | None) -> list[Any] | None:
    if steps is None:
        return None
    return [step.plain() if isinstance(step, Step) else step for step in steps]


def _first_time(log: EventLog) -> int:
    return min((int(shard.time.min()) for shard in log.shards if shard.rows), default=0)


def _warnings(
    groups: TwoGroups, shared: int, hidden: int, min_cell: int, look_back: bool
) -> tuple[str, ...]:
    notes = [_CIRCULAR if look_back else _NOT_CAUSED]
    if shared:
        notes.append(f"{count(shared)} people are in both groups and left out of both.")
    if hidden:
        notes.append(
            f"Hidden, of fewer than {min_cell} people: {count(hidden)} of the comparisons."
        )
    if not look_back:
        length = human_duration(groups.end - groups.start)
        notes.append(f"Looked at: the {length} from {timestamp(groups.start):%Y-%m-%d %H:%M} UTC.")
    return tuple(notes)


def _by_construction(table: pd.DataFrame, a: Segment, b: Segment | None) -> list[str]:
    rules = [one.rule for one in (a, b) if one is not None and one.rule is not None]
    asked = {name for rule in rules for name in properties_of(rule)}
    compared = set(table.loc[table["kind"] == "property", "name"])
    return [
        f"The rules look at {name!r}, so it differs by construction."
        for name in sorted(asked & compared)
    ]


def _readable(table: pd.DataFrame, names: tuple[str, str], *, most: int) -> pd.DataFrame:
    """The clearest rows as text.

    Examples
    --------
    >>> rows = pd.DataFrame({
    ...     "kind": ["time"], "name": ["cart"], "value": [""], "unit": ["later"], "k_a": [20],
    ...     "n_a": [20], "k_b": [30], "n_b": [30], "rate_a": [None], "rate_b": [None],
    ...     "median_days_a": [2.0], "median_days_b": [5.5], "difference": [-0.2], "low": [-0.3],
    ...     "high": [-0.1], "effect": [-0.4], "q_value": [0.004]})
    >>> _readable(rows, ("carts", "readers"), most=10).iloc[0].to_list()
    ['time', '2.0 (20 people)', '5.5 (30 people)', '−20.0 points \
(95% −30.0 to −10.0)', '−0.40 (delta)', 'q = 0.004']
    """
    one, two = names
    titles = ["what differs", "kind", one, two if two != one else f"{two} (second)"]
    titles += ["difference", "effect size", "chance"]
    rows = [_row_as_text(row) for row in table.head(most).itertuples()]
    return pd.DataFrame(rows, columns=titles, dtype=str).set_index(titles[0])


def _row_as_text(row: Any) -> list[str]:
    of_waits = row.unit == LATER
    what = subject(row.kind, row.name, row.value)
    sentences = [f"days until {what}" if of_waits else what, row.kind]
    if pd.isna(row.k_a):
        return [*sentences, TOO_FEW, TOO_FEW, UNDEFINED, UNDEFINED, UNDEFINED]
    for group in "ab":
        k, n = getattr(row, f"k_{group}"), getattr(row, f"n_{group}")
        if of_waits:
            middle = getattr(row, f"median_days_{group}")
            sentences.append(f"{tenths(middle)} ({count(k)} people)" if k else "nobody")
        else:
            sentences.append(share(k, n, getattr(row, f"rate_{group}")) if n else "nobody")
    if pd.isna(row.difference):
        return [*sentences, UNDEFINED, UNDEFINED, UNDEFINED]
    interval = f" (95% {points(row.low)} to {points(row.high)})" if row.low == row.low else ""
    effect = f"{row.effect:+.2f}".replace("-", "−") + (" (delta)" if of_waits else " (h)")
    sure = UNDEFINED if pd.isna(row.q_value) else q_equals(row.q_value)
    return [*sentences, f"{points(row.difference)} points{interval}", effect, sure]
