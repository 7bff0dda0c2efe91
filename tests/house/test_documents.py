"""What the code and the documents point to exists."""

from __future__ import annotations

import re
from pathlib import Path

ROOT = Path(__file__).parents[2]
SOURCES = [
    *(ROOT / "portal").rglob("*.py"),
    *(ROOT / "portal" / "templates").rglob("*.html"),
    *(ROOT / "docs").glob("*.md"),
    ROOT / "README.md",
    ROOT / "CONTRIBUTING.md",
    ROOT / "portal.sh",
]
NAMED = re.compile(r"\b(?:docs|deploy)/[\w./-]+\.(?:md|png|conf|service|txt|py|sh)\b")
LINKED = re.compile(r"\]\(([^)#:]+)(?:#[^)]*)?\)")


def missing(path: Path) -> list[str]:
    """Files that ``path`` names and that do not exist."""
    text = path.read_text(encoding="utf-8")
    named = {ROOT / name for name in NAMED.findall(text)}
    if path.suffix == ".md":
        named |= {path.parent / name for name in LINKED.findall(text)}
    return [f"{path.relative_to(ROOT)} → {name.relative_to(ROOT)}" for name in sorted(named) if not name.exists()]


def test_named_files_exist() -> None:
    assert [line for path in SOURCES for line in missing(path)] == []


def test_the_readme_names_the_two_commands() -> None:
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    assert "./portal.sh run" in text
    assert "./portal.sh test" in text
