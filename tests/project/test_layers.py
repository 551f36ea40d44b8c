"""The house rules, read from the source: libraries, names, clocks, networks, docstrings."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

SRC = Path(__file__).parents[2] / "src" / "analysis"
FILES = sorted(SRC.rglob("*.py"))
TREES = {path: ast.parse(path.read_text(encoding="utf-8")) for path in FILES}

# What people start: only these may ask the clock.
VIEWS = ("cli", "reports", "widgets")
NETWORK = {
    "aiohttp", "ftplib", "http", "httpx", "poplib", "requests", "smtplib", "socket",
    "socketserver", "ssl", "telnetlib", "urllib3", "websocket", "websockets", "xmlrpc",
}  # fmt: skip
# Text of an address is no connection; the rest of urllib is.
HARMLESS = {"urllib.parse"}


# What the commands say to a person goes through these.
SPEAKS = ("cli", "reports.command")
# A library that only these files may import, by the end of their path.
ONLY = {
    "numba": r"(^|/)kernels(_\w+)?\.py$|/search/\w+\.py$|^core/caching\.py$",
    "plotly": r"/figures(_\w+)?\.py$|^plotting/|^reports/page\.py$",
    "ipywidgets": r"^widgets/",
    "papermill": r"^reports/execution\.py$",
}


def module_of(path: Path) -> str:
    parts = path.relative_to(SRC.parent).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def is_in(path: Path, packages: tuple[str, ...]) -> bool:
    name = module_of(path).removeprefix("analysis.")
    return any(name == package or name.startswith(f"{package}.") for package in packages)


def imports(path: Path) -> Iterator[str]:
    """The modules that a file imports, wherever in it; ``from a import b`` may be ``a.b``."""
    modules = {module_of(other) for other in FILES}
    for node in ast.walk(TREES[path]):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert not node.level, f"{path}:{node.lineno}: write imports in full."
            for alias in node.names:
                whole = f"{node.module}.{alias.name}"
                yield whole if whole in modules or whole in HARMLESS else str(node.module)


def calls(path: Path) -> Iterator[tuple[str, int]]:
    """Dotted names that are called in a file, with their lines."""
    for node in ast.walk(TREES[path]):
        if isinstance(node, ast.Call):
            yield ast.unparse(node.func), node.lineno


def test_there_is_something_to_read() -> None:
    assert len(FILES) > 40


@pytest.mark.parametrize("path", FILES, ids=module_of)
def test_each_library_is_imported_where_its_work_is_done(path: Path) -> None:
    place = path.relative_to(SRC).as_posix()
    for name in imports(path):
        allowed = ONLY.get(name.split(".")[0])
        assert allowed is None or re.search(allowed, place), f"{place} imports {name}."


@pytest.mark.parametrize("path", FILES, ids=module_of)
def test_modules_are_named_after_a_question(path: Path) -> None:
    for part in module_of(path).split("."):
        words = set(part.split("_"))
        assert not words & {"utils", "util", "helpers", "helper", "base", "constants", "common",
                            "manager", "misc"}  # fmt: skip


@pytest.mark.parametrize("path", FILES, ids=module_of)
def test_answers_do_not_look_at_the_clock(path: Path) -> None:
    """ "Now" is what the log covers, or an argument: only what people start may ask the clock."""
    if is_in(path, VIEWS):
        return
    clock = re.compile(
        r"(^|\.)(now|utcnow|today|localtime|gmtime|ctime|getctime)$|^time\.time(_ns)?$|^time$"
    )
    found = [f"{path.name}:{line}: {name}" for name, line in calls(path) if clock.search(name)]
    assert not found


@pytest.mark.parametrize("path", FILES, ids=module_of)
def test_nothing_opens_a_connection(path: Path) -> None:
    for name in imports(path):
        first = name.split(".")[0]
        if first == "socket" and only_local_sockets(path):
            continue
        assert first not in NETWORK, f"{module_of(path)} imports {name}."
        assert first != "urllib" or name in HARMLESS, f"{module_of(path)} imports {name}."


def only_local_sockets(path: Path) -> bool:
    """Sockets that are files reach no other machine."""
    used = {
        node.attr
        for node in ast.walk(TREES[path])
        if isinstance(node, ast.Attribute) and ast.unparse(node.value) == "socket"
    }
    made = {ast.unparse(n) for n in ast.walk(TREES[path]) if isinstance(n, ast.Call)}
    made = {call for call in made if call.startswith("socket.")}
    return used <= {"socket", "AF_UNIX"} and made <= {"socket.socket(socket.AF_UNIX)"}


@pytest.mark.parametrize("path", FILES, ids=module_of)
def test_nothing_is_left_unbuilt_or_printed(path: Path) -> None:
    for node in ast.walk(TREES[path]):
        if isinstance(node, ast.Name):
            assert node.id != "NotImplementedError", f"{path.name}:{node.lineno}"
        if isinstance(node, ast.ExceptHandler):
            assert node.type is not None, f"{path.name}:{node.lineno}: names no exception."
            whole = ast.unparse(node.type) in ("Exception", "BaseException")
            silent = all(isinstance(step, (ast.Pass, ast.Continue)) for step in node.body)
            assert not (whole and silent), f"{path.name}:{node.lineno} swallows every exception."
    text = path.read_text(encoding="utf-8")
    unfinished = re.search(r"\b(TODO|FIXME|XXX|HACK)\b", text)
    assert not unfinished, f"{path.name}: {unfinished and unfinished[0]}"
    if not is_in(path, SPEAKS):
        lines = [line for name, line in calls(path) if name == "print"]
        assert not lines, f"{path.name}: print in line {lines}"


def public(path: Path) -> Iterator[ast.FunctionDef | ast.ClassDef]:
    """Functions and classes of a module and the methods of those classes; no properties."""
    scopes: list[ast.Module | ast.ClassDef] = [TREES[path]]
    for scope in scopes:
        for node in scope.body:
            if isinstance(node, (ast.FunctionDef, ast.ClassDef)) and not node.name.startswith("_"):
                kinds = [ast.unparse(decorator) for decorator in node.decorator_list]
                if "property" not in kinds:
                    yield node
                if isinstance(node, ast.ClassDef):
                    scopes.append(node)


@pytest.mark.parametrize("path", FILES, ids=module_of)
def test_what_is_public_says_what_it_is_for(path: Path) -> None:
    if path.stat().st_size:
        assert ast.get_docstring(TREES[path]), f"{module_of(path)} says nothing about itself."
    silent = [node.name for node in public(path) if not ast.get_docstring(node)]
    assert not silent, f"{module_of(path)}: no docstring on {silent}"
