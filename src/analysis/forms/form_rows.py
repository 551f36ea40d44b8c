"""Which rows of a log are a form's: its events, its fields, and the attempts of each shard."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Final

import numpy as np

from analysis.core.schema import UsageError, did_you_mean
from analysis.eventlog.log import EventLog
from analysis.eventlog.shard import Shard, TextColumn
from analysis.forms import kernels as passes
from analysis.journeys.kernels import lines
from analysis.journeys.sequences import Groups, session_codes

EVENTS: Final[Mapping[str, str]] = {
    "focus": "form_focus",
    "change": "form_change",
    "error": "form_error",
    "submit": "form_submit",
}
"""Which event is what to a form, where nobody says."""


def form_names(log: EventLog, form_property: str = "form") -> list[str]:
    """The forms that a log knows: the values of a property; none if it has no such property.

    Examples
    --------
    >>> from analysis.simulation.log import simulate
    >>> form_names(simulate(users=300).log)
    ['contact']
    """
    return values_of(log.shards, form_property) if log.kinds.get(form_property) == "text" else []


def kinds_of(log: EventLog, events: Mapping[str, str]) -> Groups:
    """What each event of the log is to a form; −1: nothing.

    Raises
    ------
    UsageError
        If `events` has an unknown kind or event, or the log has none of them.
    """
    order = tuple(EVENTS)
    lut = np.full(len(log.event_names) + 1, -1, np.int64)
    for kind, name in events.items():
        if kind not in order:
            raise UsageError(
                f"form_fields: events has {kind!r}.{did_you_mean(kind, order)} Allowed: "
                f"{', '.join(map(repr, order))}."
            )
        if name in log.event_names:
            lut[log.event_names.index(name)] = order.index(kind)
        elif events is not EVENTS:
            raise UsageError(
                f"form_fields: {name!r} is no event of this log."
                f"{did_you_mean(name, log.event_names)} {len(log.event_names)} events: "
                "log.summary()"
            )
    if (lut < 0).all():
        raise UsageError(
            f"form_fields: the log has none of {', '.join(map(repr, events.values()))}. Name its "
            "own: events={'focus': ..., 'change': ..., 'error': ..., 'submit': ...}."
        )
    return Groups(lut, order)


def check_property(log: EventLog, name: str) -> None:
    """Raise where the log has no such property of text.

    Raises
    ------
    UsageError
        If it has not.
    """
    if log.kinds.get(name) != "text":
        raise UsageError(
            f"form_fields: {name!r} is no property of text of this log."
            f"{did_you_mean(name, log.properties)} "
            f"Properties: {', '.join(map(repr, log.properties)) or 'none'}."
        )


def _column(shard: Shard, name: str) -> TextColumn:
    column = shard.columns[name]
    assert isinstance(column, TextColumn)
    return column


def values_of(shards: Iterable[Shard], name: str) -> list[str]:
    """The values of a property of text, sorted."""
    return sorted({text for shard in shards for text in _column(shard, name).values.to_pylist()})


def shard_fields(
    shards: tuple[Shard, Shard],
    kinds: Groups,
    asked: tuple[str, tuple[str, str], list[str]],
    within: str,
    goal: int,
) -> tuple[np.ndarray, ...]:
    """What `passes.forms.fields` finds in a shard.

    Parameters
    ----------
    shards : with the attempts asked for; and with all rows, for the macro may come later.
    asked : the form, the properties that name form and field, and the names of the fields.
    goal : code of the macro; −1: none.
    """
    shard, whole = shards
    form, (form_property, field_property), names = asked
    own = _column(shard, form_property)
    # Rows of other forms are hidden as a view hides them: by the code that is no event's.
    hidden = shard.event.dtype.type(len(kinds.lut) - 1)
    event = np.where(own.codes == own.code_of(form), shard.event, hidden)
    fields = _column(shard, field_property)
    place = {name: number for number, name in enumerate(names)}
    numbers = np.array([*(place[text] for text in fields.values.to_pylist()), -1], np.int64)
    codes, _ = session_codes(shard, within)
    rows, starts, users = lines(event, codes, shard.offsets, kinds.lut)
    came = np.flatnonzero(whole.event == goal)
    last = np.full(len(shard.offsets) - 1, -1, np.int64)
    # Ascending, so the last one of each user stays.
    last[np.searchsorted(shard.offsets, came, side="right") - 1] = came
    return passes.fields(
        kinds.lut[event[rows]],
        numbers[fields.codes[rows]],
        shard.time[rows],
        starts,
        last[users] > rows[starts[1:] - 1],
        len(names),
    )
