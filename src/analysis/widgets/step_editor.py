"""Which steps and exclusions does a funnel have? Rows of controls that make them by hand.

`StepList` has a row per step, its event in sight and the rest of it folded away. `ExclusionList`
has a row per event that may not happen between two steps. Conditions on properties are a line of
text, spelled as a report's definition spells them.

The rows refuse conditions that cannot be read; whether a step makes sense is for `funnel` to say.
"""

from __future__ import annotations

import tomllib
from collections.abc import Mapping, Sequence
from typing import Any, Final

import ipywidgets
import tomlkit
import traitlets

from analysis.core.schema import UsageError
from analysis.funnels.spec import Exclusion, Step
from analysis.reports.definition import plain
from analysis.widgets.controls import NO_LIMIT, Choice, step_choices, window_choices

_STYLE: Final = {"description_width": "6rem"}

_WIDE: Final = ipywidgets.Layout(width="24rem")


# Steps


class StepList(ipywidgets.VBox):
    """Steps to choose, with Add and Remove; `moves` counts the changes and can be observed.

    They are dropdowns because each has a label of its own that a screen reader and a test can
    find, which a field of tags does not. Rows are kept when others come and go, so the keyboard's
    focus stays.

    Parameters
    ----------
    options : (label, event) of everything that can be chosen.
    chosen : the steps to begin with, at least one.
    labels : what people call events.
    most : no more steps than this can be added.
    """

    moves = traitlets.Int(0)

    def __init__(
        self,
        options: Sequence[Choice],
        chosen: Sequence[Step],
        *,
        labels: Mapping[str, str],
        most: int,
    ) -> None:
        self._options, self._labels, self._most = list(options), labels, most
        self._rows: list[StepRow] = []
        self._add = ipywidgets.Button(
            description="Add step", icon="plus", layout=ipywidgets.Layout(margin="2px 2px 2px 5rem")
        )
        self._add.on_click(lambda _: self.add(self._unused()))
        super().__init__()
        self._rows = [self._row(step) for step in chosen]
        self._arrange()

    @property
    def events(self) -> tuple[str, ...]:
        """The event of each step; the first one where a step has alternatives."""
        return tuple(row.event.value for row in self._rows)

    def steps(self, *, short: bool = False) -> list[Any]:
        """The steps as `funnel` takes them, plain; `short` leaves out what the catalog says."""
        return [row.step(short=short) for row in self._rows]

    def add(self, event: str) -> None:
        """Add a step at the end."""
        self._rows.append(self._row(Step(event)))
        self._arrange()

    def remove(self, number: int) -> None:
        """Remove a step, counted from 1."""
        row = self._rows.pop(number - 1)
        self._arrange()
        for part in (*row.details.children, *row.children, row):
            part.close()

    def _row(self, step: Step) -> StepRow:
        row = StepRow(self._options, step, self._labels)
        row.observe(lambda _: self._moved(), "moves")
        row.gone.on_click(lambda _: self.remove(self._rows.index(row) + 1))
        return row

    def _arrange(self) -> None:
        for number, row in enumerate(self._rows, start=1):
            row.number(number, alone=len(self._rows) == 1)
        self._add.disabled = len(self._rows) >= self._most
        self.children = (*self._rows, self._add)
        self._moved()

    def _moved(self) -> None:
        self.moves += 1

    def _unused(self) -> str:
        known = [event for _, event in self._options]
        return next((event for event in known if event not in self.events), known[0])


class StepRow(ipywidgets.HBox):
    """One step, its event in sight and the rest folded away; `event` and `moves` can be observed.

    Parameters
    ----------
    options : (label, event) of everything that can be chosen.
    given : the step to begin with.
    labels : what people call events; a step called otherwise keeps a label of its own.

    Attributes
    ----------
    event, others, where, within, optional, called : the controls.
    gone, more : the buttons that remove the step and show its details.
    details : what is folded away.
    moves : how many changes there were.
    """

    moves = traitlets.Int(0)

    def __init__(self, options: Sequence[Choice], given: Step, labels: Mapping[str, str]) -> None:
        self._labels = labels
        first, *others = given.events
        self.event = ipywidgets.Dropdown(
            options=options,
            value=first,
            style={"description_width": "4.5rem"},
            layout=ipywidgets.Layout(width="22rem"),
        )
        self.gone = ipywidgets.Button(icon="times", layout=ipywidgets.Layout(width="2.4rem"))
        self.more = ipywidgets.ToggleButton(
            icon="ellipsis-h", layout=ipywidgets.Layout(width="2.4rem")
        )
        self.others = ipywidgets.SelectMultiple(
            options=options,
            value=tuple(others),
            description="Or any of",
            rows=4,
            style=_STYLE,
            layout=_WIDE,
        )
        self.where = where_field(given.where)
        limits, limit = window_choices(given.within or "", none=NO_LIMIT)
        self.within = ipywidgets.Dropdown(
            options=limits, value=limit, description="Within", style=_STYLE, layout=_WIDE
        )
        self.optional = ipywidgets.Checkbox(
            value=given.optional, description="May be skipped", style=_STYLE, layout=_WIDE
        )
        own = given.label or ""
        self.called = ipywidgets.Text(
            value="" if own == self._usual_label(given.events) else own,
            description="Called",
            placeholder="as the event",
            continuous_update=False,
            style=_STYLE,
            layout=_WIDE,
        )
        self.details = ipywidgets.VBox(
            [self.others, self.where, self.within, self.optional, self.called]
        )
        self.more.value = len(given.events) > 1 or bool(
            given.where or given.within or given.optional
        )
        super().__init__(
            [self.event, self.gone, self.more, self.details],
            layout=ipywidgets.Layout(flex_flow="row wrap", width="29rem"),
        )
        self._fold()
        self.more.observe(lambda _: self._fold(), "value")
        for control in (self.event, *self.details.children):
            control.observe(lambda _: self._moved(), "value")

    def number(self, number: int, *, alone: bool) -> None:
        """Say which step it is; the only one cannot be removed."""
        self.event.description = f"Step {number}"
        self.gone.tooltip = f"Remove step {number}"
        self.more.tooltip = f"Details of step {number}"
        self.gone.disabled = alone

    def step(self, *, short: bool = False) -> Any:
        """The step as `funnel` takes it, plain; `short` leaves out what the catalog says.

        Raises
        ------
        UsageError
            If the conditions cannot be read.
        """
        events = tuple(dict.fromkeys([self.event.value, *self.others.value]))
        bare = Step(
            events[0] if len(events) == 1 else list(events),
            where=conditions(self.where.value),
            within=self.within.value or None,
            optional=self.optional.value,
            label=self.called.value.strip() or None,
        )
        if short and isinstance(bare.plain(), str):
            return bare.event
        label = bare.label or self._usual_label(events)
        return Step(bare.event, bare.where, bare.within, bare.optional, label).plain()

    def _usual_label(self, events: Sequence[str]) -> str | None:
        if not any(event in self._labels for event in events):
            return None
        return " or ".join(self._labels.get(event, event) for event in events)

    def _fold(self) -> None:
        self.details.layout.display = None if self.more.value else "none"

    def _moved(self) -> None:
        self.moves += 1


# Exclusions

UNNAMED: Final = 0
"""Stands for a step that is not named: the first one after, the last one before."""


class ExclusionList(ipywidgets.VBox):
    """Exclusions to choose; `moves` counts the changes and can be observed.

    Parameters
    ----------
    options : (label, event) of everything that can be excluded.
    given : the exclusions to begin with.
    steps : how many steps the funnel has.
    """

    moves = traitlets.Int(0)

    def __init__(self, options: Sequence[Choice], given: Sequence[Exclusion], steps: int) -> None:
        self._options, self._steps = list(options), steps
        self._add = ipywidgets.Button(
            description="Exclude an event", icon="ban", layout=ipywidgets.Layout(width="auto")
        )
        self._add.on_click(lambda _: self.add(Exclusion(self._options[0][1])))
        super().__init__()
        self._rows = [self._row(one) for one in given]
        self._arrange()

    def exclusions(self) -> list[dict[str, Any]]:
        """The exclusions as `funnel` takes them, plain."""
        return [row.exclusion() for row in self._rows]

    def add(self, exclusion: Exclusion) -> None:
        """Add an exclusion at the end."""
        self._rows.append(self._row(exclusion))
        self._arrange()

    def remove(self, number: int) -> None:
        """Remove an exclusion, counted from 1."""
        row = self._rows.pop(number - 1)
        self._arrange()
        for part in (*row.children, row):
            part.close()

    def _row(self, exclusion: Exclusion) -> ExclusionRow:
        row = ExclusionRow(self._options, exclusion, self._steps)
        row.gone.on_click(lambda _: self.remove(self._rows.index(row) + 1))
        for control in (row.event, row.after, row.before, row.where):
            control.observe(lambda _: self._moved(), "value")
        return row

    def _arrange(self) -> None:
        for number, row in enumerate(self._rows, start=1):
            row.number(number)
        self.children = (*self._rows, self._add)
        self._moved()

    def _moved(self) -> None:
        self.moves += 1


class ExclusionRow(ipywidgets.HBox):
    """One exclusion: its controls are `event`, `after`, `before` and `where`; `gone` removes it."""

    def __init__(self, options: Sequence[Choice], given: Exclusion, steps: int) -> None:
        names = given.events
        event = names[0] if len(names) == 1 else names
        known: list[tuple[str, Any]] = list(options)
        if event not in [value for _, value in known]:
            known.append((" or ".join(names), event))
        self.event = ipywidgets.Dropdown(
            options=known,
            value=event,
            style={"description_width": "4.5rem"},
            layout=ipywidgets.Layout(width="22rem"),
        )
        self.after = _step_dropdown("After", given.after or UNNAMED, steps, "first step")
        self.before = _step_dropdown("Before", given.before or UNNAMED, steps, "last step")
        self.where = where_field(given.where)
        self.gone = ipywidgets.Button(icon="times", layout=ipywidgets.Layout(width="2.4rem"))
        super().__init__(
            [self.event, self.after, self.before, self.where, self.gone],
            layout=ipywidgets.Layout(flex_flow="row wrap"),
        )

    def number(self, number: int) -> None:
        """Say which exclusion it is."""
        self.event.description = f"Exclude {number}"
        self.gone.tooltip = f"Remove exclusion {number}"

    def exclusion(self) -> dict[str, Any]:
        """The exclusion as `funnel` takes it, plain."""
        event = self.event.value
        return Exclusion(
            event,
            after=self.after.value or None,
            before=self.before.value or None,
            where=conditions(self.where.value),
        ).plain()


def _step_dropdown(description: str, given: int, steps: int, unnamed: str) -> ipywidgets.Dropdown:
    return ipywidgets.Dropdown(
        options=step_choices(steps, given, [(unnamed, UNNAMED)]),
        value=given,
        description=description,
        style={"description_width": "3.5rem"},
        layout=ipywidgets.Layout(width="11rem"),
    )


# Conditions

EXAMPLE: Final = 'device = "mobile", value = ">= 50"'


def where_field(where: Mapping[str, Any] | None) -> ipywidgets.Text:
    """A field for conditions; read when Enter is pressed or the field is left."""
    return ipywidgets.Text(
        value=spelled(where),
        description="Only where",
        placeholder=EXAMPLE,
        continuous_update=False,
        style=_STYLE,
        layout=_WIDE,
    )


def conditions(text: str) -> dict[str, Any] | None:
    """The conditions that a line of text spells, None for an empty line.

    It is one line of TOML: what is typed here stands in the definition later, types included.

    Raises
    ------
    UsageError
        If the text cannot be read.

    Examples
    --------
    >>> conditions('device = ["mobile", "tablet"], value = ">= 50"')
    {'device': ['mobile', 'tablet'], 'value': '>= 50'}
    """
    if not text.strip():
        return None
    try:
        read = tomllib.loads(f"where = {{{text}}}")
    except tomllib.TOMLDecodeError:
        read = {}
    if list(read) != ["where"] or "\n" in text:
        raise UsageError(
            f"funnel_panel: where: {text!r} cannot be read. Allowed: property = value, texts in "
            f"quotes, such as {EXAMPLE}."
        )
    found: dict[str, Any] = read["where"]
    return found or None


def spelled(where: Mapping[str, Any] | None) -> str:
    """Conditions as a line of text; `conditions` reads it back.

    Raises
    ------
    UsageError
        If a value is neither text, number, true or false, nor a list of these.

    Examples
    --------
    >>> spelled({"device": ("mobile", "tablet"), "value": ">= 50"})
    'device = ["mobile", "tablet"], value = ">= 50"'
    """
    if not where:
        return ""
    table = tomlkit.inline_table()
    table.update(plain(where, "funnel_panel: where"))
    return table.as_string().strip().removeprefix("{").removesuffix("}").strip()
