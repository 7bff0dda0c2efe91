"""Several engines: work spreads, a dead one is left out and taken back, other hosts are served over TLS only."""

from __future__ import annotations

import contextlib
import socket
import ssl
import time
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path

import pytest

from portal.asr.engine.address import Credentials, EngineAddress
from portal.asr.engine.client import EngineClient
from portal.asr.engine.contract import RecordingOptions
from portal.asr.engine.fake import expected_text
from portal.asr.engine.listening import HANDSHAKES
from portal.asr.engine.pool import EnginePool
from portal.asr.engine.protocol import CLIENT_MESSAGES, PROTOCOL_VERSION, Message, encode
from portal.asr.errors import EngineUnavailable
from portal.supervisor import tls
from tests.engine.support import Running, engine, recognise, text_of, wait_ready

NOISE = bytes(range(1, 251)) * 1_280


@pytest.fixture
def two(tmp_path: Path) -> Iterator[tuple[Running, Running]]:
    with ExitStack() as stack:
        running = []
        for name in ("a", "b"):
            (tmp_path / name).mkdir()
            running.append(stack.enter_context(engine("fake", tmp_path / name, ["--rtf", "0.05"])))
        for each in running:
            wait_ready(each)
        yield running[0], running[1]


def addresses(*running: Running) -> list[EngineAddress]:
    return [EngineAddress(path=each.socket) for each in running]


def test_work_goes_to_the_engine_that_will_be_done_first(two: tuple[Running, Running]) -> None:
    pool = EnginePool(addresses(*two))
    assert {pool.pick().address.path for _ in range(50)} == {two[0].socket, two[1].socket}, "chance between equals"
    first = pool.pick()
    with first.open(options=RecordingOptions()) as recording:
        recording.push(NOISE)
        assert all(pool.pick().address != first.address for _ in range(20))
        recording.finish()
        list(recording.results())


def test_a_dead_engine_is_left_out_and_taken_back(two: tuple[Running, Running], tmp_path: Path) -> None:
    now = [0.0]
    pool = EnginePool(addresses(*two), clock=lambda: now[0])
    two[0].process.kill()
    two[0].process.wait(10)
    assert {pool.pick().address.path for _ in range(3)} == {two[1].socket}
    assert [status is not None for _, status in pool.statuses()] == [False, True]
    (tmp_path / "again").mkdir()
    with engine("fake", two[0].socket.parent) as again:
        wait_ready(again)
        assert {pool.pick().address.path for _ in range(20)} == {two[1].socket}, "asked again before its time"
        now[0] = 11.0
        assert {pool.pick().address.path for _ in range(50)} == {two[0].socket, two[1].socket}


def test_no_engine_at_all_is_said(tmp_path: Path) -> None:
    with pytest.raises(EngineUnavailable, match="none of 2"):
        EnginePool([EngineAddress(path=tmp_path / "x"), EngineAddress(path=tmp_path / "y")]).pick()


def test_a_silent_host_costs_its_time_out_once(tmp_path: Path, two: tuple[Running, Running]) -> None:
    path = tmp_path / "silent.sock"
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as silent:
        silent.bind(str(path))
        silent.listen(8)
        pool = EnginePool([EngineAddress(path=path), *addresses(two[0])], status_timeout_s=0.4)
        began = time.monotonic()
        picked = [pool.pick().address.path for _ in range(5)]
    assert set(picked) == {two[0].socket}
    assert time.monotonic() - began < 5 * 0.4


@pytest.fixture
def remote(tmp_path: Path) -> Iterator[tuple[Running, EngineAddress]]:
    """An engine that other hosts may call, and its address."""
    files = tls.ensure_sibling(tmp_path / "papers", "127.0.0.1")
    papers = Credentials(files.authority, files.certificate, files.key)
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    options = ["--listen", f"tls://127.0.0.1:{port}", "--tls-authority", str(papers.authority)]
    options += ["--tls-certificate", str(papers.certificate), "--tls-key", str(papers.key)]
    with engine("fake", tmp_path, options) as running:
        wait_ready(running)
        yield running, EngineAddress(host="127.0.0.1", port=port, credentials=papers)


def test_another_host_recognises_over_tls(remote: tuple[Running, EngineAddress]) -> None:
    client = EngineClient(remote[1])
    assert client.status().ready
    pcm = NOISE * 12
    assert text_of(recognise(client, pcm)) == expected_text(pcm)


def test_a_caller_without_our_certificate_hears_nothing(remote: tuple[Running, EngineAddress], tmp_path: Path) -> None:
    running, address = remote
    foreign = tls.ensure_sibling(tmp_path / "foreign", "127.0.0.1")
    assert address.credentials is not None
    stranger = Credentials(address.credentials.authority, foreign.certificate, foreign.key)
    with pytest.raises(EngineUnavailable):
        EngineClient(replace(address, credentials=stranger), timeout_s=5).status()
    bare = ssl.create_default_context(cafile=str(address.credentials.authority))
    plain = socket.create_connection((address.host, address.port), 5)
    with bare.wrap_socket(plain, server_hostname=address.host) as wrapped:
        answer = b""
        with contextlib.suppress(OSError):
            wrapped.settimeout(5)
            wrapped.sendall(encode(Message("status", {"version": PROTOCOL_VERSION}), CLIENT_MESSAGES))
            answer = wrapped.recv(1)
        assert answer == b""
    assert running.client.status().ready, "the engine goes on"


def test_strangers_who_never_show_a_certificate_leave_files_for_others(
    remote: tuple[Running, EngineAddress],
) -> None:
    running, address = remote
    with ExitStack() as stack:
        for _ in range(3 * HANDSHAKES):
            silent = stack.enter_context(socket.socket())
            silent.setblocking(False)
            silent.connect_ex((address.host, address.port))
        deadline = time.monotonic() + 5
        while time.monotonic() < deadline and _open_files(running) < HANDSHAKES:
            time.sleep(0.05)
        time.sleep(0.3)
        assert HANDSHAKES <= _open_files(running) < 2 * HANDSHAKES
        assert running.client.status().ready
    assert EngineClient(address, timeout_s=15).status().ready, "they are gone, and others get in"


def _open_files(running: Running) -> int:
    return len(list(Path(f"/proc/{running.process.pid}/fd").iterdir()))


def test_an_engine_with_a_foreign_certificate_is_not_believed(
    remote: tuple[Running, EngineAddress], tmp_path: Path
) -> None:
    foreign = tls.ensure_sibling(tmp_path / "foreign", "127.0.0.1")
    own = remote[1].credentials
    assert own is not None
    suspicious = Credentials(foreign.authority, own.certificate, own.key)
    with pytest.raises(EngineUnavailable, match=r"self.signed|unable to get local issuer"):
        EngineClient(replace(remote[1], credentials=suspicious), timeout_s=5).status()
