"""Recognition with the shipped models: FunASR's words whoever shares the batch, and no work that nobody asked for."""

from __future__ import annotations

import contextlib
import functools
import io
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from portal.asr.engine.backend import BatchOptions, Recognised
from portal.asr.engine.inference.cif import Cif
from portal.asr.engine.inference.encoders import TorchPaddedEncoder, torch_stages
from portal.asr.engine.inference.features import filter_banks
from portal.asr.engine.inference.hotword_head import merged
from portal.asr.engine.inference.loading import Loaded, load
from portal.asr.engine.inference.packed import TorchPackedEncoder, covers
from portal.asr.engine.inference.punctuation import Punctuator
from portal.asr.engine.inference.recognition import Recogniser
from portal.asr.errors import ModelError
from tests.engine.counting import Launches, Waits
from tests.engine.test_real_models import auto_model

pytestmark = pytest.mark.models

LISTS: tuple[tuple[str, ...], ...] = ((), ("数据苍库",), ("王玮", "数据仓库", "API"))


@pytest.fixture(scope="module")
def loaded(models: Path) -> Loaded:
    return load(models / "seaco", "cpu")


@pytest.fixture(scope="module")
def recogniser(loaded: Loaded) -> Recogniser:
    return Recogniser(loaded, "cpu", torch_stages(loaded.model, "cpu"))


@pytest.fixture(scope="module")
def segments(utterances: list[np.ndarray]) -> list[np.ndarray]:
    """Filter banks of stretches of speech of 0.3 to 6 s."""
    source = np.random.default_rng(2)
    bank = filter_banks(np.concatenate(utterances * 2))
    begins = source.integers(0, len(bank) - 600, 32)
    return [bank[begin : begin + int(source.uniform(30, 600))] for begin in begins.tolist()]


def plain(results: Sequence[Recognised | None]) -> list[list[tuple[str, int, int]]]:
    """Words and times, without the confidences."""
    return [[(w.text, w.begin_ms, w.end_ms) for w in result.words] for result in results if result is not None]


@pytest.mark.parametrize("encoder", [TorchPaddedEncoder, TorchPackedEncoder])
def test_no_batch_changes_a_segment(loaded: Loaded, segments: list[np.ndarray], encoder: type) -> None:
    """Random batches in random order with alternating lists of hotwords: every segment as if alone."""
    stages = torch_stages(loaded.model, "cpu")
    made = encoder(loaded.model, "cpu") if encoder is TorchPaddedEncoder else encoder(loaded.model.encoder)
    recogniser = Recogniser(loaded, "cpu", type(stages)(made, stages.decoder, stages.timestamps))
    alone = {words: plain([recogniser.recognise([s], BatchOptions(words))[0] for s in segments]) for words in LISTS}
    assert any(alone[LISTS[0]])
    source = np.random.default_rng(5)
    for words in LISTS:
        order = source.permutation(len(segments)).tolist()
        while order:
            batch = [order.pop() for _ in range(min(len(order), int(source.integers(1, 13))))]
            mixed = plain(recogniser.recognise([segments[number] for number in batch], BatchOptions(words)))
            assert mixed == [alone[words][number] for number in batch]


def test_the_packed_encoder_computes_what_funasr_does(loaded: Loaded, segments: list[np.ndarray]) -> None:
    recogniser = Recogniser(loaded, "cpu")
    features = [recogniser.frontend.join(bank) for bank in [*segments[:6], segments[0][:1], segments[0][:7]]]
    with torch.inference_mode():
        packed = TorchPackedEncoder(loaded.model.encoder)(features)
        for row, item in enumerate(features):
            alone, _ = loaded.model.encode(torch.from_numpy(item)[None], torch.as_tensor([len(item)]))
            assert (packed[row, : len(item)] - alone[0]).abs().max() < 1e-4
            assert not packed[row, len(item) :].any()


def test_an_unknown_encoder_is_not_packed(models: Path) -> None:
    encoder = load(models / "seaco", "cpu").model.encoder
    assert covers(encoder)
    encoder.encoders[0].concat_after = True
    with pytest.raises(ModelError):
        TorchPackedEncoder(encoder)


def test_word_times_are_worked_out_only_when_wanted(recogniser: Recogniser, segments: list[np.ndarray]) -> None:
    with Launches() as timed:
        with_times = recogniser.recognise(segments[:4], BatchOptions())
    with Launches() as untimed:
        without = recogniser.recognise(segments[:4], BatchOptions(want_words=False))
    recurrent = {name for name in timed.found if "lstm" in name or "rnn" in name}
    assert recurrent
    assert not {name for name in untimed.found if "lstm" in name or "rnn" in name}
    assert untimed.total < timed.total - 10
    for one, other, bank in zip(with_times, without, segments, strict=False):
        assert one is not None
        assert other is not None
        assert [word.text for word in one.words] == [word.text for word in other.words]
        assert all((word.begin_ms, word.end_ms) == (0, 10 * len(bank)) for word in other.words)


def test_a_batch_waits_for_the_device_three_times(
    recogniser: Recogniser, segments: list[np.ndarray], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Tokens, text, times; FunASR's parts ask for lengths, too, but those are on the host."""
    recogniser.recognise(segments[:1], BatchOptions(("数据仓库",)))
    monkeypatch.setattr(recogniser, "_cif", Cif(recogniser._model.predictor))
    for want, copies in ((True, 3), (False, 2)):
        with Waits() as waits:
            recogniser.recognise(segments[:9], BatchOptions(("数据仓库",), want_words=want))
        assert waits.found["cpu"] == copies
        # the sum of each segment's weights, a number on the host
        assert set(waits.found) <= {"cpu", "cpu of integers", "float"}
        assert waits.found["float"] == 9


@pytest.mark.parametrize("size", [1, 16])
def test_tokens_of_a_batch_take_few_launches_and_one_copy(loaded: Loaded, size: int) -> None:
    cif = Cif(loaded.model.predictor)
    source = np.random.default_rng(8)
    lengths = source.integers(20, 400, size).tolist()
    hidden = torch.zeros(size, max(lengths), 160)
    for row, length in enumerate(lengths):
        hidden[row, :length] = torch.from_numpy(source.normal(0, 1, (length, 160)).astype(np.float32))
    with torch.inference_mode(), Launches() as launches, Waits() as waits:
        fired = cif.fire(hidden, lengths)
        tokens = [weights for weights in fired if weights is not None]
        assert cif.embed(hidden, tokens).shape[0] == size
    # a sum for each and its value, of numbers that are on the host already
    on_host = 2 * size
    assert launches.total - on_host <= 30
    assert waits.found["cpu"] == 1
    assert set(waits.found) <= {"cpu", "float"}


@pytest.mark.parametrize("together", [True, False])
def test_tokens_and_embeddings_equal_funasr(loaded: Loaded, segments: list[np.ndarray], together: bool) -> None:
    model, recogniser = loaded.model, Recogniser(loaded, "cpu")
    features = [recogniser.frontend.join(bank) for bank in segments[:12]]
    with torch.inference_mode():
        hidden = torch_stages(model, "cpu").encoder(features)
        fired = Cif(model.predictor, together=together).fire(hidden, [len(item) for item in features])
        for row, (item, weights) in enumerate(zip(features, fired, strict=True)):
            own = hidden[row : row + 1, : len(item)]
            expected, count, _, _ = model.calc_predictor(own, torch.as_tensor([len(item)]))
            assert weights is not None
            assert len(weights) == int(count.round())
            if len(weights):
                found = Cif(model.predictor, together=together).embed(own, [weights])
                assert (found - expected[:, : len(weights)]).abs().max() < 1e-5


@pytest.mark.parametrize("weight", [0.15, 0.5, 0.85, 1.0])
def test_the_weight_of_hotwords_is_that_of_funasr(
    models: Path, recogniser: Recogniser, utterances: list[np.ndarray], weight: float
) -> None:
    reference = auto_model(models / "seaco")
    decode = type(reference.model)._seaco_decode_with_ASF
    reference.model._seaco_decode_with_ASF = functools.partial(decode, reference.model, seaco_weight=weight)
    hotwords = ("王玮", "数据苍库", "客护")
    for sound in utterances:
        [result] = recogniser.recognise([filter_banks(sound)], BatchOptions(hotwords, hotword_weight=weight))
        with contextlib.redirect_stdout(io.StringIO()):
            [expected] = reference.generate(input=sound.astype(np.float32) / 32768.0, hotword=" ".join(hotwords))
        assert result is not None
        assert [word.text for word in result.words] == expected["text"].split()


def test_hotwords_without_weight_change_nothing(recogniser: Recogniser, utterances: list[np.ndarray]) -> None:
    changed = 0
    for sound in utterances:
        bank = [filter_banks(sound)]
        none = plain(recogniser.recognise(bank, BatchOptions()))
        hotwords = ("王玮", "数据苍库", "客护")
        assert plain(recogniser.recognise(bank, BatchOptions(hotwords, hotword_weight=0.0))) == none
        changed += plain(recogniser.recognise(bank, BatchOptions(hotwords))) != none
    assert changed


def test_scores_are_mixed_as_funasr_mixes_them() -> None:
    scores, biased = torch.log_softmax(torch.randn(2, 3, 5), -1), torch.log_softmax(torch.randn(2, 3, 5), -1)
    unbiased = torch.tensor([[1, 0, 1], [0, 0, 1]], dtype=torch.bool)[:, :, None]
    half = merged(scores, biased, unbiased, 0.25)
    expected = torch.where(unbiased, scores, scores * 0.75 + biased * 0.25)
    assert torch.allclose(half, expected, atol=1e-6)
    assert torch.equal(merged(scores, biased, unbiased, 1.0), torch.where(unbiased, scores, biased))


def test_what_is_no_number_stays_with_its_segment(recogniser: Recogniser, segments: list[np.ndarray]) -> None:
    alone = plain([recogniser.recognise([bank], BatchOptions())[0] for bank in segments[:3]])
    for value in (np.nan, np.inf, -np.inf):
        broken = segments[3].copy()
        broken[len(broken) // 2, 5] = value
        results = recogniser.recognise([segments[0], broken, *segments[1:3]], BatchOptions())
        assert results[1] is None
        assert plain([results[0], *results[2:]]) == alone


@pytest.mark.parametrize("frames", [0, 1, 2, 5, 6, 7, 40, 6_000])
def test_any_length_is_recognised(recogniser: Recogniser, utterances: list[np.ndarray], frames: int) -> None:
    """Nothing at all, one frame, a minute without a pause; alone and beside a common segment."""
    bank = filter_banks(np.concatenate([sound[8_000:-8_200] for sound in utterances] * 12))[:frames]
    mate = filter_banks(utterances[0])
    [alone] = recogniser.recognise([bank], BatchOptions())
    [expected] = plain(recogniser.recognise([mate], BatchOptions()))
    mixed = recogniser.recognise([mate, bank], BatchOptions())
    assert plain(mixed) == [expected, *plain([alone])]
    assert alone is not None
    if frames == 6_000:
        assert len(alone.words) > 100
        assert alone.words[-1].end_ms <= 60_000
    if not frames:
        assert alone.words == ()


def test_nothing_to_recognise(recogniser: Recogniser) -> None:
    assert recogniser.recognise([], BatchOptions()) == []


def test_a_step_of_punctuation_copies_once(models: Path) -> None:
    """However many texts take their step together."""
    punctuator = Punctuator(load(models / "punc", "cpu"), "cpu")
    jobs = [
        punctuator.begin(list("今天下午我们讨论数据仓库项目的进展请王伟把报告发给客户" * times)) for times in (1, 3, 7)
    ]
    steps = 0
    while waiting := [job for job in jobs if not job.done]:
        with Waits() as waits:
            punctuator.step(waiting)
        assert waits.found == {"cpu of integers": 1}
        steps += 1
    assert steps >= 7
    assert all(job.marks[-1] in ("。", "？") for job in jobs)


def test_marks_do_not_depend_on_the_other_texts(models: Path) -> None:
    punctuator = Punctuator(load(models / "punc", "cpu"), "cpu")
    texts = [
        list("今天下午我们讨论数据仓库项目的进展请王伟把报告发给客户"[start:] * times)
        for start, times in ((0, 3), (9, 1), (4, 6))
    ]

    def marks(together: list[list[str]]) -> list[list[str]]:
        jobs: list[Any] = [punctuator.begin(words) for words in together]
        while waiting := [job for job in jobs if not job.done]:
            punctuator.step(waiting)
        return [job.marks for job in jobs]

    assert marks(texts) == [marks([words])[0] for words in texts]
