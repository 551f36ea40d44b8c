"""HTML from cells and outputs, cut down to what cannot do anything.

An allow-list, because the list of what can go wrong in HTML is never complete. There are no
addresses in it: a page that stakeholders open must not lead them anywhere that a property's value
chose, and must not load anything.
"""

from __future__ import annotations

import re

_TEXT = {"abbr", "b", "br", "cite", "code", "del", "em", "i", "kbd", "mark", "q", "s", "samp"}


_TEXT |= {"small", "span", "strong", "sub", "sup", "u", "var", "a"}


_BLOCKS = {"blockquote", "dd", "details", "div", "dl", "dt", "h1", "h2", "h3", "h4", "h5", "h6"}


_BLOCKS |= {"hr", "li", "ol", "p", "pre", "summary", "ul"}


_TABLES = {"caption", "col", "colgroup", "table", "tbody", "td", "tfoot", "th", "thead", "tr"}


_TAGS = frozenset(_TEXT | _BLOCKS | _TABLES)


_SPANS = frozenset({"colspan", "rowspan", "scope"})


_CLASS = re.compile(r"(?:wb-[a-z-]+|dataframe)")


# What stands in these is no text for readers, so it goes with them.
_NOT_TEXT = re.compile(
    r"<(script|style|template|iframe|title|textarea)\b.*?(?:</\1\s*>|\Z)", re.IGNORECASE | re.DOTALL
)


def clean(markup: str) -> str:
    """The markup with harmless elements only; tables scroll sideways where they are wide.

    Examples
    --------
    >>> clean('<p onclick="x()">a<script>x()</script><img src=x onerror=x()> <b>c</b></p>')
    '<p>a <b>c</b></p>'
    """
    import bleach  # type: ignore[import-untyped]

    safe = bleach.clean(
        _NOT_TEXT.sub("", markup), tags=_TAGS, attributes=_allowed, strip=True, strip_comments=True
    )
    # Text never holds a bare "<" any more, so this finds elements only.
    safe = safe.replace("<table", '<div class="table"><table').replace("</table>", "</table></div>")
    return str(safe).strip()


def from_markdown(source: str) -> str:
    """Markdown as harmless HTML.

    Examples
    --------
    >>> from_markdown("## Where\\n[a link](https://example.org) and `code`")
    '<h2>Where</h2>\\n<p><a>a link</a> and <code>code</code></p>'
    """
    import mistune

    render = mistune.create_markdown(escape=False, plugins=["table", "strikethrough"])
    return clean(str(render(source)))


def _allowed(tag: str, name: str, value: str) -> bool:
    if name == "class":
        return all(_CLASS.fullmatch(part) for part in value.split())
    return name in _SPANS and tag in ("td", "th", "col", "colgroup")
