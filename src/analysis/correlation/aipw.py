"""Two groups and what was known of everybody: a difference of rates, crude and doubly robust.

Plain arrays in, numbers out. The estimate is right if either of two models is: the one of who is
exposed, or the one of who converts in each group.
"""

from __future__ import annotations

from typing import Final, NamedTuple

import numpy as np
import pandas as pd

from analysis.statistics.odds_ratios import Z95
from analysis.statistics.stats import newcombe

MIN_PEOPLE: Final = 30


_MIN_CONVERSIONS = 5


_COUNTS = ("exposed_k", "exposed_n", "other_k", "other_n")


COLUMNS = ["basis", *_COUNTS, "exposed_rate", "other_rate", "difference", "low", "high", "p_value"]


class People(NamedTuple):
    """Who is compared: exposure, outcome, and the columns that both models see."""

    exposed: np.ndarray
    converted: np.ndarray
    known: np.ndarray


def estimated(people: People, trim: float) -> tuple[pd.DataFrame, np.ndarray, np.ndarray]:
    """By how much do the rates of both groups differ, crude and between people who are alike?

    Parameters
    ----------
    trim : whoever's chance of exposure is below this, or above 1 minus this, is left out.

    Returns
    -------
    Two rows, ``basis`` ``"crude"`` (Newcombe's interval) and ``"doubly robust"``; everybody's
    chance of exposure; and who was kept. NaN where there are fewer than 30 people or 5 conversions
    in a group.

    Notes
    -----
    As in `doubly_robust.doubly_robust`.

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
        crude |= dict(zip(("difference", "low", "high"), rates, strict=True))
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
