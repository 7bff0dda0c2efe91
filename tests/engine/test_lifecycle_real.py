"""Switching between two real models: proof of the files, the known sample, and the memory of a switch."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from portal.asr.engine.contract import RecordingOptions
from portal.asr.engine.manifest import Registry, inspect
from tests.engine.support import Running, engine, recognise, text_of, wait_ready


@pytest.fixture
def shelf(tmp_path: Path, models: Path) -> Path:
    """Recorded models: v1, its twin v2 (other digest, same arithmetic), and ``deaf``, whose encoder is wiped out."""
    torch = pytest.importorskip("torch")
    for name in ("v1", "v2", "deaf"):
        shutil.copytree(models / "seaco", tmp_path / name)
    for name in ("sample.wav", "sample.txt"):
        shutil.copy(models / name, tmp_path / name)
    with (tmp_path / "v2" / "am.mvn").open("a", encoding="utf-8") as stream:
        stream.write("\n")
    weights = torch.load(tmp_path / "deaf" / "model.pt", map_location="cpu", weights_only=True)
    table = weights.get("state_dict", weights)
    for name in table:
        if name.startswith("encoder."):
            table[name].zero_()
    torch.save(weights, tmp_path / "deaf" / "model.pt")
    registry = Registry(tmp_path / "installed.json")
    for folder in (tmp_path / "v1", tmp_path / "v2", tmp_path / "deaf", models / "vad", models / "punc"):
        where, manifest = inspect(folder)
        registry.record(where, manifest, "2026-01-01T00:00:00+00:00")
    (tmp_path / "current").symlink_to("v1")
    return tmp_path


def arguments(shelf: Path, models: Path) -> list[str]:
    return [
        *("--threads", "1", "--device", "cpu", "--installed", str(shelf / "installed.json")),
        *("--asr", str(shelf / "current"), "--vad", str(models / "vad"), "--punc", str(models / "punc")),
        *("--current", str(shelf / "models" / "current.engine.json")),
    ]


@pytest.fixture
def running(shelf: Path, models: Path) -> Iterator[Running]:
    with engine("server", shelf, arguments(shelf, models)) as started:
        wait_ready(started, 120)
        yield started


def digest(shelf: Path, name: str) -> str:
    return inspect(shelf / name)[1].digest


def test_switches_rolls_back_and_remembers(running: Running, shelf: Path, models: Path, speech: bytes) -> None:
    client = running.client
    before = text_of(recognise(client, speech))
    with client.open(options=RecordingOptions()) as recording:
        recording.push(speech[: len(speech) // 2 // 2 * 2])
        change = client.until_changed(client.start_switch(digest(shelf, "v2")), 60)
        assert (change.step, change.code) == ("done", "")
        assert client.status().old_models == 1
        recording.push(speech[len(speech) // 2 // 2 * 2 :])
        recording.finish()
        assert text_of(list(recording.results())) == before
        assert recording.model.digest == digest(shelf, "v1")
    assert text_of(recognise(client, speech)) == before, "the twin hears the same"

    deaf = client.until_changed(client.start_switch(digest(shelf, "deaf")), 60)
    assert (deaf.step, deaf.code) == ("failed", "MODEL_CANARY")
    status = client.status()
    assert (status.ready, status.model.digest) == (True, digest(shelf, "v2"))
    assert status.canary is not None
    assert not status.canary.passed

    wanted = digest(shelf, "v1")
    (shelf / "v1" / "tokens.json").write_text("[]")
    altered = client.until_changed(client.start_switch(wanted), 60)
    assert (altered.step, altered.code) == ("failed", "MODEL_ALTERED")
    assert text_of(recognise(client, speech)) == before

    freed = client.until_changed(client.start_unload(), 60)
    assert freed.step == "done"
    assert client.until_changed(client.start_load(), 60).step == "done"
    assert client.status().model.digest == digest(shelf, "v2")


def test_a_model_that_brings_no_sample_hears_the_shipped_one(shelf: Path, models: Path) -> None:
    for name in ("sample.wav", "sample.txt"):
        (shelf / name).unlink()
    with engine("server", shelf, arguments(shelf, models)) as running:
        wait_ready(running, 120)
        canary = running.client.status().canary
        assert canary is not None
        assert canary.passed
        deaf = running.client.until_changed(running.client.start_switch(digest(shelf, "deaf")), 60)
        assert (deaf.step, deaf.code) == ("failed", "MODEL_CANARY"), "it says the same to everything"


def test_after_a_restart_the_switched_model_serves_unless_it_is_unusable(
    shelf: Path, models: Path, tmp_path: Path
) -> None:
    with engine("server", shelf, arguments(shelf, models)) as first:
        wait_ready(first, 120)
        assert first.client.until_changed(first.client.start_switch(digest(shelf, "v2")), 60).step == "done"
    with engine("server", shelf, arguments(shelf, models)) as second:
        wait_ready(second, 120)
        assert second.client.status().model.name == "v2"
    (shelf / "v2" / "tokens.json").write_text("[]")
    with engine("server", shelf, arguments(shelf, models)) as third:
        wait_ready(third, 120)
        status = third.client.status()
        assert status.model.name == "v1"
        assert status.change is not None
        assert (status.change.action, status.change.step, status.change.code) == ("start", "failed", "MODEL_ALTERED")
