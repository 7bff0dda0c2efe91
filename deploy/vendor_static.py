"""Fetch the front-end libraries, check them, and copy what the pages use into ``portal/static/vendor``.

    python deploy/vendor_static.py            (needs npm; run by a developer, never at run time)

The result is committed: the portal fetches nothing while it is installed or runs. Each package is pinned by version
and by the SHA-512 that its publisher's registry stated when it was chosen; a different file stops the script.
"""

from __future__ import annotations

import base64
import hashlib
import io
import json
import re
import shutil
import subprocess
import sys
import tarfile
import tempfile
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
STATIC = ROOT / "portal" / "static" / "vendor"
TESTS = ROOT / "tests" / "browser" / "vendor"


@dataclass(frozen=True)
class Package:
    """One npm package: its name there, its folder here, and the files (there → here) that are copied."""

    npm: str
    version: str
    sha512: str
    folder: str
    files: dict[str, str]
    mit: tuple[str, ...] = ()  # copyright lines, for the MIT packages whose archive carries no licence file
    into: Path = STATIC


PACKAGES = (
    Package(
        "@tabler/core",
        "1.6.1",
        "lgmR9gcxRp5JlLxcmRi9Rz85JrEvH6Bz71KnlcPVSa97wtwQNjgSs3g3fxwbAlulHyRMghhIV04QUuW3pqDsIg==",
        "tabler",
        {
            "dist/css/tabler.min.css": "tabler.min.css",
            "dist/js/tabler.min.js": "tabler.min.js",
        },
        mit=(
            "Copyright (c) 2018-2026 The Tabler Authors",
            "Copyright (c) 2018-2026 codecalm.net Paweł Kuna",
            "Contains Bootstrap: Copyright (c) 2011-2026 The Bootstrap Authors (MIT)",
            "Contains Popper: Copyright (c) 2019 Federico Zivolo (MIT)",
        ),
    ),
    Package(
        "htmx.org",
        "2.0.11",
        "Thx/WtpeOQqSrqBCw/A1cwGJGg4UrVa3+sW0GmrM3p4gJgO89ecH4qtbnyzDDWFvBTqjnIMCgELTNt636dtamA==",
        "htmx",
        {"dist/htmx.min.js": "htmx.min.js", "LICENSE": "LICENSE"},
    ),
    Package(
        "@alpinejs/csp",
        "3.17.4",
        "SlRXmqO6kYhnxlg+99etmuzJtE9Lk4QbKjBHqerXzaMflJqoJXdz/SI3IvHJGZ/vRVyC3bR0SSBz40oY7goBeg==",
        "alpine-csp",
        {"dist/cdn.min.js": "alpine-csp.min.js"},
        mit=(
            "Copyright (c) 2019-2026 Caleb Porzio and contributors",
            "Contains @vue/reactivity: Copyright (c) 2018-present, Yuxi (Evan) You and Vue contributors (MIT)",
        ),
    ),
    Package(
        "wavesurfer.js",
        "7.12.12",
        "fyKNuREQTliCl4b9w7pUzpFXQIkX5tcdYu1o6vBdH+NlUXvTxshvfbG2hj8OxDevzQNZlDTHzZGyAT3FhuutWw==",
        "wavesurfer",
        {
            "dist/wavesurfer.min.js": "wavesurfer.min.js",
            "dist/plugins/regions.min.js": "regions.min.js",
            "LICENSE": "LICENSE",
        },
    ),
    Package(
        "uplot",
        "1.6.32",
        "KIMVnG68zvu5XXUbC4LQEPnhwOxBuLyW1AHtpm6IKTXImkbLgkMy+jabjLgSLMasNuGGzQm/ep3tOkyTxpiQIw==",
        "uplot",
        {
            "dist/uPlot.iife.min.js": "uplot.iife.min.js",
            "dist/uPlot.min.css": "uplot.min.css",
            "LICENSE": "LICENSE",
        },
    ),
    Package(
        "axe-core",
        "4.14.1",
        "FHfa+lmNjQZfJz1q8wKqIDwC6DExcHt/pkjNQb09a3NPjCKg2rhu5qb2S4r76ASyFNNtuFooJpZe37OgudVGtQ==",
        "axe-core",
        {"axe.min.js": "axe.min.js", "LICENSE": "LICENSE", "LICENSE-3RD-PARTY.txt": "LICENSE-3RD-PARTY.txt"},
        into=TESTS,
    ),
)

ICONS = Package(
    "@tabler/icons",
    "3.51.0",
    "0pinvPZz7YeX+OSfxuEAbnEPWbocVXW5iU8h5lh41pYG8sZuQfpWECC980lxOT0clGIcNGn8xsBr+zKaRGdA/g==",
    "tabler-icons",
    {"LICENSE": "LICENSE"},
)

# names of outline icons, one a line; a page uses one as <svg class="icon"><use href="…/sprite.svg#name"></use></svg>
ICON_NAMES = ROOT / "deploy" / "icons.txt"


def unpack(package: Package, folder: Path) -> Path:
    """Download one package, compare its SHA-512, unpack it; returns the folder with its files."""
    done = subprocess.run(
        ["npm", "pack", "--json", "--silent", f"{package.npm}@{package.version}"],
        cwd=folder,
        check=True,
        capture_output=True,
        text=True,
    )
    answer = json.loads(done.stdout)
    archive = folder / str((answer[0] if isinstance(answer, list) else next(iter(answer.values())))["filename"])
    found = base64.b64encode(hashlib.sha512(archive.read_bytes()).digest()).decode()
    if found != package.sha512:
        raise SystemExit(f"{package.npm} {package.version}: SHA-512 is {found}, expected {package.sha512}")
    place = folder / package.folder
    with tarfile.open(archive) as tar:
        for member in tar:
            # Debian's 3.11.2 has no extraction filter yet: regular files under the package's own folder, nothing else
            name = Path(member.name)
            if member.isfile() and ".." not in name.parts and not name.is_absolute():
                path = place.joinpath(*name.parts[1:])
                path.parent.mkdir(parents=True, exist_ok=True)
                with path.open("wb") as out:
                    shutil.copyfileobj(tar.extractfile(member) or io.BytesIO(), out)
    return place


def copy(package: Package, source: Path) -> Path:
    """Copy the named files into ``<folder>-<version>``; older versions of the same library are removed."""
    for old in package.into.glob(f"{package.folder}-[0-9]*"):
        shutil.rmtree(old)
    target = package.into / f"{package.folder}-{package.version}"
    target.mkdir(parents=True)
    for there, here in package.files.items():
        shutil.copyfile(source / there, target / here)
    if package.mit:
        terms = (ROOT / "deploy" / "licences" / "mit.txt").read_text(encoding="utf-8")
        notice = "The MIT License (MIT)\n\n" + "\n".join(package.mit) + "\n\n" + terms
        (target / "LICENSE").write_text(notice, encoding="utf-8")
    return target


def sprite(source: Path) -> str:
    """One SVG file with a ``<symbol>`` per icon; strokes take the colour of the text around them."""
    symbols = []
    for name in ICON_NAMES.read_text(encoding="utf-8").split():
        drawing = (source / "icons" / "outline" / f"{name}.svg").read_text(encoding="utf-8")
        inner = re.sub(r"<!--.*?-->", "", drawing, flags=re.DOTALL)
        match = re.search(r"<svg[^>]*>(.*)</svg>", inner, re.DOTALL)
        if match is None:
            raise SystemExit(f"icon {name}: no drawing found")
        body = re.sub(r"\s*\n\s*", "", match[1].strip())
        symbols.append(
            f'<symbol id="{name}" viewBox="0 0 24 24" fill="none" stroke="currentColor" stroke-width="2" '
            f'stroke-linecap="round" stroke-linejoin="round">{body}</symbol>'
        )
    return '<svg xmlns="http://www.w3.org/2000/svg">\n' + "\n".join(symbols) + "\n</svg>\n"


def write_sums(folder: Path) -> None:
    """``SHA256SUMS`` in the form of ``sha256sum``, so that ``sha256sum -c SHA256SUMS`` checks it."""
    files = sorted(path for path in folder.rglob("*") if path.is_file() and path.name != "SHA256SUMS")
    lines = [f"{hashlib.sha256(path.read_bytes()).hexdigest()}  {path.relative_to(folder)}" for path in files]
    (folder / "SHA256SUMS").write_text("\n".join(lines) + "\n", encoding="utf-8")


def main() -> int:
    """Fetch everything anew."""
    STATIC.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as folder:
        for package in PACKAGES:
            copy(package, unpack(package, Path(folder)))
        icons = unpack(ICONS, Path(folder))
        (copy(ICONS, icons) / "sprite.svg").write_text(sprite(icons), encoding="utf-8")
    write_sums(STATIC)
    write_sums(TESTS)
    return 0


if __name__ == "__main__":
    sys.exit(main())
