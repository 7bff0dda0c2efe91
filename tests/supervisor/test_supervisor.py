"""Real processes: ordered stop, nothing left behind, restart with growing pauses."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from portal.supervisor.children import LOG_BYTES, Child, Plan, session_members
from portal.supervisor.supervisor import describe

pytestmark = pytest.mark.processes

ROOT = Path(__file__).parents[2]


@contextmanager
def running(folder: Path, kind: str = "plain", *, children: int = 4) -> Iterator[subprocess.Popen[str]]:
    """The dummy supervisor once all its children have begun."""
    process = subprocess.Popen(
        [sys.executable, "-m", "tests.supervisor.dummy", str(folder), kind],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    try:
        wait_for(lambda: len(list(folder.glob("*.pids"))) == children and len(pids(folder)) == 2 * children)
        yield process
    finally:
        process.kill()
        process.communicate()


def wait_for(condition: Callable[[], bool], seconds: float = 20) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "waited in vain"
        time.sleep(0.05)


def pids(folder: Path) -> list[int]:
    return [int(word) for path in folder.glob("*.pids") for word in path.read_text().split()]


def alive(pid: int) -> bool:
    try:
        return (Path("/proc") / str(pid) / "stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def events(folder: Path) -> list[tuple[str, str, float]]:
    lines = [line.split() for line in (folder / "events").read_text().splitlines()]
    return [(name, what, float(when)) for name, what, when in lines]


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_stops_all_the_last_stage_first(tmp_path: Path, number: signal.Signals) -> None:
    with running(tmp_path) as process:
        process.send_signal(number)
        output, _ = process.communicate(timeout=20)
    assert process.returncode == 0
    assert output.endswith("stopped\n")
    stops = [name for name, what, _ in events(tmp_path) if what == "stop"]
    assert set(stops[:2]) == {"third-a", "third-b"}
    assert stops[2:] == ["second", "first"]
    assert [pid for pid in pids(tmp_path) if alive(pid)] == []


def test_no_child_outlives_a_killed_supervisor(tmp_path: Path) -> None:
    with running(tmp_path) as process:
        leaders = [int(path.read_text().split()[0]) for path in tmp_path.glob("*.pids")]
        process.kill()
        process.wait()
        wait_for(lambda: not any(alive(pid) for pid in leaders), 5)
    for pid in pids(tmp_path):  # these grandchildren asked for nothing; the real ones do, see the test of gunicorn
        if alive(pid):
            subprocess.run(["kill", "-9", str(pid)], check=True)


def test_one_that_does_not_end_is_killed_after_its_time(tmp_path: Path) -> None:
    with running(tmp_path, "stubborn", children=5) as process:
        begun = time.monotonic()
        process.terminate()
        process.communicate(timeout=20)
    assert 0.4 < time.monotonic() - begun < 10
    assert [pid for pid in pids(tmp_path) if alive(pid)] == []


def test_a_dead_child_comes_back_with_a_new_process(tmp_path: Path) -> None:
    with running(tmp_path) as process:
        before = [int(word) for word in (tmp_path / "second.pids").read_text().split()]
        subprocess.run(["kill", "-9", str(before[0])], check=True)
        wait_for(lambda: (tmp_path / "second.pids").read_text().split()[0] not in ("", str(before[0])))
        assert not any(alive(pid) for pid in before), "what a dead child had started is swept away"
        process.terminate()
        output, _ = process.communicate(timeout=20)
    assert "second ended (SIGKILL); again in 0.5 s" in output
    assert [pid for pid in pids(tmp_path) if alive(pid)] == []


def test_pauses_grow_while_a_child_keeps_dying(tmp_path: Path) -> None:
    with running(tmp_path, "dying") as process:
        time.sleep(4.5)
        process.terminate()
        output, _ = process.communicate(timeout=20)
    lines = [line for line in output.splitlines() if line.startswith("dying ended (exit 3)")]
    assert [line.split("again in ")[1].split(" s")[0] for line in lines[:3]] == ["0.5", "1", "2"]
    assert len(lines) <= 4


def test_a_large_log_is_turned_over_and_the_child_writes_on(tmp_path: Path) -> None:
    script = (
        "import sys, time; print('x', flush=True); sys.stdin; time.sleep(1); print('y', flush=True); time.sleep(60)"
    )
    child = Child(Plan("talker", (sys.executable, "-c", script), 0), tmp_path, tmp_path)
    child.start(time.monotonic())
    try:
        wait_for(lambda: child.log.exists() and child.log.stat().st_size > 0)
        with child.log.open("ab") as log:
            log.write(b"." * LOG_BYTES)
        child.rotate_log()
        assert (tmp_path / "talker.log.1").stat().st_size > LOG_BYTES
        wait_for(lambda: child.log.read_bytes() == b"y\n")
    finally:
        child.sweep(leader=True)
        assert child.process is not None
        child.process.wait()


def test_a_session_is_found_by_its_number() -> None:
    with subprocess.Popen(["sh", "-c", "sleep 60 & sleep 60"], start_new_session=True) as process:
        wait_for(lambda: len(session_members(process.pid)) == 3)
        for pid in session_members(process.pid):
            subprocess.run(["kill", "-9", str(pid)], check=False)


def test_ends_are_named() -> None:
    assert describe(2) == "exit 2"
    assert describe(-9) == "SIGKILL"
