"""What a funnel asks for: steps and exclusions as plain data, as a report definition holds them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any, TypeVar

from analysis.core.schema import EVENT, UsageError, did_you_mean

MOST_STEPS = 64


ANY_EVENT = "*"


_Kind = TypeVar("_Kind", "Step", "Exclusion")


@dataclass(frozen=True)
class Step:
    """One step of a funnel.

    Parameters
    ----------
    event : an event's name, several alternative names, or ``"*"`` for any event.
    where : conditions on properties (``{"value": ">= 50"}``).
    within : the longest wait since the previous step done (``"1h"``); of no meaning where there is
        none.
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


def as_exclusions(exclude: Any) -> tuple[Exclusion, ...]:
    """Names, dictionaries and `Exclusion` as `Exclusion`; one alone is a list of one.

    Raises
    ------
    UsageError
        If there are more than 64, or one that is none of these.
    """
    if isinstance(exclude, (str, Mapping, Exclusion)):
        exclude = [exclude]
    if not isinstance(exclude, Sequence):
        raise UsageError(f"funnel: exclude={exclude!r} is no list. Allowed: a list of Exclusion.")
    if len(exclude) > MOST_STEPS:
        raise UsageError(f"funnel: {len(exclude)} exclusions. Allowed: up to {MOST_STEPS}.")
    return tuple(
        _made(one, Exclusion, f"exclusion {number}") for number, one in enumerate(exclude, start=1)
    )


def _as_step(step: Any, number: int) -> Step:
    return _made(step, Step, f"step {number}")


def _made(given: Any, kind: type[_Kind], what: str) -> _Kind:
    """A `Step` or an `Exclusion` from what stands for one."""
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
