"""Bring the translations up to date: collect every text, keep what is translated, compile, name what is missing.

    .venv/bin/python deploy/translations.py

Run it after adding or changing a text and fill what it names into ``portal/translations/en/LC_MESSAGES/messages.po``.
Chinese is the source language and needs no catalogue.
"""

from __future__ import annotations

import datetime
import io
import sys
from collections.abc import Iterator
from pathlib import Path

from babel.messages.catalog import Catalog
from babel.messages.extract import DEFAULT_KEYWORDS, extract_from_dir
from babel.messages.mofile import write_mo
from babel.messages.pofile import read_po, write_po

PORTAL = Path(__file__).resolve().parents[1] / "portal"
CATALOGUE = PORTAL / "translations" / "en" / "LC_MESSAGES" / "messages.po"
METHODS = [("**.py", "python"), ("templates/**.html", "jinja2")]
OPTIONS: dict[str, dict[str, str]] = {
    "templates/**.html": {"extensions": "jinja2.ext.i18n", "newstyle_gettext": "true", "silent": "false"}
}
KEYWORDS = {**DEFAULT_KEYWORDS, "lazy_gettext": None}


def texts() -> Iterator[str]:
    """Every text of the portal that is to be translated, once."""
    found = extract_from_dir(PORTAL, METHODS, OPTIONS, keywords=KEYWORDS)
    yield from sorted({str(message) for _file, _line, message, _comments, _context in found if message})


def compiled(catalogue: Catalog) -> bytes:
    """What the program reads."""
    out = io.BytesIO()
    write_mo(out, catalogue)
    return out.getvalue()


def read() -> Catalog:
    """The English catalogue as it lies there."""
    with CATALOGUE.open("rb") as file:
        return read_po(file, locale="en")


def updated(old: Catalog) -> Catalog:
    """The catalogue of the present texts, with the translations of ``old``."""
    fixed = datetime.datetime(2026, 11, 20, tzinfo=datetime.UTC)
    new = Catalog(
        locale="en",
        project="speech-portal",
        version="0.1.0",
        creation_date=fixed,
        revision_date=fixed,
        header_comment="# English for the portal; Chinese is the source language.",
        fuzzy=False,
    )
    for text in texts():
        known = old.get(text)
        new.add(text, known.string if known and not known.fuzzy else "")
    return new


def main() -> int:
    """Update, compile, report."""
    out = io.BytesIO()
    write_po(out, updated(read()), width=10_000, sort_output=True)
    CATALOGUE.write_bytes(out.getvalue())
    catalogue = read()
    CATALOGUE.with_suffix(".mo").write_bytes(compiled(catalogue))
    missing = [str(message.id) for message in catalogue if message.id and not message.string]
    for text in missing:
        sys.stdout.write(f"untranslated: {text}\n")
    return 1 if missing else 0


if __name__ == "__main__":
    raise SystemExit(main())
