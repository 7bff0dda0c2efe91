"""Names as browsers, phones and mischief send them: shown as people know them, never a path, never invisible tricks."""

from __future__ import annotations

import time

import pytest

from portal.services.recordings.names import MAX_LENGTH, UNNAMED, clean_file_name, title_of

LONG = "会" * 300

CORPUS = [
    ("会议.wav", "会议.wav"),
    ("董事会录音 2026年11月.m4a", "董事会录音 2026年11月.m4a"),
    ("录音", "录音"),
    ("../../etc/passwd", "passwd"),
    ("../会议.wav", "会议.wav"),
    ("..\\..\\会议.wav", "会议.wav"),
    ("/absolute/会议.wav", "会议.wav"),
    ("C:\\Users\\lin\\会议.wav", "会议.wav"),
    ("\\\\server\\share\\会议.wav", "会议.wav"),
    ("file:///etc/passwd", "passwd"),
    ("会议.scp", "会议.scp"),
    ("会议.TXT", "会议.TXT"),
    ("CON", "CON"),
    ("NUL.wav", "NUL.wav"),
    (".", UNNAMED),
    ("..", UNNAMED),
    ("...", UNNAMED),
    ("", UNNAMED),
    ("   ", UNNAMED),
    ("\u3000", UNNAMED),
    ("/", UNNAMED),
    ("a/", UNNAMED),
    ("\\", UNNAMED),
    ("\x00", UNNAMED),
    ("会议\x00.wav", "会议.wav"),
    ("会议\r\nSet-Cookie: x=1.wav", "会议Set-Cookie: x=1.wav"),
    ("会议\t.wav", "会议.wav"),
    ("\x1b[31m红.wav", "[31m红.wav"),
    ("会议\u202evaw.exe", "会议vaw.exe"),
    ("\u2066会议\u2069.wav", "会议.wav"),
    ("\u200f会议.wav", "会议.wav"),
    ("会\u200b议.wav", "会议.wav"),
    ("\ufeff会议.wav", "会议.wav"),
    ("会议\u2028.wav", "会议.wav"),
    ("会议\ue000.wav", "会议.wav"),
    ("会议\ud800.wav", "会议?.wav"),
    ("e\u0301tude.wav", "étude.wav"),
    ("<script>alert(1)</script>.wav", "script>.wav"),
    ("=cmd|' /C calc'!A0.wav", " C calc'!A0.wav".strip()),
    ("https://x.test/会议.wav?y=1", "会议.wav?y=1"),
    ("%2e%2e%2f会议.wav", "%2e%2e%2f会议.wav"),
    ("会议 .wav ", "会议 .wav"),
    (".hidden", ".hidden"),
    ("-rf.wav", "-rf.wav"),
    ("👩‍💻.wav", "👩‍💻.wav"),
    ("اجتماع.wav", "اجتماع.wav"),
    ("회의.mp3", "회의.mp3"),
    (LONG + ".wav", "会" * 251 + ".wav"),
    (LONG, "会" * 255),
    ("a" * 10 + "." + "x" * 300, "a" * 10 + "." + "x" * 244),
]


@pytest.mark.parametrize(("raw", "shown"), CORPUS)
def test_clean(raw: str, shown: str) -> None:
    assert clean_file_name(raw) == shown
    assert len(shown) <= MAX_LENGTH
    assert clean_file_name(shown) == shown


def test_a_name_made_to_be_slow_is_quick() -> None:
    """Putting accents into order takes the square of their number."""
    begun = time.perf_counter()
    shown = clean_file_name("会" + "\u0300\u0323" * 30_000 + ".wav")
    assert time.perf_counter() - begun < 1
    assert shown.startswith("会")
    assert shown.endswith(".wav")


@pytest.mark.parametrize(
    ("name", "title"),
    [
        ("会议.wav", "会议"),
        ("a.b.mp3", "a.b"),
        ("录音", "录音"),
        (".hidden", ".hidden"),
        ("第 1.5 次会议", "第 1.5 次会议"),
    ],
)
def test_title(name: str, title: str) -> None:
    assert title_of(name) == title
