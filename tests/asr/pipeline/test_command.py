"""``portal transcribe`` with the fake engine: formats, errors in one sentence, no engine left behind."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from portal.asr.engine.client import EngineClient
from portal.asr.errors import EngineUnavailable
from portal.cli.transcribe import transcribe_command
from tests.asr.audio import corpus


@pytest.fixture
def engine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[EngineClient]:
    """The fake engine at the place where the settings of ``tmp_path`` look for one."""
    monkeypatch.setenv("PORTAL_INSTANCE", str(tmp_path / "instance"))
    run = tmp_path / "instance" / "run"
    run.mkdir(parents=True, mode=0o700)
    socket = run / "engine.sock"
    process = subprocess.Popen([sys.executable, "-m", "portal.asr.engine.fake", "--socket", str(socket)])
    client = EngineClient(socket)
    for _ in range(200):
        try:
            if client.status().ready:
                break
        except EngineUnavailable:
            time.sleep(0.05)
    yield client
    process.terminate()
    process.wait(20)


def call(*arguments: object) -> Result:
    return CliRunner().invoke(transcribe_command, [str(argument) for argument in arguments])


@pytest.fixture
def recording(tmp_path: Path) -> Path:
    path = tmp_path / "会议 录音.wav"
    path.write_bytes(corpus.wav_tone(12))
    return path


def test_every_format(engine: EngineClient, recording: Path, tmp_path: Path) -> None:
    value = json.loads(call(recording, "--format", "json").stdout)
    assert set(value) >= {"text", "audio_seconds", "model", "sentences"}
    assert value["audio_seconds"] == 12.0
    assert value["text"] == "".join(s["text"] for s in value["sentences"])
    assert set(value["sentences"][0]) >= {"text", "begin_ms", "end_ms", "speaker", "channel", "confidence", "words"}
    assert set(value["sentences"][0]["words"][0]) == {"text", "begin_ms", "end_ms", "confidence"}
    assert call(recording).stdout.strip() == value["text"]
    assert call(recording, "--format", "srt").stdout.startswith("1\n00:00:00,")
    assert call(recording, "--format", "vtt").stdout.startswith("WEBVTT\n")
    folder = tmp_path / "out"
    for expected in ("会议 录音.srt", "会议 录音-2.srt"):
        assert call(recording, "--format", "srt", "--output", folder).exit_code == 0
        assert (folder / expected).read_text("utf-8").startswith("1\n")


def test_errors_are_one_sentence_each_and_the_others_go_on(
    engine: EngineClient, recording: Path, tmp_path: Path
) -> None:
    text = tmp_path / "bad\x1b[31m.mp3"
    text.write_text("不是录音" * 100)
    silent = tmp_path / "silent.wav"
    silent.write_bytes(corpus.wav_bytes(bytes(64_000)))
    result = call(text, tmp_path / "missing.wav", silent, recording)
    assert result.exit_code == 1
    assert "Traceback" not in result.stderr
    assert "\x1b" not in result.stderr
    lines = result.stderr.splitlines()
    assert len(lines) == 3
    assert "MEDIA_NOT_AUDIO" in lines[0]
    assert "missing.wav" in lines[1]
    assert "NO_SPEECH" in lines[2]
    assert result.stdout.strip()


def test_links_are_followed_and_unreadable_files_are_not_called_damaged(
    engine: EngineClient, recording: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    link = tmp_path / "链接.wav"
    link.symlink_to(recording)
    secret = tmp_path / "secret.wav"
    secret.write_bytes(recording.read_bytes())
    opened = Path.open

    def refuse(path: Path, *arguments: Any) -> Any:
        if path == secret:  # its mode would not stop root, who runs these tests in containers
            raise PermissionError(13, "Permission denied", str(path))
        return opened(path, *arguments)

    monkeypatch.setattr(Path, "open", refuse)
    result = call(secret, link)
    assert result.exit_code == 1
    assert result.stderr.splitlines() == [
        "secret.wav: 读不了这个文件：Permission denied。请检查权限。 [FILE_UNREADABLE]"
    ]
    assert result.stdout == call(recording).stdout


def test_hotwords_are_cleaned_and_the_rest_named(engine: EngineClient, recording: Path) -> None:
    result = call(recording, "--hotword", "达摩院,GPU", "--hotword", "http://x/")
    assert result.exit_code == 0
    assert "http://x/" in result.stderr
    assert "达摩院" not in result.stderr


def test_spans_and_ways_of_cutting(engine: EngineClient, recording: Path) -> None:
    labels = call(recording, "--spans", "--vad-preset", "lecture")
    assert labels.exit_code == 0, labels.stderr
    assert labels.stdout.splitlines()[0].split("\t")[::2] == ["0.000", "1"]
    value = json.loads(call(recording, "--spans", "--format", "json", "--max-segment", "10").stdout)
    assert (value["audio_seconds"], value["speech_seconds"], value["share"]) == (12.0, 12.0, 1.0)
    assert call(recording, "--spans", "--format", "csv").stdout.startswith("\ufeff序号,开始")
    refused = call(recording, "--spans", "--format", "srt")
    assert refused.exit_code == 1
    assert "txt, json, csv" in refused.stderr


@pytest.mark.parametrize(
    ("option", "value"),
    [
        ("--max-segment", "4"), ("--max-segment", "61"), ("--max-segment", "nan"), ("--end-silence", "100"),
        ("--end-silence", "soon"), ("--threshold", "0.95"), ("--threshold", "nan"), ("--speaker-count", "21"),
    ],
)  # fmt: skip
def test_numbers_beyond_their_limits_are_refused(recording: Path, option: str, value: str) -> None:
    result = call(recording, option, value)
    assert result.exit_code == 2
    assert option in result.stderr


def test_what_the_model_cannot_do_is_said_and_the_rest_done(engine: EngineClient, recording: Path) -> None:
    result = call(recording, "--language", "yue", "--speaker-count", "2", "--end-silence", "dynamic", "--no-word-times",
                  "--format", "json")  # fmt: skip
    assert result.exit_code == 0
    assert "LANGUAGE_NOT_OFFERED" in result.stderr
    assert "SPEAKERS_NOT_OFFERED" in result.stderr
    value = json.loads(result.stdout)
    assert value["warnings"] == ["LANGUAGE_NOT_OFFERED", "SPEAKERS_NOT_OFFERED"]
    assert value["sentences"][0]["words"][0]["begin_ms"] is None
    assert call(recording, "--format", "csv").stdout.splitlines()[1].startswith("00:00:00.000,")


def test_without_models_the_private_engine_says_what_to_do(
    recording: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PORTAL_INSTANCE", str(tmp_path / "instance"))
    for role in ("ASR", "VAD", "PUNC"):
        monkeypatch.setenv(f"PORTAL_{role}_MODEL", str(tmp_path / "nothing"))
    result = call(recording)
    assert result.exit_code == 1
    assert "ENGINE_NOT_STARTED" in result.stderr
    assert "Traceback" not in result.stderr
