"""Clean what people paste as hotwords into tokens that recognition may receive.

FunASR splits a hotword string at white space, fetches it when it begins with ``http`` and opens it when it ends with
``.txt``. So only short tokens of harmless characters pass, in an order whose joined string does neither.
"""

from __future__ import annotations

import hashlib
import re
import unicodedata
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal

ProblemCode = Literal["EMPTY", "TOO_LONG", "BAD_CHARACTER", "DUPLICATE", "TOO_MANY", "NO_SAFE_PLACE"]

_SEPARATORS = re.compile(r"[\s,，、;；|｜\u3000]+")
_ALLOWED = re.compile(r"[A-Za-z0-9\-_.+&\u3400-\u4dbf\u4e00-\u9fff]+")
_EXAMINED = 256  # characters of a word; NFKC takes the square of a run of accents, and no word is as long as this
_SHOWN = 40  # characters of a refused word that go into a message


@dataclass(frozen=True, slots=True)
class HotwordProblem:
    """Why a word was left out. ``word`` is what the person wrote, shortened and without invisible characters.

    ``EMPTY``: nothing but invisible characters; ``TOO_LONG``; ``BAD_CHARACTER``: ``detail`` is the first one;
    ``DUPLICATE``; ``TOO_MANY``: beyond the limit; ``NO_SAFE_PLACE``: alone it reads like an address or a file name.
    """

    word: str
    code: ProblemCode
    detail: str = ""


@dataclass(frozen=True, slots=True)
class HotwordCheck:
    """The tokens in the order in which they go to recognition, and what was left out."""

    words: tuple[str, ...]
    problems: tuple[HotwordProblem, ...]


def clean_hotwords(raw: Iterable[str] | str, *, max_words: int = 200, max_length: int = 16) -> HotwordCheck:
    """Split at commas, semicolons, 、, white space and lines; NFKC; drop what is invisible, unfit or repeated."""
    words: dict[str, None] = {}
    problems: list[HotwordProblem] = []
    for piece in _pieces(raw):
        word = _normal(piece)
        problem = _check(word, words, max_words, max_length)
        if problem is None:
            words[word] = None
        elif word or _visible(piece) != piece:
            problems.append(HotwordProblem(_visible(piece)[:_SHOWN], *problem))
    ordered, homeless = _safe_order(list(words))
    problems.extend(HotwordProblem(word, "NO_SAFE_PLACE") for word in homeless)
    return HotwordCheck(tuple(ordered), tuple(problems))


def digest(words: Sequence[str]) -> str:
    """A key equal exactly for equal lists (SHA-256 of the joined tokens, hexadecimal); empty for none."""
    return hashlib.sha256(" ".join(words).encode()).hexdigest() if words else ""


def _pieces(raw: Iterable[str] | str) -> Iterable[str]:
    for part in [raw] if isinstance(raw, str) else raw:
        yield from filter(None, _SEPARATORS.split(part))


def _visible(text: str) -> str:
    """Without control, format (bidirectional, zero-width) and unassigned characters."""
    return "".join(c for c in text if unicodedata.category(c) not in ("Cc", "Cf", "Cs", "Co", "Cn"))


def _normal(piece: str) -> str:
    return _visible(unicodedata.normalize("NFKC", _visible(piece)[:_EXAMINED])).strip()


def _check(
    word: str, words: dict[str, None], max_words: int, max_length: int
) -> tuple[ProblemCode] | tuple[ProblemCode, str] | None:
    if not word:
        return ("EMPTY",)
    if not _ALLOWED.fullmatch(word):
        return "BAD_CHARACTER", next(c for c in word if not _ALLOWED.fullmatch(c))
    if len(word) > max_length:
        return ("TOO_LONG",)
    if word in words:
        return ("DUPLICATE",)
    return ("TOO_MANY",) if len(words) >= max_words else None


def _safe_order(words: list[str]) -> tuple[list[str], list[str]]:
    """Keep the order, but let no ``http…`` come first and no ``….txt`` last. Second: words without a place."""
    front = next((w for w in words if not _opens(w)), None)
    if front is None:
        return [], words
    if _opens(words[0]):
        words = [front, *(w for w in words if w != front)]
    if _closes(words[-1]):
        back = next((w for w in reversed(words) if not _closes(w) and (w != words[0] or not _opens(words[1]))), None)
        if back is None:
            return _without_ends(words)
        words = [*(w for w in words if w != back), back]
    return words, []


def _without_ends(words: list[str]) -> tuple[list[str], list[str]]:
    kept = [w for w in words if not _closes(w) and not _opens(w)]
    return kept, [w for w in words if w not in kept]


def _opens(word: str) -> bool:
    return word.lower().startswith("http")


def _closes(word: str) -> bool:
    return word.lower().endswith(".txt")
