"""Which groups are there that nobody wrote a rule for? Contents, engagement, buyers, clusters.

A panel each over `content_conversion`, `engagement_levels`, `engagement_table`, `rfm` and
`behavioral_clusters`. Each holds the arguments of its one function and shows what that answers;
none computes anything.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any, Final

from analysis.catalog import Catalog
from analysis.content.result import content_conversion
from analysis.core import wording
from analysis.engagement.result import engagement_levels, engagement_table
from analysis.eventlog.log import EventLog
from analysis.segments.clusters import behavioral_clusters
from analysis.segments.rfm import rfm
from analysis.segments.rules import ANY_EVENT
from analysis.widgets.controls import (
    FALSE_ALARMS,
    Choice,
    NumbersLine,
    day_of,
    day_picker,
    dropdown,
    event_choices,
    event_labels,
    multi_select,
    numbers_line,
    text_property_choices,
    whole_number,
    window_choices,
)
from analysis.widgets.panel import Draft, QuestionPanel, SaveTo

SEEN_ON_ANY: Final[Choice] = ("(any event)", ANY_EVENT)

TOUCHES: Final[tuple[Choice, ...]] = (
    ("Every value seen", "any"),
    ("The first value only", "first"),
)

NO_VALUE: Final[Choice] = ("(no third score)", "")

BEST_NUMBER: Final[Choice] = ("(the best number)", "")


def content_panel(  # noqa: PLR0913
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
    log : the events.
    catalog : what events are called; `to` and `macro` default to its macro conversion.
    property, to, macro, window, event, touch, since, until, min_cell : as of
        `content_conversion`; where the panel starts. The period is of whole days (UTC).
    save : where "Save as report" writes; without it the panel has no such form.

    Raises
    ------
    UsageError
        If `since` or `until` is not a day. The panel says in words what else
        `content_conversion` refuses.

    Examples
    --------
    >>> from analysis.simulation.log import simulate
    >>> shop = Catalog.load("data/catalogs/ecommerce.toml")
    >>> panel = content_panel(simulate(users=500).log, shop, property="channel", touch="first")
    >>> panel.kwargs()["to"], panel.result.parameters["touch"]
    ('purchase', 'first')
    """
    labels = event_labels(log, catalog)
    events = event_choices(log.event_names, labels)
    windows, chosen = window_choices(window)
    controls = {
        "property": dropdown("Values of", text_property_choices(log), property),
        "touch": dropdown("Counts under", TOUCHES, touch),
        "event": dropdown("Seen on", [SEEN_ON_ANY, *events], event),
        "to": dropdown("Leads to", events, to or catalog.macro),
        "macro": dropdown("Beside it", events, macro or catalog.macro),
        "window": dropdown("Within", windows, chosen),
        "since": day_picker("Seen from", day_of("content_panel: since", since)),
        "until": day_picker("Seen before", day_of("content_panel: until", until)),
    }

    def draft(given: Mapping[str, Any]) -> Draft:
        title = f"{wording.label(given['property'])} before {labels.get(given['to'], given['to'])}"
        asked = {name: given[name] for name in ("property", "to", "window", "touch")}
        return Draft(title, {f"content_{name}": value for name, value in asked.items()})

    fixed = {"min_cell": min_cell}
    return QuestionPanel(
        "content_panel", partial(content_conversion, log), controls, fixed, draft=draft, save=save
    )


def levels_panel(
    log: EventLog,
    catalog: Catalog,
    *,
    at: Any = None,
    cuts: Sequence[float] | None = None,
    without: Sequence[str] | None = None,
    min_cell: int = 5,
    save: SaveTo | None = None,
) -> QuestionPanel:
    """How many people are how engaged, as of which day and by which cut points?

    Parameters
    ----------
    log, catalog : the events, and what they are called and mean.
    at, cuts, without, min_cell : as of `engagement_levels`; where the panel starts, `at` a day
        (UTC).
    save : where "Save as report" writes; without it the panel has no such form.

    Raises
    ------
    UsageError
        If `at` is not a day. The panel says in words what else `engagement_levels` refuses.

    Examples
    --------
    >>> from analysis.simulation.log import simulate
    >>> shop = Catalog.load("data/catalogs/ecommerce.toml")
    >>> levels_panel(simulate(users=300).log, shop).kwargs()
    {'at': None, 'cuts': None, 'without': None, 'min_cell': 5}
    """
    labels = event_labels(log, catalog)
    controls = {
        "at": day_picker("As of", day_of("levels_panel: at", at)),
        "cuts": _cuts(cuts),
        "without": multi_select("Leave out", event_choices(log.event_names, labels), without or ()),
    }

    def draft(given: Mapping[str, Any]) -> Draft:
        return Draft("Who is engaged", {"cuts": given["cuts"] or []})

    fixed = {"min_cell": min_cell}
    return QuestionPanel(
        "levels_panel",
        partial(engagement_levels, log, catalog),
        controls,
        fixed,
        draft=draft,
        save=save,
    )


def engagement_panel(  # noqa: PLR0913
    log: EventLog,
    catalog: Catalog,
    *,
    at: Any = None,
    cuts: Sequence[float] | None = None,
    until: Any = None,
    events: Sequence[str] | None = None,
    most_false: float = 0.05,
    min_cell: int = 5,
    save: SaveTo | None = None,
) -> QuestionPanel:
    """Which micro conversions do engaged people do more often, as of which day?

    Parameters
    ----------
    log, catalog : the events, and what they are called and mean.
    at, cuts, until, events, most_false, min_cell : as of `engagement_table`; where the panel
        starts, `at` and `until` days (UTC). No events: all that have a role.
    save : where "Save as report" writes; without it the panel has no such form.

    Raises
    ------
    UsageError
        If `at` or `until` is not a day. The panel says in words what else
        `engagement_table` refuses.

    Examples
    --------
    >>> from analysis.simulation.log import simulate
    >>> shop = Catalog.load("data/catalogs/ecommerce.toml")
    >>> panel = engagement_panel(simulate(users=800).log, shop, events=["share"])
    >>> panel.result.table["event"].tolist()
    ['share', 'share', 'share']
    """
    names = [*log.event_names, *catalog.derived]
    labels = event_labels(log, catalog, catalog.derived)
    controls = {
        "at": day_picker("As of", day_of("engagement_panel: at", at)),
        "until": day_picker("Then until", day_of("engagement_panel: until", until)),
        "cuts": _cuts(cuts),
        "most_false": dropdown("False alarms", FALSE_ALARMS, most_false),
        "events": multi_select("Events", event_choices(names, labels), events or ()),
    }

    def draft(given: Mapping[str, Any]) -> Draft:
        return Draft("What goes with engagement", {"cuts": given["cuts"] or []})

    fixed = {"min_cell": min_cell}
    return QuestionPanel(
        "engagement_panel",
        partial(engagement_table, log, catalog),
        controls,
        fixed,
        table=lambda result: result.readable(),
        draft=draft,
        save=save,
    )


def rfm_panel(
    log: EventLog,
    catalog: Catalog | None = None,
    *,
    event: str = "purchase",
    value: str | None = "value",
    scores: int = 5,
    at: Any = None,
    min_cell: int = 5,
    save: SaveTo | None = None,
) -> QuestionPanel:
    """Who bought lately, often and for much, as of which day?

    Parameters
    ----------
    log : the events.
    catalog : what events are called.
    event, value, scores, at, min_cell : as of `rfm`; where the panel starts, `at` a day (UTC).
    save : where "Save as report" writes; without it the panel has no such form.

    Raises
    ------
    UsageError
        If `at` is not a day. The panel says in words what else `rfm` refuses.

    Examples
    --------
    >>> from analysis.simulation.log import simulate
    >>> rfm_panel(simulate(users=300).log, scores=3).kwargs()["scores"]
    3
    """
    labels = event_labels(log, catalog)
    numbers = [(name, name) for name in log.properties if log.kinds[name] == "number"]
    controls = {
        "event": dropdown("Buying is", event_choices(log.event_names, labels), event),
        "value": dropdown("Adds up", [NO_VALUE, *numbers], value or ""),
        "scores": whole_number("Scores", scores, 2, 10),
        "at": day_picker("As of", day_of("rfm_panel: at", at)),
    }

    def draft(given: Mapping[str, Any]) -> Draft:
        return Draft("Who bought lately, often, for much", {"scores": given["scores"]})

    fixed = {"min_cell": min_cell}
    return QuestionPanel("rfm_panel", partial(rfm, log), controls, fixed, draft=draft, save=save)


def clusters_panel(  # noqa: PLR0913
    log: EventLog,
    catalog: Catalog | None = None,
    *,
    clusters: int | None = None,
    events: Sequence[str] | None = None,
    at: Any = None,
    min_events: int = 5,
    draws: int = 20,
    seed: int = 0,
    min_cell: int = 5,
    save: SaveTo | None = None,
) -> QuestionPanel:
    """Which groups of people act alike, and what remains of them with other people?

    Parameters
    ----------
    log : the events.
    catalog : what events are called.
    clusters, events, at, min_events, draws, seed, min_cell : as of `behavioral_clusters`; where
        the panel starts, `at` a day (UTC). No events: all.
    save : where "Save as report" writes; without it the panel has no such form.

    Raises
    ------
    UsageError
        If `at` is not a day. The panel says in words what else `behavioral_clusters` refuses.

    Examples
    --------
    >>> from analysis.simulation.log import simulate
    >>> clusters_panel(simulate(users=500).log, clusters=2, draws=2).kwargs()["clusters"]
    2
    """
    labels = event_labels(log, catalog)
    many = [BEST_NUMBER, *((str(number), number) for number in range(2, 13))]
    controls = {
        "clusters": dropdown("Clusters", many, clusters or ""),
        "at": day_picker("As of", day_of("clusters_panel: at", at)),
        "min_events": whole_number("Events at least", min_events, 1, 1_000),
        "draws": whole_number("Drawn anew", draws, 2, 200),
        "events": multi_select("Events", event_choices(log.event_names, labels), events or ()),
    }

    def draft(given: Mapping[str, Any]) -> Draft:
        return Draft("Groups that nobody wrote down", {"clusters": given["clusters"] or 0})

    fixed = {"seed": seed, "min_cell": min_cell}
    return QuestionPanel(
        "clusters_panel", partial(behavioral_clusters, log), controls, fixed, draft=draft, save=save
    )


def _cuts(cuts: Sequence[float] | None) -> NumbersLine:
    return numbers_line("Cut points", cuts, "terciles, or two scores such as 40, 60")
