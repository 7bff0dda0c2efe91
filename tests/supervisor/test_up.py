"""``portal up`` with everything real: it shows the sample's text, ends with its address and leaves nothing behind."""

from __future__ import annotations

import re
import signal
import time
from pathlib import Path

import pytest

from tests.support.running import Running, alive, command_line, running_portal

pytestmark = [pytest.mark.processes, pytest.mark.models, pytest.mark.redis]


def all_of(portal: Running) -> dict[int, str]:
    """Every process of the portal with its command line."""
    return {pid: command_line(pid) for pid in portal.children()}


def test_it_starts_everything_and_ctrl_c_ends_it(tmp_path: Path) -> None:
    with running_portal(tmp_path / "instance") as portal:
        said = "\n".join(portal.said)
        assert re.search(r"Self-check: the shipped sample was transcribed in [\d.]+ s:\n +\S*[一-鿿]{2}", said)
        assert portal.said[-1] == portal.address
        children = all_of(portal)
        lines = list(children.values())
        for words, count in (
            ("redis-server", 1),
            ("portal.asr.engine.server", 1),
            ("portal.jobs.worker", 2),
            ("portal.jobs.housekeeping", 1),
            ("wsgi:application", 3),
        ):
            assert sum(words in line for line in lines) >= count, (words, lines)
        assert portal.stop() == 0
        assert [line for pid, line in children.items() if alive(pid)] == []
    begun = time.monotonic()
    with running_portal(tmp_path / "instance", arguments=["--no-self-check"]) as portal:
        assert time.monotonic() - begun < 60
        assert portal.stop(signal.SIGTERM) == 0


def test_killing_it_leaves_no_orphan(tmp_path: Path) -> None:
    with running_portal(tmp_path / "instance", arguments=["--no-self-check"]) as portal:
        children = all_of(portal)
        assert len(children) >= 8
        portal.process.kill()
        end = time.monotonic() + 5
        while left := [line for pid, line in children.items() if alive(pid)]:
            assert time.monotonic() < end, left
            time.sleep(0.05)
