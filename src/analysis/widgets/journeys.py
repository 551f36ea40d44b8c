"""What do people do after what, and at which field of a form do they stop? A panel per question.

Five panels over the five functions of `journeys`, and one over `form_fields`, all made by
`_journey_panel` from a list of controls. Each holds the arguments of its function and shows what
that answers; none computes anything.

Saving one of them writes a report of notebook 05 in which that answer leads and is asked as it was
seen. The other answers of the report keep what the notebook says.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from types import MappingProxyType
from typing import Any, Final

import ipywidgets

from analysis import journeys
from analysis.catalog import Catalog
from analysis.core.result import Result
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
    event_labels,
    whole_number,
)
from analysis.widgets.panel import ONE_FIGURE, Figures, QuestionPanel, SaveTo, draft_of

WITHIN: Final[tuple[Choice, ...]] = (("Sessions", SESSION), ("Users", USER))

COLLAPSE: Final[tuple[Choice, ...]] = (("as one", True), ("as they are", False))

FROM_FIRST: Final[Choice] = ("(the first event)", "")

ANY_EVENT: Final[Choice] = ("(any event)", "")

NO_EVENT: Final[Choice] = ("(none)", "")

BEGUN: Final = ("Begun from", "Begun before")


def _journey_panel(
    lead: str,
    ask: Callable[..., Result],
    controls: Mapping[str, ipywidgets.Widget],
    fixed: Mapping[str, Any],
    *,
    title: Callable[[Mapping[str, Any]], str],
    names: Mapping[str, str] = MappingProxyType({}),
    figures: Figures = ONE_FIGURE,
    save: SaveTo | None,
) -> QuestionPanel:
    """The panel of one answer of notebook 05.

    Parameters
    ----------
    lead : what the notebook calls the answer; the panel is named after it.
    ask, controls, fixed, figures, save : as of `QuestionPanel`.
    title, names : of the saved report, as of `draft_of`.
    """
    draft = draft_of(title, lead=lead, names=names)
    return QuestionPanel(
        f"{lead}_panel", ask, controls, fixed, draft=draft, figures=figures, save=save
    )


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
    """What do people do right after each event, within sessions or users, among which events?

    Parameters
    ----------
    log : the events.
    within, top, gaps, entered, min_cell : as of `transitions`; where the panel starts.
    save : where "Save as report" writes; without it the panel has no such form.

    Raises
    ------
    UsageError
        If the entry range is not of whole days. The panel says in words what else `transitions`
        refuses.

    Examples
    --------
    >>> from analysis.simulation.log import simulate
    >>> transitions_panel(simulate(users=300).log, within="user")
    transitions_panel(within='user', top=30, entered=None, gaps=True, min_cell=5)
    """
    return _journey_panel(
        "transitions",
        partial(journeys.transitions, log),
        {
            "within": dropdown("Within", WITHIN, within),
            "top": whole_number("Events", top),
            "entered": EntryRange(entered, BEGUN),
        },
        {"gaps": gaps, "min_cell": min_cell},
        title=lambda asked: f"What follows what within {asked['within']}s",
        figures=_figures("Largest flows"),
        save=save,
    )


def steps_panel(  # noqa: PLR0913
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
    """Where are people step by step, from which event on or back from which one?

    Parameters
    ----------
    log : the events.
    catalog : what events are called.
    start, to, steps, within, top, entered, min_cell : as of `step_matrix`; where the panel starts.
    save : where "Save as report" writes; without it the panel has no such form.

    Raises
    ------
    UsageError
        If the entry range is not of whole days. The panel says in words what else `step_matrix`
        refuses.

    Examples
    --------
    >>> from analysis.simulation.log import simulate
    >>> steps_panel(simulate(users=300).log, to="purchase", steps=4)
    steps_panel(start=None, to='purchase', steps=4, within='session', top=30, entered=None, \
min_cell=5)
    """
    labels = event_labels(log, catalog)
    return _journey_panel(
        "steps",
        partial(journeys.step_matrix, log),
        {
            "start": _event_dropdown("From", FROM_FIRST, log, labels, start),
            "to": _event_dropdown("Back from", NO_EVENT, log, labels, to),
            "steps": whole_number("Steps", steps),
            "within": dropdown("Within", WITHIN, within),
            "top": whole_number("Events", top),
            "entered": EntryRange(entered, BEGUN),
        },
        {"min_cell": min_cell},
        title=partial(_from_to, "Step by step", labels),
        save=save,
    )


def paths_panel(  # noqa: PLR0913
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
    """Which ways lead to an event or from one, and how do they change with the two and the length?

    Parameters
    ----------
    log : the events.
    catalog : what events are called.
    to, start, length, collapse, top, within, entered, min_cell : as of `paths`; where the panel
        starts.
    save : where "Save as report" writes; without it the panel has no such form.

    Raises
    ------
    UsageError
        If the entry range is not of whole days. The panel says in words what else `paths` refuses.

    Examples
    --------
    >>> from analysis.simulation.log import simulate
    >>> paths_panel(simulate(users=300).log, to="add_to_cart", length=3)
    paths_panel(to='add_to_cart', start=None, length=3, collapse=True, within='session', \
entered=None, top=20, min_cell=5)
    """
    labels = event_labels(log, catalog)
    return _journey_panel(
        "paths",
        partial(journeys.paths, log),
        {
            "to": _event_dropdown("To", NO_EVENT, log, labels, to),
            "start": _event_dropdown("From", FROM_FIRST, log, labels, start),
            "length": whole_number("Length", length),
            "collapse": dropdown("Repeats", COLLAPSE, collapse),
            "within": dropdown("Within", WITHIN, within),
            "entered": EntryRange(entered, BEGUN),
        },
        {"top": top, "min_cell": min_cell},
        title=partial(_from_to, "Ways", labels),
        names={"top": "most_paths"},
        save=save,
    )


def order_panel(  # noqa: PLR0913
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
    """Which of two events comes first, within users or sessions, among which events?

    Parameters
    ----------
    log : the events.
    catalog : what events are called.
    about, within, top, most_false, entered, min_cell : as of `event_order`; where the panel starts.
    save : where "Save as report" writes; without it the panel has no such form.

    Raises
    ------
    UsageError
        If the entry range is not of whole days. The panel says in words what else `event_order`
        refuses.

    Examples
    --------
    >>> from analysis.simulation.log import simulate
    >>> order_panel(simulate(users=300).log, top=8)
    order_panel(about=None, within='user', top=8, most_false=0.05, entered=None, \
min_cell=5)
    """
    return _journey_panel(
        "order",
        partial(journeys.event_order, log),
        {
            "about": _event_dropdown(
                "Pairs with", ANY_EVENT, log, event_labels(log, catalog), about
            ),
            "within": dropdown("Within", WITHIN, within),
            "top": whole_number("Events", top),
            "most_false": dropdown("False alarms", FALSE_ALARMS, most_false),
            "entered": EntryRange(entered, BEGUN),
        },
        {"min_cell": min_cell},
        title=lambda _: "Which event comes first",
        names={"within": "order_within"},
        figures=_figures("Clearest orders"),
        save=save,
    )


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
    """How far is each micro conversion from the macro, within users or sessions, and what is near?

    Parameters
    ----------
    log : the events.
    catalog : says which event is the macro and which events have a role.
    within, near, entered, min_cell : as of `distance_to_macro`; where the panel starts.
    save : where "Save as report" writes; without it the panel has no such form.

    Raises
    ------
    UsageError
        If the entry range is not of whole days. The panel says in words what else
        `distance_to_macro` refuses.

    Examples
    --------
    >>> from analysis.simulation.log import simulate
    >>> shop = Catalog.load("data/catalogs/ecommerce.toml")
    >>> distance_panel(simulate(users=300).log, shop, near=5)
    distance_panel(within='user', near=5, entered=None, min_cell=5)
    """
    return _journey_panel(
        "distance",
        partial(journeys.distance_to_macro, log, catalog),
        {
            "within": dropdown("Within", WITHIN, within),
            "near": whole_number("Near: steps", near),
            "entered": EntryRange(entered, BEGUN),
        },
        {"min_cell": min_cell},
        title=lambda _: f"How far from {catalog.label(catalog.macro)}",
        names={"within": "order_within"},
        save=save,
    )


def form_panel(  # noqa: PLR0913
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
    log : the events.
    catalog : what events are called.
    form, events, form_property, field_property, macro, within, entered, min_cell : as of
        `form_fields`; where the panel starts. All forms that the log knows are choices.
    save : where "Save as report" writes; without it the panel has no such form.

    Raises
    ------
    UsageError
        If the entry range is not of whole days. The panel says in words what else `form_fields`
        refuses.

    Examples
    --------
    >>> from analysis.simulation.log import simulate
    >>> form_panel(simulate(users=300).log, "contact", macro="purchase")
    form_panel(form='contact', macro='purchase', within='session', entered=None, \
form_property='form', field_property='field', min_cell=5)
    """
    forms = [(name, name) for name in form_names(log, form_property)]
    return _journey_panel(
        "form",
        partial(form_fields, log, events=events),
        {
            "form": dropdown("Form", forms, form),
            "macro": _event_dropdown("Macro", NO_EVENT, log, event_labels(log, catalog), macro),
            "within": dropdown("Attempts", WITHIN, within),
            "entered": EntryRange(entered, BEGUN),
        },
        {"form_property": form_property, "field_property": field_property, "min_cell": min_cell},
        title=lambda asked: f"Where people stop in the form {asked['form']}",
        names={"macro": "form_macro"},
        save=save,
    )


def _event_dropdown(
    description: str, none: Choice, log: EventLog, labels: Mapping[str, str], given: str | None
) -> ipywidgets.Dropdown:
    """One event of the log, or the choice of none."""
    choices = [none, *event_choices(list(log.event_names), labels)]
    return dropdown(description, choices, given or "")


def _figures(first: str) -> Figures:
    return {first: lambda result: result.figure(), "Every pair": lambda result: result.heat_map()}


def _from_to(what: str, labels: Mapping[str, str], asked: Mapping[str, Any]) -> str:
    """A title such as 'Ways from X to Y'."""
    start, to = (labels.get(asked[name], asked[name]) for name in ("start", "to"))
    return f"{what} from {start or 'the first event'}" + (f" to {to}" if to else "")
