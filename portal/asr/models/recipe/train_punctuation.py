"""The punctuation model: FunASR's CT-Transformer on windows of whole recordings.

Two rounds: the templates first, then half of the text in free wording, so that marks follow the words and not the
remembered template.
"""

from __future__ import annotations

from pathlib import Path

import torch
import torch.nn.functional as fn
from torch import Tensor

from .loop import linear_rate, run
from .networks import punctuation_config, register_classes
from .punctuation_text import IGNORED, PunctuationText, tokens_of_model
from .settings import Settings


def train(folder: Path, device: torch.device, settings: Settings) -> dict[str, Tensor]:
    """The trained state."""
    config = punctuation_config()
    source = PunctuationText(settings)
    torch.manual_seed(settings.seed)
    model = (
        register_classes()
        .model_classes["CTTransformer"](
            encoder=config["encoder"],
            encoder_conf=config["encoder_conf"],
            vocab_size=len(tokens_of_model()),
            **config["model_conf"],
        )
        .to(device)
    )
    pad = torch.nn.utils.rnn.pad_sequence

    def loss_of(stage: str, step: int, free: float) -> tuple[Tensor, dict[str, Tensor]]:
        examples = source.batch(stage, step, settings.punctuation_batch, free)
        words = pad([torch.tensor(w) for w, _ in examples], True, 0).to(device)
        marks = pad([torch.tensor(m) for _, m in examples], True, IGNORED).to(device)
        lengths = torch.tensor([len(w) for w, _ in examples])
        logits, _ = model.punc_forward(words, lengths)
        loss = fn.cross_entropy(logits.transpose(1, 2), marks, ignore_index=IGNORED)
        known = marks != IGNORED
        right = ((logits.argmax(-1) == marks) & known).sum() / known.sum()
        return loss, {"loss": loss.detach(), "right": right}

    def round_of(stage: str, steps: int, peak: float, free: float) -> None:
        run(
            stage, settings, steps, [model],
            lambda step: linear_rate(step, steps, peak, 80, 0.2),
            lambda step: loss_of(stage, step, free),
            folder / f"{stage}.checkpoint",
        )  # fmt: skip

    model.train()
    start = folder / "punctuation-templates.pt"
    if start.exists():
        model.load_state_dict(torch.load(start, weights_only=True))
    else:
        round_of("punctuation-templates", settings.punctuation_steps, 2e-3, 0.0)
        torch.save(model.state_dict(), start)
    round_of("punctuation-free", settings.punctuation_free_steps, 1e-3, 0.5)
    return {k: v.detach().cpu() for k, v in model.state_dict().items()}
