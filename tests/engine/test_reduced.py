"""``fast`` on NVIDIA cards, as far as a CPU can show it: what is rounded, what is not, and how little it changes."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytestmark = pytest.mark.models


@pytest.fixture
def loaded(models: Path) -> Any:
    from portal.asr.engine.inference.loading import load

    return load(models / "seaco", "cpu")


@pytest.fixture
def one_thread() -> Iterator[None]:
    import torch

    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def answers(loaded: Any, models: Path) -> Any:
    from portal.asr.engine.inference.recognition import Recogniser
    from portal.asr.engine.inference.self_check import answer, sample_pieces

    return answer(loaded.model, Recogniser(loaded, "cpu"), sample_pieces(models / "seaco"))


def test_fp16_factors_stay_within_the_tolerance_and_can_be_undone(loaded: Any, models: Path, one_thread: None) -> None:
    from portal.asr.engine.inference.encoders import torch_stages
    from portal.asr.engine.inference.reduced import reduced_stages
    from portal.asr.engine.inference.self_check import EXACT, FAST, compare

    exact = answers(loaded, models)
    reduced = reduced_stages(torch_stages(loaded.model, "cpu"), loaded.model, (7, 5))
    assert reduced is not None
    half = answers(loaded, models)
    assert compare(exact, half).within(FAST)
    assert not np.array_equal(half.probabilities, exact.probabilities)
    reduced[1]()
    assert np.array_equal(answers(loaded, models).probabilities, exact.probabilities)
    assert compare(exact, exact).within(EXACT)


def test_only_products_of_encoder_and_decoder_are_fp16(loaded: Any) -> None:
    import torch

    from portal.asr.engine.inference.encoders import torch_stages
    from portal.asr.engine.inference.reduced import HalfLinear, reduced_stages

    seen: dict[str, set[torch.dtype]] = {}

    def note(name: str) -> Any:
        def hook(_module: Any, given: Any, result: Any) -> None:
            for value in (given[0], result):
                if isinstance(value, torch.Tensor):
                    seen.setdefault(name, set()).add(value.dtype)

        return hook

    reduced_stages(torch_stages(loaded.model, "cpu"), loaded.model, (7, 0))
    for module in loaded.model.encoder.modules():
        if isinstance(module, (torch.nn.LayerNorm, torch.nn.Conv1d, HalfLinear)):
            module.register_forward_hook(note(type(module).__name__))
    loaded.model.encoder.embed.register_forward_hook(note("positions"))
    with torch.inference_mode():
        loaded.model.encode(torch.randn(1, 9, 560), torch.tensor([9]))
    assert seen == {name: {torch.float32} for name in ("LayerNorm", "Conv1d", "HalfLinear", "positions")}
    halved = {name for name, module in loaded.model.named_modules() if isinstance(module, HalfLinear)}
    assert {name.split(".")[0] for name in halved} == {"encoder", "decoder"}
    for part in ("predictor", "seaco_decoder", "bias_encoder"):
        assert all(weight.dtype == torch.float32 for weight in getattr(loaded.model, part).parameters())


def test_tf32_rounding_of_factors_stays_within_the_tolerance(loaded: Any, models: Path, one_thread: None) -> None:
    """A CPU has no TF32: the factors are rounded by hand to its ten bits."""
    import torch

    from portal.asr.engine.inference.self_check import FAST, compare

    def rounded(value: torch.Tensor) -> torch.Tensor:
        bits = value.detach().clone().contiguous().view(torch.int32)
        return ((bits + 0x1000) & ~0x1FFF).view(torch.float32)

    exact = answers(loaded, models)
    layers = [m for part in (loaded.model.encoder, loaded.model.decoder) for m in part.modules()]
    for layer in (m for m in layers if isinstance(m, torch.nn.Linear)):
        layer.weight.data = rounded(layer.weight.data)
        layer.register_forward_pre_hook(lambda _layer, given: (rounded(given[0]),))
    near = answers(loaded, models)
    assert compare(exact, near).within(FAST)
    assert not np.array_equal(near.probabilities, exact.probabilities)


def test_tf32_is_on_in_encoder_and_decoder_only(loaded: Any) -> None:
    import torch

    from portal.asr.engine.inference.encoders import Stages
    from portal.asr.engine.inference.reduced import reduced_stages

    class Spy:
        allowed: bool | None = None

        def __call__(self, *_given: Any) -> Any:
            self.allowed = torch.backends.cuda.matmul.allow_tf32
            raise RuntimeError("out of memory")

    encoder, decoder, timestamps = Spy(), Spy(), Spy()
    given: Any = (encoder, decoder, timestamps)
    reduced = reduced_stages(Stages(*given), loaded.model, (9, 0))
    assert reduced is not None
    stages = reduced[0]
    assert stages.timestamps is not None
    nothing = torch.zeros(1)
    for call in (lambda: stages.encoder([]), lambda: stages.decoder(*[nothing] * 4)):
        with pytest.raises(RuntimeError):
            call()
        assert not torch.backends.cuda.matmul.allow_tf32
    with pytest.raises(RuntimeError):
        stages.timestamps(nothing, nothing)
    assert (encoder.allowed, decoder.allowed, timestamps.allowed) == (True, True, False)


def test_cards_without_tensor_cores_stay_exact(loaded: Any) -> None:
    from portal.asr.engine.inference.encoders import torch_stages
    from portal.asr.engine.inference.reduced import reduced_stages

    assert reduced_stages(torch_stages(loaded.model, "cpu"), loaded.model, (6, 1)) is None


@pytest.mark.parametrize(
    ("flags", "bits"),
    [
        ("flags\t\t: fpu avx2 avx512_vnni", 8),
        ("flags\t\t: fpu avx2 avx_vnni", 8),
        ("flags\t\t: fpu avx avx2", 7),
        ("Features\t: fp asimd asimddp", 8),
        ("", 7),
    ],
)
def test_integers_have_the_bits_that_the_processor_adds_without_overflow(tmp_path: Path, flags: str, bits: int) -> None:
    from portal.asr.engine.inference.onnx_stages import integer_bits

    (tmp_path / "cpuinfo").write_text(f"processor\t: 0\n{flags}\n", encoding="utf-8")
    assert integer_bits(tmp_path / "cpuinfo") == bits
    assert integer_bits(tmp_path / "absent") == 7
