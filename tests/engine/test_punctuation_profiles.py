"""Punctuation in every profile: the marks of torch in fp32, or torch itself."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from portal.asr.types import ModelInfo

pytestmark = pytest.mark.models
ROOM = "portal.asr.engine.inference"
WORDS = list("今天下午我们讨论数据仓库项目的进展请王伟把报告发给客户")


@pytest.fixture(scope="module")
def graphs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A cache that the tests of this module share; tests that write wrong graphs use their own."""
    return tmp_path_factory.mktemp("graphs")


@pytest.fixture(scope="module", autouse=True)
def one_thread() -> Iterator[None]:
    import torch

    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def opened(models: Path, cache: Path, profile: str, *, device: str = "cpu", checked: bool = True) -> Any:
    from portal.asr.engine.inference.profiles import ProfileWish
    from portal.asr.engine.inference.punctuation_profiles import open_punctuator

    wish = ProfileWish("fast", cache, checked)
    return open_punctuator(models / "punc", device, profile, wish)  # type: ignore[arg-type]


def marks(punctuator: Any, texts: list[list[str]]) -> list[list[str]]:
    """Of all texts, read in step."""
    jobs = [punctuator.begin(words) for words in texts]
    while waiting := [job for job in jobs if not job.done]:
        punctuator.step(waiting)
    return [job.marks for job in jobs]


def away(punctuator: Any, models: Path) -> float:
    """How far its log-probabilities are from those of torch: 0 is torch itself, up to 1e-4 other fp32."""
    from portal.asr.engine.inference.loading import load
    from portal.asr.engine.inference.punctuation import Punctuator
    from portal.asr.engine.inference.punctuation_profiles import marked

    exact = Punctuator(load(models / "punc", "cpu"), "cpu")
    return float((marked(exact).probabilities - marked(punctuator).probabilities).abs().max())


@pytest.mark.parametrize(
    ("profile", "least", "most"), [("exact", 0.0, 0.0), ("cpu-exact", 0.0, 1e-4), ("fast", 1e-4, 1)]
)
def test_every_profile_sets_the_marks_of_torch(
    models: Path, graphs: Path, profile: str, least: float, most: float
) -> None:
    punctuator = opened(models, graphs, profile)
    texts = [WORDS * 3, WORDS[9:], WORDS[4:] * 6]
    assert marks(punctuator, texts) == marks(opened(models, graphs, "exact"), texts)
    assert least <= away(punctuator, models) <= most
    # what a graph computes is not held twice
    held = {weight.device.type for weight in punctuator._model.encoder.parameters()}
    assert held == ({"cpu"} if profile == "exact" else {"meta"})


@pytest.mark.parametrize("profile", ["cpu-exact", "fast"])
def test_texts_in_step_change_nothing_for_each_other(models: Path, graphs: Path, profile: str) -> None:
    import torch

    punctuator = opened(models, graphs, profile)
    texts = [WORDS * 3, WORDS[9:], WORDS[4:] * 6, WORDS[:1]]
    assert marks(punctuator, texts) == [marks(punctuator, [words])[0] for words in texts]
    pieces = [punctuator.begin(words).window() for words in texts]
    together = punctuator.scores(pieces)
    for row, piece in zip(together, pieces, strict=True):
        # less than a shared scale of integers would change
        assert torch.allclose(row[: len(piece)], punctuator.scores([piece])[0], rtol=0, atol=2e-5)


def wrong_where(monkeypatch: pytest.MonkeyPatch, chosen: Callable[[Any], bool], amount: float) -> None:
    """Graphs of the chosen arithmetic get other weights than the model has."""
    import copy

    import torch

    from portal.asr.engine.inference.onnx_models import write_encoder

    def writer(part: Any, folder: Path, arithmetic: Any) -> None:
        other = copy.deepcopy(part)
        generator = torch.Generator().manual_seed(1)
        for weight in other.parameters() if chosen(arithmetic) else ():
            weight.data += amount * weight.data.std() * torch.randn(weight.shape, generator=generator)
        write_encoder(other, folder, arithmetic)

    monkeypatch.setattr(f"{ROOM}.onnx_stages.write_encoder", writer)


def test_integers_that_set_other_marks_give_way_to_fp32(
    models: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    wrong_where(monkeypatch, lambda arithmetic: arithmetic.integer, 1.0)
    assert 0 < away(opened(models, tmp_path, "fast"), models) <= 1e-4
    # what is measured may be taken unproven
    assert away(opened(models, tmp_path, "fast", checked=False), models) > 1e-2


@pytest.mark.parametrize("amount", [1.0, 0.01])
def test_wrong_weights_leave_torch_even_where_the_marks_are_the_same(
    models: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, amount: float
) -> None:
    wrong_where(monkeypatch, lambda _arithmetic: True, amount)
    found = opened(models, tmp_path, "cpu-exact")
    assert away(found, models) == 0
    assert marks(found, [WORDS])[0][-1] in ("。", "？")


def test_what_cannot_be_proven_is_refused() -> None:
    import torch

    from portal.asr.engine.inference.punctuation_profiles import Marked, _passes

    one = torch.tensor([[-0.1, -2.0]])
    exact = Marked((("", "，", "", "。"),), one)
    assert _passes("cpu-exact", exact, exact)
    assert not _passes("cpu-exact", exact, Marked(exact.marks, one + 0.002))
    assert _passes("fast", exact, Marked(exact.marks, one + 0.002))
    for name in ("cpu-exact", "fast"):
        assert not _passes(name, exact, Marked(exact.marks, one * float("nan")))
        assert not _passes(name, exact, Marked((("", "", "", "。"),), one))
        silent = Marked((("", "", "", "。"),), one)
        assert not _passes(name, silent, silent)


def test_full_disks_and_other_devices_leave_torch(
    models: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    blocked = tmp_path / "file"
    blocked.write_text("no folder", encoding="utf-8")
    assert away(opened(models, blocked / "graphs", "fast"), models) == 0
    from portal.asr.engine.inference.loading import load

    monkeypatch.setattr(f"{ROOM}.punctuation_profiles.load", lambda directory, _device: load(directory, "cpu"))
    opened(models, tmp_path / "graphs", "fast", device="cuda")
    assert not (tmp_path / "graphs").exists()


def test_the_engine_takes_it_in_the_profile_of_recognition(models: Path, graphs: Path) -> None:
    from portal.asr.engine.inference.models import FunasrModels
    from portal.asr.engine.inference.profiles import ProfileWish

    model = ModelInfo("shipped", "SeacoParaformer", "0" * 64, "")
    folders = (models / "seaco", models / "vad", models / "punc")
    for wanted, least, most in (("exact", 1e-9, 1e-4), ("fast", 1e-4, 1.0)):
        wish = ProfileWish(wanted, graphs)  # type: ignore[arg-type]
        backend = FunasrModels(*folders, device="cpu", threads=1, model=model, wish=wish)
        assert least <= away(backend._punctuator, models) <= most
