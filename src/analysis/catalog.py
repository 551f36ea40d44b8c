"""What the events of a log mean: which one pays, which lead there, which cannot matter at all.

A log knows names; only people know that `purchase` is what pays, that `begin_checkout` is on the
way to it, and that a click on the footer cannot make anyone buy. They say so in one TOML file, and
every question that needs meaning asks the catalog. It is plain data: reading it twice gives the
same, and nothing in it is run.

The file is checked whole when it is loaded, because a misspelled role would otherwise turn an
event into context and quietly change an answer. The catalog does not know the log: a step that the
log has never seen is an error of the question that asks for it, which can name what the log has.

This module refuses to guess roles from names, and it gives segments no meaning: a rule is handed
on as it was written.
"""

from __future__ import annotations

import tomllib
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any, Final, NamedTuple, TypeVar

from analysis.core import wording
from analysis.core.schema import UsageError, did_you_mean, duration_us, one_of

# ──── catalog_form
#
# The form of a catalog file: what may stand where, checked entry by entry.
#
# Each reader takes one table of the file and the place where it stands, and returns it as frozen
# data or raises one line: the place, what was found, what may stand there. The readers know no file
# and no log, and they give roles and rules no meaning.


ROLES: Final = ("macro", "milestone", "secondary", "adverse", "control")


STAGES: Final = ("awareness", "interest", "consideration", "decision", "loyalty")


TOP_KEYS = ("name", "currency", "events", "derived", "funnels", "segments")


_EVENT = ("role", "stage", "label")


_DERIVED = ("after", "without", "wait", *_EVENT)


_FUNNEL = ("steps", "window")


_SEGMENT = ("rule", "label")


_DEFAULT_WINDOW = "7d"


class PlannedEvent(NamedTuple):
    """What one event means; `stage` and `label` are None where the file does not say."""

    role: str
    stage: str | None = None
    label: str | None = None


class PlannedFunnel(NamedTuple):
    """A funnel by name: event names in order, and a duration such as ``"7d"``."""

    steps: tuple[str, ...]
    window: str


Entry = TypeVar("Entry")


def read_each(
    data: Mapping[str, Any],
    key: str,
    read: Callable[[Mapping[str, Any], str], Entry],
    source: str,
) -> Mapping[str, Entry]:
    """Every table under ``[key.NAME]``, read and frozen, in the order of the file."""
    entries = as_table(data.get(key, {}), f"{source}: {key}")
    read_entries = {
        name: read(as_table(entry, f"{source}: {key}.{name}"), f"{source}: {key}.{name}")
        for name, entry in entries.items()
    }
    return MappingProxyType(read_entries)


def read_event(entry: Mapping[str, Any], where: str) -> PlannedEvent:
    """One event: its role, and perhaps its stage and label."""
    check_keys(entry, _EVENT, where)
    if "role" not in entry:
        raise UsageError(
            f"{where} has no role. Add one of {', '.join(ROLES)}, or remove the table: "
            "an event that is not named is context."
        )
    stage, label = entry.get("stage"), entry.get("label")
    return PlannedEvent(
        one_of(f"{where}.role", entry["role"], ROLES),
        None if stage is None else one_of(f"{where}.stage", stage, STAGES),
        None if label is None else as_text(label, f"{where}.label"),
    )


def read_derived(entry: Mapping[str, Any], where: str) -> Mapping[str, Any]:
    """One event that is made from others: ``after``, ``without``, ``wait`` and a role."""
    check_keys(entry, _DERIVED, where)
    for key in ("after", "without", "wait"):
        if key not in entry:
            raise UsageError(
                f"{where} has no {key}. A derived event is one event `after` which another is "
                "still `without` when the `wait` is over."
            )
        as_text(entry[key], f"{where}.{key}")
    duration_us(entry["wait"], f"{where}.wait")
    read_event({key: entry[key] for key in _EVENT if key in entry}, where)
    return MappingProxyType(dict(entry))


def read_funnel(entry: Mapping[str, Any], where: str) -> PlannedFunnel:
    """One funnel: its steps, and its window (default 7 days)."""
    check_keys(entry, _FUNNEL, where)
    steps = entry.get("steps")
    if not isinstance(steps, list) or not steps:
        raise UsageError(
            f"{where}.steps={steps!r} must be a list of event names, at least one. "
            'Write it as steps = ["view_item", "purchase"].'
        )
    window = as_text(entry.get("window", _DEFAULT_WINDOW), f"{where}.window")
    duration_us(window, f"{where}.window")
    return PlannedFunnel(tuple(as_text(step, f"{where}.steps") for step in steps), window)


def read_segment(entry: Mapping[str, Any], where: str) -> Mapping[str, Any]:
    """One segment: a rule, which is handed on as it was written."""
    check_keys(entry, _SEGMENT, where)
    as_table(entry.get("rule"), f"{where}.rule")
    return MappingProxyType(dict(entry))


def check_keys(entry: Mapping[str, Any], allowed: Iterable[str], where: str) -> None:
    """Refuse a key that the form does not know, and name the nearest one."""
    for key in entry:
        if key not in allowed:
            raise UsageError(
                f"{where}: the key {key!r} is unknown.{did_you_mean(key, allowed)} "
                f"Allowed: {', '.join(allowed)}."
            )


def as_table(value: Any, where: str) -> Mapping[str, Any]:
    """`value` if it is a table of keys and values, else an error."""
    if not isinstance(value, Mapping):
        raise UsageError(f"{where}={value!r} must be a table, with a line per key = value.")
    return value


def as_text(value: Any, where: str) -> str:
    """`value` if it is text and not empty, else an error."""
    if not isinstance(value, str) or not value.strip():
        raise UsageError(f"{where}={value!r} must be text in quotes, and not empty.")
    return value


# ──── catalog


@dataclass(frozen=True, eq=False, kw_only=True)
class Catalog:
    """What the events of a log mean; made by `load` or `from_mapping`.

    Attributes
    ----------
    name : the catalog's name. currency : of every ``value``, such as ``"EUR"``; None if unsaid.
    events : the events that have a role; any other event is context.
    derived : events that are made from others when a question is asked, as plain data: ``after``,
        ``without``, ``wait`` and a role. They are in no log, so the lists by role leave them out.
    funnels : by name, in the order of the file; the first is the default.
    segments : rules about people, as plain data.
    """

    name: str
    currency: str | None
    events: Mapping[str, PlannedEvent]
    derived: Mapping[str, Mapping[str, Any]]
    funnels: Mapping[str, PlannedFunnel]
    segments: Mapping[str, Mapping[str, Any]]

    @classmethod
    def load(cls, path: Path | str) -> Catalog:
        """The catalog in a TOML file.

        Raises
        ------
        UsageError
            If there is no such file, it is no TOML, or a name or value in it is not allowed.

        Examples
        --------
        >>> catalog = Catalog.load("data/catalogs/ecommerce.toml")
        >>> catalog.macro, catalog.label("view_item"), catalog.window("checkout")
        ('purchase', 'Viewed a product', '7d')
        """
        path = Path(path)
        try:
            text = path.read_text("utf-8")
        except OSError as error:
            raise UsageError(
                f"catalog: cannot read {str(path)!r}: {error.strerror}.{_siblings(path)} "
                "Give the path of a TOML file such as data/catalogs/ecommerce.toml."
            ) from error
        except UnicodeDecodeError as error:
            raise UsageError(
                f"catalog: {path.name} is not UTF-8 text. Save it as UTF-8 and try again."
            ) from error
        try:
            data = tomllib.loads(text)
        except tomllib.TOMLDecodeError as error:
            raise UsageError(
                f"catalog: {path.name} is no TOML: {error}. Mend that line."
            ) from error
        return cls.from_mapping(data, source=path.name)

    @classmethod
    def from_mapping(cls, data: Mapping[str, Any], *, source: str = "catalog") -> Catalog:
        """The catalog that is written as plain data, in the form of the TOML file.

        Parameters
        ----------
        source : what error messages call it.

        Raises
        ------
        UsageError
            If a name or value in it is not allowed, or no event is the macro conversion.

        Examples
        --------
        >>> written = {"name": "blog", "events": {"donate": {"role": "macro"}}}
        >>> catalog = Catalog.from_mapping(written)
        >>> catalog.macro, catalog.label("read_to_end")
        ('donate', 'Read to end')
        """
        check_keys(data, TOP_KEYS, source)
        if "name" not in data:
            raise UsageError(f'{source}: name is missing. Add a line such as name = "ecommerce".')
        currency = data.get("currency")
        catalog = cls(
            name=as_text(data["name"], f"{source}: name"),
            currency=None if currency is None else as_text(currency, f"{source}: currency"),
            events=read_each(data, "events", read_event, source),
            derived=read_each(data, "derived", read_derived, source),
            funnels=read_each(data, "funnels", read_funnel, source),
            segments=read_each(data, "segments", read_segment, source),
        )
        _check_whole(catalog, source)
        return catalog

    # ── events by role ──────────────────────────────────────────────────────────────────────

    def with_role(self, role: str) -> tuple[str, ...]:
        """Names of the events that have a role, in the order of the file."""
        one_of("catalog: role", role, ROLES)
        return tuple(name for name, event in self.events.items() if event.role == role)

    @property
    def macro(self) -> str:
        """The event that pays; the first one where the file names several."""
        return self.with_role("macro")[0]

    @property
    def milestones(self) -> tuple[str, ...]:
        """The steps on the way to the macro conversion."""
        return self.with_role("milestone")

    @property
    def secondary(self) -> tuple[str, ...]:
        """Small actions that are not on the way to the macro conversion."""
        return self.with_role("secondary")

    @property
    def adverse(self) -> tuple[str, ...]:
        """Events that nobody wants more of; those in `derived` are not among them."""
        return self.with_role("adverse")

    @property
    def controls(self) -> tuple[str, ...]:
        """Negative controls: events that cannot cause the macro conversion."""
        return self.with_role("control")

    def label(self, event: str) -> str:
        """What people call an event: its label, or its name made readable."""
        label = self.events[event].label if event in self.events else None
        label = label or self.derived.get(event, {}).get("label")
        return label or wording.label(event)

    # ── funnels ─────────────────────────────────────────────────────────────────────────────

    @property
    def default_funnel(self) -> str:
        """The name of the file's first funnel.

        Raises
        ------
        UsageError
            If the catalog has no funnel.
        """
        if not self.funnels:
            raise UsageError(
                f"catalog {self.name!r} has no funnel. Add a table [funnels.NAME] with steps."
            )
        return next(iter(self.funnels))

    def step(self, event: str) -> dict[str, str]:
        """One event as a step that `funnel` takes, with its label.

        Examples
        --------
        >>> Catalog.load("data/catalogs/ecommerce.toml").step("view_item")
        {'event': 'view_item', 'label': 'Viewed a product'}
        """
        return {"event": event, "label": self.label(event)}

    def steps(self, funnel: str) -> list[dict[str, str]]:
        """The steps of a funnel as `funnel` takes them, each with its label.

        Raises
        ------
        UsageError
            If the catalog has no such funnel.
        """
        return [self.step(event) for event in self._funnel(funnel).steps]

    def window(self, funnel: str) -> str:
        """The window of a funnel, such as ``"7d"``."""
        return self._funnel(funnel).window

    def _funnel(self, name: str) -> PlannedFunnel:
        return self.funnels[one_of(f"catalog {self.name!r}: funnel", name, self.funnels)]


def _check_whole(catalog: Catalog, source: str) -> None:
    if not catalog.with_role("macro"):
        raise UsageError(
            f"{source}: no event has the role 'macro'. Say what pays: "
            '[events.purchase] with role = "macro".'
        )
    for name in catalog.derived:
        if name in catalog.events:
            raise UsageError(
                f"{source}: {name!r} stands under events and under derived. Rename the derived one."
            )


def _siblings(path: Path) -> str:
    if not path.parent.is_dir():
        return ""
    return did_you_mean(path.name, sorted(file.name for file in path.parent.glob("*.toml")))
