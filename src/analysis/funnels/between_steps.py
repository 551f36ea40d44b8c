"""What do people do on the way? Steps that hide in a funnel, and small actions beside it.

`hidden_steps` compares, for each pair of neighboring steps, the people who went on from the first
to the second with the people who stopped there. An event that most of the former did on the way and
most of the latter did not, although they had the time, may be a step that the funnel does not
show: a form, a page, a choice.

`micro_shares` counts which small actions were done by those who entered, and how many of these
converted. Everybody has the same time: the action counts if it was done in the period, before or
after the conversion, and the conversion if it came within the window. Counting only actions before
the conversion would give those who convert less time for them, and make every action look harmful.

What this module refuses to do: say that an event makes people go on or convert. People who go on
stay longer and do more of everything, and people who want to buy do too; the comparison is an
association and is called one. Whether an action makes them buy is a question that takes a control.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from itertools import pairwise
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from analysis.catalog import Catalog
from analysis.core import checks
from analysis.core.periods import Period, period_of
from analysis.core.result import Result, records, small
from analysis.core.schema import US_PER_SECOND, UsageError, human_duration, instant_us
from analysis.core.wording import count, label, listed, points, share
from analysis.eventlog import parallel
from analysis.eventlog.log import EventLog, look_ahead_warnings
from analysis.eventlog.shard import Shard
from analysis.funnels import kernels
from analysis.funnels.chains import ShardChains
from analysis.funnels.compare import FALSE_DISCOVERIES
from analysis.funnels.figures_steps import hidden_dots, micro_bars
from analysis.funnels.result import funnel
from analysis.funnels.search.blocks import NOT_DONE
from analysis.funnels.spec import ANY_EVENT, Step
from analysis.statistics.rates import newcombe, q_values, shares, two_proportions, wilson

MOST_OF_THEM = 0.5
"""A hidden step was done by more of the people who went on, and by fewer who stopped."""

_HIDDEN_ASSOCIATION = (
    "People who go on stay longer and do more of everything. What they did and others did not goes "
    "together with going on; whether it makes anyone go on takes an experiment."
)


@dataclass(frozen=True, eq=False, kw_only=True)
class HiddenStepsResult(Result):
    """The answer of `hidden_steps`.

    ``table`` has up to ``top`` rows per pair of steps, the best candidate first:

    - ``step`` (the first one's number), ``from_event, to_event`` (the steps' names), ``event``,
    - ``k`` of the ``n`` users who went on did it in between (``rate, low, high``),
    - ``stopped_k`` of the ``stopped_n`` who stopped did it in the first ``within_seconds``
      (``stopped_rate, stopped_low, stopped_high``), and ``early_k`` of the ``n`` who went on did
      it in that time too (``early_rate, early_low, early_high``),
    - ``difference, difference_low, difference_high`` of ``rate`` and ``stopped_rate``,
      ``p_value, q_value``,
    - ``hidden``: most people who went on did it, most who stopped did not.
    """

    steps: tuple[Step, ...]
    tested: int

    def sentence(self) -> str:
        """The hidden step of every pair that has one, with both shares and their difference."""
        found = self.table[self.table["hidden"]]
        if not len(found):
            first, last = self.steps[0].name, self.steps[-1].name
            return (
                f"No step hides between {label(first)} and {label(last)}: none of "
                f"{count(self.tested)} candidates was done by most who went on and left out by "
                "most who stopped."
            )
        return " ".join(_hidden_sentence(row) for row in records(found.drop_duplicates("step")))

    def figure(self) -> Any:
        """Per candidate the share of the people who went on, and of those who stopped."""
        return hidden_dots(self.table)


def hidden_steps(
    log: EventLog, steps: Sequence[Any], *, window: Any = "7d", top: int = 5
) -> HiddenStepsResult:
    """Is there an event between two steps that people who go on do, and people who stop do not?

    Parameters
    ----------
    steps, window : a funnel, as `funnel` takes it; at least two steps. Optional steps are no
        neighbors: they may be what hides.
    top : how many candidates to show per pair of steps.

    Returns
    -------
    HiddenStepsResult
        A candidate is every event of the log that is in neither step of a pair and that anybody did
        there, other steps of the funnel included. Candidates are ranked by the lower limit of
        the difference.

    Raises
    ------
    UsageError
        If an event or argument is unknown or out of range, or there are fewer than two steps.
    DataError
        If the log is empty.

    Notes
    -----
    The users are those of the funnel's rates: their best chains among mature entries. Of people who
    went on counts what they did strictly between the instants of the two steps. People who stopped
    get equal time: their clock starts at the first step of the pair and is cut at the median wait
    of the people who went on, because the longer one looks the more anybody has done. Users who
    stopped so late that the log ends before this clock does are left out. Half of the people who
    went on had more time than that, some perhaps days; so a second comparison (``early_k``) cuts
    their clock too, at the same median or at the next step, whichever is earlier. In it they never
    have more time than people who stopped, and what people do at any time cannot look like a step.

    Difference: Newcombe 1998, *Stat Med* 17:873, method 10, from the Wilson limits l, u of both
    rates: ``d − sqrt((p₁−l₁)² + (u₂−p₂)²)`` to ``d + sqrt((u₁−p₁)² + (p₂−l₂)²)``. p: score test
    with pooled variance, two-sided. q: Benjamini & Hochberg 1995, *JRSS B* 57:289, over all
    candidates of all pairs. A candidate is called hidden if the rate of the people who went on lies
    above one half and that of the people who stopped below, both with their whole interval,
    q < 0.05, and the interval of the second comparison's difference lies above zero.

    Examples
    --------
    >>> rows = [(f"u{i}", 0, "cart") for i in range(60)]
    >>> rows += [(f"u{i}", 5, "form") for i in range(40)]
    >>> rows += [(f"u{i}", 9, "buy") for i in range(38)]
    >>> frame = pd.DataFrame(rows, columns=["user", "time", "event"])
    >>> log = EventLog.from_frame(frame.assign(
    ...     time=pd.Timestamp("2026-01-01") + pd.to_timedelta(frame.time, "min")),
    ...     covers_until="2026-02-01")
    >>> hidden_steps(log, ["cart", "buy"]).table[["event", "k", "n", "stopped_k", "stopped_n"]]
      event   k   n  stopped_k  stopped_n
    0  form  38  38          2         22
    """
    log = log.until_end()
    checks.whole("hidden_steps: top", top, least=1)
    found = funnel(log, steps, window=window)
    asked = found.steps
    if len(asked) < 2:
        raise UsageError(
            "hidden_steps: one step has nothing between. Give at least two: log.summary()."
        )
    pairs = step_pairs(log, asked, found.parts)
    table = _with_verdicts(_candidates(log, asked, pairs))
    # Equally high ones by name, so that nothing depends on the order of the log's names.
    best = ["step", "difference_low", "event"]
    ranked = table.sort_values(best, ascending=[True, False, True])
    return HiddenStepsResult(
        table=ranked.groupby("step", sort=False).head(top).reset_index(drop=True),
        parameters={
            "steps": [step.plain() for step in asked],
            "window": str(window),
            "top": top,
        },
        warnings=(*found.warnings, *_undefined(asked, pairs), _HIDDEN_ASSOCIATION),
        steps=asked,
        tested=len(table),
    )


class Pair(NamedTuple):
    """Two neighboring steps, and what happened between them.

    Attributes
    ----------
    first, second : the numbers of the steps, from 1.
    went_on, stopped : numbers of users.
    within_us : the median wait of the people who went on.
    codes : the codes of the candidates.
    events : a column per candidate and three rows: how many people who went on did it, how many
        who stopped, and how many of the former no later than the latter could.
    """

    first: int
    second: int
    went_on: int
    stopped: int
    within_us: int
    codes: np.ndarray
    events: np.ndarray


class Stretches(NamedTuple):
    """Users of a shard who reached a step: when, and when the next one (`NOT_DONE`: stopped)."""

    shard: Shard
    users: np.ndarray
    start: np.ndarray
    end: np.ndarray


def step_pairs(log: EventLog, steps: Sequence[Step], parts: Sequence[ShardChains]) -> list[Pair]:
    """Pair every required step with the next one, and count what happened in between.

    Parameters
    ----------
    parts : the chains of a funnel whose unit is the user; those that are mature count.
    """
    required = [number for number, step in enumerate(steps, start=1) if not step.optional]
    return [
        _pair(log, steps, [_stretches(part, neighbors) for part in parts], neighbors)
        for neighbors in pairwise(required)
    ]


def _stretches(part: ShardChains, neighbors: tuple[int, int]) -> Stretches:
    """The users of a shard who reached the first of two steps."""
    far = part.reach > 1
    kept = np.flatnonzero(part.mature & (far if neighbors[0] > 1 else True))
    row, beyond = (np.cumsum(far) - 1)[kept], far[kept]
    start = part.shard.time[part.entries[kept]].astype(np.int64)
    end = np.full(len(kept), NOT_DONE)
    end[beyond] = part.times[row[beyond], neighbors[1] - 1]
    if neighbors[0] > 1:
        start = part.times[row, neighbors[0] - 1]
    reached = start != NOT_DONE
    return Stretches(part.shard, part.users[kept][reached], start[reached], end[reached])


def _pair(
    log: EventLog,
    steps: Sequence[Step],
    stretches: Sequence[Stretches],
    neighbors: tuple[int, int],
) -> Pair:
    """Count what people who went on did before the next step, and the others meanwhile."""
    waits = [own.end[on] - own.start[on] for own in stretches for on in [own.end != NOT_DONE]]
    all_waits = np.concatenate([np.empty(0, np.int64), *waits])
    within = int(np.median(all_waits)) if len(all_waits) else 0
    names = len(log.event_names)

    def counted(own: Stretches) -> np.ndarray:
        on = own.end != NOT_DONE
        until = np.where(on, own.end, own.start + within)
        early = np.minimum(until, own.start + within)
        off = ~on & (until <= log.covers_until_us)
        counts = np.zeros((3, names + 1), np.int64)
        for row, keep, end in ((0, on, until), (1, off, until), (2, on, early)):
            arrays = own.shard.time, own.shard.event, own.shard.offsets
            stretch = own.users[keep], own.start[keep], end[keep]
            counts[row, :names] = kernels.done_between(*arrays, *stretch, names)
            counts[row, names] = keep.sum()
        return counts

    counts = sum(parallel.map_shards(stretches, counted), np.zeros((3, names + 1), np.int64))
    went_on, stopped = map(int, counts[:2, names])
    both = {name for number in neighbors for name in steps[number - 1].events}
    free = [name not in both and ANY_EVENT not in both for name in log.event_names]
    known = bool(went_on and stopped and within)
    codes = np.flatnonzero(np.array(free) & (counts[:, :names].sum(axis=0) > 0) & known)
    return Pair(*neighbors, went_on, stopped, within, codes, counts[:, codes])


def _candidates(log: EventLog, steps: Sequence[Step], pairs: Sequence[Pair]) -> pd.DataFrame:
    """A row per candidate of every pair, with both shares."""
    size = [len(pair.codes) for pair in pairs]

    def spread(values: Sequence[Any]) -> np.ndarray:
        return np.repeat(np.array(values), size)

    codes = np.concatenate([pair.codes for pair in pairs])
    events = np.concatenate([pair.events for pair in pairs], axis=1)
    table = pd.DataFrame(
        {
            "step": spread([pair.first for pair in pairs]),
            "from_event": spread([steps[pair.first - 1].name for pair in pairs]),
            "to_event": spread([steps[pair.second - 1].name for pair in pairs]),
            "event": np.array(log.event_names)[codes],
            "within_seconds": spread([pair.within_us for pair in pairs]) / US_PER_SECOND,
        }
    )
    on = shares(events[0], spread([pair.went_on for pair in pairs]))
    stopped = shares(events[1], spread([pair.stopped for pair in pairs]))
    early = shares(events[2], on["n"].to_numpy()).drop(columns="n")
    return pd.concat(
        [table, on, early.add_prefix("early_"), stopped.add_prefix("stopped_")], axis=1
    )


def _with_verdicts(table: pd.DataFrame) -> pd.DataFrame:
    """The candidates with their differences, intervals, p and q, and which are hidden steps."""
    k, early_k, n = (table[name].to_numpy() for name in ("k", "early_k", "n"))
    stopped = table["stopped_k"].to_numpy(), table["stopped_n"].to_numpy()
    difference, low, high = newcombe(k, n, *stopped)
    early_low = newcombe(early_k, n, *stopped).low
    p = two_proportions(k, n, *stopped)
    q = q_values(p)
    judged = table.assign(difference=difference, difference_low=low, difference_high=high)
    most = (table["low"] > MOST_OF_THEM) & (table["stopped_high"] < MOST_OF_THEM)
    return judged.assign(
        p_value=p, q_value=q, hidden=most & (early_low > 0) & (q < FALSE_DISCOVERIES)
    )


def _undefined(steps: Sequence[Step], pairs: Sequence[Pair]) -> list[str]:
    """Why a pair has no candidates."""
    sentences = []
    for pair in pairs:
        first, second = steps[pair.first - 1], steps[pair.second - 1]
        place = f"Between {label(first.name)} and {label(second.name)} nothing can be compared: "
        if not pair.went_on or not pair.stopped:
            who = "went on" if not pair.went_on else "stopped"
            sentences.append(f"{place}nobody {who}.")
        elif not pair.within_us:
            sentences.append(f"{place}most people who went on did both at the same instant.")
        elif ANY_EVENT in (*first.events, *second.events):
            sentences.append(f"{place}a step of any event leaves no other event.")
    return sentences


def _hidden_sentence(row: Any) -> str:
    return (
        f"“{label(row.event)}” may hide between {label(row.from_event)} and {label(row.to_event)}: "
        f"{share(row.k, row.n, row.rate)} of the people who went on did it on the way, and "
        f"{share(row.stopped_k, row.stopped_n, row.stopped_rate)} of the people who stopped, in "
        f"{human_duration(row.within_seconds * US_PER_SECOND)}, the median wait of the others "
        f"(difference {points(row.difference, signed=False)} points, 95% interval "
        f"{points(row.difference_low)} to {points(row.difference_high)})."
    )


_MICRO_ASSOCIATION = (
    "Small actions and conversions go together for many reasons; people who want to buy do more of "
    "everything. These rates compare people, they do not say what an action causes."
)


@dataclass(frozen=True, eq=False, kw_only=True)
class MicroSharesResult(Result):
    """The answer of `micro_shares`.

    ``table`` has a row per action, most frequent first: ``event`` (its label), ``events`` (how
    often those who entered did it), ``k`` of ``n`` users did it (``rate, low, high``), ``macro_k``
    of these converted (``macro_rate, macro_low, macro_high``), and of all ``n`` users ``all_k``
    (``all_rate``). Rates of few people are NaN: ``rate`` and ``all_rate`` where few entered, the
    macro's where few of them did the action.
    """

    period: Period
    window_us: int

    def sentence(self) -> str:
        """The action done by most, and how often those who did it converted."""
        known = self.table[self.table["rate"].notna() & (self.table["k"] > 0)]
        if not len(known):
            few = self.table["n"].isna().any()
            why = (
                "Too few people entered to say more of" if few else "Nobody who entered did any of"
            )
            return f"{why} these actions in {self.period.name}."
        top = known.iloc[0]
        text = (
            f"The small action that most did is “{top['event']}”: "
            f"{share(top['k'], top['n'], top['rate'])} of those who entered."
        )
        if pd.isna(top["macro_rate"]) or pd.isna(top["all_rate"]):
            return f"{text} These are too few people to show how many of them converted."
        these = share(top["macro_k"], top["k"], top["macro_rate"])
        everybody = share(top["all_k"], top["n"], top["all_rate"])
        within = f"within {human_duration(self.window_us)}"
        return f"{text} Of these, {these} converted {within}, of everybody {everybody}."

    def figure(self) -> Any:
        """Share and conversion rate of every action, with intervals."""
        return micro_bars(self.table)


def micro_shares(
    log: EventLog,
    catalog: Catalog,
    steps: Sequence[Any],
    *,
    period: tuple[Any, Any],
    window: Any = "7d",
    min_cell: int = 5,
    time_zone: str = "UTC",
) -> MicroSharesResult:
    """What did those who entered do besides, and how many of them converted?

    Parameters
    ----------
    log, min_cell : see `analysis.core.checks`.
    catalog : its secondary events are the actions.
    steps, window : the funnel, as `funnel` takes it; to convert is to reach the last step.
    period : (start, end) of the entries and of the actions; naive instants are local times of
        `time_zone`.

    Raises
    ------
    UsageError
        If an argument is unknown or out of range.

    Examples
    --------
    >>> rows = [(f"u{i}", "2026-01-05", "visit") for i in range(20)]
    >>> rows += [(f"u{i}", "2026-01-05", "video_start") for i in range(10)]
    >>> rows += [(f"u{i}", "2026-01-06", "buy") for i in range(4, 14)]
    >>> frame = pd.DataFrame(rows, columns=["user", "time", "event"])
    >>> log = EventLog.from_frame(frame.assign(time=pd.to_datetime(frame.time)),
    ...                           covers_until="2026-02-01")
    >>> shop = Catalog.from_mapping({"name": "shop", "events": {
    ...     "buy": {"role": "macro"}, "video_start": {"role": "secondary"}}})
    >>> week = ("2026-01-05", "2026-01-12")
    >>> result = micro_shares(log, shop, ["visit", "buy"], period=week)
    >>> result.table[["event", "k", "n", "macro_k", "all_k"]].to_dict("records")
    [{'event': 'Video start', 'k': 10.0, 'n': 20.0, 'macro_k': 6.0, 'all_k': 10.0}]
    """
    min_cell = checks.min_cell("micro_shares", min_cell)
    asked = period_of(period, time_zone, "micro_shares: period")
    entered = funnel(log, steps, window=window, entered=asked.bounds)
    names = [name for name in catalog.secondary if name in log.event_names]
    counting = partial(
        _action_counts,
        codes=[log.event_names.index(name) for name in names],
        bounds=(instant_us(asked.start), instant_us(asked.end)),
        last=len(entered.steps),
    )
    counts = sum(parallel.map_shards(entered.parts, counting), np.zeros((len(names), 3), np.int64))
    everybody = entered.table[["k"]].to_numpy()[[0, -1], 0]
    table = _actions_table([catalog.label(name) for name in names], counts, everybody, min_cell)
    return MicroSharesResult(
        table=table,
        parameters={
            "steps": [step.plain() for step in entered.steps],
            "period": [str(asked.start), str(asked.end)],
            "window": str(window),
            "min_cell": min_cell,
            "time_zone": time_zone,
        },
        warnings=(
            *_micro_warnings(catalog, names, table, min_cell),
            *look_ahead_warnings(log, instant_us(asked.start)),
        ),
        period=asked,
        window_us=entered.window_us,
    )


def _action_counts(
    part: ShardChains, *, codes: list[int], bounds: tuple[int, int], last: int
) -> np.ndarray:
    """Count each action: how often it was done, by how many who entered, by how many converters."""
    shard, low, high = part.shard, *bounds
    people = np.zeros(len(shard.users), np.int8)
    people[part.users[part.mature]] = 1
    people[part.users[part.mature & (part.reach == last)]] = 2
    counts = np.zeros((len(codes), 3), np.int64)
    for i, code in enumerate(codes):
        rows = np.flatnonzero(shard.event == code)
        rows = rows[(shard.time[rows] >= low) & (shard.time[rows] < high)]
        user = np.searchsorted(shard.offsets, rows, side="right") - 1
        own = people[np.unique(user)]
        counts[i] = (people[user] > 0).sum(), (own > 0).sum(), (own == 2).sum()
    return counts


def _actions_table(
    names: list[str], counts: np.ndarray, everybody: np.ndarray, min_cell: int
) -> pd.DataFrame:
    # What is asked is how many people a rate is of: those who entered, or who did the action.
    entered, converted = everybody.astype(float)
    if small(entered, min_cell):
        entered, converted = np.nan, np.nan
        counts = np.full(counts.shape, np.nan)
    events, k, macro_k = counts.T.astype(float)
    macro_k = np.where(small(k, min_cell) | (k == 0), np.nan, macro_k)
    n = np.full(len(names), entered)
    table = pd.DataFrame({"event": names, "events": events})
    table[["k", "n"]] = np.column_stack([k, n])
    table[["rate", "low", "high"]] = _rates(k, n)
    table["macro_k"] = macro_k
    table[["macro_rate", "macro_low", "macro_high"]] = _rates(macro_k, k)
    table["all_k"] = converted
    table["all_rate"] = converted / entered if entered > 0 else np.nan
    order = table["k"].fillna(-1).to_numpy()
    return table.iloc[np.argsort(-order, kind="stable")].reset_index(drop=True)


def _rates(k: np.ndarray, n: np.ndarray) -> np.ndarray:
    known = ~np.isnan(k) & (n > 0)
    low, high = wilson(np.where(known, k, 0), np.where(known, n, 0))
    rate = np.divide(k, n, out=np.full(len(k), np.nan), where=known)
    return np.column_stack([rate, low, high])


def _micro_warnings(
    catalog: Catalog, names: list[str], table: pd.DataFrame, min_cell: int
) -> list[str]:
    notes = [_MICRO_ASSOCIATION]
    unseen = [catalog.label(name) for name in catalog.secondary if name not in names]
    if unseen:
        notes.append(f"Never seen in the log: {listed(unseen)}.")
    if table["n"].isna().any():
        notes.append(f"Fewer than {min_cell} users entered: too few people to show a rate.")
    few = int(small(table["k"], min_cell).sum())
    if few:
        what = "action was" if few == 1 else "actions were"
        notes.append(
            f"{count(few)} {what} done by fewer than {min_cell} users: how many of these converted "
            "is not shown."
        )
    return notes
