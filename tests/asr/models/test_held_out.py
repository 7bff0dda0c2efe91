"""Training never sees what the quality tests ask: voices, sentences, spellings of hotwords."""

import json
import random
from pathlib import Path

import numpy as np
import pytest

from portal.asr.models.recipe import clauses, corpus, evaluate, grammar, held_out, hotword_batches, synthesis, text
from portal.asr.models.recipe import evaluate_recordings as recordings
from portal.asr.models.recipe import held_out_wordings as wordings
from portal.asr.models.recipe import vocabulary as words
from portal.asr.models.recipe.punctuation_text import tokens_of_model
from portal.asr.models.recipe.settings import Settings

LISTS = Path(__file__).with_name("held_out")
FULL = ("template", "new_wordings", "hotwords", "punctuation")


def protected_sentences() -> set[str]:
    found = set()
    for path in LISTS.glob("*.tsv"):
        for item in evaluate.read_list(path):
            whole = [item.text] if path.stem != "punctuation" else []
            for sentence in (*recordings.sentences(item.text), *whole):
                plain = held_out.normalised(sentence)
                if len(plain) >= held_out.SHORTEST_PROTECTED:
                    found.add(plain)
    return found


@pytest.mark.parametrize("name", FULL)
def test_lists_hold_at_least_three_hundred_different_items(name: str) -> None:
    items = evaluate.read_list(LISTS / f"{name}.tsv")
    assert len({item.text for item in items}) >= 295
    assert len(items) >= 300


def test_lists_use_held_out_voices_only() -> None:
    used = {item.voice for path in LISTS.glob("*.tsv") for item in evaluate.read_list(path)}
    assert used <= set(held_out.VOICES)
    assert not used & set(synthesis.TRAINING_VOICES)


def test_fingerprints_cover_every_list() -> None:
    known = held_out.fingerprints()
    for path in LISTS.glob("*.tsv"):
        for item in evaluate.read_list(path):
            for sentence in recordings.sentences(item.text) if path.stem == "punctuation" else [item.text]:
                if len(held_out.normalised(sentence)) >= held_out.SHORTEST_PROTECTED and path.stem != "sample":
                    assert held_out.fingerprint(sentence) in known, sentence


def test_training_texts_regenerated_hold_no_held_out_sentence_and_no_held_out_spelling() -> None:
    settings = Settings()
    protected = protected_sentences()
    rng = random.Random(settings.seed)
    free = clauses.Clauses(text.SLOTS)
    made = [s for _ in range(6000) for s in corpus.spoken_texts(rng, settings)]
    made += [text.template_sentence(rng) for _ in range(6000)]
    made += [s for s in (free.sentence(rng) for _ in range(3000)) if not held_out.is_held_out(s)]
    for sentence in made:
        for part in (sentence, *recordings.sentences(sentence)):
            plain = held_out.normalised(part)
            assert plain not in protected
            assert not any(word in plain for word in held_out.HOTWORDS)


def test_hotword_training_never_spells_a_held_out_hotword() -> None:
    rng = random.Random(1)
    ids = {token: number for number, token in enumerate(text.vocabulary())}
    utterances = []
    for brand in words.BRANDS * 4:  # the names that sound like the held-out ones
        spoken = f"请问{brand}平台什么时候可以验收"
        utterances.append(_utterance(spoken, ids))
    sampler = hotword_batches.HotwordSampler(utterances, rng.randint(0, 9), 100, 32)
    names = text.vocabulary()
    for step in range(60):
        batch = sampler.batch(step + 20)
        for row, length in zip(batch.pool.tolist(), batch.pool_lengths.tolist(), strict=True):
            spelled = "".join(names[token] for token in row[:length])
            assert not any(word in spelled for word in held_out.HOTWORDS), spelled


def _utterance(spoken: str, ids: dict[str, int]) -> corpus.Utterance:
    tokens = np.array([ids[c] for c in spoken])
    return corpus.Utterance(spoken, tokens, np.zeros(len(tokens), np.float32), np.zeros((10, 80), np.float16))


def test_new_wordings_are_made_of_known_words_in_unknown_patterns() -> None:
    known = set(text.ALL_WORDS) | set(words.FUNCTION_WORDS) | set(text.PUNCTUATION)
    used = {w for p in wordings.patterns(wordings.NEW_WORDINGS) for w in p if "{" not in w}
    assert used <= known
    assert not set(wordings.patterns(wordings.NEW_WORDINGS)) & set(grammar.TEMPLATES)


def test_shipped_tokens_are_those_of_the_recipe() -> None:
    models = Path(text.__file__).parents[1]
    assert json.loads((models / "seaco" / "tokens.json").read_text("utf-8")) == text.vocabulary()
    assert json.loads((models / "punc" / "tokens.json").read_text("utf-8")) == tokens_of_model()


def test_synthesis_seed_and_process_count_do_not_change_the_text() -> None:
    settings = Settings()
    first = corpus.spoken_texts(random.Random("7/corpus/0"), settings)
    assert first == corpus.spoken_texts(random.Random("7/corpus/0"), settings)
