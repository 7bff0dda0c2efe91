"""What becomes of the name a browser sends: data to show, never a path."""

from __future__ import annotations

import unicodedata

UNNAMED = "未命名录音"
MAX_LENGTH = 255
_LONGEST_EXTENSION = 16
_EXAMINED = 1024
"""NFC takes the square of a run of accents, so only as many characters of both ends of a name are looked at."""
_FORMAT_THAT_MAY_STAY = {"\u200d"}
"""The joiner inside emoji; all other invisible format characters (bidirectional marks among them) go."""


def clean_file_name(raw: str) -> str:
    """The name to show: last path part, no control or direction characters, at most 255 characters, never empty.

    The extension survives the cut, so that people still see what kind of file it was.
    """
    if len(raw) > 2 * _EXAMINED:
        raw = raw[:_EXAMINED] + raw[-_EXAMINED:]
    text = unicodedata.normalize("NFC", raw.encode("utf-8", "replace").decode("utf-8"))
    text = text.replace("\\", "/").rsplit("/", 1)[-1]
    text = "".join(ch for ch in text if _may_show(ch)).strip().strip("\u3000")
    if not text.strip(". "):
        return UNNAMED
    if len(text) <= MAX_LENGTH:
        return text
    stem, dot, extension = text.rpartition(".")
    if not dot or not stem or len(extension) > _LONGEST_EXTENSION:
        return text[:MAX_LENGTH]
    return stem[: MAX_LENGTH - len(extension) - 1] + "." + extension


def title_of(file_name: str) -> str:
    """The title a recording starts with: its name without the extension."""
    stem, dot, extension = file_name.rpartition(".")
    if dot and stem.strip() and len(extension) <= _LONGEST_EXTENSION and " " not in extension:
        return stem.strip()
    return file_name


def _may_show(ch: str) -> bool:
    if ch in _FORMAT_THAT_MAY_STAY:
        return True
    return unicodedata.category(ch) not in {"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"}
