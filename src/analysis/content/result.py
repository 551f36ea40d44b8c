"""Which contents, and which channels, do people come from who then sign up or buy?

A page, a video or a content type is a value of a property. People count under it from the first
time they saw it, if they had not converted by then, and are followed for the same time. A page
that few people saw has a rate that chance made, and of many such pages one tops any list: so the
rates are pooled (`statistics.pooling`), and the small ones lie where the others are until they have
shown more. Beside the rate of the conversion asked for stands the macro conversion's.

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
from analysis.core.result import Result, small, with_another
from analysis.core.schema import (
    UsageError,
    duration_us,
    human_duration,
    instant_us,
    one_of,
    timestamp,
)
from analysis.core.wording import count, isolate, label, percent, share
from analysis.eventlog import parallel
from analysis.eventlog.log import EventLog, look_ahead_warnings
from analysis.eventlog.shard import Shard, TextColumn
from analysis.plotting.theme import TOO_FEW
from analysis.segments.evaluate import EARLIEST, check_rule
from analysis.segments.kernels import conversions_by_value
from analysis.segments.rules import ANY_EVENT, did
from analysis.statistics.pooling import Pooled, pooled
from analysis.statistics.rates import CONFIDENCE, wilson

TOUCHES: Final = ("any", "first")
EVERYBODY: Final = "(everybody)"
FEW_VALUES: Final = 8

_ASKER: Final = "content_conversion"
_COUNTS: Final = ("n", "k", "macro_k", "open")
_NUMBERS: Final = [
    *("k", "n", "rate", "low", "high", "pooled", "pooled_low", "pooled_high", "above"),
    *("macro_k", "macro_rate", "macro_low", "macro_high", "open"),
]
_COLUMNS: Final = ["value", *_NUMBERS[:9], "verdict", *_NUMBERS[9:]]

_NOT_CAUSED: Final = (
    "People chose what they saw: a high rate says who comes by, not what it does to them. Only an "
    "experiment tells that."
)


@dataclass(frozen=True, eq=False, kw_only=True)
class ContentResult(Result):
    """The answer of `content_conversion` and `channel_strength`.

    ``table`` has a row per value, the highest pooled rate first: ``value``; ``k`` of ``n`` people
    converted in the window (``rate, low, high``); ``pooled`` with ``pooled_low, pooled_high``: the
    rate given what the other values are like; ``above``: the probability that it is above the
    typical value's; ``verdict`` (more, less, unclear); ``macro_k`` of the same people with
    ``macro_rate, macro_low, macro_high``; and ``open``, people whose window is not over. Where
    fewer than `min_cell` people saw a value its numbers are NaN, of ``everybody`` too.
    ``typical.typical`` is the mean over values, with its limits; ``everybody`` has the columns of
    the table for people who saw any, from the first one on. ``parameters["tied"]`` is the share of
    people with several first values at one instant (``touch="first"``).
    """

    typical: Pooled
    everybody: pd.Series

    def sentence(self) -> str:
        """After which value people converted most often, and how many stand out."""
        return _sentence(self.table, self.everybody, self.typical, self.parameters)

    def figure(self) -> Any:
        """The pooled rates with their intervals, the crude ones beside them."""
        return pooled_rates(self.table, self.typical.typical)

    def readable(self, *, most: int = 10) -> pd.DataFrame:
        """The first rows of the table for people, as text."""
        return _readable(self.table, most=most)


def content_conversion(  # noqa: PLR0913
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
    to : the conversion looked for. macro : the event that pays, shown beside it.
    window : how long after the first time they saw the value people are followed, end included.
    event : only values on rows of this event are seen; default: of any.
    touch : ``"any"``: a person counts under each value seen; ``"first"``: only under the first
        value ever seen, as with the channel that brought them.
    since, until : values seen in this period, `until` excluded; naive times are UTC. Default: all.
    log, min_cell : see `analysis.core.checks`.

    Returns
    -------
    ContentResult

    Raises
    ------
    UsageError
        If an event or property is unknown or holds numbers, or an argument is out of range.

    Notes
    -----
    Beta-binomial pooling, averaged over how different values are; see `statistics.pooling`. A value
    stands out where it is above (or below) the typical one with a probability of 97.5 %.

    Examples
    --------
    >>> from analysis.simulation.log import simulate
    >>> found = content_conversion(simulate(users=2_000).log, to="newsletter_sign_up")
    >>> found.table["value"].nunique() == len(found.table)
    True
    """
    log = log.until_end()
    one_of(f"{_ASKER}: touch", touch, TOUCHES)
    least = checks.min_cell(_ASKER, min_cell)
    spec = ContentSpec(
        property,
        to,
        macro,
        event,
        duration_us(window, f"{_ASKER}: window"),
        _period(log, since, until),
        touch == "first",
    )
    _check(log, spec)
    values, counts, people, tied = _counts(log, spec)
    table, typical, hidden = _table(values, counts, least, parts=spec.first)
    everybody = _rates([EVERYBODY], people[None, :]).iloc[0]
    seen = int(everybody["n"] + everybody["open"])
    if _few(everybody[["n", "open"]].to_frame().T, least).any():
        everybody[1:] = np.nan
    start, end, _ = (int(bound) for bound in spec.bounds)
    return ContentResult(
        table=table,
        parameters={
            "property": property,
            "to": to,
            "macro": macro,
            "window": str(window),
            "event": event,
            "touch": touch,
            "since": None if start == EARLIEST else timestamp(start).isoformat(),
            "until": timestamp(end).isoformat(),
            "min_cell": least,
            "tied": tied / seen if seen else 0.0,
        },
        warnings=(
            *_warnings(table, everybody, spec.first, hidden=hidden, min_cell=least),
            *_tied_note(tied, seen, least),
            *look_ahead_warnings(log, start),
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
    log = log.until_end()
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


class ContentSpec(NamedTuple):
    """What is asked; `window` in microseconds, `bounds` as the kernel takes them."""

    property: str
    to: str
    macro: str
    event: str
    window: int
    bounds: np.ndarray
    first: bool


def _period(log: EventLog, since: Any, until: Any) -> np.ndarray:
    """From when and until when values are seen, and where the log's knowledge ends (int64)."""
    low = EARLIEST if since is None else instant_us(since, f"{_ASKER}: since")
    high = log.covers_until_us if until is None else instant_us(until, f"{_ASKER}: until")
    if min(high, log.covers_until_us) <= low:
        raise UsageError(
            f"{_ASKER}: nothing lies between since={since!r} and until={until!r}; the log ends "
            f"at {log.covers_until}. Swap the two, or give an earlier since."
        )
    return np.array([low, min(high, log.covers_until_us), log.covers_until_us], np.int64)


def _check(log: EventLog, spec: ContentSpec) -> None:
    for name, value in (("to", spec.to), ("macro", spec.macro)):
        if value == ANY_EVENT:
            raise UsageError(f"{_ASKER}: {name}='*' is no conversion. Give one event's name.")
    for event in (spec.to, spec.macro, spec.event):
        check_rule(log, did(event), _ASKER)
    checks.property_name(_ASKER, log, spec.property)
    if log.kinds[spec.property] != "text":
        texts = [name for name in log.properties if log.kinds[name] == "text"]
        raise UsageError(
            f"{_ASKER}: {spec.property!r} holds numbers. Allowed: a property of text, "
            f"{', '.join(map(repr, texts)) or 'and there is none'}."
        )


def _counts(log: EventLog, spec: ContentSpec) -> tuple[list[str], np.ndarray, np.ndarray, int]:
    """The values that anybody saw; what the kernel counts of each, of people, and of ties."""
    names = log.event_names
    shows = np.zeros(len(names) + 1, np.uint8)
    shows[: len(names)] = [spec.event in (ANY_EVENT, name) for name in names]
    events = names.index(spec.to), names.index(spec.macro)

    def counted(shard: Shard) -> tuple[list[str], np.ndarray, int]:
        column = shard.columns[spec.property]
        assert isinstance(column, TextColumn)  # checked before
        rows = (shard.time, shard.event, shard.offsets, column.codes, len(column.values), shows)
        found = conversions_by_value(*rows, *events, spec.window, spec.bounds, spec.first)
        return column.values.to_pylist(), *found

    parts = parallel.map_shards(log.shards, counted)
    cells = pd.DataFrame(np.concatenate([found[:-1] for _, found, _ in parts]))
    cells = cells.groupby(np.array([v for values, *_ in parts for v in values], object)).sum()
    cells = cells[(cells > 0).any(axis=1)]
    people = np.sum([found[-1] for _, found, _ in parts], axis=0)
    tied = sum(tied for *_, tied in parts)
    return [str(value) for value in cells.index], cells.to_numpy(np.int64), people, tied


def _table(
    values: Sequence[str], counts: np.ndarray, min_cell: int, *, parts: bool
) -> tuple[pd.DataFrame, Pooled, int]:
    """The values, the highest pooled rate first; what is typical; and how many are hidden.

    Rates are pooled before small ones are hidden: how different values are is not estimated from
    those alone that are large enough to be shown. Where people count under one value each
    (`parts`), no value is hidden alone: it could be worked out.
    """
    table = _rates(values, counts)
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
    table = table[_COLUMNS].iloc[order].reset_index(drop=True)
    few = _few(table, min_cell)
    if parts:
        few = with_another(few, (table["n"] + table["open"]).to_numpy())
    table.loc[few, _NUMBERS] = np.nan
    table.loc[few, "verdict"] = "unclear"
    # Rates that are not shown do not stand in an order that gives them away.
    table = pd.concat([table[~few], table[few].sort_values("value")], ignore_index=True)
    return table, found, int(few.sum())


def _few(table: pd.DataFrame, min_cell: int) -> np.ndarray:
    """Which rows are about few people: those followed, or those and the others who saw it?"""
    return small(table["n"], min_cell) | small(table["n"] + table["open"], min_cell)


def _tied_note(tied: int, seen: int, min_cell: int) -> tuple[str, ...]:
    if not tied or small(seen, min_cell):
        return ()
    return (
        f"{share(tied, seen, tied / seen)} of the people had several first values at one instant: "
        "the one that arrived first counts.",
    )


def _rates(values: Sequence[str], counts: np.ndarray) -> pd.DataFrame:
    """A row per value with the rates of the conversion and of the macro, and their intervals."""
    table = pd.DataFrame(counts, columns=list(_COUNTS)).astype(float)
    table.insert(0, "value", pd.Series(list(values), dtype="str"))
    for k, before in (("k", ""), ("macro_k", "macro_")):
        table[f"{before}rate"] = table[k] / table["n"].where(table["n"] > 0)
        table[f"{before}low"], table[f"{before}high"] = wilson(table[k], table["n"])
    return table


def _warnings(
    table: pd.DataFrame, everybody: pd.Series, first: bool, *, hidden: int, min_cell: int
) -> tuple[str, ...]:
    notes = [_NOT_CAUSED]
    if not first:
        notes.append("A person counts under every value seen, so the rows overlap.")
    if everybody["open"] > 0:
        notes.append(
            f"{count(everybody['open'])} people came too lately to be followed for the whole "
            "window: they are in no rate."
        )
    if 1 < len(table) < FEW_VALUES:
        notes.append(
            f"With {count(len(table))} values it is hardly known how different they are, so the "
            "intervals are wide."
        )
    if hidden:
        notes.append(
            f"Hidden, so that no value seen by fewer than {min_cell} people can be told: "
            f"{count(hidden)} of {count(len(table))} values."
        )
    return tuple(notes)


def _sentence(
    table: pd.DataFrame, everybody: pd.Series, typical: Pooled, parameters: Mapping[str, Any]
) -> str:
    after = f"within {human_duration(duration_us(parameters['window']))}"
    name = label(parameters["property"]).lower()
    met = "came with" if parameters["touch"] == "first" else "saw"
    if np.isnan(everybody["n"]):
        return f"Too few people {met} a {name} to show a rate."
    if not everybody["n"]:
        return f"Nobody who {met} a {name} could be followed for the whole window."
    base = (
        f"{share(everybody['k'], everybody['n'], everybody['rate'])} of the people who {met} any "
        f"{name} did “{label(parameters['to'])}” {after} (95% interval "
        f"{percent(everybody['low'])} to {percent(everybody['high'])})"
    )
    known = table[table["pooled"].notna()]
    if not len(known):
        return f"{base}. No {name} can be compared: that takes two that enough people {met}."
    up, down = ((known["verdict"] == verdict).sum() for verdict in ("more", "less"))
    top = known.iloc[0]
    most = (
        f"most often after “{isolate(top['value'])}”: pooled {percent(top['pooled'])} (95% "
        "interval "
        f"{percent(top['pooled_low'])} to {percent(top['pooled_high'])}; counted "
        f"{share(top['k'], top['n'], top['rate'])}), against {percent(typical.typical)} for a "
        f"typical one (95% interval {percent(typical.typical_low)} to "
        f"{percent(typical.typical_high)}){_macro_sentence(top, parameters)}"
    )
    return (
        f"{base}, {most}. Clearly above a typical one: {count(up)} of {count(len(known))}; "
        f"below: {count(down)}."
    )


def _macro_sentence(top: pd.Series, parameters: Mapping[str, Any]) -> str:
    if parameters["macro"] == parameters["to"]:
        return ""
    what = f"“{label(parameters['macro'])}”"
    return (
        f"; {share(top['macro_k'], top['n'], top['macro_rate'])} of them did {what} in that time "
        f"(95% interval {percent(top['macro_low'])} to {percent(top['macro_high'])})"
    )


def _readable(table: pd.DataFrame, *, most: int) -> pd.DataFrame:
    """The first rows for people, as text.

    Examples
    --------
    >>> rows = pd.DataFrame({
    ...     "value": ["/a"], "k": [20], "n": [100], "rate": [0.2], "pooled": [0.18],
    ...     "pooled_low": [0.12], "pooled_high": [0.25], "verdict": ["more"], "macro_k": [10],
    ...     "macro_rate": [0.1]})
    >>> _readable(rows, most=5).iloc[0].to_list()
    ['18.0% (12.0% to 25.0%)', '20.0% (20 of 100)', 'more', '10.0% (10 of 100)']
    """
    rows = []
    for row in table.head(most).to_dict("records"):
        cells = [TOO_FEW, TOO_FEW, "unclear", TOO_FEW]
        if pd.notna(row["pooled"]):
            interval = f"{percent(row['pooled_low'])} to {percent(row['pooled_high'])}"
            cells[0] = f"{percent(row['pooled'])} ({interval})"
            cells[1] = share(row["k"], row["n"], row["rate"])
            cells[2] = row["verdict"]
            cells[3] = share(row["macro_k"], row["n"], row["macro_rate"])
        rows.append([str(row["value"]), *cells])
    names = ["value", "pooled (95 % interval)", "counted", "than a typical one", "macro conversion"]
    return pd.DataFrame(rows, columns=names, dtype=str).set_index("value")
