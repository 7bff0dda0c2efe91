"""Which hotwords a model can spell, without torch."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from portal.asr import vocabulary
from portal.asr.vocabulary import Unspellable, vocabulary_of
from portal.settings import MODELS_DIR


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A model that knows five characters and one English word."""
    (tmp_path / "tokens.json").write_text(json.dumps(["<blank>", "星", "澜", "朱", "基", "ka@@", "fka", "<unk>"]))
    lines = "星 星\n澜 澜\n朱 朱\n基 基\n枢 枢\nkafka ka@@ fka\nempty\n"
    (tmp_path / "seg_dict").write_text(lines, encoding="utf-8")
    return tmp_path


def test_words_the_model_cannot_spell(folder: Path) -> None:
    known = vocabulary_of(folder)
    assert known is not None
    words = ["星澜", "Kafka", "朱镕基", "镕镕", "K8s", "星澜K8s", "云枢", "empty"]
    assert known.unspellable(words) == (
        Unspellable("朱镕基", "镕"),
        Unspellable("镕镕", "镕"),
        Unspellable("K8s", "8"),
        Unspellable("星澜K8s", "8"),
        Unspellable("云枢", "云枢"),  # 枢 is in the dictionary, but its token is not in the model
        Unspellable("empty", ""),
    )


def test_a_changed_folder_is_read_again_and_a_broken_one_says_nothing(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert vocabulary_of(folder) is vocabulary_of(folder)
    before = vocabulary_of(folder)
    os.utime(folder / "seg_dict", ns=(1, 1))
    assert vocabulary_of(folder) is not before
    for text in ("{", '"no list"'):
        (folder / "tokens.json").write_text(text + " " * len(text))
        assert vocabulary_of(folder) is None
    assert vocabulary_of(folder / "nowhere") is None
    (folder / "tokens.json").write_text("[]")
    assert vocabulary_of(folder) is not None
    monkeypatch.setattr(vocabulary, "LARGEST", 1)
    assert vocabulary_of(folder) is None


def test_the_shipped_model() -> None:
    known = vocabulary_of(MODELS_DIR / "seaco")
    assert known is not None
    assert known.unspellable(["今天", "镕"]) == (Unspellable("镕", "镕"),)
