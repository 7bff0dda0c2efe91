"""Nothing a browser loads, and nothing the portal runs, names an address outside the house."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

ROOT = Path(__file__).parents[2]
OUTSIDE = re.compile(r"""(?:src|href|url\(|fetch\(|import\s)\s*[=(]?\s*["']?\s*(?:https?:)?//""", re.IGNORECASE)
INLINE = re.compile(r"""\sstyle\s*=|\son[a-z]+\s*=\s*["']|<script(?![^>]*\bsrc=)|javascript:""", re.IGNORECASE)


def tracked(*patterns: str) -> list[Path]:
    """Files that git tracks."""
    done = subprocess.run(["git", "ls-files", "-z", *patterns], cwd=ROOT, capture_output=True, check=True)
    return [ROOT / name for name in done.stdout.decode().split("\0") if name and (ROOT / name).exists()]


def text(path: Path) -> str:
    """The file as text, empty when it is none."""
    try:
        return path.read_text(encoding="utf-8")
    except UnicodeDecodeError:
        return ""


def test_no_page_asks_the_internet() -> None:
    files = [path for path in tracked("portal/templates", "portal/static") if "vendor" not in path.parts]
    assert [str(path.relative_to(ROOT)) for path in files if OUTSIDE.search(text(path))] == []


def test_templates_fit_the_content_security_policy() -> None:
    files = tracked("portal/templates")
    assert [str(path.relative_to(ROOT)) for path in files if INLINE.search(text(path))] == []


def test_templates_never_switch_escaping_off() -> None:
    pattern = re.compile(r"\|\s*safe\b|autoescape\s+false")
    assert [str(path.relative_to(ROOT)) for path in tracked("portal/templates") if pattern.search(text(path))] == []


def test_lock_files_name_no_host() -> None:
    for path in tracked("*.lock"):
        body = text(path)
        assert "--index-url" not in body
        assert "--find-links" not in body
        assert "file://" not in body
        assert "+cpu" not in body
