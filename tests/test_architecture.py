"""The house rules, read from the source: floors, names, clocks, networks, words of explanation."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

SRC = Path(__file__).parents[1] / "src" / "analysis"
FILES = sorted(SRC.rglob("*.py"))
TREES = {path: ast.parse(path.read_text(encoding="utf-8")) for path in FILES}

# Every module stands on a floor; a package stands there with all that is in it. A new one must
# be placed here, which is the moment to ask where it belongs.
FLOORS = {
    "words": (
        "schema results stats figures wording association calibration ratio_words dose "
        "timing_survival aipw kaplan_meier pooling shifts "
    ),
    "data": (
        "eventlog passes sources catalog catalog_form simulate shop_world shop_tables shop_rows "
        "shop_form"
    ),
    "answers": (
        "exposure exposure_cells exposure_firsts on_the_way funnel_sums "
        "exposure_plan exposure_strata exposure_tables person_periods timing "
        "timing_waits timing_table timing_result timing_words funnels funnel_steps "
        "funnel_table funnel_result breakdown periods period_bounds period_changes "
        "period_result period_words micro_shares totals gate verdict micro_ratios micro_table "
        "micro_words micro_cells correlation dose_response stability lead_lag doubly_robust "
        "landmarks "
        "horizons funnel_options funnel_codes funnel_chains funnel_attempts funnel_words "
        "funnel_trend funnel_orders funnel_suggest funnel_suggest_words funnel_hidden "
        "funnel_pairs funnel_lookup funnel_times funnel_recent funnel_next funnel_compare "
        "funnel_value funnel_worth segments segment_rules segment_terms segment_values "
        "segment_form segment_people segment_checks segment_words segment_result rfm clusters "
        "cluster_points audiences audience_file contrasts "
        "content content_table content_words comparison_words "
        "segment_comparison segment_profiles segment_overlaps "
        "journeys journey_lines journey_flows journey_steps journey_paths "
        "journey_order journey_distance forms form_rows form_table engagement engagement_rates "
        "engagement_rows engagement_scores engagement_words "
    ),
    "views": "widgets reports cli console log_commands lab notebooks kernels",
}
ORDER = list(FLOORS)
NETWORK = {
    "aiohttp", "ftplib", "http", "httpx", "poplib", "requests", "smtplib", "socket",
    "socketserver", "ssl", "telnetlib", "urllib3", "websocket", "websockets", "xmlrpc",
}  # fmt: skip
# Text of an address is no connection; the rest of urllib is.
HARMLESS = {"urllib.parse"}


# What the commands say to a person goes through these.
SPEAKS = {"cli", "console", "log_commands", "notebooks", "reports.command"}


def module_of(path: Path) -> str:
    parts = path.relative_to(SRC.parent).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def floor_of(module: str) -> str | None:
    """The floor of ``analysis.a.b``; the package itself stands above all."""
    parts = module.split(".")
    if parts == ["analysis"]:
        return None
    found = [floor for floor, names in FLOORS.items() if parts[1] in names.split()]
    assert len(found) == 1, (
        f"{module} stands on {found or 'no floor'}: place it in tests/test_architecture.py."
    )
    return found[0]


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
    assert {floor_of(module_of(path)) for path in FILES} == {None, *ORDER}


@pytest.mark.parametrize("path", FILES, ids=module_of)
def test_imports_only_go_down(path: Path) -> None:
    own = floor_of(module_of(path))
    if own is None:
        return
    for name in imports(path):
        if name.split(".")[0] != "analysis":
            continue
        floor = floor_of(name)
        assert floor is not None, f"{module_of(path)} imports the whole package."
        assert ORDER.index(floor) <= ORDER.index(own), (
            f"{module_of(path)} ({own}) imports {name} ({floor}), which is above it."
        )


def test_modules_do_not_import_each_other_in_circles() -> None:
    names = {module_of(path) for path in FILES}
    waits = {module_of(path): {n for n in top_level(path) if n in names} for path in FILES}
    while ready := {name for name, needs in waits.items() if not needs - {name}}:
        waits = {name: needs - ready for name, needs in waits.items() if name not in ready}
    assert not waits, f"these import each other in a circle: {sorted(waits)}"


def top_level(path: Path) -> Iterator[str]:
    """What a file imports while it is itself imported."""
    inner = {
        id(node)
        for scope in ast.walk(TREES[path])
        if isinstance(scope, (ast.FunctionDef, ast.If))
        for node in ast.walk(scope)
        if not isinstance(scope, ast.If) or "TYPE_CHECKING" in ast.unparse(scope.test)
    }
    modules = {module_of(other) for other in FILES}
    for node in ast.walk(TREES[path]):
        if isinstance(node, ast.ImportFrom) and id(node) not in inner:
            for alias in node.names:
                whole = f"{node.module}.{alias.name}"
                yield whole if whole in modules else str(node.module)


@pytest.mark.parametrize("path", FILES, ids=module_of)
def test_modules_are_named_after_a_question(path: Path) -> None:
    for part in module_of(path).split("."):
        words = set(part.split("_"))
        assert not words & {"utils", "util", "helpers", "helper", "base", "constants", "common",
                            "manager", "misc"}  # fmt: skip


@pytest.mark.parametrize("path", FILES, ids=module_of)
def test_answers_do_not_look_at_the_clock(path: Path) -> None:
    """ "Now" is what the log covers, or an argument: only what people start may ask the clock."""
    if floor_of(module_of(path)) in (None, "views"):
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
    if module_of(path).removeprefix("analysis.") not in SPEAKS:
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


@pytest.mark.parametrize("path", FILES, ids=module_of)
def test_functions_and_files_are_short(path: Path) -> None:
    """Smells at 30 lines and 250; held at one and a half times that, words included."""
    text = path.read_text(encoding="utf-8")
    assert len(text.splitlines()) <= 375, f"{path.name} wants to be split."
    for node in ast.walk(TREES[path]):
        if isinstance(node, ast.FunctionDef) and not compiled(node):
            said = ast.get_docstring(node, clean=False) or ""
            lines = (node.end_lineno or 0) - node.body[0].lineno + 1 - said.count("\n")
            assert lines <= 46, f"{path.name}:{node.lineno} {node.name} has {lines} lines."


def compiled(node: ast.FunctionDef) -> bool:
    """A kernel is as long as its loop: what it calls is inlined or slow."""
    return any("njit" in ast.unparse(decorator) for decorator in node.decorator_list)


def test_the_tests_mirror_the_source() -> None:
    """A test's name begins with a module's, so that one is found from the other."""
    tests = Path(__file__).parent
    stems = {path.stem for path in FILES} | {path.parent.name for path in FILES}
    free = {"architecture", "project", "readme"}
    for path in tests.glob("test_*.py"):
        name = path.stem.removeprefix("test_")
        near = any(name == stem or name.startswith((f"{stem}_", stem[:-1])) for stem in stems)
        assert near or name in free, f"{path.name} belongs to no module."
