"""Hotwords as token numbers, from the model's own ``seg_dict``."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from portal.asr.vocabulary import pieces


def encode_hotwords(
    hotwords: Sequence[str], seg_dict: Mapping[str, tuple[str, ...]], tokens: Sequence[str]
) -> list[list[int]]:
    """One list of token numbers per hotword; characters the model has no token for become ``<unk>``."""
    numbers = {token: number for number, token in enumerate(tokens)}
    unknown = numbers["<unk>"]
    return [[numbers.get(piece, unknown) for piece in pieces(word.lower(), seg_dict)] for word in hotwords]
