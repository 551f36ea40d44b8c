"""Who are the people of a segment? Panels that compare two, show overlaps, and write an audience.

`segments_panel` asks `segment` for two of the catalog's segments and `compare_segments` in what
they differ. `overlaps_panel` asks which people are in several of them. `audience_panel` asks whom a
campaign addresses. All hold names of segments and the day they are asked at.

The panels refuse to compare with what the rules have seen unless "Look back" is ticked, to show an
answer that the functions would not give for ``panel.kwargs()``, and to write a file unless its
button is pressed.
"""

from __future__ import annotations

import datetime
from collections.abc import Mapping, Sequence
from typing import Any, Final

import ipywidgets
import pandas as pd
from pandas.api.typing import NaTType

from analysis.catalog import Catalog
from analysis.core import wording
from analysis.core.schema import UsageError, WorkbookError, one_of
from analysis.eventlog.log import EventLog
from analysis.segments.audiences import AudienceResult, audience
from analysis.segments.comparison import ComparisonResult, compare_segments
from analysis.segments.result import MOST_SETS, OverlapsResult, Segment, overlaps, segment
from analysis.widgets.controls import (
    FALSE_ALARMS,
    Choice,
    argument_of,
    columns,
    day_of,
    day_picker,
    dropdown,
    event_choices,
    event_labels,
    multi_select,
    text_line,
    text_property_choices,
    window_choices,
)
from analysis.widgets.panel import AnswerPanel, Draft, QuestionPanel, SaveTo, bundle
from analysis.widgets.tables import alert, answer, note

EVERYBODY_ELSE: Final[Choice] = ("(everybody else)", "")

NO_FUNNEL: Final[Choice] = ("(no funnel)", "")

NO_CONSENT: Final[Choice] = ("(not asked)", "")

HELD_OUT: Final[tuple[Choice, ...]] = (
    ("(nobody)", 0.0), ("5%", 0.05), ("10%", 0.1), ("20%", 0.2), ("50%", 0.5)
)  # fmt: skip

FOLLOWED: Final = pd.Timedelta(days=28)
"""How long before the end of a log two segments are asked at, to see what they do afterwards."""

FIRST_OVERLAPS: Final = 4


# Two segments compared


def segments_panel(  # noqa: PLR0913
    log: EventLog,
    *,
    catalog: Catalog,
    a: str | None = None,
    b: str | None = None,
    at: Any = None,
    since: Any = None,
    until: Any = None,
    look_back: bool = False,
    properties: Sequence[str] | None = None,
    funnel: str | None = None,
    window: str | None = None,
    most_false: float = 0.05,
    min_cell: int = 5,
    save: SaveTo | None = None,
) -> SegmentsPanel:
    """In what do two of the catalog's segments differ, as of which day?

    Parameters
    ----------
    log : the events.
    catalog : its segments are the choices.
    a, b : names of segments to begin with; default: the first one against everybody else.
    at : the day (UTC) they are asked at; default: 28 days before the end of what the log covers,
        or the middle of a shorter log.
    since, until, look_back, properties, most_false, min_cell : as of `compare_segments`, days UTC.
    funnel : one of the catalog's, whose steps are compared too.
    window : of the funnel; default: its own.
    save : where "Save as report" writes; without it the panel has no such form.

    Raises
    ------
    UsageError
        If the catalog has no segments or not these, or `at` is not a day. The panel says in words
        what else the two functions refuse.

    Examples
    --------
    >>> from analysis.simulation.log import simulate
    >>> shop = Catalog.load("data/catalogs/ecommerce.toml")
    >>> panel = segments_panel(simulate(users=500).log, catalog=shop, a="subscribers")
    >>> panel.kwargs()["at"], panel.result.names
    ('2026-10-26', ('subscribers', 'everybody else'))
    """
    _check_segments("segments_panel", catalog)
    first = next(iter(catalog.segments)) if a is None else a
    for what, name in (("a", first), ("b", b)):
        if name is not None:
            one_of(f"segments_panel: {what}", name, catalog.segments)
    if funnel is not None:
        one_of("segments_panel: funnel", funnel, catalog.funnels)
    start = {
        "a": first,
        "b": b,
        "day": _four_weeks_ago(log) if at is None else day_of("segments_panel: at", at),
        "since": day_of("segments_panel: since", since),
        "until": day_of("segments_panel: until", until),
        "funnel": funnel,
        "window": window or (catalog.window(funnel) if funnel else "7d"),
        "most_false": most_false,
        "look_back": look_back,
        "properties": None if properties is None else list(properties),
        "min_cell": min_cell,
    }
    return SegmentsPanel(log, catalog, start, save)


def _four_weeks_ago(log: EventLog) -> datetime.date:
    """The day `FOLLOWED` before the end of a log, or in the middle of a shorter one."""
    end, begin = log.covers_until, log.start
    half = FOLLOWED if isinstance(begin, NaTType) else (end - begin) / 2
    return (end - min(FOLLOWED, half)).date()


class SegmentsPanel(AnswerPanel):
    """Controls, sentences, caveats and figure of a comparison; made by `segments_panel`.

    Attributes
    ----------
    a, b, day, since, until, look_back, funnel, window, most_false, properties : the controls.
    form : "Save as report", or None.
    segments : the groups that are shown.
    result : their comparison; None while an error is shown.
    """

    segments: tuple[Segment, ...]
    result: ComparisonResult | None

    def __init__(
        self, log: EventLog, catalog: Catalog, start: Mapping[str, Any], save: SaveTo | None
    ) -> None:
        self._log, self._catalog = log, catalog
        self._min_cell = start["min_cell"]
        choices = segment_choices(catalog)
        self.a = dropdown("People who", choices, start["a"])
        self.b = dropdown("Against", [EVERYBODY_ELSE, *choices], start["b"] or "")
        self.day = day_picker("As of", start["day"])
        self.since = day_picker("Looked at from", start["since"])
        self.until = day_picker("Looked at until", start["until"])
        self.look_back = ipywidgets.Checkbox(
            description="Look back at what picked them", value=start["look_back"], indent=False
        )
        funnels = [NO_FUNNEL, *((wording.label(name), name) for name in catalog.funnels)]
        windows, window = window_choices(start["window"])
        self.funnel = dropdown("Funnel", funnels, start["funnel"] or "")
        self.window = dropdown("Its window", windows, window)
        self.most_false = dropdown("False alarms", FALSE_ALARMS, start["most_false"])
        self.properties = multi_select(
            "Properties", text_property_choices(log), start["properties"] or ()
        )
        groups = [self.a, self.b, self.day, self.since, self.until, self.look_back]
        compared = [self.funnel, self.window, self.most_false, self.properties]
        super().__init__(
            columns(ipywidgets.VBox(groups), ipywidgets.VBox(compared)),
            [(control, "value") for control in (*groups, *compared)],
            save,
        )

    def kwargs(self) -> dict[str, Any]:
        """The arguments that the answer is of, as plain data.

        a and b (None: everybody else) are names of segments for `segment(log, name, at=at,
        catalog=catalog)`, the rest is for `compare_segments`.
        """
        funnel = self.funnel.value
        return {
            "a": self.a.value,
            "b": argument_of(self.b),
            "at": argument_of(self.day),
            "since": argument_of(self.since),
            "until": argument_of(self.until),
            "look_back": self.look_back.value,
            "properties": argument_of(self.properties),
            "steps": self._catalog.steps(funnel) if funnel else None,
            "window": self.window.value,
            "most_false": self.most_false.value,
            "min_cell": self._min_cell,
        }

    def _ask(self) -> ComparisonResult:
        self.segments = ()
        asked = self.kwargs()
        at = asked.pop("at")
        self.segments = tuple(
            segment(self._log, name, at=at, catalog=self._catalog)
            for name in (asked.pop("a"), asked.pop("b"))
            if name is not None
        )
        return compare_segments(self._log, *self.segments, **asked)

    def _draw(self) -> None:
        assert self.result is not None
        self._show(answer(self.result), bundle(self.result.figure()))

    def _show(self, words: str, *outputs: dict[str, Any]) -> None:
        sentences = [note(group.sentence()) for group in self.segments]
        super()._show("".join(sentences) + words, *outputs)

    def _draft(self) -> Draft:
        self._check_answered()
        labels = {name: text for text, name in [EVERYBODY_ELSE, *segment_choices(self._catalog)]}
        title = f"{labels[self.a.value]} against {labels[self.b.value].strip('()')}"
        held = ("a", "b", "funnel", "window", "look_back", "most_false")
        asked = {name: getattr(self, name).value for name in held}
        return Draft(title, {**asked, "properties": list(self.properties.value)})


# How segments overlap


def overlaps_panel(
    log: EventLog,
    catalog: Catalog,
    *,
    segments: Sequence[str] | None = None,
    at: Any = None,
    min_cell: int = 5,
    save: SaveTo | None = None,
) -> QuestionPanel:
    """Which people are in several of the catalog's segments, as of which day?

    Parameters
    ----------
    log : the events.
    catalog : its segments are the choices.
    segments : names in the catalog; default: its first four.
    at : the day (UTC) they are asked at; default: the end of what the log covers.
    min_cell : as of `overlaps`.
    save : where "Save as report" writes; without it the panel has no such form.

    Raises
    ------
    UsageError
        If the catalog does not have these segments. The panel says in words what else is wrong.

    Examples
    --------
    >>> from analysis.simulation.log import simulate
    >>> shop = Catalog.load("data/catalogs/ecommerce.toml")
    >>> panel = overlaps_panel(simulate(users=300).log, shop, segments=["subscribers", "at_risk"])
    >>> panel.result.sets
    ('subscribers', 'at_risk')
    """
    chosen = list(segments or list(catalog.segments)[:FIRST_OVERLAPS])
    for name in chosen:
        one_of("overlaps_panel: segments", name, catalog.segments)
    controls = {
        "segments": multi_select("Segments", segment_choices(catalog), chosen),
        "at": day_picker("As of", day_of("overlaps_panel: at", at)),
    }

    def ask(*, segments: list[str] | None, at: str | None, min_cell: int) -> OverlapsResult:
        names = segments or []
        if not 2 <= len(names) <= MOST_SETS:
            raise UsageError(f"Choose 2 to {MOST_SETS} segments, with Ctrl held.")
        found = {name: segment(log, name, at=at, catalog=catalog) for name in names}
        return overlaps(log, found, min_cell=min_cell)

    def draft(asked: Mapping[str, Any]) -> Draft:
        return Draft("How segments overlap", {"overlapping": asked["segments"] or []})

    fixed = {"min_cell": min_cell}
    return QuestionPanel("overlaps_panel", ask, controls, fixed, draft=draft, save=save)


# An audience to write


def audience_panel(  # noqa: PLR0913
    log: EventLog,
    catalog: Catalog,
    *,
    segment: str | None = None,
    at: Any = None,
    macro: str | None = None,
    path: str = "",
    holdout: float = 0.1,
    seed: str = "",
    consent: str | None = None,
    min_cell: int = 5,
    save: SaveTo | None = None,
) -> AudiencePanel:
    """Whom does a campaign address, who is held out, and how many of them convert?

    Parameters
    ----------
    log : the events.
    catalog : its segments are the choices; `macro` defaults to its macro conversion.
    segment : a name in the catalog; default: its first.
    at : the day (UTC) it is asked at; default: the end of what the log covers.
    macro, path, holdout, consent, min_cell : as of `audience`; a file is only written when the
        button is pressed.
    seed : the campaign's name; default: the segment's.
    save : where "Save as report" writes; without it the panel has no such form.

    Raises
    ------
    UsageError
        If the catalog has no segments or not this one. The panel says in words what else is wrong.

    Examples
    --------
    >>> from analysis.simulation.log import simulate
    >>> shop = Catalog.load("data/catalogs/ecommerce.toml")
    >>> panel = audience_panel(simulate(users=300).log, shop, segment="open_carts", holdout=0.2)
    >>> panel.kwargs()["holdout"], panel.kwargs()["seed"]
    (0.2, 'open_carts')
    """
    _check_segments("audience_panel", catalog)
    first = segment or next(iter(catalog.segments))
    one_of("audience_panel: segment", first, catalog.segments)
    events = event_choices(log.event_names, event_labels(log, catalog))
    consents = [NO_CONSENT, *((wording.label(name), name) for name in log.properties)]
    controls = {
        "segment": dropdown("People who", segment_choices(catalog), first),
        "at": day_picker("As of", day_of("audience_panel: at", at)),
        "macro": dropdown("Convert to", events, macro or catalog.macro),
        "holdout": dropdown("Held out", HELD_OUT, holdout),
        "seed": text_line("Campaign", seed or first, "its name; decides who is held out"),
        "consent": dropdown("Consent in", consents, consent or ""),
    }
    return AudiencePanel(log, catalog, controls, {"min_cell": min_cell}, path, save)


class AudiencePanel(QuestionPanel):
    """Whom to address, and a button that writes the file; made by `audience_panel`.

    Attributes
    ----------
    path, write : the file's name and the button.
    message : says where the file is, or why there is none.
    """

    def __init__(
        self,
        log: EventLog,
        catalog: Catalog,
        controls: Mapping[str, ipywidgets.Widget],
        fixed: Mapping[str, Any],
        path: str,
        save: SaveTo | None,
    ) -> None:
        self.path = text_line("File", path, "audience.csv or .parquet")
        self.write = ipywidgets.Button(description="Write the file", icon="download")
        self.message = ipywidgets.HTML()
        self.write.on_click(lambda _: self.write_file())
        row = ipywidgets.HBox(
            [self.path, self.write], layout=ipywidgets.Layout(flex_flow="row wrap")
        )

        def ask(**asked: Any) -> AudienceResult:
            picked = segment(log, asked.pop("segment"), at=asked.pop("at"), catalog=catalog)
            asked["seed"] = asked["seed"] or 0
            return audience(log, picked, **asked)

        def draft(asked: Mapping[str, Any]) -> Draft:
            parameters = {
                "audience": asked["segment"],
                "holdout": asked["holdout"],
                "campaign": asked["seed"] or "",
            }
            return Draft(f"Audience {asked['segment']}", parameters)

        self._audience = ask
        super().__init__(
            "audience_panel", ask, controls, fixed, draft=draft, save=save, more=[row, self.message]
        )

    def write_file(self) -> None:
        """Write the people that are shown, and say where they are or why they are not."""
        path = self.path.value.strip()
        try:
            if not path:
                raise UsageError("audience: no file. Give its name, such as audience.csv.")
            found = self._audience(**self.kwargs(), path=path)
        except WorkbookError as error:
            self.message.value = alert(str(error))
            return
        written = f"Wrote {wording.count(len(found.people))} people to {path}."
        caveats = [warning for warning in found.warnings if "CSV" in warning]
        self.message.value = note(" ".join([written, *caveats]))


# What the three share


def segment_choices(catalog: Catalog) -> list[Choice]:
    """The catalog's segments by their labels.

    Examples
    --------
    >>> segment_choices(Catalog.load("data/catalogs/ecommerce.toml"))[0]
    ('Filled a cart, never bought', 'cart_abandoners')
    """
    return [(str(entry.get("label") or name), name) for name, entry in catalog.segments.items()]


def _check_segments(what: str, catalog: Catalog) -> None:
    if not catalog.segments:
        raise UsageError(
            f"{what}: catalog {catalog.name!r} has no segments. Add a table "
            "[segments.NAME] with a rule."
        )
