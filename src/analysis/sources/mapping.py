"""Which column of a file is what: a mapping, as plain data.

A mapping comes from a TOML file, from a preset that ships with the package, or from command-line
options, and options win. It names columns; it computes nothing. Every key is checked, because a
misspelled one that was silently ignored would change the meaning of the whole import.
"""

from __future__ import annotations

import dataclasses
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, NamedTuple

from analysis.schema import (
    EVENT,
    EVENT_ID,
    SESSION,
    SOURCE_EVENT,
    TIME,
    USER,
    VALUE,
    UsageError,
    did_you_mean,
)
from analysis.sources.instants import check_unit, check_zone

RESERVED: Final = (USER, TIME, EVENT, SESSION)
_LISTED: Final = 20


class EventRule(NamedTuple):
    """Rows whose cells have one of the given values each are events of this name."""

    when: Mapping[str, tuple[str, ...]]
    event: str


@dataclass(frozen=True)
class ColumnMapping:
    """Which column of a file is what.

    Parameters
    ----------
    user, time, event : columns that every file must have.
    session, value : columns; None means the one of that name, where there is one.
    event_id : column that names an event; rows of one user with one id are one event.
    divide_by : what `value` is divided by (1,000,000 for millionths of a currency unit).
    zone, unit : of times without an offset, and of times that are numbers.
    events : the vendor's name → ours; what is not named keeps its own.
    event_when : rules that look at other columns; the first that fits wins, before `events`.
    duplicates : of our event, the columns that name it; one event per value is kept.
    properties : column → property; None keeps every other column under its own name.
    missing : cells that mean "missing", beside the empty one.
    """

    user: str = USER
    time: str = TIME
    event: str = EVENT
    session: str | None = None
    value: str | None = None
    event_id: str | None = None
    divide_by: float = 1.0
    zone: str | None = None
    unit: str | None = None
    events: Mapping[str, str] = field(default_factory=dict)
    event_when: tuple[EventRule, ...] = ()
    duplicates: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    properties: Mapping[str, str] | None = None
    missing: frozenset[str] = frozenset()

    def __post_init__(self) -> None:
        if self.zone is not None:
            check_zone(self.zone)
        if self.unit is not None:
            check_unit(self.unit)
        _check_properties(self)

    @property
    def renames(self) -> bool:
        """Do events get other names than the vendor's?"""
        return bool(self.events or self.event_when)

    @property
    def columns(self) -> frozenset[str] | None:
        """The columns that are needed, or None for all."""
        if self.properties is None:
            return None
        optional = {self.session or SESSION, self.value or VALUE, *self.properties}
        optional |= {self.event_id} if self.event_id else set()
        return frozenset({self.user, self.time, self.event, *optional, *self.conditions})

    @property
    def conditions(self) -> tuple[str, ...]:
        """Columns that are looked at and need not become properties."""
        rules = (name for rule in self.event_when for name in rule.when)
        keys = (name for columns in self.duplicates.values() for name in columns)
        return tuple(dict.fromkeys((*rules, *keys)))

    def with_options(
        self,
        *,
        columns: Mapping[str, str | None],
        zone: str | None = None,
        unit: str | None = None,
    ) -> ColumnMapping:
        """The same mapping with what a command line gave; None changes nothing.

        Examples
        --------
        >>> ColumnMapping().with_options(columns={"user": "client_id", "value": None}).user
        'client_id'
        """
        changes: dict[str, Any] = {role: name for role, name in columns.items() if name is not None}
        if VALUE in changes:
            changes["divide_by"] = 1.0
        given = {"zone": zone, "unit": unit}
        changes |= {name: text for name, text in given.items() if text is not None}
        return dataclasses.replace(self, **changes)


class Roles(NamedTuple):
    """What the columns of one file are, beside user, time and event."""

    session: str | None
    value: str | None
    properties: Mapping[str, str]


def check_columns(
    mapping: ColumnMapping, columns: Sequence[str], path: Path, *, sparse: bool = False
) -> None:
    """Does the file have the columns that the mapping names?

    Parameters
    ----------
    sparse : the file names a column only where it has a cell (JSON lines), so that only user,
        time and event can be asked for.

    Raises
    ------
    UsageError
        If a column is missing, with the nearest name and the option to use.
    """
    for role in (USER, TIME, EVENT):
        if getattr(mapping, role) not in columns:
            option = f"--{role} COLUMN"
            raise missing_column(getattr(mapping, role), columns, f"'{path}' has", option)
    for name, option in named_columns(mapping).items():
        if name not in columns and not sparse:
            raise missing_column(name, columns, f"'{path}' has", option)


def named_columns(mapping: ColumnMapping) -> dict[str, str]:
    """The columns that a mapping names beside user, time and event, and where it names them."""
    named = dict.fromkeys(mapping.properties or (), "[properties]")
    named |= dict.fromkeys(
        (key for keys in mapping.duplicates.values() for key in keys), "[duplicates]"
    )
    named |= dict.fromkeys(
        (name for rule in mapping.event_when for name in rule.when), "[[event_when]]"
    )
    optional = {mapping.session: f"--{SESSION} COLUMN", mapping.value: f"--{VALUE} COLUMN"}
    optional[mapping.event_id] = "--event-id COLUMN"
    return named | {name: option for name, option in optional.items() if name is not None}


def missing_column(name: str, columns: Sequence[str], where: str, option: str) -> UsageError:
    """The error of a column that is named and not there; `where` begins the list of columns."""
    listed = ", ".join(map(repr, columns[:_LISTED]))
    more = f" and {len(columns) - _LISTED} more" if len(columns) > _LISTED else ""
    return UsageError(
        f"there is no column {name!r}.{did_you_mean(name, columns)} {where} {listed}{more}. "
        f"Say which one it is: {option}."
    )


def roles_of(mapping: ColumnMapping, columns: Sequence[str]) -> Roles:
    """Which of these columns are session and value, and which properties do the others become?

    By default a property has its column's name. A column left over that is called like a column
    of the log gets ``_column`` behind its name.

    Raises
    ------
    UsageError
        If two columns would become the same property.

    Examples
    --------
    >>> roles_of(ColumnMapping(user="id"), ["id", "time", "event", "user", "device"]).properties
    {'user': 'user_column', 'device': 'device'}
    """
    session = mapping.session or (SESSION if SESSION in columns else None)
    value = mapping.value or (VALUE if VALUE in columns else None)
    given = mapping.event_id
    named = {given: EVENT_ID} if given is not None and given in columns else {}
    if mapping.properties is not None:
        kept = {name: to for name, to in mapping.properties.items() if name in columns}
        return Roles(session, value, kept | named)
    used = {mapping.user, mapping.time, mapping.event, session, value, mapping.event_id}
    taken = {*RESERVED, *([VALUE] if value else []), *([SOURCE_EVENT] if mapping.renames else [])}
    taken |= {EVENT_ID} if mapping.event_id else set()
    kept = {
        name: f"{name}_column" if name in taken else name for name in columns if name not in used
    }
    _refuse_twins(kept)
    return Roles(session, value, kept | named)


def _check_properties(mapping: ColumnMapping) -> None:
    kept = mapping.properties or {}
    for column, name in kept.items():
        if name == VALUE:
            raise UsageError(
                f"[properties] {column} = 'value': a value is a number and has its own place. "
                f"Write [columns] value = '{column}'."
            )
        added = {SOURCE_EVENT: mapping.renames, EVENT_ID: mapping.event_id}
        if name in RESERVED or added.get(name) or not name:
            raise UsageError(
                f"[properties] {column} = {name!r}: that name belongs to the log. Choose another."
            )
    _refuse_twins(kept)


def _refuse_twins(properties: Mapping[str, str]) -> None:
    for name, count in Counter(properties.values()).items():
        if count > 1:
            both = [column for column, to in properties.items() if to == name]
            raise UsageError(
                f"columns {both[0]!r} and {both[1]!r} would both become the property {name!r}. "
                "Name them apart in [properties]."
            )
