"""Which column of a file is what: a mapping, as plain data.

A mapping comes from a TOML file, from a preset that ships with the package, or from command-line
options, and options win. It names columns; it computes nothing. Every key is checked, because a
misspelled one that was silently ignored would change the meaning of the whole import.
"""

from __future__ import annotations

import dataclasses
import tomllib
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from importlib import resources
from pathlib import Path
from typing import Any, Final, NamedTuple

from analysis.core.schema import (
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
from analysis.eventlog.filters import GRANTED, Consent
from analysis.eventlog.sessions import SessionRule, session_rule
from analysis.sources.privacy import IdKey
from analysis.sources.times import check_unit, check_zone

# ──── sources.mapping


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
    consent : the column that holds consent; rows without it are left out.
    hash_key_file : holds the key of the hash that takes the place of users' ids.
    key : that key, once it has been read.
    sessions : where sessions end; None: as the session column says, or by pauses.
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
    consent: Consent | None = None
    hash_key_file: str | None = None
    key: IdKey | None = None
    sessions: SessionRule | None = None

    def __post_init__(self) -> None:
        if self.zone is not None:
            check_zone(self.zone)
        if self.unit is not None:
            check_unit(self.unit)
        _check_properties(self)
        if self.sessions is not None and self.session is not None:
            raise UsageError(
                f"[sessions] and session = {self.session!r}: sessions are either computed or "
                "read. Remove one of the two."
            )

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
        consent = (self.consent.column,) if self.consent else ()
        return tuple(dict.fromkeys((*rules, *keys, *consent)))

    def with_options(
        self,
        *,
        columns: Mapping[str, str | None],
        zone: str | None = None,
        unit: str | None = None,
        session_gap: str | None = None,
        **others: Any,
    ) -> ColumnMapping:
        """The same mapping with what a command line gave; None changes nothing.

        `others` are `consent` and `hash_key_file`.

        Examples
        --------
        >>> ColumnMapping().with_options(columns={"user": "client_id", "value": None}).user
        'client_id'
        """
        changes: dict[str, Any] = {role: name for role, name in columns.items() if name is not None}
        if VALUE in changes:
            changes["divide_by"] = 1.0
        given = {"zone": zone, "unit": unit, **others}
        changes |= {name: text for name, text in given.items() if text is not None}
        if session_gap is not None:
            rule = self.sessions or SessionRule()
            given = {"campaign": rule.campaign, "midnight": rule.midnight}
            changes["sessions"] = session_rule(gap=session_gap, **given, what="--session-gap")
            changes.setdefault(SESSION, None)
        elif SESSION in changes:
            changes["sessions"] = None
        return dataclasses.replace(self, **changes)


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
    optional[mapping.consent.column if mapping.consent else None] = "--consent COLUMN"
    return named | {name: option for name, option in optional.items() if name is not None}


def missing_column(name: str, columns: Sequence[str], where: str, option: str) -> UsageError:
    """The error of a column that is named and not there; `where` begins the list of columns."""
    listed = ", ".join(map(repr, columns[:_LISTED]))
    more = f" and {len(columns) - _LISTED} more" if len(columns) > _LISTED else ""
    return UsageError(
        f"there is no column {name!r}.{did_you_mean(name, columns)} {where} {listed}{more}. "
        f"Say which one it is: {option}."
    )


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
    refuse_twins(kept)


def refuse_twins(properties: Mapping[str, str]) -> None:
    """Raise a `UsageError` if two columns would become the same property."""
    for name, count in Counter(properties.values()).items():
        if count > 1:
            both = [column for column, to in properties.items() if to == name]
            raise UsageError(
                f"columns {both[0]!r} and {both[1]!r} would both become the property {name!r}. "
                "Name them apart in [properties]."
            )


# ──── sources.mapping_file
#
# Mappings as people write them: TOML files, and the presets that ship with the package.
#
# Every key is checked, because a misspelled one that was silently ignored would change the meaning
# of the whole import. data/README.md shows the form in full.


_TABLES: Final = (
    *("columns", "time", "events", "event_when", "duplicates", "properties", "missing"),
    *("consent", "ids", "sessions"),
)


def presets() -> list[str]:
    """Names of the mappings that ship with the package.

    Examples
    --------
    >>> "ga360" in presets()
    True
    """
    folder = resources.files("analysis.sources") / "presets"
    return sorted(
        entry.name.removesuffix(".toml")
        for entry in folder.iterdir()
        if entry.name.endswith(".toml")
    )


def load_mapping(source: str | Path) -> ColumnMapping:
    """The mapping of a TOML file, or a shipped one by its name.

    Raises
    ------
    UsageError
        If there is no such file or preset, or it says something that is not understood.

    Examples
    --------
    >>> load_mapping("ga360").user
    'fullVisitorId'
    """
    name = str(source)
    if name in presets():
        text = (resources.files("analysis.sources") / "presets" / f"{name}.toml").read_text("utf-8")
    elif name.endswith(".toml"):
        try:
            text = Path(source).read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as error:
            reason = getattr(error, "strerror", None) or "it is not UTF-8 text"
            raise UsageError(f"mapping '{name}' cannot be read: {reason}.") from error
    else:
        listed = ", ".join(map(repr, presets()))
        raise UsageError(
            f"source {name!r} is unknown.{did_you_mean(name, presets())} Allowed: {listed}, or the "
            "path of a mapping that ends in .toml."
        )
    try:
        return mapping_of(tomllib.loads(text))
    except tomllib.TOMLDecodeError as error:
        raise UsageError(f"mapping '{name}' is no TOML: {error}. Correct that line.") from error
    except UsageError as error:
        raise UsageError(f"mapping '{name}': {error}") from error


def mapping_of(tables: Mapping[str, Any]) -> ColumnMapping:
    """The mapping that the tables of a TOML file say; see data/README.md for their form.

    Raises
    ------
    UsageError
        If a key is unknown or a value is of the wrong kind.

    Examples
    --------
    >>> mapping_of({"columns": {"user": "client_id"}, "time": {"unit": "ms"}}).unit
    'ms'
    """
    _check_keys("", tables, _TABLES)
    columns = _table(tables, "columns")
    _check_keys("columns", columns, (*RESERVED, VALUE, EVENT_ID))
    given: dict[str, Any] = {role: _column(role, entry) for role, entry in columns.items()}
    if isinstance(columns.get(VALUE), dict):
        given["divide_by"] = _divisor(columns[VALUE].get("divide_by", 1))
    time = _table(tables, "time")
    _check_keys("time", time, ("zone", "unit"))
    given |= {key: _text(f"[time] {key}", value) for key, value in time.items()}
    given["events"] = _texts(tables, "events")
    given["event_when"] = _rules(tables.get("event_when", []))
    keys = _table(tables, "duplicates")
    given["duplicates"] = {
        event: _words(f"[duplicates] {event}", names) for event, names in keys.items()
    }
    if "properties" in tables:
        given["properties"] = _texts(tables, "properties")
    missing = _table(tables, "missing")
    _check_keys("missing", missing, ("values",))
    given["missing"] = frozenset(_words("[missing] values", missing.get("values", [])))
    return ColumnMapping(**given, **_people(tables))


def _people(tables: Mapping[str, Any]) -> dict[str, Any]:
    """What a mapping says of people: their consent, their ids, their sessions."""
    consent, ids, sessions = (_table(tables, name) for name in ("consent", "ids", "sessions"))
    _check_keys("consent", consent, ("column", "granted"))
    _check_keys("ids", ids, ("hash_key_file",))
    _check_keys("sessions", sessions, ("gap", "campaign", "midnight"))
    found: dict[str, Any] = {}
    if "consent" in tables:
        column = _text("[consent] column", consent.get("column"))
        granted = _words("[consent] granted", consent.get("granted", list(GRANTED)))
        found["consent"] = Consent(column, granted)
    if "ids" in tables:
        found["hash_key_file"] = _text("[ids] hash_key_file", ids.get("hash_key_file"))
    if "sessions" in tables:
        found["sessions"] = session_rule(**sessions, what="[sessions]")
    return found


def _check_keys(table: str, found: Iterable[str], allowed: Iterable[str]) -> None:
    allowed = list(allowed)
    for key in found:
        if key not in allowed:
            inside = f"[{table}] {key}" if table else f"[{key}]"
            raise UsageError(
                f"{inside} is unknown.{did_you_mean(key, allowed)} Allowed: {', '.join(allowed)}."
            )


def _table(tables: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    found = tables.get(name, {})
    if not isinstance(found, dict):
        raise UsageError(f"{name} = {found!r} must be a table: [{name}].")
    return found


def _text(where: str, value: Any) -> str:
    if not isinstance(value, str) or not value:
        raise UsageError(f"{where} = {value!r} must be a text, in quotes.")
    return value


def _texts(tables: Mapping[str, Any], name: str) -> dict[str, str]:
    return {key: _text(f"[{name}] {key}", value) for key, value in _table(tables, name).items()}


def _words(where: str, value: Any) -> tuple[str, ...]:
    if isinstance(value, str):
        value = [value]
    if not isinstance(value, list) or not all(isinstance(word, str) for word in value):
        raise UsageError(f'{where} = {value!r} must be a list of texts: ["a", "b"].')
    return tuple(value)


def _column(role: str, entry: Any) -> str:
    if not isinstance(entry, dict):
        return _text(f"[columns] {role}", entry)
    _check_keys(f"columns.{role}", entry, ("column", "divide_by") if role == VALUE else ("column",))
    return _text(f"[columns] {role}: column", entry.get("column"))


def _divisor(number: Any) -> float:
    if isinstance(number, bool) or not isinstance(number, (int, float)) or not number > 0:
        raise UsageError(f"[columns] value: divide_by = {number!r} must be a number above zero.")
    return float(number)


def _rules(entries: Any) -> tuple[EventRule, ...]:
    if not isinstance(entries, list) or not all(isinstance(entry, dict) for entry in entries):
        raise UsageError("event_when must be written with two brackets: [[event_when]].")
    rules = []
    for entry in entries:
        _check_keys("event_when", entry, ("when", "event"))
        when = _table(entry, "when")
        if not when:
            raise UsageError('[[event_when]] needs a condition: when = {column = "value"}.')
        conditions = {
            name: _words(f"[[event_when]] when.{name}", words) for name, words in when.items()
        }
        rules.append(EventRule(conditions, _text("[[event_when]] event", entry.get("event"))))
    return tuple(rules)
