"""Which hotwords the model in use can't spell, said where people choose them. A hint, never a refusal.

The engine may run on another machine with models that lie there alone; then nothing is said.
"""

from __future__ import annotations

from collections.abc import Sequence

from portal.asr.engine.releases import Releases
from portal.asr.errors import ModelError
from portal.asr.vocabulary import Unspellable, vocabulary_of
from portal.settings import Settings


def unspellable(settings: Settings, words: Sequence[str], *, digest: str | None = None) -> tuple[Unspellable, ...]:
    """The words that will never be recognised, in order.

    Args:
        digest: of the model that is asked; None: the one that the engine of this machine uses.
    """
    if not words:
        return ()
    memory = settings.current_model_file(settings.engine_socket)
    releases = Releases(settings.asr_model, settings.installed_models_file, memory)
    try:
        release = releases.find(digest) if digest is not None else releases.at_start()
    except (ModelError, OSError):
        return ()
    known = vocabulary_of(release.folder)
    return known.unspellable(words) if known else ()
