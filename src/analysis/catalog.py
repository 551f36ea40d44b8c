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
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Annotated, Any, Final, Literal, Protocol, TypeAlias, TypeVar, get_args

from analysis.core import checks, wording
from analysis.core.checks import Checked, Duration, Table, Text
from analysis.core.schema import UsageError, WorkbookError, did_you_mean, one_of

Role: TypeAlias = Literal["macro", "milestone", "secondary", "adverse", "control"]
Stage: TypeAlias = Literal["awareness", "interest", "consideration", "decision", "loyalty"]

Value = TypeVar("Value")

ROLES: Final[tuple[str, ...]] = get_args(Role)
STAGES: Final[tuple[str, ...]] = get_args(Stage)

_DERIVED_FORM: Final = {
    "missing": "A derived event is one event `after` which another is still `without` when the "
    "`wait` is over."
}


@dataclass(frozen=True)
class PlannedEvent(Table):
    """What one event means; `stage` and `label` are None where the file does not say."""

    role: Role = field(
        metadata={
            "missing": f"Add one of {', '.join(ROLES)}, or remove the table: an event that is not "
            "named is context."
        }
    )
    stage: Stage | None = None
    label: Text | None = None


@dataclass(frozen=True, kw_only=True)
class PlannedDerived(PlannedEvent):
    """An event that is made from others: one event `after` which another is still missing."""

    after: Text = field(metadata=_DERIVED_FORM)
    without: Text = field(metadata=_DERIVED_FORM)
    wait: Duration = field(metadata=_DERIVED_FORM)


@dataclass(frozen=True)
class PlannedFunnel(Table):
    """A funnel by name: event names in order, and a duration such as ``"7d"``."""

    steps: Annotated[tuple[str, ...], Checked(_step_names)]
    window: Duration = "7d"


@dataclass(frozen=True)
class PlannedSegment(Table):
    """A rule about people, which `analysis.segments` reads."""

    rule: Mapping[str, Any] = field(
        metadata={"missing": 'Write one, such as rule = {did = "purchase"}.'}
    )
    label: Text | None = None


@dataclass(frozen=True)
class CatalogFile(Table):
    """The form of a catalog file."""

    name: Text = field(metadata={"missing": 'Add a line such as name = "ecommerce".'})
    currency: Text | None = None
    events: Mapping[str, PlannedEvent] = field(default_factory=dict)
    derived: Mapping[str, PlannedDerived] = field(default_factory=dict)
    funnels: Mapping[str, PlannedFunnel] = field(default_factory=dict)
    segments: Mapping[str, PlannedSegment] = field(default_factory=dict)


def _step_names(what: str, given: Any) -> tuple[str, ...]:
    if not isinstance(given, list) or not given:
        raise UsageError(
            f"{what}={given!r} must be a list of event names, at least one. "
            'Write it as steps = ["view_item", "purchase"].'
        )
    return tuple(checks.text(f"{what}[{place}]", step) for place, step in enumerate(given))


class ReadOnly(Mapping[str, Value]):
    """A dict that nobody changes; unlike a mapping proxy it can be pickled and copied."""

    __slots__ = ("_items",)

    def __init__(self, items: Mapping[str, Value]) -> None:
        self._items = dict(items)

    def __getitem__(self, name: str) -> Value:
        return self._items[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._items)

    def __len__(self) -> int:
        return len(self._items)

    def __repr__(self) -> str:
        return repr(self._items)


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
        written = checks.definition(CatalogFile, data, source)
        catalog = cls(
            name=written.name,
            currency=written.currency,
            events=ReadOnly(written.events),
            derived=_as_written(data, "derived"),
            funnels=ReadOnly(written.funnels),
            segments=_as_written(data, "segments"),
        )
        if not catalog.with_role("macro"):
            raise UsageError(
                f"{source}: no event has the role 'macro'. Say what pays: "
                '[events.purchase] with role = "macro".'
            )
        for name in catalog.derived:
            if name in catalog.events:
                raise UsageError(
                    f"{source}: {name!r} stands under events and under derived. "
                    "Rename the derived one."
                )
        return catalog

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
        return wording.isolate(label) if label else wording.label(event)

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

    def fit(self, log: Log) -> Fit:
        """The catalog as far as it fits a log, with a sentence for all that does not.

        Funnels with an event that the log does not have are left out. Where none is left, one
        stands in for them, so that every question has something to ask: the other steps of the
        first funnel, or the events that most people did. Where the log has no macro conversion of
        the catalog, the last step of that funnel stands in.

        Examples
        --------
        >>> import pandas as pd
        >>> from analysis.eventlog.log import EventLog
        >>> rows = [("ann", "visit"), ("ann", "pay"), ("bob", "visit")]
        >>> log = EventLog.from_frame(pd.DataFrame(rows, columns=["user", "event"]).assign(
        ...     time=pd.to_datetime(["2026-01-01"] * 3)))
        >>> fitted = Catalog.load("data/catalogs/saas.toml").fit(log)
        >>> [step["event"] for step in fitted.catalog.steps(fitted.catalog.default_funnel)]
        ['visit', 'pay']
        """
        return _fitted(self, log)

    def _funnel(self, name: str) -> PlannedFunnel:
        return self.funnels[one_of(f"catalog {self.name!r}: funnel", name, self.funnels)]


# ── What of a catalog fits a log ─────────────────────────────────────────────────────────────────


class Log(checks.Named, Protocol):
    """What has to be known of a log: its events, its properties, how many did what, and when."""

    @property
    def start(self) -> Any:
        """The instant of the first event."""

    @property
    def covers_until(self) -> Any:
        """The instant up to which the log is complete."""

    def summary(self) -> Any:
        """How often each event happened, and by how many."""


@dataclass(frozen=True)
class Fit:
    """A catalog as far as it fits a log; what else does not fit adds its sentence to `notes`.

    Attributes
    ----------
    catalog : with funnels that can be asked of the log. notes : what was left out, and why.
    """

    catalog: Catalog
    log: Log
    notes: list[str]

    def funnel(self, name: str) -> str:
        """The funnel of that name, or the first one that fits."""
        return name if name in self.catalog.funnels else self.catalog.default_funnel

    def steps(self, steps: list[Any]) -> list[Any]:
        """The steps with events that the log has; those of the default funnel where none is."""
        kept = [step for step in steps if not self._missing(step)]
        if len(kept) == len(steps):
            return [self.catalog.step(s) if isinstance(s, str) else s for s in kept]
        if len(kept) > 1:
            gone = [name for step in steps for name in self._missing(step)]
            self.notes.append(f"Left out of the steps: {_not_there(gone)}.")
            return [self.catalog.step(s) if isinstance(s, str) else s for s in kept]
        gone = [name for step in steps for name in self._missing(step)]
        self.notes.append(f"The steps do not fit this log: {_not_there(gone)}.")
        return self.catalog.steps(self.catalog.default_funnel)

    def _missing(self, step: Any) -> list[str]:
        events = step if isinstance(step, str) else step.get("event", step.get("events", []))
        names = [events] if isinstance(events, str) else list(events)
        known = self.log.event_names
        missing = [name for name in names if name not in known and name != "*"]
        return missing if len(missing) == len(names) else []

    def event(self, name: str, otherwise: str = "") -> str:
        """The event, or the other one where the log does not have it."""
        if not name or name in self.log.event_names:
            return name
        self.notes.append(f"{_not_there([name])}: left out.")
        return otherwise

    def properties(self, names: str | list[str], *, also: Iterable[str] = ()) -> Any:
        """The properties that the log has: of one name that or ``""``, of a list a list.

        `also` are words that stand for something else, such as ``"week"``.
        """
        several = [names] if isinstance(names, str) else names
        known = {"", *self.log.kinds, *also}
        kept = [name for name in several if name in known]
        gone = [name for name in several if name not in known]
        if gone:
            are = "are not properties" if len(gone) > 1 else "is not a property"
            words = wording.listed(list(map(repr, gone)))
            self.notes.append(f"{words} {are} of this log: left out.")
        return kept if not isinstance(names, str) else "".join(kept)

    def moment(self, at: Any) -> Any:
        """The instant, or the middle of the log where the log does not hold it."""
        start, until = self.log.start, self.log.covers_until
        if start < at < until:
            return at
        middle = start + (until - start) / 2
        self.notes.append(
            f"The log does not hold {wording.day(at, year=True)}. Asked as of "
            f"{wording.day(middle, year=True)}, its middle."
        )
        return middle

    def segments(self, make: Callable[..., Any], **options: Any) -> dict[str, Any]:
        """The segments that fit, as `make` makes them of the log; else of two of its events."""
        options |= {"catalog": self.catalog}
        found = {}
        for name in self.catalog.segments:
            segment = self.ask(make, self.log, name, what=f"Segment {name!r} left out", **options)
            if segment is not None:
                found[name] = segment
        common = self.log.summary().sort_values(["users", "event"])["event"].iloc[[0, -1]]
        rules = {} if found else {f"did {name}": {"did": name} for name in common}
        if rules:
            self.notes.append(f"No segment of the catalog fits. In its place: {', '.join(rules)}.")
        return found | {
            name: make(self.log, rule, name=name, **options) for name, rule in rules.items()
        }

    def ask(
        self, question: Callable[..., Any], *arguments: Any, what: str = "", **named: Any
    ) -> Any:
        """The answer to a question, or None and a sentence where it cannot be asked of the log."""
        try:
            return question(*arguments, **named)
        except WorkbookError as error:
            self.notes.append(f"{what or 'An answer is left out'}: {error}")
            return None


_STAND_IN = "most_common"
_MOST_STEPS = 4


def _fitted(catalog: Catalog, log: Log) -> Fit:
    known, notes = log.event_names, []
    table = log.summary().sort_values(["users", "events", "event"], ascending=[False, False, True])
    common = [str(name) for name in table["event"]]
    funnels = {}
    for name, planned in catalog.funnels.items():
        gone = [step for step in planned.steps if step not in known]
        if gone:
            notes.append(f"The funnel {name!r} of the catalog is left out: {_not_there(gone)}.")
        else:
            funnels[name] = planned
    macros = [name for name in catalog.with_role("macro") if name in known]
    window = next((planned.window for planned in catalog.funnels.values()), PlannedFunnel.window)
    if not funnels and common:
        first = next(iter(catalog.funnels.values()), None)
        steps = [step for step in first.steps if step in known] if first else []
        if len(steps) < 2 or (macros and steps[-1] not in macros):
            others = [name for name in common if name not in macros]
            steps = [*others[: _MOST_STEPS - len(macros[:1])], *macros[:1]]
        funnels[_STAND_IN] = PlannedFunnel(tuple(steps), window)
        shown = wording.listed([catalog.label(step) for step in steps])
        notes.append(f"No funnel of the catalog fits this log. In its place: {shown}.")
    events = {**catalog.events}
    if not macros and common:
        (macro,) = next(iter(funnels.values())).steps[-1:]
        gone = list(catalog.with_role("macro"))
        notes.append(
            f"{_not_there(gone)}, and the catalog knows no other macro conversion. In its place: "
            f"{catalog.label(macro)}. Say in a catalog of your own what pays."
        )
        events = {name: event for name, event in events.items() if event.role != "macro"}
        events = {macro: PlannedEvent("macro"), **{n: e for n, e in events.items() if n != macro}}
        if not (set(events) - {macro}) & set(known):
            small = PlannedEvent("secondary")
            micros = {name: small for name in common if name != macro}
            events = {macro: PlannedEvent("macro"), **micros}
    elif macros:
        unseen = set(catalog.with_role("macro")) - set(macros)
        events = {name: event for name, event in events.items() if name not in unseen}
    return Fit(replace(catalog, events=events, funnels=funnels), log, notes)


def _not_there(names: list[str]) -> str:
    names = list(dict.fromkeys(names))
    are = "are not events" if len(names) > 1 else "is not an event"
    return f"{wording.listed(list(map(repr, names)))} {are} of this log"


def _as_written(data: Mapping[str, Any], key: str) -> Mapping[str, Mapping[str, Any]]:
    """The tables under a key, read-only; the model has checked them."""
    tables = data.get(key, {})
    return ReadOnly({name: ReadOnly(tables[name]) for name in tables})


def _siblings(path: Path) -> str:
    if not path.parent.is_dir():
        return ""
    return did_you_mean(path.name, sorted(file.name for file in path.parent.glob("*.toml")))
