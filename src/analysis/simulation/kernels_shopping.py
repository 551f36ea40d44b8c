"""The visitors of the demo shop: a pass that makes rows instead of reading them.

A visitor is a record that lives through visits; a visit is a chain of browsing moments (see
`browsing`); at each moment one draw decides whether a purchase sequence starts. Its probability
is a plain product,

    base × interest × channel × device × ratios of the micro conversions already done,

so a planted ratio *is* the ratio of hazards, and nothing has to be believed about it. The row of
the moment keeps that product, what had been done, and how the draw came out: tests read them back.

Nothing is drawn but `rng.random()`, in a fixed order, and the clock is an integer of
milliseconds. The one function that is not exact on every machine, the power behind the wait for
the next visit, is rounded to whole seconds at once. All numbers of the shop come in as one
record: a constant of another module would go stale in the cache of compiled code, and a tuple of
arrays would be counted in and out at every call, which took two thirds of the time.
"""

from __future__ import annotations

import numba as nb
import numpy as np

from analysis.simulation.kernels import LANDING, buy, little_things, open_page, pick, wait

STARTED, BOUGHT = 1, 2


DWELL = 2


MOST_MOMENTS = 50


ROWS_PER_VISIT = 1_600


ROWS_PER_VISITOR = 8_192


@nb.njit(cache=True, nogil=True)
def shop(worlds, hours, rows, people, rng):
    """Let visitors live through the period, one after the other, until the rows run short.

    Parameters
    ----------
    worlds, hours : see shop_tables.Tables. rows : array of shop_tables.ROW, filled from its
    start. people : array of shop_tables.VISITOR, a blank record each; afterwards they hold the
    visitor's traits, and `first_row` and `row` bound the visitor's rows. rng : numpy Generator.

    Returns
    -------
    How many of the people are done. With fewer rows left than one visitor may need the pass
    stops between visitors, and is called again with the rest of the people and new rows.
    """
    world = worlds[0]
    row = 0
    for k in range(people.size):
        if rows.size - row < ROWS_PER_VISITOR:
            return k
        me = people[k]
        me.first_row = row
        me.row = row
        _arrive(world, hours, rng, me)
        while True:
            _visit(world, rows, rng, me)
            if me.row - me.first_row > ROWS_PER_VISITOR - ROWS_PER_VISIT:
                break
            if me.once or not _comes_back(world, rng, me):
                break
        row = me.row
    return people.size


@nb.njit(cache=True, nogil=True)
def _arrive(world, hours, rng, me):
    """Draw when somebody first comes, who it is, and from where."""
    at = int(rng.random() * hours[1, -1])
    hour = np.searchsorted(hours[1], at, side="right") - 1
    width = hours[0, hour + 1] - hours[0, hour]
    me.clock = hours[0, hour] + int(rng.random() * width)
    me.came = _shop_time(world.week, me.clock)
    levels = world.activity.size
    me.level = int(rng.random() * levels)
    me.trait = int(rng.random() * levels)
    me.activity = world.activity[me.level]
    me.fondness = world.fondness[me.level, me.trait]
    me.acquired = pick(world.sources, rng.random())
    interest = world.interest[me.level, me.trait]
    me.personal = world.base_hazard * interest * world.source_hazard[me.acquired]
    me.ratio = 1.0
    me.main = pick(world.devices, rng.random())
    others = pick(world.device_counts, rng.random())
    other = (me.main + 1) % 2 if me.main < 2 else 0
    me.second = other if others else me.main
    me.third = 3 - me.main - other if others == 2 else me.second
    me.once = rng.random() < world.visit_once
    me.country = pick(world.countries, rng.random())


@nb.njit(cache=True, nogil=True)
def _shop_time(week, clock):
    """The shop's own clock (ms): hours of the week count by how busy they are."""
    since_monday = clock + 3 * 86_400_000  # 1970 began on a Thursday
    hours = since_monday // 3_600_000
    hour = hours % 168
    part = (since_monday - hours * 3_600_000) * (week[hour + 1] - week[hour]) // 3_600_000
    return (hours // 168) * week[168] + week[hour] + part


@nb.njit(cache=True, nogil=True)
def _wall_time(week, shop_time):
    """The inverse of `_shop_time`, to a few milliseconds."""
    weeks = shop_time // week[168]
    rest = shop_time - weeks * week[168]
    hour = np.searchsorted(week, rest, side="right") - 1
    part = (rest - week[hour]) * 3_600_000 // (week[hour + 1] - week[hour])
    return (weeks * 168 + hour) * 3_600_000 + part - 3 * 86_400_000


@nb.njit(cache=True, nogil=True)
def _comes_back(world, rng, me):
    """Move the clock to the next visit; False if there is none within the period.

    Visits are a Poisson process on the shop's clock, of intensity a / (s + time since the first
    visit), a being proportional to activity: so the wait is (s + time) · (u^(−1/a) − 1). It
    begins half an hour after the last event, so that a pause of 30 minutes splits visits.
    """
    a = world.visits_rate * me.activity
    if me.subscribed == 1:
        a *= world.newsletter_visits
    now = _shop_time(world.week, me.clock + 1_800_000)
    scale = world.visits_scale_seconds + (now - me.came) / 1000.0
    seconds = scale * (rng.random() ** (-1.0 / a) - 1.0)
    part = int(rng.random() * 1000.0)
    if not seconds < world.period_seconds:
        return False
    me.clock = _wall_time(world.week, now + 60_000 + int(np.rint(seconds)) * 1000 + part)
    return me.clock < world.end


@nb.njit(cache=True, nogil=True)
def _visit(world, rows, rng, me):
    """Moments until the visitor leaves; rows beyond the end of the period are taken back."""
    _enter(world, rng, me)
    first = me.row
    for moment in range(MOST_MOMENTS):
        left = world.leave[min(moment, 1), me.level]
        if not _moment(world, rows, rng, me, left):
            break
        me.clock += wait(world, rng, DWELL)
    while me.row > first and rows[me.row - 1].time >= world.end:
        me.row -= 1


@nb.njit(cache=True, nogil=True)
def _enter(world, rng, me):
    """A new visit: on which device, from where, and whether the cart was kept.

    The newsletter multiplies the intensity of visits; the visits that it adds come by it.
    """
    me.session += 1
    me.kind = LANDING
    u = rng.random()
    me.device = me.main if u < 0.7 else (me.second if u < 0.9 else me.third)
    by_letter = rng.random() < 1.0 - 1.0 / world.newsletter_visits
    as_before = rng.random() < world.same_source
    if me.session == 1:
        me.source = me.acquired
    elif me.subscribed == 1 and by_letter:
        me.source = world.sources.size - 1
    else:
        me.source = me.acquired if as_before else pick(world.returning, rng.random())
    if rng.random() < world.forget_cart:
        me.cart = 0
        me.pieces = 0


@nb.njit(cache=True, nogil=True)
def _moment(world, rows, rng, me, left):
    """A page, the little things done on it, perhaps a purchase; False if the visit is over."""
    open_page(world, rows, rng, me)
    here = me.row - 1
    little_things(world, rows, rng, me)
    if me.clock >= world.end:
        return False
    hazard = me.personal * world.device_hazard[me.device] * me.ratio
    rows[here].hazard = hazard
    rows[here].done = me.done
    if rng.random() < hazard:
        rows[here].outcome = STARTED
        if buy(world, rows, rng, me):
            rows[here].outcome = BOUGHT
            return False
        left = world.leave_after_abandoning
    return rng.random() >= left
