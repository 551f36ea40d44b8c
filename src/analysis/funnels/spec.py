"""Is this a question that a funnel can answer? Every option, checked against the log.

Everything a person can get wrong is found here, in one line, before a single row is read.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from analysis.core.schema import (
    EVENT,
    SESSION,
    TIME,
    USER,
    DataError,
    UsageError,
    did_you_mean,
    duration_us,
    instant_us,
    one_of,
)
from analysis.eventlog import predicates
from analysis.eventlog.log import EventLog
from analysis.funnels.funnel_steps import ANY_EVENT, Exclusion, Step, as_exclusions, as_steps

EVER: Final = 2**62


MOST_IN_ANY_ORDER: Final = 12
"""Steps in any order that limits or exclusions allow: the search keeps a chain per set of them."""


_ORDERS: Final = ("sequential", "strict", "any")


_EFFECTS: Final = ("end_attempt", "drop_attempt", "drop_unit")


@dataclass(frozen=True, kw_only=True)
class Question:
    """What a funnel asks, checked: instants and durations in microseconds, names known."""

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


def question_of(log: EventLog, steps: Sequence[Any], options: Mapping[str, Any]) -> Question:
    """The options of `funnel`, checked.

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
    _check_properties(log, [*by], "by")
    _check_properties(log, [*hold], "hold")
    _check_unit(log, options["unit"])
    if not len(log.shards) or not log.event_names:
        raise DataError("funnel: the log is empty. Import events first: workbook import FILE.")
    _check_steps(log, asked, options["order"])
    _check_exclusions(log, exclusions, len(asked))
    _check_by_at(options["by_at"], by, len(asked))
    question = Question(
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
        entered=entry_range(options["entered"]),
    )
    _check_together(question)
    return question


def _check_words(given: Mapping[str, Any]) -> None:
    one_of("funnel: order", given["order"], _ORDERS)
    one_of("funnel: count", given["count"], ["units", "attempts"])
    one_of("funnel: entry", given["entry"], ["best", "first"])
    one_of("funnel: ties", given["ties"], ["lenient", "strict"])
    one_of("funnel: on_exclude", given["on_exclude"], _EFFECTS)
    if not isinstance(given["top"], int) or given["top"] < 1:
        raise UsageError(f"funnel: top={given['top']!r}. Allowed: a whole number from 1.")
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


def _check_properties(log: EventLog, names: Iterable[Any], option: str) -> None:
    for name in names:
        if name not in log.kinds:
            hint = (
                f" {name!r} is a column, not a property."
                if name in (USER, TIME, EVENT)
                else did_you_mean(name, log.kinds)
            )
            raise UsageError(
                f"funnel: {option}={name!r} is no property of this log.{hint} "
                f"Properties: {', '.join(map(repr, log.kinds))}."
            )


def _check_unit(log: EventLog, unit: Any) -> None:
    allowed = [USER, SESSION, *log.properties]
    if unit not in allowed:
        raise UsageError(
            f"funnel: unit={unit!r} is no unit of this log.{did_you_mean(unit, allowed)} "
            f"Allowed: {', '.join(map(repr, allowed))}."
        )


def _check_event(log: EventLog, name: str) -> None:
    if name != ANY_EVENT and name not in log.event_names:
        raise UsageError(
            f"funnel: {name!r} is no event of this log.{did_you_mean(name, log.event_names)} "
            f"{len(log.event_names)} events: log.summary()"
        )


def _check_where(log: EventLog, where: Any, what: str) -> None:
    if where is None:
        return
    if not isinstance(where, Mapping):
        raise UsageError(
            f"funnel: where={where!r} of {what} is no dict. Allowed: property to value, list of "
            "values, or comparison, as in {'value': '>= 50'}."
        )
    predicates.check(where, log.kinds, f"funnel: where of {what}")


def _check_steps(log: EventLog, steps: Sequence[Step], order: str) -> None:
    for number, step in enumerate(steps, start=1):
        for name in step.events:
            _check_event(log, name)
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
        for name in exclusion.events:
            _check_event(log, name)
        _check_where(log, exclusion.where, f"exclusion {number}")
        after, before = exclusion_range(exclusion, steps)
        whole = all(isinstance(n, int) and not isinstance(n, bool) for n in (after, before))
        if not (whole and 1 <= after < before <= steps):
            raise UsageError(
                f"funnel: exclusion {number} lies after step {after} and before step {before}, and "
                f"the funnel has {steps} {'step' if steps == 1 else 'steps'}. Allowed: "
                f"1 <= after < before <= {steps}. Leave both out for the whole funnel."
            )


def exclusion_range(exclusion: Exclusion, steps: int) -> tuple[int, int]:
    """After which step and before which one an exclusion holds."""
    after = 1 if exclusion.after is None else exclusion.after
    return after, steps if exclusion.before is None else exclusion.before


def _check_by_at(by_at: Any, by: Sequence[str], steps: int) -> None:
    words = ("entry", "first_touch", "last_touch")
    if isinstance(by_at, str):
        one_of("funnel: by_at", by_at, words)
    elif not isinstance(by_at, int) or isinstance(by_at, bool) or not 1 <= by_at <= steps:
        raise UsageError(
            f"funnel: by_at={by_at!r}. Allowed: {', '.join(map(repr, words))}, or the number of a "
            f"step from 1 to {steps}."
        )
    if by_at != "entry" and not by:
        raise UsageError(
            f"funnel: by_at={by_at!r} without by. Name the property whose value is meant: by=..."
        )


def _within(step: Step, number: int) -> int:
    if step.within is None:
        return EVER
    return duration_us(step.within, f"funnel: within of step {number}")


def _check_together(question: Question) -> None:
    bounded = question.exclusions or any(limit < EVER for limit in question.within_us)
    if question.order == "any" and bounded and len(question.steps) > MOST_IN_ANY_ORDER:
        raise UsageError(
            f"funnel: {len(question.steps)} steps in any order with exclusions or within. "
            f"Allowed with these: up to {MOST_IN_ANY_ORDER} steps. Leave them out, or ask for "
            "fewer steps."
        )


def entry_range(entered: tuple[Any, Any] | None, what: str = "funnel") -> tuple[int, int]:
    """From when (included) to when (excluded) an entry counts, in microseconds.

    Raises
    ------
    UsageError
        If `entered` is no pair of instants, or ends before it starts.
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
