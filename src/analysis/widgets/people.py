"""Panels over people picked by the catalog's rules: how segments overlap, and an audience to write.

Both hold names of segments and the day they are asked at. The panel of an audience writes a file
only when its button is pressed.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import ipywidgets

from analysis.catalog import Catalog
from analysis.core import wording
from analysis.core.schema import UsageError, WorkbookError, one_of
from analysis.eventlog.log import EventLog
from analysis.segments.audiences import AudienceResult, audience
from analysis.segments.segment_overlaps import MOST_SETS, OverlapsResult, overlaps
from analysis.segments.segments import segment
from analysis.widgets.choices import Choice, event_choices
from analysis.widgets.controls import day_of, day_picker, dropdown, line, several
from analysis.widgets.panel import QuestionPanel
from analysis.widgets.saving import Draft, SaveTo
from analysis.widgets.segments import segment_choices
from analysis.widgets.words import alert, note

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
