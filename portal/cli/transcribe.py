"""``portal transcribe``: recordings to text from the command line, through the running engine or one of its own."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

import click

from portal.cli.transcribe_options import options_of, recognition_options
from portal.cli.transcribe_output import FORMATS, FORMATS_OF_SPANS, Format, written

if TYPE_CHECKING:
    from portal.asr.engine.client import EngineClient
    from portal.asr.errors import AsrError
    from portal.asr.pipeline import Progress
    from portal.asr.types import TranscribeOptions, Transcription

Update = Callable[[int], None]
_HERE = {
    "ENGINE_NOT_STARTED": "识别引擎没有启动成功。请运行 portal doctor 和 portal model verify 查看原因。",
    "ENGINE_UNAVAILABLE": "识别引擎中途断开。请再运行一次；若仍不行，请运行 portal doctor。",
    "ENGINE_BUSY": "识别引擎正忙。请稍后再运行一次。",
}
"""Where the catalogue's advice is meant for a page: nobody continues a command by itself."""


@click.command()
@click.argument("files", nargs=-1, required=True, type=click.Path(path_type=Path))
@recognition_options
@click.option("--format", "form", type=click.Choice(FORMATS), default="txt", show_default=True)
@click.option(
    "--output", type=click.Path(path_type=Path, file_okay=False), help="Write one file each into this folder."
)
def transcribe_command(files: tuple[Path, ...], form: Format, output: Path | None, **chosen: Any) -> None:
    """Turn recordings into text."""
    from portal.asr.errors import AsrError
    from portal.cli.transcribe_engine import engine_client
    from portal.settings import SettingsError

    if len(files) > 1 and output is None and form != "txt":
        raise click.ClickException("Several files in this format need --output DIR.")
    options = options_of(**chosen)
    if options.spans_only and form not in FORMATS_OF_SPANS:
        raise click.ClickException(f"Spans are written as {', '.join(FORMATS_OF_SPANS)}.")
    failed = False
    try:
        with engine_client() as engine:
            for path in files:
                source = _opened(path)
                if source is None:
                    failed = True
                    continue
                try:
                    with source:
                        _one(path, source, options, engine, form, output)
                except AsrError as error:
                    failed = True
                    click.echo(f"{_shown(path)}: {sentence_of(error)}", err=True)
    except AsrError as error:
        raise click.ClickException(sentence_of(error)) from None
    except SettingsError as error:
        raise click.ClickException(str(error)) from None
    except OSError as error:
        raise click.ClickException(f"{error.strerror or type(error).__name__}: {error.filename or ''}") from None
    if failed:
        sys.exit(1)


def _opened(path: Path) -> BinaryIO | None:
    """The recording, links followed; None once the person was told why there is none."""
    try:
        if path.is_file():
            return path.open("rb")
        problem = "没有这个文件。请检查路径。 [FILE_MISSING]"
    except OSError as error:
        problem = f"读不了这个文件：{error.strerror}。请检查权限。 [FILE_UNREADABLE]"
    click.echo(f"{_shown(path)}: {problem}", err=True)
    return None


def _one(
    path: Path, source: BinaryIO, options: TranscribeOptions, engine: EngineClient, form: Format, output: Path | None
) -> None:
    from portal.asr.audio import DecodeLimits
    from portal.asr.pipeline import transcribe

    with _bar(path) as show:
        result = transcribe(
            source.fileno(), options, engine, limits=DecodeLimits(), on_progress=show, should_stop=lambda: False
        )  # fmt: skip
    for code in (*result.warnings, *_advice(result)):
        click.echo(f"{_shown(path)}: {advice_of(code)}", err=True)
    text = written(result, form)
    if output is None:
        click.echo(text, nl=False)
        return
    output.mkdir(parents=True, exist_ok=True)
    _free_name(output, path.stem, form).write_text(text, encoding="utf-8", newline="")


def _free_name(folder: Path, stem: str, form: Format) -> Path:
    """A name in ``folder`` that is not taken: two recordings of one name must not overwrite each other."""
    number, target = 1, folder / f"{stem}.{form}"
    while target.exists():
        number += 1
        target = folder / f"{stem}-{number}.{form}"
    return target


def _advice(result: Transcription) -> tuple[str, ...]:
    return () if result.outcome in ("text", "spans") else (result.outcome.upper(),)


def _shown(path: Path) -> str:
    """A file's name without characters that would command the terminal."""
    return "".join(c if c.isprintable() else "?" for c in path.name)


def sentence_of(error: AsrError) -> str:
    """One clear sentence for an error, from the portal's catalogue."""
    return advice_of(error.code, error.params)


def advice_of(code: str, params: dict[str, object] | None = None) -> str:
    """The catalogue's sentence and what to do, for a code."""
    from portal.errors import counted, entry

    if code in _HERE:
        return f"{_HERE[code]} [{code}]"
    code, count = counted(code)
    found = entry(code)
    with contextlib.suppress(KeyError, IndexError):
        return f"{found.message.format(**{**count, **(params or {})})}{found.remedy} [{code}]"
    return f"{found.remedy} [{code}]"


@contextlib.contextmanager
def _bar(path: Path) -> Iterator[_Show]:
    """A progress bar on a terminal; silent when standard error goes elsewhere."""
    if not sys.stderr.isatty():
        yield _Show(None)
        return
    with click.progressbar(length=1000, label=_shown(path)[:40], file=sys.stderr) as bar:
        yield _Show(bar.update)


class _Show:
    def __init__(self, update: Update | None) -> None:
        self._update, self._at = update, 0

    def __call__(self, progress: Progress) -> None:
        if self._update is None:
            return
        total = max(progress.total_ms or 0, progress.decoded_ms, 1)
        at = min(1000, progress.done_ms * 1000 // total)
        if at > self._at:
            self._update(at - self._at)
            self._at = at
