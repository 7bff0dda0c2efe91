"""The order of the start and what is refused, with the real Redis and invented programs for the rest."""

from __future__ import annotations

import fcntl
import os
import signal
import stat
import subprocess
import sys
import time
from pathlib import Path

import pytest

from portal.settings import load_settings
from portal.supervisor import start
from portal.supervisor.supervisor import Supervisor
from tests.support.running import command_line

ROOT = Path(__file__).parents[2]


def up(instance: Path, *words: str, **settings: str) -> subprocess.Popen[str]:
    """``portal up`` as a person starts it."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("PORTAL_")}
    named = {f"PORTAL_{name.upper()}": value for name, value in settings.items()}
    return subprocess.Popen(
        [sys.executable, "-m", "portal.cli", "up", *words],
        cwd=ROOT,
        env={**kept, "PORTAL_INSTANCE": str(instance), **named},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def processes_of(folder: Path) -> list[str]:
    """Command lines of living processes that name ``folder``."""
    lines = [command_line(int(entry.name)) for entry in Path("/proc").glob("[0-9]*")]
    return [line for line in lines if str(folder) in line]


@pytest.mark.processes
def test_an_open_plain_address_does_not_start(tmp_path: Path) -> None:
    process = up(tmp_path / "i", "--host", "0.0.0.0")
    output, errors = process.communicate(timeout=30)
    assert (process.returncode, output) == (1, "")
    assert "nothing encrypts" in errors
    assert not (tmp_path / "i").exists()


@pytest.mark.processes
def test_wrong_settings_are_one_sentence(tmp_path: Path) -> None:
    process = up(tmp_path, wrokers="3")
    _output, errors = process.communicate(timeout=30)
    assert process.returncode == 1
    assert errors.startswith("portal: PORTAL_WROKERS: no such setting")
    assert "Traceback" not in errors


@pytest.mark.processes
@pytest.mark.redis
def test_a_forgetful_redis_does_not_start(tmp_path: Path) -> None:
    socket = tmp_path / "r.sock"
    with subprocess.Popen(
        ["redis-server", "--port", "0", "--unixsocket", str(socket), "--save", ""],
        stdout=subprocess.DEVNULL,
        cwd=tmp_path,
    ) as server:
        try:
            process = up(tmp_path / "i", "--port", "18997", redis_url=f"unix://{socket}")
            _output, errors = process.communicate(timeout=30)
        finally:
            server.terminate()
    assert process.returncode == 1
    assert "appendonly" in errors


@pytest.mark.processes
@pytest.mark.redis
def test_an_engine_that_cannot_start_ends_everything_with_the_reason(tmp_path: Path) -> None:
    process = up(tmp_path / "i", "--port", "18998", asr_model=str(tmp_path / "no-model"))
    output, errors = process.communicate(timeout=90)
    assert process.returncode == 1
    assert "/setup?token=" in output
    assert "cannot start" in errors
    assert processes_of(tmp_path) == []
    assert stat.S_IMODE((tmp_path / "i" / "portal.sqlite3").stat().st_mode) == 0o600


@pytest.mark.processes
@pytest.mark.redis
def test_ctrl_c_in_the_middle_of_the_start_leaves_nothing(tmp_path: Path) -> None:
    process = up(tmp_path / "i", "--port", "18999")
    assert process.stdout is not None
    assert process.stdout.readline() == "Preparing the database\n"
    process.send_signal(signal.SIGINT)
    output, _errors = process.communicate(timeout=60)
    assert process.returncode == 0
    assert output.endswith("Stopped.\n")
    time.sleep(0.2)
    assert processes_of(tmp_path) == []


def test_one_portal_for_one_folder(tmp_path: Path) -> None:
    settings = load_settings(instance=tmp_path)
    with start.only_one(settings):
        with (tmp_path / "up.lock").open() as other, pytest.raises(BlockingIOError):
            fcntl.flock(other, fcntl.LOCK_EX | fcntl.LOCK_NB)
        with pytest.raises(start.StartFailed, match="already runs"), start.only_one(settings):
            pass
    with start.only_one(settings):
        pass


def test_long_folders_get_short_sockets_and_the_children_are_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PORTAL_INSTANCE", "")
    monkeypatch.setenv("PORTAL_SOCKET_DIR", "")
    settled = start.settle_places(load_settings(instance=tmp_path / ("x" * 90), socket_dir=None))
    try:
        assert settled.socket_dir is not None
        assert os.environ["PORTAL_SOCKET_DIR"] == str(settled.run_dir)
        assert stat.S_IMODE(settled.run_dir.stat().st_mode) == 0o700
    finally:
        settled.run_dir.rmdir()


def test_a_step_answers_in_json_or_fails_with_its_log(tmp_path: Path) -> None:
    with Supervisor(tmp_path, tmp_path, lambda _text: None) as supervisor:
        program = "import json; print('noise'); print(json.dumps({'a': '字'}, ensure_ascii=False))"
        assert start.run_step(supervisor, "good", (sys.executable, "-c", program)) == {"a": "字"}
        with pytest.raises(start.StartFailed, match="ZeroDivisionError"):
            start.run_step(supervisor, "bad", (sys.executable, "-c", "1/0"))


def test_own_certificates_are_made_and_explained(tmp_path: Path) -> None:
    said: list[str] = []
    settings = load_settings(instance=tmp_path, host="0.0.0.0", tls_own_ca=True)
    certificate, key = start.server_certificate(settings, said.append)
    assert certificate is not None
    assert key is not None
    assert str(tmp_path / "tls" / "ca.crt") in " ".join(said)
    assert start.server_certificate(load_settings(instance=tmp_path), said.append) == (None, None)
