"""When people must have entered, as two dates of one time zone; empty means no limit."""

from __future__ import annotations

import datetime
from typing import Any

import ipywidgets
import pandas as pd
import traitlets

from analysis.core import wording
from analysis.core.schema import UsageError
from analysis.widgets.controls import day_picker

UTC = "UTC"


class EntryRange(ipywidgets.VBox):
    """From a day (included) to a day (excluded); `entered` can be observed.

    Parameters
    ----------
    given : the range to begin with: None, or (start, end), each an instant at midnight or None.
        Its time zone is kept; naive instants are UTC.
    said : what to call the two.

    Raises
    ------
    UsageError
        If `given` is no range of whole days of one time zone.
    """

    entered = traitlets.Any(None, allow_none=True)

    def __init__(
        self,
        given: tuple[Any, Any] | None,
        said: tuple[str, str] = ("Entered from", "Entered before"),
    ) -> None:
        days, self._zone = _days(given)
        self.first, self.end = (day_picker(name, day) for name, day in zip(said, days, strict=True))
        super().__init__([self.first, self.end])
        for picker in self.children:
            picker.observe(lambda _: self._tell(), "value")
        self._tell()

    def words(self) -> str:
        """The days of the range for people."""
        first, end = (day and pd.Timestamp(day) for day in (self.first.value, self.end.value))
        if first and end and first < end:
            return wording.days(first, end)
        if first:
            return f"from {wording.day(first, year=True)}"
        return f"before {wording.day(end, year=True)}" if end else "all entries"

    def _tell(self) -> None:
        ends = tuple(self._instant(picker.value) for picker in self.children)
        self.entered = None if ends == (None, None) else ends

    def _instant(self, day: datetime.date | None) -> str | None:
        if day is None:
            return None
        return (
            day.isoformat() if self._zone == UTC else pd.Timestamp(day, tz=self._zone).isoformat()
        )


def _days(given: tuple[Any, Any] | None) -> tuple[list[datetime.date | None], Any]:
    """Two days and the time zone of which they are days."""
    if given is None:
        return [None, None], UTC
    try:
        stamps = [None if instant is None else pd.Timestamp(instant) for instant in given]
    except (TypeError, ValueError) as error:
        raise UsageError(
            f"panel: entered={given!r}. Allowed: (start, end), such as "
            "('2026-11-09', '2026-11-16'), end excluded."
        ) from error
    zones = {str(stamp.tz or UTC): stamp.tz for stamp in stamps if stamp is not None}
    whole = all(stamp is None or stamp == stamp.normalize() for stamp in stamps)
    if len(stamps) != 2 or len(zones) > 1 or not whole:
        raise UsageError(
            f"panel: entered={given!r} is not two whole days of one time zone. Give "
            "midnights, or call the function with entered=..., which takes any instants."
        )
    name, zone = next(iter(zones.items()), (UTC, None))
    return [None if stamp is None else stamp.date() for stamp in stamps], (
        UTC if name == UTC else zone
    )
