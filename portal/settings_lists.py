"""Settings that are lists: in ``portal.toml`` as lists, in the environment as text."""

from __future__ import annotations

import json
from typing import Annotated

from pydantic import BeforeValidator
from pydantic_settings import NoDecode


def _listed(value: object) -> object:
    """A list setting as text (an environment variable): ``a, b`` or a JSON list ``["a", "b"]``."""
    if not isinstance(value, str):
        return value
    if value.strip().startswith("["):
        try:
            return json.loads(value)
        except ValueError:
            raise ValueError("must be a comma-separated list or a JSON list") from None
    return [item.strip() for item in value.split(",") if item.strip()]


Texts = Annotated[tuple[str, ...], NoDecode, BeforeValidator(_listed)]
Numbers = Annotated[tuple[int, ...], NoDecode, BeforeValidator(_listed)]
