"""A panel over `form_fields`: which form, within what, and the macro beside it."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial

from analysis.catalog import Catalog
from analysis.core.schema import SESSION
from analysis.eventlog.log import EventLog
from analysis.forms.form_rows import EVENTS, form_names
from analysis.forms.result import form_fields
from analysis.journeys.sequences import Entered
from analysis.widgets.choices import event_choices
from analysis.widgets.controls import dropdown
from analysis.widgets.entry_range import EntryRange
from analysis.widgets.journeys import BEGUN, NOWHERE, WITHIN
from analysis.widgets.panel import QuestionPanel
from analysis.widgets.saving import SaveTo, draft_of


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
