"""The shipped files are the ones the manifest names, and small."""

import hashlib
import json
import re
import wave
from pathlib import Path
from typing import TypedDict

import pytest

MODELS = Path(__file__).parents[3] / "portal" / "asr" / "models"
LIMIT = 25 * 1024 * 1024


Entry = TypedDict("Entry", {"class": str, "files": dict[str, dict[str, object]]})
Manifest = dict[str, Entry]


@pytest.fixture(scope="module")
def manifest() -> Manifest:
    found: Manifest = json.loads((MODELS / "manifest.json").read_text("utf-8"))["models"]
    return found


def test_every_file_has_the_hash_and_size_of_the_manifest(manifest: Manifest) -> None:
    assert set(manifest) == {"seaco", "vad", "punc"}
    for kind, entry in manifest.items():
        files = entry["files"]
        assert set(files) == {p.name for p in (MODELS / kind).iterdir()}
        for name, facts in files.items():
            body = (MODELS / kind / name).read_bytes()
            assert facts == {"sha256": hashlib.sha256(body).hexdigest(), "bytes": len(body)}, f"{kind}/{name}"


def test_directories_hold_what_funasr_expects(manifest: Manifest) -> None:
    common = {"config.yaml", "configuration.json", "model.pt"}
    assert set(manifest["seaco"]["files"]) == common | {"tokens.json", "seg_dict", "am.mvn"}
    assert set(manifest["vad"]["files"]) == common | {"am.mvn"}
    assert set(manifest["punc"]["files"]) == common | {"tokens.json"}
    assert [manifest[k]["class"] for k in ("seaco", "vad", "punc")] == [
        "SeacoParaformer",
        "FsmnVADStreaming",
        "CTTransformer",
    ]


def test_everything_together_is_small() -> None:
    weights = sum(p.stat().st_size for kind in ("seaco", "vad", "punc") for p in (MODELS / kind).iterdir())
    assert weights <= LIMIT


def test_the_sample_is_a_short_16_bit_recording_with_its_text() -> None:
    with wave.open(str(MODELS / "sample.wav")) as sound:
        assert (sound.getframerate(), sound.getnchannels(), sound.getsampwidth()) == (16_000, 1, 2)
        assert 25 <= sound.getnframes() / 16_000 <= 42
    text = (MODELS / "sample.txt").read_text("utf-8")
    assert all(mark in text for mark in "，。？")
    assert "致远" in text
    assert re.search("[A-Z]{2,}", text)
    assert not re.search("[0-9]", text)
