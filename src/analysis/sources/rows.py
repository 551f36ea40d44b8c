"""From a file's records to rows of the log, and a reason for every record that is none.

A record becomes a row when it has a user, a readable time and an event. Every other record goes to
the quarantine with the first reason that applies; none is repaired and none is dropped without a
word. A cell beside these three that cannot be read, such as a value that is no number, is missing
in its row, and counted (see `losses`).

`canonical_rows` does this for a batch; `roles_of` says what the columns of a file become: session,
value, and the properties of the log.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from types import MappingProxyType
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
    code_cells,
    id_cells,
    id_text,
    number_cells,
    property_cells,
    rows_as_json,
)
from analysis.sources.clocks import FileClock
from analysis.sources.decimals import Decimals
from analysis.sources.losses import EXCLUDED, NO_WEEK, Loss, rows_lost, weeks_of
from analysis.sources.mapping import ORDER_LINES, RESERVED, ColumnMapping, refuse_twins
from analysis.sources.privacy import refuse_addresses
from analysis.sources.readers import Batch, without_content
from analysis.sources.times import REASONS, Instants, read_instants, two_columns

TEXT_PROPERTIES: Final = frozenset(
    {
        *(SESSION, SOURCE_EVENT, EVENT_ID, "currency", "order_id", "item_id"),
        *("channel", "source", "medium", "campaign", "device", "country", "page"),
    }
)
"""Standard properties that are text even where every cell looks like a number."""

CODES: Final = frozenset({EVENT_ID, "order_id", "item_id"})
"""Properties in which the same code must be the same text in every file."""


class Rows(NamedTuple):
    """Rows of the log in a canonical table, and the records that are none.

    `untyped` are the text properties that may turn out to be numbers (those of a CSV).
    `order_ids` are two 64-bit hashes per row of what names an order or the like (uint64, rows × 2),
    and `has_order_id` says which rows have such a name; both None where the mapping asks for none.
    Of the rows that have one, `is_line` says which are lines of an order.
    `excluded` is how many records had no consent. `bad_of` has for every bad record its event (or
    "") and the number of its week; `lost` counts the excluded rows the same way. `blanked` says by
    column of the file in which rows a cell could not be read.
    """

    table: pa.Table
    untyped: frozenset[str]
    order_ids: np.ndarray | None
    has_order_id: np.ndarray | None
    bad: Sequence[BadRecord]
    excluded: int = 0
    is_line: np.ndarray | None = None
    bad_of: Sequence[tuple[str, int]] = ()
    lost: Mapping[Loss, int] = MappingProxyType({})
    blanked: Mapping[str, np.ndarray] = MappingProxyType({})


def canonical_rows(
    batch: Batch,
    mapping: ColumnMapping,
    *,
    decimals: Decimals | None = None,
    clock: FileClock | None = None,
) -> Rows:
    """Which rows of the log are in this batch?

    Where the mapping has a key, hashes replace the users' ids before anything else sees these.

    Parameters
    ----------
    decimals : reads the numbers of the import that the batch belongs to.
    clock : knows the times of the batches of this file that came before.

    Raises
    ------
    UsageError
        If the times need a zone or a unit that the mapping does not give, or a number can mean two.
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
    decimals = decimals or Decimals(mapping.decimal)
    batch, lost = _consented(batch, mapping)
    batch = _protected(batch, mapping)
    columns = _Columns(batch, mapping, decimals)
    roles = roles_of(mapping, batch.cells.schema.names)
    user = columns.ids(mapping.user)
    instants = _instants(columns, mapping, user, clock or FileClock())
    vendor = columns.events()
    event = _events(columns, vendor, mapping)
    cells = {USER: user, TIME: pa.array(instants.us), EVENT: event}
    reasons = [(~_present(user), "user is missing")]
    reasons += [(instants.reason == code, REASONS[code]) for code in range(1, len(REASONS))]
    reasons.append((~_present(event), "event is missing"))
    blanked: dict[str, np.ndarray] = {}
    if roles.session is not None:
        cells[SESSION] = columns.ids(roles.session)
    if mapping.renames:
        cells[SOURCE_EVENT] = vendor
    if roles.value is not None:
        cells[VALUE], blanked[roles.value] = _values(columns, roles.value, event, mapping)
    for column, name in roles.properties.items():
        if mapping.types.get(column) == "number":
            cells[name], blanked[column] = columns.numbers(column)
        else:
            as_text = name in TEXT_PROPERTIES or mapping.types.get(column) == "text"
            found = columns.cells(column, as_text=as_text)
            cells[name] = code_cells(found) if name in CODES and _is_text(found) else found
    if mapping.orders is not None:
        cells[ORDER_LINES] = pa.array(np.full(len(event), np.nan))
    good, bad, at = _sorted_out(batch, reasons)
    bad = _with_ids(bad, user, good)
    weeks = weeks_of(instants.us, instants.reason == 0)
    table = pa.table(cells)
    ids, has_id, is_line = _order_ids(columns, event, mapping)
    if not good.all():
        table = table.filter(pa.array(good))
        ids = ids[good] if ids is not None else None
        has_id = has_id[good] if has_id is not None else None
        is_line = is_line[good] if is_line is not None else None
    untyped = () if batch.typed else roles.properties.items()
    texts = frozenset(name for column, name in untyped if column not in mapping.types)
    return Rows(
        table,
        texts - TEXT_PROPERTIES,
        ids,
        has_id,
        [*batch.bad, *bad],
        records - batch.cells.num_rows,
        is_line,
        [*[("", NO_WEEK)] * len(batch.bad), *_places(event, weeks, at)],
        lost,
        {column: found[good] for column, found in blanked.items() if found.any()},
    )


def _is_text(cells: pa.Array) -> bool:
    return cells.type in (TEXT, CODED)


def _instants(
    columns: _Columns, mapping: ColumnMapping, users: pa.Array, clock: FileClock
) -> Instants:
    name = " and ".join(mapping.time_columns)
    column, *hour = (columns.raw(part) for part in mapping.time_columns)
    if hour:
        column = two_columns(column, hour[0], name)
    naive = False

    def second(local: np.ndarray, rows: np.ndarray, zone: str) -> np.ndarray:
        nonlocal naive
        naive = True
        clock.note_days(local)
        return clock.second(local, users.take(pa.array(rows)), zone)

    instants = read_instants(column, name, zone=mapping.zone, unit=mapping.unit, second=second)
    if not naive and (instants.reason == 0).any():
        clock.dates_only = False  # an offset or a number says more than a day
    return instants


def _values(
    columns: _Columns, name: str, event: pa.Array, mapping: ColumnMapping
) -> tuple[pa.Array, np.ndarray]:
    """The values, of the events that have one; and where a cell is no number."""
    numbers, bad = columns.numbers(name, mapping.divide_by)
    if mapping.value_events:
        has = pc.is_in(plain(event), pa.array(mapping.value_events, TEXT))
        numbers = pc.if_else(has, numbers, pa.scalar(np.nan))
        bad = bad & has.to_numpy(zero_copy_only=False)
    return numbers, bad


def _places(event: pa.Array, weeks: np.ndarray, rows: np.ndarray) -> list[tuple[str, int]]:
    names = plain(event.take(pa.array(rows))).to_pylist()
    return [(name or "", week) for name, week in zip(names, weeks[rows].tolist(), strict=True)]


def _consented(batch: Batch, mapping: ColumnMapping) -> tuple[Batch, Counter[Loss]]:
    """The batch without the records that grant no consent, and the number of those."""
    if mapping.consent is None:
        return batch, Counter()
    columns = _Columns(batch, mapping, Decimals())
    cells = columns.cells(mapping.consent.column, as_text=True)
    granted = granted_rows(cells.cast(TEXT), mapping.consent)
    without = batch._replace(cells=batch.cells.filter(pa.array(~granted)))
    columns = _Columns(without, mapping, Decimals())
    events = _events(columns, columns.events(), mapping)
    instants = _instants(columns, mapping, columns.ids(mapping.user), FileClock())
    weeks = weeks_of(instants.us, instants.reason == 0)
    lost = rows_lost(EXCLUDED, events, weeks, reason="no consent")
    kept = batch._replace(
        cells=batch.cells.filter(pa.array(granted)),
        rows=batch.rows[granted],
        bad=without_content(batch.bad),
    )
    return kept, lost


def _protected(batch: Batch, mapping: ColumnMapping) -> Batch:
    """The batch with hashed ids, so that no later step ever sees any other."""
    if mapping.user not in batch.cells.schema.names:
        return batch
    ids = _Columns(batch, mapping, Decimals()).ids(mapping.user)
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
    free = set(columns) - set(mapping.needed)  # a column has one role
    session = mapping.session
    if session is None and mapping.sessions is None and SESSION in free:
        session = SESSION
    value = mapping.value or (VALUE if VALUE in free else None)
    given = mapping.event_id
    named = {given: EVENT_ID} if given is not None and given in columns else {}
    if mapping.properties is not None:
        kept = {name: to for name, to in mapping.properties.items() if name in columns}
        return Roles(session, value, kept | named)
    used = {*mapping.needed, session, value, mapping.event_id}
    taken = {*RESERVED, *([VALUE] if value else []), *([SOURCE_EVENT] if mapping.renames else [])}
    taken |= {EVENT_ID} if mapping.event_id else set()
    taken |= {ORDER_LINES} if mapping.orders else set()
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
) -> tuple[np.ndarray, list[BadRecord], np.ndarray]:
    """Which rows are good; the others as bad records with the first reason that applies.

    The last are the places of the others.
    """
    good = ~np.logical_or.reduce([found for found, _ in reasons])
    bad = np.flatnonzero(~good)
    first = np.argmax(np.array([found[bad] for found, _ in reasons]), axis=0)
    content = rows_as_json(batch.cells, bad)
    records = [
        BadRecord(int(batch.rows[row]), reasons[code][1], text)
        for row, code, text in zip(bad, first, content, strict=True)
    ]
    return good, records, bad


def _with_ids(bad: Sequence[BadRecord], user: pa.Array, good: np.ndarray) -> list[BadRecord]:
    """The bad records, each with its user's id: a person who is forgotten is found by it."""
    ids = plain(user.filter(pa.array(~good))).to_pylist()
    return [
        record._replace(ids=() if own is None else (own,))
        for record, own in zip(bad, ids, strict=True)
    ]


def _order_ids(
    columns: _Columns, event: pa.Array, mapping: ColumnMapping
) -> tuple[np.ndarray | None, np.ndarray | None, np.ndarray | None]:
    """Hashes of what names each row, which rows have a name, and which are lines of an order."""
    if not mapping.duplicates and mapping.orders is None:
        return None, None, None
    ids = np.zeros((len(event), 2), np.uint64)
    has_id, is_line = np.zeros((2, len(event)), np.bool_)
    named = dict(mapping.duplicates)
    if mapping.orders is not None:
        named[mapping.orders.event] = mapping.orders.key
    for name, names in named.items():
        cells = [plain(columns.ids(column)) for column in names]
        rows = pc.fill_null(pc.equal(plain(event), name), False).to_numpy(zero_copy_only=False)
        for column in cells:
            rows &= _present(column)
        hashes = string_hashes(pa.array([name], TEXT), EVENT)
        for place, column in enumerate(cells):
            hashes = hashes + string_hashes(pc.fill_null(column, ""), f"{place}")
        ids[rows] = hashes[rows]
        has_id |= rows
        if mapping.orders is not None and name == mapping.orders.event:
            is_line |= rows
    return ids, has_id, is_line


class _Columns:
    """The cells of a batch by column; a column that the batch does not have is missing."""

    def __init__(self, batch: Batch, mapping: ColumnMapping, decimals: Decimals) -> None:
        self._rows, self._missing, self._mapping = batch.cells.num_rows, mapping.missing, mapping
        self._decimals = decimals
        self._cells = dict(zip(batch.cells.schema.names, batch.cells.columns, strict=True))
        self.names = batch.cells.schema.names
        self.typed = batch.typed

    def raw(self, name: str) -> pa.Array:
        found = self._cells.get(name)
        return pa.nulls(self._rows) if found is None else found

    def text(self, name: str) -> pa.Array:
        return self._blanked(id_text(self.raw(name), name))

    def ids(self, name: str) -> pa.Array:
        """Ids: what is written for "none" is missing."""
        return id_cells(self.raw(name), name, self._missing if self.typed else ())

    def events(self) -> pa.Array:
        """The vendor's names of the events."""
        if self._mapping.constant_event is None:
            return self.text(self._mapping.event)
        return pa.repeat(pa.scalar(self._mapping.constant_event, TEXT), self._rows)

    def numbers(self, name: str, divide_by: float = 1.0) -> tuple[pa.Array, np.ndarray]:
        cells = plain(self.raw(name))
        if self._missing and (
            pa.types.is_large_string(cells.type) or pa.types.is_string(cells.type)
        ):
            cells = self._blanked(cells.cast(TEXT))
        numbers, bad = number_cells(cells, name, self._decimals)
        return (pc.divide(numbers, divide_by) if divide_by != 1 else numbers), bad

    def cells(self, name: str, *, as_text: bool) -> pa.Array:
        found = property_cells(self.raw(name), name, as_text=as_text)
        return self._blanked(found) if found.type in (TEXT, CODED) else found

    def _blanked(self, cells: pa.Array) -> pa.Array:
        # The CSV reader has done it already, in passing.
        return blank_as_missing(cells, self._missing) if self._missing and self.typed else cells


def _present(cells: pa.Array) -> np.ndarray:
    return cells.is_valid().to_numpy(zero_copy_only=False)
