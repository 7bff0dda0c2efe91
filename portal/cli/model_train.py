"""`portal model train-demo`: make the demonstration models again from nothing."""

from __future__ import annotations

from pathlib import Path

import click


def train_demo(out: Path, device: str, threads: int) -> None:
    """Synthesise, train, export into `out`; stopped runs continue where they were."""
    from portal.asr.models.recipe.settings import Settings  # torch is loaded only when it is needed
    from portal.asr.models.recipe.stages import NAMES, Run

    Run(out, out / "work", device, threads, Settings()).do(NAMES)


@click.command("train-demo")
@click.option(
    "--out",
    type=click.Path(path_type=Path, file_okay=False),
    required=True,
    help="Receives seaco/, vad/, punc/ and manifest.json; work/ below it keeps the checkpoints.",
)
@click.option("--device", type=click.Choice(["auto", "cpu", "cuda"]), default="auto", show_default=True)
@click.option("--threads", type=click.IntRange(1, 64), default=2, show_default=True)
def train_demo_command(out: Path, device: str, threads: int) -> None:
    """Train the demonstration models on synthetic speech (hours on a CPU; needs espeak-ng)."""
    train_demo(out, device, threads)
    click.echo(f"Models and manifest are in {out}.")
