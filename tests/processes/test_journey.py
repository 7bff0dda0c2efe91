"""A person's whole way through the running portal, and what the auditor sees of it afterwards."""

from __future__ import annotations

import csv
import io
import json
import os
import signal
import sqlite3
import subprocess
import sys
import time
import wave
from pathlib import Path

import pytest
from rapidfuzz.distance import Levenshtein

from portal.settings import MODELS_DIR
from tests.support.running import ROOT, Running, environment

pytestmark = [pytest.mark.processes, pytest.mark.models]

SAMPLE = MODELS_DIR / "sample.wav"
MARKS = "，。？！、,.?! \n"


def bare(text: str) -> str:
    """Without marks and spaces."""
    return "".join(char for char in text if char not in MARKS)


def distance(heard: str, said: str) -> float:
    """Character error rate without marks."""
    return Levenshtein.distance(bare(heard).upper(), bare(said).upper()) / len(bare(said))


def repeated(path: Path, times: int) -> Path:
    """The sample ``times`` over, as one recording."""
    with wave.open(str(SAMPLE)) as source, wave.open(str(path), "wb") as target:
        target.setparams(source.getparams())
        frames = source.readframes(source.getnframes())
        for _ in range(times):
            target.writeframes(frames)
    return path


def states(portal: Running, recording: str) -> list[tuple[str, int]]:
    """State and number of transcripts of a recording's transcriptions, from the database."""
    with sqlite3.connect(f"file:{portal.instance / 'portal.sqlite3'}?mode=ro", uri=True) as connection:
        return connection.execute(
            "SELECT t.state, (SELECT count(*) FROM transcripts x WHERE x.transcription_id = t.id)"
            " FROM transcriptions t WHERE t.recording_id = ?",
            (recording.replace("-", ""),),
        ).fetchall()


def wait_for_state(portal: Running, recording: str, state: str, seconds: float = 60) -> None:
    """Until a recording's one transcription is in ``state``."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if [name for name, _ in states(portal, recording)] == [state]:
            return
        time.sleep(0.05)
    raise AssertionError(f"{states(portal, recording)} is not {state}")


def test_the_start_shows_the_sample_and_ends_with_the_address(portal: Running) -> None:
    said = "\n".join(portal.said)
    assert portal.said[-1] == portal.address
    assert "Self-check" in said


def test_a_local_person_reads_the_sample(portal: Running) -> None:
    person = portal.journey("lin")
    recording = person.upload(SAMPLE, name="季度会议.wav", options={"itn": False, "channels": "mix"})
    text = person.wait_for_text(recording)
    assert distance(text, (MODELS_DIR / "sample.txt").read_text(encoding="utf-8")) <= 0.02


def test_a_directory_person_reads_and_exports(portal: Running) -> None:
    person = portal.journey("zhangwei")
    assert "张伟" in person.get("/").text
    recording = person.upload(SAMPLE)
    assert person.wait_for_text(recording)
    for kind, sign in (("srt", "-->"), ("vtt", "WEBVTT"), ("json", '"sentences"'), ("csv", ",")):
        assert sign in person.get(f"/transcripts/{recording}/export/{kind}").text
    assert person.get(f"/transcripts/{recording}").status == 200
    part = person.call("GET", f"/recordings/{recording}/audio", None, {"Range": "bytes=0-99"})
    assert part.status == 206
    assert len(part.body) == 100
    stranger = portal.journey("lin")
    assert stranger.get(f"/transcripts/{recording}").status == 404
    assert stranger.get(f"/recordings/{recording}/audio").status == 404


def test_the_auditor_finds_these_acts(portal: Running) -> None:
    auditor = portal.journey("watcher")
    assert auditor.get("/audit").status == 200
    answer = auditor.post("/audit/export", why="季度内审抽查")
    assert answer.status == 200, answer.text[:500]
    rows = list(csv.reader(io.StringIO(answer.text.removeprefix("\ufeff"))))
    acts = {cell for row in rows for cell in row}
    assert {"session.sign_in", "upload.finish", "transcript.open", "transcript.export", "recording.play"} <= acts
    assert "季度会议" not in answer.text
    verify = subprocess.run(
        [sys.executable, "-m", "portal.cli", "audit", "verify"],
        cwd=ROOT, env=environment(portal.instance, {}), capture_output=True, text=True, check=False, timeout=120,
    )  # fmt: skip
    assert verify.returncode == 0, verify.stdout + verify.stderr


def test_offices_see_no_recordings(portal: Running) -> None:
    for login in ("chief", "watcher"):
        person = portal.journey(login)
        assert person.get("/history").status == 403


@pytest.mark.parametrize("victim", ["portal.asr.engine.server", "portal.jobs.worker"])
def test_killed_in_mid_job_ends_with_one_transcript(portal: Running, tmp_path: Path, victim: str) -> None:
    person = portal.journey("lin")
    recording = person.upload(repeated(tmp_path / "long.wav", 20))
    wait_for_state(portal, recording, "running")
    time.sleep(1.0)
    for pid in {pid for pid in portal.children() if victim in _words(pid)}:
        os.kill(pid, signal.SIGKILL)
    wait_for_state(portal, recording, "done", seconds=150)
    assert states(portal, recording) == [("done", 1)]


def _words(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode()
    except OSError:
        return ""


def test_the_command_line_transcribes_through_the_running_engine(portal: Running) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "portal.cli", "transcribe", str(SAMPLE), "--format", "json"],
        cwd=ROOT, env=environment(portal.instance, {}), capture_output=True, text=True, check=False, timeout=120,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    result = json.loads(done.stdout)
    assert set(result) >= {"text", "audio_seconds", "model", "sentences"}
    first = result["sentences"][0]
    assert set(first) >= {"text", "begin_ms", "end_ms", "speaker", "channel", "confidence", "words"}
    assert set(first["words"][0]) == {"text", "begin_ms", "end_ms", "confidence"}
    assert first["speaker"] is None
    assert first["channel"] is None


def test_the_doctor_is_content(portal: Running) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "portal.cli", "doctor", "--json"],
        cwd=ROOT, env=environment(portal.instance, {}), capture_output=True, text=True, check=False, timeout=120,
    )  # fmt: skip
    report = json.loads(done.stdout)
    assert report["ok"], report
    assert done.returncode == 0
    assert all(set(check) == {"name", "ok", "detail", "remedy"} for check in report["checks"])
