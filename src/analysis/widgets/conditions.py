"""Conditions on properties in a field of text, spelled as a report definition spells them.

One line of TOML, such as ``device = "mobile", value = ">= 50"``: what is typed here is what
stands in the definition later, types included.
"""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from typing import Any

import ipywidgets

from analysis.core.schema import UsageError
from analysis.reports.parameters import plain

EXAMPLE = 'device = "mobile", value = ">= 50"'


def conditions(text: str) -> dict[str, Any] | None:
    """The conditions that a line of text spells; nothing is None.

    Raises
    ------
    UsageError
        If the text cannot be read.

    Examples
    --------
    >>> conditions('device = ["mobile", "tablet"], value = ">= 50"')
    {'device': ['mobile', 'tablet'], 'value': '>= 50'}
    """
    if not text.strip():
        return None
    try:
        read = tomllib.loads(f"where = {{{text}}}")
    except tomllib.TOMLDecodeError:
        read = {}
    if list(read) != ["where"] or "\n" in text:
        raise UsageError(
            f"funnel_panel: where: {text!r} cannot be read. Allowed: property = value, texts in "
            f"quotes, such as {EXAMPLE}."
        )
    found: dict[str, Any] = read["where"]
    return found or None


def spelled(where: Mapping[str, Any] | None) -> str:
    """Conditions as a line of text; `conditions` reads it back.

    Raises
    ------
    UsageError
        If a value is neither text, number, true or false, nor a list of these.

    Examples
    --------
    >>> spelled({"device": ("mobile", "tablet"), "value": ">= 50"})
    'device = ["mobile", "tablet"], value = ">= 50"'
    """
    import tomlkit

    if not where:
        return ""
    table = tomlkit.inline_table()
    table.update(plain(where, "funnel_panel: where"))
    return table.as_string().strip().removeprefix("{").removesuffix("}").strip()


def where_field(where: Mapping[str, Any] | None) -> ipywidgets.Text:
    """A field for conditions; it tells of a change when Enter is pressed or it is left."""
    return ipywidgets.Text(
        value=spelled(where),
        description="Only where",
        placeholder=EXAMPLE,
        continuous_update=False,
        style={"description_width": "6rem"},
        layout=ipywidgets.Layout(width="24rem"),
    )
