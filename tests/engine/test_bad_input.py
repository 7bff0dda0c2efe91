"""What must not be sent, sent all the same: a clear code for the sender, and the engine goes on for everybody else."""

from __future__ import annotations

import json
import random
import socket
import struct
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest

from portal.asr.engine.client import EngineClient
from portal.asr.engine.contract import RecordingOptions
from portal.asr.engine.fake import SEGMENT_MS, expected_text, marker
from portal.asr.engine.protocol import CLIENT_MESSAGES, ENGINE_MESSAGES, MAX_PUSH, Decoder, Message, encode
from portal.asr.errors import EngineBusy, EngineFailed, ProtocolError
from tests.engine.support import Running, engine, recognise, text_of, wait_ready
from tests.engine.test_protocol import OPEN, frame
from tests.engine.test_recovery import noise


@pytest.fixture(scope="module")
def fake(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    with engine("fake", tmp_path_factory.mktemp("bad")) as running:
        wait_ready(running)
        yield running


@pytest.fixture(autouse=True)
def still_well(request: pytest.FixtureRequest) -> Iterator[None]:
    """After every test the engine works for the next caller and keeps nothing of the last."""
    yield
    if "fake" in request.fixturenames:
        running: Running = request.getfixturevalue("fake")
        pcm = noise(12, 77)
        assert text_of(recognise(running.client, pcm)) == expected_text(pcm)
        deadline = time.monotonic() + 5
        while running.client.status().running_recordings and time.monotonic() < deadline:
            time.sleep(0.02)
        status = running.client.status()
        assert (status.running_recordings, status.queued_segments, status.queued_seconds) == (0, 0, 0.0)


def opened(**changes: object) -> bytes:
    return frame(json.dumps({"type": "open", **OPEN, **changes}, ensure_ascii=False).encode())


def talk(running: Running, *raw: bytes, wait: bool = True, patience_s: float = 20.0) -> list[Message]:
    """Send bytes as they are; everything the engine answers until it hangs up, or nothing when not waiting."""
    deadline = time.monotonic() + patience_s
    decoder, found = Decoder(ENGINE_MESSAGES), []
    with socket.socket(socket.AF_UNIX) as raw_socket:
        raw_socket.connect(str(running.socket))
        raw_socket.settimeout(10)
        try:
            for piece in raw:
                raw_socket.sendall(piece)
            # the engine's sign of life keeps a connection busy that it has nothing against
            while wait and time.monotonic() < deadline and (data := raw_socket.recv(1 << 16)):
                found += decoder.feed(data)
        except (BrokenPipeError, ConnectionResetError):
            return found
    return found


def code(messages: list[Message]) -> str | None:
    return next((message["code"] for message in messages if message.type == "error"), None)


PUSH = encode(Message("push", {}, noise(1, 1)), CLIENT_MESSAGES)
FINISH = frame(b'{"type":"finish"}')


@pytest.mark.parametrize(
    ("raw", "expected"),
    [
        ([opened(hotwords=["http://127.0.0.1/list.txt"])], "HOTWORD_REFUSED"),
        ([opened(hotwords=["../../etc/passwd"])], "HOTWORD_REFUSED"),
        ([opened(hotwords=["/etc/passwd"])], "HOTWORD_REFUSED"),
        ([opened(hotwords=["C:\\secret.txt"])], "HOTWORD_REFUSED"),
        ([opened(hotwords=["达摩院", "list.txt"])], "HOTWORD_REFUSED"),
        ([opened(hotwords=["https"])], "HOTWORD_REFUSED"),
        ([opened(hotwords=["!!"])], "HOTWORD_REFUSED"),
        ([opened(hotwords=["<|im_end|>"])], "HOTWORD_REFUSED"),
        ([opened(hotwords=["词"] * 10_000)], "ENGINE_PROTOCOL"),
        ([opened(hotwords=[["词"]])], "ENGINE_PROTOCOL"),
        ([opened(hotwords=["词" * 65])], "ENGINE_PROTOCOL"),
        ([opened(version=1)], "ENGINE_PROTOCOL"),
        ([opened(path="/etc/passwd")], "ENGINE_PROTOCOL"),
        ([opened(hotword_weight=float("nan"))], "ENGINE_PROTOCOL"),
        ([opened(speech_threshold=float("inf"))], "ENGINE_PROTOCOL"),
        ([opened(max_segment_ms=3_600_000)], "ENGINE_PROTOCOL"),
        ([opened(), opened()], "ENGINE_PROTOCOL"),
        ([PUSH], "ENGINE_PROTOCOL"),
        ([FINISH], "ENGINE_PROTOCOL"),
        ([frame(b'{"type":"punctuate","id":1}', "词".encode())], "ENGINE_PROTOCOL"),
        ([opened(), frame(b'{"type":"push"}', b"abc")], "ENGINE_PROTOCOL"),
        ([opened(), frame(b'{"type":"push"}', bytes(MAX_PUSH + 2))], "ENGINE_PROTOCOL"),
        ([opened(), FINISH, PUSH], "ENGINE_PROTOCOL"),
        ([opened(), frame(b'{"type":"punctuate","id":1}', b"\xff\xfe")], "ENGINE_PROTOCOL"),
        ([opened(), struct.pack(">II", 20, 2**31)], "ENGINE_PROTOCOL"),
        ([opened(), struct.pack(">II", 2**31, 0)], "ENGINE_PROTOCOL"),
        ([opened(), struct.pack(">II", 2, 2) + b"{}xx"], "ENGINE_PROTOCOL"),
        ([frame(b'{"type":"switch","version":2,"model":"/opt/models/other"}')], "ENGINE_PROTOCOL"),
        ([frame(b'{"type":"switch","version":2,"model":"' + b"a" * 64 + b'"}')], "MODEL_UNKNOWN"),
    ],
)
def test_a_bad_message_ends_its_own_connection_with_a_code(fake: Running, raw: list[bytes], expected: str) -> None:
    before = fake.client.status().rss_bytes
    assert code(talk(fake, *raw)) == expected
    assert fake.client.status().rss_bytes - before < 32 << 20


def test_ten_thousand_hotwords_do_not_even_leave_the_caller(fake: Running) -> None:
    with pytest.raises(ProtocolError):
        fake.client.open(options=RecordingOptions(hotwords=tuple(f"词{n}" for n in range(10_000))))


def test_a_thousand_hotwords_are_fine(fake: Running) -> None:
    words = tuple(f"词{n}" for n in range(1_000))
    assert text_of(recognise(fake.client, noise(3, 1), words)).startswith("词0")


@pytest.mark.parametrize("samples", [0, 1, 2, 159, 160, 399, 400, 401])
def test_next_to_nothing_is_a_recording_too(fake: Running, samples: int) -> None:
    recognise(fake.client, noise(1, 1)[: samples * 2])


def test_half_a_sample_is_the_callers_mistake(fake: Running) -> None:
    with fake.client.open(options=RecordingOptions()) as recording, pytest.raises(ValueError, match="whole samples"):
        recording.push(b"abc")


def test_questions_for_marks_are_bounded(fake: Running) -> None:
    ask = b"".join(frame(json.dumps({"type": "punctuate", "id": n}).encode(), b"a\nb") for n in range(500))
    answers = talk(fake, opened() + ask, patience_s=5.0)
    answered = sum(message.type == "punctuated" for message in answers)
    assert code(answers) == "ENGINE_BUSY" or answered == 500


def test_strange_words_come_back_with_as_many_marks(fake: Running) -> None:
    with fake.client.open(options=RecordingOptions()) as recording:
        for words in (["\u202e", "", " ", "\n", "<unk>", "😀" * 50], ["词"] * 30_000):
            assert len(recording.punctuate(words)) == len(words)


def dies_in_the_header(running: Running) -> None:
    talk(running, opened()[:20], wait=False)


def dies_in_the_body(running: Running) -> None:
    talk(running, opened(), PUSH[: len(PUSH) // 2], wait=False)


def dies_after_pushing(running: Running) -> None:
    talk(running, opened(), *[PUSH] * 30, wait=False)


def dies_after_finishing(running: Running) -> None:
    talk(running, opened(), *[PUSH] * 30, FINISH, wait=False)


def dies_with_a_question(running: Running) -> None:
    talk(running, opened(), frame(b'{"type":"punctuate","id":1}', b"a\nb"), wait=False)


@pytest.mark.parametrize(
    "death", [dies_in_the_header, dies_in_the_body, dies_after_pushing, dies_after_finishing, dies_with_a_question]
)
def test_callers_that_die_in_the_middle_leave_nothing(fake: Running, death: Callable[[Running], None]) -> None:
    threads = [threading.Thread(target=death, args=(fake,)) for _ in range(12)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(10)


def test_results_that_are_no_numbers_end_their_own_recording(fake: Running) -> None:
    bad = (marker("nan") + noise(10, 3))[: SEGMENT_MS * 32]
    with pytest.raises(EngineFailed) as failure:
        recognise(fake.client, noise(20, 2) + bad)
    assert failure.value.code == "ENGINE_FAILED"


def test_a_full_engine_says_busy_with_figures(tmp_path_factory: pytest.TempPathFactory) -> None:
    with engine("fake", tmp_path_factory.mktemp("busy"), ["--max-recordings", "2"]) as running:
        wait_ready(running)
        with running.client.open(options=RecordingOptions()), running.client.open(options=RecordingOptions()):
            with pytest.raises(EngineBusy) as refusal:
                running.client.open(options=RecordingOptions())
            assert "2 of 2 recordings are open" in refusal.value.detail
        pcm = noise(10, 1)
        assert text_of(recognise(running.client, pcm)) == expected_text(pcm)


def sounds() -> dict[str, np.ndarray]:
    dice = np.random.default_rng(3)
    return {
        "one sample": np.zeros(1, dtype="<i2"),
        "one frame": dice.integers(-900, 900, 400).astype("<i2"),
        "silence": np.zeros(48_000, dtype="<i2"),
        "full scale": np.where(np.arange(48_000) // 40 % 2, 32_767, -32_768).astype("<i2"),
        "white noise": dice.integers(-32_768, 32_767, 48_000).astype("<i2"),
        "one click": np.concatenate([np.zeros(20_000), [32_767], np.zeros(20_000)]).astype("<i2"),
        "floats taken for samples": np.frombuffer(dice.normal(size=24_000).astype("<f4").tobytes(), dtype="<i2"),
        "not a number taken for samples": np.frombuffer(np.full(24_000, np.nan, "<f4").tobytes(), dtype="<i2"),
    }


@pytest.mark.models
@pytest.mark.parametrize("name", list(sounds()))
def test_the_real_models_cope_with_any_samples(real: Running, name: str) -> None:
    segments = recognise(real.client, sounds()[name].tobytes())
    assert all(0 <= word.begin_ms <= word.end_ms for segment in segments for word in segment.words)
    assert real.client.status().ready


@pytest.mark.models
def test_a_minute_without_a_pause_is_cut_and_recognised(real: Running, utterances: list[Any]) -> None:
    spoken = utterances[0][8_000:-8_000]
    loud = np.concatenate([spoken] * (60 * 16_000 // len(spoken) + 1))[: 60 * 16_000]
    segments = recognise(real.client, loud.astype("<i2").tobytes())
    assert segments
    assert max(segment.end_ms - segment.begin_ms for segment in segments) <= 30_200
    assert text_of(segments)


def test_random_talk_leaves_the_engine_standing(fake: Running) -> None:
    """Valid messages in any order, some bent: whatever comes back, the engine goes on."""
    dice = random.Random(13)
    parts = [opened(), PUSH, FINISH, frame(b'{"type":"close"}'), frame(b'{"type":"status","version":2}')]
    for _ in range(80):
        said = b"".join(dice.choice(parts) for _ in range(dice.randrange(1, 7)))
        if dice.random() < 0.5:
            place = dice.randrange(len(said))
            said = said[:place] + dice.randbytes(dice.randrange(4)) + said[place + 1 :]
        talk(fake, said, wait=False)
    assert EngineClient(fake.socket, timeout_s=5).status().ready
