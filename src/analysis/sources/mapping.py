"""Which column of a file is what: a mapping, as plain data.

A mapping comes from a TOML file, from a preset that ships with the package, or from command-line
options, and options win. It names columns; it computes nothing. Every key is checked, because a
misspelled one that was silently ignored would change the meaning of the whole import.
data/README.md shows the form of the file in full.
"""

from __future__ import annotations

import dataclasses
import math
import tomllib
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from importlib import resources
from pathlib import Path
from typing import Annotated, Any, Final, Literal, TypeAlias

from analysis.core import checks
from analysis.core.checks import Checked, Table, Text
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
    time_zone_of,
)
from analysis.eventlog.filters import GRANTED, Consent
from analysis.eventlog.sessions import SessionRule, session_rule
from analysis.sources.decimals import check_sign
from analysis.sources.header import without_cells
from analysis.sources.privacy import IdKey
from analysis.sources.times import check_unit

RESERVED: Final = (USER, TIME, EVENT, SESSION)
"""Columns of every log; no property may be called so."""

ORDER_LINES: Final = "order_lines"
"""The property of an order that was made of its lines: how many these were."""

PURCHASE: Final = "purchase"

_LISTED: Final = 20
"""An error lists at most as many columns of a file."""


@dataclass(frozen=True)
class EventRule(Table):
    """Rows whose cells have one of the given values each are events of this name."""

    when: Conditions = field(metadata={"missing": 'Say when: when = {column = "value"}.'})
    event: Text


@dataclass(frozen=True)
class OrderLines:
    """Rows of `event` that are the lines of one order, named by the columns `key`."""

    key: tuple[str, ...]
    event: str = PURCHASE


@dataclass(frozen=True)
class ColumnMapping:
    """Which column of a file is what.

    Parameters
    ----------
    user, time, event : columns that every file must have; the time may be in two, a date's and a
        clock's.
    constant_event : the event of every row, where no column says one.
    session, value : columns; None means the one of that name, where there is one.
    value_events : our events that have a value; none: every event that has a cell.
    event_id : column that names an event; rows of one user with one id are one event.
    divide_by : what `value` is divided by (1,000,000 for millionths of a currency unit).
    zone, unit : of times without an offset, and of times that are numbers.
    events : the vendor's name → ours; what is not named keeps its own.
    event_when : rules that look at other columns; the first that fits wins, before `events`.
    duplicates : of our event, the columns that name it; one event per value is kept.
    orders : which rows are lines of an order; an order becomes one event.
    types : column → ``"text"`` or ``"number"``, where the cells do not say it.
    decimal : the decimal sign of numbers that are text; None: as the cells say.
    properties : column → property; None keeps every other column under its own name.
    missing : cells that mean "missing", beside the empty one.
    consent : the column that holds consent; rows without it are left out.
    hash_key_file : holds the key of the hash that takes the place of users' ids.
    key : that key, once it has been read.
    sessions : where sessions end; None: as the session column says, or by pauses.
    header : whether a CSV's first record names its columns.
    names : if not, these are they.
    nested : the list of events that each record of JSON holds.
    """

    user: str = USER
    time: str | tuple[str, ...] = TIME
    event: str = EVENT
    constant_event: str | None = None
    session: str | None = None
    value: str | None = None
    value_events: tuple[str, ...] = ()
    event_id: str | None = None
    divide_by: float = 1.0
    zone: str | None = None
    unit: str | None = None
    events: Mapping[str, str] = field(default_factory=dict)
    event_when: tuple[EventRule, ...] = ()
    duplicates: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    orders: OrderLines | None = None
    types: Mapping[str, str] = field(default_factory=dict)
    decimal: str | None = None
    properties: Mapping[str, str] | None = None
    missing: frozenset[str] = frozenset()
    consent: Consent | None = None
    hash_key_file: str | None = None
    key: IdKey | None = None
    sessions: SessionRule | None = None
    header: bool = True
    names: tuple[str, ...] = ()
    nested: str | None = None

    def __post_init__(self) -> None:
        _check_names(self)
        if self.zone is not None:
            time_zone_of(self.zone, "time zone")
        if self.unit is not None:
            check_unit(self.unit)
        if self.decimal is not None:
            check_sign(self.decimal)
        if self.unit is not None and len(self.time_columns) > 1:
            raise UsageError(
                "[time] unit is for a column of numbers, and the time is in two columns. Leave "
                "the unit out."
            )
        if self.orders is not None and self.orders.event in self.duplicates:
            raise UsageError(
                f"[orders] and [duplicates] both name {self.orders.event!r}: its rows are either "
                "lines of an order or repeats of one. Remove one of the two."
            )
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
    def time_columns(self) -> tuple[str, ...]:
        """The column of the time, or the two of date and clock."""
        return (self.time,) if isinstance(self.time, str) else self.time

    @property
    def needed(self) -> dict[str, str]:
        """The columns that every file must have, each with its role."""
        roles = {self.user: USER, **dict.fromkeys(self.time_columns, TIME)}
        return roles if self.constant_event is not None else {**roles, self.event: EVENT}

    @property
    def columns(self) -> frozenset[str] | None:
        """The columns that are needed, or None for all."""
        if self.properties is None:
            return None
        optional = {self.session or SESSION, self.value or VALUE, *self.properties}
        optional |= {self.event_id} if self.event_id else set()
        return frozenset({*self.needed, *optional, *self.conditions})

    @property
    def conditions(self) -> tuple[str, ...]:
        """Columns that are read and need not become properties."""
        rules = (name for rule in self.event_when for name in rule.when)
        keys = (name for columns in self.duplicates.values() for name in columns)
        consent = (self.consent.column,) if self.consent else ()
        orders = self.orders.key if self.orders else ()
        return tuple(dict.fromkeys((*rules, *keys, *orders, *consent)))

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

        `others` are `consent`, `decimal`, `hash_key_file`, `header` and `names`.

        Examples
        --------
        >>> ColumnMapping().with_options(columns={"user": "client_id", "value": None}).user
        'client_id'
        """
        changes: dict[str, Any] = {role: name for role, name in columns.items() if name is not None}
        if VALUE in changes:
            changes["divide_by"] = 1.0
        if EVENT in changes:
            changes["constant_event"] = None
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


def _check_names(mapping: ColumnMapping) -> None:
    twins = [name for name, count in Counter(mapping.names).items() if count > 1]
    if twins or not all(mapping.names):
        raise UsageError(
            f"the columns {', '.join(mapping.names)} must each have a name of their own: "
            "--columns user,event,time."
        )
    if mapping.header and mapping.names:
        raise UsageError(
            "columns are named for files without a header. Say that they have none: --no-header "
            "(in a mapping: header = false)."
        )
    if not mapping.header and not mapping.names:
        raise UsageError(
            "without a header the columns need names, in their order: --columns user,event,time "
            '(in a mapping: columns = ["user", "event", "time"]).'
        )


def _check_properties(mapping: ColumnMapping) -> None:
    kept = mapping.properties or {}
    for column, name in kept.items():
        if name == VALUE:
            raise UsageError(
                f"[properties] {column} = 'value': a value is a number and has its own place. "
                f"Write [columns] value = '{column}'."
            )
        added: dict[str, object] = {
            SOURCE_EVENT: mapping.renames,
            EVENT_ID: mapping.event_id,
            ORDER_LINES: mapping.orders,
        }
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
        tables = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise UsageError(f"mapping '{name}' is no TOML: {error}. Correct that line.") from error
    except RecursionError as error:
        raise UsageError(
            f"mapping '{name}' is nested too deep. It has tables and lists."
        ) from error
    return mapping_of(tables, f"mapping '{name}'")


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


def mapping_of(tables: Mapping[str, Any], what: str = "mapping") -> ColumnMapping:
    """The mapping that the tables of a TOML file say; see data/README.md for their form.

    Parameters
    ----------
    what : what error messages call it.

    Raises
    ------
    UsageError
        If a key is unknown, a value is of the wrong kind, or two of them contradict each other.

    Examples
    --------
    >>> mapping_of({"columns": {"user": "client_id"}, "time": {"unit": "ms"}}).unit
    'ms'
    """
    if isinstance(tables.get("columns"), list):
        tables = {**tables, "columns": {"names": tables["columns"]}}
    written = checks.definition(MappingFile, tables, what)
    columns, value = written.columns, written.columns.value
    consent, ids, sessions = written.consent, written.ids, written.sessions
    try:
        return ColumnMapping(
            user=columns.user,
            time=columns.time,
            event=columns.event.column or EVENT,
            constant_event=columns.event.constant,
            session=columns.session,
            value=_value_of(written),
            value_events=value.events if value else (),
            event_id=columns.event_id,
            divide_by=value.divide_by if value else 1.0,
            zone=written.time.zone,
            unit=written.time.unit,
            events=written.events,
            event_when=written.event_when,
            duplicates=written.duplicates,
            orders=OrderLines(written.orders.key, written.orders.event) if written.orders else None,
            types=written.types,
            decimal=written.numbers.decimal,
            properties=written.properties,
            missing=frozenset(written.missing.values),
            consent=Consent(consent.column, consent.granted) if consent else None,
            hash_key_file=ids.hash_key_file if ids else None,
            sessions=session_rule(**vars(sessions), what="[sessions]") if sessions else None,
            header=written.header,
            names=columns.names,
            nested=written.nested.events if written.nested else None,
        )
    except UsageError as error:
        raise UsageError(f"{what}: {error}") from error


def _value_of(written: MappingFile) -> str | None:
    """The column of the value; that which lines of orders are added up of is the same."""
    named = written.columns.value.column if written.columns.value else None
    added = written.orders.sum if written.orders else VALUE
    if added in (VALUE, named):
        return named
    if named is None:
        return added
    raise UsageError(
        f"[orders] sum = {added!r}, and [columns] value = {named!r}: a log has one value per "
        f"event. Write sum = 'value', or name the same column twice."
    )


def _time_columns(what: str, given: Any) -> str | tuple[str, ...]:
    if isinstance(given, list):
        names = _words(what, given)
        if len(names) != len({*names}) or len(names) != 2:
            raise UsageError(
                f"{what}={given!r} must be one column, or two: that of the date, then that of "
                'the clock, like ["date", "hour"].'
            )
        return names
    return _column(what, given)


def _event_column(what: str, given: Any) -> EventColumn:
    if isinstance(given, Mapping):
        found = checks.definition(EventColumn, given, what)
        if (found.column is None) == (found.constant is None):
            raise UsageError(
                f"{what}={given!r} must say the column, or the one event that every row is: "
                'event = {constant = "purchase"}.'
            )
        return found
    return EventColumn(checks.text(what, given))


def _column(what: str, given: Any) -> str:
    if isinstance(given, Mapping):
        return checks.definition(OneColumn, given, what).column
    return checks.text(what, given)


def _value_column(what: str, given: Any) -> ValueColumn:
    if isinstance(given, Mapping):
        return checks.definition(ValueColumn, given, what)
    return ValueColumn(checks.text(what, given))


def _above_zero(what: str, given: Any) -> float:
    number = isinstance(given, (int, float)) and not isinstance(given, bool)
    if not number or not 0 < given < math.inf:
        raise UsageError(f"{what}={given!r} must be a number above zero.")
    return float(given)


def _words(what: str, given: Any) -> tuple[str, ...]:
    words = [given] if isinstance(given, str) else given
    if not isinstance(words, list) or not all(isinstance(word, str) for word in words):
        raise UsageError(f'{what}={given!r} must be a list of texts: ["a", "b"].')
    return tuple(words)


def _conditions(what: str, given: Any) -> Mapping[str, tuple[str, ...]]:
    if not isinstance(given, Mapping) or not given:
        raise UsageError(f'{what}={given!r} must be a condition: when = {{column = "value"}}.')
    return {name: _words(f"{what}.{name}", words) for name, words in given.items()}


Column: TypeAlias = Annotated[str, Checked(_column)]
Words: TypeAlias = Annotated[tuple[str, ...], Checked(_words)]
Conditions: TypeAlias = Annotated[Mapping[str, tuple[str, ...]], Checked(_conditions)]


@dataclass(frozen=True)
class ColumnsTable(Table):
    """``[columns]``: the columns of the log, and those of the file that they are."""

    user: Column = USER
    time: Annotated[str | tuple[str, ...], Checked(_time_columns)] = TIME
    event: Annotated[EventColumn, Checked(_event_column)] = field(
        default_factory=lambda: EventColumn(EVENT)
    )
    session: Column | None = None
    value: Annotated[ValueColumn, Checked(_value_column)] | None = None
    event_id: Column | None = None
    names: Words = ()


@dataclass(frozen=True)
class OneColumn(Table):
    """``user = {column = "client_id"}``, the long form of ``user = "client_id"``."""

    column: Text


@dataclass(frozen=True)
class EventColumn(Table):
    """``event = {constant = "purchase"}``, where every row is the same event."""

    column: Text | None = None
    constant: Text | None = None


@dataclass(frozen=True)
class ValueColumn(Table):
    """``value = {column = "revenue_micros", divide_by = 1_000_000, events = ["purchase"]}``."""

    column: Text
    divide_by: Annotated[float, Checked(_above_zero)] = 1.0
    events: Words = ()


@dataclass(frozen=True)
class OrdersTable(Table):
    """``[orders]``: the columns that name an order, and what its lines are added up of."""

    key: Words = field(metadata={"missing": 'Say which column names an order: key = "order_id".'})
    sum: Text = VALUE
    event: Text = PURCHASE


@dataclass(frozen=True)
class NumbersTable(Table):
    """``[numbers]``: the decimal sign of numbers that are text."""

    decimal: Literal[",", "."] | None = None


@dataclass(frozen=True)
class TimeTable(Table):
    """``[time]``: of times without an offset the zone, of times that are numbers the unit."""

    zone: Text | None = None
    unit: Text | None = None


@dataclass(frozen=True)
class MissingTable(Table):
    """``[missing]``: cells that mean "missing", beside the empty one."""

    values: Words = ()


@dataclass(frozen=True)
class ConsentTable(Table):
    """``[consent]``: the column that holds consent, and the words that grant it."""

    column: Text
    granted: Words = GRANTED


@dataclass(frozen=True)
class IdsTable(Table):
    """``[ids]``: the file with the key of the hash that replaces ids."""

    hash_key_file: Text


@dataclass(frozen=True)
class SessionsTable(Table):
    """``[sessions]``: where sessions end; `session_rule` checks it."""

    gap: Any = "30min"
    campaign: Any = False
    midnight: Any = None


@dataclass(frozen=True)
class NestedTable(Table):
    """``[nested]``: the list of events that each record of JSON holds."""

    events: Text


@dataclass(frozen=True)
class MappingFile(Table):
    """The form of a mapping's file; `columns` may also be the list of a headerless file's names."""

    header: bool = True
    columns: ColumnsTable = field(default_factory=ColumnsTable)
    nested: NestedTable | None = None
    time: TimeTable = field(default_factory=TimeTable)
    events: Mapping[str, Text] = field(default_factory=dict)
    event_when: tuple[EventRule, ...] = ()
    duplicates: Mapping[str, Words] = field(default_factory=dict)
    orders: OrdersTable | None = None
    types: Mapping[str, Literal["text", "number"]] = field(default_factory=dict)
    numbers: NumbersTable = field(default_factory=NumbersTable)
    properties: Mapping[str, Text] | None = None
    missing: MissingTable = field(default_factory=MissingTable)
    consent: ConsentTable | None = None
    ids: IdsTable | None = None
    sessions: SessionsTable | None = None


def check_columns(
    mapping: ColumnMapping,
    columns: Sequence[str],
    path: Path,
    *,
    sparse: bool = False,
    lists: Sequence[str] = (),
) -> None:
    """Does the file have the columns that the mapping names?

    Parameters
    ----------
    sparse : the file names a column only where it has a cell (JSON lines), so that only user,
        time and event can be asked for.
    lists : columns of the file that hold lists of objects, among which the events may be.

    Raises
    ------
    UsageError
        If a column is missing, with the nearest name and the option to use.
    """
    for name, role in mapping.needed.items():
        if name not in columns:
            option = f"--{role} COLUMN"
            if lists and mapping.nested is None:
                option += (
                    f"; or, if the events are in the lists {lists[0]!r}, in a mapping: [nested] "
                    f"events = {lists[0]!r}, and its columns are '{lists[0]}.{name}' and the like"
                )
            raise missing_column(name, columns, f"'{path}' has", option)
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
    named |= dict.fromkeys(mapping.orders.key if mapping.orders else (), "[orders] key")
    named |= dict.fromkeys(mapping.types, "[types]")
    optional = {mapping.session: f"--{SESSION} COLUMN", mapping.value: f"--{VALUE} COLUMN"}
    optional[mapping.event_id] = "--event-id COLUMN"
    optional[mapping.consent.column if mapping.consent else None] = "--consent COLUMN"
    return named | {name: option for name, option in optional.items() if name is not None}


def missing_column(name: str, columns: Sequence[str], where: str, option: str) -> UsageError:
    """The error for a column that is not there; `where` begins the list of those that are."""
    shown = without_cells(columns)
    listed = ", ".join(map(repr, shown[:_LISTED])) or "none that has a name"
    rest = len(columns) - len(shown[:_LISTED])
    more = f" and {rest} more" if rest and shown else ""
    return UsageError(
        f"there is no column {name!r}.{did_you_mean(name, shown)} {where} {listed}{more}. "
        f"Say which one it is: {option}."
    )
