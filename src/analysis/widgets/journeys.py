"""Panels over the journeys: one for each question, with the arguments of its function.

Five functions, five panels, made of the same parts (see `panel`). What is saved from one of
them is a report of notebook 05 in which that answer is asked as it was seen; the other answers of
the report keep what the notebook says.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Any, Final

from analysis import journeys
from analysis.catalog import Catalog
from analysis.core.schema import SESSION, USER
from analysis.eventlog.log import EventLog
from analysis.forms.result import EVENTS, form_fields, form_names
from analysis.journeys.sequences import Entered
from analysis.widgets.controls import (
    FALSE_ALARMS,
    Choice,
    EntryRange,
    dropdown,
    event_choices,
    whole_number,
)
from analysis.widgets.panel import QuestionPanel, SaveTo, draft_of

# ──── widgets.journeys


WITHIN: Final[tuple[Choice, ...]] = (("Sessions", SESSION), ("Users", USER))


YES: Final[tuple[Choice, ...]] = (("as one", True), ("as they are", False))


FIRST: Final[Choice] = ("(the first event)", "")


BEGUN: Final = ("Begun from", "Begun before")


ANY: Final[Choice] = ("(any event)", "")


NOWHERE: Final[Choice] = ("(none)", "")


def transitions_panel(
    log: EventLog,
    *,
    within: str = SESSION,
    top: int = 30,
    gaps: bool = True,
    entered: Entered = None,
    min_cell: int = 5,
    save: SaveTo | None = None,
) -> QuestionPanel:
    """What do people do right after each event: how does it change with the line and the events?

    Parameters
    ----------
    within, top, gaps, entered, min_cell : as of `transitions`; where the panel starts.
    save : where "Save as report" writes; without it the panel has no such form.

    Examples
    --------
    >>> from analysis.simulation.log import simulate
    >>> transitions_panel(simulate(users=300).log, within="user")
    transitions_panel(within='user', top=30, entered=None, gaps=True, min_cell=5)
    """
    controls = {
        "within": dropdown("Within", WITHIN, within),
        "top": whole_number("Events", top),
        "entered": EntryRange(entered, BEGUN),
    }
    shown = {"Largest flows": lambda own: own.figure(), "Every pair": lambda own: own.heat_map()}
    fixed = {"gaps": gaps, "min_cell": min_cell}
    draft = draft_of(
        lambda asked: f"What follows what within {asked['within']}s", lead="transitions"
    )
    ask = partial(journeys.transitions, log)
    return QuestionPanel(
        "transitions_panel", ask, controls, fixed, figures=shown, draft=draft, save=save
    )


def steps_panel(
    log: EventLog,
    *,
    catalog: Catalog | None = None,
    start: str | None = None,
    to: str | None = None,
    steps: int = 10,
    within: str = SESSION,
    top: int = 30,
    entered: Entered = None,
    min_cell: int = 5,
    save: SaveTo | None = None,
) -> QuestionPanel:
    """Where are people step by step: how does it change with another start, end, or line?

    Parameters
    ----------
    catalog : what events are called.
    start, to, steps, within, top, entered, min_cell : as of `step_matrix`; where the panel starts.
    save : where "Save as report" writes; without it the panel has no such form.

    Examples
    --------
    >>> from analysis.simulation.log import simulate
    >>> steps_panel(simulate(users=300).log, to="purchase", steps=4)
    steps_panel(start=None, to='purchase', steps=4, within='session', top=30, entered=None, \
min_cell=5)
    """
    events = _events(log, catalog)
    controls = {
        "start": dropdown("From", [FIRST, *events], start or ""),
        "to": dropdown("Back from", [NOWHERE, *events], to or ""),
        "steps": whole_number("Steps", steps),
        "within": dropdown("Within", WITHIN, within),
        "top": whole_number("Events", top),
        "entered": EntryRange(entered, BEGUN),
    }
    draft = draft_of(partial(_ways, "Step by step", _called(log, catalog)), lead="steps")
    ask, fixed = partial(journeys.step_matrix, log), {"min_cell": min_cell}
    return QuestionPanel("steps_panel", ask, controls, fixed, draft=draft, save=save)


def paths_panel(
    log: EventLog,
    *,
    catalog: Catalog | None = None,
    to: str | None = None,
    start: str | None = None,
    length: int = 5,
    collapse: bool = True,
    top: int = 20,
    within: str = SESSION,
    entered: Entered = None,
    min_cell: int = 5,
    save: SaveTo | None = None,
) -> QuestionPanel:
    """Which ways lead from an event or to one: how do they change with the events and the length?

    Parameters
    ----------
    catalog : what events are called.
    to, start, length, collapse, top, within, entered, min_cell : as of `paths`; where the panel
        starts.
    save : where "Save as report" writes; without it the panel has no such form.

    Examples
    --------
    >>> from analysis.simulation.log import simulate
    >>> paths_panel(simulate(users=300).log, to="add_to_cart", length=3)
    paths_panel(to='add_to_cart', start=None, length=3, collapse=True, within='session', \
entered=None, top=20, min_cell=5)
    """
    events = _events(log, catalog)
    controls = {
        "to": dropdown("To", [NOWHERE, *events], to or ""),
        "start": dropdown("From", [FIRST, *events], start or ""),
        "length": whole_number("Length", length),
        "collapse": dropdown("Repeats", YES, collapse),
        "within": dropdown("Within", WITHIN, within),
        "entered": EntryRange(entered, BEGUN),
    }
    draft = draft_of(
        partial(_ways, "Ways", _called(log, catalog)), lead="paths", names={"top": "most_paths"}
    )
    ask, fixed = partial(journeys.paths, log), {"top": top, "min_cell": min_cell}
    return QuestionPanel("paths_panel", ask, controls, fixed, draft=draft, save=save)


def order_panel(
    log: EventLog,
    *,
    catalog: Catalog | None = None,
    about: str | None = None,
    within: str = USER,
    top: int = 30,
    most_false: float = 0.05,
    entered: Entered = None,
    min_cell: int = 5,
    save: SaveTo | None = None,
) -> QuestionPanel:
    """Which of two events comes first: how does it change with the line and the events?

    Parameters
    ----------
    catalog : what events are called.
    about, within, top, most_false, entered, min_cell : as of `event_order`; where the panel starts.
    save : where "Save as report" writes; without it the panel has no such form.

    Examples
    --------
    >>> from analysis.simulation.log import simulate
    >>> order_panel(simulate(users=300).log, top=8)
    order_panel(about=None, within='user', top=8, most_false=0.05, entered=None, \
min_cell=5)
    """
    controls = {
        "about": dropdown("Pairs with", [ANY, *_events(log, catalog)], about or ""),
        "within": dropdown("Within", WITHIN, within),
        "top": whole_number("Events", top),
        "most_false": dropdown("False alarms", FALSE_ALARMS, most_false),
        "entered": EntryRange(entered, BEGUN),
    }
    draft = draft_of(
        lambda _: "Which event comes first", lead="order", names={"within": "order_within"}
    )
    ask, fixed = partial(journeys.event_order, log), {"min_cell": min_cell}
    shown = {"Clearest orders": lambda own: own.figure(), "Every pair": lambda own: own.heat_map()}
    return QuestionPanel("order_panel", ask, controls, fixed, figures=shown, draft=draft, save=save)


def distance_panel(
    log: EventLog,
    catalog: Catalog,
    *,
    within: str = USER,
    near: int = 10,
    entered: Entered = None,
    min_cell: int = 5,
    save: SaveTo | None = None,
) -> QuestionPanel:
    """How far is each micro conversion from the macro: how does it change with line and nearness?

    Parameters
    ----------
    catalog : says which event is the macro and which events have a role.
    within, near, entered, min_cell : as of `distance_to_macro`; where the panel starts.
    save : where "Save as report" writes; without it the panel has no such form.

    Examples
    --------
    >>> from analysis.simulation.log import simulate
    >>> shop = Catalog.load("data/catalogs/ecommerce.toml")
    >>> distance_panel(simulate(users=300).log, shop, near=5)
    distance_panel(within='user', near=5, entered=None, min_cell=5)
    """
    controls = {
        "within": dropdown("Within", WITHIN, within),
        "near": whole_number("Near: steps", near),
        "entered": EntryRange(entered, BEGUN),
    }
    said = f"How far from {catalog.label(catalog.macro)}"
    draft = draft_of(lambda _: said, lead="distance", names={"within": "order_within"})
    ask, fixed = partial(journeys.distance_to_macro, log, catalog), {"min_cell": min_cell}
    return QuestionPanel("distance_panel", ask, controls, fixed, draft=draft, save=save)


def _called(log: EventLog, catalog: Catalog | None) -> dict[str, str]:
    return {} if catalog is None else {name: catalog.label(name) for name in log.event_names}


def _events(log: EventLog, catalog: Catalog | None) -> list[Choice]:
    return event_choices(list(log.event_names), _called(log, catalog))


def _ways(what: str, called: Mapping[str, str], asked: Mapping[str, Any]) -> str:
    """A title such as 'Ways from X to Y'."""
    start, to = (called.get(asked[name], asked[name]) for name in ("start", "to"))
    return f"{what} from {start or 'the first event'}" + (f" to {to}" if to else "")


# ──── widgets.forms
#
# A panel over `form_fields`: which form, within what, and the macro beside it.


def form_panel(
    log: EventLog,
    form: str,
    *,
    catalog: Catalog | None = None,
    events: Mapping[str, str] = EVENTS,
    form_property: str = "form",
    field_property: str = "field",
    macro: str | None = None,
    within: str = SESSION,
    entered: Entered = None,
    min_cell: int = 5,
    save: SaveTo | None = None,
) -> QuestionPanel:
    """At which field do people stop: how does it change with the form and what an attempt is?

    Parameters
    ----------
    catalog : what events are called.
    form, events, form_property, field_property, macro, within, entered, min_cell : as of
        `form_fields`; where the panel starts. All forms that the log knows are choices.
    save : where "Save as report" writes; without it the panel has no such form.

    Examples
    --------
    >>> from analysis.simulation.log import simulate
    >>> form_panel(simulate(users=300).log, "contact", macro="purchase")
    form_panel(form='contact', macro='purchase', within='session', entered=None, \
form_property='form', field_property='field', min_cell=5)
    """
    called = {} if catalog is None else {name: catalog.label(name) for name in log.event_names}
    choices = [NOWHERE, *event_choices(list(log.event_names), called)]
    known = [(name, name) for name in form_names(log, form_property)]
    controls = {
        "form": dropdown("Form", known, form),
        "macro": dropdown("Macro", choices, macro or ""),
        "within": dropdown("Attempts", WITHIN, within),
        "entered": EntryRange(entered, BEGUN),
    }
    fixed = {
        "form_property": form_property,
        "field_property": field_property,
        "min_cell": min_cell,
    }
    draft = draft_of(
        lambda asked: f"Where people stop in the form {asked['form']}",
        lead="form",
        names={"macro": "form_macro"},
    )
    ask = partial(form_fields, log, events=events)
    return QuestionPanel("form_panel", ask, controls, fixed, draft=draft, save=save)
