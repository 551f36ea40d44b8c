"""A panel over `content_conversion`: which pages, videos or channels come before a conversion."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Any

from analysis.catalog import Catalog
from analysis.content.result import content_conversion
from analysis.core import wording
from analysis.eventlog.log import EventLog
from analysis.segments.segment_rules import ANY_EVENT
from analysis.widgets.choices import Choice, event_choices, window_choices
from analysis.widgets.controls import day_of, day_picker, dropdown
from analysis.widgets.panel import QuestionPanel
from analysis.widgets.saving import Draft, SaveTo

ANY: Choice = ("(any event)", ANY_EVENT)


TOUCHES: tuple[Choice, ...] = (("Every value seen", "any"), ("The first value only", "first"))


def content_panel(
    log: EventLog,
    catalog: Catalog,
    *,
    property: str = "page",
    to: str | None = None,
    macro: str | None = None,
    window: str = "7d",
    event: str = ANY_EVENT,
    touch: str = "any",
    since: Any = None,
    until: Any = None,
    min_cell: int = 5,
    save: SaveTo | None = None,
) -> QuestionPanel:
    """After which values of a property do people convert, and which channels bring such people?

    Parameters
    ----------
    catalog : what events are called; `to` and `macro` default to its macro conversion.
    property, to, macro, window, event, touch, since, until, min_cell : as of
        `content_conversion`; where the panel starts. The period is of whole days (UTC).
    save : where "Save as report" writes; without it the panel has no such form.

    Examples
    --------
    >>> from analysis.simulation.log import simulate
    >>> shop = Catalog.load("data/catalogs/ecommerce.toml")
    >>> panel = content_panel(simulate(users=500).log, shop, property="channel", touch="first")
    >>> panel.kwargs()["to"], panel.result.parameters["touch"]
    ('purchase', 'first')
    """
    labels = {name: catalog.label(name) for name in log.event_names}
    events = event_choices(log.event_names, labels)
    texts = [(wording.label(n), n) for n in log.properties if log.kinds[n] == "text"]
    windows, chosen = window_choices(window)
    controls = {
        "property": dropdown("Values of", texts, property),
        "touch": dropdown("Counts under", TOUCHES, touch),
        "event": dropdown("Seen on", [ANY, *events], event),
        "to": dropdown("Leads to", events, to or catalog.macro),
        "macro": dropdown("Beside it", events, macro or catalog.macro),
        "window": dropdown("Within", windows, chosen),
        "since": day_picker("Seen from", day_of(since, "content_panel: since")),
        "until": day_picker("Seen before", day_of(until, "content_panel: until")),
    }

    ask = partial(content_conversion, log)

    def draft(given: Mapping[str, Any]) -> Draft:
        title = f"{wording.label(given['property'])} before {labels.get(given['to'], given['to'])}"
        asked = {name: given[name] for name in ("property", "to", "window", "touch")}
        return Draft(title, {f"content_{name}": value for name, value in asked.items()})

    fixed = {"min_cell": min_cell}
    return QuestionPanel("content_panel", ask, controls, fixed, draft=draft, save=save)
