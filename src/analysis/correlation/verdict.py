"""What may be said of a micro conversion? One word by a fixed rule, and the reason in words.

The rule looks at intervals and never at an estimate: the largest odds ratio of a scan is, a third
of the time, that of an event that has nothing to do with converting. It looks at the calibrated
interval where it can, because an adjusted one still finds something in a click on the footer. The
first that matches wins:

1. ``structural``: the catalog calls it a milestone, or nearly all conversions had it just before:
   no ratio is judged. Whether the way leads through it is said by how many did it before.
2. ``not_enough_data``: most conversions come before anything could precede them, or the adjusted
   interval spans more than a factor of 4.
3. ``leads``, 4. ``inverse``: the calibrated interval lies clear of 1, and not by chance alone
   among all that were looked at.
5. ``vanity``: the calibrated interval lies so near 1 that nothing that matters is left.
6. ``goes_along``: associated, but not more than the controls are, or there are no controls.
7. ``not_enough_data`` again: the interval leaves all of this open.

These are words of association. None of them says that doing more of it would bring more
conversions; an experiment says that.

An event that stands out may do so because only those can do it who are near the conversion already:
nobody removes from a cart without having filled one. `milestones_before` finds the milestone that
came before it. This is said beside the verdict, with the comparison that would tell: from that
milestone on.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, fields
from functools import partial
from typing import Final, NamedTuple

import numpy as np
import pandas as pd

from analysis.catalog import Catalog
from analysis.core.schema import ALL, UsageError, human_duration
from analysis.core.wording import between, count, share, significance, times, with_interval
from analysis.correlation.counts import ExposureCounts
from analysis.correlation.kernels import NEVER
from analysis.correlation.plan import ExposurePlan, entry_rows, first_times
from analysis.eventlog import parallel
from analysis.eventlog.log import EventLog
from analysis.eventlog.shard import Shard
from analysis.statistics.calibration import MIN_CONTROLS
from analysis.statistics.rates import Z95

STRUCTURAL: Final = "structural"
NOT_ENOUGH: Final = "not_enough_data"
LEADS: Final = "leads"
INVERSE: Final = "inverse"
VANITY: Final = "vanity"
GOES_ALONG: Final = "goes_along"
CONTROL: Final = "control"
VERDICTS: Final = (LEADS, INVERSE, GOES_ALONG, VANITY, NOT_ENOUGH, STRUCTURAL, CONTROL)

ASSOCIATION: Final = (
    "Association only: people who did it are compared with people like them who had not. "
    "Whether doing it makes anyone convert is a question for an experiment."
)

_ROUGHLY_EXPOSED = 8
"""Exposed conversions whose chance error alone gives an interval of a factor of 4."""


@dataclass(frozen=True, kw_only=True)
class VerdictLimits:
    """The thresholds of the rule; ratios are odds ratios, shares are fractions.

    Examples
    --------
    >>> VerdictLimits(max_q=0.05).leads_above
    1.1
    """

    structural_share: float = 0.80
    first_period_share: float = 0.50
    widest_factor: float = 4.0
    leads_above: float = 1.1
    inverse_below: float = 0.9
    vanity_low: float = 0.8
    vanity_high: float = 1.25
    max_q: float = 0.10
    min_controls: int = MIN_CONTROLS

    def __post_init__(self) -> None:
        for field in fields(self):
            value = getattr(self, field.name)
            if isinstance(value, bool) or not isinstance(value, (int, float)) or not value > 0:
                raise UsageError(
                    f"limits: {field.name}={value!r}. Allowed: a number above 0 "
                    f"(default {field.default})."
                )
        for name in ("structural_share", "first_period_share", "max_q"):
            if getattr(self, name) > 1:
                raise UsageError(
                    f"limits: {name}={getattr(self, name)!r}. Allowed: a fraction from 0 to 1; "
                    "10 percent is 0.10."
                )
        ordered = (self.vanity_low, 1.0, self.vanity_high)
        if not ordered[0] < ordered[1] < ordered[2] or self.inverse_below > 1 > self.leads_above:
            raise UsageError(
                f"limits: vanity from {self.vanity_low} to {self.vanity_high}, inverse below "
                f"{self.inverse_below}, leads above {self.leads_above}. Allowed: a range around 1."
            )
        if self.min_controls < 2 or self.widest_factor <= 1:
            raise UsageError(
                f"limits: min_controls={self.min_controls!r}, widest_factor="
                f"{self.widest_factor!r}. Allowed: 2 or more controls, a factor above 1."
            )


class Facts(NamedTuple):
    """What the rule looks at, of one micro conversion.

    Attributes
    ----------
    role : in the catalog. preceded : conversions with it at most 30 minutes earlier in the same
        session. first_period : conversions in the first period. converters : all conversions.
    people : units of the log. expected : exposed conversions that chance alone would give.
    adjusted, calibrated : estimate, low, high; NaN where undefined.
    se : of the logarithm of the adjusted ratio. variance, lasting : of the calibrated one, and the
        part of it that more people would not take away. controls : how many took part.
    after : of the `counted` conversions, those that came after it.
    reached : of the `converters`, those who had done it before; None where that is not known.
    """

    role: str
    preceded: int
    first_period: int
    converters: int
    people: int
    expected: float
    adjusted: tuple[float, float, float]
    se: float
    calibrated: tuple[float, float, float]
    variance: float
    lasting: float
    q_value: float
    controls: int
    after: int
    counted: int
    reached: int | None = None


class Verdict(NamedTuple):
    """A word, its reason as a sentence, and about how many users would do (NaN: does not apply)."""

    verdict: str
    reason: str
    needed_users: float


def verdict_of(facts: Facts, limits: VerdictLimits) -> Verdict:
    """What may be said of this micro conversion?

    Examples
    --------
    >>> facts = Facts("secondary", 20, 90, 900, 20_000, 150.0, (2.0, 1.7, 2.4), 0.09,
    ...               (1.5, 1.25, 1.8), 0.008, 0.0, 0.004, 6, 240, 850)
    >>> verdict_of(facts, VerdictLimits()).verdict
    'leads'
    """
    if (reason := _structural(facts, limits)) is not None:
        return Verdict(STRUCTURAL, reason, math.nan)
    if (verdict := _too_little(facts, limits)) is not None:
        return verdict
    estimate, low, high = facts.calibrated
    text = f"The calibrated odds ratio is {with_interval(estimate, low, high)}, {_after(facts)}"
    q = f"q = {significance(facts.q_value)}"
    if low > limits.leads_above and facts.q_value <= limits.max_q:
        reason = f"{text}: above {times(limits.leads_above)}, {q}."
        more = "Those who did it convert more often."
        if facts.role == "adverse":
            more += " It is listed as adverse: those who are about to convert may meet it more."
        return Verdict(LEADS, f"{reason} {more}", math.nan)
    if high < limits.inverse_below and facts.q_value <= limits.max_q:
        reason = f"{text}: below {times(limits.inverse_below)}, {q}."
        return Verdict(INVERSE, f"{reason} Those who did it convert less often.", math.nan)
    if limits.vanity_low < low and high < limits.vanity_high:
        within = between(limits.vanity_low, limits.vanity_high)
        reason = f"{text}: inside {within}. Next to the controls nothing that matters is left."
        return Verdict(VANITY, reason, math.nan)
    if facts.adjusted[1] > 1 and not low > 1:
        return Verdict(GOES_ALONG, _along(facts, limits), math.nan)
    return _open(facts, limits)


def _structural(facts: Facts, limits: VerdictLimits) -> str | None:
    if facts.role == "milestone":
        return _milestone(facts, limits)
    if not facts.converters or facts.preceded < limits.structural_share * facts.converters:
        return None
    rate = facts.preceded / facts.converters
    return (
        f"{share(facts.preceded, facts.converters, rate)} of the conversions had it within 30 "
        "minutes before, in the same session: converting itself seems to require it."
    )


MILESTONE: Final = "Listed as a milestone in the catalog, so no ratio is judged."


def _milestone(facts: Facts, limits: VerdictLimits) -> str:
    """Why a milestone is not judged, and whether the way to the conversion does lead through it."""
    if facts.reached is None or not facts.converters:
        return MILESTONE
    rate = facts.reached / facts.converters
    did = f"{share(facts.reached, facts.converters, rate)} of those who converted had done it"
    if rate >= limits.structural_share:
        return f"{MILESTONE} {did} before: the way to the conversion leads through it."
    return f"{MILESTONE} Only {did} before, so there are other ways to the conversion."


def _too_little(facts: Facts, limits: VerdictLimits) -> Verdict | None:
    if not facts.converters:
        return Verdict(NOT_ENOUGH, "Nobody converted.", math.nan)
    if facts.first_period > limits.first_period_share * facts.converters:
        rate = facts.first_period / facts.converters
        reason = (
            f"{share(facts.first_period, facts.converters, rate)} of the conversions come in the "
            "first period after entry, before anything could be seen to precede them. More users "
            "do not help; shorter periods may."
        )
        return Verdict(NOT_ENOUGH, reason, math.nan)
    estimate, low, high = facts.adjusted
    widest = limits.widest_factor
    if math.isnan(facts.se):
        needed = _ROUGHLY_EXPOSED / facts.expected if facts.expected > 0 else math.nan
        reason = f"There is no odds ratio: too few to compare, {_after(facts)}."
    elif high < low * widest:
        return None
    else:
        needed = (facts.se / (math.log(widest) / 2 / Z95)) ** 2
        reason = (
            f"The adjusted odds ratio is {with_interval(estimate, low, high)}, {_after(facts)}: "
            f"the interval is wider than a factor of {widest:g}."
        )
    return _needing(reason, facts, needed)


def _along(facts: Facts, limits: VerdictLimits) -> str:
    text = f"The adjusted odds ratio is {with_interval(*facts.adjusted)}, {_after(facts)}: above 1"
    if math.isnan(facts.calibrated[0]):
        return (
            f"{text}, but {_controls(facts.controls)} here and it takes {limits.min_controls} to "
            "tell it from what busy people do anyway."
        )
    return (
        f"{text}; next to the {facts.controls} controls it is {with_interval(*facts.calibrated)}, "
        "which is not: people who do more of everything do this too."
    )


def _open(facts: Facts, limits: VerdictLimits) -> Verdict:
    estimate, low, high = facts.calibrated
    if math.isnan(estimate):
        reason = (
            f"The adjusted odds ratio is {with_interval(*facts.adjusted)}, {_after(facts)}, and "
            f"{_controls(facts.controls)}: it takes {limits.min_controls} to say more."
        )
        return Verdict(NOT_ENOUGH, f"{reason} Name controls in the catalog.", math.nan)
    reason = (
        f"The calibrated odds ratio is {with_interval(estimate, low, high)}, {_after(facts)}, q = "
        f"{significance(facts.q_value)}: that leaves open whether it matters."
    )
    wanted = min(math.log(limits.vanity_high), -math.log(limits.vanity_low))
    goal = (wanted / Z95) ** 2 - facts.lasting
    if goal <= 0:
        more = "More users would not help: the controls differ too much. Name more controls."
        return Verdict(NOT_ENOUGH, f"{reason} {more}", math.nan)
    # An interval that is narrow enough and still straddles a limit needs twice the people.
    needed = max((facts.variance - facts.lasting) / goal, 2.0)
    return _needing(reason, facts, needed)


def _after(facts: Facts) -> str:
    """The number that limits how much can be said."""
    return f"with {count(facts.after)} of {count(facts.counted)} conversions after it"


def _controls(number: int) -> str:
    return "there is 1 control" if number == 1 else f"there are {number or 'no'} controls"


def _needing(reason: str, facts: Facts, factor: float) -> Verdict:
    if math.isnan(factor):
        return Verdict(NOT_ENOUGH, reason, math.nan)
    users = _rounded(facts.people * factor)
    if users <= facts.people:
        users = _rounded(facts.people * 1.5)
    return Verdict(NOT_ENOUGH, f"{reason} Needs about {count(users)} users.", users)


def _rounded(users: float) -> float:
    """Two digits are all that such a number can bear."""
    step = 10 ** max(math.floor(math.log10(users)) - 1, 0)
    return float(math.ceil(users / step) * step)


# Milestones before an event
#
# Those who did the event are compared with people of whom most never got to the milestone, and no
# control shares that. So the largest ratio of a scan may say only that a cart comes before a
# purchase.

_NEARLY_ALL: Final = 0.95
_LESS_THAN: Final = 0.5


class MilestoneBefore(NamedTuple):
    """A milestone that nearly all who did an event had reached, and most other people had not.

    ``k`` of the ``n`` who did the event had reached it by then; of ``users``, ``reached`` did.
    """

    milestone: str
    label: str
    k: int
    n: int
    reached: int
    users: int

    def sentence(self) -> str:
        """What it says of the event's ratio, and what to ask instead."""
        rate = self.reached / self.users
        return (
            f"Nearly all who did it had got to “{self.label}” before, and "
            f"{share(self.reached, self.users, rate)} of all users do: that alone may be why. "
            f"Compare those who got there: start={self.milestone!r}."
        )


def milestones_before(
    log: EventLog, catalog: Catalog, plan: ExposurePlan, events: Sequence[str]
) -> dict[str, MilestoneBefore]:
    """Which of these events are done by hardly anybody who has not reached some milestone?

    Parameters
    ----------
    plan : whom and how long to look at; nothing counts that comes after the macro conversion.
    events : names of events of the log.

    Returns
    -------
    By event the milestone that fewest users reach, of those that at least 95 percent of the ones
    who did the event had reached before their first time, or with it, and less than half of all
    users reach. Events without one are left out.

    Examples
    --------
    >>> import pandas as pd
    >>> from analysis.correlation.plan import exposure_plan
    >>> rows = [("ann", 1, "visit"), ("ann", 2, "cart"), ("ann", 3, "remove"), ("bob", 1, "visit"),
    ...         ("cem", 1, "visit")]
    >>> frame = pd.DataFrame(rows, columns=["user", "time", "event"])
    >>> log = EventLog.from_frame(frame.assign(time=pd.to_datetime(frame["time"], unit="h")))
    >>> shop = Catalog.from_mapping({"name": "shop", "events": {"buy": {"role": "macro"},
    ...     "cart": {"role": "milestone"}, "remove": {"role": "adverse"}}})
    >>> found = milestones_before(log, shop, exposure_plan(log, shop), ["remove"])
    >>> found["remove"].milestone, found["remove"].reached, found["remove"].users
    ('cart', 1, 3)
    """
    steps = [name for name in catalog.milestones if name in log.event_names and name != plan.start]
    if not steps or not events:
        return {}
    names = list(dict.fromkeys([*events, *steps]))
    parts = parallel.map_shards(log.shards, partial(_first_times, log=log, plan=plan, names=names))
    first = dict(zip(names, np.concatenate(parts, axis=1), strict=True))
    users = sum(part.shape[1] for part in parts)
    reached = {step: int((first[step] < NEVER).sum()) for step in steps}
    found = {}
    for event in events:
        own = first[event] < NEVER
        n = int(own.sum())
        near = []
        for step in steps:
            k = int((first[step][own] <= first[event][own]).sum())
            if step != event and k >= _NEARLY_ALL * n and reached[step] < _LESS_THAN * users:
                label = catalog.label(step)
                near.append(MilestoneBefore(step, label, k, n, reached[step], users))
        if near and n:
            found[event] = min(near, key=lambda one: one.reached)
    return found


def _first_times(
    shard: Shard, *, log: EventLog, plan: ExposurePlan, names: list[str]
) -> np.ndarray:
    """`first_times` of the units of a shard that enter."""
    first = entry_rows(shard, log=log, start=plan.start, left_out=plan.burn_in)
    bought = plan.macro_rows(log, shard, first)
    times = first_times(shard, log=log, plan=plan, names=names, rows=(first, bought))
    return times[:, first >= 0]


# What every answer about micro conversions says or asks of its table


def judged(table: pd.DataFrame) -> pd.DataFrame:
    """The rows of everybody together, without controls and what converting requires."""
    free = ~table["verdict"].isin([CONTROL, STRUCTURAL])
    return table[(table["group"] == ALL) & free]


def first_period_notes(counts: ExposureCounts, min_cell: int = 1) -> list[str]:
    """How many of the conversions come too early for anything to precede them, as a caveat."""
    if counts.converters < max(min_cell, 1):
        return []
    first = share(counts.first_cell, counts.converters, counts.first_cell / counts.converters)
    return [
        f"{first} of the conversions come within {human_duration(int(counts.edges_us[1]))} of "
        "entry, in the first period, before anything could be seen to precede them: they count in "
        "no odds ratio."
    ]
