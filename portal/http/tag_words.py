"""Codes that recognition gave as words in the reader's language: speakers, languages, emotions, sounds, presets."""

from __future__ import annotations

from babel import Locale
from flask import Flask
from flask_babel import get_locale, gettext

QUIET = frozenset({"neutral", "unknown", "emo_unknown", "unk", "speech", "nospeech"})
"""Emotions and sounds that say nothing: they are kept, and not shown."""


def speaker_name(speaker: str | None) -> str:
    """A voice's number as a name; names that people gave stay as they are."""
    if speaker and speaker.isascii() and speaker.isdigit():
        return str(gettext("说话人 %(number)s", number=speaker))
    return speaker or ""


def language_name(code: str | None) -> str:
    """``yue`` as "粤语" or "Cantonese"; a code nobody knows as it is."""
    if not code or code == "auto":
        return str(gettext("自动"))
    locale = get_locale() or Locale("zh")
    return str(locale.languages.get(code.replace("-", "_")) or locale.languages.get(code.partition("-")[0]) or code)


def tag_name(code: str | None) -> str:
    """An emotion or a sound as a word; '' for those that say nothing."""
    if not code or code.lower() in QUIET:
        return ""
    words = {
        "happy": gettext("高兴"),
        "sad": gettext("难过"),
        "angry": gettext("生气"),
        "fearful": gettext("害怕"),
        "disgusted": gettext("反感"),
        "surprised": gettext("惊讶"),
        "bgm": gettext("背景音乐"),
        "applause": gettext("掌声"),
        "laughter": gettext("笑声"),
        "cry": gettext("哭声"),
        "sneeze": gettext("喷嚏"),
        "breath": gettext("呼吸声"),
        "cough": gettext("咳嗽"),
        "sing": gettext("歌声"),
        "speech_noise": gettext("嘈杂人声"),
    }
    return str(words.get(code.lower(), code))


def preset_name(preset: str | None) -> str:
    """A way of cutting speech as a word."""
    words = {
        "general": gettext("通用"),
        "telephone": gettext("电话"),
        "lecture": gettext("讲课"),
        "live": gettext("实时"),
        "custom": gettext("自定义"),
    }
    return str(words.get(preset or "general", preset))


def profile_name(profile: str | None) -> str:
    """The arithmetic that made a text as words; '' where it is unknown."""
    words = {
        "exact": gettext("精确计算"),
        "cpu-exact": gettext("精确计算（CPU）"),
        "fast": gettext("快速计算"),
    }
    return str(words.get(profile or "", profile or ""))


def init_app(app: Flask) -> None:
    """Attach the globals."""
    app.jinja_env.globals.update(
        speaker_name=speaker_name,
        language_name=language_name,
        tag_name=tag_name,
        preset_name=preset_name,
        profile_name=profile_name,
    )
