"""The number of the random models' recipe, apart from it so that it can be read without torch."""

from __future__ import annotations

from typing import Final

VERSION: Final = 1
"""Folders made by another version are made anew."""
