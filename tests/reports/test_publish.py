"""A report is there whole or not at all, at whatever instant a run dies."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from analysis.core.schema import UsageError
from analysis.reports import publish as publishing
from analysis.reports.publish import Busy, is_published, publish, workspace
from analysis.reports.render import MANIFEST, NUMBERS, PAGE

FILES = (PAGE, NUMBERS, MANIFEST)


class Killed(BaseException):
    """Stands for the end of the process: nothing after it runs that could be left out."""


def staged(work: Path, content: str) -> Path:
    folder = work / f"staged-{content}"
    folder.mkdir()
    for name in FILES:
        (folder / name).write_text(content)
    return folder


def content(target: Path) -> set[str]:
    return {(target / name).read_text() for name in FILES}


@pytest.fixture
def to(tmp_path):
    return tmp_path / "reports"


def published(to: Path, text: str) -> Path:
    target = to / "weekly" / "2026-W46"
    with workspace(to) as work:
        publish(staged(work, text), target)
    return target


def test_a_report_is_published_and_replaced(to):
    target = published(to, "old")
    assert content(target) == {"old"}
    published(to, "new")
    assert content(target) == {"new"}
    assert is_published(to, "weekly", "2026-W46")
    assert sorted(path.name for path in to.rglob("*")) == sorted([*FILES, "2026-W46", "weekly"])


STEPS = ("rename", "rmtree", "_sync")


@pytest.mark.parametrize("survived", range(9))
def test_a_kill_at_any_step_leaves_the_old_report_or_the_new_one(to, monkeypatch, survived):
    """Kill before the first, second, … of all the calls that touch the disk."""
    target = published(to, "old")
    calls = 0

    def counted(function):
        def call(*arguments, **options):
            nonlocal calls
            calls += 1
            if calls > survived:
                raise Killed
            return function(*arguments, **options)

        return call

    work = to / ".work"
    work.mkdir()
    new = staged(work, "new")
    with monkeypatch.context() as patched:
        patched.setattr(publishing.os, "rename", counted(os.rename))
        patched.setattr(publishing, "_sync", counted(publishing._sync))
        patched.setattr(publishing.shutil, "rmtree", counted(publishing.shutil.rmtree))
        # A killed process undoes nothing.
        patched.setattr(publishing, "_put_back", lambda aside: None)
        if survived < 8:
            with pytest.raises(Killed):
                publish(new, target)
        else:
            publish(new, target)
    with workspace(to):
        assert content(target) == ({"old"} if survived < 6 else {"new"})
    assert sorted(path.name for path in to.rglob("*")) == sorted([*FILES, "2026-W46", "weekly"])


def test_a_failed_rename_puts_the_old_report_back_at_once(to, monkeypatch):
    target = published(to, "old")
    with workspace(to) as work:
        new = staged(work, "new")
        rename = os.rename
        refused = iter([False, True, False])
        with monkeypatch.context() as patched:

            def fail(source, place):
                if next(refused):
                    raise OSError("disk full")
                rename(source, place)

            patched.setattr(publishing.os, "rename", fail)
            with pytest.raises(OSError, match="disk full"):
                publish(new, target)
        assert content(target) == {"old"}


def test_a_failed_run_leaves_nothing_behind(to):
    def run():
        with workspace(to) as work:
            staged(work, "half")
            raise Killed

    with pytest.raises(Killed):
        run()
    assert not to.exists()


def test_what_a_killed_run_left_is_removed_by_the_next(to):
    target = published(to, "old")
    script = (
        "import os, signal, sys; from pathlib import Path\n"
        "from analysis.reports.publish import workspace\n"
        f"with workspace(Path({str(to)!r})) as work:\n"
        "    (work / 'k-1').mkdir(); (work / 'k-1' / 'half').write_text('x')\n"
        "    os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    done = subprocess.run([sys.executable, "-c", script], check=False)
    assert done.returncode == -9
    assert (to / ".work" / "k-1" / "half").exists()
    assert content(target) == {"old"}
    with workspace(to) as work:
        assert [path.name for path in work.iterdir()] == ["lock"]
    assert not (to / ".work").exists()


def test_one_run_at_a_time(to):
    with workspace(to) as work:
        (work / "mine").mkdir()
        with pytest.raises(Busy, match="another run is at work"), workspace(to):
            pass
        assert (work / "mine").exists()
    with workspace(to):
        pass


def test_runs_that_wait_come_one_after_the_other(to):
    """Six processes add to a number in a file; without the lock some additions are lost."""
    to.mkdir()
    (to / "count").write_text("0")
    script = (
        "import time; from pathlib import Path\n"
        "from analysis.reports.publish import workspace\n"
        f"to = Path({str(to)!r})\n"
        "for _ in range(5):\n"
        "    with workspace(to, waiting=print) as work:\n"
        "        (work / 'mine').mkdir()\n"
        "        count = int((to / 'count').read_text()); time.sleep(0.01)\n"
        "        (to / 'count').write_text(str(count + 1))\n"
    )
    running = [subprocess.Popen([sys.executable, "-c", script]) for _ in range(4)]
    assert [process.wait() for process in running] == [0] * 4
    assert (to / "count").read_text() == "20"


def test_a_folder_that_cannot_be_written_is_said_in_one_line(tmp_path):
    (tmp_path / "file").write_text("")
    with (
        pytest.raises(UsageError, match="reports cannot be written to"),
        workspace(tmp_path / "file"),
    ):
        pass
