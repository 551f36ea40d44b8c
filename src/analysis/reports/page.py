"""Make one page of an executed notebook that needs nothing else: no network, no kernel, no code.

What a reader gets is the answer: headings, words, tables and figures. Code, prompts and cells that
only make sense with a kernel are left out. Figures travel as data; the chart library stands once,
compressed, at the end of the page. The page's own content-security policy forbids it to load or
send anything and to run any script but the three that are named in it by their hashes.

Cells and outputs are not trusted, because names and values from the data may stand in them: their
HTML is cut down to a list of harmless elements, without addresses, styles or handlers. It is a
list of what is allowed, because the list of what can go wrong in HTML is never complete. It has no
addresses: a page that stakeholders open must not lead them anywhere that a property's value chose,
and must not load anything.

The same notebook gives the same bytes: nothing here is random or asks the clock.
"""

from __future__ import annotations

import base64
import gzip
import hashlib
import json
import math
import re
from collections.abc import Iterator, Mapping, Sequence
from functools import cache
from typing import TYPE_CHECKING, Any

from analysis.core.wording import isolate_html, isolate_within
from analysis.reports import templates

if TYPE_CHECKING:
    import nh3

REMOVED_TAGS = frozenset({"parameters", "injected-parameters", "interactive", "remove"})
CAPTION_TAG = "caption"
PLOTLY = "application/vnd.plotly.v1+json"
DEFAULT_HEIGHT = 420

_PARTS = "parts.html"
_IMAGES = ("image/png", "image/jpeg", "image/svg+xml")
_TITLE_HEIGHT = 32
_EARLY = "document.documentElement.classList.add('js')"
_FIRST_HEADING = re.compile(r"\A\s*# .*(?:\n|\Z)")
_TERMINAL_COLORS = re.compile(r"\x1b\[[0-9;]*[A-Za-z]")
# What begins no element of plotly's that only changes how letters look: bold, small, a new line.
_NO_STYLE = re.compile(
    r"<(?!/?(?:b|i|u|s|em|sub|sup|span|extra|br)\s*/?>|span style=([\"'])[-\w\s#:;.,%]*\1\s*>)"
)
# Inside a script element only these could end it or be read as something else.
_SCRIPT_ESCAPES = str.maketrans(
    {c: f"\\u{ord(c):04x}" for c in ("<", ">", "&", "\u2028", "\u2029")}
)


def to_html(
    notebook: Mapping[str, Any], *, title: str, subtitle: str = "", footer: str = ""
) -> str:
    """One self-contained page of an executed notebook.

    Parameters
    ----------
    notebook : as nbformat reads it. Cells tagged ``parameters``, ``injected-parameters``,
        ``interactive`` or ``remove`` are left out; a Markdown cell tagged ``caption`` becomes the
        caption of the figure before it; a first heading of the first cell gives way to `title`.
    title, subtitle, footer : plain text.

    Examples
    --------
    >>> import nbformat.v4 as v4
    >>> page = to_html(v4.new_notebook(cells=[v4.new_markdown_cell("**1 < 2**")]), title="A <b>")
    >>> "<strong>1 &lt; 2</strong>" in page, "<h1>A &lt;b&gt;</h1>" in page
    (True, True)
    """
    cells = [cell for cell in notebook["cells"] if _is_shown(cell)]
    has_charts = any(_is_chart(output) for cell in cells for output in cell.get("outputs", []))
    drawing = templates.read("page.js").strip()
    # Without charts there is nothing to draw, and no word about it.
    scripts = [_EARLY, *([drawing, chart_library()] if has_charts else [])]
    page = templates.fill(
        "page.html",
        policy=_policy(scripts),
        title=title,
        style=templates.read("page.css"),
        early=_EARLY,
        subtitle=subtitle,
        parts=list(_parts(cells)),
        footer=footer,
        library=_packed_library() if has_charts else "",
        drawing=drawing,
    )
    # Half a surrogate pair cannot be written to a file, and must not stop the report.
    return page.encode("utf-8", "replace").decode("utf-8")


@cache
def chart_library() -> str:
    """The source of plotly.js, as it comes with plotly."""
    from plotly.offline import get_plotlyjs

    return str(get_plotlyjs())


@cache
def _packed_library() -> str:
    packed = gzip.compress(chart_library().encode("utf-8"), compresslevel=9, mtime=0)
    return base64.b64encode(packed).decode("ascii")


def _policy(scripts: Sequence[str]) -> str:
    hashes = [
        "'sha256-" + base64.b64encode(hashlib.sha256(s.encode("utf-8")).digest()).decode() + "'"
        for s in scripts
    ]
    return (
        f"default-src 'none'; script-src {' '.join(hashes)}; style-src 'unsafe-inline'; "
        "img-src data:; base-uri 'none'; form-action 'none'"
    )


# Cells


def _is_shown(cell: Mapping[str, Any]) -> bool:
    return cell["cell_type"] in ("markdown", "code") and not _tags(cell) & REMOVED_TAGS


def _tags(cell: Mapping[str, Any]) -> set[str]:
    return set(cell.get("metadata", {}).get("tags", []))


def _is_chart(output: Mapping[str, Any]) -> bool:
    return PLOTLY in output.get("data", {})


def _parts(cells: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    """The page's parts as harmless HTML; a caption stands inside the figure before it."""
    number = 0
    caption_taken = False
    for place, cell in enumerate(cells):
        if caption_taken:
            caption_taken = False
            continue
        if cell["cell_type"] == "markdown":
            source = _text(cell["source"])
            yield from_markdown(_FIRST_HEADING.sub("", source) if place == 0 else source)
        outputs = cell.get("outputs", [])
        for output in outputs:
            if not _is_chart(output):
                if part := _output(output):
                    yield part
                continue
            number += 1
            after = cells[place + 1 : place + 2] if output is outputs[-1] else []
            caption_taken = any(CAPTION_TAG in _tags(following) for following in after)
            caption = from_markdown(_text(after[0]["source"])) if caption_taken else ""
            yield chart(output["data"][PLOTLY], number=number, caption=caption)


def _output(output: Mapping[str, Any]) -> str:
    kind = output["output_type"]
    if kind == "stream":
        return _printed(output["text"]) if output["name"] == "stdout" else ""
    if kind == "error":
        return _printed(f"{output['ename']}: {output['evalue']}")
    data = output["data"]
    if "text/html" in data:
        return clean(_text(data["text/html"]))
    if "text/markdown" in data:
        return from_markdown(_text(data["text/markdown"]))
    for kind in _IMAGES:
        if kind in data:
            return _image(kind, _text(data[kind]))
    return _printed(data["text/plain"]) if "text/plain" in data else ""


def _printed(text: str | Sequence[str]) -> str:
    return str(templates.macros(_PARTS).text(_TERMINAL_COLORS.sub("", _text(text))))


def _image(kind: str, content: str) -> str:
    # A vector image is shown as an image, in which no script runs and nothing is loaded.
    if kind == "image/svg+xml":
        content = base64.b64encode(content.encode("utf-8")).decode("ascii")
    packed = re.sub(r"[^A-Za-z0-9+/=]", "", content)
    return str(templates.macros(_PARTS).image(kind, packed))


def _text(source: str | Sequence[str]) -> str:
    return source if isinstance(source, str) else "".join(source)


# Charts


def chart(bundle: Mapping[str, Any], *, number: int, caption: str = "") -> str:
    """A plotly figure as part of a page: its title as a heading, its data, its numbers in words.

    The title becomes HTML, because that wraps on a phone and plotly's does not. The words stand
    where the chart will be until it is drawn, so that a browser that cannot draw shows the numbers
    all the same.

    Parameters
    ----------
    bundle : the figure as plotly hands it to Jupyter. number : its place on the page, from 1.
    caption : harmless HTML.

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
    data = _script_json(_harmless({"data": bundle.get("data", []), "layout": layout}))
    part = templates.macros(_PARTS).chart(number, heading, words, int(height), data, caption)
    return str(part)


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
    return text.translate(_SCRIPT_ESCAPES)


def _harmless(value: Any) -> Any:
    """A figure whose every text is letters: what could be a link is shown as it is written.

    Letters are escaped and not taken away, so that two values never become one. Pictures and shapes
    that lie elsewhere are left out.
    """
    if isinstance(value, Mapping):
        return {key: _harmless(cell) for key, cell in value.items() if not _elsewhere(key, cell)}
    if isinstance(value, (list, tuple)):
        return [_harmless(cell) for cell in value]
    if not isinstance(value, str):
        return value
    return isolate_within(_NO_STYLE.sub("&lt;", value) if "<" in value else value)


def _elsewhere(key: Any, cell: Any) -> bool:
    return key in ("source", "geojson") and isinstance(cell, str) and not cell.startswith("data:")


def _finite(value: Any) -> Any:
    """The value without NaN and infinities, which no browser reads as JSON."""
    if isinstance(value, Mapping):
        return {str(key): _finite(cell) for key, cell in value.items()}
    if isinstance(value, (list, tuple)):
        return [_finite(cell) for cell in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


# Harmless HTML

_WORDS = "a abbr b bdi br cite code del em i kbd mark q s samp small span strong sub sup u var"
_BLOCKS = "blockquote dd details div dl dt h1 h2 h3 h4 h5 h6 hr li ol p pre summary ul"
_TABLES = "caption col colgroup table tbody td tfoot th thead tr"
ALLOWED_ELEMENTS = frozenset(f"{_WORDS} {_BLOCKS} {_TABLES}".split())
# What stands in these is no text for readers, so it goes with them.
_NOT_TEXT = frozenset({"script", "style", "template", "iframe", "title", "textarea"})
_CLASS = re.compile(r"(?:wb-[a-z-]+|dataframe)")
_SPAN = re.compile(r"[0-9]{1,4}")
_SCOPES = frozenset({"col", "colgroup", "row", "rowgroup"})
_CONTROL_CHARACTERS = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f]")


def clean(markup: str) -> str:
    """The markup with harmless elements only; tables scroll sideways where they are wide.

    Examples
    --------
    >>> clean('<p onclick="x()">a<script>x()</script><img src=x onerror=x()> <b>c</b></p>')
    '<p>a <b>c</b></p>'
    """
    # Half a surrogate pair is text to Python and to no parser.
    harmless = _cleaner().clean(markup.encode("utf-8", "replace").decode("utf-8"))
    harmless = isolate_html(_CONTROL_CHARACTERS.sub("?", harmless))
    # Neither text nor the attributes that are left hold a "<", so this finds elements only.
    harmless = harmless.replace("<table", '<div class="table"><table')
    return harmless.replace("</table>", "</table></div>").strip()


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


@cache
def _cleaner() -> nh3.Cleaner:
    import nh3

    cells = {"colspan", "rowspan", "scope"}
    return nh3.Cleaner(
        tags=set(ALLOWED_ELEMENTS),
        clean_content_tags=set(_NOT_TEXT),
        attributes={"*": {"class"}, **dict.fromkeys(("td", "th", "col", "colgroup"), cells)},
        attribute_filter=_allowed,
        url_schemes=set(),
        link_rel=None,
    )


def _allowed(tag: str, name: str, value: str) -> str | None:
    """The attribute's value where it is one of the few that are let through, else None."""
    if name == "class":
        harmless = all(_CLASS.fullmatch(part) for part in value.split())
    elif name == "scope":
        harmless = value in _SCOPES
    else:
        harmless = _SPAN.fullmatch(value) is not None
    return value if harmless else None
