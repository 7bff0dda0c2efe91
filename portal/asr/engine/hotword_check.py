"""The engine's own check of hotwords. Callers clean them; the engine trusts no caller.

FunASR fetches a hotword string that begins with ``http`` and opens one that ends with ``.txt``; so neither may pass.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Sequence
from typing import Final

from portal.asr.errors import EngineFailed

_TOKEN: Final = re.compile(r"[A-Za-z0-9\-_.+&\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff]{1,16}")


def check_hotwords(tokens: Sequence[str]) -> tuple[str, ...]:
    """Return the tokens without repeats, in order. Raises EngineFailed(HOTWORD_REFUSED) naming no token."""
    for token in tokens:
        if not isinstance(token, str) or _TOKEN.fullmatch(token) is None:
            raise EngineFailed("HOTWORD_REFUSED", "a hotword holds characters outside the allowed set or is too long")
    unique = tuple(dict.fromkeys(tokens))
    joined = " ".join(unique).lower()
    if joined.startswith("http") or joined.endswith(".txt"):
        raise EngineFailed("HOTWORD_REFUSED", "the list reads like an address or a file name; change its order")
    return unique


def digest_of(tokens: Sequence[str]) -> str:
    """A key that is equal exactly for equal lists; empty for the empty list."""
    return hashlib.sha256(" ".join(tokens).encode()).hexdigest() if tokens else ""
