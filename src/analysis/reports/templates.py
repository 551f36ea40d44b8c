"""Fill a report's templates: text is escaped unless a template says that it is markup.

The templates are the ``.html`` files of this folder. Every value that they insert is escaped; only
``| safe`` in a template lets markup through, and it stands only where the value was cleaned or
made by this package. A name that runs from right to left gets its ``<bdi>``; where no element may
stand, in attributes and titles, a template says ``| letters``. A value that a template wants and
does not get is an error, not a gap.

Jinja is imported when the first template is filled, so that notebooks and commands which show no
page do not wait for it.
"""

from __future__ import annotations

import html
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from analysis.core.wording import as_html, isolate_within

if TYPE_CHECKING:
    import jinja2

_FOLDER = Path(__file__).parent


def fill(template: str, **values: Any) -> str:
    """The text of a template with these values in it."""
    return _environment().get_template(template).render(**values)


def macros(template: str) -> Any:
    """The macros of a template, to be called as functions that return markup.

    Examples
    --------
    >>> str(macros("parts.html").text("1 < 2"))
    '<pre>1 &lt; 2</pre>'
    """
    return _environment().get_template(template).module


def read(name: str) -> str:
    """The text of a file of this folder that is no template: a style sheet or a script."""
    return (_FOLDER / name).read_text(encoding="utf-8")


@cache
def _environment() -> jinja2.Environment:
    import jinja2

    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(_FOLDER),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        finalize=_escaped,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    environment.filters["letters"] = _letters
    return environment


def _letters(value: Any) -> Any:
    """The value escaped, without elements, for attributes and titles."""
    import markupsafe

    return markupsafe.Markup(html.escape(isolate_within(value)))


def _escaped(value: Any) -> Any:
    """The value as markup, escaped by Python's own rules.

    Jinja would write quotes as ``&#34;`` and ``&#39;``; the saved outputs of the notebooks have
    ``&quot;`` and ``&#x27;``.
    """
    import markupsafe

    if hasattr(value, "__html__"):
        return value
    return markupsafe.Markup(as_html(value))
