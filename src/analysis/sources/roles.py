"""What the columns of one file become: session, value, and the properties of the log."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from analysis.core.schema import EVENT_ID, SESSION, SOURCE_EVENT, VALUE
from analysis.sources.mapping import RESERVED, ColumnMapping, refuse_twins


class Roles(NamedTuple):
    """What the columns of one file are, beside user, time and event."""

    session: str | None
    value: str | None
    properties: Mapping[str, str]


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
    session = mapping.session
    if session is None and mapping.sessions is None and SESSION in columns:
        session = SESSION
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
    refuse_twins(kept)
    return Roles(session, value, kept | named)
