"""Profiles: exact means equal, fast means near, and what is neither is refused."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from portal.asr.engine.backend import BatchOptions
from portal.asr.types import ModelInfo, Word
from portal.settings import Settings

pytestmark = pytest.mark.models
DIGEST = "0" * 64
ROOM = "portal.asr.engine.inference"


@pytest.fixture(scope="module")
def graphs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A cache that the tests of this module share; tests that damage one use their own."""
    return tmp_path_factory.mktemp("graphs")


@pytest.fixture(scope="module", autouse=True)
def one_thread() -> Iterator[None]:
    import torch

    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="module")
def pieces(models: Path) -> list[np.ndarray]:
    from portal.asr.engine.inference.self_check import sample_pieces

    return list(sample_pieces(models / "seaco"))


@pytest.fixture(scope="module")
def torch_words(models: Path, pieces: list[np.ndarray]) -> list[tuple[Word, ...]]:
    """What torch in fp32 recognises, each piece alone."""
    from portal.asr.engine.inference.loading import load
    from portal.asr.engine.inference.recognition import Recogniser

    recogniser = Recogniser(load(models / "seaco", "cpu"), "cpu")
    return [words_of(recogniser.recognise([piece], BatchOptions())[0]) for piece in pieces]


def words_of(result: Any) -> tuple[Word, ...]:
    assert result is not None
    return tuple(result.words)


def opened(models: Path, cache: Path | None, wanted: str, *, device: str = "cpu", checked: bool = True) -> Any:
    """What ``open_profiled`` makes of the shipped model."""
    from portal.asr.engine.inference.building import FamilyLimits
    from portal.asr.engine.inference.profiles import ProfileWish, open_profiled

    wish = ProfileWish(wanted, cache, checked)  # type: ignore[arg-type]
    return open_profiled(models / "seaco", "SeacoParaformer", device, FamilyLimits(), digest=DIGEST, wish=wish)


def facts(words: tuple[Word, ...]) -> list[tuple[str, int, int]]:
    return [(word.text, word.begin_ms, word.end_ms) for word in words]


@pytest.mark.parametrize("wanted", ["exact", "cpu-exact"])
def test_exact_on_a_cpu_writes_what_torch_writes(
    models: Path, graphs: Path, pieces: list[np.ndarray], torch_words: list[tuple[Word, ...]], wanted: str
) -> None:
    found = opened(models, graphs, wanted)
    assert (found.profile, found.note) == ("cpu-exact", None)
    for result, expected in zip(found.family.recognise(pieces, BatchOptions()), torch_words, strict=True):
        assert facts(words_of(result)) == facts(expected)
        for one, two in zip(result.words, expected, strict=True):
            assert one.confidence == pytest.approx(two.confidence, abs=1e-3)


def test_fast_on_a_cpu_stays_within_its_tolerance(
    models: Path, graphs: Path, pieces: list[np.ndarray], torch_words: list[tuple[Word, ...]]
) -> None:
    from portal.asr.engine.inference.self_check import FAST, Answer, compare

    found = opened(models, graphs, "fast")
    assert (found.profile, found.note) == ("fast", None)
    nothing = np.zeros(0, dtype=np.float32)
    near = tuple(word for result in found.family.recognise(pieces, BatchOptions()) for word in words_of(result))
    whole = tuple(word for words in torch_words for word in words)
    assert compare(Answer(whole, nothing, True), Answer(near, nothing, True)).within(FAST)
    # integers did the work: fp32 gives the very same confidences
    assert [word.confidence for word in near] != [word.confidence for word in whole]


@pytest.mark.parametrize("wanted", ["exact", "fast"])
def test_mates_change_nothing_and_a_broken_one_harms_none(
    models: Path, graphs: Path, pieces: list[np.ndarray], wanted: str
) -> None:
    family = opened(models, graphs, wanted).family
    alone = [family.recognise([piece], BatchOptions())[0] for piece in pieces]
    broken = pieces[0].copy()
    broken[7] = np.nan
    loud = np.full_like(pieces[1], 40.0)
    together = family.recognise([loud, pieces[2], broken, pieces[0], pieces[1][:1], pieces[1]], BatchOptions())
    assert together[2] is None
    assert [together[3], together[5], together[1]] == alone


def test_backend_names_the_profile_in_use(models: Path, graphs: Path) -> None:
    from portal.asr.engine.inference.models import FunasrModels
    from portal.asr.engine.inference.profiles import ProfileWish

    model = ModelInfo("shipped", "SeacoParaformer", DIGEST, "")
    backend = FunasrModels(
        models / "seaco", models / "vad", None, device="cpu", threads=1, model=model, wish=ProfileWish("exact", graphs)
    )
    assert (backend.profile, backend.profile_note, backend.model.profile) == ("cpu-exact", None, "cpu-exact")


def test_hotwords_work_in_every_profile(models: Path, graphs: Path, pieces: list[np.ndarray]) -> None:
    results = [
        opened(models, graphs, wanted).family.recognise(pieces[:1], BatchOptions(hotwords=("致远", "上海")))[0]
        for wanted in ("exact", "fast")
    ]
    assert all(words_of(result) for result in results)


# refusing ------------------------------------------------------------------------------------------------------------
def perturbed(write: Callable[..., None], amount: float) -> Callable[..., None]:
    """A writer whose graph has other weights than the model."""

    def writer(part: Any, folder: Path, arithmetic: Any) -> None:
        import copy

        import torch

        other = copy.deepcopy(part)
        generator = torch.Generator().manual_seed(1)
        for weight in other.parameters():
            weight.data += amount * weight.data.std() * torch.randn(weight.shape, generator=generator)
        write(other, folder, arithmetic)

    return writer


def test_wrong_weights_are_refused(
    models: Path,
    tmp_path: Path,
    pieces: list[np.ndarray],
    torch_words: list[tuple[Word, ...]],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    from portal.asr.engine.inference.onnx_models import write_encoder

    monkeypatch.setattr(f"{ROOM}.onnx_stages.write_encoder", perturbed(write_encoder, 0.02))
    found = opened(models, tmp_path, "exact")
    assert (found.profile, found.note) == ("exact", "PROFILE_REFUSED")
    results = found.family.recognise(pieces, BatchOptions())
    assert [facts(words_of(result)) for result in results] == [facts(words) for words in torch_words]


def test_fast_that_writes_something_else_is_refused_for_the_next_exact_one(
    models: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from portal.asr.engine.inference.onnx_models import write_decoder

    wrong = perturbed(write_decoder, 0.5)

    def writer(part: Any, folder: Path, arithmetic: Any) -> None:
        (wrong if arithmetic.integer else write_decoder)(part, folder, arithmetic)

    monkeypatch.setattr(f"{ROOM}.onnx_stages.write_decoder", writer)
    found = opened(models, tmp_path, "fast")
    assert (found.profile, found.note) == ("cpu-exact", "PROFILE_REFUSED")
    # what is measured may be taken unproven
    assert opened(models, tmp_path, "fast", checked=False).profile == "fast"


def test_integers_that_move_times_leave_only_the_times_to_fp32(
    models: Path, tmp_path: Path, pieces: list[np.ndarray], monkeypatch: pytest.MonkeyPatch
) -> None:
    from portal.asr.engine.inference.onnx_models import write_timestamps

    wrong = perturbed(write_timestamps, 5.0)
    written: list[bool] = []

    def writer(part: Any, folder: Path, arithmetic: Any) -> None:
        written.append(arithmetic.integer)
        (wrong if arithmetic.integer else write_timestamps)(part, folder, arithmetic)

    monkeypatch.setattr(f"{ROOM}.onnx_stages.write_timestamps", writer)
    found = opened(models, tmp_path, "fast")
    assert (found.profile, found.note, written) == ("fast", None, [True, False])


def test_the_lstm_of_times_in_integers_is_near_that_of_torch(models: Path, graphs: Path) -> None:
    import torch

    from portal.asr.engine.inference.encoders import TorchTimestampHead
    from portal.asr.engine.inference.loading import load
    from portal.asr.engine.inference.onnx_cache import GraphCache
    from portal.asr.engine.inference.onnx_graph import Arithmetic
    from portal.asr.engine.inference.onnx_stages import onnx_stages

    model = load(models / "seaco", "cpu").model
    size = model.predictor.upsample_cnn.in_channels
    hidden = torch.randn(2, 40, size, generator=torch.Generator().manual_seed(3))
    lengths = torch.tensor([40, 25])
    expected = TorchTimestampHead(model)(hidden, lengths)
    for bits, least, most in ((32, 0.0, 1e-5), (7, 1e-5, 0.01)):
        timing = Arithmetic(bits)
        head = onnx_stages(model, DIGEST, GraphCache(graphs), Arithmetic(), 1, timing=timing).timestamps
        assert head is not None
        found = head(hidden, lengths)
        far = float((found[0] - expected[0]).norm() / expected[0].norm())
        assert least <= far <= most
        # mates do not matter
        assert torch.equal(head(hidden[1:, :25], lengths[1:])[0], found[1, : 25 * model.predictor.upsample_times])


def test_what_cannot_be_proven_is_refused() -> None:
    from portal.asr.engine.inference.self_check import EXACT, FAST, Answer, compare

    one = np.array([-0.1, -0.2], dtype=np.float32)
    words = tuple(
        Word(text, 100 * n, 100 * n + 80, 1.0) for n, text in enumerate("今天我们在上海开会讨论致远项目的进展")
    )
    exact = Answer(words, one, True)
    assert compare(exact, exact).within(EXACT)
    assert not compare(exact, Answer(words, one + np.float32(0.002), True)).within(EXACT)
    assert compare(exact, Answer(words, one + np.float32(0.002), True)).within(FAST)
    assert not compare(exact, Answer(words, one[:1], True)).within(EXACT)
    later = (Word(words[0].text, 20, 80, 1.0), *words[1:])
    assert not compare(exact, Answer(later, one, True)).within(EXACT)
    assert compare(exact, Answer(later, one, True)).within(FAST)
    assert not compare(exact, Answer((Word(words[0].text, 70, 80, 1.0), *words[1:]), one, True)).within(FAST)
    assert not compare(exact, Answer(words[1:], one, True)).within(FAST)
    assert compare(exact, Answer(words[1:], one, True)).characters == pytest.approx(1 / len(words))
    assert not compare(exact, Answer(words, one, False)).within(FAST)
    silent = Answer((), np.zeros(0, dtype=np.float32), True)
    assert not compare(silent, silent).within(FAST)


# where it can't be had -----------------------------------------------------------------------------------------------
def test_unknown_layers_and_full_disks_leave_torch(
    models: Path, tmp_path: Path, pieces: list[np.ndarray], monkeypatch: pytest.MonkeyPatch
) -> None:
    import torch

    from portal.asr.engine.inference.loading import load

    blocked = tmp_path / "file"
    blocked.write_text("no folder", encoding="utf-8")
    found = opened(models, blocked / "graphs", "fast")
    assert (found.profile, found.note) == ("exact", "PROFILE_UNAVAILABLE")

    def unusual(directory: Path, device: str) -> Any:
        loaded = load(directory, device)
        loaded.model.encoder.encoders[0].feed_forward.activation = torch.nn.GELU()
        return loaded

    monkeypatch.setattr(f"{ROOM}.profiles.load", unusual)
    found = opened(models, tmp_path / "graphs", "exact")
    assert (found.profile, found.note) == ("exact", "PROFILE_UNAVAILABLE")
    assert found.family.recognise(pieces[:1], BatchOptions())[0] is not None
    assert list((tmp_path / "graphs").glob(".making-*")) == []


def test_without_a_folder_graphs_leave_nothing_behind(
    models: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    found = opened(models, None, "exact", checked=False)
    assert found.profile == "cpu-exact"
    assert list(tmp_path.iterdir()) == []


def test_the_setting_reaches_the_engine(tmp_path: Path) -> None:
    from portal.supervisor.plans import engine_plan

    argv = engine_plan(Settings(instance=tmp_path, engine_profile="fast")).argv
    assert argv[argv.index("--profile") + 1] == "fast"
    assert argv[argv.index("--graphs") + 1] == str(tmp_path / "graphs")
