"""What training must never see: voices, texts and spellings that the quality tests use.

The texts themselves lie in the tests; here are only fingerprints of them, so that the recipe works without the
tests and can still refuse them. `tests/asr/models/test_held_out.py` checks that both agree.
"""

from __future__ import annotations

import hashlib
from functools import lru_cache
from pathlib import Path

VOICES = ("f4", "Mario", "Andrea", "Hugo")

# Product names whose spelling as a word must not occur in training. The first group sounds like a name that training
# writes otherwise (星火), the second like no word of the training at all.
HOTWORDS_KNOWN_SOUND = (
    "星伙 添弓 常程 兰京 非余 署光 远杭 之型 芸海 通图 志远 起名 灵云 红图 芳洲 盘时 雷亭 今桥 "
    "太衫 难峰 北集星 白路 红衫 松霖 海彦"
).split()
HOTWORDS_NEW_SOUND = (
    "云帆 星澜 灵犀 海纳 玉衡 天枢 银河 锦程 听风 白泽 慧听 瑞祥 龙泉 凤桐 鹤鸣 松涛 桃源 竹石 雪莲 朝露 晨曦 "
    "梧桐 湖光 麒麟"
).split()
HOTWORDS = (*HOTWORDS_KNOWN_SOUND, *HOTWORDS_NEW_SOUND)

_FINGERPRINTS = Path(__file__).with_name("held_out_fingerprints.txt")
# Texts shorter than this ("好的") are everybody's and are not protected.
SHORTEST_PROTECTED = 8


def normalised(text: str) -> str:
    """A text without punctuation and spaces, letters lower-case."""
    return "".join(c for c in text.lower() if c not in "，。？！、 \t\n")


def fingerprint(text: str) -> str:
    """Sixteen hex digits of SHA-256 over the normalised text."""
    return hashlib.sha256(normalised(text).encode()).hexdigest()[:16]


@lru_cache(maxsize=1)
def fingerprints() -> frozenset[str]:
    """The fingerprints of all held-out sentences."""
    if not _FINGERPRINTS.exists():
        return frozenset()
    return frozenset(_FINGERPRINTS.read_text(encoding="ascii").split())


def is_held_out(text: str) -> bool:
    """Whether a sentence belongs to a held-out list or writes a held-out hotword."""
    plain = normalised(text)
    if any(word in plain for word in HOTWORDS):
        return True
    return len(plain) >= SHORTEST_PROTECTED and fingerprint(plain) in fingerprints()
