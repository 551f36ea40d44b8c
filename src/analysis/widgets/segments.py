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
from analysis.core.schema import UsageError, WorkbookError, one_of
from analysis.core.wording import label
from analysis.eventlog.log import EventLog
from analysis.segments.comparison import ComparisonResult, compare_segments
from analysis.segments.result import Segment
from analysis.segments.segments import segment
from analysis.widgets.choices import FALSE_ALARMS, Choice, window_choices
from analysis.widgets.controls import APART, day_of, day_picker, dropdown, several
from analysis.widgets.drawing import bundle
from analysis.widgets.saving import Draft, SaveForm, SaveTo, check_answered
from analysis.widgets.words import alert, answer, note

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
        If the catalog has no segments or not these, or `at` is no day. Whatever else the two
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
