"""Which container a file is, from its first bytes alone: neither its name nor a decoder's guess is asked.

The answer is the one FFmpeg demuxer the file will be given to. Guessing is what lets a text file called ``x.wav`` be
read as a playlist that names other people's recordings, so whatever is not on this list is refused.

Signatures: RIFF/WAVE (Microsoft multimedia specification 1.0), FLAC (RFC 9639), Ogg (RFC 3533), Matroska/EBML
(RFC 8794), ISO base media (ISO/IEC 14496-12), ASF specification 1.20, AMR (RFC 4867), ADTS (ISO/IEC 13818-7), MPEG
audio (ISO/IEC 11172-3).
"""

from __future__ import annotations

from collections.abc import Callable

from portal.asr.errors import MediaError

Length = Callable[[bytes, int], int]

HEAD_BYTES = 128 * 1024
"""How much of the beginning ``sniff`` wants to see."""

_ASF = bytes.fromhex("3026b2758e66cf11a6d900aa0062ce6c")
_ASF_ENCRYPTION = (
    bytes.fromhex("fbb3112223bdd211b4b700a0c955fc6e"),  # content encryption object
    bytes.fromhex("14e68a292226174cb935dae07ee9289c"),  # extended content encryption object
)
_MP4_BOXES = (b"ftyp", b"moov", b"mdat", b"wide", b"free", b"skip", b"pnot")
_PLAYLISTS = (b"#extm3u", b"ffconcat", b"[playlist]", b"<?xml", b"<mpd", b"<smil", b"<asx", b"<playlist",
              b"[reference]", b"v=0\r\n", b"v=0\no=", b"v=0\ns=")  # fmt: skip
_OTHER = (
    (b"FORM", "aiff"), (b"FLV", "flv"), (b"MThd", "midi"), (b"PK\x03\x04", "zip"), (b"%PDF", "pdf"),
    (b"\x89PNG", "picture"), (b"\xff\xd8\xff", "picture"), (b"GIF8", "picture"), (b"Rar!", "archive"),
    (b"7z\xbc\xaf", "archive"), (b"\x1f\x8b", "archive"), (b"\xd0\xcf\x11\xe0", "document"), (b"caff", "caf"),
    (b"\x00\x00\x01\xba", "mpeg"), (b"\x7fELF", "program"), (b"MZ", "program"), (b".snd", "au"), (b"wvpk", "wavpack"),
    (b"MAC ", "ape"), (b".RMF", "realmedia"), (b"riff\x2e\x91", "w64"),
)  # fmt: skip
_MP3_KBPS = {
    "1": (0, 32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320),  # MPEG-1 layer III
    "2": (0, 8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160),  # MPEG-2 and 2.5 layer II and III
    "1-2": (0, 32, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320, 384),  # MPEG-1 layer II
}
_MP3_RATES = {3: (44100, 48000, 32000), 2: (22050, 24000, 16000), 0: (11025, 12000, 8000)}


def sniff(head: bytes) -> str:
    """FFmpeg's name of the demuxer for a file beginning with ``head``.

    Raises MediaError: MEDIA_EMPTY, MEDIA_FORMAT_REFUSED (``kind`` says what it is), MEDIA_PROTECTED, MEDIA_NOT_AUDIO.
    """
    if not head:
        raise MediaError("MEDIA_EMPTY", "the file has no bytes")
    body = head[_id3_length(head) :]
    found = _container(body)
    if found == "asf" and any(guid in head for guid in _ASF_ENCRYPTION):
        raise MediaError("MEDIA_PROTECTED", "ASF content encryption object")
    found = found or _raw_stream(body)
    if found:
        return found
    raise _refusal(head)


def _container(body: bytes) -> str | None:
    if body[:4] in (b"RIFF", b"RF64", b"BW64") and body[8:12] == b"WAVE":
        return "wav"
    if body[:4] == b"fLaC":
        return "flac"
    if body[:4] == b"OggS":
        return "ogg"
    if body[:4] == b"\x1a\x45\xdf\xa3":
        return "matroska"
    if body[4:8] in _MP4_BOXES:
        return "mov"
    if body[:16] == _ASF:
        return "asf"
    if body.startswith((b"#!AMR\n", b"#!AMR-WB\n")):
        return "amr"
    return None


def _id3_length(head: bytes) -> int:
    """Bytes of the ID3v2 tag in front (id3.org, ID3v2.4 section 3.1), 0 when there is none or it hides everything."""
    if head[:3] != b"ID3" or len(head) < 10:
        return 0
    size = 0
    for byte in head[6:10]:
        size = size << 7 | byte & 0x7F
    total = size + 10 + (10 if head[5] & 0x10 else 0)
    return total if total < len(head) - 4 else 0


def _raw_stream(body: bytes) -> str | None:
    """``mp3`` or ``aac`` when three frames in a row lie where each one's length says, else None.

    Pictures in front (a large ID3 tag) and leading zeros are common, so the search covers the whole head; three frames
    in a row do not come about by chance.
    """
    if body[:3] == b"ID3":
        return "mp3"  # a tag longer than the head: only music files carry pictures of that size
    start = body.find(b"\xff")
    while 0 <= start < len(body) - 8:
        for name, length in (("mp3", _mp3_frame), ("aac", _adts_frame)):
            if _frames_follow(body, start, length):
                return name
        start = body.find(b"\xff", start + 1)
    return None


def _frames_follow(body: bytes, start: int, length: Length) -> bool:
    position = start
    for _ in range(3):
        step = length(body, position)
        if step == 0:
            return False
        position += step
        if position == len(body) and position - start > step:
            return True  # a very short file that ends exactly with a frame
    return True


def _mp3_frame(body: bytes, at: int) -> int:
    """Length in bytes of the MPEG audio frame (layer II or III) at ``at``, 0 when there is none."""
    if at + 4 > len(body) or body[at] != 0xFF or body[at + 1] & 0xE0 != 0xE0:
        return 0
    version, layer = body[at + 1] >> 3 & 3, body[at + 1] >> 1 & 3
    bitrate, rate = body[at + 2] >> 4, body[at + 2] >> 2 & 3
    if version == 1 or layer not in (1, 2) or bitrate in (0, 15) or rate == 3:
        return 0
    hertz = _MP3_RATES[version][rate]
    table = "2" if version != 3 else "1" if layer == 1 else "1-2"
    samples = 576 if layer == 1 and version != 3 else 1152
    return samples // 8 * _MP3_KBPS[table][bitrate] * 1000 // hertz + (body[at + 2] >> 1 & 1)


def _adts_frame(body: bytes, at: int) -> int:
    """Length in bytes of the ADTS frame at ``at``, 0 when there is none."""
    if at + 7 > len(body) or body[at] != 0xFF or body[at + 1] & 0xF6 != 0xF0 or body[at + 2] >> 2 & 15 > 12:
        return 0
    length = (body[at + 3] & 3) << 11 | body[at + 4] << 3 | body[at + 5] >> 5
    return length if length > 7 else 0


def _refusal(head: bytes) -> MediaError:
    """The specific reason why a file on no list is refused."""
    text = head[:4096].lstrip(b"\xef\xbb\xbf \t\r\n").lower()
    if text.startswith(_PLAYLISTS):
        return MediaError("MEDIA_FORMAT_REFUSED", "a playlist or description of other files", kind="playlist")
    if head[:4] == b"RIFF":
        return MediaError("MEDIA_FORMAT_REFUSED", "RIFF, but not WAVE", kind="avi")
    if head[:1] == b"\x47" and head[188:189] == b"\x47" and head[376:377] == b"\x47":
        return MediaError("MEDIA_FORMAT_REFUSED", "MPEG transport stream", kind="mpegts")
    for magic, kind in _OTHER:
        if head.startswith(magic):
            return MediaError("MEDIA_FORMAT_REFUSED", f"looks like {kind}", kind=kind)
    return MediaError("MEDIA_NOT_AUDIO", "no known signature")
