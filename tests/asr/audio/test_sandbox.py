"""What a recording, or a decoder that one has taken over, can't do; and what it costs to try."""

from __future__ import annotations

import os
import resource
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from portal.asr.audio import DecodeLimits, decode
from portal.asr.decoding import frames
from portal.asr.decoding.channel import Channel
from portal.asr.errors import MediaError
from tests.asr.audio import corpus

MEGABYTE = 1024 * 1024
PLAYLIST_NAMES = ("wav", "mp3", "m4a", "flac", "ogg", "mp4", "mkv", "m3u8", "ts")


@pytest.fixture
def victim(tmp_path: Path) -> Path:
    path = tmp_path / "victim.mp3"
    corpus.encode(path, "mp3", 2.0)
    return path


@pytest.mark.parametrize("kind", list(corpus.playlists(Path("/x"))))
def test_playlists_bring_in_no_foreign_samples(tmp_path: Path, victim: Path, kind: str) -> None:
    text = corpus.playlists(victim)[kind]
    for extension in PLAYLIST_NAMES if kind in ("hls", "ffconcat") else ("wav", "m4a"):
        path = tmp_path / f"evil.{extension}"
        path.write_bytes(text)
        heard = 0
        with pytest.raises(MediaError) as caught, decode(path) as decoding:
            heard = sum(len(block.channels[0]) for block in decoding)
        assert heard == 0
        assert caught.value.code in ("MEDIA_FORMAT_REFUSED", "MEDIA_NOT_AUDIO")


INSIDE = """
import os, sys
from portal.asr.decoding import lockdown, decoder
from portal.asr.decoding.limits import DecodeLimits
lockdown.drop_rights(os.getppid())
decoder.warm_up()
lockdown.close_doors(DecodeLimits())
import io, av
def attempt():
    {attempt}
try:
    attempt()
except BaseException as error:
    os.write(1, ("refused " + type(error).__name__).encode())
else:
    os.write(1, b"DONE")
"""
ATTEMPTS = {
    "open a file": "os.open('/etc/passwd', os.O_RDONLY)",
    "open after making room": "os.close(0); os.open({path!r}, os.O_RDONLY)",
    "delete": "os.unlink({path!r})",
    "write": "os.close(0); os.open({path!r}, os.O_WRONLY)",
    "rename": "os.rename({path!r}, {path!r} + '2')",
    "list": "os.close(0); os.listdir('/etc')",
    "socket": "import _socket; os.close(0); s = _socket.socket(); s.connect(('127.0.0.1', {port}))",
    "fork": "os.fork()",
    "execute": "os.execv('/bin/true', ['true'])",
    "become root": "os.setuid(0)",
    "signal the parent": "os.kill(os.getppid(), 9)",
    "more files": "resource.setrlimit(resource.RLIMIT_NOFILE, (64, 64))",
    "grow": "bytearray(2 << 30)",
}


@pytest.mark.parametrize("name", ATTEMPTS)
def test_code_inside_can_do_nothing(tmp_path: Path, name: str) -> None:
    if os.getuid() != 0 and name == "signal the parent":
        pytest.skip("processes of one user may signal each other")
    target = tmp_path / "other.wav"
    target.write_bytes(b"somebody else's")
    os.chmod(tmp_path, 0o777)
    os.chmod(target, 0o666)
    import socket

    with socket.create_server(("127.0.0.1", 0)) as server:
        attempt = ATTEMPTS[name].format(path=str(target), port=server.getsockname()[1])
        code = INSIDE.format(attempt=attempt)
        preload = "import _socket, resource\n"
        done = subprocess.run(
            [sys.executable, "-I", "-c", preload + code], stdin=subprocess.DEVNULL, capture_output=True, timeout=20
        )
    assert done.stdout.startswith(b"refused"), (done.stdout, done.stderr)
    assert target.read_bytes() == b"somebody else's"


def test_a_bomb_is_refused_early_and_stays_small(tmp_path: Path) -> None:
    path = corpus.silent_flac(tmp_path / "bomb.flac", 150, rate=192_000, channels=8, layout="7.1")
    assert path.stat().st_size < 40_000
    begin, peak = time.monotonic(), 0
    with decode(path) as decoding, pytest.raises(MediaError) as caught:  # noqa: PT012
        for _ in decoding:
            peak = max(peak, peak_memory(decoding._process.pid))
    assert caught.value.code == "MEDIA_DECODE_LIMIT"
    assert caught.value.params["bound"] == "expansion"
    assert 0 < peak < 150 * MEGABYTE
    assert time.monotonic() - begin < 20


def test_without_the_early_refusal_the_processor_limit_holds(tmp_path: Path) -> None:
    path = corpus.silent_flac(tmp_path / "bomb.flac", 240, rate=192_000, channels=8, layout="7.1")
    limits = replace(DecodeLimits(), max_expansion=10**9, cpu_base_seconds=1, cpu_seconds_per_hour=0)
    with pytest.raises(MediaError) as caught, decode(path, limits=limits) as decoding:
        list(decoding)
    assert (caught.value.code, caught.value.params["bound"]) == ("MEDIA_DECODE_LIMIT", "cpu")


def test_thirteen_hours_are_refused_by_count(tmp_path: Path) -> None:
    path = corpus.silent_flac(tmp_path / "long.flac", 13 * 3_600, rate=16_000)
    begin, heard, peak = time.monotonic(), 0, 0
    with decode(path) as decoding, pytest.raises(MediaError) as caught:  # noqa: PT012
        for block in decoding:
            heard = block.end_ms
            peak = max(peak, peak_memory(decoding._process.pid)) if heard % 600_000 < 3_000 else peak
    assert caught.value.code == "MEDIA_TOO_LONG"
    assert heard <= 12 * 3_600_000 + 10_000
    assert peak < 150 * MEGABYTE
    assert time.monotonic() - begin < 60


def peak_memory(pid: int) -> int:
    """Peak resident bytes of a process (VmHWM), 0 when it is gone."""
    try:
        status = Path(f"/proc/{pid}/status").read_text()
    except OSError:
        return 0
    return next((int(line.split()[1]) * 1024 for line in status.splitlines() if line.startswith("VmHWM")), 0)


def test_closing_early_leaves_no_process(tmp_path: Path) -> None:
    path = tmp_path / "x.wav"
    path.write_bytes(corpus.wav_tone(30))
    decoding = decode(path)
    next(decoding)
    pid = decoding._process.pid
    decoding.close()
    decoding.close()
    assert not Path(f"/proc/{pid}").exists()
    assert list(decoding) == []


def test_a_child_without_its_parent_dies(tmp_path: Path) -> None:
    path = tmp_path / "x.wav"
    path.write_bytes(corpus.wav_tone(60))
    program = (
        "import sys, time; from pathlib import Path; from portal.asr.audio import decode\n"
        f"d = decode(Path({str(path)!r})); next(d); d._process.send_signal(19)\n"  # stopped, it can't notice the pipe
        "print(d._process.pid, flush=True); time.sleep(60)"
    )
    with subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE) as parent:
        assert parent.stdout is not None
        pid = int(parent.stdout.readline())
        assert Path(f"/proc/{pid}").exists()
        parent.kill()
    for _ in range(100):
        if not Path(f"/proc/{pid}").exists() or ") Z " in Path(f"/proc/{pid}/stat").read_text():
            return
        time.sleep(0.05)
    os.kill(pid, signal.SIGKILL)
    pytest.fail("the decoder outlived its parent")


def test_secrets_do_not_reach_the_child(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PORTAL_MASTER_KEY", "canary")
    path = tmp_path / "x.wav"
    path.write_bytes(corpus.wav_tone(30))
    with decode(path) as decoding:
        assert b"canary" not in Path(f"/proc/{decoding._process.pid}/environ").read_bytes()
        assert os.readlink(f"/proc/{decoding._process.pid}/cwd") == "/"


@pytest.fixture
def talker() -> Iterator[list[subprocess.Popen[bytes]]]:
    started: list[subprocess.Popen[bytes]] = []
    yield started
    for process in started:
        process.kill()
        process.wait()
        if process.stdout:
            process.stdout.close()


def says(talker: list[subprocess.Popen[bytes]], data: bytes, *, then: str = "") -> Channel:
    """A channel to a process that writes ``data`` and then runs ``then``."""
    program = f"import os, time, signal\nos.write(1, {data!r})\n{then}"
    process = subprocess.Popen([sys.executable, "-I", "-S", "-c", program], stdout=subprocess.PIPE, bufsize=0)
    talker.append(process)
    return Channel(process, 1.0)


@pytest.mark.parametrize(
    ("data", "then", "code"),
    [
        (frames.PREFIX.pack(2**31, 0), "", "MEDIA_DAMAGED"),
        (frames.PREFIX.pack(10, 2**31), "", "MEDIA_DAMAGED"),
        (frames.PREFIX.pack(4, 0) + b"nope", "", "MEDIA_DAMAGED"),
        (frames.PREFIX.pack(2, 0) + b"[]", "", "MEDIA_DAMAGED"),
        (frames.PREFIX.pack(14, 0) + b'{"kind":"odd"}', "", "MEDIA_DAMAGED"),
        (frames.PREFIX.pack(40, 0) + b'{"kind":"error","code":"<script>", "x":1}'[:40], "", "MEDIA_DAMAGED"),
        (b"\0\0", "", "MEDIA_DAMAGED"),
        (b"", "time.sleep(30)", "MEDIA_DECODE_LIMIT"),
        (b"\0\0\0", "time.sleep(30)", "MEDIA_DECODE_LIMIT"),
        (b"", "os.kill(os.getpid(), signal.SIGXCPU)", "MEDIA_DECODE_LIMIT"),
        (b"", "os.kill(os.getpid(), signal.SIGSEGV)", "MEDIA_DAMAGED"),
    ],
)
def test_a_hostile_or_broken_child_is_only_a_bad_recording(
    talker: list[subprocess.Popen[bytes]], data: bytes, then: str, code: str
) -> None:
    with pytest.raises(MediaError) as caught:
        says(talker, data, then=then).read(("facts",))
    assert caught.value.code == code


def test_frame_bounds_fit_the_largest_block() -> None:
    assert frames.MAX_PAYLOAD >= 2 * 2 * 16_000 * 5
    assert resource.getrlimit(resource.RLIMIT_NOFILE)[0] > 3  # the limits are the child's, not ours
