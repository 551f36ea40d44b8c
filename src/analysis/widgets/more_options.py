"""The options of a funnel that are not turned every day, folded away under one heading."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import ipywidgets

from analysis.eventlog.log import EventLog
from analysis.funnels.funnel_steps import as_exclusions
from analysis.widgets.choices import Choice, breakdown_choices, property_choices, step_choices
from analysis.widgets.controls import APART, STYLE, WIDE, dropdown, several
from analysis.widgets.exclusions import ExclusionList

COUNTS: tuple[Choice, ...] = (("Each unit once", "units"), ("Every attempt", "attempts"))


ENTRIES: tuple[Choice, ...] = (("The furthest chain", "best"), ("The first entry", "first"))


EFFECTS: tuple[Choice, ...] = (
    ("ends the attempt", "end_attempt"),
    ("drops the attempt", "drop_attempt"),
    ("drops the unit", "drop_unit"),
)


TIES: tuple[Choice, ...] = (("In whichever order helps", "lenient"), ("Not at all", "strict"))


READ_AT: tuple[Choice, ...] = (
    ("at entry", "entry"),
    ("at first touch", "first_touch"),
    ("at last touch", "last_touch"),
)


class MoreOptions(ipywidgets.Accordion):
    """Exclusions, what counts, and how groups are read; `arguments` tells them.

    Parameters
    ----------
    log : whose properties can be chosen.
    events : (label, event) of everything that can be excluded.
    start : arguments of `funnel` to begin with. second : the second property of the breakdown.
    """

    def __init__(
        self, log: EventLog, events: Sequence[Choice], start: Mapping[str, Any], second: str
    ) -> None:
        steps = len(start["steps"])
        hold = [start["hold"]] if isinstance(start["hold"], str) else list(start["hold"])
        self.exclude = ExclusionList(events, as_exclusions(start["exclude"]), steps)
        self.on_exclude = dropdown("An exclusion", EFFECTS, start["on_exclude"])
        self.count = dropdown("Count", COUNTS, start["count"])
        self.entry = dropdown("Take", ENTRIES, start["entry"])
        self.ties = dropdown("Same instant", TIES, start["ties"])
        self.hold = several("Hold the same", property_choices(log, hold), hold)
        self.second = dropdown("And by", breakdown_choices(log, second or None), second)
        self.by_at = dropdown(
            "Read it", step_choices(steps, start["by_at"], READ_AT), start["by_at"]
        )
        self.top = ipywidgets.IntText(
            value=start["top"], description="Most groups", style=STYLE, layout=WIDE
        )
        counting = ipywidgets.VBox([self.count, self.entry, self.ties, self.hold])
        groups = ipywidgets.VBox([self.second, self.by_at, self.top, self.on_exclude])
        sides = ipywidgets.HBox([counting, groups], layout=APART)
        super().__init__([ipywidgets.VBox([self.exclude, sides])], titles=("More options",))

    def arguments(self) -> dict[str, Any]:
        """The arguments of `funnel` that are set here, the breakdown aside."""
        return {
            "count": self.count.value,
            "entry": self.entry.value,
            "hold": list(self.hold.value),
            "exclude": self.exclude.exclusions(),
            "on_exclude": self.on_exclude.value,
            "by_at": self.by_at.value,
            "top": self.top.value,
            "ties": self.ties.value,
        }

    def watched(self) -> list[tuple[ipywidgets.Widget, str]]:
        """What to observe: controls, and the trait of each that changes."""
        single = (self.on_exclude, self.count, self.entry, self.ties, self.hold)
        return [
            (self.exclude, "moves"),
            *((control, "value") for control in (*single, self.second, self.by_at, self.top)),
        ]
