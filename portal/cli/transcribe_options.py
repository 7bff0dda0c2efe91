"""The options of ``portal transcribe`` that say how a recording is to be cut and what is wanted of it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, TypeVar

import click

if TYPE_CHECKING:
    from portal.asr.types import TranscribeOptions, VadOptions

Command = TypeVar("Command", bound=Callable[..., Any])

_OPTIONS = (
    click.option("--hotword", "hotwords", multiple=True, help="A word to listen for; may be given several times."),
    click.option("--no-itn", is_flag=True, help="Leave numbers as they were spoken."),
    click.option("--channels", type=click.Choice(["mix", "split"]), default="mix", show_default=True),
    click.option(
        "--language", default="auto", show_default=True, help="A code such as zh, where the model has a choice."
    ),
    click.option("--speakers", is_flag=True, help="Tell voices apart."),
    click.option("--speaker-count", type=click.IntRange(1, 20), help="How many voices there are; tells them apart."),
    click.option("--spans", is_flag=True, help="Only when somebody speaks, no text (txt: labels for Audacity)."),
    click.option(
        "--vad-preset",
        type=click.Choice(["general", "telephone", "lecture", "live"]),
        default="general",
        show_default=True,
        help="How speech is cut: at most 30, 20, 60 s; live: after 300 ms of silence.",
    ),
    click.option("--max-segment", type=float, metavar="SECONDS", help="Longest piece of speech, 5 to 60 s."),
    click.option("--end-silence", metavar="MS", help="Silence that ends a piece, 200 to 3000 ms, or 'dynamic'."),
    click.option("--threshold", type=float, help="How sure of speech the model must be, 0.1 to 0.9."),
    click.option("--no-word-times", is_flag=True, help="Save the work of timing single words."),
)


def recognition_options(command: Command) -> Command:
    """Attach the options; the command gets them as keywords for ``options_of``."""
    for option in reversed(_OPTIONS):
        command = option(command)
    return command


def options_of(
    *,
    hotwords: Sequence[str],
    no_itn: bool,
    channels: str,
    language: str,
    speakers: bool,
    speaker_count: int | None,
    spans: bool,
    no_word_times: bool,
    **cutting: Any,
) -> TranscribeOptions:
    """What the pipeline is asked for. Hotwords that can't be used are named and left out.

    Raises:
        click.BadParameter: a number beyond its limits.
    """
    from portal.asr.types import TranscribeOptions

    return TranscribeOptions(
        hotwords=_cleaned(hotwords),
        itn=not no_itn,
        channels="split" if channels == "split" else "mix",
        vad=_vad(**cutting),
        spans_only=spans,
        language=language,
        speakers=speakers or speaker_count is not None,
        speaker_count=speaker_count,
        word_times=not no_word_times,
    )


def _vad(*, vad_preset: str, max_segment: float | None, end_silence: str | None, threshold: float | None) -> VadOptions:
    from portal.asr.types import VadOptions
    from portal.asr.vad_presets import END_SILENCE_MS, MAX_SEGMENT_MS, PRESETS, THRESHOLD, OutOfLimits, within_limits

    preset = PRESETS[vad_preset]
    try:
        return within_limits(
            VadOptions(
                max_segment_ms=preset.max_segment_ms if max_segment is None else _milliseconds(max_segment),
                end_silence_ms=preset.end_silence_ms if end_silence is None else _silence(end_silence),
                threshold=preset.threshold if threshold is None else threshold,
            )
        )
    except OutOfLimits as error:
        name, low, high = {
            "max_segment_ms": ("--max-segment", MAX_SEGMENT_MS[0] / 1000, MAX_SEGMENT_MS[1] / 1000),
            "end_silence_ms": ("--end-silence", *END_SILENCE_MS),
            "threshold": ("--threshold", *THRESHOLD),
        }[error.field]
        raise click.BadParameter(f"must lie between {low:g} and {high:g}.", param_hint=name) from None


def _milliseconds(seconds: float) -> int:
    return round(seconds * 1000) if abs(seconds) < 1e6 else -1  # neither a number nor finite: out of limits


def _silence(text: str) -> int | None:
    if text == "dynamic":
        return None
    return int(text) if text.isascii() and text.isdigit() and len(text) < 9 else -1


def _cleaned(raw: Sequence[str]) -> tuple[str, ...]:
    from portal.asr.hotwords import clean_hotwords

    check = clean_hotwords(raw)
    for problem in check.problems:
        click.echo(f"hotword left out ({problem.code.lower()}): {problem.word}", err=True)
    return check.words
