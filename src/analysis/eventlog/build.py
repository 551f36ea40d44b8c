"""From a table of events to shards: which cells, which shard, in which order, with which codes.

A log has two kinds of cell: text and numbers. Ids are text, always: an id that is read as a number
loses its leading zeros and, beyond 2**53, its last digits. Truth values are the text ``"true"`` and
``"false"``, so that they group and filter like any other property; dates in properties are ISO
text.

A *canonical table* has ``user`` (text), ``time`` (int64 microseconds UTC), ``event`` (text),
optionally ``session`` (text), then properties as text or float64. `canonical_table` makes it of a
frame, the readers of `sources` make it of files; `build_shards` knows nothing of either. A shard
holds a range of the users' hashes, so the number of shards is free to choose, and neighboring
ranges can be joined.
"""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, Final

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.types as kind

from analysis.core.checks import whole
from analysis.core.schema import (
    EVENT,
    SESSION,
    TIME,
    US_PER_SECOND,
    USER,
    VALUE,
    DataError,
    UsageError,
    did_you_mean,
)
from analysis.eventlog import kernels, parallel
from analysis.eventlog.folder import user_homes
from analysis.eventlog.ids import frame_ids, refuse_rounded
from analysis.eventlog.instants import FIRST, LATEST, iso_stamps, iso_text
from analysis.eventlog.sessions import SessionRule, session_column
from analysis.eventlog.shard import (
    EXACT,
    TEXT,
    Column,
    NumberColumn,
    Shard,
    encode,
    event_dtype,
    numbers_as_text,
    text_column,
)

ROWS_PER_SHARD: Final = 2_000_000

_NUMBER: Final = r"^-?([0-9]+(\.[0-9]*)?|\.[0-9]+)([eE][+-]?[0-9]+)?$"

_Way = tuple[Callable[[pa.ChunkedArray, str], pa.ChunkedArray], str]
"""How a column of the log is made, and of which column of the table."""


# ── from a frame to a canonical table ────────────────────────────────────────────────────────────


def arrow_table(frame: Any) -> pa.Table:
    """An Arrow table of a pandas, polars or pyarrow frame.

    Raises
    ------
    UsageError
        If `frame` is none of these, or has a column that Arrow cannot hold.
    """
    if isinstance(frame, pa.Table):
        return frame
    if isinstance(frame, pa.RecordBatch):
        return pa.Table.from_batches([frame])
    if isinstance(frame, pd.DataFrame):
        named = frame.rename(columns=str)
        _refuse_twins(list(named.columns))
        try:
            return pa.Table.from_pandas(_plain_objects(named), preserve_index=False)
        except (pa.ArrowException, TypeError, UnicodeError) as error:
            reason = str(error).splitlines()[0]
            raise UsageError(
                f"from_frame: a column cannot be read ({reason}). "
                "Convert it to text or numbers first, or drop it."
            ) from error
    if hasattr(frame, "collect") and hasattr(frame, "collect_schema"):
        frame = frame.collect()
    if hasattr(frame, "to_arrow"):
        return frame.to_arrow()
    raise UsageError(
        f"from_frame: got {type(frame).__name__}. Allowed: a pandas, polars or pyarrow table."
    )


def _plain_objects(frame: pd.DataFrame) -> pd.DataFrame:
    # A column of mixed Python objects (an id that is sometimes a number) is text.
    mixed = {}
    for name in frame.columns:
        column = frame[name]
        if column.dtype == object and pd.api.types.infer_dtype(column) not in (
            "string",
            "empty",
        ):
            present = column.dropna()
            if len(set(present.map(type))) > 1:
                mixed[name] = column.map(str, na_action="ignore")
    return frame.assign(**mixed) if mixed else frame


def _refuse_twins(names: list[str]) -> None:
    for name in names:
        if names.count(name) > 1:
            raise UsageError(
                f"from_frame: there are {names.count(name)} columns {name!r}. Keep one: "
                "df.loc[:, ~df.columns.duplicated()]."
            )


def canonical_table(
    table: pa.Table, *, user: str, time: str, event: str, session: str | None
) -> pa.Table:
    """Rename and convert the columns of `table` to those of a log.

    A naive time is taken as UTC. Columns that are not named become properties.

    Raises
    ------
    UsageError
        If a named column is missing, a column is there twice or cannot be read, or a property
        would be called like a column of the log.
    DataError
        If a row has no user, time or event.
    """
    _refuse_twins(table.column_names)
    named = {USER: user, TIME: time, EVENT: event}
    if session is not None:
        named[SESSION] = session
    for column in named.values():
        if column not in table.column_names:
            raise UsageError(
                f"from_frame: there is no column {column!r}."
                f"{did_you_mean(column, table.column_names)} Columns: "
                f"{', '.join(map(repr, table.column_names))}. "
                "Say which is which: EventLog.from_frame(df, user=…, time=…, event=…)."
            )
    ways: dict[str, _Way] = {
        USER: (id_cells, user),
        TIME: (time_cells, time),
        EVENT: (text_cells, event),
    }
    cells = _converted(table, ways)
    _refuse_gaps(cells)
    if session is None and SESSION in table.column_names and SESSION not in named.values():
        session = SESSION
    more: dict[str, _Way] = {} if session is None else {SESSION: (id_cells, session)}
    taken = {user, time, event, session}
    for name in table.column_names:
        if name in taken:
            continue
        if name in cells or name in more:
            raise UsageError(
                f"from_frame: column {name!r} would become a property, but a log has a column of "
                f"that name. Rename it: df.rename(columns={{{name!r}: 'my_{name}'}})."
            )
        more[name] = (value_cells if name == VALUE else property_cells, name)
    return pa.table(cells | _converted(table, more))


def _converted(table: pa.Table, ways: Mapping[str, _Way]) -> dict[str, pa.ChunkedArray]:
    """The columns of the log, each in a thread: giving text its codes is most of the work."""
    cells = parallel.map_shards(ways.values(), lambda way: way[0](table.column(way[1]), way[1]))
    return dict(zip(ways, cells, strict=True))


def _refuse_gaps(cells: Mapping[str, pa.ChunkedArray]) -> None:
    for name, column in cells.items():
        if column.null_count:
            first = pc.index(column.is_null(), True).as_py()
            raise DataError(
                f"from_frame: {column.null_count} of {len(column)} rows have no {name}, the first "
                f"is row {first}. Leave them out first: df.dropna(subset=[…])."
            )


def text_cells(column: pa.ChunkedArray, name: str) -> pa.ChunkedArray:
    """Any column as dictionary-encoded text; missing stays missing.

    Raises
    ------
    UsageError
        If the column holds values that have no text, such as lists.
    """
    try:
        return _encoded_text(column)
    except pa.ArrowException as error:
        raise UsageError(
            f"from_frame: column {name!r} holds {column.type}, which is no text. "
            f"Convert it first: df[{name!r}].astype(str), or drop it."
        ) from error


def id_cells(column: pa.ChunkedArray, name: str) -> pa.ChunkedArray:
    """Ids as dictionary-encoded text (see `ids`).

    Raises
    ------
    UsageError
        If the column holds values that have no text.
    DataError
        If ids have lost their last digits.
    """
    if kind.is_floating(column.type):
        column = column.cast(pa.float64())
        refuse_rounded(column, name)
        column = pa.chunked_array([numbers_as_text(column)])
    return frame_ids(text_cells(column, name), name)


def _encoded_text(column: pa.ChunkedArray) -> pa.ChunkedArray:
    if kind.is_boolean(column.type):
        column = pc.if_else(column, "true", "false")
    elif kind.is_timestamp(column.type):
        column = iso_text(column)
    cells = column.combine_chunks()
    if isinstance(cells, pa.ChunkedArray):  # more text than one array can hold
        return cells.cast(TEXT)
    if kind.is_dictionary(cells.type):
        known = cells.dictionary
        if known.null_count or pc.count_distinct(known).as_py() < len(known):
            cells = cells.cast(known.type).dictionary_encode()
    else:
        # Encoding first means that only distinct values are turned into text.
        cells = cells.dictionary_encode()
    text = cells.dictionary.cast(TEXT)
    return pa.chunked_array([pa.DictionaryArray.from_arrays(cells.indices, text)])


def time_cells(column: pa.ChunkedArray, name: str) -> pa.ChunkedArray:
    """Instants as int64 microseconds since 1970 UTC; naive ones are taken as UTC.

    Raises
    ------
    UsageError
        If the column holds bare numbers, which have no unit.
    DataError
        If a text is no ISO 8601 time, or an instant is before 1678 or after 2099.
    """
    of = column.type
    if kind.is_dictionary(of):
        column, of = column.cast(of.value_type), of.value_type
    if kind.is_date(of):
        column, of = column.cast(pa.timestamp("us")), pa.timestamp("us")
    if kind.is_null(of):
        column, of = column.cast(pa.timestamp("us")), pa.timestamp("us")
    if kind.is_string(of) or kind.is_large_string(of) or kind.is_string_view(of):
        stamps = iso_stamps(column.cast(TEXT))
        bad = stamps.isna().to_numpy() & column.is_valid().to_numpy()
        if bad.any():
            raise DataError(
                f"from_frame: {int(bad.sum())} of {len(bad)} values of {name!r} are no ISO 8601 "
                f"time, the first is {column[int(bad.argmax())].as_py()!r}. Convert them with "
                "pandas.to_datetime."
            )
        column = pa.chunked_array([pa.array(stamps.dt.as_unit("us"))])
    elif not kind.is_timestamp(of):
        raise UsageError(
            f"from_frame: column {name!r} holds {of}, a time needs its unit. "
            f"Convert it first: pandas.to_datetime(df[{name!r}], unit='ms', utc=True)."
        )
    us = column.cast(pa.timestamp("us", "UTC"), safe=False).cast(pa.int64())
    bounds = pc.min_max(us)
    for where, wrong, far in (
        ("after 2099", (bounds["max"].as_py() or 0) >= LATEST, pc.greater_equal(us, LATEST)),
        ("before 1678", (bounds["min"].as_py() or 0) < FIRST, pc.less(us, FIRST)),
    ):
        if wrong:
            first = np.datetime64(us[pc.index(far, True).as_py()].as_py(), "us")
            raise DataError(
                f"from_frame: {pc.sum(far).as_py()} of {len(us)} times of {name!r} are {where}, "
                f"the first is '{first}'. Is the unit right? Correct these rows, or leave them out."
            )
    return us


def property_cells(column: pa.ChunkedArray, name: str) -> pa.ChunkedArray:
    """A property's cells: float64 for numbers that float64 holds exactly, else text.

    A length of time is a number of seconds.

    Raises
    ------
    UsageError
        If the column holds lists or structures, which are more than one value per event, or
        values that have no text.
    """
    of = column.type
    if kind.is_integer(of):
        exact = exact_integers(column)
        return column.cast(pa.float64()) if exact else text_cells(column, name)
    if kind.is_duration(of):
        column = seconds(column)
    if kind.is_floating(column.type) or kind.is_decimal(of):
        return pc.fill_null(column.cast(pa.float64()), np.nan)
    if kind.is_nested(of):
        raise UsageError(
            f"from_frame: column {name!r} holds {of}, a property has one value per event. "
            "Flatten it first, or drop the column."
        )
    if kind.is_null(of):
        return pa.chunked_array([pa.nulls(len(column), TEXT)])
    return text_cells(column, name)


def value_cells(column: pa.ChunkedArray, name: str) -> pa.ChunkedArray:
    """The cells of ``value``, which are numbers; text is read where all of it is numbers.

    Raises
    ------
    UsageError
        If a cell is no number: which one is meant, nobody can say later.
    """
    if kind.is_null(column.type):
        return pa.chunked_array([pa.nulls(len(column), pa.float64()).fill_null(np.nan)])
    cells = property_cells(column, name)
    if kind.is_floating(cells.type):
        return cells
    words = cells.combine_chunks().dictionary_decode().drop_null()
    plain = pc.fill_null(pc.match_substring_regex(words, _NUMBER), False)
    if pc.all(plain).as_py() is False:
        first = words.filter(pc.invert(plain))[0].as_py()
        raise UsageError(
            f"from_frame: {pc.sum(pc.invert(plain)).as_py():,} of {len(column):,} cells of "
            f"{name!r} are no numbers, the first is {first!r}, and values are added up. Convert "
            f"them first: pandas.to_numeric(df[{name!r}], errors='coerce'); a decimal comma with "
            f"df[{name!r}].str.replace(',', '.'). If it is no amount, rename the column."
        )
    return pc.fill_null(cells.cast(TEXT).cast(pa.float64()), np.nan)


def exact_integers(column: pa.Array | pa.ChunkedArray) -> bool:
    """Does float64 hold all of these integers exactly?

    Examples
    --------
    >>> exact_integers(pa.array([2**53])), exact_integers(pa.array([2**53 + 1]))
    (True, False)
    """
    bounds = pc.min_max(column)
    low, high = bounds["min"].as_py() or 0, bounds["max"].as_py() or 0
    return low >= -EXACT and high <= EXACT


def seconds(column: pa.Array | pa.ChunkedArray) -> pa.Array | pa.ChunkedArray:
    """Lengths of time as float64 seconds.

    Examples
    --------
    >>> seconds(pa.array([1500], pa.duration("ms"))).to_pylist()
    [1.5]
    """
    us = column.cast(pa.duration("us"), safe=False).cast(pa.int64())
    return pc.divide(us.cast(pa.float64(), safe=False), US_PER_SECOND)


# ── from a canonical table to shards ─────────────────────────────────────────────────────────────


def default_shards(rows: int) -> int:
    """A power of two, about one shard per two million rows."""
    return 1 << max(0, int(np.ceil(np.log2(max(rows, 1) / ROWS_PER_SHARD))))


def checked(shards: int, what: str) -> int:
    """Check a number of shards."""
    return whole(f"{what}: shards", shards, least=1)


def build_shards(table: pa.Table, *, event_names: Sequence[str], shards: int) -> Iterator[Shard]:
    """Split a canonical table by user and build each part; empty shards are left out."""
    if shards == 1:
        yield build_shard(table, event_names=event_names)
        return
    codes, users = encode(table.column(USER))
    home = shard_of(users, shards)[codes]
    order = np.argsort(home, kind="stable")
    bounds = np.searchsorted(home[order], np.arange(shards + 1))
    for start, stop in itertools.pairwise(bounds):
        if stop > start:
            part = table.take(pa.array(order[start:stop]))
            yield build_shard(part, event_names=event_names)


def shard_of(users: pa.Array, shards: int) -> np.ndarray:
    """The number of the shard, of `shards`, to which each user id belongs (int64).

    Examples
    --------
    >>> shard_of(pa.array(["anna", "ben"]), 1)
    array([0, 0])
    """
    if pa.types.is_dictionary(users.type):  # every id is hashed once
        return shard_of(users.dictionary, shards)[users.indices.to_numpy(zero_copy_only=False)]
    return ((user_homes(users) * np.uint64(shards)) >> np.uint64(32)).astype(np.int64)


def split_table(table: pa.Table) -> list[pa.Table]:
    """Split a table with more than twice the rows of a shard into one table per shard.

    Each has the users of a range of hashes, as shards have; rows keep their order. A smaller table
    comes back whole.
    """
    if len(table) <= 2 * ROWS_PER_SHARD:
        return [table]
    codes, users = encode(table.column(USER))
    home = user_homes(users)
    low, width = home.min(), home.max() - home.min() + np.uint64(1)
    count = default_shards(len(table))
    number_of_row = ((home - low) * np.uint64(count) // width)[codes]
    return [table.filter(pa.array(number_of_row == number)) for number in range(count)]


def build_shard(
    table: pa.Table, *, event_names: Sequence[str], sessions: SessionRule | None = None
) -> Shard:
    """Sort a canonical table by user and time and encode its columns.

    Rows of one user at one instant keep the order in which they stand in the table. Where there
    is no session column, `sessions` says where one ends (default: a pause of more than 30
    minutes starts the next).
    """
    codes, users = encode(table.column(USER))
    time = table.column(TIME).to_numpy()
    order, offsets = kernels.user_time_order(codes, time, len(users))
    time = time[order]
    event = _event_codes(table.column(EVENT), event_names)[order]
    columns = {
        name: _sorted_column(table.column(name), order)
        for name in table.column_names
        if name not in (USER, TIME, EVENT)
    }
    shard = Shard(
        users=users,
        offsets=offsets,
        time=time,
        event=event,
        masks=kernels.event_masks(event, offsets),
        columns=columns,
    )
    if SESSION in columns:
        return shard
    numbered = session_column(shard, sessions or SessionRule(), names=len(event_names))
    return dataclasses.replace(shard, columns={SESSION: numbered, **columns})


def _event_codes(column: pa.ChunkedArray, event_names: Sequence[str]) -> np.ndarray:
    codes, names = encode(column)
    place = {name: code for code, name in enumerate(event_names)}
    lookup = np.array([place[name] for name in names.to_pylist()], event_dtype(len(event_names)))
    return lookup[codes]


def _sorted_column(column: pa.ChunkedArray, order: np.ndarray) -> Column:
    if pa.types.is_floating(column.type):
        return NumberColumn(column.to_numpy()[order])
    return text_column(column, order)
