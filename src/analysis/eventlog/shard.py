"""A shard: the rows of some users, sorted by user and time, as plain arrays.

Everything asked of a log is local to a user, so a shard is all that a pass ever sees. It holds

- `users`: ids as text, in ascending order of their bytes; `offsets`: where each user's rows start,
- `time`: int64 microseconds since 1970 UTC; `event`: codes into the log's list of event names,
- `masks`: per user a 64-bit set of the events they have (bit ``code % 64``), which lets a pass
  skip people who cannot matter,
- `columns`: the session and the properties; text as codes into a dictionary of the shard's own
  (−1 is missing), numbers as float64 (NaN is missing).

Dictionaries belong to the shard, so a shard can be written, merged or dropped without touching
any other, and a property with millions of values costs no shared memory. Only event names are
shared: their list grows at its end and never changes its order.

On disk a shard is two uncompressed Arrow files that are mapped, not read: opening costs nothing.
"""

from __future__ import annotations

import contextlib
import hashlib
import math
import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Final, Protocol, Self, TypeVar

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from analysis.core.schema import EVENT, TIME, USER, DataError, UsageError
from analysis.eventlog import kernels
from analysis.eventlog.instants import FIRST, LATEST

ROWS_FILE: Final = "rows.arrow"
USERS_FILE: Final = "users.arrow"
TEXT: Final = pa.large_string()

CODED: Final = pa.dictionary(pa.int32(), TEXT)
"""Text as codes into its distinct values: what is done to a value is done once."""

EXACT: Final = 2**53
"""Integers beyond this lose digits as float64."""

_INT32: Final = np.iinfo(np.int32).max

_BLOCK: Final = 1 << 15
"""Rows whose hashes are added up at a time."""

_MISSING_CELL: Final = np.uint64(0x51ED270B27D4EB4F)
"""The hash of a missing cell."""


@dataclass(frozen=True, eq=False)
class TextColumn:
    """Text cells: `codes` into `values` (a string array without nulls); −1 is missing."""

    codes: np.ndarray
    values: pa.Array

    def code_of(self, text: str) -> int:
        """The code of a value, or −1 where the shard does not have it."""
        return int(pc.index(self.values, pa.scalar(text, self.values.type)).as_py())


class MappedText(TextColumn):
    """Text cells of a file, which are looked through when they are first asked for.

    A flipped bit in a code or in a place of a text would send a pass beyond the memory that is its
    own. `what` names the column in the error.
    """

    def __init__(self, codes: np.ndarray, values: pa.Array, what: str = "a text column") -> None:
        self.__dict__.update(_codes=codes, _values=values, what=what)

    @cached_property
    def values(self) -> pa.Array:  # type: ignore[override]
        """The texts, all of them valid."""
        with sound(self.what):
            self._values.validate(full=True)
            if self._values.null_count:
                raise ValueError("a text is missing")
        return self._values

    @cached_property
    def codes(self) -> np.ndarray:  # type: ignore[override]
        """The codes, none beyond the values."""
        with sound(self.what):
            refuse_outside(self._codes, -1, len(self._values))
        return self._codes

    _codes: np.ndarray
    _values: pa.Array
    what: str


@dataclass(frozen=True, eq=False)
class NumberColumn:
    """Number cells as float64; NaN is missing."""

    numbers: np.ndarray


Column = TextColumn | NumberColumn


@dataclass(frozen=True, eq=False)
class Shard:
    """The rows of some users; the module's docstring has the shapes and units."""

    users: pa.Array
    offsets: np.ndarray
    time: np.ndarray
    event: np.ndarray
    masks: np.ndarray
    columns: Mapping[str, Column]

    @property
    def rows(self) -> int:
        return len(self.time)

    @cached_property
    def last_instants(self) -> np.ndarray:
        """Per user the instant of the last row, hidden or not; found when first asked for."""
        return self.time[self.offsets[1:] - 1]


class MappedShard(Shard):
    """A shard of files, whose times are looked through when they are first asked for.

    A flipped bit in a time makes a year of 100,000, which has no date, and a trend of endless
    weeks.
    """

    @classmethod
    def of(cls, what: str, *, time: np.ndarray, **parts: Any) -> Self:
        """A shard of these parts; `what` names the column of times in the error."""
        shard = cls.__new__(cls)
        shard.__dict__.update(parts, _time=time, _what=what)
        return shard

    @cached_property
    def time(self) -> np.ndarray:  # type: ignore[override]
        """The times, none that a log cannot have."""
        with sound(self._what):
            if len(self._time) and not FIRST <= self._time.min() <= self._time.max() < LATEST:
                raise ValueError("there is a time before 1678 or after 2099")
        return self._time

    @property
    def rows(self) -> int:
        return int(self.offsets[-1])

    _time: np.ndarray
    _what: str


class AnyLog(Protocol):
    """What a function asks of a log from which it makes another: `EventLog` without the name.

    `EventLog` imports these functions, so they cannot import it.
    """

    @property
    def shards(self) -> tuple[Shard, ...]: ...
    @property
    def event_names(self) -> tuple[str, ...]: ...
    @property
    def properties(self) -> tuple[str, ...]: ...
    @property
    def covers_until_us(self) -> int: ...
    @property
    def picked_at_us(self) -> int | None: ...
    @property
    def events(self) -> int: ...
    @property
    def folder(self) -> Path | None: ...
    @property
    def fingerprint(self) -> str: ...

    @classmethod
    def open(cls, folder: Path | str) -> Self:
        """The log in a folder."""

    @classmethod
    def from_shards(
        cls, shards: Sequence[Shard], *, event_names: Sequence[str], covers_until: int
    ) -> Self:
        """A log in memory from finished shards."""

    def derive(self, **changed: Any) -> Self:
        """The same log with other values of some fields."""


Log = TypeVar("Log", bound=AnyLog)
"""The kind of log that comes in and goes out."""


# ── from cells to codes ───────────────────────────────────────────────────────────────────────────


def text_column(cells: pa.Array | pa.ChunkedArray, order: np.ndarray | None = None) -> TextColumn:
    """Encode text cells (nulls allowed), dictionary in ascending order of bytes.

    `order` is the order that the rows shall have, default: as they are.
    """
    indices, rank, values = _ranked(_dictionary(cells))
    codes = rank[indices] if order is None else kernels.taken(rank, indices, order)
    return TextColumn(codes, values)


def encode(cells: pa.Array | pa.ChunkedArray) -> tuple[np.ndarray, pa.Array]:
    """Codes of text cells (−1 is missing) and the distinct values, in ascending order of bytes.

    A dictionary-encoded column must name each value once.
    """
    indices, rank, values = _ranked(_dictionary(cells))
    return rank.astype(np.int64)[indices], values


def _dictionary(cells: pa.Array | pa.ChunkedArray) -> pa.ChunkedArray:
    if isinstance(cells, pa.Array):
        cells = pa.chunked_array([cells])
    if pa.types.is_dictionary(cells.type):
        return cells
    return cells.cast(TEXT).dictionary_encode()


def _ranked(cells: pa.ChunkedArray) -> tuple[np.ndarray, np.ndarray, pa.Array]:
    """Sort the values in use of dictionary-encoded cells.

    Returns
    -------
    The cells' codes as they are (−1 is missing), the new code of each old one in the smallest
    integers (the last entry, for −1, is −1), and the sorted values.
    """
    whole = _single(cells)
    known = whole.dictionary
    signed = whole.indices.cast(pa.int64() if len(known) > _INT32 else pa.int32())
    if signed.null_count:
        signed = signed.fill_null(-1)
    indices = signed.to_numpy()
    used = np.zeros(len(known) + 1, np.bool_)
    kernels.mark(indices, used)
    kept = np.flatnonzero(used[:-1])
    values = known.take(pa.array(kept)).cast(TEXT)
    order = byte_order(values)
    rank = np.full(len(known) + 1, -1, np.int64)
    rank[kept[order]] = np.arange(len(kept))
    return indices, narrow(rank, len(kept)), values.take(pa.array(order))


def byte_order(values: pa.Array) -> np.ndarray:
    """The order (int64) that brings strings into ascending order of their bytes.

    Eight bytes as a number are compared at once, from where the first and the last string differ;
    only strings that have these in common are compared whole.
    """
    if not len(values):
        return np.empty(0, np.int64)
    ends = pc.min_max(values)
    low, high = (ends[name].as_py().encode() for name in ("min", "max"))
    common = next((n for n, (a, b) in enumerate(zip(low, high, strict=False)) if a != b), len(low))
    words = kernels.eight_bytes(*_bytes(values), common)
    order = np.argsort(words)
    words = words[order]
    same = words[1:] == words[:-1]
    tied = np.flatnonzero(np.append(same, False) | np.append(False, same))
    if len(tied):
        among = order[tied]
        order[tied] = among[pc.sort_indices(values.take(pa.array(among))).to_numpy()]
    return order


def narrow(codes: np.ndarray, size: int) -> np.ndarray:
    """Codes in the smallest signed integers that hold `size` values and −1 (missing)."""
    for dtype in (np.int8, np.int16, np.int32):
        if size <= np.iinfo(dtype).max:
            return codes.astype(dtype, copy=False)
    return codes.astype(np.int64, copy=False)


def event_dtype(names: int) -> np.dtype:
    """The smallest unsigned integers for `names` event names and one more code, for hidden rows."""
    for dtype in (np.uint8, np.uint16):
        if names <= np.iinfo(dtype).max:
            return np.dtype(dtype)
    return np.dtype(np.uint32)


# ── the content's fingerprint ─────────────────────────────────────────────────────────────────────


def content_sum(
    shard: Shard, event_names: Sequence[str], shown: np.ndarray | None = None
) -> tuple[int, int]:
    """The shard's part of the content fingerprint: two integers below 2**64; shards add up.

    `shown` says per row whether it counts; default: all do.
    """
    names = string_hashes(pa.array(event_names, TEXT), EVENT)
    # One more, for the code of hidden rows.
    hashes = {EVENT: np.append(names, np.zeros((1, 2), np.uint64), axis=0)}
    for name, column in shard.columns.items():
        if isinstance(column, TextColumn):
            hashes[name] = string_hashes(column.values, name)
    rows = np.zeros((shard.rows, 2), np.uint64)
    # A block at a time: its sums then stay in the processor's cache from column to column.
    for start in range(0, shard.rows, _BLOCK):
        _add_cells(rows[start : start + _BLOCK], shard, start, hashes)
    everything = np.ones(shard.rows, np.bool_) if shown is None else shown
    users = string_hashes(shard.users, USER)
    low, high = kernels.sum_user_hashes(rows, everything, shard.offsets, users)
    return int(low), int(high)


def _add_cells(
    rows: np.ndarray, shard: Shard, start: int, hashes: Mapping[str, np.ndarray]
) -> None:
    """Add to some rows' hashes those of their cells; `hashes` are those of the texts."""
    own = slice(start, start + len(rows))
    kernels.add_word_cells(rows, shard.time[own].view(np.uint64), column_seed(TIME))
    kernels.add_coded_cells(rows, shard.event[own], hashes[EVENT], _MISSING_CELL)
    for name, column in shard.columns.items():
        seed = column_seed(name)
        if isinstance(column, TextColumn):
            kernels.add_coded_cells(rows, column.codes[own], hashes[name], _MISSING_CELL ^ seed)
        else:
            numbers = column.numbers[own]
            numbers = np.where(np.isnan(numbers), np.nan, numbers + 0.0)
            kernels.add_word_cells(rows, numbers.view(np.uint64), seed)


def string_hashes(values: pa.Array, column: str) -> np.ndarray:
    """Two 64-bit hashes per string of a column: uint64 of shape (strings, 2)."""
    array = values.cast(TEXT)
    if not len(array):
        return np.empty((0, 2), np.uint64)
    return kernels.hash_strings(*_bytes(array), column_seed(column))


def _bytes(values: pa.Array) -> tuple[np.ndarray, np.ndarray]:
    """The bytes of all strings of a large_string array, and the offset of each."""
    _, offsets, data = values.buffers()
    starts = np.frombuffer(offsets, np.int64)[values.offset : values.offset + len(values) + 1]
    content = np.frombuffer(data, np.uint8) if data is not None else np.empty(0, np.uint8)
    return content, starts


def column_seed(column: str) -> np.uint64:
    """A number of the column's name, so that equal cells of two columns get different hashes."""
    text = np.frombuffer(column.encode(), np.uint8)
    return kernels.hash_strings(text, np.array([0, len(text)]), np.uint64(0))[0, 0]


# ── on disk ───────────────────────────────────────────────────────────────────────────────────────


def write_shard(shard: Shard, folder: Path, event_names: Sequence[str]) -> dict[str, Any]:
    """Write the shard's two files into `folder`, which must not exist yet.

    Returns
    -------
    What `write_table` says about each file, by its name.
    """
    folder.mkdir(parents=True)
    names = pa.array(event_names, TEXT)
    cells = {TIME: pa.array(shard.time), EVENT: _dictionary_array(shard.event, names)}
    for name, column in shard.columns.items():
        if isinstance(column, TextColumn):
            cells[name] = _dictionary_array(column.codes, column.values)
        else:
            cells[name] = pa.array(column.numbers)
    people = {USER: shard.users, "start": shard.offsets[:-1], "mask": shard.masks}
    return {
        ROWS_FILE: write_table(folder / ROWS_FILE, pa.table(cells)),
        USERS_FILE: write_table(folder / USERS_FILE, pa.table(people)),
    }


def _dictionary_array(codes: np.ndarray, values: pa.Array) -> pa.DictionaryArray:
    # The −1 of a missing cell stays in the buffer below its null bit, so that a mapped shard
    # hands its codes to a pass without a copy.
    valid = codes >= 0 if codes.dtype.kind == "i" else None
    bitmap = None
    if valid is not None and not valid.all():
        bitmap = pa.py_buffer(np.packbits(valid, bitorder="little").tobytes())
    kind = pa.dictionary(pa.from_numpy_dtype(codes.dtype), values.type)
    buffer = pa.py_buffer(np.ascontiguousarray(codes))
    return pa.DictionaryArray.from_buffers(kind, len(codes), [bitmap, buffer], values)


def write_table(path: Path, table: pa.Table) -> dict[str, Any]:
    """Write an uncompressed Arrow file; returns its size in ``bytes`` and its ``blake2b``.

    The checksum is taken of what is handed over, before any disk or cable can change it.
    """
    with path.open("wb", buffering=0) as handle:
        sink = _Summed(handle)
        with (
            pa.PythonFile(sink, "w") as stream,
            pa.ipc.new_file(stream, table.schema) as writer,
        ):
            writer.write_table(table.combine_chunks())
        os.fsync(handle.fileno())
    return {"bytes": sink.bytes, "blake2b": sink.digest.hexdigest()}


class _Summed:
    """A file that keeps the size and checksum of all that is written to it."""

    closed = False

    def __init__(self, handle: Any) -> None:
        self._handle = handle
        self.bytes = 0
        self.digest = hashlib.blake2b(digest_size=16)

    def write(self, content: Any) -> int:
        view = memoryview(content).cast("B")
        self.digest.update(view)
        self.bytes += len(view)
        rest = view
        while len(rest):  # a raw file may take a part
            rest = rest[self._handle.write(rest) :]
        return len(view)

    def tell(self) -> int:
        return self.bytes

    def flush(self) -> None:
        """Nothing to do: nothing is buffered."""

    def close(self) -> None:
        self.closed = True


def read_shard(folder: Path) -> Shard:
    """Map a shard's files; what is large and not needed at once is read when a pass touches it.

    Whatever a pass takes on trust is looked through before: types, where each user's rows start,
    event codes and ids now, times and the codes and texts of a property when they are first asked
    for.

    Raises
    ------
    OSError, ValueError, KeyError
        If a file is missing, is no Arrow file, or is not a shard's.
    """
    rows = map_table(folder / ROWS_FILE)
    people = map_table(folder / USERS_FILE)
    for table, name in ((rows, ROWS_FILE), (people, USERS_FILE)):
        table.validate()
        for field in table.schema:
            if not _fits(field, name):
                raise ValueError(f"{name} is not a shard's: {field.name!r} is {field.type}")
    columns: dict[str, Column] = {}
    for field in rows.schema:
        if field.name not in (TIME, EVENT):
            columns[field.name] = _column(rows.column(field.name), folder, field.name)
    users, starts = _single(people.column(USER)), people.column("start").to_numpy()
    users.validate(full=True)
    offsets = np.append(starts, rows.num_rows).astype(np.int64)
    if offsets[0] != 0 or (np.diff(offsets) <= 0).any():
        raise ValueError(f"{USERS_FILE} has rows that are nobody's")
    if users.null_count:
        raise ValueError(f"{USERS_FILE} has a user without an id")
    event = _single(rows.column(EVENT))
    codes = _indices(event)
    refuse_outside(codes, 0, len(event.dictionary))
    return MappedShard.of(
        f"shard '{folder}': the column {TIME!r}",
        users=users,
        offsets=offsets,
        time=rows.column(TIME).to_numpy(),
        event=codes,
        masks=people.column("mask").to_numpy(),
        columns=columns,
    )


def shard_event_names(folder: Path) -> list[str]:
    """The event names that a shard's file has: the log's, as far as it knew them then."""
    names = _single(map_table(folder / ROWS_FILE).column(EVENT)).dictionary
    names.validate(full=True)
    return names.to_pylist()


def _fits(field: pa.Field, file: str) -> bool:
    """Has a column of a shard's file a type that it can have?"""
    of = field.type
    if pa.types.is_dictionary(of):
        signed = pa.types.is_signed_integer(of.index_type)
        return of.value_type == TEXT and file == ROWS_FILE and signed == (field.name != EVENT)
    fixed = {TIME: pa.int64(), "start": pa.int64(), "mask": pa.uint64(), USER: TEXT}
    own = (USER, "start", "mask") if file == USERS_FILE else (TIME,)
    if field.name in own:
        return bool(of == fixed[field.name])
    return bool(of == pa.float64()) and field.name != EVENT


def refuse_outside(codes: np.ndarray, low: int, size: int) -> None:
    """Refuse codes below `low`, or beyond a dictionary of `size` values.

    Raises
    ------
    ValueError
        If there is one.
    """
    if len(codes) and not low <= int(codes.min()) <= int(codes.max()) < size:
        worst = int(codes.max()) if int(codes.max()) >= size else int(codes.min())
        raise ValueError(f"there is a code {worst} of {size} values")


@contextlib.contextmanager
def sound(what: str) -> Iterator[None]:
    """Turn what damage shows as into one line that names the place.

    Raises
    ------
    DataError
        Instead of the reader's own errors. A lack of memory is no damage and goes on.
    """
    try:
        yield
    except MemoryError:  # Arrow's is one of its exceptions, too
        raise
    except PermissionError as error:
        raise DataError(
            f"{what} cannot be read: permission denied. Check your permissions."
        ) from error
    except (OSError, LookupError, TypeError, ValueError, pa.ArrowException) as error:
        reason = (str(error) or type(error).__name__).splitlines()[0]
        raise DataError(f"{what} is damaged: {reason}. Import again.") from error


def _column(chunked: pa.ChunkedArray, folder: Path, name: str) -> Column:
    if pa.types.is_dictionary(chunked.type):
        array = _single(chunked)
        what = f"shard '{folder}': the column {name!r}"
        return MappedText(_indices(array), array.dictionary, what)
    return NumberColumn(chunked.to_numpy())


def _indices(array: pa.DictionaryArray) -> np.ndarray:
    dtype = array.type.index_type.to_pandas_dtype()
    buffer = array.indices.buffers()[1]
    if buffer is None:
        return np.empty(0, dtype)
    return np.frombuffer(buffer, dtype)[array.offset : array.offset + len(array)]


def _single(chunked: pa.ChunkedArray) -> pa.Array:
    if chunked.num_chunks == 1:
        return chunked.chunk(0)
    return chunked.combine_chunks()


def map_table(path: Path) -> pa.Table:
    """The table of an Arrow file, mapped."""
    return pa.ipc.open_file(pa.memory_map(bytes(path), "rb")).read_all()


# ── cells as text ─────────────────────────────────────────────────────────────────────────────────


def plain(column: pa.Array | pa.ChunkedArray) -> pa.Array | pa.ChunkedArray:
    """The cells themselves in place of codes into distinct values; other cells stay as they are."""
    return column.cast(column.type.value_type) if pa.types.is_dictionary(column.type) else column


def numbers_as_text(column: pa.Array | pa.ChunkedArray) -> pa.Array | pa.ChunkedArray:
    """Float cells as text; NaN is missing."""
    encoded = column.dictionary_encode()
    if isinstance(encoded, pa.ChunkedArray):
        encoded = encoded.unify_dictionaries().combine_chunks()
    words = [None if math.isnan(x) else number_as_text(x) for x in encoded.dictionary.to_pylist()]
    return pa.array(words, TEXT).take(encoded.indices)


def number_as_text(number: float) -> str:
    """A number as a person writes it: integers without a point, else the shortest text.

    Examples
    --------
    >>> number_as_text(123456789012345.0), number_as_text(0.1)
    ('123456789012345', '0.1')
    """
    if float(number).is_integer() and abs(number) < EXACT:
        return str(int(number))
    return repr(number)


# ── files that cannot be read ─────────────────────────────────────────────────────────────────────


@contextlib.contextmanager
def readable(path: Path) -> Iterator[None]:
    """Turn what readers raise on damaged files into one-line errors with the file's name.

    Raises
    ------
    DataError
        Instead of the operating system's and the readers' own errors.
    """
    try:
        yield
    except (DataError, UsageError):
        raise
    except UnicodeDecodeError as error:
        raise not_utf8(path) from error
    except MemoryError as error:
        raise DataError(
            f"there is not enough memory to read '{path}' ({error}). Close other programs, or "
            "export the file in smaller row groups or shorter lines."
        ) from error
    except (OSError, pa.ArrowException) as error:
        if "worker thread" in str(error):  # there is no memory for one
            raise
        if "UTF8" in str(error):
            raise not_utf8(path) from error
        raise DataError(f"'{path}' {_damage(error)}") from error


def not_utf8(path: Path) -> DataError:
    """The error of a text file that is in another encoding than UTF-8."""
    return DataError(
        f"'{path}' is not UTF-8 text. Convert it, for example with: "
        "iconv -f LATIN1 -t UTF-8 OLD > NEW (or -f UTF-16)."
    )


def _damage(error: Exception) -> str:
    if isinstance(error, OSError) and error.strerror:
        return f"cannot be read: {error.strerror}. Check the file and your permissions."
    text = str(error).splitlines()[0] if str(error) else type(error).__name__
    if "Truncated compressed" in text:
        return "is cut short: its compressed data end too early. Download or copy it again."
    if "inflate" in text or "zlib" in text:
        return f"is damaged gzip ({text}). Download or copy it again."
    if "deeply nested" in text:
        return "is nested too deep to be read. Export its values as columns of their own."
    return f"is damaged or cut short ({text}). Download or export it again."
