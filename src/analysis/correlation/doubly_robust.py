"""How many more convert of those who had done it by a fixed time than of people like them?

Odds ratios per period say how strong an association is, not how many conversions it is about.
Here everybody who has not converted by the landmark (a day after entry, say) is followed to the
horizon: those who had done the micro conversion by then, and those who had not. The estimate is
doubly robust: it is right if either of two models is right, that of exposure or that of conversion.
Both see only what was known at the landmark.

This refuses to compare people whose like all did it, or all did not. They are left out and counted,
and the figure shows how far both groups overlap. Those who convert before the landmark are left out
too, and counted. What no column holds stays hidden, as everywhere.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final, NamedTuple

import numpy as np
import pandas as pd

from analysis.catalog import Catalog
from analysis.core import checks
from analysis.core.result import Result
from analysis.core.schema import US_PER_DAY, USER, UsageError, duration_us, human_duration
from analysis.core.wording import count, points, share
from analysis.correlation.counts import person_periods
from analysis.correlation.figures_checks import overlap_bars
from analysis.correlation.plan import ACTIVITY, AUTO, entry_rows, left_out_of
from analysis.correlation.table import hide_small_arms, hide_small_bins
from analysis.correlation.verdict import ASSOCIATION
from analysis.eventlog import parallel
from analysis.eventlog.log import EventLog, look_ahead_warnings
from analysis.eventlog.shard import Shard
from analysis.statistics.rates import Z95, newcombe

MIN_PEOPLE: Final = 30

_MIN_CONVERSIONS = 5
_BINS = 20
_COUNTS = ("exposed_k", "exposed_n", "other_k", "other_n")
COLUMNS = ["basis", *_COUNTS, "exposed_rate", "other_rate", "difference", "low", "high", "p_value"]


class People(NamedTuple):
    """The people who are compared: exposure, outcome, and the columns that both models see."""

    exposed: np.ndarray
    converted: np.ndarray
    known: np.ndarray


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


def doubly_robust(  # noqa: PLR0913
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
    since: Any = None,
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
    trim : people are left out whose chance to have done it is below this, or above 1 minus this.
    start : the event with which a user enters; default: the first one, whichever it is.
    since : as in `micro_to_macro`.
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
    log = log.until_end()
    looked, end = _bounds(landmark, horizon, trim)
    few = checks.min_cell("doubly_robust", min_cell)
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
        since=since,
    )
    # The second cell holds only people whose whole horizon the log covers, the first all people.
    mature = _mature_users(log, end, start)
    came = rows[rows["converted"]]
    followed = [user in mature for user in came[USER]]
    early = _early_caveat(came.loc[followed, "period"], looked, few)
    people = _at_landmark(rows, micro, chosen)
    table, chances, kept = estimated(people, float(trim))
    caveats = _caveats(people, kept) if mature else [_unfollowed(end)]
    left_out = left_out_of(log, start, since, "doubly_robust").note
    note = (left_out,) if left_out else ()
    placebos = [name for name in controls or catalog.controls if name in rows and name != micro]
    found = [estimated(_at_landmark(rows, name, chosen), float(trim))[0] for name in placebos]
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
            "since": None if since is None else str(since),
            "min_cell": few,
        },
        warnings=(*note, *early, *caveats, ASSOCIATION, *look_ahead_warnings(log)),
        label=catalog.label(micro),
        overlap=hide_small_bins(_overlap(people.exposed, chances, kept), few),
        controls=hide_small_arms(_controls_table(placebos, found), few),
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


def _mature_users(log: EventLog, horizon_us: int, start: str | None) -> set[str]:
    """Users whose whole horizon the log covers."""
    last = log.covers_until_us - horizon_us

    def users(shard: Shard) -> list[str]:
        first = entry_rows(shard, log=log, start=start)
        early = np.flatnonzero(first >= 0)
        early = early[shard.time[first[early]] <= last]
        return shard.users.take(early).to_pylist()

    return {name for part in parallel.map_shards(log.shards, users) for name in part}


def _early_caveat(came: pd.Series, landmark_us: int, min_cell: int) -> list[str]:
    """How many conversions the landmark leaves out, as a caveat; `came` is the cell of each."""
    early = int((came == 0).sum())
    if len(came) < max(min_cell, 1):
        return []
    gone = share(early, len(came), early / len(came))
    return [
        f"{gone} of the conversions come before the landmark, within "
        f"{human_duration(landmark_us)} of entry: they are left out."
    ]


def _at_landmark(rows: pd.DataFrame, micro: str, adjust: list[str]) -> People:
    """Everybody at risk at the landmark, and whether they converted later.

    Parameters
    ----------
    rows : as `person_periods` gives them; the first period is up to the landmark.
    """
    later = rows[rows["period"] >= 1]
    converted = later.groupby(USER, sort=False)["converted"].any()
    here = later[later["period"] == 1]
    columns = [np.ones(len(here))]
    if ACTIVITY in adjust:
        activity = np.log1p(here[ACTIVITY].to_numpy(float))
        columns += [activity, activity**2]
    for name in adjust:
        if name != ACTIVITY:
            levels = here[name].astype(str)
            counts = levels.value_counts()
            # The most frequent value is what the others are compared with.
            columns += [
                (levels == level).to_numpy(float)
                for level in counts.index[1:]
                if counts[level] >= MIN_PEOPLE
            ]
    exposed = here[micro].to_numpy(bool)
    outcome = converted.reindex(here[USER]).to_numpy(bool)
    return People(exposed, outcome, np.column_stack(columns))


def estimated(people: People, trim: float) -> tuple[pd.DataFrame, np.ndarray, np.ndarray]:
    """By how much do the rates of both groups differ, crude and between people who are alike?

    Parameters
    ----------
    trim : people are left out whose chance of exposure is below this, or above 1 minus this.

    Returns
    -------
    Two rows, ``basis`` ``"crude"`` (Newcombe's interval) and ``"doubly robust"``; everybody's
    chance of exposure; and whether they were kept. NaN where there are fewer than 30 people or 5
    conversions in a group.

    Notes
    -----
    As in `doubly_robust`.

    Examples
    --------
    >>> rng = np.random.default_rng(1)
    >>> exposed, converted = rng.random(900) < 0.4, rng.random(900) < 0.2
    >>> table, chances, kept = estimated(People(exposed, converted, np.ones((900, 1))), 0.02)
    >>> bool(kept.all()), bool(np.allclose(chances, exposed.mean()))
    (True, True)
    """
    exposed, converted = people.exposed, people.converted
    n, k = exposed.sum(), (exposed & converted).sum()
    chances = np.full(len(exposed), np.nan)
    kept = np.ones(len(exposed), bool)
    robust: dict[str, float] = {}
    few = min(n, len(exposed) - n) < MIN_PEOPLE
    rare = min(k, converted.sum() - k) < _MIN_CONVERSIONS
    if not few and not rare:
        chances = _chances(exposed, people.known)
        kept = (chances >= trim) & (chances <= 1 - trim)
        own = People(exposed[kept], converted[kept], people.known[kept])
        if min(own.exposed.sum(), (~own.exposed).sum()) >= MIN_PEOPLE:
            robust = _aipw(own)
    crude = _counted(exposed, converted)
    rates = newcombe(*(int(crude[name]) for name in _COUNTS)) if len(exposed) else None
    if rates is not None:
        crude |= dict(zip(("difference", "low", "high"), map(float, rates), strict=True))
    shown = _counted(exposed[kept], converted[kept])
    shown |= {"exposed_rate": np.nan, "other_rate": np.nan} | robust
    table = pd.DataFrame([{"basis": "crude", **crude}, {"basis": "doubly robust", **shown}])
    return table.reindex(columns=COLUMNS), chances, kept


def _counted(exposed: np.ndarray, converted: np.ndarray) -> dict[str, float]:
    counts = {
        "exposed_k": int((exposed & converted).sum()),
        "exposed_n": int(exposed.sum()),
        "other_k": int((~exposed & converted).sum()),
        "other_n": int((~exposed).sum()),
    }
    rates = {
        f"{arm}_rate": counts[f"{arm}_k"] / counts[f"{arm}_n"] if counts[f"{arm}_n"] else np.nan
        for arm in ("exposed", "other")
    }
    return counts | rates


def _chances(exposed: np.ndarray, known: np.ndarray) -> np.ndarray:
    """Everybody's chance to have done it, given what was known; those alike count as one cell."""
    from statsmodels.genmod.families import Binomial
    from statsmodels.genmod.generalized_linear_model import GLM

    place = pd.DataFrame(known).groupby(list(range(known.shape[1])), sort=False).ngroup().to_numpy()
    # Groups are numbered as they come, so the first row of each stands for it.
    cells = known[~pd.Series(place).duplicated().to_numpy()]
    n, done = np.bincount(place), np.bincount(place, weights=exposed)
    if np.linalg.matrix_rank(cells) >= len(cells):
        # As many parameters as cells: the model is each cell's own share.
        return np.asarray(done / n)[place]
    fit = GLM(np.column_stack([done, n - done]), cells, family=Binomial()).fit()
    return np.asarray(fit.predict(cells))[place]


def _aipw(people: People) -> dict[str, float]:
    from scipy.stats import norm
    from statsmodels.discrete.discrete_model import Logit
    from statsmodels.regression.linear_model import OLS
    from statsmodels.treatment.treatment_effects import TreatmentEffect

    t, y = people.exposed.astype(float), people.converted.astype(float)
    select = Logit(t, people.known).fit(disp=False)
    model = TreatmentEffect(OLS(y, people.known), t, results_select=select)
    difference, other, exposed = model.aipw(return_results=False)
    chance = np.asarray(select.predict())
    one, none = (r.predict(people.known) for r in (model.results1, model.results0))
    influence = one - none + t * (y - one) / chance - (1 - t) * (y - none) / (1 - chance)
    se = float(influence.std() / np.sqrt(len(y)))
    found = {"exposed_rate": float(exposed), "other_rate": float(other)}
    found |= {"difference": float(difference), "low": float(difference - Z95 * se)}
    p_value = float(2 * norm.sf(abs(difference) / se)) if se > 0 else np.nan
    return found | {"high": float(difference + Z95 * se), "p_value": p_value}


def _caveats(people: People, kept: np.ndarray) -> list[str]:
    if not people.converted.any():
        return ["Nobody converted between the landmark and the end of the horizon."]
    left_out = int((~kept).sum())
    if not left_out:
        return []
    gone = share(left_out, len(kept), left_out / len(kept))
    return [f"{gone} of the users have no like in the other group: left out."]


def _unfollowed(end: int) -> str:
    within = human_duration(end)
    return f"The log follows nobody for the whole horizon of {within}. Take a shorter horizon."


def _overlap(exposed: np.ndarray, chances: np.ndarray, kept: np.ndarray) -> pd.DataFrame:
    edges = np.linspace(0, 1, _BINS + 1)
    place = np.clip(np.digitize(chances, edges) - 1, 0, _BINS - 1)
    known = ~np.isnan(chances)

    def people(these: np.ndarray) -> np.ndarray:
        return np.bincount(place[these & known], minlength=_BINS)

    counts = {
        "exposed": people(exposed & kept),
        "other": people(~exposed & kept),
        "trimmed": people(~kept),
    }
    return pd.DataFrame({"low": edges[:-1], "high": edges[1:], **counts})


def _controls_table(names: list[str], tables: list[pd.DataFrame]) -> pd.DataFrame:
    rows = [table.tail(1).assign(event=name) for name, table in zip(names, tables, strict=True)]
    table = pd.concat(rows, ignore_index=True) if rows else pd.DataFrame(columns=["event"])
    return table.reindex(columns=["event", *COLUMNS[1:]]).astype(dict.fromkeys(COLUMNS[1:], float))
