"""Build the site: guide, notebooks and API. ``build.py FOLDER`` writes it into FOLDER.

Nothing is fetched: the charts' library is copied from the plotly package. A warning of Sphinx is an
error, a public function without an example is an error, and so is a link between the project's own
files that leads nowhere.
"""

from __future__ import annotations

import inspect
import json
import re
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from typing import Any

import plotly.io
from plotly.offline import get_plotlyjs

import analysis

ROOT = Path(__file__).parents[1]
GUIDE = {
    "readme": "README.md",
    "data": "data/README.md",
    "architecture": "ARCHITECTURE.md",
    "contributing": "CONTRIBUTING.md",
    "changelog": "CHANGELOG.md",
}
# In the order in which a reader meets them.
PACKAGES = (
    "eventlog", "sources", "catalog", "quality", "funnels", "correlation", "timing", "journeys",
    "segments", "content", "engagement", "forms", "simulation", "reports", "widgets", "plotting",
    "statistics", "core",
)  # fmt: skip
MODULES = {
    "sources": ("mapping",),
    "reports": ("blocks",),
    "statistics": ("rates", "odds_ratios", "survival", "pooling", "calibration"),
    "core": ("result", "schema", "checks", "wording", "periods"),
}
"""Packages whose face exports nothing: their modules are documented whole."""
FIGURE = "application/vnd.plotly.v1+json"
NUMBERS = "application/vnd.workbook.numbers+json"
# The charts' library stands at the end of the page; a module waits for it.
AT_ONCE, AFTER_THE_PAGE = "<script>", '<script type="module">'
SETUP = """\
import os
os.chdir({root!r})
import plotly.io as pio
import analysis as wb
from IPython.display import Markdown

class Drawn(pio.base_renderers.MimetypeRenderer):
    def to_mimebundle(self, figure):
        html = pio.to_html(figure, include_plotlyjs=False, full_html=False)
        return {{"text/html": html.replace({at_once!r}, {after!r})}}

pio.renderers["site"] = Drawn()
pio.renderers.default = "site"
log = wb.EventLog.open("data/demo")
shop = wb.Catalog.load("data/catalogs/ecommerce.toml")
CHECKOUT = shop.funnels["checkout"].steps
"""


def main(target: Path) -> None:
    """Lay the sources out, check them, and have Sphinx build them."""
    broken = list(broken_links())
    if broken:
        sys.exit("links that lead nowhere:\n" + "\n".join(broken))
    sources = target.parent / "site-sources"
    shutil.rmtree(sources, ignore_errors=True)
    for folder in ("guide", "notebooks", "api", "_static"):
        (sources / folder).mkdir(parents=True)
    for name in ("conf.py", "index.md"):
        shutil.copyfile(ROOT / "docs" / name, sources / name)
    shutil.copyfile(ROOT / "docs" / "site.css", sources / "_static" / "site.css")
    pictures = ROOT / "docs" / "pictures"
    if pictures.is_dir():
        shutil.copytree(pictures, sources / "_static" / "pictures")
    (sources / "_static" / "plotly.min.js").write_text(get_plotlyjs(), encoding="utf-8")
    for name, source in GUIDE.items():
        text = (ROOT / source).read_text("utf-8")
        (sources / "guide" / f"{name}.md").write_text(as_page(text, source), encoding="utf-8")
    for path in sorted((ROOT / "notebooks").glob("*.ipynb")):
        (sources / "notebooks" / path.name).write_text(drawn(path), encoding="utf-8")
    examples = tomllib.loads((ROOT / "docs" / "examples.toml").read_text("utf-8"))
    check_examples(examples)
    for place, name in enumerate(PACKAGES):
        page = sources / "api" / f"{place:02}_{name}.md"
        page.write_text(api_page(name, examples.get(name, {})), encoding="utf-8")
    command = [sys.executable, "-m", "sphinx", "-W", "--keep-going", "-q", "-E", "-b", "html"]
    raise SystemExit(subprocess.run([*command, sources, target], check=False).returncode)


# ── Links between the project's own files.


def broken_links() -> Iterator[str]:
    """Links of the Markdown files to a file or a heading that is not there."""
    for path in sorted([*ROOT.glob("*.md"), ROOT / "data" / "README.md",
                        ROOT / "tests" / "benchmarks" / "README.md"]):  # fmt: skip
        text = re.sub(r"```.*?```|`[^`\n]*`", "", path.read_text("utf-8"), flags=re.DOTALL)
        for link in re.findall(r"\]\(([^)\s]+)\)", text):
            if "://" in link or link.startswith("mailto:"):
                continue
            file, _, anchor = link.partition("#")
            target = path.parent / file if file else path
            if not target.exists() or (
                anchor and target.suffix == ".md" and anchor not in anchors(target)
            ):
                yield f"{path.relative_to(ROOT)}: {link}"


def anchors(path: Path) -> set[str]:
    """The headings of a Markdown file as anchors."""
    headings = re.findall(r"^#+ (.+)$", path.read_text("utf-8"), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", h.lower()).strip().replace(" ", "-") for h in headings}


def as_page(text: str, path: str) -> str:
    """A file of the project as a page of the site: links to other pages, pictures from here."""
    pages = {file: name for name, file in GUIDE.items()}

    def moved(match: re.Match[str]) -> str:
        mark, words, link = match.groups()
        file, _, anchor = link.partition("#")
        whole = (Path(path).parent / file).as_posix() if file else path
        if "://" in link or not file:
            return match[0]
        if whole in pages:
            return f"{mark}[{words}]({pages[whole]}.md{'#' + anchor if anchor else ''})"
        if whole.startswith("docs/pictures/"):
            return f"{mark}[{words}](../_static/pictures/{Path(whole).name})"
        if mark:
            return f"*{words}*"
        return f"{words} (`{whole}`)"

    return re.sub(r"(!?)\[([^\]]*)\]\(([^)\s]+)\)", moved, text)


# ── Notebooks: as committed, with their figures drawn.


def drawn(path: Path) -> str:
    """A committed notebook whose figures a browser draws without JupyterLab."""
    notebook = json.loads(path.read_text("utf-8"))
    for cell in notebook["cells"]:
        for output in cell.get("outputs", []):
            data = output.get("data", {})
            data.pop(NUMBERS, None)
            if FIGURE in data:
                figure = plotly.io.from_json(json.dumps(data.pop(FIGURE)), skip_invalid=True)
                html = plotly.io.to_html(figure, include_plotlyjs=False, full_html=False)
                data.clear()
                data["text/html"] = html.replace(AT_ONCE, AFTER_THE_PAGE)
    return json.dumps(notebook)


# ── The API, from the faces.


def check_examples(examples: dict[str, dict[str, str]]) -> None:
    """Every public function has an example, and nothing else has."""
    public = {name for name in analysis.__all__ if inspect.isfunction(getattr(analysis, name))}
    shown = {name for functions in examples.values() for name in functions}
    if public != shown:
        sys.exit(f"docs/examples.toml: missing {public - shown}, not public {shown - public}")


def api_page(name: str, examples: dict[str, str]) -> str:
    """The page of a package: its question, then its public names, each with its example."""
    face = import_module(f"analysis.{name}")
    first = (face.__doc__ or name).strip().split("\n")[0].rstrip(".")
    lines = [
        "---\njupytext:\n  text_representation: {extension: .md, format_name: myst}\n"
        "kernelspec: {display_name: Python 3, language: python, name: python3}\n---",
        f"# `{name}`: {first[0].lower() + first[1:]}",
        directive("automodule", f"analysis.{name}", "no-index"),
    ]
    if examples:
        lines.append(
            cell(
                SETUP.format(root=str(ROOT), at_once=AT_ONCE, after=AFTER_THE_PAGE), "remove-input"
            )
        )
    for member in public_names(face, examples):
        home = f"analysis.{member}" if member in analysis.__all__ else f"analysis.{name}.{member}"
        lines += [f"## `{member}`", documented(home, getattr(face, member, None))]
        if member in examples:
            lines += ["On the demo data:", cell(example(examples[member]))]
    for module in MODULES.get(name, ()):
        whole = directive("automodule", f"analysis.{name}.{module}", "members", "show-inheritance")
        lines += [f"## `{name}.{module}`", whole]
    return "\n\n".join(lines) + "\n"


def public_names(face: Any, examples: dict[str, str]) -> list[str]:
    """What a package's face exports, what `analysis` exports of it, its functions first."""
    own = [n for n in analysis.__all__ if home_of(n).startswith(f"{face.__name__}.")
           or home_of(n) == face.__name__]  # fmt: skip
    names = list(dict.fromkeys([*examples, *own, *getattr(face, "__all__", [])]))
    return [name for name in names if name in own or hasattr(face, name)]


def home_of(name: str) -> str:
    """The module in which a public name is defined."""
    return str(vars(analysis)["_HOME"][name])


def documented(home: str, found: Any) -> str:
    """The directive that fits what a name is."""
    module, _, name = home.rpartition(".")
    thing = getattr(import_module(module), name) if found is None else found
    if inspect.isclass(thing):
        return directive("autoclass", home, "members", "show-inheritance", "no-index")
    if inspect.isfunction(thing):
        return directive("autofunction", home, "no-index")
    return directive("autodata", home, "no-index")


def directive(kind: str, what: str, *options: str) -> str:
    """A directive of reStructuredText inside Markdown."""
    lines = "\n".join(f"   :{option}:" for option in options)
    return f"```{{eval-rst}}\n.. {kind}:: {what}\n{lines}\n```"


def example(call: str) -> str:
    """A call, what it says, and what it draws."""
    if re.search(r"\)\.\w+", call.split("log", 1)[-1]) or call.startswith("wb.segment("):
        return call
    return f"answer = {call}\ndisplay(answer.figure(), Markdown(answer.sentence()))"


def cell(code: str, *tags: str) -> str:
    """A code cell that is executed when the site is built."""
    options = f":tags: [{', '.join(tags)}]\n\n" if tags else ""
    return f"```{{code-cell}} ipython3\n{options}{code.rstrip()}\n```"


if __name__ == "__main__":
    main(Path(sys.argv[1]).resolve())
