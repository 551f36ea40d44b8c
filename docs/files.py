"""Every file of the library in one line, from the first lines of the docstrings.

``python docs/files.py`` writes them into ARCHITECTURE.md; a test holds that they are current.
"""

from __future__ import annotations

import ast
import re
from pathlib import Path

ROOT = Path(__file__).parents[1]
ARCHITECTURE = ROOT / "ARCHITECTURE.md"
BEGIN, END = "<!-- files: docs/files.py writes what follows -->", "<!-- files end -->"
# From the foundations up, as the map draws them.
ORDER = (
    "core", "statistics", "plotting", "eventlog", "catalog.py", "sources", "simulation", "quality",
    "funnels", "funnels/search", "correlation", "timing", "journeys", "segments", "content",
    "engagement", "forms", "reports", "widgets", "cli",
)  # fmt: skip


def listed() -> str:
    """The list as Markdown: a row per file, under the question of its package."""
    lines = []
    for place in ORDER:
        folder = ROOT / "src" / "analysis" / place
        if folder.is_dir():
            lines += ["", f"**`{place}/`**: {first_line(folder / '__init__.py')}", ""]
            files = sorted(folder.glob("*.py"))
            lines += [f"- `{f.name}`: {first_line(f)}" for f in files if f.name != "__init__.py"]
        else:
            lines += ["", f"**`{place}`**: {first_line(folder)}"]
    return "\n".join(lines).strip()


def first_line(path: Path) -> str:
    """The first line of a module's docstring."""
    text = ast.get_docstring(ast.parse(path.read_text("utf-8"))) or ""
    return text.split("\n\n")[0].replace("\n", " ")


def with_list(text: str) -> str:
    """ARCHITECTURE.md with the list as it is now."""
    pattern = re.compile(f"{re.escape(BEGIN)}.*{re.escape(END)}", re.DOTALL)
    return pattern.sub(lambda _: f"{BEGIN}\n\n{listed()}\n\n{END}", text)


if __name__ == "__main__":
    ARCHITECTURE.write_text(with_list(ARCHITECTURE.read_text("utf-8")), encoding="utf-8")
