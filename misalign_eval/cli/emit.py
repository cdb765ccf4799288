"""One way out for results: the chosen format on standard output, and a file for each `-o`."""

import re
import stat
import sys
from collections.abc import Callable, Collection, Mapping, Sequence
from pathlib import Path

from misalign_eval.cli import paging
from misalign_eval.errors import UsageError, did_you_mean
from misalign_eval.results.whole import write_whole

FORMAT_OF_EXTENSION = {
    ".txt": "text",
    ".json": "json",
    ".jsonl": "jsonl",
    ".yaml": "yaml",
    ".yml": "yaml",
    ".md": "markdown",
    ".html": "html",
    ".xml": "junit",
    ".csv": "csv",
}
COMMENT = ".comment.md"  # the short Markdown; a plain `.md` holds everything
_COLOUR = re.compile(r"\x1b\[[0-9;]*m")


def check(known: Collection[str], fmt: str, files: Sequence[Path] = ()) -> None:
    """Refuse a format or an extension that this command cannot write. Call it before the work, not after.

    Raises UsageError.
    """
    if fmt not in known:
        raise UsageError(f"unknown format `{fmt}`. {did_you_mean(fmt, sorted(known))}")
    for file in files:
        if format_of(file) not in known:
            able = [suffix for suffix, name in FORMAT_OF_EXTENSION.items() if name in known]
            able += [COMMENT] if "comment" in known else []
            raise UsageError(f"-o {file}: the extension must name the format: {', '.join(able)}")
        if not file.parent.is_dir():
            raise UsageError(f"-o {file}: there is no folder `{file.parent}`")
        if stat.S_ISDIR(_mode(file)):
            raise UsageError(f"-o {file}: is a folder. Name a file")


def _mode(file: Path) -> int:
    """The kind of what lies there; 0 for nothing. Raises OSError for a name that the file system does not take."""
    try:
        return file.stat().st_mode
    except FileNotFoundError:
        return 0


def format_of(file: Path) -> str | None:
    """The format that a file's name asks for; None where it asks for none that is known."""
    name = file.name.lower()
    return "comment" if name.endswith(COMMENT) else FORMAT_OF_EXTENSION.get(file.suffix.lower())


def emit(renderers: Mapping[str, Callable[[], str]], fmt: str, files: Sequence[Path]) -> None:
    """Print the format `fmt` to standard output and write each file in the format of its extension.

    Only what is asked for is rendered. Raises UsageError for an unknown format or a file that cannot be written.
    """
    check(renderers.keys(), fmt, files)
    save(renderers, files)
    text = renderers[fmt]()
    show(paging.fitted(text) if fmt == "text" else text)


def save(renderers: Mapping[str, Callable[[], str]], files: Sequence[Path]) -> None:
    """Write each file in the format of its extension, which was checked. Raises UsageError as `write` does."""
    for file in files:
        write(file, _COLOUR.sub("", renderers[format_of(file) or ""]()))


def show(text: str) -> None:
    """To standard output, whatever letters it takes."""
    encoding = sys.stdout.encoding or "utf-8"
    sys.stdout.write(text.encode(encoding, "backslashreplace").decode(encoding))
    sys.stdout.flush()


def write(file: Path, text: str) -> None:
    """Whole or not at all: a report that was there stays until the new one is complete. Raises UsageError."""
    try:
        write_whole(file, [text.encode("utf-8", "backslashreplace")], mode=0o666)
    except OSError as error:
        raise UsageError(f"-o {file}: cannot be written: {error.strerror}") from error
