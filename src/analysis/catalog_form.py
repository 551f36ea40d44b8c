"""The form of a catalog file: what may stand where, checked entry by entry.

Each reader takes one table of the file and the place where it stands, and returns it as frozen
data or raises one line: the place, what was found, what may stand there. The readers know no file
and no log, and they give roles and rules no meaning.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from types import MappingProxyType
from typing import Any, Final, NamedTuple, TypeVar

from analysis.core.schema import UsageError, did_you_mean, duration_us, one_of

ROLES: Final = ("macro", "milestone", "secondary", "adverse", "control")


STAGES: Final = ("awareness", "interest", "consideration", "decision", "loyalty")


TOP_KEYS = ("name", "currency", "events", "derived", "funnels", "segments")


_EVENT = ("role", "stage", "label")


_DERIVED = ("after", "without", "wait", *_EVENT)


_FUNNEL = ("steps", "window")


_SEGMENT = ("rule", "label")


_DEFAULT_WINDOW = "7d"


class PlannedEvent(NamedTuple):
    """What one event means; `stage` and `label` are None where the file does not say."""

    role: str
    stage: str | None = None
    label: str | None = None


class PlannedFunnel(NamedTuple):
    """A funnel by name: event names in order, and a duration such as ``"7d"``."""

    steps: tuple[str, ...]
    window: str


Entry = TypeVar("Entry")


def read_each(
    data: Mapping[str, Any],
    key: str,
    read: Callable[[Mapping[str, Any], str], Entry],
    source: str,
) -> Mapping[str, Entry]:
    """Every table under ``[key.NAME]``, read and frozen, in the order of the file."""
    entries = as_table(data.get(key, {}), f"{source}: {key}")
    read_entries = {
        name: read(as_table(entry, f"{source}: {key}.{name}"), f"{source}: {key}.{name}")
        for name, entry in entries.items()
    }
    return MappingProxyType(read_entries)


def read_event(entry: Mapping[str, Any], where: str) -> PlannedEvent:
    """One event: its role, and perhaps its stage and label."""
    check_keys(entry, _EVENT, where)
    if "role" not in entry:
        raise UsageError(
            f"{where} has no role. Add one of {', '.join(ROLES)}, or remove the table: "
            "an event that is not named is context."
        )
    stage, label = entry.get("stage"), entry.get("label")
    return PlannedEvent(
        one_of(f"{where}.role", entry["role"], ROLES),
        None if stage is None else one_of(f"{where}.stage", stage, STAGES),
        None if label is None else as_text(label, f"{where}.label"),
    )


def read_derived(entry: Mapping[str, Any], where: str) -> Mapping[str, Any]:
    """One event that is made from others: ``after``, ``without``, ``wait`` and a role."""
    check_keys(entry, _DERIVED, where)
    for key in ("after", "without", "wait"):
        if key not in entry:
            raise UsageError(
                f"{where} has no {key}. A derived event is one event `after` which another is "
                "still `without` when the `wait` is over."
            )
        as_text(entry[key], f"{where}.{key}")
    duration_us(entry["wait"], f"{where}.wait")
    read_event({key: entry[key] for key in _EVENT if key in entry}, where)
    return MappingProxyType(dict(entry))


def read_funnel(entry: Mapping[str, Any], where: str) -> PlannedFunnel:
    """One funnel: its steps, and its window (default 7 days)."""
    check_keys(entry, _FUNNEL, where)
    steps = entry.get("steps")
    if not isinstance(steps, list) or not steps:
        raise UsageError(
            f"{where}.steps={steps!r} must be a list of event names, at least one. "
            'Write it as steps = ["view_item", "purchase"].'
        )
    window = as_text(entry.get("window", _DEFAULT_WINDOW), f"{where}.window")
    duration_us(window, f"{where}.window")
    return PlannedFunnel(tuple(as_text(step, f"{where}.steps") for step in steps), window)


def read_segment(entry: Mapping[str, Any], where: str) -> Mapping[str, Any]:
    """One segment: a rule, which is handed on as it was written."""
    check_keys(entry, _SEGMENT, where)
    as_table(entry.get("rule"), f"{where}.rule")
    return MappingProxyType(dict(entry))


def check_keys(entry: Mapping[str, Any], allowed: Iterable[str], where: str) -> None:
    """Refuse a key that the form does not know, and name the nearest one."""
    for key in entry:
        if key not in allowed:
            raise UsageError(
                f"{where}: the key {key!r} is unknown.{did_you_mean(key, allowed)} "
                f"Allowed: {', '.join(allowed)}."
            )


def as_table(value: Any, where: str) -> Mapping[str, Any]:
    """`value` if it is a table of keys and values, else an error."""
    if not isinstance(value, Mapping):
        raise UsageError(f"{where}={value!r} must be a table, with a line per key = value.")
    return value


def as_text(value: Any, where: str) -> str:
    """`value` if it is text and not empty, else an error."""
    if not isinstance(value, str) or not value.strip():
        raise UsageError(f"{where}={value!r} must be text in quotes, and not empty.")
    return value
