"""Who is in two funnels, and how much do their rates move together because of it?

People who entered in two periods are in both rates. Where they tend to do the same in both, the
rates rise and fall together, and their difference is surer than that of strangers; where one
purchase ends the need for another, it is less sure. Both are told by one sum over the people.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterator, Mapping
from typing import NamedTuple

import numpy as np

from analysis.core.schema import ALL
from analysis.funnels.chains import ShardChains
from analysis.funnels.counts import previous_required
from analysis.funnels.data import FunnelData
from analysis.funnels.search.blocks import NOT_DONE

Correlations = Mapping[tuple[Hashable, int, str], float]
"""By group, number of the step and basis (``"step"``, ``"funnel"``)."""


def correlations(now: FunnelData, before: FunnelData) -> Correlations:
    """How do the rates of two funnels of the same log correlate, because people are in both?

    Mature chains only, as in the rates. Without anybody in both there is no entry; nor for funnels
    of different logs, or different views of one, which are taken as independent.

    Notes
    -----
    Cov(p1, p2) = Σ (x1 − n1·p1)(x2 − n2·p2) / (N1·N2) over the people in both, who had n chances
    and took x of them, divided by the standard errors of both rates.

    Examples
    --------
    >>> import pandas as pd
    >>> from analysis.eventlog.log import EventLog
    >>> from analysis.funnels.result import funnel
    >>> rows = [(f"u{i}", f"2026-01-{day}", "cart") for i in range(4) for day in ("01", "11")]
    >>> rows += [(f"u{i}", f"2026-01-{day}", "buy") for i in (0, 1) for day in ("02", "12")]
    >>> frame = pd.DataFrame(rows, columns=["user", "time", "event"])
    >>> log = EventLog.from_frame(frame.assign(time=pd.to_datetime(frame.time)),
    ...                           covers_until="2026-02-01")
    >>> one, two = (funnel(log, ["cart", "buy"], entered=bounds) for bounds in
    ...             (("2026-01-01", "2026-01-08"), ("2026-01-08", "2026-01-15")))
    >>> round(correlations(one, two)["all", 2, "funnel"], 6)
    1.0
    """
    if [id(s) for s in now.log.shards] != [id(s) for s in before.log.shards]:
        return {}
    pairs = list(_in_both(now, before))
    if not pairs:
        return {}
    required = previous_required(now.question)
    asked = [(k, int(required[k]), "step") for k in range(1, len(now.steps))]
    asked.append((now.question.conversion - 1, 0, "funnel"))
    both = [name for name in now.sums.names if name in before.sums.names]
    found = {}
    for name in dict.fromkeys([*both, ALL]):
        for k, of, basis in asked:
            sides = [_Rate.of_funnel(own, name, k, of) for own in (now, before)]
            total = sum(
                float((one.residuals(sides[0]) * two.residuals(sides[1])).sum())
                for one, two in pairs
            )
            scale = sides[0].scale * sides[1].scale
            found[name, k + 1, basis] = float(np.clip(total / scale, -1, 1)) if scale else 0.0
    return found


class _Rate(NamedTuple):
    """A rate of one funnel: its group (None: all), its steps from 0, and its standard error · n."""

    group: int | None
    step: int
    of: int
    rate: float
    scale: float

    @classmethod
    def of_funnel(cls, own: FunnelData, name: Hashable, step: int, of: int) -> _Rate:
        sums = own.sums
        place = sums.names.index(name) if name in sums.names else None
        counts = sums.counts[1].sum(axis=0) if place is None else sums.counts[1, place]
        k, n = int(counts[step]), int(counts[of])
        rate = k / n if n else 0.0
        found = cls(place, step, of, rate, float(np.sqrt(n * rate * (1 - rate))))
        if not own.question.repeats_users:
            return found
        sides = [
            _side(part, codes, np.unique(part.users))
            for part, codes in zip(own.parts, own.groups.codes, strict=True)
        ]
        squares = sum(float((side.residuals(found) ** 2).sum()) for side in sides)
        return found._replace(scale=float(np.sqrt(squares)))


class _Side(NamedTuple):
    """The chains, in one funnel, of the people in both: whose, in which group, steps done."""

    person: np.ndarray
    people: int
    group: np.ndarray
    done: np.ndarray

    def residuals(self, rate: _Rate) -> np.ndarray:
        """Per person by how much more often than the rate the step was done."""
        own = self.done[:, rate.of] & (self.group >= 0)
        if rate.group is not None:
            own &= self.group == rate.group
        more = (self.done[own, rate.step] - rate.rate).astype(float)
        return np.bincount(self.person[own], weights=more, minlength=self.people)


def _in_both(now: FunnelData, before: FunnelData) -> Iterator[tuple[_Side, _Side]]:
    """Per shard the chains of the people who have mature ones in both funnels."""
    codes = zip(now.groups.codes, before.groups.codes, strict=True)
    for one, two, (a, b) in zip(now.parts, before.parts, codes, strict=True):
        both = np.intersect1d(one.users[one.mature], two.users[two.mature])
        if len(both):
            yield _side(one, a, both), _side(two, b, both)


def _side(part: ShardChains, groups: np.ndarray, both: np.ndarray) -> _Side:
    own = part.mature & np.isin(part.users, both)
    steps = np.zeros((len(part.reach), part.times.shape[1]), bool)
    steps[:, 0] = True
    steps[part.reach > 1] = part.times != NOT_DONE
    return _Side(np.searchsorted(both, part.users[own]), len(both), groups[own], steps[own])
