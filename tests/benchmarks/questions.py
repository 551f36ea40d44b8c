"""The question every engine answers: how many users get how far in the shop's funnel?

Four steps in order, seven days from the chain's first event, the furthest chain of each user.
The groups are countries, because a person has one country: an engine that cannot say on which
event a chain began still gives the same answer.

The second question: of those who bought within 30 days of their first event, and of those who did
not, how many had done each micro conversion before, or within these 30 days?
"""

from __future__ import annotations

from typing import Final

Counts = dict[str, list[int]]
"""Group (``""``: all users) to the number of users who did each step."""

STEPS: Final = ["view_item", "add_to_cart", "begin_checkout", "purchase"]
WINDOW: Final = "7d"
WINDOW_US: Final = 7 * 86_400_000_000
THREADS: Final = 2
GROUP: Final = "country"
HOLD: Final = "device"
HOLDING: Final = f"funnel holding {HOLD}"
"""The same steps, all of them on one value of a property: the unit is the user with the value."""
MACRO: Final = "purchase"
HORIZON: Final = "30d"
HORIZON_US: Final = 30 * 86_400_000_000
