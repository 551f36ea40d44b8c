"""What has to be said beside a suggested funnel: who is left out, and how sure the order is."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd

from analysis.catalog import Catalog
from analysis.core.schema import human_duration
from analysis.core.wording import count, listed, percent, share
from analysis.funnels.funnel_orders import Before, Order
from analysis.statistics.stats import wilson

ARROW = " → "


FEW = 30


NEARLY = 0.8


_NAMED = 8


def left_out_words(left: pd.DataFrame, catalog: Catalog, given: Mapping[str, Any]) -> list[str]:
    """Who is no step, and why; of a long list the first ones."""
    least, most = given["least"], given["most"]
    few = left["rate"] < least
    said = []
    for rows, why in (
        (left[few], f"done by fewer than {percent(least)} of the converters before"),
        (left[~few], f"more would be over {most} steps (most={most})"),
    ):
        named = [
            f"{catalog.label(event)} {share(k, n, rate)}"
            for event, k, n, rate in rows[["event", "k", "n", "rate"]].head(_NAMED).to_numpy()
        ]
        if len(rows) > _NAMED:
            named.append(f"{len(rows) - _NAMED} more")
        if named:
            said.append(f"Left out, {why}: {listed(named)}.")
    return said


def order_words(found: Sequence[Order], labels: Sequence[str], n: int) -> list[str]:
    """Caveats of the order: nobody did everything, few did, or two orders are as common."""
    if not labels:
        return ["There is no event that enough converters did before: only the macro is left."]
    if not found:
        return [
            f"None of the {count(n)} converters did all of {listed(list(labels))}: the order is "
            "that of the median time before the macro. Fewer steps (most=) may be clearer."
        ]
    said = []
    did_all = sum(order.k for order in found)
    if did_all < FEW:
        said.append(f"The order rests on {count(did_all)} of {count(n)} converters who did all.")
    if len(found) > 1:
        first, second = found[:2]
        low, _ = wilson(first.k, first.k + second.k)
        other = ARROW.join(labels[i] for i in second.columns)
        against = f"{count(second.k)} against {count(first.k)} of {count(did_all)} converters"
        if second.k >= NEARLY * first.k:
            said.append(f"The order is ambiguous: {other} is nearly as common ({against}).")
        elif float(low) <= 0.5:
            said.append(
                f"The order is ambiguous: too few converters to tell it from {other} ({against})."
            )
    return said


def cut_words(before: Before, window_us: int) -> list[str]:
    """How many converted so early that the log does not know their whole look-back."""
    if not before.cut:
        return []
    return [
        f"{share(before.cut, before.n, before.cut / before.n)} of the converters converted less "
        f"than {human_duration(window_us)} after the log begins: what they did before is not all "
        "seen, so the shares may be too low."
    ]
