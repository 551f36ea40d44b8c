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
import re
from collections.abc import Iterator, Mapping, Sequence
from functools import cache
from pathlib import Path
from string import Template
from typing import Any

from analysis.reports.charts import PLOTLY, chart
from analysis.reports.sanitize import clean, from_markdown

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
