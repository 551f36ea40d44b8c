"""What a visitor of the demo shop does at a browsing moment, as rows.

A moment opens a page, and may bring one of the small actions, whose rates are proportional to the
visitor's hidden activity and to nothing else (sharing: to interest too). A purchase sequence,
once started, plays out over minutes from cart to payment and may be abandoned at every stage; how
it ends depends on the device and on nothing that was done before.

The codes of events and pages are the order of `EVENTS` and of `shop_tables.page_names`. They are
constants of this module because compiled code is cached by the file that it stands in; the test
that runs the pass as plain Python tells when `shopping` was cached with an older version of this.
"""

from __future__ import annotations

import numba as nb

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


ON_STORY, ON_LIST, ON_SEARCH, ON_ITEM, LANDING = range(5)


BLINK, READ, DWELL, FORM = range(4)


MOBILE = 0


MOST_PIECES = 6


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
