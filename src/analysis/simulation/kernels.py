"""The visitors of the demo shop: compiled loops that make rows instead of reading them.

A visitor is a record that lives through visits; a visit is a chain of browsing moments; at each
moment one draw decides whether a purchase sequence starts. Its probability is a plain product,

    base × interest × channel × device × ratios of the micro conversions already done,

so a planted ratio *is* the ratio of hazards, and nothing has to be believed about it. The row of
the moment keeps that product, what had been done, and how the draw came out: tests read them
back.

A moment opens a page, and may bring one of the small actions, whose rates are proportional to the
visitor's hidden activity and to nothing else (sharing: to interest too). A purchase sequence,
once started, plays out over minutes from cart to payment and may be abandoned at every stage; how
it ends depends on the device and on nothing that was done before.

Nothing is drawn but `rng.random()`, in a fixed order, and the clock is an integer of
milliseconds. The one function that is not exact on every machine, the power behind the wait for
the next visit, is rounded to whole seconds at once. All numbers of the shop come in as one record
(`log.Tables`): a constant of another module would go stale in the cache of compiled code, and a
tuple of arrays would be counted in and out at every call, which took two thirds of the time. For
the same reason the codes of events and pages, which are the order of `EVENTS` and of
`log.page_names`, are constants of this module.
"""

from __future__ import annotations

import numba as nb
import numpy as np

EVENTS = (
    *("page_view", "view_item_list", "search", "select_item", "view_item"),
    *("add_to_cart", "view_cart", "remove_from_cart", "begin_checkout", "add_shipping_info"),
    *("add_payment_info", "purchase", "newsletter_sign_up", "video_start", "view_reviews"),
    *("file_download", "footer_click", "logo_click", "imprint_click", "language_switch"),
    *("theme_switch", "back_to_top", "cookie_settings", "careers_click", "add_to_wishlist"),
    *("share", "unsubscribe"),
)
PAGE_VIEW, VIEW_ITEM_LIST, SEARCH, SELECT_ITEM, VIEW_ITEM = range(5)
ADD_TO_CART, VIEW_CART, REMOVE_FROM_CART, BEGIN_CHECKOUT = range(5, 9)
PURCHASE, NEWSLETTER = 11, 12
SHARE, UNSUBSCRIBE = 25, 26

CATEGORIES, STORIES = 8, 5
HOME_PAGE, SEARCH_PAGE, CART_PAGE, CHECKOUT_PAGE = range(4)
STORY_PAGE = CHECKOUT_PAGE + 4
LIST_PAGE = STORY_PAGE + STORIES
ITEM_PAGE = LIST_PAGE + CATEGORIES

# Where a visitor is, how long a wait is, how a moment ends.
ON_STORY, ON_LIST, ON_SEARCH, ON_ITEM, LANDING = range(5)
BLINK, READ, DWELL, FORM = range(4)
STARTED, BOUGHT = 1, 2

MOBILE = 0
MOST_PIECES = 6
MOST_MOMENTS = 50
ROWS_PER_VISIT = 1_600
ROWS_PER_VISITOR = 8_192


@nb.njit(cache=True, nogil=True)
def shop(worlds, hours, rows, people, rng):
    """Let visitors live through the period, one after the other, until the rows run short.

    Parameters
    ----------
    worlds, hours : see log.Tables. rows : array of log.ROW, filled from its
    start. people : array of log.VISITOR, a blank record each; afterwards they hold the
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


@nb.njit(cache=True, nogil=True)
def _emit(rows, me, event, item):
    row = rows[me.row]
    row.time = me.clock
    row.hazard = 0.0
    row.cents = 0
    row.order = 0
    row.session = me.session
    row.page = me.page
    row.item = item
    row.done = me.done
    row.event = event
    row.device = me.device
    row.source = me.source
    row.outcome = 0
    row.field = -1
    me.row += 1


@nb.njit(cache=True, nogil=True)
def open_page(world, rows, rng, me):
    """Go to a next page; its event is the last row afterwards."""
    before = me.kind
    kind = pick(world.next_page[before], rng.random())
    if kind == ON_ITEM:
        _open_item(world, rows, rng, me)
        return
    me.kind = kind
    u = rng.random()
    if kind == ON_STORY:
        me.page = HOME_PAGE if u < 0.6 else STORY_PAGE + int((u - 0.6) * 2.5 * STORIES)
    else:
        me.page = SEARCH_PAGE if kind == ON_SEARCH else LIST_PAGE + int(u * CATEGORIES)
    if before == LANDING or kind == ON_STORY:
        _emit(rows, me, PAGE_VIEW, -1)
    if kind != ON_STORY:
        if before == LANDING:
            me.clock += wait(world, rng, BLINK)
        _emit(rows, me, VIEW_ITEM_LIST if kind == ON_LIST else SEARCH, -1)


@nb.njit(cache=True, nogil=True)
def _open_item(world, rows, rng, me):
    """Popular things are seen more often: the square of a uniform draw picks one."""
    u = rng.random()
    me.item = int(u * u * world.prices.size)
    before = me.kind
    if before in (ON_LIST, ON_SEARCH):
        _emit(rows, me, SELECT_ITEM, me.item)
    me.kind = ON_ITEM
    me.page = ITEM_PAGE + me.item
    if before == LANDING:
        _emit(rows, me, PAGE_VIEW, -1)
    if before not in (ON_ITEM, ON_STORY):
        me.clock += wait(world, rng, BLINK)
    _emit(rows, me, VIEW_ITEM, me.item)


@nb.njit(cache=True, nogil=True)
def little_things(world, rows, rng, me):
    """Micro conversions and controls of a moment: at most one, then perhaps a share."""
    on_item = me.kind == ON_ITEM
    item = me.item if on_item else -1
    rates = world.micros[1 if on_item else 0]
    x = rng.random() / me.activity
    if x < rates[-1]:
        _micro(world, rows, rng, me, pick(rates, x))
    if on_item and rng.random() < world.share * me.fondness:
        me.clock += wait(world, rng, READ)
        _emit(rows, me, SHARE, item)
    by_letter = me.subscribed == 1 and me.source == world.sources.size - 1
    if by_letter and rng.random() < world.unsubscribe:
        me.clock += wait(world, rng, READ)
        _emit(rows, me, UNSUBSCRIBE, -1)
        me.subscribed = 2


@nb.njit(cache=True, nogil=True)
def _micro(world, rows, rng, me, micro):
    """Micro conversion number `micro`; the first time it multiplies the hazard."""
    if micro == 0:
        if me.subscribed:
            return
        me.subscribed = 1
    me.clock += wait(world, rng, READ)
    _emit(rows, me, NEWSLETTER + micro, me.item if me.kind == ON_ITEM else -1)
    if not (me.done >> micro) & 1:
        me.done |= 1 << micro
        me.ratio *= world.ratios[micro]


@nb.njit(cache=True, nogil=True)
def buy(world, rows, rng, me):
    """A purchase sequence from cart to payment; True if it was paid within the period."""
    if me.pieces == 0 or rng.random() < world.refill_kept_cart:
        _fill_cart(world, rows, rng, me)
    me.kind = ON_STORY
    me.page = CART_PAGE
    if rng.random() < world.look_at_cart:
        _look_at_cart(world, rows, rng, me)
    for step in range(4):
        me.clock += wait(world, rng, FORM)
        chance = world.proceed[step, me.device]
        failing = world.incident_since <= me.clock < world.incident_until
        if step == 3 and me.device == MOBILE and failing:
            chance *= world.incident_ratio
        if rng.random() >= chance:
            return False
        me.page = CHECKOUT_PAGE + step
        if step < 3:
            _emit(rows, me, BEGIN_CHECKOUT + step, -1)
    _pay(world, rows, me)
    return me.clock < world.end


@nb.njit(cache=True, nogil=True)
def _fill_cart(world, rows, rng, me):
    while True:
        if me.kind != ON_ITEM:
            me.clock += wait(world, rng, DWELL)
            _open_item(world, rows, rng, me)
        me.clock += wait(world, rng, READ)
        _emit(rows, me, ADD_TO_CART, me.item)
        me.cart += world.prices[me.item]
        me.last = me.item
        me.pieces += 1
        if me.pieces >= MOST_PIECES or rng.random() >= world.another_item:
            break
        me.kind = ON_STORY


@nb.njit(cache=True, nogil=True)
def _look_at_cart(world, rows, rng, me):
    me.clock += wait(world, rng, READ)
    _emit(rows, me, VIEW_CART, -1)
    # Only what was put in last is ever taken out, once: its price is the one that is known.
    if me.pieces > 1 and me.last >= 0 and rng.random() < world.remove_item:
        me.clock += wait(world, rng, READ)
        _emit(rows, me, REMOVE_FROM_CART, me.last)
        me.cart -= world.prices[me.last]
        me.last = -1
        me.pieces -= 1


@nb.njit(cache=True, nogil=True)
def _pay(world, rows, me):
    _emit(rows, me, PURCHASE, -1)
    me.orders += 1
    rows[me.row - 1].cents = me.cart
    rows[me.row - 1].order = me.orders
    me.cart = 0
    me.pieces = 0


@nb.njit(cache=True, nogil=True)
def pick(cumulative, x):
    """The first place whose cumulative chance exceeds `x`."""
    for i in range(cumulative.size - 1):
        if x < cumulative[i]:
            return i
    return cumulative.size - 1


@nb.njit(cache=True, nogil=True)
def wait(world, rng, kind):
    """A wait of some kind in ms, drawn from the quantiles of its distribution."""
    return world.waits[kind, int(rng.random() * world.waits.shape[1])]
