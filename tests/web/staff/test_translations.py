"""English is complete beside Chinese: no text is missing, fuzzy or left over, and the compiled file is up to date."""

from __future__ import annotations

import importlib.util
import re
from pathlib import Path
from types import ModuleType

import pytest

SCRIPT = Path(__file__).parents[3] / "deploy" / "translations.py"
PLACES = re.compile(r"%\(\w+\)s|\{\w+\}|%%")
CHINESE = re.compile(r"[\u4e00-\u9fff]")
SHOWS_CHINESE = {"“二零二六年三月五号”写成“2026年3月5日”。", "写成数字，例如 2026 年", "照读音写，例如 二〇二六年"}
"""Texts that speak about Chinese writing and quote it."""


@pytest.fixture(scope="module")
def translations() -> ModuleType:
    """The script that keeps the catalogue."""
    spec = importlib.util.spec_from_file_location("translations", SCRIPT)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_every_text_is_translated(translations: ModuleType) -> None:
    known = {str(message.id): message for message in translations.read() if message.id}
    wanted = set(translations.texts())
    assert len(wanted) > 500
    assert sorted(wanted - set(known)) == [], "run deploy/translations.py"
    assert sorted(set(known) - wanted) == [], "run deploy/translations.py"
    assert [text for text, message in known.items() if not message.string or message.fuzzy] == []


def test_places_are_the_same_on_both_sides(translations: ModuleType) -> None:
    for message in translations.read():
        if message.id:
            assert sorted(PLACES.findall(message.id)) == sorted(PLACES.findall(message.string)), message.id


def test_english_is_english(translations: ModuleType) -> None:
    left = [m.id for m in translations.read() if m.id and CHINESE.search(m.string) and m.id not in SHOWS_CHINESE]
    assert left == []


def test_the_compiled_file_is_up_to_date(translations: ModuleType) -> None:
    assert translations.CATALOGUE.with_suffix(".mo").read_bytes() == translations.compiled(translations.read())
