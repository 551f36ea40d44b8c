"""Can a question take this argument? One checker per kind of argument.

Each takes the name of the asking function first (``"funnel"``, or ``"rfm: macro"`` where several
arguments are alike), returns the value in the form the code works with, or raises a `UsageError`
that says what was asked, what was given, what is allowed and what to do next. Arguments that many
questions share mean the same in all of them:

``by``
    A property, or a list of them: one answer per group of people. Text groups by value.
``min_cell``
    No rate or number of a group is shown where the group has fewer people than this: its
    denominator counts, not how many of them did something. 5 by default.
``start``, ``end``, ``entered``
    Instants: text with a zone, a date (its first instant in UTC), or a timestamp. Starts are
    included, ends are not.
``unit``
    What is counted once: ``"user"``, ``"session"``, or the property the log was regrouped by.
``log``
    An `EventLog`, whole or a view; a view hides rows and people, and no answer sees them.

What people write in TOML files (catalogs, mappings, reports) is checked the same way: `definition`
reads a whole table, by the same checkers.
"""

from __future__ import annotations

import dataclasses
import functools
import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from types import NoneType
from typing import (
    Annotated,
    Any,
    ClassVar,
    Final,
    Protocol,
    TypeAlias,
    TypeVar,
    get_args,
    get_type_hints,
)

import numpy as np

from analysis.core.schema import UsageError, did_you_mean, duration_us, instant_us

EVER: Final = 2**62
"""Later than any instant of a log, in microseconds; minus this is earlier than any."""


class Named(Protocol):
    """What a check must know of a log: its events, and the kinds of its properties."""

    @property
    def event_names(self) -> tuple[str, ...]: ...

    @property
    def kinds(self) -> Mapping[str, str]: ...


def event_name(what: str, log: Named, event: str) -> str:
    """An event that the log knows."""
    if event not in log.event_names:
        raise UsageError(
            f"{what}: {event!r} is not an event of this log.{did_you_mean(event, log.event_names)} "
            f"{len(log.event_names)} events: log.summary()"
        )
    return event


def property_name(what: str, log: Named, name: str) -> str:
    """A property that the log knows."""
    if name not in log.kinds:
        raise UsageError(
            f"{what}: {name!r} is not a property of this log.{did_you_mean(name, log.kinds)} "
            f"Properties: {', '.join(map(repr, log.kinds))}."
        )
    return name


def property_text(what: str, name: Any) -> str:
    """Text that can be a property's name, where no log is there yet to ask."""
    if not isinstance(name, str) or not name:
        raise UsageError(
            f"{what}: {name!r} is not a property's name. Allowed: text, such as 'device'."
        )
    return name


def names(what: str, given: Any) -> list[str] | None:
    """One name or several as a list; None stays None.

    Examples
    --------
    >>> names("clusters: events", "share"), names("clusters: events", None)
    (['share'], None)
    """
    if given is None:
        return None
    several = isinstance(given, Iterable) and not isinstance(given, Mapping)
    found = [given] if isinstance(given, str) else list(given) if several else []
    if not found:
        raise UsageError(
            f"{what}={given!r}. Allowed: a name, or a list of names; leave it out for all."
        )
    return [str(name) for name in found]


def whole(what: str, given: Any, *, least: int) -> int:
    """A whole number from `least`."""
    if isinstance(given, bool) or not isinstance(given, (int, np.integer)) or given < least:
        raise UsageError(f"{what}={given!r}. Allowed: a whole number from {least}.")
    return int(given)


def min_cell(what: str, given: Any) -> int:
    """The number of people from which on a group is shown.

    It is asked of everybody in the group, the denominator: 4 buyers of 200 visitors are shown.

    Examples
    --------
    >>> min_cell("micro_to_macro", 5)
    5
    """
    return whole(f"{what}: min_cell", given, least=1)


def number(what: str, given: Any) -> float:
    """A number that is neither infinite nor undefined."""
    kinds = (int, float, np.integer, np.floating)
    if isinstance(given, bool) or not isinstance(given, kinds) or not math.isfinite(given):
        raise UsageError(f"{what}={given!r}. Allowed: a number.")
    return float(given)


def share(what: str, given: Any) -> float:
    """A share above 0 and below 1, such as a false discovery rate."""
    kinds = (int, float, np.integer, np.floating)
    if isinstance(given, bool) or not isinstance(given, kinds) or not 0 < given < 1:
        raise UsageError(f"{what}={given!r}. Allowed: a share between 0 and 1, such as 0.05.")
    return float(given)


def ordered(what: str, low: float | None, high: float | None) -> None:
    """An upper bound that is not below the lower one; either may be missing."""
    if low is not None and high is not None and high < low:
        raise UsageError(f"{what}: at_most is below at_least, so nobody is in. Swap the two.")


def bounded(what: str, low: float | None, high: float | None, example: str) -> None:
    """At least one bound, the two the right way round."""
    if low is None and high is None:
        raise UsageError(f"{what}: at_least and at_most are missing. Give one, such as {example}.")
    ordered(what, low, high)


def entry_range(what: str, entered: tuple[Any, Any] | None) -> tuple[int, int]:
    """From when (included) to when (excluded) an entry counts, in microseconds.

    Examples
    --------
    >>> low, high = entry_range("funnel", ("1970-01-02", None))
    >>> low, high == EVER
    (86400000000, True)
    """
    if entered is None:
        return -EVER, EVER
    if isinstance(entered, str) or not isinstance(entered, Sequence) or len(entered) != 2:
        raise UsageError(f"{what}: entered={entered!r}. Allowed: (start, end), end excluded.")
    start, end = entered
    low = -EVER if start is None else instant_us(start, f"{what}: entered start")
    high = EVER if end is None else instant_us(end, f"{what}: entered end")
    if high <= low:
        raise UsageError(f"{what}: entered={entered!r} ends before it starts. Swap the two.")
    return low, high


def text(what: str, given: Any) -> str:
    """Text that is not blank."""
    if not isinstance(given, str) or not given.strip():
        raise UsageError(f"{what}={given!r} must be text in quotes, and not empty.")
    return given


def duration(what: str, given: Any) -> str:
    """A duration as text, such as ``"7d"``, as it was written."""
    duration_us(text(what, given), what)
    return given


class Table:
    """A table of a definition: a frozen dataclass that inherits from this refuses unknown keys.

    A field's ``metadata={"missing": "…"}`` says what to do where its key is missing.
    """

    __pydantic_config__: ClassVar[Mapping[str, str]] = {"extra": "forbid"}


class Checked:
    """In the annotation of a field of a `Table`: its value is what this checker makes of it.

    The checker takes the path of the key and what stands there, as all in this module do.
    """

    def __init__(self, check: Callable[[str, Any], Any]) -> None:
        self._check = check

    def __get_pydantic_core_schema__(self, _source: Any, _handler: Any) -> Any:
        from pydantic_core import core_schema

        return core_schema.no_info_plain_validator_function(functools.partial(self._check, _PATH))


Text: TypeAlias = Annotated[str, Checked(text)]
Duration: TypeAlias = Annotated[str, Checked(duration)]

_PATH: Final = "\0path\0"
"""Stands in a checker's message until the path of the key is known."""

Model = TypeVar("Model")


def definition(model: type[Model], table: Any, what: str) -> Model:
    """What a person wrote in a TOML table, as frozen data.

    pydantic reads the table; one mistake that it finds becomes a `UsageError` in one line: the
    path of the key, what was got, what is allowed. pydantic is imported here because that takes
    longer than many a question.

    Parameters
    ----------
    model : a frozen dataclass, a `Table`; its fields are text, numbers, choices (`Literal`),
        tables, lists and mappings of these, perhaps None, or whatever a `Checked` makes of them.
    table : as `tomllib` reads it. what : what messages call it, such as the file's name.

    Raises
    ------
    UsageError
        If a key is unknown or missing, or a value is not allowed.

    Examples
    --------
    >>> from dataclasses import dataclass
    >>> @dataclass(frozen=True)
    ... class Visit(Table):
    ...     page: Text
    ...     minutes: int = 1
    >>> definition(Visit, {"page": "/", "minutes": 2}, "visit.toml")
    Visit(page='/', minutes=2)
    >>> definition(Visit, {"page": "/", "minuets": 2}, "visit.toml")
    Traceback (most recent call last):
    analysis.UsageError: visit.toml: the key 'minuets' is unknown. Did you mean 'minutes'? \
Allowed: page, minutes.
    """
    from pydantic import ValidationError

    try:
        read: Model = _reader(model).validate_python(_dicts(table))  # type: ignore[arg-type]
    except ValidationError as error:
        # A misspelled key first: it also explains why another one is missing.
        mistakes = error.errors(include_url=False)
        mistake = min(mistakes, key=lambda found: found["type"] != _UNKNOWN)
        raise UsageError(_explained(model, mistake, what)) from error
    return read


@functools.cache
def _reader(model: type) -> Any:
    from pydantic import TypeAdapter

    return TypeAdapter(model)


def _dicts(given: Any) -> Any:
    """The same with a dict for every mapping: pydantic takes no other for a dataclass."""
    if isinstance(given, Mapping):
        return {key: _dicts(value) for key, value in given.items()}
    return [_dicts(value) for value in given] if isinstance(given, list) else given


def _explained(model: Any, mistake: Mapping[str, Any], what: str) -> str:
    """One of pydantic's errors in words of this project."""
    kind, given, keys = mistake["type"], mistake["input"], mistake["loc"]
    place = _path(what, keys)
    if kind == "value_error":
        sentence = str(mistake["ctx"]["error"])
        return (
            sentence.replace(_PATH, place)
            if _PATH in sentence or not keys
            else f"{place}: {sentence}"
        )
    if kind == _UNKNOWN:
        allowed = [field.name for field in dataclasses.fields(_type_at(model, keys[:-1]))]
        return (
            f"{_path(what, keys[:-1])}: the key {keys[-1]!r} is unknown."
            f"{did_you_mean(keys[-1], allowed)} Allowed: {', '.join(allowed)}."
        )
    if kind == "missing":
        fields = dataclasses.fields(_type_at(model, keys[:-1]))
        advice = next(f.metadata.get("missing") for f in fields if f.name == keys[-1])
        return f"{place} is missing. {advice or f'Add a line: {keys[-1]} = …'}"
    if kind == "literal_error":
        allowed = [str(choice) for choice in get_args(_type_at(model, keys))]
        listed = ", ".join(map(repr, allowed))
        return f"{place}={given!r} is unknown.{did_you_mean(given, allowed)} Allowed: {listed}."
    if kind == "tuple_type" and isinstance(given, dict):
        return f"{place} must be written with two brackets: [[{keys[-1]}]]."
    if kind in _KINDS:
        return f"{place}={given!r} must be {_KINDS[kind]}."
    return f"{place}={given!r} is not allowed: {mistake['msg']}. Mend that line."


_UNKNOWN: Final = "unexpected_keyword_argument"
_TABLE: Final = "a table, with a line per key = value"
_KINDS: Final = {
    "dataclass_type": _TABLE,
    "mapping_type": _TABLE,
    "dict_type": _TABLE,
    "tuple_type": "a list, such as [1, 2]",
    "string_type": "text in quotes",
    "int_type": "a whole number",
    "float_type": "a number",
    "bool_type": "true or false",
}
"""What may stand where pydantic found something of another kind."""


def _path(what: str, keys: Sequence[str | int]) -> str:
    """The file and the keys down to a value, such as ``shop.toml: funnels.cart.steps[1]``."""
    steps = "".join(f"[{key}]" if isinstance(key, int) else f".{key}" for key in keys)
    return f"{what}: {steps.removeprefix('.')}" if keys else what


def _type_at(model: Any, keys: Sequence[str | int]) -> Any:
    """The type that a model gives to what stands under these keys."""
    for key in keys:
        if dataclasses.is_dataclass(model):
            model = get_type_hints(model)[str(key)]
        else:  # a mapping's values are its last argument, a list's elements its first
            model = get_args(model)[-1 if isinstance(key, str) else 0]
        if NoneType in get_args(model):
            model = get_args(model)[0]
    return model
