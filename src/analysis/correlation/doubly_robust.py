"""Those who had done it by a fixed time against people like them: a difference of rates.

Odds ratios per period say how strong an association is, not how many conversions it is about.
Here everybody who has not converted by the landmark (a day after entry, say) is followed to the
horizon: those who had done the micro conversion by then, and those who had not. The estimate is
doubly robust: it is right if either the model of who does it or the model of who converts is. Both
see only what was known at the landmark.

People whose like all did it, or all did not, cannot be compared. They are left out and counted, and
the figure shows how far both groups overlap. What no column holds stays hidden, as everywhere.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from analysis.catalog import Catalog
from analysis.core.result import Result
from analysis.core.schema import US_PER_DAY, USER, UsageError, duration_us, human_duration
from analysis.core.wording import count, points, share
from analysis.correlation.aipw import COLUMNS, People, estimated
from analysis.correlation.exposure_cells import AUTO
from analysis.correlation.figures_checks import overlap_bars
from analysis.correlation.landmarks import ACTIVITY, at_landmark, mature_users, said_of_early
from analysis.correlation.micro_cells import checked_cell, hide_small_arms, hide_small_bins
from analysis.correlation.person_periods import person_periods
from analysis.correlation.result import ASSOCIATION
from analysis.eventlog.hindsight import hindsight
from analysis.eventlog.log import EventLog

_BINS = 20


@dataclass(frozen=True, eq=False, kw_only=True)
class DoublyRobustResult(Result):
    """The answer of `doubly_robust`.

    ``table`` has two rows, ``basis`` ``"crude"`` and ``"doubly robust"``: ``exposed_k`` of
    ``exposed_n`` who had done it converted, ``other_k`` of ``other_n`` of the others;
    ``exposed_rate`` and ``other_rate`` (of the doubly robust row: if all were like each other);
    ``difference, low, high`` of the rates, ``p_value``.

    ``overlap`` has a row per bin of the chance to have done it, given what was known:
    ``low, high``; people who were kept, ``exposed`` and ``other``; those left out, ``trimmed``.

    ``controls`` has the doubly robust row of each negative control, by ``event``: what the same
    method finds where there is nothing to find.
    """

    label: str
    overlap: pd.DataFrame
    controls: pd.DataFrame
    landmark_us: int
    horizon_us: int

    def sentence(self) -> str:
        """The difference of the rates with its interval and n, crude and doubly robust."""
        crude, robust = (row for _, row in self.table.iterrows())
        when = human_duration(self.landmark_us)
        if pd.isna(crude["exposed_n"]):
            return f"{self.label}: too few people to show."
        if pd.isna(robust["difference"]):
            return (
                f"{self.label}: not enough data: {count(crude['exposed_n'])} users had done it "
                f"{when} after entry, and {count(crude['exposed_k'])} of them converted later."
            )
        return (
            f"Of users who had done “{self.label}” {when} after entry, "
            f"{share(crude['exposed_k'], crude['exposed_n'], crude['exposed_rate'])} converted "
            f"within {human_duration(self.horizon_us)}; {points(robust['difference'])} points "
            f"(95% interval {points(robust['low'])} to {points(robust['high'])}) against others "
            f"like them (n = {count(robust['exposed_n'])} and {count(robust['other_n'])}). "
            f"Crude: {points(crude['difference'])} points "
            f"({points(crude['low'])} to {points(crude['high'])}).{self._next_to_controls()}"
        )

    def _next_to_controls(self) -> str:
        known = self.controls["difference"].dropna()
        if not len(known):
            return ""
        ends = f"{points(known.min())} to {points(known.max())}"
        return f" For {count(len(known))} negative controls the same method finds {ends} points."

    def figure(self) -> Any:
        """How far both groups overlap."""
        return overlap_bars(self.overlap)


def doubly_robust(
    log: EventLog,
    catalog: Catalog,
    micro: str,
    *,
    landmark: Any = AUTO,
    horizon: Any = "30d",
    adjust: Sequence[str] = (ACTIVITY,),
    macro: str | None = None,
    controls: Sequence[str] | None = None,
    trim: float = 0.02,
    start: str | None = None,
    min_cell: int = 1,
) -> DoublyRobustResult:
    """How many more converted of those who had done it than of people like them?

    Parameters
    ----------
    micro : name of an event. landmark : how long after entry to look at what was done; those who
        have converted by then are not in it. ``"auto"``: a day, or a quarter of a horizon that is
        shorter than four. horizon : until when to follow, since entry.
    adjust : ``"activity"`` (context events by the landmark), and properties at the first event.
    macro, controls : names of events, if not those of the catalog.
    trim : whoever's chance to have done it is below this, or above 1 minus this, is left out.
    start : the event with which a user enters; default: the first one, whichever it is.
    min_cell : numbers about fewer users than this are hidden; 1 shows all.

    Raises
    ------
    UsageError
        If a name is unknown, an argument out of range, or the landmark not before the horizon.

    Notes
    -----
    Augmented inverse-probability weighting (Robins, Rotnitzky & Zhao 1994, *J Am Stat Assoc*
    89:846–866) by statsmodels: logistic model of exposure, linear models of the outcome in each
    group. The standard error is that of the influence function (Lunceford & Davidian 2004, *Stat
    Med* 23:2937–2960); trimming after Crump et al. 2009 (*Biometrika* 96:187–199), with a model
    fitted anew. Landmark: Anderson, Cain & Gelber 1983. Only users whose whole horizon the log
    covers take part.

    Examples
    --------
    >>> from analysis.simulation.log import simulate
    >>> shop = Catalog.load("data/catalogs/ecommerce.toml")
    >>> result = doubly_robust(simulate(users=4000).log, shop, "video_start", horizon="14d")
    >>> result.table["basis"].to_list()
    ['crude', 'doubly robust']
    """
    looked, end = _bounds(landmark, horizon, trim)
    few = checked_cell(min_cell, "doubly_robust")
    chosen = [adjust] if isinstance(adjust, str) else list(adjust)
    rows = person_periods(
        log,
        catalog,
        macro=macro,
        micros=[micro],
        controls=controls,
        period=[pd.Timedelta(looked, "us")],
        horizon=horizon,
        adjust=chosen,
        start=start,
    )
    # The second cell has only those whose whole horizon the log covers; of the first it is asked.
    mature = mature_users(log, end, start)
    came = rows[rows["converted"]]
    followed = [user in mature for user in came[USER]]
    early = said_of_early(came.loc[followed, "period"], looked, few)
    people = at_landmark(rows, micro, chosen)
    table, chances, kept = estimated(people, float(trim))
    said = _caveats(people, kept, few) if mature else [_unfollowed(end)]
    placebos = [name for name in controls or catalog.controls if name in rows and name != micro]
    found = [estimated(at_landmark(rows, name, chosen), float(trim))[0] for name in placebos]
    return DoublyRobustResult(
        table=hide_small_arms(table, few),
        parameters={
            "micro": micro,
            "macro": catalog.macro if macro is None else macro,
            "landmark": str(landmark),
            "horizon": str(horizon),
            "adjust": chosen,
            "trim": float(trim),
            "start": start,
            "min_cell": few,
        },
        warnings=(*early, *said, ASSOCIATION, *hindsight(log)),
        label=catalog.label(micro),
        overlap=hide_small_bins(_overlap(people.exposed, chances, kept), few),
        controls=hide_small_arms(_of_controls(placebos, found), few),
        landmark_us=looked,
        horizon_us=end,
    )


def _bounds(landmark: Any, horizon: Any, trim: Any) -> tuple[int, int]:
    end = duration_us(horizon, "doubly_robust: horizon")
    start = min(US_PER_DAY, end // 4)
    if not (isinstance(landmark, str) and landmark == AUTO):
        start = duration_us(landmark, "doubly_robust: landmark")
    if start >= end:
        raise UsageError(
            f"doubly_robust: landmark={landmark!r} is not before horizon={horizon!r}. "
            "Take an earlier landmark."
        )
    if isinstance(trim, bool) or not isinstance(trim, (int, float)) or not 0 <= trim < 0.5:
        raise UsageError(f"doubly_robust: trim={trim!r}. Allowed: a fraction from 0 to 0.5.")
    return start, end


def _unfollowed(end: int) -> str:
    within = human_duration(end)
    return f"The log follows nobody for the whole horizon of {within}. Take a shorter horizon."


def _caveats(people: People, kept: np.ndarray, min_cell: int) -> list[str]:
    if not people.converted.any():
        return ["Nobody converted between the landmark and the end of the horizon."]
    left_out = int((~kept).sum())
    if not left_out:
        return []
    gone = share(left_out, len(kept), left_out / len(kept))
    if left_out < min_cell:
        gone = f"Fewer than {min_cell} of {count(len(kept))}"
    return [f"{gone} of the users have no like in the other group: left out."]


def _of_controls(names: list[str], tables: list[pd.DataFrame]) -> pd.DataFrame:
    rows = [table.tail(1).assign(event=name) for name, table in zip(names, tables, strict=True)]
    table = pd.concat(rows, ignore_index=True) if rows else pd.DataFrame(columns=["event"])
    return table.reindex(columns=["event", *COLUMNS[1:]]).astype(dict.fromkeys(COLUMNS[1:], float))


def _overlap(exposed: np.ndarray, chances: np.ndarray, kept: np.ndarray) -> pd.DataFrame:
    edges = np.linspace(0, 1, _BINS + 1)
    place = np.clip(np.digitize(chances, edges) - 1, 0, _BINS - 1)
    known = ~np.isnan(chances)

    def people(who: np.ndarray) -> np.ndarray:
        return np.bincount(place[who & known], minlength=_BINS)

    counts = {
        "exposed": people(exposed & kept),
        "other": people(~exposed & kept),
        "trimmed": people(~kept),
    }
    return pd.DataFrame({"low": edges[:-1], "high": edges[1:], **counts})
