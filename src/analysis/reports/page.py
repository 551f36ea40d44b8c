"""An executed notebook as one page that needs nothing else: no network, no kernel, no code shown.

What a reader gets is the answer: headings, words, tables and figures. Code, prompts and cells that
only make sense with a kernel are left out. Figures travel as data; the chart library stands once,
compressed, at the end of the page. The page's own content-security policy forbids it to load or
send anything and to run any script but the three that are named in it by their hashes.

Cells and outputs are not trusted: their HTML is cut down to a list of harmless elements, without
addresses, styles or handlers, because names and values from the data may stand in them. The same
notebook gives the same bytes: nothing here is random or asks the clock.
"""

from __future__ import annotations

import base64
import gzip
import hashlib
import html
import json
import math
import re
from collections.abc import Iterator, Mapping, Sequence
from functools import cache
from pathlib import Path
from string import Template
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import nh3

# ──── reports.sanitize
#
# HTML from cells and outputs, cut down to what cannot do anything.
#
# An allow-list, because the list of what can go wrong in HTML is never complete. There are no
# addresses in it: a page that stakeholders open must not lead them anywhere that a property's value
# chose, and must not load anything.


_TEXT = {"abbr", "b", "br", "cite", "code", "del", "em", "i", "kbd", "mark", "q", "s", "samp"}


_TEXT |= {"small", "span", "strong", "sub", "sup", "u", "var", "a"}


_BLOCKS = {"blockquote", "dd", "details", "div", "dl", "dt", "h1", "h2", "h3", "h4", "h5", "h6"}


_BLOCKS |= {"hr", "li", "ol", "p", "pre", "summary", "ul"}


_TABLES = {"caption", "col", "colgroup", "table", "tbody", "td", "tfoot", "th", "thead", "tr"}


_TAGS = frozenset(_TEXT | _BLOCKS | _TABLES)


_SPANS = re.compile(r"[0-9]{1,4}")


_SCOPES = frozenset({"col", "colgroup", "row", "rowgroup"})


_CLASS = re.compile(r"(?:wb-[a-z-]+|dataframe)")


_INVISIBLE = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f]")


# What stands in these is no text for readers, so it goes with them.
_NOT_TEXT = frozenset({"script", "style", "template", "iframe", "title", "textarea"})


def clean(markup: str) -> str:
    """The markup with harmless elements only; tables scroll sideways where they are wide.

    Examples
    --------
    >>> clean('<p onclick="x()">a<script>x()</script><img src=x onerror=x()> <b>c</b></p>')
    '<p>a <b>c</b></p>'
    """
    # Half a surrogate pair is text to Python and to no parser.
    safe = _cleaner().clean(markup.encode("utf-8", "replace").decode("utf-8"))
    safe = _INVISIBLE.sub("?", safe)
    # Neither text nor the attributes that are left hold a "<", so this finds elements only.
    safe = safe.replace("<table", '<div class="table"><table').replace("</table>", "</table></div>")
    return safe.strip()


@cache
def _cleaner() -> nh3.Cleaner:
    import nh3

    cells = {"colspan", "rowspan", "scope"}
    return nh3.Cleaner(
        tags=set(_TAGS),
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
        harmless = _SPANS.fullmatch(value) is not None
    return value if harmless else None


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


# ──── reports.charts
#
# A plotly figure as part of a page: its data, its title as a heading, and its numbers in words.
#
# Titles become HTML, because they wrap on a phone and plotly's do not. The words stand where the
# chart will be until it is drawn, so that a browser that cannot draw shows the numbers all the
# same.


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


# ──── reports.html


REMOVED_TAGS = frozenset({"parameters", "injected-parameters", "interactive", "remove"})


CAPTION_TAG = "caption"


_FOLDER = Path(__file__).parent


_EARLY = "document.documentElement.classList.add('js')"


_IMAGES = ("image/png", "image/jpeg", "image/svg+xml")


_ANSI = re.compile(r"\x1b\[[0-9;]*[A-Za-z]")


_TITLE = re.compile(r"\A\s*# .*(?:\n|\Z)")


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
    blocks = list(_blocks(notebook["cells"]))
    has_charts = any(block.startswith('<figure class="chart"') for block in blocks)
    page = Template((_FOLDER / "page.html").read_text(encoding="utf-8"))
    drawing = (_FOLDER / "page.js").read_text(encoding="utf-8").strip()
    # Without charts there is nothing to draw, and no word about it.
    scripts = [_EARLY, *([drawing, chart_library()] if has_charts else [])]
    done = page.substitute(
        policy=_policy(scripts),
        title=html.escape(title),
        style=(_FOLDER / "page.css").read_text(encoding="utf-8"),
        early=_EARLY,
        heading=html.escape(title),
        subtitle=html.escape(subtitle),
        body="\n".join(blocks),
        footer=html.escape(footer),
        scripts=_scripts(drawing) if has_charts else "",
    )
    # Half a surrogate pair cannot be written to a file, and must not stop the report.
    return done.encode("utf-8", "replace").decode("utf-8")


@cache
def chart_library() -> str:
    """The source of plotly.js, as it comes with plotly."""
    from plotly.offline import get_plotlyjs

    return str(get_plotlyjs())


@cache
def _packed_library() -> str:
    packed = gzip.compress(chart_library().encode("utf-8"), compresslevel=9, mtime=0)
    return base64.b64encode(packed).decode("ascii")


def _scripts(drawing: str) -> str:
    return (
        f'<script type="text/plain" id="chart-library">{_packed_library()}</script>\n'
        f"<script>{drawing}</script>\n"
    )


def _policy(scripts: Sequence[str]) -> str:
    hashes = [
        "'sha256-" + base64.b64encode(hashlib.sha256(s.encode("utf-8")).digest()).decode() + "'"
        for s in scripts
    ]
    return (
        f"default-src 'none'; script-src {' '.join(hashes)}; style-src 'unsafe-inline'; "
        "img-src data:; base-uri 'none'; form-action 'none'"
    )


def _blocks(cells: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    """The parts of the page, captions inside their figures."""
    waiting: str | None = None
    number = 0
    for first, cell in _shown(cells):
        is_caption = CAPTION_TAG in cell.get("metadata", {}).get("tags", [])
        if waiting is not None:
            caption = from_markdown(_text(cell["source"])) if is_caption else ""
            yield waiting.replace("<!--caption-->", caption)
            waiting = None
            if is_caption:
                continue
        if cell["cell_type"] == "markdown":
            source = _text(cell["source"])
            yield from_markdown(_TITLE.sub("", source) if first else source)
            continue
        for output in cell.get("outputs", []):
            block = _output(output, number + 1)
            if waiting is not None:
                yield waiting.replace("<!--caption-->", "")
                waiting = None
            if block.startswith('<figure class="chart"'):
                number += 1
                waiting = block
            elif block:
                yield block
    if waiting is not None:
        yield waiting.replace("<!--caption-->", "")


def _shown(cells: Sequence[Mapping[str, Any]]) -> Iterator[tuple[bool, Mapping[str, Any]]]:
    first = True
    for cell in cells:
        tags = set(cell.get("metadata", {}).get("tags", []))
        if cell["cell_type"] in ("markdown", "code") and not tags & REMOVED_TAGS:
            yield first, cell
            first = False


def _output(output: Mapping[str, Any], number: int) -> str:
    kind = output["output_type"]
    if kind == "stream":
        return _plain(output["text"]) if output["name"] == "stdout" else ""
    if kind == "error":
        return _plain(f"{output['ename']}: {output['evalue']}")
    data = output["data"]
    if PLOTLY in data:
        return chart(data[PLOTLY], number=number)
    if "text/html" in data:
        return clean(_text(data["text/html"]))
    if "text/markdown" in data:
        return from_markdown(_text(data["text/markdown"]))
    for kind in _IMAGES:
        if kind in data:
            return _image(kind, _text(data[kind]))
    return _plain(data["text/plain"]) if "text/plain" in data else ""


def _plain(text: str | Sequence[str]) -> str:
    return f"<pre>{html.escape(_ANSI.sub('', _text(text)))}</pre>"


def _image(kind: str, content: str) -> str:
    # A vector image is shown as an image, in which no script runs and nothing is loaded.
    if kind == "image/svg+xml":
        content = base64.b64encode(content.encode("utf-8")).decode("ascii")
    packed = re.sub(r"[^A-Za-z0-9+/=]", "", content)
    return f'<figure class="image"><img alt="" src="data:{kind};base64,{packed}"></figure>'


def _text(source: str | Sequence[str]) -> str:
    return source if isinstance(source, str) else "".join(source)
