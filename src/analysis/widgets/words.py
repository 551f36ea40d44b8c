"""Sentences and caveats as HTML that a panel can show; every text is escaped here.

Names of events and values of properties come from other people's data, so no text reaches a
panel but through these functions.
"""

from __future__ import annotations

from collections.abc import Sequence
from html import escape


def answer(sentence: str, warnings: Sequence[str]) -> str:
    """An answer and its caveats.

    Examples
    --------
    >>> answer("<b> converts.", ["few users"])
    '<p style="margin:.6em 0 .2em;line-height:1.45"><strong>&lt;b&gt; converts.</strong></p><p \
style="margin:.2em 0;line-height:1.45;opacity:.8">Note: few users</p>'
    """
    lines = [_paragraph(f"<strong>{escape(sentence)}</strong>", "margin:.6em 0 .2em")]
    lines += [_paragraph(f"Note: {escape(w)}", "margin:.2em 0", "opacity:.8") for w in warnings]
    return "".join(lines)


def note(text: str) -> str:
    """A plain remark."""
    return _paragraph(escape(text), "margin:.3em 0")


def alert(text: str) -> str:
    """What went wrong and what to do, set apart by more than its color."""
    words = _paragraph(escape(text), "margin:0")
    return f'<div role="alert" style="{_ALERT}">{words}</div>'


_ALERT = "border-left:4px solid #d55e00;padding:.4em .8em;margin:.6em 0"


def _paragraph(inner: str, *styles: str) -> str:
    margin, *rest = styles
    return f'<p style="{";".join([margin, "line-height:1.45", *rest])}">{inner}</p>'
