"""python -m portal.asr.models.recipe train|held-out|sample"""

from __future__ import annotations

import argparse
from pathlib import Path

from . import sample, stages
from .settings import Settings, smoke


def main() -> None:
    """Parse the command line and run."""
    parser = argparse.ArgumentParser(prog="recipe", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    train = commands.add_parser("train", help="make the models")
    train.add_argument("--out", type=Path, required=True, help="receives seaco/, vad/, punc/, manifest.json")
    train.add_argument("--work", type=Path, help="corpus and checkpoints (default: OUT/work); kept for resuming")
    train.add_argument("--device", choices=("auto", "cpu", "cuda"), default="auto")
    train.add_argument("--threads", type=int, default=2)
    train.add_argument("--stages", nargs="+", choices=stages.NAMES, default=list(stages.NAMES))
    train.add_argument("--smoke", action="store_true", help="a few steps of each stage, for a test of the recipe")
    lists = commands.add_parser("held-out", help="write the held-out lists of the tests and their fingerprints")
    lists.add_argument("folder", type=Path)
    spoken = commands.add_parser("sample", help="speak the sample recording")
    spoken.add_argument("folder", type=Path)
    args = parser.parse_args()
    if args.command == "held-out":
        from .held_out_lists import build

        build(args.folder)
        return
    if args.command == "sample":
        sample.write(args.folder)
        return
    settings = smoke(Settings()) if args.smoke else Settings()
    run = stages.Run(args.out, args.work or args.out / "work", args.device, args.threads, settings)
    run.do(tuple(args.stages))


if __name__ == "__main__":
    main()
