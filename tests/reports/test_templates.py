"""Templates: escaped unless they say otherwise, and never filled with a gap."""

from __future__ import annotations

import html
import re
import subprocess
import sys
from pathlib import Path

import jinja2
import pytest
from hypothesis import given
from hypothesis import strategies as st

from analysis.reports import templates

FOLDER = Path(templates.__file__).parent
TRUSTED = {
    "blocks.html": set(),
    "index_page.html": {"style", "row.trend"},
    "page.html": {"policy", "style", "early", "part", "library", "drawing"},
    "parts.html": {"heading", "data", "caption"},
}


def test_every_template_is_known_with_the_values_that_it_trusts() -> None:
    found = {path.name: path.read_text(encoding="utf-8") for path in FOLDER.glob("*.html")}
    trusted = {name: set(re.findall(r"{{ (\S+) \| safe }}", text)) for name, text in found.items()}
    assert trusted == TRUSTED
    for text in found.values():
        assert text.count("safe }}") == len(re.findall(r"{{ \S+ \| safe }}", text))
        assert "autoescape" not in text


@given(st.text())
def test_text_is_escaped_as_python_escapes_it(text: str) -> None:
    expected = f'<p class="wb-sentence">{html.escape(text)}</p>'
    assert templates.macros("blocks.html").sentence(text) == expected


def test_markup_of_a_macro_is_not_escaped_twice() -> None:
    row = templates.macros("blocks.html").notes(["1 < 2"])
    assert templates.macros("parts.html").text(row) == f"<pre>{row}</pre>"


def test_a_value_that_is_missing_is_an_error() -> None:
    with pytest.raises(jinja2.UndefinedError):
        templates.fill("page.html", title="A report")
    with pytest.raises(jinja2.UndefinedError):
        templates.macros("blocks.html").sentence()


def test_libraries_for_pages_are_imported_when_a_page_is_made() -> None:
    code = (
        "import sys, analysis.reports.runs, analysis.reports.page, analysis.reports.blocks\n"
        "late = {'jinja2', 'nh3', 'mistune', 'papermill', 'jupyter_client', 'bleach'}\n"
        "print(sorted(late & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
