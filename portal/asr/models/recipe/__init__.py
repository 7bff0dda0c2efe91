"""How the demonstration models are made: speech from espeak-ng, FunASR's model classes, counted and seeded steps.

Run `portal model train-demo` or `python -m portal.asr.models.recipe --help`.
"""
