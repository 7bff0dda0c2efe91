"""Which device torch has here, and the versions that a figure depends on: one JSON object on stdout."""

from __future__ import annotations

import importlib.metadata
import json
import sys

import torch


def main() -> int:
    """Run as ``python -m portal.asr.engine.inference.benchmark.facts``."""
    cuda = torch.cuda.is_available()
    packages = ("torch", "funasr", "onnxruntime", "numpy", "kaldi-native-fbank")
    found: dict[str, str] = {}
    for name in packages:
        try:
            found[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            continue
    values = {"cuda": cuda, "gpu": torch.cuda.get_device_name(0) if cuda else None, "versions": found}
    sys.stdout.write(json.dumps(values) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
