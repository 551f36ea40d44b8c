"""Which rows match conditions, which people are in a mask, and whose rows may be used at all.

Conditions are equality, a list of values, or a comparison. They are plain data (``{"device":
"mobile", "value": ">= 50"}``), so a report's definition can hold them. A missing value never
matches. What a comparison means on text is decided once for the whole log (`check`), because a
shard knows its own values only: text is compared as numbers where every value is one, ``!=`` and
``==`` work on any text, and whatever else would have no order is refused. `unseen` names the values
that no row has. Funnels, views and segments all read conditions here.

A mask is a truth value per user: in the order of `user_ids`, or a pandas Series that names its
users itself and may then come from another view of the log. A mask that knows its shards
(`ByShard`) costs no look at any id.

Where a mapping names a consent column, a row counts as consented if its cell is one of the granted
words; an empty cell, any other word and a file without the column are a no. Rows without consent
are counted, and nothing else of them is read or kept.
"""

from __future__ import annotations

import operator
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, Protocol, runtime_checkable

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from analysis.core.schema import EVENT, USER, UsageError, did_you_mean
from analysis.eventlog import parallel
from analysis.eventlog.shard import TEXT, Column, Shard, TextColumn

GRANTED: Final = ("yes", "true", "granted", "1")
_DIGITS: Final = r"-?\d+(?:\.\d+)?(?:[eE][-+]?\d+)?"
_COMPARISON: Final = re.compile(r"\s*(>=|<=|!=|==|>|<)\s*(\S.*?)\s*", re.DOTALL)
_NUMBER: Final = re.compile(_DIGITS)
_ONLY_EQUAL: Final = ("!=", "==")

_MOST_NEAR: Final = 5_000
"""Among more values than this no similar one is looked for."""

_OPERATORS: Final[dict[str, Callable[[Any, float], Any]]] = {
    ">=": operator.ge,
    "<=": operator.le,
    "!=": operator.ne,
    "==": operator.eq,
    ">": operator.gt,
    "<": operator.lt,
}


# ── rows by conditions ───────────────────────────────────────────────────────────────────────────


class Filtered(Protocol):
    """What a condition asks of a log; `EventLog` imports this file, so it cannot be named."""

    @property
    def shards(self) -> tuple[Shard, ...]: ...
    @property
    def event_names(self) -> tuple[str, ...]: ...
    @property
    def kinds(self) -> Mapping[str, str]: ...


@dataclass(frozen=True)
class Comparison:
    """A comparison with text: by numbers where `number` is one, else by the text itself."""

    sign: str
    text: str
    number: float | None


class Conditions(dict[str, list[Any]]):
    """Conditions that `check` has seen: property to values and comparisons, one of which holds."""


def check(where: Mapping[str, Any], log: Filtered, what: str) -> Conditions:
    """The conditions as lists, with what each comparison means on this log.

    Raises
    ------
    UsageError
        If a condition names no property of the log, or compares what has no order.
    """
    if isinstance(where, Conditions):
        return where
    names = list(log.kinds)
    for name in where:
        if name not in names and name not in (EVENT, USER):
            raise UsageError(
                f"{what}: {name!r} is not a property of this log.{did_you_mean(name, names)} "
                f"Properties: {', '.join(map(repr, names)) or 'none'}."
            )
    return Conditions(
        {name: [_read(one, name, log, what) for one in _as_list(w)] for name, w in where.items()}
    )


def _read(wanted: Any, name: str, log: Filtered, what: str) -> Any:
    """One value as it is, or the comparison that it says."""
    found = _COMPARISON.fullmatch(wanted) if isinstance(wanted, str) else None
    if log.kinds.get(name) == "number":
        if not (found and _NUMBER.fullmatch(found[2])):
            _number(wanted, name, what)
        return wanted
    # A value may look like a comparison: an age of "<18" is meant as it stands.
    if found is None or any(_has(values, [wanted]).any() for values in texts_of(log, name)):
        return wanted
    sign, operand = found[1], found[2]
    odd = next((text for values in texts_of(log, name) for text in _no_number(values)), None)
    if odd is None and _NUMBER.fullmatch(operand):
        return Comparison(sign, operand, float(operand))
    if sign in _ONLY_EQUAL:
        return Comparison(sign, operand, None)
    why = f"{operand!r} is not a number" if odd is None else f"{name!r} holds text such as {odd!r}"
    raise UsageError(
        f"{what}: {name}={wanted!r}, but {why}: it has no order. "
        "Allowed on text: a value, a list of values, or '!= value'."
    )


def texts_of(log: Filtered, name: str) -> list[pa.Array]:
    """The values of a text property, of the events or of the users, shard by shard."""
    if name == EVENT:
        return [pa.array(log.event_names, TEXT)]
    if name == USER:
        return [shard.users for shard in log.shards]
    columns = [shard.columns[name] for shard in log.shards]
    return [column.values for column in columns if isinstance(column, TextColumn)]


def _no_number(values: pa.Array) -> list[str]:
    """The first value that is no number, if there is one."""
    odd = pc.invert(pc.match_substring_regex(values, f"^{_DIGITS}$"))
    return values.filter(odd).slice(0, 1).to_pylist()


def unseen(where: Mapping[str, Any], log: Filtered) -> list[str]:
    """A sentence for each value of a condition that no event of the log has.

    Examples
    --------
    >>> import pandas as pd
    >>> from analysis.eventlog.log import EventLog
    >>> log = EventLog.from_frame(pd.DataFrame({
    ...     "user": ["ann"], "time": pd.to_datetime(["2026-01-01"]), "event": ["visit"],
    ...     "device": ["mobile"]}))
    >>> unseen({"device": ["mobile", "mobil"]}, log)
    ["No event has 'mobil' as device. Did you mean 'mobile'?"]
    """
    notes = []
    for name, wanted in check(where, log, "where").items():
        if log.kinds.get(name) == "number":
            continue
        known = texts_of(log, name)
        texts = [
            one.text if isinstance(one, Comparison) else one
            for one in wanted
            if not (isinstance(one, Comparison) and one.number is not None)
        ]
        for text in texts:
            if not any(_has(values, [text]).any() for values in known):
                size = sum(map(len, known))
                near = {str(v) for part in known for v in part.to_pylist()}
                hint = did_you_mean(text, sorted(near)) if size <= _MOST_NEAR else ""
                notes.append(f"No event has {text!r} as {name}.{hint}")
    return notes


def matching_rows(
    shard: Shard, where: Mapping[str, Sequence[Any]], event_names: Sequence[str]
) -> np.ndarray:
    """A boolean per row: does every condition hold? `where` is as `check` returns it."""
    shown = np.ones(shard.rows, np.bool_)
    for name, wanted in where.items():
        if name == EVENT:
            hits = _matching_texts(pa.array(event_names, TEXT), wanted)
            shown &= np.append(hits, False)[shard.event]
        elif name == USER:
            shown &= np.repeat(_matching_texts(shard.users, wanted), np.diff(shard.offsets))
        else:
            shown &= _matching_cells(shard.columns[name], wanted, name)
    return shown


def _matching_cells(column: Column, wanted: Sequence[Any], name: str) -> np.ndarray:
    if isinstance(column, TextColumn):
        # One more entry, for the missing: code −1 reads the last.
        return np.append(matching_values(column, wanted), False)[column.codes]
    shown = np.zeros(len(column.numbers), np.bool_)
    for one in wanted:
        found = _COMPARISON.fullmatch(one) if isinstance(one, str) else None
        if found and _NUMBER.fullmatch(found[2]):
            hits = _OPERATORS[found[1]](column.numbers, float(found[2]))
            shown |= hits & ~np.isnan(column.numbers)
        else:
            shown |= column.numbers == _number(one, name, "where")
    return shown


def matching_values(column: TextColumn, wanted: Sequence[Any]) -> np.ndarray:
    """A boolean per value of a text column: does it match any of those wanted?"""
    return _matching_texts(column.values, wanted)


def _matching_texts(values: pa.Array, wanted: Sequence[Any]) -> np.ndarray:
    compared = [one for one in wanted if isinstance(one, Comparison)]
    hits = _has(values, [one for one in wanted if not isinstance(one, Comparison)])
    for one in compared:
        if one.number is None:
            same = _has(values, [one.text])
            hits |= same if one.sign == "==" else ~same
        else:
            numbers = pc.cast(values, pa.float64()).to_numpy(zero_copy_only=False)
            hits |= _OPERATORS[one.sign](numbers, one.number)
    return hits


def _has(values: pa.Array, wanted: Sequence[Any]) -> np.ndarray:
    """Which of the values are wanted? A boolean each."""
    return pc.is_in(values, pa.array(_as_texts(wanted), TEXT)).to_numpy(zero_copy_only=False)


def _number(value: Any, name: str, what: str) -> float:
    try:
        return float(value)
    except (TypeError, ValueError) as error:
        raise UsageError(
            f"{what}: {name}={value!r}, but {name!r} holds numbers. "
            "Allowed: a number, a list of numbers, or a comparison such as '>= 50'."
        ) from error


def _as_list(wanted: Any) -> list[Any]:
    if isinstance(wanted, Iterable) and not isinstance(wanted, (str, bytes, Mapping)):
        return list(wanted)
    return [wanted]


def _as_texts(wanted: Sequence[Any]) -> list[str]:
    return [str(v).lower() if isinstance(v, (bool, np.bool_)) else str(v) for v in wanted]


# ── people by a mask ─────────────────────────────────────────────────────────────────────────────


@runtime_checkable
class ByShard(Protocol):
    """A mask that knows who is in it per shard of the log that it was made of."""

    @property
    def by_shard(self) -> Sequence[np.ndarray]:
        """A boolean per user of each shard."""

    @property
    def users_by_shard(self) -> Sequence[pa.Array]:
        """The ids of these users."""

    def series(self) -> pd.Series:
        """The same mask, indexed by user."""


def chosen(shards: Sequence[Shard], names: int, mask: Any) -> list[np.ndarray]:
    """Per shard a boolean per user: is the user in the mask?

    Raises
    ------
    UsageError
        If the mask is of the wrong length or kind, or its users are none of the log's.
    """
    if isinstance(mask, pd.Series):
        return _named(shards, _truths(mask.to_numpy()), mask.index)
    if isinstance(mask, ByShard):
        theirs = mask.users_by_shard
        # A view shares its users with the log it came from: nobody has to be looked up.
        if len(theirs) == len(shards) and all(
            own is shard.users for own, shard in zip(theirs, shards, strict=True)
        ):
            return list(mask.by_shard)
        return chosen(shards, names, mask.series())
    truths = _truths(mask)
    present = _present(shards, names)
    _, order = _in_order(shards, present)
    if len(truths) != len(order):
        raise UsageError(
            f"in_segment: the mask has {len(truths):,} values, the log {len(order):,} users. "
            "Give one per user in the order of log.user_ids, or a Series indexed by user."
        )
    here = np.empty(len(order), np.bool_)
    here[order] = truths
    found, start = [], 0
    for own in present:
        hits = own.copy()
        hits[own] = here[start : start + int(own.sum())]
        start += int(own.sum())
        found.append(hits)
    return found


def _named(shards: Sequence[Shard], truths: np.ndarray, index: pd.Index) -> list[np.ndarray]:
    if not index.is_unique:
        raise UsageError("in_segment: the mask names a user twice. Give one value per user.")
    names = pa.array(index.astype(str), TEXT)
    known = [pc.is_in(names, shard.users).to_numpy(zero_copy_only=False) for shard in shards]
    if len(names) and not any(own.any() for own in known):
        raise UsageError(
            f"in_segment: none of the {len(names):,} users that the mask is indexed by is in the "
            "log. Index it by user: pd.Series(mask, index=log.user_ids)."
        )
    wanted = names.filter(pa.array(truths))
    return [pc.is_in(shard.users, wanted).to_numpy(zero_copy_only=False) for shard in shards]


def _truths(mask: Any) -> np.ndarray:
    truths = np.asarray(mask)
    if truths.dtype == object and all(isinstance(one, (bool, np.bool_)) for one in truths.flat):
        truths = truths.astype(np.bool_)
    if truths.dtype != np.bool_ or truths.ndim != 1:
        raise UsageError(
            f"in_segment: the mask holds {truths.dtype} in {truths.ndim} dimensions. "
            "Allowed: a truth value per user, none missing."
        )
    return truths


def user_ids(shards: Sequence[Shard], names: int) -> pd.Index:
    """Ids of the users with a shown row, in ascending order of their bytes.

    Parameters
    ----------
    names : how many event names the log has; rows with a code beyond are hidden.
    """
    ids, order = _in_order(shards, _present(shards, names))
    return pd.Index(ids.take(pa.array(order)).to_pandas(), name="user", dtype="str")


def in_order(shards: Sequence[Shard], names: int, by_shard: Sequence[np.ndarray]) -> np.ndarray:
    """A value per user of each shard as one array, in the order of `user_ids`."""
    present = _present(shards, names)
    _, order = _in_order(shards, present)
    cells = [own[here] for own, here in zip(by_shard, present, strict=True)]
    return np.concatenate(cells)[order] if cells else np.empty(0, np.bool_)


def ranks(shards: Sequence[Shard]) -> list[np.ndarray]:
    """Per shard the place of each of its users among all of them (int64), by their bytes."""
    everybody = [np.ones(len(shard.users), np.bool_) for shard in shards]
    _, order = _in_order(shards, everybody)
    rank = np.empty(len(order), np.int64)
    rank[order] = np.arange(len(order))
    return np.split(rank, np.cumsum([len(shard.users) for shard in shards])[:-1])


def _present(shards: Sequence[Shard], names: int) -> list[np.ndarray]:
    def shown(shard: Shard) -> np.ndarray:
        if not len(shard.users):
            return np.zeros(0, np.bool_)
        return np.logical_or.reduceat(shard.event < names, shard.offsets[:-1])

    return parallel.map_shards(shards, shown)


def _in_order(
    shards: Sequence[Shard], present: Sequence[np.ndarray]
) -> tuple[pa.Array, np.ndarray]:
    parts = [s.users.filter(pa.array(own)) for s, own in zip(shards, present, strict=True)]
    ids = pa.chunked_array(parts, TEXT).combine_chunks()
    return ids, pc.sort_indices(ids).to_numpy()


# ── rows by consent ──────────────────────────────────────────────────────────────────────────────


@dataclass(frozen=True)
class Consent:
    """The column that holds consent, and the words that grant it (upper or lower case)."""

    column: str
    granted: tuple[str, ...] = GRANTED

    def __post_init__(self) -> None:
        if not self.column or not self.granted or not all(map(str.strip, self.granted)):
            raise UsageError(
                f"consent: column {self.column!r}, granted {list(self.granted)}. Name a column and "
                "at least one word that means yes: --consent COLUMN=yes,granted."
            )


def consent_of(text: str) -> Consent:
    """The consent that the option ``COLUMN`` or ``COLUMN=VALUE,VALUE`` asks for.

    Raises
    ------
    UsageError
        If the column or a value is empty.

    Examples
    --------
    >>> consent_of("analytics_storage=G111,G101")
    Consent(column='analytics_storage', granted=('G111', 'G101'))
    >>> consent_of("consent").granted
    ('yes', 'true', 'granted', '1')
    """
    column, given, words = text.partition("=")
    return Consent(column, tuple(words.split(","))) if given else Consent(column)


def granted_rows(cells: pa.Array, consent: Consent) -> np.ndarray:
    """A boolean per row: does the text cell of the consent column grant it?

    Examples
    --------
    >>> granted_rows(pa.array(["Yes", "no", None, ""]), Consent("consent"))
    array([ True, False, False, False])
    """
    encoded = cells.dictionary_encode()
    words = {word.strip().casefold() for word in consent.granted}
    known = encoded.dictionary.to_pylist()
    hits = pa.array([str(word).strip().casefold() in words for word in known], pa.bool_())
    return pc.fill_null(hits.take(encoded.indices), False).to_numpy(zero_copy_only=False)
