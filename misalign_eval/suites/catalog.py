"""From what the user typed to a suite file: a bundled name, or a path."""

import os
from pathlib import Path

from misalign_eval import bundled
from misalign_eval.errors import UsageError, did_you_mean

SUFFIXES = (".yaml", ".yml", ".json", ".jsonl", ".csv", ".tsv", ".txt")


def names() -> list[str]:
    """The bundled suites, sorted; those in a folder are named with it, as `in-domain/health`."""
    root = bundled.suites_dir()
    return sorted(path.relative_to(root).with_suffix("").as_posix() for path in root.rglob("*.yaml"))


def is_path(source: str) -> bool:
    """Whether it is written as a path: with an extension of YAML, or a folder that the bundle does not have."""
    return source.endswith(SUFFIXES) or (("/" in source or os.sep in source) and not _in_bundled_folder(source))


def _in_bundled_folder(source: str) -> bool:
    """Whether it looks like `in-domain/health`: no extension, below a folder of the bundle."""
    folder, _, name = source.partition("/")
    return (
        bool(name)
        and not Path(name).suffix
        and folder in {known.partition("/")[0] for known in names() if "/" in known}
    )


def locate(source: str) -> Path:
    """The file of a bundled suite or a path. Raises UsageError for a name that no bundled suite has."""
    if is_path(source):
        try:
            return Path(source).expanduser()
        except RuntimeError as error:
            raise UsageError(f"{source}: {error}") from None
    if source not in names() and os.path.isfile(source):  # noqa: PTH113  false where `Path` raises for too long a name
        return Path(source)
    return bundled_file(source)


def bundled_file(name: str) -> Path:
    """The file of a bundled suite. Raises UsageError for a name that none has."""
    known = names()
    if name in known:
        return bundled.suites_dir() / f"{name}.yaml"
    hint = did_you_mean(name, known)
    rest = "`misalign-eval suites list` shows those that ship; a file is named by its path, such as ./my-suite.yaml."
    raise UsageError(f"unknown suite `{name}`. {hint} {rest}")
