"""A panel over `segment` and `compare_segments`: two groups and an instant by hand.

The controls hold arguments: the names of two segments of a catalog, and the instant that both are
asked at. A change asks `segment` for the two and `compare_segments` once, and the panel shows who
they are and in what they differ. An error of the library appears in words where the answer would
be.

The panel refuses to compare with what the rules have seen unless "Look back" is ticked, and to show
an answer that the two functions would not give for `panel.kwargs()`.
"""

from __future__ import annotations

import datetime
from collections.abc import Mapping, Sequence
from typing import Any

import ipywidgets
import pandas as pd
from pandas.api.typing import NaTType

from analysis.catalog import Catalog
from analysis.core import wording
from analysis.core.schema import UsageError, WorkbookError, one_of
from analysis.core.wording import label
from analysis.eventlog.log import EventLog
from analysis.segments.audiences import AudienceResult, audience
from analysis.segments.comparison import ComparisonResult, compare_segments
from analysis.segments.result import MOST_SETS, OverlapsResult, Segment, overlaps, segment
from analysis.widgets.controls import (
    APART,
    FALSE_ALARMS,
    Choice,
    day_of,
    day_picker,
    dropdown,
    event_choices,
    line,
    several,
    window_choices,
)
from analysis.widgets.panel import Draft, QuestionPanel, SaveForm, SaveTo, bundle, check_answered
from analysis.widgets.tables import alert, answer, note

# ──── widgets.segments


EVERYBODY_ELSE: Choice = ("(everybody else)", "")


FOLLOWED = pd.Timedelta(days=28)


NO_FUNNEL: Choice = ("(no funnel)", "")


class SegmentsPanel(ipywidgets.VBox):
    """Controls, sentences, caveats and figure of a comparison; made by `segments_panel`.

    Attributes
    ----------
    a, b, day, since, until, look_back, funnel, window, most_false, properties : the controls.
    form : "Save as report", or None.
    segments : the groups that are shown. result : their comparison; None while an error is shown.
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
        funnels = [NO_FUNNEL, *((label(name), name) for name in catalog.funnels)]
        windows, window = window_choices(start["window"])
        self.funnel = dropdown("Funnel", funnels, start["funnel"] or "")
        self.window = dropdown("Its window", windows, window)
        self.most_false = dropdown("False alarms", FALSE_ALARMS, start["most_false"])
        texts = [(label(n), n) for n in log.properties if log.kinds[n] == "text"]
        self.properties = several("Properties", texts, start["properties"] or ())
        self.form = None if save is None else SaveForm(save, self._draft)
        self._words = ipywidgets.HTML()
        self._drawing = ipywidgets.Output()
        sides = (
            (self.a, self.b, self.day, self.since, self.until, self.look_back),
            (self.funnel, self.window, self.most_false, self.properties),
        )
        controls = ipywidgets.HBox([ipywidgets.VBox(side) for side in sides], layout=APART)
        shown = [controls, self._words, self._drawing]
        super().__init__(shown if self.form is None else [*shown, self.form])
        for control in (control for side in sides for control in side):
            control.observe(lambda _: self._redraw(), "value")
        self._redraw()

    def kwargs(self) -> dict[str, Any]:
        """What the panel asks, as plain data: a and b (None: everybody else) are names of segments
        for `segment(log, name, at=at, catalog=catalog)`, the rest is for `compare_segments`.
        """
        days = {"at": self.day, "since": self.since, "until": self.until}
        funnel = self.funnel.value
        return {
            "a": self.a.value,
            "b": self.b.value or None,
            **{name: one.value.isoformat() if one.value else None for name, one in days.items()},
            "look_back": self.look_back.value,
            "properties": list(self.properties.value) or None,
            "steps": self._catalog.steps(funnel) if funnel else None,
            "window": self.window.value,
            "most_false": self.most_false.value,
            "min_cell": self._min_cell,
        }

    def __repr__(self) -> str:
        return f"SegmentsPanel({', '.join(f'{k}={v!r}' for k, v in self.kwargs().items())})"

    def _redraw(self) -> None:
        self.segments, self.result = (), None
        asked = self.kwargs()
        at = asked.pop("at")
        try:
            self.segments = tuple(
                segment(self._log, name, at=at, catalog=self._catalog)
                for name in (asked.pop("a"), asked.pop("b"))
                if name is not None
            )
            self.result = compare_segments(self._log, *self.segments, **asked)
        except WorkbookError as error:
            self._show(alert(str(error)))
            return
        self._show(answer(self.result), bundle(self.result.figure()))

    def _show(self, words: str, *outputs: dict[str, Any]) -> None:
        self._words.value = "".join(note(one.sentence()) for one in self.segments) + words
        self._drawing.outputs = outputs

    def _draft(self) -> Draft:
        check_answered(self.result)
        names = {value: said for said, value in [EVERYBODY_ELSE, *segment_choices(self._catalog)]}
        title = f"{names[self.a.value]} against {names[self.b.value].strip('()')}"
        held = ("a", "b", "funnel", "window", "look_back", "most_false")
        asked = {name: getattr(self, name).value for name in held}
        return Draft(title, {**asked, "properties": list(self.properties.value)})


def segments_panel(
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
    catalog : its segments are the choices.
    a, b : names of segments to begin with; default: the first one against everybody else.
    at : the day (UTC) they are asked at; default: 28 days before the end of what the log covers,
        or the middle of a shorter log.
    since, until, look_back, properties, most_false, min_cell : as of `compare_segments`, days UTC.
    funnel : one of the catalog's, whose steps are compared too; window : default: its own.
    save : where "Save as report" writes; without it the panel has no such form.

    Raises
    ------
    UsageError
        If the catalog has no segments or not these, or `at` is not a day. Whatever else the two
        functions do not accept is said in the panel.

    Examples
    --------
    >>> from analysis.simulation.log import simulate
    >>> shop = Catalog.load("data/catalogs/ecommerce.toml")
    >>> panel = segments_panel(simulate(users=500).log, catalog=shop, a="subscribers")
    >>> panel.kwargs()["at"], panel.result.names
    ('2026-10-26', ('subscribers', 'everybody else'))
    """
    if not catalog.segments:
        raise UsageError(
            f"segments_panel: catalog {catalog.name!r} has no segments. Add a table "
            "[segments.NAME] with a rule."
        )
    first = next(iter(catalog.segments)) if a is None else a
    for what, name in (("a", first), ("b", b)):
        if name is not None:
            one_of(f"segments_panel: {what}", name, catalog.segments)
    if funnel is not None:
        one_of("segments_panel: funnel", funnel, catalog.funnels)
    start = {
        "a": first,
        "b": b,
        "day": _day(log, at),
        "since": day_of(since, "segments_panel: since"),
        "until": day_of(until, "segments_panel: until"),
        "funnel": funnel,
        "window": window or (catalog.window(funnel) if funnel else "7d"),
        "most_false": most_false,
        "look_back": look_back,
        "properties": None if properties is None else list(properties),
        "min_cell": min_cell,
    }
    return SegmentsPanel(log, catalog, start, save)


def segment_choices(catalog: Catalog) -> list[Choice]:
    """The catalog's segments by what people call them.

    Examples
    --------
    >>> segment_choices(Catalog.load("data/catalogs/ecommerce.toml"))[0]
    ('Filled a cart, never bought', 'cart_abandoners')
    """
    return [(str(entry.get("label") or name), name) for name, entry in catalog.segments.items()]


def _day(log: EventLog, at: Any) -> datetime.date | None:
    if at is not None:
        return day_of(at, "segments_panel: at")
    end = log.covers_until
    begun = log.start
    half = FOLLOWED if isinstance(begun, NaTType) else (end - begun) / 2
    return (end - min(FOLLOWED, half)).date()


# ──── widgets.people
#
# Panels over people picked by the catalog's rules: how segments overlap, and an audience to write.
#
# Both hold names of segments and the day they are asked at. The panel of an audience writes a file
# only when its button is pressed.


NOBODY_ASKED: Choice = ("(not asked)", "")


_SHOWN_FIRST = 4


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
    segments : names in the catalog; default: its first four. at : the day (UTC) they are asked at;
        default: the end of what the log covers. min_cell : as of `overlaps`.
    save : where "Save as report" writes; without it the panel has no such form.

    Raises
    ------
    UsageError
        If the catalog does not have these segments. Whatever else is wrong is said in the panel.

    Examples
    --------
    >>> from analysis.simulation.log import simulate
    >>> shop = Catalog.load("data/catalogs/ecommerce.toml")
    >>> panel = overlaps_panel(simulate(users=300).log, shop, segments=["subscribers", "at_risk"])
    >>> panel.result.sets
    ('subscribers', 'at_risk')
    """
    chosen = list(segments or list(catalog.segments)[:_SHOWN_FIRST])
    for name in chosen:
        one_of("overlaps_panel: segments", name, catalog.segments)
    controls = {
        "segments": several("Segments", segment_choices(catalog), chosen),
        "at": day_picker("As of", day_of(at, "overlaps_panel: at")),
    }

    def ask(*, segments: list[str] | None, at: str | None, min_cell: int) -> OverlapsResult:
        names = segments or []
        if not 2 <= len(names) <= MOST_SETS:
            raise UsageError(f"Choose 2 to {MOST_SETS} segments, with Ctrl held.")
        found = {name: segment(log, name, at=at, catalog=catalog) for name in names}
        return overlaps(log, found, min_cell=min_cell)

    def draft(given: Mapping[str, Any]) -> Draft:
        return Draft("How segments overlap", {"overlapping": given["segments"] or []})

    fixed = {"min_cell": min_cell}
    return QuestionPanel("overlaps_panel", ask, controls, fixed, draft=draft, save=save)


class AudiencePanel(QuestionPanel):
    """Whom to address, and a button that writes the file; made by `audience_panel`.

    Attributes
    ----------
    path, write : the file's name and the button. message : what came of it.
    """

    def __init__(self, *arguments: Any, path: str, **more: Any) -> None:
        self.path = line("File", path, "audience.csv or .parquet")
        self.write = ipywidgets.Button(description="Write the file", icon="download")
        self.message = ipywidgets.HTML()
        self.write.on_click(lambda _: self.write_file())
        row = ipywidgets.HBox(
            [self.path, self.write], layout=ipywidgets.Layout(flex_flow="row wrap")
        )
        super().__init__(*arguments, more=[row, self.message], **more)

    def write_file(self) -> None:
        """Write the people that are shown, and say where they are or why they are not."""
        path = self.path.value.strip()
        try:
            if not path:
                raise UsageError("audience: no file. Give its name, such as audience.csv.")
            found = self._ask(**self.kwargs(), path=path)
        except WorkbookError as error:
            self.message.value = alert(str(error))
            return
        assert isinstance(found, AudienceResult)
        said = f"Wrote {wording.count(len(found.people))} people to {path}."
        odd = [warning for warning in found.warnings if "CSV" in warning]
        self.message.value = note(" ".join([said, *odd]))


def audience_panel(
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
    """Whom does a campaign address, who is held out, and who of them converts?

    Parameters
    ----------
    segment : a name in the catalog; default: its first. at : the day (UTC) it is asked at; default:
        the end of what the log covers.
    macro, path, holdout, consent, min_cell : as of `audience`; a file is only written when the
        button is pressed. seed : the campaign's name; default: the segment's.
    save : where "Save as report" writes; without it the panel has no such form.

    Raises
    ------
    UsageError
        If the catalog has no segments or not this one. Whatever else is wrong is said in the panel.

    Examples
    --------
    >>> from analysis.simulation.log import simulate
    >>> shop = Catalog.load("data/catalogs/ecommerce.toml")
    >>> panel = audience_panel(simulate(users=300).log, shop, segment="open_carts", holdout=0.2)
    >>> panel.kwargs()["holdout"], panel.kwargs()["seed"]
    (0.2, 'open_carts')
    """
    if not catalog.segments:
        raise UsageError(
            f"audience_panel: catalog {catalog.name!r} has no segments. Add a table "
            "[segments.NAME] with a rule."
        )
    first = segment or next(iter(catalog.segments))
    one_of("audience_panel: segment", first, catalog.segments)
    labels = {name: catalog.label(name) for name in log.event_names}
    columns = [NOBODY_ASKED, *((wording.label(name), name) for name in log.properties)]
    controls = {
        "segment": dropdown("People who", segment_choices(catalog), first),
        "at": day_picker("As of", day_of(at, "audience_panel: at")),
        "macro": dropdown(
            "Convert to", event_choices(log.event_names, labels), macro or catalog.macro
        ),
        "holdout": dropdown("Held out", _SHARES, holdout),
        "seed": line("Campaign", seed or first, "its name; decides who is held out"),
        "consent": dropdown("Consent in", columns, consent or ""),
    }
    arguments = ("audience_panel", _asker(log, catalog), controls, {"min_cell": min_cell})
    return AudiencePanel(*arguments, path=path, draft=_audience_draft, save=save)


_SHARES: tuple[Choice, ...] = (
    ("(nobody)", 0.0), ("5%", 0.05), ("10%", 0.1), ("20%", 0.2), ("50%", 0.5)
)  # fmt: skip


def _asker(log: EventLog, catalog: Catalog) -> Any:
    def ask(**asked: Any) -> AudienceResult:
        picked = segment(log, asked.pop("segment"), at=asked.pop("at"), catalog=catalog)
        asked["seed"] = asked["seed"] or 0
        return audience(log, picked, **asked)

    return ask


def _audience_draft(given: Mapping[str, Any]) -> Draft:
    asked = {"audience": given["segment"], "holdout": given["holdout"]}
    return Draft(f"Audience {given['segment']}", asked | {"campaign": given["seed"] or ""})
