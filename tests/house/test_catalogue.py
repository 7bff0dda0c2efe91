"""The error catalogue is complete: each code that the code raises has a sentence and a next step, in both languages."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from babel.messages.pofile import read_po

from portal.errors import CATALOGUE

PORTAL = Path(__file__).parents[2] / "portal"
RAISED = re.compile(r"""(?:PortalError|MediaError|EngineFailed|ModelError|AsrError)\(\s*["']([A-Z][A-Z_]+)["']""")


def raised_codes() -> set[str]:
    """Codes named where an error is raised."""
    return {code for path in PORTAL.rglob("*.py") for code in RAISED.findall(path.read_text(encoding="utf-8"))}


def test_every_raised_code_is_in_the_catalogue() -> None:
    assert sorted(raised_codes() - set(CATALOGUE)) == []


@pytest.mark.parametrize("code", sorted(CATALOGUE))
def test_entry_says_what_and_what_to_do(code: str) -> None:
    item = CATALOGUE[code]
    assert item.message.endswith("。")
    assert item.remedy.endswith("。")
    assert "未知错误" not in item.message
    assert not re.search(r"Traceback|sqlite|CUDA|/[a-z]+/", item.message + item.remedy)


def test_every_entry_is_used() -> None:
    files = [path for kind in ("*.py", "*.html", "*.js") for path in PORTAL.rglob(kind) if path.name != "errors.py"]
    text = "\n".join(path.read_text(encoding="utf-8") for path in files if "vendor" not in path.parts)
    assert [code for code in CATALOGUE if not re.search(rf"\b{code}\b", text)] == []


def test_catalogue_is_translated() -> None:
    with (PORTAL / "translations/en/LC_MESSAGES/messages.po").open("rb") as file:
        english = {message.id: message.string for message in read_po(file)}
    texts = [text for item in CATALOGUE.values() for text in (item.message, item.remedy)]
    assert [text for text in texts if not english.get(text)] == []
