"""What every training stage shares: device and threads, the rate over the steps, checkpoints, progress."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import torch

from .settings import Settings


def pick_device(name: str) -> torch.device:
    """`auto` takes a GPU where there is one."""
    if name == "auto":
        name = "cuda" if torch.cuda.is_available() else "cpu"
    return torch.device(name)


def linear_rate(step: int, steps: int, peak: float, warm: int, hold: float) -> float:
    """Rises over `warm` steps, stays until `hold` of the run, then falls in a line to 1 % of `peak`."""
    rest = max(1e-9, 1 - hold)
    fall = min(1.0, (1 - step / steps) / rest)
    return peak * min(1.0, (step + 1) / max(1, min(warm, steps // 4))) * max(0.01, fall)


class Progress:
    """Prints smoothed figures every so often, without forcing the device to wait at each step."""

    def __init__(self, stage: str, settings: Settings, steps: int) -> None:
        self.stage, self.settings, self.steps = stage, settings, steps
        self.sums: dict[str, torch.Tensor] = {}
        self.count = 0
        self.started = time.monotonic()
        self.cpu = time.process_time()

    def add(self, step: int, figures: dict[str, torch.Tensor]) -> None:
        """Count one step."""
        for name, value in figures.items():
            self.sums[name] = self.sums[name] + value if self.count else value
        self.count += 1
        if (step + 1) % self.settings.report_every == 0 or step + 1 == self.steps:
            shown = " ".join(f"{name} {float(value) / self.count:.4f}" for name, value in self.sums.items())
            wall, cpu = time.monotonic() - self.started, time.process_time() - self.cpu
            print(f"{self.stage} {step + 1}/{self.steps} {shown} | {wall:.0f} s, {cpu:.0f} s CPU", flush=True)
            self.count = 0


def run(
    stage: str,
    settings: Settings,
    steps: int,
    modules: Iterable[torch.nn.Module],
    rate: Callable[[int], float],
    loss_of: Callable[[int], tuple[torch.Tensor, dict[str, torch.Tensor]]],
    checkpoint: Path,
) -> None:
    """Run `steps` counted steps of AdamW; resumes from `checkpoint` if it exists.

    Each step seeds torch by its number, so that a resumed run draws what an uninterrupted one would.
    """
    held = torch.nn.ModuleList(list(modules))
    parameters = [p for p in held.parameters() if p.requires_grad]
    fused = parameters[0].is_cuda
    optimizer = torch.optim.AdamW(parameters, lr=1.0, betas=(0.9, 0.98), weight_decay=0.01, fused=fused)
    first = 0
    if checkpoint.exists():
        state: dict[str, Any] = torch.load(checkpoint, map_location=parameters[0].device, weights_only=True)
        held.load_state_dict(state["model"])
        optimizer.load_state_dict(state["optimizer"])
        first = int(state["step"])
        print(f"{stage}: continues at step {first}")
    progress = Progress(stage, settings, steps)
    for step in range(first, steps):
        torch.manual_seed(settings.seed * 1_000_003 + step)
        for group in optimizer.param_groups:
            group["lr"] = rate(step)
        loss, figures = loss_of(step)
        optimizer.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]
        torch.nn.utils.clip_grad_norm_(parameters, 5.0)
        optimizer.step()
        progress.add(step, figures)
        if (step + 1) % settings.save_every == 0 or step + 1 == steps:
            state = {"model": held.state_dict(), "optimizer": optimizer.state_dict(), "step": step + 1}
            torch.save(state, checkpoint.with_suffix(".part"))
            checkpoint.with_suffix(".part").replace(checkpoint)
