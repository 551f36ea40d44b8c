"""From a file's records to rows of the log, and a reason for every record that is none.

A record becomes a row when it has a user, a readable time, an event, and a value that is a number
where it has one. Every other record goes to the quarantine with the first reason that applies;
none is repaired and none is dropped without a word.

`canonical_rows` does this for a batch; `roles_of` says what the columns of a file become: session,
value, and the properties of the log.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from analysis.core.schema import (
    EVENT,
    EVENT_ID,
    SESSION,
    SOURCE_EVENT,
    TIME,
    USER,
    VALUE,
    UsageError,
)
from analysis.eventlog.filters import granted_rows
from analysis.eventlog.maintenance import BadRecord
from analysis.eventlog.shard import CODED, TEXT, plain, string_hashes
from analysis.sources.cells import (
    blank_as_missing,
    id_text,
    number_cells,
    property_cells,
    rows_as_json,
)
from analysis.sources.mapping import RESERVED, ColumnMapping, refuse_twins
from analysis.sources.privacy import refuse_addresses
from analysis.sources.readers import Batch, without_content
from analysis.sources.times import REASONS, read_instants

TEXT_PROPERTIES: Final = frozenset(
    {
        *(SESSION, SOURCE_EVENT, EVENT_ID, "currency", "order_id", "item_id"),
        *("channel", "source", "medium", "campaign", "device", "country", "page"),
    }
)
"""Standard properties that are text even where every cell looks like a number."""


class Rows(NamedTuple):
    """Rows of the log in a canonical table, and the records that are none.

    `untyped` are the text properties that may turn out to be numbers (those of a CSV).
    `order_ids` are two 64-bit hashes per row of what names an order or the like (uint64, rows × 2),
    and `has_order_id` says which rows have such a name; both None where the mapping asks for none.
    `excluded` is how many records had no consent.
    """

    table: pa.Table
    untyped: frozenset[str]
    order_ids: np.ndarray | None
    has_order_id: np.ndarray | None
    bad: Sequence[BadRecord]
    excluded: int = 0


def canonical_rows(batch: Batch, mapping: ColumnMapping) -> Rows:
    """Which rows of the log are in this batch?

    Where the mapping has a key, hashes replace the users' ids before anything else sees these.

    Raises
    ------
    UsageError
        If the times need a zone or a unit that the mapping does not give.
    DataError
        If ids have lost their digits in the file, or are e-mail addresses and there is no key.

    Examples
    --------
    >>> cells = pa.RecordBatch.from_pylist([{"user": "ann", "time": "2026-01-01"}])
    >>> batch = Batch(cells, np.array([2]), (), ["user", "time", "event"], False, 0)
    >>> canonical_rows(batch, ColumnMapping(zone="UTC")).bad[0][:2]
    (2, 'event is missing')
    """
    records = batch.cells.num_rows
    batch = _protected(_consented(batch, mapping), mapping)
    columns = _Columns(batch, mapping)
    roles = roles_of(mapping, batch.cells.schema.names)
    user = columns.text(mapping.user)
    instants = read_instants(
        columns.raw(mapping.time), mapping.time, zone=mapping.zone, unit=mapping.unit
    )
    vendor = columns.text(mapping.event)
    event = _events(columns, vendor, mapping)
    cells = {USER: user, TIME: pa.array(instants.us), EVENT: event}
    reasons = [(~_present(user), "user is missing")]
    reasons += [(instants.reason == code, REASONS[code]) for code in range(1, len(REASONS))]
    reasons.append((~_present(event), "event is missing"))
    if roles.session is not None:
        cells[SESSION] = columns.text(roles.session)
    if mapping.renames:
        cells[SOURCE_EVENT] = vendor
    if roles.value is not None:
        cells[VALUE], no_number = columns.numbers(roles.value, mapping.divide_by)
        reasons.append((no_number, f"value is no number (column {roles.value!r})"))
    for column, name in roles.properties.items():
        cells[name] = columns.cells(column, as_text=name in TEXT_PROPERTIES)
    good, bad = _sorted_out(batch, reasons)
    bad = _with_ids(bad, user, good)
    table = pa.table(cells)
    ids, has_id = _order_ids(columns, event, mapping)
    if not good.all():
        table = table.filter(pa.array(good))
        ids = ids[good] if ids is not None else None
        has_id = has_id[good] if has_id is not None else None
    untyped = frozenset() if batch.typed else frozenset(roles.properties.values())
    excluded = records - batch.cells.num_rows
    return Rows(table, untyped - TEXT_PROPERTIES, ids, has_id, [*batch.bad, *bad], excluded)


def _consented(batch: Batch, mapping: ColumnMapping) -> Batch:
    """The batch without the records that grant no consent."""
    if mapping.consent is None:
        return batch
    cells = _Columns(batch, mapping).cells(mapping.consent.column, as_text=True)
    granted = granted_rows(cells.cast(TEXT), mapping.consent)
    return batch._replace(
        cells=batch.cells.filter(pa.array(granted)),
        rows=batch.rows[granted],
        bad=without_content(batch.bad),
    )


def _protected(batch: Batch, mapping: ColumnMapping) -> Batch:
    """The batch with hashed ids, so that no later step ever sees any other."""
    if mapping.user not in batch.cells.schema.names:
        return batch
    ids = _Columns(batch, mapping).text(mapping.user)
    if mapping.key is None:
        if mapping.hash_key_file is not None:
            raise UsageError(
                f"the key '{mapping.hash_key_file}' has not been read: see `with_settings_of_log`."
            )
        refuse_addresses(ids, mapping.user)
        return batch
    place = batch.cells.schema.get_field_index(mapping.user)
    cells = batch.cells.set_column(place, mapping.user, mapping.key.hashed(ids))
    return batch._replace(cells=cells, bad=without_content(batch.bad))


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


def _events(columns: _Columns, vendor: pa.Array, mapping: ColumnMapping) -> pa.Array:
    if not mapping.renames:
        return vendor
    encoded = vendor.dictionary_encode()
    ours = [mapping.events.get(name, name) for name in encoded.dictionary.to_pylist()]
    events = pa.DictionaryArray.from_arrays(encoded.indices, pa.array(ours, TEXT))
    if not mapping.event_when:
        return events
    events = plain(events)
    for rule in reversed(mapping.event_when):
        fits = [
            pc.is_in(plain(columns.text(name)), pa.array(words, TEXT))
            for name, words in rule.when.items()
        ]
        for more in fits[1:]:
            fits[0] = pc.and_(fits[0], more)
        events = pc.if_else(fits[0], pa.scalar(rule.event, TEXT), events)
    return events


def _sorted_out(
    batch: Batch, reasons: Sequence[tuple[np.ndarray, str]]
) -> tuple[np.ndarray, list[BadRecord]]:
    """Which rows are good; the others as bad records with the first reason that applies."""
    good = ~np.logical_or.reduce([found for found, _ in reasons])
    bad = np.flatnonzero(~good)
    first = np.argmax(np.array([found[bad] for found, _ in reasons]), axis=0)
    content = rows_as_json(batch.cells, bad)
    return good, [
        BadRecord(int(batch.rows[row]), reasons[code][1], text)
        for row, code, text in zip(bad, first, content, strict=True)
    ]


def _with_ids(bad: Sequence[BadRecord], user: pa.Array, good: np.ndarray) -> list[BadRecord]:
    """The bad records with the ids of those whose they are; people are found by them later."""
    ids = plain(user.filter(pa.array(~good))).to_pylist()
    return [
        record._replace(ids=() if own is None else (own,))
        for record, own in zip(bad, ids, strict=True)
    ]


def _order_ids(
    columns: _Columns, event: pa.Array, mapping: ColumnMapping
) -> tuple[np.ndarray | None, np.ndarray | None]:
    if not mapping.duplicates:
        return None, None
    ids = np.zeros((len(event), 2), np.uint64)
    has_id = np.zeros(len(event), np.bool_)
    for name, names in mapping.duplicates.items():
        cells = [plain(columns.text(column)) for column in names]
        rows = pc.fill_null(pc.equal(plain(event), name), False).to_numpy(zero_copy_only=False)
        for column in cells:
            rows &= _present(column)
        hashes = string_hashes(pa.array([name], TEXT), EVENT)
        for place, column in enumerate(cells):
            hashes = hashes + string_hashes(pc.fill_null(column, ""), f"{place}")
        ids[rows] = hashes[rows]
        has_id |= rows
    return ids, has_id


class _Columns:
    """The cells of a batch by column; a column that the batch does not have is missing."""

    def __init__(self, batch: Batch, mapping: ColumnMapping) -> None:
        self._batch, self._missing = batch, mapping.missing
        self.names = batch.cells.schema.names
        self.typed = batch.typed

    def raw(self, name: str) -> pa.Array:
        if name not in self.names:
            return pa.nulls(self._batch.cells.num_rows)
        return self._batch.cells.column(name)

    def text(self, name: str) -> pa.Array:
        return self._blanked(id_text(self.raw(name), name))

    def numbers(self, name: str, divide_by: float) -> tuple[pa.Array, np.ndarray]:
        cells = plain(self.raw(name))
        if self._missing and (
            pa.types.is_large_string(cells.type) or pa.types.is_string(cells.type)
        ):
            cells = self._blanked(cells.cast(TEXT))
        numbers, bad = number_cells(cells)
        return (pc.divide(numbers, divide_by) if divide_by != 1 else numbers), bad

    def cells(self, name: str, *, as_text: bool) -> pa.Array:
        found = property_cells(self.raw(name), name, as_text=as_text)
        return self._blanked(found) if found.type in (TEXT, CODED) else found

    def _blanked(self, cells: pa.Array) -> pa.Array:
        # The CSV reader has done it already, in passing.
        return blank_as_missing(cells, self._missing) if self._missing and self.typed else cells


def _present(cells: pa.Array) -> np.ndarray:
    return cells.is_valid().to_numpy(zero_copy_only=False)
