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

from dataclasses import dataclass
from typing import Any, Final

import pandas as pd

from analysis.content.content_table import (
    EVERYBODY,
    Asked,
    check,
    content_table,
    counts_of,
    period_of,
    rates,
)
from analysis.content.content_words import content_sentence, content_warnings, readable_contents
from analysis.content.figures import pooled_rates
from analysis.core.result import Result
from analysis.core.schema import duration_us, one_of, timestamp
from analysis.eventlog.hindsight import hindsight
from analysis.eventlog.log import EventLog
from analysis.segments.kernels import EVER
from analysis.segments.segment_rules import ANY_EVENT
from analysis.segments.segment_values import few
from analysis.statistics.pooling import Pooled

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
    least = few(min_cell, "content_conversion")
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
            *hindsight(log, int(asked.bounds[0])),
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
