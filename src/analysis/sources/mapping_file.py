"""Mappings as people write them: TOML files, and the presets that ship with the package.

Every key is checked, because a misspelled one that was silently ignored would change the meaning
of the whole import. data/README.md shows the form in full.
"""

from __future__ import annotations

import tomllib
from collections.abc import Iterable, Mapping
from importlib import resources
from pathlib import Path
from typing import Any, Final

from analysis.core.schema import EVENT_ID, VALUE, UsageError, did_you_mean
from analysis.eventlog.consent import GRANTED, Consent
from analysis.eventlog.sessions import session_rule
from analysis.sources.mapping import RESERVED, ColumnMapping, EventRule

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
