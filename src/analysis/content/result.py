"""Which contents, and which channels, do people come from who then sign up or buy?

A page, a video or a content type is a value of a property. People count under it from the first
time they saw it, if they had not converted by then, and are followed for the same time. A page
that few people saw has a rate that chance made, and of many such pages one tops any list: so the
rates are pooled (`pooling`), and the small ones lie where the others are until they have shown
more. Beside the rate of what was asked for stands the macro conversion's.

What this module refuses to do: rank by the crude rate, count what people saw after they had
converted or on the very page that converted them, or say that a page made anybody do it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, NamedTuple

import numpy as np
import pandas as pd

from analysis.content.figures import pooled_rates
from analysis.core import checks
from analysis.core.result import Result
from analysis.core.schema import (
    UsageError,
    duration_us,
    human_duration,
    instant_us,
    one_of,
    timestamp,
)
from analysis.core.wording import count, label, percent, share
from analysis.eventlog import parallel
from analysis.eventlog.log import EventLog, look_ahead_warnings
from analysis.eventlog.shard import Shard, TextColumn
from analysis.segments import kernels as passes
from analysis.segments.evaluate import check_rule
from analysis.segments.kernels import EVER
from analysis.segments.rules import ANY_EVENT, did
from analysis.statistics.pooling import Pooled, pooled
from analysis.statistics.rates import CONFIDENCE, wilson

# ──── content_words
#
# What is said of contents and channels: which one leads, against what, and with what caution.


FEW_VALUES = 8


_NOT_CAUSED = (
    "People chose what they saw: a high rate says who comes by, not what it does to them. Only an "
    "experiment tells that."
)


def content_sentence(
    table: pd.DataFrame, everybody: pd.Series, typical: Pooled, asked: Mapping[str, Any]
) -> str:
    """After which value people converted most often, and how many stand out."""
    after = f"within {human_duration(duration_us(asked['window']))}"
    did, name = label(asked["to"]), label(asked["property"]).lower()
    who = "came with" if asked["touch"] == "first" else "saw"
    if not everybody["n"]:
        return f"Nobody who {who} a {name} could be followed for the whole window."
    base = (
        f"{share(everybody['k'], everybody['n'], everybody['rate'])} of the people who {who} any "
        f"{name} did “{did}” {after} (95% interval {percent(everybody['low'])} to "
        f"{percent(everybody['high'])})"
    )
    known = table[table["pooled"].notna()]
    if not len(known):
        return f"{base}; there is too little of any one to tell them apart."
    up, down = ((known["verdict"] == verdict).sum() for verdict in ("more", "less"))
    top = known.iloc[0]
    most = (
        f"most often after “{top['value']}”: {_pooled(top)}, against {percent(typical.typical)} "
        f"for a typical one (95% interval {percent(typical.typical_low)} to "
        f"{percent(typical.typical_high)}){_macro(top, asked)}"
    )
    return (
        f"{base}, {most}. Clearly above a typical one: {count(up)} of {count(len(known))}; "
        f"below: {count(down)}."
    )


def _pooled(top: pd.Series) -> str:
    return (
        f"pooled {percent(top['pooled'])} (95% interval {percent(top['pooled_low'])} to "
        f"{percent(top['pooled_high'])}; counted {share(top['k'], top['n'], top['rate'])})"
    )


def _macro(top: pd.Series, asked: Mapping[str, Any]) -> str:
    if asked["macro"] == asked["to"]:
        return ""
    what = f"“{label(asked['macro'])}”"
    if pd.isna(top["macro_rate"]):
        return f"; too few of them did {what} to show"
    return (
        f"; {share(top['macro_k'], top['n'], top['macro_rate'])} of them did {what} in that time "
        f"(95% interval {percent(top['macro_low'])} to {percent(top['macro_high'])})"
    )


def readable_contents(table: pd.DataFrame, *, most: int) -> pd.DataFrame:
    """The first rows for people, as text.

    Examples
    --------
    >>> rows = pd.DataFrame({
    ...     "value": ["/a"], "k": [20], "n": [100], "rate": [0.2], "pooled": [0.18],
    ...     "pooled_low": [0.12], "pooled_high": [0.25], "verdict": ["more"], "macro_k": [10],
    ...     "macro_rate": [0.1]})
    >>> readable_contents(rows, most=5).iloc[0].to_list()
    ['18.0% (12.0% to 25.0%)', '20.0% (20 of 100)', 'more', '10.0% (10 of 100)']
    """
    few = "too few people to show"
    rows = []
    for row in table.head(most).to_dict("records"):
        ends = f"{percent(row['pooled_low'])} to {percent(row['pooled_high'])}"
        macro = few
        if pd.notna(row["macro_rate"]):
            macro = share(row["macro_k"], row["n"], row["macro_rate"])
        counted = [few, few, "unclear", few]
        if pd.notna(row["pooled"]):
            many = share(row["k"], row["n"], row["rate"])
            counted = [f"{percent(row['pooled'])} ({ends})", many, row["verdict"], macro]
        rows.append([str(row["value"]), *counted])
    names = ["value", "pooled (95 % interval)", "counted", "than a typical one", "macro conversion"]
    return pd.DataFrame(rows, columns=names, dtype=str).set_index("value")


def content_warnings(
    table: pd.DataFrame, everybody: pd.Series, first: bool, *, hidden: int, min_cell: int
) -> tuple[str, ...]:
    """What must be known to read the table."""
    said = [_NOT_CAUSED]
    if not first:
        said.append("A person counts under every value seen, so the rows overlap.")
    if everybody["open"]:
        said.append(
            f"{count(everybody['open'])} people came too lately to be followed for the whole "
            "window: they are in no rate."
        )
    if 1 < len(table) < FEW_VALUES:
        said.append(
            f"With {count(len(table))} values it is hardly known how different they are, so the "
            "intervals are wide."
        )
    if hidden:
        said.append(f"Hidden, of fewer than {min_cell} people: {count(hidden)} values.")
    return tuple(said)


# ──── content_table
#
# Values of a property, who saw them and who then converted: counts, rates, pooled rates.


EVERYBODY: Final = "(everybody)"


_WHAT: Final = "content_conversion"


_COUNTS: Final = ("n", "k", "macro_k", "open")


_MACRO: Final = ("macro_k", "macro_rate", "macro_low", "macro_high")


COLUMNS: Final = (
    *("value", "k", "n", "rate", "low", "high", "pooled", "pooled_low", "pooled_high"),
    *("above", "verdict", *_MACRO, "open"),
)


class Asked(NamedTuple):
    """The question; `window` in microseconds, `bounds` as the pass takes them."""

    property: str
    to: str
    macro: str
    event: str
    window: int
    bounds: np.ndarray
    first: bool


def check(log: EventLog, asked: Asked) -> None:
    """Raise a `UsageError` for what the log does not know."""
    for name, value in (("to", asked.to), ("macro", asked.macro)):
        if value == ANY_EVENT:
            raise UsageError(f"{_WHAT}: {name}='*' is no conversion. Give one event's name.")
    for event in (asked.to, asked.macro, asked.event):
        check_rule(log, did(event), _WHAT)
    checks.property_name(_WHAT, log, asked.property)
    if log.kinds[asked.property] != "text":
        texts = [name for name in log.properties if log.kinds[name] == "text"]
        raise UsageError(
            f"{_WHAT}: {asked.property!r} holds numbers. Allowed: a property of text, "
            f"{', '.join(map(repr, texts)) or 'and there is none'}."
        )


def period_of(log: EventLog, since: Any, until: Any) -> np.ndarray:
    """From when and until when values are seen, and where the log's knowledge ends (int64).

    Raises
    ------
    UsageError
        If nothing lies between.
    """
    low = -int(EVER) if since is None else instant_us(since, f"{_WHAT}: since")
    high = log.covers_until_us if until is None else instant_us(until, f"{_WHAT}: until")
    if min(high, log.covers_until_us) <= low:
        raise UsageError(
            f"{_WHAT}: nothing lies between since={since!r} and until={until!r}; the log ends "
            f"at {log.covers_until}. Swap the two, or give an earlier since."
        )
    return np.array([low, min(high, log.covers_until_us), log.covers_until_us], np.int64)


def counts_of(log: EventLog, asked: Asked) -> tuple[list[str], np.ndarray, np.ndarray]:
    """The values that anybody saw; what the pass counts of each, and of people."""
    names = log.event_names
    shows = np.zeros(len(names) + 1, np.uint8)
    shows[: len(names)] = [asked.event in (ANY_EVENT, name) for name in names]
    events = names.index(asked.to), names.index(asked.macro)

    def counted(shard: Shard) -> tuple[list[str], np.ndarray]:
        column = shard.columns[asked.property]
        assert isinstance(column, TextColumn)  # checked before
        rows = (shard.time, shard.event, shard.offsets, column.codes, len(column.values), shows)
        found = passes.led(*rows, *events, asked.window, asked.bounds, asked.first)
        return column.values.to_pylist(), found

    parts = parallel.map_shards(log.shards, counted)
    cells = pd.DataFrame(np.concatenate([found[:-1] for _, found in parts]))
    cells = cells.groupby(np.array([v for values, _ in parts for v in values], object)).sum()
    cells = cells[(cells > 0).any(axis=1)]
    people = np.sum([found[-1] for _, found in parts], axis=0)
    return [str(value) for value in cells.index], cells.to_numpy(np.int64), people


def rates(values: Sequence[str], counts: np.ndarray) -> pd.DataFrame:
    """A row per value with the rates of the conversion and of the macro, and their intervals."""
    table = pd.DataFrame(counts, columns=list(_COUNTS)).astype(float)
    table.insert(0, "value", pd.Series(list(values), dtype="str"))
    for k, before in (("k", ""), ("macro_k", "macro_")):
        table[f"{before}rate"] = table[k] / table["n"].where(table["n"] > 0)
        table[f"{before}low"], table[f"{before}high"] = wilson(table[k], table["n"])
    return table


def content_table(
    values: Sequence[str], counts: np.ndarray, min_cell: int
) -> tuple[pd.DataFrame, Pooled, int]:
    """The values, the highest pooled rate first; what is typical; and how many are hidden.

    Rates are pooled before small ones are hidden: how values differ is not told by those alone
    that are large enough to be shown.
    """
    table = rates(values, counts)
    seen = (table["n"] > 0).to_numpy()
    found = pooled(table.loc[seen, "k"], table.loc[seen, "n"])
    for name, cells in (
        ("pooled", found.rate),
        ("pooled_low", found.low),
        ("pooled_high", found.high),
        ("above", found.above),
    ):
        table[name] = np.nan
        table.loc[seen, name] = cells
    side = (1 - CONFIDENCE) / 2
    says = [table["above"] > 1 - side, table["above"] < side]
    table["verdict"] = np.select(says, ["more", "less"], "unclear")
    order = np.lexsort((table["value"], -table["n"], -table["pooled"].fillna(-1)))
    table = table[list(COLUMNS)].iloc[order].reset_index(drop=True)
    few = ((table[["n", "k"]] > 0) & (table[["n", "k"]] < min_cell)).any(axis=1)
    numbers = [name for name in COLUMNS if name not in ("value", "verdict")]
    table.loc[few, numbers] = np.nan
    table.loc[few, "verdict"] = "unclear"
    table.loc[table["macro_k"].between(1, min_cell - 1), list(_MACRO)] = np.nan
    # Rates that are not shown do not stand in an order that tells them.
    table = pd.concat([table[~few], table[few].sort_values("value")], ignore_index=True)
    return table, found, int(few.sum())


# ──── content


TOUCHES: Final = ("any", "first")


@dataclass(frozen=True, eq=False, kw_only=True)
class ContentResult(Result):
    """The answer of `content_conversion` and `channel_strength`.

    ``table`` has a row per value, the highest pooled rate first: ``value``; ``k`` of ``n`` people
    converted in the window (``rate, low, high``); ``pooled`` with ``pooled_low, pooled_high``: the
    rate given what the other values are like; ``above``: the probability that it is above the
    typical value's; ``verdict`` (more, less, unclear); ``macro_k`` of the same people with
    ``macro_rate, macro_low, macro_high``; and ``open``, people whose window is not over. What is
    about few people is NaN. ``typical.typical`` is the mean over values, with its limits;
    ``everybody`` has the columns of the table for people who saw any, from the first one on.
    """

    typical: Pooled
    everybody: pd.Series

    def sentence(self) -> str:
        """After which value people converted most often, and how many stand out."""
        return content_sentence(self.table, self.everybody, self.typical, self.parameters)

    def figure(self) -> Any:
        """The pooled rates with their intervals, the crude ones beside them."""
        return pooled_rates(self.table, self.typical.typical)

    def readable(self, *, most: int = 10) -> pd.DataFrame:
        """The first rows of the table for people, as text."""
        return readable_contents(self.table, most=most)


def content_conversion(
    log: EventLog,
    property: str = "page",
    *,
    to: str = "sign_up",
    macro: str = "purchase",
    window: Any = "7d",
    event: str = ANY_EVENT,
    touch: str = "any",
    since: Any = None,
    until: Any = None,
    min_cell: int = 5,
) -> ContentResult:
    """Which values of a property are seen by people who then convert?

    Parameters
    ----------
    property : of text: a page, a video, a content type, a channel.
    to : the event that is led to. macro : what pays, shown beside it.
    window : how long after the first time they saw the value people are followed, end included.
    event : only values on rows of this event are seen; default: of any.
    touch : ``"any"``: a person counts under each value seen; ``"first"``: only under the first
        value ever seen, as with the channel that brought them.
    since, until : values seen in this period, `until` excluded; naive times are UTC. Default: all.
    min_cell : counts of fewer people than this are hidden.

    Returns
    -------
    ContentResult

    Raises
    ------
    UsageError
        If an event or property is unknown or holds numbers, or an argument is out of range.

    Notes
    -----
    Beta-binomial pooling, averaged over how different values are; see `pooling.pooled`. A value
    stands out where it is above (or below) the typical one with a probability of 97.5 %.

    Examples
    --------
    >>> from analysis.simulation.log import simulate
    >>> found = content_conversion(simulate(users=2_000).log, to="newsletter_sign_up")
    >>> found.table["value"].nunique() == len(found.table)
    True
    """
    one_of("content_conversion: touch", touch, TOUCHES)
    least = checks.min_cell("content_conversion", min_cell)
    asked = Asked(
        property,
        to,
        macro,
        event,
        duration_us(window, "content_conversion: window"),
        period_of(log, since, until),
        touch == "first",
    )
    check(log, asked)
    values, counts, people = counts_of(log, asked)
    table, typical, hidden = content_table(values, counts, least)
    everybody = rates([EVERYBODY], people[None, :]).iloc[0]
    return ContentResult(
        table=table,
        parameters={
            "property": property,
            "to": to,
            "macro": macro,
            "window": str(window),
            "event": event,
            "touch": touch,
            "since": None if asked.bounds[0] == -EVER else timestamp(asked.bounds[0]).isoformat(),
            "until": timestamp(asked.bounds[1]).isoformat(),
            "min_cell": least,
        },
        warnings=(
            *content_warnings(table, everybody, asked.first, hidden=hidden, min_cell=least),
            *look_ahead_warnings(log, int(asked.bounds[0])),
        ),
        typical=typical,
        everybody=everybody,
    )


def channel_strength(
    log: EventLog,
    *,
    property: str = "channel",
    to: str = "purchase",
    macro: str = "purchase",
    window: Any = "30d",
    since: Any = None,
    until: Any = None,
    min_cell: int = 5,
) -> ContentResult:
    """Which channels bring people who convert?

    A person belongs to the first channel known of them. `content_conversion` with
    ``touch="first"``; its arguments mean the same.

    Examples
    --------
    >>> from analysis.simulation.log import simulate
    >>> found = channel_strength(simulate(users=2_000).log, to="add_to_cart")
    >>> int(found.table["n"].sum()) == int(found.everybody["n"])
    True
    """
    return content_conversion(
        log,
        property,
        to=to,
        macro=macro,
        window=window,
        touch="first",
        since=since,
        until=until,
        min_cell=min_cell,
    )
