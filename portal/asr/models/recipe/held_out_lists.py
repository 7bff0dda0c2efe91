"""Writes the held-out lists of the quality tests and the fingerprints that training refuses.

    python -m portal.asr.models.recipe held-out tests/asr/models/held_out

Columns: voice, rate, pitch, [hotword,] text. Run it only to make new lists, and before training.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from pathlib import Path

from . import held_out, sample, text
from . import vocabulary as words
from .grammar import TEMPLATES
from .held_out_wordings import MIXED_ENGLISH, NEW_WORDINGS, patterns

ITEMS = 300
SEED = 20_261_120
_PRODUCT_PATTERNS = [t for t in TEMPLATES if sum("{brand}" in w for w in t) == 1 and not any("{abbr}" in w for w in t)]


def _style(rng: random.Random) -> list[str]:
    return [rng.choice(held_out.VOICES), str(rng.randint(160, 240)), str(rng.randint(35, 65))]


def _distinct(rng: random.Random, seen: set[str], make: Callable[..., str], argument: object) -> str:
    """A text of `make(rng, argument)` that is not in `seen`, neither very short nor very long."""
    while True:
        candidate = make(rng, argument)
        plain = held_out.normalised(candidate)
        if plain not in seen and held_out.SHORTEST_PROTECTED <= len(plain) <= 60:
            seen.add(plain)
            return candidate


def _any_pattern(rng: random.Random, choices: list[tuple[str, ...]]) -> str:
    return text.fill(rng, rng.choice(choices))


def _fill_known(rng: random.Random, pattern: tuple[str, ...]) -> str:
    first, second = rng.sample(words.ABBREVIATIONS, 2)
    upper = tuple(w.replace("{known}", first.upper()).replace("{known2}", second.upper()) for w in pattern)
    return text.fill(rng, upper)


def _with_hotword(rng: random.Random, hotword: str) -> str:
    pattern = rng.choice(_PRODUCT_PATTERNS)
    return text.fill(rng, tuple(w.replace("{brand}", hotword) for w in pattern))


def build(folder: Path) -> None:
    """Write all lists into `folder` and the fingerprints beside this module."""
    rng = random.Random(SEED)
    seen: set[str] = set()
    slotted = [t for t in TEMPLATES if any("{" in w for w in t)]
    rows: dict[str, list[list[str]]] = {"template": [], "new_wordings": [], "hotwords": [], "mixed_english": []}
    new = patterns(NEW_WORDINGS)
    for index in range(ITEMS):
        rows["template"].append([*_style(rng), _distinct(rng, seen, _any_pattern, slotted)])
        chosen = new[index % len(new)]
        fixed = not any("{" in w for w in chosen)
        if fixed and index >= len(new):
            chosen = rng.choice([p for p in new if any("{" in w for w in p)])
        rows["new_wordings"].append([*_style(rng), _distinct(rng, seen, text.fill, chosen)])
        hotword = held_out.HOTWORDS[index % len(held_out.HOTWORDS)]
        rows["hotwords"].append([*_style(rng), hotword, _distinct(rng, seen, _with_hotword, hotword)])
    # Names whose sound training never heard have a list of their own: they are much harder.
    both = rows.pop("hotwords")
    rows["hotwords"] = [r for r in both if r[3] in held_out.HOTWORDS_KNOWN_SOUND]
    rows["hotwords_new_sound"] = [r for r in both if r[3] not in held_out.HOTWORDS_KNOWN_SOUND]
    mixed = patterns(MIXED_ENGLISH)
    for index in range(100):
        pattern = mixed[index % len(mixed)]
        rows["mixed_english"].append([*_style(rng), _distinct(rng, seen, _fill_known, pattern)])
    protected = [row[-1] for kind in rows.values() for row in kind]
    # A long sentence without slots can't be protected: training would lose the pattern.
    usable = [t for t in TEMPLATES if t in slotted or len("".join(t)) < held_out.SHORTEST_PROTECTED]
    rows["punctuation"] = []
    for _ in range(ITEMS):  # paragraphs; every sentence in them is protected too
        sentences = [text.fill(rng, rng.choice(usable)) for _ in range(rng.choice((2, 3, 4, 5)))]
        protected += [s for s in sentences if len(held_out.normalised(s)) >= held_out.SHORTEST_PROTECTED]
        rows["punctuation"].append([*_style(rng), "".join(sentences)])
    more = random.Random(f"{SEED}/hotwords")
    while len(rows["hotwords"]) < ITEMS:
        hotword = held_out.HOTWORDS_KNOWN_SOUND[len(rows["hotwords"]) % len(held_out.HOTWORDS_KNOWN_SOUND)]
        extra = _distinct(more, seen, _with_hotword, hotword)
        rows["hotwords"].append([*_style(more), hotword, extra])
        protected.append(extra)
    rows["sample"] = [[sample.VOICE, str(sample.WORDS_PER_MINUTE), str(sample.PITCH), "".join(sample.SENTENCES)]]
    protected += list(sample.SENTENCES)
    folder.mkdir(parents=True, exist_ok=True)
    for name, lines in rows.items():
        body = "".join("\t".join(line) + "\n" for line in lines)
        (folder / f"{name}.tsv").write_text(body, encoding="utf-8")
    marks = sorted({held_out.fingerprint(t) for t in protected})
    Path(held_out.__file__).with_name("held_out_fingerprints.txt").write_text("\n".join(marks) + "\n", encoding="ascii")
