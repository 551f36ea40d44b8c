"""The page: complete, harmless, the same every time, whatever the notebook holds."""

from __future__ import annotations

import base64
import gzip
import hashlib
import html
import json
import re
from pathlib import Path
from typing import Any

import lxml.html
import nbformat.v4 as v4
import pandas as pd
import plotly.graph_objects as go
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.browser_runs import CHROMIUM, QUIET, needs_chromium

from analysis.funnels.figures import funnel_bars
from analysis.reports.blocks import headline
from analysis.reports.page import ALLOWED_ELEMENTS, chart_library, clean, from_markdown, to_html

SCRIPT = '<script>alert("x")</script>'
EVIL = [
    SCRIPT,
    "<img src=x onerror=alert(1)>",
    '"><svg/onload=alert(1)>',
    "</script><script>alert(1)</script>",
    "<scr<script></script>ipt>alert(1)</scr<style></style>ipt>",
    "</p></div></main><iframe src=https://evil.example></iframe>",
    '<a href="javascript:alert(1)">x</a>',
    "<style>body{background:url(https://evil.example/x)}</style>",
    "<!--caption--> $title $scripts ${body}",
    "<form action=https://evil.example><input name=q></form>",
    # Addresses: by entities, white space, control characters, other schemes, other attributes.
    "<a href='jav&#x61;script:alert(1)'>x</a><a href='java\tscript&colon;alert(1)'>x</a>",
    "<a href='\x01javascript:alert(1)'>x</a><a href=' JaVaScRiPt:alert(1)'>x</a>",
    "<a href='data:text/html;base64,PHNjcmlwdD5hbGVydCgxKTwvc2NyaXB0Pg=='>x</a>",
    "<a href='vbscript:x' ping=https://evil.example>x</a><q cite=https://evil.example>x</q>",
    "<img srcset='https://evil.example/x 2x'><picture><source srcset=//evil.example></picture>",
    "<video poster=//evil.example><source src=x onerror=alert(1)></video>"
    "<audio src=//evil.example>",
    "<table background=//evil.example><tr><td background=//evil.example>x</td></tr></table>",
    "<object data='data:text/html,<script>alert(1)</script>'></object><embed src=//evil.example>",
    # Elements that act on the whole page.
    "<meta http-equiv=refresh content='0;url=https://evil.example'><base href=//evil.example>",
    "<link rel=stylesheet href=//evil.example><link rel=prefetch href=//evil.example>",
    "<body onload=alert(1)><html onclick=alert(1)><frameset onload=alert(1)>",
    "<form id=x></form><button form=x formaction=javascript:alert(1)>x</button><isindex action=x>",
    "<p id=chart-library name=body class='plot js' data-drawn=x>x</p><a name=documentElement>x</a>",
    "<iframe srcdoc='<script>alert(1)</script>'></iframe><portal src=//evil.example></portal>",
    # Styles.
    "<p style='background:url(//evil.example)'>x</p><p style='x:expression(alert(1))'>x</p>",
    "<style>@import '//evil.example';</style><div style=position:fixed;inset:0>x</div>",
    # Handlers, and attributes that end where they should not.
    "<details open ontoggle=alert(1)><summary onclick=alert(1)>x</summary></details>",
    "<b/onpointerenter=alert(1)//><i\nonclick=alert(1)>x</i><p class=x\fonclick=alert(1)>x</p>",
    "<td scope='<table onclick=alert(1)>'>x</td><table><tr><td colspan='2\" onclick=\"alert(1)'>x",
    "<table><tr><th scope=\"</table><img src=x onerror=alert(1)>\" rowspan='</table>'>x</table>",
    "<p class='wb-x\"><img src=x onerror=alert(1)>'>x</p>"
    "<p class=`wb-x` title='`onclick=alert(1)'>",
    # Markup that means one thing to one parser and another to the next.
    "<svg></p><style><a id='</style><img src=x onerror=alert(1)>'></svg>",
    "<math><mtext><table><mglyph>"
    "<style><!--</style><img title='--&gt;&lt;img src=1 onerror=alert(1)&gt;'>",
    "<form><math><mtext></form><form><mglyph><style></math><img src=x onerror=alert(1)>",
    "<svg><foreignObject><div><template><style>"
    "<img src=x onerror=alert(1)></style></template></svg>",
    "<svg><desc><noscript><b title='</noscript><img src=x onerror=alert(1)>'></desc></svg>",
    "<noscript><p title='</noscript><img src=x onerror=alert(1)>'></noscript>",
    "<math href=javascript:alert(1)>"
    "<maction actiontype='statusline#x' xlink:href=javascript:x>x</math>",
    "<svg><animate xlink:href=#x attributeName=href values=javascript:alert(1)></animate></svg>",
    "<svg><use href='data:image/svg+xml,<svg id=x><script>alert(1)</script></svg>#x'></use></svg>",
    "<textarea></p></textarea><xmp><p title='</xmp><img src=x onerror=alert(1)>'></xmp>",
    "<title><b title='</title><img src=x onerror=alert(1)>'></title><noembed></noembed><plaintext>",
    "<select><template><img src=x onerror=alert(1)></template></select>"
    "<option><img src=x onerror=x>",
    "<!--><img src=x onerror=alert(1)>--><!--x--!><img src=x onerror=alert(1)><!-- --!> --><b>x",
    "<![CDATA[<img src=x onerror=alert(1)>]]><?php <img src=x onerror=alert(1)> ?><!x <b>>",
    "<svg><![CDATA[</svg><img src=x onerror=alert(1)>]]></svg><a\x00b\x00/onclick=alert(1)>x</a>",
    "&lt;img src=x onerror=alert(1)&gt; &amp;lt;script&amp;gt; &#60;script&#62; "
    "%3Cscript%3E \ufeff<b>",
]
URL = "https://evil.example"


def code(*data: dict, tags: tuple[str, ...] = (), source: str = "secret_code()") -> Any:
    outputs = [v4.new_output("display_data", data=bundle) for bundle in data]
    return v4.new_code_cell(source, outputs=outputs, metadata={"tags": list(tags)})


def bundle(figure: go.Figure) -> dict:
    return {"application/vnd.plotly.v1+json": json.loads(figure.to_json()), "text/plain": "Figure"}


def funnel(names: list[str]) -> go.Figure:
    table = pd.DataFrame({"group": "all", "step": [1, 2], "event": names, "count": [40, 8]})
    table = table.assign(k=[40, 8], n_first=40, n_previous=40, rate=[1, 0.2], step_rate=[None, 0.2])  # type: ignore[list-item]
    table = table.assign(rate_low=[0.9, 0.105], rate_high=[1, 0.348], low=0.105, high=0.348)
    return funnel_bars(table)


def page_of(*cells: Any, **words: str) -> str:
    return to_html(v4.new_notebook(cells=list(cells)), **({"title": "A report"} | words))


def parsed(page: str) -> Any:
    return lxml.html.document_fromstring(page)


ACTIVE = {"iframe", "object", "embed", "form", "input", "link", "base", "svg", "math"}
ADDRESSES: tuple[str, ...] = (
    "src",
    "href",
    "action",
    "formaction",
    "data",
    "srcset",
    "poster",
    "background",
)
ADDRESSES += ("cite", "ping", "xlink:href", "srcdoc")


def assert_harmless(page: str) -> None:
    document = parsed(page)
    for element in document.iter():
        if not isinstance(element.tag, str):
            continue
        assert element.tag not in ACTIVE
        assert not [name for name in element.attrib if name.startswith("on")]
        for name in ADDRESSES:
            assert element.get(name, "data:image/").startswith("data:image/")
        assert element.get("id", "figure-1").startswith(("figure-", "chart-library"))
        assert re.fullmatch(r"height:\d+px", element.get("style", "height:1px"))
        assert element.tag == "meta" or "name" not in element.attrib
        if element.tag == "style":
            assert element.getparent().tag == "head"
        if element.tag == "script" and element.get("type") is None:
            assert "alert(" not in element.text
        elif element.tag == "script":
            assert element.get("type") in ("application/json", "text/plain")
            assert "<" not in element.text
    refresh = [m.get("http-equiv") for m in document.iter("meta") if m.get("http-equiv")]
    assert refresh == ["Content-Security-Policy"]


@pytest.mark.parametrize("evil", EVIL)
def test_text_from_the_data_does_nothing_wherever_it_stands(evil: Any) -> None:
    frame = pd.DataFrame({evil: [evil], "n": [1]})
    own = go.Figure(go.Bar(x=[evil], y=[1], name=evil), {"title": {"text": evil}})
    page = page_of(
        v4.new_markdown_cell(f"# {evil}\n\n{evil}\n\n- {evil}\n"),
        code({"text/html": frame.to_html(), "text/plain": evil}),
        code({"text/html": frame.to_html(escape=False), "text/plain": evil}),
        code({"text/html": evil}),
        code({"text/markdown": evil}),
        code({"text/plain": evil}),
        code({"text/html": headline(evil)._repr_html_()}),
        code(bundle(funnel([evil, "b"])), bundle(own)),
        v4.new_markdown_cell(evil, metadata={"tags": ["caption"]}),
        v4.new_code_cell(outputs=[v4.new_output("stream", name="stdout", text=evil)]),
        v4.new_code_cell(outputs=[v4.new_output("error", ename="E", evalue=evil)]),
        title=evil,
        subtitle=evil,
        footer=evil,
    )
    assert_harmless(page)
    assert len(re.findall("<script", page)) == 2 + 2 + 1  # early, drawing; two charts; the library


@pytest.mark.parametrize("name", ["קנייה", "mobile\u202e", "a\u2069b"])
def test_no_name_on_a_page_turns_the_number_behind_it(name: str) -> None:
    frame = pd.DataFrame({name: [f"{name} 12"]})
    page = page_of(
        v4.new_markdown_cell(f"## Start\n\n{name} 12 of 30\n"),
        code({"text/html": frame.to_html(), "text/plain": name}),
        code({"text/plain": f"{name} 12"}),
        code({"text/html": headline(f"{name} 12 of 30")._repr_html_()}),
        title=f"{name} 12",
    )
    document = lxml.html.document_fromstring(page)
    assert "<" not in document.findtext(".//title")
    for element in document.iter():
        for text in (element.text if element.tag != "bdi" else "", element.tail):
            outside = re.sub("\u2068[^\u2069]*\u2069", "", text or "")
            assert not set(outside) & set("קנייה\u202e\u2069"), ascii(text)


LINK = '<a href="https://example.org">here</a>'


def test_no_picture_of_a_figure_lies_elsewhere() -> None:
    here = "data:image/png;base64,AAAA"
    figure = go.Figure(go.Sankey(link={"source": [0], "target": [1], "value": [1]}))
    for source in ("https://example.org/a.png", "//example.org/b.png", here):
        figure.add_layout_image(source=source)
    page = page_of(code(bundle(figure)))
    assert "example.org" not in page
    assert here in page
    assert '"source":[0]' in page


def test_no_text_of_a_figure_becomes_a_link() -> None:
    """Each of the places where plotly reads its own kind of HTML; in the data and in the layout."""
    bar = go.Bar(
        x=[LINK, "b"],
        y=[1, 2],
        name=LINK,
        text=[f"<b>1</b>{LINK}", "2"],
        hovertext=LINK,
        hovertemplate=f"%{{x}}<br>{LINK}<extra>{LINK}</extra>",
        customdata=[[LINK], ["x"]],
    )
    pie = go.Pie(labels=[LINK], values=[1], title={"text": LINK})
    table = go.Table(header={"values": [LINK]}, cells={"values": [[LINK.upper()]]})
    layout = {
        "annotations": [{"text": f"<A\nHREF='https://example.org'>x</A>{LINK}"}],
        "xaxis": {"title": {"text": LINK}, "ticktext": [LINK], "tickvals": [0], "ticksuffix": LINK},
        "legend": {"title": {"text": LINK}},
        "coloraxis": {"colorbar": {"title": {"text": LINK}}},
        "updatemenus": [{"buttons": [{"label": LINK, "method": "skip"}]}],
    }
    page = page_of(code(bundle(go.Figure([bar, pie, table], layout))))
    script = lxml.html.document_fromstring(page).xpath("//script[@type='application/json']")[0]
    tags = re.findall("<[^>]*>", script.text.encode().decode("unicode_escape"))
    assert set(tags) == {"<b>", "</b>", "<br>", "<extra>", "</extra>"}
    shown = json.loads(script.text)
    assert shown["data"][0]["x"] == ['&lt;a href="https://example.org">here&lt;/a>', "b"]


@pytest.mark.parametrize(
    ("text", "kept"),
    [
        ("<b>a</b> 1 <br/> <sup>2</sup>", True),
        ("<span style='color:#aaa;font-size:9px'>a</span>", True),
        ("<span style='background:url(//x)'>a", False),
        ("<b onclick=x>a", False),
        ("<span href=x>a", False),
        ("a < b", False),
        ("<<a>", False),
    ],
)
def test_looks_are_kept_and_all_else_is_letters(text: str, kept: bool) -> None:
    page = page_of(code(bundle(go.Figure(go.Bar(x=[1], y=[1], text=text)))))
    script = lxml.html.document_fromstring(page).xpath("//script[@type='application/json']")[0]
    shown = json.loads(script.text)["data"][0]["text"]
    assert (shown == text) == kept
    assert html.unescape(shown) == text


ELEMENTS = ["<b>", "</b>", "<script>", "</script>", "<style>", "</style>", "<table>", "</td>"]
ELEMENTS += ["<p/onclick=x>", "<a/href='", "'>", "<svg/", "<math><mtext>", "<!--", "-->", "x"]
ELEMENTS += ["<img/src=", "<template>", "<textarea>"]


@settings(max_examples=60)
@given(st.lists(st.sampled_from(ELEMENTS) | st.text(max_size=4), max_size=12).map("".join))
def test_cleaned_html_has_harmless_elements_only(markup: Any) -> None:
    for cleaned in (clean(markup), from_markdown(markup)):
        root = lxml.html.fragment_fromstring(cleaned, create_parent="div")
        for element in root.iter():
            assert isinstance(element.tag, str)
            assert element.tag not in {"script", "style", "svg", "img", "math", "iframe"}
            assert set(element.attrib) <= {"class", "colspan", "rowspan", "scope"}


def unwrapped(cleaned: str) -> str:
    """Without the element that lets a wide table scroll."""
    return cleaned.replace('<div class="table"><table', "<table").replace(
        "</table></div>", "</table>"
    )


@pytest.mark.parametrize("evil", EVIL)
def test_what_is_clean_stays_as_it_is_when_it_is_read_again(evil: Any) -> None:
    """Markup that changes when it is parsed again can turn into what was not let through."""
    cleaned = unwrapped(clean(f"<p>{evil}</p> {evil}"))
    assert unwrapped(clean(cleaned)) == cleaned


def test_attributes_hold_nothing_but_what_a_table_needs() -> None:
    cells = "<td colspan=2 rowspan=3 class='wb-x dataframe'>a</td><th scope=col id=x title=x>b</th>"
    wild = "<td colspan='2;' rowspan=x scope='<table'>c</td><td class='wb-x other'>d</td>"
    cleaned = clean(f"<table class=dataframe><tr>{cells}{wild}</tr></table>")
    assert cleaned == (
        '<div class="table"><table class="dataframe"><tbody><tr>'
        '<td colspan="2" rowspan="3" class="wb-x dataframe">a</td><th scope="col">b</th>'
        "<td>c</td><td>d</td></tr></tbody></table></div>"
    )


def test_half_a_surrogate_pair_is_cleaned_like_any_text() -> None:
    assert clean("<p>\ud83d<script>x</script></p>") == "<p>?</p>"


def test_control_characters_are_shown_and_not_passed_on() -> None:
    assert clean("<p\x0ctitle=x>a\x08b\x1bc\td\ne</p>") == "<p>a?b?c\td\ne</p>"


def test_the_policy_allows_exactly_the_scripts_that_are_there() -> None:
    page = page_of(code(bundle(funnel(["a", "b"]))))
    policy = parsed(page).xpath("//meta[@http-equiv]/@content")[0]
    scripts = [s.text for s in parsed(page).iter("script") if s.get("type") is None]
    packed = parsed(page).get_element_by_id("chart-library").text
    library = gzip.decompress(base64.b64decode(packed)).decode("utf-8")
    assert library == chart_library()
    assert base64.b64decode(packed)[4:8] == bytes(4)  # no time of packing
    for text in (*scripts, library):
        digest = base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()
        assert f"'sha256-{digest}'" in policy
    assert policy.count("sha256-") == 3
    directives = dict(part.strip().split(" ", 1) for part in policy.split(";"))
    assert directives["default-src"] == "'none'"
    assert directives["img-src"] == "data:"
    assert "unsafe" not in directives["script-src"]
    assert set(directives) == {
        "default-src", "script-src", "style-src", "img-src", "base-uri", "form-action",
    }  # fmt: skip


def test_without_charts_there_is_no_library() -> None:
    page = page_of(v4.new_markdown_cell("Words."))
    assert len(page) < 20_000
    assert "chart-library" not in page


def test_the_same_notebook_gives_the_same_bytes() -> None:
    cells = [v4.new_markdown_cell("Hello"), code(bundle(funnel(["a", "b"])))]
    assert page_of(*cells) == page_of(*cells)


def test_code_prompts_and_tagged_cells_are_left_out() -> None:
    page = page_of(
        code({"text/plain": "kept"}),
        code({"text/plain": "gone 1"}, tags=("parameters",)),
        code({"text/plain": "gone 2"}, tags=("injected-parameters",)),
        code({"text/plain": "gone 3"}, tags=("interactive",)),
        v4.new_markdown_cell("gone 4", metadata={"tags": ["interactive"]}),
        code({"application/vnd.workbook.numbers+json": {"headline": "gone 5"}}),
        v4.new_code_cell(outputs=[v4.new_output("stream", name="stderr", text="gone 6")]),
        code({"application/vnd.jupyter.widget-view+json": {"model_id": "gone 7"}}),
    )
    assert "kept" in page
    assert "gone" not in page
    assert "secret_code" not in page
    assert "In [" not in page


def test_figures_carry_their_words_their_caption_and_their_title() -> None:
    figure = funnel(["view_item", "purchase"]).update_layout(title_text="How <b>far</b> &lt;x&gt;")
    caption = v4.new_markdown_cell("Read it *so*.", metadata={"tags": ["caption"]})
    document = parsed(page_of(code(bundle(figure)), caption, v4.new_markdown_cell("After.")))
    (element,) = document.find_class("chart")
    assert element.find("h3").text_content() == "How far <x>"
    assert "20.0% (8 of 40)" in element.find("div").get("aria-label")
    assert "20.0% (8 of 40)" in element.find_class("words")[0].text
    assert element.find("figcaption").text_content() == "Read it so."
    assert [p.text for p in document.xpath("//main/p[not(@class)]")] == ["After."]
    layout = json.loads(element.find("script").text)["layout"]
    assert "title" not in layout
    assert "width" not in layout


def test_a_figure_without_words_of_its_own_still_has_a_name() -> None:
    unnamed, named = go.Figure(go.Bar(y=[1])), go.Figure(layout_title="Mine")
    page = page_of(code(bundle(unnamed)), code(bundle(named)))
    labels = parsed(page).xpath("//div[@role='img']/@aria-label")
    assert labels == ["Figure 1", "Mine"]


def test_undefined_numbers_are_json() -> None:
    data = {"data": [{"y": [float("nan"), float("inf"), 1.5]}], "layout": {}}
    page = page_of(code({"application/vnd.plotly.v1+json": data}))
    (script,) = [s for s in parsed(page).iter("script") if s.get("type") == "application/json"]
    assert json.loads(script.text, parse_constant=pytest.fail)["data"][0]["y"] == [None, None, 1.5]


def test_wide_tables_scroll_and_keep_their_text() -> None:
    frame = pd.DataFrame({"a < b": ["x & y"]})
    document = parsed(page_of(code({"text/html": frame.to_html(index=False)})))
    (table,) = document.iter("table")
    assert table.getparent().get("class") == "table"
    assert table.text_content().split() == ["a", "<", "b", "x", "&", "y"]


def test_the_first_heading_gives_way_to_the_title_and_only_the_first() -> None:
    page = page_of(v4.new_markdown_cell("# Notebook\n\nWords."), v4.new_markdown_cell("# Second"))
    assert [h.text for h in parsed(page).iter("h1")] == ["A report", "Second"]


def test_images_stand_inside_the_page() -> None:
    dot = base64.b64encode(b"\x89PNG fake").decode()
    vector = f"<svg xmlns='x'><script>alert(1)</script>{URL}</svg>"
    page = page_of(code({"image/png": dot + "\n"}), code({"image/svg+xml": vector}))
    sources = parsed(page).xpath("//img/@src")
    assert sources[0] == f"data:image/png;base64,{dot}"
    assert base64.b64decode(sources[1].split(",")[1]).decode() == vector
    assert URL not in page


def test_half_a_surrogate_pair_does_not_stop_the_report() -> None:
    page_of(code({"text/plain": "\ud83d"}), title="\udc00").encode("utf-8")


@pytest.mark.browser
@needs_chromium
def test_a_browser_finds_nothing_to_do_in_what_was_cleaned(tmp_path: Path) -> None:
    """Without the page's policy, as a document and read once more from its own elements."""
    from playwright.sync_api import sync_playwright

    file = tmp_path / "cleaned.html"
    parts = [f"<section>{clean(evil)}{from_markdown(evil)}</section>" for evil in EVIL]
    file.write_text(f"<!DOCTYPE html><meta charset=utf-8><main>{''.join(parts)}</main>", "utf-8")
    heard: list[str] = []
    with sync_playwright() as play:
        browser = play.chromium.launch(executable_path=CHROMIUM, args=[*QUIET])
        page = browser.new_page()
        page.on("dialog", lambda dialog: (heard.append(dialog.message), dialog.dismiss()))  # type: ignore[func-returns-value]
        page.on("console", lambda message: heard.append(message.text))
        page.on("pageerror", lambda error: heard.append(str(error)))
        page.on("request", lambda request: heard.append(request.url))
        page.goto(file.as_uri())
        for _ in range(2):
            assert page.locator("section").count() == len(EVIL)
            there = page.evaluate(
                "[...document.querySelectorAll('section *')].flatMap("
                "e => [e.namespaceURI + ' ' + e.localName, ...e.getAttributeNames()])"
            )
            names = {name.removeprefix("http://www.w3.org/1999/xhtml ") for name in there}
            assert names <= ALLOWED_ELEMENTS | {"class", "colspan", "rowspan", "scope"}
            page.evaluate("document.body.innerHTML = document.body.innerHTML")
            page.wait_for_timeout(200)
        browser.close()
    assert heard == [file.as_uri()]


@pytest.mark.browser
@needs_chromium
def test_the_page_fits_every_width_and_speaks_without_scripts(tmp_path: Path) -> None:
    from playwright.sync_api import sync_playwright

    file = tmp_path / "page.html"
    wide = pd.DataFrame([range(40)], columns=[f"column {i}" for i in range(40)])
    cells = [code(bundle(funnel([f"{EVIL[0]} and a long name", EVIL[2]])))]
    cells.append(code({"text/html": wide.to_html()}))
    file.write_text(page_of(*cells), encoding="utf-8")
    heard: list[str] = []
    with sync_playwright() as play:
        browser = play.chromium.launch(executable_path=CHROMIUM, args=[*QUIET])
        context = browser.new_context(offline=True, viewport={"width": 360, "height": 700})
        page = context.new_page()
        page.on("console", lambda message: heard.append(message.text))
        page.on("pageerror", lambda error: heard.append(str(error)))
        page.on("request", lambda request: heard.append(request.url))
        page.goto(file.as_uri())
        page.wait_for_selector("html[data-charts=drawn]")
        for width in (360, 1280):
            page.set_viewport_size({"width": width, "height": 700})
            page.wait_for_timeout(300)
            assert page.evaluate("document.documentElement.scrollWidth") == width
            chart = page.locator("svg.main-svg").first.bounding_box()
            assert 300 < chart["width"] <= min(width, 1000)
        page.emulate_media(media="print")
        page.evaluate("window.dispatchEvent(new Event('beforeprint'))")
        page.wait_for_function("document.querySelector('svg.main-svg').clientWidth === 660")
        assert page.locator("figure.chart svg a").count() == 0
        assert heard == [file.as_uri()]
        quiet = browser.new_context(java_script_enabled=False).new_page()
        quiet.goto(file.as_uri())
        assert quiet.get_by_text("20.0% (8 of 40)").is_visible()
        assert quiet.get_by_text("The charts need JavaScript").is_visible()
        browser.close()
