"""How Sphinx builds the site; `docs/build.py` lays the sources out and calls it."""

from __future__ import annotations

import re
from importlib import metadata

from sphinx.application import Sphinx

project = "Micro-conversion workbook"
author = "The maintainers"
project_copyright = "the maintainers, Apache-2.0"
release = version = metadata.version("micro-conversion-workbook")

extensions = ["sphinx.ext.autodoc", "sphinx.ext.napoleon", "myst_nb"]
default_role = "code"
exclude_patterns = ["_build"]
suppress_warnings = ["myst.xref_missing"]  # links between pages are checked by build.py

napoleon_google_docstring = False
napoleon_use_param = False
napoleon_use_rtype = False
autodoc_member_order = "bysource"
autodoc_typehints = "none"
autodoc_class_signature = "mixed"

myst_enable_extensions = ["colon_fence", "deflist"]
myst_heading_anchors = 3
# The notebooks are committed executed; the examples of the API pages are executed here.
nb_execution_mode = "force"
nb_execution_excludepatterns = ["notebooks/*"]
nb_execution_timeout = 300
nb_execution_raise_on_error = True
nb_merge_streams = True

html_theme = "furo"
html_title = project
html_static_path = ["_static"]
html_css_files = ["site.css"]
html_js_files = [("plotly.min.js", {"priority": 100})]
html_show_sphinx = False
html_theme_options = {"source_view_link": "", "top_of_page_buttons": []}


def described(
    app: object, what: str, name: str, obj: object, options: object, lines: list[str]
) -> None:
    """Read ``name : description`` as this project means it: after the colon stands no type."""
    section, out = "", []
    for place, line in enumerate(lines):
        following = lines[place + 1] if place + 1 < len(lines) else ""
        if following and set(following) == {"-"}:
            section = line
        found = re.match(r"^(\*{0,2}\w+(?:, \*{0,2}\w+)*) : (.*)$", line)
        if found and section in ("Parameters", "Attributes"):
            out += [found[1], f"    {found[2]}"]
        else:
            out.append(line)
    lines[:] = out


def setup(app: Sphinx) -> None:
    """Called by Sphinx; before napoleon reads the sections."""
    app.connect("autodoc-process-docstring", described, priority=100)
