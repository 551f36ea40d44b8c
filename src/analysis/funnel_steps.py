"""What a funnel asks for: steps and exclusions as plain data, checked against the log.

Everything a person can get wrong is found here, before a single row is read.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any

import numpy as np

from analysis.eventlog.log import EventLog
from analysis.schema import EVENT, TIME, USER, UsageError, did_you_mean, instant_us, one_of

MOST_STEPS = 64
ANY_EVENT = "*"
EVER = 2**62


@dataclass(frozen=True)
class Step:
    """One step of a funnel.

    Parameters
    ----------
    event : an event's name, several alternative names, or ``"*"`` for any event.
    where : conditions on properties (``{"value": ">= 50"}``).
    within : the longest wait since the previous step done (``"1h"``).
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

    Steps are numbered from 1; without numbers the whole funnel is meant.
    """

    event: str | Sequence[str]
    after: int | None = None
    before: int | None = None
    where: Mapping[str, Any] | None = None


def as_steps(steps: Sequence[Any]) -> tuple[Step, ...]:
    """Names, dictionaries and `Step` as `Step`.

    Raises
    ------
    UsageError
        If there is no step, more than 64, or one that is none of these.
    """
    if isinstance(steps, str) or not isinstance(steps, Sequence):
        raise UsageError(f"funnel: steps={steps!r} is no list. Allowed: a list of event names.")
    if not steps:
        raise UsageError("funnel: steps is empty. Give at least one event: log.summary().")
    if len(steps) > MOST_STEPS:
        raise UsageError(
            f"funnel: {len(steps)} steps. Allowed: up to {MOST_STEPS}. Ask for the ones that count."
        )
    return tuple(_as_step(step, number) for number, step in enumerate(steps, start=1))


def _as_step(step: Any, number: int) -> Step:
    if isinstance(step, str):
        return Step(step)
    if isinstance(step, Mapping):
        known = [f.name for f in fields(Step)]
        for key in step:
            if key not in known:
                raise UsageError(
                    f"funnel: step {number} has a key {key!r}.{did_you_mean(key, known)} "
                    f"Allowed: {', '.join(known)}."
                )
        if EVENT not in step:
            raise UsageError(f"funnel: step {number} has no event. Give {{'event': 'name'}}.")
        step = Step(**step)
    named = isinstance(step, Step) and isinstance(step.event, (str, list, tuple))
    if named and step.events and all(isinstance(e, str) for e in step.events):
        return step
    if not isinstance(step, Step) and isinstance(step, (list, tuple)):
        return _as_step(Step(tuple(step)), number)
    raise UsageError(
        f"funnel: step {number} is {step!r}. Allowed: an event name, a list of alternative names, "
        "Step(...), or a dict with the arguments of Step."
    )


def check_events(log: EventLog, steps: Sequence[Step]) -> None:
    """Raise a `UsageError` for an event that the log does not know."""
    for step in steps:
        for name in step.events:
            if name != ANY_EVENT and name not in log.event_names:
                raise UsageError(
                    f"funnel: {name!r} is no event of this log."
                    f"{did_you_mean(name, log.event_names)} "
                    f"{len(log.event_names)} events: log.summary()"
                )


def breakdown_properties(log: EventLog, by: str | Sequence[str] | None) -> tuple[str, ...]:
    """The properties of a breakdown.

    Raises
    ------
    UsageError
        If the log has no such property.
    """
    names = () if by is None else (by,) if isinstance(by, str) else tuple(by)
    for name in names:
        if name not in log.kinds:
            hint = (
                f" {name!r} is a column, not a property."
                if name in (USER, TIME, EVENT)
                else did_you_mean(name, log.kinds)
            )
            raise UsageError(
                f"funnel: by={name!r} is no property of this log.{hint} "
                f"Properties: {', '.join(map(repr, log.kinds))}."
            )
    return names


def check_options(given: Mapping[str, Any], steps: Sequence[Step]) -> None:
    """Raise a `UsageError` for a value that is unknown, or known and not available yet."""
    one_of("funnel: order", given["order"], ["sequential", "strict", "any"])
    one_of("funnel: count", given["count"], ["units", "attempts"])
    one_of("funnel: entry", given["entry"], ["best", "first"])
    one_of("funnel: ties", given["ties"], ["lenient", "strict"])
    one_of("funnel: on_exclude", given["on_exclude"], ["end_attempt", "drop_attempt", "drop_unit"])
    available = {
        "order": "sequential",
        "unit": USER,
        "count": "units",
        "entry": "best",
        "by_at": "entry",
        "hold": (),
        "exclude": (),
        "on_exclude": "end_attempt",
    }
    for name, value in available.items():
        if (tuple(given[name]) if value == () else given[name]) != value:
            raise UsageError(
                f"funnel: {name}={given[name]!r} is not available in this version. "
                f"Allowed for now: {value!r}. Leave {name} out."
            )
    for number, step in enumerate(steps, start=1):
        for name in ("where", "within", "optional"):
            if getattr(step, name):
                raise UsageError(
                    f"funnel: {name}={getattr(step, name)!r} of step {number} is not available in "
                    f"this version. Leave it out, or narrow the log first: log.where(...)."
                )
    if not isinstance(given["top"], int) or given["top"] < 1:
        raise UsageError(f"funnel: top={given['top']!r}. Allowed: a whole number from 1.")


def entry_range(entered: tuple[Any, Any] | None) -> tuple[int, int]:
    """From when (included) to when (excluded) an entry counts, in microseconds.

    Raises
    ------
    UsageError
        If `entered` is no pair of instants, or ends before it starts.
    """
    if entered is None:
        return -EVER, EVER
    if isinstance(entered, str) or len(entered) != 2:
        raise UsageError(f"funnel: entered={entered!r}. Allowed: (start, end), end excluded.")
    start, end = entered
    low = -EVER if start is None else instant_us(start, "funnel: entered start")
    high = EVER if end is None else instant_us(end, "funnel: entered end")
    if high <= low:
        raise UsageError(f"funnel: entered={entered!r} ends before it starts. Swap the two.")
    return low, high


@dataclass(frozen=True)
class StepCodes:
    """The steps as the pass wants them; see `passes.chains.best_chains`."""

    lut: np.ndarray
    wanted: np.ndarray
    strict: bool
    shared: bool


def step_codes(log: EventLog, steps: Sequence[Step], ties: str) -> StepCodes:
    """Translate steps into the event codes of a log."""
    names = log.event_names
    lut = np.zeros(len(names) + 1, np.uint64)
    wanted = np.zeros(len(steps) + 1, np.uint64)
    for k, step in enumerate(steps, start=1):
        for code, name in enumerate(names):
            if name in step.events or step.events == (ANY_EVENT,):
                lut[code] |= np.uint64(1) << np.uint64(k - 1)
                wanted[k] |= np.uint64(1) << np.uint64(code & 63)
    shared = any(int(bits).bit_count() > 1 for bits in lut)
    return StepCodes(lut, wanted, ties == "strict", shared)
