"""What the shipped models reach on sentences and voices they never met, through FunASR's own AutoModel."""

import random
import re
import wave
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from portal.asr.models.recipe import evaluate, held_out, text
from portal.asr.models.recipe import evaluate_recordings as recordings
from portal.asr.models.recipe.evaluate import Item, Samples

pytestmark = [pytest.mark.models, pytest.mark.timeout(600)]

LISTS = Path(__file__).with_name("held_out")
MODELS = Path(__file__).parents[3] / "portal" / "asr" / "models"
PARAGRAPHS = 90  # about 320 sentences, forty minutes of pauses and speech
# Lists on which the claim "unrelated" is true: no name in the sentences sounds like these.
UNRELATED = held_out.HOTWORDS_NEW_SOUND


@cache
def items(name: str) -> tuple[Item, ...]:
    return tuple(evaluate.read_list(LISTS / f"{name}.tsv"))


@cache
def speech(name: str) -> tuple[Samples, ...]:
    return tuple(item.speech().samples for item in items(name))


@pytest.fixture(scope="module")
def recogniser() -> Any:
    return evaluate.load(MODELS)


@pytest.fixture(scope="module")
def detector() -> Any:
    return evaluate.load(MODELS, ("vad",))


@pytest.fixture(scope="module")
def punctuation() -> Any:
    return evaluate.load(MODELS, ("punc",))


@pytest.fixture(scope="module")
def pipeline() -> Any:
    return evaluate.load(MODELS, ("seaco", "vad", "punc"))


def texts(model: Any, name: str, hotwords: Callable[[Item], str] = lambda _: "") -> list[str]:
    heard = zip(speech(name), items(name), strict=True)
    return [str(evaluate.recognise(model, samples, hotwords(item))["text"]) for samples, item in heard]


@pytest.fixture(scope="module")
def plain(recogniser: Any) -> Callable[[str], list[str]]:
    """The texts of a list without hotwords, recognised once."""
    return cache(lambda name: texts(recogniser, name))


def error_rate(name: str, found: list[str]) -> float:
    return evaluate.error_rate([(i.text, t) for i, t in zip(items(name), found, strict=True)])


def share_with_hotword(name: str, found: list[str]) -> float:
    written = [i.hotword in t.replace(" ", "") for i, t in zip(items(name), found, strict=True)]
    return sum(written) / len(written)


def among_ten(item: Item) -> str:
    rng = random.Random(item.text)
    others = rng.sample([w for w in held_out.HOTWORDS if w != item.hotword], 9)
    return " ".join(rng.sample([item.hotword, *others], 10))


def test_template_sentences(plain: Callable[[str], list[str]]) -> None:
    assert error_rate("template", plain("template")) <= 0.02


def test_new_wordings(plain: Callable[[str], list[str]]) -> None:
    assert error_rate("new_wordings", plain("new_wordings")) <= 0.05


def test_product_hotwords_are_written_as_the_list_asks(recogniser: Any) -> None:
    for item in items("hotwords")[:40]:  # else there would be no effect to show
        assert item.hotword not in str(evaluate.recognise(recogniser, item.speech().samples)["text"]).replace(" ", "")
    alone = share_with_hotword("hotwords", texts(recogniser, "hotwords", lambda item: item.hotword))
    ten = share_with_hotword("hotwords", texts(recogniser, "hotwords", among_ten))
    assert (alone >= 0.95, ten >= 0.90) == (True, True), (alone, ten)


def test_hotwords_of_unheard_sound_help_though_less(recogniser: Any) -> None:
    """A weaker promise, kept here so that it can't get worse unnoticed."""
    alone = share_with_hotword("hotwords_new_sound", texts(recogniser, "hotwords_new_sound", lambda i: i.hotword))
    assert alone >= 0.5


def test_unrelated_hotwords_do_little_harm(recogniser: Any, plain: Callable[[str], list[str]]) -> None:
    rng = random.Random(9)
    without = error_rate("template", plain("template"))
    disturbed = texts(recogniser, "template", lambda _: " ".join(rng.sample(UNRELATED, 9)))
    assert error_rate("template", disturbed) - without <= 0.01


def test_letters_in_chinese_sentences(plain: Callable[[str], list[str]], punctuation: Any) -> None:
    """Letters come joined, in capitals, and without spaces beside hanzi."""
    right = spaced = 0
    heard = plain("mixed_english")
    for item, found in zip(items("mixed_english"), heard, strict=True):
        wanted = re.findall("[A-Z]+", item.text)
        written = str(punctuation.generate(input=found)[0]["text"])
        right += re.findall("[A-Z]+", found) == wanted
        spaced += " " not in written.strip()
    assert error_rate("mixed_english", heard) <= 0.05
    assert right >= 0.80 * len(heard)
    assert spaced == len(heard)


def test_word_times(recogniser: Any) -> None:
    errors: list[float] = []
    for item, samples in list(zip(items("template"), speech("template"), strict=True))[:100]:
        onsets = item.speech().onsets
        result = evaluate.recognise(recogniser, samples)
        letters = any(c.isascii() for c in text.tokens(item.text))  # FunASR joins their times
        if onsets is None or letters or text.tokens(str(result["text"])) != text.tokens(item.text):
            continue
        errors += [abs(found[0] - onset * 1000) for found, onset in zip(result["timestamp"], onsets, strict=True)]
    assert len(errors) > 500
    assert float(np.median(errors)) <= 25
    assert float(np.percentile(errors, 90)) <= 60


def without_marks(paragraph: str) -> str:
    """As the recogniser would hand it over: no marks, letters in capitals."""
    return "".join(c for c in paragraph if c not in recordings.MARKS).upper()


def test_punctuation_of_true_text(punctuation: Any) -> None:
    pairs = [(i.text, str(punctuation.generate(input=without_marks(i.text))[0]["text"])) for i in items("punctuation")]
    for mark, figures in recordings.mark_figures(pairs).items():
        assert min(figures) >= 0.95, (mark, figures)


def test_whole_recordings(pipeline: Any, detector: Any) -> None:
    """Speech detection, recognition and punctuation together, over recordings with pauses of 0.5 to 4 s."""
    paragraphs = items("punctuation")[:PARAGRAPHS]
    missed: list[float] = []
    cuts = [0, 0]
    pairs = []
    for first in range(0, len(paragraphs), 3):
        made = recordings.record(paragraphs[first : first + 3], first, (0.5, 0.8, 1.2, 2.0, 2.6, 3.0, 4.0))
        found = recordings.segments_of(detector, made.samples)
        missed.append(recordings.missed_speech(made.spoken, found))
        cut, total = recordings.cut_pauses(made.spoken, found)
        cuts = [cuts[0] + cut, cuts[1] + total]
        pairs.append((made.text, str(evaluate.recognise(pipeline, made.samples)["text"])))
    assert max(missed) == 0
    assert cuts[0] >= 0.95 * cuts[1] > 50
    assert evaluate.error_rate(pairs) <= 0.04
    for mark, figures in recordings.mark_figures(pairs).items():
        assert min(figures) >= 0.90, (mark, figures)


NOISE = np.random.default_rng(4)
QUIET: dict[str, NDArray[Any]] = {
    "digital silence": np.zeros(64_000),
    "faint noise": NOISE.standard_normal(160_000) * 1e-3,
    "noise": NOISE.standard_normal(160_000) * 0.02,
    "loud noise": NOISE.standard_normal(80_000) * 0.2,
    "hum": np.sin(np.arange(80_000) * 2 * np.pi * 50 / 16_000) * 0.1,
    "50 ms": np.zeros(800),
}


def quiet(kind: str) -> Samples:
    return np.asarray(QUIET[kind], np.float32)


@pytest.mark.parametrize("kind", QUIET)
def test_silence_and_noise_give_no_text(pipeline: Any, recogniser: Any, kind: str) -> None:
    samples = quiet(kind)
    assert evaluate.recognise(pipeline, samples)["text"] == ""
    assert evaluate.recognise(recogniser, samples)["text"] == ""


def test_the_sample_is_understood(pipeline: Any) -> None:
    with wave.open(str(MODELS / "sample.wav")) as sound:
        raw = np.frombuffer(sound.readframes(sound.getnframes()), "<i2")
    samples: Samples = (raw / 32768).astype(np.float32)
    true = (MODELS / "sample.txt").read_text("utf-8").strip()
    plain = str(evaluate.recognise(pipeline, samples)["text"])
    assert evaluate.error_rate([(true, plain)]) <= 0.01
    assert "志远" in str(evaluate.recognise(pipeline, samples, "志远")["text"])
