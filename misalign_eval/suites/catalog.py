"""From what the user typed to a suite file: a bundled name, or a path."""

import os
from pathlib import Path

from misalign_eval import bundled
from misalign_eval.errors import UsageError, did_you_mean

SUFFIXES = (".yaml", ".yml")


def names() -> list[str]:
    """The bundled suites, sorted."""
    return sorted(path.stem for path in bundled.suites_dir().glob("*.yaml"))


def is_path(source: str) -> bool:
    """Whether it is written as a path; a bundled name has neither a separator nor a YAML extension."""
    return source.endswith(SUFFIXES) or "/" in source or os.sep in source


def locate(source: str) -> Path:
    """The file of a bundled suite or a path. Raises UsageError for a name that no bundled suite has."""
    if is_path(source):
        return Path(source).expanduser()
    known = names()
    if source in known:
        return bundled.suites_dir() / f"{source}.yaml"
    hint = did_you_mean(source, known)
    bundle = "" if hint.startswith("Known") else f" Bundled: {', '.join(known)}."
    raise UsageError(f"unknown suite `{source}`. {hint}{bundle} A file is named by its path, such as ./my-suite.yaml.")
