"""A plotly figure as part of a page: its data, its title as a heading, and its numbers in words.

Titles become HTML, because they wrap on a phone and plotly's do not. The words stand where the
chart will be until it is drawn, so that a browser that cannot draw shows the numbers all the same.
"""

from __future__ import annotations

import html
import json
import math
import re
from collections.abc import Mapping
from typing import Any

from analysis.reports.sanitize import clean

PLOTLY = "application/vnd.plotly.v1+json"


DEFAULT_HEIGHT = 420


_TITLE_HEIGHT = 32


# Inside a script element only these could end it or be read as something else.
_JSON = {"<": "\\u003c", ">": "\\u003e", "&": "\\u0026", "\u2028": "\\u2028", "\u2029": "\\u2029"}


def chart(bundle: Mapping[str, Any], *, number: int) -> str:
    """The figure element of a plotly bundle; ``<!--caption-->`` in it is for its caption.

    Parameters
    ----------
    number : the figure's place on the page, from 1.

    Examples
    --------
    >>> shown = chart({"data": [], "layout": {"meta": {"alt": "2 < 3"}}}, number=1)
    >>> 'aria-label="2 &lt; 3"' in shown
    True
    """
    layout = dict(bundle.get("layout", {}))
    heading = _heading(layout)
    meta = layout.get("meta")
    words = meta.get("alt") if isinstance(meta, Mapping) else None
    words = str(words or re.sub(r"<[^>]*>", "", heading) or f"Figure {number}")
    height = layout.setdefault("height", DEFAULT_HEIGHT)
    if not isinstance(height, (int, float)):
        height = layout["height"] = DEFAULT_HEIGHT
    layout.pop("width", None)
    data = _script_json({"data": bundle.get("data", []), "layout": layout})
    title = f"<h3>{heading}</h3>\n" if heading else ""
    return (
        f'<figure class="chart" id="figure-{number}">\n{title}'
        f'<div class="plot" role="img" aria-label="{html.escape(words)}" '
        f'style="height:{int(height)}px"><p class="words">{html.escape(words)}</p></div>\n'
        f'<script type="application/json">{data}</script>\n'
        "<figcaption><!--caption--></figcaption>\n</figure>"
    )


def _heading(layout: dict[str, Any]) -> str:
    """Take the title out of the layout, with the room it had; it is HTML of plotly's kind."""
    title = layout.pop("title", None)
    text = title.get("text") if isinstance(title, Mapping) else title
    if not text:
        return ""
    if isinstance(layout.get("height"), (int, float)):
        layout["height"] -= _TITLE_HEIGHT
    margin = layout.get("margin")
    if isinstance(margin, Mapping) and isinstance(margin.get("t"), (int, float)):
        layout["margin"] = {**margin, "t": max(0, margin["t"] - _TITLE_HEIGHT)}
    return clean(str(text))


def _script_json(value: Any) -> str:
    text = json.dumps(_finite(value), sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return "".join(_JSON.get(c, c) for c in text)


def _finite(value: Any) -> Any:
    """The value without NaN and infinities, which no browser reads as JSON."""
    if isinstance(value, Mapping):
        return {str(key): _finite(cell) for key, cell in value.items()}
    if isinstance(value, (list, tuple)):
        return [_finite(cell) for cell in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
