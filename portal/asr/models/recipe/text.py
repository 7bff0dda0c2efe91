"""Training text: filled templates, random word strings, and the tokens of a text."""

from __future__ import annotations

import random
import re
from collections import Counter
from collections.abc import Callable
from functools import lru_cache

from . import numbers_spoken as spoken
from . import vocabulary as words
from .grammar import TEMPLATES
from .held_out import HOTWORDS, is_held_out
from .homophones import sound

PUNCTUATION = "，。？"
_SLOT = re.compile(r"\{(\w+)\}")


def person(rng: random.Random) -> str:
    """A name in the spelling the recogniser writes."""
    given = rng.choice(words.GIVEN_NAMES)[0]
    if rng.random() < 0.45:
        given += rng.choice(words.GIVEN_NAMES)[0]
    return rng.choice(words.SURNAMES) + given


def abbreviation(rng: random.Random) -> str:
    """A known abbreviation, or (one in four) two to four random letters."""
    if rng.random() < 0.75:
        return rng.choice(words.ABBREVIATIONS)
    return "".join(rng.choice("abcdefghijklmnopqrstuvwxyz") for _ in range(rng.randint(2, 4)))


SLOTS: dict[str, Callable[[random.Random], str]] = {
    "date": spoken.date,
    "clock": spoken.clock,
    "money": spoken.money,
    "percent": spoken.percent,
    "count": spoken.count,
    "small": spoken.small,
    "year": spoken.year,
    "d1": lambda rng: spoken.digit_string(rng, 1),
    "d2": lambda rng: spoken.digit_string(rng, 2),
    "d3": lambda rng: spoken.digit_string(rng, 3),
    "d4": lambda rng: spoken.digit_string(rng, 4),
    "d8": lambda rng: spoken.digit_string(rng, 8),
    "d11": lambda rng: "一" + spoken.digit_string(rng, 10),
    "city": lambda rng: rng.choice(words.CITIES),
    "proj": lambda rng: rng.choice(words.PROJECTS),
    "prod": lambda rng: rng.choice(words.PRODUCTS),
    "brand": lambda rng: rng.choice(words.BRANDS),
    "dept": lambda rng: rng.choice(words.DEPARTMENTS),
    "serv": lambda rng: rng.choice(words.SERVICES),
    "prob": lambda rng: rng.choice(words.PROBLEMS),
    "act": lambda rng: rng.choice(words.ACTIONS),
    "adj": lambda rng: rng.choice(words.ADJECTIVES),
    "abbr": abbreviation,
    "name": person,
}

_TEMPLATE_WORDS = sorted(
    {w for t in TEMPLATES for w in t if not _SLOT.search(w) and w not in PUNCTUATION and len(w) > 1}
)
ALL_WORDS: tuple[str, ...] = tuple(
    dict.fromkeys(
        words.GENERAL
        + words.PRODUCTS
        + words.PROJECTS
        + words.DEPARTMENTS
        + words.SERVICES
        + words.CITIES
        + words.PROBLEMS
        + words.ACTIONS
        + words.WEEKDAYS
        + words.DAY_PARTS
        + words.ADJECTIVES
        + words.BRANDS
        + _TEMPLATE_WORDS
    )
)


def fill(rng: random.Random, template: tuple[str, ...], invented: float = 0.0) -> str:
    """One sentence of a template, slots filled; `invented`: chance that a product's name is no known word."""

    def value(match: re.Match[str]) -> str:
        name = match.group(1)
        if name == "brand" and invented and rng.random() < invented:
            return invented_word(rng)
        return SLOTS[name](rng)

    return "".join(_SLOT.sub(value, word) for word in template)


@lru_cache(maxsize=1)
def usual_characters() -> tuple[str, ...]:
    """For each sound the character that the vocabulary's words use most."""
    counts = Counter(c for word in ALL_WORDS for c in word if not c.isascii())
    usual: dict[str, str] = {}
    for character, _ in sorted(counts.items(), key=lambda item: (-item[1], item[0])):
        usual.setdefault(sound(character), character)
    return tuple(usual.values())


@lru_cache(maxsize=1)
def _held_out_sounds() -> frozenset[tuple[str, ...]]:
    return frozenset(tuple(sound(c) for c in word) for word in HOTWORDS)


def invented_word(rng: random.Random) -> str:
    """Two or three syllables that are no word, as new products are called; never sounding like a held-out one.

    Without them the recogniser turns unknown names into words it knows, and hotwords can't bring them back.
    """
    while True:
        word = [rng.choice(usual_characters()) for _ in range(rng.choice((2, 2, 2, 3)))]
        if tuple(sound(c) for c in word) not in _held_out_sounds():
            return "".join(word)


def template_sentence(rng: random.Random) -> str:
    """A filled template that is in no held-out list."""
    while True:
        text = fill(rng, rng.choice(TEMPLATES), invented=0.4)
        if not is_held_out(text):
            return text


def _counted(rng: random.Random) -> str:
    """A number with a measure word or unit."""
    number = rng.choice((spoken.small, spoken.small, spoken.count))(rng)
    return number + rng.choice(words.MEASURES)


def random_words(rng: random.Random) -> str:
    """One to nine words that need not make sense, so that the model learns words rather than sentences."""
    parts: list[str] = []
    for _ in range(rng.randint(1, 9)):
        r = rng.random()
        if r < 0.50:
            parts.append(rng.choice(ALL_WORDS))
        elif r < 0.58:
            parts.append(invented_word(rng))
        elif r < 0.64:
            parts.append(person(rng))
        elif r < 0.67:
            parts.append(SLOTS[rng.choice(("date", "clock", "money", "percent", "count", "small"))](rng))
        elif r < 0.71:
            parts.append(_counted(rng))
        elif r < 0.75:
            parts.append(spoken.digit_string(rng, rng.randint(1, 6)))
        elif r < 0.80:
            if parts and parts[-1][-1].isascii():
                continue  # two abbreviations in a row would read as one
            parts.append(abbreviation(rng))
        elif r < 0.95:
            parts.append(rng.choice(words.FUNCTION_WORDS))
        else:
            parts.append(rng.choice(ALL_WORDS) + "，")
    return "".join(parts).rstrip("，") + rng.choice("。。。？，")


def sentence(rng: random.Random, share_of_random_words: float) -> str:
    """One training sentence; `share_of_random_words` in 0..1."""
    if rng.random() >= share_of_random_words:
        return template_sentence(rng)
    while True:
        text = random_words(rng)
        if tokens(text) and not is_held_out(text):
            return text


def tokens(text: str) -> list[str]:
    """What the recogniser writes for a text: hanzi one by one, letters lower-case one by one, no punctuation."""
    return [c for c in text.lower() if c not in "，。？！、 "]


def characters() -> list[str]:
    """Every character of the vocabulary, sorted: letters, then hanzi."""
    found: set[str] = set("abcdefghijklmnopqrstuvwxyz") | set(words.DIGITS + "十百千万亿两点半刻分月号日年元块毛钱之底")
    for word in ALL_WORDS:
        found |= set(tokens(word))
    for template in TEMPLATES:
        for word in template:
            found |= set(tokens(_SLOT.sub("", word)))
    for syllable in words.GIVEN_NAMES:
        found |= set(syllable)
    found |= set(words.SURNAMES) | set(words.EXTRA_CHARACTERS) | set("下这上周后本底今明昨天")
    return sorted(found)


def vocabulary() -> list[str]:
    """Tokens of the recogniser: blank, sos, eos, characters, "no hotword", unknown."""
    return ["<blank>", "<s>", "</s>", *characters(), "<nobias>", "<unk>"]
