"""What does a funnel ask? Its steps, exclusions and options, as plain data and all checked.

Everything a person can get wrong is found here, in one line, before a single row is read.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any, Final, TypeVar

from analysis.core import checks
from analysis.core.checks import EVER
from analysis.core.schema import (
    EVENT,
    SESSION,
    TIME,
    USER,
    DataError,
    UsageError,
    did_you_mean,
    duration_us,
    one_of,
)
from analysis.eventlog import filters
from analysis.eventlog.log import EventLog

ANY_EVENT = "*"

MOST_STEPS = 64

MOST_IN_ANY_ORDER: Final = 12
"""Steps in any order that limits or exclusions allow: the search keeps a chain per set of them."""

_ORDERS: Final = ("sequential", "strict", "any")
_EFFECTS: Final = ("end_attempt", "drop_attempt", "drop_unit")
TOUCHES: Final = ("first_touch", "last_touch")
"""Where a group's value can be read beside the entry and the steps: anywhere in the unit."""

_PLACES: Final = ("entry", *TOUCHES)

_Kind = TypeVar("_Kind", "Step", "Exclusion")


@dataclass(frozen=True)
class Step:
    """One step of a funnel.

    Parameters
    ----------
    event : an event's name, several alternative names, or ``"*"`` for any event.
    where : conditions on properties (``{"value": ">= 50"}``).
    within : the longest wait since the step done before (``"1h"``); step 1 has none before it.
    optional : the step may be skipped.
    label : what to call the step; default: the event's name.

    Examples
    --------
    >>> Step(["add_to_cart", "add_to_wishlist"]).name
    'add_to_cart or add_to_wishlist'
    """

    event: str | Sequence[str]
    where: Mapping[str, Any] | None = None
    within: str | None = None
    optional: bool = False
    label: str | None = None

    @property
    def events(self) -> tuple[str, ...]:
        """The names that match the step."""
        return (self.event,) if isinstance(self.event, str) else tuple(self.event)

    @property
    def name(self) -> str:
        """The label, or else the names."""
        if self.label:
            return self.label
        return "any event" if self.events == (ANY_EVENT,) else " or ".join(self.events)

    def plain(self) -> Any:
        """The step as a report definition holds it: a name, or a dictionary."""
        given = {f.name: getattr(self, f.name) for f in fields(self)}
        given = {k: v for k, v in given.items() if v not in (None, False)}
        if isinstance(self.event, str) and len(given) == 1:
            return self.event
        return given | {"event": self.event if isinstance(self.event, str) else list(self.event)}


@dataclass(frozen=True)
class Exclusion:
    """An event that may not happen between reaching step `after` and reaching step `before`.

    Parameters
    ----------
    event : an event's name, several alternative names, or ``"*"`` for any event.
    after, before : numbers of steps, from 1; default: the first and the last.
    where : conditions on properties (``{"value": ">= 50"}``).

    Examples
    --------
    >>> Exclusion("remove_from_cart", after=2).plain()
    {'event': 'remove_from_cart', 'after': 2}
    """

    event: str | Sequence[str]
    after: int | None = None
    before: int | None = None
    where: Mapping[str, Any] | None = None

    @property
    def events(self) -> tuple[str, ...]:
        """The names that match the exclusion."""
        return (self.event,) if isinstance(self.event, str) else tuple(self.event)

    def plain(self) -> dict[str, Any]:
        """The exclusion as a report definition holds it."""
        given = {f.name: getattr(self, f.name) for f in fields(self)}
        event = self.event if isinstance(self.event, str) else list(self.event)
        return {k: v for k, v in given.items() if v is not None} | {"event": event}


@dataclass(frozen=True, kw_only=True)
class FunnelSpec:
    """A checked funnel: instants and durations in microseconds, every name known."""

    steps: tuple[Step, ...]
    exclusions: tuple[Exclusion, ...]
    order: str
    window_us: int
    within_us: tuple[int, ...]
    unit: str
    attempts: bool
    first: bool
    hold: tuple[str, ...]
    effect: str
    by: tuple[str, ...]
    by_at: str | int
    top: int
    strict: bool
    entered: tuple[int, int]

    @property
    def last_required(self) -> int:
        """The number of the step that is the conversion."""
        return max(k for k, step in enumerate(self.steps, start=1) if not step.optional)

    @property
    def conversion(self) -> int:
        """The step whose units have converted: the last required one, in any order the last."""
        return len(self.steps) if self.order == "any" else self.last_required

    @property
    def inside_user(self) -> tuple[str, ...]:
        """The properties that cut a user into units; the session is one of them."""
        return ((SESSION,) if self.unit == SESSION else ()) + self.hold

    @property
    def repeats_users(self) -> bool:
        """Can one user be several units?"""
        return self.attempts or bool(self.inside_user)


def funnel_spec(log: EventLog, steps: Sequence[Any], options: Mapping[str, Any]) -> FunnelSpec:
    """Check the steps and options of `funnel`.

    Parameters
    ----------
    options : every keyword argument of `funnel`, as given.

    Raises
    ------
    UsageError
        If one is unknown, out of range, or makes no sense beside another.
    DataError
        If the log is empty.
    """
    asked = as_steps(steps)
    exclusions = as_exclusions(options["exclude"])
    _check_words(options)
    window_us = duration_us(options["window"], "funnel: window")
    hold, by = (_names(options[option], option) for option in ("hold", "by"))
    _check_properties(log, by, "by")
    _check_properties(log, hold, "hold")
    _check_unit(log, options["unit"])
    if not len(log.shards) or not log.event_names:
        raise DataError("funnel: the log is empty. Import events first: workbook import FILE.")
    _check_steps(log, asked, options["order"])
    _check_exclusions(log, exclusions, len(asked))
    _check_by_at(options["by_at"], by, len(asked))
    spec = FunnelSpec(
        steps=asked,
        exclusions=exclusions,
        order=options["order"],
        window_us=window_us,
        within_us=tuple(_within(step, number) for number, step in enumerate(asked, start=1)),
        unit=options["unit"],
        attempts=options["count"] == "attempts",
        first=options["entry"] == "first",
        hold=hold,
        effect=options["on_exclude"],
        by=by,
        by_at=options["by_at"],
        top=options["top"],
        strict=options["ties"] == "strict",
        entered=checks.entry_range("funnel", options["entered"]),
    )
    _check_any_order(spec)
    return spec


def as_steps(steps: Sequence[Any]) -> tuple[Step, ...]:
    """Turn names, dictionaries and `Step` into `Step`.

    Raises
    ------
    UsageError
        If there is no step, more than 64, or one that is none of these.
    """
    if isinstance(steps, str) or not isinstance(steps, Sequence):
        raise UsageError(f"funnel: steps={steps!r} is not a list. Allowed: a list of event names.")
    if not steps:
        raise UsageError("funnel: steps is empty. Give at least one event: log.summary().")
    if len(steps) > MOST_STEPS:
        raise UsageError(
            f"funnel: {len(steps)} steps. Allowed: up to {MOST_STEPS}. Ask for the ones that count."
        )
    return tuple(_made(step, Step, f"step {number}") for number, step in enumerate(steps, start=1))


def as_exclusions(exclude: Any) -> tuple[Exclusion, ...]:
    """Turn names, dictionaries and `Exclusion` into `Exclusion`; one alone is a list of one.

    Raises
    ------
    UsageError
        If there are more than 64, or one that is none of these.
    """
    if isinstance(exclude, (str, Mapping, Exclusion)):
        exclude = [exclude]
    if not isinstance(exclude, Sequence):
        raise UsageError(
            f"funnel: exclude={exclude!r} is not a list. Allowed: a list of Exclusion."
        )
    if len(exclude) > MOST_STEPS:
        raise UsageError(f"funnel: {len(exclude)} exclusions. Allowed: up to {MOST_STEPS}.")
    return tuple(
        _made(one, Exclusion, f"exclusion {number}") for number, one in enumerate(exclude, start=1)
    )


def _made(given: Any, kind: type[_Kind], what: str) -> _Kind:
    """Make a `Step` or an `Exclusion` of what stands for one."""
    if isinstance(given, str):
        return kind(given)
    if isinstance(given, Mapping):
        known = [f.name for f in fields(kind)]
        for key in given:
            if key not in known:
                raise UsageError(
                    f"funnel: {what} has a key {key!r}.{did_you_mean(key, known)} "
                    f"Allowed: {', '.join(known)}."
                )
        if EVENT not in given:
            raise UsageError(f"funnel: {what} has no event. Give {{'event': 'name'}}.")
        given = kind(**given)
    named = isinstance(given, kind) and isinstance(given.event, (str, list, tuple))
    if named and given.events and all(isinstance(e, str) for e in given.events):
        return given
    if isinstance(given, (list, tuple)):
        return _made(kind(tuple(given)), kind, what)
    raise UsageError(
        f"funnel: {what} is {given!r}. Allowed: an event name, a list of alternative names, "
        f"{kind.__name__}(...), or a dict with the arguments of {kind.__name__}."
    )


def _check_words(given: Mapping[str, Any]) -> None:
    one_of("funnel: order", given["order"], _ORDERS)
    one_of("funnel: count", given["count"], ["units", "attempts"])
    one_of("funnel: entry", given["entry"], ["best", "first"])
    one_of("funnel: ties", given["ties"], ["lenient", "strict"])
    one_of("funnel: on_exclude", given["on_exclude"], _EFFECTS)
    checks.whole("funnel: top", given["top"], least=1)
    if given["count"] == "attempts" and given["entry"] != "best":
        raise UsageError(
            f"funnel: entry={given['entry']!r} with count='attempts'. Every attempt has an entry "
            "of its own. Leave entry out, or count units."
        )


def _names(given: Any, option: str) -> tuple[str, ...]:
    """One name, several or none as a tuple."""
    names = () if given is None else (given,) if isinstance(given, str) else given
    if not isinstance(names, Sequence) or not all(isinstance(name, str) for name in names):
        raise UsageError(
            f"funnel: {option}={given!r}. Allowed: a property's name, or a list of names."
        )
    return tuple(names)


def _check_properties(log: EventLog, names: Iterable[str], option: str) -> None:
    for name in names:
        if name in (USER, TIME, EVENT):
            raise UsageError(
                f"funnel: {option}={name!r} is a column, not a property. "
                f"Properties: {', '.join(map(repr, log.kinds))}."
            )
        checks.property_name(f"funnel: {option}", log, name)


def _check_unit(log: EventLog, unit: Any) -> None:
    allowed = [USER, SESSION, *log.properties]
    if unit not in allowed:
        raise UsageError(
            f"funnel: unit={unit!r} is not a unit of this log.{did_you_mean(unit, allowed)} "
            f"Allowed: {', '.join(map(repr, allowed))}."
        )


def _check_steps(log: EventLog, steps: Sequence[Step], order: str) -> None:
    for number, step in enumerate(steps, start=1):
        _check_events(log, step.events)
        _check_where(log, step.where, f"step {number}")
        if step.optional and order != "sequential":
            raise UsageError(
                f"funnel: step {number} is optional and order={order!r}. Optional steps are for "
                "order='sequential'. Leave one of the two out."
            )
    if steps[0].optional:
        raise UsageError(
            "funnel: step 1 is optional. A chain begins with its first step: make it required, "
            "or begin with the next one."
        )


def _check_exclusions(log: EventLog, exclusions: Sequence[Exclusion], steps: int) -> None:
    for number, exclusion in enumerate(exclusions, start=1):
        _check_events(log, exclusion.events)
        _check_where(log, exclusion.where, f"exclusion {number}")
        after, before = exclusion_range(exclusion, steps)
        whole = all(isinstance(n, int) and not isinstance(n, bool) for n in (after, before))
        if not (whole and 1 <= after < before <= steps):
            raise UsageError(
                f"funnel: exclusion {number} lies after step {after} and before step {before}, and "
                f"the funnel has {steps} {'step' if steps == 1 else 'steps'}. Allowed: "
                f"1 <= after < before <= {steps}. Leave both out for the whole funnel."
            )


def _check_events(log: EventLog, names: Iterable[str]) -> None:
    for name in names:
        if name != ANY_EVENT:
            checks.event_name("funnel", log, name)


def _check_where(log: EventLog, where: Any, what: str) -> None:
    if where is None:
        return
    if not isinstance(where, Mapping):
        raise UsageError(
            f"funnel: where={where!r} of {what} is no dict. Allowed: property to value, list of "
            "values, or comparison, as in {'value': '>= 50'}."
        )
    filters.check(where, log, f"funnel: where of {what}")


def exclusion_range(exclusion: Exclusion, steps: int) -> tuple[int, int]:
    """The steps after which and before which an exclusion holds."""
    after = 1 if exclusion.after is None else exclusion.after
    return after, steps if exclusion.before is None else exclusion.before


def _check_by_at(by_at: Any, by: Sequence[str], steps: int) -> None:
    if isinstance(by_at, str):
        one_of("funnel: by_at", by_at, _PLACES)
    elif not isinstance(by_at, int) or isinstance(by_at, bool) or not 1 <= by_at <= steps:
        raise UsageError(
            f"funnel: by_at={by_at!r}. Allowed: {', '.join(map(repr, _PLACES))}, or the number of "
            f"a step from 1 to {steps}."
        )
    if by_at != "entry" and not by:
        raise UsageError(
            f"funnel: by_at={by_at!r} without by. Name the property whose value is meant: by=..."
        )


def _within(step: Step, number: int) -> int:
    if step.within is None:
        return EVER
    return duration_us(step.within, f"funnel: within of step {number}")


def _check_any_order(spec: FunnelSpec) -> None:
    bounded = spec.exclusions or any(limit < EVER for limit in spec.within_us)
    if spec.order == "any" and bounded and len(spec.steps) > MOST_IN_ANY_ORDER:
        raise UsageError(
            f"funnel: {len(spec.steps)} steps in any order with exclusions or within. "
            f"Allowed with these: up to {MOST_IN_ANY_ORDER} steps. Leave them out, or ask for "
            "fewer steps."
        )
