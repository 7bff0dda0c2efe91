"""The vendored front-end files are the ones that were chosen, with their licences, and load nothing."""

from __future__ import annotations

import hashlib
import re
import xml.etree.ElementTree as ET
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
STATIC = ROOT / "portal" / "static" / "vendor"
TESTS = ROOT / "tests" / "browser" / "vendor"


@pytest.mark.parametrize("folder", [STATIC, TESTS], ids=["portal", "tests"])
def test_the_sums_match_and_name_every_file(folder: Path) -> None:
    named = {}
    for line in (folder / "SHA256SUMS").read_text(encoding="utf-8").splitlines():
        digest, name = line.split("  ", 1)
        named[name] = digest
    found = {
        str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in folder.rglob("*")
        if path.is_file() and path.name != "SHA256SUMS"
    }
    assert found == named


@pytest.mark.parametrize("folder", [STATIC, TESTS], ids=["portal", "tests"])
def test_each_library_has_its_version_and_its_licence(folder: Path) -> None:
    libraries = [path for path in folder.iterdir() if path.is_dir()]
    assert libraries
    for library in libraries:
        assert re.fullmatch(r"[a-z-]+-\d+\.\d+\.\d+", library.name), library.name
        assert len((library / "LICENSE").read_text(encoding="utf-8")) > 300, library.name


def test_styles_load_nothing_from_elsewhere() -> None:
    for sheet in STATIC.rglob("*.css"):
        text = sheet.read_text(encoding="utf-8")
        assert "@import" not in text
        for address in re.findall(r"url\(\s*[\"']?([^)\"']+)", text):
            assert address.startswith(("data:", "#")), (sheet.name, address)


def test_the_sprite_holds_plain_drawings_that_take_the_colour_of_the_text() -> None:
    (sprite,) = STATIC.glob("tabler-icons-*/sprite.svg")
    symbols = ET.parse(sprite).getroot().findall("{http://www.w3.org/2000/svg}symbol")
    names = {symbol.get("id") for symbol in symbols}
    assert len(names) == len(symbols) > 90
    assert {"trash", "microphone", "chevron-right", "vocabulary", "shield-check", "moon", "logout"} <= names
    assert all(symbol.get("stroke") == "currentColor" for symbol in symbols)
