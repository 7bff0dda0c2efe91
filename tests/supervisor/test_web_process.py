"""gunicorn as the portal starts it: its workers end with it even when it or the supervisor is killed."""

from __future__ import annotations

import base64
import http.client
import json
import os
import signal
import socket
import sys
import time
import uuid
from pathlib import Path

import pytest

from portal.settings import load_settings
from portal.supervisor import plans, probes
from portal.supervisor.children import Child, Plan, session_members
from portal.supervisor.gunicorn_hooks import SILENCE_SECONDS

pytestmark = pytest.mark.processes


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@pytest.fixture
def web(tmp_path: Path) -> Child:
    """A started gunicorn with two workers over an application that is always ready."""
    (tmp_path / "wsgi.py").write_text(
        "def application(environ, start_response):\n    start_response('200 OK', [])\n    return [b'ok']\n"
    )
    settings = load_settings(port=free_port(), instance=tmp_path)
    argv = list(plans.web_plan(settings, None, None).argv)
    argv[argv.index("--pythonpath") + 1] = str(tmp_path)
    child = Child(Plan("web", tuple(argv), 0), tmp_path, tmp_path)
    child.start(time.monotonic())
    assert child.process is not None
    end = time.monotonic() + 20
    while not probes.ready(settings) or len(session_members(child.process.pid)) != 3:
        assert time.monotonic() < end, child.log.read_text()
        time.sleep(0.05)
    return child


def test_killing_gunicorn_leaves_no_worker(web: Child) -> None:
    assert web.process is not None
    session = web.process.pid
    os.kill(session, signal.SIGKILL)
    web.process.wait()
    end = time.monotonic() + 3
    while session_members(session):
        assert time.monotonic() < end
        time.sleep(0.02)


def test_it_ends_by_itself_when_asked(web: Child) -> None:
    assert web.process is not None
    session = web.process.pid
    web.send(signal.SIGTERM)
    assert web.process.wait(timeout=12) == 0
    assert session_members(session) == []
    assert not Path("~/.gunicorn/gunicorn.ctl").expanduser().exists()


def test_its_command_line_names_the_certificate(tmp_path: Path) -> None:
    settings = load_settings(host="0.0.0.0", tls_own_ca=True, web_processes=3, web_threads=5)
    argv = plans.web_plan(settings, tmp_path / "c.crt", tmp_path / "c.key").argv
    line = " ".join(argv)
    assert argv[0] == sys.executable
    assert "--bind 0.0.0.0:8000" in line
    assert f"--certfile {tmp_path}/c.crt --keyfile {tmp_path}/c.key" in line
    assert "--worker-class gthread --workers 3 --threads 5" in line
    assert "--no-control-socket" in line


def test_callers_who_fall_silent_lose_their_thread(web: Child) -> None:
    """Half a request on every thread, and nobody else gets in for as long as the connections stay open."""
    port = int(web.plan.argv[web.plan.argv.index("--bind") + 1].rpartition(":")[2])
    silent = [socket.create_connection(("127.0.0.1", port)) for _ in range(4)]
    try:
        for caller in silent:
            caller.sendall(b"POST / HTTP/1.1\r\nHost: x\r\nContent-Le")
            caller.settimeout(SILENCE_SECONDS + 30)
        time.sleep(1)
        assert all(caller.recv(1) == b"" for caller in silent)
    finally:
        for caller in silent:
            caller.close()
        web.send(signal.SIGTERM)
        assert web.process is not None
        web.process.wait(timeout=12)


def test_an_upload_may_name_as_many_hotwords_as_a_recording_takes(web: Child) -> None:
    """They travel in one header, as tus asks for."""
    settings = load_settings()
    words = " ".join("热" * settings.hotword_max_length for _ in range(settings.hotwords_per_job))
    options = {"hotwords": words, "hotword_lists": [str(uuid.uuid4())] * 50}
    header = base64.b64encode(json.dumps(options, ensure_ascii=False).encode()).decode()
    address = web.plan.argv[web.plan.argv.index("--bind") + 1]
    connection = http.client.HTTPConnection(address)
    try:
        connection.request("POST", "/uploads", headers={"Upload-Metadata": f"options {header}"})
        assert connection.getresponse().status == 200
    finally:
        connection.close()
        web.send(signal.SIGTERM)
        assert web.process is not None
        web.process.wait(timeout=12)
